//! Usage records, and totals of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bridge::Stamp;
use clap::ValueEnum as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use utoipa::{IntoParams, ToSchema};

use super::Doors;
use super::access::{By, Token, VIEWER};
use super::asked::Asked;
use crate::usage::report::{By as Grouping, Report};
use crate::usage::{Place, Row, SpoolReader, Wanted};

/// So many requests read the spool at once.
const READERS: usize = 2;
/// A report that takes longer is for the command line.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who reads the spool.
pub struct Usage {
    reader: SpoolReader,
    places: Arc<Semaphore>,
}

impl Usage {
    /// Of this spool.
    pub fn new(reader: SpoolReader) -> Self {
        Self { reader, places: Arc::new(Semaphore::new(READERS)) }
    }
}

/// Which records.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Span {
    /// Of legs that began then or later, RFC 3339.
    #[param(format = DateTime, example = "2026-11-01T00:00:00Z")]
    from: Option<String>,
    /// Of legs that began before, RFC 3339.
    #[param(format = DateTime, example = "2026-12-01T00:00:00Z")]
    to: Option<String>,
    /// The kind of record; default: final.
    #[param(inline)]
    kind: Option<Kind>,
    /// The place to go on from: `next` of the answer before.
    #[param(max_length = 96, pattern = "^[A-Za-z0-9._-]{1,64}:[0-9]{1,18}$")]
    after: Option<String>,
    /// Records in the answer at most.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u16>,
}

/// A kind of record.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// Before the answer.
    Start,
    /// While it is answered.
    Interim,
    /// It has ended: bill from these.
    Final,
}

/// Of which legs, and by what totals are made.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Grouped {
    /// Of legs that began then or later, RFC 3339.
    #[param(format = DateTime, example = "2026-11-01T00:00:00Z")]
    from: Option<String>,
    /// Of legs that began before, RFC 3339.
    #[param(format = DateTime, example = "2026-12-01T00:00:00Z")]
    to: Option<String>,
    /// By what, in this order, with commas: `tenant`, `organizer`, `owner`, `trunk`, `zone`, `month`. Default: month,tenant,owner.
    #[param(
        example = "month,tenant,owner",
        max_length = 64,
        pattern = "^(tenant|organizer|owner|trunk|zone|month)(,(tenant|organizer|owner|trunk|zone|month)){0,5}$"
    )]
    by: Option<String>,
}

/// Usage records in the order in which they were written.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "it describes an answer")]
#[expect(clippy::struct_field_names, reason = "they are the names in the answer")]
#[serde(deny_unknown_fields)]
pub(super) struct Records {
    /// Whole records as docs/usage-records.md describes them. Who asked for privacy has neither number nor name.
    #[schema(value_type = Vec<Object>)]
    records: Vec<Value>,
    /// The place to go on from, as `after`, now or when there is more; null while there is no record at all.
    #[schema(required)]
    next: Option<String>,
    /// There is more behind `next`, and it can be asked for at once. A page may have fewer records than asked for, or none, and
    /// more behind it.
    more: bool,
}

/// Totals of final records.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "it describes an answer")]
#[serde(deny_unknown_fields)]
pub(super) struct Totals {
    /// The totals of each group, as `partyline usage report --json` prints them: what `by` names, and `dial_in`, `dial_out`,
    /// `answered`, `duration_ms`, `billed_seconds`, `pool_seconds`, `unknown` and `charges_micros` by currency.
    #[schema(value_type = Vec<Object>)]
    groups: Vec<Value>,
    /// Records that found no group left: group by less.
    beyond: u64,
}

/// Usage records of a span, a page at a time; a token of one tenant sees that tenant's.
///
/// They are those of this node's spool: the files put aside that are still there, and the current one.
#[utoipa::path(
    get,
    path = "/usage",
    tag = "usage",
    params(Span),
    responses((status = 200, description = "The records.", body = Records))
)]
pub(super) async fn usage(
    By(token): By<VIEWER>,
    State(doors): State<Arc<Doors>>,
    Asked(span): Asked<Span>,
) -> Response {
    if token.outside {
        // Whatever `mask_pstn_numbers` says: bills need whole numbers.
        return doors.refuse(
            StatusCode::FORBIDDEN,
            "usage records hold telephone numbers: this token is for outsiders",
        );
    }
    let kind = match span.kind.unwrap_or(Kind::Final) {
        Kind::Start => "start",
        Kind::Interim => "interim",
        Kind::Final => "final",
    };
    let wanted = match wanted(&token, span.from.as_deref(), span.to.as_deref(), kind) {
        Ok(wanted) => wanted,
        Err(why) => return doors.refuse(StatusCode::BAD_REQUEST, &why),
    };
    let Ok(place) = span.after.map(|text| Place::read(&text).ok_or(())).transpose() else {
        return doors.refuse(StatusCode::BAD_REQUEST, "`after` is the `next` of another answer");
    };
    let most @ 1..=1000 = span.limit.map_or(100, usize::from) else {
        return doors.refuse(StatusCode::BAD_REQUEST, "`limit` is a number from 1 to 1000");
    };
    let read = doors.read_spool(move |reader| reader.page(&wanted, place.as_ref(), most)).await;
    match read {
        Ok(Some(page)) => {
            doors.count("ok");
            let next = page.next.map(|place| place.to_string());
            super::json(json!({ "records": page.records, "next": next, "more": page.more }).to_string())
        }
        Ok(None) => doors.refuse(
            StatusCode::NOT_FOUND,
            "the file of this place is in the spool no more: begin anew, without `after`",
        ),
        Err(refusal) => refusal,
    }
}

