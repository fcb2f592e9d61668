//! Reliable provisional responses (RFC 3262), both ways.

use super::pair::*;
use super::peer::*;
use crate::endpoint::*;
use crate::wire::Message;

fn pracked(peer: &mut Peer, rack: &str, cseq: u32, tag: &str) -> Vec<String> {
    peer.request("PRACK", cseq, &format!("z9hG4bKp{cseq}"), tag, &format!("RAck: {rack}\r\n"), b"");
    peer.sent_words()
}

/// An INVITE of the peer's with these header lines.
fn offered(peer: &mut Peer, head: &str, body: &[u8]) -> InviteId {
    peer.request("INVITE", 1, "z9hG4bKinvite", "", head, body);
    let Event::InviteReceived { id, .. } = *peer.last() else { panic!("{:?}", peer.last()) };
    peer.sent();
    id
}

fn number(message: &Message, name: &str) -> u32 {
    header(message, name).parse().expect("a number")
}

#[test]
fn our_provisional_response_is_repeated_until_its_prack_and_the_next_one_waits() {
    let mut peer = Peer::udp();
    let id = offered(&mut peer, "Supported: 100rel\r\n", OFFER);
    peer.us.progress(peer.now, id, 180, None).expect("ringing");
    let first = peer.sent_one();
    assert_eq!((word(&first).as_str(), header(&first, "Require")), ("180", "100rel"));
    let (tag, rseq) = (tag_of(&first), number(&first, "RSeq"));
    peer.us.progress(peer.now, id, 183, Some(Body::sdp(ANSWER))).expect("progress");
    assert!(peer.sent().is_empty(), "one at a time");
    let at: Vec<_> = peer.wait_ms(4000).into_iter().collect();
    assert_eq!(at, [(500, "180".to_owned()), (1500, "180".to_owned()), (3500, "180".to_owned())]);
    assert_eq!(pracked(&mut peer, &format!("{} 1 INVITE", rseq + 1), 2, &tag), ["481"]);
    assert_eq!(pracked(&mut peer, &format!("{rseq} 2 INVITE"), 3, &tag), ["481"]);
    assert_eq!(pracked(&mut peer, &format!("{rseq} 1 BYE"), 4, &tag), ["481"]);
    peer.request("PRACK", 5, "z9hG4bKp5", &tag, &format!("RAck: {rseq} 1 INVITE\r\n"), b"");
    let sent = peer.sent();
    assert_eq!(sent.iter().map(word).collect::<Vec<_>>(), ["200", "183"]);
    assert_eq!(number(&sent[1], "RSeq"), rseq + 1);
    // RFC 3262 section 3: the 200 waits for the PRACK of a response that carries our answer.
    peer.us.accept(peer.now, id, Body::sdp(ANSWER), &[]).expect("accepted");
    assert!(peer.sent().is_empty());
    assert!(matches!(peer.us.accept(peer.now, id, Body::sdp(ANSWER), &[]), Err(CommandError::WrongState(_))));
    assert_eq!(pracked(&mut peer, &format!("{} 1 INVITE", rseq + 1), 6, &tag), ["200", "200"]);
    peer.ack(1, &tag, b"");
    assert!(matches!(peer.last(), Event::Established { .. }));
    assert!(peer.wait_ms(60_000).is_empty());
}

#[test]
fn a_200_need_not_wait_for_the_prack_of_a_response_without_sdp() {
    let mut peer = Peer::udp();
    let id = offered(&mut peer, "Require: 100rel\r\n", OFFER);
    peer.us.progress(peer.now, id, 180, None).expect("ringing");
    let ringing = peer.sent_one();
    let (tag, rseq) = (tag_of(&ringing), number(&ringing, "RSeq"));
    peer.us.accept(peer.now, id, Body::sdp(ANSWER), &[]).expect("accepted");
    assert_eq!(peer.sent_words(), ["200"]);
    assert_eq!(pracked(&mut peer, &format!("{rseq} 1 INVITE"), 2, &tag), ["200"], "it was on its way");
    peer.ack(1, &tag, b"");
    assert!(peer.wait_ms(60_000).is_empty(), "nothing is repeated any more");
}

