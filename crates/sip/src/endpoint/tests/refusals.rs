//! Requests that are not served, each with its answer.

use super::pair::OFFER;
use super::peer::*;
use crate::endpoint::*;
use crate::wire::{Framing, Message};

/// A request line, header lines and the status it gets, with a header that the answer must carry.
const REFUSED: &[(&str, &str, u16, &str)] = &[
    ("BYE sip:a@192.0.2.1 SIP/2.0", "", 481, ""),
    ("REGISTER sip:192.0.2.1 SIP/2.0", "", 405, "Allow"),
    ("SUBSCRIBE sip:a@192.0.2.1 SIP/2.0", "", 405, "Allow"),
    ("REFER sip:a@192.0.2.1 SIP/2.0", "", 405, "Allow"),
    ("MESSAGE sip:a@192.0.2.1 SIP/2.0", "", 405, "Allow"),
    ("NEWMETHOD sip:a@192.0.2.1 SIP/2.0", "", 501, "Allow"),
    ("INVITE mailto:a@192.0.2.1 SIP/2.0", "", 416, ""),
    ("OPTIONS soap.beep://192.0.2.1 SIP/2.0", "", 416, ""),
    ("INVITE sip:a@192.0.2.1 SIP/2.0", "Require: nothingSupportsThis, other\n", 420, "Unsupported"),
    ("OPTIONS sip:a@192.0.2.1 SIP/2.0", "Require: replaces\n", 420, "Unsupported"),
    ("PRACK sip:a@192.0.2.1 SIP/2.0", "RAck: 1 1 INVITE\n", 481, ""),
    ("UPDATE sip:a@192.0.2.1 SIP/2.0", "", 481, ""),
    ("INVITE sip:a@192.0.2.1 SIP/2.0", "Supported: timer\nSession-Expires: 89\n", 422, "Min-SE"),
    ("INVITE sip:a@192.0.2.1 SIP/2.0", "Max-Forwards: 0\n", 483, ""),
    ("INVITE sip:a@192.0.2.1 SIP/2.0", "No-Contact: x\n", 400, ""),
    ("INVITE sip:a@192.0.2.1 SIP/2.0", "To: <sip:a@b>;tag=gone\n", 481, ""),
    ("BYE sip:a@192.0.2.1 SIP/2.0", "To: <sip:a@b>;tag=gone\n", 481, ""),
    ("OPTIONS sip:a@192.0.2.1 SIP/2.0", "To: <sip:a@b>;tag=gone\n", 481, ""),
    ("INVITE sip:a@192.0.2.1 SIP/7.0", "", 505, ""),
    ("INVITE sip:a@192.0.2.1 SIP/2.0", "Max-Forwards: none\n", 400, ""),
];

fn text(line: &str, head: &str) -> String {
    let method = line.split(' ').next().expect("a method");
    let contact = if head.contains("No-Contact") { "" } else { "Contact: <sip:b@192.0.2.9>\n" };
    let to = if head.contains("To: ") { "" } else { "To: <sip:a@192.0.2.1>\n" };
    let hops = if head.contains("Max-Forwards") { "" } else { "Max-Forwards: 70\n" };
    format!(
        "{line}\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\nFrom: <sip:b@192.0.2.9>;tag=b\n{to}{hops}\
         Call-ID: refused\nCSeq: 1 {method}\n{contact}{head}Content-Length: 0\n\n"
    )
}

#[test]
fn each_unservable_request_gets_its_status_and_every_copy_the_same_answer() {
    for (line, head, status, wanted) in REFUSED {
        let mut peer = Peer::udp();
        peer.input(&text(line, head));
        let first = peer.sent_one();
        assert_eq!(word(&first), status.to_string(), "{line} {head}");
        assert!(wanted.is_empty() || first.headers().contains(*wanted), "{line} {head}");
        assert!(first.to().expect("To").tag().is_some(), "{line} {head}");
        match peer.last() {
            Event::Discarded { answered: Some(found), .. } => assert_eq!(found, status),
            other => panic!("{other:?}"),
        }
        peer.wait_ms(700);
        peer.input(&text(line, head));
        assert_eq!(peer.sent_one().to_bytes(), first.to_bytes(), "{line} {head}");
        assert_eq!(peer.us.leftovers(), [""; 0], "nothing is kept for it");
        peer.input(
            &text(line, head)
                .replace(line, "ACK sip:a@192.0.2.1 SIP/2.0")
                .replace(&format!("CSeq: 1 {}", line.split(' ').next().expect("a method")), "CSeq: 1 ACK"),
        );
        assert!(peer.sent().is_empty(), "an ACK is never answered");
    }
}

