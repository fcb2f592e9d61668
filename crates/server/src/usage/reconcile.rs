//! `partyline usage reconcile`: an operator's own records against ours.
//!
//! The operator's file is read into memory, bounded; ours stream past it. Two records are of one call when both numbers are the
//! same and they begin within a tolerance of each other; of several, the nearest in time.

use std::collections::HashMap;
use std::io::BufRead;

use bridge::Stamp;
use routing::{DialPlan, E164};
use serde::Serialize;

use super::csv::{CsvError, Reader};
use super::records::Row;

/// The most records of an operator that are compared at once; split longer files by day.
pub const MOST_RECORDS: usize = 1_000_000;

/// Which columns say what, by their names in the headline; case does not matter.
#[derive(Clone, Debug)]
pub struct Columns {
    /// Who called.
    pub caller: String,
    /// Who was called.
    pub called: String,
    /// When it was answered.
    pub start: String,
    /// How long it lasted, in seconds or as `h:mm:ss`.
    pub duration: String,
}

/// How two records are compared.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How far their beginnings may be apart, in milliseconds.
    pub tolerance_ms: u64,
    /// How far their durations may be apart, in milliseconds.
    pub rounding_ms: u64,
    /// What the operator's numbers without `+` mean.
    pub plan: DialPlan,
}

/// One call on which the two sides do not agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dispute {
    /// What is wrong.
    pub kind: DisputeKind,
    /// Who called; empty where that is hidden.
    pub caller: String,
    /// Who was called.
    pub called: String,
    /// When it began, by the side that knows it.
    pub start: String,
    /// How long it lasted for us.
    pub our_seconds: Option<u64>,
    /// How long for the operator.
    pub their_seconds: Option<u64>,
    /// The operator's line.
    pub line: Option<u64>,
    /// Our record.
    pub usage_id: Option<String>,
}

/// What two sides may disagree about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DisputeKind {
    /// The operator bills a call that we have no record of.
    MissingHere,
    /// We have a call that the operator does not bill.
    MissingThere,
    /// Both have it, and it lasted differently.
    Duration,
    /// Both have it, and a crash made us forget how long it lasted.
    UnknownHere,
}

impl DisputeKind {
    /// A word for a table.
    pub fn word(self) -> &'static str {
        match self {
            Self::MissingHere => "missing-here",
            Self::MissingThere => "missing-there",
            Self::Duration => "duration",
            Self::UnknownHere => "unknown-here",
        }
    }
}

/// Why an operator's file cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// It is no CSV.
    #[error("{0}")]
    Csv(#[from] CsvError),
    /// A column is not there.
    #[error("line 1: there is no column {wanted:?} but {there}; name it with --{flag}-column")]
    NoColumn {
        /// Which.
        wanted: String,
        /// Those there are.
        there: String,
        /// What it is for.
        flag: &'static str,
    },
    /// A field cannot be read.
    #[error("line {line}: {what}: found {found:?}, expected {expected}")]
    Field {
        /// Where.
        line: u64,
        /// The column.
        what: String,
        /// What stands there.
        found: String,
        /// What could.
        expected: &'static str,
    },
    /// More records than are compared at once.
    #[error("more than {MOST_RECORDS} records: split the file, by day for instance")]
    TooMany,
}

/// One call of the operator's.
#[derive(Debug)]
struct Theirs {
    start_ms: u64,
    duration_ms: u64,
    line: u64,
    matched: bool,
}

/// The operator's calls, and what has been found so far.
#[derive(Debug)]
pub struct Reconciliation {
    rules: Rules,
    calls: HashMap<(String, String), Vec<Theirs>>,
    /// The first and last beginning of theirs.
    period: Option<(u64, u64)>,
    /// Calls on which both agree.
    pub agreed: u64,
    disputes: Vec<Dispute>,
}

