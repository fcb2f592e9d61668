//! What dial-outs have cost so far: today and this month, by tenant and organizer, and the tenants' minute pools. Built
//! from the usage records of an earlier run, and counted on.

use crate::money::{Currency, Micros};
use crate::stamp::Stamp;
use crate::tariff::Scope;
use routing::{OrganizerId, TenantId};
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

const DAY: u64 = 86_400;

/// A clock that is set back by less stays in its day: it was corrected around midnight, and nothing of the day before is needed.
const CORRECTED: Duration = Duration::from_hours(1);

/// One dial-out that is over, as its final record tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpentLeg {
    /// The organizer's organization.
    pub tenant: TenantId,
    /// The organizer.
    pub organizer: OrganizerId,
    /// When it ended.
    pub ended: SystemTime,
    /// What it cost, where a rate plan said so.
    pub charge: Option<(Micros, Currency)>,
    /// Seconds taken from the tenant's pool.
    pub pool_seconds: u64,
}

/// Counters of the day and the month (UTC) that a moment belongs to.
#[derive(Debug, Clone, Default)]
pub struct Spending {
    day: u64,
    month: (u64, u64),
    /// The latest moment so far: what was spent before it, in a day or month that is over, is forgotten.
    latest: Option<SystemTime>,
    pools: HashMap<TenantId, u64>,
    spent: HashMap<(Scope, Currency), Spent>,
    /// What was spent before this process is not known.
    unread_day: bool,
    unread_month: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    today: u64,
    this_month: u64,
}

/// A day or a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Period {
    Day,
    Month,
}

impl Spending {
    /// Nothing spent yet, in the day and month of this moment.
    pub fn at(wall: SystemTime) -> Self {
        let mut spending = Self::default();
        spending.turn(wall);
        spending
    }

    /// What was spent until now cannot be read: limits refuse what they would have to count, until a day and a month begin of
    /// which all is known.
    pub fn unread(wall: SystemTime) -> Self {
        Self { unread_day: true, unread_month: true, ..Self::at(wall) }
    }

    /// Whether anything that was spent in the present day or month is not known.
    pub fn is_incomplete(&self) -> bool {
        self.unread_day || self.unread_month
    }

    /// Whether what was spent in the present period is not all known.
    pub(crate) fn is_unread(&self, period: Period) -> bool {
        match period {
            Period::Day => self.unread_day,
            Period::Month => self.unread_month,
        }
    }

    /// The first moment of the month: what ended before it counts no more.
    pub fn month_began(wall: SystemTime) -> SystemTime {
        let (year, month) = month_of(days(wall));
        first_of(year, month)
    }

    /// Begins a new day, and a new month, when the wall clock has come to it; whether it has. Of a day or month to which a clock
    /// is set back, or in which it was before, what was spent is forgotten: it counts as not known.
    pub(crate) fn turn(&mut self, wall: SystemTime) -> bool {
        let latest = self.latest.unwrap_or(wall);
        self.latest = Some(latest.max(wall));
        let today = days(wall);
        let corrected = latest.duration_since(wall).is_ok_and(|back| !back.is_zero() && back < CORRECTED);
        if today == self.day || corrected {
            return false;
        }
        let known = (days(latest), month_of(days(latest)));
        let begun_before = self.day != 0;
        self.day = today;
        self.unread_day = begun_before && today <= known.0;
        let month = month_of(today);
        if month == self.month {
            self.spent.values_mut().for_each(|spent| spent.today = 0);
        } else {
            self.month = month;
            self.unread_month = begun_before && month <= known.1;
            self.pools.clear();
            self.spent.clear();
        }
        true
    }

    /// Forgets meetings that no limit counts: `limited` says whether one counts a scope in a currency by the day, of which something
    /// was spent today, or by the month. Tenants and organizers stay: a limit on them may come, and there are no more than those
    /// of the directory.
    pub(crate) fn keep(&mut self, limited: impl Fn(&Scope, Currency, Period) -> bool) {
        self.spent.retain(|(scope, currency), spent| {
            !matches!(scope, Scope::Meeting(_))
                || limited(scope, *currency, if spent.today > 0 { Period::Day } else { Period::Month })
        });
    }

    /// Counts a leg that ended within the present month; any other counts nothing.
    pub fn add(&mut self, leg: &SpentLeg) {
        let ended = days(leg.ended);
        if month_of(ended) != self.month {
            return;
        }
        self.take_from_pool(&leg.tenant, leg.pool_seconds);
        let Some((charge, currency)) = leg.charge else { return };
        for scope in [Scope::Tenant(leg.tenant.clone()), Scope::Organizer(leg.organizer.clone())] {
            self.note(scope, currency, charge, ended == self.day);
        }
    }

    /// Counts seconds of a pool.
    pub(crate) fn take_from_pool(&mut self, tenant: &TenantId, seconds: u64) {
        if seconds > 0 {
            let pool = self.pools.entry(tenant.clone()).or_default();
            *pool = pool.saturating_add(seconds);
        }
    }

