//! Session timers (RFC 4028): both roles, both refreshers.

use super::pair::{ANSWER, OFFER};
use super::peer::*;
use crate::endpoint::*;
use crate::wire::Message;

fn asking() -> Terms {
    Terms { session_timer: SessionTimers::Ask, ..Terms::default() }
}

fn asking_peer() -> Peer {
    Peer::with(Transport::Udp, EndpointConfig { terms: asking(), ..EndpointConfig::default() })
}

/// A call of the peer's with these header lines in its INVITE, answered and acknowledged; our 200.
fn called_in(peer: &mut Peer, head: &str) -> (InviteId, Message) {
    peer.request("INVITE", 1, "z9hG4bKinvite", "", head, OFFER);
    let Event::InviteReceived { id, .. } = *peer.last() else { panic!("{:?}", peer.last()) };
    peer.sent();
    peer.us.accept(peer.now, id, Body::sdp(ANSWER), &[]).expect("accepted");
    let accepted = peer.sent_one();
    peer.ack(1, &tag_of(&accepted), b"");
    (id, accepted)
}

/// A call of ours that the peer answers with these header lines.
fn called_out(peer: &mut Peer, head: &str) -> (InviteId, Message) {
    let outgoing = OutgoingInvite { terms: asking(), ..peer.outgoing() };
    let id = peer.us.invite(peer.now, outgoing);
    let invite = peer.sent_one();
    peer.answer(&invite, 200, "bob", head, ANSWER);
    assert_eq!(peer.sent_words(), ["ACK"]);
    (id, invite)
}

/// What our timers send next, as the peer sees it, and after how many milliseconds.
fn next_sent(peer: &mut Peer, within_ms: u64) -> (u64, Message) {
    let from = peer.now;
    while let Some((at, _)) = peer.us.poll_timeout() {
        assert!((at - from).as_millis() as u64 <= within_ms, "nothing within {within_ms} ms");
        peer.now = at;
        peer.us.handle_timeout(at);
        peer.take_events();
        if let Some(message) = peer.sent().into_iter().next() {
            return ((at - from).as_millis() as u64, message);
        }
    }
    panic!("no timer runs");
}

#[test]
fn the_peer_refreshes_and_each_refresh_gives_the_dialog_another_interval() {
    let mut peer = Peer::udp();
    let head = "Supported: timer\r\nSession-Expires: 100;refresher=uac\r\n";
    let (_, accepted) = called_in(&mut peer, head);
    assert_eq!(header(&accepted, "Session-Expires"), "100;refresher=uac");
    assert_eq!(header(&accepted, "Require"), "timer");
    let tag = tag_of(&accepted);
    assert!(peer.wait_ms(60_000).is_empty());
    let head = format!("{head}Contact: <sip:bob@192.0.2.9:5071>\r\n");
    peer.request("UPDATE", 2, "z9hG4bKu", &tag, &head, b"");
    let refreshed = peer.sent_one();
    assert_eq!(
        (word(&refreshed).as_str(), header(&refreshed, "Session-Expires")),
        ("200", "100;refresher=uac")
    );
    assert!(refreshed.headers().contains("Contact") && refreshed.body().is_empty());
    assert!(peer.wait_ms(60_000).is_empty());
    peer.request("INVITE", 3, "z9hG4bKre", &tag, &head, OFFER);
    let Event::ReinviteReceived { id, .. } = *peer.last() else { panic!("{:?}", peer.last()) };
    peer.us.accept_reinvite(peer.now, id, Body::sdp(ANSWER)).expect("accepted");
    assert_eq!(header(&peer.sent()[1], "Session-Expires"), "100;refresher=uac");
    peer.ack(3, &tag, b"");
    assert!(peer.wait_ms(66_000).is_empty());
    // 100 s, less a third of it, after the last refresh (section 10).
    let (at, bye) = next_sent(&mut peer, 10_000);
    assert_eq!((word(&bye).as_str(), at), ("BYE", 68_000 - 66_000));
    assert_eq!(header(&bye, "Reason"), "Q.850;cause=102;text=\"session timer expired\"");
    assert_eq!(*peer.end(), End::Expired);
    peer.drain();
}

