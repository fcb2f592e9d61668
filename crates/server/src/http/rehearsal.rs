//! Which configuration is in force, and what another one would have decided.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use super::access::{ADMIN, By, VIEWER};
use super::asked::Body;
use super::{Doors, json};
use crate::what_if::{self, NotRehearsed};

/// The longest body, in bytes: a configuration is longer than other requests.
pub(super) const LONGEST: usize = 1 << 20;
/// Why a tenant's token is refused.
const OF_THE_NODE: &str = "the configuration is the node's and this token is of one tenant: take one without";
/// Why an outsider's is: to be compared, decisions are shown with the numbers that were dialed.
const NUMBERS: &str = "decisions hold telephone numbers: this token is for outsiders";

/// The configuration that is in force.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "it describes what is answered")]
#[serde(deny_unknown_fields)]
pub(super) struct Configuration {
    /// Rises with each configuration that is another.
    number: u64,
    /// When it was taken first, RFC 3339.
    #[schema(format = DateTime)]
    taken: String,
    /// The SHA-256 of its text without the secrets in it, as usage records have it.
    hash: String,
    /// The sections in which the file says something else than the bridge runs with.
    needs_restart: Vec<String>,
}

/// Which configuration is in force.
///
/// A token of one tenant gets 403: the configuration is the node's.
#[utoipa::path(
    get,
    path = "/config",
    tag = "node",
    responses((status = 200, description = "Its version.", body = Configuration))
)]
pub(super) async fn config(By(token): By<VIEWER>, State(doors): State<Arc<Doors>>) -> Response {
    if token.tenant.is_some() {
        return doors.refuse(StatusCode::FORBIDDEN, OF_THE_NODE);
    }
    doors.count("ok");
    json(serde_json::json!(**doors.in_force.load()).to_string())
}

/// The configuration to be tried.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Candidate {
    /// Its whole text, TOML.
    #[schema(example = "", max_length = 1_000_000)]
    config: String,
}

/// A routing decision that would be another.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "it describes what is answered")]
#[serde(deny_unknown_fields)]
pub(super) struct ChangedDecision {
    /// When it was made, RFC 3339.
    #[schema(format = DateTime)]
    at: String,
    /// `dial-in` or `dial-out`.
    direction: String,
    /// The number: of a dial-in the one that was dialed, of a dial-out as it was typed.
    number: String,
    /// Whose meeting; null for a caller who has keyed the ID of none.
    #[schema(required)]
    organizer: Option<String>,
    /// Of a dial-in: the trunk.
    trunk: Option<String>,
    /// Of a dial-out: the trunks that were down.
    down: Option<Vec<String>>,
    /// In what: `fails`, `succeeds`, `trunk`, `caller-id`, `biller`.
    differs: Vec<String>,
    /// How it was decided.
    was: Came,
    /// How it would be.
    would: Came,
}

/// How a leg was or would be decided.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "it describes what is answered")]
#[serde(deny_unknown_fields)]
pub(super) struct Came {
    /// It is carried.
    carried: bool,
    /// By which trunk: of a dial-out the first that is tried.
    #[schema(required)]
    trunk: Option<String>,
    /// The number that is shown.
    #[schema(required)]
    caller_id: Option<String>,
    /// `microsoft`, `operator:<name>` or `customer`.
    #[schema(required)]
    biller: Option<String>,
    /// The row that decided.
    #[schema(required)]
    rule: Option<String>,
    /// Why.
    because: String,
}

/// What another configuration would have decided.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "it describes what is answered")]
#[serde(deny_unknown_fields)]
pub(super) struct Rehearsed {
    /// Decisions that were made again.
    decisions: u64,
    /// When the oldest of them was made, RFC 3339; null where there is none.
    #[schema(required, format = DateTime)]
    since: Option<String>,
    /// How many would be others.
    changed: u64,
    /// Carried then, refused by it.
    fails: u64,
    /// Refused then, carried by it.
    succeeds: u64,
    /// Carried by another trunk.
    trunk: u64,
    /// With another number shown.
    caller_id: u64,
    /// Billed by somebody else.
    biller: u64,
    /// The first 1000 of those that would be others.
    rows: Vec<ChangedDecision>,
}

/// What another configuration would have decided: the last decisions are made again by it.
///
/// Nothing of the running bridge changes. Only routing is looked at: trunks, numbers, organizers, policies, routes; the rows of
/// the running bridge's database are added to the candidate. 400 names every mistake in it; 429: another one is being tried.
#[utoipa::path(
    post,
    path = "/what-if",
    tag = "trunks",
    request_body = Candidate,
    responses(
        (status = 200, description = "What would differ.", body = Rehearsed),
    )
)]
pub(super) async fn what_if(
    By(token): By<ADMIN>,
    State(doors): State<Arc<Doors>>,
    Body(candidate): Body<Candidate>,
) -> Response {
    if token.tenant.is_some() {
        return doors.refuse(StatusCode::FORBIDDEN, OF_THE_NODE);
    }
    if token.outside {
        return doors.refuse(StatusCode::FORBIDDEN, NUMBERS);
    }
    match doors.rehearsal.of(candidate.config).await {
        Ok(answer) => {
            doors.count("ok");
            json(answer.to_string())
        }
        Err(NotRehearsed::Wrong(why)) => doors.refuse(StatusCode::BAD_REQUEST, &why),
        Err(NotRehearsed::Unavailable(why)) => doors.refuse(StatusCode::SERVICE_UNAVAILABLE, &why),
        Err(NotRehearsed::Busy) => doors.refuse_for(1, what_if::BUSY),
    }
}
