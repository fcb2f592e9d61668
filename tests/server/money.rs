//! What dial-out may cost, through the real binary: where it may go, limits, and what is known of it after a crash.

use super::bridge::{House, run};
use super::reload::{DONE, reload};

/// Greta's organizer entry, restricted.
const RESTRICTED: (&str, &str) = (
    "allow_anonymous_users_to_start_meeting = true",
    "allow_anonymous_users_to_start_meeting = true\ndial_out_policy = \"DialoutCPCandPSTNDomestic\"\nusage_location = \"AT\"",
);

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_out_beyond_the_organizer_s_policy_is_refused_with_rule_and_advice() {
    let (house, _doorbell) = House::new(&[RESTRICTED]).await;
    let _bridge = house.start().await;
    let (status, body) = house.dial_out("030 901820").await;
    assert_eq!(status, 403, "{body}");
    assert_eq!(
        body["detail"],
        "O1: +4930901820 is in DE, and DialoutCPCandPSTNDomestic lets meetings of greta dial AT only; another \
         dial_out_policy would allow it"
    );
    assert_eq!(body["decision"]["outcome"]["refuse"]["kind"], "dial-out-policy", "{body}");
    let config = house.path("partyline.toml").display().to_string();
    let question =
        ["explain", "--config", &config, "dial-out", "--organizer", "greta", "--number", "030 901820"];
    let answer = run(&question, &house.path("")).await;
    assert_eq!(answer.status.code(), Some(1));
    let said = String::from_utf8_lossy(&answer.stdout);
    assert!(
        said.starts_with("refused with 403: +4930901820 is in DE, and DialoutCPCandPSTNDomestic"),
        "{said}"
    );
}

/// A second of the operator's time costs a cent, and a day may cost ten of them.
const PRICED: (&str, &str) = (
    "[drain]",
    "[billing]\ninterim_seconds = 1\n[[rate_plan]]\nbiller = \"operator:rhein-telecom\"\ncurrency = \"EUR\"\n\
     rounding = \"per-started-second\"\nrates = [{ prefix = \"+\", per_minute = \"0.60\", connection_fee = \"0.02\" }]\n\
     [[dial_out_limit]]\neach = \"tenant\"\nspend_per_day = \"0.10 EUR\"\n[drain]",
);

