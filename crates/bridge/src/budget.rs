//! How much may be dialed out: at once, a minute, for what money, and Microsoft's minute pool.
//!
//! A machine of its own: it is asked before a dial-out, told what becomes of it, and says what a leg costs when it ends.
//! Once a second, while anything runs, it says which legs must be warned and which must end. The wall clock is an argument
//! and only chooses the day and the month; durations are measured by the other one.

mod claims;
mod guard;
mod notices;
mod obstacle;

use crate::command::DialOutRefusal;
use crate::id::LegId;
use crate::money::Currency;
use crate::spending::{Period, Spending};
use crate::tariff::{Limit, Rate, Scope, Tariffs};
use crate::usage::{Bill, CallType, Rounding};
use claims::{Claim, Claims, Held, Worth};
use obstacle::Obstacle;
use routing::{Biller, Candidate, Country, License, OrganizerId, Table, TenantId, is_premium};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

pub(crate) use guard::{RHYTHM, Verdict};
pub use notices::{BudgetKind, BudgetNotice, BudgetOwner};

const MINUTE: Duration = Duration::from_mins(1);
/// So many scopes may have begun dial-outs before it is looked which of them did within the last minute.
const SWEEP: usize = 256;

/// For whom a leg is dialed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) tenant: TenantId,
    pub(crate) organizer: OrganizerId,
    pub(crate) license: License,
    pub(crate) meeting: Arc<str>,
    /// Microsoft may charge what the pool does not cover.
    pub(crate) credits: bool,
}

impl Who {
    /// The organizer's, as the table has him now.
    pub(crate) fn of(table: &Table, organizer: &OrganizerId, meeting: &str) -> Option<Self> {
        let found = table.organizer(organizer)?;
        let credits = table.bridge(&found.tenant).is_some_and(|bridge| bridge.communications_credits);
        Some(Self {
            tenant: found.tenant.clone(),
            organizer: organizer.clone(),
            license: found.license,
            meeting: meeting.into(),
            credits,
        })
    }

    fn scopes(&self) -> [Scope; 3] {
        [
            Scope::Tenant(self.tenant.clone()),
            Scope::Organizer(self.organizer.clone()),
            Scope::Meeting(Arc::clone(&self.meeting)),
        ]
    }
}

/// What a candidate costs.
#[derive(Debug, Clone)]
struct Price {
    biller: Biller,
    rate: Option<Rate>,
    rounding: Rounding,
    /// Its minutes come out of the tenant's pool first.
    pooled: bool,
}

impl Price {
    /// Without credits nothing may be taken beyond the pool.
    fn is_bare(&self, who: &Who) -> bool {
        self.biller == Biller::Microsoft && !who.credits
    }

    /// What a claim costs.
    fn cost(&self, claim: Claim) -> Option<(Currency, u64)> {
        let rate = self.rate.as_ref()?;
        let (_, charge) = rate.charge(claim.seconds.saturating_sub(claim.pool));
        (charge.0 > 0).then_some((rate.currency, charge.0))
    }

    /// What a claim costs more than another.
    fn growth(&self, held: Claim, wider: Claim) -> Option<(Currency, u64)> {
        let (currency, cost) = self.cost(wider)?;
        let more = cost.saturating_sub(self.cost(held).map_or(0, |(_, cost)| cost));
        (more > 0).then_some((currency, more))
    }
}

/// A dial-out that is not over.
#[derive(Debug)]
struct Running {
    who: Who,
    /// Of its scopes, those with a limit on money.
    watched: Vec<Scope>,
    price: Price,
    /// What is kept for it.
    claim: Claim,
    answered: Option<Instant>,
    /// A limit on money or the pool concerns it.
    guarded: bool,
    /// The guard has looked at it since the answer.
    seen: bool,
    warned: bool,
}

