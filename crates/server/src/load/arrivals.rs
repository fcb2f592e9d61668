//! What can be said of one stream from its headers and the times of its arrival alone.

use super::spread::Spread;

/// From here a listener hears a hole: two packets late or lost in a row.
pub const GAP_MICROS: u64 = 40_000;

/// The headers' part of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The stream.
    pub ssrc: u32,
    /// Its place in it.
    pub sequence: u16,
    /// Its sampling instant.
    pub timestamp: u32,
}

/// One incoming stream.
#[derive(Clone, Debug)]
pub struct Arrivals {
    /// RTP clock ticks of 20 ms.
    step: u32,
    last: Option<Last>,
    /// Distance from 20 ms between two consecutive arrivals.
    pub deviation: Spread,
    /// RFC 3550 A.8, in nanoseconds.
    jitter: f64,
    /// The counters.
    pub counts: Counts,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// RTP packets.
    pub received: u64,
    /// Numbers that were skipped, less those that came late.
    pub lost: u64,
    /// Packets that came again.
    pub duplicated: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Pauses of more than 40 ms between two arrivals.
    pub gaps: u64,
    /// Holes of more than 40 ms in the stream's own time.
    pub holes: u64,
    /// Times that the stream began anew: another SSRC or a jump of the sequence.
    pub restarts: u64,
    /// The longest pause between two arrivals in microseconds.
    pub longest_gap: u64,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    header: Header,
    at: u64,
    /// Bit n: the packet n before the last one has come.
    seen: u64,
}

/// How a packet stands to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// It follows.
    Next,
    /// Something is missing before it, or the stream begins.
    Jump,
    /// It is late or a duplicate.
    Old,
}

impl Arrivals {
    /// A stream whose packets are `step` ticks of the RTP clock apart.
    pub fn new(step: u32) -> Self {
        Self { step, last: None, deviation: Spread::default(), jitter: 0.0, counts: Counts::default() }
    }

    /// Forgets what was counted and keeps the place in the stream.
    pub fn clear(&mut self) {
        self.counts = Counts::default();
        self.deviation.clear();
    }

    /// RFC 3550's jitter in milliseconds.
    pub fn jitter_ms(&self) -> f64 {
        self.jitter / 1e6
    }

    /// One packet; `at` in nanoseconds.
    pub fn add(&mut self, header: Header, at: u64) -> Order {
        self.counts.received += 1;
        let Some(last) = self.last else { return self.begin(header, at) };
        let ahead = header.sequence.wrapping_sub(last.header.sequence) as i16;
        if header.ssrc != last.header.ssrc || ahead.unsigned_abs() > 1000 {
            self.counts.restarts += 1;
            return self.begin(header, at);
        }
        if ahead <= 0 {
            return self.old(ahead.unsigned_abs(), last);
        }
        let ahead = u64::from(ahead.unsigned_abs());
        let micros = at.saturating_sub(last.at) / 1000;
        self.counts.longest_gap = self.counts.longest_gap.max(micros);
        self.counts.gaps += u64::from(micros > GAP_MICROS);
        self.deviation.add(micros.abs_diff(20_000 * ahead));
        self.counts.lost += ahead - 1;
        let ticks = header.timestamp.wrapping_sub(last.header.timestamp);
        // A timestamp that runs backwards is a hole as well: the difference wraps to something huge.
        self.counts.holes += u64::from(ticks > 2 * self.step);
        let transit = at.saturating_sub(last.at) as f64 - f64::from(ticks) * 20e6 / f64::from(self.step);
        if ticks <= 50 * self.step {
            self.jitter += (transit.abs() - self.jitter) / 16.0;
        }
        let seen = if ahead < 64 { last.seen << ahead | 1 } else { 1 };
        self.last = Some(Last { header, at, seen });
        if ahead == 1 { Order::Next } else { Order::Jump }
    }

    fn begin(&mut self, header: Header, at: u64) -> Order {
        self.last = Some(Last { header, at, seen: u64::MAX });
        Order::Jump
    }

    fn old(&mut self, behind: u16, mut last: Last) -> Order {
        let bit = 1_u64.checked_shl(u32::from(behind)).unwrap_or(0);
        if last.seen & bit != 0 {
            self.counts.duplicated += 1;
        } else {
            self.counts.reordered += 1;
            self.counts.lost = self.counts.lost.saturating_sub(1);
            last.seen |= bit;
        }
        self.last = Some(last);
        Order::Old
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(sequence: u16) -> Header {
        Header { ssrc: 1, sequence, timestamp: u32::from(sequence).wrapping_mul(160) }
    }

    /// The counts after packets of these numbers, each 20 ms after the one before.
    fn counts(numbers: &[u16]) -> Counts {
        let mut arrivals = Arrivals::new(160);
        for (n, &number) in numbers.iter().enumerate() {
            arrivals.add(header(number), 1_000_000_000 + n as u64 * 20_000_000);
        }
        arrivals.counts
    }

    #[test]
    fn a_regular_stream_has_no_fault_across_the_wrap_of_its_numbers() {
        let mut arrivals = Arrivals::new(160);
        let mut timestamp = u32::MAX - 500;
        for n in 0..100_u64 {
            let sequence = 65_500_u16.wrapping_add(n as u16);
            arrivals.add(Header { ssrc: 9, sequence, timestamp }, n * 20_000_000);
            timestamp = timestamp.wrapping_add(160);
        }
        assert_eq!(arrivals.counts, Counts { received: 100, longest_gap: 20_000, ..Counts::default() });
        assert_eq!(arrivals.deviation.quantile(1.0), 0);
        assert!(arrivals.jitter_ms() < 1e-9);
    }

    #[test]
    fn lost_late_and_repeated_packets_are_told_apart() {
        let all = counts(&[1, 2, 3, 5, 4, 5, 8]);
        assert_eq!((all.lost, all.reordered, all.duplicated), (2, 1, 1));
        assert_eq!(all.holes, 1, "from 5 to 8 are three steps; from 3 to 5 only two");
    }

    #[test]
    fn a_pause_is_a_gap_and_not_a_hole() {
        let mut arrivals = Arrivals::new(160);
        arrivals.add(header(1), 0);
        assert_eq!(arrivals.add(header(2), 65_000_000), Order::Next);
        assert_eq!((arrivals.counts.gaps, arrivals.counts.holes), (1, 0));
        assert_eq!(arrivals.counts.longest_gap, 65_000);
        assert_eq!(arrivals.deviation.quantile(1.0), 45_000);
    }

    #[test]
    fn another_source_is_a_restart_and_no_loss() {
        let mut arrivals = Arrivals::new(160);
        arrivals.add(header(1), 0);
        let other = Header { ssrc: 2, sequence: 40_000, timestamp: 5 };
        assert_eq!(arrivals.add(other, 20_000_000), Order::Jump);
        assert_eq!(arrivals.counts, Counts { received: 2, restarts: 1, ..Counts::default() });
    }
}
