//! HTTP: metrics and health for everyone who can reach the port, `/v1` for those with the token.

mod guarded;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use crossbeam_utils::CachePadded;
use dashmap::DashMap;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use tokio::sync::{mpsc, oneshot};

use crate::control::{Ask, Reply};
use crate::media::gauges::ShardGauges;
use crate::metrics::Metrics;
use guarded::Guarded;

/// Control must answer a request within this time.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Media type of a good answer.
const JSON: &str = "application/json";
/// Media type of a refusal (RFC 9457).
const PROBLEM: &str = "application/problem+json";
/// A media thread that has not ticked for so long is dead.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// What the HTTP side reads and whom it asks. It changes nothing itself.
pub struct Doors {
    /// The metrics page.
    pub metrics: Metrics,
    /// The bearer token of `/v1`; `None` refuses everything there.
    pub token: Option<String>,
    /// Requests to control, each with the place its answer goes.
    pub asks: mpsc::Sender<(Ask, oneshot::Sender<Reply>)>,
    /// The conferences as control last published them, as JSON, by conference ID.
    pub conferences: Arc<DashMap<String, Arc<str>>>,
    /// Whether new calls are welcome.
    pub ready: Arc<AtomicBool>,
    /// What the media threads publish.
    pub shards: Vec<Arc<CachePadded<ShardGauges>>>,
    /// The last sighting of each shard's tick counter.
    pub heartbeat: Heartbeat,
}

/// Notices a media thread that has stopped ticking.
pub struct Heartbeat {
    began: Instant,
    seen: Vec<(AtomicU64, AtomicU64)>,
}

impl Heartbeat {
    /// Watches `shards` threads.
    pub fn new(shards: usize) -> Self {
        Self {
            began: Instant::now(),
            seen: (0..shards).map(|_| (AtomicU64::new(0), AtomicU64::new(0))).collect(),
        }
    }

    /// The first shard that has not ticked for a second, if one has not.
    fn stopped(&self, shards: &[Arc<CachePadded<ShardGauges>>]) -> Option<usize> {
        let now = self.began.elapsed().as_millis() as u64;
        shards.iter().zip(&self.seen).position(|(gauges, (ticks, at))| {
            let done = gauges.ticks.load(Ordering::Relaxed);
            if ticks.swap(done, Ordering::Relaxed) != done {
                at.store(now, Ordering::Relaxed);
            }
            now.saturating_sub(at.load(Ordering::Relaxed)) > HEARTBEAT.as_millis() as u64
        })
    }
}

/// Serves until the process ends. Binding happens first, so that a busy port is an error at start.
pub async fn serve(listener: tokio::net::TcpListener, doors: Arc<Doors>) -> std::io::Result<()> {
    axum::serve(Guarded::new(listener), router(doors)).await
}

/// Binds the HTTP port.
pub async fn bind(address: SocketAddr) -> std::io::Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::bind(address)
        .await
        .map_err(|error| std::io::Error::new(error.kind(), format!("http.listen {address}: {error}")))
}

fn router(doors: Arc<Doors>) -> Router {
    let guarded = Router::new()
        .route("/conferences", get(conferences))
        .route("/conferences/{id}", get(conference))
        .route("/conferences/{id}/dial-out", post(dial_out))
        .route("/conferences/{id}/recording", post(start_recording).delete(stop_recording))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&doors), require_token))
        .layer(DefaultBodyLimit::max(16 * 1024));
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .nest("/v1", guarded)
        .with_state(doors)
}

async fn metrics(State(doors): State<Arc<Doors>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], doors.metrics.page()).into_response()
}

async fn livez(State(doors): State<Arc<Doors>>) -> Response {
    match doors.heartbeat.stopped(&doors.shards) {
        None => (StatusCode::OK, "live\n").into_response(),
        Some(shard) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("media thread {shard} has not ticked for a second\n"))
                .into_response()
        }
    }
}

async fn readyz(State(doors): State<Arc<Doors>>) -> Response {
    if doors.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ready\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "draining: no new calls\n").into_response()
    }
}

