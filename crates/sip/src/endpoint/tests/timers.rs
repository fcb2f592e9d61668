//! Every wake-up of the endpoint, with its reason and its time.

use super::pair::{ANSWER, OFFER};
use super::peer::*;
use crate::endpoint::*;
use crate::transaction::TimerReason::{self, *};

/// What is scheduled from now on until nothing is, each kind of timer with the deadline it was first given.
fn schedule(peer: &mut Peer) -> Vec<(u64, TimerReason)> {
    let start = peer.now;
    let mut seen: Vec<(u64, TimerReason)> = Vec::new();
    loop {
        for (at, reason) in peer.us.timers.all() {
            if !seen.iter().any(|(_, known)| *known == reason) {
                seen.push(((at - start).as_millis() as u64, reason));
            }
        }
        let Some((at, reason)) = peer.us.poll_timeout() else { break };
        assert!(seen.iter().any(|(_, known)| *known == reason), "the next deadline carries its name");
        peer.now = at;
        peer.us.handle_timeout(at);
        peer.sent();
    }
    assert_eq!(peer.us.leftovers(), [""; 0]);
    seen.sort_by_key(|(at, _)| *at);
    seen
}

fn on(transport: Transport) -> Peer {
    Peer::with(transport, EndpointConfig::default())
}

#[test]
fn an_invite_that_nobody_answers() {
    let mut peer = on(Transport::Udp);
    peer.invite();
    let expected = [(500, TimerA), (3500, FirstResponse), (10_000, Provisional), (32_000, TimerB)];
    assert_eq!(schedule(&mut peer), expected);
    let mut peer = on(Transport::Tcp);
    peer.invite();
    assert_eq!(schedule(&mut peer), [(3500, FirstResponse), (10_000, Provisional), (32_000, TimerB)]);
}

#[test]
fn an_invite_that_gets_100_and_one_that_rings() {
    let mut peer = on(Transport::Udp);
    let (_, invite) = peer.invite();
    peer.answer(&invite, 100, "", "", b"");
    // The CANCEL is a request of its own, without an answer here.
    let expected = [(10_000, Provisional), (10_500, TimerE), (42_000, CancelUnanswered), (42_000, TimerF)];
    assert_eq!(schedule(&mut peer), expected);

    let mut peer = on(Transport::Tcp);
    let (_, invite) = peer.invite();
    peer.answer(&invite, 180, "bob", "", b"");
    assert_eq!(schedule(&mut peer), [(60_000, Ring), (92_000, CancelUnanswered), (92_000, TimerF)]);
}

#[test]
fn an_invite_that_is_refused_or_answered() {
    for (transport, expected) in [(Transport::Udp, vec![(32_000, TimerD)]), (Transport::Tcp, vec![])] {
        let mut peer = on(transport);
        let (_, invite) = peer.invite();
        peer.answer(&invite, 486, "bob", "", b"");
        assert_eq!(schedule(&mut peer), expected);
    }
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut peer = on(transport);
        let (_, invite) = peer.invite();
        let fork = |peer: &mut Peer| peer.answer(&invite, 200, "bob", "", ANSWER);
        fork(&mut peer);
        assert_eq!(peer.us.poll_timeout().map(|(_, reason)| reason), Some(TimerM));
        peer.sent();
        assert!(peer.wait_ms(32_000).is_empty());
        assert_eq!(peer.us.transactions(), 0);
        assert_eq!(peer.us.invites(), 1);
    }
}

