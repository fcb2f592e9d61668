//! The event stream: what happened since, as JSON, or what happens, as server-sent events.

mod readers;
mod ring;

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dashmap::DashMap;
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;
use utoipa::IntoParams;

use super::Doors;
use super::access::{By, Holder, Token, VIEWER, is_held};
use super::asked::Asked;
use super::shown::Events;
use crate::control::Shown;
use crate::metrics::Metrics;
pub(crate) use readers::READERS;
use readers::{Readers, Seat};
pub use ring::Ring;
use ring::Since;

/// Events in one answer or one write.
const MOST_AT_ONCE: usize = 1000;
/// A stream without events carries a comment this often, so that a reader knows that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The stream and its readers.
pub struct Stream {
    ring: Arc<Ring>,
    readers: Arc<Readers>,
}

impl Stream {
    /// Of what is put into `ring`; each token may have so many readers.
    pub fn new(ring: Arc<Ring>, per_token: usize) -> Self {
        Self { ring, readers: Readers::new(per_token) }
    }
}

/// From where on, and how much.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct From {
    /// The place to go on from: `next` of the answer before, or the `id` of an event. Without it JSON begins with the oldest
    /// event that is kept, a stream with what happens from now on.
    #[param(example = "0", max_length = 64, pattern = "^([0-9a-f]{32}:)?[0-9]{1,18}$")]
    since: Option<String>,
    /// Events in an answer of JSON at most.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u16>,
}

/// What happened since: as JSON, or with `Accept: text/event-stream` what happens, as server-sent events.
///
/// The events of a node have one sequence; a token of one tenant sees that tenant's. As many are kept as fit into memory.
/// Where some between `since` and the oldest that is kept are gone, or `since` is of an earlier run of the bridge, `gap` is
/// true: read the meetings again, then go on. A stream says the same with an event `gap`; it has the same `id`s, takes
/// `Last-Event-ID` in place of `since`, carries a comment every 15 s, and is ended when its reader is too slow.
#[utoipa::path(
    get,
    path = "/events",
    tag = "events",
    params(From),
    responses((
        status = 200,
        description = "The events in order.",
        content((Events = "application/json"), (String = "text/event-stream"))
    ))
)]
pub(super) async fn events(
    By(token): By<VIEWER>,
    State(doors): State<Arc<Doors>>,
    headers: HeaderMap,
    Asked(from): Asked<From>,
) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let streams =
        text("accept").is_some_and(|accept| accept.to_ascii_lowercase().contains("text/event-stream"));
    if from.since.as_ref().is_some_and(|since| since.len() > 64) {
        return doors.refuse(StatusCode::BAD_REQUEST, "`since` has 64 characters at most");
    }
    let since = text("last-event-id").filter(|_| streams).or(from.since.as_deref());
    let Ok(since) = since.map(|text| Since::read(text).ok_or(())).transpose() else {
        return doors.refuse(StatusCode::BAD_REQUEST, "`since` is a number, or RUN:NUMBER as `next` says");
    };
    if streams {
        return doors.stream(token, since.as_ref());
    }
    match from.limit.map_or(100, usize::from) {
        limit @ 1..=MOST_AT_ONCE => doors.page(&token, since.as_ref(), limit),
        _ => doors.refuse(StatusCode::BAD_REQUEST, "`limit` is a number from 1 to 1000"),
    }
}

/// Whether a token sees an event: what is the node's own only without a tenant.
fn seen_by(token: &Token) -> impl Fn(Option<&str>) -> bool {
    |tenant| tenant.map_or(token.tenant.is_none(), |tenant| token.sees(tenant))
}

/// Whether a meeting's numbers are masked for outsiders as things are. Of one that is over nobody knows what it would say now, so they
/// are.
fn masks_now(conferences: &DashMap<String, Shown>, id: &str) -> bool {
    conferences.get(id).is_none_or(|shown| shown.masks)
}

