//! What `ctl conf` does to a running meeting and to the people in it.

use bridge::{Action, LegId};
use serde::{Deserialize, Serialize};

/// `{"do":"mute","leg":7,"hard":true}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Act {
    /// End it for everyone.
    End,
    /// Lock it, or unlock it.
    Lock {
        /// Lock.
        on: bool,
    },
    /// Let entry and exit be heard, or not.
    Announce {
        /// Heard.
        on: bool,
    },
    /// Mute one, or without a leg everybody but the organizers.
    Mute {
        /// Whom.
        leg: Option<u64>,
        /// They cannot end it themselves.
        #[serde(default)]
        hard: bool,
    },
    /// End the mute of one, or of all.
    Unmute {
        /// Whose.
        leg: Option<u64>,
    },
    /// Let one in from the lobby, or all.
    Admit {
        /// Whom.
        leg: Option<u64>,
    },
    /// Send one away from the lobby.
    Reject {
        /// Whom.
        leg: u64,
    },
    /// Lower a hand.
    LowerHand {
        /// Whose.
        leg: u64,
    },
    /// Make one an organizer, or a participant.
    Organizer {
        /// Whom.
        leg: u64,
        /// An organizer.
        on: bool,
    },
    /// Hang up on one, or stop calling him.
    Kick {
        /// Whom.
        leg: u64,
    },
}

impl From<Act> for Action {
    fn from(act: Act) -> Self {
        match act {
            Act::End => Self::End,
            Act::Lock { on } => Self::Lock(on),
            Act::Announce { on } => Self::Announce(on),
            Act::Mute { leg: Some(leg), hard } => Self::Mute { leg: LegId(leg), hard },
            Act::Mute { leg: None, hard } => Self::MuteAll { hard },
            Act::Unmute { leg: Some(leg) } => Self::Unmute(LegId(leg)),
            Act::Unmute { leg: None } => Self::UnmuteAll,
            Act::Admit { leg: Some(leg) } => Self::Admit(LegId(leg)),
            Act::Admit { leg: None } => Self::AdmitAll,
            Act::Reject { leg } => Self::Reject(LegId(leg)),
            Act::LowerHand { leg } => Self::LowerHand(LegId(leg)),
            Act::Organizer { leg, on: true } => {
                Self::SetRole { leg: LegId(leg), role: bridge::Role::Organizer }
            }
            Act::Organizer { leg, on: false } => {
                Self::SetRole { leg: LegId(leg), role: bridge::Role::Participant }
            }
            Act::Kick { leg } => Self::Remove(LegId(leg)),
        }
    }
}
