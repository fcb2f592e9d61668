//! Wrong conference IDs, counted per caller and per trunk over a sliding window. Past the limit a caller's IDs are
//! judged slower, right and wrong alike.

use routing::{E164, TrunkId};
use serde::Serialize;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// How wrong IDs are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefenceConfig {
    /// How long a wrong ID is remembered.
    pub window: Duration,
    /// So many wrong IDs of one caller within the window are a slip; more slow the caller down.
    pub per_caller: usize,
    /// How much slower.
    pub slow_down: Duration,
    /// The most callers remembered; past it the one who erred longest ago is forgotten.
    pub callers: usize,
}

impl Default for DefenceConfig {
    /// More than 10 in 10 minutes cost 3 s each.
    fn default() -> Self {
        Self {
            window: Duration::from_mins(10),
            per_caller: 10,
            slow_down: Duration::from_secs(3),
            callers: 10_000,
        }
    }
}

/// Wrong IDs that came on one trunk within the window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WrongIds {
    /// The trunk.
    pub trunk: TrunkId,
    /// How many; counted up to 10,000.
    pub in_window: usize,
}

/// The most moments kept per trunk.
const PER_TRUNK: usize = 10_000;

/// The memory of wrong IDs. Callers without a number are counted by their trunk only.
#[derive(Debug)]
pub(crate) struct Defence {
    config: DefenceConfig,
    callers: HashMap<E164, VecDeque<Instant>>,
    trunks: HashMap<TrunkId, VecDeque<Instant>>,
}

impl Defence {
    pub(crate) fn new(config: DefenceConfig) -> Self {
        Self { config, callers: HashMap::new(), trunks: HashMap::new() }
    }

    /// Remembers a wrong ID.
    pub(crate) fn wrong(&mut self, now: Instant, caller: Option<&E164>, trunk: &TrunkId) {
        let window = self.config.window;
        // Trunks come from the configuration, so their number is bounded.
        remember(self.trunks.entry(trunk.clone()).or_default(), now, window, PER_TRUNK);
        let Some(caller) = caller else { return };
        if !self.callers.contains_key(caller) && self.callers.len() >= self.config.callers {
            self.make_room(now);
        }
        let kept = self.config.per_caller + 1;
        remember(self.callers.entry(caller.clone()).or_default(), now, window, kept);
    }

    /// How long the judgment of this caller's next ID waits.
    pub(crate) fn delay(&mut self, now: Instant, caller: Option<&E164>) -> Duration {
        let Some(moments) = caller.and_then(|caller| self.callers.get_mut(caller)) else {
            return Duration::ZERO;
        };
        forget(moments, now, self.config.window);
        if moments.len() > self.config.per_caller { self.config.slow_down } else { Duration::ZERO }
    }

    /// Wrong IDs per trunk within the window, by trunk.
    pub(crate) fn wrong_ids(&self, now: Instant) -> Vec<WrongIds> {
        let recent = |moments: &VecDeque<Instant>| {
            moments.iter().filter(|then| now.saturating_duration_since(**then) < self.config.window).count()
        };
        let mut counts: Vec<_> = self
            .trunks
            .iter()
            .map(|(trunk, moments)| WrongIds { trunk: trunk.clone(), in_window: recent(moments) })
            .collect();
        counts.sort_by(|a, b| a.trunk.cmp(&b.trunk));
        counts
    }

    /// Forgets whoever's time is over; if that frees nothing, the caller who erred longest ago.
    fn make_room(&mut self, now: Instant) {
        let window = self.config.window;
        self.callers.retain(|_, moments| {
            forget(moments, now, window);
            !moments.is_empty()
        });
        if self.callers.len() >= self.config.callers {
            let oldest = self.callers.iter().min_by_key(|(_, moments)| moments.back().copied());
            if let Some(caller) = oldest.map(|(caller, _)| caller.clone()) {
                self.callers.remove(&caller);
            }
        }
    }
}

fn remember(moments: &mut VecDeque<Instant>, now: Instant, window: Duration, kept: usize) {
    forget(moments, now, window);
    if moments.len() >= kept {
        moments.pop_front();
    }
    moments.push_back(now);
}

fn forget(moments: &mut VecDeque<Instant>, now: Instant, window: Duration) {
    while moments.front().is_some_and(|then| now.saturating_duration_since(*then) >= window) {
        moments.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::{Defence, DefenceConfig};
    use crate::bridge::tests::epoch;
    use routing::{E164, TrunkId};
    use std::time::Duration;

    #[test]
    fn a_caller_past_the_limit_is_slowed_down_until_the_window_has_passed() {
        let config = DefenceConfig { per_caller: 2, callers: 3, ..DefenceConfig::default() };
        let mut defence = Defence::new(config);
        let trunk = TrunkId::new("acme");
        let caller: E164 = "+14255550100".parse().unwrap();
        let begin = epoch();
        for _ in 0..2 {
            defence.wrong(begin, Some(&caller), &trunk);
            assert_eq!(defence.delay(begin, Some(&caller)), Duration::ZERO);
        }
        defence.wrong(begin, Some(&caller), &trunk);
        assert_eq!(defence.delay(begin, Some(&caller)), config.slow_down);
        assert_eq!(defence.wrong_ids(begin)[0].in_window, 3);
        let later = begin + config.window;
        assert_eq!(defence.delay(later, Some(&caller)), Duration::ZERO);
        assert_eq!(defence.wrong_ids(later)[0].in_window, 0);
    }

    #[test]
    fn memory_is_bounded_however_many_callers_err() {
        let config = DefenceConfig { callers: 3, ..DefenceConfig::default() };
        let mut defence = Defence::new(config);
        let trunk = TrunkId::new("acme");
        for index in 0..100_u64 {
            let caller: E164 = format!("+1425555{index:04}").parse().unwrap();
            defence.wrong(epoch() + Duration::from_secs(index), Some(&caller), &trunk);
        }
        assert_eq!(defence.callers.len(), 3);
    }
}
