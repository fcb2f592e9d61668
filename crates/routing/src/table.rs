//! The routing table: policy -> PSTN usage -> voice route -> trunks, indexed so that a decision is a few look-ups.
//!
//! A table is built whole from a [`TableSource`] and never changes; a reload builds another one. What conflicts, is
//! ambiguous or leads nowhere does not build (`check`); what is merely suspicious is for [`crate::lint`].

mod check;

use crate::country::Country;
use crate::dial_out_policy::{DialOutPolicy, Zone};
use crate::ids::{OperatorId, OrganizerId, TenantId, TrunkId};
use crate::license::License;
use crate::number::{DialPlan, E164};
use crate::owner::{Owner, Provider};
use crate::pattern::Pattern;
use crate::service_number::{NumberKind, ServiceNumber, Tenancy};
use crate::source::TableSource;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// A trunk as routing sees it; the server takes it from the trunk's profile.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TrunkRef {
    /// The trunk's name.
    pub id: TrunkId,
    /// Who stands behind it.
    pub provider: Provider,
}

/// A mistake that keeps a table from loading.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: found {found}, expected {expected}")]
pub struct TableError {
    /// Bytes of the TOML document, for file and line; `None` where the mistake is not in the document.
    pub span: Option<Range<usize>>,
    /// The key, with the name of its section: `route "International".number_pattern`.
    pub key: String,
    /// What stands there.
    pub found: String,
    /// What could stand there.
    pub expected: String,
}

/// An immutable, indexed routing table.
#[derive(Debug)]
pub struct Table {
    pub(crate) numbers: Vec<Arc<ServiceNumber>>,
    /// Where each of them is written.
    pub(crate) number_places: Vec<Range<usize>>,
    pub(crate) number_index: HashMap<E164, u32>,
    pub(crate) bridges: HashMap<TenantId, Bridge>,
    pub(crate) organizers: HashMap<OrganizerId, Organizer>,
    pub(crate) policies: Vec<Policy>,
    pub(crate) routes: Vec<Route>,
    pub(crate) trunks: Vec<TrunkRef>,
    pub(crate) trunk_index: HashMap<TrunkId, u32>,
    /// Microsoft's trunks, as listed.
    pub(crate) microsoft: Vec<u32>,
    /// What can be offered to callers: of each tenant's own numbers in service, and of those shared by all, the first
    /// of each owner class and kind. No license tells two of one class apart.
    pub(crate) dedicated: HashMap<TenantId, Vec<u32>>,
    pub(crate) shared: Vec<u32>,
    /// Each operator's trunks, as listed.
    pub(crate) operators: HashMap<OperatorId, Vec<u32>>,
    /// Numbers that begin so are never dialed, each with its `+`.
    pub(crate) blocked: Vec<E164>,
    /// Premium-rate numbers may be dialed.
    pub(crate) allow_premium: bool,
}

/// An organization's bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// The organization.
    pub tenant: TenantId,
    /// For people.
    pub name: Option<String>,
    /// Caller ID of dial-out through Microsoft and gateways; always a toll number of Microsoft's.
    pub default_number: Option<Arc<ServiceNumber>>,
    /// What keyed digits mean here.
    pub dial_plan: DialPlan,
    /// Whether the balance of Communications Credits is positive.
    pub communications_credits: bool,
    /// Where meetings of organizers may dial who have no policy of their own.
    pub dial_out_policy: DialOutPolicy,
    /// The country of organizers who name none.
    pub usage_location: Option<Country>,
    /// Under which name the public list of its numbers is found.
    pub public_id: Option<Arc<str>>,
    /// Where it is written.
    pub(crate) place: Range<usize>,
}

/// A user who may hold meetings; his license and policy decide about every leg of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organizer {
    /// Unique in the deployment.
    pub id: OrganizerId,
    /// The organization.
    pub tenant: TenantId,
    /// The entitlement.
    pub license: License,
    /// The toll number on this organizer's invites, if set for this user.
    pub service_number: Option<Arc<ServiceNumber>>,
    /// The toll-free number on this organizer's invites, if set for this user.
    pub toll_free_service_number: Option<Arc<ServiceNumber>>,
    /// The numbers on this organizer's invites, in this order; empty: those two.
    pub meeting_invite_phone_numbers: Vec<Arc<ServiceNumber>>,
    /// Whether toll-free numbers reach this organizer's meetings.
    pub allow_toll_free_dial_in: bool,
    /// Whether participants nobody can name may dial out.
    pub allow_anonymous_users_to_dial_out: bool,
    /// Where this organizer's meetings may dial, the bridge's default applied.
    pub dial_out_policy: DialOutPolicy,
    /// The organizer's country, the bridge's default applied; always there where the policy says *domestic*.
    pub usage_location: Option<Country>,
    /// The policy in force and by which grant, resolved once.
    pub(crate) policy: Option<(u32, Grant)>,
    /// Where this organizer is written.
    pub(crate) place: Range<usize>,
}

/// By what a policy is in force for an organizer. User before group (lowest rank) before global.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    User,
    Group(Arc<str>),
    Global,
}

/// A routing policy with its routes laid out in the order of trying.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) name: Arc<str>,
    pub(crate) usages: Vec<Arc<str>>,
    /// Usages in policy order, routes of each by priority; a route reached twice counts once, the first time.
    pub(crate) steps: Vec<Step>,
    /// Where it is written.
    pub(crate) place: Range<usize>,
}

/// One route of a policy, and the usage that led to it (an index into the policy's usages). The pattern is repeated
/// here, so that a route that does not match costs a decision no look at the route itself.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) pattern: Pattern,
    pub(crate) usage: u32,
    pub(crate) route: u32,
}

