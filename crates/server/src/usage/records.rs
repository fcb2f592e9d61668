//! The final records of a spool's folder, one after the other: memory for one line, however many files there are.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bridge::Stamp;
use serde::Deserialize;

use crate::spool::{LONGEST_LINE, read_line};

/// What the tools read of a final record. Records of older versions lack some of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of docs/usage-records.md")]
pub struct Row {
    pub kind: String,
    pub usage_id: String,
    pub written: String,
    pub call_type: String,
    pub sip_call_id: Option<String>,
    pub trunk: Option<String>,
    pub caller: Option<String>,
    pub caller_anonymous: bool,
    pub service_number: Option<String>,
    pub number_owner: Option<String>,
    pub number_kind: Option<String>,
    pub dialed: Option<String>,
    pub destination: Option<String>,
    pub caller_id: Option<String>,
    pub conference_id: Option<String>,
    pub tenant: Option<String>,
    pub organizer: Option<String>,
    pub license: Option<String>,
    pub biller: Option<String>,
    pub zone: Option<String>,
    pub usage_country: Option<String>,
    pub invite_time: String,
    pub answer_time: Option<String>,
    pub end: Option<RowEnd>,
}

/// Of its `end`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of docs/usage-records.md")]
pub struct RowEnd {
    pub end_time: Option<String>,
    pub result: String,
    pub duration_ms: Option<u64>,
    pub billed_seconds: Option<u64>,
    pub bill_to: Option<String>,
    pub pool_seconds: Option<u64>,
    pub currency: Option<String>,
    pub connection_fee_micros: Option<u64>,
    pub charge_micros: Option<u64>,
}

/// Gives every final record to `each`: the files put aside in the order of their names, then the current one. Files put aside
/// before `since` hold nothing later and are passed over. How many lines were no records; a last line without its end is
/// being written, and none.
pub fn read(folder: &Path, since: Option<SystemTime>, mut each: impl FnMut(&Row)) -> io::Result<u64> {
    let mut unreadable = 0;
    for path in files(folder, since)? {
        let mut file = BufReader::new(File::open(&path)?);
        let mut line = Vec::new();
        loop {
            line.clear();
            let (length, finished) = read_line(&mut file, &mut line)?;
            if !finished {
                break;
            }
            match serde_json::from_slice::<Row>(&line) {
                Ok(row) if length <= LONGEST_LINE as u64 => {
                    if row.kind == "final" {
                        each(&row);
                    }
                }
                _ => unreadable += 1,
            }
        }
    }
    Ok(unreadable)
}

pub(super) fn files(folder: &Path, since: Option<SystemTime>) -> io::Result<Vec<PathBuf>> {
    let mut aside = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        let Some(when) = name.strip_prefix("usage-").and_then(|rest| rest.strip_suffix(".jsonl")) else {
            continue;
        };
        let late = since.is_none_or(|since| put_aside(when).is_none_or(|when| when >= since));
        if late {
            aside.push(folder.join(name));
        }
    }
    aside.sort();
    let current = folder.join("usage.jsonl");
    if current.exists() {
        aside.push(current);
    }
    Ok(aside)
}

/// A file put aside at `since` or later that was packed meanwhile, so that nobody reads it here.
pub(super) fn packed(folder: &Path, since: Option<SystemTime>) -> io::Result<Option<PathBuf>> {
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        let when =
            name.strip_prefix("usage-").and_then(|rest| rest.split_once(".jsonl.")).map(|(when, _)| when);
        let late = |when| put_aside(when).is_some_and(|when| since.is_none_or(|since| when >= since));
        if when.is_some_and(late) {
            return Ok(Some(folder.join(name)));
        }
    }
    Ok(None)
}

/// `2026-11-23T06-10-42.123Z`, perhaps with a number behind it.
fn put_aside(when: &str) -> Option<SystemTime> {
    let (date, rest) = when.split_once('T')?;
    let time = rest.split_once('Z')?.0.replace('-', ":");
    format!("{date}T{time}Z").parse::<Stamp>().ok().map(|stamp| stamp.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::Duration;

    fn record(kind: &str, id: &str) -> String {
        format!("{{\"kind\":\"{kind}\",\"usage_id\":\"{id}\",\"new_field\":1}}\n")
    }

    fn ids(folder: &Path, since: Option<SystemTime>) -> (Vec<String>, u64) {
        let mut ids = Vec::new();
        let unreadable = read(folder, since, |row| ids.push(row.usage_id.clone())).expect("a folder");
        (ids, unreadable)
    }

    #[test]
    fn final_records_come_in_order_from_all_files_and_what_is_none_is_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text).expect("a file");
        write("usage-2026-11-02T00-00-00.000Z.jsonl", record("final", "b"));
        write("usage-2026-10-31T23-59-59.999Z-1.jsonl", record("start", "x") + &record("final", "a"));
        let long = "x".repeat(2 * LONGEST_LINE);
        let rest = format!("no json\n{long}\n{}{}", record("interim", "c"), record("final", "c"));
        write("usage.jsonl", rest + "{\"kind\":\"final\",\"usage_id\":\"half");
        write("open.jsonl", record("final", "never"));
        write("notes.txt", record("final", "never"));
        assert_eq!(ids(folder.path(), None), (vec!["a".into(), "b".into(), "c".into()], 2));
        let november = "2026-11-01T00:00:00Z".parse::<Stamp>().expect("a moment").0;
        assert_eq!(
            ids(folder.path(), Some(november)).0,
            ["b", "c"],
            "October's file holds October's records"
        );
        assert_eq!(ids(folder.path(), Some(november - Duration::from_secs(1))).0, ["a", "b", "c"]);
    }
}
