//! What legs cost: `[billing]`, `[[rate_plan]]` and `[[dial_out_limit]]`, checked.

mod limits;

use crate::money::{Amount, Currency, Micros};
use crate::text::{SHORT, clean};
use crate::usage::{CallType, Rounding};
use routing::Spanned;
use routing::{Biller, E164, OrganizerId, Table, TableError, TenantId};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use limits::Limits;

/// `[billing]`, `[[rate_plan]]` and `[[dial_out_limit]]` as they are written.
#[derive(Debug, Clone, Default)]
pub struct TariffSource {
    /// `[billing]`
    pub billing: BillingSource,
    /// `[[rate_plan]]`
    pub plans: Vec<RatePlanSource>,
    /// `[[dial_out_limit]]`
    pub limits: Vec<DialOutLimitSource>,
}

/// `[billing]`
#[derive(Debug, Clone, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BillingSource {
    /// How often an answered leg writes an interim record, in seconds; 0: never. Default: 60.
    pub interim_seconds: Spanned<u64>,
    /// Minutes of dial-out into Zone A that each Audio Conferencing Standard license of a tenant brings into the tenant's
    /// pool, for a calendar month. Default: 60.
    pub pool_minutes_per_license: Spanned<u64>,
}

impl Default for BillingSource {
    fn default() -> Self {
        Self { interim_seconds: Spanned::new(0..0, 60), pool_minutes_per_license: Spanned::new(0..0, 60) }
    }
}

/// `[[rate_plan]]`: the prices of one who bills.
#[derive(Debug, Clone, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RatePlanSource {
    /// `microsoft`, `operator:<id>` or `customer`; one plan each.
    pub biller: Spanned<String>,
    /// ISO 4217.
    pub currency: Spanned<String>,
    /// How exact time becomes billed time.
    #[serde(default)]
    pub rounding: Rounding,
    /// Prices by the beginning of the number; the longest that fits counts.
    pub rates: Vec<RateSource>,
}

/// One price.
#[derive(Debug, Clone, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateSource {
    /// `+` and digits; `+` alone fits every number.
    pub prefix: Spanned<String>,
    /// The price of a minute, in the plan's currency.
    pub per_minute: Spanned<String>,
    /// Once a leg. Default: nothing.
    #[serde(default)]
    pub connection_fee: Option<Spanned<String>>,
    /// What it is for. Default: `out`.
    #[serde(default)]
    pub direction: Direction,
}

/// What a price is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// A dial-out, by the dialed number.
    #[default]
    Out,
    /// A dial-in, by the service number.
    In,
}

/// `[[dial_out_limit]]`: how much dialing out there may be.
#[derive(Debug, Clone, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DialOutLimitSource {
    /// `tenant`, `organizer` or `meeting`: each one for itself.
    pub each: Spanned<String>,
    /// Only this tenant, organizer or conference ID.
    #[serde(default)]
    pub of: Option<Spanned<String>>,
    /// The most dial-outs at once, ringing or answered.
    #[serde(default)]
    pub concurrent: Option<Spanned<u32>>,
    /// The most dial-outs begun within any 60 seconds.
    #[serde(default)]
    pub attempts_per_minute: Option<Spanned<u32>>,
    /// The most that dial-outs may cost in a day (UTC), `100.00 EUR`.
    #[serde(default)]
    pub spend_per_day: Option<Spanned<String>>,
    /// The most that dial-outs may cost in a calendar month (UTC).
    #[serde(default)]
    pub spend_per_month: Option<Spanned<String>>,
    /// What becomes of dial-outs that have no price in the currency of these two.
    #[serde(default)]
    pub without_price: WithoutPrice,
}

/// What becomes of a dial-out that a limit on money cannot count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WithoutPrice {
    /// It is refused: whatever is not counted has no limit.
    #[default]
    Refuse,
    /// It is dialed, and the limit does not see it.
    Allow,
}

/// Prices and limits that cannot be wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct Tariffs {
    /// How often an answered leg writes an interim record.
    pub interim: Option<Duration>,
    /// Seconds that one license brings into its tenant's pool.
    pub(crate) pool_seconds: u64,
    pub(crate) limits: Limits,
    plans: HashMap<Biller, Plan>,
}

