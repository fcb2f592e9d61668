//! The torture messages of RFC 4475 and RFC 5118 against the table of verdicts beside them.

use bytes::Bytes;
use sip::{Framing, HeaderName, Message, Method, Uri};
use std::{collections::BTreeSet, fs, path::PathBuf};

fn vectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/sip")
}

fn vector(name: &str) -> Bytes {
    let path = vectors().join(name);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).into()
}

fn accepted(name: &str) -> Message {
    Message::parse(vector(name), Framing::Datagram).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The checks of the layers above, as each of them makes it.
fn complaints(message: &Message) -> Vec<&'static str> {
    let headers = message.headers();
    let known = matches!(message.method(), Method::Known(_));
    let scheme = message.uri().is_none_or(Uri::is_sip);
    let content =
        message.content_type().is_none_or(|t| t == "application/sdp" || t.starts_with("multipart/"));
    let branch = message.via_top().is_some_and(|via| via.rfc3261_branch().is_some());
    let answerable =
        !headers.contains(HeaderName::Accept) || headers.has_token(HeaderName::Accept, "application/sdp");
    let response = !message.is_request();
    [
        (!known, "method"),
        (!scheme, "scheme"),
        (message.contacts().is_err(), "contact"),
        (headers.all(HeaderName::Require).next().is_some(), "require"),
        (!content, "body"),
        (!branch, "branch"),
        (!answerable && *message.method() == Method::INVITE, "accept"),
        (response && headers.all(HeaderName::Via).count() > 1, "via-count"),
    ]
    .into_iter()
    .filter_map(|(wrong, name)| wrong.then_some(name))
    .collect()
}

#[test]
fn every_torture_message_gets_its_verdict() {
    let table = fs::read_to_string(vectors().join("verdicts.txt")).expect("the table");
    let mut judged = BTreeSet::new();
    for line in table.lines().filter(|l| !l.starts_with('#')) {
        let mut words = line.split_whitespace();
        let (name, verdict) = (words.next().expect("a file"), words.next().expect("a verdict"));
        judged.insert(name.to_owned());
        let result = Message::parse(vector(name), Framing::Datagram);
        match (verdict, result) {
            ("accept", Ok(message)) => {
                assert!(complaints(&message).is_empty(), "{name}: {:?}", complaints(&message));
            }
            ("flag", Ok(message)) => {
                assert_eq!(complaints(&message), [words.next().expect("a check")], "{name}");
            }
            ("refuse", Err(refusal)) => {
                assert_eq!(refusal.status.to_string(), words.next().expect("a status"), "{name}: {refusal}");
            }
            (_, Ok(_)) => panic!("{name} is not {verdict}: it was accepted"),
            (_, Err(refusal)) => panic!("{name} is not {verdict}: {refusal}"),
        }
    }
    let all: BTreeSet<String> = ["rfc4475", "rfc5118"]
        .iter()
        .flat_map(|dir| fs::read_dir(vectors().join(dir)).expect("a folder").map(move |entry| (dir, entry)))
        .map(|(dir, entry)| format!("{dir}/{}", entry.expect("an entry").file_name().to_string_lossy()))
        .collect();
    assert_eq!(judged, all, "a vector without a verdict, or a verdict without a vector");
    assert_eq!(all.len(), 61);
}

#[test]
fn what_was_accepted_is_written_back_byte_for_byte() {
    for dir in ["rfc4475", "rfc5118"] {
        for entry in fs::read_dir(vectors().join(dir)).expect("a folder") {
            let bytes = Bytes::from(fs::read(entry.expect("an entry").path()).expect("a file"));
            if let Ok(message) = Message::parse(bytes.clone(), Framing::Stream) {
                assert_eq!(message.to_bytes(), bytes);
            }
        }
    }
}

#[test]
fn every_refused_request_can_be_answered_and_the_answer_is_well_formed() {
    let table = fs::read_to_string(vectors().join("verdicts.txt")).expect("the table");
    // Nothing we send can be well formed when these are missing or unreadable in the request.
    let echoes_the_fault = [
        "badinv01",
        "insuf",
        "multi01",
        "quotbal",
        "badaspec",
        "baddn",
        "scalar02",
        "mismatch01",
        "mismatch02",
    ];
    for name in table.lines().filter(|l| l.contains(" refuse ")).filter_map(|l| l.split_whitespace().next()) {
        let refusal = Message::parse(vector(name), Framing::Datagram).expect_err("refused");
        if refusal.status == 0 {
            continue;
        }
        let partial = refusal.partial.expect("an answerable request has its headers");
        let mut response = Message::response_to(&partial, refusal.status, Some(&refusal.why));
        response.set_to_tag("ours");
        let read = Message::parse(response.to_bytes(), Framing::Stream);
        let faulty = echoes_the_fault.iter().any(|f| name.contains(f));
        assert_eq!(read.is_err(), faulty && !name.contains("mismatch"), "{name}: {read:?}");
    }
}

