//! Digest authentication of our requests.

use super::pair::{ANSWER, OFFER};
use super::peer::*;
use crate::endpoint::*;

const MD5: &str = "Digest realm=\"operator.example\", nonce=\"n1\", qop=\"auth\", algorithm=MD5";
const ODD: &str = "Digest realm=\"operator.example\", nonce=\"s1\", qop=\"auth\", algorithm=SHA-3";

fn outgoing(peer: &Peer, realm: Option<&str>) -> OutgoingInvite {
    let credentials = Credentials {
        username: "bridge".to_owned(),
        password: "secret".to_owned(),
        realm: realm.map(str::to_owned),
    };
    OutgoingInvite { credentials: Some(credentials), ..peer.outgoing() }
}

fn number<'a>(value: &'a str, name: &str) -> &'a str {
    let start = value.find(&format!("{name}=")).expect("the parameter") + name.len() + 1;
    value[start..].split(',').next().unwrap_or_default().trim_matches('"')
}

#[test]
fn a_407_is_answered_with_a_new_invite_and_the_dialog_stays_signed() {
    let mut peer = Peer::udp();
    let id = peer.us.invite(peer.now, outgoing(&peer, Some("operator.example")));
    let first = peer.sent_one();
    assert!(!first.headers().contains("Proxy-Authorization"));
    peer.answer(&first, 407, "proxy", &format!("Proxy-Authenticate: {ODD}\nProxy-Authenticate: {MD5}"), b"");
    let sent = peer.sent();
    assert_eq!(sent.iter().map(word).collect::<Vec<_>>(), ["ACK", "INVITE"]);
    let second = &sent[1];
    for name in ["From", "To", "Call-ID", "P-Asserted-Identity", "Contact"] {
        assert_eq!(header(second, name), header(&first, name), "{name}");
    }
    assert_eq!(header(second, "CSeq"), "2 INVITE");
    assert_ne!(header(second, "Via"), header(&first, "Via"));
    assert_eq!(second.body(), OFFER);
    let credentials = header(second, "Proxy-Authorization");
    assert!(credentials.starts_with("Digest username=\"bridge\", realm=\"operator.example\", nonce=\"n1\""));
    assert!(credentials.contains("uri=\"sip:+15550123@192.0.2.9;user=phone\""), "{credentials}");
    assert_eq!((number(credentials, "nc"), number(credentials, "algorithm")), ("00000001", "MD5"));
    assert_eq!(number(credentials, "response").len(), 32);

    peer.answer(second, 200, "bob", "", ANSWER);
    let ack = peer.sent_one();
    assert_eq!(header(&ack, "Proxy-Authorization"), credentials, "the ACK repeats the INVITE's");
    peer.us.reinvite(peer.now, id, Body::sdp(OFFER)).expect("sent");
    let reinvite = peer.sent_one();
    assert_eq!(number(header(&reinvite, "Proxy-Authorization"), "nc"), "00000002");
    peer.answer(&reinvite, 200, "bob", "", ANSWER);
    peer.sent();
    peer.us.hangup(peer.now, id, None).expect("up");
    let bye = peer.sent_one();
    assert_eq!(number(header(&bye, "Proxy-Authorization"), "nc"), "00000003");
    assert_eq!(header(&bye, "CSeq"), "4 BYE");
    // The nonce has aged: once more with the new one.
    let stale = MD5.replace("n1", "n2") + ", stale=true";
    peer.answer(&bye, 407, "bob", &format!("Proxy-Authenticate: {stale}"), b"");
    let bye = peer.sent_one();
    assert_eq!(
        (header(&bye, "CSeq"), number(header(&bye, "Proxy-Authorization"), "nc")),
        ("5 BYE", "00000001")
    );
    assert_eq!(number(header(&bye, "Proxy-Authorization"), "nonce"), "n2");
    assert_eq!(peer.events.iter().filter(|event| matches!(event, Event::Failed { .. })).count(), 0);
    peer.drain();
}

#[test]
fn a_second_challenge_that_is_not_stale_means_a_wrong_password() {
    let mut peer = Peer::udp();
    peer.us.invite(peer.now, outgoing(&peer, None));
    for nonce in ["n1", "n2"] {
        let invite = peer.sent().pop().expect("an INVITE");
        peer.answer(&invite, 401, "bob", &format!("WWW-Authenticate: {}", MD5.replace("n1", nonce)), b"");
    }
    assert_eq!((peer.failure().kind, peer.failure().status), (FailureKind::Response, 401));
    assert_eq!(peer.failure().reason, "the credentials were refused");
    assert_eq!(peer.sent_words(), ["ACK"]);
    peer.drain();
}

