//! `partyline load` against a bridge that it starts itself: by its exit code, its words and its report. Not for its speed.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use super::bridge::binary;

/// Two conferences of three.
const SMALL: [&str; 4] = ["--legs", "6", "--rooms", "2"];

/// Runs it; its exit code, its words, and its report.
async fn load(words: &[&str]) -> (Option<i32>, String, Value) {
    let folder = TempDir::new().expect("a folder");
    let (json, plot) = (folder.path().join("report.json"), folder.path().join("report.png"));
    let output = Command::new(binary())
        .args(["load", "--self", "--talk", "all", "--spurt", "0"])
        .args(["--seconds", "3", "--rate", "50", "--key-after", "0.3"])
        .args(words)
        .arg("--json")
        .arg(&json)
        .arg("--plot")
        .arg(&plot)
        .kill_on_drop(true)
        .output()
        .await
        .expect("partyline load runs");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let report = fs::read_to_string(&json).ok().and_then(|text| serde_json::from_str(&text).ok());
    assert!(report.is_none() || plot.metadata().is_ok_and(|file| file.len() > 1000), "{said}");
    (output.status.code(), said, report.unwrap_or_default())
}

#[tokio::test]
async fn callers_of_two_conferences_and_a_probe_hear_whom_they_should() {
    let (code, said, report) = load(&SMALL).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("PASS"), "{said}");
    // Six callers and the three that time the bridge.
    assert_eq!((&report["legs"], &report["rooms"]), (&9.into(), &3.into()));
    assert_eq!((&report["calls"]["placed"], &report["calls"]["dropped"]), (&9.into(), &0.into()));
    assert_eq!((&report["mix"]["fewest"], &report["mix"]["most"]), (&2.into(), &2.into()));
    let each = report["each"].as_array().expect("the legs");
    assert!(each.iter().all(|leg| leg["packets"]["received"].as_u64() > Some(0)), "{said}");
    assert!(report["delay_ms"]["count"].as_u64() > Some(0), "an impulse came through: {said}");
    assert!(report["server"]["rss_kib_after"].as_u64() > Some(0), "{said}");
}

#[tokio::test]
async fn a_mix_that_is_broken_on_purpose_is_noticed() {
    let (code, said, report) =
        load(&[&SMALL[..], &["--sabotage", "add-self-back", "--join-within", "2"]].concat()).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("FAIL: the mix is wrong") && said.contains("hears itself"), "{said}");
    assert_eq!(report["mix"]["wrong_legs"], 6, "{said}");
}

#[tokio::test]
async fn what_cannot_be_set_up_ends_with_2_and_says_what_to_do() {
    let (code, said, _) = load(&["--legs", "6", "--rooms", "7"]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("as many legs at least"), "{said}");
    let (code, said, _) = load(&["--legs", "1500", "--rooms", "1"]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--rooms"), "{said}");
}
