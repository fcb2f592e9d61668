//! INVITEs of ours, their CANCELs, forks and timeouts.

use super::pair::{ANSWER, OFFER};
use super::peer::*;
use crate::endpoint::*;
use crate::wire::{Host, HostPort};

#[test]
fn a_cancel_waits_for_a_provisional_response() {
    let mut peer = Peer::udp();
    let (id, invite) = peer.invite();
    peer.us.hangup(peer.now, id, Some("SIP;cause=600")).expect("hung up");
    peer.take_events();
    assert_eq!(peer.failure().kind, FailureKind::Canceled);
    assert!(peer.sent().is_empty());
    peer.answer(&invite, 180, "bob", "", b"");
    let cancel = peer.sent_one();
    assert_eq!(word(&cancel), "CANCEL");
    assert_eq!(header(&cancel, "Via"), header(&invite, "Via"));
    assert_eq!(header(&cancel, "CSeq"), "1 CANCEL");
    assert_eq!(header(&cancel, "To"), header(&invite, "To"));
    assert_eq!(header(&cancel, "Reason"), "SIP;cause=600");
    assert_eq!(cancel.uri().map(ToString::to_string), invite.uri().map(ToString::to_string));
    peer.answer(&cancel, 200, "bob", "", b"");
    peer.answer(&invite, 180, "bob", "", b"");
    assert!(peer.sent().is_empty(), "one CANCEL is enough");
    peer.answer(&invite, 487, "bob", "", b"");
    assert_eq!(peer.sent_words(), ["ACK"]);
    assert_eq!(peer.events.len(), 1, "{:?}", peer.events);
    peer.drain();
}

#[test]
fn an_advertised_host_stands_in_the_via_with_the_port_we_listen_on() {
    let config =
        EndpointConfig { advertised_host: Some("bridge.example".to_owned()), ..EndpointConfig::default() };
    let mut peer = Peer::with(Transport::Udp, config);
    peer.flow.local.set_port(5080);
    let (_, invite) = peer.invite();
    assert!(
        header(&invite, "Via").starts_with("SIP/2.0/UDP bridge.example:5080;"),
        "{}",
        header(&invite, "Via")
    );
}

#[test]
fn a_listener_with_a_name_of_its_own_is_called_by_it() {
    let one = |local: &str, name: &str, port| Advertised {
        transport: Transport::Udp,
        local: local.parse().expect("an address"),
        name: HostPort { host: Host::parse(name).expect("a host"), port },
    };
    let advertised = vec![
        one("192.0.2.77:5080", "other.example", None),
        one("0.0.0.0:5080", "bridge.example", Some(5090)),
    ];
    let config =
        EndpointConfig { advertised, advertised_host: Some("x".to_owned()), ..EndpointConfig::default() };
    let mut peer = Peer::with(Transport::Udp, config);
    peer.flow.local.set_port(5080);
    let (_, invite) = peer.invite();
    assert!(header(&invite, "Via").starts_with("SIP/2.0/UDP bridge.example:5090;"), "{invite:?}");
    peer.flow.local.set_port(5081);
    let (_, invite) = peer.invite();
    assert!(header(&invite, "Via").starts_with("SIP/2.0/UDP x:5081;"), "{invite:?}");
}

#[test]
fn a_2xx_that_crosses_the_cancel_gets_ack_and_bye() {
    let mut peer = Peer::udp();
    let (id, invite) = peer.invite();
    peer.answer(&invite, 180, "bob", "", b"");
    peer.us.hangup(peer.now, id, None).expect("hung up");
    assert_eq!(peer.sent_words(), ["CANCEL"]);
    peer.answer(&invite, 200, "bob", "", ANSWER);
    let sent = peer.sent();
    assert_eq!(sent.iter().map(word).collect::<Vec<_>>(), ["ACK", "BYE"]);
    assert_eq!(header(&sent[0], "CSeq"), "1 ACK");
    assert_eq!(header(&sent[1], "CSeq"), "2 BYE");
    assert_eq!(sent[1].uri().expect("a URI").as_str(), "sip:bob@192.0.2.9:5070");
    peer.answer(&invite, 200, "bob", "", ANSWER);
    assert_eq!(peer.sent_words(), ["ACK"], "a copy of the 2xx gets the ACK again and no second BYE");
    peer.answer(&sent[1], 200, "bob", "", b"");
    peer.drain();
}

