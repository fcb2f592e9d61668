//! `[[dial_out_limit]]`, checked.

use super::{DialOutLimitSource, Each, Limit, Scope, WithoutPrice, mistake};
use crate::money::{Amount, Currency};
use crate::spending::Period;
use routing::Spanned;
use routing::{OrganizerId, Table, TableError, TenantId};
use std::collections::{BTreeSet, HashMap};

/// More at once, or a minute, than any bridge has.
const MOST: u32 = 100_000;

pub(super) fn read(
    sources: &[DialOutLimitSource],
    currencies: &[Currency],
    table: &Table,
    errors: &mut Vec<TableError>,
) -> Vec<Limit> {
    sources.iter().filter_map(|source| limit(source, currencies, table, errors)).collect()
}

fn limit(
    source: &DialOutLimitSource,
    currencies: &[Currency],
    table: &Table,
    errors: &mut Vec<TableError>,
) -> Option<Limit> {
    let each = match source.each.get_ref().as_str() {
        "tenant" => Each::Tenant,
        "organizer" => Each::Organizer,
        "meeting" => Each::Meeting,
        _ => {
            errors.push(mistake(&source.each, "dial_out_limit.each".into(), "tenant, organizer or meeting"));
            return None;
        }
    };
    let of = source.of.as_ref();
    if let Some(at) = of.filter(|of| !known(each, of.get_ref(), table)) {
        let expected = match each {
            Each::Tenant => "a tenant that has a [[bridge]]",
            Each::Organizer => "the id of an [[organizer]]",
            Each::Meeting => "a conference ID: 7 to 12 digits",
        };
        errors.push(mistake(at, "dial_out_limit.of".into(), expected));
    }
    let counted = |at: &Option<Spanned<u32>>, key: &str, errors: &mut Vec<TableError>| {
        let at = at.as_ref()?;
        if *at.get_ref() > MOST {
            errors.push(mistake(at, format!("dial_out_limit.{key}"), &format!("0 to {MOST}")));
        }
        Some(*at.get_ref())
    };
    let concurrent = counted(&source.concurrent, "concurrent", errors);
    let attempts_per_minute = counted(&source.attempts_per_minute, "attempts_per_minute", errors);
    let per_day = spend(source.spend_per_day.as_ref(), "spend_per_day", currencies, errors);
    let per_month = spend(source.spend_per_month.as_ref(), "spend_per_month", currencies, errors);
    let nothing = source.concurrent.is_none()
        && source.attempts_per_minute.is_none()
        && source.spend_per_day.is_none()
        && source.spend_per_month.is_none();
    if nothing {
        let expected =
            "at least one of concurrent, attempts_per_minute, spend_per_day and spend_per_month beside it";
        errors.push(mistake(&source.each, "dial_out_limit.each".into(), expected));
    }
    let of = of.map(|of| of.get_ref().clone());
    let without_price = source.without_price;
    Some(Limit { each, of, concurrent, attempts_per_minute, per_day, per_month, without_price })
}

fn known(each: Each, name: &str, table: &Table) -> bool {
    match each {
        Each::Tenant => table.bridge(&TenantId::new(name)).is_some(),
        Each::Organizer => table.organizer(&OrganizerId::new(name)).is_some(),
        Each::Meeting => name.parse::<crate::meeting::ConferenceCode>().is_ok(),
    }
}

/// A limit in a currency in which nothing is priced would never be reached.
fn spend(
    at: Option<&Spanned<String>>,
    key: &str,
    currencies: &[Currency],
    errors: &mut Vec<TableError>,
) -> Option<Amount> {
    let at = at?;
    let key = format!("dial_out_limit.{key}");
    match at.get_ref().parse::<Amount>() {
        Ok(amount) if currencies.contains(&amount.currency) => Some(amount),
        Ok(_) => {
            errors.push(mistake(
                at,
                key,
                "the currency of a [[rate_plan]]: what has no price is not counted",
            ));
            None
        }
        Err(_) => {
            errors.push(mistake(at, key, "an amount and its currency, such as \"100.00 EUR\""));
            None
        }
    }
}

impl Limit {
    /// Its limits on money.
    pub(crate) fn money(&self) -> impl Iterator<Item = (Period, Amount)> + use<> {
        let day = self.per_day.map(|most| (Period::Day, most));
        day.into_iter().chain(self.per_month.map(|most| (Period::Month, most)))
    }
}

