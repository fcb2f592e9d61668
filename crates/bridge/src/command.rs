//! What the bridge wants done. The shell carries commands out in the order it polls them.
//!
//! The last command about a leg is always one of `Refuse`, `Hangup` and `Release`. After it the bridge has forgotten
//! the leg: the shell frees its media, and nothing that is reported about it matters any more.

use crate::action::ActionRefusal;
use crate::budget::{BudgetKind, BudgetNotice};
use crate::defense::Alarm;
use crate::digit::Keys;
use crate::id::{ConferenceId, LegId, RequestId};
use crate::naming::SpokenName;
use crate::policy::{Pin, PinHash};
use crate::prompt::PromptId;
use crate::usage::Record;
use routing::{Because, Candidate, Language};
use std::time::Duration;

/// A sound that is generated, not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Somebody joined.
    Entry,
    /// Somebody left.
    Exit,
    /// A telephone rings far away.
    RingBack,
    /// Speak now.
    Name,
}

/// A part of what is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// A recording.
    Prompt(PromptId),
    /// A tone.
    Tone(Tone),
    /// What somebody said as his name.
    Name(SpokenName),
}

/// What a whole conference hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sound {
    /// A tone.
    Tone(Tone),
    /// Recordings, one after the other.
    Prompts(Vec<PromptId>),
    /// The same with tones and names between them.
    Words(Vec<Word>),
}

/// What a mixing conference is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// One leg alone with the attendant, or with the question whether it wants to join.
    Room,
    /// A meeting.
    Meeting,
}

/// Why the bridge ends an answered or ringing leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HangupCause {
    /// The attendant has said goodbye.
    Farewell,
    /// The caller stayed too long with the attendant.
    AttendantLimit,
    /// Nothing came from the far end for too long.
    MediaSilent,
    /// Neither ACK nor media came in time after the answer.
    SetupTimeout,
    /// The callee did not confirm that he wants to join.
    NotConfirmed,
    /// Nobody is left in the conference the callee was called for.
    NobodyLeft,
    /// An authenticated user removed the leg.
    Removed,
    /// An authenticated user ended the conference.
    ConferenceEnded,
    /// The meeting has lasted as long as one may.
    TimeIsUp,
    /// The organizer has left a meeting that ends with him.
    OrganizerLeft,
    /// A limit on what dial-outs may cost, or the minute pool.
    Budget(BudgetKind),
    /// The node is shutting down.
    Drain,
}

impl HangupCause {
    /// The Q.850 cause for the Reason header (RFC 3326).
    pub fn q850(self) -> u16 {
        match self {
            Self::Farewell
            | Self::NobodyLeft
            | Self::Removed
            | Self::ConferenceEnded
            | Self::OrganizerLeft
            | Self::NotConfirmed
            | Self::Budget(_) => 16,
            Self::AttendantLimit | Self::MediaSilent | Self::SetupTimeout | Self::TimeIsUp => 102,
            Self::Drain => 41,
        }
    }

    /// The text for the Reason header, the log and the record.
    pub fn text(self) -> &'static str {
        match self {
            Self::Farewell => "attendant said goodbye",
            Self::AttendantLimit => "too long with the attendant",
            Self::MediaSilent => "no media from the far end",
            Self::SetupTimeout => "neither ACK nor media after the answer",
            Self::NotConfirmed => "callee did not press 1",
            Self::NobodyLeft => "nobody left in the conference",
            Self::Removed => "removed by a user",
            Self::ConferenceEnded => "conference ended by a user",
            Self::TimeIsUp => "the meeting's time is over",
            Self::OrganizerLeft => "the organizer has left the meeting",
            Self::Budget(BudgetKind::MinutePool) => "the minute pool is used up",
            Self::Budget(BudgetKind::SpendPerDay) => "spending limit of the day",
            Self::Budget(BudgetKind::SpendPerMonth) => "spending limit of the month",
            Self::Drain => "node is shutting down",
        }
    }
}

