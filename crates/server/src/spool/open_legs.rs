//! Which legs have a start record and no final one, with the last interim record of each; what an earlier run left open is closed in its place.

use std::collections::HashMap;
use std::io::{self, BufRead};
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::line::{LONGEST_LINE, read_line};

/// The start records, or the last interim ones, that no final one has followed yet, in the order they came.
#[derive(Debug, Default)]
pub struct OpenLegs {
    legs: HashMap<String, (u64, String)>,
    next: u64,
}

/// What must be read of a record to know whether its leg is open.
#[derive(Deserialize)]
struct Mark {
    kind: String,
    usage_id: String,
}

/// What a file held.
#[derive(Debug, PartialEq, Eq)]
pub struct Scanned {
    /// Bytes up to and with the last line break; what follows was never finished.
    pub good: u64,
    /// Lines that are no usage record.
    pub unreadable: u64,
}

impl OpenLegs {
    /// Notes one record; `false` when it is none.
    pub fn note(&mut self, line: &str) -> bool {
        let Ok(mark) = serde_json::from_str::<Mark>(line) else { return false };
        match mark.kind.as_str() {
            "start" => {
                self.legs.insert(mark.usage_id, (self.next, line.to_owned()));
                self.next += 1;
            }
            // An interim record of a leg that is over, or was never begun, opens nothing.
            "interim" => {
                if let Some((_, open)) = self.legs.get_mut(&mark.usage_id) {
                    line.clone_into(open);
                }
            }
            "final" => {
                self.legs.remove(&mark.usage_id);
            }
            _ => return false,
        }
        true
    }

    /// Notes every record of a file, a line at a time.
    pub fn scan(&mut self, mut file: impl BufRead) -> io::Result<Scanned> {
        let mut scanned = Scanned { good: 0, unreadable: 0 };
        let mut line = Vec::new();
        loop {
            line.clear();
            let (length, finished) = read_line(&mut file, &mut line)?;
            if !finished {
                return Ok(scanned);
            }
            scanned.good += length;
            let noted = length <= LONGEST_LINE as u64
                && std::str::from_utf8(&line).is_ok_and(|line| self.note(line.trim_end()));
            scanned.unreadable += u64::from(!noted);
        }
    }

    /// The start or last interim records, oldest first.
    pub fn lines(&self) -> Vec<&str> {
        let mut legs: Vec<_> = self.legs.values().collect();
        legs.sort_unstable_by_key(|(order, _)| *order);
        legs.into_iter().map(|(_, line)| line.as_str()).collect()
    }

    /// The final records of these legs: whoever began them died before their end.
    pub fn closing(&self, now: SystemTime) -> Vec<String> {
        self.lines().into_iter().filter_map(|line| closing(line, now)).collect()
    }
}