#[test]
fn an_interval_that_is_too_small_gets_422_and_the_least_that_we_grant() {
    let mut peer = Peer::with(
        Transport::Udp,
        EndpointConfig { terms: Terms { min_se: 120, ..Terms::default() }, ..EndpointConfig::default() },
    );
    peer.request("INVITE", 1, "z9hG4bK1", "", "Supported: timer\r\nx: 119\r\n", OFFER);
    let refused = peer.sent_one();
    assert_eq!((word(&refused).as_str(), header(&refused, "Min-SE")), ("422", "120"));
    let (_, accepted) = called_in(&mut peer, "Supported: timer\r\nx: 120\r\nMin-SE: 120\r\n");
    assert_eq!(header(&accepted, "Session-Expires"), "120;refresher=uac");
    let tag = tag_of(&accepted);
    for method in ["UPDATE", "INVITE"] {
        let cseq = if method == "UPDATE" { 2 } else { 3 };
        peer.request(method, cseq, "z9hG4bKsmall", &tag, "Supported: timer\r\nx: 90\r\n", b"");
        let refused = peer.sent_one();
        assert_eq!((word(&refused).as_str(), header(&refused, "Min-SE")), ("422", "120"), "{method}");
    }
    assert_eq!(peer.us.invites(), 1, "the dialog lives on");
}

#[test]
fn we_refresh_by_update_where_the_peer_takes_it_and_nothing_else_changes() {
    let mut peer = asking_peer();
    let head = "Supported: timer\r\nAllow: INVITE, ACK, BYE, UPDATE\r\n";
    let (id, accepted) = called_in(&mut peer, head);
    assert_eq!(header(&accepted, "Session-Expires"), "1800;refresher=uas");
    let before = peer.events.len();
    for round in 0..3 {
        let (at, update) = next_sent(&mut peer, 1_800_000);
        assert_eq!((word(&update).as_str(), at), ("UPDATE", 900_000), "round {round}");
        assert_eq!(header(&update, "Session-Expires"), "1800;refresher=uac");
        assert!(update.body().is_empty() && update.headers().contains("Contact"));
        peer.answer(&update, 200, "", "Require: timer\nSession-Expires: 1800;refresher=uac", b"");
    }
    assert_eq!(peer.events.len(), before, "the application hears nothing of it");
    peer.us.hangup(peer.now, id, None).expect("up");
    peer.drain();
}

#[test]
fn we_refresh_by_invite_with_the_same_description_where_the_peer_takes_no_update() {
    let mut peer = Peer::udp();
    let (id, _) = called_out(&mut peer, "Require: timer\nSession-Expires: 600;refresher=uac");
    let (at, refresh) = next_sent(&mut peer, 600_000);
    assert_eq!((word(&refresh).as_str(), at), ("INVITE", 300_000));
    assert_eq!(header(&refresh, "Session-Expires"), "600;refresher=uac");
    assert_eq!(refresh.body(), OFFER, "what we said last");
    peer.answer(&refresh, 200, "bob", "Session-Expires: 600;refresher=uac", ANSWER);
    assert_eq!(peer.sent_words(), ["ACK"]);
    assert!(matches!(peer.last(), Event::ReinviteAnswered { body: Some(_), .. }));
    let (at, _) = next_sent(&mut peer, 600_000);
    assert_eq!(at, 300_000);
    peer.us.hangup(peer.now, id, None).expect("up");
    peer.drain();
}

#[test]
fn an_update_that_is_refused_is_followed_by_an_invite() {
    let mut peer = Peer::udp();
    let head = "Session-Expires: 600;refresher=uac\nAllow: INVITE, UPDATE";
    called_out(&mut peer, head);
    let (_, update) = next_sent(&mut peer, 600_000);
    peer.answer(&update, 405, "", "", b"");
    let (at, invite) = next_sent(&mut peer, 60_000);
    assert_eq!((word(&invite).as_str(), at), ("INVITE", 1000));
    peer.answer(&invite, 491, "bob", "", b"");
    peer.sent();
    let (at, again) = next_sent(&mut peer, 60_000);
    assert!((2100..=4000).contains(&at), "{at}");
    peer.answer(&again, 500, "bob", "Retry-After: 3", b"");
    peer.sent();
    let (at, again) = next_sent(&mut peer, 60_000);
    assert_eq!((word(&again).as_str(), at), ("INVITE", 3000));
    peer.answer(&again, 200, "bob", "Session-Expires: 600;refresher=uac", ANSWER);
    assert!(peer.events.iter().all(|event| !matches!(event, Event::ReinviteFailed { .. })));
    assert_eq!(peer.us.invites(), 1);
}

