//! INVITEs of theirs: answers, ACKs, CANCELs.

use super::pair::{ANSWER, OFFER};
use super::peer::*;
use crate::endpoint::*;

#[test]
fn the_same_invite_twice_makes_one_leg_and_gets_the_last_response_again() {
    let mut peer = Peer::udp();
    let id = peer.offered();
    assert_eq!(peer.sent_words(), ["100"]);
    peer.us.progress(peer.now, id, 183, Some(Body::sdp(ANSWER))).expect("progress");
    let progress = peer.sent_one();
    peer.request("INVITE", 1, "z9hG4bKinvite", "", "", OFFER);
    assert_eq!(peer.sent_one().to_bytes(), progress.to_bytes());
    assert_eq!(peer.events.len(), 1);
    peer.accept(id);
    peer.request("INVITE", 1, "z9hG4bKinvite", "", "", OFFER);
    assert!(peer.sent().is_empty(), "RFC 6026: absorbed in Accepted");
}

#[test]
fn the_same_invite_by_another_path_gets_482() {
    let mut peer = Peer::udp();
    peer.offered();
    peer.sent();
    peer.request("INVITE", 1, "z9hG4bKotherpath", "", "", OFFER);
    assert_eq!(peer.sent_words(), ["482"]);
    assert_eq!(peer.us.invites(), 1);
}

#[test]
fn a_2xx_is_repeated_until_its_ack() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut peer = Peer::with(transport, EndpointConfig::default());
        let id = peer.offered();
        let tag = peer.accept(id);
        let at: Vec<_> = peer.wait_ms(20_000).into_iter().map(|(at, _)| at).collect();
        assert_eq!(at, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500]);
        peer.ack(1, &tag, b"");
        assert!(matches!(peer.last(), Event::Established { answer: None, .. }));
        peer.ack(1, &tag, b"");
        assert_eq!(peer.events.len(), 2, "a second ACK is no news");
        assert!(peer.wait_ms(60_000).is_empty());
        peer.us.hangup(peer.now, id, None).expect("up");
        peer.drain();
    }
}

#[test]
fn without_an_ack_the_leg_ends_with_bye_after_64_t1() {
    let mut peer = Peer::udp();
    let id = peer.offered();
    peer.accept(id);
    let before = peer.wait_ms(31_999);
    assert!(before.iter().all(|(_, word)| word == "200"));
    assert_eq!(peer.wait_ms(1), [(1, "BYE".to_owned())]);
    assert_eq!(*peer.end(), End::AckTimeout);
    peer.drain();
}

#[test]
fn a_hangup_before_the_ack_waits_for_it() {
    let mut peer = Peer::udp();
    let id = peer.offered();
    let tag = peer.accept(id);
    peer.us.hangup(peer.now, id, Some("Q.850;cause=31")).expect("hung up");
    assert!(peer.sent().is_empty());
    peer.ack(1, &tag, b"");
    let bye = peer.sent_one();
    assert_eq!((word(&bye).as_str(), header(&bye, "Reason")), ("BYE", "Q.850;cause=31"));
    assert_eq!(*peer.end(), End::Local);
    assert!(matches!(peer.events[peer.events.len() - 2], Event::Established { .. }));
    peer.drain();
}

