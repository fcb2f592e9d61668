//! The bodies of the fuzz targets. They live here so that they are compiled and run with every test, and do not rot.
//! Each takes arbitrary bytes and panics only if a promise of this crate is broken.

use crate::{
    Framing, HeaderName, Message, NameAddr,
    framing::{FramerEvent, StreamFramer},
    sdp::{self, Capabilities, Codec, Direction, LocalMedia, MasterKey, Negotiated, Srtp, Suite},
    wire::limits,
};
use bytes::Bytes;

/// Any bytes as a message: no panic; what is accepted is written back as it was and read again as the same; what is
/// refused can be answered, and the answer has exactly one line for each header it was given.
pub fn sip_message(input: &[u8]) {
    let bytes = Bytes::copy_from_slice(input);
    for framing in [Framing::Datagram, Framing::Stream] {
        match Message::parse(bytes.clone(), framing) {
            Ok(message) => accepted(&message, &bytes, framing),
            Err(refusal) => {
                if let (Some(partial), true) = (&refusal.partial, refusal.status != 0) {
                    responded(partial, refusal.status, &refusal.why);
                }
            }
        }
    }
}

fn accepted(message: &Message, bytes: &Bytes, framing: Framing) {
    assert!(bytes.len() <= limits::MESSAGE && message.headers().len() <= limits::HEADERS);
    let written = message.to_bytes();
    if framing == Framing::Stream && !bytes.starts_with(b"\r\n") {
        assert!(lenient_start(message, bytes) || written == bytes, "not written as it was read");
    }
    let again = Message::parse(written.clone(), Framing::Stream).expect("what we write we can read");
    assert_eq!(again.to_bytes(), written, "writing is not stable");
    assert!(again.headers().len() <= message.headers().len() + 1, "more than a Content-Length was added");
    for text in [message.from(), message.to()].into_iter().flatten().map(|a| a.to_string()) {
        NameAddr::parse(&text).expect("a printed address can be read");
    }
    let _ = (
        message.contacts(),
        message.record_routes(),
        message.routes(),
        message.expires(),
        message.content_type(),
    );
    for name in [HeaderName::WwwAuthenticate, HeaderName::Authorization, HeaderName::ProxyAuthenticate] {
        message.headers().all(name).for_each(crate::dialog::digest::fuzz);
    }
    let _ = (message.via_top().expect("checked").received(), message.cseq().expect("checked"));
    if message.is_request() {
        responded(message, 200, "OK");
        let mut noted = message.clone();
        noted.note_source(([192, 0, 2, 1], 5060).into());
        responded(&noted, 480, "a\r\nInjected: 1");
    }
}

/// The case of `SIP/2.0` is the one thing that is not kept.
fn lenient_start(message: &Message, bytes: &Bytes) -> bool {
    message.to_bytes().eq_ignore_ascii_case(bytes)
}

fn responded(request: &Message, status: u16, reason: &str) {
    let mut response = Message::response_to(request, status, Some(reason));
    response.set_to_tag("tag\r\nInjected: 1");
    response.headers_mut().push("X-Because", "a\r\n\r\nInjected: 1");
    response.headers_mut().push("X-Bad\r\nInjected", "1");
    let bytes = response.to_bytes();
    // Whatever was echoed, nobody must be able to read another header out of it than we put in.
    let head = bytes.split(|&b| b == b'\n').take_while(|line| *line != b"\r");
    let starts = head.skip(1).filter(|line| !line.starts_with(b" ") && !line.starts_with(b"\t")).count();
    let expected = response
        .headers()
        .iter()
        .filter(|(name, _)| HeaderName::parse(name) != Some(HeaderName::ContentLength))
        .count();
    assert_eq!(starts, expected + 1, "a header was smuggled in: {}", String::from_utf8_lossy(&bytes));
}

