//! Rows O1 to O7: the conference dials somebody. The organizer's license and policy decide, no matter who asks.
//!
//! All matching routes of the policy are walked in order and their trunks become candidates, so that a failover-class
//! answer leads to the next trunk and then to the next route. Trunks that are Down come after all that are not.
//!
//! *No route matches* and *what matches is down* are different: the first is O6 (Microsoft) or O7 (no call); the
//! second is a refusal of the row that matched (O4, O5), unless a matching route says `fallback = "microsoft"` and
//! the license has Microsoft at all. Microsoft never carries a call because an operator is down without having been
//! named: it costs other money and shows another number.

mod destinations;

use super::{Trace, refusal};
use crate::decision::{Candidate, Initiator, Outcome, Refusal, RefusalKind, Rule};
use crate::ids::{OrganizerId, TrunkId};
use crate::license::License;
use crate::number::{E164, NumberError};
use crate::owner::{Biller, Owner, Provider};
use crate::pattern::Prefix;
use crate::service_number::ServiceNumber;
use crate::table::{Bridge, Grant, LeadsTo, Organizer, Policy, Route, Step, Table};

/// Enough attempts for any callee's patience; a policy of thousands of matching routes stays as quick as others.
const MAX_CANDIDATES: usize = 16;

/// The dial-out half of a request.
pub(super) struct Ask<'a> {
    pub(super) organizer: &'a OrganizerId,
    pub(super) dialed: &'a str,
    pub(super) initiator: Initiator,
    pub(super) down: &'a dyn Fn(&TrunkId) -> bool,
}

pub(super) fn decide(table: &Table, ask: &Ask<'_>, trace: &mut Trace<'_>) -> Result<Outcome, Refusal> {
    let unknown = || {
        let text = format!("{} is not an organizer, so has no license to dial out", ask.organizer);
        refusal(Rule::O3, RefusalKind::License, text)
    };
    let organizer = table.organizer(ask.organizer).ok_or_else(unknown)?;
    let bridge = table.bridge(&organizer.tenant).ok_or_else(unknown)?;
    let dialed = destination(table, bridge, ask.dialed, trace)?;
    destinations::allow(table, organizer, &dialed)?;
    trace.detail(Rule::O1, || format!("{:?} is {dialed}, which may be dialed", ask.dialed));
    may_initiate(organizer, ask.initiator)?;
    trace.detail(Rule::O2, || format!("{} may dial out of {}'s meeting", named(ask.initiator), organizer.id));
    let names = trace.reader.is_none();
    let search = Search { table, organizer, bridge, dialed, down: ask.down, names };
    match organizer.license {
        License::None => {
            let text = format!("{} has no conferencing license, so the bridge does not dial", organizer.id);
            Err(refusal(Rule::O3, RefusalKind::License, text))
        }
        // On-network routing excludes pay-per-minute, so no policy is consulted.
        License::PayPerMinute => {
            search.unmatched_goes_to_microsoft("pay-per-minute takes no routing policy".to_owned(), trace)
        }
        License::AudioConferencingStandard | License::OperatorConnectConferencing => search.by_policy(trace),
    }
}

/// O1: what was keyed, as a number that may be dialed.
fn destination(table: &Table, bridge: &Bridge, keyed: &str, trace: &Trace<'_>) -> Result<E164, Refusal> {
    let shown: String = keyed.chars().take(40).collect();
    let number = E164::normalize(keyed, &bridge.dial_plan).map_err(|error| {
        let kind = match error {
            NumberError::Short => RefusalKind::NeverDialed,
            _ => RefusalKind::BadNumber,
        };
        refusal(Rule::O1, kind, format!("{shown:?} cannot be dialed: {error}"))
    })?;
    // A conference that calls a bridge pays for two legs to hear an attendant.
    let ours = || {
        let known = table.number(&number).filter(|ours| trace.knows(ours));
        known.map(|_| "it is a dial-in number of this bridge")
    };
    match number.never_dialed().or_else(ours) {
        Some(reason) => {
            let text = format!("{number} is never dialed from a conference: {reason}");
            Err(refusal(Rule::O1, RefusalKind::NeverDialed, text))
        }
        None => Ok(number),
    }
}

fn named(initiator: Initiator) -> &'static str {
    match initiator {
        Initiator::Member => "a member",
        Initiator::Guest { .. } => "a guest",
        Initiator::Anonymous { .. } => "an anonymous participant",
    }
}

