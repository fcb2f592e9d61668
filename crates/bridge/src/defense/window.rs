//! What was keyed within the last minutes, in slices of the window: memory does not grow with what is counted.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Slices of a window; what is older than the window goes slice by slice.
const SLICES: u32 = 20;

/// What was keyed within a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Count {
    /// IDs that exist.
    pub(super) hits: u32,
    /// IDs that do not.
    pub(super) misses: u32,
    /// Of these, slips of the finger: the ID that was meant came next.
    pub(super) slips: u32,
    /// Wrong PINs.
    pub(super) pins: u32,
}

impl Count {
    /// Whatever was wrong.
    pub(super) fn wrong(self) -> usize {
        self.misses.saturating_add(self.pins) as usize
    }

    fn add(&mut self, other: Self) {
        self.hits = self.hits.saturating_add(other.hits);
        self.misses = self.misses.saturating_add(other.misses);
        self.slips = self.slips.saturating_add(other.slips);
        self.pins = self.pins.saturating_add(other.pins);
    }
}

/// [`Count`] of a sliding window. At most 1 KiB, whatever the limits and however much is counted: 21 slices of 32 bytes.
#[derive(Debug, Default)]
pub(super) struct Window(VecDeque<(Instant, Count)>);

impl Window {
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

    /// When its last slice began.
    pub(super) fn last(&self) -> Option<Instant> {
        self.0.back().map(|(began, _)| *began)
    }

    fn forget(&mut self, now: Instant, window: Duration) {
        while self.0.front().is_some_and(|(began, _)| now.saturating_duration_since(*began) >= window) {
            self.0.pop_front();
        }
    }
}

/// How often each ID that exists was keyed, from the first time on for as long as a window lasts. As much memory as meetings were
/// called meanwhile, and there are no more of them than the directory has.
#[derive(Debug, Default)]
pub(super) struct Known {
    times: HashMap<Arc<str>, usize>,
    /// The first time of each, the oldest first.
    first: VecDeque<(Instant, Arc<str>)>,
}

impl Known {
    /// It was keyed once more; whether that was no more than so many times.
    pub(super) fn counts(&mut self, now: Instant, window: Duration, id: &str, most: usize) -> bool {
        while self.first.front().is_some_and(|(then, _)| now.saturating_duration_since(*then) >= window) {
            if let Some((_, old)) = self.first.pop_front() {
                self.times.remove(&old);
            }
        }
        if let Some(times) = self.times.get_mut(id) {
            *times = times.saturating_add(1);
            return *times <= most;
        }
        let id: Arc<str> = id.into();
        self.times.insert(Arc::clone(&id), 1);
        self.first.push_back((now, id));
        most > 0
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.times.len().max(self.first.len())
    }
}

#[cfg(test)]
mod tests {
    use super::{Count, Known, Window};
    use crate::bridge::tests::epoch;
    use std::time::{Duration, Instant};

    const WINDOW: Duration = Duration::from_mins(10);

    #[test]
    fn a_window_slides_and_takes_a_kilobyte_at_most_however_much_is_counted() {
        let mut window = Window::default();
        let miss = Count { misses: 1, ..Count::default() };
        for tenth in 0..36_000 {
            window.add(epoch() + Duration::from_millis(tenth * 100), WINDOW, miss);
        }
        let count = window.count(epoch() + Duration::from_secs(3599), WINDOW).misses;
        assert!((5_700..=6_000).contains(&count), "{count} in ten minutes, ten a second");
        assert!(window.0.capacity() * size_of::<(Instant, Count)>() <= 1024, "{}", window.0.capacity());
        assert_eq!(window.count(epoch() + Duration::from_hours(1) + WINDOW, WINDOW), Count::default());
    }

    #[test]
    fn an_id_counts_so_often_within_a_window_and_is_forgotten_after_it() {
        let mut known = Known::default();
        let mut counts =
            |second, id: &str| known.counts(epoch() + Duration::from_secs(second), WINDOW, id, 2);
        assert_eq!([0, 1, 2, 3].map(|second| counts(second, "111111111")), [true, true, false, false]);
        assert!(counts(4, "222222222"), "another");
        assert!(counts(600, "111111111"), "another window");
        for second in 700..2000 {
            counts(second, &second.to_string());
        }
        assert!(known.len() <= 600, "{}", known.len());
    }
}