/// Any bytes as a description, for trunks that want SRTP and that do not: no panic; what we answer is SDP that we could be
/// answered with, and both say the same about codec, keys and extensions.
pub fn sdp(input: &[u8]) {
    for srtp in [Srtp::Off, Srtp::Optional, Srtp::Mandatory] {
        let caps = Capabilities {
            codecs: vec![Codec::Opus, Codec::G722, Codec::Pcmu, Codec::Pcma],
            audio_level: srtp != Srtp::Off,
            srtp,
            suites: Suite::ALL.to_vec(),
            pad_keys: input.len().is_multiple_of(2),
            ..Capabilities::default()
        };
        for address in [[192, 0, 2, 9].into(), [0x2001, 0xdb8, 0, 0, 0, 0, 0, 9].into()] {
            let local = LocalMedia {
                address,
                port: 40_000,
                rtcp_port: 40_001,
                session_id: 1,
                session_version: 1,
                direction: Direction::SendRecv,
                keys: (1..).zip(Suite::ALL).map(|(n, s)| MasterKey::generate(s, |key| key.fill(n))).collect(),
            };
            match sdp::answer(input, &local, &caps) {
                Ok((answer, agreed)) => described(input, &answer, &agreed, &local, &caps),
                Err(error) => {
                    assert!(matches!(error.status(), 400 | 413 | 488) && error.to_string().len() < 600);
                }
            }
            let ours = sdp::offer(&local, &caps);
            for (offer, answer) in [(&ours[..], input), (input, &ours[..])] {
                if let Ok(agreed) = sdp::accept_answer(offer, answer, &caps) {
                    assert!(agreed.crypto.is_some() || srtp != Srtp::Mandatory, "plain where it must not be");
                }
            }
        }
    }
}

fn described(input: &[u8], answer: &Bytes, agreed: &Negotiated, local: &LocalMedia, caps: &Capabilities) {
    assert!((10..=60).contains(&agreed.ptime_ms) && agreed.audio_pt < 128 && agreed.remote_rtp.port() != 0);
    assert_eq!(agreed.opus.is_some(), agreed.codec == Codec::Opus);
    assert!(agreed.audio_level.is_none_or(|level| (1..=14).contains(&level.id)));
    assert!(agreed.crypto.is_some() || caps.srtp != Srtp::Mandatory, "plain where it must not be");
    assert!(answer.len() <= input.len() + 1024, "an answer larger than its offer");
    let alike = |back: &Negotiated| {
        assert_eq!(
            (back.codec, back.audio_pt, back.event_pt),
            (agreed.codec, agreed.audio_pt, agreed.event_pt)
        );
        assert_eq!(back.crypto.map(|c| (c.tag, c.suite())), agreed.crypto.map(|c| (c.tag, c.suite())));
        assert_eq!(back.audio_level.map(|level| level.id), agreed.audio_level.map(|level| level.id));
    };
    // Somebody with keys of his own: whoever gives our own keys back is refused.
    let keys = (101..).zip(Suite::ALL).map(|(n, s)| MasterKey::generate(s, |key| key.fill(n))).collect();
    let peer = LocalMedia { keys, ..local.clone() };
    let (_, back) = sdp::answer(answer, &peer, caps).expect("our answer could be an offer");
    alike(&back);
    assert_eq!(back.crypto.map(|c| c.theirs), agreed.crypto.map(|c| c.ours), "our key as the peer reads it");
    let again = sdp::reoffer(answer, local).expect("our answer can be offered again");
    let (reply, found) = sdp::answer(&again, &peer, caps).expect("what we offer again could be an offer");
    alike(&found);
    alike(&sdp::accept_answer(&again, &reply, caps).expect("what we offer again could be answered"));
}

/// Any bytes as a stream: the same messages come out in one piece and in small ones, each is read or refused as one
/// message, and nothing is kept beyond the limits. The first byte chooses the size of the pieces.
pub fn stream_framing(input: &[u8]) {
    let Some((&size, stream)) = input.split_first() else { return };
    let whole = frames(stream, stream.len().max(1));
    assert_eq!(whole, frames(stream, usize::from(size % 16) + 1), "the pieces changed the messages");
    for message in whole {
        let length = message.len();
        if let Err(refusal) = Message::parse(message, Framing::Stream) {
            assert!(
                !refusal.why.contains("Content-Length") && !refusal.why.contains("bytes after"),
                "{refusal} ({length} bytes)"
            );
        }
    }
}