/// All limits, found by whom they are for: how many others there are costs a decision nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    all: Vec<Limit>,
    /// For each scope of a kind.
    each: HashMap<Each, Group>,
    /// For one.
    one: HashMap<Scope, Group>,
}

/// The limits that name the same.
#[derive(Debug, Default, PartialEq, Eq)]
struct Group {
    places: Vec<usize>,
    /// The currencies of those on money.
    currencies: BTreeSet<Currency>,
    /// The first of these whose limit refuses what it cannot count.
    strict: Option<Currency>,
}

impl Limits {
    pub(super) fn new(all: Vec<Limit>) -> Self {
        let mut limits = Self { all, ..Self::default() };
        for (place, limit) in limits.all.iter().enumerate() {
            let group = match &limit.of {
                None => limits.each.entry(limit.each).or_default(),
                Some(name) => limits.one.entry(Scope::named(limit.each, name)).or_default(),
            };
            group.places.push(place);
            for (_, most) in limit.money() {
                group.currencies.insert(most.currency);
                if limit.without_price == WithoutPrice::Refuse {
                    group.strict.get_or_insert(most.currency);
                }
            }
        }
        limits
    }

    /// Those for this scope.
    pub(crate) fn of(&self, scope: &Scope) -> impl Iterator<Item = &Limit> {
        let groups = [self.each.get(&scope.kind()), self.one.get(scope)];
        let places = groups.into_iter().flatten().flat_map(|group| &group.places);
        places.filter_map(|&place| self.all.get(place))
    }

    /// Whether the limits for this scope refuse a dial-out for being without a price that one of them counts, and the
    /// currency that they want. `price` is the currency that it is priced in, if it is.
    pub(crate) fn uncounted(&self, scope: &Scope, price: Option<Currency>) -> Option<Currency> {
        refused([self.each.get(&scope.kind()), self.one.get(scope)], price)
    }

    /// For which scopes [`Limits::uncounted`] may answer differently: those of a kind that no limit names, and each that one
    /// does. With how they are called, and what it answers.
    pub(super) fn answers(
        &self,
    ) -> impl Iterator<Item = (String, impl Fn(Option<Currency>) -> Option<Currency>)> {
        let unnamed = self.each.iter().map(|(each, group)| (called(*each, None), [Some(group), None]));
        let named = self.one.iter().map(|(scope, group)| {
            (called(scope.kind(), Some(scope)), [self.each.get(&scope.kind()), Some(group)])
        });
        unnamed.chain(named).map(|(name, groups)| (name, move |price| refused(groups, price)))
    }
}

/// The rule itself: one limit that counts it is enough, and only where none does a strict one refuses.
fn refused(groups: [Option<&Group>; 2], price: Option<Currency>) -> Option<Currency> {
    let mut groups = groups.into_iter().flatten();
    let counts = |group: &Group| price.is_some_and(|price| group.currencies.contains(&price));
    if groups.clone().any(counts) { None } else { groups.find_map(|group| group.strict) }
}

fn called(each: Each, scope: Option<&Scope>) -> String {
    match (scope, each) {
        // Who knows the ID can join, so it is not shown.
        (Some(Scope::Meeting(_)), _) => "one meeting".into(),
        (Some(scope), _) => format!("the {scope}"),
        (None, Each::Tenant) => "each tenant".into(),
        (None, Each::Organizer) => "each organizer".into(),
        (None, Each::Meeting) => "each meeting".into(),
    }
}

impl Scope {
    fn named(each: Each, name: &str) -> Self {
        match each {
            Each::Tenant => Self::Tenant(TenantId::new(name)),
            Each::Organizer => Self::Organizer(OrganizerId::new(name)),
            Each::Meeting => Self::Meeting(name.into()),
        }
    }

    fn kind(&self) -> Each {
        match self {
            Self::Tenant(_) => Each::Tenant,
            Self::Organizer(_) => Each::Organizer,
            Self::Meeting(_) => Each::Meeting,
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tenant(tenant) => write!(out, "tenant {tenant}"),
            Self::Organizer(organizer) => write!(out, "organizer {organizer}"),
            // Who knows the ID can join, so it is not shown.
            Self::Meeting(_) => out.write_str("this meeting"),
        }
    }
}