async fn require_token(State(doors): State<Arc<Doors>>, request: Request, next: Next) -> Response {
    let given = bearer(request.headers());
    let right = match (&doors.token, given) {
        (Some(token), Some(given)) => bool::from(token.as_bytes().ct_eq(given.as_bytes())),
        _ => false,
    };
    if right {
        return next.run(request).await;
    }
    doors.count("unauthorized");
    let detail = if doors.token.is_some() {
        "send `Authorization: Bearer <token>` with the token of http.token_file"
    } else {
        "the API is closed: set http.token_file in the configuration"
    };
    let mut response = problem(StatusCode::UNAUTHORIZED, detail);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    response
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    // RFC 9110 section 11.1: the scheme is not case-sensitive.
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

async fn conferences(State(doors): State<Arc<Doors>>) -> Response {
    let mut all: Vec<_> =
        doors.conferences.iter().map(|entry| (entry.key().clone(), Arc::clone(entry.value()))).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    doors.count("ok");
    let all: Vec<_> = all.iter().map(|(_, snapshot)| &**snapshot).collect();
    json(format!("{{\"conferences\":[{}]}}", all.join(",")))
}

/// An answer that is JSON already.
fn json(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

async fn conference(State(doors): State<Arc<Doors>>, Path(id): Path<String>) -> Response {
    match doors.conferences.get(&id) {
        Some(snapshot) => {
            doors.count("ok");
            json(snapshot.to_string())
        }
        None => doors.refuse(StatusCode::NOT_FOUND, "no such conference is running"),
    }
}

/// The body of a dial-out request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DialOutBody {
    number: String,
    /// Whether the callee must press 1 to join; default: as configured.
    #[serde(default)]
    confirm: Option<bool>,
}

/// An error as RFC 9457 writes it.
#[derive(Serialize)]
struct Problem<'a> {
    title: &'a str,
    status: u16,
    detail: &'a str,
}

async fn dial_out(
    State(doors): State<Arc<Doors>>,
    Path(conference_id): Path<String>,
    body: Result<Json<DialOutBody>, axum::extract::rejection::JsonRejection>,
) -> Response {
    let Json(body) = match body {
        Ok(body) => body,
        Err(rejection) => {
            // Wrong JSON and JSON that says something else are the same mistake to whoever made it.
            let status = match rejection.status() {
                StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
                other => other,
            };
            return doors.refuse(status, &rejection.body_text());
        }
    };
    doors.ask(Ask::DialOut { conference_id, number: body.number, confirm: body.confirm }).await
}

async fn start_recording(State(doors): State<Arc<Doors>>, Path(conference_id): Path<String>) -> Response {
    doors.ask(Ask::StartRecording { conference_id }).await
}

async fn stop_recording(State(doors): State<Arc<Doors>>, Path(conference_id): Path<String>) -> Response {
    doors.ask(Ask::StopRecording { conference_id }).await
}

impl Doors {
    fn count(&self, result: &str) {
        self.metrics.api_requests.with_label_values(&[result]).inc();
    }

    /// Asks control, and answers with what it says.
    async fn ask(&self, ask: Ask) -> Response {
        let (answer, answered) = oneshot::channel();
        if self.asks.try_send((ask, answer)).is_err() {
            return self
                .refuse(StatusCode::SERVICE_UNAVAILABLE, "the bridge is too busy; try again in a second");
        }
        match tokio::time::timeout(ANSWER_WITHIN, answered).await {
            Ok(Ok(reply)) => self.pass_on(&reply),
            _ => self.refuse(StatusCode::SERVICE_UNAVAILABLE, "the bridge did not answer in time"),
        }
    }

    fn refuse(&self, status: StatusCode, detail: &str) -> Response {
        self.count("refused");
        problem(status, detail)
    }

    /// The answer of control: what was done, or a problem with its own members (RFC 9457 section 3.2).
    fn pass_on(&self, reply: &Reply) -> Response {
        let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (result, kind) = if status.is_success() { ("ok", JSON) } else { ("refused", PROBLEM) };
        self.count(result);
        (status, [(header::CONTENT_TYPE, kind)], reply.body.to_string()).into_response()
    }
}

async fn unknown_path(State(doors): State<Arc<Doors>>) -> Response {
    doors.refuse(
        StatusCode::NOT_FOUND,
        "there is GET /v1/conferences, GET /v1/conferences/{id}, POST /v1/conferences/{id}/dial-out, and POST and DELETE \
         /v1/conferences/{id}/recording",
    )
}

async fn wrong_method(State(doors): State<Arc<Doors>>) -> Response {
    doors.refuse(
        StatusCode::METHOD_NOT_ALLOWED,
        "conferences are read with GET; dial-out is asked for with POST; a recording begins with POST and ends with DELETE",
    )
}

fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("error");
    let body = serde_json::to_vec(&Problem { title, status: status.as_u16(), detail }).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, PROBLEM)], body).into_response()
}
