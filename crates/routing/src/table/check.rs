//! From source to table, collecting every mistake on the way.
//!
//! Order: trunks, bridges and numbers (each knows the other's tenant), usages, routes, policies, grants, organizers.
//! A part that is wrong is reported and left out; what refers to it is not reported a second time unless it is wrong
//! by itself, so that one mistake is one message.

mod destinations;
mod grants;
mod routes;

use super::{Bridge, Table, TableError, TrunkRef};
use crate::Spanned;
use crate::ids::TenantId;
use crate::language::{Language, MOST_LANGUAGES};
use crate::number::{DialPlan, E164, NumberError};
use crate::owner::{Owner, Provider};
use crate::pattern::Pattern;
use crate::service_number::{NumberKind, ServiceNumber, Tenancy};
use crate::source::{BridgeSource, NumberSource, TableSource};
use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::sync::Arc;

pub(super) fn build(source: &TableSource, trunks: &[TrunkRef]) -> Result<Table, Vec<TableError>> {
    let mut check = Check::new(source, trunks);
    check.trunks();
    check.blocked_prefixes();
    check.tenants();
    check.numbers();
    check.bridges();
    check.usages();
    check.routes();
    check.priorities();
    check.policies();
    check.grants();
    check.organizers();
    if check.errors.is_empty() {
        return Ok(check.table);
    }
    // Mistakes outside the document first, then in reading order.
    check.errors.sort_by_key(|error| error.span.as_ref().map_or(0, |span| span.start + 1));
    Err(check.errors)
}

struct Check<'a> {
    source: &'a TableSource,
    trunks: &'a [TrunkRef],
    table: Table,
    errors: Vec<TableError>,
    tenants: HashSet<&'a str>,
    /// Text as written -> the number, so that a number is found however it is written.
    plain: DialPlan,
    /// Numbers that are listed but wrong; references to them are not wrong a second time.
    rejected: HashSet<E164>,
    usages: HashMap<&'a str, UsageKind>,
    policies: HashMap<&'a str, u32>,
    /// Group -> (rank, policy).
    groups: HashMap<&'a str, (u32, u32)>,
    patterns: HashMap<&'a str, Pattern>,
}

/// Which kind of route a usage carries; it may not carry both.
#[derive(Clone, Copy, PartialEq)]
enum UsageKind {
    Source,
    Gateways,
    /// Already reported.
    Mixed,
}

impl<'a> Check<'a> {
    fn new(source: &'a TableSource, trunks: &'a [TrunkRef]) -> Self {
        let table = Table {
            numbers: Vec::with_capacity(source.numbers.len()),
            number_places: Vec::with_capacity(source.numbers.len()),
            number_index: HashMap::with_capacity(source.numbers.len()),
            bridges: HashMap::new(),
            organizers: HashMap::with_capacity(source.organizers.len()),
            policies: Vec::with_capacity(source.policies.len()),
            routes: Vec::with_capacity(source.routes.len()),
            trunks: trunks.to_vec(),
            trunk_index: HashMap::new(),
            microsoft: Vec::new(),
            dedicated: HashMap::new(),
            shared: Vec::new(),
            operators: HashMap::new(),
            blocked: Vec::new(),
            allow_premium: source.dial_out.allow_premium,
        };
        Self {
            source,
            trunks,
            table,
            errors: Vec::new(),
            tenants: HashSet::new(),
            plain: DialPlan::international(),
            rejected: HashSet::new(),
            usages: HashMap::new(),
            policies: HashMap::new(),
            groups: HashMap::new(),
            patterns: HashMap::new(),
        }
    }

    fn wrong<T: Display>(&mut self, at: &Spanned<T>, key: String, expected: impl Into<String>) {
        let found = format!("{:?}", at.get_ref().to_string());
        self.errors.push(TableError { span: Some(at.span()), key, found, expected: expected.into() });
    }

    fn trunks(&mut self) {
        for (index, trunk) in self.trunks.iter().enumerate() {
            let index = index as u32;
            if self.table.trunk_index.insert(trunk.id.clone(), index).is_some() {
                self.errors.push(TableError {
                    span: None,
                    key: "trunk".to_owned(),
                    found: format!("{:?} twice", trunk.id.as_str()),
                    expected: "a name of its own for each trunk".to_owned(),
                });
            }
            match &trunk.provider {
                Provider::Microsoft => self.table.microsoft.push(index),
                Provider::Operator(id) => self.table.operators.entry(id.clone()).or_default().push(index),
                Provider::Customer => {}
            }
        }
    }

