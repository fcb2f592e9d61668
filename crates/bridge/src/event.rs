//! What happened in the world: everything the shell tells the bridge.
//!
//! Events about a leg the bridge does not know, or no longer knows, are ignored; so the shell may report late.

use crate::action::Action;
use crate::defense::DefenseConfig;
use crate::digit::Digit;
use crate::id::{ConferenceId, LegId, RequestId};
use crate::meeting::Directory;
use crate::naming::SpokenName;
use crate::tariff::Tariffs;
use routing::{E164, Initiator, Table, TrunkId};
use std::fmt;
use std::sync::Arc;

/// Who calls, as far as the trunk tells. Text comes from the network: it is cleaned before it enters a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The number, when there is one that can be read as E.164.
    pub number: Option<E164>,
    /// The display name, as received.
    pub display: String,
    /// The caller asked for privacy (RFC 3323): the number may be recorded, never shown to other participants.
    pub anonymous: bool,
}

/// Who or what ended a leg from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// The far end sent BYE.
    Bye,
    /// The caller gave up before the answer (CANCEL).
    Cancel,
    /// No ACK came for our 200 (RFC 3261 section 13.3.1.4).
    AckTimeout,
    /// The dialog is gone at the far end (481 or 408 to a request of ours), or its session timer ran out.
    DialogGone,
    /// The connection to the peer failed.
    Transport,
    /// We could not serve its media: no common codec, no port left. The shell has given the SIP answer itself.
    /// Reported instead of an answer, it means that none was given.
    Media,
}

/// How a leg ended, when the bridge did not end it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegEnd {
    /// Who or what ended it.
    pub by: EndedBy,
    /// The final SIP status that belongs to the end, 0 when there is none (a BYE).
    pub sip_status: u16,
    /// The Q.850 cause of a Reason header (RFC 3326), when there was one.
    pub q850: Option<u16>,
    /// The text of that Reason header or of the status line, as received.
    pub reason: String,
}

/// Which way a dial-out attempt failed. The trunk layer decides, the bridge acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialFailureKind {
    /// The far end sent nothing, or no provisional answer, in time: the next candidate is tried.
    NoResponse,
    /// It rang and nobody answered in time. Final: another trunk would ring the same telephone.
    Timeout,
    /// A final SIP answer: the next candidate only when [`DialFailure::failover`] says so.
    Response,
    /// The request could not be sent, or the connection broke before an answer: the next candidate is tried.
    Transport,
    /// We could not use the trunk ourselves (channel limit, no port left): the next candidate is tried.
    Local,
}

/// A dial-out attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialFailure {
    /// Which way.
    pub kind: DialFailureKind,
    /// The final SIP status, 0 when there was none.
    pub status: u16,
    /// The Q.850 cause of a Reason header, when there was one.
    pub q850: Option<u16>,
    /// The trunk's profile lists this status among its failover codes. A 6xx is never retried whatever this says.
    pub failover: bool,
    /// The reason phrase, as received.
    pub reason: String,
}

/// What an authenticated user asked for: call this number and bring the answerer into the meeting.
#[derive(Debug, Clone)]
pub struct DialOutRequest {
    /// Echoed in the answer.
    pub request: RequestId,
    /// The leg to use, fresh.
    pub leg: LegId,
    /// The conference ID of the meeting, digits only.
    pub meeting: String,
    /// The number as the user typed it; `routing` normalizes it.
    pub dialed: String,
    /// Who asks, for rule O2.
    pub initiator: Initiator,
    /// The callee must press 1 to join, so that a voicemail never ends up in a meeting.
    pub confirm: bool,
    /// Who asks has himself called. It decides nothing, since the organizer's rules hold whoever asks; the records tell it.
    pub call_me: bool,
    /// The trunks that are Down at this moment: they go last or drop out, by the routing rules.
    pub down: Vec<TrunkId>,
}

/// What has become of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingChange {
    /// It has begun.
    Started,
    /// Nothing is recorded for now.
    Paused,
    /// It goes on.
    Resumed,
    /// It is over, while the meeting goes on.
    Ended,
}

