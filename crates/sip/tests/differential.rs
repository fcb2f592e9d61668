//! What another parser reads in the same messages.

#[path = "differential/judge.rs"]
mod judge;

use std::fs;
use std::path::{Path, PathBuf};

use judge::{both_accept, differences};
use proptest::prelude::*;

fn vectors() -> Vec<(PathBuf, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folders = ["tests/vectors/sip/rfc4475", "tests/vectors/sip/rfc5118", "fuzz/seeds/sip_message"];
    let files = folders.iter().filter_map(|folder| fs::read_dir(root.join(folder)).ok()).flatten();
    files
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.clone(), fs::read(path).expect("a file")))
        .collect()
}

#[test]
fn both_readers_understand_the_torture_messages_alike() {
    let mut compared = 0;
    for (path, message) in vectors() {
        assert_eq!(differences(&message), [], "{}", path.display());
        compared += usize::from(both_accept(&message));
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_changed_in_them_both_readers_understand_what_both_accept_alike(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<usize>(), 0..8usize, pieces()), 1..4),
    ) {
        let vectors = vectors();
        let message = changed(vectors[which.index(vectors.len())].1.clone(), &changes);
        prop_assert_eq!(differences(&message), [], "{}", String::from_utf8_lossy(&message));
    }
}
