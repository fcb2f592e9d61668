//! Pure deadline arithmetic: how many ticks are due, when to skip and count. Deadlines are absolute, so that a late wake-up
//! does not shift the ones after it.

use std::time::{Duration, Instant};

use crate::frame::TICK;

/// The deadlines of one media thread.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    next: Instant,
    catch_up: u32,
    late: u64,
    skipped: u64,
}

impl Clock {
    /// The first tick is due at `first`. After a late wake-up at most `catch_up` ticks are run at once (at least one), older
    /// ones are skipped and counted.
    pub fn new(first: Instant, catch_up: u32) -> Self {
        Self { next: first, catch_up: catch_up.max(1), late: 0, skipped: 0 }
    }

    /// When to wake up next.
    pub fn deadline(&self) -> Instant {
        self.next
    }

    /// Time left until the deadline; zero when it has passed.
    pub fn until_deadline(&self, now: Instant) -> Duration {
        self.next.saturating_duration_since(now)
    }

    /// The deadline of a tick that is due at `now`, if one is; call until `None`. It is what the tick gets as its time.
    pub fn due(&mut self, now: Instant) -> Option<Instant> {
        let late = now.checked_duration_since(self.next)?;
        let behind = (late.as_nanos() / TICK.as_nanos()) as u64; // whole ticks, besides the one due now
        let bound = u64::from(self.catch_up) - 1;
        if behind > bound {
            let skip = behind - bound;
            self.skipped += skip;
            self.next += Duration::from_nanos(skip.saturating_mul(TICK.as_nanos() as u64));
        }
        self.late += u64::from(behind > 0);
        let deadline = self.next;
        self.next += TICK;
        Some(deadline)
    }

    /// Ticks that ran a whole tick or more after their deadline.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Ticks that never ran.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(clock: &mut Clock, now: Instant) -> Vec<Instant> {
        std::iter::from_fn(|| clock.due(now)).collect()
    }

    #[test]
    fn a_tick_is_due_at_its_deadline_and_not_before() {
        let start = crate::testing::epoch();
        let mut clock = Clock::new(start + TICK, 3);
        assert_eq!(drain(&mut clock, start), []);
        assert_eq!(clock.until_deadline(start), TICK);
        assert_eq!(drain(&mut clock, start + TICK), [start + TICK]);
        assert_eq!(clock.deadline(), start + 2 * TICK);
        assert_eq!((clock.late(), clock.skipped()), (0, 0));
    }

    #[test]
    fn a_little_late_shifts_no_later_deadline() {
        let start = crate::testing::epoch();
        let mut clock = Clock::new(start, 3);
        assert_eq!(drain(&mut clock, start + TICK / 2), [start]);
        assert_eq!(clock.deadline(), start + TICK);
        assert_eq!(clock.until_deadline(start + TICK * 2), Duration::ZERO);
    }

    #[test]
    fn a_late_wake_up_catches_up_to_the_bound_then_skips_and_counts() {
        let start = crate::testing::epoch();
        let mut clock = Clock::new(start, 3);
        assert_eq!(drain(&mut clock, start + 2 * TICK), [start, start + TICK, start + 2 * TICK]);
        assert_eq!((clock.late(), clock.skipped()), (2, 0));
        let stall = start + 12 * TICK; // 3..=12 are due: ten, of which seven are skipped
        assert_eq!(drain(&mut clock, stall), [start + 10 * TICK, start + 11 * TICK, stall]);
        assert_eq!(clock.skipped(), 7);
        assert_eq!(clock.deadline(), start + 13 * TICK);
    }

    #[test]
    fn a_day_without_a_wake_up_is_one_skip() {
        let start = crate::testing::epoch();
        let mut clock = Clock::new(start, 1);
        assert_eq!(drain(&mut clock, start + Duration::from_hours(24)).len(), 1);
        assert_eq!(clock.skipped(), 86_400 * 50);
    }
}
