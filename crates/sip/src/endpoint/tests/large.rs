//! Requests that are too large for a datagram (RFC 3261 section 18.1.1).

use std::time::Duration;

use super::pair::ANSWER;
use super::peer::*;
use crate::endpoint::*;
use crate::wire::Message;

const TCP: u16 = 5062;

/// A peer that is reached over UDP, while we listen over TCP as well.
fn peer() -> Peer {
    let tcp_listeners = vec!["[2001:db8::1]:5060", "192.0.2.1:5062"];
    let tcp_listeners = tcp_listeners.into_iter().map(|text| text.parse().expect("an address")).collect();
    Peer::with(Transport::Udp, EndpointConfig { tcp_listeners, ..EndpointConfig::default() })
}

fn invite(peer: &mut Peer, padding: usize) -> InviteId {
    let mut outgoing = peer.outgoing();
    outgoing.extra.push(("X-Padding".to_owned(), "x".repeat(padding)));
    peer.us.invite(peer.now, outgoing)
}

fn via(message: &Message) -> String {
    message.headers().get("Via").unwrap_or_default().to_owned()
}

/// Over what the last message went, and from which port.
fn way(peer: &Peer) -> (Transport, u16) {
    let flow = peer.flows.last().expect("something was sent");
    assert_eq!(flow.remote.ip(), peer.flow.remote.ip());
    (flow.transport, flow.local.port())
}

#[test]
fn a_request_of_more_than_1300_bytes_goes_over_tcp_and_says_so_and_one_of_1300_does_not() {
    let mut sizes = Vec::new();
    for padding in 0..1200 {
        let mut peer = peer();
        invite(&mut peer, padding);
        let request = peer.sent_one();
        let length = request.to_bytes().len();
        let (transport, port) = way(&peer);
        if transport == Transport::Udp {
            sizes.push(length);
            assert!(via(&request).starts_with("SIP/2.0/UDP 192.0.2.1:5060;branch="), "{}", via(&request));
        } else {
            assert_eq!(port, TCP);
            assert!(via(&request).starts_with("SIP/2.0/TCP 192.0.2.1:5062;branch="), "{}", via(&request));
        }
    }
    assert_eq!(sizes.iter().max(), Some(&1300));
    assert!(sizes.len() < 1200, "some went over TCP");
}

#[test]
fn the_dialog_of_a_large_invite_is_led_over_udp_again_and_its_refusal_is_acknowledged_over_tcp() {
    let mut peer = peer();
    let id = invite(&mut peer, 2000);
    let request = peer.sent_one();
    let over = Flow { transport: Transport::Tcp, connection: 3, ..peer.flow };
    let udp = std::mem::replace(&mut peer.flow, over);
    peer.answer(&request, 200, "bob", "", ANSWER);
    assert_eq!(peer.sent_words(), ["ACK"]);
    assert_eq!(way(&peer), (Transport::Udp, 5060));
    peer.us.hangup(peer.now, id, None).expect("up");
    let bye = peer.sent_one();
    assert_eq!(way(&peer), (Transport::Udp, 5060));
    peer.flow = udp;
    peer.answer(&bye, 200, "bob", "", b"");
    invite(&mut peer, 2000);
    let request = peer.sent_one();
    peer.flow = over;
    peer.answer(&request, 486, "bob", "", b"");
    assert_eq!(peer.sent_words(), ["ACK"]);
    assert_eq!(way(&peer).0, Transport::Tcp);
    peer.drain();
}

#[test]
fn where_tcp_is_refused_the_same_request_goes_as_a_datagram_and_the_next_one_at_once() {
    let mut peer = peer();
    let id = invite(&mut peer, 2000);
    let first = peer.sent_one();
    let tcp = *peer.flows.last().expect("a flow");
    peer.us.handle_flow_failed(peer.now, &Flow { connection: 9, ..tcp }, "connect: refused");
    let again = peer.sent_one();
    assert_eq!(way(&peer), (Transport::Udp, 5060));
    assert!(via(&again).starts_with("SIP/2.0/UDP 192.0.2.1:5060;branch="), "{}", via(&again));
    let branch = |message: &Message| message.via_top().and_then(|via| via.branch().map(str::to_owned));
    assert_eq!(
        (again.call_id(), branch(&again)),
        (first.call_id(), branch(&first)),
        "nobody has seen the first"
    );
    // It is a datagram now, and repeated as one.
    assert_eq!(peer.wait_ms(600).len(), 1);
    peer.answer(&again, 200, "bob", "", ANSWER);
    peer.sent();
    peer.us.hangup(peer.now, id, None).expect("up");
    let bye = peer.sent_one();
    peer.answer(&bye, 200, "bob", "", b"");
    invite(&mut peer, 2000);
    let second = peer.sent_one();
    assert_eq!(way(&peer).0, Transport::Udp, "it is remembered");
    peer.answer(&second, 486, "bob", "", b"");
    peer.drain();
    peer.now += Duration::from_mins(11);
    invite(&mut peer, 2000);
    let third = peer.sent_one();
    assert_eq!(way(&peer).0, Transport::Tcp, "and tried again after a while");
    peer.flow.transport = Transport::Tcp;
    peer.answer(&third, 486, "bob", "", b"");
    peer.drain();
}

#[test]
fn a_large_invite_that_was_given_up_is_not_sent_again_as_a_datagram() {
    let mut peer = peer();
    let id = invite(&mut peer, 2000);
    peer.sent_one();
    let tcp = *peer.flows.last().expect("a flow");
    peer.us.hangup(peer.now, id, None).expect("calling");
    peer.us.handle_flow_failed(peer.now, &tcp, "connect: no answer");
    assert!(peer.sent().is_empty());
    peer.drain();
}

#[test]
fn without_a_tcp_listener_of_the_family_large_requests_stay_datagrams() {
    let mut peer = Peer::udp();
    invite(&mut peer, 2000);
    peer.sent_one();
    assert_eq!(way(&peer).0, Transport::Udp);
}
