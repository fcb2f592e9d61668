//! The numbers of the bridges: many callers at once, owned by Microsoft or by an operator.

use crate::ids::TenantId;
use crate::language::Language;
use crate::number::E164;
use crate::owner::Owner;
use serde::{Deserialize, Serialize};

/// One number that callers dial to reach a bridge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceNumber {
    /// The number itself.
    pub number: E164,
    /// Who provides it; its minutes are billed by this party.
    pub owner: Owner,
    /// Who pays for the call: the caller, or the organization.
    pub kind: NumberKind,
    /// Whose meetings it reaches.
    pub tenancy: Tenancy,
    /// What its callers are greeted in, and then what they may choose, in this order; empty: the bridge's own language.
    pub languages: Vec<Language>,
    /// The owner suspended it; it is not answered (rule D3).
    pub suspended: bool,
}

/// Who pays for a call to the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NumberKind {
    /// The caller pays.
    Toll,
    /// The organization pays. Never the default number of a bridge.
    TollFree,
}

/// Whose meetings a number reaches.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tenancy {
    /// One organization's: the tenant is known before an ID is keyed.
    Dedicated(TenantId),
    /// Every organization's: the tenant is known only by the conference ID (rule D4).
    Shared,
}

impl Tenancy {
    /// Whether the tenant's meetings are reached by this number.
    pub fn serves(&self, tenant: &TenantId) -> bool {
        match self {
            Self::Dedicated(owner) => owner == tenant,
            Self::Shared => true,
        }
    }
}
