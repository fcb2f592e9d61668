//! What dial-outs under way hold of the limits and pools, so that nothing is promised twice.
//!
//! A dial-out holds the first minute (or second, by the rounding) from the moment it is decided, and while it runs every
//! further one before it begins. What the scopes hold together is counted on, never added up again: a decision costs the
//! same whether ten calls run or ten thousand.

use crate::money::Currency;
use crate::tariff::Scope;
use routing::TenantId;
use std::collections::HashMap;
use std::hash::Hash;

/// What one leg holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Claim {
    /// Billed seconds from the answer on.
    pub(super) seconds: u64,
    /// Of these, out of the tenant's pool.
    pub(super) pool: u64,
}

/// Money and minutes of several legs.
#[derive(Debug, Default)]
pub(super) struct Held {
    money: HashMap<(Scope, Currency), u64>,
    pools: HashMap<TenantId, u64>,
}

impl Held {
    /// The same for each of the scopes.
    pub(super) fn add_money(&mut self, scopes: &[Scope], currency: Currency, micros: u64) {
        for scope in scopes {
            add(&mut self.money, (scope.clone(), currency), micros);
        }
    }

    pub(super) fn add_pool(&mut self, tenant: &TenantId, seconds: u64) {
        add(&mut self.pools, tenant.clone(), seconds);
    }

    fn take_money(&mut self, scopes: &[Scope], currency: Currency, micros: u64) {
        for scope in scopes {
            take(&mut self.money, &(scope.clone(), currency), micros);
        }
    }

    fn take_pool(&mut self, tenant: &TenantId, seconds: u64) {
        take(&mut self.pools, tenant, seconds);
    }

    pub(super) fn money(&self, scope: &Scope, currency: Currency) -> u64 {
        self.money.get(&(scope.clone(), currency)).copied().unwrap_or(0)
    }

    pub(super) fn pool(&self, tenant: &TenantId) -> u64 {
        self.pools.get(tenant).copied().unwrap_or(0)
    }
}

/// What one leg holds, in money and minutes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Worth<'a> {
    /// The scopes that have a limit on money.
    pub(super) watched: &'a [Scope],
    pub(super) cost: Option<(Currency, u64)>,
    pub(super) tenant: &'a TenantId,
    pub(super) pool: u64,
}

/// What all of them hold. What only rings is told apart: it is kept for it, and not spent yet.
#[derive(Debug, Default)]
pub(super) struct Claims {
    pub(super) ringing: Held,
    pub(super) answered: Held,
    /// Legs under way.
    legs: HashMap<Scope, u64>,
}

impl Claims {
    fn side(&mut self, answered: bool) -> &mut Held {
        if answered { &mut self.answered } else { &mut self.ringing }
    }

    pub(super) fn hold(&mut self, answered: bool, worth: Worth<'_>) {
        let held = self.side(answered);
        held.add_pool(worth.tenant, worth.pool);
        if let Some((currency, micros)) = worth.cost {
            held.add_money(worth.watched, currency, micros);
        }
    }

    pub(super) fn let_go(&mut self, answered: bool, worth: Worth<'_>) {
        let held = self.side(answered);
        held.take_pool(worth.tenant, worth.pool);
        if let Some((currency, micros)) = worth.cost {
            held.take_money(worth.watched, currency, micros);
        }
    }

    pub(super) fn begin(&mut self, scopes: &[Scope]) {
        for scope in scopes {
            add(&mut self.legs, scope.clone(), 1);
        }
    }

    pub(super) fn end(&mut self, scopes: &[Scope]) {
        for scope in scopes {
            take(&mut self.legs, scope, 1);
        }
    }

    /// Legs under way.
    pub(super) fn legs(&self, scope: &Scope) -> u64 {
        self.legs.get(scope).copied().unwrap_or(0)
    }

    pub(super) fn money(&self, scope: &Scope, currency: Currency) -> u64 {
        self.ringing.money(scope, currency).saturating_add(self.answered.money(scope, currency))
    }

    pub(super) fn pool(&self, tenant: &TenantId) -> u64 {
        self.ringing.pool(tenant).saturating_add(self.answered.pool(tenant))
    }

    /// How much is remembered; nothing when nothing is under way.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let held = |held: &Held| held.money.len() + held.pools.len();
        held(&self.ringing) + held(&self.answered) + self.legs.len()
    }
}

fn add<K: Eq + Hash>(sums: &mut HashMap<K, u64>, key: K, more: u64) {
    if more > 0 {
        let sum = sums.entry(key).or_default();
        *sum = sum.saturating_add(more);
    }
}

/// A sum that has come to nothing is forgotten.
fn take<K: Eq + Hash>(sums: &mut HashMap<K, u64>, key: &K, less: u64) {
    let Some(sum) = sums.get_mut(key) else { return };
    *sum = sum.saturating_sub(less);
    if *sum == 0 {
        sums.remove(key);
    }
}
