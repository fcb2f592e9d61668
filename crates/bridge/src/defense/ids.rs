//! Wrong conference IDs: who is slowed down, and who is not heard.

use super::DefenseConfig;
use super::alarm::{Alarm, AlarmLevel, AlarmScope, Guessed};
use super::window::{Count, Known, Window};
use routing::{E164, TenantId, TrunkId};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

/// How long it is remembered that a caller has keyed an ID that exists.
const PROVEN: Duration = Duration::from_hours(24);

/// Wrong IDs and PINs that came on one trunk within the window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WrongIds {
    /// The trunk.
    pub trunk: TrunkId,
    /// How many.
    pub in_window: usize,
}

/// Who keys, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keyer {
    pub(crate) number: Option<E164>,
    pub(crate) trunk: TrunkId,
    /// Whose the dialed number is, where it is one tenant's alone.
    pub(crate) tenant: Option<TenantId>,
}

/// What becomes of an entry. It is decided before anybody looks whether it is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is judged, after so long.
    Judge(Duration),
    /// It is not looked at; the caller learns that no sooner.
    Refuse(Duration),
}

/// Who counts alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Party {
    Number(E164),
    /// Everybody on the trunk who hides his number.
    Anonymous(TrunkId),
}

/// Who counts together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Crowd {
    Bridge,
    Tenant(TenantId),
    Trunk(TrunkId),
}

/// What is done about somebody, or about all of a place.
#[derive(Debug, Default)]
struct Stance {
    level: AlarmLevel,
    /// Since when it is not calm.
    since: Option<Instant>,
    /// When the next entry is judged where most are refused.
    next: Option<Instant>,
    /// The highest level that was told, and when.
    told: Option<(Instant, AlarmLevel)>,
}

impl Stance {
    /// Takes a level; whether that is to be told.
    fn take(&mut self, now: Instant, window: Duration, level: AlarmLevel) -> bool {
        self.level = level;
        if level == AlarmLevel::Calm {
            self.since = None;
            return false;
        }
        self.since.get_or_insert(now);
        let recent =
            self.told.filter(|(told, _)| now.saturating_duration_since(*told) < window).map(|told| told.1);
        let news = recent.is_none_or(|recent| recent < level);
        if news {
            self.told = Some((now, level));
        }
        news
    }

    fn refuses(&self, now: Instant) -> bool {
        self.level == AlarmLevel::Refused && self.next.is_some_and(|next| now < next)
    }
}

/// The memory of wrong IDs.
#[derive(Debug)]
pub(crate) struct IdGuard {
    config: DefenseConfig,
    /// 1 KiB each, see [`Window`].
    parties: HashMap<Party, (Window, Stance)>,
    /// Trunks and tenants come from the configuration, so their number is bounded.
    crowds: BTreeMap<Crowd, (Window, Stance)>,
    /// The IDs that exist, for those crowds of which it counts how many do.
    known: BTreeMap<Crowd, Known>,
    /// Who has keyed an ID that exists, and when first; the oldest first in the queue.
    proven: HashMap<E164, Instant>,
    proven_order: VecDeque<E164>,
    alarms: Vec<Alarm>,
}

impl IdGuard {
    pub(crate) fn new(config: DefenseConfig) -> Self {
        Self {
            config,
            parties: HashMap::new(),
            crowds: BTreeMap::new(),
            known: BTreeMap::new(),
            proven: HashMap::new(),
            proven_order: VecDeque::new(),
            alarms: Vec::new(),
        }
    }

    /// Other limits, also for what is counted already.
    pub(crate) fn change(&mut self, config: DefenseConfig) {
        self.config = config;
    }