/// The start or last interim record with an end, so that nothing known is lost. A start record was written before the
/// answer, so nobody knows any more whether the leg was answered or how long it lasted: what is not known is `null`. An
/// interim one knows that it was answered, and how long it lasted at least.
fn closing(start: &str, now: SystemTime) -> Option<String> {
    let mut record: Value = serde_json::from_str(start).ok()?;
    let fields = record.as_object_mut()?;
    let so_far = fields.insert("interim".to_owned(), Value::Null).unwrap_or_default();
    let (result, source, reason) = if so_far.is_object() {
        ("answered", "interim", "closed at the next start of the bridge; it lasted at least so long")
    } else {
        (
            "unknown",
            "none",
            "closed at the next start of the bridge; whether and how long it was answered is not known",
        )
    };
    let end = json!({
        "end_time": null,
        "result": result,
        "ended_by": "node-crash",
        "cause": "the bridge died",
        "sip_status": 0,
        "q850": null,
        "reason": reason,
        "duration_ms": so_far["duration_ms"],
        "in_conference_ms": null,
        "billed_seconds": so_far["billed_seconds"],
        "rounding": null,
        "bill_to": so_far["bill_to"],
        "pool_seconds": so_far["pool_seconds"],
        "currency": so_far["currency"],
        "rate_prefix": null,
        "price_per_minute_micros": null,
        "connection_fee_micros": null,
        "charge_micros": so_far["charge_micros"],
        "duration_source": source,
        "wall_clock_stepped": null,
        "keys_pressed": null,
    });
    for (field, value) in [
        ("kind", Value::from("final")),
        ("record_id", Value::from(Uuid::now_v7().to_string())),
        ("written", Value::from(bridge::Stamp(now).to_string())),
        ("end", end),
    ] {
        fields.insert(field.to_owned(), value);
    }
    Some(record.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bridge::{CallResult, EndingParty, RecordEnd, Rounding, Stamp};

    const START_A: &str =
        r#"{"kind":"start","usage_id":"a","record_id":"1","written":"then","trunk":"acme","end":null}"#;
    const START_B: &str = r#"{"kind":"start","usage_id":"b","trunk":"acme","end":null}"#;
    const FINAL_B: &str = r#"{"kind":"final","usage_id":"b"}"#;

    fn scan(text: &str) -> (OpenLegs, Scanned) {
        let mut open = OpenLegs::default();
        let scanned = open.scan(text.as_bytes()).unwrap();
        (open, scanned)
    }

    #[test]
    fn a_leg_is_open_between_its_start_and_its_final_record() {
        let (open, scanned) = scan(&format!("{START_A}\n{START_B}\n{FINAL_B}\n"));
        assert_eq!(open.lines(), [START_A]);
        assert_eq!(scanned.unreadable, 0);
    }

    #[test]
    fn a_crash_loses_no_more_than_the_time_since_the_last_interim_record() {
        let interim = |millis: u64| {
            format!(
                "{{\"kind\":\"interim\",\"usage_id\":\"a\",\"trunk\":\"acme\",\"interim\":{{\"duration_ms\":{millis},\
                 \"billed_seconds\":120,\"pool_seconds\":60,\"bill_to\":\"pool\",\"currency\":\"EUR\",\"charge_micros\":5}}}}"
            )
        };
        let (open, scanned) =
            scan(&format!("{START_A}\n{START_B}\n{}\n{}\n{FINAL_B}\n", interim(60_000), interim(90_000)));
        assert_eq!((open.lines().len(), scanned.unreadable), (1, 0));
        let record: Value = serde_json::from_str(&open.closing(SystemTime::UNIX_EPOCH)[0]).unwrap();
        let end = &record["end"];
        assert_eq!((&record["kind"], &record["interim"]), (&json!("final"), &Value::Null));
        assert_eq!((&end["result"], &end["duration_ms"]), (&json!("answered"), &json!(90_000)));
        assert_eq!(
            (&end["billed_seconds"], &end["pool_seconds"], &end["charge_micros"]),
            (&json!(120), &json!(60), &json!(5))
        );
        assert_eq!((&end["duration_source"], &end["ended_by"]), (&json!("interim"), &json!("node-crash")));
        // An interim record that comes alone opens nothing.
        assert!(scan(&format!("{}\n", interim(1))).0.lines().is_empty());
    }

    #[test]
    fn an_unfinished_last_line_is_not_good_and_what_is_no_record_is_passed_over() {
        let whole = format!("{START_A}\nno json\n\u{0}\u{0}\n{{\"kind\":\"final\"}}\n");
        let (open, scanned) = scan(&format!("{whole}{{\"kind\":\"final\",\"usage_id\":\"a\""));
        assert_eq!(scanned, Scanned { good: whole.len() as u64, unreadable: 3 });
        assert_eq!(open.lines().len(), 1);
    }

    #[test]
    fn a_line_that_is_no_record_takes_no_more_memory_than_the_longest_record() {
        let text = format!("{}\n{START_A}\n", "x".repeat(3 * LONGEST_LINE));
        let mut line = Vec::new();
        let (length, finished) = read_line(&mut text.as_bytes(), &mut line).unwrap();
        assert_eq!((length, finished, line.len()), (3 * LONGEST_LINE as u64 + 1, true, LONGEST_LINE));
        assert_eq!(scan(&text).0.lines().len(), 1);
    }

    #[test]
    fn the_closing_record_has_the_shape_of_a_final_one_and_says_what_it_does_not_know() {
        let (open, _) = scan(&format!("{START_A}\n"));
        let closing = open.closing(SystemTime::UNIX_EPOCH);
        assert_eq!(closing.len(), 1);
        let record: Value = serde_json::from_str(&closing[0]).unwrap();
        assert_eq!((&record["kind"], &record["usage_id"]), (&json!("final"), &json!("a")));
        assert_eq!(record["trunk"], "acme");
        assert_eq!(record["written"], "1970-01-01T00:00:00.000Z");
        assert_ne!(record["record_id"], "1");
        assert_eq!(record["end"]["ended_by"], "node-crash");
        assert!(record["end"]["billed_seconds"].is_null());
        let real = RecordEnd {
            end_time: Stamp(SystemTime::UNIX_EPOCH),
            result: CallResult::Answered,
            ended_by: EndingParty::FarEnd,
            cause: "bye",
            sip_status: 0,
            q850: None,
            reason: String::new(),
            duration_ms: 0,
            in_conference_ms: 0,
            billed_seconds: 0,
            rounding: Rounding::default(),
            bill_to: None,
            pool_seconds: 0,
            currency: None,
            rate_prefix: None,
            price_per_minute_micros: None,
            connection_fee_micros: None,
            charge_micros: None,
            duration_source: "bridge",
            wall_clock_stepped: false,
            keys_pressed: 0,
        };
        let real = serde_json::to_value(real).unwrap();
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&record["end"]), keys(&real));
    }
}
