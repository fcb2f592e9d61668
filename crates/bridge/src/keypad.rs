//! Keypad commands in a meeting: `*` and one more key. A pure machine.

use crate::digit::Digit;
use std::time::{Duration, Instant};

/// What a participant wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeypadCommand {
    /// `*1`
    Help,
    /// `*6`
    ToggleMute,
    /// `*` and a key that means nothing.
    Unknown,
}

/// One participant's keypad.
#[derive(Debug, Default)]
pub(crate) struct Keypad {
    prefix_until: Option<Instant>,
}

impl Keypad {
    /// A key was pressed. Keys without the prefix mean nothing; a second `*` begins anew.
    pub(crate) fn digit(&mut self, now: Instant, digit: Digit, patience: Duration) -> Option<KeypadCommand> {
        let prefixed = self.prefix_until.take().is_some_and(|until| now < until);
        match digit.key() {
            '*' => {
                self.prefix_until = Some(now + patience);
                None
            }
            _ if !prefixed => None,
            '1' => Some(KeypadCommand::Help),
            '6' => Some(KeypadCommand::ToggleMute),
            _ => Some(KeypadCommand::Unknown),
        }
    }

    /// When a lonely `*` is forgotten.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.prefix_until
    }

    /// Forgets a lonely `*` whose time has come.
    pub(crate) fn timeout(&mut self, now: Instant) {
        if self.prefix_until.is_some_and(|until| now >= until) {
            self.prefix_until = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Keypad, KeypadCommand};
    use crate::bridge::tests::{epoch, key};
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[test]
    fn star_and_a_key_make_a_command_and_lonely_keys_do_not() {
        let mut keypad = Keypad::default();
        let mut press =
            |keys: &str| keys.chars().map(|k| keypad.digit(epoch(), key(k), PATIENCE)).collect::<Vec<_>>();
        assert_eq!(press("16#"), [None, None, None]);
        assert_eq!(press("*1"), [None, Some(KeypadCommand::Help)]);
        assert_eq!(press("**6"), [None, None, Some(KeypadCommand::ToggleMute)]);
        assert_eq!(press("*9"), [None, Some(KeypadCommand::Unknown)]);
        assert_eq!(press("6"), [None]);
    }

    #[test]
    fn a_lonely_star_is_forgotten() {
        let mut keypad = Keypad::default();
        assert_eq!(keypad.digit(epoch(), key('*'), PATIENCE), None);
        assert_eq!(keypad.deadline(), Some(epoch() + PATIENCE));
        keypad.timeout(epoch() + PATIENCE);
        assert_eq!(keypad.deadline(), None);
        assert_eq!(keypad.digit(epoch() + PATIENCE, key('6'), PATIENCE), None);
    }
}
