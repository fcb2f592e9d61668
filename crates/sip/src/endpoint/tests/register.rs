//! REGISTER: one series, its challenges, and what the registrar grants.

use std::time::Duration;

use super::peer::*;
use crate::endpoint::*;
use crate::wire::{NameAddr, Uri};

fn register(peer: &Peer, expires: u32) -> OutgoingRegister {
    let uri = |text: &str| Uri::parse(text).expect("a URI");
    OutgoingRegister {
        flow: peer.flow,
        registrar: uri("sip:carrier.example"),
        address: NameAddr::new(uri("sip:4930123@carrier.example")),
        contact: NameAddr::new(uri("sip:4930123@192.0.2.1:5060")),
        expires,
        answer_within: Duration::from_secs(8),
        credentials: Some(Credentials {
            username: "alice".to_owned(),
            password: "secret".to_owned(),
            realm: None,
        }),
    }
}

/// What became of the last REGISTER.
fn outcome(peer: &mut Peer) -> (RegistrationId, Result<Registered, Failure>) {
    peer.take_events();
    match peer.events.pop() {
        Some(Event::RegisterAnswered { id, outcome }) => (id, outcome),
        other => panic!("{other:?}"),
    }
}

fn granted(peer: &mut Peer, head: &str, asked: u32) -> Registered {
    let outgoing = register(peer, asked);
    peer.us.register(peer.now, None, outgoing);
    let request = peer.sent_one();
    peer.answer(&request, 200, "reg", head, b"");
    outcome(peer).1.expect("a 200")
}

#[test]
fn a_register_names_the_domain_the_address_and_where_we_are() {
    let mut peer = Peer::udp();
    let outgoing = register(&peer, 600);
    peer.us.register(peer.now, None, outgoing);
    let request = peer.sent_one();
    let header = |name: &str| request.headers().get(name).unwrap_or_default().to_owned();
    assert_eq!(request.uri().map(Uri::as_str), Some("sip:carrier.example"));
    assert_eq!(header("To"), "<sip:4930123@carrier.example>");
    assert!(header("From").starts_with("<sip:4930123@carrier.example>;tag="), "{}", header("From"));
    assert_eq!(
        (header("Contact"), header("Expires")),
        ("<sip:4930123@192.0.2.1:5060>".to_owned(), "600".to_owned())
    );
    assert_eq!((header("CSeq"), header("Supported")), ("1 REGISTER".to_owned(), "path".to_owned()));
    peer.answer(&request, 200, "reg", "Expires: 600", b"");
    assert_eq!(outcome(&mut peer).1.expect("a 200").expires, 600);
    peer.drain();
}

#[test]
fn a_series_has_one_call_id_counts_and_signs_at_once_what_follows_a_challenge() {
    let mut peer = Peer::udp();
    let outgoing = register(&peer, 600);
    let id = peer.us.register(peer.now, None, outgoing.clone());
    let first = peer.sent_one();
    assert!(!first.headers().contains("Authorization"));
    peer.answer(
        &first,
        401,
        "reg",
        "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n\", qop=\"auth\"",
        b"",
    );
    let second = peer.sent_one();
    assert!(second.headers().get("Authorization").is_some_and(|value| value.contains("nc=00000001")));
    peer.answer(&second, 200, "reg", "Expires: 600", b"");
    assert_eq!(outcome(&mut peer).0, id);
    assert_eq!(peer.us.register(peer.now, Some(id), outgoing), id);
    let refresh = peer.sent_one();
    assert!(refresh.headers().get("Authorization").is_some_and(|value| value.contains("nc=00000002")));
    for (request, cseq) in [(&second, "2 REGISTER"), (&refresh, "3 REGISTER")] {
        assert_eq!(request.call_id(), first.call_id());
        assert_eq!(request.headers().get("CSeq"), Some(cseq));
    }
    peer.answer(&refresh, 403, "reg", "", b"");
    let failure = outcome(&mut peer).1.expect_err("a 403");
    assert_eq!((failure.kind, failure.status), (FailureKind::Response, 403));
    peer.us.forget_registration(id);
    peer.drain();
}

