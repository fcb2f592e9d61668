//! What happened within the last minutes: moment by moment where there are few, in slices of the window where there are many.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Slices of a window; what is older than the window goes slice by slice.
const SLICES: u32 = 20;

/// Moments within a window, the newest so many.
#[derive(Debug, Default)]
pub(super) struct Moments(VecDeque<Instant>);

impl Moments {
    pub(super) fn remember(&mut self, now: Instant, window: Duration, kept: usize) {
        self.forget(now, window);
        if self.0.len() >= kept {
            self.0.pop_front();
        }
        self.0.push_back(now);
    }

    pub(super) fn forget(&mut self, now: Instant, window: Duration) {
        while self.0.front().is_some_and(|then| now.saturating_duration_since(*then) >= window) {
            self.0.pop_front();
        }
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn last(&self) -> Option<Instant> {
        self.0.back().copied()
    }
}

/// What was keyed within a window, whoever keyed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Count {
    /// IDs that exist.
    pub(super) hits: usize,
    /// IDs that do not.
    pub(super) misses: usize,
    /// Wrong PINs.
    pub(super) pins: usize,
}

impl Count {
    /// Whatever was wrong.
    pub(super) fn wrong(self) -> usize {
        self.misses + self.pins
    }

    fn add(&mut self, other: Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.pins += other.pins;
    }
}

/// [`Count`] of a sliding window, in memory that does not grow with what is counted.
#[derive(Debug, Default)]
pub(super) struct Tally(VecDeque<(Instant, Count)>);

impl Tally {
    pub(super) fn add(&mut self, now: Instant, window: Duration, what: Count) {
        self.forget(now, window);
        match self.0.back_mut() {
            Some((began, count)) if now.saturating_duration_since(*began) < window / SLICES => {
                count.add(what);
            }
            _ => self.0.push_back((now, what)),
        }
    }

    pub(super) fn count(&self, now: Instant, window: Duration) -> Count {
        let mut sum = Count::default();
        let recent = self.0.iter().filter(|(began, _)| now.saturating_duration_since(*began) < window);
        recent.for_each(|(_, count)| sum.add(*count));
        sum
    }

    fn forget(&mut self, now: Instant, window: Duration) {
        while self.0.front().is_some_and(|(began, _)| now.saturating_duration_since(*began) >= window) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Count, Tally};
    use crate::bridge::tests::epoch;
    use std::time::Duration;

    #[test]
    fn a_tally_slides_and_does_not_grow() {
        const WINDOW: Duration = Duration::from_mins(10);
        let mut tally = Tally::default();
        let miss = Count { misses: 1, ..Count::default() };
        for second in 0..3600 {
            tally.add(epoch() + Duration::from_secs(second), WINDOW, miss);
        }
        let count = tally.count(epoch() + Duration::from_secs(3599), WINDOW).misses;
        assert!((570..=600).contains(&count), "{count} in ten minutes, one a second");
        assert!(tally.0.len() <= 21, "{}", tally.0.len());
        assert_eq!(tally.count(epoch() + Duration::from_hours(1) + WINDOW, WINDOW), Count::default());
    }
}