impl Running {
    fn worth(&self) -> Worth<'_> {
        let (tenant, cost) = (&self.who.tenant, self.price.cost(self.claim));
        Worth { watched: &self.watched, cost, tenant, pool: self.claim.pool }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Budget {
    tariffs: Arc<Tariffs>,
    rounding: Rounding,
    /// Seconds in each tenant's pool of a month.
    pools: HashMap<TenantId, u64>,
    spending: Spending,
    running: BTreeMap<LegId, Running>,
    /// What those hold together.
    claims: Claims,
    /// How many of them are answered, and concern the guard.
    guarded: usize,
    /// When dial-outs were begun, the last minute of each scope that has a limit on it.
    begun: HashMap<Scope, VecDeque<Instant>>,
    /// What has been said of this period.
    told: HashSet<(BudgetKind, Scope, u8, u64)>,
}

impl Budget {
    pub(crate) fn new(tariffs: Arc<Tariffs>, rounding: Rounding, table: &Table) -> Self {
        let mut budget = Self {
            tariffs,
            rounding,
            pools: HashMap::new(),
            spending: Spending::default(),
            running: BTreeMap::new(),
            claims: Claims::default(),
            guarded: 0,
            begun: HashMap::new(),
            told: HashSet::new(),
        };
        budget.table_changed(table);
        budget
    }

    /// Prices and limits, and what an earlier run has spent; before anything is dialed.
    pub(crate) fn set(&mut self, tariffs: Arc<Tariffs>, spending: Spending, table: &Table) {
        debug_assert!(self.running.is_empty(), "what runs would keep other claims than it gives back");
        self.tariffs = tariffs;
        self.spending = spending;
        self.forget_unlimited();
        self.table_changed(table);
    }

    /// Prices and limits are these from now on. Who runs keeps the price that he began with, and what was spent counts. The new
    /// limits are his too, but for those that cannot count his price: he was let in before they were there.
    pub(crate) fn change(&mut self, tariffs: Arc<Tariffs>, table: &Table) {
        if *tariffs == *self.tariffs {
            return self.table_changed(table);
        }
        self.tariffs = tariffs;
        for (leg, mut running) in std::mem::take(&mut self.running) {
            let answered = running.answered.is_some();
            self.claims.let_go(answered, running.worth());
            self.guarded -= usize::from(running.guarded && answered);
            let currency = running.price.rate.as_ref().map(|rate| rate.currency);
            let mut limited = watched(&self.tariffs, &running.who.scopes());
            limited.retain(|scope| {
                self.tariffs.limits.uncounted(scope, currency).is_none()
                    || (currency.is_none() && running.watched.contains(scope))
            });
            running.watched = limited;
            running.guarded = running.price.pooled || !running.watched.is_empty();
            running.warned = false;
            self.guarded += usize::from(running.guarded && answered);
            self.claims.hold(answered, running.worth());
            self.running.insert(leg, running);
        }
        self.told.clear();
        self.forget_unlimited();
        self.table_changed(table);
    }

    /// Licenses may have been bought or given back.
    pub(crate) fn table_changed(&mut self, table: &Table) {
        let seconds = self.tariffs.pool_seconds;
        let licenses = table.licenses(License::AudioConferencingStandard);
        self.pools =
            licenses.into_iter().map(|(tenant, count)| (tenant, count.saturating_mul(seconds))).collect();
    }

    pub(crate) fn tariffs(&self) -> &Arc<Tariffs> {
        &self.tariffs
    }

    /// Whether what was spent in the present month is not all known.
    pub(crate) fn is_unread(&self) -> bool {
        self.spending.is_incomplete()
    }

    /// A new day or month: what only an old one limits is forgotten.
    fn turn(&mut self, wall: SystemTime) {
        if self.spending.turn(wall) {
            self.forget_unlimited();
            self.forget_notices();
        }
    }

    fn forget_unlimited(&mut self) {
        let limits = &self.tariffs.limits;
        self.spending.keep(|scope, currency, period| {
            let mut money = limits.of(scope).flat_map(Limit::money);
            money.any(|(of, most)| most.currency == currency && (of == period || of == Period::Month))
        });
    }

    /// Whether this dial-out may be begun now, and with which of the candidates: those that a limit on money rules out
    /// are left out.
    pub(crate) fn check(
        &mut self,
        now: Instant,
        wall: SystemTime,
        who: &Who,
        candidates: Vec<Candidate>,
    ) -> Result<Vec<Candidate>, DialOutRefusal> {
        self.turn(wall);
        self.counted(now, who)?;
        let watched = watched(&self.tariffs, &who.scopes());
        let mut first = None;
        let allowed: Vec<Candidate> = candidates
            .into_iter()
            .filter(|candidate| {
                let price = self.price(who, candidate);
                let (_, obstacle) = self.first_unit(who, &watched, &price);
                if let (Some(obstacle), None) = (&obstacle, &first) {
                    first = Some(self.refusal(wall, who, &price, obstacle));
                }
                obstacle.is_none()
            })
            .collect();
        match first {
            Some(refusal) if allowed.is_empty() => Err(refusal),
            _ => Ok(allowed),
        }
    }