#[test]
fn without_any_1xx_a_late_2xx_gets_ack_and_bye() {
    let mut peer = Peer::udp();
    let (id, invite) = peer.invite();
    peer.us.hangup(peer.now, id, None).expect("hung up");
    assert!(peer.wait_ms(20_000).is_empty(), "given up: not repeated any more");
    peer.answer(&invite, 200, "bob", "", ANSWER);
    assert_eq!(peer.sent_words(), ["ACK", "BYE"]);
    peer.drain();
}

#[test]
fn silence_for_3500_ms_is_no_response_and_what_comes_later_is_seen_to() {
    let mut peer = Peer::udp();
    let (_, invite) = peer.invite();
    let words: Vec<_> = peer.wait_ms(3499).into_iter().map(|(at, _)| at).collect();
    assert_eq!(words, [500, 1500]);
    assert!(peer.events.is_empty());
    peer.wait_ms(1);
    assert_eq!((peer.failure().kind, peer.failure().status), (FailureKind::NoResponse, 408));
    assert!(peer.wait_ms(10_000).is_empty());
    peer.answer(&invite, 180, "bob", "", b"");
    assert_eq!(peer.sent_words(), ["CANCEL"], "it rings after all: canceled");
    peer.answer(&invite, 200, "bob", "", ANSWER);
    assert_eq!(peer.sent_words(), ["ACK", "BYE"]);
    peer.drain();
}

#[test]
fn over_udp_an_unanswered_invite_ends_at_timer_b() {
    let mut peer = Peer::udp();
    let mut outgoing = peer.outgoing();
    outgoing.first_response_within = std::time::Duration::MAX;
    outgoing.provisional_within = std::time::Duration::MAX;
    peer.us.invite(peer.now, outgoing);
    peer.sent();
    let at: Vec<_> = peer.wait_ms(31_999).into_iter().map(|(at, _)| at).collect();
    assert_eq!(at, [500, 1500, 3500, 7500, 15_500, 31_500]);
    peer.wait_ms(1);
    assert_eq!(peer.failure().kind, FailureKind::NoResponse);
    peer.drain();
}

#[test]
fn a_100_alone_does_not_satisfy_the_failover_time() {
    let mut peer = Peer::udp();
    let (_, invite) = peer.invite();
    peer.answer(&invite, 100, "", "", b"");
    assert!(peer.wait_ms(9999).is_empty());
    assert!(peer.events.is_empty());
    assert_eq!(peer.wait_ms(1), [(1, "CANCEL".to_owned())]);
    assert_eq!(peer.failure().kind, FailureKind::ProvisionalTimeout);
    peer.drain();
}

#[test]
fn ringing_ends_after_ring_for_and_not_before() {
    let mut peer = Peer::udp();
    let (_, invite) = peer.invite();
    peer.wait_ms(3000);
    peer.answer(&invite, 183, "bob", "", ANSWER);
    assert!(matches!(peer.last(), Event::Progress { status: 183, body: Some(_), .. }));
    peer.wait_ms(30_000);
    peer.answer(&invite, 180, "bob", "", b"");
    peer.wait_ms(29_999);
    assert!(matches!(peer.last(), Event::Progress { status: 180, .. }));
    assert_eq!(peer.wait_ms(1), [(1, "CANCEL".to_owned())]);
    assert_eq!(peer.failure().kind, FailureKind::RingTimeout);
    peer.drain();
}

#[test]
fn a_canceled_invite_that_gets_no_final_response_is_forgotten_after_64_t1() {
    let mut peer = Peer::udp();
    let (id, invite) = peer.invite();
    peer.answer(&invite, 180, "bob", "", b"");
    peer.us.hangup(peer.now, id, None).expect("hung up");
    let cancel = peer.sent_one();
    peer.answer(&cancel, 200, "bob", "", b"");
    peer.wait_ms(31_999);
    assert_eq!(peer.us.transactions(), 1);
    peer.wait_ms(1);
    assert_eq!(peer.us.transactions(), 0);
    peer.answer(&invite, 487, "bob", "", b"");
    assert!(matches!(peer.last(), Event::Discarded { answered: None, .. }));
}

#[test]
fn a_second_2xx_from_another_fork_gets_ack_and_bye_and_the_first_lives_on() {
    let mut peer = Peer::udp();
    let (id, invite) = peer.called_out();
    peer.answer(&invite, 200, "carol", "Contact: <sip:carol@192.0.2.77>", ANSWER);
    let sent = peer.sent();
    assert_eq!(sent.iter().map(word).collect::<Vec<_>>(), ["ACK", "BYE"]);
    assert!(sent.iter().all(|message| tag_of(message) == "carol"));
    assert!(peer.flows.iter().all(|flow| flow.remote.to_string() == "192.0.2.77:5060"));
    for tag in ["bob", "carol"] {
        peer.answer(&invite, 200, tag, "", ANSWER);
        let ack = peer.sent_one();
        assert_eq!((word(&ack).as_str(), tag_of(&ack).as_str()), ("ACK", tag));
    }
    assert_eq!(peer.events.len(), 1, "{:?}", peer.events);
    peer.us.hangup(peer.now, id, None).expect("still up");
    assert_eq!(peer.sent_words(), ["BYE"]);
    peer.drain();
}

