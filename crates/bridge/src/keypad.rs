//! Keypad commands in a meeting: `*` and one or two more keys. A pure machine.

use crate::digit::Digit;
use std::time::{Duration, Instant};

/// What a participant wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeypadCommand {
    /// `*1`
    Help,
    /// `*21`
    AdmitAll,
    /// `*22`
    MuteAll,
    /// `*23`
    ToggleAnnouncements,
    /// `*3`
    RollCall,
    /// `*5`
    ToggleHand,
    /// `*6`
    ToggleMute,
    /// `*7`
    ToggleLock,
    /// `*` and a key that means nothing.
    Unknown,
}

impl KeypadCommand {
    /// Whether only an organizer may.
    pub(crate) fn is_organizers(self) -> bool {
        matches!(self, Self::AdmitAll | Self::MuteAll | Self::ToggleAnnouncements | Self::ToggleLock)
    }
}

/// What was keyed so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    /// `*`
    Star,
    /// `*2`
    StarTwo,
}

/// One participant's keypad.
#[derive(Debug, Default)]
pub(crate) struct Keypad {
    prefix: Option<(Prefix, Instant)>,
    /// A `#` that comes until then ends the conference ID, which was complete without it.
    spare_pound: Option<Instant>,
}

impl Keypad {
    /// Of somebody who comes from the attendant.
    pub(crate) fn new(spare_pound: Option<Instant>) -> Self {
        Self { prefix: None, spare_pound }
    }

    /// Whether this key belongs to what was keyed before: it means nothing here and stops nothing.
    pub(crate) fn is_spare(&mut self, now: Instant, digit: Digit) -> bool {
        self.spare_pound.take().is_some_and(|until| now < until) && digit.key() == '#'
    }

    /// A key was pressed. Keys without the prefix mean nothing; a second `*` begins anew.
    pub(crate) fn digit(&mut self, now: Instant, digit: Digit, patience: Duration) -> Option<KeypadCommand> {
        let prefix = self.prefix.take().filter(|(_, until)| now < *until).map(|(prefix, _)| prefix);
        if digit.key() == '*' {
            self.prefix = Some((Prefix::Star, now + patience));
            return None;
        }
        Some(match (prefix?, digit.key()) {
            (Prefix::Star, '2') => {
                self.prefix = Some((Prefix::StarTwo, now + patience));
                return None;
            }
            (Prefix::Star, '1') => KeypadCommand::Help,
            (Prefix::Star, '3') => KeypadCommand::RollCall,
            (Prefix::Star, '5') => KeypadCommand::ToggleHand,
            (Prefix::Star, '6') => KeypadCommand::ToggleMute,
            (Prefix::Star, '7') => KeypadCommand::ToggleLock,
            (Prefix::StarTwo, '1') => KeypadCommand::AdmitAll,
            (Prefix::StarTwo, '2') => KeypadCommand::MuteAll,
            (Prefix::StarTwo, '3') => KeypadCommand::ToggleAnnouncements,
            _ => KeypadCommand::Unknown,
        })
    }

    /// When a lonely `*` is forgotten.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.prefix.map(|(_, until)| until)
    }

    /// Forgets a lonely `*` whose time has come.
    pub(crate) fn timeout(&mut self, now: Instant) {
        self.prefix.take_if(|(_, until)| now >= *until);
    }
}

#[cfg(test)]
mod tests {
    use super::{Keypad, KeypadCommand as Command};
    use crate::bridge::tests::{epoch, key};
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[test]
    fn star_and_a_key_make_a_command_and_lonely_keys_do_not() {
        let mut keypad = Keypad::default();
        let mut press = |keys: &str| -> Vec<Command> {
            keys.chars().filter_map(|k| keypad.digit(epoch(), key(k), PATIENCE)).collect()
        };
        for (keys, commands) in [
            ("16#", &[][..]),
            ("*1", &[Command::Help]),
            ("*3", &[Command::RollCall]),
            ("*5", &[Command::ToggleHand]),
            ("**6", &[Command::ToggleMute]),
            ("*7", &[Command::ToggleLock]),
            ("*21", &[Command::AdmitAll]),
            ("*22", &[Command::MuteAll]),
            ("*23", &[Command::ToggleAnnouncements]),
            ("*2*6", &[Command::ToggleMute]),
            ("*9", &[Command::Unknown]),
            ("*24", &[Command::Unknown]),
            ("6", &[]),
            ("*21*21", &[Command::AdmitAll, Command::AdmitAll]),
        ] {
            assert_eq!(press(keys), commands, "{keys}");
        }
    }

    #[test]
    fn a_pound_that_follows_the_id_belongs_to_it_and_only_the_first() {
        let mut keypad = Keypad::new(Some(epoch() + PATIENCE));
        assert!(keypad.is_spare(epoch(), key('#')));
        assert!(!keypad.is_spare(epoch(), key('#')));
        assert!(!Keypad::new(Some(epoch() + PATIENCE)).is_spare(epoch(), key('*')));
        assert!(!Keypad::new(Some(epoch())).is_spare(epoch(), key('#')), "too late");
    }

    #[test]
    fn a_lonely_star_is_forgotten_also_with_a_two_behind_it() {
        for keys in ["*", "*2"] {
            let mut keypad = Keypad::default();
            for character in keys.chars() {
                assert_eq!(keypad.digit(epoch(), key(character), PATIENCE), None);
            }
            assert_eq!(keypad.deadline(), Some(epoch() + PATIENCE));
            keypad.timeout(epoch() + PATIENCE);
            assert_eq!(keypad.deadline(), None);
            assert_eq!(keypad.digit(epoch() + PATIENCE, key('1'), PATIENCE), None);
        }
    }
}
