//! Which keys mean what in a meeting: a prefix, and one to three digits for each command.
//!
//! No command's digits begin another's, so a command is known with its last digit and nobody waits for a timeout.

use crate::digit::Digit;
use crate::prompt::PromptId;

/// The most digits of a command.
const MOST_DIGITS: usize = 3;

/// What a participant can key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeypadCommand {
    /// Mutes or unmutes one's own line.
    Mute,
    /// Raises or lowers one's own hand.
    Hand,
    /// Hears who is there; nobody else does.
    RollCall,
    /// Hears which keys there are.
    Help,
    /// Lets in everybody who waits in the lobby.
    AdmitAll,
    /// Mutes everybody but the organizers, or lets them speak again.
    MuteAll,
    /// Turns the announcements of coming and going off or on.
    Announcements,
    /// Locks or unlocks the conference.
    Lock,
}

impl KeypadCommand {
    /// Every command, in the order in which the help tells them.
    pub const ALL: [Self; 8] = [
        Self::Mute,
        Self::Hand,
        Self::RollCall,
        Self::Help,
        Self::AdmitAll,
        Self::MuteAll,
        Self::Announcements,
        Self::Lock,
    ];

    /// Its key in the section `[keys]` of the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mute => "mute",
            Self::Hand => "hand",
            Self::RollCall => "roll_call",
            Self::Help => "help",
            Self::AdmitAll => "admit_all",
            Self::MuteAll => "mute_all",
            Self::Announcements => "announcements",
            Self::Lock => "lock",
        }
    }

    /// Whether only an organizer may.
    pub(crate) fn is_organizers(self) -> bool {
        matches!(self, Self::AdmitAll | Self::MuteAll | Self::Announcements | Self::Lock)
    }

    /// What is said in front of its keys.
    fn phrase(self) -> PromptId {
        match self {
            Self::Mute => PromptId::ForMute,
            Self::Hand => PromptId::ForHand,
            Self::RollCall => PromptId::ForRollCall,
            Self::Help => PromptId::ForHelp,
            Self::AdmitAll => PromptId::ForAdmitAll,
            Self::MuteAll => PromptId::ForMuteAll,
            Self::Announcements => PromptId::ForAnnouncements,
            Self::Lock => PromptId::ForLock,
        }
    }
}

/// Why digits are not taken for a command. Displays what would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyMapError {
    /// Something else than digits, or too many.
    #[error("1 to 3 digits, or \"\" for a command that nobody can key")]
    NotDigits,
    /// Another command's digits are the same, or begin these, or begin with these.
    #[error("digits that do not begin those of `keys.{}`, nor begin with them", .0.name())]
    Taken(KeypadCommand),
}

/// The digits behind the prefix, in part or in whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Digits {
    keys: [char; MOST_DIGITS],
    length: usize,
}

impl Digits {
    /// One more; after [`MOST_DIGITS`] none is taken.
    pub(crate) fn push(&mut self, key: char) {
        if let Some(place) = self.keys.get_mut(self.length) {
            *place = key;
            self.length += 1;
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut digits = Self::default();
        text.chars().for_each(|key| digits.push(key));
        let complete = digits.length == text.chars().count() && digits.length > 0;
        (complete && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
    }

    fn as_slice(&self) -> &[char] {
        &self.keys[..self.length]
    }

    fn begins(&self, other: &Self) -> bool {
        other.as_slice().starts_with(self.as_slice())
    }
}

/// What somebody has keyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyed {
    /// A command.
    Command(KeypadCommand),
    /// Digits that mean nothing.
    Unknown,
}

/// The prefix and the digits of every command. The default is the product's: `*6`, `*5`, `*3`, `*1`, `*21`, `*22`, `*23`, `*7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyMap {
    prefix: Prefix,
    /// In the order of [`KeypadCommand::ALL`].
    digits: [Option<Digits>; KeypadCommand::ALL.len()],
}

/// What every command begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefix {
    /// `*`
    Star,
    /// `#`
    Pound,
}

impl KeyMap {
    /// A prefix, and no command yet.
    pub fn empty(prefix: Prefix) -> Self {
        Self { prefix, digits: [None; KeypadCommand::ALL.len()] }
    }

    /// Sets a command's digits; none, and nobody can key it.
    ///
    /// # Errors
    /// When they are no digits, or another command's are too much like them.
    pub fn set(&mut self, command: KeypadCommand, text: &str) -> Result<(), KeyMapError> {
        self.digits[command as usize] = None;
        if text.is_empty() {
            return Ok(());
        }
        let digits = Digits::parse(text).ok_or(KeyMapError::NotDigits)?;
        let taken = self.commands().find(|(_, other)| digits.begins(other) || other.begins(&digits));
        if let Some((other, _)) = taken {
            return Err(KeyMapError::Taken(other));
        }
        self.digits[command as usize] = Some(digits);
        Ok(())
    }

    /// A command's digits, without the prefix; empty when nobody can key it.
    pub fn digits(&self, command: KeypadCommand) -> String {
        self.digits[command as usize].iter().flat_map(Digits::as_slice).collect()
    }

    /// All that is keyed for a command; empty when nobody can.
    pub fn keyed(&self, command: KeypadCommand) -> String {
        let prefix = match self.prefix {
            Prefix::Star => "*",
            Prefix::Pound => "#",
        };
        let digits = self.digits(command);
        if digits.is_empty() { digits } else { prefix.to_owned() + &digits }
    }