#[test]
fn without_a_prack_in_64_t1_the_invite_is_refused() {
    let mut peer = Peer::udp();
    let id = offered(&mut peer, "Supported: 100rel\r\n", OFFER);
    peer.us.progress(peer.now, id, 183, Some(Body::sdp(ANSWER))).expect("progress");
    peer.us.accept(peer.now, id, Body::sdp(ANSWER), &[]).expect("accepted, and held");
    let sent = peer.wait_ms(32_000);
    assert_eq!(sent.last(), Some(&(32_000, "504".to_owned())));
    assert_eq!(sent.iter().filter(|(_, word)| word == "183").count(), 7);
    assert_eq!(peer.failure().kind, FailureKind::Unanswered);
    peer.drain();
}

#[test]
fn who_requires_it_of_a_trunk_without_it_gets_420_and_who_lacks_it_where_it_must_be_421() {
    let with = |reliable| {
        let terms = Terms { reliable, ..Terms::default() };
        Peer::with(Transport::Udp, EndpointConfig { terms, ..EndpointConfig::default() })
    };
    let mut peer = with(Reliable::Off);
    peer.request("INVITE", 1, "z9hG4bK1", "", "Require: 100rel\r\n", OFFER);
    let refused = peer.sent_one();
    assert_eq!((word(&refused).as_str(), header(&refused, "Unsupported")), ("420", "100rel"));
    let id = offered(&mut peer, "Supported: 100rel\r\n", OFFER);
    peer.us.progress(peer.now, id, 180, None).expect("ringing");
    assert!(!peer.sent_one().headers().contains("RSeq"));
    let mut peer = with(Reliable::Required);
    peer.request("INVITE", 1, "z9hG4bK1", "", "", OFFER);
    let refused = peer.sent_one();
    assert_eq!((word(&refused).as_str(), header(&refused, "Require")), ("421", "100rel"));
}

#[test]
fn without_an_offer_to_answer_only_the_200_speaks() {
    let mut peer = Peer::udp();
    let id = offered(&mut peer, "Require: 100rel\r\n", b"");
    assert!(matches!(peer.us.progress(peer.now, id, 180, None), Err(CommandError::WrongState(_))));
    let tag = peer.accept(id);
    peer.ack(1, &tag, ANSWER);
    assert!(matches!(peer.last(), Event::Established { answer: Some(_), .. }));
}

#[test]
fn their_provisional_responses_are_acknowledged_once_and_in_order() {
    let mut peer = Peer::udp();
    let (id, invite) = peer.invite();
    assert!(
        invite.headers().has_token("Supported", "100rel") && invite.headers().has_token("Allow", "PRACK")
    );
    let head = |rseq: u32| {
        format!(
            "Require: 100rel\nRSeq: {rseq}\nRecord-Route: <sip:192.0.2.50;lr>\nContact: <sip:media@192.0.2.77>"
        )
    };
    peer.answer(&invite, 180, "bob", &head(7000), b"");
    let prack = peer.sent_one();
    assert_eq!((word(&prack).as_str(), header(&prack, "RAck")), ("PRACK", "7000 1 INVITE"));
    assert_eq!(header(&prack, "CSeq"), "2 PRACK");
    assert_eq!(tag_of(&prack), "bob");
    assert_eq!(prack.uri().expect("a URI").as_str(), "sip:media@192.0.2.77", "to the Contact of the 180");
    assert_eq!(header(&prack, "Route"), "<sip:192.0.2.50;lr>");
    assert_eq!(peer.flows[0].remote.to_string(), "192.0.2.50:5060");
    peer.answer(&prack, 200, "bob", "", b"");
    let news = peer.events.len();
    peer.answer(&invite, 180, "bob", &head(7000), b"");
    peer.answer(&invite, 183, "bob", &head(7002), ANSWER);
    assert!(peer.sent().is_empty(), "a copy, and one that came too soon");
    assert_eq!(peer.events.len(), news);
    peer.answer(&invite, 183, "bob", &head(7001), ANSWER);
    assert_eq!(header(&peer.sent_one(), "RAck"), "7001 1 INVITE");
    peer.answer(&invite, 200, "bob", &head(0), b"");
    let ack = peer.sent_one();
    assert_eq!((word(&ack).as_str(), header(&ack, "CSeq")), ("ACK", "1 ACK"));
    assert!(matches!(peer.last(), Event::Answered { body: Some(_), settled: false, .. }));
    peer.us.hangup(peer.now, id, None).expect("up");
    assert_eq!(header(&peer.sent_one(), "CSeq"), "4 BYE", "after two PRACKs");
    peer.drain();
}