/// Why a dial-out was not even begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialOutRefusal {
    /// The node is draining.
    #[error("this node is shutting down: ask another one")]
    Draining,
    /// No meeting has this conference ID, or it has expired.
    #[error("no meeting has this conference ID: look up the current one")]
    UnknownMeeting,
    /// The meeting is at its capacity, counting those who are being called.
    #[error("the conference is full: somebody must leave first")]
    ConferenceFull,
    /// The organizer locked the meeting.
    #[error("the conference is locked: the organizer must unlock it first")]
    ConferenceLocked,
    /// The same number is being called for the same meeting right now.
    #[error("this number is being called for this meeting already: wait for the outcome")]
    AlreadyDialing,
    /// A limit on dial-outs or on their cost, or the minute pool.
    #[error("{because}")]
    Limit {
        /// Which limit, how much of it is used, and when it opens again.
        because: String,
        /// After how long it opens again by itself; `None` where that depends on somebody.
        retry_after: Option<Duration>,
    },
    /// A limit on money applies to it, and it has no price that the limit could count; or nobody may be charged for it.
    #[error("{because}")]
    Unpriced {
        /// What is missing, and where it belongs.
        because: String,
    },
    /// A limit on money or the minute pool applies to it, and what was spent before this start is not known.
    #[error(
        "what dial-outs have cost this month could not be read at the start, so that no limit on it can be kept: mend the \
         files in usage.spool that the log names and restart the bridge"
    )]
    Uncounted,
    /// Too many dial-outs are under way, in this meeting or on this node.
    #[error("too many dial-outs are under way: wait until one has ended")]
    TooMany,
    /// The number is longer than any number.
    #[error("the number is too long: at most 64 characters")]
    NumberTooLong,
    /// The leg is in use: a mistake of the shell.
    #[error("the leg is in use already")]
    LegInUse,
    /// The routing rules refuse.
    #[error("{because}")]
    Routing {
        /// The status that says it best: 403, 404, 480 and so on.
        status: u16,
        /// The rule's own words.
        because: String,
        /// Every step of the decision.
        decision: Vec<Because>,
    },
}

