//! What comes with a request, and the refusal for what cannot be read.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use bridge::LegId;
use serde::de::DeserializeOwned;

use super::Doors;

/// The one name in a path.
pub(super) struct Id(pub(super) String);

impl FromRequestParts<Arc<Doors>> for Id {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, doors: &Arc<Doors>) -> Result<Self, Response> {
        match Path::<String>::from_request_parts(parts, doors).await {
            Ok(Path(id)) => Ok(Self(id)),
            // Bytes that are no UTF-8 name nothing that exists.
            Err(_) => {
                Err(doors.refuse(StatusCode::NOT_FOUND, "the path is not UTF-8: nothing is called that"))
            }
        }
    }
}

/// A meeting and a leg in it, as a path names them.
pub(super) struct Seat(pub(super) String, pub(super) LegId);

impl FromRequestParts<Arc<Doors>> for Seat {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, doors: &Arc<Doors>) -> Result<Self, Response> {
        match Path::<(String, u64)>::from_request_parts(parts, doors).await {
            Ok(Path((id, leg))) => Ok(Self(id, LegId(leg))),
            Err(_) => {
                Err(doors.refuse(StatusCode::NOT_FOUND, "a leg is a whole number: nobody has this one"))
            }
        }
    }
}

/// A query, read strictly: a key that is not known is a mistake.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Doors>> for Asked<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, doors: &Arc<Doors>) -> Result<Self, Response> {
        match Query::<T>::from_request_parts(parts, doors).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejection) => Err(doors.refuse(StatusCode::BAD_REQUEST, &rejection.body_text())),
        }
    }
}

/// A body of JSON.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Doors>> for Body<T> {
    type Rejection = Response;

    async fn from_request(request: Request, doors: &Arc<Doors>) -> Result<Self, Response> {
        match Json::<T>::from_request(request, doors).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(doors.refuse(status(&rejection), &rejection.body_text())),
        }
    }
}

fn status(rejection: &JsonRejection) -> StatusCode {
    match rejection.status() {
        // Wrong JSON and JSON that says something else are the same mistake to whoever made it.
        StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        other => other,
    }
}
