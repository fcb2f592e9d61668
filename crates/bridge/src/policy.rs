//! A meeting's rules: what its organizer's policies say, unless its own options say otherwise.

use std::fmt;
use std::sync::Arc;

/// What the others hear when somebody comes or goes. (`UseNames` of `EntryExitAnnouncementsType` needs names that are
/// recorded, and none are.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Announcements {
    /// `ToneOnly`.
    #[default]
    Tones,
    /// Nothing.
    Off,
}

/// The rules of one meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MeetingPolicy {
    /// `AllowPSTNUsersToBypassLobby`: callers are let in when the meeting starts, and later ones at once.
    pub bypass_lobby: bool,
    /// `AllowAnonymousUsersToStartMeeting`: the first caller starts the meeting. Only together with `bypass_lobby`.
    pub anonymous_start: bool,
    /// What the others hear when somebody comes or goes.
    pub announcements: Announcements,
    /// The meeting ends when its last organizer has left.
    pub end_when_organizer_leaves: bool,
}

impl MeetingPolicy {
    /// Whether any caller may start the meeting. Anonymous start means nothing where callers may not pass the lobby.
    pub fn anyone_starts(self) -> bool {
        self.anonymous_start && self.bypass_lobby
    }
}

/// An organizer's PIN, hashed: a PHC string of argon2id. The bridge hands it to whoever checks PINs and cannot read it
/// itself. It does not show itself in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct PinHash(Arc<str>);

impl PinHash {
    /// A PHC string, whose form the caller has checked.
    pub fn new(phc: &str) -> Self {
        Self(phc.into())
    }

    /// The PHC string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PinHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PinHash(_)")
    }
}

/// The fewest digits of a PIN.
pub const MIN_PIN_LENGTH: usize = 4;
/// The most digits of a PIN.
pub const MAX_PIN_LENGTH: usize = 12;

#[cfg(test)]
mod tests {
    use super::PinHash;

    #[test]
    fn the_hash_of_a_pin_does_not_show_itself() {
        assert_eq!(format!("{:?}", PinHash::new("$argon2id$secret")), "PinHash(_)");
    }
}
