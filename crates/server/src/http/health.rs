//! What everyone who can reach the port may read: metrics, health, and how the API is described.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Doors;

/// The metrics, for Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "node",
    responses((status = 200, description = "Prometheus text format 0.0.4.", body = String, content_type = "text/plain; version=0.0.4"))
)]
pub(super) async fn metrics(State(doors): State<Arc<Doors>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], doors.metrics.page()).into_response()
}

/// Whether every media thread ticks.
#[utoipa::path(
    get,
    path = "/livez",
    tag = "node",
    responses(
        (status = 200, description = "All do.", body = String, content_type = "text/plain; charset=utf-8"),
        (status = 503, description = "One has not for a second: restart the bridge.", body = String, content_type = "text/plain; charset=utf-8")
    )
)]
pub(super) async fn livez(State(doors): State<Arc<Doors>>) -> Response {
    match doors.heartbeat.stopped(&doors.shards) {
        None => (StatusCode::OK, "live\n").into_response(),
        Some(shard) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("media thread {shard} has not ticked for a second\n"))
                .into_response()
        }
    }
}

/// Whether new calls are welcome.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "node",
    responses(
        (status = 200, description = "They are.", body = String, content_type = "text/plain; charset=utf-8"),
        (status = 503, description = "It drains: send calls elsewhere.", body = String, content_type = "text/plain; charset=utf-8")
    )
)]
pub(super) async fn readyz(State(doors): State<Arc<Doors>>) -> Response {
    if doors.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ready\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "draining: no new calls\n").into_response()
    }
}

/// This description.
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    tag = "node",
    responses((status = 200, description = "OpenAPI 3.1.", body = serde_json::Value))
)]
pub(super) async fn description(State(doors): State<Arc<Doors>>) -> Response {
    super::json(doors.description.clone())
}
