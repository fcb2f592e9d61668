//! An INVITE with Replaces (RFC 3891).

use super::pair::{ANSWER, OFFER};
use super::peer::*;
use crate::endpoint::*;

fn peer(accept_replaces: bool) -> Peer {
    let terms = Terms { accept_replaces, ..Terms::default() };
    Peer::with(Transport::Udp, EndpointConfig { terms, ..EndpointConfig::default() })
}

/// An INVITE in a call of its own.
fn invite(peer: &mut Peer, number: u32, head: &str) {
    let body = String::from_utf8_lossy(OFFER).into_owned();
    peer.sent();
    peer.input(&format!(
        "INVITE sip:+15550100@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKnew{number}\n\
         From: <sip:carol@192.0.2.9>;tag=carol\nTo: <sip:+15550100@192.0.2.1>\nCall-ID: other{number}\nCSeq: 1 INVITE\n\
         Contact: <sip:carol@192.0.2.9>\nMax-Forwards: 70\n{head}Content-Type: application/sdp\n\
         Content-Length: {}\n\n{body}",
        OFFER.len()
    ));
}

#[test]
fn an_invite_takes_the_place_of_the_dialog_that_it_names() {
    let mut peer = peer(true);
    let (old, tag) = peer.called_in();
    invite(&mut peer, 1, &format!("Require: replaces\nReplaces: call@192.0.2.9;to-tag={tag};from-tag=bob\n"));
    let Event::InviteReceived { id, replaces, .. } = *peer.last() else { panic!("{:?}", peer.last()) };
    assert_eq!(replaces, Some(old));
    peer.sent();
    peer.us.accept(peer.now, id, Body::sdp(ANSWER), &[]).expect("accepted");
    assert!(peer.sent_one().headers().has_token("Supported", "replaces"));
    peer.us.hangup(peer.now, old, None).expect("up");
    assert_eq!(peer.sent_words(), ["BYE"]);
    assert_eq!(peer.us.invites(), 1);
}

#[test]
fn an_invite_that_names_no_dialog_of_ours_or_one_that_is_not_to_be_had_is_refused() {
    let mut peer = peer(true);
    let (id, tag) = peer.called_in();
    for (number, value, status) in [
        (1, format!("call@192.0.2.9;to-tag={tag};from-tag=mallory"), "481"),
        (2, "call@192.0.2.9;to-tag=guess;from-tag=bob".to_owned(), "481"),
        (3, format!("other@192.0.2.9;to-tag={tag};from-tag=bob"), "481"),
        (4, format!("call@192.0.2.9;to-tag={tag};from-tag=bob;early-only"), "486"),
        (5, "nonsense".to_owned(), "400"),
    ] {
        invite(&mut peer, number, &format!("Replaces: {value}\n"));
        assert_eq!(peer.sent_words(), [status], "{value}");
    }
    assert_eq!(peer.us.invites(), 1, "the leg lives on");
    peer.us.hangup(peer.now, id, None).expect("up");
    invite(&mut peer, 6, &format!("Replaces: call@192.0.2.9;to-tag={tag};from-tag=bob\n"));
    assert_eq!(peer.sent_words(), ["481"]);

    let mut peer = self::peer(true);
    let offered = peer.offered();
    peer.us.progress(peer.now, offered, 180, None).expect("ringing");
    let tag = peer.sent().last().map(tag_of).expect("a 180");
    invite(&mut peer, 7, &format!("Replaces: call@192.0.2.9;to-tag={tag};from-tag=bob\n"));
    assert_eq!(peer.sent_words(), ["481"], "not answered yet");
}

#[test]
fn without_the_flag_the_header_is_not_looked_at_and_where_it_must_be_it_is_420() {
    let mut peer = peer(false);
    let (_, tag) = peer.called_in();
    invite(&mut peer, 1, &format!("Replaces: call@192.0.2.9;to-tag={tag};from-tag=bob\n"));
    assert!(matches!(peer.last(), Event::InviteReceived { replaces: None, .. }));
    invite(&mut peer, 2, &format!("Require: replaces\nReplaces: call@192.0.2.9;to-tag={tag};from-tag=bob\n"));
    assert_eq!(header(&peer.sent_one(), "Unsupported"), "replaces");
}
