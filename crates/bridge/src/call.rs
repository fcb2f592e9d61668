//! One leg's life. Every state owns what is known in it; a transition consumes the old state.
//!
//! ```text
//! dial-in    Recording -> Answered (-> Choosing) -> Attended (-> Identifying) (-> Naming) (-> Lobby) -> InConference -> Released
//! dial-out   Recording -> Dialing (-> Confirming) -> InConference -> Released
//! ```
//! A leg may go from any state to `Released`; that takes it out of the bridge.

use crate::attendant::{Attendant, Entry, Waiting};
use crate::bridge::Reason;
use crate::confirmation::Confirmation;
use crate::dial_out::DialOut;
use crate::id::{ConferenceId, LegId};
use crate::identification::{self, Identification};
use crate::keypad::Keypad;
use crate::language_menu::LanguageMenu;
use crate::meeting::Meeting;
use crate::naming::Naming;
use crate::policy::Role;
use crate::prompt::PromptId;
use crate::returning::Standing;
use crate::tariff::Tariffs;
use crate::usage::Ledger;
use routing::Language;
use std::sync::Arc;
use std::time::Instant;

/// One leg that the bridge answers for.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) leg: LegId,
    pub(crate) ledger: Ledger,
    /// The prices when it began.
    pub(crate) tariffs: Arc<Tariffs>,
    pub(crate) state: State,
    /// What it is spoken to in; `None`: the bridge's own language.
    pub(crate) language: Option<Language>,
    /// Conference IDs that he has keyed and that do not exist: no more than he may try.
    pub(crate) missed: Vec<Entry>,
    /// What comes with him whichever way he gets in: a mute, a raised hand, of a call that ended a short while ago.
    pub(crate) before: Standing,
    /// He has come back by his number alone, which counts until then.
    pub(crate) by_number: Option<Instant>,
    /// What plays to this leg alone.
    pub(crate) clip: Option<u64>,
    /// A notice of recording that he has not heard to its end: a key that stops what plays to him does not take it away.
    pub(crate) notice: Option<Notice>,
    /// The entry in the bridge's timer index.
    pub(crate) scheduled: Option<Instant>,
}

/// A notice of recording that one leg has not heard to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    /// It is part of what plays to this leg alone.
    Within(PromptId),
    /// It waits behind what plays to this leg alone, or plays.
    Behind(PromptId),
}

impl Notice {
    pub(crate) fn prompt(self) -> PromptId {
        let (Self::Within(prompt) | Self::Behind(prompt)) = self;
        prompt
    }

    /// Whether it has been heard when the clip with this token has ended, while `clip` is what plays to the leg alone.
    pub(crate) fn ends_with(self, token: u64, clip: Option<u64>) -> bool {
        match self {
            Self::Within(_) => clip == Some(token),
            // Whispers have no token of their own.
            Self::Behind(_) => token == 0,
        }
    }
}

/// What follows when the start record is safe.
#[derive(Debug)]
pub(crate) enum Pending {
    /// Answer the caller.
    Answer,
    /// Call the callee.
    Dial(DialOut),
}

/// Where the leg is.
#[derive(Debug)]
pub(crate) enum State {
    /// Its start record is being written; nothing that costs money has happened.
    Recording { until: Instant, pending: Pending },
    /// The 200 is out. The greeting waits for media, or for `greet_at` once the ACK has come.
    Answered { room: ConferenceId, until: Instant, greet_at: Option<Instant> },
    /// Greeted, and asked for a language.
    Choosing { room: ConferenceId, menu: LanguageMenu },
    /// With the attendant.
    Attended { room: ConferenceId, attendant: Attendant },
    /// Asked whether it is the organizer's. `check`: the token of the PIN that is being checked.
    Identifying {
        room: ConferenceId,
        meeting: Arc<Meeting>,
        identification: Identification,
        check: Option<u64>,
    },
    /// Asked for his name.
    Naming { room: ConferenceId, meeting: Arc<Meeting>, role: Role, naming: Naming },
    /// In the lobby, with music, at most until then.
    Lobby { room: ConferenceId, conference: ConferenceId, until: Instant },
    /// In the meeting.
    InConference { conference: ConferenceId, keypad: Keypad },
    /// The callee's telephone is being reached.
    Dialing { dial: DialOut },
    /// The callee is asked to press 1.
    Confirming { room: ConferenceId, conference: ConferenceId, confirmation: Confirmation },
    /// Gone: only seen while a transition is under way.
    Released,
}

