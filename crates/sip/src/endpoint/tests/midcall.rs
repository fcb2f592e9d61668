//! Inside of a dialog: routes, order, re-INVITEs and where they meet.

use std::time::Duration;

use super::pair::{ANSWER, OFFER};
use super::peer::*;
use crate::endpoint::*;

#[test]
fn a_loose_route_set_is_kept_in_reverse_by_the_caller() {
    let mut peer = Peer::udp();
    let (id, invite) = peer.invite();
    let head =
        "Record-Route: <sip:192.0.2.50;lr>, <sip:edge.example;lr>\nRecord-Route: <sip:192.0.2.60:5062;lr>";
    peer.answer(&invite, 200, "bob", head, ANSWER);
    let ack = peer.sent_one();
    let routes: Vec<_> = ack.headers().all("Route").collect();
    assert_eq!(routes, ["<sip:192.0.2.60:5062;lr>", "<sip:edge.example;lr>", "<sip:192.0.2.50;lr>"]);
    assert_eq!(ack.uri().expect("a URI").as_str(), "sip:bob@192.0.2.9:5070");
    assert_eq!(peer.flows[0].remote.to_string(), "192.0.2.60:5062");
    peer.us.hangup(peer.now, id, None).expect("up");
    assert_eq!(peer.sent_one().headers().all("Route").count(), 3);
}

#[test]
fn a_strict_route_is_followed_in_order_by_the_called_side() {
    let mut peer = Peer::udp();
    let head = "Record-Route: <sip:192.0.2.50:5055>\r\nRecord-Route: <sip:192.0.2.60;lr>\r\n";
    peer.request("INVITE", 1, "z9hG4bKinvite", "", head, OFFER);
    let id = match peer.last() {
        Event::InviteReceived { id, .. } => *id,
        other => panic!("{other:?}"),
    };
    peer.sent();
    peer.us.accept(peer.now, id, Body::sdp(ANSWER), &[]).expect("accepted");
    let accepted = peer.sent_one();
    assert_eq!(accepted.headers().all("Record-Route").count(), 2, "echoed to the caller");
    peer.ack(1, &tag_of(&accepted), b"");
    peer.us.hangup(peer.now, id, None).expect("up");
    let bye = peer.sent_one();
    assert_eq!(bye.uri().expect("a URI").as_str(), "sip:192.0.2.50:5055");
    let routes: Vec<_> = bye.headers().all("Route").collect();
    assert_eq!(routes, ["<sip:192.0.2.60;lr>", "<sip:bob@192.0.2.9:5070>"]);
    assert_eq!(peer.flows[0].remote.to_string(), "192.0.2.50:5055");
}

#[test]
fn the_contact_and_the_names_are_echoed_as_they_were_written() {
    let mut peer = Peer::udp();
    let id = peer.offered();
    peer.sent();
    let extra = [("Contact".to_owned(), "<sip:bridge.example:5061;transport=udp>;isfocus".to_owned())];
    peer.us.accept(peer.now, id, Body::sdp(ANSWER), &extra).expect("accepted");
    let accepted = peer.sent_one();
    assert_eq!(accepted.headers().lines("Contact").collect::<Vec<_>>(), [extra[0].1.as_str()]);
    assert_eq!(header(&accepted, "Allow"), "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE");
    let tag = tag_of(&accepted);
    peer.ack(1, &tag, b"");
    peer.us.reinvite(peer.now, id, Body::sdp(OFFER)).expect("sent");
    let reinvite = peer.sent_one();
    assert_eq!(header(&reinvite, "Contact"), extra[0].1);
    assert_eq!(header(&reinvite, "To"), "\"Bob\" <sip:bob@192.0.2.9>;tag=bob");
    assert_eq!(header(&reinvite, "From"), format!("<sip:+15550100@192.0.2.1>;tag={tag}"));
    assert_eq!(header(&reinvite, "CSeq"), "1 INVITE");
}

