//! A routing decision as the API shows it.
use serde::Deserialize;
use utoipa::ToSchema;

/// A routing decision.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Decision {
    /// What is done with the leg.
    outcome: Outcome,
    /// Why, step by step; the last one decided.
    because: Vec<Because>,
}

/// What is done with a leg.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::http) enum Outcome {
    /// Dial-in: the number may serve this organizer's meeting.
    Admit {
        /// The number that was dialed.
        number: ServiceNumber,
        /// Who bills the leg: `microsoft` or `operator:<name>`.
        biller: String,
    },
    /// Dial-out: these are tried in order.
    Candidates(Vec<Candidate>),
    /// Neither.
    Refuse(Refusal),
}

/// A step of a decision.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Because {
    /// The row of the decision table: D1 to D11 for dial-in, O1 to O8 for dial-out.
    rule: String,
    /// What it said.
    text: String,
}

/// A number of a bridge.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ServiceNumber {
    /// E.164.
    number: String,
    /// `microsoft` or `operator:<name>`.
    owner: String,
    /// Who pays for the call.
    kind: NumberKind,
    /// Whose meetings it reaches.
    tenancy: Tenancy,
    /// The owner suspended it.
    suspended: bool,
}

/// Who pays for a call to a number.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::http) enum NumberKind {
    /// The caller.
    Toll,
    /// The organization.
    TollFree,
}

/// Whose meetings a number reaches.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::http) enum Tenancy {
    /// This tenant's.
    Dedicated(String),
    /// Every tenant's.
    Shared,
}

/// A trunk that may carry a dial-out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Candidate {
    /// Its name; null for a token of one tenant.
    #[schema(required)]
    trunk: Option<String>,
    /// The number to dial, E.164.
    dialed: String,
    /// The number to show, E.164.
    caller_id: String,
    /// Who bills the leg: `microsoft` or `operator:<name>`.
    biller: String,
    /// The voice route; null where none matched.
    #[schema(required)]
    route: Option<String>,
    /// The row that put it on the list.
    rule: String,
    /// It was Down when the decision was made.
    down: bool,
    /// Why this trunk and this number.
    because: String,
}

/// A leg that is not carried.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Refusal {
    /// The row that refused.
    rule: String,
    /// What kind of no.
    kind: String,
    /// The SIP status that tells a peer the same.
    status: u16,
    /// Why, and what would change it.
    because: String,
}
