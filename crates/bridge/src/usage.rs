//! Usage records: one start and one final record per leg, and who bills it. No record ever holds a digit that was
//! keyed, and no text from the network enters one uncleaned.

use crate::event::Caller;
use crate::id::{ConferenceId, LegId};
use crate::meeting::{ConferenceCode, Meeting};
use crate::stamp::Stamp;
use crate::text::{LONG, SHORT, clean};
use rand::Rng;
use routing::{
    Because, Biller, Candidate, E164, License, NumberKind, OrganizerId, Owner, Rule, TenantId, TrunkId,
};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant, SystemTime};
use uuid::{Builder, Uuid};

/// Raised by one whenever a reader of the records must change.
pub const SCHEMA_VERSION: u16 = 1;
/// A wall clock that runs this far away from the monotonic one during a leg has been stepped.
const STEP: Duration = Duration::from_secs(1);

/// Start or final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordKind {
    /// Safe before the leg is answered or dialed, so that a crash cannot hide it.
    Start,
    /// Written once, when the leg has ended. A refused leg has only this one.
    Final,
}

/// Which way the leg goes, in the words of Microsoft's usage report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallType {
    /// A caller dialed a service number.
    ConfIn,
    /// The conference dialed somebody.
    ConfOut,
}

/// How a leg came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallResult {
    /// It was answered, however it ended.
    Answered,
    /// Given up before the answer: by the caller, or by the bridge or a user while dialing.
    Cancelled,
    /// The bridge refused it.
    Refused,
    /// The callee was busy.
    Busy,
    /// It rang, nobody answered.
    NoAnswer,
    /// The callee declined.
    Declined,
    /// No trunk could complete it.
    Unreachable,
    /// It broke before the answer.
    Failed,
}

/// Who ended the leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndingParty {
    /// The far end.
    FarEnd,
    /// The bridge, by its rules.
    Bridge,
    /// An authenticated user.
    User,
    /// The network: a connection, a dialog or media that vanished.
    Network,
}

/// The rule by which exact time becomes billed time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rounding {
    /// Every started minute counts whole.
    #[default]
    PerStartedMinute,
    /// Every started second counts whole.
    PerStartedSecond,
}

impl Rounding {
    /// Seconds to bill for a time from answer to end. Nothing lasts nothing.
    pub fn billed_seconds(self, exact: Duration) -> u64 {
        let seconds = exact.as_nanos().div_ceil(1_000_000_000) as u64;
        match self {
            Self::PerStartedMinute => seconds.div_ceil(60) * 60,
            Self::PerStartedSecond => seconds,
        }
    }
}

/// One dial-out attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttemptRecord {
    /// 1 for the first.
    pub attempt: u32,
    /// The trunk it went to.
    pub trunk: TrunkId,
    /// The number it showed.
    pub caller_id: E164,
    /// The voice route that named the trunk.
    pub route: Option<String>,
    /// Why this candidate, in the words of `routing`.
    pub because: String,
    /// The SIP Call-ID, when the shell told it.
    pub sip_call_id: Option<String>,
    /// When it was sent.
    pub invite_time: Stamp,
    /// The final SIP status: 0 when none came, `null` while open.
    pub sip_status: Option<u16>,
    /// How it failed, in a word; `null` while open and when it was answered.
    pub failure: Option<&'static str>,
}

