//! The disk is full, or the log cannot be written: calls go on, records wait and arrive.

use tokio::process::Command;

use super::bridge::{House, NUMBER};

/// No file may grow beyond 4 KiB (8 blocks of 512 bytes), until the soft limit is raised; the signal that comes with it is
/// ignored, so that writing fails as on a full disk.
const FULL: [&str; 3] = ["sh", "-c", "trap '' XFSZ; ulimit -S -f 8; exec \"$0\" \"$@\""];

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_calls_go_on_and_the_records_arrive_when_space_returns() {
    let (house, _doorbell) = House::new(&[]).await;
    let bridge = house.start_by(&FULL).await;
    let mut calls = Vec::new();
    for n in 0..8 {
        calls.push(house.call(&format!("+4930231250{n:02}")).await);
    }
    house.until("records wait", async || house.count("partyline_cdr_spool_records").await > 0).await;
    house
        .until("their age shows", async || house.metric("partyline_cdr_spool_oldest_seconds").await > 0.0)
        .await;
    // A call that comes while the disk is full is served like any other.
    let late = house.join("+493023125099").await;
    house.until_seated(1).await;
    assert_eq!(house.count("partyline_cdr_dropped_total").await, 0);
    let on_disk = std::fs::read(house.path("usage/usage.jsonl")).expect("the spool");
    assert!(on_disk.is_empty() || on_disk.ends_with(b"\n"), "no line is half");

    let limit = ["--pid".to_owned(), bridge.id().to_string(), "--fsize=unlimited".to_owned()];
    let raised = Command::new("prlimit").args(limit).status().await.expect("prlimit of util-linux");
    assert!(raised.success());
    house.until("nothing waits", async || house.count("partyline_cdr_spool_records").await == 0).await;
    assert_eq!(house.count("partyline_cdr_spool_oldest_seconds").await, 0);
    assert_eq!(house.records("start").len(), 9);
    for call in calls.into_iter().chain([late]) {
        call.hang_up().await.expect("an answer to BYE");
    }
    house.until("all ends are written", async || house.records("final").len() == 9).await;
    assert!(house.usage().iter().all(|record| record["service_number"] == NUMBER));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_costs_no_call() {
    let (house, _doorbell) = House::new(&[]).await;
    let _bridge = house.start_by(&["sh", "-c", "exec \"$0\" \"$@\" 2>/dev/full"]).await;
    let call = house.join("+493023125001").await;
    house.until_seated(1).await;
    call.hang_up().await.expect("an answer to BYE");
    house.until("its end is written", async || house.records("final").len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_at_the_start_delays_the_closing_records_and_nothing_else() {
    let (house, _doorbell) = House::new(&[]).await;
    let bridge = house.start().await;
    let mut calls = Vec::new();
    for n in 0..8 {
        calls.push(house.call(&format!("+4930231250{n:02}")).await);
    }
    bridge.die().await;
    let size = std::fs::metadata(house.path("usage/usage.jsonl")).expect("the spool").len();
    assert!(size > 4096, "{size} bytes are not beyond the limit");
    let bridge = house.start_by(&FULL).await;
    assert_eq!(house.count("partyline_cdr_spool_records").await, 8);
    let call = house.call("+493023125099").await;
    assert!(house.records("final").is_empty());
    bridge.die().await;
    // What waited in memory is gone, and is found out again.
    let _bridge = house.start().await;
    let finals = house.records("final");
    assert_eq!(finals.len(), 8, "{finals:?}");
    assert!(finals.iter().all(|record| record["end"]["ended_by"] == "node-crash"));
    drop((calls, call));
}
