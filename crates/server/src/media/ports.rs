//! Which UDP ports the next leg gets: the ones that have rested longest.
//!
//! A closed leg's ports go to the end of the line and rest for 30 s where the range allows, so that a dead call's
//! late packets never reach the next one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a freed pair should rest.
pub const REST: Duration = Duration::from_secs(30);

/// The even ports of a range, least recently used first. A pair is `port` (RTP) and `port + 1` (RTCP).
#[derive(Debug)]
pub struct Ports {
    free: VecDeque<(u16, Option<Instant>)>,
    total: usize,
    reused_early: u64,
}

impl Ports {
    /// All even ports `p` with `first <= p` and `p + 1 <= last`.
    pub fn new(first: u16, last: u16) -> Self {
        let free: VecDeque<_> =
            (first..last).filter(|port| port.is_multiple_of(2)).map(|port| (port, None)).collect();
        Self { total: free.len(), free, reused_early: 0 }
    }

    /// The pair that has rested longest; `None` when all are in use. On exhaustion of rested pairs the oldest is
    /// taken before its time and counted.
    pub fn take(&mut self, now: Instant) -> Option<u16> {
        let (port, freed) = self.free.pop_front()?;
        if freed.is_some_and(|at| now.saturating_duration_since(at) < REST) {
            self.reused_early += 1;
        }
        Some(port)
    }

    /// Gives a pair back.
    pub fn give_back(&mut self, now: Instant, port: u16) {
        self.free.push_back((port, Some(now)));
    }

    /// Pairs in use and in all.
    pub fn used_of(&self) -> (usize, usize) {
        (self.total - self.free.len(), self.total)
    }

    /// How often a pair was reused before it had rested.
    pub fn reused_early(&self) -> u64 {
        self.reused_early
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_pair_goes_to_the_end_of_the_line_and_early_reuse_is_counted() {
        let start = Instant::now();
        let mut ports = Ports::new(20_000, 20_005);
        assert_eq!(ports.take(start), Some(20_000));
        ports.give_back(start, 20_000);
        assert_eq!(ports.take(start), Some(20_002));
        assert_eq!(ports.take(start), Some(20_004));
        assert_eq!(ports.reused_early(), 0);
        assert_eq!(ports.take(start + Duration::from_secs(1)), Some(20_000));
        assert_eq!(ports.reused_early(), 1);
        assert_eq!(ports.take(start), None);
        assert_eq!(ports.used_of(), (3, 3));
    }
}