/// How the leg ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordEnd {
    /// When.
    pub end_time: Stamp,
    /// How it came out.
    pub result: CallResult,
    /// Who ended it.
    pub ended_by: EndingParty,
    /// Why, in a few words of ours.
    pub cause: &'static str,
    /// The final SIP status, 0 when the end had none (a BYE).
    pub sip_status: u16,
    /// The Q.850 cause, received or given.
    pub q850: Option<u16>,
    /// The far end's or the rule's own words.
    pub reason: String,
    /// Exact milliseconds from answer to end, by the monotonic clock; 0 when it was never answered.
    pub duration_ms: u64,
    /// Exact milliseconds in the meeting.
    pub in_conference_ms: u64,
    /// The time to bill, after rounding.
    pub billed_seconds: u64,
    /// The rounding rule.
    pub rounding: Rounding,
    /// Whose clock measured it.
    pub duration_source: &'static str,
    /// The wall clock was stepped during the leg: its stamps do not differ by the duration.
    pub wall_clock_stepped: bool,
    /// How many keys were pressed. Never which.
    pub keys_pressed: u32,
}

/// One record of one leg. Every field is always present in the JSON form; what is not known is `null`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// The form of this record, see [`SCHEMA_VERSION`].
    pub schema_version: u16,
    /// Unique per record, ordered by time (UUID version 7, RFC 9562).
    pub record_id: Uuid,
    /// Unique per leg: its start and its final record share it.
    pub usage_id: Uuid,
    /// Start or final.
    pub kind: RecordKind,
    /// When it was written.
    pub written: Stamp,
    /// The leg, as in the log.
    pub leg: LegId,
    /// Dial-in or dial-out.
    pub call_type: CallType,
    /// The SIP Call-ID of a dial-in leg; a dial-out leg has one per attempt.
    pub sip_call_id: Option<String>,
    /// The trunk that carries it, or carried it last.
    pub trunk: Option<TrunkId>,
    /// The caller's number.
    pub caller: Option<E164>,
    /// The caller's display name.
    pub caller_display: Option<String>,
    /// The caller asked for privacy.
    pub caller_anonymous: bool,
    /// Dial-in: the number that was dialed.
    pub service_number: Option<E164>,
    /// Dial-in: who provides that number.
    pub number_owner: Option<Owner>,
    /// Dial-in: toll or toll-free.
    pub number_kind: Option<NumberKind>,
    /// Dial-out: the number as the user typed it.
    pub dialed: Option<String>,
    /// Dial-out: the number that was called.
    pub destination: Option<E164>,
    /// Dial-out: the number that was shown.
    pub caller_id: Option<E164>,
    /// Dial-out: the voice route that was taken last.
    pub route: Option<String>,
    /// Dial-out: who asked: `member`, `guest` or `anonymous`.
    pub initiator: Option<&'static str>,
    /// Dial-out: every attempt.
    pub attempts: Vec<AttemptRecord>,
    /// The meeting's conference ID.
    pub conference_id: Option<ConferenceCode>,
    /// The conference it joined or was called for.
    pub conference: Option<ConferenceId>,
    /// The organizer's organization.
    pub tenant: Option<TenantId>,
    /// Whose license and policy decided.
    pub organizer: Option<OrganizerId>,
    /// The organizer's license at that time.
    pub license: Option<License>,
    /// Who bills the leg.
    pub biller: Option<Biller>,
    /// Every step of the routing decision.
    pub decision: Vec<Because>,
    /// When the INVITE came, or the dial-out was asked for.
    pub invite_time: Stamp,
    /// Dial-out: when it first rang.
    pub ring_time: Option<Stamp>,
    /// When it was answered.
    pub answer_time: Option<Stamp>,
    /// When it joined the meeting.
    pub join_time: Option<Stamp>,
    /// How it ended; `null` in a start record.
    pub end: Option<RecordEnd>,
}

/// What the bridge says about an end; times and counts are the ledger's own.
#[derive(Debug)]
pub(crate) struct Ending<'a> {
    pub(crate) result: CallResult,
    pub(crate) by: EndingParty,
    pub(crate) cause: &'static str,
    pub(crate) sip_status: u16,
    pub(crate) q850: Option<u16>,
    pub(crate) reason: &'a str,
}

/// One leg's record while it is being lived. Consumed by the final record, so there cannot be two.
#[derive(Debug)]
pub(crate) struct Ledger {
    record: Record,
    began: (Instant, SystemTime),
    answered: Option<Instant>,
    joined: Option<Instant>,
    keys: u32,
}

