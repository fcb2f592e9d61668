//! What `./x` does before it does anything: it says what there is, and that there is no room.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// Runs `./x` where `cargo` builds nothing and the disk has so much room, in KiB.
fn x(words: &[&str], free: u64) -> Output {
    let folder = TempDir::new().expect("a folder");
    let program = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a program");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("may be run");
    };
    program("cargo", "case $1 in --version) echo 'cargo 1.95.0' ;; *) echo \"built: $*\"; exit 1 ;; esac");
    program("df", &format!("echo Filesystem; echo '/dev/x 1 1 {free} 1% /'"));
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").expect("a path"));
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../x"))
        .args(words)
        .env("PATH", path)
        .env("CARGO_TARGET_DIR", folder.path().join("target"))
        .output()
        .expect("./x runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn whoever_asks_for_help_gets_it_at_once_and_nothing_is_built() {
    for words in [
        &["help"][..],
        &["--help"],
        &["bench", "--help"],
        &["bench", "-h"],
        &["bench", "--quick", "--help"],
        &["quality", "--help"],
        &["quality", "--offline", "--help"],
        &["demo", "--help"],
        &["test", "--help"],
    ] {
        let output = x(words, 1 << 30);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {said}");
        assert!(said.starts_with("./x demo") && said.contains("./x bench"), "{words:?}: {said}");
        assert!(!said.contains("built:") && !said.contains("[ "), "{words:?}: {said}");
    }
}

#[test]
fn a_full_disk_is_named_with_what_is_needed_before_anything_is_built() {
    // A gigabyte.
    for words in
        [&["demo"][..], &["lint"], &["bench"], &["quality", "--offline"], &["bench", "--instructions"]]
    {
        let output = x(words, 1 << 20);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
        assert!(said.contains("has 1.0 GB free") && said.contains("CARGO_TARGET_DIR"), "{words:?}: {said}");
        assert!(!said.contains("built:"), "{words:?}: {said}");
    }
    let roomy = said(&x(&["demo"], 100 << 20));
    assert!(roomy.contains("built: build"), "with room it builds: {roomy}");
}