#[test]
fn a_lower_or_equal_cseq_gets_500() {
    let mut peer = Peer::udp();
    let (_, tag) = peer.called_in();
    for (method, cseq) in [("BYE", 1), ("BYE", 0), ("INVITE", 1), ("OPTIONS", 1)] {
        peer.request(method, cseq, &format!("z9hG4bK{method}{cseq}"), &tag, "", b"");
        assert_eq!(peer.sent_words(), ["500"], "{method} {cseq}");
    }
    peer.request("OPTIONS", 40, "z9hG4bKoptions", &tag, "", b"");
    assert_eq!(peer.sent_words(), ["200"], "gaps are allowed");
    peer.request("BYE", 41, "z9hG4bKbye", &tag, "", b"");
    assert_eq!(peer.sent_words(), ["200"]);
    peer.request("BYE", 41, "z9hG4bKbye", &tag, "", b"");
    assert_eq!(peer.sent_words(), ["200"], "a copy is not out of order");
    peer.drain();
}

#[test]
fn a_reinvite_moves_the_target_when_it_is_accepted_and_not_before() {
    let mut peer = Peer::udp();
    let (id, tag) = peer.called_in();
    let moved = |peer: &mut Peer, cseq: u32| {
        let text = format!(
            "INVITE sip:+15550100@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKre{cseq}\n\
             From: <sip:bob@192.0.2.9>;tag=bob\nTo: <sip:+15550100@192.0.2.1>;tag={tag}\nCall-ID: call@192.0.2.9\n\
             CSeq: {cseq} INVITE\nContact: <sip:bob@192.0.2.88>\nContent-Type: application/sdp\nContent-Length: 4\n\nv=0\n"
        );
        peer.input(&text);
    };
    moved(&mut peer, 2);
    assert!(matches!(peer.last(), Event::ReinviteReceived { offer: Some(_), .. }));
    let why = ("Reason".to_owned(), "SIP;cause=488;text=\"no common codec\"".to_owned());
    peer.us.reject_reinvite(peer.now, id, 488, std::slice::from_ref(&why)).expect("rejected");
    let sent = peer.sent();
    let said: Vec<_> = sent.iter().map(|answer| answer.headers().get("Reason")).collect();
    assert_eq!(said, [None, Some(why.1.as_str())], "the peer is told why");
    peer.request_as("ACK", "2 ACK", "z9hG4bKre2", &tag, "", b"");
    peer.us.reinvite(peer.now, id, Body::sdp(OFFER)).expect("sent");
    let ours = peer.sent_one();
    assert_eq!(ours.uri().expect("a URI").as_str(), "sip:bob@192.0.2.9:5070");
    peer.answer(&ours, 200, "bob", "Contact: <sip:bob@192.0.2.99>", ANSWER);
    assert!(matches!(peer.last(), Event::ReinviteAnswered { body: Some(_), .. }));
    assert_eq!(peer.sent_one().uri().expect("a URI").as_str(), "sip:bob@192.0.2.99");
    peer.answer(&ours, 200, "bob", "", ANSWER);
    assert_eq!(peer.sent_words(), ["ACK"]);
    moved(&mut peer, 3);
    peer.us.accept_reinvite(peer.now, id, Body::sdp(ANSWER)).expect("accepted");
    peer.sent();
    assert_eq!(peer.wait_ms(600), [(500, "200".to_owned())]);
    peer.ack(3, &tag, b"");
    assert!(peer.wait_ms(60_000).is_empty());
    peer.us.hangup(peer.now, id, None).expect("up");
    assert_eq!(peer.sent_one().uri().expect("a URI").as_str(), "sip:bob@192.0.2.88");
    peer.drain();
}

