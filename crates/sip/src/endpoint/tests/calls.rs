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
