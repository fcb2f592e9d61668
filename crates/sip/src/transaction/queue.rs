//! All timers of an engine in one ordered queue: the soonest deadline is always at hand, with its name.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::TimerReason;

/// Who owns a timer. Handles are never reused, so a timer cannot reach a stranger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TimerOwner {
    /// A client transaction.
    Client(u64),
    /// A server transaction.
    Server(u64),
    /// An INVITE usage (see `endpoint`).
    Usage(u64),
}

/// At most one timer per owner and name; equal deadlines fire in a fixed order, so that runs are repeatable.
#[derive(Debug, Default)]
pub(crate) struct TimerQueue {
    by_time: BTreeSet<(Instant, TimerOwner, TimerReason)>,
    by_owner: BTreeMap<(TimerOwner, TimerReason), Instant>,
}

impl TimerQueue {
    /// Starts a timer; one of the same name is replaced.
    pub(crate) fn arm(&mut self, owner: TimerOwner, reason: TimerReason, at: Instant) {
        self.disarm(owner, reason);
        self.by_owner.insert((owner, reason), at);
        self.by_time.insert((at, owner, reason));
    }

    /// Stops a timer, if it runs.
    pub(crate) fn disarm(&mut self, owner: TimerOwner, reason: TimerReason) {
        if let Some(at) = self.by_owner.remove(&(owner, reason)) {
            self.by_time.remove(&(at, owner, reason));
        }
    }

    /// Stops every timer of an owner that is no more.
    pub(crate) fn forget(&mut self, owner: TimerOwner) {
        let first = (owner, TimerReason::TimerA);
        while let Some((&(_, reason), _)) =
            self.by_owner.range(first..).next().filter(|((found, _), _)| *found == owner)
        {
            self.disarm(owner, reason);
        }
    }

    /// The soonest deadline and its name.
    pub(crate) fn next(&self) -> Option<(Instant, TimerReason)> {
        self.by_time.first().map(|(at, _, reason)| (*at, *reason))
    }

    /// Takes the soonest timer if it is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(TimerOwner, TimerReason)> {
        let &(at, owner, reason) = self.by_time.first()?;
        if at > now {
            return None;
        }
        self.disarm(owner, reason);
        Some((owner, reason))
    }

    /// Every timer that runs, the soonest first.
    #[cfg(test)]
    pub(crate) fn all(&self) -> impl Iterator<Item = (Instant, TimerReason)> {
        self.by_time.iter().map(|(at, _, reason)| (*at, *reason))
    }

    /// Whether no timer runs.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.by_time.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_soonest_timer_fires_first_and_carries_its_name() {
        let start = crate::transaction::test_epoch();
        let mut queue = TimerQueue::default();
        queue.arm(TimerOwner::Client(1), TimerReason::TimerB, start + Duration::from_secs(32));
        queue.arm(TimerOwner::Client(1), TimerReason::TimerA, start + Duration::from_millis(500));
        assert_eq!(queue.next(), Some((start + Duration::from_millis(500), TimerReason::TimerA)));
        assert_eq!(queue.pop_due(start), None);
        let due = queue.pop_due(start + Duration::from_secs(1));
        assert_eq!(due, Some((TimerOwner::Client(1), TimerReason::TimerA)));
        assert_eq!(queue.pop_due(start + Duration::from_secs(1)), None);
    }

    #[test]
    fn forgetting_an_owner_stops_all_of_its_timers_and_no_other() {
        let start = crate::transaction::test_epoch();
        let mut queue = TimerQueue::default();
        queue.arm(TimerOwner::Client(1), TimerReason::TimerB, start);
        queue.arm(TimerOwner::Client(1), TimerReason::GlareRetry, start);
        queue.arm(TimerOwner::Client(2), TimerReason::TimerB, start);
        queue.forget(TimerOwner::Client(1));
        assert_eq!(queue.pop_due(start), Some((TimerOwner::Client(2), TimerReason::TimerB)));
        assert!(queue.is_empty());
    }
}