impl Default for Tariffs {
    /// No prices and no limits; interim records every minute, 60 minutes a license.
    fn default() -> Self {
        let interim = Some(Duration::from_mins(1));
        Self { interim, pool_seconds: 3600, limits: Limits::default(), plans: HashMap::new() }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Plan {
    currency: Currency,
    rounding: Rounding,
    /// By direction and digits.
    rates: HashMap<(bool, String), Rate>,
}

/// What a leg costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) currency: Currency,
    pub(crate) rounding: Rounding,
    /// The prefix that matched.
    pub(crate) prefix: String,
    pub(crate) per_minute: Micros,
    pub(crate) connection_fee: Micros,
}

impl Rate {
    /// The fee and the charge for so many seconds beyond what is free; nothing costs nothing. Fractions of a millionth
    /// count whole.
    pub(crate) fn charge(&self, seconds: u64) -> (Micros, Micros) {
        if seconds == 0 {
            return (Micros(0), Micros(0));
        }
        let time = (u128::from(self.per_minute.0) * u128::from(seconds)).div_ceil(60);
        let time = u64::try_from(time).unwrap_or(u64::MAX);
        (self.connection_fee, Micros(time.saturating_add(self.connection_fee.0)))
    }
}

/// Whom a limit is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Scope {
    Tenant(TenantId),
    Organizer(OrganizerId),
    Meeting(Arc<str>),
}

/// Which scopes a limit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Each {
    Tenant,
    Organizer,
    Meeting,
}

/// One `[[dial_out_limit]]`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) each: Each,
    pub(crate) of: Option<String>,
    pub(crate) concurrent: Option<u32>,
    pub(crate) attempts_per_minute: Option<u32>,
    pub(crate) per_day: Option<Amount>,
    pub(crate) per_month: Option<Amount>,
    pub(crate) without_price: WithoutPrice,
}

impl Tariffs {
    /// Checks prices and limits. All mistakes are returned at once, in the order of the document.
    pub fn build(source: &TariffSource, table: &Table) -> Result<Self, Vec<TableError>> {
        let mut errors = Vec::new();
        let billing = &source.billing;
        let interim = within(&mut errors, &billing.interim_seconds, "billing.interim_seconds", 0..=86_400);
        let minutes = within(
            &mut errors,
            &billing.pool_minutes_per_license,
            "billing.pool_minutes_per_license",
            0..=100_000,
        );
        let mut plans = HashMap::new();
        for plan in &source.plans {
            let Some((biller, plan_read)) = read_plan(plan, &mut errors) else { continue };
            if plans.insert(biller, plan_read).is_some() {
                errors.push(mistake(
                    &plan.biller,
                    "rate_plan.biller".into(),
                    "one rate plan for each who bills",
                ));
            }
        }
        let currencies: Vec<Currency> = plans.values().map(|plan| plan.currency).collect();
        let limits = limits::read(&source.limits, &currencies, table, &mut errors);
        if errors.is_empty() {
            let interim = (interim > 0).then(|| Duration::from_secs(interim));
            return Ok(Self { interim, pool_seconds: minutes * 60, limits: Limits::new(limits), plans });
        }
        errors.sort_by_key(|error| error.span.as_ref().map_or(0, |span| span.start));
        Err(errors)
    }