#[test]
fn a_reinvite_without_an_offer_is_answered_in_its_ack() {
    let mut peer = Peer::udp();
    let (id, tag) = peer.called_in();
    peer.request("INVITE", 2, "z9hG4bKre", &tag, "", b"");
    assert!(matches!(peer.last(), Event::ReinviteReceived { offer: None, .. }));
    peer.us.accept_reinvite(peer.now, id, Body::sdp(OFFER)).expect("accepted");
    peer.ack(2, &tag, ANSWER);
    assert!(matches!(peer.last(), Event::ReinviteAnswered { body: Some(_), .. }));
}

#[test]
fn an_unacknowledged_reinvite_ends_the_leg() {
    let mut peer = Peer::udp();
    let (id, tag) = peer.called_in();
    peer.request("INVITE", 2, "z9hG4bKre", &tag, "", OFFER);
    peer.us.accept_reinvite(peer.now, id, Body::sdp(ANSWER)).expect("accepted");
    peer.sent();
    assert_eq!(peer.wait_ms(32_000).last(), Some(&(32_000, "BYE".to_owned())));
    assert_eq!(*peer.end(), End::AckTimeout);
    peer.drain();
}

#[test]
fn an_invite_before_the_last_one_was_answered_gets_500_with_retry_after() {
    let mut peer = Peer::udp();
    let id = peer.offered();
    peer.us.progress(peer.now, id, 180, None).expect("ringing");
    let tag = tag_of(&peer.sent()[1]);
    peer.request("INVITE", 2, "z9hG4bKre", &tag, "", OFFER);
    let response = peer.sent_one();
    assert_eq!(word(&response), "500");
    assert!(header(&response, "Retry-After").parse::<u32>().expect("seconds") <= 10);
    let (id, tag) = {
        let tag = peer.accept(id);
        peer.ack(1, &tag, b"");
        (id, tag)
    };
    peer.request("INVITE", 3, "z9hG4bKre3", &tag, "", OFFER);
    peer.request("INVITE", 4, "z9hG4bKre4", &tag, "", OFFER);
    assert_eq!(peer.sent_words(), ["100", "500"]);
    assert_eq!(peer.us.reinvite(peer.now, id, Body::sdp(OFFER)), Err(CommandError::OfferPending));
}

#[test]
fn a_reinvite_before_an_ack_that_is_to_bring_the_answer_gets_491() {
    let mut peer = Peer::udp();
    peer.request("INVITE", 1, "z9hG4bKinvite", "", "", b"");
    let id = match peer.last() {
        Event::InviteReceived { id, .. } => *id,
        other => panic!("{other:?}"),
    };
    let tag = peer.accept(id);
    peer.request("INVITE", 2, "z9hG4bKre", &tag, "", OFFER);
    assert_eq!(peer.sent_words(), ["491"]);
}

#[test]
fn a_reinvite_that_overtakes_the_ack_stands_for_it() {
    let mut peer = Peer::udp();
    let id = peer.offered();
    let tag = peer.accept(id);
    peer.request("INVITE", 2, "z9hG4bKre", &tag, "", OFFER);
    assert_eq!(peer.sent_words(), ["100"]);
    let events = &peer.events[peer.events.len() - 2..];
    assert!(matches!(events, [Event::Established { .. }, Event::ReinviteReceived { .. }]), "{events:?}");
    peer.us.accept_reinvite(peer.now, id, Body::sdp(ANSWER)).expect("accepted");
    peer.ack(1, &tag, b"");
    peer.sent();
    assert_eq!(peer.wait_ms(500), [(500, "200".to_owned())], "the ACK that comes late is not the new one");
    peer.ack(2, &tag, b"");
    assert!(peer.wait_ms(60_000).is_empty());

    let mut peer = Peer::udp();
    let id = peer.offered();
    let tag = peer.accept(id);
    peer.us.hangup(peer.now, id, None).expect("hung up");
    peer.request("INVITE", 2, "z9hG4bKre", &tag, "", OFFER);
    assert_eq!(peer.sent_words(), ["491"], "we are leaving");
}

