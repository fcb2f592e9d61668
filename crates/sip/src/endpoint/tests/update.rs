//! UPDATE (RFC 3311), early and confirmed, and where it meets other offers.

use super::pair::{ANSWER, OFFER};
use super::peer::*;
use crate::endpoint::*;

#[test]
fn an_update_without_sdp_is_answered_by_itself_and_moves_the_target() {
    let mut peer = Peer::udp();
    let (id, tag) = peer.called_in();
    let news = peer.events.len();
    let text = |branch: &str, cseq: u32, contact: &str| {
        format!(
            "UPDATE sip:+15550100@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch={branch}\n\
             From: <sip:bob@192.0.2.9>;tag=bob\nTo: <sip:+15550100@192.0.2.1>;tag={tag}\nCall-ID: call@192.0.2.9\n\
             CSeq: {cseq} UPDATE\nContact: <{contact}>\nContent-Length: 0\n\n"
        )
    };
    peer.input(&text("z9hG4bKu", 2, "sip:bob@192.0.2.88"));
    let response = peer.sent_one();
    assert_eq!(word(&response), "200");
    assert!(response.headers().contains("Contact") && response.body().is_empty());
    peer.input(&text("z9hG4bKu", 2, "sip:bob@192.0.2.88"));
    assert_eq!(peer.sent_one().to_bytes(), response.to_bytes(), "a copy");
    peer.input(&text("z9hG4bKold", 1, "sip:bob@192.0.2.99"));
    assert_eq!(peer.sent_words(), ["500"], "out of order");
    peer.us.hangup(peer.now, id, None).expect("up");
    assert_eq!(peer.sent_one().uri().expect("a URI").as_str(), "sip:bob@192.0.2.88");
    assert!(peer.events[news..].iter().all(|event| !matches!(event, Event::ReinviteReceived { .. })));
}

#[test]
fn an_offer_in_an_update_goes_to_the_application_and_its_answer_comes_back_at_once() {
    let mut peer = Peer::udp();
    let (id, tag) = peer.called_in();
    peer.request("UPDATE", 2, "z9hG4bKu", &tag, "", OFFER);
    assert!(peer.sent().is_empty());
    assert!(matches!(peer.last(), Event::ReinviteReceived { offer: Some(_), .. }));
    // While it waits there is no room for another offer, of either side.
    assert_eq!(peer.us.reinvite(peer.now, id, Body::sdp(OFFER)), Err(CommandError::OfferPending));
    peer.request("UPDATE", 3, "z9hG4bKu3", &tag, "", OFFER);
    let overlap = peer.sent_one();
    assert_eq!(word(&overlap), "500");
    assert!(header(&overlap, "Retry-After").parse::<u32>().expect("seconds") <= 10);
    peer.request("INVITE", 4, "z9hG4bKu4", &tag, "", OFFER);
    assert_eq!(peer.sent_words(), ["500"]);
    peer.request_as("ACK", "4 ACK", "z9hG4bKu4", &tag, "", b"");
    peer.us.accept_reinvite(peer.now, id, Body::sdp(ANSWER)).expect("accepted");
    let response = peer.sent_one();
    assert_eq!((word(&response).as_str(), header(&response, "CSeq")), ("200", "2 UPDATE"));
    assert_eq!(response.body(), ANSWER);
    assert!(peer.wait_ms(60_000).is_empty(), "no ACK is waited for");
    peer.request("UPDATE", 5, "z9hG4bKu5", &tag, "", OFFER);
    peer.us.reject_reinvite(peer.now, id, 488, &[]).expect("rejected");
    assert_eq!(peer.sent_words(), ["488"]);
    peer.request("UPDATE", 6, "z9hG4bKu6", &tag, "", OFFER);
    assert_eq!(peer.wait_ms(20_000), [(20_000, "504".to_owned())], "the application slept");
    peer.request("UPDATE", 7, "z9hG4bKu7", &tag, "", OFFER);
    peer.request("BYE", 8, "z9hG4bKbye", &tag, "", b"");
    assert_eq!(peer.sent_words(), ["200", "487"]);
    peer.drain();
}

#[test]
fn an_offer_that_meets_ours_gets_491() {
    let mut peer = Peer::udp();
    let (id, tag) = peer.called_in();
    peer.us.reinvite(peer.now, id, Body::sdp(OFFER)).expect("sent");
    let ours = peer.sent_one();
    peer.request("UPDATE", 2, "z9hG4bKu", &tag, "", OFFER);
    assert_eq!(peer.sent_words(), ["491"]);
    peer.request("UPDATE", 3, "z9hG4bKempty", &tag, "", b"");
    assert_eq!(peer.sent_words(), ["200"], "without an offer nothing meets");
    peer.answer(&ours, 200, "bob", "", ANSWER);
    peer.sent();
    peer.request("UPDATE", 4, "z9hG4bKu4", &tag, "", OFFER);
    assert!(matches!(peer.last(), Event::ReinviteReceived { .. }));

    let mut peer = Peer::udp();
    let id = peer.offered();
    let tag = peer.accept(id);
    peer.request("UPDATE", 2, "z9hG4bKu", &tag, "", OFFER);
    assert_eq!(peer.sent_words(), ["491"], "before the ACK");
}

