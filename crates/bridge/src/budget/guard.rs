//! Legs that run: what they have cost so far, who must be warned, who must end.

use super::{Budget, words};
use crate::id::LegId;
use crate::money::{Currency, Micros};
use crate::spending::Period;
use crate::tariff::Scope;
use crate::usage::Bill;
use routing::{Biller, TenantId};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant, SystemTime};

/// A leg that the limit ends within this time is warned.
const WARNING: Duration = Duration::from_mins(1);
/// How often the guard looks.
pub(crate) const RHYTHM: Duration = Duration::from_secs(1);
/// It looks ahead to its next look, and how late that may be.
const AHEAD: Duration = Duration::from_millis(1250);

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BudgetKind {
    /// Microsoft's minute pool of a tenant.
    MinutePool,
    /// `spend_per_day`.
    SpendPerDay,
    /// `spend_per_month`.
    SpendPerMonth,
}

impl BudgetKind {
    /// A word for a metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::MinutePool => "minute-pool",
            Self::SpendPerDay => "spend-per-day",
            Self::SpendPerMonth => "spend-per-month",
        }
    }
}

/// A budget has come to 80 or 100 per cent: said once for each period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BudgetNotice {
    /// What is being used up.
    pub kind: BudgetKind,
    /// Whose: `tenant contoso`.
    pub whose: String,
    /// 80 or 100.
    pub percent: u8,
    /// In words: `48.00 of 60.00 EUR`.
    pub used: String,
}

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

impl Budget {
    /// Whether the guard has anything to look at.
    pub(crate) fn must_guard(&self) -> bool {
        let limited = self.tariffs.limits.iter().any(|limit| limit.money().next().is_some());
        self.running.values().any(|leg| {
            leg.answered.is_some()
                && leg.price.as_ref().is_some_and(|price| price.pooled || (limited && price.rate.is_some()))
        })
    }

    /// Looks at every leg that runs.
    pub(crate) fn guard(&mut self, now: Instant, wall: SystemTime) -> Verdict {
        self.spending.turn(wall);
        let (present, next, soon) = (self.ahead(now), self.ahead(now + AHEAD), self.ahead(now + WARNING));
        let mut stop = BTreeMap::new();
        let mut warn = BTreeSet::new();
        for &leg in self.running.keys() {
            if let Some(kind) = self.runs_against(leg, &present, &next) {
                stop.insert(leg, kind);
            } else if self.runs_against(leg, &present, &soon).is_some() {
                warn.insert(leg);
            }
        }
        warn.retain(|leg| {
            self.running.get_mut(leg).is_some_and(|running| !std::mem::replace(&mut running.warned, true))
        });
        let running = self.running.values().filter(|leg| leg.answered.is_some());
        let scopes: BTreeSet<Scope> =
            running.flat_map(|leg| leg.who.scopes()).chain(self.spending.scopes().cloned()).collect();
        let notices = self.notices_of(&scopes, &present);
        Verdict { warn: warn.into_iter().collect(), stop: stop.into_iter().collect(), notices }
    }

    /// What a leg will have run against by a later moment, if it goes on.
    fn runs_against(&self, leg: LegId, present: &Ahead, later: &Ahead) -> Option<BudgetKind> {
        let running = self.running.get(&leg)?;
        let price = running.price.as_ref()?;
        let (bill, before) = (later.bills.get(&leg)?, present.bills.get(&leg)?);
        // Without credits nothing may be taken beyond the pool.
        let bare = price.biller == Biller::Microsoft && !running.who.credits;
        if bare && bill.pool_seconds < bill.billed_seconds {
            return Some(BudgetKind::MinutePool);
        }
        let rate = bill.rate.as_ref().filter(|_| bill.charge > before.charge)?;
        for scope in running.who.scopes() {
            for limit in self.tariffs.limits.iter().filter(|limit| limit.is_for(&scope)) {
                for (period, most) in limit.money().filter(|(_, most)| most.currency == rate.currency) {
                    if self.spent(&scope, most.currency, period, later) > most.micros.0 {
                        return Some(kind(period));
                    }
                }
            }
        }
        None
    }

    /// What settled legs have brought to 80 or 100 per cent since it was asked last.
    pub(crate) fn notices(&mut self) -> Vec<BudgetNotice> {
        let scopes: BTreeSet<Scope> = self.spending.scopes().cloned().collect();
        self.notices_of(&scopes, &Ahead::default())
    }

