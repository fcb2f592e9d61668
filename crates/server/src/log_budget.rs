//! How many lines strangers may write into our log.

use std::time::{Duration, Instant};

/// Lines a second that peers can cause with broken or unwanted messages.
const LINES_PER_SECOND: u32 = 20;

/// A budget of log lines: what exceeds it is counted and said once it fits again.
#[derive(Debug)]
pub(crate) struct LogBudget {
    second: Instant,
    left: u32,
    unsaid: u64,
}

impl LogBudget {
    pub(crate) fn new(now: Instant) -> Self {
        Self { second: now, left: LINES_PER_SECOND, unsaid: 0 }
    }

    /// Whether a line may be written now, and how many were not since the last one that was.
    pub(crate) fn take(&mut self, now: Instant) -> Option<u64> {
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            self.second = now;
            self.left = LINES_PER_SECOND;
        }
        if self.left == 0 {
            self.unsaid += 1;
            return None;
        }
        self.left -= 1;
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_writes_twenty_lines_a_second_and_says_how_many_it_kept_back() {
        let start = Instant::now();
        let mut budget = LogBudget::new(start);
        let written = (0..1000).filter(|_| budget.take(start).is_some()).count();
        assert_eq!(written, 20);
        assert_eq!(budget.take(start + Duration::from_secs(1)), Some(980));
    }
}