    fn tenants(&mut self) {
        for bridge in &self.source.bridges {
            let tenant = bridge.tenant.get_ref();
            if tenant.is_empty() {
                self.wrong(&bridge.tenant, "bridge.tenant".to_owned(), "the organization's name");
            } else if !self.tenants.insert(tenant) {
                self.wrong(&bridge.tenant, "bridge.tenant".to_owned(), "one bridge per tenant");
            }
        }
    }

    fn tenant(&mut self, at: &Spanned<String>, key: impl FnOnce() -> String) -> Option<TenantId> {
        if self.tenants.contains(at.get_ref().as_str()) {
            return Some(TenantId::new(at.get_ref().as_str()));
        }
        self.wrong(at, key(), "a tenant that has a [[bridge]]");
        None
    }

    fn numbers(&mut self) {
        for source in &self.source.numbers {
            let Some(number) = self.service_number(source) else { continue };
            let index = self.table.numbers.len() as u32;
            if self.table.number_index.contains_key(&number.number) {
                self.wrong(&source.number, "number.number".to_owned(), "each number once");
                continue;
            }
            self.offer(&number, index);
            self.table.number_index.insert(number.number.clone(), index);
            self.table.numbers.push(Arc::new(number));
            self.table.number_places.push(source.number.span());
        }
    }

    /// Notes the number for callers who dialed one their organizer's license does not include.
    fn offer(&mut self, number: &ServiceNumber, index: u32) {
        let offered = match &number.tenancy {
            Tenancy::Dedicated(tenant) => self.table.dedicated.entry(tenant.clone()).or_default(),
            Tenancy::Shared => &mut self.table.shared,
        };
        let class = |number: &ServiceNumber| (number.owner == Owner::Microsoft, number.kind);
        let known = offered.iter().any(|&other| class(&self.table.numbers[other as usize]) == class(number));
        if !known && !number.suspended {
            offered.push(index);
        }
    }

    fn service_number(&mut self, source: &NumberSource) -> Option<ServiceNumber> {
        let key = |what: &str| format!("number {:?}.{what}", source.number.get_ref());
        let number = self.e164(&source.number, || "number.number".to_owned());
        let owner = match source.owner.get_ref().parse::<Owner>() {
            Ok(owner) => Some(owner),
            Err(error) => {
                self.wrong(&source.owner, key("owner"), error.0);
                None
            }
        };
        let kind = match source.kind.as_ref().map(|kind| (kind, kind.get_ref().as_str())) {
            None | Some((_, "toll")) => Some(NumberKind::Toll),
            Some((_, "toll-free")) => Some(NumberKind::TollFree),
            Some((at, _)) => {
                self.wrong(at, key("kind"), "toll or toll-free");
                None
            }
        };
        let tenancy = match &source.tenant {
            None => Some(Tenancy::Shared),
            Some(tenant) => self.tenant(tenant, || key("tenant")).map(Tenancy::Dedicated),
        };
        let languages = self.languages(source, &key("languages"));
        let number = number?;
        let (Some(owner), Some(kind), Some(tenancy)) = (owner, kind, tenancy) else {
            self.rejected.insert(number);
            return None;
        };
        Some(ServiceNumber { number, owner, kind, tenancy, languages, suspended: source.suspended })
    }

    fn languages(&mut self, source: &NumberSource, key: &str) -> Vec<Language> {
        let mut languages: Vec<Language> = Vec::new();
        for at in &source.languages {
            match at.get_ref().parse() {
                Err(error) => self.wrong(at, key.to_owned(), format!("{error}")),
                Ok(language) if languages.contains(&language) => {
                    self.wrong(at, key.to_owned(), "each language once");
                }
                Ok(_) if languages.len() == MOST_LANGUAGES => {
                    self.wrong(at, key.to_owned(), format!("at most {MOST_LANGUAGES} languages"));
                }
                Ok(_) if source.tenant.is_none() => {
                    let expected =
                        "no languages at a shared number: it speaks the bridge's own, for all tenants alike";
                    self.wrong(at, key.to_owned(), expected);
                    break;
                }
                Ok(language) => languages.push(language),
            }
        }
        languages
    }

