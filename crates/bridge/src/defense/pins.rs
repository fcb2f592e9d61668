//! Who tries an organizer's PIN stands in line with all others who do so, on whatever line: one check at a time, and once wrong ones
//! pile up a growing gap between two checks.
//!
//! The gap bounds how many PINs can be tried, however many lines try. It must not lock the organizer out, and from a keyed PIN alone
//! nobody can tell him from those who guess. What tells them apart is where they call from. Lines are checked in this order:
//!
//! 1. a number that has shown the PIN before, on the same trunk, and has not failed three times since: at once;
//! 2. a number that has not failed, on a trunk where nobody has failed for this organizer: at once. Who guesses has one try so on
//!    each trunk, then that trunk is one where somebody has failed;
//! 3. a number that has not failed, or a hidden one, on whatever trunk: after the gap;
//! 4. who has failed: after the gap, when nobody else waits.
//!
//! So an organizer waits for the check under way, unless he calls from a strange number on the very trunk that is being used to guess.

use super::DefenseConfig;
use super::alarm::{Alarm, AlarmLevel, AlarmScope, Guessed};
use crate::id::LegId;
use routing::{E164, OrganizerId, TrunkId};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Failures kept for each organizer: more than the most free tries that may be configured, 60, and the most steps that the gap grows by,
/// 60 of a second.
const FAILURES: usize = 128;
/// Numbers kept for each organizer that have shown the PIN.
const KNOWN: usize = 4;
/// So often a number that has shown the PIN may fail within the window before it is one like any other.
const SLIPS: usize = 3;

/// Where a PIN is keyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) number: Option<E164>,
    pub(crate) trunk: TrunkId,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Right,
    /// Also when nobody waited for the outcome.
    Wrong,
}

/// Who is checked before whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Known,
    Clean,
    Strange,
    Failed,
}

impl Rank {
    fn waits_for_the_gap(self) -> bool {
        self >= Self::Strange
    }
}

/// What is remembered for one organizer.
#[derive(Debug, Default)]
struct Guarded {
    failures: VecDeque<(Instant, Line)>,
    known: VecDeque<Line>,
    /// When the last check began.
    begun: Option<Instant>,
    under_way: Option<(LegId, Line)>,
    /// In the order in which they came, each with its rank by what is remembered.
    waiting: Vec<(LegId, Line, Rank)>,
    told: Option<Instant>,
}

impl Guarded {
    fn forget(&mut self, now: Instant, window: Duration) {
        let before = self.failures.len();
        while self.failures.front().is_some_and(|(then, _)| now.saturating_duration_since(*then) >= window) {
            self.failures.pop_front();
        }
        if self.failures.len() < before {
            self.rank_all();
        }
    }

    /// After what is remembered has changed. Nobody is ranked anew otherwise: thousands may wait.
    fn rank_all(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        for (_, line, rank) in &mut waiting {
            *rank = self.rank(line);
        }
        self.waiting = waiting;
    }

    fn rank(&self, line: &Line) -> Rank {
        let number = line.number.as_ref();
        let slips =
            self.failures.iter().filter(|(_, failed)| number.is_some() && failed.number.as_ref() == number);
        let slips = slips.count();
        if self.known.contains(line) && slips < SLIPS {
            Rank::Known
        } else if slips > 0 {
            Rank::Failed
        } else if number.is_some() && !self.failures.iter().any(|(_, failed)| failed.trunk == line.trunk) {
            Rank::Clean
        } else {
            Rank::Strange
        }
    }

    fn gap(&self, config: &DefenseConfig) -> Duration {
        let beyond = self.failures.len().saturating_sub(config.pin_free);
        config.pin_gap.saturating_mul(u32::try_from(beyond).unwrap_or(u32::MAX)).min(config.pin_gap_most)
    }

    /// Who is checked next, and when; nobody while a check is under way.
    fn next(&self, config: &DefenseConfig) -> Option<(Instant, usize)> {
        let begun = self.begun.filter(|_| self.under_way.is_none())?;
        let ranks = self.waiting.iter().map(|(_, _, rank)| *rank).enumerate();
        let (index, rank) = ranks.min_by_key(|(index, rank)| (*rank, *index))?;
        let gap = if rank.waits_for_the_gap() { self.gap(config) } else { Duration::ZERO };
        Some((begun + gap, index))
    }

    fn begin(&mut self, now: Instant, leg: LegId, line: Line) {
        self.begun = Some(now);
        self.under_way = Some((leg, line));
    }

    fn is_idle(&self) -> bool {
        self.under_way.is_none() && self.waiting.is_empty()
    }
}

