//! HTTP: metrics and health for everyone who can reach the port, `/v1` for those with the token.

mod asked;
mod document;
mod guarded;
mod health;
mod meetings;
mod problem;
mod shown;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use crossbeam_utils::CachePadded;
use dashmap::DashMap;
use subtle::ConstantTimeEq;
use tokio::sync::{mpsc, oneshot};

use crate::control::{Ask, Reply};
use crate::media::gauges::ShardGauges;
use crate::metrics::Metrics;
pub use document::description;
use guarded::Guarded;
use problem::{complete, problem};

/// Control must answer a request within this time.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Media type of a good answer.
const JSON: &str = "application/json";
/// The longest body of a request, in bytes.
const LONGEST_BODY: usize = 16 * 1024;
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
    /// What `/v1/openapi.json` says.
    pub description: String,
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
    let (open, guarded, _) = document::parts();
    let guarded = guarded
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&doors), require_token))
        .layer(DefaultBodyLimit::max(LONGEST_BODY));
    open.nest("/v1", guarded).with_state(doors)
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

/// An answer that is JSON already.
fn json(text: String) -> Response {
    ([(header::CONTENT_TYPE, JSON)], text).into_response()
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
            Ok(Ok(reply)) => self.pass_on(reply),
            _ => self.refuse(StatusCode::SERVICE_UNAVAILABLE, "the bridge did not answer in time"),
        }
    }

    fn refuse(&self, status: StatusCode, detail: &str) -> Response {
        self.count("refused");
        problem(status, detail)
    }

    /// The answer of control: what was done, or a problem with its own members (RFC 9457 section 3.2).
    fn pass_on(&self, reply: Reply) -> Response {
        let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if !status.is_success() {
            self.count("refused");
            return complete(status, reply.body);
        }
        self.count("ok");
        (status, [(header::CONTENT_TYPE, JSON)], reply.body.to_string()).into_response()
    }
}

async fn unknown_path(State(doors): State<Arc<Doors>>) -> Response {
    doors.refuse(StatusCode::NOT_FOUND, "there is no such path: GET /v1/openapi.json describes all there are")
}

async fn wrong_method(State(doors): State<Arc<Doors>>) -> Response {
    doors.refuse(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path does not know this method: GET /v1/openapi.json describes those it knows",
    )
}