#[test]
fn a_copy_of_a_request_in_a_dialog_gets_the_answer_of_the_first_again() {
    let mut peer = Peer::udp();
    let (id, tag) = peer.called_in();
    peer.request("OPTIONS", 2, "z9hG4bKo", &tag, "", b"");
    let first = peer.sent_one();
    assert_eq!(word(&first), "200");
    peer.request("OPTIONS", 2, "z9hG4bKo", &tag, "", b"");
    assert_eq!(peer.sent_one().to_bytes(), first.to_bytes(), "its CSeq is used up, but it is a copy");
    peer.us.reinvite(peer.now, id, Body::sdp(OFFER)).expect("sent");
    peer.sent();
    for _ in 0..2 {
        peer.request("INVITE", 3, "z9hG4bKmet", &tag, "", OFFER);
        assert_eq!(peer.sent_words(), ["491"]);
    }
    peer.request_as("ACK", "3 ACK", "z9hG4bKmet", &tag, "", b"");
    assert!(peer.sent().is_empty());
    assert_eq!(peer.us.invites(), 1);
}

#[test]
fn two_reinvites_that_meet_get_491_and_the_owner_of_the_call_id_waits_longer() {
    for owner in [true, false] {
        let mut peer = Peer::udp();
        let (id, tag) = if owner {
            let (id, invite) = peer.called_out();
            (id, invite.from().and_then(|from| from.tag().map(str::to_owned)).expect("a tag"))
        } else {
            peer.called_in()
        };
        peer.us.reinvite(peer.now, id, Body::sdp(OFFER)).expect("sent");
        let ours = peer.sent_one();
        if !owner {
            peer.request("INVITE", 2, "z9hG4bKre", &tag, "", OFFER);
            assert_eq!(peer.sent_words(), ["491"]);
            peer.request_as("ACK", "2 ACK", "z9hG4bKre", &tag, "", b"");
        }
        peer.answer(&ours, 491, "bob", "", b"");
        assert_eq!(peer.sent_words(), ["ACK"]);
        let range = if owner { 2100..=4000 } else { 0..=2000 };
        let before = *range.start();
        assert!(peer.wait_ms(before.max(1) - 1).is_empty());
        let (at, what) = peer.wait_ms(2001).remove(0);
        assert_eq!(what, "INVITE");
        assert!(range.contains(&(before.max(1) - 1 + at)), "{at}");
        assert!(peer.events.iter().all(|event| !matches!(event, Event::ReinviteFailed { .. })));
    }
}

#[test]
fn a_reinvite_that_the_peer_does_not_know_ends_the_leg() {
    for (status, words) in [(481, vec!["ACK"]), (408, vec!["ACK", "BYE"])] {
        let mut peer = Peer::udp();
        let (id, _) = peer.called_out();
        peer.us.reinvite(peer.now, id, Body::sdp(OFFER)).expect("sent");
        let ours = peer.sent_one();
        peer.answer(&ours, status, "bob", "", b"");
        assert_eq!(peer.sent_words(), words);
        assert_eq!(*peer.end(), End::DialogGone(status));
        peer.drain();
    }
    let mut peer = Peer::udp();
    let (id, _) = peer.called_out();
    peer.us.reinvite(peer.now, id, Body::sdp(OFFER)).expect("sent");
    peer.sent();
    assert_eq!(peer.wait_ms(32_000).last(), Some(&(32_000, "BYE".to_owned())));
    assert_eq!(*peer.end(), End::DialogGone(408));
    peer.drain();
}

#[test]
fn a_refused_reinvite_changes_nothing() {
    let mut peer = Peer::udp();
    let (id, _) = peer.called_out();
    for status in [488, 500, 603] {
        peer.us.reinvite(peer.now, id, Body::sdp(OFFER)).expect("sent");
        let ours = peer.sent_one();
        peer.answer(&ours, status, "bob", "", b"");
        match peer.last() {
            Event::ReinviteFailed { status: found, .. } => assert_eq!(*found, status),
            other => panic!("{other:?}"),
        }
        peer.sent();
    }
    peer.us.hangup(peer.now, id, None).expect("still up");
    peer.drain();
}