    /// What becomes of an entry of this caller's.
    pub(crate) fn judge(&mut self, now: Instant, keyer: &Keyer) -> Verdict {
        let party = party(keyer);
        let known = self.parties.contains_key(&party);
        if known {
            self.review_party(now, &party, keyer);
        }
        let crowds = crowds(keyer);
        for crowd in &crowds {
            self.review_crowd(now, crowd);
        }
        let proven = keyer.number.as_ref().filter(|_| !known).and_then(|number| self.proven.get(number));
        let proven = proven.copied().filter(|then| now.saturating_duration_since(*then) < PROVEN);
        // Who was proven before the trouble began is none of those who make it.
        let concerned =
            |stance: &Stance| proven.is_none_or(|then| stance.since.is_some_and(|since| since <= then));
        let mut stances: Vec<&mut Stance> = Vec::with_capacity(crowds.len() + 1);
        stances.extend(self.parties.get_mut(&party).map(|(_, stance)| stance));
        for (crowd, (_, stance)) in &mut self.crowds {
            if crowds.contains(crowd) && concerned(stance) {
                stances.push(stance);
            }
        }
        if stances.iter().all(|stance| stance.level == AlarmLevel::Calm) {
            return Verdict::Judge(Duration::ZERO);
        }
        if stances.iter().any(|stance| stance.refuses(now)) {
            return Verdict::Refuse(self.config.slow_down);
        }
        for stance in stances.iter_mut().filter(|stance| stance.level == AlarmLevel::Refused) {
            stance.next = Some(now + self.config.slow_down);
        }
        Verdict::Judge(self.config.slow_down)
    }

    /// An ID that exists, after so many slips of the finger. Each ID counts only so often within the window: who knows one that
    /// exists does not cover his guesses by keying it again and again. Nor do many people who join one meeting raise an alarm
    /// by their slips.
    pub(crate) fn hit(&mut self, now: Instant, keyer: &Keyer, id: &str, slips: u32) {
        let (window, most) = (self.config.window, same_id(&self.config));
        for crowd in crowds(keyer) {
            let counts = match crowd {
                Crowd::Tenant(_) => true,
                _ => self.known.entry(crowd.clone()).or_default().counts(now, window, id, most),
            };
            self.count(now, &crowd, Count { hits: counts.into(), slips, ..Count::default() });
        }
        let Some(number) = &keyer.number else { return };
        let fresh = self.proven.get(number).is_some_and(|then| now.saturating_duration_since(*then) < PROVEN);
        if fresh || self.parties.contains_key(&party(keyer)) {
            return;
        }
        if self.proven.remove(number).is_some() {
            self.proven_order.retain(|other| other != number);
        } else if self.proven.len() >= self.config.callers
            && let Some(oldest) = self.proven_order.pop_front()
        {
            self.proven.remove(&oldest);
        }
        self.proven.insert(number.clone(), now);
        self.proven_order.push_back(number.clone());
    }

    /// An ID that does not exist, is barred, or another tenant's.
    pub(crate) fn miss(&mut self, now: Instant, keyer: &Keyer) {
        self.err(now, keyer, Count { misses: 1, ..Count::default() });
    }

    /// A wrong PIN counts as well, but says nothing about which IDs exist.
    pub(crate) fn wrong_pin(&mut self, now: Instant, keyer: &Keyer) {
        self.err(now, keyer, Count { pins: 1, ..Count::default() });
    }

    /// What there is to tell since the last look.
    pub(crate) fn alarms(&mut self) -> Vec<Alarm> {
        std::mem::take(&mut self.alarms)
    }

    /// What was wrong within the window, by trunk.
    pub(crate) fn wrong_ids(&self, now: Instant) -> Vec<WrongIds> {
        let of_trunk = |(crowd, (window, _)): (&Crowd, &(Window, Stance))| match crowd {
            Crowd::Trunk(trunk) => {
                let in_window = window.count(now, self.config.window).wrong();
                Some(WrongIds { trunk: trunk.clone(), in_window })
            }
            _ => None,
        };
        self.crowds.iter().filter_map(of_trunk).collect()
    }

    fn count(&mut self, now: Instant, crowd: &Crowd, what: Count) {
        self.crowds.entry(crowd.clone()).or_default().0.add(now, self.config.window, what);
        self.review_crowd(now, crowd);
    }

    fn err(&mut self, now: Instant, keyer: &Keyer, what: Count) {
        for crowd in crowds(keyer) {
            self.count(now, &crowd, what);
        }
        if let Some(number) = keyer.number.as_ref().filter(|number| self.proven.remove(*number).is_some()) {
            self.proven_order.retain(|other| other != number);
        }
        let party = party(keyer);
        if !self.parties.contains_key(&party) && self.parties.len() >= self.config.callers {
            self.make_room(now);
        }
        self.parties.entry(party.clone()).or_default().0.add(now, self.config.window, what);
        self.review_party(now, &party, keyer);
    }

    fn limit(&self, party: &Party) -> usize {
        match party {
            Party::Number(_) => self.config.per_caller,
            Party::Anonymous(_) => self.config.per_anonymous,
        }
    }