#[test]
fn stale_nonces_are_followed_but_not_forever() {
    let mut peer = Peer::udp();
    peer.us.invite(peer.now, outgoing(&peer, None));
    for round in 0..4 {
        let invite = peer.sent().pop().expect("an INVITE");
        assert_eq!(header(&invite, "CSeq"), format!("{} INVITE", round + 1));
        peer.answer(&invite, 401, "bob", &format!("WWW-Authenticate: {MD5}, stale=true"), b"");
    }
    assert_eq!(peer.failure().status, 401);
}

#[test]
fn a_foreign_realm_never_sees_the_credentials() {
    let mut peer = Peer::udp();
    peer.us.invite(peer.now, outgoing(&peer, Some("operator.example")));
    let invite = peer.sent_one();
    let foreign = MD5.replace("operator", "evil");
    peer.answer(&invite, 401, "bob", &format!("WWW-Authenticate: {foreign}"), b"");
    assert_eq!(peer.sent_words(), ["ACK"]);
    assert_eq!(peer.failure().status, 401);
    assert!(peer.failure().reason.contains("realm"), "{}", peer.failure().reason);

    // Without a configured realm the first that asks is taken, and from then on no other.
    let id = peer.us.invite(peer.now, outgoing(&peer, None));
    let invite = peer.sent_one();
    peer.answer(&invite, 401, "bob", &format!("WWW-Authenticate: {MD5}"), b"");
    let invite = peer.sent().pop().expect("an INVITE");
    peer.answer(&invite, 200, "bob", "", ANSWER);
    peer.sent();
    peer.us.reinvite(peer.now, id, Body::sdp(OFFER)).expect("sent");
    let reinvite = peer.sent_one();
    peer.answer(&reinvite, 401, "bob", &format!("WWW-Authenticate: {foreign}"), b"");
    assert_eq!(peer.sent_words(), ["ACK"]);
    assert!(matches!(peer.last(), Event::ReinviteFailed { status: 401, .. }));
    peer.us.hangup(peer.now, id, None).expect("up");
    let bye = peer.sent_one();
    peer.answer(&bye, 401, "bob", &format!("WWW-Authenticate: {foreign}"), b"");
    assert!(peer.sent().is_empty());
    peer.drain();
}

#[test]
fn without_credentials_a_challenge_is_the_final_answer() {
    let mut peer = Peer::udp();
    let (_, invite) = peer.invite();
    peer.answer(&invite, 407, "bob", &format!("Proxy-Authenticate: {MD5}"), b"");
    assert_eq!((peer.failure().kind, peer.failure().status), (FailureKind::Response, 407));
    assert!(peer.failure().reason.contains("credentials"));

    // A dialog that the peer began has no credentials at all.
    let (id, _) = peer.called_in();
    peer.us.hangup(peer.now, id, None).expect("up");
    let bye = peer.sent().pop().expect("a BYE");
    peer.answer(&bye, 401, "bob", &format!("WWW-Authenticate: {MD5}"), b"");
    assert!(peer.sent().is_empty());
    peer.drain();
}

#[test]
fn a_challenged_reinvite_is_sent_again_signed() {
    let mut peer = Peer::udp();
    let id = peer.us.invite(peer.now, outgoing(&peer, None));
    let invite = peer.sent_one();
    peer.answer(&invite, 200, "bob", "", ANSWER);
    peer.sent();
    peer.us.reinvite(peer.now, id, Body::sdp(OFFER)).expect("sent");
    let reinvite = peer.sent_one();
    peer.answer(&reinvite, 401, "bob", &format!("WWW-Authenticate: {MD5}"), b"");
    let again = peer.sent().pop().expect("an INVITE");
    assert_eq!(header(&again, "CSeq"), "3 INVITE");
    assert!(again.headers().contains("Authorization"));
    peer.answer(&again, 200, "bob", "", ANSWER);
    assert!(matches!(peer.last(), Event::ReinviteAnswered { body: Some(_), .. }));
}