#[test]
fn a_refresh_that_meets_silence_or_a_lost_dialog_ends_the_leg() {
    for (status, allow, sent) in [
        (481, "INVITE, UPDATE", vec![]),
        (408, "INVITE, UPDATE", vec!["BYE"]),
        (481, "INVITE", vec!["ACK"]),
        (408, "INVITE", vec!["ACK", "BYE"]),
    ] {
        let mut peer = Peer::udp();
        called_out(&mut peer, &format!("Session-Expires: 600;refresher=uac\nAllow: {allow}"));
        let (_, refresh) = next_sent(&mut peer, 600_000);
        peer.answer(&refresh, status, "bob", "", b"");
        assert_eq!(peer.sent_words(), sent, "{status} {allow}");
        assert_eq!(*peer.end(), End::DialogGone(status));
        peer.drain();
    }
    let mut peer = Peer::udp();
    called_out(&mut peer, "Session-Expires: 600;refresher=uac\nAllow: UPDATE");
    next_sent(&mut peer, 600_000);
    assert_eq!(peer.wait_ms(32_000).last(), Some(&(32_000, "BYE".to_owned())), "timer F");
    assert_eq!(*peer.end(), End::DialogGone(408));
    peer.drain();
}

#[test]
fn a_dialog_that_cannot_be_refreshed_ends_with_its_interval() {
    let mut peer = Peer::udp();
    called_out(&mut peer, "Session-Expires: 90;refresher=uac\nAllow: UPDATE");
    let (mut tries, began) = (0, peer.now);
    while tries < 20 {
        let (_, sent) = next_sent(&mut peer, 90_000);
        if word(&sent) == "BYE" {
            break;
        }
        tries += 1;
        peer.answer(&sent, 503, "bob", "", b"");
    }
    assert_eq!(((peer.now - began).as_secs(), tries), (90, 5), "at 45 s, then every 10 s");
    assert_eq!(*peer.end(), End::Expired);
    peer.drain();
}

#[test]
fn our_invite_asks_and_a_422_raises_what_it_asks_for() {
    let mut peer = Peer::udp();
    let outgoing = OutgoingInvite { terms: asking(), ..peer.outgoing() };
    peer.us.invite(peer.now, outgoing);
    let invite = peer.sent_one();
    assert_eq!(header(&invite, "Session-Expires"), "1800");
    assert!(invite.headers().has_token("Supported", "timer"));
    peer.answer(&invite, 422, "bob", "Min-SE: 3600", b"");
    let sent = peer.sent();
    assert_eq!(sent.iter().map(word).collect::<Vec<_>>(), ["ACK", "INVITE"]);
    let again = &sent[1];
    assert_eq!((header(again, "Session-Expires"), header(again, "Min-SE")), ("3600", "3600"));
    assert_eq!((again.call_id(), header(again, "CSeq")), (invite.call_id(), "2 INVITE"));
    peer.answer(again, 200, "bob", "Session-Expires: 3600;refresher=uac", ANSWER);
    peer.sent();
    let (at, refresh) = next_sent(&mut peer, 3_600_000);
    assert_eq!((at, header(&refresh, "Min-SE")), (1_800_000, "3600"));
}

#[test]
fn a_422_without_an_interval_to_grant_is_a_refusal_and_so_is_the_fourth() {
    let mut peer = Peer::udp();
    let (_, invite) = peer.invite();
    peer.answer(&invite, 422, "bob", "", b"");
    assert_eq!(peer.failure().status, 422);
    let mut peer = Peer::udp();
    let (_, mut invite) = peer.invite();
    for round in 1..=4 {
        peer.answer(&invite, 422, "bob", &format!("Min-SE: {}", 1000 * round), b"");
        if round < 4 {
            invite = peer.sent().remove(1);
        }
    }
    assert_eq!((peer.failure().status, peer.us.invites()), (422, 0));
    peer.drain();
}

