//! Usages, voice routes and policies: what conflicts, what is ambiguous, what leads nowhere.

use super::{Check, UsageKind};
use crate::Spanned;
use crate::owner::Owner;
use crate::pattern::{DEFAULT_PATTERN, Pattern};
use crate::source::RouteSource;
use crate::table::{LeadsTo, Policy, Route, Step, TableError};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

impl<'a> Check<'a> {
    /// A usage carries routes with a bridge source number or routes without, never both: whoever was granted the one
    /// would silently get the other's caller ID and bill.
    pub(super) fn usages(&mut self) {
        for route in &self.source.routes {
            let kind = if route.bridge_source_phone_number.is_some() {
                UsageKind::Source
            } else {
                UsageKind::Gateways
            };
            for usage in &route.pstn_usages {
                let name = usage.get_ref().as_str();
                let before = *self.usages.entry(name).or_insert(kind);
                if before != kind && before != UsageKind::Mixed {
                    self.usages.insert(name, UsageKind::Mixed);
                    self.wrong(
                        usage,
                        format!("route {:?}.pstn_usages", route.name.get_ref()),
                        "a usage whose routes all have a bridge_source_phone_number, or none has; \
                         give this route a usage of its own",
                    );
                }
            }
        }
    }

    pub(super) fn routes(&mut self) {
        let mut names = HashSet::new();
        let mut highest = 0u32;
        for source in &self.source.routes {
            let key = |what: &str| format!("route {:?}.{what}", source.name.get_ref());
            if source.name.get_ref().is_empty() || !names.insert(source.name.get_ref().as_str()) {
                self.wrong(&source.name, "route.name".to_owned(), "a name of its own for each route");
            }
            let usages = self.names(&source.pstn_usages, || key("pstn_usages"), &source.name);
            let priority =
                source.priority.as_ref().map_or(highest.saturating_add(1), |given| *given.get_ref());
            highest = highest.max(priority);
            let pattern = self.pattern(source);
            let leads_to = self.leads_to(source);
            let microsoft_fallback = self.fallback(source);
            let (Some(pattern), Some(leads_to)) = (pattern, leads_to) else { continue };
            let name = source.name.get_ref().as_str().into();
            let place = source.name.span();
            self.table.routes.push(Route {
                name,
                pattern,
                priority,
                usages,
                leads_to,
                microsoft_fallback,
                place,
            });
        }
    }

    /// A non-empty list of names without repetition.
    fn names(
        &mut self,
        list: &[Spanned<String>],
        key: impl Fn() -> String,
        section: &Spanned<String>,
    ) -> Vec<Arc<str>> {
        if list.is_empty() {
            self.errors.push(TableError {
                span: Some(section.span()),
                key: key(),
                found: "an empty list".to_owned(),
                expected: "at least one PSTN usage; without one it is never reached".to_owned(),
            });
        }
        let mut seen = HashSet::new();
        for name in list {
            if name.get_ref().is_empty() || !seen.insert(name.get_ref()) {
                self.wrong(name, key(), "each usage once, and not empty");
            }
        }
        list.iter().map(|name| name.get_ref().as_str().into()).collect()
    }

    /// Many routes share a pattern; each is compiled once.
    fn pattern(&mut self, source: &'a RouteSource) -> Option<Pattern> {
        let text = source.number_pattern.as_ref().map_or(DEFAULT_PATTERN, |pattern| pattern.get_ref());
        if let Some(known) = self.patterns.get(text) {
            return Some(known.clone());
        }
        match Pattern::compile(text) {
            Ok(pattern) => {
                self.patterns.insert(text, pattern.clone());
                Some(pattern)
            }
            Err(expected) => {
                let at = source.number_pattern.as_ref().unwrap_or(&source.name);
                self.wrong(at, format!("route {:?}.number_pattern", source.name.get_ref()), expected);
                None
            }
        }
    }

    fn leads_to(&mut self, source: &RouteSource) -> Option<LeadsTo> {
        let expected = "either bridge_source_phone_number or pstn_gateway_list, not both and not neither";
        match (&source.bridge_source_phone_number, &source.pstn_gateway_list) {
            (Some(number), None) => self.source_number(source, number),
            (None, Some(list)) => self.gateways(source, list),
            (Some(number), Some(_)) => {
                let key = format!("route {:?}.bridge_source_phone_number", source.name.get_ref());
                self.wrong(number, key, expected);
                None
            }
            (None, None) => {
                self.wrong(&source.name, "route.name".to_owned(), expected);
                None
            }
        }
    }

