//! Suspicious routes, usages and policies.

use super::{Lint, LintKind, add};
use crate::automaton::{Automaton, Search};
use crate::ids::TenantId;
use crate::pattern::Prefix;
use crate::table::{LeadsTo, Route, Table};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Automata larger than this, in bytes, are not looked into.
const MAX_AUTOMATON: usize = 1 << 20;

pub(super) fn lint(table: &Table, found: &mut Vec<Lint>) {
    let mut automata = Automata::default();
    let mut unreachable = HashSet::new();
    for (index, route) in table.routes.iter().enumerate() {
        if pattern(route, &mut automata, found) {
            unreachable.insert(index);
        }
        if let LeadsTo::Source { number, .. } = &route.leads_to
            && number.suspended
        {
            let text =
                format!("{} is suspended, so whatever this route matches is not dialed", number.number);
            add(found, LintKind::Suspended, &route.place, subject(route), text);
        }
    }
    shadows(table, &unreachable, &mut automata, found);
    usages(table, found);
    policies(table, found);
}

fn subject(route: &Route) -> String {
    format!("route {:?}", route.name)
}

/// Each pattern's automaton, built once. `None`: too large to look into.
#[derive(Default)]
struct Automata(HashMap<String, Option<Automaton>>);

impl Automata {
    fn load(&mut self, pattern: &str) {
        if !self.0.contains_key(pattern) {
            self.0.insert(pattern.to_owned(), Automaton::of(pattern, MAX_AUTOMATON));
        }
    }

    /// A number of the first pattern that the second does not match.
    fn beyond(&mut self, pattern: &str, other: &str) -> Search {
        self.load(pattern);
        self.load(other);
        match (&self.0[pattern], &self.0[other]) {
            (Some(pattern), Some(other)) => pattern.beyond(other),
            _ => Search::Unknown,
        }
    }

    /// A number the pattern matches.
    fn any(&mut self, pattern: &str) -> Search {
        self.load(pattern);
        self.0[pattern].as_ref().map_or(Search::Unknown, Automaton::any)
    }
}

/// Unreachable or unanchored. Whether it is unreachable.
fn pattern(route: &Route, automata: &mut Automata, found: &mut Vec<Lint>) -> bool {
    let text = route.pattern.text();
    if automata.any(text) == Search::Never {
        let advice = if text.contains('+') { "" } else { "; the dialed number begins with + (write \\+)" };
        let text = format!("{text} matches no number that can be dialed{advice}");
        add(found, LintKind::Unreachable, &route.place, subject(route), text);
        return true;
    }
    // A line-end comment under (?x) would swallow what is put around the pattern.
    if text.contains('#') {
        return false;
    }
    let from_the_start = format!("^\\+?(?:{text})");
    if let Search::Found(number) = automata.beyond(text, &from_the_start) {
        let text = format!("{text} is not anchored at the start and also matches {number}; begin with ^\\+");
        add(found, LintKind::Unanchored, &route.place, subject(route), text);
        return false;
    }
    // A pattern that is only the beginning of a number, such as ^\+49, is meant to go on.
    let exactly = format!("^\\+?(?:{text})$");
    if matches!(automata.any(&exactly), Search::Found(_))
        && let Search::Found(number) = automata.beyond(text, &exactly)
    {
        let text = format!("{text} is not anchored at the end and also matches {number}; end with $");
        add(found, LintKind::Unanchored, &route.place, subject(route), text);
    }
    false
}

/// Routes of one usage, in the order of priority: whatever a later one matches may all be taken by an earlier one.
fn shadows(table: &Table, unreachable: &HashSet<usize>, automata: &mut Automata, found: &mut Vec<Lint>) {
    let mut by_usage: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, route) in table.routes.iter().enumerate().filter(|(index, _)| !unreachable.contains(index)) {
        for usage in &route.usages {
            by_usage.entry(usage).or_default().push(index);
        }
    }
    let mut reported = HashSet::new();
    for (usage, mut routes) in by_usage {
        routes.sort_by_key(|&index| table.routes[index].priority);
        // A route can only be covered by one whose plain beginning is a beginning of its own.
        let mut earlier: HashMap<Prefix, Vec<usize>> = HashMap::new();
        for index in routes {
            let route = &table.routes[index];
            let prefix = route.pattern.prefix();
            let covering = prefix
                .beginnings()
                .filter_map(|beginning| earlier.get(&beginning))
                .flatten()
                .find(|&&other| covers(&table.routes[other], route, automata));
            if let Some(&other) = covering
                && reported.insert((other, index))
            {
                let text = shadow(&table.routes[other], route, usage);
                add(found, LintKind::Shadowed, &route.place, subject(route), text);
            }
            earlier.entry(prefix).or_default().push(index);
        }
    }
}

fn covers(earlier: &Route, later: &Route, automata: &mut Automata) -> bool {
    let (wide, narrow) = (earlier.pattern.text(), later.pattern.text());
    wide == narrow || automata.beyond(narrow, wide) == Search::Never
}

fn shadow(earlier: &Route, later: &Route, usage: &str) -> String {
    let same = match (&earlier.leads_to, &later.leads_to) {
        (LeadsTo::Source { number: a, .. }, LeadsTo::Source { number: b, .. }) => a == b,
        (LeadsTo::Gateways(a), LeadsTo::Gateways(b)) => b.iter().all(|trunk| a.contains(trunk)),
        _ => false,
    };
    let consequence = if same {
        "and leads where this one leads, so this one has no effect"
    } else {
        "so this one is tried only when that one fails"
    };
    format!(
        "in usage {usage:?}, route {:?} (priority {}) comes before priority {} and matches all its numbers, {consequence}",
        earlier.name, earlier.priority, later.priority
    )
}

fn usages(table: &Table, found: &mut Vec<Lint>) {
    let listed: HashSet<&str> =
        table.policies.iter().flat_map(|policy| &policy.usages).map(|usage| &**usage).collect();
    let mut reported = HashSet::new();
    for route in &table.routes {
        for usage in route.usages.iter().filter(|usage| !listed.contains(&***usage)) {
            if reported.insert(usage) {
                let text = format!("no policy lists it, so route {:?} is not reached by it", route.name);
                add(found, LintKind::UnusedUsage, &route.place, format!("usage {usage:?}"), text);
            }
        }
    }
}

fn policies(table: &Table, found: &mut Vec<Lint>) {
    let applied: BTreeSet<(u32, &TenantId)> = table
        .organizers
        .values()
        .filter_map(|organizer| Some((organizer.policy.as_ref()?.0, &organizer.tenant)))
        .collect();
    let used: HashSet<u32> = applied.iter().map(|(policy, _)| *policy).collect();
    for (index, policy) in table.policies.iter().enumerate() {
        if !used.contains(&(index as u32)) {
            let text = "it applies to no organizer; grant it to a user, a group or all";
            add(found, LintKind::UnusedPolicy, &policy.place, format!("policy {:?}", policy.name), text);
        }
    }
    for (policy, tenant) in applied {
        let policy = &table.policies[policy as usize];
        for route in policy.steps.iter().map(|step| &table.routes[step.route as usize]) {
            if let LeadsTo::Source { number, .. } = &route.leads_to
                && !number.tenancy.serves(tenant)
            {
                let text = format!(
                    "it applies to organizers of {tenant}, but route {:?} shows {}, which is not theirs; it is passed by",
                    route.name, number.number
                );
                add(found, LintKind::ForeignRoute, &policy.place, format!("policy {:?}", policy.name), text);
            }
        }
    }
}
