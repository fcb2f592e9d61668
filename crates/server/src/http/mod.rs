//! HTTP: metrics and health for everyone who can reach the port, `/v1` for those with the token.

mod access;
mod acting;
mod asked;
mod dial_in_page;
mod document;
mod events;
mod guarded;
mod health;
mod meetings;
mod once;
mod places;
mod problem;
mod rehearsal;
mod shown;
mod trunks;
mod usage;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use crossbeam_utils::CachePadded;
use dashmap::DashMap;
use tokio::sync::{mpsc, oneshot};

use crate::control::{Ask, Reply, Shown};
use crate::media::gauges::ShardGauges;
use crate::metrics::Metrics;
use crate::reload::InForce;
use crate::what_if::Rehearsal;
use access::NoToken;
pub use access::{Holders, Role, Token, digest};
pub use dial_in_page::Pace;
pub use document::description;
pub(crate) use events::READERS;
pub use events::{Ring, Stream};
use guarded::Guarded;
pub use once::Answers;
use once::Later;
pub(crate) use places::AT_ONCE;
pub use places::Places;
use problem::{complete, problem};
pub use usage::{Grouped, Kind as RecordKind, Span, Usage};

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
    /// The bearer tokens of `/v1`; without any everything there is refused.
    pub tokens: Arc<Holders>,
    /// Requests to control, each with the place its answer goes.
    pub asks: mpsc::Sender<(Ask, oneshot::Sender<Reply>)>,
    /// The conferences as control last published them, by conference ID.
    pub conferences: Arc<DashMap<String, Shown>>,
    /// Whether new calls are welcome.
    pub ready: Arc<AtomicBool>,
    /// What the media threads publish.
    pub shards: Vec<Arc<CachePadded<ShardGauges>>>,
    /// The places for connections.
    pub places: Arc<Places>,
    /// What happens.
    pub stream: Stream,
    /// What was answered to requests with an `Idempotency-Key`.
    pub answers: Answers,
    /// Says what another configuration would have decided.
    pub rehearsal: Rehearsal,
    /// Who reads usage records.
    pub usage: Usage,
    /// The routing table in force, for the lists of numbers.
    pub table: Arc<ArcSwap<routing::Table>>,
    /// Whether those are shown.
    pub public_numbers: bool,
    /// What is keyed in a meeting, for that list.
    pub keys: bridge::KeyMap,
    /// How fast each peer may ask for them.
    pub pace: Pace,
    /// Which configuration is in force.
    pub in_force: Arc<ArcSwap<InForce>>,
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
    let guarded = Guarded::new(listener, Arc::clone(&doors.places));
    axum::serve(guarded, router(doors).into_make_service_with_connect_info::<places::Guest>()).await
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

