//! Legs that run: what they take next, who must be warned, who must end.

use super::claims::{Claim, Held};
use super::{Budget, BudgetKind, BudgetNotice, Running, kind};
use crate::id::LegId;
use crate::tariff::Limit;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

/// A leg that the limit ends within this time is warned.
const WARNING: Duration = Duration::from_mins(1);
/// How often the guard looks.
pub(crate) const RHYTHM: Duration = Duration::from_secs(1);
/// It looks ahead to its next look, and how late that may be.
const AHEAD: Duration = Duration::from_millis(1250);

/// What the guard wants done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The limit ends these within a minute; each is named once.
    pub(crate) warn: Vec<LegId>,
    /// These must end now, each with what it has run against.
    pub(crate) stop: Vec<(LegId, BudgetKind)>,
    /// What has come to 80 or 100 per cent.
    pub(crate) notices: Vec<BudgetNotice>,
}

/// What the legs need to go on to some moment.
#[derive(Debug, Default)]
struct Need {
    wider: Vec<(LegId, Claim)>,
    /// Those for whom there is not enough.
    short: BTreeMap<LegId, BudgetKind>,
}

impl Budget {
    /// Whether the guard has anything to look at.
    pub(crate) fn must_guard(&self) -> bool {
        self.guarded > 0
    }

    /// Looks at every leg that runs.
    pub(crate) fn guard(&mut self, now: Instant, wall: SystemTime) -> Verdict {
        self.turn(wall);
        let mut stop = self.passed();
        let Need { wider, short } = self.need(now + AHEAD);
        stop.extend(short);
        for (leg, claim) in wider {
            if !stop.contains_key(&leg) {
                self.hold(leg, claim);
            }
        }
        let mut warn: Vec<LegId> = self.need(now + WARNING).short.into_keys().collect();
        warn.retain(|leg| {
            let running = self.running.get_mut(leg).filter(|_| !stop.contains_key(leg));
            running.is_some_and(|running| !std::mem::replace(&mut running.warned, true))
        });
        Verdict { warn, stop: stop.into_iter().collect(), notices: self.notices_of_all() }
    }

    /// Legs that were just answered though what is held is beyond a limit of theirs: somebody else has used more than could
    /// be foreseen.
    fn passed(&mut self) -> BTreeMap<LegId, BudgetKind> {
        let mut fresh = Vec::new();
        for (&leg, running) in &mut self.running {
            if running.answered.is_some() && running.guarded && !std::mem::replace(&mut running.seen, true) {
                fresh.push(leg);
            }
        }
        let beyond = |leg: LegId| Some((leg, self.beyond(self.running.get(&leg)?)?));
        fresh.into_iter().filter_map(beyond).collect()
    }

    fn beyond(&self, running: &Running) -> Option<BudgetKind> {
        let tenant = &running.who.tenant;
        let pool = self.spending.pool_used(tenant).saturating_add(self.claims.pool(tenant));
        let bare = running.price.is_bare(&running.who) && running.claim.pool > 0;
        if bare && pool > self.pools.get(tenant).copied().unwrap_or(0) {
            return Some(BudgetKind::MinutePool);
        }
        let (currency, _) = running.price.cost(running.claim)?;
        let limits = running.watched.iter().flat_map(|scope| {
            self.tariffs.limits.of(scope).flat_map(Limit::money).map(move |money| (scope, money))
        });
        let mut counted = limits.filter(|(_, (_, most))| most.currency == currency);
        let passed = counted.find(|(scope, (period, most))| {
            let spent = self.spending.spent(scope, currency, *period);
            spent.saturating_add(self.claims.money(scope, currency)) > most.micros.0
        });
        passed.map(|(_, (period, _))| kind(period))
    }

    /// What everybody who was answered needs to go on to this moment. Of a minute pool the legs that came first get what is left.
    /// Where a limit on money has not enough for all, none of those who need more goes on: so each of them can be told in time.
    fn need(&self, until: Instant) -> Need {
        let mut need = Need::default();
        let mut wanted = Held::default();
        for (&leg, running) in self.running.iter().filter(|(_, running)| running.guarded) {
            let Some(answered) = running.answered else { continue };
            let lasts = until.saturating_duration_since(answered);
            let seconds = running.price.rounding.billed_seconds(lasts);
            if seconds <= running.claim.seconds {
                continue;
            }
            let (who, price, held) = (&running.who, &running.price, running.claim);
            let claim = self.widened(who, price, held, seconds, &wanted);
            if let Some(obstacle) = self.beyond_the_pool(who, &running.watched, price, held, claim) {
                need.short.insert(leg, obstacle.kind());
                continue;
            }
            wanted.add_pool(&who.tenant, claim.pool - held.pool);
            if let Some((currency, micros)) = price.growth(held, claim) {
                wanted.add_money(&running.watched, currency, micros);
            }
            need.wider.push((leg, claim));
        }
        for (leg, claim) in &need.wider {
            let Some(running) = self.running.get(leg) else { continue };
            let (price, held) = (&running.price, running.claim);
            let obstacle = self.beyond_a_limit(&running.watched, price, held, *claim, &wanted);
            need.short.extend(obstacle.map(|obstacle| (*leg, obstacle.kind())));
        }
        need
    }

    fn notices_of_all(&mut self) -> Vec<BudgetNotice> {
        let running = self.running.values().filter(|leg| leg.guarded && leg.answered.is_some());
        // Whoever shares all three scopes is looked at once.
        let parties: BTreeMap<_, _> = running
            .map(|leg| ((leg.who.organizer.clone(), leg.who.meeting.clone()), leg.who.clone()))
            .collect();
        parties.values().flat_map(|who| self.notices_of(who)).collect()
    }
}