#[test]
fn a_refresh_of_ours_is_raised_by_a_422() {
    for allow in ["INVITE, UPDATE", "INVITE"] {
        let mut peer = Peer::udp();
        called_out(&mut peer, &format!("Session-Expires: 600;refresher=uac\nAllow: {allow}"));
        let (_, refresh) = next_sent(&mut peer, 600_000);
        peer.answer(&refresh, 422, "bob", "Min-SE: 900", b"");
        let again = peer.sent().pop().expect("again");
        assert_eq!(
            (header(&again, "Session-Expires"), header(&again, "Min-SE")),
            ("900;refresher=uac", "900")
        );
        peer.answer(&again, 200, "bob", "Session-Expires: 900;refresher=uac", ANSWER);
        peer.sent();
        assert_eq!(next_sent(&mut peer, 900_000).0, 450_000, "{allow}");
    }
}

#[test]
fn without_an_agreement_nothing_is_sent_and_nothing_ends() {
    let mut peer = asking_peer();
    called_in(&mut peer, "");
    assert!(peer.wait_ms(7_200_000).is_empty(), "a caller who knows no timers");
    let mut peer = Peer::udp();
    called_out(&mut peer, "Supported: timer");
    assert!(peer.wait_ms(7_200_000).is_empty(), "a callee who wants none");
    let off = Terms { session_timer: SessionTimers::Off, ..Terms::default() };
    let mut peer = Peer::with(Transport::Udp, EndpointConfig { terms: off, ..EndpointConfig::default() });
    let (_, accepted) = called_in(&mut peer, "Supported: timer\r\nSession-Expires: 90\r\n");
    assert!(
        !accepted.headers().contains("Session-Expires")
            && !accepted.headers().has_token("Supported", "timer")
    );
    assert!(peer.wait_ms(7_200_000).is_empty());
    peer.request("INVITE", 9, "z9hG4bKr", "", "Require: timer\r\n", OFFER);
    assert_eq!(header(&peer.sent_one(), "Unsupported"), "timer");
}

#[test]
fn a_refresh_waits_while_an_offer_is_under_way() {
    let mut peer = Peer::udp();
    let (id, _) = called_out(&mut peer, "Session-Expires: 600;refresher=uac");
    peer.wait_ms(299_500);
    peer.us.reinvite(peer.now, id, Body::sdp(OFFER)).expect("sent");
    let ours = peer.sent_one();
    assert_eq!(header(&ours, "Session-Expires"), "600;refresher=uac", "it refreshes too");
    peer.answer(&ours, 100, "", "", b"");
    assert!(peer.wait_ms(2000).is_empty(), "one INVITE at a time");
    peer.answer(&ours, 200, "bob", "Session-Expires: 600;refresher=uac", ANSWER);
    peer.sent();
    assert_eq!(next_sent(&mut peer, 600_000).0, 300_000);
}

#[test]
fn a_refresh_that_is_challenged_is_signed() {
    let mut peer = Peer::udp();
    let credentials = Credentials { username: "u".to_owned(), password: "p".to_owned(), realm: None };
    let outgoing = OutgoingInvite { terms: asking(), credentials: Some(credentials), ..peer.outgoing() };
    peer.us.invite(peer.now, outgoing);
    let invite = peer.sent_one();
    peer.answer(&invite, 200, "bob", "Session-Expires: 600;refresher=uac\nAllow: UPDATE", ANSWER);
    peer.sent();
    let (_, update) = next_sent(&mut peer, 600_000);
    peer.answer(&update, 401, "bob", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"", b"");
    let again = peer.sent_one();
    assert_eq!(word(&again), "UPDATE");
    assert!(again.headers().contains("Authorization"));
    peer.answer(&again, 200, "bob", "Session-Expires: 600;refresher=uac", b"");
    assert_eq!(next_sent(&mut peer, 600_000).0, 300_000);
}
