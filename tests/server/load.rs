//! `partyline load` against a bridge that it starts itself: by its exit code, its words and its report. Not for its speed.

use std::fs;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use super::bridge::{PATIENCE, binary};

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

/// What the callers of a small room speak, and how: they hear whom they should, and the report says how they spoke.
async fn callers_hear_each_other(words: &[&str]) {
    let (code, said, report) = load(&[&["--legs", "3", "--rooms", "1"], words].concat()).await;
    assert_eq!(code, Some(0), "{words:?}: {said}");
    assert_eq!(
        (&report["mix"]["fewest"], &report["mix"]["most"]),
        (&2.into(), &2.into()),
        "{words:?}: {said}"
    );
    assert_eq!((&report["calls"]["placed"], &report["calls"]["dropped"]), (&6.into(), &0.into()), "{said}");
}

#[tokio::test]
async fn callers_with_srtp_hear_each_other() {
    callers_hear_each_other(&["--srtp", "sdes"]).await;
}

#[tokio::test]
async fn callers_with_g722_hear_each_other() {
    callers_hear_each_other(&["--codec", "g722"]).await;
}

#[tokio::test]
async fn callers_with_opus_under_srtp_hear_each_other() {
    callers_hear_each_other(&["--codec", "opus", "--srtp", "sdes"]).await;
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

/// Starts it, sends a signal as soon as it has said `when`, and waits for its end: exit code, words, report.
async fn interrupted(when: &str, signal: Signal, words: &[&str]) -> (Option<i32>, String, Value) {
    let folder = TempDir::new().expect("a folder");
    let json = folder.path().join("report.json");
    let mut child = Command::new(binary())
        .args(["load", "--self", "--talk", "all", "--spurt", "0", "--seconds", "600", "--key-after", "0.3"])
        .args(words)
        .arg("--json")
        .arg(&json)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("partyline load runs");
    let mut remarks = BufReader::new(child.stderr.take().expect("piped")).lines();
    let mut said = String::new();
    let ended = async {
        let mut told = false;
        while let Some(line) = remarks.next_line().await.expect("text") {
            said.push_str(&line);
            said.push('\n');
            if line.contains(when) && !told {
                told = true;
                let pid = child.id().expect("it runs").cast_signed();
                kill(Pid::from_raw(pid), signal).expect("a signal");
            }
        }
        child.wait_with_output().await.expect("its output")
    };
    let output = timeout(4 * PATIENCE, ended).await.expect("it ends by itself");
    said += &String::from_utf8_lossy(&output.stdout);
    let report = fs::read_to_string(&json).ok().and_then(|text| serde_json::from_str(&text).ok());
    (output.status.code(), said, report.unwrap_or_default())
}

#[tokio::test]
async fn a_run_that_is_interrupted_hangs_up_and_reports_what_it_has() {
    let small = [&SMALL[..], &["--rate", "50"]].concat();
    let (code, said, report) = interrupted("measuring for", Signal::SIGINT, &small).await;
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("9 of 9 calls are ended"), "{said}");
    assert!(said.contains("INTERRUPTED") && said.contains("interrupted by SIGINT"), "{said}");
    assert!(report["seconds"].as_f64().is_some_and(|seconds| seconds < 600.0), "{said}");
    assert_eq!(report["interrupted"], "SIGINT");
    assert_eq!((&report["calls"]["placed"], &report["calls"]["dropped"]), (&9.into(), &0.into()));
}

#[tokio::test]
async fn who_interrupts_the_dialing_ends_the_calls_that_there_are() {
    // One call a second: the first one or two are answered when it is told.
    let (code, said, report) =
        interrupted("calling ", Signal::SIGTERM, &[&SMALL[..], &["--rate", "1"]].concat()).await;
    assert_eq!(code, Some(143), "{said}");
    assert!(said.contains("interrupted by SIGTERM before all were called"), "{said}");
    assert!(said.contains("calls are ended") && report.is_null(), "{said}");
}
