//! What another parser reads in the same messages.

#[path = "differential/judge.rs"]
mod judge;

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use judge::{both_accept, differences, read_by_us};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

/// The messages that are changed, by name: the same ones for the same seed on every machine.
static VECTORS: LazyLock<Vec<(PathBuf, Vec<u8>)>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    for folder in ["tests/vectors/sip/rfc4475", "tests/vectors/sip/rfc5118"] {
        let folder = root.join(folder);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        files.extend(entries.map(|entry| entry.expect("an entry").path()));
    }
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(path).expect("a file"))).collect()
});

#[test]
fn both_readers_understand_the_torture_messages_alike() {
    let mut compared = 0;
    for (path, message) in VECTORS.iter() {
        assert_eq!(differences(message), [], "{}", path.display());
        compared += usize::from(both_accept(message));
    }
    assert!(compared >= 15, "only {compared} messages are accepted by both");
}

/// Found by changes as below.
#[test]
fn a_port_behind_a_fold_is_a_port() {
    let bye = |between: &str| {
        format!(
            "BYE sip:a@b.example SIP/2.0\r\nVia: SIP/2.0/UDP [2001:db8::9:1]{between}6050;branch=z9hG4bK1\r\n\
             Call-ID: c\r\nMax-Forwards: 70\r\nCSeq: 1 BYE\r\nTo: <sip:a@b.example>;tag=t\r\n\
             From: <sip:c@d.example>;tag=f\r\nContent-Length: 0\r\n\r\n"
        )
    };
    for between in [":", ": ", " :", ":\r\n ", "\r\n :\t"] {
        let message = bye(between);
        let ours = read_by_us(message.as_bytes()).expect("a message");
        assert_eq!((&*ours["Via host"], &*ours["Via port"]), ("[2001:db8::9:1]", "6050"), "{between:?}");
        assert_eq!(differences(message.as_bytes()), [], "{between:?}");
    }
}

#[test]
fn a_comma_ends_a_via_and_a_blank_a_host() {
    for (via, host, from) in [("192,;branch=z9hG4bK1", "192", "d"), ("19,253;branch=z9hG4bK1", "19", "d ")] {
        let message = format!(
            "BYE sip:a@b.example SIP/2.0\r\nVia: SIP/2.0/UDP {via}\r\nCall-ID: c\r\nMax-Forwards: 70\r\nCSeq: 1 BYE\r\n\
             To: <sip:a@b.example>;tag=t\r\nFrom: sip:c@{from};tag=f\r\nContent-Length: 0\r\n\r\n"
        );
        let ours = read_by_us(message.as_bytes()).expect("a message");
        assert_eq!((&*ours["Via host"], &*ours["Via branch"], &*ours["From host"]), (host, "", "d"), "{via}");
        assert_eq!(differences(message.as_bytes()), [], "{via}");
    }
}

/// Pieces that make two readers disagree.
fn pieces() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "\r\n",
        "\n",
        "\r\n ",
        "\t",
        ":",
        ";",
        ",",
        "\"",
        "\\",
        "<",
        ">",
        "@",
        "%41",
        "%0",
        "[",
        "]",
        " ",
        "=",
        "?",
        "//",
        "tag=x",
        ";tag=y",
        ";branch=z",
        ":5060",
        ":99999",
        "sips:",
        "a@b",
        "[::1]",
        "1.2.3.4",
        "INVITE",
        "SIP/2.0",
        "0",
        "\r\nTo: <sip:x@y>;tag=z",
        "\r\nCall-ID: other",
        "\r\nCSeq: 2 BYE",
        "\r\nv: SIP/2.0/UDP h;branch=q",
        "\r\nl: 1",
        "\u{e9}",
    ])
}

fn changed(mut message: Vec<u8>, changes: &[(usize, usize, &'static str)]) -> Vec<u8> {
    for &(at, cut, piece) in changes {
        let at = at % (message.len() + 1);
        let end = (at + cut).min(message.len());
        message.splice(at..end, piece.bytes());
    }
    message
}

#[test]
fn whatever_is_changed_in_them_both_readers_understand_what_both_accept_alike() {
    // The same changes in every run: the fuzz target looks for others.
    let dice = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let config = ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() };
    let changes = prop::collection::vec((any::<usize>(), 0..8usize, pieces()), 1..4);
    let compared = Cell::new(0);
    let ran = TestRunner::new_with_rng(config, dice).run(&(0..VECTORS.len(), changes), |(which, changes)| {
        let message = changed(VECTORS[which].1.clone(), &changes);
        prop_assert_eq!(differences(&message), [], "{}", String::from_utf8_lossy(&message));
        compared.set(compared.get() + u32::from(both_accept(&message)));
        Ok(())
    });
    if let Err(error) = ran {
        panic!("{error}");
    }
    // About 230 of them are.
    assert!(compared.get() >= 100, "both accept only {} of the changed messages", compared.get());
}
