//! Whole calls between two endpoints.

use super::pair::*;
use crate::endpoint::*;

#[test]
fn an_invite_is_answered_100_at_once_then_200_ack_and_bye() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut pair = Pair::new(transport, 7, Impairment::default());
        let a = pair.invite();
        pair.run_ms(20);
        assert!(pair.sent_by(Side::B)[0].starts_with("SIP/2.0 100"), "{:?}", pair.trace);
        let b = pair.offered();
        pair.b.progress(pair.now, b, 180, None).expect("ringing");
        pair.run_ms(20);
        assert!(matches!(pair.a_events.last(), Some(Event::Progress { status: 180, .. })));
        pair.b.accept(pair.now, b, Body::sdp(ANSWER), &[]).expect("accepted");
        pair.run_ms(50);
        assert!(
            matches!(pair.a_events.last(), Some(Event::Answered { body: Some(body), .. }) if body == ANSWER)
        );
        assert!(matches!(pair.b_events.last(), Some(Event::Established { answer: None, .. })));
        pair.a.hangup(pair.now, a, Some("Q.850;cause=16")).expect("hung up");
        pair.run_ms(50);
        assert!(matches!(pair.a_events.last(), Some(Event::Ended { end: End::Local, .. })));
        match pair.b_events.last() {
            Some(Event::Ended { end: End::Bye { reason: Some(reason) }, .. }) => {
                assert_eq!(reason, "Q.850;cause=16");
            }
            other => panic!("{other:?}"),
        }
        pair.drain();
    }
}

#[test]
fn the_called_side_hangs_up_too() {
    let mut pair = Pair::udp();
    let (_, b) = pair.up();
    pair.b.hangup(pair.now, b, None).expect("hung up");
    pair.run_ms(50);
    assert!(matches!(pair.a_events.last(), Some(Event::Ended { end: End::Bye { reason: None }, .. })));
    pair.drain();
}

#[test]
fn both_sides_reinvite_at_once_and_both_offers_are_answered_in_the_end() {
    let mut pair = Pair::udp();
    let (a, b) = pair.up();
    pair.a.reinvite(pair.now, a, Body::sdp(OFFER)).expect("sent");
    pair.b.reinvite(pair.now, b, Body::sdp(OFFER)).expect("sent");
    let mut answered = [0, 0];
    for _ in 0..100 {
        pair.run_ms(100);
        for (side, endpoint, events) in
            [(0, &mut pair.a, &mut pair.a_events), (1, &mut pair.b, &mut pair.b_events)]
        {
            for event in events.drain(..) {
                match event {
                    Event::ReinviteReceived { id, .. } => {
                        endpoint.accept_reinvite(pair.now, id, Body::sdp(ANSWER)).expect("accepted");
                    }
                    Event::ReinviteAnswered { .. } => answered[side] += 1,
                    Event::ReinviteFailed { .. } | Event::Ended { .. } => panic!("{event:?}"),
                    _ => {}
                }
            }
        }
    }
    assert_eq!(answered, [1, 1]);
    assert!(pair.sent_by(Side::A).iter().any(|line| line.starts_with("SIP/2.0 491")));
    assert!(pair.sent_by(Side::B).iter().any(|line| line.starts_with("SIP/2.0 491")));
    pair.a.hangup(pair.now, a, None).expect("up");
    pair.drain();
}

#[test]
fn a_cancel_and_a_200_that_cross_on_the_wire_end_in_ack_and_bye_on_both_sides() {
    let mut pair = Pair::udp();
    let a = pair.invite();
    pair.run_ms(20);
    let b = pair.offered();
    pair.b.accept(pair.now, b, Body::sdp(ANSWER), &[]).expect("accepted");
    pair.a.hangup(pair.now, a, None).expect("hung up");
    pair.run_ms(100);
    assert_eq!(pair.sent_by(Side::A)[1].split(' ').next(), Some("CANCEL"));
    assert!(matches!(pair.a_events.last(), Some(Event::Failed { .. })));
    assert!(matches!(pair.b_events.last(), Some(Event::Ended { end: End::Bye { .. }, .. })));
    pair.drain();
}

#[test]
fn options_is_answered_200_and_503_while_draining() {
    let mut pair = Pair::udp();
    let outgoing = pair.outgoing(false);
    let options = OutgoingOptions {
        flow: outgoing.flow,
        request_uri: outgoing.request_uri,
        from: outgoing.from,
        to: outgoing.to,
        contact: outgoing.contact,
        extra: Vec::new(),
        terms: Terms::default(),
    };
    pair.a.options(pair.now, options.clone());
    pair.run_ms(50);
    match pair.a_events.last() {
        Some(Event::OptionsAnswered { outcome: Ok(200), rtt, .. }) => assert_eq!(rtt.as_millis(), 10),
        other => panic!("{other:?}"),
    }
    pair.b.set_readiness(Readiness::Draining { retry_after: 5 });
    pair.a.options(pair.now, options);
    pair.run_ms(50);
    assert!(matches!(pair.a_events.last(), Some(Event::OptionsAnswered { outcome: Ok(503), .. })));
    let a = pair.invite();
    pair.run_ms(50);
    match pair.a_events.last() {
        Some(Event::Failed { id, failure }) => {
            assert_eq!((*id, failure.status, failure.retry_after), (a, 503, Some(5)));
        }
        other => panic!("{other:?}"),
    }
    pair.drain();
}