impl Doors {
    fn page(&self, token: &Token, since: Option<&Since>, limit: usize) -> Response {
        let ring = &self.stream.ring;
        let (place, gap) = since.map_or((0, false), |since| ring.place(since));
        let page = ring.read(place, limit, seen_by(token));
        self.count("ok");
        let seen = page
            .events
            .into_iter()
            .map(|event| event.seen(token.outside, |id| masks_now(&self.conferences, id)));
        let events: Vec<Value> = seen.map(|event| event.value()).collect();
        let next = format!("{}:{}", ring.run(), page.place);
        // Who names no place has lost nothing.
        let gap = gap || (page.gap && since.is_some());
        super::json(json!({ "run": ring.run(), "next": next, "gap": gap, "events": events }).to_string())
    }

    fn stream(&self, token: Arc<Token>, since: Option<&Since>) -> Response {
        let seat = match self.stream.readers.take(&token) {
            Ok(seat) => seat,
            Err(why) => return self.refuse(StatusCode::TOO_MANY_REQUESTS, &why),
        };
        self.count("ok");
        let ring = Arc::clone(&self.stream.ring);
        let (place, gap) = since.map_or_else(|| (ring.end(), false), |since| ring.place(since));
        self.metrics.event_readers.inc();
        let reader = Reader {
            news: ring.news(),
            tokens: self.tokens.changes(),
            ring,
            conferences: Arc::clone(&self.conferences),
            token,
            place,
            first: Some(gap),
            over: false,
            metrics: self.metrics.clone(),
            _seat: seat,
        };
        let lines = stream::unfold(reader, |mut reader| async {
            let lines = reader.next().await?;
            Some((Ok::<_, Infallible>(lines), reader))
        });
        let head = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
        (head, Body::from_stream(lines)).into_response()
    }
}

/// Somebody who reads the stream.
struct Reader {
    ring: Arc<Ring>,
    conferences: Arc<DashMap<String, Shown>>,
    news: watch::Receiver<u64>,
    tokens: watch::Receiver<Arc<[Arc<Holder>]>>,
    token: Arc<Token>,
    place: u64,
    /// Until the first lines are out: whether they begin with a gap.
    first: Option<bool>,
    over: bool,
    metrics: Metrics,
    _seat: Seat,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.metrics.event_readers.dec();
    }
}

impl Reader {
    /// The next lines; `None` when the stream is over.
    async fn next(&mut self) -> Option<String> {
        if let Some(gap) = self.first.take() {
            // How long a reader whose stream broke waits, in milliseconds.
            let mut lines = "retry: 2000\n\n".to_owned();
            if gap {
                self.say_gap(&mut lines);
            }
            return Some(lines);
        }
        loop {
            if self.over || !self.may_read() {
                return None;
            }
            self.news.mark_unchanged();
            let page = self.ring.read(self.place, MOST_AT_ONCE, seen_by(&self.token));
            self.place = page.place;
            let mut lines = String::new();
            if page.gap {
                // He did not keep up, and does not learn everything: he is told so and let go.
                self.metrics.event_readers_cut_off.inc();
                self.over = true;
                self.say_gap(&mut lines);
                return Some(lines);
            }
            for event in page
                .events
                .into_iter()
                .map(|event| event.seen(self.token.outside, |id| masks_now(&self.conferences, id)))
            {
                let (run, seq) = (self.ring.run(), event.seq);
                let _ = write!(lines, "id: {run}:{seq}\nevent: {}\ndata: {}\n\n", event.kind, event.json);
            }
            if !lines.is_empty() {
                return Some(lines);
            }
            tokio::select! {
                changed = timeout(HEARTBEAT, self.news.changed()) => match changed {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return None,
                    Err(_) => return Some(": still here\n\n".to_owned()),
                },
                changed = self.tokens.changed() => changed.ok()?,
            }
        }
    }

    /// Whether the token is in force, with all that it was when the stream began.
    fn may_read(&self) -> bool {
        let expired = self.token.expires.is_some_and(|at| at <= SystemTime::now());
        !expired && is_held(&self.tokens.borrow(), &self.token)
    }

    fn say_gap(&self, lines: &mut String) {
        let (run, place) = (self.ring.run(), self.place);
        let _ =
            write!(lines, "id: {run}:{place}\nevent: gap\ndata: {{\"run\":\"{run}\",\"seq\":{place}}}\n\n");
    }
}
