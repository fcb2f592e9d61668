//! Wrong conference IDs and PINs, counted per caller and per trunk over a sliding window, wrong PINs also per organizer. Past the
//! limit they are judged slower, right and wrong alike: a caller's IDs and PINs, and the PINs of an organizer whoever keys them.

use routing::{E164, OrganizerId, TrunkId};
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
    /// The most callers and organizers remembered; past it the one who erred longest ago is forgotten.
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

/// Whose errors are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Party {
    /// Who keys.
    Caller(E164),
    /// Whose PIN it should be.
    Organizer(OrganizerId),
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
    parties: HashMap<Party, VecDeque<Instant>>,
    trunks: HashMap<TrunkId, VecDeque<Instant>>,
}

impl Defence {
    pub(crate) fn new(config: DefenceConfig) -> Self {
        Self { config, parties: HashMap::new(), trunks: HashMap::new() }
    }

    /// Remembers a wrong ID.
    pub(crate) fn wrong(&mut self, now: Instant, caller: Option<&E164>, trunk: &TrunkId) {
        let window = self.config.window;
        // Trunks come from the configuration, so their number is bounded.
        remember(self.trunks.entry(trunk.clone()).or_default(), now, window, PER_TRUNK);
        if let Some(caller) = caller {
            self.count(now, Party::Caller(caller.clone()));
        }
    }

    /// Remembers a wrong PIN.
    pub(crate) fn wrong_pin(
        &mut self,
        now: Instant,
        caller: Option<&E164>,
        trunk: &TrunkId,
        organizer: &OrganizerId,
    ) {
        self.wrong(now, caller, trunk);
        self.count(now, Party::Organizer(organizer.clone()));
    }

    fn count(&mut self, now: Instant, party: Party) {
        if !self.parties.contains_key(&party) && self.parties.len() >= self.config.callers {
            self.make_room(now);
        }
        let kept = self.config.per_caller + 1;
        remember(self.parties.entry(party).or_default(), now, self.config.window, kept);
    }

    /// How long the judgment of this caller's next ID waits.
    pub(crate) fn delay(&mut self, now: Instant, caller: Option<&E164>) -> Duration {
        caller.map_or(Duration::ZERO, |caller| self.delay_of(now, &Party::Caller(caller.clone())))
    }

    /// How long the check of a PIN waits, by who keys it and whose it should be.
    pub(crate) fn pin_delay(
        &mut self,
        now: Instant,
        caller: Option<&E164>,
        organizer: &OrganizerId,
    ) -> Duration {
        self.delay(now, caller).max(self.delay_of(now, &Party::Organizer(organizer.clone())))
    }

    fn delay_of(&mut self, now: Instant, party: &Party) -> Duration {
        let Some(moments) = self.parties.get_mut(party) else { return Duration::ZERO };
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
        self.parties.retain(|_, moments| {
            forget(moments, now, window);
            !moments.is_empty()
        });
        if self.parties.len() >= self.config.callers {
            let oldest = self.parties.iter().min_by_key(|(_, moments)| moments.back().copied());
            if let Some(party) = oldest.map(|(party, _)| party.clone()) {
                self.parties.remove(&party);
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
    use routing::{E164, OrganizerId, TrunkId};
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
    fn wrong_pins_count_against_the_caller_and_against_whose_they_should_be() {
        let config = DefenceConfig { per_caller: 2, ..DefenceConfig::default() };
        let mut defence = Defence::new(config);
        let (trunk, megan, adele) =
            (TrunkId::new("acme"), OrganizerId::new("megan"), OrganizerId::new("adele"));
        let callers: [E164; 4] =
            ["1", "2", "3", "4"].map(|last| format!("+1425555010{last}").parse().unwrap());
        for caller in &callers[..3] {
            assert_eq!(defence.pin_delay(epoch(), Some(caller), &megan), Duration::ZERO);
            defence.wrong_pin(epoch(), Some(caller), &trunk, &megan);
        }
        assert_eq!(defence.pin_delay(epoch(), Some(&callers[3]), &megan), config.slow_down);
        assert_eq!(defence.pin_delay(epoch(), None, &megan), config.slow_down, "also who hides his number");
        assert_eq!(defence.pin_delay(epoch(), Some(&callers[3]), &adele), Duration::ZERO);
        assert_eq!(defence.delay(epoch(), Some(&callers[0])), Duration::ZERO);
        for _ in 0..2 {
            defence.wrong_pin(epoch(), Some(&callers[0]), &trunk, &megan);
        }
        assert_eq!(defence.delay(epoch(), Some(&callers[0])), config.slow_down, "his IDs wait too");
        assert_eq!(defence.wrong_ids(epoch())[0].in_window, 5);
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
        assert_eq!(defence.parties.len(), 3);
    }
}
