//! How much may be dialed out: at once, a minute, for what money, and Microsoft's minute pool.
//!
//! A machine of its own: it is asked before a dial-out, told what becomes of it, and says what a leg costs when it ends.
//! Once a second, while anything runs, it says which legs must be warned and which must end. The wall clock is an argument
//! and only chooses the day and the month; durations are measured by the other one.

mod guard;

use crate::command::DialOutRefusal;
use crate::id::LegId;
use crate::money::Micros;
use crate::spending::{Period, Spending, SpentLeg};
use crate::tariff::{Limit, Rate, Scope, Tariffs};
use crate::usage::{Bill, CallType, Rounding};
use routing::{Biller, Candidate, Country, License, OrganizerId, Table, TenantId, is_premium};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

pub use guard::{BudgetKind, BudgetNotice};
pub(crate) use guard::{RHYTHM, Verdict};

const MINUTE: Duration = Duration::from_mins(1);

/// For whom a leg is dialed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) tenant: TenantId,
    pub(crate) organizer: OrganizerId,
    pub(crate) license: License,
    pub(crate) meeting: String,
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
            meeting: meeting.to_owned(),
            credits,
        })
    }

    fn scopes(&self) -> [Scope; 3] {
        [
            Scope::Tenant(self.tenant.clone()),
            Scope::Organizer(self.organizer.clone()),
            Scope::Meeting(self.meeting.clone()),
        ]
    }
}

/// What a candidate costs.
#[derive(Debug, Clone)]
struct Price {
    biller: Biller,
    rate: Option<Rate>,
    /// Its minutes come out of the tenant's pool first.
    pooled: bool,
}