/// Totals of the final records of a span; a token of one tenant sees that tenant's.
#[utoipa::path(
    get,
    path = "/usage/report",
    tag = "usage",
    params(Grouped),
    responses((status = 200, description = "The totals of each group.", body = Totals))
)]
pub(super) async fn report(
    By(token): By<VIEWER>,
    State(doors): State<Arc<Doors>>,
    Asked(grouped): Asked<Grouped>,
) -> Response {
    let wanted = match wanted(&token, grouped.from.as_deref(), grouped.to.as_deref(), "final") {
        Ok(wanted) => wanted,
        Err(why) => return doors.refuse(StatusCode::BAD_REQUEST, &why),
    };
    let words = grouped.by.as_deref().unwrap_or("month,tenant,owner").split(',');
    let Ok(by) = words.map(|word| Grouping::from_str(word, false)).collect::<Result<Vec<_>, _>>() else {
        let detail = "`by` lists tenant, organizer, owner, trunk, zone and month, with commas between them";
        return doors.refuse(StatusCode::BAD_REQUEST, detail);
    };
    if token.tenant.is_some() && by.contains(&Grouping::Trunk) {
        let detail = "trunks are the node's and this token is of one tenant: group by something else";
        return doors.refuse(StatusCode::FORBIDDEN, detail);
    }
    if by.len() > 6 {
        return doors.refuse(StatusCode::BAD_REQUEST, "`by` names each of six at most once");
    }
    let read = doors.read_spool(move |reader| {
        let (mut report, began, mut in_time) = (Report::new(&by), Instant::now(), true);
        reader.each(&wanted, |line| {
            if let Ok(row) = serde_json::from_slice::<Row>(line) {
                report.add(&row);
            }
            in_time = began.elapsed() < PATIENCE;
            in_time
        })?;
        Ok(in_time.then_some(report))
    });
    match read.await {
        Ok(Some(report)) => {
            doors.count("ok");
            super::json(json!({ "groups": report.json(), "beyond": report.beyond }).to_string())
        }
        Ok(None) => {
            let detail = "there is more than can be read within 20 s: ask for less time, or run `partyline usage report` on the node";
            let mut body = json!({ "detail": detail });
            body["retry_after"] = Value::Null;
            doors.count("refused");
            super::problem::complete(StatusCode::SERVICE_UNAVAILABLE, body)
        }
        Err(refusal) => refusal,
    }
}

fn wanted(token: &Token, from: Option<&str>, to: Option<&str>, kind: &str) -> Result<Wanted, String> {
    let moment = |name: &str, text: Option<&str>| {
        let read = text.map(|text| text.parse::<Stamp>().map(|stamp| stamp.0)).transpose();
        read.map_err(|_| format!("`{name}` is a moment as RFC 3339 writes it, such as 2026-11-01T00:00:00Z"))
    };
    let tenant = token.tenant.as_ref().map(ToString::to_string);
    Ok(Wanted { from: moment("from", from)?, to: moment("to", to)?, tenant, kind: kind.to_owned() })
}

impl Doors {
    /// Reads the spool beside the runtime's threads, a few at a time.
    async fn read_spool<T: Send + 'static>(
        &self,
        read: impl FnOnce(&SpoolReader) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, Response> {
        let Ok(permit) = Arc::clone(&self.usage.places).try_acquire_owned() else {
            let detail = "others are reading the usage records: try again in a second";
            return Err(self.refuse(StatusCode::SERVICE_UNAVAILABLE, detail));
        };
        let reader = self.usage.reader.clone();
        let done = tokio::task::spawn_blocking(move || {
            let read = read(&reader);
            drop(permit);
            read
        });
        let why = match done.await {
            Ok(Ok(read)) => return Ok(read),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::error!(why, "the usage records cannot be read for the API");
        let detail = "the usage records cannot be read: the bridge's log says why";
        Err(self.refuse(StatusCode::SERVICE_UNAVAILABLE, detail))
    }
}
