//! Keys pressed on a telephone: RFC 4733 events in place of audio.

use crate::demo::rtp::telephone_event;

/// Updates of 20 ms each: a press of 100 ms.
const UPDATES: u32 = 5;
/// The end is said three times (RFC 4733 section 2.5.1.4).
const ENDS: u32 = 3;
/// Packets of audio between two presses.
const PAUSE: u32 = 4;

/// Packets of audio for a comma.
const COMMA: u32 = 50;

/// The keys that one leg still has to press.
#[derive(Clone, Debug)]
pub(super) struct Keypad {
    keys: Vec<char>,
    payload_type: u8,
    /// Ticks of the event's clock in 20 ms.
    step: u32,
    /// Packets until the first press.
    wait: u32,
    /// Packets since the present press began.
    tick: u32,
    pressed_at: u32,
}

/// One packet of a press.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Press {
    pub(super) payload_type: u8,
    pub(super) marker: bool,
    pub(super) timestamp: u32,
    pub(super) payload: [u8; 4],
}

impl Keypad {
    /// `keys` of `0-9 * # A-D`, after `wait` packets of audio; a comma waits a second, others are passed over. `step`: event clock ticks of 20 ms.
    pub(super) fn new(keys: &str, payload_type: u8, step: u32, wait: u32) -> Self {
        let mut keys: Vec<char> =
            keys.chars().filter(|key| *key == ',' || telephone_event(*key, false, 0).is_some()).collect();
        keys.reverse();
        Self { keys, payload_type, step, wait, tick: 0, pressed_at: 0 }
    }

    /// The packet that takes the place of audio now, if one does.
    pub(super) fn next(&mut self, timestamp: u32) -> Option<Press> {
        if self.wait > 0 {
            self.wait -= 1;
            return None;
        }
        let key = *self.keys.last()?;
        if key == ',' {
            self.keys.pop();
            self.wait = COMMA;
            return None;
        }
        if self.tick == 0 {
            self.pressed_at = timestamp;
        }
        let tick = self.tick;
        self.tick += 1;
        if self.tick == UPDATES + ENDS {
            self.keys.pop();
            (self.tick, self.wait) = (0, PAUSE);
        }
        // The ends repeat the last update's duration: the key was up by then.
        let duration = (tick + 1).min(UPDATES) * self.step;
        Some(Press {
            payload_type: self.payload_type,
            marker: tick == 0,
            timestamp: self.pressed_at,
            payload: telephone_event(key, tick >= UPDATES, duration as u16)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_marker_updates_and_three_ends_at_one_timestamp_after_the_wait() {
        let mut keypad = Keypad::new("7-#", 101, 160, 2);
        let packets: Vec<_> = (0..40).map(|n| keypad.next(1000 + 160 * n)).collect();
        assert_eq!(packets[..2], [None, None]);
        for (key, first) in [(7_u8, 2), (11, 14)] {
            let press = &packets[first..first + 8];
            for (tick, packet) in press.iter().enumerate() {
                let packet = packet.unwrap();
                assert_eq!(packet.marker, tick == 0);
                assert_eq!(packet.timestamp, 1000 + 160 * first as u32);
                assert_eq!((packet.payload[0], packet.payload[1] >> 7), (key, u8::from(tick >= 5)));
                let duration = u16::from_be_bytes([packet.payload[2], packet.payload[3]]);
                assert_eq!(duration, 160 * (tick as u16 + 1).min(5));
            }
            assert!(packets[first + 8..first + 12].iter().all(Option::is_none));
        }
        assert!(packets[26..].iter().all(Option::is_none));
    }
}