    fn notices_of(&mut self, scopes: &BTreeSet<Scope>, ahead: &Ahead) -> Vec<BudgetNotice> {
        let mut reached = Vec::new();
        for (tenant, &pool) in &self.pools {
            let used = self.spending.pool_used(tenant) + ahead.pools.get(tenant).copied().unwrap_or(0);
            if pool > 0 && used > 0 {
                let said = format!("{} of {} minutes", used.div_ceil(60), pool / 60);
                reached.push((
                    BudgetKind::MinutePool,
                    Scope::Tenant(tenant.clone()),
                    Period::Month,
                    used,
                    pool,
                    said,
                ));
            }
        }
        for limit in &self.tariffs.limits {
            for (period, most) in limit.money().filter(|(_, most)| most.micros.0 > 0) {
                for scope in scopes.iter().filter(|scope| limit.is_for(scope)) {
                    let used = self.spent(scope, most.currency, period, ahead);
                    let said = format!("{} of {most} {}", Micros(used), words(period).0);
                    reached.push((kind(period), scope.clone(), period, used, most.micros.0, said));
                }
            }
        }
        let mut notices = Vec::new();
        for (kind, scope, period, used, most, said) in reached {
            let share = u128::from(used) * 100 / u128::from(most);
            for percent in [80_u8, 100] {
                let ends = self.spending.ends(period).unix_millis();
                if share >= u128::from(percent) && self.told.insert((kind, scope.clone(), percent, ends)) {
                    notices.push(BudgetNotice {
                        kind,
                        whose: scope.to_string(),
                        percent,
                        used: said.clone(),
                    });
                }
            }
        }
        // What was said of periods that are over need not be remembered.
        let ends = [Period::Day, Period::Month].map(|period| self.spending.ends(period).unix_millis());
        self.told.retain(|(_, _, _, then)| ends.contains(then));
        notices
    }

    /// What every answered leg will have cost at a moment. The pool is given out in the order of the legs.
    pub(super) fn ahead(&self, at: Instant) -> Ahead {
        let mut ahead = Ahead::default();
        for (&leg, running) in &self.running {
            let Some(answered) = running.answered else { continue };
            let who = &running.who;
            let given = ahead.pools.entry(who.tenant.clone()).or_default();
            let pool = self.pools.get(&who.tenant).copied().unwrap_or(0);
            let left = pool.saturating_sub(self.spending.pool_used(&who.tenant) + *given);
            let bill = self.bill(running.price.as_ref(), who, at.saturating_duration_since(answered), left);
            *given += bill.pool_seconds;
            if let Some(rate) = bill.rate.as_ref().filter(|_| bill.charge.0 > 0) {
                for scope in who.scopes() {
                    *ahead.charges.entry((scope, rate.currency)).or_default() += bill.charge.0;
                }
            }
            ahead.bills.insert(leg, bill);
        }
        ahead
    }

    /// What a scope has spent in a period, with what runs. What runs counts for the period that is.
    pub(super) fn spent(&self, scope: &Scope, currency: Currency, period: Period, ahead: &Ahead) -> u64 {
        let accrued = ahead.charges.get(&(scope.clone(), currency)).copied().unwrap_or(0);
        self.spending.spent(scope, currency, period).saturating_add(accrued)
    }

    /// Seconds left in a tenant's pool, what runs taken off, but for one leg.
    pub(super) fn pool_left(&self, now: Instant, tenant: &TenantId, but: Option<LegId>) -> u64 {
        let others =
            self.running.iter().filter(|(leg, running)| Some(**leg) != but && running.who.tenant == *tenant);
        let running: u64 = others
            .filter_map(|(_, running)| {
                let price = running.price.as_ref().filter(|price| price.pooled)?;
                let lasted = now.saturating_duration_since(running.answered?);
                Some(self.rounding_of(price).billed_seconds(lasted))
            })
            .sum();
        let used = self.spending.pool_used(tenant).saturating_add(running);
        self.pools.get(tenant).copied().unwrap_or(0).saturating_sub(used)
    }
}

/// What answered legs will have cost at a moment.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    bills: HashMap<LegId, Bill>,
    pools: HashMap<TenantId, u64>,
    charges: HashMap<(Scope, Currency), u64>,
}

fn kind(period: Period) -> BudgetKind {
    match period {
        Period::Day => BudgetKind::SpendPerDay,
        Period::Month => BudgetKind::SpendPerMonth,
    }
}
