//! The first signal lets running calls end well, the second ends them.

use std::time::Duration;

use server::control::Input;
use tests::{Callee, Caller, Line, OPERATOR, OPERATOR_NUMBER, SAM, Setup, World};

use crate::cast::{LOUD, answered, hears, join, participants};

#[test]
fn a_node_that_drains_refuses_new_calls_and_dial_outs_and_lets_the_others_talk() {
    let mut world = World::new(Setup::default());
    let first = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2100), SAM);
    let keying = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2400));
    answered(&mut world, keying);
    world.seconds(1);
    world.feed(Input::Drain);
    let late = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
    world.seconds(1);
    assert!(
        matches!(world.phone(late).line, Line::Failed { status: 503, .. }),
        "{:?}",
        world.phone(late).line
    );
    let refused = world.sites[OPERATOR.0].got("SIP/2.0 503")[0].message();
    assert!(refused.headers().get("Retry-After").is_some(), "the SBC goes elsewhere");
    let ask = world.dial_out(SAM, "+4930111222", None);
    assert_eq!(world.replies[&ask].status, 503);
    world.press(keying, SAM);
    world.seconds(4);
    assert_eq!(participants(&world, SAM), 2, "who was answered may still join");
    assert!(hears(&mut world, first, 2400) > LOUD);
    world.seconds(600);
    assert_eq!(world.control.legs(), 2, "nobody is cut off");
    world.hang_up(first);
    world.hang_up(keying);
    world.seconds(1);
    assert_eq!(world.control.legs(), 0, "now the process may go");
    world.close();
}

#[test]
fn a_call_that_is_not_answered_yet_is_turned_away_by_a_drain() {
    let mut world = World::new(Setup { settles: Some(Duration::from_secs(3)), ..Setup::default() });
    let phone = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
    world.seconds(1);
    world.feed(Input::Drain);
    world.seconds(1);
    assert!(
        matches!(world.phone(phone).line, Line::Failed { status: 503, .. }),
        "{:?}",
        world.phone(phone).line
    );
    world.seconds(5);
    world.close();
}

#[test]
fn a_node_that_drains_tries_no_further_trunk() {
    let mut world = World::new(Setup::default());
    join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    world.sites[OPERATOR.0].callee = Callee::refuses(503);
    world.dial_out(SAM, "+33123456789", None);
    world.run(Duration::from_millis(200));
    world.feed(Input::Drain);
    world.seconds(3);
    assert!(world.sites[tests::ELBE.0].got("INVITE").is_empty());
    world.close();
}

#[test]
fn the_second_signal_ends_every_leg_with_its_record() {
    let mut world = World::new(Setup::default());
    let talking = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    let keying = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
    answered(&mut world, keying);
    world.sites[OPERATOR.0].callee = Callee::Rings;
    world.dial_out(SAM, "+4930111222", None);
    world.seconds(1);
    world.setup.settles = None;
    let waiting = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
    world.seconds(1);
    world.feed(Input::Drain);
    world.feed(Input::DrainNow);
    world.seconds(1);
    assert_eq!(world.control.legs(), 0);
    for phone in [talking, keying] {
        let Line::Over { by_bridge: true, reason } = &world.phone(phone).line else { panic!("no BYE") };
        assert!(reason.contains("cause=41"), "{reason}");
    }
    assert!(matches!(world.phone(waiting).line, Line::Failed { status: 503, .. }));
    assert_eq!(world.sites[OPERATOR.0].got("CANCEL").len(), 1);
    assert_eq!(world.finals().len(), 4);
    world.close();
}

#[test]
fn a_dial_out_may_be_cut_at_any_moment() {
    for step in 0..30 {
        let mut world = World::new(Setup { settles: Some(Duration::from_millis(30)), ..Setup::default() });
        let host = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
        world.sites[OPERATOR.0].callee = Callee::Refuses {
            ring: true,
            after: Duration::from_millis(200),
            status: 503,
            headers: Vec::new(),
        };
        world.sites[tests::ELBE.0].callee = Callee::Answers { ring: true, after: Duration::from_millis(300) };
        world.dial_out(SAM, "+33123456789", Some(true));
        world.run(Duration::from_millis(29 * step));
        if step % 2 == 0 {
            world.feed(Input::DrainNow);
        } else {
            world.hang_up(host);
        }
        world.close();
    }
}