fn frames(stream: &[u8], size: usize) -> Vec<Bytes> {
    let mut framer = StreamFramer::new();
    let mut found = Vec::new();
    for piece in stream.chunks(size) {
        framer.push(piece);
        while let Some(event) = framer.next() {
            match event {
                Ok(FramerEvent::Message(message)) => found.push(message),
                Ok(FramerEvent::KeepAlive) => {}
                Err(error) => assert!(matches!(error.status, 400 | 513)),
            }
        }
        assert!(framer.pending() <= limits::MESSAGE + size, "more is kept than one message");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{fs, path::PathBuf};

    fn seeds() -> Vec<Vec<u8>> {
        let vectors = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/sip");
        ["rfc4475", "rfc5118"]
            .iter()
            .flat_map(|dir| fs::read_dir(vectors.join(dir)).expect("the vectors"))
            .map(|entry| fs::read(entry.expect("an entry").path()).expect("a file"))
            .collect()
    }

    /// The fuzzer's seeds of descriptions: codecs with parameters, keys, extensions.
    fn descriptions() -> Vec<Vec<u8>> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/sdp");
        let files = fs::read_dir(folder).expect("the seeds");
        files.map(|entry| fs::read(entry.expect("an entry").path()).expect("a file")).collect()
    }

    fn body(message: &[u8]) -> &[u8] {
        memchr::memmem::find(message, b"\r\n\r\n").and_then(|at| message.get(at + 4..)).unwrap_or_default()
    }

    fn run(bytes: &[u8]) {
        sip_message(bytes);
        sdp(body(bytes));
        stream_framing(bytes);
    }

    #[test]
    fn every_vector_keeps_the_promises() {
        for seed in seeds() {
            run(&seed);
        }
    }

    /// One change of a mutated message.
    #[derive(Clone, Debug)]
    enum Change {
        Set(usize, u8),
        Cut(usize, usize),
        Repeat(usize, usize),
        Insert(usize, &'static str),
    }

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let piece = prop::sample::select(vec![
            "\r\n",
            "\n",
            "\r",
            "\0",
            ":",
            ";",
            ",",
            "\"",
            "\\",
            "<",
            ">",
            "@",
            "%",
            "%00",
            "[",
            "]",
            " ",
            "\r\n ",
            "l: 1\r\n",
            "=",
            "?",
            "99999999999999999999",
            "\u{e9}",
            "\r\n\r\n",
            "Via: x\r\n",
            "To: <sip:a@b>\r\n",
            "sip:",
            "tel:",
            "a=crypto:1 ",
            "inline:",
            "|2^31|1:1",
            "/48000/2",
            "SAVP",
        ]);
        let change = prop_oneof![
            (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
            (any::<usize>(), 0..40usize).prop_map(|(at, length)| Change::Cut(at, length)),
            (any::<usize>(), 0..40usize).prop_map(|(at, length)| Change::Repeat(at, length)),
            (any::<usize>(), piece).prop_map(|(at, piece)| Change::Insert(at, piece)),
        ];
        prop::collection::vec(change, 1..6)
    }

    fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
        for change in changes {
            if bytes.is_empty() {
                break;
            }
            match *change {
                Change::Set(at, byte) => {
                    let at = at % bytes.len();
                    bytes[at] = byte;
                }
                Change::Cut(at, length) => {
                    let at = at % bytes.len();
                    bytes.drain(at..(at + length).min(bytes.len()));
                }
                Change::Repeat(at, length) => {
                    let at = at % bytes.len();
                    let piece = bytes[at..(at + length).min(bytes.len())].to_vec();
                    bytes.splice(at..at, piece);
                }
                Change::Insert(at, piece) => {
                    let at = at % bytes.len();
                    bytes.splice(at..at, piece.bytes());
                }
            }
        }
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn mutated_messages_keep_the_promises(seed in prop::sample::select(seeds()), changes in changes()) {
            run(&changed(seed, &changes));
        }

        #[test]
        fn mutated_descriptions_keep_the_promises(seed in prop::sample::select(descriptions()), changes in changes()) {
            sdp(&changed(seed, &changes));
        }

        #[test]
        fn arbitrary_bytes_keep_the_promises(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            run(&bytes);
        }
    }
}