    fn review_party(&mut self, now: Instant, party: &Party, keyer: &Keyer) {
        let (limit, config) = (self.limit(party), self.config);
        let Some((window, stance)) = self.parties.get_mut(party) else { return };
        let wrong = window.count(now, config.window).wrong();
        let level = by_count(wrong, limit, config.refuse_factor);
        if stance.take(now, config.window, level) {
            let trunk = keyer.trunk.clone();
            let scope = match party {
                Party::Number(_) => AlarmScope::Caller(trunk),
                Party::Anonymous(_) => AlarmScope::Anonymous(trunk),
            };
            self.alarms.push(Alarm { guessed: Guessed::Ids, scope, level, wrong, hits: 0 });
        }
        if wrong == 0 {
            self.parties.remove(party);
        }
    }

    fn review_crowd(&mut self, now: Instant, crowd: &Crowd) {
        let config = self.config;
        let Some((window, stance)) = self.crowds.get_mut(crowd) else { return };
        let count = window.count(now, config.window);
        let level = match crowd {
            Crowd::Bridge => by_ratio(count, &config),
            Crowd::Trunk(_) => {
                by_count(count.wrong(), config.per_trunk, config.refuse_factor).max(by_ratio(count, &config))
            }
            Crowd::Tenant(_) => by_count(count.wrong(), config.per_tenant, config.refuse_factor),
        };
        if stance.take(now, config.window, level) {
            let scope = match crowd.clone() {
                Crowd::Bridge => AlarmScope::Bridge,
                Crowd::Trunk(trunk) => AlarmScope::Trunk(trunk),
                Crowd::Tenant(tenant) => AlarmScope::Tenant(tenant),
            };
            let (wrong, hits) = (count.wrong(), count.hits as usize);
            self.alarms.push(Alarm { guessed: Guessed::Ids, scope, level, wrong, hits });
        }
    }

    /// Forgets whoever's time is over; if that frees nothing, the caller who erred longest ago.
    fn make_room(&mut self, now: Instant) {
        let length = self.config.window;
        self.parties.retain(|_, (window, _)| window.count(now, length).wrong() > 0);
        if self.parties.len() >= self.config.callers {
            let oldest = self.parties.iter().min_by_key(|(_, (window, _))| window.last());
            if let Some(party) = oldest.map(|(party, _)| party.clone()) {
                self.parties.remove(&party);
            }
        }
    }
}

fn party(keyer: &Keyer) -> Party {
    keyer.number.clone().map_or_else(|| Party::Anonymous(keyer.trunk.clone()), Party::Number)
}

fn crowds(keyer: &Keyer) -> Vec<Crowd> {
    let tenant = keyer.tenant.clone().map(Crowd::Tenant);
    [Crowd::Bridge, Crowd::Trunk(keyer.trunk.clone())].into_iter().chain(tenant).collect()
}

fn by_count(wrong: usize, limit: usize, refuse_factor: usize) -> AlarmLevel {
    if wrong > limit.saturating_mul(refuse_factor) {
        AlarmLevel::Refused
    } else if wrong > limit {
        AlarmLevel::Slowed
    } else {
        AlarmLevel::Calm
    }
}

/// How many of the IDs that were keyed exist: people find a meeting, a program that counts through the numbers finds none. A slip of
/// the finger is neither.
fn by_ratio(count: Count, config: &DefenseConfig) -> AlarmLevel {
    let (hits, misses) = (count.hits as usize, count.misses.saturating_sub(count.slips) as usize);
    let entries = hits + misses;
    let beyond = |percent: u8| misses * 100 > entries * usize::from(percent);
    if entries < config.ratio_entries {
        AlarmLevel::Calm
    } else if beyond(config.refuse_misses_percent) {
        AlarmLevel::Refused
    } else if beyond(config.slow_misses_percent) {
        AlarmLevel::Slowed
    } else {
        AlarmLevel::Calm
    }
}

/// How often one ID counts within the window: never so often that it makes up for more misses than the fewest entries that are looked
/// at may have.
fn same_id(config: &DefenseConfig) -> usize {
    let found = usize::from(100_u8.saturating_sub(config.slow_misses_percent));
    (config.ratio_entries * found / 100).max(1)
}

#[cfg(test)]
mod tests {
    use super::{IdGuard, Keyer, Verdict};
    use crate::bridge::tests::epoch;
    use crate::defense::DefenseConfig;
    use routing::TrunkId;
    use std::time::Duration;

