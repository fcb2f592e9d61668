//! Telephone events out (RFC 4733 section 2.5.1): marker on the first packet, an update every 20 ms, three ends.

use std::collections::VecDeque;

use super::telephone_event::EventPayload;
use crate::port::Digits;
use crate::units::RtpTime;

/// Digits that can wait for one leg.
const WAITING: usize = 4 * Digits::MAX;

/// 100 ms: no receiver needs longer (Q.24 asks for 40 ms).
const UPDATES: u16 = 5;

/// The final packet is sent three times (RFC 4733 section 2.5.1.4).
const ENDS: u16 = 3;

/// Ticks of audio between two presses: 80 ms.
const PAUSE: u16 = 4;

/// A duration counts 20 ms a tick of ours.
const TICKS_PER_SECOND: u32 = 50;

/// -10 dBm0, a usual level.
const VOLUME: u8 = 10;

/// The digits on their way to one far end.
#[derive(Debug)]
pub struct DigitSender {
    waiting: VecDeque<u8>,
    press: Option<Press>,
}

#[derive(Clone, Copy, Debug)]
struct Press {
    event: u8,
    timestamp: RtpTime,
    tick: u16,
}

/// One packet to send in place of audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPacket {
    /// First packet of the press.
    pub marker: bool,
    /// When the press began.
    pub timestamp: RtpTime,
    /// What to say.
    pub payload: EventPayload,
}

impl Default for DigitSender {
    fn default() -> Self {
        Self { waiting: VecDeque::with_capacity(WAITING), press: None }
    }
}

impl DigitSender {
    /// Adds digits; false when there is no room for all of them, and then none is added.
    pub fn push(&mut self, digits: &Digits) -> bool {
        let fits = self.waiting.len() + digits.events().len() <= WAITING;
        if fits {
            self.waiting.extend(digits.events());
        }
        fits
    }

    /// True while something waits or is being sent.
    pub fn is_busy(&self) -> bool {
        self.press.is_some() || !self.waiting.is_empty()
    }

    /// The packet of this tick, if it belongs to a digit; `now` is the tick's place on our media clock, `clock` the ticks of a
    /// duration in a second.
    pub fn tick(&mut self, now: RtpTime, clock: u32) -> Option<EventPacket> {
        if self.press.is_none() {
            let event = self.waiting.pop_front()?;
            self.press = Some(Press { event, timestamp: now, tick: 0 });
        }
        let press = self.press.as_mut()?;
        let tick = press.tick;
        press.tick += 1;
        if tick >= UPDATES + ENDS {
            if press.tick == UPDATES + ENDS + PAUSE {
                self.press = None;
            }
            return None;
        }
        // The last update and the ends say the same duration: the press was over at the last update.
        let end = tick >= UPDATES;
        let duration = (tick + 1).min(UPDATES) * (clock / TICKS_PER_SECOND) as u16;
        let payload = EventPayload { event: press.event, end, volume: VOLUME, duration };
        Some(EventPacket { marker: tick == 0, timestamp: press.timestamp, payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digit_is_a_marker_100_ms_of_updates_and_three_ends_at_one_timestamp() {
        let mut sender = DigitSender::default();
        assert!(sender.push(&Digits::parse("5#").expect("keys")));
        let packets: Vec<_> =
            (0..24).map(|tick| sender.tick(RtpTime::new(1_000 + 160 * tick), 8_000)).collect();
        for (digit, event) in [(0, 5), (1, 11)] {
            let press = &packets[digit * 12..][..12];
            for (tick, packet) in press.iter().enumerate().take(8) {
                let packet = packet.expect("a packet of the press");
                assert_eq!(packet.marker, tick == 0);
                assert_eq!(packet.timestamp, RtpTime::new(1_000 + 160 * 12 * digit as u32));
                assert_eq!(packet.payload.event, event);
                assert_eq!(packet.payload.end, tick >= 5);
                assert_eq!(packet.payload.duration, 160 * (tick as u16 + 1).min(5));
            }
            assert!(press[8..].iter().all(Option::is_none), "audio between two presses");
        }
        assert!(!sender.is_busy());
    }

    #[test]
    fn a_digit_beside_opus_lasts_100_ms_by_its_clock_too() {
        let mut sender = DigitSender::default();
        assert!(sender.push(&Digits::parse("5").expect("a key")));
        let durations: Vec<_> = (0..8)
            .filter_map(|tick| sender.tick(RtpTime::new(960 * tick), 48_000))
            .map(|packet| packet.payload.duration)
            .collect();
        assert_eq!(durations, [960, 1_920, 2_880, 3_840, 4_800, 4_800, 4_800, 4_800]);
    }

    #[test]
    fn digits_that_do_not_fit_are_refused_as_a_whole() {
        let mut sender = DigitSender::default();
        let many = Digits::parse(&"1".repeat(32)).expect("keys");
        assert!((0..4).all(|_| sender.push(&many)));
        assert!(!sender.push(&Digits::parse("1").expect("a key")));
    }

    #[test]
    fn the_payload_is_written_as_it_is_read() {
        let payload = EventPayload { event: 11, end: true, volume: 10, duration: 0x0320 };
        assert_eq!(payload.to_bytes(), [11, 0x8a, 0x03, 0x20]);
        assert_eq!(EventPayload::parse(&payload.to_bytes()), Some(payload));
        assert_eq!(EventPayload::parse(&[1, 2, 3]), None);
    }
}
