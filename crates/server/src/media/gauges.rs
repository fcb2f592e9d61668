//! What a media thread publishes about itself: relaxed atomics with one writer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What a shard's thread publishes: one writer, relaxed readers.
#[derive(Debug, Default)]
pub struct ShardGauges {
    /// Ticks done; every conference takes part in one of [`mixer::PHASES`] ticks every 20 ms.
    pub ticks: AtomicU64,
    /// Ticks that were skipped because the thread woke too late.
    pub skipped: AtomicU64,
    /// Ticks that ran a whole tick or more late.
    pub late: AtomicU64,
    /// Nanoseconds spent in phases.
    pub busy_nanos: AtomicU64,
    /// Phases by duration: see [`TICK_BUCKETS`].
    pub tick_buckets: [AtomicU64; TICK_BUCKETS.len() + 1],
    /// Nanoseconds that the thread woke too late for its phases.
    pub late_nanos: AtomicU64,
    /// Phases by how late the thread woke for them: see [`LATE_BUCKETS`].
    pub late_buckets: [AtomicU64; LATE_BUCKETS.len() + 1],
    /// Millionths of the time that the thread was busy, smoothed over about a second.
    load: AtomicU64,
    /// Millionths of the ticks that were later than the bound, in the best of the last windows.
    overdue: AtomicU64,
    /// Legs on the thread at the end of the last window.
    legs: AtomicU64,
}

/// Upper bounds of the phase-duration histogram, in microseconds.
pub const TICK_BUCKETS: [u64; 8] = [500, 1000, 2000, 5000, 10_000, 15_000, 20_000, 40_000];

/// Upper bounds of the lateness histogram, in microseconds.
pub const LATE_BUCKETS: [u64; 8] = [100, 500, 1000, 2000, 5000, 10_000, 20_000, 60_000];

/// How much a media thread has to do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ShardLoad {
    /// The share of the time that it is busy, smoothed: 0 to 1.
    pub busy: f64,
    /// The share of its ticks that were later than the bound in the best half second of the last two seconds, so that one
    /// hiccup of the machine is none: 0 to 1.
    pub overdue: f64,
    /// Legs that it carries.
    pub legs: u64,
}

impl ShardGauges {
    /// How much the thread has to do at present.
    pub fn load(&self) -> ShardLoad {
        let share = |of: &AtomicU64| of.load(Ordering::Relaxed) as f64 / MILLION;
        let legs = self.legs.load(Ordering::Relaxed);
        ShardLoad { busy: share(&self.load), overdue: share(&self.overdue), legs }
    }
}

const MILLION: f64 = 1e6;

/// How long a window of [`Meter`] is.
const WINDOW: Duration = Duration::from_millis(500);
/// In how many windows one after the other ticks must be overdue to count.
const WINDOWS: usize = 4;

/// One wake-up of a media thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// How late it woke.
    pub(super) late: Duration,
    /// How long it took for what was due.
    pub(super) busy: Duration,
    /// Ticks done.
    pub(super) ticks: u64,
    /// Ticks given up.
    pub(super) skipped: u64,
    /// Legs there are.
    pub(super) legs: usize,
}

/// Turns what a media thread does into its gauges.
#[derive(Debug)]
pub(super) struct Meter {
    /// What is later counts as overdue.
    bound: Duration,
    began: Instant,
    busy: Duration,
    ticks: u64,
    overdue: u64,
    smoothed: Option<f64>,
    /// The share of overdue ticks in the last windows, the latest last.
    shares: [f64; WINDOWS],
}

impl Meter {
    pub(super) fn new(now: Instant, bound: Duration) -> Self {
        Self {
            bound,
            began: now,
            busy: Duration::ZERO,
            ticks: 0,
            overdue: 0,
            smoothed: None,
            shares: [0.0; WINDOWS],
        }
    }