/// O2: somebody of the organization must be there, and somebody nobody can name needs the organizer's leave.
fn may_initiate(organizer: &Organizer, initiator: Initiator) -> Result<(), Refusal> {
    let (member_present, stranger) = match initiator {
        Initiator::Member => (true, false),
        Initiator::Guest { member_present } => (member_present, false),
        Initiator::Anonymous { member_present } => (member_present, true),
    };
    if stranger && !organizer.allow_anonymous_users_to_dial_out {
        let text = format!("{} does not allow anonymous participants to dial out", organizer.id);
        return Err(refusal(Rule::O2, RefusalKind::Initiator, text));
    }
    if !member_present {
        let text = format!("nobody of {} is in the meeting, so it does not dial out", organizer.tenant);
        return Err(refusal(Rule::O2, RefusalKind::Initiator, text));
    }
    Ok(())
}

/// One dial-out on its way through the policy.
struct Search<'a> {
    table: &'a Table,
    organizer: &'a Organizer,
    bridge: &'a Bridge,
    dialed: E164,
    down: &'a dyn Fn(&TrunkId) -> bool,
    /// Whether trunks are called by their names.
    names: bool,
}

/// What the walk over the policy has found.
#[derive(Default)]
struct Found<'a> {
    /// The first route that matched and the license may use, with its row.
    matched: Option<(Rule, &'a Route)>,
    /// The first of the matching routes that names Microsoft as fallback.
    fallback: Option<&'a Route>,
    up: Vec<Candidate>,
    down: Vec<Candidate>,
}

impl Found<'_> {
    /// The same trunk with the same caller ID is tried once.
    fn add(&mut self, candidate: Candidate) {
        let known =
            |other: &Candidate| other.trunk == candidate.trunk && other.caller_id == candidate.caller_id;
        if self.up.iter().any(known) || self.down.iter().any(known) {
            return;
        }
        let list = if candidate.down { &mut self.down } else { &mut self.up };
        if list.len() < MAX_CANDIDATES {
            list.push(candidate);
        }
    }
}

impl<'a> Search<'a> {
    /// O4 to O7: the routes of the policy in force, then what happens when none helps.
    fn by_policy(&self, trace: &mut Trace<'_>) -> Result<Outcome, Refusal> {
        let Some((policy, grant)) = &self.organizer.policy else {
            return self.unmatched(format!("no routing policy applies to {}", self.organizer.id), trace);
        };
        let policy = &self.table.policies[*policy as usize];
        trace.detail(Rule::O4, || format!("policy {:?} applies, {}", policy.name, by(grant)));
        let mut found = Found::default();
        let beginning = Prefix::of(self.dialed.as_str());
        for step in &policy.steps {
            if found.up.len() == MAX_CANDIDATES {
                trace.detail(Rule::O4, || {
                    format!("{MAX_CANDIDATES} candidates are enough, no further route is read")
                });
                break;
            }
            self.walk(policy, step, beginning, &mut found, trace);
        }
        let Some((rule, route)) = found.matched else {
            let text = format!(
                "no route of policy {:?} that the license may use matches {}",
                policy.name, self.dialed
            );
            return self.unmatched(text, trace);
        };
        if let Some(named) =
            found.fallback.filter(|_| self.organizer.license == License::AudioConferencingStandard)
        {
            self.fall_back(named, &mut found, trace);
        }
        if found.up.is_empty() {
            return Err(self.everything_is_down(rule, route, &found));
        }
        found.up.append(&mut found.down);
        Ok(chosen(found.up, trace))
    }