    fn e164(&mut self, at: &Spanned<String>, key: impl FnOnce() -> String) -> Option<E164> {
        match E164::normalize(at.get_ref(), &self.plain) {
            Ok(number) => Some(number),
            Err(error) => {
                self.wrong(at, key(), format!("a number with + and country code: {error}"));
                None
            }
        }
    }

    /// A reference to a service number of the table.
    fn known_number(&mut self, at: &Spanned<String>, key: impl Fn() -> String) -> Option<Arc<ServiceNumber>> {
        let number = self.e164(at, &key)?;
        let found = self.table.number(&number).cloned();
        if found.is_none() && !self.rejected.contains(&number) {
            self.wrong(at, key(), "a number listed under [[number]]");
        }
        found
    }

    fn bridges(&mut self) {
        for source in &self.source.bridges {
            let tenant = TenantId::new(source.tenant.get_ref().as_str());
            let default_number = self.default_number(source, &tenant);
            let dial_plan = self.dial_plan(source);
            let bridge = Bridge {
                tenant: tenant.clone(),
                name: source.name.clone(),
                default_number,
                dial_plan,
                communications_credits: source.communications_credits,
                dial_out_policy: self.bridge_dial_out_policy(source),
                usage_location: self.bridge_usage_location(source),
                public_id: self.public_id(source),
                place: source.tenant.span(),
            };
            self.table.bridges.insert(tenant, bridge);
        }
    }

    /// Long enough that nobody guesses it, and nothing that would have to be written otherwise in a link.
    fn public_id(&mut self, source: &BridgeSource) -> Option<Arc<str>> {
        let at = source.public_id.as_ref()?;
        let text = at.get_ref();
        let key = || format!("bridge {:?}.public_id", source.tenant.get_ref());
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !plain || !(16..=64).contains(&text.len()) {
            self.wrong(at, key(), "16 to 64 letters, digits and -, as uuidgen makes them");
        } else if self.table.public_bridge(text).is_some() {
            self.wrong(at, key(), "a name of its own");
        } else {
            return Some(text.as_str().into());
        }
        None
    }

    /// The default number is a toll number of Microsoft's that serves the tenant: toll-free and operator numbers
    /// cannot be default.
    fn default_number(&mut self, source: &BridgeSource, tenant: &TenantId) -> Option<Arc<ServiceNumber>> {
        let at = source.default_service_number.as_ref()?;
        let key = || format!("bridge {:?}.default_service_number", source.tenant.get_ref());
        let number = self.known_number(at, key)?;
        let expected = if number.kind == NumberKind::TollFree {
            "a toll number: a toll-free number cannot be the default of a bridge"
        } else if number.owner != Owner::Microsoft {
            "a number of Microsoft's: an operator's number cannot be the default of a bridge"
        } else if !number.tenancy.serves(tenant) {
            "a number of this tenant or a shared one"
        } else {
            return Some(number);
        };
        self.wrong(at, key(), expected);
        None
    }

    fn dial_plan(&mut self, source: &BridgeSource) -> DialPlan {
        let key = |what: &str| format!("bridge {:?}.{what}", source.tenant.get_ref());
        let mut plan = DialPlan::international();
        if let Some(code) = &source.country_code {
            match DialPlan::of_country(code.get_ref()) {
                Ok(of_country) => plan = of_country,
                Err(error) => self.wrong(code, key("country_code"), error.to_string()),
            }
        }
        let mut set =
            |at: &Option<Spanned<String>>, what, apply: fn(DialPlan, &str) -> Result<_, NumberError>| {
                let Some(at) = at else { return };
                match apply(plan.clone(), at.get_ref()) {
                    Ok(changed) => plan = changed,
                    Err(error) => self.wrong(at, key(what), error.to_string()),
                }
            };
        set(&source.international_prefix, "international_prefix", |plan, prefix| {
            plan.with_prefixes(Some(prefix), None)
        });
        set(&source.national_prefix, "national_prefix", |plan, prefix| {
            plan.with_prefixes(None, Some(prefix))
        });
        plan
    }
}