impl Reconciliation {
    /// Reads the operator's file.
    pub fn read(
        from: impl BufRead,
        separator: u8,
        columns: &Columns,
        rules: Rules,
    ) -> Result<Self, ReconcileError> {
        let mut reader = Reader::new(from, separator)?;
        let headline = reader.read()?.unwrap_or_default();
        let find = |wanted: &str, flag: &'static str| {
            let at = headline.iter().position(|name| name.trim().eq_ignore_ascii_case(wanted));
            at.ok_or_else(|| ReconcileError::NoColumn {
                wanted: wanted.to_owned(),
                there: short(&headline.join(", ")),
                flag,
            })
        };
        let at = [
            find(&columns.caller, "caller")?,
            find(&columns.called, "called")?,
            find(&columns.start, "start")?,
            find(&columns.duration, "duration")?,
        ];
        let mut this = Self { rules, calls: HashMap::new(), period: None, agreed: 0, disputes: Vec::new() };
        let mut count = 0;
        while let Some(record) = reader.read()? {
            count += 1;
            if count > MOST_RECORDS {
                return Err(ReconcileError::TooMany);
            }
            let line = reader.began_at();
            let [caller, called, start, duration] =
                at.map(|at| record.get(at).map_or("", |field| field.trim()));
            let wrong = |what: &str, found: &str, expected: &'static str| ReconcileError::Field {
                line,
                what: what.to_owned(),
                found: short(found),
                expected,
            };
            let start_ms = moment(start).ok_or_else(|| {
                wrong(&columns.start, start, "2026-11-23T10:00:00Z, with an offset, or without for UTC")
            })?;
            let duration_ms = duration_ms(duration).ok_or_else(|| {
                wrong(&columns.duration, duration, "seconds, such as 75 or 75.2, or 1:15 or 0:01:15")
            })?;
            this.add(caller, called, start_ms.unix_millis(), duration_ms, line);
        }
        Ok(this)
    }

    fn add(&mut self, caller: &str, called: &str, start_ms: u64, duration_ms: u64, line: u64) {
        let key = (self.number(caller), self.number(called));
        let (first, last) = self.period.unwrap_or((start_ms, start_ms));
        self.period = Some((first.min(start_ms), last.max(start_ms)));
        self.calls.entry(key).or_default().push(Theirs { start_ms, duration_ms, line, matched: false });
    }

    /// Digits with country code; empty where there is no number, as for callers who hide theirs.
    fn number(&self, text: &str) -> String {
        if let Ok(number) = E164::normalize(text, &self.rules.plan) {
            return number.digits().to_owned();
        }
        text.chars().filter(char::is_ascii_digit).take(routing::MAX_DIGITS).collect()
    }

    /// Compares one of our final records. Calls that were never answered, and those outside the operator's period, are not
    /// compared.
    pub fn compare(&mut self, row: &Row) {
        let Some(end) = &row.end else { return };
        let unknown = end.result == "unknown";
        let Some((first, last)) = self.period.filter(|_| row.answer_time.is_some() || unknown) else {
            return;
        };
        let began = row.answer_time.as_deref().unwrap_or(&row.invite_time);
        let Ok(start) = began.parse::<Stamp>() else { return };
        let start_ms = start.unix_millis();
        let tolerance = self.rules.tolerance_ms;
        if start_ms.saturating_add(tolerance) < first || start_ms > last.saturating_add(tolerance) {
            return;
        }
        let (caller, called) = match row.call_type.as_str() {
            "conf_in" => (&row.caller, &row.service_number),
            _ => (&row.caller_id, &row.destination),
        };
        let number = |number: &Option<String>| {
            number.as_deref().map_or_else(String::new, |number| self.number(number))
        };
        let (caller, called) = (number(caller), number(called));
        let dispute = |kind, our_seconds, theirs: Option<&Theirs>| Dispute {
            kind,
            caller: caller.clone(),
            called: called.clone(),
            start: began.to_owned(),
            our_seconds,
            their_seconds: theirs.map(|theirs| theirs.duration_ms.div_ceil(1000)),
            line: theirs.map(|theirs| theirs.line),
            usage_id: Some(row.usage_id.clone()),
        };
        let ours = end.duration_ms.map(|millis| millis.div_ceil(1000));
        let hidden = (String::new(), called.clone());
        let key = (caller.clone(), called.clone());
        let has_one = |key: &(String, String)| {
            self.calls.get(key).and_then(|calls| nearest(calls, start_ms, tolerance)).is_some()
        };
        let taken = [key, hidden].into_iter().find(has_one);
        let theirs = taken.and_then(|key| {
            let calls = self.calls.get_mut(&key)?;
            nearest(calls, start_ms, tolerance).and_then(|at| calls.get_mut(at))
        });
        let Some(theirs) = theirs else {
            // Whether a leg that a crash hid was answered at all, only they know: they say it was not.
            if !unknown {
                self.disputes.push(dispute(DisputeKind::MissingThere, ours, None));
            }
            return;
        };
        theirs.matched = true;
        let found = match end.duration_ms {
            None => Some(dispute(DisputeKind::UnknownHere, None, Some(theirs))),
            Some(millis) if millis.abs_diff(theirs.duration_ms) > self.rules.rounding_ms => {
                Some(dispute(DisputeKind::Duration, ours, Some(theirs)))
            }
            Some(_) => None,
        };
        match found {
            Some(dispute) => self.disputes.push(dispute),
            None => self.agreed += 1,
        }
    }

    /// Everything on which the two do not agree, in the order of time.
    pub fn disputes(mut self) -> Vec<Dispute> {
        for ((caller, called), calls) in &self.calls {
            for theirs in calls.iter().filter(|theirs| !theirs.matched && theirs.duration_ms > 0) {
                let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(theirs.start_ms);
                self.disputes.push(Dispute {
                    kind: DisputeKind::MissingHere,
                    caller: caller.clone(),
                    called: called.clone(),
                    start: Stamp(at).to_string(),
                    our_seconds: None,
                    their_seconds: Some(theirs.duration_ms.div_ceil(1000)),
                    line: Some(theirs.line),
                    usage_id: None,
                });
            }
        }
        self.disputes.sort_by(|a, b| (&a.start, a.line, &a.usage_id).cmp(&(&b.start, b.line, &b.usage_id)));
        self.disputes
    }
}

/// Which is the nearest that no record of ours has taken.
fn nearest(calls: &[Theirs], start_ms: u64, tolerance_ms: u64) -> Option<usize> {
    let away = |theirs: &Theirs| theirs.start_ms.abs_diff(start_ms);
    let free = calls.iter().enumerate().filter(|(_, theirs)| !theirs.matched && away(theirs) <= tolerance_ms);
    free.min_by_key(|(_, theirs)| away(theirs)).map(|(at, _)| at)
}

/// RFC 3339; without an offset UTC is meant.
fn moment(text: &str) -> Option<Stamp> {
    text.parse().or_else(|_| format!("{text}Z").parse()).ok()
}

/// `75`, `75.25`, `1:15`, `0:01:15`. At most a year.
fn duration_ms(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits =
        |text: &str| !text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(fraction) {
        return None;
    }
    let millis: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let mut seconds = 0_u64;
    let parts: Vec<&str> = whole.split(':').collect();
    if parts.len() > 3 {
        return None;
    }
    for part in parts {
        if !digits(part) {
            return None;
        }
        seconds = seconds * 60 + part.parse::<u64>().ok()?;
    }
    (seconds <= 366 * 86_400).then_some(seconds * 1000 + millis)
}

/// Somebody else's text in a message of ours.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests;
