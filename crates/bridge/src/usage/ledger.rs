//! One leg's record while it is being lived: every fact is noted when it happens, the final record consumes it.

use super::{
    AttemptRecord, Bill, CallResult, CallType, EndingParty, Record, RecordEnd, RecordKind, RecordSoFar,
    SCHEMA_VERSION,
};
use crate::event::Caller;
use crate::id::{ConferenceId, LegId};
use crate::meeting::Meeting;
use crate::stamp::Stamp;
use crate::text::{LONG, SHORT, clean};
use rand::Rng;
use routing::{
    Because, Biller, Candidate, Country, E164, License, NumberKind, Owner, Rule, TenantId, TrunkId, Zone,
};
use std::time::{Duration, Instant, SystemTime};
use uuid::{Builder, Uuid};

/// A wall clock that runs this far away from the monotonic one during a leg has been stepped.
const STEP: Duration = Duration::from_secs(1);

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
    /// When the last interim record was written.
    interim: Option<Instant>,
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
            zone: None,
            usage_country: None,
            decision: Vec::new(),
            invite_time: Stamp(wall),
            ring_time: None,
            answer_time: None,
            join_time: None,
            interim: None,
            end: None,
            media: None,
        };
        Self { record, began: (now, wall), answered: None, joined: None, interim: None, keys: 0 }
    }

    /// What is known so far.
    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    /// Who calls on which trunk, cleaned.
    pub(crate) fn offered(&mut self, trunk: TrunkId, called: E164, caller: &Caller, sip_call_id: &str) {
        self.record.trunk = Some(trunk);
        self.record.usage_country = Country::of(&called);
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
        self.record.usage_country = Country::of(&candidate.dialed);
        self.record.destination = Some(candidate.dialed.clone());
        self.record.caller_id = Some(candidate.caller_id.clone());
        self.record.route.clone_from(&candidate.route);
        self.record.biller = Some(candidate.biller.clone());
    }

    /// How far the destination is.
    pub(crate) fn zone(&mut self, zone: Zone) {
        self.record.zone = Some(zone);
    }

    /// An attempt was sent.
    pub(crate) fn attempt(&mut self, attempt: u32, candidate: &Candidate, wall: SystemTime) {
        self.chosen(candidate);
        self.record.attempts.reserve_exact(1); // most legs have one, and keep it as long as they live
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

    /// The same candidate was sent again, to another peer of its trunk.
    pub(crate) fn attempt_again(&mut self, wall: SystemTime) {
        if let Some(before) = self.record.attempts.last().cloned() {
            let again = AttemptRecord {
                sip_call_id: None,
                invite_time: Stamp(wall),
                sip_status: None,
                failure: None,
                ..before
            };
            self.record.attempts.push(again);
        }
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

    /// How long it has been answered.
    pub(crate) fn lasted(&self, now: Instant) -> Duration {
        self.answered.map_or(Duration::ZERO, |answered| now.saturating_duration_since(answered))
    }

    /// When the next interim record is due.
    pub(crate) fn interim_due(&self, every: Option<Duration>) -> Option<Instant> {
        Some(self.interim.or(self.answered)?.max(self.answered?) + every?)
    }

    /// An interim record.
    pub(crate) fn interim(
        &mut self,
        now: Instant,
        wall: SystemTime,
        bill: Bill,
        rng: &mut impl Rng,
    ) -> Record {
        self.interim = Some(now);
        let mut record = self.start(wall, rng);
        record.kind = RecordKind::Interim;
        let currency = bill.rate.as_ref().map(|rate| rate.currency);
        record.interim = Some(RecordSoFar {
            duration_ms: self.lasted(now).as_millis() as u64,
            billed_seconds: bill.billed_seconds,
            bill_to: bill.account,
            pool_seconds: bill.pool_seconds,
            currency,
            charge_micros: currency.map(|_| bill.charge),
        });
        record
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
        bill: Bill,
        rng: &mut impl Rng,
    ) -> Record {
        let since = |begin: Option<Instant>| {
            begin.map_or(Duration::ZERO, |begin| now.saturating_duration_since(begin))
        };
        let duration = since(self.answered);
        let price = bill.rate.as_ref();
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
            billed_seconds: bill.billed_seconds,
            rounding: bill.rounding,
            bill_to: bill.account,
            pool_seconds: bill.pool_seconds,
            currency: price.map(|rate| rate.currency),
            rate_prefix: price.map(|rate| rate.prefix.clone()),
            price_per_minute_micros: price.map(|rate| rate.per_minute),
            connection_fee_micros: price.map(|_| bill.connection_fee),
            charge_micros: price.map(|_| bill.charge),
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
    use crate::usage::Rounding;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

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
        let record = ledger.finish(
            epoch(),
            noon(),
            &ending,
            Bill::unpriced(Rounding::default(), Duration::ZERO),
            &mut rng,
        );
        let text = serde_json::to_string(&record).unwrap();
        assert!(text.len() < 8_192, "{}", text.len());
        assert!(!text.contains("\\r") && !text.contains("\\n"));
    }
}
