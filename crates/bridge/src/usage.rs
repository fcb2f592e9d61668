//! Usage records: one start and one final record per leg, interim ones in between, and who bills it. No record ever holds a digit that was
//! keyed, and no text from the network enters one uncleaned.

mod ledger;

use crate::id::{ConferenceId, LegId};
use crate::meeting::ConferenceCode;
use crate::money::{Currency, Micros};
use crate::stamp::Stamp;
use crate::tariff::Rate;
use routing::{
    Because, Biller, Country, E164, License, NumberKind, OrganizerId, Owner, TenantId, TrunkId, Zone,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

pub(crate) use ledger::{Ending, Ledger};

/// Raised by one whenever a reader of the records must change.
pub const SCHEMA_VERSION: u16 = 3;

/// Start, interim or final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordKind {
    /// Safe before the leg is answered or dialed, so that a crash cannot hide it.
    Start,
    /// While it is answered, now and then: what is known if the bridge dies. Not to be billed.
    Interim,
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
    /// Somebody had the conference call himself.
    CallMe,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema, Serialize, Deserialize)]
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
    /// What the leg is charged to: `pool` (Microsoft's minutes), `communications-credits`, `license`, `operator:<id>`,
    /// `customer`. `None` when it costs nothing.
    pub bill_to: Option<String>,
    /// Of the billed time, what came out of the tenant's minute pool.
    pub pool_seconds: u64,
    /// The currency of the prices; `None` where no rate plan has a price.
    pub currency: Option<Currency>,
    /// The prefix whose price it is.
    pub rate_prefix: Option<String>,
    /// The price of a minute, in millionths.
    pub price_per_minute_micros: Option<Micros>,
    /// Of the charge, the fee for the connection, in millionths.
    pub connection_fee_micros: Option<Micros>,
    /// What the leg costs, in millionths.
    pub charge_micros: Option<Micros>,
    /// Whose clock measured it.
    pub duration_source: &'static str,
    /// The wall clock was stepped during the leg: its stamps do not differ by the duration.
    pub wall_clock_stepped: bool,
    /// How many keys were pressed. Never which.
    pub keys_pressed: u32,
}

/// How far a leg has come, should the bridge die.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordSoFar {
    /// Exact milliseconds since the answer.
    pub duration_ms: u64,
    /// The time to bill if it ended now.
    pub billed_seconds: u64,
    /// What it would be charged to.
    pub bill_to: Option<String>,
    /// What would come out of the pool.
    pub pool_seconds: u64,
    /// The currency of the charge.
    pub currency: Option<Currency>,
    /// What it would cost, in millionths.
    pub charge_micros: Option<Micros>,
}

/// What a leg costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bill {
    pub(crate) rounding: Rounding,
    pub(crate) billed_seconds: u64,
    pub(crate) pool_seconds: u64,
    pub(crate) account: Option<String>,
    pub(crate) rate: Option<Rate>,
    pub(crate) connection_fee: Micros,
    pub(crate) charge: Micros,
}

impl Bill {
    /// Of a leg that no plan has a price for.
    pub(crate) fn unpriced(rounding: Rounding, lasted: Duration) -> Self {
        Self::priced(None, rounding, lasted, 0)
    }

    /// Of a leg with this rate; what comes out of the pool costs nothing.
    pub(crate) fn priced(
        rate: Option<Rate>,
        rounding: Rounding,
        lasted: Duration,
        pool_seconds: u64,
    ) -> Self {
        let billed_seconds = rounding.billed_seconds(lasted);
        let paid = billed_seconds.saturating_sub(pool_seconds);
        let (connection_fee, charge) = rate.as_ref().map_or((Micros(0), Micros(0)), |rate| rate.charge(paid));
        Self { rounding, billed_seconds, pool_seconds, account: None, rate, connection_fee, charge }
    }
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
    /// Start, interim or final.
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
    /// Dial-out: how far the destination is from the organizer.
    pub zone: Option<Zone>,
    /// The country of the destination, or of the service number.
    pub usage_country: Option<Country>,
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
    /// How far it has come; only in an interim record.
    pub interim: Option<RecordSoFar>,
    /// How it ended; `null` in a start record and in an interim one.
    pub end: Option<RecordEnd>,
    /// What went over the wire; filled in by the shell, `null` in a start record and for a leg that had no media.
    pub media: Option<MediaFigures>,
}

/// What went over the wire of one leg, from its first packet to its last. *Ingress* is towards our mixer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MediaFigures {
    /// The codec agreed last.
    pub codec: &'static str,
    /// The suite of SRTP agreed last; `null` for plain RTP.
    pub srtp: Option<&'static str>,
    /// RTP packets received.
    pub ingress_packets: u64,
    /// Payload bytes of them.
    pub ingress_octets: u64,
    /// RTP packets sent.
    pub egress_packets: u64,
    /// Payload bytes of them.
    pub egress_octets: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Packets that came too late to be heard.
    pub late: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets that came before one that was sent earlier.
    pub reordered: u64,
    /// Milliseconds of sound made up where a packet was missing.
    pub concealed_ms: u64,
    /// Interarrival jitter at the end (RFC 3550 section 6.4.1), in microseconds.
    pub jitter_us: u64,
    /// Datagrams from an address that is not the peer's.
    pub strangers: u64,
    /// Packets that SRTP did not take: not authentic, or taken before.
    pub srtp_rejected: u64,
    /// Whether the packets were kept in the clear, for an engineer to look at.
    pub captured: bool,
}

#[cfg(test)]
mod tests {
    use super::Rounding;
    use std::time::Duration;

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
}