    /// One route of the policy.
    fn walk(
        &self,
        policy: &Policy,
        step: &Step,
        beginning: Prefix,
        found: &mut Found<'a>,
        trace: &mut Trace<'_>,
    ) {
        let matches = step.pattern.prefix().begins(beginning) && step.pattern.matches(&self.dialed);
        if !matches && !trace.every_step {
            return;
        }
        let route = &self.table.routes[step.route as usize];
        let usage = &policy.usages[step.usage as usize];
        if !matches {
            if matches!(&route.leads_to, LeadsTo::Source { number, .. } if !trace.knows(number)) {
                return;
            }
            trace.detail(route.rule(), || {
                format!(
                    "route {:?} ({usage}): {} does not match {}",
                    route.name,
                    route.pattern.text(),
                    self.dialed
                )
            });
            return;
        }
        let before = found.up.len() + found.down.len();
        let usable = match &route.leads_to {
            LeadsTo::Source { number, trunks } => self.by_source(route, number, trunks, found, trace),
            LeadsTo::Gateways(trunks) => self.by_gateways(route, trunks, found, trace),
        };
        if !usable {
            return;
        }
        found.matched.get_or_insert((route.rule(), route));
        if route.microsoft_fallback {
            found.fallback.get_or_insert(route);
        }
        trace.detail(route.rule(), || {
            let added = found.up.len() + found.down.len() - before;
            format!(
                "route {:?} ({usage}, priority {}) matches: {added} candidate{}",
                route.name,
                route.priority,
                if added == 1 { "" } else { "s" }
            )
        });
    }

    /// O4: through the operator who provides the number. Whether the route is this organizer's to use.
    fn by_source(
        &self,
        route: &'a Route,
        number: &ServiceNumber,
        trunks: &[u32],
        found: &mut Found<'a>,
        trace: &mut Trace<'_>,
    ) -> bool {
        if !self.organizer.shares(&number.tenancy) {
            trace.secret(Rule::O4, || {
                format!("route {:?}: {} is another tenant's", route.name, number.number)
            });
            return false;
        }
        if number.suspended {
            trace.step(Rule::O4, format!("route {:?}: {} is suspended", route.name, number.number));
            return true;
        }
        for &trunk in trunks {
            found.add(self.candidate(trunk, &number.number, Some(route)));
        }
        true
    }

    /// O5: through the listed trunks. An Operator Connect Conferencing license uses only those of operators, and only
    /// with a number of the same operator to show. Whether anything is left for this organizer.
    fn by_gateways(
        &self,
        route: &'a Route,
        trunks: &[u32],
        found: &mut Found<'a>,
        trace: &mut Trace<'_>,
    ) -> bool {
        let mut usable = false;
        for &trunk in trunks {
            let caller_id = match self.gateway_caller_id(trunk) {
                Ok(number) => number,
                Err(reason) => {
                    trace.secret(Rule::O5, || {
                        format!(
                            "route {:?}: trunk {} is left out, {reason}",
                            route.name,
                            self.table.trunk_id(trunk)
                        )
                    });
                    continue;
                }
            };
            usable = true;
            found.add(self.candidate(trunk, caller_id, Some(route)));
        }
        usable
    }

    /// The number to show on a listed trunk, or why this organizer may not use it.
    fn gateway_caller_id(&self, trunk: u32) -> Result<&'a E164, &'static str> {
        if self.organizer.license != License::OperatorConnectConferencing {
            return self.default_number().ok_or("the bridge has no default number in service to show");
        }
        let Provider::Operator(operator) = self.table.provider(trunk) else {
            return Err("Operator Connect Conferencing dials through operators only");
        };
        match &self.organizer.service_number {
            Some(own) if own.suspended => Err("the organizer's number is suspended"),
            Some(own) if matches!(&own.owner, Owner::Operator(owner) if owner == operator) => Ok(&own.number),
            _ => Err("the organizer has no service_number of this operator to show"),
        }
    }