impl Ledger {
    /// Opens the record of a leg.
    pub(crate) fn new(
        leg: LegId,
        call_type: CallType,
        now: Instant,
        wall: SystemTime,
        rng: &mut impl Rng,
    ) -> Self {
        let record = Record {
            schema_version: SCHEMA_VERSION,
            record_id: Uuid::nil(),
            usage_id: time_ordered(wall, rng),
            kind: RecordKind::Start,
            written: Stamp(wall),
            leg,
            call_type,
            sip_call_id: None,
            trunk: None,
            caller: None,
            caller_display: None,
            caller_anonymous: false,
            service_number: None,
            number_owner: None,
            number_kind: None,
            dialed: None,
            destination: None,
            caller_id: None,
            route: None,
            initiator: None,
            attempts: Vec::new(),
            conference_id: None,
            conference: None,
            tenant: None,
            organizer: None,
            license: None,
            biller: None,
            decision: Vec::new(),
            invite_time: Stamp(wall),
            ring_time: None,
            answer_time: None,
            join_time: None,
            end: None,
        };
        Self { record, began: (now, wall), answered: None, joined: None, keys: 0 }
    }

    /// What is known so far.
    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    /// Who calls on which trunk, cleaned.
    pub(crate) fn offered(&mut self, trunk: TrunkId, called: E164, caller: &Caller, sip_call_id: &str) {
        self.record.trunk = Some(trunk);
        self.record.service_number = Some(called);
        self.record.caller.clone_from(&caller.number);
        self.record.caller_display = (!caller.display.is_empty()).then(|| clean(&caller.display, SHORT));
        self.record.caller_anonymous = caller.anonymous;
        self.record.sip_call_id = Some(clean(sip_call_id, LONG));
    }

    /// The service number is ours: who provides it bills it.
    pub(crate) fn admitted(&mut self, owner: &Owner, kind: NumberKind) {
        self.record.number_owner = Some(owner.clone());
        self.record.number_kind = Some(kind);
        self.record.biller = Some(Biller::from(owner.clone()));
    }

    /// A rule refused the leg before it was answered.
    pub(crate) fn refused(&mut self, rule: Rule, because: String) {
        self.record.decision = cleaned(vec![Because { rule, text: because }]);
    }

    /// The answer was ordered but never left: a CANCEL crossed it, or the media could not be served.
    pub(crate) fn retract_answer(&mut self) {
        self.answered = None;
        self.record.answer_time = None;
    }

    /// A dial-out was asked for.
    pub(crate) fn asked(&mut self, dialed: &str, initiator: &'static str) {
        self.record.dialed = Some(clean(dialed, SHORT));
        self.record.initiator = Some(initiator);
    }

    /// The meeting is known.
    pub(crate) fn meeting(
        &mut self,
        meeting: &Meeting,
        organizer: Option<(TenantId, License)>,
        decision: Vec<Because>,
    ) {
        self.record.conference_id = Some(meeting.conference_id.clone());
        self.record.organizer = Some(meeting.organizer.clone());
        if let Some((tenant, license)) = organizer {
            self.record.tenant = Some(tenant);
            self.record.license = Some(license);
        }
        self.record.decision = cleaned(decision);
    }

    /// The decision named the party who bills.
    pub(crate) fn billed_by(&mut self, biller: Biller) {
        self.record.biller = Some(biller);
    }

    /// The conference the leg is for.
    pub(crate) fn conference(&mut self, conference: ConferenceId) {
        self.record.conference = Some(conference);
    }

    /// The candidate the leg will use next, also in the start record.
    pub(crate) fn chosen(&mut self, candidate: &Candidate) {
        self.record.trunk = Some(candidate.trunk.clone());
        self.record.destination = Some(candidate.dialed.clone());
        self.record.caller_id = Some(candidate.caller_id.clone());
        self.record.route.clone_from(&candidate.route);
        self.record.biller = Some(candidate.biller.clone());
    }

