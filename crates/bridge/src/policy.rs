//! A meeting's rules: what its organizer's policies say, unless its own options say otherwise.

use serde::{Serialize, Serializer};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What the others hear when somebody comes or goes (`EntryExitAnnouncementsType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Announcements {
    /// `ToneOnly`.
    #[default]
    Tones,
    /// `UseNames`: names as they were said, or else numbers, for whom they are not masked.
    Names,
    /// Nothing.
    Off,
}

/// Whether those in a meeting hear that it is recorded (`RecordingAndTranscriptionAudioNotification`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecordingNotice {
    /// At the beginning, at each pause and its end, at the end, and whoever joins.
    #[default]
    Spoken,
    /// Nobody hears it.
    Off,
}

/// Who does not learn the telephone numbers of others (`MaskPstnNumbersType`).
///
/// Inside are who has shown the organizer's PIN, or was made an organizer by a user, and users of the API and of `partyline ctl`, except
/// those whose token is for outsiders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Masking {
    /// Whoever is outside (`MaskedForExternalUsers`).
    #[default]
    External,
    /// Everybody (`MaskedForAllUsers`).
    All,
    /// Nobody (`NoMasking`).
    None,
}

impl Masking {
    /// The word of the configuration, `None` for any other.
    pub(crate) fn read(word: &str) -> Option<Self> {
        match word {
            "external" => Some(Self::External),
            "all" => Some(Self::All),
            "none" => Some(Self::None),
            _ => None,
        }
    }
}

/// The rules of one meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the configuration")]
pub struct MeetingPolicy {
    /// `AllowPSTNUsersToBypassLobby`: callers are let in when the meeting starts, and later ones at once.
    pub bypass_lobby: bool,
    /// `AllowAnonymousUsersToStartMeeting`: the first caller starts the meeting. Only together with `bypass_lobby`.
    pub anonymous_start: bool,
    /// What the others hear when somebody comes or goes.
    pub announcements: Announcements,
    /// The meeting ends when its last organizer has left.
    pub end_when_organizer_leaves: bool,
    /// Whether those in it hear that it is recorded.
    pub recording_notice: RecordingNotice,
    /// Who does not learn the numbers of others.
    pub masking: Masking,
    /// Callers are asked for their names (`EnableNameRecording`), where those are said: nobody's voice is kept for nothing.
    pub records_names: bool,
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

/// A PIN as it was keyed: bounded, silent in debug output, and wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Pin(Zeroizing<String>);

impl Default for Pin {
    fn default() -> Self {
        // Of its full length at once: a string that grows leaves copies of itself behind.
        Self(Zeroizing::new(String::with_capacity(MAX_PIN_LENGTH + 1)))
    }
}

impl Pin {
    /// The digits keyed so far.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One more digit. What is longer than any PIN stays longer, and so wrong.
    pub(crate) fn push(&mut self, key: char) {
        if self.0.len() <= MAX_PIN_LENGTH {
            self.0.push(key);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Pin(_)")
    }
}

/// What somebody may do in a meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// Proved by PIN that the meeting is his, or was made one by an authenticated user.
    Organizer,
    /// Everybody else.
    #[default]
    Participant,
}

impl Role {
    /// As the API shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Organizer => "organizer",
            Self::Participant => "participant",
        }
    }
}

impl Serialize for Role {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_PIN_LENGTH, Pin, PinHash};

    #[test]
    fn a_pin_and_its_hash_do_not_show_themselves() {
        let mut pin = Pin::default();
        "271828".chars().for_each(|key| pin.push(key));
        let shown = format!("{pin:?} {:?}", PinHash::new("$argon2id$secret"));
        assert_eq!(shown, "Pin(_) PinHash(_)");
    }

    #[test]
    fn what_is_longer_than_any_pin_is_not_cut_to_one() {
        let mut pin = Pin::default();
        (0..100).for_each(|_| pin.push('7'));
        assert_eq!(pin.as_str().len(), MAX_PIN_LENGTH + 1);
    }
}
