//! Whether the media threads can carry one more leg: judged by what they measure, before a tick is late.

use std::time::Duration;

use thiserror::Error;

use crate::media::gauges::ShardLoad;

/// What a refused caller is told to wait, in seconds: about as long as the measurement needs to show what has ended.
pub(super) const RETRY_AFTER: u32 = 5;

/// A thread that refuses takes legs again below this part of the limit, so that the answer does not change with every leg.
const CALM: f64 = 0.8;
/// The share of overdue ticks above which their 99th percentile is beyond the bound.
const ONE_IN_A_HUNDRED: f64 = 0.01;
/// What a leg costs a thread at least, as a share of its time, for as long as too few are up to tell.
const LEAST_COST: f64 = 0.001;
/// The share of its time above which the thread of the signalling turns calls away.
const BUSY_SIGNALLING: f64 = 0.85;
/// Messages that wait for it, above which it takes no new calls at all: it is a second behind, or nearly.
const MANY_WAITING: usize = 2048;
/// By how much the part that is turned away grows with each measurement.
const SHED_STEP: f64 = 0.1;
/// So many calls of 100 are still taken, to find out when it is better.
const MOST_SHED: f64 = 0.95;
/// From so many legs on, what one costs is known from what all cost.
const ENOUGH_LEGS: u64 = 10;

/// How busy a media thread may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadLimits {
    /// The share of its time: 0 to 1.
    pub busy: f64,
    /// Ticks later than this are overdue; not more than one in a hundred may be.
    pub late: Duration,
}

impl Default for LoadLimits {
    fn default() -> Self {
        Self { busy: 0.85, late: Duration::from_millis(20) }
    }
}

/// Why no leg is taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Overload {
    /// The media threads have too much to do.
    #[error(
        "the media threads are busy for more than {0} % of the time: add cores and media.shards, or another bridge"
    )]
    Busy(u32),
    /// The thread of the signalling has too much to do.
    #[error(
        "signalling takes more than {0} % of its thread: calls come faster than this machine can answer them"
    )]
    Signalling(u32),
    /// They are not run in time.
    #[error(
        "more than 1 % of the media threads' ticks are over {0} ms late: the machine is too busy, or media.realtime_priority is 0"
    )]
    Late(u32),
}

impl Overload {
    /// The metric's label.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Busy(_) => "load",
            Self::Late(_) => "lateness",
            Self::Signalling(_) => "signalling",
        }
    }
}

/// What is known of one media thread.
#[derive(Clone, Copy, Debug, Default)]
struct Thread {
    measured: ShardLoad,
    /// Legs admitted since, whose cost is not in the measurement.
    unmeasured: u32,
    refuses: Option<Overload>,
}

/// All media threads, and what is asked of them.
#[derive(Debug)]
pub(super) struct Load {
    limits: LoadLimits,
    threads: Vec<Thread>,
    /// The part of new calls that is turned away because the thread of the signalling has too much to do: 0 to 1.
    shed: f64,
}

impl Load {
    /// So many threads, at least one, with nothing to do.
    pub(super) fn new(threads: usize, limits: LoadLimits) -> Self {
        Self { limits, threads: vec![Thread::default(); threads.max(1)], shed: 0.0 }
    }

    /// A thread has measured itself. `true` when that changes whether it takes legs.
    pub(super) fn handle_measured(&mut self, shard: usize, measured: ShardLoad) -> bool {
        let Some(thread) = self.threads.get_mut(shard) else { return false };
        let busy = if thread.refuses.is_some() { self.limits.busy * CALM } else { self.limits.busy };
        let refuses = if measured.busy > busy {
            Some(Overload::Busy((self.limits.busy * 100.0).round() as u32))
        } else if measured.overdue > ONE_IN_A_HUNDRED {
            Some(Overload::Late(self.limits.late.as_millis() as u32))
        } else {
            None
        };
        let changed = refuses.is_some() != thread.refuses.is_some();
        *thread = Thread { measured, unmeasured: thread.unmeasured / 2, refuses };
        changed
    }

    /// The thread of the signalling has measured itself: the share of its time, and messages that wait for it. What is
    /// turned away grows and shrinks in steps, so that the peers see a rate and not all or nothing (RFC 6357).
    pub(super) fn handle_signalling(&mut self, busy: f64, waiting: usize) {
        self.shed = if waiting > MANY_WAITING {
            1.0
        } else if busy > BUSY_SIGNALLING {
            (self.shed + SHED_STEP).min(MOST_SHED)
        } else {
            (self.shed.min(MOST_SHED) - SHED_STEP / 2.0).max(0.0)
        };
    }

    /// Why a new call would be turned away now. `dice` is random, 0 to 1.
    pub(super) fn refuses(&self, dice: f64) -> Option<Overload> {
        if dice < self.shed {
            return Some(Overload::Signalling((BUSY_SIGNALLING * 100.0).round() as u32));
        }
        let thread = &self.threads[self.least(&[])];
        let full = thread.expected() > self.limits.busy;
        thread.refuses.or(full.then_some(Overload::Busy((self.limits.busy * 100.0).round() as u32)))
    }