/// Everything that may happen. Each variant says who reports it and what follows.
#[derive(Clone)]
pub enum Event {
    /// An INVITE came on a known trunk, its SDP can be served and the trunk has a free channel.
    /// Follows: `Refuse`, or `Usage(start)` and after its [`Event::UsageDurable`] `Answer`.
    LegOffered {
        /// A fresh leg.
        leg: LegId,
        /// The trunk it came on.
        trunk: TrunkId,
        /// The service number that was dialed.
        called: E164,
        /// Who calls.
        caller: Caller,
        /// The SIP Call-ID, for the record.
        sip_call_id: String,
    },
    /// The start record of the leg is safe (on disk, or wherever the writer's policy says). Reported by the writer.
    /// Follows: `Answer` (dial-in), or `Dial` (dial-out).
    UsageDurable {
        /// The leg of the record.
        leg: LegId,
    },
    /// The ACK of our 200 arrived. The greeting starts 1 s later at the latest.
    LegEstablished {
        /// The leg.
        leg: LegId,
    },
    /// The first RTP packet from the far end was accepted. Reported by the mixer once per leg after its first `Seat`.
    /// The greeting starts now.
    MediaStarted {
        /// The leg.
        leg: LegId,
    },
    /// A key was pressed, each exactly once. Reported by the mixer.
    Digit {
        /// The leg.
        leg: LegId,
        /// The key.
        digit: Digit,
    },
    /// A `Play` ran to its end. Not needed for one that was stopped or replaced; stale tokens are ignored.
    ClipEnded {
        /// The leg.
        leg: LegId,
        /// The token of the `Play`.
        token: u64,
    },
    /// Nothing came from the far end for as long as the media layer allows (30 s; not while on hold).
    /// Follows: `Hangup`.
    MediaSilent {
        /// The leg.
        leg: LegId,
    },
    /// The leg is over and the bridge did not end it: BYE, CANCEL, a lost ACK, a dead dialog; in any state.
    /// Follows: `Usage(final)`, then `Release`.
    LegEnded {
        /// The leg.
        leg: LegId,
        /// How.
        end: LegEnd,
    },
    /// An authenticated user asks for a dial-out. Follows: `DialOutAccepted` or `DialOutRefused`, always one.
    DialOut(DialOutRequest),
    /// The INVITE of an attempt has been made. Optional: it only enters the record.
    LegDialed {
        /// The leg.
        leg: LegId,
        /// The attempt, as in `Dial`.
        attempt: u32,
        /// Its SIP Call-ID.
        sip_call_id: String,
    },
    /// The INVITE of an attempt failed, and the same trunk's next peer is tried under the same attempt number. Optional:
    /// it only enters the record, as a row of its own.
    PeerFailed {
        /// The leg.
        leg: LegId,
        /// The attempt, as in `Dial`.
        attempt: u32,
        /// How this peer failed.
        failure: DialFailure,
    },
    /// A provisional answer (101-199) to a dial-out attempt.
    LegProgress {
        /// The leg.
        leg: LegId,
        /// The attempt, as in `Dial`.
        attempt: u32,
        /// The SIP status.
        status: u16,
    },
    /// A 2xx to a dial-out attempt; its ACK has been sent and its media is ready to be seated.
    /// Follows: `Seat` (in the meeting, or first in a room of its own where the callee must confirm).
    LegAnswered {
        /// The leg.
        leg: LegId,
        /// The attempt, as in `Dial`.
        attempt: u32,
    },
    /// A dial-out attempt failed. Follows: `Dial` of the next candidate, or `Usage(final)` and `Release`.
    LegFailed {
        /// The leg.
        leg: LegId,
        /// The attempt, as in `Dial`.
        attempt: u32,
        /// Why.
        failure: DialFailure,
    },
    /// A keyed PIN has been checked.
    PinChecked {
        /// The leg.
        leg: LegId,
        /// The token of the `CheckPin`.
        token: u64,
        /// It was the organizer's.
        right: bool,
    },
    /// What was recorded of a leg's name has been looked at. Before it, or without it, the leg has none.
    Named {
        /// The leg.
        leg: LegId,
        /// The name; `None`: nothing was said.
        name: Option<SpokenName>,
    },
    /// An authenticated user wants something done in an open meeting. Follows: `Acted`, always one.
    Act {
        /// Echoed in the answer.
        request: RequestId,
        /// The meeting's conference.
        conference: ConferenceId,
        /// What.
        action: Action,
    },
    /// The recording of a meeting has begun, pauses, goes on, or is over. Follows: everybody in it hears so.
    Recording {
        /// The meeting's conference.
        conference: ConferenceId,
        /// Which.
        change: RecordingChange,
    },
    /// An authenticated user removes a leg, in any state. Follows: `Refuse` or `Hangup`, with a final record.
    RemoveLeg {
        /// The leg.
        leg: LegId,
    },
    /// An authenticated user ends a conference. Follows: `Hangup` of each leg in it or being dialed for it.
    EndConference {
        /// The meeting's conference.
        conference: ConferenceId,
    },
    /// Stop taking work: new legs are refused with 503, unanswered ones too, dial-out is refused, no further candidate
    /// is dialed. Answered legs go on, and may still join.
    Drain,
    /// End everything now, each leg with its record. Implies [`Event::Drain`].
    DrainNow,
    /// A new routing table is in force. Legs stay; the next decision uses it.
    TableChanged(Arc<Table>),
    /// A new directory is in force. Legs and open conferences stay; the next ID is looked up in it.
    DirectoryChanged(Arc<dyn Directory>),
    /// Other prices and limits are in force. Legs keep the price they began with; what was spent counts.
    TariffsChanged(Arc<Tariffs>),
    /// Other limits on guessing are in force, also for what was guessed before.
    DefenseChanged(DefenseConfig),
}

