//! `[[dial_out_limit]]`, checked.

use super::{DialOutLimitSource, Each, Limit, Scope, mistake};
use crate::money::{Amount, Currency};
use routing::{OrganizerId, Table, TableError, TenantId};
use toml::Spanned;

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
    Some(Limit { each, of, concurrent, attempts_per_minute, per_day, per_month })
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
    /// Whether it is for this scope.
    pub(crate) fn is_for(&self, scope: &Scope) -> bool {
        let (each, name) = match scope {
            Scope::Tenant(tenant) => (Each::Tenant, tenant.as_str()),
            Scope::Organizer(organizer) => (Each::Organizer, organizer.as_str()),
            Scope::Meeting(code) => (Each::Meeting, code.as_str()),
        };
        self.each == each && self.of.as_deref().is_none_or(|of| of == name)
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
