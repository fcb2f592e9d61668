//! What another parser reads in the same messages.

#[path = "differential/judge.rs"]
mod judge;

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use judge::{both_accept, differences};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

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
    let config = ProptestConfig { cases: 2000, source_file: Some(file!()), ..ProptestConfig::default() };
    let changes = prop::collection::vec((any::<usize>(), 0..8usize, pieces()), 1..4);
    let compared = Cell::new(0);
    let ran =
        TestRunner::new(config).run(&(prop::sample::select(&**VECTORS), changes), |(vector, changes)| {
            let message = changed(vector.1, &changes);
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