/// A voice route.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) name: Arc<str>,
    pub(crate) pattern: Pattern,
    pub(crate) priority: u32,
    pub(crate) usages: Vec<Arc<str>>,
    pub(crate) leads_to: LeadsTo,
    /// Microsoft may carry the call when everything this route leads to is down.
    pub(crate) microsoft_fallback: bool,
    /// Where it is written.
    pub(crate) place: Range<usize>,
}

/// Where a route leads.
#[derive(Debug)]
pub(crate) enum LeadsTo {
    /// To the operator who provides this number, showing it (rule O4).
    Source { number: Arc<ServiceNumber>, trunks: Vec<u32> },
    /// To these trunks in this order, showing the bridge's default number (rule O5).
    Gateways(Vec<u32>),
}

impl Table {
    /// Checks a source against the trunks there are and lays it out. All mistakes are returned at once, in the order
    /// of the document.
    pub fn build(source: &TableSource, trunks: &[TrunkRef]) -> Result<Self, Vec<TableError>> {
        check::build(source, trunks)
    }

    /// A service number by its digits.
    pub fn number(&self, number: &E164) -> Option<&Arc<ServiceNumber>> {
        self.number_index.get(number).map(|&index| &self.numbers[index as usize])
    }

    /// Every service number, as listed.
    pub fn numbers(&self) -> &[Arc<ServiceNumber>] {
        &self.numbers
    }

    /// An organizer by id.
    pub fn organizer(&self, id: &OrganizerId) -> Option<&Organizer> {
        self.organizers.get(id)
    }

    /// The routing policy in force for an organizer: his own, or his groups', or the global one.
    pub fn routing_policy(&self, id: &OrganizerId) -> Option<&str> {
        let (policy, _) = self.organizer(id)?.policy.as_ref()?;
        Some(&self.policies[*policy as usize].name)
    }

    /// How many organizers of each tenant have this license.
    pub fn licenses(&self, license: License) -> HashMap<TenantId, u64> {
        let mut counts = HashMap::new();
        for organizer in self.organizers.values().filter(|organizer| organizer.license == license) {
            *counts.entry(organizer.tenant.clone()).or_default() += 1;
        }
        counts
    }

    /// A tenant's bridge.
    pub fn bridge(&self, tenant: &TenantId) -> Option<&Bridge> {
        self.bridges.get(tenant)
    }

    /// How far a number is from this organizer. Without an organizer nothing is domestic.
    pub fn zone(&self, organizer: &OrganizerId, number: &E164) -> Zone {
        Zone::of(number, self.organizer(organizer).and_then(|organizer| organizer.usage_location))
    }

    /// A trunk by name.
    pub fn trunk(&self, id: &TrunkId) -> Option<&TrunkRef> {
        self.trunk_index.get(id).map(|&index| &self.trunks[index as usize])
    }

    /// The bridge whose public list of numbers has this name.
    pub fn public_bridge(&self, id: &str) -> Option<&Bridge> {
        self.bridges.values().find(|bridge| bridge.public_id.as_deref() == Some(id))
    }

    /// A trunk of whoever owns a number: of several the first.
    pub fn trunk_of(&self, owner: &Owner) -> Option<&TrunkId> {
        self.trunks.iter().find(|trunk| owner.is_behind(&trunk.provider)).map(|trunk| &trunk.id)
    }

    /// A number that callers can use for this organizer's meetings: the organizer's own where the license includes
    /// it, else the first toll number that serves. `None` where the license leaves no number.
    pub fn reachable_number(&self, organizer: &OrganizerId) -> Option<&Arc<ServiceNumber>> {
        let organizer = self.organizers.get(organizer)?;
        let usable = |number: &&Arc<ServiceNumber>| self.usable(organizer, number);
        if let Some(own) = organizer.service_number.as_ref().filter(usable) {
            return Some(own);
        }
        let dedicated = self.dedicated.get(&organizer.tenant).into_iter().flatten();
        let mut all =
            dedicated.chain(&self.shared).map(|&index| &self.numbers[index as usize]).filter(usable);
        let first = all.next()?;
        if first.kind == NumberKind::Toll {
            return Some(first);
        }
        Some(all.find(|number| number.kind == NumberKind::Toll).unwrap_or(first))
    }

    /// Rules D3 and D5 to D9 in one question.
    pub(crate) fn usable(&self, organizer: &Organizer, number: &ServiceNumber) -> bool {
        let credits = self.bridges.get(&organizer.tenant).is_some_and(|bridge| bridge.communications_credits);
        !number.suspended
            && number.tenancy.serves(&organizer.tenant)
            && organizer.license.includes(&number.owner)
            && (number.kind == NumberKind::Toll || organizer.allow_toll_free_dial_in)
            && (credits || !is_charged(organizer.license, number))
    }

    pub(crate) fn provider(&self, trunk: u32) -> &Provider {
        &self.trunks[trunk as usize].provider
    }

    pub(crate) fn trunk_id(&self, trunk: u32) -> &TrunkId {
        &self.trunks[trunk as usize].id
    }
}

/// Whether minutes on this number are taken from Communications Credits (rule D9): Microsoft's toll-free numbers
/// always, Microsoft's toll numbers under pay-per-minute.
pub(crate) fn is_charged(license: License, number: &ServiceNumber) -> bool {
    number.owner == Owner::Microsoft
        && (number.kind == NumberKind::TollFree || license == License::PayPerMinute)
}

impl Organizer {
    /// Whether the number belongs to this organizer's organization, alone or among others.
    pub(crate) fn shares(&self, tenancy: &Tenancy) -> bool {
        tenancy.serves(&self.tenant)
    }
}