async fn require_token(State(doors): State<Arc<Doors>>, mut request: Request, next: Next) -> Response {
    let holder = match doors.tokens.of(request.headers(), SystemTime::now()) {
        Ok(holder) => holder,
        Err(why) => return doors.unauthorized(why),
    };
    if let Err(wait) = holder.admit() {
        let detail = format!("this token may send {} requests a second", holder.requests_per_second);
        let mut response = doors.refuse(StatusCode::TOO_MANY_REQUESTS, &detail);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
        return response;
    }
    if let Some(ConnectInfo(guest)) = request.extensions().get::<ConnectInfo<places::Guest>>() {
        guest.trust();
    }
    let token = Arc::clone(&holder.token);
    request.extensions_mut().insert(Arc::clone(&token));
    let acts = !request.method().is_safe();
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let response = if method == Method::POST {
        once::once(Arc::clone(&doors), Arc::clone(&token), request, next).await
    } else {
        next.run(request).await
    };
    if acts {
        // The path as it is described, not as it was sent: no log holds the digits that callers key.
        let path = path.as_ref().map_or("unknown", MatchedPath::as_str);
        let status = response.status().as_u16();
        tracing::info!(token = token.name, %method, path, status, "the API was asked to act");
    }
    response
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
        let (answer, mut answered) = oneshot::channel();
        if self.asks.try_send((ask, answer)).is_err() {
            return self
                .refuse(StatusCode::SERVICE_UNAVAILABLE, "the bridge is too busy; try again in a second");
        }
        if let Ok(Ok(reply)) = tokio::time::timeout(ANSWER_WITHIN, &mut answered).await {
            return self.pass_on(reply);
        }
        let mut late = self.refuse(StatusCode::SERVICE_UNAVAILABLE, "the bridge did not answer in time");
        // It may still do what it was asked.
        late.extensions_mut().insert(Later::new(answered));
        late
    }

    /// Asks control in the name of a token: one of a tenant sees that tenant only.
    async fn ask_as(&self, token: &Token, ask: Ask) -> Response {
        match token.tenant.clone() {
            Some(tenant) => self.ask(Ask::Within { tenant, ask: Box::new(ask) }).await,
            None => self.ask(ask).await,
        }
    }

    fn unauthorized(&self, why: NoToken) -> Response {
        self.count("unauthorized");
        let detail = match why {
            _ if self.tokens.is_empty() => {
                "the API is closed: set http.token_file or an [[api_token]] in the configuration"
            }
            NoToken::Missing => "send `Authorization: Bearer <token>` with a token of the configuration",
            NoToken::Unknown => "this token is not in the configuration of the running bridge",
            NoToken::Expired => "this token has expired: have a new one made",
        };
        let mut response = problem(StatusCode::UNAUTHORIZED, detail);
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        response
    }

    fn refuse(&self, status: StatusCode, detail: &str) -> Response {
        self.count("refused");
        problem(status, detail)
    }

    /// 429, and after how many seconds it is worth another try.
    fn refuse_for(&self, seconds: u64, detail: &str) -> Response {
        self.count("refused");
        problem::complete(
            StatusCode::TOO_MANY_REQUESTS,
            serde_json::json!({ "detail": detail, "retry_after": seconds }),
        )
    }

    /// The answer of control: what was done, or a problem with its own members (RFC 9457 section 3.2).
    fn pass_on(&self, reply: Reply) -> Response {
        let response = said(reply);
        self.count(if response.status().is_success() { "ok" } else { "refused" });
        response
    }
}

/// What control said, as it is sent.
fn said(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status.is_success() {
        (status, [(header::CONTENT_TYPE, JSON)], reply.body.to_string()).into_response()
    } else {
        complete(status, reply.body)
    }
}

#[cfg(test)]
impl Doors {
    /// Doors that nobody has gone through, and what is asked of control behind them.
    pub(crate) fn for_tests() -> (Self, mpsc::Receiver<(Ask, oneshot::Sender<Reply>)>) {
        let (asks, asked) = mpsc::channel(8);
        let metrics = Metrics::new(std::iter::empty());
        let shed = metrics.http_shed.clone();
        let doors = Self {
            metrics,
            tokens: Holders::new(&[], 1),
            asks,
            conferences: Arc::new(DashMap::new()),
            ready: Arc::new(AtomicBool::new(true)),
            shards: Vec::new(),
            places: Places::new(AT_ONCE, shed),
            stream: Stream::new(Arc::new(Ring::new("r1".to_owned())), READERS),
            answers: Answers::default(),
            rehearsal: Rehearsal::new(crate::what_if::Decisions::new(0), None, "p.toml".into()),
            in_force: Arc::new(ArcSwap::from_pointee(InForce {
                version: crate::versions::Version { number: 1, taken: String::new(), hash: String::new() },
                needs_restart: std::collections::BTreeSet::new(),
            })),
            table: Arc::new(ArcSwap::from_pointee(
                routing::Table::build(&routing::TableSource::default(), &[]).expect("an empty table"),
            )),
            public_numbers: false,
            keys: bridge::KeyMap::default(),
            pace: Pace::default(),
            description: String::new(),
            usage: Usage::new(crate::usage::SpoolReader::default()),
            heartbeat: Heartbeat::new(0),
        };
        (doors, asked)
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
