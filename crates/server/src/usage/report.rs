//! `partyline usage report`: totals of final records.

use std::collections::BTreeMap;

use bridge::Micros;
use serde::Serialize;

use super::records::Row;

/// By what totals are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum By {
    /// The organizer's organization.
    Tenant,
    /// The organizer.
    Organizer,
    /// Who bills: the owner of the number or of the trunk.
    Owner,
    /// The trunk that carried it.
    Trunk,
    /// Dial-out: how far the destination is.
    Zone,
    /// The calendar month (UTC) in which the leg began.
    Month,
}

impl By {
    /// The name of its column.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Organizer => "organizer",
            Self::Owner => "owner",
            Self::Trunk => "trunk",
            Self::Zone => "zone",
            Self::Month => "month",
        }
    }

    fn of(self, row: &Row) -> String {
        let found = match self {
            Self::Tenant => row.tenant.as_deref(),
            Self::Organizer => row.organizer.as_deref(),
            Self::Owner => row.biller.as_deref(),
            Self::Trunk => row.trunk.as_deref(),
            Self::Zone => row.zone.as_deref(),
            Self::Month => row.invite_time.get(..7),
        };
        found.unwrap_or("-").to_owned()
    }
}

/// The totals of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Legs that came in.
    pub dial_in: u64,
    /// Legs that were dialed.
    pub dial_out: u64,
    /// Of both, those that were answered.
    pub answered: u64,
    /// Exact time of them.
    pub duration_ms: u64,
    /// The time to bill.
    pub billed_seconds: u64,
    /// Of that, out of minute pools.
    pub pool_seconds: u64,
    /// Legs whose time is not known after a crash.
    pub unknown: u64,
    /// What they cost, in millionths, by currency.
    pub charges_micros: BTreeMap<String, u64>,
}

/// The most groups that are told apart: beyond, the report is not one for people, and memory must end somewhere.
pub const MOST_GROUPS: usize = 200_000;

/// Totals by group.
#[derive(Debug, Default)]
pub struct Report {
    by: Vec<By>,
    groups: BTreeMap<Vec<String>, Totals>,
    /// Records that found no group left.
    pub beyond: u64,
}

impl Report {
    /// Grouped so, in this order.
    pub fn new(by: &[By]) -> Self {
        Self { by: by.to_vec(), ..Self::default() }
    }

    /// Counts a final record.
    pub fn add(&mut self, row: &Row) {
        let Some(end) = &row.end else { return };
        let group: Vec<String> = self.by.iter().map(|by| by.of(row)).collect();
        if self.groups.len() >= MOST_GROUPS && !self.groups.contains_key(&group) {
            self.beyond += 1;
            return;
        }
        let totals = self.groups.entry(group).or_default();
        let side = if row.call_type == "conf_in" { &mut totals.dial_in } else { &mut totals.dial_out };
        *side += 1;
        totals.answered += u64::from(row.answer_time.is_some());
        totals.unknown += u64::from(end.duration_ms.is_none());
        let add = |total: &mut u64, more: Option<u64>| *total = total.saturating_add(more.unwrap_or(0));
        add(&mut totals.duration_ms, end.duration_ms);
        add(&mut totals.billed_seconds, end.billed_seconds);
        add(&mut totals.pool_seconds, end.pool_seconds);
        if let Some(currency) = &end.currency {
            add(totals.charges_micros.entry(currency.clone()).or_default(), end.charge_micros);
        }
    }

    /// Every group with its totals, in order.
    pub fn groups(&self) -> impl Iterator<Item = (&[String], &Totals)> {
        self.groups.iter().map(|(group, totals)| (group.as_slice(), totals))
    }

    /// One JSON object a group.
    pub fn json(&self) -> serde_json::Value {
        let rows = self.groups().map(|(group, totals)| {
            let mut row = serde_json::to_value(totals).unwrap_or_default();
            for (by, value) in self.by.iter().zip(group) {
                row[by.word()] = value.as_str().into();
            }
            row
        });
        rows.collect()
    }
}

impl Totals {
    /// The charges as people write them.
    pub fn charges(&self) -> String {
        let charges =
            self.charges_micros.iter().map(|(currency, micros)| format!("{} {currency}", Micros(*micros)));
        charges.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::records::RowEnd;

    fn row(call_type: &str, organizer: &str, seconds: Option<u64>, charge: Option<u64>) -> Row {
        Row {
            call_type: call_type.into(),
            organizer: Some(organizer.into()),
            invite_time: "2026-11-23T10:00:00.000Z".into(),
            answer_time: seconds.map(|_| "2026-11-23T10:00:05.000Z".into()),
            end: Some(RowEnd {
                duration_ms: seconds.map(|seconds| seconds * 1000),
                billed_seconds: seconds,
                charge_micros: charge,
                currency: charge.map(|_| "EUR".into()),
                ..RowEnd::default()
            }),
            ..Row::default()
        }
    }

    #[test]
    fn totals_are_made_by_what_is_asked_and_sums_are_exact() {
        let mut report = Report::new(&[By::Organizer, By::Month]);
        report.add(&row("conf_in", "greta", Some(60), None));
        report.add(&row("conf_out", "greta", Some(30), Some(333_333)));
        report.add(&row("conf_out", "greta", Some(30), Some(333_333)));
        report.add(&row("conf_out", "sam", None, None));
        let groups: Vec<_> = report.groups().collect();
        assert_eq!(groups[0].0, ["greta", "2026-11"]);
        let greta = groups[0].1;
        assert_eq!((greta.dial_in, greta.dial_out, greta.answered, greta.billed_seconds), (1, 2, 3, 120));
        assert_eq!(greta.charges(), "0.666666 EUR");
        assert_eq!((groups[1].1.unknown, groups[1].1.answered), (1, 0));
        assert_eq!(report.json()[0]["organizer"], "greta");
        assert_eq!(report.json()[0]["charges_micros"]["EUR"], 666_666);
    }
}
