//! `partyline ctl usage`: what the running bridge's usage records say.

use bridge::Micros;
use clap::Subcommand;
use serde_json::Value;

use super::table::Table;
use crate::ctl::Question;
use crate::http::{Grouped, RecordKind, Span};
use crate::trace::ladder::harmless;
use crate::usage::report::By;

/// What is asked.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum Job {
    /// Totals: legs, time and charges.
    Report {
        /// Of legs that began then or later, as 2026-11-01T00:00:00Z.
        #[arg(long)]
        from: Option<String>,
        /// Of legs that began before.
        #[arg(long)]
        to: Option<String>,
        /// By what totals are made, in this order.
        #[arg(long, value_enum, value_delimiter = ',', default_value = "month,tenant,owner")]
        by: Vec<By>,
    },
    /// The records, a page at a time, in the order in which they were written.
    Rows {
        /// Of legs that began then or later, as 2026-11-01T00:00:00Z.
        #[arg(long)]
        from: Option<String>,
        /// Of legs that began before.
        #[arg(long)]
        to: Option<String>,
        /// The kind of record.
        #[arg(long, value_enum, default_value = "final")]
        kind: RecordKind,
        /// The place to go on from: what the page before named.
        #[arg(long)]
        after: Option<String>,
        /// Records at most.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
}

impl Job {
    pub(super) fn question(&self) -> Question {
        match self.clone() {
            Self::Report { from, to, by } => {
                let by = by.iter().map(|by| by.word()).collect::<Vec<_>>().join(",");
                Question::UsageReport(Grouped { from, to, by: Some(by) })
            }
            Self::Rows { from, to, kind, after, limit } => {
                Question::Usage(Span { from, to, kind: Some(kind), after, limit: Some(limit) })
            }
        }
    }

    pub(super) fn show(&self, body: &Value) {
        match self {
            Self::Report { by, .. } => totals(by, body),
            Self::Rows { .. } => records(body),
        }
    }
}

fn totals(by: &[By], body: &Value) {
    let groups = by.iter().map(|by| by.word());
    let counts = ["dial-in", "dial-out", "answered", "seconds", "billed", "pool", "unknown", "charges"];
    let mut table = Table::new(&groups.chain(counts).collect::<Vec<_>>());
    for group in all(&body["groups"]) {
        let names = by.iter().map(|by| word(&group[by.word()]));
        let seconds = group["duration_ms"].as_u64().unwrap_or_default() / 1000;
        let charges = group["charges_micros"].as_object().into_iter().flatten();
        let charges =
            charges.map(|(currency, micros)| money(micros, currency)).collect::<Vec<_>>().join(", ");
        let counts = ["dial_in", "dial_out", "answered"].map(|key| word(&group[key]));
        let billed = ["billed_seconds", "pool_seconds", "unknown"].map(|key| word(&group[key]));
        let row = names.chain(counts).chain([seconds.to_string()]).chain(billed).chain([charges]);
        table.row(&row.collect::<Vec<_>>());
    }
    table.print();
    if let Some(beyond) = body["beyond"].as_u64().filter(|beyond| *beyond > 0) {
        remark!("{beyond} records found no group left: group by less");
    }
}

fn records(body: &Value) {
    let mut table =
        Table::new(&["began", "type", "tenant", "organizer", "from", "to", "result", "seconds", "charge"]);
    for record in all(&body["records"]) {
        let end = &record["end"];
        let inward = record["call_type"] == "conf_in";
        let (from, to) = if inward { ("caller", "service_number") } else { ("caller_id", "destination") };
        let seconds = end["duration_ms"].as_u64().map_or("-".to_owned(), |ms| (ms / 1000).to_string());
        let charge = end["currency"].as_str().map_or("-".to_owned(), |of| money(&end["charge_micros"], of));
        let keys = ["invite_time", "call_type", "tenant", "organizer", from, to];
        let row = keys.map(|key| word(&record[key])).into_iter();
        table.row(&row.chain([word(&end["result"]), seconds, charge]).collect::<Vec<_>>());
    }
    table.print();
    if let Some(next) = body["next"].as_str().filter(|_| body["more"] == true) {
        remark!("there is more: --after {next}");
    }
}

fn all(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Text from the network is in some of them.
fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => harmless(text),
        other => other.to_string(),
    }
}

fn money(micros: &Value, currency: &str) -> String {
    format!("{} {currency}", Micros(micros.as_u64().unwrap_or_default()))
}