#[test]
fn the_sdp_of_a_183_is_the_answer_when_the_200_has_none() {
    for (tag, expected) in [("bob", ANSWER), ("carol", b"v=1\r\n".as_slice()), ("dave", ANSWER)] {
        let mut peer = Peer::udp();
        let (_, invite) = peer.invite();
        peer.answer(&invite, 183, "carol", "", b"v=1\r\n");
        peer.answer(&invite, 183, "bob", "", ANSWER);
        peer.answer(&invite, 180, "bob", "", b"");
        peer.answer(&invite, 200, tag, "", b"");
        match peer.last() {
            Event::Answered { body: Some(body), .. } => assert_eq!(body, expected, "{tag}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_offer_in_the_2xx_is_answered_in_the_ack() {
    let mut peer = Peer::udp();
    let mut outgoing = peer.outgoing();
    outgoing.body = None;
    let id = peer.us.invite(peer.now, outgoing);
    let invite = peer.sent_one();
    assert!(invite.body().is_empty());
    for _ in 0..2 {
        peer.answer(&invite, 200, "bob", "", OFFER);
        assert!(peer.sent().is_empty(), "the ACK waits for the answer");
    }
    assert!(matches!(peer.last(), Event::Answered { body: Some(_), .. }));
    assert_eq!(peer.events.len(), 1);
    peer.us.acknowledge(peer.now, id, Some(Body::sdp(ANSWER))).expect("acknowledged");
    let ack = peer.sent_one();
    assert_eq!(ack.body(), ANSWER);
    peer.answer(&invite, 200, "bob", "", OFFER);
    assert_eq!(peer.sent_one().to_bytes(), ack.to_bytes());
    assert!(peer.us.acknowledge(peer.now, id, None).is_err());
    peer.us.hangup(peer.now, id, None).expect("up");
    peer.drain();
}

#[test]
fn a_refusal_brings_its_status_reason_and_retry_after() {
    let mut peer = Peer::udp();
    let (_, invite) = peer.invite();
    peer.answer(&invite, 503, "bob", "Retry-After: 18 (busy);duration=3", b"");
    let ack = peer.sent_one();
    assert_eq!(header(&ack, "Via"), header(&invite, "Via"), "the ACK of a refusal keeps the branch");
    let failure = peer.failure();
    assert_eq!((failure.kind, failure.status), (FailureKind::Response, 503));
    assert_eq!(failure.retry_after, Some(18));
    assert_eq!(failure.reason, "Service Unavailable");
    peer.answer(&invite, 503, "bob", "", b"");
    assert_eq!(peer.sent_words(), ["ACK"]);
    assert_eq!(peer.events.len(), 1);
    peer.drain();
}

#[test]
fn a_transport_failure_ends_what_waits_for_its_first_answer() {
    let mut peer = Peer::with(Transport::Tcp, EndpointConfig::default());
    peer.called_out();
    let (id, _) = peer.invite();
    let flow = peer.flow;
    peer.us.handle_flow_failed(peer.now, &flow, "connection reset");
    peer.take_events();
    match peer.last() {
        Event::Failed { id: failed, failure } => {
            assert_eq!((*failed, failure.kind, failure.status), (id, FailureKind::Transport, 503));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(peer.us.invites(), 1, "the answered leg lives on");
}

#[test]
fn a_response_that_is_not_for_us_is_discarded() {
    let mut peer = Peer::udp();
    let (_, invite) = peer.invite();
    peer.answer(&invite, 200, "bob", "Via: SIP/2.0/UDP 203.0.113.1;branch=z9hG4bKx", ANSWER);
    assert!(matches!(peer.last(), Event::Discarded { .. }));
    let other = String::from_utf8_lossy(&invite.to_bytes()).replace("Call-ID: ", "Call-ID: x");
    let other = crate::wire::Message::parse(other.into(), crate::wire::Framing::Datagram).expect("a message");
    peer.answer(&other, 200, "bob", "", ANSWER);
    assert!(matches!(peer.last(), Event::Discarded { .. }));
    assert!(peer.sent().is_empty());
}
