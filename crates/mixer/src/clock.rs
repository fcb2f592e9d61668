//! Pure deadline arithmetic: how many ticks are due, when to skip and count. Deadlines are absolute, so that a late wake-up
//! does not shift the ones after it.

use std::time::{Duration, Instant};

use crate::frame::TICK;

/// Into how many groups the conferences of a media thread are spread. Each has a phase of its own, 5 ms after the one before
/// it, so that packets leave evenly and a group that takes long delays the others little.
pub const PHASES: usize = 4;

/// From the deadline of one phase to the next one's.
pub const PHASE: Duration = Duration::from_nanos(TICK.as_nanos() as u64 / PHASES as u64);

/// The deadlines of one media thread: a [`Clock`] for each group of conferences, [`PHASE`] apart.
#[derive(Clone, Copy, Debug)]
pub struct Phases {
    clocks: [Clock; PHASES],
}

impl Phases {
    /// The first phase is due at `first`; for `catch_up` see [`Clock::new`].
    pub fn new(first: Instant, catch_up: u32) -> Self {
        let clock = |phase: usize| Clock::new(first + PHASE * phase as u32, catch_up);
        Self { clocks: std::array::from_fn(clock) }
    }

    /// When to wake up next.
    pub fn deadline(&self) -> Instant {
        self.first().1.deadline()
    }

    /// The phase that is due at `now`, the most overdue first, and the deadline of its tick; call until `None`.
    pub fn due(&mut self, now: Instant) -> Option<(usize, Instant)> {
        let phase = self.first().0;
        self.clocks[phase].due(now).map(|deadline| (phase, deadline))
    }

    /// Ticks that ran a whole tick or more after their deadline.
    pub fn late(&self) -> u64 {
        self.clocks.iter().map(Clock::late).sum()
    }

    /// Ticks that never ran.
    pub fn skipped(&self) -> u64 {
        self.clocks.iter().map(Clock::skipped).sum()
    }

    /// The phase whose deadline is the earliest.
    fn first(&self) -> (usize, &Clock) {
        let mut first = (0, &self.clocks[0]);
        for (phase, clock) in self.clocks.iter().enumerate() {
            if clock.deadline() < first.1.deadline() {
                first = (phase, clock);
            }
        }
        first
    }
}

/// The deadlines of one group of conferences.
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

    fn phases_due(phases: &mut Phases, now: Instant) -> Vec<(usize, Instant)> {
        std::iter::from_fn(|| phases.due(now)).collect()
    }

    #[test]
    fn the_phases_come_in_turn_5_ms_apart() {
        let start = crate::testing::epoch();
        let mut phases = Phases::new(start, 3);
        let mut seen = Vec::new();
        for _ in 0..6 {
            let deadline = phases.deadline();
            let before = deadline.checked_sub(Duration::from_nanos(1)).expect("a moment before");
            assert_eq!(phases_due(&mut phases, before), []);
            seen.extend(phases_due(&mut phases, deadline));
        }
        let expected: Vec<_> =
            (0..6).map(|n: u32| (n as usize % 4, start + n * Duration::from_millis(5))).collect();
        assert_eq!(seen, expected);
        assert_eq!((phases.late(), phases.skipped()), (0, 0));
    }

    #[test]
    fn a_late_phase_delays_no_deadline_of_the_others_and_a_stall_is_bounded_in_each() {
        let start = crate::testing::epoch();
        let mut phases = Phases::new(start, 3);
        let seven = start + Duration::from_millis(7);
        assert_eq!(phases_due(&mut phases, seven), [(0, start), (1, start + PHASE)]);
        // Of each phase ten or more are due; the last three are run, in the order of their deadlines.
        let stall = start + 10 * TICK + 2 * PHASE;
        let caught_up = phases_due(&mut phases, stall);
        assert_eq!(caught_up.len(), 4 * 3);
        for phase in 0..PHASES {
            let own: Vec<_> = caught_up.iter().filter(|due| due.0 == phase).map(|due| due.1).collect();
            assert_eq!(own[1] - own[0], TICK);
            assert_eq!(own[2] - own[1], TICK);
            assert!(stall - own[2] < TICK);
        }
        // Due were: ticks 1 to 10 of the phases 0 and 1, 0 to 10 of phase 2, 0 to 9 of phase 3.
        assert_eq!(phases.skipped(), 10 + 10 + 11 + 10 - 12);
        assert_eq!(phases.deadline(), stall + PHASE);
    }
}
