//! OPTIONS: who is Up, Suspect and Down, and what follows from it.

use std::time::Duration;

use routing::TrunkId;
use sip::Readiness;
use tests::{Callee, Caller, OPERATOR, OPERATOR_NUMBER, SAM, Setup, World};
use trunk::State;

use crate::cast::join;

fn state(world: &World) -> State {
    world.control.trunk_state(&TrunkId::new("rhein"))
}

fn gauge(world: &World) -> bool {
    world.metrics.page().lines().any(|line| line == "partyline_trunk_up{trunk=\"rhein\"} 1")
}

/// Lets time pass until the state is reached; the seconds that it took.
fn seconds_to(world: &mut World, wanted: State) -> u64 {
    let begin = world.elapsed();
    world.until(&format!("{wanted:?}"), Duration::from_mins(5), |world| state(world) == wanted);
    world.since(begin).as_secs()
}

#[test]
fn a_trunk_is_up_once_it_answers_and_pinged_every_thirty_seconds() {
    let mut world = World::new(Setup::default());
    assert_eq!((state(&world), gauge(&world)), (State::Suspect, false));
    world.seconds(6);
    assert_eq!((state(&world), gauge(&world)), (State::Up, true));
    world.seconds(300);
    let pings = world.sites[OPERATOR.0].got("OPTIONS").len();
    assert!((10..=13).contains(&pings), "{pings} pings in five minutes");
    world.close();
}

#[test]
fn one_miss_is_suspect_three_are_down_and_an_answer_is_up_again() {
    let mut world = World::new(Setup::default());
    world.seconds(6);
    world.sites[OPERATOR.0].alive = false;
    let suspect = seconds_to(&mut world, State::Suspect);
    assert!(suspect <= 40, "{suspect} s");
    let down = seconds_to(&mut world, State::Down);
    assert!((55..=65).contains(&down), "two more misses, thirty seconds apart: {down} s");
    assert!(!gauge(&world));
    world.sites[OPERATOR.0].alive = true;
    let up = seconds_to(&mut world, State::Up);
    assert!(up <= 31, "{up} s");
    assert!(gauge(&world));
    world.close();
}

#[test]
fn an_answer_that_is_not_accepted_is_a_miss_and_a_live_call_is_health() {
    let mut world = World::new(Setup::default());
    world.seconds(6);
    let drained = Readiness::Draining { retry_after: 5 };
    world.sites[OPERATOR.0].endpoint.as_mut().expect("an endpoint").set_readiness(drained);
    seconds_to(&mut world, State::Down);
    join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    assert_ne!(state(&world), State::Down, "it has just carried a call");
    world.close();
}

#[test]
fn an_invite_that_meets_silence_makes_us_ask_at_once() {
    let mut world = World::new(Setup::default());
    join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    world.seconds(60);
    world.sites[OPERATOR.0].alive = false;
    world.seconds(2);
    let before = world.sites[OPERATOR.0].got("OPTIONS").len();
    world.dial_out(SAM, "+33123456789", None);
    world.run(Duration::from_millis(3700));
    assert!(world.sites[OPERATOR.0].got("OPTIONS").len() > before);
    assert_eq!(state(&world), State::Suspect);
    world.sites[OPERATOR.0].alive = true;
    world.seconds(2);
    assert_eq!(state(&world), State::Up);
    world.close();
}

#[test]
fn a_trunk_that_flaps_must_answer_for_a_while_before_it_is_up_again() {
    let mut world = World::new(Setup::default());
    world.seconds(6);
    let mut recoveries = Vec::new();
    for _ in 0..3 {
        world.sites[OPERATOR.0].alive = false;
        seconds_to(&mut world, State::Down);
        world.sites[OPERATOR.0].alive = true;
        recoveries.push(seconds_to(&mut world, State::Up));
    }
    assert!(recoveries[0] <= 31 && recoveries[1] <= 31, "{recoveries:?}");
    assert!((60..=95).contains(&recoveries[2]), "{recoveries:?}");
    world.close();
}

#[test]
fn a_trunk_that_is_down_is_tried_last_and_not_waited_for() {
    let mut world = World::new(Setup::default());
    let host = join(&mut world, &Caller::to(tests::MICROSOFT, tests::MICROSOFT_NUMBER), SAM);
    world.sites[OPERATOR.0].alive = false;
    seconds_to(&mut world, State::Down);
    world.sites[tests::ELBE.0].callee = Callee::Answers { ring: true, after: Duration::from_secs(1) };
    let begin = world.elapsed();
    world.dial_out(SAM, "+33123456789", None);
    world.until("the callee is in", Duration::from_secs(9), |world| {
        crate::cast::participants(world, SAM) == 2
    });
    assert!(world.since(begin) < Duration::from_millis(1200), "not 3.5 s for a trunk known to be down");
    world.hang_up(host);
    world.sites[OPERATOR.0].alive = true;
    world.close();
}

#[test]
fn our_own_options_are_answered() {
    let mut world = World::new(Setup::default());
    let call = tests::RawCall::new(world.sites[OPERATOR.0].address, OPERATOR_NUMBER, "ping", String::new());
    world.sites[OPERATOR.0].endpoint = None;
    world.send_raw(call.from, call.request("OPTIONS", "z9hG4bKping", 1, "", ""));
    world.run(Duration::from_millis(50));
    assert_eq!(world.sites[OPERATOR.0].got("SIP/2.0 200").len(), 1);
    world.feed(server::control::Input::Drain);
    world.send_raw(call.from, call.request("OPTIONS", "z9hG4bKping2", 2, "", ""));
    world.run(Duration::from_millis(50));
    assert_eq!(world.sites[OPERATOR.0].got("SIP/2.0 503").len(), 1, "a node that drains says so");
    world.close();
}