    /// Admits a leg to one of the threads, or says why none of them can carry it.
    pub(super) fn admit(&mut self) -> Result<(), Overload> {
        let shard = self.least(&[]);
        let limits = self.limits;
        let thread = &mut self.threads[shard];
        if let Some(why) = thread.refuses {
            return Err(why);
        }
        if thread.expected() > limits.busy {
            return Err(Overload::Busy((limits.busy * 100.0).round() as u32));
        }
        thread.unmeasured += 1;
        Ok(())
    }

    /// Whether this very thread can carry one more.
    pub(super) fn check(&self, shard: usize) -> Result<(), Overload> {
        self.threads.get(shard).and_then(|thread| thread.refuses).map_or(Ok(()), Err)
    }

    /// The thread with the least to do; among equals, the one with the fewest of `conferences`.
    pub(super) fn least(&self, conferences: &[usize]) -> usize {
        let rank = |shard: &usize| {
            let thread = &self.threads[*shard];
            // In steps, so that conferences are spread also while the measurements differ by noise.
            let step = (thread.expected() * 20.0) as u32;
            (thread.refuses.is_some(), step, conferences.get(*shard).copied().unwrap_or(0))
        };
        (0..self.threads.len()).min_by_key(rank).unwrap_or(0)
    }
}

impl Thread {
    /// Its load when what was admitted comes to bear.
    fn expected(&self) -> f64 {
        let ShardLoad { busy, legs, .. } = self.measured;
        let known = if legs < ENOUGH_LEGS { 0.0 } else { busy / legs as f64 };
        busy + f64::from(self.unmeasured) * known.max(LEAST_COST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(busy: f64) -> ShardLoad {
        ShardLoad { busy, overdue: 0.0, legs: 0 }
    }

    #[test]
    fn a_busy_thread_refuses_until_it_is_well_below_its_limit() {
        let mut load = Load::new(1, LoadLimits::default());
        assert!(load.admit().is_ok(), "nothing measured yet");
        assert!(!load.handle_measured(0, busy(0.85)));
        assert!(load.check(0).is_ok());
        assert!(load.handle_measured(0, busy(0.86)));
        assert_eq!(load.admit(), Err(Overload::Busy(85)));
        assert!(!load.handle_measured(0, busy(0.70)), "0.85 x 0.8 is 0.68");
        assert_eq!(load.admit().map_err(Overload::label), Err("load"));
        assert!(load.handle_measured(0, busy(0.67)));
        assert!(load.admit().is_ok());
    }

    #[test]
    fn ticks_that_are_late_refuse_however_little_there_is_to_do() {
        let mut load = Load::new(1, LoadLimits::default());
        assert!(!load.handle_measured(0, ShardLoad { overdue: 0.01, ..busy(0.1) }));
        assert!(load.handle_measured(0, ShardLoad { overdue: 0.011, ..busy(0.1) }));
        assert_eq!(load.admit(), Err(Overload::Late(20)));
        assert!(load.handle_measured(0, busy(0.1)));
        assert!(load.admit().is_ok());
    }

    #[test]
    fn a_rush_between_two_measurements_is_bounded_by_what_its_legs_may_cost() {
        let mut load = Load::new(1, LoadLimits::default());
        load.handle_measured(0, ShardLoad { legs: 60, ..busy(0.6) });
        let admitted = (0..100).take_while(|_| load.admit().is_ok()).count();
        assert!((25..=26).contains(&admitted), "0.25 left, and a leg costs 0.01: {admitted}");
        // They have not come, or cost less: the reserve shrinks with every measurement.
        load.handle_measured(0, ShardLoad { legs: 61, ..busy(0.61) });
        assert!(load.admit().is_ok());
    }

    #[test]
    fn a_busy_signalling_thread_turns_a_growing_part_away_and_then_a_shrinking_one() {
        let mut load = Load::new(1, LoadLimits::default());
        let part = |load: &Load| {
            (0..100).filter(|dice| load.refuses((f64::from(*dice) + 0.5) / 100.0).is_some()).count()
        };
        load.handle_signalling(0.84, 0);
        assert_eq!(part(&load), 0);
        for expected in [10, 20, 30] {
            load.handle_signalling(0.9, 0);
            assert_eq!(part(&load), expected);
        }
        (0..20).for_each(|_| load.handle_signalling(1.0, 0));
        assert_eq!(part(&load), 95, "a few are always taken");
        load.handle_signalling(0.5, 3000);
        assert_eq!(part(&load), 100, "unless it is a second behind");
        (0..20).for_each(|_| load.handle_signalling(0.1, 0));
        assert_eq!(part(&load), 0);
    }

    #[test]
    fn the_least_loaded_thread_comes_first_and_one_that_refuses_last() {
        let mut load = Load::new(3, LoadLimits::default());
        load.handle_measured(0, busy(0.5));
        load.handle_measured(1, busy(0.2));
        load.handle_measured(2, busy(0.22));
        assert_eq!(load.least(&[0, 3, 2]), 2, "the same step of load, fewer conferences");
        load.handle_measured(1, ShardLoad { overdue: 0.5, ..busy(0.1) });
        load.handle_measured(2, busy(0.9));
        assert_eq!(load.least(&[9, 0, 0]), 0);
        assert!(load.admit().is_ok(), "one of them still takes legs");
        assert_eq!(load.check(2), Err(Overload::Busy(85)));
    }
}