    /// Counts a wake-up that is over at `now`.
    pub(super) fn count(&mut self, now: Instant, turn: Turn, gauges: &ShardGauges) {
        let Turn { late, busy, ticks, skipped, legs } = turn;
        gauges.ticks.fetch_add(ticks, Ordering::Relaxed);
        gauges.skipped.fetch_add(skipped, Ordering::Relaxed);
        gauges.late_nanos.fetch_add(late.as_nanos() as u64, Ordering::Relaxed);
        gauges.late_buckets[bucket(late, &LATE_BUCKETS)].fetch_add(1, Ordering::Relaxed);
        gauges.busy_nanos.fetch_add(busy.as_nanos() as u64, Ordering::Relaxed);
        gauges.tick_buckets[bucket(busy, &TICK_BUCKETS)].fetch_add(1, Ordering::Relaxed);
        self.busy += busy;
        self.ticks += ticks + skipped;
        // All that one late wake-up makes up for, and what it gives up.
        self.overdue += if late > self.bound { ticks + skipped } else { 0 };
        let window = now.saturating_duration_since(self.began);
        if window < WINDOW {
            return;
        }
        let busy = self.busy.as_secs_f64() / window.as_secs_f64();
        let smoothed = self.smoothed.map_or(busy, |before| f64::midpoint(before, busy));
        gauges.load.store((smoothed * MILLION) as u64, Ordering::Relaxed);
        let mut shares = self.shares;
        shares.rotate_left(1);
        shares[WINDOWS - 1] = self.overdue as f64 / self.ticks.max(1) as f64;
        let overdue = shares.into_iter().fold(1.0, f64::min);
        gauges.overdue.store((overdue * MILLION) as u64, Ordering::Relaxed);
        gauges.legs.store(legs as u64, Ordering::Relaxed);
        *self = Self { smoothed: Some(smoothed), shares, ..Self::new(now, self.bound) };
    }
}

/// The place of a time among upper bounds in microseconds.
fn bucket(time: Duration, bounds: &[u64]) -> usize {
    let micros = time.as_nanos().div_ceil(1000) as u64;
    bounds.iter().position(|&bound| micros <= bound).unwrap_or(bounds.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn load_is_the_share_of_the_time_that_the_thread_is_busy_over_half_seconds_smoothed() {
        let start = Instant::now();
        let gauges = ShardGauges::default();
        let mut meter = Meter::new(start, 5 * MILLI);
        let mut now = start;
        let mut run = |busy: Duration, late: Duration| {
            for _ in 0..100 {
                now += 5 * MILLI;
                meter.count(now, Turn { late, busy, ticks: 1, skipped: 0, legs: 7 }, &gauges);
            }
            gauges.load()
        };
        let load = |busy| ShardLoad { busy, overdue: 0.0, legs: 7 };
        assert_eq!(run(MILLI, Duration::ZERO), load(0.2));
        assert_eq!(run(3 * MILLI, 5 * MILLI), load(0.4));
        assert_eq!(run(Duration::ZERO, 6 * MILLI), load(0.2));
        assert_eq!(run(Duration::ZERO, 6 * MILLI), load(0.1));
    }

    #[test]
    fn lateness_counts_when_it_lasts_for_two_seconds_and_ends_with_the_first_half_second_without() {
        let start = Instant::now();
        let gauges = ShardGauges::default();
        let mut meter = Meter::new(start, 5 * MILLI);
        let mut now = start;
        let mut run = |late_ones: u32| {
            for n in 0..100 {
                now += 5 * MILLI;
                let late = if n < late_ones { 6 * MILLI } else { 5 * MILLI };
                meter.count(now, Turn { late, busy: MILLI, ticks: 1, skipped: 0, legs: 7 }, &gauges);
            }
            (gauges.load().overdue * 100.0).round() as u32
        };
        let seen = [90, 30, 2, 5, 3, 0, 50, 50, 50, 1].map(&mut run);
        assert_eq!(seen, [0, 0, 0, 2, 2, 0, 0, 0, 0, 1], "percent");
    }

    #[test]
    fn one_stall_of_the_thread_makes_all_ticks_that_it_delayed_overdue() {
        let start = Instant::now();
        let gauges = ShardGauges::default();
        let mut meter = Meter::new(start, 5 * MILLI);
        // 100 ticks on time, then a stall of 500 ms: 12 are made up for, 88 given up.
        for n in 0..100 {
            let turn = Turn { late: MILLI, busy: Duration::ZERO, ticks: 1, skipped: 0, legs: 7 };
            meter.count(start + n * 4 * MILLI, turn, &gauges);
        }
        let stalled = Turn { late: 500 * MILLI, busy: Duration::ZERO, ticks: 12, skipped: 88, legs: 7 };
        meter.count(start + 900 * MILLI, stalled, &gauges);
        assert_eq!((meter.shares[WINDOWS - 1] * 100.0).round() as u32, 50, "percent");
        assert_eq!(gauges.skipped.load(Ordering::Relaxed), 88);
        assert_eq!(gauges.late_buckets[LATE_BUCKETS.len()].load(Ordering::Relaxed), 1);
    }
}