#[test]
fn the_unsupported_header_names_what_was_required() {
    let mut peer = Peer::udp();
    peer.input(&text("INVITE sip:a@192.0.2.1 SIP/2.0", "Require: 100rel\nRequire: a, b\n"));
    assert_eq!(header(&peer.sent_one(), "Unsupported"), "a, b");
}

#[test]
fn inside_of_a_dialog_what_is_not_served_is_refused_and_the_leg_lives_on() {
    let mut peer = Peer::udp();
    let (_, tag) = peer.called_in();
    for (method, cseq, status) in [("INFO", 2, "405"), ("SUBSCRIBE", 4, "405"), ("FOO", 5, "501")] {
        peer.request(method, cseq, &format!("z9hG4bK{method}"), &tag, "", b"");
        let response = peer.sent_one();
        assert_eq!(word(&response), status);
        assert_eq!(header(&response, "Allow"), "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE");
    }
    peer.request("OPTIONS", 6, "z9hG4bKo", &tag, "", b"");
    assert_eq!(peer.sent_words(), ["200"]);
    assert_eq!(peer.us.invites(), 1);
}

#[test]
fn malformed_messages_that_cannot_be_answered_are_reported_and_nothing_else() {
    let mut peer = Peer::udp();
    let mut heard = 0;
    for bad in [
        "hello",
        "INVITE sip:a@b SIP/2.0\n\n",
        "SIP/2.0 200 OK\nVia: nonsense\n\n",
        "ACK sip:a@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\nCSeq: x\n\n",
        "SIP/2.0 999 What\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\n\n",
    ] {
        peer.input(bad);
        heard += 1;
        assert_eq!(peer.events.len(), heard, "{bad}");
        assert!(matches!(peer.last(), Event::Discarded { answered: None, .. }), "{bad}");
        assert!(peer.sent().is_empty(), "{bad}");
    }
    peer.input("\n\n");
    assert_eq!(peer.events.len(), heard, "a keep-alive is not a message");
}

#[test]
fn an_oversized_request_gets_513() {
    let mut peer = Peer::udp();
    let head = format!("X-Padding: {}\n", "x".repeat(9000));
    peer.input(&text("INVITE sip:a@192.0.2.1 SIP/2.0", &head));
    assert_eq!(peer.sent_words(), ["513"]);
}

#[test]
fn a_body_that_is_not_sdp_gets_415_unless_it_is_optional_or_sdp_is_beside_it() {
    let multipart = "--x\r\nContent-Type: application/isup\r\n\r\n\u{1}\u{2}\r\n--x\r\n\
                     Content-Type: application/sdp\r\n\r\nv=0\r\n--x--\r\n";
    for (kind, body, expected) in [
        ("Content-Type: text/plain\n", "hi", None),
        (
            "Content-Type: multipart/mixed;boundary=x\n",
            "--x\r\nContent-Type: a/b\r\n\r\n-\r\n--x--\r\n",
            None,
        ),
        ("Content-Type: multipart/mixed;boundary=x\n", "", Some(false)),
        ("Content-Type: multipart/mixed;boundary=\"x\"\n", multipart, Some(true)),
        ("Content-Type: text/plain\nContent-Disposition: render;handling=optional\n", "hi", Some(false)),
        ("Content-Type: application/sdp\nContent-Encoding: gzip\n", "hi", None),
        ("Content-Type: Application/SDP;x=y\n", "v=0\r\n", Some(true)),
    ] {
        let mut peer = Peer::udp();
        let head = text("INVITE sip:a@192.0.2.1 SIP/2.0", kind)
            .replace("Content-Length: 0\n\n", &format!("Content-Length: {}\n\n", body.len()));
        peer.input(&(head + body));
        match (expected, peer.last()) {
            (None, Event::Discarded { answered: Some(415), .. }) => {
                assert_eq!(header(&peer.sent_one(), "Accept"), "application/sdp");
            }
            (Some(has), Event::InviteReceived { offer, .. }) => {
                let part: &[u8] = if kind.contains("multipart") { b"v=0" } else { b"v=0\r\n" };
                assert_eq!(offer.as_deref(), has.then_some(part), "{kind}");
            }
            (_, other) => panic!("{kind}: {other:?}"),
        }
    }
}