#[tokio::test(flavor = "multi_thread")]
async fn what_was_spent_before_a_crash_still_counts_and_the_leg_has_its_price() {
    let (house, mut doorbell) = House::new(&[PRICED]).await;
    let bridge = house.start().await;
    assert_eq!(house.dial_out("030 901820").await.0, 202);
    let ringing = doorbell.ring().await.expect("the bridge calls");
    ringing.alert();
    let _callee = ringing.answer().await.expect("an ACK");
    house.until("an interim record is written", async || !house.records("interim").is_empty()).await;
    bridge.die().await;
    let _second = house.start().await;
    let last = house.records("final").pop().expect("the leg is closed");
    let end = &last["end"];
    assert_eq!((&end["duration_source"], &end["result"]), (&"interim".into(), &"answered".into()), "{last}");
    let charge = end["charge_micros"].as_u64().expect("a charge");
    assert!((30_000..=80_000).contains(&charge), "{charge}");
    // What is left of ten cents is what the second leg may cost.
    assert_eq!(house.dial_out("030 901821").await.0, 202);
    let ringing = doorbell.ring().await.expect("the bridge calls");
    ringing.alert();
    let mut callee = ringing.answer().await.expect("an ACK");
    callee.ended().await.expect("the limit ends it");
    house.until("its record is written", async || house.records("final").len() == 2).await;
    assert_eq!(house.records("final")[1]["end"]["cause"], "spending limit of the day");
    let spent: u64 =
        house.records("final").iter().filter_map(|record| record["end"]["charge_micros"].as_u64()).sum();
    assert!(spent <= 100_000, "{spent}");
    assert_eq!(
        house.count("partyline_budget_notices_total{budget=\"spend-per-day\",percent=\"80\"}").await,
        1
    );
    let (status, body) = house.dial_out("030 901822").await;
    assert_eq!(status, 429, "{body}");
    let said = body["detail"].as_str().unwrap_or_default();
    assert!(said.starts_with("tenant contoso has spent ") && said.contains(" of 0.10 EUR today"), "{body}");
    let after = body["retry_after"].as_u64().expect("until midnight");
    assert!((1..=86_400).contains(&after), "{body}");
    // Whoever mails the people in charge reads the stream.
    let (_, told) = house.api("GET", "/v1/events?since=0&limit=1000", None).await;
    let budgets = told["events"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|event| event["type"].as_str().is_some_and(|kind| kind.starts_with("budget.")));
    let budgets: Vec<_> = budgets.collect();
    assert_eq!(budgets[0]["type"], "budget.warned", "{told}");
    assert_eq!(
        (&budgets[0]["tenant"], &budgets[0]["details"]["whose"]),
        (&"contoso".into(), &"tenant".into())
    );
    assert_eq!(budgets[0]["details"]["budget"], "spend-per-day");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_that_cannot_be_read_costs_dial_outs_with_a_limit_and_no_other_call() {
    let (house, _doorbell) = House::new(&[PRICED]).await;
    // A folder where a file should be cannot be read, whoever the bridge runs as.
    std::fs::create_dir_all(house.path("usage/usage-2999-01-01T00-00-00.000Z.jsonl")).expect("a folder");
    let _bridge = house.start().await;
    assert_eq!(house.count("partyline_spending_unread").await, 1);
    assert!(house.log().contains("what was spent this month cannot be read"), "{}", house.log());
    let (status, body) = house.dial_out("030 901820").await;
    assert_eq!(status, 503, "{body}");
    assert!(body["detail"].as_str().is_some_and(|said| said.contains("usage.spool")), "{body}");
    assert!(body["retry_after"].is_null(), "{body}");
    let _caller = house.join("+493023125001").await;
    house.until_seated(1).await;
}

/// One record of a leg that somebody else's bridge could have written.
fn record(id: &str, caller: &str, answered: &str, millis: u64) -> String {
    format!(
        "{{\"kind\":\"final\",\"usage_id\":\"{id}\",\"call_type\":\"conf_in\",\"caller\":\"{caller}\",\"trunk\":\"rhein-telecom\",\
         \"service_number\":\"+496990009100\",\"tenant\":\"contoso\",\"organizer\":\"greta\",\"biller\":\"operator:rhein-telecom\",\
         \"invite_time\":\"{answered}\",\"answer_time\":\"{answered}\",\"end\":{{\"result\":\"answered\",\"end_time\":\"{answered}\",\
         \"duration_ms\":{millis},\"billed_seconds\":{},\"currency\":\"EUR\",\"charge_micros\":12345}}}}\n",
        millis.div_ceil(60_000) * 60
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_reported_exported_and_reconciled_from_all_files_of_the_spool() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
    write(
        "usage-2026-11-01T00-00-00.000Z.jsonl",
        &record("old", "+4930111", "2026-10-31T10:00:00.000Z", 90_000),
    );
    let recent = record("agrees", "+4930111", "2026-11-02T10:00:00.000Z", 60_000)
        + &record("unbilled", "+4930222", "2026-11-02T11:00:00.000Z", 30_000);
    write("usage.jsonl", &recent);
    let usage = async |arguments: &[&str]| {
        let answer = run(&[&["usage"], arguments, &["--folder", "."]].concat(), folder.path()).await;
        (answer.status.code(), String::from_utf8_lossy(&answer.stdout).into_owned())
    };
    let (code, table) = usage(&["report"]).await;
    assert_eq!(code, Some(0));
    let words: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[1][..3], ["2026-10", "contoso", "operator:rhein-telecom"], "{table}");
    assert_eq!(words[2][3..], ["2", "0", "2", "1:30", "2:00", "0:00", "0", "0.02469", "EUR"], "{table}");
    let (_, json) = usage(&["report", "--by", "organizer", "--during", "2026-11", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        (&json[0]["dial_in"], &json[0]["charges_micros"]["EUR"]),
        (&2.into(), &24_690.into()),
        "{json}"
    );

    let (code, csv) = usage(&["export", "--format", "pstn-csv"]).await;
    assert_eq!((code, csv.lines().count()), (Some(0), 4), "{csv}");
    assert!(csv.starts_with("UsageId,Call ID,Conference ID,") && csv.contains("\r\nold,old,"), "{csv}");

    write("theirs.csv", "From;To;Begin;Seconds\n0049 30 111;06990009100;2026-11-02 10:00:03;61\n");
    let columns =
        ["--caller-column", "from", "--called-column", "to", "--start-column", "begin", "--duration-column"];
    let mut ask = vec!["reconcile", "theirs.csv", "--country-code", "49", "--separator", ";"];
    ask.extend(columns.iter().chain(&["seconds"]));
    assert_eq!(
        usage(&ask).await,
        (
            Some(0),
            "dispute  began  caller  called  our s  their s  line  usage_id\n1 calls agree, 0 are disputed\n"
                .to_owned()
        )
    );
    write(
        "theirs.csv",
        "From;To;Begin;Seconds\n0049 30 111;06990009100;2026-11-02 10:00:03;161\n0301;06990009100;2026-11-02 11:00:03;5\n",
    );
    let (code, disputes) = usage(&ask).await;
    assert_eq!(code, Some(1));
    for kind in ["duration", "missing-here", "missing-there"] {
        assert_eq!(
            disputes.lines().filter(|line| line.starts_with(&format!("{kind} "))).count(),
            1,
            "{disputes}"
        );
    }
    assert_eq!(usage(&["reconcile", "nowhere.csv"]).await.0, Some(1));
    assert_eq!(usage(&["reconcile", "theirs.csv", "--separator", ";;"]).await.0, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_read_by_api_a_page_at_a_time_and_in_totals() {
    let (house, _doorbell) = House::new(&[]).await;
    let aside = house.path("usage/usage-2026-11-01T00-00-00.000Z.jsonl");
    std::fs::create_dir_all(house.path("usage")).expect("a folder");
    std::fs::write(&aside, record("old", "+4930111", "2026-10-31T10:00:00.000Z", 90_000)).expect("a file");
    let _bridge = house.start().await;
    for caller in ["+493023125001", "+493023125002"] {
        let call = house.join(caller).await;
        house.until_seated(1).await;
        call.hang_up().await.expect("an answer to BYE");
        house.until_seated(0).await;
    }
    house.until("both ends are written", async || house.records("final").len() == 2).await;
    let (mut callers, mut after) = (Vec::new(), String::new());
    loop {
        let (status, page) = house.api("GET", &format!("/v1/usage?limit=1{after}"), None).await;
        assert_eq!(status, 200, "{page}");
        let records = page["records"].as_array().expect("records");
        callers.extend(records.iter().map(|one| one["caller"].as_str().unwrap_or_default().to_owned()));
        assert!(records.iter().all(|one| one["kind"] == "final"), "{page}");
        after = format!("&after={}", page["next"].as_str().expect("a place"));
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(callers, ["+4930111", "+493023125001", "+493023125002"]);
    let (_, starts) = house.api("GET", "/v1/usage?kind=start&from=2026-11-01T00:00:00Z", None).await;
    assert_eq!(starts["records"].as_array().map(Vec::len), Some(2), "{starts}");
    let (_, none) = house.api("GET", "/v1/usage?to=2026-10-01T00:00:00Z", None).await;
    assert_eq!(none["records"], serde_json::json!([]));
    let (_, totals) = house.api("GET", "/v1/usage/report?by=organizer&from=2026-11-01T00:00:00Z", None).await;
    assert_eq!(
        (&totals["groups"][0]["organizer"], &totals["groups"][0]["dial_in"]),
        (&"greta".into(), &2.into())
    );
    let folder = house.path("usage").display().to_string();
    let said =
        run(&["usage", "report", "--by", "month,trunk", "--json", "--folder", &folder], &house.path(""))
            .await;
    let printed: serde_json::Value = serde_json::from_slice(&said.stdout).expect("JSON");
    let (_, totals) = house.api("GET", "/v1/usage/report?by=month,trunk", None).await;
    assert_eq!(totals["groups"], printed);
    for wrong in ["?after=x", "?limit=0", "?from=yesterday", "?kind=all", "/report?by=caller"] {
        let (status, said) = house.api("GET", &format!("/v1/usage{wrong}"), None).await;
        assert_eq!(status, 400, "{wrong}: {said}");
    }
    assert_eq!(house.api("GET", "/v1/usage?after=gone:0", None).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_and_limits_are_those_of_the_file_after_sighup_and_who_talks_keeps_the_price_he_began_with() {
    let limit = "[[dial_out_limit]]\neach = \"tenant\"\nspend_per_day = \"0.10 EUR\"\n";
    let plan = PRICED.1.replace(limit, "");
    let (house, mut doorbell) = House::new(&[(PRICED.0, &plan)]).await;
    let bridge = house.start().await;
    let mut talk = async |number: &str| {
        assert_eq!(house.dial_out(number).await.0, 202);
        let ringing = doorbell.ring().await.expect("the bridge calls");
        ringing.alert();
        ringing.answer().await.expect("an ACK")
    };
    let first = talk("030 901820").await;
    reload(&house, &bridge, "connection_fee = \"0.02\"", "connection_fee = \"0.50\"", DONE).await;
    let second = talk("030 901821").await;
    for callee in [first, second] {
        callee.hang_up().await.expect("an answer to BYE");
    }
    house.until("their records are written", async || house.records("final").len() == 2).await;
    let fees: Vec<_> =
        house.records("final").iter().map(|record| record["end"]["connection_fee_micros"].as_u64()).collect();
    assert_eq!(fees, [Some(20_000), Some(500_000)], "{:?}", house.records("final"));
    reload(&house, &bridge, "[drain]", &format!("{limit}[drain]"), DONE).await;
    assert!(house.log().contains("needs_restart={}"), "{}", house.log());
    let (status, body) = house.dial_out("030 901822").await;
    assert_eq!(status, 429, "what was spent before there was a limit counts: {body}");
}