#[test]
fn an_invite_without_an_offer_is_offered_to_and_answers_in_its_ack() {
    let mut peer = Peer::udp();
    peer.request("INVITE", 1, "z9hG4bKinvite", "", "", b"");
    let id = match peer.last() {
        Event::InviteReceived { id, offer: None, .. } => *id,
        other => panic!("{other:?}"),
    };
    let tag = peer.accept(id);
    peer.ack(1, &tag, ANSWER);
    match peer.last() {
        Event::Established { answer: Some(answer), .. } => assert_eq!(answer, ANSWER),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cancel_before_the_answer_gets_200_and_the_invite_487() {
    let mut peer = Peer::udp();
    let id = peer.offered();
    peer.us.progress(peer.now, id, 180, None).expect("ringing");
    let tag = tag_of(&peer.sent()[1]);
    peer.request_as("CANCEL", "1 CANCEL", "z9hG4bKinvite", "", "Reason: SIP;cause=200\r\n", b"");
    let sent = peer.sent();
    assert_eq!(sent.iter().map(word).collect::<Vec<_>>(), ["200", "487"]);
    assert!(sent.iter().all(|message| tag_of(message) == tag), "one tag for all answers");
    assert_eq!(
        (peer.failure().kind, peer.failure().reason.as_str()),
        (FailureKind::Canceled, "SIP;cause=200")
    );
    assert_eq!(peer.us.accept(peer.now, id, Body::sdp(ANSWER), &[]), Err(CommandError::Gone));
    peer.request_as("CANCEL", "1 CANCEL", "z9hG4bKinvite", "", "", b"");
    assert_eq!(peer.sent_words(), ["200"]);
    // The 487 is repeated by timer G until its ACK, which has the branch of the INVITE.
    assert_eq!(peer.wait_ms(1500), [(500, "487".to_owned()), (1500, "487".to_owned())]);
    peer.request_as("ACK", "1 ACK", "z9hG4bKinvite", &tag, "", b"");
    assert!(peer.wait_ms(5000).is_empty());
    assert_eq!(peer.events.len(), 2, "{:?}", peer.events);
    peer.drain();
}

#[test]
fn a_cancel_that_only_guessed_the_branch_ends_nothing() {
    let cancel = "CANCEL sip:+15550100@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKinvite\n\
        From: <sip:bob@192.0.2.9>;tag=bob\nTo: <sip:+15550100@192.0.2.1>\nCall-ID: call@192.0.2.9\n\
        CSeq: 1 CANCEL\nContent-Length: 0\n\n";
    let wrong = [("call@192.0.2.9", "guess@192.0.2.9"), ("tag=bob", "tag=mallory"), ("CSeq: 1", "CSeq: 2")];
    for (right, guessed) in wrong {
        let mut peer = Peer::udp();
        peer.offered();
        peer.sent();
        peer.input(&cancel.replace(right, guessed));
        assert_eq!(peer.sent_words(), ["481"], "{guessed}");
        assert_eq!(peer.us.invites(), 1, "{guessed}");
        peer.input(cancel);
        assert_eq!(peer.sent_words(), ["200", "487"]);
    }
}

#[test]
fn a_cancel_after_the_200_gets_200_and_changes_nothing() {
    let mut peer = Peer::udp();
    let id = peer.offered();
    let tag = peer.accept(id);
    peer.request_as("CANCEL", "1 CANCEL", "z9hG4bKinvite", "", "", b"");
    assert_eq!(peer.sent_words(), ["200"]);
    peer.ack(1, &tag, b"");
    assert!(matches!(peer.last(), Event::Established { .. }));
    assert_eq!(peer.us.invites(), 1);
}

#[test]
fn a_cancel_for_nothing_gets_481() {
    let mut peer = Peer::udp();
    peer.offered();
    peer.sent();
    peer.request_as("CANCEL", "1 CANCEL", "z9hG4bKother", "", "", b"");
    assert_eq!(peer.sent_words(), ["481"]);
    assert!(matches!(peer.last(), Event::Discarded { answered: Some(481), .. }));
}

#[test]
fn a_bye_before_the_answer_gets_200_and_the_invite_487() {
    let mut peer = Peer::udp();
    let id = peer.offered();
    peer.us.progress(peer.now, id, 180, None).expect("ringing");
    let tag = tag_of(&peer.sent()[1]);
    peer.request("BYE", 2, "z9hG4bKbye", &tag, "", b"");
    assert_eq!(peer.sent_words(), ["200", "487"]);
    assert_eq!(peer.failure().kind, FailureKind::Canceled);
    peer.drain();
}

#[test]
fn an_invite_that_the_application_forgets_gets_480() {
    let mut peer = Peer::udp();
    peer.offered();
    peer.sent();
    assert!(peer.wait_ms(179_999).is_empty());
    assert_eq!(peer.wait_ms(1), [(1, "480".to_owned())]);
    assert_eq!(peer.failure().kind, FailureKind::Unanswered);
    peer.drain();
}

#[test]
fn an_invitation_that_expires_gets_487() {
    let mut peer = Peer::udp();
    peer.request("INVITE", 1, "z9hG4bKinvite", "", "Expires: 5\r\n", OFFER);
    peer.sent();
    assert_eq!(peer.wait_ms(5000), [(5000, "487".to_owned())]);
    assert_eq!((peer.failure().kind, peer.failure().status), (FailureKind::Unanswered, 487));
}

#[test]
fn a_rejection_is_repeated_until_its_ack_and_confirmed_by_an_event() {
    let mut peer = Peer::udp();
    let id = peer.offered();
    peer.sent();
    let extra = [("Reason".to_owned(), "Q.850;cause=1".to_owned())];
    assert_eq!(peer.us.reject(peer.now, id, 200, None, &[]), Err(CommandError::BadStatus(200)));
    peer.us.reject(peer.now, id, 404, Some("Number Not In Service"), &extra).expect("rejected");
    let response = peer.sent_one();
    assert_eq!(response.reason().as_deref(), Some("Number Not In Service"));
    assert_eq!(header(&response, "Reason"), "Q.850;cause=1");
    peer.take_events();
    assert_eq!((peer.failure().kind, peer.failure().status), (FailureKind::Rejected, 404));
    let at: Vec<_> = peer.wait_ms(40_000).into_iter().map(|(at, _)| at).collect();
    assert_eq!(at, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    peer.drain();
}

#[test]
fn answers_go_to_the_source_port_where_rport_asks_and_to_sent_by_where_not() {
    let mut peer = Peer::udp();
    peer.flow.remote = "192.0.2.9:40000".parse().expect("an address");
    for (via, port, noted) in [
        ("192.0.2.9:5060;branch=z9hG4bK1;rport", 40_000, ";rport=40000"),
        ("192.0.2.9:5090;branch=z9hG4bK2", 5090, ""),
        ("192.0.2.9;branch=z9hG4bK3", 5060, ""),
        ("inside.example:5091;branch=z9hG4bK4", 5091, ";received=192.0.2.9"),
        ("10.1.1.1:5092;branch=z9hG4bK5;received=203.0.113.9", 5092, ";received=192.0.2.9"),
    ] {
        peer.input(&format!(
            "OPTIONS sip:192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP {via}\nFrom: <sip:a@b>;tag=1\nTo: <sip:192.0.2.1>\n\
             Call-ID: {via}\nCSeq: 1 OPTIONS\nMax-Forwards: 0\nContent-Length: 0\n\n"
        ));
        let response = peer.sent_one();
        assert_eq!(word(&response), "200");
        assert_eq!(peer.flows[0].remote.to_string(), format!("192.0.2.9:{port}"), "{via}");
        assert!(header(&response, "Via").contains(noted), "{}", header(&response, "Via"));
    }
}

#[test]
fn an_rfc_2543_peer_without_cookie_and_tags_is_served() {
    let mut peer = Peer::udp();
    let text = |method: &str, cseq: &str, to: &str| {
        format!(
            "{method} sip:+15550100@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5060\nFrom: sip:old@192.0.2.9\n\
             To: sip:+15550100@192.0.2.1{to}\nCall-ID: old\nCSeq: {cseq}\nContact: sip:old@192.0.2.9\n\n"
        )
    };
    peer.input(&text("INVITE", "1 INVITE", ""));
    peer.input(&text("INVITE", "1 INVITE", ""));
    assert_eq!(peer.events.len(), 1);
    peer.input(&text("CANCEL", "1 CANCEL", ""));
    let sent = peer.sent();
    assert_eq!(sent.iter().map(word).collect::<Vec<_>>(), ["100", "100", "200", "487"]);
    let to = format!(";tag={}", tag_of(&sent[3]));
    peer.input(&text("ACK", "1 ACK", &to));
    assert!(peer.wait_ms(4999).is_empty(), "the ACK was matched");
    peer.drain();

    peer.input(&text("INVITE", "2 INVITE", ""));
    let id = match peer.last() {
        Event::InviteReceived { id, .. } => *id,
        other => panic!("{other:?}"),
    };
    let to = format!(";tag={}", peer.accept(id));
    peer.input(&text("ACK", "2 ACK", &to));
    assert!(matches!(peer.last(), Event::Established { .. }));
    peer.input(&text("BYE", "3 BYE", &to));
    assert_eq!(*peer.end(), End::Bye { reason: None });
    peer.drain();
}

#[test]
fn after_a_lost_connection_answers_go_to_the_address_in_the_via() {
    let mut peer = Peer::with(Transport::Tcp, EndpointConfig::default());
    peer.flow.remote = "192.0.2.9:40000".parse().expect("an address");
    let id = peer.offered();
    let tag = peer.accept(id);
    let flow = peer.flow;
    assert_eq!(peer.flows, [flow]);
    peer.us.handle_flow_failed(peer.now, &flow, "reset");
    peer.now += std::time::Duration::from_millis(500);
    peer.us.handle_timeout(peer.now);
    assert_eq!(word(&peer.sent_one()), "200");
    assert_eq!((peer.flows[0].connection, peer.flows[0].remote.port()), (0, 5060));
    peer.ack(1, &tag, b"");
    peer.us.hangup(peer.now, id, None).expect("up");
    peer.sent();
    assert_eq!((peer.flows[0].connection, peer.flows[0].remote.port()), (0, 5070), "to the Contact");
}