#[test]
fn the_tortuous_invite_is_understood() {
    let message = accepted("rfc4475/wsinv.dat");
    let to = message.to().expect("checked");
    assert_eq!((to.tag(), to.uri().as_str()), (Some("1918181833n"), "sip:vivekg@chair-dnrc.example.com"));
    let from = message.from().expect("checked");
    assert_eq!((from.display(), from.tag()), (Some("J Rosenberg \\\""), Some("98asjd8")));
    assert_eq!((message.max_forwards(), message.cseq().map(|c| c.number)), (Some(68), Some(9)));
    let vias: Vec<sip::Via> = message.headers().all("Via").map(|v| v.parse().expect("a Via")).collect();
    let heard: Vec<String> =
        vias.iter().map(|v| format!("{} {} {:?}", v.transport(), v.sent_by(), v.branch())).collect();
    assert_eq!(
        heard,
        [
            "UDP 192.0.2.2 Some(\"390skdjuw\")",
            "TCP spindle.example.com Some(\"z9hG4bK9ikj8\")",
            "UDP 192.168.255.111 Some(\"z9hG4bK30239\")"
        ]
    );
    let contacts = message.contacts().expect("well formed");
    let contact = contacts.first().expect("one");
    assert_eq!(contact.display(), Some("Quoted string \"\""));
    assert_eq!(contact.params().value("newparam"), Some("newvalue"));
    assert_eq!(contact.params().get("secondparam"), Some(None));
    assert_eq!(message.headers().get("s"), Some(""));
    assert_eq!(
        message.headers().get("NewFangledHeader"),
        Some("newfangled value continued newfangled value")
    );
    assert_eq!(message.headers().get("UnknownHeaderWithUnusualValue"), Some(";;,,;;,;"));
    assert_eq!(message.body().len(), 150);
}

#[test]
fn odd_characters_stay_what_they_are() {
    let message = accepted("rfc4475/intmeth.dat");
    assert_eq!(message.method().as_str(), "!interesting-Method0123456789_*+`.%indeed'~");
    let uri = message.uri().expect("a request");
    assert_eq!(uri.host().map(ToString::to_string).as_deref(), Some("example.com"));
    assert_eq!(uri.user_raw(), Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"));
    assert_eq!(message.to().expect("checked").display(), Some("BEL:\x07 NUL:\0 DEL:\x7f"));
    assert_eq!(message.from().expect("checked").tag(), Some("_token~1'+`*%!-."));
    let message = accepted("rfc4475/semiuri.dat");
    let uri = message.uri().expect("a request");
    assert_eq!(uri.user().as_deref(), Some("user;par=u@example.net"));
    assert_eq!(uri.host().map(ToString::to_string).as_deref(), Some("example.com"));
    let message = accepted("rfc4475/escnull.dat");
    assert_eq!(message.to().expect("checked").uri().user().as_deref(), Some("null-\0-null"));
    assert_eq!(message.contacts().expect("well formed").len(), 2);
    let message = accepted("rfc4475/esc02.dat");
    assert_eq!(message.contacts().expect("C%6Fntact is another header").len(), 2);
}

#[test]
fn ipv6_ports_and_addresses_are_told_apart() {
    let host = |name: &str| {
        accepted(name).uri().and_then(|u| u.host_port().cloned()).expect("a sip URI").to_string()
    };
    assert_eq!(host("rfc5118/port-ambiguous.dat"), "[2001:db8::10:5070]");
    assert_eq!(host("rfc5118/port-unambiguous.dat"), "[2001:db8::10]:5070");
    let received =
        |name: &str| accepted(name).via_top().and_then(|v| v.received()).expect("an address").to_string();
    assert_eq!(received("rfc5118/via-received-param-with-delim.dat"), "2001:db8::9:255");
    assert_eq!(received("rfc5118/via-received-param-no-delim.dat"), "2001:db8::9:255");
    let three = accepted("rfc5118/ipv6-bug-abnf-3-colons.dat");
    assert_eq!(
        three.uri().and_then(Uri::host),
        accepted("rfc5118/ipv6-correct-abnf-2-colons.dat").uri().and_then(Uri::host)
    );
    assert_eq!(three.uri().map(Uri::as_str), Some("sip:user@[2001:db8:::192.0.2.1]"));
}