#[test]
fn a_reinvite_that_only_gets_100_is_canceled_after_64_t1() {
    let mut peer = Peer::udp();
    let (id, _) = peer.called_out();
    peer.us.reinvite(peer.now, id, Body::sdp(OFFER)).expect("sent");
    let ours = peer.sent_one();
    peer.answer(&ours, 100, "bob", "", b"");
    assert_eq!(peer.wait_ms(32_000), [(32_000, "CANCEL".to_owned())]);
    peer.answer(&ours, 487, "bob", "", b"");
    assert!(matches!(peer.last(), Event::ReinviteFailed { status: 487, .. }));
    peer.us.hangup(peer.now, id, None).expect("still up");
    peer.drain();
}

#[test]
fn a_bye_while_a_reinvite_is_open_gets_200_and_the_reinvite_487() {
    let mut peer = Peer::udp();
    let (id, tag) = peer.called_in();
    peer.request("INVITE", 2, "z9hG4bKre", &tag, "", OFFER);
    peer.sent();
    peer.request("BYE", 3, "z9hG4bKbye", &tag, "Reason: Q.850;cause=16;text=\"bye\"\r\n", b"");
    assert_eq!(peer.sent_words(), ["200", "487"]);
    assert_eq!(*peer.end(), End::Bye { reason: Some("Q.850;cause=16;text=\"bye\"".to_owned()) });
    assert_eq!(peer.us.accept_reinvite(peer.now, id, Body::sdp(ANSWER)), Err(CommandError::Gone));
    peer.drain();
}

#[test]
fn a_reinvite_can_be_canceled() {
    let mut peer = Peer::udp();
    let (id, tag) = peer.called_in();
    peer.request("INVITE", 2, "z9hG4bKre", &tag, "", OFFER);
    peer.sent();
    peer.request_as("CANCEL", "2 CANCEL", "z9hG4bKre", &tag, "", b"");
    assert_eq!(peer.sent_words(), ["200", "487"]);
    assert!(matches!(
        peer.us.accept_reinvite(peer.now, id, Body::sdp(ANSWER)),
        Err(CommandError::WrongState(_))
    ));
    assert_eq!(peer.us.invites(), 1);
}

#[test]
fn a_reinvite_that_the_application_forgets_gets_500() {
    let mut peer = Peer::udp();
    let (_, tag) = peer.called_in();
    peer.request("INVITE", 2, "z9hG4bKre", &tag, "", OFFER);
    peer.sent();
    assert_eq!(peer.wait_ms(20_000), [(20_000, "500".to_owned())]);
    assert_eq!(peer.us.invites(), 1);
}

#[test]
fn a_hangup_while_our_reinvite_is_open_still_acknowledges_its_2xx() {
    let mut peer = Peer::udp();
    let (id, _) = peer.called_out();
    peer.us.reinvite(peer.now, id, Body::sdp(OFFER)).expect("sent");
    let ours = peer.sent_one();
    peer.answer(&ours, 100, "bob", "", b"");
    peer.us.hangup(peer.now, id, None).expect("hung up");
    assert_eq!(peer.sent_words(), ["BYE"]);
    peer.answer(&ours, 200, "bob", "", ANSWER);
    assert_eq!(peer.sent_words(), ["ACK"]);
    assert_eq!(*peer.end(), End::Local);
    peer.drain();
}

#[test]
fn an_unanswered_bye_is_repeated_by_timer_e_until_f() {
    let mut peer = Peer::udp();
    let (id, _) = peer.called_out();
    peer.us.hangup(peer.now, id, None).expect("hung up");
    assert_eq!(peer.sent_words(), ["BYE"]);
    let at: Vec<_> = peer.wait_ms(40_000).into_iter().map(|(at, _)| at).collect();
    assert_eq!(at, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert_eq!(peer.events.len(), 2);
    peer.now += Duration::from_secs(32);
    peer.drain();
}
