//! WHICH trunk may carry this leg: pure data to a decision, with its because.

mod decision;
mod ids;
mod license;
mod number;
mod owner;
mod service_number;

pub use decision::{
    Because, Candidate, Decision, Initiator, LegRequest, Outcome, Refusal, RefusalKind, Rule,
};
pub use ids::{OperatorId, OrganizerId, TenantId, TrunkId};
pub use license::{LegDirection, License, UnknownLicense};
pub use number::{DialPlan, E164, MAX_DIGITS, MAX_KEYED, NumberError};
pub use owner::{Biller, Owner, Provider, UnknownParty};
pub use service_number::{NumberKind, ServiceNumber, Tenancy};