#[test]
fn a_wrong_password_ends_it_after_the_second_challenge() {
    let mut peer = Peer::udp();
    let outgoing = register(&peer, 600);
    peer.us.register(peer.now, None, outgoing);
    for nonce in ["a", "b"] {
        let request = peer.sent_one();
        let challenge =
            format!("WWW-Authenticate: Digest realm=\"carrier\", nonce=\"{nonce}\", qop=\"auth\"");
        peer.answer(&request, 401, "reg", &challenge, b"");
    }
    let failure = outcome(&mut peer).1.expect_err("refused");
    assert_eq!((failure.status, failure.reason.as_str()), (401, "the credentials were refused"));
    assert!(peer.sent().is_empty());
}

#[test]
fn too_brief_a_time_is_raised_to_what_the_registrar_wants_and_not_without_end() {
    let mut peer = Peer::udp();
    let outgoing = register(&peer, 60);
    peer.us.register(peer.now, None, outgoing);
    let request = peer.sent_one();
    peer.answer(&request, 423, "reg", "Min-Expires: 1800", b"");
    let request = peer.sent_one();
    assert_eq!(request.headers().get("Expires"), Some("1800"));
    peer.answer(&request, 423, "reg", "Min-Expires: 3600", b"");
    let request = peer.sent_one();
    peer.answer(&request, 423, "reg", "Min-Expires: 7200", b"");
    assert_eq!(outcome(&mut peer).1.expect_err("enough").status, 423);
    for nonsense in ["Min-Expires: 60", "Min-Expires: 4000000000", "Min-Expires: x", ""] {
        let outgoing = register(&peer, 60);
        peer.us.register(peer.now, None, outgoing);
        let request = peer.sent_one();
        peer.answer(&request, 423, "reg", nonsense, b"");
        assert_eq!(outcome(&mut peer).1.expect_err(nonsense).status, 423);
    }
}

#[test]
fn the_time_that_counts_is_that_of_our_own_contact() {
    let mut peer = Peer::udp();
    for (head, expected) in [
        ("Contact: <sip:4930123@192.0.2.1:5060>;expires=120, <sip:4930123@198.51.100.7>;expires=9", 120),
        (
            "Contact: <sip:4930123@198.51.100.7>;expires=9, <sip:4930123@192.0.2.1:5060>;expires=121\nExpires: 5",
            121,
        ),
        ("Contact: <sip:rewritten@192.0.2.77>;expires=122", 122),
        ("Contact: <sip:4930123@192.0.2.1:5060>\nExpires: 123", 123),
        ("Contact: <sip:a@198.51.100.7>;expires=9, <sip:b@198.51.100.8>;expires=8\nExpires: 124", 124),
        ("", 600),
        ("Expires: 4000000000", 86_400),
    ] {
        assert_eq!(granted(&mut peer, head, 600).expires, expected, "{head}");
    }
    assert_eq!(granted(&mut peer, "Expires: 600", 0).expires, 0, "taken back");
    let routes =
        granted(&mut peer, "Service-Route: <sip:p1.example;lr>, <sip:p2.example;lr>", 600).service_route;
    assert_eq!(routes, ["<sip:p1.example;lr>, <sip:p2.example;lr>"], "lines, as they are written");
}

#[test]
fn silence_and_a_broken_connection_are_told_apart_and_a_forgotten_series_tells_nothing() {
    let mut peer = Peer::udp();
    let outgoing = register(&peer, 600);
    peer.us.register(peer.now, None, outgoing.clone());
    peer.sent_one();
    let sent = peer.wait_ms(8000);
    let times: Vec<u64> = sent.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [500, 1500, 3500, 7500]);
    assert_eq!(outcome(&mut peer).1.expect_err("nothing came").kind, FailureKind::NoResponse);
    let id = peer.us.register(peer.now, None, outgoing.clone());
    peer.us.handle_flow_failed(peer.now, &peer.flow.clone(), "refused");
    assert_eq!(outcome(&mut peer).1.expect_err("refused").kind, FailureKind::Transport);
    peer.us.forget_registration(id);
    let id = peer.us.register(peer.now, None, outgoing);
    peer.us.forget_registration(id);
    peer.drain();
    assert!(peer.events.is_empty(), "{:?}", peer.events);
}
