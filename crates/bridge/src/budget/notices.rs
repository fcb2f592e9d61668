//! What is said when a budget comes to 80 or 100 per cent.

use super::{Budget, Who, kind, words};
use crate::money::Micros;
use crate::spending::Period;
use crate::tariff::{Limit, Scope};
use routing::TenantId;

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// Whose budget it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BudgetOwner {
    /// The tenant's.
    Tenant,
    /// This organizer's.
    Organizer(routing::OrganizerId),
    /// The meeting's with this conference ID.
    Meeting(String),
}

/// A budget has come to 80 or 100 per cent: said once for each period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetNotice {
    /// What is being used up.
    pub kind: BudgetKind,
    /// Whose organization it is.
    pub tenant: TenantId,
    /// Whose.
    pub owner: BudgetOwner,
    /// The same for the log, without a conference ID: `tenant contoso`.
    pub whose: String,
    /// 80 or 100.
    pub percent: u8,
    /// In words: `48.00 of 60.00 EUR`.
    pub used: String,
}

/// One budget, and how much of it is gone.
struct Level {
    kind: BudgetKind,
    scope: Scope,
    period: Period,
    used: u64,
    most: u64,
    said: String,
}

impl Budget {
    /// What those of one party have come to since it was asked last. What is only kept for calls that ring is not used yet.
    pub(super) fn notices_of(&mut self, who: &Who) -> Vec<BudgetNotice> {
        let reached = self.pool_of(who).into_iter().chain(self.money_of(who)).collect::<Vec<_>>();
        let mut notices = Vec::new();
        for Level { kind, scope, period, used, most, said } in reached {
            let share = u128::from(used) * 100 / u128::from(most);
            let ends = self.spending.ends(period).unix_millis();
            for percent in [80_u8, 100] {
                if share >= u128::from(percent) && self.told.insert((kind, scope.clone(), percent, ends)) {
                    notices.push(BudgetNotice {
                        kind,
                        tenant: who.tenant.clone(),
                        owner: owner(&scope),
                        whose: scope.to_string(),
                        percent,
                        used: said.clone(),
                    });
                }
            }
        }
        notices
    }

    /// What was said of periods that are over need not be remembered.
    pub(super) fn forget_notices(&mut self) {
        let ends = [Period::Day, Period::Month].map(|period| self.spending.ends(period).unix_millis());
        self.told.retain(|(_, _, _, then)| ends.contains(then));
    }

    fn pool_of(&self, who: &Who) -> Option<Level> {
        let most = self.pools.get(&who.tenant).copied().filter(|most| *most > 0)?;
        let used =
            self.spending.pool_used(&who.tenant).saturating_add(self.claims.answered.pool(&who.tenant));
        let said = format!("{} of {} minutes", used.div_ceil(60), most / 60);
        let scope = Scope::Tenant(who.tenant.clone());
        Some(Level { kind: BudgetKind::MinutePool, scope, period: Period::Month, used, most, said })
    }

    fn money_of(&self, who: &Who) -> Vec<Level> {
        let mut budgets = Vec::new();
        for scope in who.scopes() {
            for (period, most) in self.tariffs.limits.of(&scope).flat_map(Limit::money) {
                let held = self.claims.answered.money(&scope, most.currency);
                let used = self.spending.spent(&scope, most.currency, period).saturating_add(held);
                if most.micros.0 > 0 && used > 0 {
                    let said = format!("{} of {most} {}", Micros(used), words(period).0);
                    let (kind, scope, most) = (kind(period), scope.clone(), most.micros.0);
                    budgets.push(Level { kind, scope, period, used, most, said });
                }
            }
        }
        budgets
    }
}

fn owner(scope: &Scope) -> BudgetOwner {
    match scope {
        Scope::Tenant(_) => BudgetOwner::Tenant,
        Scope::Organizer(organizer) => BudgetOwner::Organizer(organizer.clone()),
        Scope::Meeting(code) => BudgetOwner::Meeting(code.to_string()),
    }
}