    /// Counts what a scope has spent. What a meeting spends is forgotten with the process: a meeting is over before it matters.
    pub(crate) fn note(&mut self, scope: Scope, currency: Currency, charge: Micros, today: bool) {
        if charge.0 == 0 {
            return;
        }
        let spent = self.spent.entry((scope, currency)).or_default();
        spent.this_month = spent.this_month.saturating_add(charge.0);
        if today {
            spent.today = spent.today.saturating_add(charge.0);
        }
    }

    /// Seconds taken from a tenant's pool this month.
    pub(crate) fn pool_used(&self, tenant: &TenantId) -> u64 {
        self.pools.get(tenant).copied().unwrap_or(0)
    }

    pub(crate) fn spent(&self, scope: &Scope, currency: Currency, period: Period) -> u64 {
        let spent = self.spent.get(&(scope.clone(), currency)).copied().unwrap_or_default();
        match period {
            Period::Day => spent.today,
            Period::Month => spent.this_month,
        }
    }

    /// How many sums are kept.
    #[cfg(test)]
    pub(crate) fn sums(&self) -> usize {
        self.spent.len()
    }

    /// When the period ends.
    pub(crate) fn ends(&self, period: Period) -> Stamp {
        let (year, month) = self.month;
        Stamp(match period {
            Period::Day => SystemTime::UNIX_EPOCH + Duration::from_secs((self.day + 1) * DAY),
            Period::Month if month == 12 => first_of(year + 1, 1),
            Period::Month => first_of(year, month + 1),
        })
    }
}

fn days(wall: SystemTime) -> u64 {
    Stamp(wall).unix_millis() / 1000 / DAY
}

fn month_of(days: u64) -> (u64, u64) {
    let (year, month, _) = crate::stamp::civil_from_days(days);
    (year, month)
}

fn first_of(year: u64, month: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(crate::stamp::days_from_civil(year, month, 1) * DAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::tests::noon;

    fn leg(ended: SystemTime, micros: u64, pool_seconds: u64) -> SpentLeg {
        let charge = Some((Micros(micros), "EUR".parse().expect("a currency")));
        SpentLeg { tenant: "contoso".into(), organizer: "sam".into(), ended, charge, pool_seconds }
    }

    fn counted(spending: &Spending) -> (u64, u64, u64) {
        let scope = Scope::Organizer("sam".into());
        let currency = "EUR".parse().expect("a currency");
        let spent = |period| spending.spent(&scope, currency, period);
        (spent(Period::Day), spent(Period::Month), spending.pool_used(&"contoso".into()))
    }

    #[test]
    fn a_day_and_a_month_begin_at_midnight_utc() {
        // Noon of 2026-11-23.
        let days = |count: u64| Duration::from_hours(24 * count);
        let mut spending = Spending::at(noon());
        spending.add(&leg(noon(), 5, 60));
        spending.add(&leg(noon() - days(1), 7, 60));
        spending.add(&leg(noon() - days(23), 100, 600));
        assert_eq!(counted(&spending), (5, 12, 120), "October is over");
        assert_eq!(spending.ends(Period::Day).to_string(), "2026-11-24T00:00:00.000Z");
        assert_eq!(spending.ends(Period::Month).to_string(), "2026-12-01T00:00:00.000Z");
        spending.turn(noon() + Duration::from_hours(11));
        assert_eq!(counted(&spending), (5, 12, 120));
        spending.turn(noon() + Duration::from_hours(12));
        assert_eq!(counted(&spending), (0, 12, 120), "another day");
        spending.turn(noon() + days(9));
        assert_eq!(counted(&spending), (0, 0, 0), "another month");
        assert_eq!(spending.ends(Period::Month).to_string(), "2027-01-01T00:00:00.000Z");
        assert_eq!(Stamp(Spending::month_began(noon())).to_string(), "2026-11-01T00:00:00.000Z");
    }

    #[test]
    fn a_clock_that_leaps_ahead_and_comes_back_does_not_open_a_limit_again() {
        let days = |count: u64| Duration::from_hours(24 * count);
        let unread = |spending: &Spending| [Period::Day, Period::Month].map(|of| spending.is_unread(of));
        let mut spending = Spending::at(noon());
        spending.add(&leg(noon(), 5, 60));
        spending.turn(noon() + days(9));
        assert_eq!(unread(&spending), [false, false], "December, as far as anybody knows");
        spending.turn(noon());
        assert_eq!(unread(&spending), [true, true], "what was spent in November is forgotten");
        spending.turn(noon() + days(8));
        assert_eq!(
            unread(&spending),
            [true, true],
            "the first of December, of which nothing is known but its noon"
        );
        spending.turn(noon() + days(10));
        assert_eq!(unread(&spending), [false, true], "a day that is all new, of a month that is not");
        spending.turn(noon() + days(40));
        assert_eq!(unread(&spending), [false, false], "January");
        // Around midnight clocks are corrected.
        let midnight = noon() + Duration::from_hours(12);
        let mut spending = Spending::at(noon());
        spending.turn(midnight + Duration::from_secs(1));
        let scope = Scope::Organizer("sam".into());
        spending.note(scope, "EUR".parse().expect("a currency"), Micros(3), true);
        assert!(!spending.turn(midnight - Duration::from_secs(1)));
        assert_eq!((counted(&spending).0, unread(&spending)), (3, [false, false]));
    }
}