#[test]
fn a_multipart_of_many_parts_is_searched_no_further_than_the_thirty_first() {
    let part = |kind: &str| format!("--x\r\nContent-Type: {kind}\r\n\r\nv=0\r\n");
    for (others, found) in [(30, true), (31, false), (2000, false)] {
        let body = part("a/b").repeat(others) + &part("application/sdp") + "--x--\r\n";
        let mut peer = Peer::udp();
        let head = text("INVITE sip:a@192.0.2.1 SIP/2.0", "Content-Type: multipart/mixed;boundary=x\n")
            .replace("Content-Length: 0\n\n", &format!("Content-Length: {}\n\n", body.len()));
        peer.input(&(head + &body));
        let taken = matches!(peer.last(), Event::InviteReceived { offer: Some(_), .. });
        assert_eq!(taken, found, "behind {others} others");
        if !found {
            assert_eq!(peer.sent_words(), ["415"]);
        }
    }
}

#[test]
fn at_its_limits_the_endpoint_answers_503_and_still_serves_the_calls_it_has() {
    let config = EndpointConfig { max_invites: 2, max_transactions: 4, ..EndpointConfig::default() };
    let mut peer = Peer::with(Transport::Udp, config);
    let (_, tag) = peer.called_in();
    for (branch, status) in [("1", "100"), ("2", "503")] {
        let invite = text("INVITE sip:a@192.0.2.1 SIP/2.0", "");
        peer.sent();
        peer.input(&invite.replace("z9hG4bKx", &format!("z9hG4bK{branch}")).replace("refused", branch));
        let response = peer.sent_one();
        assert_eq!(word(&response), status);
        assert_eq!(response.headers().contains("Retry-After"), status == "503");
    }
    let outgoing = peer.outgoing();
    for _ in 0..2 {
        peer.us.invite(peer.now, outgoing.clone());
    }
    peer.sent();
    peer.input(&text("OPTIONS sip:a@192.0.2.1 SIP/2.0", ""));
    assert_eq!(peer.sent_words(), ["503"]);
    peer.request("BYE", 2, "z9hG4bKbye", &tag, "", b"");
    assert_eq!(peer.sent_words(), ["200"]);
}

#[test]
fn with_full_queues_input_is_dropped_unread_and_counted() {
    let mut peer = Peer::with(Transport::Udp, EndpointConfig { max_queued: 3, ..EndpointConfig::default() });
    for _ in 0..10 {
        peer.us.handle_input(peer.now, peer.flow, bytes::Bytes::from_static(b"nonsense"));
    }
    assert_eq!(peer.us.overflowed(), 7);
}

#[test]
fn while_draining_new_calls_get_503_and_running_ones_are_served() {
    let mut peer = Peer::udp();
    let (_, tag) = peer.called_in();
    peer.us.set_readiness(Readiness::Draining { retry_after: 7 });
    peer.sent();
    for line in ["INVITE sip:a@192.0.2.1 SIP/2.0", "OPTIONS sip:a@192.0.2.1 SIP/2.0"] {
        peer.input(&text(line, ""));
        let response = peer.sent_one();
        assert_eq!((word(&response).as_str(), header(&response, "Retry-After")), ("503", "7"), "{line}");
    }
    peer.request("OPTIONS", 2, "z9hG4bKo", &tag, "", b"");
    assert_eq!(peer.sent_words(), ["200"]);
    peer.request("INVITE", 3, "z9hG4bKre", &tag, "", OFFER);
    assert!(matches!(peer.last(), Event::ReinviteReceived { .. }));
}

#[test]
fn options_tells_what_we_take() {
    let mut peer = Peer::udp();
    peer.input(&text("OPTIONS sip:conf@192.0.2.1 SIP/2.0", ""));
    let response = peer.sent_one();
    assert_eq!(word(&response), "200");
    assert_eq!(header(&response, "Allow"), "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE");
    assert_eq!(header(&response, "Accept"), "application/sdp");
    assert_eq!(header(&response, "Contact"), "<sip:conf@192.0.2.1:5060>");
    assert!(peer.events.is_empty());
}

#[test]
fn no_single_changed_byte_of_a_call_makes_it_panic() {
    let mut peer = Peer::udp();
    let (id, invite) = peer.called_out();
    peer.us.hangup(peer.now, id, None).expect("up");
    let mut ok = Message::response_to(&invite, 200, None);
    ok.set_to_tag("bob");
    let bodies = [invite.to_bytes(), ok.to_bytes(), peer.sent_one().to_bytes()];
    for bytes in &bodies {
        for at in 0..bytes.len() {
            for flip in [0x01, 0x20, 0x80] {
                let mut changed = bytes.to_vec();
                changed[at] ^= flip;
                peer.us.handle_input(peer.now, peer.flow, changed.into());
            }
        }
    }
    // Answers to what lacks its From lack it too; no other is unreadable.
    let unreadable = std::iter::from_fn(|| peer.us.poll_transmit())
        .filter_map(|transmit| Message::parse(transmit.bytes, Framing::Datagram).err())
        .filter(|malformed| !malformed.why.contains("missing"))
        .count();
    assert_eq!(unreadable, 0);
    assert!(peer.us.overflowed() == 0);
}