    fn source_number(&mut self, source: &RouteSource, at: &Spanned<String>) -> Option<LeadsTo> {
        let key = || format!("route {:?}.bridge_source_phone_number", source.name.get_ref());
        let number = self.known_number(at, key)?;
        let Owner::Operator(operator) = number.owner.clone() else {
            self.wrong(at, key(), "an operator's number; Microsoft's numbers need no route");
            return None;
        };
        let Some(trunks) = self.table.operators.get(&operator).cloned() else {
            self.wrong(at, key(), format!("a number whose owner has a trunk; operator:{operator} has none"));
            return None;
        };
        Some(LeadsTo::Source { number, trunks })
    }

    fn gateways(&mut self, source: &RouteSource, list: &[Spanned<String>]) -> Option<LeadsTo> {
        let key = || format!("route {:?}.pstn_gateway_list", source.name.get_ref());
        let mut trunks = Vec::with_capacity(list.len());
        for at in list {
            match self.table.trunk_index.get(at.get_ref().as_str()) {
                Some(index) if trunks.contains(index) => self.wrong(at, key(), "each trunk once"),
                Some(&index) => trunks.push(index),
                None => self.wrong(at, key(), "a trunk that is configured"),
            }
        }
        if list.is_empty() {
            self.errors.push(TableError {
                span: Some(source.name.span()),
                key: key(),
                found: "an empty list".to_owned(),
                expected: "at least one trunk; a route that leads nowhere is dead".to_owned(),
            });
        }
        (!trunks.is_empty()).then_some(LeadsTo::Gateways(trunks))
    }

    fn fallback(&mut self, source: &RouteSource) -> bool {
        let Some(at) = &source.fallback else { return false };
        let key = format!("route {:?}.fallback", source.name.get_ref());
        match at.get_ref().as_str() {
            "none" => false,
            "microsoft" if self.table.microsoft.is_empty() => {
                self.wrong(at, key, "none: there is no trunk of provider microsoft to fall back to");
                false
            }
            "microsoft" => true,
            _ => {
                self.wrong(at, key, "none or microsoft");
                false
            }
        }
    }

    /// Two routes of one usage with the same priority: which comes first would be nobody's decision.
    pub(super) fn priorities(&mut self) {
        let mut taken: HashMap<(&str, u32), &str> = HashMap::new();
        let mut highest = 0u32;
        for route in &self.source.routes {
            let priority =
                route.priority.as_ref().map_or(highest.saturating_add(1), |given| *given.get_ref());
            highest = highest.max(priority);
            for usage in &route.pstn_usages {
                let other = *taken.entry((usage.get_ref(), priority)).or_insert(route.name.get_ref());
                if other != route.name.get_ref() {
                    let at =
                        route.priority.clone().unwrap_or_else(|| Spanned::new(route.name.span(), priority));
                    let key = format!("route {:?}.priority", route.name.get_ref());
                    self.wrong(
                        &at,
                        key,
                        format!("another priority than route {other:?} of usage {:?}", usage.get_ref()),
                    );
                }
            }
        }
    }

    pub(super) fn policies(&mut self) {
        let by_usage = self.routes_by_usage();
        for source in &self.source.policies {
            let key = || format!("policy {:?}.pstn_usages", source.name.get_ref());
            let index = self.table.policies.len() as u32;
            if source.name.get_ref().is_empty() || self.policies.contains_key(source.name.get_ref().as_str())
            {
                self.wrong(&source.name, "policy.name".to_owned(), "a name of its own for each policy");
            } else {
                self.policies.insert(source.name.get_ref(), index);
            }
            let usages = self.names(&source.pstn_usages, key, &source.name);
            for usage in &source.pstn_usages {
                if !self.usages.contains_key(usage.get_ref().as_str()) && !usage.get_ref().is_empty() {
                    self.wrong(usage, key(), "a usage that some route carries");
                }
            }
            let mut reached = HashSet::new();
            let mut steps = Vec::new();
            for (position, usage) in usages.iter().enumerate() {
                for &route in by_usage.get(usage).into_iter().flatten() {
                    if reached.insert(route) {
                        let pattern = self.table.routes[route as usize].pattern.clone();
                        steps.push(Step { pattern, usage: position as u32, route });
                    }
                }
            }
            let place = source.name.span();
            let name = source.name.get_ref().as_str().into();
            self.table.policies.push(Policy { name, usages, steps, place });
        }
    }

    /// Each usage's routes, lowest priority number first.
    fn routes_by_usage(&self) -> HashMap<Arc<str>, Vec<u32>> {
        let mut by_usage: HashMap<Arc<str>, Vec<u32>> = HashMap::new();
        for (index, route) in self.table.routes.iter().enumerate() {
            for usage in &route.usages {
                by_usage.entry(usage.clone()).or_default().push(index as u32);
            }
        }
        for routes in by_usage.values_mut() {
            routes.sort_by_key(|&route| self.table.routes[route as usize].priority);
        }
        by_usage
    }
}
