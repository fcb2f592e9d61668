//! Usage records, and totals of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bridge::Stamp;
use clap::ValueEnum as _;
use routing::TenantId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::Doors;
use super::access::{By, VIEWER};
use super::asked::Asked;
use crate::control::Reply;
use crate::usage::report::{By as Grouping, Report};
use crate::usage::{Place, Row, SpoolReader, Wanted};

/// So many requests of the deployment's own tokens, and of the control socket, read the spool at once.
const OWN_READERS: usize = 2;
/// So many tenants do, one request each: whoever asks over and over takes no other tenant's turn.
const TENANTS: usize = 3;
/// A report that takes longer is for the command line.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who reads the spool, for the API and for the control socket.
#[derive(Clone)]
pub struct Usage {
    reader: SpoolReader,
    readers: Arc<Readers>,
}

/// How many requests read the spool now, by tenant; those of the deployment under `None`.
#[derive(Debug, Default)]
struct Readers(Mutex<HashMap<Option<TenantId>, usize>>);

/// One of them; over when it is dropped.
struct Reading {
    tenant: Option<TenantId>,
    readers: Arc<Readers>,
}

impl Readers {
    /// `None` where this tenant reads already, or too many others do.
    fn begin(self: &Arc<Self>, tenant: Option<&TenantId>) -> Option<Reading> {
        let tenant = tenant.cloned();
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tenants = now.keys().filter(|tenant| tenant.is_some()).count();
        let own = now.get(&tenant).copied().unwrap_or_default();
        let free = if tenant.is_some() { own == 0 && tenants < TENANTS } else { own < OWN_READERS };
        if !free {
            return None;
        }
        now.insert(tenant.clone(), own + 1);
        Some(Reading { tenant, readers: Arc::clone(self) })
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut now = self.readers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = now.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                now.remove(&self.tenant);
            }
        }
    }
}

impl Usage {
    /// Of this spool.
    pub fn new(reader: SpoolReader) -> Self {
        Self { reader, readers: Arc::default() }
    }
}

/// Which records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Span {
    /// Of legs that began then or later, RFC 3339.
    #[param(format = DateTime, example = "2026-11-01T00:00:00Z")]
    pub from: Option<String>,
    /// Of legs that began before, RFC 3339.
    #[param(format = DateTime, example = "2026-12-01T00:00:00Z")]
    pub to: Option<String>,
    /// The kind of record; default: final.
    #[param(inline)]
    pub kind: Option<Kind>,
    /// The place to go on from: `next` of the answer before.
    #[param(max_length = 96, pattern = "^[A-Za-z0-9._-]{1,64}:[0-9]{1,18}$")]
    pub after: Option<String>,
    /// Records in the answer at most.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<u16>,
}

/// A kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Before the answer.
    Start,
    /// While it is answered.
    Interim,
    /// It has ended: bill from these.
    Final,
}

/// Of which legs, and by what totals are made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Grouped {
    /// Of legs that began then or later, RFC 3339.
    #[param(format = DateTime, example = "2026-11-01T00:00:00Z")]
    pub from: Option<String>,
    /// Of legs that began before, RFC 3339.
    #[param(format = DateTime, example = "2026-12-01T00:00:00Z")]
    pub to: Option<String>,
    /// By what, in this order, with commas: `tenant`, `organizer`, `owner`, `trunk`, `zone`, `month`. Default: month,tenant,owner.
    #[param(
        example = "month,tenant,owner",
        max_length = 64,
        pattern = "^(tenant|organizer|owner|trunk|zone|month)(,(tenant|organizer|owner|trunk|zone|month)){0,5}$"
    )]
    pub by: Option<String>,
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
    doors.pass_on(doors.usage.records(token.tenant.as_ref(), span).await)
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
    doors.pass_on(doors.usage.totals(token.tenant.as_ref(), &grouped).await)
}

impl Usage {
    /// Records, a page at a time; where a tenant is named, that tenant's.
    pub(crate) async fn records(&self, tenant: Option<&TenantId>, span: Span) -> Reply {
        let kind = match span.kind.unwrap_or(Kind::Final) {
            Kind::Start => "start",
            Kind::Interim => "interim",
            Kind::Final => "final",
        };
        let wanted = match wanted(tenant, span.from.as_deref(), span.to.as_deref(), kind) {
            Ok(wanted) => wanted,
            Err(why) => return refusal(400, &why),
        };
        let Ok(place) = span.after.map(|text| Place::read(&text).ok_or(())).transpose() else {
            return refusal(400, "`after` is the `next` of another answer");
        };
        let most @ 1..=1000 = span.limit.map_or(100, usize::from) else {
            return refusal(400, "`limit` is a number from 1 to 1000");
        };
        match self.read(tenant, move |reader| reader.page(&wanted, place.as_ref(), most)).await {
            Ok(Some(page)) => {
                let next = page.next.map(|place| place.to_string());
                let body = json!({ "records": page.records, "next": next, "more": page.more });
                Reply { status: 200, body }
            }
            Ok(None) => {
                refusal(404, "the file of this place is in the spool no more: begin anew, without `after`")
            }
            Err(refusal) => refusal,
        }
    }