/// A dial-out that is not over.
#[derive(Debug)]
struct Running {
    who: Who,
    price: Option<Price>,
    answered: Option<Instant>,
    warned: bool,
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
            begun: HashMap::new(),
            told: HashSet::new(),
        };
        budget.table_changed(table);
        budget
    }

    /// Other prices and limits, and what an earlier run has spent.
    pub(crate) fn set(&mut self, tariffs: Arc<Tariffs>, spending: Spending, table: &Table) {
        self.tariffs = tariffs;
        self.spending = spending;
        self.table_changed(table);
    }

    /// Licenses may have been bought or given back.
    pub(crate) fn table_changed(&mut self, table: &Table) {
        let seconds = self.tariffs.pool_seconds;
        let licenses = table.licenses(License::AudioConferencingStandard);
        self.pools =
            licenses.into_iter().map(|(tenant, count)| (tenant, count.saturating_mul(seconds))).collect();
    }

    pub(crate) fn tariffs(&self) -> &Tariffs {
        &self.tariffs
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
        self.spending.turn(wall);
        self.counted(now, who)?;
        let mut first = None;
        let allowed: Vec<Candidate> = candidates
            .into_iter()
            .filter(|candidate| match self.affordable(now, who, candidate) {
                Ok(()) => true,
                Err(because) => {
                    first.get_or_insert(because);
                    false
                }
            })
            .collect();
        match first {
            Some(because) if allowed.is_empty() => Err(DialOutRefusal::Limit { because }),
            _ => Ok(allowed),
        }
    }

    /// The limits that count dial-outs.
    fn counted(&mut self, now: Instant, who: &Who) -> Result<(), DialOutRefusal> {
        let refuse = |because: String| Err(DialOutRefusal::Limit { because });
        for scope in who.scopes() {
            for limit in self.tariffs.limits.iter().filter(|limit| limit.is_for(&scope)) {
                if let Some(most) = limit.concurrent {
                    let under_way =
                        self.running.values().filter(|leg| leg.who.scopes().contains(&scope)).count();
                    if under_way >= most as usize {
                        return refuse(format!(
                            "{scope} has {under_way} dial-outs under way and may have {most} at once \
                             ([[dial_out_limit]] concurrent): wait until one has ended"
                        ));
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
                        return refuse(format!(
                            "{scope} has begun {} dial-outs within a minute and may begin {most} \
                             ([[dial_out_limit]] attempts_per_minute): try again in {} s",
                            begun.len(),
                            oldest.as_secs() + 1
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether the first started unit of this candidate fits into every limit on money.
    fn affordable(&self, now: Instant, who: &Who, candidate: &Candidate) -> Result<(), String> {
        let price = self.price(who, candidate);
        let first = self.rounding_of(&price).billed_seconds(Duration::from_nanos(1));
        let pool = if price.pooled { first.min(self.pool_left(now, &who.tenant, None)) } else { 0 };
        if price.biller == Biller::Microsoft && !who.credits && pool < first {
            return Err(self.beyond_the_pool(who, &price));
        }
        let Some(rate) = &price.rate else { return Ok(()) };
        let (_, cost) = rate.charge(first - pool);
        if cost.0 == 0 {
            return Ok(());
        }
        let running = self.ahead(now);
        for scope in who.scopes() {
            for limit in self.tariffs.limits.iter().filter(|limit| limit.is_for(&scope)) {
                for (period, most) in limit.money() {
                    if most.currency != rate.currency {
                        continue;
                    }
                    let spent = self.spent(&scope, most.currency, period, &running);
                    if spent.saturating_add(cost.0) > most.micros.0 {
                        let (word, key) = words(period);
                        return Err(format!(
                            "{scope} has spent {} of {most} {word} on dial-outs, and this one costs {} at least \
                             ([[dial_out_limit]] {key}): it opens again at {}",
                            Micros(spent),
                            cost,
                            self.spending.ends(period)
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    fn beyond_the_pool(&self, who: &Who, price: &Price) -> String {
        let tenant = &who.tenant;
        if !price.pooled {
            return format!(
                "{tenant} has no Communications Credits, and its minute pool covers dial-out into Zone A only: buy \
                 credits, or give a route to an operator"
            );
        }
        let minutes = self.pools.get(tenant).copied().unwrap_or(0) / 60;
        format!(
            "the minute pool of {tenant} is used up ({minutes} minutes for this month) and there are no Communications \
             Credits: it opens again at {}",
            self.spending.ends(Period::Month)
        )
    }

    /// It was begun.
    pub(crate) fn begin(&mut self, now: Instant, leg: LegId, who: Who) {
        for scope in who.scopes() {
            let limits = self.tariffs.limits.iter();
            if limits.filter(|limit| limit.is_for(&scope)).any(|limit| limit.attempts_per_minute.is_some()) {
                self.begun.entry(scope).or_default().push_back(now);
            }
        }
        self.running.insert(leg, Running { who, price: None, answered: None, warned: false });
    }

    /// This candidate is dialed now.
    pub(crate) fn dialing(&mut self, leg: LegId, candidate: &Candidate) {
        let Some(who) = self.running.get(&leg).map(|running| running.who.clone()) else { return };
        let price = self.price(&who, candidate);
        if let Some(running) = self.running.get_mut(&leg) {
            running.price = Some(price);
        }
    }

    /// From now on it costs.
    pub(crate) fn answered(&mut self, now: Instant, leg: LegId) {
        if let Some(running) = self.running.get_mut(&leg) {
            running.answered = Some(now);
        }
    }

    /// What a dial-out that has lasted so long costs, without ending it.
    pub(crate) fn so_far(&self, now: Instant, leg: LegId, lasted: Duration) -> Bill {
        match self.running.get(&leg) {
            Some(running) => {
                let left = self.pool_left(now, &running.who.tenant, Some(leg));
                self.bill(running.price.as_ref(), &running.who, lasted, left)
            }
            None => Bill::unpriced(self.rounding, lasted),
        }
    }

    /// It is over.
    pub(crate) fn finish(&mut self, now: Instant, wall: SystemTime, leg: LegId, lasted: Duration) -> Bill {
        self.spending.turn(wall);
        let bill = self.so_far(now, leg, lasted);
        let Some(running) = self.running.remove(&leg) else { return bill };
        let who = running.who;
        let charge = bill.rate.as_ref().map(|rate| (bill.charge, rate.currency));
        let meeting = Scope::Meeting(who.meeting.clone());
        if let Some((charge, currency)) =
            charge.filter(|_| self.tariffs.limits.iter().any(|limit| limit.is_for(&meeting)))
        {
            self.spending.add_to_meeting(meeting, charge, currency);
        }
        let pool_seconds = bill.pool_seconds;
        self.spending.add(&SpentLeg {
            tenant: who.tenant,
            organizer: who.organizer,
            ended: wall,
            charge,
            pool_seconds,
        });
        bill
    }

    /// What a dial-in costs, by the plan of the one who provides its number.
    pub(crate) fn dial_in(&self, record: &crate::usage::Record, lasted: Duration) -> Bill {
        let Some(biller) = &record.biller else { return Bill::unpriced(self.rounding, lasted) };
        let number = record.service_number.as_ref();
        let rate = number.and_then(|number| self.tariffs.rate(biller, CallType::ConfIn, number));
        let rounding = self.tariffs.rounding(Some(biller)).unwrap_or(self.rounding);
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

    fn bill(&self, price: Option<&Price>, who: &Who, lasted: Duration, pool_left: u64) -> Bill {
        let Some(price) = price else { return Bill::unpriced(self.rounding, lasted) };
        let rounding = self.rounding_of(price);
        let pool = if price.pooled { rounding.billed_seconds(lasted).min(pool_left) } else { 0 };
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
        Price { rate: self.tariffs.rate(&biller, CallType::ConfOut, number), biller, pooled }
    }

    fn rounding_of(&self, price: &Price) -> Rounding {
        self.tariffs.rounding(Some(&price.biller)).unwrap_or(self.rounding)
    }
}

impl Limit {
    /// Its limits on money.
    fn money(&self) -> impl Iterator<Item = (Period, crate::money::Amount)> {
        let day = self.per_day.map(|most| (Period::Day, most));
        day.into_iter().chain(self.per_month.map(|most| (Period::Month, most)))
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
