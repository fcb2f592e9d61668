//! WHICH trunk may carry this leg: pure data to a decision, with its because.
//!
//! A [`TableSource`] (TOML) and the trunks there are become a [`Table`], or all the reasons why not. A table and a
//! [`LegRequest`] become a [`Decision`]: let the caller in, or try these trunks in this order with these caller IDs,
//! or refuse. No input, output, clock or chance: the same question has the same answer.
//!
//! ```
//! use routing::{Initiator, LegRequest, Outcome, Table, TableSource, TrunkRef};
//!
//! let source = TableSource::from_toml(r#"
//!     [[bridge]]
//!     tenant = "contoso"
//!     country_code = "49"
//!
//!     [[number]]
//!     number = "+49 30 200001"
//!     owner = "operator:acme"
//!     tenant = "contoso"
//!
//!     [[organizer]]
//!     id = "clara"
//!     tenant = "contoso"
//!     license = "operator-connect-conferencing"
//!     policy = "International Policy"
//!
//!     [[policy]]
//!     name = "International Policy"
//!     pstn_usages = ["International"]
//!
//!     [[route]]
//!     name = "International"
//!     number_pattern = '\d+'
//!     pstn_usages = ["International"]
//!     bridge_source_phone_number = "+49 30 200001"
//! "#)?;
//! let trunks = [TrunkRef { id: "acme-1".into(), provider: "operator:acme".parse()? }];
//! let table = Table::build(&source, &trunks).map_err(|mut errors| errors.remove(0))?;
//!
//! let decision = routing::decide(&table, &LegRequest::DialOut {
//!     organizer: &"clara".into(),
//!     dialed: "040 765432",
//!     initiator: Initiator::Member,
//!     down: &|_trunk| false,
//! });
//! assert_eq!(
//!     decision.because[0].to_string(),
//!     "O4: route \"International\" matches +4940765432; operator:acme carries it, showing +4930200001",
//! );
//! let Outcome::Candidates(candidates) = decision.outcome else { panic!() };
//! assert_eq!(candidates[0].trunk.as_str(), "acme-1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod automaton;
mod country;
mod decide;
mod decision;
mod dial_out_policy;
#[doc(hidden)]
pub mod fuzzing;
mod ids;
mod language;
mod license;
mod lint;
mod number;
mod owner;
mod pattern;
mod premium;
mod service_number;
mod source;
mod spanned;
mod table;
mod what_if;

pub use country::{Country, UnknownCountry};
pub use decide::{admit, decide, explain, explain_to};
pub use decision::{
    Because, Candidate, Decision, Initiator, LegRequest, Outcome, Refusal, RefusalKind, Rule,
};
pub use dial_out_policy::{DialOutPolicy, Reach, UnknownDialOutPolicy, Zone};
pub use ids::{OperatorId, OrganizerId, TenantId, TrunkId};
pub use language::{Language, MOST_LANGUAGES, NotALanguage};
pub use license::{LegDirection, License, UnknownLicense};
pub use lint::{Lint, LintKind, lint};
pub use number::{DialPlan, E164, MAX_DIGITS, MAX_KEYED, NumberError};
pub use owner::{Biller, Owner, Provider, UnknownParty};
pub use premium::is_premium;
pub use service_number::{NumberKind, ServiceNumber, Tenancy};
pub use source::{
    BridgeSource, DialOutSource, GroupPolicySource, NumberSource, OrganizerSource, PolicySource, RouteSource,
    TableSource,
};
pub use spanned::Spanned;
pub use table::{Bridge, Organizer, Table, TableError, TrunkRef};
pub use what_if::{Asked, Came, Difference};
