//! Channels, calls per second, and the disk.

use std::time::Duration;

use tests::{Callee, Caller, Line, OPERATOR, OPERATOR_NUMBER, PhoneId, SAM, Setup, World};

use crate::cast::{answered, join, participants};

fn refusal(world: &World, phone: PhoneId) -> u16 {
    match &world.phone(phone).line {
        Line::Failed { status, .. } => *status,
        other => panic!("not refused but {other:?}"),
    }
}

#[test]
fn a_trunk_takes_as_many_calls_as_it_has_channels_and_a_free_one_is_taken_again() {
    let lines = "max_concurrent_sessions = 2";
    let mut world = World::new(Setup { operator_lines: lines, ..Setup::default() });
    let first = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    let third = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
    world.seconds(1);
    assert_eq!(refusal(&world, third), 503);
    let refused = world.sites[OPERATOR.0].got("SIP/2.0 503")[0].message();
    assert!(refused.headers().get("Retry-After").is_some());
    world.hang_up(first);
    world.seconds(1);
    let fourth = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
    answered(&mut world, fourth);
    world.close();
}

#[test]
fn dial_out_without_a_free_channel_takes_the_next_trunk() {
    let lines = "max_concurrent_sessions = 1";
    let mut world = World::new(Setup { operator_lines: lines, ..Setup::default() });
    join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    world.dial_out(SAM, "+33123456789", None);
    world.seconds(4);
    assert_eq!(participants(&world, SAM), 2);
    assert!(world.sites[OPERATOR.0].got("INVITE").is_empty());
    world.close();
}

#[test]
fn calls_per_second_are_limited() {
    let lines = "calls_per_second = 3";
    let mut world = World::new(Setup { operator_lines: lines, ..Setup::default() });
    let phones: Vec<PhoneId> = (0..10).map(|_| world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER))).collect();
    world.seconds(1);
    let up = phones.iter().filter(|&&phone| world.phone(phone).line == Line::Up).count();
    assert!((3..=4).contains(&up), "{up}");
    world.seconds(2);
    let later = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
    answered(&mut world, later);
    world.close();
}

#[test]
fn a_failed_dial_out_gives_its_channel_back() {
    let lines = "max_concurrent_sessions = 2";
    let mut world = World::new(Setup { operator_lines: lines, ..Setup::default() });
    join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    world.sites[OPERATOR.0].callee = Callee::refuses(486);
    for _ in 0..5 {
        world.dial_out(SAM, "+4930111222", None);
        world.seconds(2);
    }
    assert_eq!(world.sites[OPERATOR.0].got("INVITE").len(), 5, "one channel served five calls in turn");
    world.close();
}

#[test]
fn a_call_waits_for_its_start_record_and_not_longer_than_five_seconds() {
    for (settles, served) in [(Some(4_900), true), (Some(5_200), false), (None, false)] {
        let settles = settles.map(Duration::from_millis);
        let mut world = World::new(Setup { settles, ..Setup::default() });
        let phone = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
        world.run(Duration::from_millis(4_500));
        assert!(
            world.sites[OPERATOR.0].got("SIP/2.0 200 OK").iter().all(|ok| ok.message().body().is_empty())
        );
        world.seconds(2);
        if served {
            assert_eq!(world.phone(phone).line, Line::Up);
        } else {
            assert_eq!(refusal(&world, phone), 503);
            assert_eq!(world.finals()[0]["end"]["result"], "refused");
        }
        world.close();
    }
}

#[test]
fn nobody_is_dialed_before_the_start_record_is_safe() {
    let mut world = World::new(Setup::default());
    join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    world.setup.settles = None;
    assert_eq!(world.dial_out(SAM, "+4930111222", None), 1);
    world.seconds(10);
    assert!(world.sites[OPERATOR.0].got("INVITE").is_empty());
    assert!(
        world
            .finals()
            .iter()
            .any(|record| record["call_type"] == "conf_out" && record["end"]["result"] == "failed")
    );
    assert_eq!(world.shown[SAM]["callees"].as_array().map(Vec::len), Some(0));
    world.close();
}