#[test]
fn shedding_costs_a_new_invite_one_stateless_503_and_the_others_nothing() {
    let mut peer = Peer::udp();
    let (_, tag) = peer.called_in();
    peer.input(&text("INVITE sip:a@192.0.2.1 SIP/2.0", ""));
    peer.sent();
    let (events, transactions) = (peer.events.len(), peer.us.transactions());
    let reason = Some("SIP;cause=503".to_owned());
    peer.us.set_shedding(Some(Shed { retry_after: 7, reason, why: "full".to_owned() }));
    let fresh =
        text("INVITE sip:a@192.0.2.1 SIP/2.0", "").replace("z9hG4bKx", "z9hG4bKy").replace("refused", "shed");
    peer.input(&fresh);
    let refusal = peer.sent_one();
    assert_eq!((word(&refusal).as_str(), header(&refusal, "Retry-After")), ("503", "7"), "and no 100");
    assert_eq!(header(&refusal, "Reason"), "SIP;cause=503");
    assert!(
        matches!(&peer.events[events..], [Event::Discarded { answered: Some(503), .. }]),
        "{:?}",
        peer.events
    );
    assert_eq!(peer.us.transactions(), transactions, "nothing is kept");
    // The ACK to it, a copy of an INVITE that was taken, and requests in a dialog are what they always are.
    let ack = fresh.replace("INVITE", "ACK").replace("To: ", &format!("To: {}", ""));
    peer.input(&ack);
    peer.input(&text("INVITE sip:a@192.0.2.1 SIP/2.0", ""));
    assert_eq!(peer.sent_words(), ["100"]);
    peer.input(&text("OPTIONS sip:a@192.0.2.1 SIP/2.0", "").replace("z9hG4bKx", "z9hG4bKo"));
    assert_eq!(peer.sent_words(), ["200"]);
    peer.request("INVITE", 3, "z9hG4bKre", &tag, "", OFFER);
    assert!(matches!(peer.last(), Event::ReinviteReceived { .. }));
    peer.request("BYE", 4, "z9hG4bKbye", &tag, "", b"");
    assert!(peer.sent_words().contains(&"200".to_owned()));
    peer.us.set_shedding(None);
    peer.input(&fresh);
    assert_eq!(peer.sent_words(), ["100"], "and then it is taken again");
}

#[test]
fn a_session_id_goes_through_every_message_of_a_call() {
    let theirs = "ab30317f1a784dc48ff824d0d3715d86";
    let mut peer = Peer::udp();
    let nil = "0".repeat(32);
    peer.request("INVITE", 1, "z9hG4bKinvite", "", &format!("Session-ID: {theirs};remote={nil}\r\n"), OFFER);
    let Some(Event::InviteReceived { id, .. }) = peer.events.last() else { panic!("a call") };
    let id = *id;
    let expected = format!("{};remote={theirs}", peer.us.session_id("call@192.0.2.9"));
    assert_eq!(header(&peer.sent_one(), "Session-ID"), expected, "the 100");
    peer.us.accept(peer.now, id, Body::sdp(super::pair::ANSWER), &[]).expect("accepted");
    let ok = peer.sent_one();
    assert_eq!(header(&ok, "Session-ID"), expected);
    peer.ack(1, &tag_of(&ok), b"");
    peer.us.hangup(peer.now, id, None).expect("up");
    assert_eq!(header(&peer.sent_one(), "Session-ID"), expected, "the BYE");

    let (_, invite) = peer.invite();
    let ours = peer.us.session_id(invite.call_id().expect("a Call-ID"));
    assert_eq!(header(&invite, "Session-ID"), format!("{ours};remote={nil}"));
    peer.answer(&invite, 200, "bob", &format!("Session-ID: {theirs};remote={ours}"), super::pair::ANSWER);
    assert_eq!(header(&peer.sent_one(), "Session-ID"), format!("{ours};remote={theirs}"), "the ACK");
    for wrong in ["", "x", &theirs.to_uppercase(), &nil, &format!("{theirs}0")] {
        peer.input(&text("OPTIONS sip:a@192.0.2.1 SIP/2.0", &format!("Session-ID: {wrong}\n")));
        assert!(!peer.sent_one().headers().contains("Session-ID"), "{wrong}");
    }
}
