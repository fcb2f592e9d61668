//! The usage records are as docs/usage-records.md says, field by field.

use std::collections::BTreeSet;

use serde_json::Value;

use super::bridge::{CONFERENCE, House, NUMBER, root, run};
use super::ctl::SOCKET;

/// The fields in the tables of the documentation.
fn documented() -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("docs/usage-records.md")).expect("docs/usage-records.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let is_field =
        |name: &&str| name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_' | b'.' | b'0'..=b'9'));
    let names =
        rows.map(|(name, _)| name).filter(is_field).filter(|name| !matches!(*name, "lock" | "open.jsonl"));
    names.filter(|name| *name != "usage.jsonl").map(str::to_owned).collect()
}

/// The fields of a record, those of `end` and of the attempts with their place.
fn fields(record: &Value) -> BTreeSet<String> {
    let keys = |place: &str, value: &Value| -> Vec<String> {
        let keys = value.as_object().into_iter().flat_map(|object| object.keys());
        keys.map(|key| format!("{place}{key}")).collect()
    };
    [
        keys("", record),
        keys("end.", &record["end"]),
        keys("interim.", &record["interim"]),
        keys("media.", &record["media"]),
        keys("claims.", &record["claims"]),
        keys("attempts.", &record["attempts"][0]),
    ]
    .concat()
    .into_iter()
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_have_the_documented_fields_and_hold_together() {
    let every_second = ("[drain]", "[billing]\ninterim_seconds = 1\n[drain]");
    let (house, mut doorbell) = House::new(&[every_second]).await;
    let _bridge = house.start().await;
    let caller = house.join("+493023125001").await;
    house.until_seated(1).await;
    assert_eq!(house.dial_out("030 901820").await.0, 202);
    let ringing = doorbell.ring().await.expect("the bridge calls");
    ringing.alert();
    let callee = ringing.answer().await.expect("an ACK");
    house.until_seated(2).await;
    house.until("an interim record is written", async || !house.records("interim").is_empty()).await;
    let (in_id, out_id) = (caller.call_id().to_owned(), callee.call_id().to_owned());
    for call in [callee, caller] {
        call.hang_up().await.expect("the call is over");
    }
    house.until("both ends are written", async || house.records("final").len() == 2).await;

    house.until_empty().await;
    let finals = house.records("final");
    let dial_out = finals.iter().find(|record| record["call_type"] == "conf_out").expect("the dial-out");
    let dial_in = finals.iter().find(|record| record["call_type"] == "conf_in").expect("the dial-in");
    // Claims are those of a dial-in whose INVITE makes some.
    let (claims, of_all): (BTreeSet<_>, BTreeSet<_>) =
        documented().into_iter().partition(|field| field.starts_with("claims."));
    let (interim, of_all): (BTreeSet<_>, BTreeSet<_>) =
        of_all.into_iter().partition(|field| field.starts_with("interim."));
    assert_eq!(fields(dial_out), of_all);
    let running = house.records("interim");
    assert!(running.iter().any(|record| interim.is_subset(&fields(record))), "interim records: {running:?}");
    let written =
        serde_json::json!({ "claims": serde_json::to_value(trunk::Claims::default()).expect("claims") });
    assert!(claims.is_subset(&fields(&written)) && claims.len() == fields(&written).len() - 1);
    assert!(house.usage().iter().all(|record| fields(record).is_subset(&documented())));

    for (field, expected) in [
        ("sip_call_id", in_id.as_str()),
        ("trunk", "rhein-telecom"),
        ("caller", "+493023125001"),
        ("caller_display", "Somebody"),
        ("service_number", NUMBER),
        ("number_owner", "operator:rhein-telecom"),
        ("number_kind", "toll"),
        ("conference_id", CONFERENCE),
        ("tenant", "contoso"),
        ("organizer", "greta"),
        ("license", "operator-connect-conferencing"),
        ("biller", "operator:rhein-telecom"),
    ] {
        assert_eq!(dial_in[field], expected, "{field}");
    }
    assert_eq!(dial_in["end"]["keys_pressed"], 10);
    assert_eq!(dial_out["attempts"][0]["sip_call_id"], out_id.as_str());
    assert_eq!(
        (&dial_out["dialed"], &dial_out["destination"]),
        (&"030 901820".into(), &"+4930901820".into())
    );
    for record in &finals {
        let end = &record["end"];
        let number = |field: &str| end[field].as_u64().unwrap_or_else(|| panic!("{field} of {end}"));
        assert!(number("in_conference_ms") <= number("duration_ms"), "{end}");
        assert_eq!(number("billed_seconds"), 60, "a started minute: {end}");
        assert_eq!((&end["result"], &end["cause"]), (&"answered".into(), &"bye".into()));
    }
    let starts = house.records("start");
    assert_eq!(starts.len(), 2);
    for start in &starts {
        assert!(start["end"].is_null() && start["answer_time"].is_null(), "{start}");
        assert!(finals.iter().any(|record| record["usage_id"] == start["usage_id"]), "{start}");
    }
    let ids: BTreeSet<String> = house.usage().iter().map(|record| record["record_id"].to_string()).collect();
    assert_eq!(ids.len(), house.usage().len(), "record IDs are unique");
}

#[test]
fn every_result_and_every_party_is_documented_as_it_is_written() {
    use bridge::{CallResult as Result, EndingParty as Party};
    let results = [
        Result::Answered,
        Result::Cancelled,
        Result::Refused,
        Result::Busy,
        Result::NoAnswer,
        Result::Declined,
        Result::Unreachable,
        Result::Failed,
    ];
    let parties = [Party::FarEnd, Party::Bridge, Party::User, Party::Network];
    let text = std::fs::read_to_string(root().join("docs/usage-records.md")).expect("docs/usage-records.md");
    let row = |field: &str| {
        let start = format!("| `{field}` | ");
        text.lines().find_map(|line| line.strip_prefix(&start)).expect("a row").to_owned()
    };
    for (field, values) in [
        ("end.result", results.map(|result| serde_json::json!(result)).to_vec()),
        ("end.ended_by", parties.map(|party| serde_json::json!(party)).to_vec()),
    ] {
        for value in values {
            let value = format!("`{}`", value.as_str().expect("a word"));
            assert!(row(field).contains(&value), "{value} is missing in {field}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctl_shows_records_and_totals_as_the_api_has_them() {
    let priced = (
        "[drain]",
        "[[rate_plan]]\nbiller = \"operator:rhein-telecom\"\ncurrency = \"EUR\"\n\
         rates = [{ prefix = \"+\", per_minute = \"0.60\" }]\n[drain]",
    );
    let (house, mut doorbell) = House::new(&[SOCKET, priced]).await;
    let _bridge = house.start().await;
    let caller = house.join("+493023125001").await;
    house.until_seated(1).await;
    assert_eq!(house.dial_out("030 901820").await.0, 202);
    let ringing = doorbell.ring().await.expect("the bridge calls");
    ringing.alert();
    let callee = ringing.answer().await.expect("an ACK");
    house.until_seated(2).await;
    for call in [callee, caller] {
        call.hang_up().await.expect("the call is over");
    }
    house.until("both ends are written", async || house.records("final").len() == 2).await;
    let usage = async |words: &[&str]| {
        let arguments = [&["ctl", "--config", "partyline.toml"], words].concat();
        let output = run(&arguments, &house.path("")).await;
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, table, _) = usage(&["usage", "report", "--by", "tenant,organizer"]).await;
    let greta = table.lines().find(|line| line.contains("greta")).unwrap_or_else(|| panic!("{table}"));
    let columns: Vec<&str> = greta.split_whitespace().collect();
    assert_eq!((code, &columns[..5]), (Some(0), &["contoso", "greta", "1", "1", "2"][..]), "{table}");
    assert!(greta.contains("0.60 EUR"), "{table}");
    let (_, rows, more) = usage(&["usage", "rows", "--limit", "1"]).await;
    assert!(
        rows.lines().count() == 2 && rows.contains("answered") && more.contains("--after "),
        "{rows}{more}"
    );
    let after = more.rsplit(' ').next().map(str::trim).expect("a place");
    let (_, rest, more) = usage(&["usage", "rows", "--after", after]).await;
    assert!(rest.lines().count() == 2 && more.is_empty(), "{rest}{more}");
    assert!((rows + &rest).contains("+4930901820"), "{rest}");
    for (words, path) in [
        (&["--json", "usage", "report"][..], "/v1/usage/report?by=month,tenant,owner"),
        (&["--json", "usage", "rows"][..], "/v1/usage?limit=100"),
    ] {
        let (_, said, _) = usage(words).await;
        let said: Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!(said, house.api("GET", path, None).await.1, "{path}");
    }
    let (code, _, why) = usage(&["usage", "rows", "--from", "yesterday"]).await;
    assert!(code == Some(1) && why.contains("RFC 3339"), "{why}");
}