    /// Whether a command begins with this key.
    pub(crate) fn is_prefix(&self, digit: Digit) -> bool {
        match self.prefix {
            Prefix::Star => digit.key() == '*',
            Prefix::Pound => digit.key() == '#',
        }
    }

    /// What the digits behind the prefix mean; `None` when more are to come.
    pub(crate) fn look(&self, keyed: &Digits) -> Option<Keyed> {
        let mut begun = self.commands().filter(|(_, digits)| keyed.begins(digits));
        match begun.next() {
            Some((command, digits)) if digits == *keyed => Some(Keyed::Command(command)),
            Some(_) => None,
            None => Some(Keyed::Unknown),
        }
    }

    /// How a command is keyed, in words; nothing when nobody can.
    pub(crate) fn say(&self, command: KeypadCommand) -> Vec<PromptId> {
        let digits = self.digits(command);
        if digits.is_empty() {
            return Vec::new();
        }
        let prefix = match self.prefix {
            Prefix::Star => PromptId::Star,
            Prefix::Pound => PromptId::Pound,
        };
        [command.phrase(), prefix].into_iter().chain(PromptId::spell(&digits)).collect()
    }

    /// A sentence, and after it how a command is keyed.
    pub(crate) fn say_after(&self, sentence: PromptId, command: KeypadCommand) -> Vec<PromptId> {
        std::iter::once(sentence).chain(self.say(command)).collect()
    }

    /// All that one may key, in words.
    pub(crate) fn help(&self, organizer: bool) -> Vec<PromptId> {
        let may = |command: &KeypadCommand| organizer || !command.is_organizers();
        KeypadCommand::ALL.into_iter().filter(may).flat_map(|command| self.say(command)).collect()
    }

    fn commands(&self) -> impl Iterator<Item = (KeypadCommand, Digits)> + '_ {
        let digits = self.digits.iter();
        KeypadCommand::ALL.into_iter().zip(digits).filter_map(|(command, digits)| Some((command, (*digits)?)))
    }
}

impl Default for KeyMap {
    fn default() -> Self {
        let mut map = Self::empty(Prefix::Star);
        for (command, digit) in
            KeypadCommand::ALL.into_iter().zip(["6", "5", "3", "1", "21", "22", "23", "7"])
        {
            map.digits[command as usize] = Digits::parse(digit);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyMap, KeyMapError, Keyed, KeypadCommand, Prefix};
    use crate::prompt::PromptId::{
        Digit0, Digit1, Digit2, Digit6, Digit7, ForHelp, ForLock, ForMute, HardMuted, Pound, Star,
    };

    #[test]
    fn all_lists_every_command_in_its_order_and_the_default_is_valid() {
        let mut map = KeyMap::empty(Prefix::Star);
        for (place, command) in KeypadCommand::ALL.into_iter().enumerate() {
            assert_eq!(command as usize, place);
            let digits = KeyMap::default().digits(command);
            assert!(!digits.is_empty());
            assert_eq!(map.set(command, &digits), Ok(()), "{command:?}");
        }
        assert_eq!(map, KeyMap::default());
    }

    #[test]
    fn digits_are_one_to_three_and_begin_no_others() {
        let mut map = KeyMap::default();
        for text in ["1234", "*", "6#", "a", " 6", "٣", "6 "] {
            assert_eq!(map.set(KeypadCommand::Mute, text), Err(KeyMapError::NotDigits), "{text}");
        }
        for (text, other) in [
            ("5", KeypadCommand::Hand),
            ("51", KeypadCommand::Hand),
            ("2", KeypadCommand::AdmitAll),
            ("22", KeypadCommand::MuteAll),
            ("231", KeypadCommand::Announcements),
        ] {
            assert_eq!(map.set(KeypadCommand::Mute, text), Err(KeyMapError::Taken(other)), "{text}");
        }
        assert_eq!(map.set(KeypadCommand::Mute, "24"), Ok(()));
        assert_eq!(map.set(KeypadCommand::Mute, "24"), Ok(()), "its own are not in its way");
        assert_eq!(map.set(KeypadCommand::Hand, ""), Ok(()));
        assert_eq!(map.set(KeypadCommand::Mute, "5"), Ok(()), "nobody has it any more");
    }

    #[test]
    fn what_is_said_follows_the_keys_and_leaves_out_what_nobody_can_key() {
        let mut map = KeyMap::empty(Prefix::Pound);
        map.set(KeypadCommand::Mute, "60").expect("free");
        map.set(KeypadCommand::Lock, "7").expect("free");
        assert_eq!(map.help(false), [ForMute, Pound, Digit6, Digit0]);
        assert_eq!(map.help(true), [ForMute, Pound, Digit6, Digit0, ForLock, Pound, Digit7]);
        assert_eq!(map.say_after(HardMuted, KeypadCommand::Hand), [HardMuted]);
        let standard = KeyMap::default();
        assert_eq!(standard.say(KeypadCommand::Help), [ForHelp, Star, Digit1]);
        assert_eq!(standard.say(KeypadCommand::AdmitAll)[1..], [Star, Digit2, Digit1]);
    }

    #[test]
    fn with_no_command_every_digit_is_unknown() {
        let mut digits = super::Digits::default();
        digits.push('6');
        assert_eq!(KeyMap::empty(Prefix::Star).look(&digits), Some(Keyed::Unknown));
    }
}