/// The lines before the checks.
#[derive(Debug)]
pub(crate) struct PinQueue {
    config: DefenseConfig,
    organizers: HashMap<OrganizerId, Guarded>,
    /// Whose PIN a leg waits for.
    of_leg: HashMap<LegId, OrganizerId>,
    /// When somebody's turn comes, for those organizers for whom somebody waits.
    turns: BTreeSet<(Instant, OrganizerId)>,
    scheduled: HashMap<OrganizerId, Instant>,
    alarms: Vec<Alarm>,
}

impl PinQueue {
    pub(crate) fn new(config: DefenseConfig) -> Self {
        Self {
            config,
            organizers: HashMap::new(),
            of_leg: HashMap::new(),
            turns: BTreeSet::new(),
            scheduled: HashMap::new(),
            alarms: Vec::new(),
        }
    }

    /// Other limits, also for who waits already.
    pub(crate) fn change(&mut self, config: DefenseConfig) {
        self.config = config;
        let waited_for: Vec<OrganizerId> = self.scheduled.keys().cloned().collect();
        for organizer in waited_for {
            self.schedule(&organizer);
        }
    }

    /// A PIN has been keyed: whether it is checked at once. Otherwise [`PinQueue::due`] tells when.
    pub(crate) fn ask(&mut self, now: Instant, organizer: &OrganizerId, leg: LegId, line: Line) -> bool {
        self.leave(now, leg);
        if !self.organizers.contains_key(organizer) && self.organizers.len() >= self.config.callers {
            self.make_room();
        }
        let config = self.config;
        let guarded = self.organizers.entry(organizer.clone()).or_default();
        guarded.forget(now, config.window);
        let rank = guarded.rank(&line);
        let gap = if rank.waits_for_the_gap() { guarded.gap(&config) } else { Duration::ZERO };
        let free = guarded.begun.is_none_or(|begun| begun + gap <= now);
        let ahead = guarded.waiting.iter().any(|(_, _, other)| *other <= rank);
        self.of_leg.insert(leg, organizer.clone());
        if guarded.under_way.is_none() && free && !ahead {
            guarded.begin(now, leg, line);
            self.schedule(organizer);
            return true;
        }
        guarded.waiting.push((leg, line, rank));
        self.schedule(organizer);
        false
    }

