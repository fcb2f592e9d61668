//! What a receiver report says about one stream (RFC 3550 section 6.4.1 and appendices A.3, A.8).

use std::time::{Duration, Instant};

use crate::units::{ExtSeqNo, RtpTime, SeqNo, Ssrc};

/// Counters of one incoming stream.
#[derive(Clone, Copy, Debug)]
pub struct Reception {
    ssrc: Ssrc,
    base: ExtSeqNo,
    highest: ExtSeqNo,
    received: u64,
    expected_prior: i64,
    received_prior: u64,
    /// In 1/16 of a tick of `clock`, as in appendix A.8.
    jitter: u32,
    /// Ticks of the timestamps in a second.
    clock: u32,
    last: (Instant, RtpTime),
}

/// The figures of one report block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceptionBlock {
    /// Whose stream.
    pub ssrc: Ssrc,
    /// Loss since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Loss since the beginning; 24 bits, clamped.
    pub total_lost: u32,
    /// The extended highest sequence number, as in section 6.4.1.
    pub highest: u32,
    /// Interarrival jitter in clock ticks.
    pub jitter: u32,
}

impl Reception {
    /// The first packet of a stream, whose timestamps have `clock` ticks in a second.
    pub fn new(ssrc: Ssrc, sequence: SeqNo, timestamp: RtpTime, clock: u32, arrival: Instant) -> Self {
        let first = ExtSeqNo::new(i64::from(sequence.to_wire()));
        Self {
            ssrc,
            base: first,
            highest: first,
            received: 1,
            expected_prior: 0,
            received_prior: 0,
            jitter: 0,
            clock: clock.max(1),
            last: (arrival, timestamp),
        }
    }

    /// Whose stream it is.
    pub fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// One more packet. `clock` is the ticks of its timestamp in a second; `None` for packets whose timestamp is not their
    /// sampling instant: events repeat theirs.
    pub fn handle_packet(
        &mut self,
        sequence: SeqNo,
        timestamp: RtpTime,
        clock: Option<u32>,
        arrival: Instant,
    ) {
        self.received += 1;
        let extended = sequence.extend(self.highest);
        let ahead = extended > self.highest;
        self.highest = self.highest.max(extended);
        if let Some(clock) = clock.filter(|_| ahead) {
            if clock == self.clock {
                self.follow(timestamp, arrival);
            } else {
                self.change_clock(clock.max(1));
            }
            self.last = (arrival, timestamp);
        }
    }

    fn follow(&mut self, timestamp: RtpTime, arrival: Instant) {
        let (before, stamp) = self.last;
        // In 64 bits, which hold a day at 48 kHz: a division by 128 bits is a call.
        let elapsed = arrival.saturating_duration_since(before);
        let clock = i64::from(self.clock);
        let elapsed = (elapsed.as_secs() as i64).saturating_mul(clock)
            + i64::from(elapsed.subsec_nanos()) * clock / 1_000_000_000;
        let difference = elapsed.saturating_sub(i64::from(timestamp.ahead_of(stamp))).unsigned_abs();
        // A jump of the timestamp is not jitter; a second bounds what a packet can add.
        let difference = difference.min(u64::from(self.clock)) as u32;
        self.jitter = self.jitter + difference - ((self.jitter + 8) >> 4);
    }

    /// Another codec counts by another clock: the jitter so far is the same time in other ticks, and what lies between two clocks
    /// tells nothing (RFC 7160 section 4.2).
    fn change_clock(&mut self, clock: u32) {
        self.jitter = (u64::from(self.jitter) * u64::from(clock) / u64::from(self.clock)) as u32;
        self.clock = clock;
    }

    /// Packets lost since the beginning; negative when duplicates outnumber losses.
    pub fn lost(&self) -> i64 {
        self.expected() - self.received as i64
    }

    /// Interarrival jitter.
    pub fn jitter(&self) -> Duration {
        Duration::from_secs(1) * (self.jitter >> 4) / self.clock
    }

    /// The figures since the last call.
    pub fn report(&mut self) -> ReceptionBlock {
        let expected = self.expected();
        let expected_interval = expected - self.expected_prior;
        let lost_interval = expected_interval - (self.received - self.received_prior) as i64;
        self.expected_prior = expected;
        self.received_prior = self.received;
        let fraction_lost = if expected_interval <= 0 || lost_interval <= 0 {
            0
        } else {
            ((lost_interval << 8) / expected_interval).min(255) as u8
        };
        ReceptionBlock {
            ssrc: self.ssrc,
            fraction_lost,
            total_lost: self.lost().clamp(0, 0x7f_ffff) as u32,
            highest: self.highest.to_i64() as u32,
            jitter: self.jitter >> 4,
        }
    }

    fn expected(&self) -> i64 {
        self.highest.since(self.base) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_reported_per_interval_and_in_total_across_a_wrap() {
        let start = crate::testing::epoch();
        let mut reception = Reception::new(Ssrc::new(1), SeqNo::new(65_530), RtpTime::new(0), 8_000, start);
        let mut packet = |n: u32| {
            let sequence = SeqNo::new(65_530_u16.wrapping_add(n as u16));
            let arrival = start + Duration::from_millis(u64::from(n) * 20);
            reception.handle_packet(sequence, RtpTime::new(n * 160), Some(8_000), arrival);
        };
        (1..100).filter(|n| n % 4 != 0).for_each(&mut packet);
        let first = reception.report();
        assert_eq!((first.fraction_lost, first.total_lost, first.highest), (61, 24, 65_530 + 99));
        assert_eq!(first.jitter, 0);
        let second = reception.report();
        assert_eq!((second.fraction_lost, second.total_lost), (0, 24));
    }

    #[test]
    fn jitter_is_that_of_appendix_a_8_and_a_timestamp_jump_does_not_wreck_it() {
        let start = crate::testing::epoch();
        let mut reception = Reception::new(Ssrc::new(1), SeqNo::new(0), RtpTime::new(0), 8_000, start);
        for n in 1..500_u32 {
            let arrival = start + Duration::from_millis(u64::from(n) * 20 + u64::from(n % 2) * 10);
            reception.handle_packet(SeqNo::new(n as u16), RtpTime::new(n * 160), Some(8_000), arrival);
        }
        assert!((78..=80).contains(&reception.report().jitter), "{:?}", reception.jitter());
        let arrival = start + Duration::from_secs(10);
        reception.handle_packet(SeqNo::new(500), RtpTime::new(3_000_000_000), Some(8_000), arrival);
        assert!(reception.report().jitter < 600);
    }

    #[test]
    fn jitter_is_the_same_time_whatever_clock_counts_it_and_also_when_the_clock_changes() {
        let start = crate::testing::epoch();
        let mut reception = Reception::new(Ssrc::new(1), SeqNo::new(0), RtpTime::new(0), 48_000, start);
        let mut stamp = 0;
        for n in 1..1_000_u32 {
            let clock = if n < 500 { 48_000 } else { 8_000 };
            stamp += clock / 50;
            // Every other packet is 10 ms late.
            let arrival = start + Duration::from_millis(u64::from(n) * 20 + u64::from(n % 2) * 10);
            reception.handle_packet(SeqNo::new(n as u16), RtpTime::new(stamp), Some(clock), arrival);
            if [400, 501, 999].contains(&n) {
                let jitter = reception.jitter().as_micros();
                assert!((9_700..=10_000).contains(&jitter), "{jitter} us at packet {n}");
            }
        }
        assert!((78..=80).contains(&reception.report().jitter), "in ticks of 8 kHz");
    }
}
