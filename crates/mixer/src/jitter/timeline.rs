//! How the wire's numbers become ours: sequence numbers without wraps and restarts, timestamps as places on one timeline that
//! goes on when the sender's timestamps jump or another stream takes over.
//!
//! The timeline counts in 1/48,000 s whatever the codec, so that it goes on when the codec changes: every clock rate and every
//! sample rate in use divides it.

use std::time::{Duration, Instant};

use crate::units::{ExtRtpTime, ExtSeqNo, Rate, RtpTime, SeqNo};

/// Units of the timeline in a second.
pub(super) const SECOND: i64 = 48_000;

/// Units of the timeline in a millisecond.
pub(super) const MILLISECOND: i64 = SECOND / 1_000;

/// Units of the timeline in a tick.
pub(super) const TICK: i64 = 20 * MILLISECOND;

/// Units of the timeline in one sample.
pub(super) const fn unit(rate: Rate) -> i64 {
    SECOND / rate.hz() as i64
}

/// A span of the timeline; nothing where it is negative.
pub(super) fn duration(units: i64) -> Duration {
    Duration::from_nanos(units.max(0) as u64 * 125_000 / 6)
}

/// The mapping of one leg.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeline {
    /// Arrivals count from here.
    epoch: Option<Instant>,
    /// The next packet begins a new stream.
    restart: bool,
    sequence: ExtSeqNo,
    sequence_shift: i64,
    time: ExtRtpTime,
    /// Units in one tick of the sender's clock.
    clock: i64,
    time_shift: i64,
}

/// A packet's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) number: i64,
    pub(super) start: i64,
    sequence: ExtSeqNo,
    time: ExtRtpTime,
}

impl Timeline {
    pub(super) fn new() -> Self {
        Self {
            epoch: None,
            restart: true,
            sequence: ExtSeqNo::new(0),
            sequence_shift: 0,
            time: ExtRtpTime::new(0),
            clock: 1,
            time_shift: 0,
        }
    }

    /// The next packet belongs to a new stream.
    pub(super) fn restart(&mut self) {
        self.restart = true;
    }

    /// True until the first packet of a stream was mapped by [`Timeline::begin_stream`].
    pub(super) fn is_new(&self) -> bool {
        self.restart
    }

    /// The time of an arrival or a tick, since the first one.
    pub(super) fn at(&mut self, instant: Instant) -> i64 {
        let since = instant.saturating_duration_since(*self.epoch.get_or_insert(instant));
        // 48,000 / 1,000,000,000 = 6 / 125,000.
        (since.as_secs() as i64)
            .saturating_mul(SECOND)
            .saturating_add(i64::from(since.subsec_nanos()) * 6 / 125_000)
    }

    /// The first packet of a stream gets the number `number` and the place `start`.
    pub(super) fn begin_stream(
        &mut self,
        sequence: SeqNo,
        time: RtpTime,
        clock_rate: u32,
        number: i64,
        start: i64,
    ) {
        self.restart = false;
        self.sequence = ExtSeqNo::new(i64::from(sequence.to_wire()));
        self.sequence_shift = number - self.sequence.to_i64();
        self.time = ExtRtpTime::new(i64::from(time.to_wire()));
        self.clock = SECOND / i64::from(clock_rate.max(1));
        self.time_shift = start.saturating_sub(self.time.to_i64() * self.clock);
    }

    /// The number of a packet that has no place of its own: an event, comfort noise.
    pub(super) fn number(&self, sequence: SeqNo) -> i64 {
        sequence.extend(self.sequence).to_i64().saturating_add(self.sequence_shift)
    }

    /// True when a clock of `clock_rate` counts as this stream's does.
    pub(super) fn counts_by(&self, clock_rate: u32) -> bool {
        self.clock == SECOND / i64::from(clock_rate.max(1))
    }

    /// Where a packet belongs.
    pub(super) fn place(&self, sequence: SeqNo, time: RtpTime) -> Place {
        let sequence = sequence.extend(self.sequence);
        let time = time.extend(self.time);
        Place {
            number: sequence.to_i64().saturating_add(self.sequence_shift),
            start: time.to_i64().saturating_mul(self.clock).saturating_add(self.time_shift),
            sequence,
            time,
        }
    }

    /// From now on what was at `place` is at `start`, by a clock of `clock_rate`.
    pub(super) fn jump(&mut self, place: &mut Place, start: i64, clock_rate: u32) {
        self.clock = SECOND / i64::from(clock_rate.max(1));
        self.time_shift = start.saturating_sub(place.time.to_i64().saturating_mul(self.clock));
        place.start = start;
    }

    /// `place` is the newest: numbers near it are extended by it.
    pub(super) fn newest(&mut self, place: &Place) {
        self.sequence = place.sequence;
        self.time = place.time;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_numbers_go_on_across_their_wraps() {
        let mut timeline = Timeline::new();
        timeline.begin_stream(SeqNo::new(65_535), RtpTime::new(u32::MAX - 79), 8_000, 10, 5_000);
        let mut expected = (10, 5_000);
        for n in 0..5_u16 {
            let place = timeline.place(
                SeqNo::new(65_535_u16.wrapping_add(n)),
                RtpTime::new((u32::MAX - 79).wrapping_add(u32::from(n) * 160)),
            );
            assert_eq!((place.number, place.start), expected);
            timeline.newest(&place);
            expected = (expected.0 + 1, expected.1 + TICK);
        }
    }

    #[test]
    fn a_second_is_48_000_units_and_back() {
        let mut timeline = Timeline::new();
        let start = crate::testing::epoch();
        assert_eq!(timeline.at(start), 0);
        assert_eq!(timeline.at(start + Duration::from_millis(1_020)), SECOND + TICK);
        assert_eq!(duration(SECOND + TICK), Duration::from_millis(1_020));
        assert_eq!(duration(-5), Duration::ZERO);
        assert_eq!(Rate::ALL.map(unit), [6, 3, 1]);
    }
}