    /// An attempt was sent.
    pub(crate) fn attempt(&mut self, attempt: u32, candidate: &Candidate, wall: SystemTime) {
        self.chosen(candidate);
        self.record.attempts.push(AttemptRecord {
            attempt,
            trunk: candidate.trunk.clone(),
            caller_id: candidate.caller_id.clone(),
            route: candidate.route.clone(),
            because: candidate.because.clone(),
            sip_call_id: None,
            invite_time: Stamp(wall),
            sip_status: None,
            failure: None,
        });
    }

    /// The shell told the SIP Call-ID of the running attempt.
    pub(crate) fn attempt_call_id(&mut self, sip_call_id: &str) {
        if let Some(attempt) = self.record.attempts.last_mut() {
            attempt.sip_call_id = Some(clean(sip_call_id, LONG));
        }
    }

    /// The running attempt failed, or was answered (`failure` is `None`).
    pub(crate) fn attempt_over(&mut self, sip_status: u16, failure: Option<&'static str>) {
        if let Some(attempt) = self.record.attempts.last_mut() {
            attempt.sip_status = Some(sip_status);
            attempt.failure = failure;
        }
    }

    /// It rings; only the first time counts.
    pub(crate) fn ringing(&mut self, wall: SystemTime) {
        self.record.ring_time.get_or_insert(Stamp(wall));
    }

    /// It was answered: from here on time is money.
    pub(crate) fn answered(&mut self, now: Instant, wall: SystemTime) {
        if self.answered.is_none() {
            self.answered = Some(now);
            self.record.answer_time = Some(Stamp(wall));
        }
    }

    /// Whether it was answered.
    pub(crate) fn is_answered(&self) -> bool {
        self.answered.is_some()
    }

    /// It is in the meeting.
    pub(crate) fn joined(&mut self, now: Instant, wall: SystemTime) {
        if self.joined.is_none() {
            self.joined = Some(now);
            self.record.join_time = Some(Stamp(wall));
        }
    }

    /// A key was pressed.
    pub(crate) fn key(&mut self) {
        self.keys = self.keys.saturating_add(1);
    }

    /// The start record.
    pub(crate) fn start(&self, wall: SystemTime, rng: &mut impl Rng) -> Record {
        let mut record = self.record.clone();
        record.record_id = time_ordered(wall, rng);
        record.written = Stamp(wall);
        record
    }

    /// The final record.
    pub(crate) fn finish(
        self,
        now: Instant,
        wall: SystemTime,
        ending: &Ending<'_>,
        rounding: Rounding,
        rng: &mut impl Rng,
    ) -> Record {
        let since = |begin: Option<Instant>| {
            begin.map_or(Duration::ZERO, |begin| now.saturating_duration_since(begin))
        };
        let duration = since(self.answered);
        let mut record = self.record;
        record.record_id = time_ordered(wall, rng);
        record.kind = RecordKind::Final;
        if let Some(open) = record.attempts.last_mut().filter(|attempt| attempt.sip_status.is_none()) {
            open.sip_status = Some(0);
            open.failure = Some("cancelled");
        }
        record.written = Stamp(wall);
        record.end = Some(RecordEnd {
            end_time: Stamp(wall),
            result: ending.result,
            ended_by: ending.by,
            cause: ending.cause,
            sip_status: ending.sip_status,
            q850: ending.q850,
            reason: clean(ending.reason, SHORT),
            duration_ms: duration.as_millis() as u64,
            in_conference_ms: since(self.joined).as_millis() as u64,
            billed_seconds: rounding.billed_seconds(duration),
            rounding,
            duration_source: "bridge",
            wall_clock_stepped: stepped(self.began, (now, wall)),
            keys_pressed: self.keys,
        });
        record
    }
}