#[test]
fn each_fork_is_acknowledged_in_its_own_dialog_and_the_losers_get_ack_and_bye() {
    let mut peer = Peer::udp();
    let (id, invite) = peer.invite();
    for (tag, rseq) in [("bob", 1), ("carol", 50)] {
        peer.answer(&invite, 183, tag, &format!("Require: 100rel\nRSeq: {rseq}"), ANSWER);
        let prack = peer.sent_one();
        assert_eq!((tag_of(&prack).as_str(), header(&prack, "RAck")), (tag, &*format!("{rseq} 1 INVITE")));
    }
    peer.answer(&invite, 200, "carol", "", b"");
    assert_eq!(peer.sent_words(), ["ACK"]);
    peer.answer(&invite, 200, "bob", "", ANSWER);
    let sent = peer.sent();
    assert_eq!(sent.iter().map(word).collect::<Vec<_>>(), ["ACK", "BYE"]);
    assert!(sent.iter().all(|message| tag_of(message) == "bob"));
    assert_eq!(header(&sent[1], "CSeq"), "3 BYE", "its PRACK had used up 2");
    peer.us.hangup(peer.now, id, None).expect("up");
    peer.drain();
}

#[test]
fn a_prack_that_is_challenged_is_signed() {
    let mut peer = Peer::udp();
    let credentials = Credentials { username: "u".to_owned(), password: "p".to_owned(), realm: None };
    let outgoing = OutgoingInvite { credentials: Some(credentials), ..peer.outgoing() };
    peer.us.invite(peer.now, outgoing);
    let invite = peer.sent_one();
    peer.answer(&invite, 183, "bob", "Require: 100rel\nRSeq: 9", ANSWER);
    let prack = peer.sent_one();
    peer.answer(&prack, 407, "bob", "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\"", b"");
    let again = peer.sent_one();
    assert_eq!((word(&again).as_str(), header(&again, "RAck")), ("PRACK", "9 1 INVITE"));
    assert!(again.headers().contains("Proxy-Authorization"));
}

#[test]
fn two_endpoints_ring_reliably_over_a_bad_road() {
    for seed in 0..20 {
        let link = Impairment { loss: 0.1, duplication: 0.1, jitter_ms: 40 };
        let mut pair = Pair::new(Transport::Udp, seed, link);
        pair.a = Endpoint::new(EndpointConfig::default(), [seed as u8; 32]);
        let mut outgoing = pair.outgoing(true);
        let long = std::time::Duration::from_mins(1);
        (outgoing.first_response_within, outgoing.provisional_within) = (long, long);
        let a = pair.a.invite(pair.now, outgoing);
        pair.run_ms(20_000);
        let b = pair.offered();
        pair.b.progress(pair.now, b, 180, None).expect("ringing");
        pair.b.progress(pair.now, b, 183, Some(Body::sdp(ANSWER))).expect("progress");
        pair.run_ms(31_000);
        let told: Vec<u16> = pair
            .a_events
            .iter()
            .filter_map(|event| if let Event::Progress { status, .. } = event { Some(*status) } else { None })
            .collect();
        assert_eq!(told, [180, 183], "seed {seed}: {:#?}", pair.trace);
        pair.a.hangup(pair.now, a, None).ok();
        pair.drain();
    }
}