impl Call {
    /// A leg at its beginning.
    pub(crate) fn new(leg: LegId, ledger: Ledger, tariffs: Arc<Tariffs>, state: State) -> Self {
        let before = Standing::default();
        Self {
            leg,
            ledger,
            tariffs,
            state,
            language: None,
            missed: Vec::new(),
            before,
            by_number: None,
            clip: None,
            notice: None,
            scheduled: None,
        }
    }

    /// The next moment at which something must happen, and why.
    pub(crate) fn deadline(&self) -> Option<(Instant, Reason)> {
        match &self.state {
            State::Recording { until, .. } => Some((*until, Reason::RecordNotSafe)),
            State::Answered { until, greet_at, .. } => match greet_at {
                Some(greet_at) if greet_at < until => Some((*greet_at, Reason::NoMediaAfterAck)),
                _ => Some((*until, Reason::NoAck)),
            },
            State::Choosing { menu, .. } => {
                let (due, speaking) = menu.deadline();
                Some((due, if speaking { Reason::PromptEnd } else { Reason::FirstDigit }))
            }
            State::Attended { attendant, .. } => attendant.deadline().map(|(due, waiting)| {
                let reason = match waiting {
                    Waiting::PromptEnd => Reason::PromptEnd,
                    Waiting::FirstDigit => Reason::FirstDigit,
                    Waiting::NextDigit => Reason::NextDigit,
                    Waiting::Judgment => Reason::SlowDown,
                    Waiting::Overall => Reason::AttendantLimit,
                };
                (due, reason)
            }),
            State::Identifying { identification, .. } => identification.deadline().map(|(due, waiting)| {
                let reason = match waiting {
                    identification::Waiting::PromptEnd => Reason::PromptEnd,
                    identification::Waiting::FirstDigit => Reason::FirstDigit,
                    identification::Waiting::NextDigit => Reason::NextDigit,
                    identification::Waiting::Judgment => Reason::SlowDown,
                    identification::Waiting::Check => Reason::PinCheck,
                    identification::Waiting::Overall => Reason::AttendantLimit,
                };
                (due, reason)
            }),
            State::Naming { naming, .. } => naming
                .deadline()
                .map(|(due, asking)| (due, if asking { Reason::PromptEnd } else { Reason::NameSaid })),
            State::Lobby { until, .. } => Some((*until, Reason::LobbyLimit)),
            State::InConference { keypad, .. } => keypad.deadline().map(|due| (due, Reason::LonelyStar)),
            State::Dialing { dial } => dial.deadline(),
            State::Confirming { confirmation, .. } => Some((confirmation.deadline(), Reason::Confirmation)),
            State::Released => None,
        }
    }

    /// The room of its own that the leg sits in.
    pub(crate) fn room(&self) -> Option<ConferenceId> {
        match &self.state {
            State::Answered { room, .. }
            | State::Choosing { room, .. }
            | State::Attended { room, .. }
            | State::Identifying { room, .. }
            | State::Naming { room, .. }
            | State::Lobby { room, .. }
            | State::Confirming { room, .. } => Some(*room),
            _ => None,
        }
    }

    /// The meeting's conference in which the leg has a seat, taken or reserved, or in whose lobby it waits.
    pub(crate) fn conference(&self) -> Option<ConferenceId> {
        match &self.state {
            State::Lobby { conference, .. }
            | State::InConference { conference, .. }
            | State::Confirming { conference, .. } => Some(*conference),
            State::Dialing { dial } | State::Recording { pending: Pending::Dial(dial), .. } => {
                Some(dial.conference)
            }
            _ => None,
        }
    }

    /// Where it is, in a word, for the API and the log.
    pub(crate) fn state_name(&self) -> &'static str {
        match &self.state {
            State::Recording { .. } => "recording",
            State::Answered { .. } => "answered",
            State::Choosing { .. } | State::Attended { .. } => "attended",
            State::Identifying { .. } => "identifying",
            State::Naming { .. } => "naming",
            State::Lobby { .. } => "lobby",
            State::InConference { .. } => "in-conference",
            State::Dialing { dial } if dial.is_ringing() => "ringing",
            State::Dialing { .. } => "dialing",
            State::Confirming { .. } => "confirming",
            State::Released => "released",
        }
    }
}