    /// The limits that count dial-outs.
    fn counted(&mut self, now: Instant, who: &Who) -> Result<(), DialOutRefusal> {
        for scope in who.scopes() {
            for limit in self.tariffs.limits.of(&scope) {
                if let Some(most) = limit.concurrent {
                    let under_way = self.claims.legs(&scope);
                    if under_way >= u64::from(most) {
                        let because = format!(
                            "{scope} has {under_way} dial-outs under way and may have {most} at once \
                             ([[dial_out_limit]] concurrent): wait until one has ended"
                        );
                        return Err(DialOutRefusal::Limit { because, retry_after: None });
                    }
                }
                if let Some(most) = limit.attempts_per_minute {
                    let begun = self.begun.entry(scope.clone()).or_default();
                    while begun.front().is_some_and(|then| now.saturating_duration_since(*then) >= MINUTE) {
                        begun.pop_front();
                    }
                    if begun.len() >= most as usize {
                        let oldest = begun.front().map_or(MINUTE, |then| {
                            MINUTE.saturating_sub(now.saturating_duration_since(*then))
                        });
                        let wait = oldest.as_secs() + 1;
                        let because = format!(
                            "{scope} has begun {} dial-outs within a minute and may begin {most} \
                             ([[dial_out_limit]] attempts_per_minute): try again in {wait} s",
                            begun.len(),
                        );
                        let retry_after = Some(Duration::from_secs(wait));
                        return Err(DialOutRefusal::Limit { because, retry_after });
                    }
                }
            }
        }
        Ok(())
    }

    /// What a leg holds from the moment it is decided: the first started minute or second, and its connection.
    fn first_unit(&self, who: &Who, watched: &[Scope], price: &Price) -> (Claim, Option<Obstacle>) {
        let (none, unit) = (Claim::default(), price.rounding.billed_seconds(Duration::from_nanos(1)));
        let claim = self.widened(who, price, none, unit, &Held::default());
        let mut wanted = Held::default();
        if let Some((currency, cost)) = price.growth(none, claim) {
            wanted.add_money(watched, currency, cost);
        }
        let obstacle = self.beyond_the_pool(who, watched, price, none, claim);
        (claim, obstacle.or_else(|| self.beyond_a_limit(watched, price, none, claim, &wanted)))
    }

    /// What a leg holds when it goes on to so many seconds. The pool pays first; `wanted` is what others are about to take.
    fn widened(&self, who: &Who, price: &Price, held: Claim, seconds: u64, wanted: &Held) -> Claim {
        let more = seconds.saturating_sub(held.seconds);
        let left = self.pool_left(&who.tenant).saturating_sub(wanted.pool(&who.tenant));
        let pool = if price.pooled { more.min(left) } else { 0 };
        Claim { seconds: seconds.max(held.seconds), pool: held.pool + pool }
    }

    /// Seconds left in a tenant's pool: neither used nor kept for a leg under way.
    fn pool_left(&self, tenant: &TenantId) -> u64 {
        let taken = self.spending.pool_used(tenant).saturating_add(self.claims.pool(tenant));
        self.pools.get(tenant).copied().unwrap_or(0).saturating_sub(taken)
    }

    /// What of the pool stands against a wider claim.
    fn beyond_the_pool(
        &self,
        who: &Who,
        watched: &[Scope],
        price: &Price,
        held: Claim,
        wider: Claim,
    ) -> Option<Obstacle> {
        let bare = price.is_bare(who);
        if price.pooled && self.spending.is_unread(Period::Month) && (bare || !watched.is_empty()) {
            return Some(Obstacle::Unread(BudgetKind::MinutePool));
        }
        let short = wider.pool - held.pool < wider.seconds - held.seconds;
        (bare && short).then_some(if price.pooled { Obstacle::Pool } else { Obstacle::NoCredits })
    }