    /// When [`PinQueue::due`] has somebody.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.turns.first().map(|(due, _)| *due)
    }

    /// A leg whose turn it is; its check begins.
    pub(crate) fn due(&mut self, now: Instant) -> Option<LegId> {
        let (_, organizer) = self.turns.first().filter(|(due, _)| *due <= now)?.clone();
        let config = self.config;
        let guarded = self.organizers.get_mut(&organizer)?;
        guarded.forget(now, config.window);
        let turn = guarded.next(&config).filter(|(due, _)| *due <= now).map(|(_, index)| index);
        let leg = turn.map(|index| {
            let (leg, line, _) = guarded.waiting.remove(index);
            guarded.begin(now, leg, line);
            leg
        });
        self.schedule(&organizer);
        leg
    }

    /// A check is done.
    pub(crate) fn done(&mut self, now: Instant, leg: LegId, outcome: Outcome) {
        let Some(organizer) = self.of_leg.get(&leg).cloned() else { return };
        let config = self.config;
        let Some(guarded) = self.organizers.get_mut(&organizer) else { return };
        let Some((_, line)) = guarded.under_way.take_if(|(under_way, _)| *under_way == leg) else { return };
        self.of_leg.remove(&leg);
        guarded.forget(now, config.window);
        match outcome {
            Outcome::Right => {
                guarded
                    .failures
                    .retain(|(_, failed)| failed.number.is_none() || failed.number != line.number);
                if line.number.is_some() && !guarded.known.contains(&line) {
                    if guarded.known.len() >= KNOWN {
                        guarded.known.pop_front();
                    }
                    guarded.known.push_back(line);
                }
            }
            Outcome::Wrong => {
                if guarded.failures.len() >= FAILURES {
                    guarded.failures.pop_front();
                }
                guarded.failures.push_back((now, line));
                let wrong = guarded.failures.len();
                let recent =
                    guarded.told.is_some_and(|told| now.saturating_duration_since(told) < config.window);
                if wrong > config.pin_alarm && !recent {
                    guarded.told = Some(now);
                    let (scope, level) = (AlarmScope::Organizer(organizer.clone()), AlarmLevel::Slowed);
                    self.alarms.push(Alarm { guessed: Guessed::Pins, scope, level, wrong, hits: 0 });
                }
            }
        }
        guarded.rank_all();
        self.schedule(&organizer);
    }

    /// A leg waits no more. A check whose outcome nobody waits for counts as a wrong one: hanging up is no way out.
    pub(crate) fn leave(&mut self, now: Instant, leg: LegId) {
        self.done(now, leg, Outcome::Wrong);
        let Some(organizer) = self.of_leg.remove(&leg) else { return };
        if let Some(guarded) = self.organizers.get_mut(&organizer) {
            guarded.waiting.retain(|(other, _, _)| *other != leg);
        }
        self.schedule(&organizer);
    }

    /// What there is to tell since the last look.
    pub(crate) fn alarms(&mut self) -> Vec<Alarm> {
        std::mem::take(&mut self.alarms)
    }

    fn schedule(&mut self, organizer: &OrganizerId) {
        if let Some(due) = self.scheduled.remove(organizer) {
            self.turns.remove(&(due, organizer.clone()));
        }
        let guarded = self.organizers.get(organizer);
        if let Some((due, _)) = guarded.and_then(|guarded| guarded.next(&self.config)) {
            self.turns.insert((due, organizer.clone()));
            self.scheduled.insert(organizer.clone(), due);
        }
    }

    /// Forgets the organizer for whom nobody waits and whose last check was longest ago.
    fn make_room(&mut self) {
        let idle = self.organizers.iter().filter(|(_, guarded)| guarded.is_idle());
        let oldest = idle.min_by_key(|(_, guarded)| guarded.begun).map(|(organizer, _)| organizer.clone());
        if let Some(organizer) = oldest {
            self.organizers.remove(&organizer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FAILURES, Line, Outcome, PinQueue, SLIPS};
    use crate::bridge::tests::epoch;
    use crate::defense::DefenseConfig;
    use crate::id::LegId;
    use routing::{OrganizerId, TrunkId};
    use std::time::Duration;

    fn line(number: &str, trunk: &str) -> Line {
        Line { number: number.parse().ok(), trunk: TrunkId::new(trunk) }
    }

    #[test]
    fn who_shows_the_organizer_s_own_number_and_fails_thrice_has_it_no_more() {
        let mut queue = PinQueue::new(DefenseConfig::default());
        let (megan, now) = (OrganizerId::new("megan"), epoch());
        assert!(queue.ask(now, &megan, LegId(0), line("+14255550100", "acme")));
        queue.done(now, LegId(0), Outcome::Right);
        for leg in 1..=5 {
            assert!(
                queue.ask(now, &megan, LegId(leg), line(&format!("+1425555020{leg}"), "acme")) == (leg < 5)
            );
            queue.done(now, LegId(leg), Outcome::Wrong);
        }
        queue.leave(now, LegId(5));
        for leg in 10..10 + SLIPS as u64 {
            assert!(queue.ask(now, &megan, LegId(leg), line("+14255550100", "acme")), "{leg}");
            queue.done(now, LegId(leg), Outcome::Wrong);
        }
        assert!(!queue.ask(now, &megan, LegId(20), line("+14255550100", "acme")));
        assert!(!queue.ask(now, &megan, LegId(21), line("+14255550100", "other")), "it has failed anywhere");
        let later = now + Duration::from_secs(10);
        assert_eq!(queue.due(later), Some(LegId(20)), "after the gap");
        assert_eq!(queue.due(later), None, "one at a time");
    }

    #[test]
    fn the_widest_gap_is_reached_after_as_many_free_tries_as_may_be_configured() {
        let config = DefenseConfig {
            pin_free: 60,
            pin_gap: Duration::from_secs(1),
            pin_gap_most: Duration::from_secs(10),
            window: Duration::from_hours(24),
            ..DefenseConfig::default()
        };
        let mut queue = PinQueue::new(config);
        let (megan, mut now) = (OrganizerId::new("megan"), epoch());
        for leg in (0..75).map(LegId) {
            if !queue.ask(now, &megan, leg, line("hidden", "acme")) {
                now += Duration::from_secs(10);
                assert_eq!(queue.due(now), Some(leg));
            }
            queue.done(now, leg, Outcome::Wrong);
        }
        assert!(!queue.ask(now, &megan, LegId(80), line("hidden", "acme")));
        assert_eq!(queue.poll_timeout(), Some(now + Duration::from_secs(10)));
    }

    #[test]
    fn memory_is_bounded_however_many_pins_are_tried() {
        let config = DefenseConfig { callers: 3, ..DefenseConfig::default() };
        let mut queue = PinQueue::new(config);
        for index in 0..1000_u64 {
            let now = epoch() + Duration::from_secs(index);
            let organizer = OrganizerId::new(format!("organizer-{}", index % 10));
            queue.ask(now, &organizer, LegId(index), line(&format!("+1425555{index:04}"), "acme"));
            queue.done(now, LegId(index), Outcome::Wrong);
            queue.leave(now, LegId(index));
        }
        assert!(queue.organizers.len() <= 3 && queue.of_leg.is_empty() && queue.turns.is_empty());
        assert!(queue.organizers.values().all(|guarded| guarded.failures.len() <= FAILURES));
    }
}
