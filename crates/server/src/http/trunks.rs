//! The node's trunks, and what routing would say of a leg.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use routing::{E164, OrganizerId, TrunkId};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::Doors;
use super::access::{ADMIN, By, Token, VIEWER};
use super::asked::{Asked, Id};
use super::shown::{Decision, Trunk, Trunks};
use crate::control::{Ask, Explain};

impl Doors {
    /// Asks about the node itself, which is no tenant's.
    async fn ask_node(&self, token: &Token, ask: Ask) -> Response {
        if token.tenant.is_some() {
            let detail = "trunks are the node's and this token is of one tenant: take one without";
            return self.refuse(StatusCode::FORBIDDEN, detail);
        }
        self.ask(ask).await
    }
}

/// Every trunk, with its peers.
///
/// A token of one tenant gets 403: trunks are shared by all.
#[utoipa::path(
    get,
    path = "/trunks",
    tag = "trunks",
    responses((status = 200, description = "The trunks, in the order of the configuration.", body = Trunks))
)]
pub(super) async fn trunks(By(token): By<VIEWER>, State(doors): State<Arc<Doors>>) -> Response {
    doors.ask_node(&token, Ask::Trunks).await
}

/// One trunk, with its peers.
#[utoipa::path(
    get,
    path = "/trunks/{name}",
    tag = "trunks",
    params(("name" = String, Path, description = "Its name in the configuration.")),
    responses((status = 200, description = "The trunk.", body = Trunk))
)]
pub(super) async fn trunk(By(token): By<VIEWER>, State(doors): State<Arc<Doors>>, Id(name): Id) -> Response {
    doors.ask_node(&token, Ask::Trunk { name }).await
}

/// Stop new legs on a trunk; running ones stay. Lasts until it is taken back or a restart.
#[utoipa::path(
    put,
    path = "/trunks/{name}/drain",
    tag = "trunks",
    params(("name" = String, Path, description = "Its name in the configuration.")),
    responses((status = 200, description = "The trunk drains.", body = Trunk))
)]
pub(super) async fn drain(By(token): By<ADMIN>, State(doors): State<Arc<Doors>>, Id(name): Id) -> Response {
    doors.ask_node(&token, Ask::DrainTrunk { name, draining: true }).await
}

/// Resume new legs on a trunk.
#[utoipa::path(
    delete,
    path = "/trunks/{name}/drain",
    tag = "trunks",
    params(("name" = String, Path, description = "Its name in the configuration.")),
    responses((status = 200, description = "The trunk takes new legs.", body = Trunk))
)]
pub(super) async fn undrain(By(token): By<ADMIN>, State(doors): State<Arc<Doors>>, Id(name): Id) -> Response {
    doors.ask_node(&token, Ask::DrainTrunk { name, draining: false }).await
}

/// Who would call whom.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Way {
    /// A caller keys the ID of one of the organizer's meetings.
    DialIn,
    /// One of the organizer's meetings calls somebody.
    DialOut,
}

/// The leg about which a decision is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Leg {
    /// Who would call whom.
    #[param(inline)]
    direction: Way,
    /// Whose meeting it is.
    #[param(example = "greta")]
    organizer: String,
    /// The number that is called: of a dial-in one of the bridge's as E.164, of a dial-out as a person would write it.
    #[param(example = "+49 30 901820", max_length = 64)]
    number: String,
    /// Of a dial-in: the trunk it comes on; without it one of the number's owner. Only for tokens without a tenant.
    trunk: Option<String>,
}

/// What routing would say of a leg now, with every step and the trunks that are down.
///
/// A token of one tenant asks about its own organizers and numbers and is told no trunk: `trunk` of each candidate is null.
#[utoipa::path(
    get,
    path = "/explain",
    tag = "trunks",
    params(Leg),
    responses((status = 200, description = "The decision.", body = Decision))
)]
pub(super) async fn explain(
    By(token): By<VIEWER>,
    State(doors): State<Arc<Doors>>,
    Asked(leg): Asked<Leg>,
) -> Response {
    if token.tenant.is_some() && leg.trunk.is_some() {
        let detail = "trunks are the node's and this token is of one tenant: leave `trunk` out";
        return doors.refuse(StatusCode::FORBIDDEN, detail);
    }
    match leg.asked() {
        Ok(explain) => doors.ask_as(&token, Ask::Explain(explain)).await,
        Err(detail) => doors.refuse(StatusCode::BAD_REQUEST, detail),
    }
}

impl Leg {
    fn asked(self) -> Result<Explain, &'static str> {
        let organizer = OrganizerId::from(self.organizer.as_str());
        if self.number.chars().count() > 64 {
            return Err("`number` has 64 characters at most");
        }
        match (self.direction, self.trunk) {
            (Way::DialOut, None) => Ok(Explain::DialOut { organizer, number: self.number }),
            (Way::DialOut, Some(_)) => Err("of a dial-out routing chooses the trunk: leave `trunk` out"),
            (Way::DialIn, trunk) => {
                let called = self.number.parse::<E164>();
                let called = called.map_err(|_| "`number` of a dial-in is E.164: +496990009100")?;
                Ok(Explain::DialIn { organizer, called, trunk: trunk.as_deref().map(TrunkId::from) })
            }
        }
    }
}