    /// Totals of final records; where a tenant is named, of that tenant's, and by no trunk.
    pub(crate) async fn totals(&self, tenant: Option<&TenantId>, grouped: &Grouped) -> Reply {
        let wanted = match wanted(tenant, grouped.from.as_deref(), grouped.to.as_deref(), "final") {
            Ok(wanted) => wanted,
            Err(why) => return refusal(400, &why),
        };
        let words = grouped.by.as_deref().unwrap_or("month,tenant,owner").split(',');
        let Ok(by) = words.map(|word| Grouping::from_str(word, false)).collect::<Result<Vec<_>, _>>() else {
            let detail =
                "`by` lists tenant, organizer, owner, trunk, zone and month, with commas between them";
            return refusal(400, detail);
        };
        if tenant.is_some() && by.contains(&Grouping::Trunk) {
            let detail = "trunks are the node's and this token is of one tenant: group by something else";
            return refusal(403, detail);
        }
        if by.len() > 6 {
            return refusal(400, "`by` names each of six at most once");
        }
        let read = self.read(tenant, move |reader| {
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
                Reply { status: 200, body: json!({ "groups": report.json(), "beyond": report.beyond }) }
            }
            Ok(None) => {
                let detail = "there is more than can be read within 20 s: ask for less time, or run `partyline usage report` on the node";
                Reply { status: 503, body: json!({ "detail": detail, "retry_after": Value::Null }) }
            }
            Err(refusal) => refusal,
        }
    }

    /// Reads the spool beside the runtime's threads, a few at a time.
    async fn read<T: Send + 'static>(
        &self,
        tenant: Option<&TenantId>,
        read: impl FnOnce(&SpoolReader) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, Reply> {
        let Some(reading) = self.readers.begin(tenant) else {
            return Err(refusal(503, "others are reading the usage records: try again in a second"));
        };
        let reader = self.reader.clone();
        let done = tokio::task::spawn_blocking(move || {
            let read = read(&reader);
            drop(reading);
            read
        });
        let why = match done.await {
            Ok(Ok(read)) => return Ok(read),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::error!(why, "the usage records cannot be read");
        Err(refusal(503, "the usage records cannot be read: the bridge's log says why"))
    }
}

fn refusal(status: u16, detail: &str) -> Reply {
    Reply { status, body: json!({ "detail": detail }) }
}

fn wanted(
    tenant: Option<&TenantId>,
    from: Option<&str>,
    to: Option<&str>,
    kind: &str,
) -> Result<Wanted, String> {
    let moment = |name: &str, text: Option<&str>| {
        let read = text.map(|text| text.parse::<Stamp>().map(|stamp| stamp.0)).transpose();
        read.map_err(|_| format!("`{name}` is a moment as RFC 3339 writes it, such as 2026-11-01T00:00:00Z"))
    };
    let tenant = tenant.map(ToString::to_string);
    Ok(Wanted { from: moment("from", from)?, to: moment("to", to)?, tenant, kind: kind.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_that_reads_over_and_over_takes_nobody_else_s_turn() {
        let readers = Arc::new(Readers::default());
        let of = |name: &str| Some(TenantId::from(name));
        let first = readers.begin(of("contoso").as_ref()).expect("a turn");
        assert!(readers.begin(of("contoso").as_ref()).is_none(), "one at a time");
        let others: Vec<Reading> = ["fabrikam", "northwind"]
            .iter()
            .map(|name| readers.begin(of(name).as_ref()).expect("a turn"))
            .collect();
        assert!(readers.begin(of("tailspin").as_ref()).is_none(), "the disk is everybody's");
        let own: Vec<Reading> = (0..OWN_READERS).map(|_| readers.begin(None).expect("a turn")).collect();
        assert!(readers.begin(None).is_none());
        drop(first);
        let again = readers.begin(of("contoso").as_ref()).expect("its turn again");
        drop((again, others, own));
        assert!(readers.0.lock().unwrap().is_empty(), "nothing is kept of who has read");
    }
}