#[test]
fn the_next_nonce_of_an_answer_signs_the_next_request() {
    let mut peer = Peer::udp();
    let id = peer.us.invite(peer.now, outgoing(&peer, None));
    let invite = peer.sent_one();
    let strong = MD5.replace("MD5", "SHA-256").replace("n1", "strong");
    peer.answer(&invite, 401, "bob", &format!("WWW-Authenticate: {MD5}\nWWW-Authenticate: {strong}"), b"");
    let invite = peer.sent().pop().expect("an INVITE");
    assert_eq!(number(header(&invite, "Authorization"), "algorithm"), "SHA-256");
    assert_eq!(number(header(&invite, "Authorization"), "response").len(), 64);
    peer.answer(&invite, 200, "bob", "Authentication-Info: qop=auth, nextnonce=\"n9\"", ANSWER);
    peer.sent();
    peer.us.hangup(peer.now, id, None).expect("up");
    let bye = peer.sent_one();
    let credentials = header(&bye, "Authorization");
    assert_eq!((number(credentials, "nonce"), number(credentials, "nc")), ("n9", "00000001"));
    peer.answer(&bye, 200, "bob", "", b"");
    peer.drain();
}

#[test]
fn what_is_led_to_another_host_carries_no_credentials() {
    let mut peer = Peer::udp();
    let id = peer.us.invite(peer.now, outgoing(&peer, None));
    let invite = peer.sent_one();
    peer.answer(&invite, 401, "bob", &format!("WWW-Authenticate: {MD5}"), b"");
    let invite = peer.sent().pop().expect("an INVITE");
    peer.answer(&invite, 200, "bob", "Contact: <sip:bob@198.51.100.66>", ANSWER);
    let ack = peer.sent_one();
    assert_eq!(peer.flows[0].remote.to_string(), "198.51.100.66:5060", "no trunks are known here");
    assert!(!ack.headers().contains("Authorization"), "{ack:?}");
    peer.us.hangup(peer.now, id, None).expect("up");
    let bye = peer.sent_one();
    assert!(!bye.headers().contains("Authorization"), "{bye:?}");
    peer.answer(&bye, 401, "bob", &format!("WWW-Authenticate: {MD5}, stale=true"), b"");
    assert!(peer.sent().iter().all(|again| !again.headers().contains("Authorization")));
    peer.drain();
}

#[test]
fn what_a_trunk_calls_us_stands_in_our_via_and_in_the_contact_that_it_is_answered_with() {
    let our_name = crate::wire::Host::parse("bridge.example").ok();
    let here = Network { address: [192, 0, 2, 9].into(), prefix: 32 };
    for (networks, expected) in [(vec![here], "bridge.example:5060"), (Vec::new(), "192.0.2.1:5060")] {
        let mut peer = Peer::udp();
        let group = Neighborhood { networks, our_name: our_name.clone() };
        peer.us.set_neighbors(Neighbors::new(vec![group]));
        let outgoing = peer.outgoing();
        peer.us.invite(peer.now, outgoing);
        let invite = peer.sent_one();
        let via = header(&invite, "Via");
        assert!(via.starts_with(&format!("SIP/2.0/UDP {expected};branch=")), "{via}");
        peer.request("OPTIONS", 1, "z9hG4bKo", "", "", b"");
        let answer = peer.sent_one();
        let contact = header(&answer, "Contact");
        assert!(contact.ends_with(&format!("@{expected}>")), "{contact}");
    }
}

#[test]
fn requests_in_a_dialog_are_led_to_the_trunk_s_own_addresses_and_no_others() {
    let network = |address: [u8; 4], prefix| Network { address: address.into(), prefix };
    let group = |networks| Neighborhood { networks, our_name: None };
    let trunk = group(vec![network([192, 0, 2, 9], 32), network([203, 0, 113, 0], 24)]);
    let other = group(vec![network([198, 51, 100, 66], 32)]);
    for (head, to) in [
        ("Contact: <sip:bob@203.0.113.5:5070>", "203.0.113.5:5070"),
        ("Contact: <sip:bob@198.51.100.66>", "192.0.2.9:5060"),
        ("Contact: <sip:bob@192.0.2.9:5070>\nRecord-Route: <sip:198.51.100.66;lr>", "192.0.2.9:5060"),
        ("Contact: <sip:bob@198.51.100.66>\nRecord-Route: <sip:203.0.113.6;lr>", "203.0.113.6:5060"),
        ("Contact: <sip:bob@127.0.0.1:22;transport=tcp>", "192.0.2.9:5060"),
    ] {
        let mut peer = Peer::udp();
        peer.us.set_neighbors(Neighbors::new(vec![trunk.clone(), other.clone()]));
        let id = peer.us.invite(peer.now, outgoing(&peer, None));
        let invite = peer.sent_one();
        peer.answer(&invite, 200, "bob", head, ANSWER);
        peer.us.hangup(peer.now, id, None).expect("up");
        assert_eq!(peer.sent_words(), ["ACK", "BYE"], "{head}");
        for flow in &peer.flows {
            assert_eq!((flow.remote.to_string().as_str(), flow.transport), (to, Transport::Udp), "{head}");
        }
    }
}
