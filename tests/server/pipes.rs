//! Readers that have seen enough: `partyline ... | head` ends as it would have, and says nothing of a panic.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;
use tokio::time::timeout;

use super::bridge::{House, PATIENCE, binary};

/// Which of its two outputs nobody reads.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deaf {
    Result,
    Both,
}

/// The exit code of a run, and what it said on standard error where that is read.
async fn run(arguments: &[&str], folder: &Path, deaf: Deaf) -> (Option<i32>, String) {
    let gone = || {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        Stdio::from(writer)
    };
    let output = Command::new(binary())
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(gone())
        .stderr(if deaf == Deaf::Both { gone() } else { Stdio::piped() })
        .kill_on_drop(true)
        .spawn()
        .expect("the program")
        .wait_with_output();
    let output = timeout(4 * PATIENCE, output).await.expect("it ends by itself").expect("its output");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stops_reading_changes_neither_the_exit_code_nor_what_is_done() {
    let (house, _doorbell) = House::new(&[]).await;
    let good = std::fs::read_to_string(house.path("partyline.toml")).expect("the configuration");
    house.write("broken.toml", &good.replace("[node]", "[nodes]"));
    let explain = [
        "explain",
        "--config",
        "partyline.toml",
        "dial-out",
        "--organizer",
        "greta",
        "--number",
        "+4930123456",
    ];
    let json = [&explain[..1], &["--json"], &explain[1..]].concat();
    let load = "load --self --legs 2 --rooms 1 --talk all --spurt 0 --seconds 3 --rate 50 --key-after 0.3";
    let load: Vec<&str> = load.split(' ').collect();
    // (what is run, its exit code)
    let table: [(&[&str], i32); 11] = [
        (&["--help"], 0),
        (&["--version"], 0),
        (&["load", "--help"], 0),
        (&["check", "partyline.toml", "--lint"], 0),
        (&["check", "broken.toml"], 2),
        (&["serve", "--config", "broken.toml"], 2),
        (&explain, 0),
        (&json, 0),
        (&["sing"], 2),
        (&["demo", "--config", "nowhere.toml"], 2),
        (&load, 0),
    ];
    for (arguments, expected) in table {
        for deaf in [Deaf::Result, Deaf::Both] {
            let (code, said) = run(arguments, &house.path(""), deaf).await;
            assert_eq!(code, Some(expected), "{arguments:?}, {deaf:?}: {said}");
            assert!(!said.contains("panicked"), "{arguments:?}: {said}");
        }
    }
}