    fn keyer(number: &str) -> Keyer {
        Keyer { number: number.parse().ok(), trunk: TrunkId::new("acme"), tenant: None }
    }

    #[test]
    fn a_caller_past_the_limit_is_slowed_down_until_the_window_has_passed_and_far_past_it_not_heard() {
        let config = DefenseConfig { per_caller: 2, ..DefenseConfig::default() };
        let mut guard = IdGuard::new(config);
        let (eve, begin) = (keyer("+14255550100"), epoch());
        for _ in 0..2 {
            guard.miss(begin, &eve);
            assert_eq!(guard.judge(begin, &eve), Verdict::Judge(Duration::ZERO));
        }
        guard.miss(begin, &eve);
        assert_eq!(guard.judge(begin, &eve), Verdict::Judge(config.slow_down));
        assert_eq!(guard.wrong_ids(begin)[0].in_window, 3);
        (0..4).for_each(|_| guard.miss(begin, &eve));
        assert_eq!(guard.judge(begin, &eve), Verdict::Judge(config.slow_down), "one in a while");
        assert_eq!(guard.judge(begin, &eve), Verdict::Refuse(config.slow_down));
        assert_eq!(guard.judge(begin + config.slow_down, &eve), Verdict::Judge(config.slow_down));
        assert_eq!(guard.judge(begin, &keyer("+14255550101")), Verdict::Judge(Duration::ZERO));
        let later = begin + config.window;
        assert_eq!(guard.judge(later, &eve), Verdict::Judge(Duration::ZERO));
        assert_eq!(guard.wrong_ids(later)[0].in_window, 0);
        assert_eq!(guard.alarms().len(), 2, "slowed, refused");
    }

    #[test]
    fn a_wrong_pin_counts_against_the_caller_but_not_against_the_ids() {
        let mut guard =
            IdGuard::new(DefenseConfig { per_caller: 100, ratio_entries: 10, ..DefenseConfig::default() });
        let eve = keyer("+14255550100");
        for _ in 0..50 {
            guard.wrong_pin(epoch(), &eve);
        }
        assert_eq!(guard.judge(epoch(), &eve), Verdict::Judge(Duration::ZERO), "these were no IDs");
        for _ in 0..51 {
            guard.wrong_pin(epoch(), &eve);
        }
        assert_ne!(guard.judge(epoch(), &eve), Verdict::Judge(Duration::ZERO));
    }

    #[test]
    fn memory_is_bounded_however_many_callers_err() {
        let mut guard = IdGuard::new(DefenseConfig { callers: 3, ..DefenseConfig::default() });
        for index in 0..100_u64 {
            let now = epoch() + Duration::from_secs(index);
            guard.miss(now, &keyer(&format!("+1425555{index:04}")));
            guard.hit(now, &keyer(&format!("+1425556{index:04}")), "111111111", 0);
        }
        assert_eq!((guard.parties.len(), guard.proven.len(), guard.proven_order.len()), (3, 3, 3));
    }

    #[test]
    fn an_id_that_somebody_knows_to_exist_does_not_cover_those_he_guesses() {
        let mut guard = IdGuard::new(DefenseConfig { per_anonymous: 10_000, ..DefenseConfig::default() });
        let mut guesses = 0;
        while guard.judge(epoch(), &keyer("hidden")) == Verdict::Judge(Duration::ZERO) {
            guard.miss(epoch(), &keyer("hidden"));
            (0..3).for_each(|_| guard.hit(epoch(), &keyer("hidden"), "111111111", 0));
            guesses += 1;
            assert!(guesses < 100, "{guesses}");
        }
        // 24 hits of 60 entries are what is calm at the least, so the ID counts 24 times.
        assert_eq!(guesses, 37);
    }

    #[test]
    fn a_thousand_people_who_join_one_meeting_and_slip_now_and_then_raise_no_alarm() {
        let mut guard = IdGuard::new(DefenseConfig::default());
        for index in 0..1000 {
            let caller = keyer(&format!("+1425555{index:04}"));
            let slips = u32::from(index % 10 == 0);
            (0..slips).for_each(|_| guard.miss(epoch(), &caller));
            guard.hit(epoch(), &caller, "111111111", slips);
        }
        assert_eq!(guard.alarms(), []);
        assert_eq!(guard.judge(epoch(), &keyer("+14255560000")), Verdict::Judge(Duration::ZERO));
    }
}