/// The words of a decision quote what was dialed, so they are text from outside.
fn cleaned(decision: Vec<Because>) -> Vec<Because> {
    decision.into_iter().map(|because| Because { text: clean(&because.text, LONG), ..because }).collect()
}

/// Whether the wall clock and the monotonic one disagree about the time in between.
fn stepped(began: (Instant, SystemTime), ended: (Instant, SystemTime)) -> bool {
    let exact = ended.0.saturating_duration_since(began.0);
    match ended.1.duration_since(began.1) {
        Ok(shown) => shown.abs_diff(exact) > STEP,
        Err(backwards) => backwards.duration() + exact > STEP,
    }
}

/// A UUID version 7 (RFC 9562 section 5.7) from the wall clock and the seeded generator.
fn time_ordered(wall: SystemTime, rng: &mut impl Rng) -> Uuid {
    let mut noise = [0_u8; 10];
    rng.fill_bytes(&mut noise);
    Builder::from_unix_timestamp_millis(Stamp(wall).unix_millis(), &noise).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::tests::{epoch, noon};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn every_started_unit_counts_whole_and_nothing_costs_nothing() {
        let millis = Duration::from_millis;
        for (exact, minutes, seconds) in [
            (millis(0), 0, 0),
            (Duration::from_nanos(1), 60, 1),
            (millis(60_000), 60, 60),
            (millis(60_001), 120, 61),
            (millis(3_599_999), 3_600, 3_600),
        ] {
            assert_eq!(Rounding::PerStartedMinute.billed_seconds(exact), minutes, "{exact:?}");
            assert_eq!(Rounding::PerStartedSecond.billed_seconds(exact), seconds, "{exact:?}");
        }
    }

    #[test]
    fn a_record_has_every_field_also_where_nothing_is_known() {
        let mut rng = StdRng::from_seed([1; 32]);
        let ledger = Ledger::new(LegId(1), CallType::ConfIn, epoch(), noon(), &mut rng);
        let json = serde_json::to_value(ledger.start(noon(), &mut rng)).unwrap();
        let fields = json.as_object().unwrap();
        for field in ["conference_id", "biller", "end", "answer_time", "attempts", "decision", "license"] {
            assert!(fields.contains_key(field), "{field}");
        }
        assert_eq!(json["schema_version"], SCHEMA_VERSION);
    }

    #[test]
    fn record_ids_are_ordered_by_time_and_the_seed_makes_them_reproducible() {
        let ids = |seed: u8| {
            let mut rng = StdRng::from_seed([seed; 32]);
            let later = noon() + Duration::from_millis(1);
            (time_ordered(noon(), &mut rng), time_ordered(later, &mut rng))
        };
        let (first, second) = ids(1);
        assert!(first < second);
        assert_eq!(ids(1), (first, second));
        assert_ne!(ids(2).0, first);
    }

    #[test]
    fn hostile_text_is_cleaned_and_bounded_wherever_it_enters() {
        let mut rng = StdRng::from_seed([1; 32]);
        let mut ledger = Ledger::new(LegId(1), CallType::ConfIn, epoch(), noon(), &mut rng);
        let long = "x\r\n".repeat(10_000);
        let caller = Caller { number: None, display: long.clone(), anonymous: false };
        ledger.offered(TrunkId::new("acme"), "+14255550100".parse().unwrap(), &caller, &long);
        ledger.asked(&long, "member");
        let ending = Ending {
            result: CallResult::Answered,
            by: EndingParty::FarEnd,
            cause: "bye",
            sip_status: 0,
            q850: None,
            reason: &long,
        };
        let record = ledger.finish(epoch(), noon(), &ending, Rounding::default(), &mut rng);
        let text = serde_json::to_string(&record).unwrap();
        assert!(text.len() < 8_192, "{}", text.len());
        assert!(!text.contains("\\r") && !text.contains("\\n"));
    }
}
