//! WHICH trunk may carry this leg: pure data to a decision, with its because.

mod automaton;
mod decide;
mod decision;
#[doc(hidden)]
pub mod fuzzing;
mod ids;
mod license;
mod lint;
mod number;
mod owner;
mod pattern;
mod service_number;
mod source;
mod table;

pub use decide::{admit, decide, explain};
pub use decision::{
    Because, Candidate, Decision, Initiator, LegRequest, Outcome, Refusal, RefusalKind, Rule,
};
pub use ids::{OperatorId, OrganizerId, TenantId, TrunkId};
pub use license::{LegDirection, License, UnknownLicense};
pub use lint::{Lint, LintKind, lint};
pub use number::{DialPlan, E164, MAX_DIGITS, MAX_KEYED, NumberError};
pub use owner::{Biller, Owner, Provider, UnknownParty};
pub use service_number::{NumberKind, ServiceNumber, Tenancy};
pub use source::{
    BridgeSource, GroupPolicySource, NumberSource, OrganizerSource, PolicySource, RouteSource, TableSource,
};
pub use table::{Bridge, Organizer, Table, TableError, TrunkRef};