/// Everything the bridge may want done. Each variant says what the shell reports afterwards.
#[derive(Debug, Clone)]
pub enum Command {
    /// Refuse an INVITE that was not answered, and forget the leg.
    Refuse {
        /// The leg.
        leg: LegId,
        /// The SIP status.
        status: u16,
        /// Why, for the Reason header and the log. Not the reason phrase.
        reason: String,
    },
    /// Answer the INVITE with 200 and get the media ready. Then: `LegEstablished`, or `LegEnded` (also when it cannot
    /// be done: [`crate::EndedBy::Media`]).
    Answer {
        /// The leg.
        leg: LegId,
    },
    /// Open a mixing conference.
    OpenConference {
        /// Its name.
        conference: ConferenceId,
        /// What for.
        purpose: Purpose,
        /// How many legs may sit in it at once.
        seats: usize,
    },
    /// Close a mixing conference. By now every leg was seated elsewhere, or its last command was given; the shell lets
    /// moves under way finish first.
    CloseConference {
        /// Its name.
        conference: ConferenceId,
    },
    /// Put the leg's media there, taking it from where it was; whatever was playing to it stops. The first `Seat` of a
    /// leg follows its `Answer` or `LegAnswered`. Then, once: `MediaStarted`.
    Seat {
        /// The leg.
        leg: LegId,
        /// Where.
        conference: ConferenceId,
    },
    /// Play to this leg alone, replacing what it hears now. Then: `ClipEnded` with the token, when it ran to its end.
    Play {
        /// The leg.
        leg: LegId,
        /// A fresh number, echoed at the end.
        token: u64,
        /// One after the other, without a pause.
        prompts: Vec<PromptId>,
        /// In which language; `None`: the bridge's own.
        language: Option<Language>,
    },
    /// The same as `Play` with tones and names between the recordings.
    Speak {
        /// The leg.
        leg: LegId,
        /// A fresh number, echoed at the end.
        token: u64,
        /// One after the other, without a pause.
        words: Vec<Word>,
        /// In which language; `None`: the bridge's own.
        language: Option<Language>,
    },
    /// Keep what this leg says from now on, in memory, until `KeepName` or its end: its name.
    RecordName {
        /// The leg.
        leg: LegId,
        /// The room that it sits in alone.
        room: ConferenceId,
    },
    /// What was kept is its name. Then: `Named`, soon.
    KeepName {
        /// The leg.
        leg: LegId,
        /// The room that it sits in alone.
        room: ConferenceId,
    },
    /// Mix this into what a leg in a meeting hears, after what plays to it alone now. Nothing is reported.
    Whisper {
        /// The leg.
        leg: LegId,
        /// One after the other, without a pause.
        words: Vec<Word>,
        /// In which language; `None`: the bridge's own.
        language: Option<Language>,
    },
    /// Stop what plays to this leg alone, at once (barge-in).
    StopPlay {
        /// The leg.
        leg: LegId,
    },
    /// Play into a conference. Nothing is reported.
    PlayAll {
        /// The conference.
        conference: ConferenceId,
        /// What.
        sound: Sound,
        /// Who does not hear it.
        except: Option<LegId>,
    },
    /// Keep the leg's voice out of the mix, or let it in again.
    Mute {
        /// The leg.
        leg: LegId,
        /// Out.
        muted: bool,
    },
    /// Send these keys to the far end, after those still being sent. Nothing is reported.
    SendDigits {
        /// The leg.
        leg: LegId,
        /// Which.
        keys: Keys,
    },
    /// Send an INVITE. Then: `LegProgress`*, and one of `LegAnswered` and `LegFailed`, with this attempt number.
    Dial {
        /// The leg.
        leg: LegId,
        /// 1 for the first candidate, and so on: tells a late answer of an earlier attempt apart.
        attempt: u32,
        /// Trunk, number, caller ID and biller.
        candidate: Candidate,
    },
    /// Give up this attempt (CANCEL, or BYE should a 2xx cross it). What it reports later is ignored. A `Dial` of the
    /// next candidate or the leg's last command follows at once.
    CancelDial {
        /// The leg.
        leg: LegId,
        /// The attempt.
        attempt: u32,
    },
    /// The dial-out has begun; follow it in the snapshot, by the leg.
    DialOutAccepted {
        /// The request.
        request: RequestId,
        /// The leg.
        leg: LegId,
        /// The conference it will join.
        conference: ConferenceId,
    },
    /// The dial-out was not begun; the leg is free.
    DialOutRefused {
        /// The request.
        request: RequestId,
        /// The leg that was proposed.
        leg: LegId,
        /// Why.
        why: DialOutRefusal,
    },
    /// Find out whether the keyed PIN is the one of this hash, away from the control loop: it takes long on purpose. Then:
    /// `PinChecked` with the token.
    CheckPin {
        /// The leg.
        leg: LegId,
        /// A fresh number, echoed in the answer.
        token: u64,
        /// The organizer's PIN, hashed.
        hash: PinHash,
        /// What was keyed.
        pin: Pin,
    },
    /// What came of an [`crate::Action`].
    Acted {
        /// The request.
        request: RequestId,
        /// How many legs or settings it has changed, or why it was not done.
        result: Result<usize, ActionRefusal>,
    },
    /// Something else about the conference has changed that its snapshot shows.
    Show {
        /// The conference.
        conference: ConferenceId,
    },
    /// End the leg in whatever state its dialog is (BYE, CANCEL or a refusal), and forget it.
    Hangup {
        /// The leg.
        leg: LegId,
        /// Why.
        cause: HangupCause,
    },
    /// The leg's signalling is over already: free its media and forget it.
    Release {
        /// The leg.
        leg: LegId,
    },
    /// A budget has come to 80 or 100 per cent; tell whoever watches.
    Budget(BudgetNotice),
    /// Somebody seems to guess conference IDs or a PIN; tell whoever watches.
    Alarm(Alarm),
    /// Write this record. For a start record: report `UsageDurable` when it is safe.
    Usage(Box<Record>),
}