    fn default_number(&self) -> Option<&'a E164> {
        self.bridge.default_number.as_ref().filter(|number| !number.suspended).map(|number| &number.number)
    }

    fn candidate(&self, trunk: u32, caller_id: &E164, route: Option<&Route>) -> Candidate {
        let provider = self.table.provider(trunk);
        let rule = route.map_or(Rule::O6, Route::rule);
        let because = match route {
            Some(route) => format!(
                "route {:?} matches {}; {provider} carries it, showing {caller_id}",
                route.name, self.dialed
            ),
            None => format!("{provider} carries {}, showing {caller_id}", self.dialed),
        };
        Candidate {
            trunk: self.table.trunk_id(trunk).clone(),
            dialed: self.dialed.clone(),
            caller_id: caller_id.clone(),
            biller: Biller::from(provider.clone()),
            route: route.map(|route| route.name.to_string()),
            rule,
            down: (self.down)(self.table.trunk_id(trunk)),
            because,
        }
    }

    /// A matching route names Microsoft: its trunks follow the routes' own.
    fn fall_back(&self, route: &Route, found: &mut Found<'a>, trace: &mut Trace<'_>) {
        let Some(caller_id) = self.default_number() else {
            trace.step(
                Rule::O6,
                format!(
                    "route {:?} falls back to Microsoft, but the bridge has no default number in service",
                    route.name
                ),
            );
            return;
        };
        for &trunk in &self.table.microsoft {
            let mut candidate = self.candidate(trunk, caller_id, None);
            candidate.route = Some(route.name.to_string());
            candidate.because =
                format!("route {:?} says fallback = \"microsoft\"; showing {caller_id}", route.name);
            found.add(candidate);
        }
    }

    /// No route matched: Microsoft under Standard (O6), nobody under Operator Connect Conferencing (O7).
    fn unmatched(&self, why: String, trace: &mut Trace<'_>) -> Result<Outcome, Refusal> {
        if self.organizer.license == License::AudioConferencingStandard {
            return self.unmatched_goes_to_microsoft(why, trace);
        }
        let license = self.organizer.license.title();
        let text = format!("{why}, and {license} never dials through Microsoft; give a route to an operator");
        Err(refusal(Rule::O7, RefusalKind::NoRoute, text))
    }

    fn unmatched_goes_to_microsoft(&self, why: String, trace: &mut Trace<'_>) -> Result<Outcome, Refusal> {
        let refuse = |kind, reason: String| Err(refusal(Rule::O6, kind, format!("{why}; {reason}")));
        let tenant = &self.organizer.tenant;
        if self.organizer.license == License::PayPerMinute && !self.bridge.communications_credits {
            return refuse(
                RefusalKind::Credits,
                format!("{tenant} has no Communications Credits to pay Microsoft"),
            );
        }
        if self.table.microsoft.is_empty() {
            return refuse(RefusalKind::NoRoute, "there is no Microsoft trunk".to_owned());
        }
        let Some(caller_id) = self.default_number() else {
            let text = format!("the bridge of {tenant} has no default_service_number in service to show");
            return refuse(RefusalKind::NoRoute, text);
        };
        let (down, mut up): (Vec<_>, Vec<_>) = self
            .table
            .microsoft
            .iter()
            .map(|&trunk| self.candidate(trunk, caller_id, None))
            .partition(|candidate| candidate.down);
        if up.is_empty() {
            return refuse(
                RefusalKind::RouteDown,
                format!("Microsoft would carry it, but {} is down or drained", self.list(&down)),
            );
        }
        up.extend(down);
        trace.step(Rule::O6, why);
        Ok(chosen(up, trace))
    }

    fn everything_is_down(&self, rule: Rule, route: &Route, found: &Found<'_>) -> Refusal {
        let what = if found.down.is_empty() {
            "it has no number in service to show".to_owned()
        } else {
            format!("{} is down or drained", self.list(&found.down))
        };
        let advice = match self.organizer.license {
            License::OperatorConnectConferencing => "no other route of the policy leads to an operator",
            _ if found.fallback.is_some() => "Microsoft, its fallback, does not help either",
            _ => "no matching route says fallback = \"microsoft\"",
        };
        let text = format!("route {:?} matches {}, but {what}, and {advice}", route.name, self.dialed);
        refusal(rule, RefusalKind::RouteDown, text)
    }

    fn list(&self, candidates: &[Candidate]) -> String {
        if !self.names {
            return "every trunk of it".to_owned();
        }
        let names: Vec<&str> = candidates.iter().map(|candidate| candidate.trunk.as_str()).collect();
        names.join(", ")
    }
}

impl Route {
    /// The row under which this route speaks.
    fn rule(&self) -> Rule {
        match self.leads_to {
            LeadsTo::Source { .. } => Rule::O4,
            LeadsTo::Gateways(_) => Rule::O5,
        }
    }
}

/// The last step is the first candidate's reason.
fn chosen(candidates: Vec<Candidate>, trace: &mut Trace<'_>) -> Outcome {
    if let Some(first) = candidates.first() {
        trace.step(first.rule, first.because.clone());
    }
    Outcome::Candidates(candidates)
}

fn by(grant: &Grant) -> String {
    match grant {
        Grant::User => "granted to the organizer".to_owned(),
        Grant::Group(group) => format!("granted to group {group:?}"),
        Grant::Global => "as the global policy".to_owned(),
    }
}