#[test]
fn a_request_that_is_no_invite() {
    for (transport, expected) in
        [(Transport::Udp, vec![(500, TimerE), (32_000, TimerF)]), (Transport::Tcp, vec![(32_000, TimerF)])]
    {
        let mut peer = on(transport);
        let OutgoingInvite { flow, request_uri, from, to, contact, .. } = peer.outgoing();
        peer.us.options(
            peer.now,
            OutgoingOptions {
                flow,
                request_uri,
                from,
                to,
                contact,
                extra: Vec::new(),
                terms: Terms::default(),
            },
        );
        let options = peer.sent_one();
        assert_eq!(schedule(&mut peer), expected);
        peer.take_events();
        match peer.last() {
            Event::OptionsAnswered { outcome: Err(failure), rtt, .. } => {
                assert_eq!((failure.kind, rtt.as_secs()), (FailureKind::NoResponse, 32));
            }
            other => panic!("{other:?}"),
        }
        peer.answer(&options, 200, "bob", "", b"");
        assert!(matches!(peer.last(), Event::Discarded { .. }), "too late");
    }
    let mut peer = on(Transport::Udp);
    let (id, _) = peer.called_out();
    peer.us.hangup(peer.now, id, None).expect("up");
    let bye = peer.sent_one();
    peer.answer(&bye, 200, "bob", "", b"");
    assert_eq!(schedule(&mut peer), [(5000, TimerK), (32_000, TimerM)]);
}

#[test]
fn an_invite_that_we_refuse() {
    for (transport, expected) in
        [(Transport::Udp, vec![(500, TimerG), (32_000, TimerH)]), (Transport::Tcp, vec![(32_000, TimerH)])]
    {
        let mut peer = on(transport);
        let id = peer.offered();
        assert_eq!(peer.us.poll_timeout().map(|(_, reason)| reason), Some(AnswerDue));
        peer.us.reject(peer.now, id, 486, None, &[]).expect("rejected");
        assert_eq!(schedule(&mut peer), expected);
    }
    for (transport, expected) in [(Transport::Udp, vec![(5000, TimerI)]), (Transport::Tcp, vec![])] {
        let mut peer = on(transport);
        let id = peer.offered();
        peer.sent();
        peer.us.reject(peer.now, id, 486, None, &[]).expect("rejected");
        let tag = tag_of(&peer.sent_one());
        peer.request_as("ACK", "1 ACK", "z9hG4bKinvite", &tag, "", b"");
        assert_eq!(schedule(&mut peer), expected);
    }
}

#[test]
fn an_invite_that_we_answer() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut peer = on(transport);
        let id = peer.offered();
        peer.accept(id);
        let found = schedule(&mut peer);
        assert_eq!(found[0], (500, AcceptRetransmit));
        assert!(found.contains(&(32_000, AckMissing)) && found.contains(&(32_000, TimerL)));
        let mut peer = on(transport);
        peer.called_in();
        assert_eq!(peer.us.poll_timeout().map(|(_, reason)| reason), Some(TimerL));
    }
}

#[test]
fn a_bye_that_we_get() {
    for (transport, after) in [(Transport::Udp, Some(TimerJ)), (Transport::Tcp, None)] {
        let mut peer = on(transport);
        let (_, tag) = peer.called_in();
        peer.wait_ms(40_000);
        peer.request("BYE", 2, "z9hG4bKbye", &tag, "", b"");
        assert_eq!(peer.us.poll_timeout().map(|(_, reason)| reason), after);
        if after.is_some() {
            assert_eq!(schedule(&mut peer), [(32_000, TimerJ)]);
        }
    }
}

#[test]
fn a_reinvite_of_each_side() {
    let mut peer = on(Transport::Udp);
    let (id, tag) = peer.called_in();
    peer.wait_ms(40_000);
    peer.request("INVITE", 2, "z9hG4bKre", &tag, "", OFFER);
    assert_eq!(peer.us.poll_timeout().map(|(_, reason)| reason), Some(AnswerDue));
    peer.us.accept_reinvite(peer.now, id, Body::sdp(ANSWER)).expect("accepted");
    assert_eq!(peer.us.poll_timeout().map(|(_, reason)| reason), Some(AcceptRetransmit));
    peer.ack(2, &tag, b"");
    peer.wait_ms(40_000);
    assert_eq!(peer.us.poll_timeout(), None, "a quiet leg needs no timer");
    peer.sent();
    peer.us.reinvite(peer.now, id, Body::sdp(OFFER)).expect("sent");
    let ours = peer.sent_one();
    assert_eq!(peer.us.poll_timeout().map(|(_, reason)| reason), Some(TimerA));
    peer.answer(&ours, 491, "bob", "", b"");
    assert_eq!(peer.us.poll_timeout().map(|(_, reason)| reason), Some(GlareRetry));
}
