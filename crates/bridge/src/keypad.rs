//! Keypad commands in a meeting: a prefix, `*` where nothing else is configured, and digits. A pure machine.

use crate::digit::Digit;
use crate::key_map::{Digits, KeyMap, Keyed};
use std::time::{Duration, Instant};

/// One participant's keypad.
#[derive(Debug, Default)]
pub(crate) struct Keypad {
    /// The digits behind the prefix so far, and until when they are remembered.
    keyed: Option<(Digits, Instant)>,
    /// A `#` that comes until then ends the conference ID, which was complete without it.
    spare_pound: Option<Instant>,
}

impl Keypad {
    /// Of somebody who comes from the attendant.
    pub(crate) fn new(spare_pound: Option<Instant>) -> Self {
        Self { keyed: None, spare_pound }
    }

    /// Whether this key belongs to what was keyed before: it means nothing here and stops nothing. Where commands begin with
    /// `#` it may be meant for one all the same, and begins it.
    pub(crate) fn is_spare(&mut self, now: Instant, digit: Digit, map: &KeyMap, patience: Duration) -> bool {
        let spare = self.spare_pound.take().is_some_and(|until| now < until) && digit.key() == '#';
        if spare && map.is_prefix(digit) {
            self.keyed = Some((Digits::default(), now + patience));
        }
        spare
    }

    /// A key was pressed. Keys without the prefix mean nothing; a second prefix begins anew.
    pub(crate) fn digit(
        &mut self,
        now: Instant,
        digit: Digit,
        map: &KeyMap,
        patience: Duration,
    ) -> Option<Keyed> {
        let keyed = self.keyed.take().filter(|(_, until)| now < *until).map(|(digits, _)| digits);
        let mut digits = if map.is_prefix(digit) { None } else { Some(keyed?) };
        if let Some(digits) = &mut digits {
            digits.push(digit.key());
            if let Some(meant) = map.look(digits) {
                return Some(meant);
            }
        }
        self.keyed = Some((digits.unwrap_or_default(), now + patience));
        None
    }

    /// When a lonely prefix is forgotten.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.keyed.map(|(_, until)| until)
    }

    /// Forgets a lonely prefix whose time has come.
    pub(crate) fn timeout(&mut self, now: Instant) {
        self.keyed.take_if(|(_, until)| now >= *until);
    }
}

#[cfg(test)]
mod tests {
    use super::Keypad;
    use crate::bridge::tests::{epoch, key};
    use crate::key_map::Keyed::{Command, Unknown};
    use crate::key_map::KeypadCommand::{AdmitAll, Announcements, Hand, Help, Lock, Mute, MuteAll, RollCall};
    use crate::key_map::{KeyMap, Keyed, Prefix};
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn press(keypad: &mut Keypad, map: &KeyMap, keys: &str) -> Vec<Keyed> {
        keys.chars().filter_map(|k| keypad.digit(epoch(), key(k), map, PATIENCE)).collect()
    }

    #[test]
    fn star_and_a_key_make_a_command_and_lonely_keys_do_not() {
        let (mut keypad, map) = (Keypad::default(), KeyMap::default());
        for (keys, commands) in [
            ("16#", &[][..]),
            ("*1", &[Command(Help)]),
            ("*3", &[Command(RollCall)]),
            ("*5", &[Command(Hand)]),
            ("**6", &[Command(Mute)]),
            ("*7", &[Command(Lock)]),
            ("*21", &[Command(AdmitAll)]),
            ("*22", &[Command(MuteAll)]),
            ("*23", &[Command(Announcements)]),
            ("*2*6", &[Command(Mute)]),
            ("*9", &[Unknown]),
            ("*24", &[Unknown]),
            ("*#", &[Unknown]),
            ("6", &[]),
            ("*21*21", &[Command(AdmitAll), Command(AdmitAll)]),
        ] {
            assert_eq!(press(&mut keypad, &map, keys), commands, "{keys}");
        }
    }

    #[test]
    fn other_keys_are_heeded_instead_and_one_that_is_off_means_nothing() {
        let mut map = KeyMap::empty(Prefix::Pound);
        for (command, digits) in [(Mute, "4"), (Hand, "601"), (RollCall, "602"), (Lock, "")] {
            map.set(command, digits).expect("free");
        }
        let mut keypad = Keypad::default();
        for (keys, commands) in [
            ("*6*4", &[][..]),
            ("#4", &[Command(Mute)]),
            ("#601#602", &[Command(Hand), Command(RollCall)]),
            ("#60#4", &[Command(Mute)]),
            ("#603", &[Unknown]),
            ("#61", &[Unknown]),
            ("#7", &[Unknown]),
            ("#*", &[Unknown]),
        ] {
            assert_eq!(press(&mut keypad, &map, keys), commands, "{keys}");
        }
    }

    #[test]
    fn a_pound_that_follows_the_id_belongs_to_it_and_only_the_first() {
        let map = KeyMap::default();
        let spare = |keypad: &mut Keypad, k| keypad.is_spare(epoch(), key(k), &map, PATIENCE);
        let mut keypad = Keypad::new(Some(epoch() + PATIENCE));
        assert!(spare(&mut keypad, '#'));
        assert_eq!(keypad.deadline(), None);
        assert!(!spare(&mut keypad, '#'));
        assert!(!spare(&mut Keypad::new(Some(epoch() + PATIENCE)), '*'));
        assert!(!spare(&mut Keypad::new(Some(epoch())), '#'), "too late");
    }

    #[test]
    fn a_pound_that_follows_the_id_can_begin_a_command_too() {
        let mut map = KeyMap::empty(Prefix::Pound);
        map.set(Mute, "6").expect("free");
        for (keys, commands) in [("#6", &[Command(Mute)][..]), ("##6", &[Command(Mute)]), ("6", &[])] {
            let mut keypad = Keypad::new(Some(epoch() + PATIENCE));
            let mut found = Vec::new();
            for character in keys.chars() {
                if !keypad.is_spare(epoch(), key(character), &map, PATIENCE) {
                    found.extend(keypad.digit(epoch(), key(character), &map, PATIENCE));
                }
            }
            assert_eq!(found, commands, "{keys}");
        }
    }

    #[test]
    fn a_lonely_star_is_forgotten_also_with_a_two_behind_it() {
        for keys in ["*", "*2"] {
            let (mut keypad, map) = (Keypad::default(), KeyMap::default());
            assert_eq!(press(&mut keypad, &map, keys), []);
            assert_eq!(keypad.deadline(), Some(epoch() + PATIENCE));
            keypad.timeout(epoch() + PATIENCE);
            assert_eq!(keypad.deadline(), None);
            assert_eq!(keypad.digit(epoch() + PATIENCE, key('1'), &map, PATIENCE), None);
        }
    }
}