    /// What of the limits on money stands against a wider claim; `wanted` is what all take now, this one too.
    fn beyond_a_limit(
        &self,
        watched: &[Scope],
        price: &Price,
        held: Claim,
        wider: Claim,
        wanted: &Held,
    ) -> Option<Obstacle> {
        let paid = |claim: Claim| claim.seconds.saturating_sub(claim.pool);
        if paid(wider) <= paid(held) {
            return None;
        }
        let grows = price.growth(held, wider);
        if price.rate.is_some() && grows.is_none() {
            return None;
        }
        let known = price.rate.as_ref().map(|rate| rate.currency);
        watched.iter().find_map(|scope| {
            let limits = &self.tariffs.limits;
            if let Some(limit) = limits.uncounted(scope, known) {
                return Some(Obstacle::Unpriced { scope: scope.clone(), limit, price: known });
            }
            let (currency, cost) = grows?;
            let mut money =
                limits.of(scope).flat_map(Limit::money).filter(|(_, most)| most.currency == currency);
            money.find_map(|(period, most)| {
                if self.spending.is_unread(period) {
                    return Some(Obstacle::Unread(kind(period)));
                }
                let held = self.claims.money(scope, currency);
                let spent = self.spending.spent(scope, currency, period).saturating_add(held);
                let beyond = spent.saturating_add(wanted.money(scope, currency)) > most.micros.0;
                beyond.then(|| {
                    let (scope, ringing) = (scope.clone(), self.claims.ringing.money(scope, currency));
                    Obstacle::Spent { scope, period, most, spent, ringing, cost }
                })
            })
        })
    }

    /// It was begun, and will dial this candidate first.
    pub(crate) fn begin(&mut self, now: Instant, leg: LegId, who: Who, first: &Candidate) {
        let scopes = who.scopes();
        for scope in &scopes {
            if self.tariffs.limits.of(scope).any(|limit| limit.attempts_per_minute.is_some()) {
                self.sweep(now);
                self.begun.entry(scope.clone()).or_default().push_back(now);
            }
        }
        self.claims.begin(&scopes);
        let watched = watched(&self.tariffs, &scopes);
        let price = self.price(&who, first);
        let (claim, _) = self.first_unit(&who, &watched, &price);
        let guarded = price.pooled || !watched.is_empty();
        let running =
            Running { who, watched, price, claim, answered: None, guarded, seen: false, warned: false };
        self.claims.hold(false, running.worth());
        self.running.insert(leg, running);
    }

    /// Who has begun nothing within a minute need not be remembered.
    fn sweep(&mut self, now: Instant) {
        if self.begun.len() >= SWEEP && self.begun.len() == self.begun.capacity() {
            let is_recent = |then: &Instant| now.saturating_duration_since(*then) < MINUTE;
            self.begun.retain(|_, begun| begun.back().is_some_and(is_recent));
        }
    }

    /// This candidate is dialed now, if the limits can pay it: others may have taken what was there when it was decided.
    pub(crate) fn dialing(
        &mut self,
        wall: SystemTime,
        leg: LegId,
        candidate: &Candidate,
    ) -> Result<(), DialOutRefusal> {
        self.turn(wall);
        let Some(mut running) = self.running.remove(&leg) else { return Ok(()) };
        self.claims.let_go(false, running.worth());
        let price = self.price(&running.who, candidate);
        let (claim, obstacle) = self.first_unit(&running.who, &running.watched, &price);
        let refused = obstacle.map(|obstacle| self.refusal(wall, &running.who, &price, &obstacle));
        running.guarded = price.pooled || !running.watched.is_empty();
        running.price = price;
        running.claim = if refused.is_none() { claim } else { Claim::default() };
        self.claims.hold(false, running.worth());
        self.running.insert(leg, running);
        refused.map_or(Ok(()), Err)
    }

    /// From now on it costs.
    pub(crate) fn answered(&mut self, now: Instant, leg: LegId) {
        let Some(running) = self.running.get_mut(&leg).filter(|running| running.answered.is_none()) else {
            return;
        };
        running.answered = Some(now);
        self.guarded += usize::from(running.guarded);
        self.claims.let_go(false, running.worth());
        self.claims.hold(true, running.worth());
    }

    /// What a dial-out that has lasted so long costs, without ending it.
    pub(crate) fn so_far(&mut self, leg: LegId, lasted: Duration) -> Bill {
        let Some(running) = self.running.get(&leg) else { return Bill::unpriced(self.rounding, lasted) };
        let seconds = running.price.rounding.billed_seconds(lasted);
        if seconds > running.claim.seconds {
            // What has been talked has been talked, whatever a limit says of it.
            let (who, price, held) = (&running.who, &running.price, running.claim);
            let claim = self.widened(who, price, held, seconds, &Held::default());
            self.hold(leg, claim);
        }
        self.running.get(&leg).map_or_else(
            || Bill::unpriced(self.rounding, lasted),
            |running| Self::bill(&running.price, &running.who, lasted, running.claim.pool),
        )
    }