impl fmt::Debug for Event {
    /// Short enough for a log line: tables and directories are named, not printed.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LegOffered { leg, trunk, called, .. } => {
                write!(formatter, "LegOffered {leg} on {trunk} to {called}")
            }
            Self::UsageDurable { leg } => write!(formatter, "UsageDurable {leg}"),
            Self::LegEstablished { leg } => write!(formatter, "LegEstablished {leg}"),
            Self::MediaStarted { leg } => write!(formatter, "MediaStarted {leg}"),
            Self::Digit { leg, digit } => write!(formatter, "Digit {leg} {digit:?}"),
            Self::ClipEnded { leg, token } => write!(formatter, "ClipEnded {leg} token {token}"),
            Self::MediaSilent { leg } => write!(formatter, "MediaSilent {leg}"),
            Self::LegEnded { leg, end } => write!(formatter, "LegEnded {leg} {end:?}"),
            Self::DialOut(request) => write!(formatter, "{request:?}"),
            Self::LegDialed { leg, attempt, .. } => write!(formatter, "LegDialed {leg} attempt {attempt}"),
            Self::PeerFailed { leg, attempt, failure } => {
                write!(formatter, "PeerFailed {leg} attempt {attempt} {failure:?}")
            }
            Self::LegProgress { leg, attempt, status } => {
                write!(formatter, "LegProgress {leg} attempt {attempt} {status}")
            }
            Self::LegAnswered { leg, attempt } => write!(formatter, "LegAnswered {leg} attempt {attempt}"),
            Self::LegFailed { leg, attempt, failure } => {
                write!(formatter, "LegFailed {leg} attempt {attempt} {failure:?}")
            }
            Self::PinChecked { leg, token, right } => {
                write!(formatter, "PinChecked {leg} token {token} {right}")
            }
            Self::Named { leg, name } => write!(formatter, "Named {leg} {}", name.is_some()),
            Self::Act { conference, action, .. } => write!(formatter, "Act {conference} {action:?}"),
            Self::Recording { conference, change } => write!(formatter, "Recording {conference} {change:?}"),
            Self::RemoveLeg { leg } => write!(formatter, "RemoveLeg {leg}"),
            Self::EndConference { conference } => write!(formatter, "EndConference {conference}"),
            Self::Drain => formatter.write_str("Drain"),
            Self::DrainNow => formatter.write_str("DrainNow"),
            Self::TableChanged(_) => formatter.write_str("TableChanged"),
            Self::DirectoryChanged(_) => formatter.write_str("DirectoryChanged"),
            Self::TariffsChanged(_) => formatter.write_str("TariffsChanged"),
            Self::DefenseChanged(defense) => write!(formatter, "DefenseChanged {defense:?}"),
        }
    }
}