#[test]
fn before_our_answer_an_offer_in_an_update_gets_500_and_after_a_reliable_answer_it_is_taken() {
    let mut peer = Peer::udp();
    peer.request("INVITE", 1, "z9hG4bKinvite", "", "Supported: 100rel\r\n", OFFER);
    let Event::InviteReceived { id, .. } = *peer.last() else { panic!("{:?}", peer.last()) };
    peer.sent();
    peer.us.progress(peer.now, id, 183, Some(Body::sdp(ANSWER))).expect("progress");
    let early = peer.sent_one();
    let tag = tag_of(&early);
    peer.request("UPDATE", 2, "z9hG4bKu2", &tag, "", OFFER);
    assert_eq!(peer.sent_words(), ["500"], "no PRACK yet");
    let rack = format!("RAck: {} 1 INVITE\r\n", header(&early, "RSeq"));
    peer.request("PRACK", 3, "z9hG4bKp", &tag, &rack, b"");
    assert_eq!(peer.sent_words(), ["200"]);
    peer.request("UPDATE", 4, "z9hG4bKu4", &tag, "", OFFER);
    assert!(matches!(peer.last(), Event::ReinviteReceived { .. }));
    peer.us.accept_reinvite(peer.now, id, Body::sdp(ANSWER)).expect("accepted");
    assert_eq!(header(&peer.sent_one(), "CSeq"), "4 UPDATE");
    peer.accept(id);
    peer.ack(1, &tag, b"");
    assert!(matches!(peer.last(), Event::Established { .. }));
}

#[test]
fn an_update_of_the_callee_before_the_answer_settles_the_media() {
    let mut peer = Peer::udp();
    let (id, invite) = peer.invite();
    let our_tag = invite.from().and_then(|from| from.tag().map(str::to_owned)).expect("a tag");
    let call_id = invite.call_id().expect("a Call-ID").to_owned();
    let update = |peer: &mut Peer, cseq: u32, tag: &str| {
        let body = String::from_utf8_lossy(OFFER);
        peer.input(&format!(
            "UPDATE sip:bridge@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKu{cseq}{tag}\n\
             From: <sip:+15550123@192.0.2.9>;tag={tag}\nTo: <sip:+15550100@bridge.example>;tag={our_tag}\n\
             Call-ID: {call_id}\nCSeq: {cseq} UPDATE\nContact: <sip:bob@192.0.2.9:5099>\n\
             Content-Type: application/sdp\nContent-Length: {}\n\n{body}",
            OFFER.len()
        ));
    };
    peer.answer(&invite, 183, "bob", "", ANSWER);
    update(&mut peer, 10, "bob");
    assert_eq!(peer.sent_words(), ["491"], "the answer was not reliable: ours is still open");
    peer.answer(&invite, 183, "bob", "Require: 100rel\nRSeq: 5", ANSWER);
    assert_eq!(peer.sent_words(), ["PRACK"]);
    update(&mut peer, 11, "bob");
    assert!(matches!(peer.last(), Event::ReinviteReceived { .. }));
    peer.us.accept_reinvite(peer.now, id, Body::sdp(ANSWER)).expect("accepted");
    let response = peer.sent_one();
    assert_eq!((word(&response).as_str(), response.body().as_ref()), ("200", ANSWER));
    update(&mut peer, 11, "carol");
    assert_eq!(peer.sent_words(), ["481"], "no such fork");
    peer.answer(&invite, 200, "bob", "Contact: <sip:bob@192.0.2.9:5099>", ANSWER);
    assert_eq!(peer.sent_words(), ["ACK"]);
    assert!(matches!(peer.last(), Event::Answered { body: None, settled: true, .. }));
    update(&mut peer, 11, "bob");
    peer.sent();
    peer.request("BYE", 1, "z9hG4bKx", "nobody", "", b"");
    peer.us.hangup(peer.now, id, None).expect("up");
    peer.sent();
    peer.drain();
}

#[test]
fn where_another_fork_answers_what_an_update_settled_is_forgotten() {
    let mut peer = Peer::udp();
    let (_, invite) = peer.invite();
    peer.answer(&invite, 183, "bob", "Require: 100rel\nRSeq: 5", ANSWER);
    peer.answer(&invite, 200, "carol", "", ANSWER);
    assert!(matches!(peer.last(), Event::Answered { body: Some(_), settled: false, .. }));
}