    fn hold(&mut self, leg: LegId, claim: Claim) {
        let Some(running) = self.running.get_mut(&leg) else { return };
        let answered = running.answered.is_some();
        self.claims.let_go(answered, running.worth());
        running.claim = claim;
        self.claims.hold(answered, running.worth());
    }

    /// It is over. What it held and did not use is free again.
    pub(crate) fn finish(
        &mut self,
        wall: SystemTime,
        leg: LegId,
        lasted: Duration,
    ) -> (Bill, Vec<BudgetNotice>) {
        self.turn(wall);
        let bill = self.so_far(leg, lasted);
        let Some(running) = self.running.remove(&leg) else { return (bill, Vec::new()) };
        self.claims.let_go(running.answered.is_some(), running.worth());
        self.claims.end(&running.who.scopes());
        self.guarded -= usize::from(running.guarded && running.answered.is_some());
        self.spending.take_from_pool(&running.who.tenant, bill.pool_seconds);
        if let Some(rate) = &bill.rate {
            for scope in running.who.scopes() {
                // Of meetings there may be any number, so only those with a limit are counted.
                if !matches!(scope, Scope::Meeting(_)) || running.watched.contains(&scope) {
                    self.spending.note(scope, rate.currency, bill.charge, true);
                }
            }
        }
        let notices = self.notices_of(&running.who);
        (bill, notices)
    }

    /// What a dial-in costs, by the plan of the one who provides its number as it was when it came.
    pub(crate) fn dial_in(&self, tariffs: &Tariffs, record: &crate::usage::Record, lasted: Duration) -> Bill {
        let Some(biller) = &record.biller else { return Bill::unpriced(self.rounding, lasted) };
        let number = record.service_number.as_ref();
        let rate = number.and_then(|number| tariffs.rate(biller, CallType::ConfIn, number));
        let rounding = tariffs.rounding(Some(biller)).unwrap_or(self.rounding);
        let mut bill = Bill::priced(rate, rounding, lasted, 0);
        let toll_free = record.number_kind == Some(routing::NumberKind::TollFree);
        bill.account = Some(match biller {
            Biller::Microsoft if toll_free || record.license == Some(License::PayPerMinute) => {
                "communications-credits".to_owned()
            }
            Biller::Microsoft => "license".to_owned(),
            other => other.to_string(),
        });
        bill
    }

    fn bill(price: &Price, who: &Who, lasted: Duration, pool: u64) -> Bill {
        let rounding = price.rounding;
        let pool = rounding.billed_seconds(lasted).min(pool);
        let mut bill = Bill::priced(price.rate.clone(), rounding, lasted, pool);
        bill.account = (bill.billed_seconds > 0).then(|| match &price.biller {
            Biller::Microsoft if pool == bill.billed_seconds => "pool".to_owned(),
            Biller::Microsoft if who.credits => "communications-credits".to_owned(),
            Biller::Microsoft => "pool".to_owned(),
            other => other.to_string(),
        });
        bill
    }

    fn price(&self, who: &Who, candidate: &Candidate) -> Price {
        let number = &candidate.dialed;
        let in_zone = Country::of(number).is_some_and(Country::is_zone_a) && !is_premium(number);
        let biller = candidate.biller.clone();
        let pooled =
            in_zone && biller == Biller::Microsoft && who.license == License::AudioConferencingStandard;
        let rate = self.tariffs.rate(&biller, CallType::ConfOut, number);
        let rounding = self.tariffs.rounding(Some(&biller)).unwrap_or(self.rounding);
        Price { biller, rate, rounding, pooled }
    }
}

/// Those of the scopes that have a limit on money.
fn watched(tariffs: &Tariffs, scopes: &[Scope]) -> Vec<Scope> {
    let limited = |scope: &&Scope| tariffs.limits.of(scope).any(|limit| limit.money().next().is_some());
    scopes.iter().filter(limited).cloned().collect()
}

fn kind(period: Period) -> BudgetKind {
    match period {
        Period::Day => BudgetKind::SpendPerDay,
        Period::Month => BudgetKind::SpendPerMonth,
    }
}

/// How a period is called in a sentence, and the key of its limit.
fn words(period: Period) -> (&'static str, &'static str) {
    match period {
        Period::Day => ("today", "spend_per_day"),
        Period::Month => ("this month", "spend_per_month"),
    }
}

#[cfg(test)]
mod tests;
