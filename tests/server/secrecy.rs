//! What callers key is nobody's business: not the log's at its chattiest, not the records', not the metrics'. And what
//! peers write cannot forge a line of the log.

use std::time::Duration;

use super::bridge::{CONFERENCE, House, PETRA, PIN, STRICT};
use super::raw::{Raw, RawCall, Request, offer};

/// An ID that leads nowhere, which a record might keep by accident.
const WRONG: &str = "271828182";
/// A PIN that is nobody's.
const WRONG_PIN: &str = "16180339";

#[tokio::test(flavor = "multi_thread")]
async fn keyed_digits_are_in_no_log_no_record_and_no_metric() {
    tokio::join!(digits_are_secret("text"), digits_are_secret("json"));
}

async fn digits_are_secret(format: &str) {
    let format = format!("filter = \"trace\"\nformat = \"{format}\"");
    let (house, _doorbell) = House::new(&[("filter = \"info\"", &format), PETRA]).await;
    let _bridge = house.start().await;
    let call = house.call("+493023125001").await;
    call.media().key(&format!("{WRONG}#")).await;
    let wrong = "partyline_attendant_attempts_total{result=\"wrong\",step=\"conference_id\"}";
    house.until("the wrong ID is judged", async || house.count(wrong).await == 1).await;
    let right = "partyline_attendant_attempts_total{result=\"accepted\",step=\"conference_id\"}";
    // The attendant says that it was wrong, and asks again.
    call.media().falls_quiet(Duration::from_millis(800), Duration::from_secs(20)).await;
    call.media().key(&format!("{CONFERENCE}#")).await;
    house.until_seated(1).await;
    assert_eq!(house.count(right).await, 1);
    let organizer = house.call("+493023125002").await;
    organizer.media().key(&format!("{STRICT}#")).await;
    organizer.media().key(&format!("*{WRONG_PIN}#")).await;
    let pins = |result| format!("partyline_attendant_attempts_total{{result=\"{result}\",step=\"pin\"}}");
    house.until("the wrong PIN is checked", async || house.count(&pins("wrong")).await == 1).await;
    organizer.media().key(&format!("{PIN}#")).await;
    house.until("the right PIN is checked", async || house.count(&pins("accepted")).await == 1).await;
    let metrics = house.metrics().await;
    organizer.hang_up().await.expect("an answer to BYE");
    let two_calls = async || house.records("final").len() == 1;
    house.until("the end of the organizer's call is written", two_calls).await;
    call.hang_up().await.expect("an answer to BYE");
    house.until("its end is written", async || house.records("final").len() == 2).await;
    let log = house.log();
    assert!(log.contains("joined the meeting"), "{log}");
    if format.contains("json") {
        for line in log.lines() {
            let line: serde_json::Value =
                serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
            assert!(
                line["level"].is_string() && line["timestamp"].is_string() && line["message"].is_string(),
                "{line}"
            );
            let of_leg =
                line["leg"].is_string() && line["target"].as_str().is_some_and(|at| at.contains("dial_in"));
            assert!(!of_leg || line["call_id"].is_string(), "{line}");
        }
    }
    let mut records = house.usage();
    assert!(records.iter().any(|record| record["conference_id"] == CONFERENCE), "{records:?}");
    for record in &mut records {
        // The meeting that was joined is what is billed; it stands in this one field.
        record["conference_id"].take();
        // Those of the ID; who knows how many keys a PIN has knows a part of it.
        let of_organizer = record["caller"] == "+493023125002" && record["kind"] == "final";
        assert!(!of_organizer || record["end"]["keys_pressed"] == 9, "{record}");
    }
    let records = format!("{records:?}");
    for (place, text) in [("log", &log), ("metrics", &metrics), ("records", &records)] {
        for secret in [WRONG, CONFERENCE, STRICT, WRONG_PIN, PIN, "$argon2id"] {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{place} ({format})");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_peers_write_forges_no_line_of_the_log_and_no_record() {
    let (house, _doorbell) = House::new(&[]).await;
    let _bridge = house.start().await;
    let raw = Raw::open(house.sip).await;
    let evil = "\x1b[2J\x07FORGED";
    for (n, (method, more, body)) in [
        (
            "INVITE",
            format!("Subject: {evil}\r\n"),
            offer(40_000).replace("PCMA", evil).replace("AVP 8", "AVP 99"),
        ),
        ("INVITE", String::new(), format!("v=0\r\no={evil}\r\n")),
        ("INVITE", "Content-Length: 5\r\n".to_owned(), offer(40_000)),
        (evil, String::new(), String::new()),
        ("INVITE", format!("Require: {evil}\r\n"), offer(40_000)),
    ]
    .into_iter()
    .enumerate()
    {
        let call_id = format!("evil{n}{evil}\u{85}\u{202e}");
        let to = if n % 2 == 0 { "+496990009100" } else { evil };
        let request = Request { method, call_id: &call_id, from: evil, to, more: &more, body: &body };
        raw.send(request.text("UDP", raw.address(), house.sip).as_bytes()).await;
    }
    // Legal in a display name, and no good in a spreadsheet or on a terminal.
    let more = "P-Asserted-Identity: \"=cmd|' ,;\\\"\u{85}\u{202e}\u{2028}x\" <sip:+493023125001@x>\r\n";
    let call = RawCall::dial(house.sip, "fine", "+493023125001", more).await;
    assert_eq!(call.hang_up().await, 200);
    house
        .until("its end is written", async || {
            house.records("final").iter().any(|record| record["sip_call_id"] == "fine")
        })
        .await;
    let log = house.log();
    let control = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    for line in log.lines() {
        assert!(!line.contains(control), "{line:?}");
        assert!(!line.starts_with("FORGED"), "{line:?}");
    }
    let records = std::fs::read_to_string(house.path("usage/usage.jsonl")).expect("the spool");
    assert!(!records.contains(control), "{records:?}");
}
