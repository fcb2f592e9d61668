//! What an authenticated user wants done in a meeting that is being held.

use crate::digit::Keys;
use crate::id::LegId;
use crate::policy::Role;

/// One wish. Each is answered with how many legs, or settings, it has changed; none means that it was so already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Let this leg in from the lobby. A meeting that has not started starts.
    Admit(LegId),
    /// Let everybody in from the lobby.
    AdmitAll,
    /// Send this leg away from the lobby, with a word.
    Reject(LegId),
    /// Mute this leg. A hard mute he cannot end himself.
    Mute {
        /// The leg.
        leg: LegId,
        /// He cannot end it himself.
        hard: bool,
    },
    /// End the mute of this leg, unless he muted himself: nobody's line is opened behind his back.
    Unmute(LegId),
    /// Mute everybody but the organizers; hard: also those who come later.
    MuteAll {
        /// They cannot end it themselves.
        hard: bool,
    },
    /// End what organizers and users have muted.
    UnmuteAll,
    /// Lower the hand of this leg.
    LowerHand(LegId),
    /// Nobody may come in any more, not even who was here; or anybody again.
    Lock(bool),
    /// Entry and exit are heard, or not.
    Announce(bool),
    /// Make this leg an organizer or a participant.
    SetRole {
        /// The leg.
        leg: LegId,
        /// Which.
        role: Role,
    },
    /// Press these keys into the call to somebody who was dialed out: the menu of another system wants them.
    SendDigits {
        /// The leg.
        leg: LegId,
        /// Which.
        keys: Keys,
    },
    /// Remove this leg, in the meeting, in its lobby, or being called for it. Who is removed does not come back by his number.
    Remove(LegId),
    /// End the meeting for everybody.
    End,
}

/// Why an [`Action`] was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ActionRefusal {
    /// No such conference is open.
    #[error("this conference is not open: it has ended, or nobody has come yet")]
    UnknownConference,
    /// The leg has no seat in this conference.
    #[error("{0} is not in this conference: look up its participants and its lobby")]
    UnknownLeg(LegId),
    /// The leg does not wait in the lobby.
    #[error("{0} does not wait in the lobby: it is in the meeting already, or has not come so far")]
    NotInLobby(LegId),
    /// An organizer is not muted hard.
    #[error(
        "{0} is an organizer, who can always end a mute: mute it without `hard`, or change its role first"
    )]
    IsOrganizer(LegId),
    /// Keys are pressed into calls of the meeting's own only: a caller's telephone has keys of its own.
    #[error("{0} has dialed in: keys are sent to those only whom the meeting has called")]
    NotDialedOut(LegId),
}
