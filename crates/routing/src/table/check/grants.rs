//! Who is granted which policy, and the organizers.

use super::Check;
use crate::Spanned;
use crate::ids::{OrganizerId, TenantId};
use crate::license::License;
use crate::service_number::{NumberKind, ServiceNumber};
use crate::source::OrganizerSource;
use crate::table::{Grant, Organizer};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

impl Check<'_> {
    fn policy(&mut self, at: &Spanned<String>, key: impl FnOnce() -> String) -> Option<u32> {
        let found = self.policies.get(at.get_ref().as_str()).copied();
        if found.is_none() {
            self.wrong(at, key(), "the name of a [[policy]]");
        }
        found
    }

    pub(super) fn grants(&mut self) {
        let mut ranks = HashSet::new();
        for grant in &self.source.group_policies {
            let group = grant.group.get_ref().as_str();
            let policy = self.policy(&grant.policy, || format!("group_policy {group:?}.policy"));
            if !ranks.insert(*grant.rank.get_ref()) {
                self.wrong(&grant.rank, format!("group_policy {group:?}.rank"), "a rank no other group has");
            }
            let Some(policy) = policy else { continue };
            if self.groups.insert(group, (*grant.rank.get_ref(), policy)).is_some() {
                self.wrong(&grant.group, "group_policy.group".to_owned(), "one policy per group");
            }
        }
    }

    pub(super) fn organizers(&mut self) {
        let global =
            self.source.global_policy.as_ref().and_then(|at| self.policy(at, || "global_policy".to_owned()));
        let mut of_tenant = HashMap::new();
        for bridge in &self.source.bridges {
            let Some(at) = &bridge.global_policy else { continue };
            let key = || format!("bridge {:?}.global_policy", bridge.tenant.get_ref());
            if let Some(policy) = self.policy(at, key) {
                of_tenant.insert(bridge.tenant.get_ref().as_str(), policy);
            }
        }
        for source in &self.source.organizers {
            let global = of_tenant.get(source.tenant.get_ref().as_str()).copied().or(global);
            let Some(organizer) = self.organizer(source, global) else { continue };
            if self.table.organizers.contains_key(source.id.get_ref().as_str()) {
                self.wrong(&source.id, "organizer.id".to_owned(), "each organizer once");
                continue;
            }
            self.table.organizers.insert(organizer.id.clone(), organizer);
        }
    }

    fn organizer(&mut self, source: &OrganizerSource, global: Option<u32>) -> Option<Organizer> {
        let key = |what: &str| format!("organizer {:?}.{what}", source.id.get_ref());
        if source.id.get_ref().is_empty() {
            self.wrong(&source.id, "organizer.id".to_owned(), "a name");
        }
        let tenant = self.tenant(&source.tenant, || key("tenant"));
        let license = match source.license.get_ref().parse() {
            Ok(license) => Some(license),
            Err(error) => {
                self.wrong(&source.license, key("license"), format!("{error}"));
                None
            }
        };
        let own = source.policy.as_ref().map(|at| self.policy(at, || key("policy")));
        let policy = match own {
            Some(own) => own.map(|policy| (policy, Grant::User)),
            None => self.granted(source).or(global.map(|policy| (policy, Grant::Global))),
        };
        let toll = self.invite_number(source, source.service_number.as_ref(), NumberKind::Toll);
        let toll_free =
            self.invite_number(source, source.toll_free_service_number.as_ref(), NumberKind::TollFree);
        let (dial_out_policy, usage_location) = self.reach(source);
        let invited = self.invite_numbers(source, license);
        Some(Organizer {
            id: OrganizerId::new(source.id.get_ref().as_str()),
            tenant: tenant?,
            license: license?,
            service_number: toll,
            toll_free_service_number: toll_free,
            meeting_invite_phone_numbers: invited,
            allow_toll_free_dial_in: source.allow_toll_free_dial_in,
            allow_anonymous_users_to_dial_out: source.allow_anonymous_users_to_dial_out,
            dial_out_policy,
            usage_location,
            policy,
            place: source.id.span(),
        })
    }

    /// The policy of the lowest-ranked of the organizer's groups.
    fn granted(&self, source: &OrganizerSource) -> Option<(u32, Grant)> {
        let grants = source.groups.iter().filter_map(|group| {
            let (rank, policy) = self.groups.get(group.as_str())?;
            Some((*rank, *policy, group))
        });
        let (_, policy, group) = grants.min_by_key(|(rank, ..)| *rank)?;
        Some((policy, Grant::Group(group.as_str().into())))
    }

    /// The numbers on this organizer's invites: of his tenant, and such that callers reach him there.
    fn invite_numbers(
        &mut self,
        source: &OrganizerSource,
        license: Option<License>,
    ) -> Vec<Arc<ServiceNumber>> {
        let key = || format!("organizer {:?}.meeting_invite_phone_numbers", source.id.get_ref());
        let tenant = TenantId::new(source.tenant.get_ref().as_str());
        let mut numbers: Vec<Arc<ServiceNumber>> = Vec::new();
        for at in &source.meeting_invite_phone_numbers {
            let Some(number) = self.known_number(at, key) else { continue };
            let expected = if !number.tenancy.serves(&tenant) {
                "a number of the organizer's tenant or a shared one"
            } else if license.is_some_and(|license| !license.includes(&number.owner)) {
                "a number that the organizer's license includes"
            } else if number.kind == NumberKind::TollFree && !source.allow_toll_free_dial_in {
                "a toll number: the organizer does not allow toll-free dial-in"
            } else if numbers.contains(&number) {
                "each number once"
            } else {
                numbers.push(number);
                continue;
            };
            self.wrong(at, key(), expected);
        }
        numbers
    }

    /// A number for this organizer's invites: of the kind its key says and of the organizer's tenant. That the
    /// license includes it is left to lint, so that a license change never keeps a table from loading.
    fn invite_number(
        &mut self,
        source: &OrganizerSource,
        at: Option<&Spanned<String>>,
        kind: NumberKind,
    ) -> Option<Arc<ServiceNumber>> {
        let at = at?;
        let (what, expected) = match kind {
            NumberKind::Toll => ("service_number", "a toll number"),
            NumberKind::TollFree => ("toll_free_service_number", "a toll-free number"),
        };
        let key = || format!("organizer {:?}.{what}", source.id.get_ref());
        let number = self.known_number(at, key)?;
        if number.kind != kind {
            self.wrong(at, key(), expected);
        } else if !number.tenancy.serves(&TenantId::new(source.tenant.get_ref().as_str())) {
            self.wrong(at, key(), "a number of the organizer's tenant or a shared one");
        } else {
            return Some(number);
        }
        None
    }
}