    /// What the limits on money refuse because it has no price that they could count, of what these bill: a sentence each.
    pub fn uncounted<'a>(&self, billers: impl IntoIterator<Item = &'a Biller>) -> Vec<String> {
        let billers: BTreeSet<&Biller> = billers.into_iter().collect();
        let mut said = BTreeSet::new();
        for (whose, refuses) in self.limits.answers() {
            for biller in &billers {
                let plan = self.plans.get(biller);
                let what = match plan {
                    None if refuses(None).is_some() => {
                        "has no [[rate_plan]]: none of its dial-outs can be counted".to_owned()
                    }
                    Some(plan) if refuses(Some(plan.currency)).is_some() => {
                        format!("has its prices in {}: none of its dial-outs can be counted", plan.currency)
                    }
                    Some(plan)
                        if !plan.rates.contains_key(&(false, String::new())) && refuses(None).is_some() =>
                    {
                        "has no price for every number (prefix = \"+\"): others cannot be counted".to_owned()
                    }
                    _ => continue,
                };
                said.insert(format!(
                    "`dial_out_limit`: {whose} has a limit on money, and {biller} {what} and are refused, but for what the \
                     minute pool pays: give them a price, or set without_price = \"allow\""
                ));
            }
        }
        said.into_iter().collect()
    }

    /// The price of a leg that is billed by this party; `None` where no plan says it.
    pub(crate) fn rate(&self, biller: &Biller, call_type: CallType, number: &E164) -> Option<Rate> {
        let plan = self.plans.get(biller)?;
        let inward = call_type == CallType::ConfIn;
        let digits = number.digits();
        let mut prefixes = (0..=digits.len()).rev().filter_map(|length| digits.get(..length));
        prefixes.find_map(|prefix| plan.rates.get(&(inward, prefix.to_owned()))).cloned()
    }

    /// The rounding of one who bills, by his plan.
    pub(crate) fn rounding(&self, biller: Option<&Biller>) -> Option<Rounding> {
        Some(self.plans.get(biller?)?.rounding)
    }
}

fn read_plan(source: &RatePlanSource, errors: &mut Vec<TableError>) -> Option<(Biller, Plan)> {
    let before = errors.len();
    let name = clean(source.biller.get_ref(), SHORT);
    let key = |what: &str| format!("rate_plan {name:?}.{what}");
    let biller = source.biller.get_ref().parse::<Biller>();
    if biller.is_err() {
        errors.push(mistake(
            &source.biller,
            "rate_plan.biller".into(),
            "microsoft, operator:<id> or customer",
        ));
    }
    let currency = source.currency.get_ref().parse::<Currency>();
    if let Err(error) = &currency {
        errors.push(mistake(&source.currency, key("currency"), &error.to_string()));
    }
    let (biller, currency) = (biller.ok()?, currency.ok()?);
    let mut rates = HashMap::with_capacity(source.rates.len());
    for rate in &source.rates {
        let Some(read) = read_rate(rate, currency, source.rounding, &key, errors) else { continue };
        let place = (rate.direction == Direction::In, read.prefix.trim_start_matches('+').to_owned());
        if rates.insert(place, read).is_some() {
            errors.push(mistake(&rate.prefix, key("rates.prefix"), "each prefix once for each direction"));
        }
    }
    (errors.len() == before).then_some((biller, Plan { currency, rounding: source.rounding, rates }))
}

fn read_rate(
    source: &RateSource,
    currency: Currency,
    rounding: Rounding,
    key: &impl Fn(&str) -> String,
    errors: &mut Vec<TableError>,
) -> Option<Rate> {
    let prefix = source.prefix.get_ref();
    let fits = prefix == "+" || prefix.parse::<E164>().is_ok();
    if !fits {
        errors.push(mistake(
            &source.prefix,
            key("rates.prefix"),
            "+, or + with a country code and further digits",
        ));
    }
    let mut amount = |at: &Spanned<String>, what: &str| match at.get_ref().parse::<Micros>() {
        Ok(amount) => Some(amount),
        Err(error) => {
            errors.push(mistake(at, key(what), &error.to_string()));
            None
        }
    };
    let per_minute = amount(&source.per_minute, "rates.per_minute");
    let connection_fee = match &source.connection_fee {
        Some(at) => amount(at, "rates.connection_fee"),
        None => Some(Micros(0)),
    };
    let (per_minute, connection_fee) = (per_minute?, connection_fee?);
    fits.then(|| Rate { currency, rounding, prefix: prefix.clone(), per_minute, connection_fee })
}

fn within(
    errors: &mut Vec<TableError>,
    at: &Spanned<u64>,
    key: &str,
    range: std::ops::RangeInclusive<u64>,
) -> u64 {
    let found = *at.get_ref();
    if !range.contains(&found) {
        errors.push(mistake(at, key.into(), &format!("{} to {}", range.start(), range.end())));
    }
    found
}

fn mistake<T: std::fmt::Display>(at: &Spanned<T>, key: String, expected: &str) -> TableError {
    let found = clean(&format!("{:?}", at.get_ref().to_string()), SHORT);
    TableError { span: Some(at.span()), key, found, expected: expected.into() }
}

#[cfg(test)]
pub(crate) mod tests;
