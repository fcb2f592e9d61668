//! Channels, calls per second, and the disk.

use std::time::Duration;

use server::control::{Ask, Input};
use server::media::gauges::ShardLoad;
use server::recording::Format;
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
fn without_a_free_port_a_call_is_refused_for_a_while_and_told_so() {
    let mut world = World::new(Setup { ports: "20000-20003", ..Setup::default() });
    join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    let third = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
    world.seconds(1);
    assert_eq!(refusal(&world, third), 503);
    let refused = world.sites[OPERATOR.0].got("SIP/2.0 503")[0].message();
    let seconds: u32 =
        refused.headers().get("Retry-After").and_then(|text| text.parse().ok()).expect("seconds");
    assert!((5..=10).contains(&seconds), "{seconds}");
    world.close();
}

#[test]
fn recordings_that_begin_in_the_same_millisecond_have_files_of_their_own() {
    let mut world = World::new(Setup::default());
    join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    let conference_id = SAM.to_owned();
    let mut files: Vec<String> = (0..3)
        .map(|_| {
            let begun =
                world.ask(Ask::StartRecording { conference_id: conference_id.clone(), format: Format::Wav });
            world.ask(Ask::StopRecording { conference_id: conference_id.clone() });
            assert_eq!(world.replies[&begun].status, 201);
            world.replies[&begun].body["file"].to_string()
        })
        .collect();
    files.dedup();
    assert_eq!(files.len(), 3, "{files:?}");
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

/// What the metrics count of legs refused for the sake of the others.
fn refused_for(world: &World, direction: &str, reason: &str) -> u64 {
    world.metrics.legs_refused.with_label_values(&[direction, reason]).get()
}

#[test]
fn while_the_media_threads_are_busy_new_legs_are_refused_and_running_ones_stay() {
    let mut world = World::new(Setup::default());
    let first = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    let busy = ShardLoad { busy: 0.9, overdue: 0.0, legs: 1000 };
    // One of the two still takes legs.
    world.measure(0, busy);
    join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    world.measure(1, busy);
    let third = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
    world.seconds(1);
    assert_eq!(refusal(&world, third), 503);
    let refused = world.sites[OPERATOR.0].got("SIP/2.0 503")[0].message();
    let seconds: u32 =
        refused.headers().get("Retry-After").and_then(|text| text.parse().ok()).expect("seconds");
    assert!((5..=10).contains(&seconds), "{seconds}");
    let reason = refused.headers().get("Reason").expect("a reason").to_string();
    assert!(reason.contains("busy for more than 85 %"), "{reason}");
    let ask = world.dial_out(SAM, "+4930111222", None);
    assert_eq!(world.replies[&ask].status, 503);
    let detail = world.replies[&ask].body["detail"].to_string();
    assert!(detail.contains("try again in 5 s"), "{detail}");
    assert_eq!((refused_for(&world, "in", "load"), refused_for(&world, "out", "load")), (1, 1));
    world.seconds(5);
    assert_eq!(participants(&world, SAM), 2);
    assert_eq!(world.phone(first).line, Line::Up);

    // A little better is not enough, or the answer would change with every leg.
    world.measure(1, ShardLoad { busy: 0.75, ..busy });
    let fourth = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
    world.seconds(1);
    assert_eq!(refusal(&world, fourth), 503);
    world.measure(1, ShardLoad { busy: 0.6, ..busy });
    join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    world.close();
}

#[test]
fn while_the_media_threads_run_late_new_legs_are_refused() {
    let mut world = World::new(Setup::default());
    for shard in 0..2 {
        world.measure(shard, ShardLoad { busy: 0.1, overdue: 0.02, legs: 0 });
    }
    let phone = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
    world.seconds(1);
    assert_eq!(refusal(&world, phone), 503);
    assert_eq!(refused_for(&world, "in", "lateness"), 1);
    world.measure(0, ShardLoad::default());
    join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    world.close();
}

#[test]
fn new_conferences_go_to_the_media_thread_with_the_least_to_do() {
    let mut world = World::new(Setup::default());
    world.measure(0, ShardLoad { busy: 0.5, overdue: 0.0, legs: 500 });
    for _ in 0..4 {
        join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    }
    assert_eq!([0, 1].map(|shard: usize| world.shards[shard].shard.len()), [0, 4]);
    world.close();
}

#[test]
fn calls_beyond_the_rate_cost_one_message_each_and_come_back_at_different_times() {
    let lines = "calls_per_second = 2";
    let mut world = World::new(Setup { operator_lines: lines, ..Setup::default() });
    let host = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    world.seconds(3);
    let calls: Vec<PhoneId> = (0..40).map(|_| world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER))).collect();
    world.run(Duration::from_millis(300));
    let refused = world.sites[OPERATOR.0].got("SIP/2.0 503");
    assert_eq!(refused.len(), 38);
    assert_eq!(world.sites[OPERATOR.0].got("SIP/2.0 100").len(), 3, "a refusal is not even tried");
    let seconds: std::collections::BTreeSet<u32> = refused
        .iter()
        .filter_map(|received| {
            received.message().headers().get("Retry-After").and_then(|text| text.parse().ok())
        })
        .collect();
    assert_eq!(seconds, [1, 2].into(), "not all at once");
    let reason = refused[0].message().headers().get("Reason").map(ToString::to_string).expect("a Reason");
    assert!(reason.contains("calls_per_second"), "{reason}");
    assert_eq!(world.phone(host).line, Line::Up);
    for phone in calls {
        if !world.phone(phone).is_over() {
            world.hang_up(phone);
        }
    }
    world.seconds(40);
    world.close();
}

#[test]
fn while_signalling_is_overwhelmed_new_calls_get_503_and_running_ones_are_served() {
    let mut world = World::new(Setup::default());
    let host = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    let leaves = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    world.feed(Input::Busy { share: 1.0, waiting: 5000 });
    let late = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
    world.seconds(1);
    assert_eq!(refusal(&world, late), 503);
    world.hang_up(leaves);
    world.seconds(1);
    assert_eq!(participants(&world, SAM), 1, "a BYE is served");
    assert_eq!(world.phone(host).line, Line::Up);
    for _ in 0..30 {
        world.feed(Input::Busy { share: 0.1, waiting: 0 });
    }
    let taken = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
    answered(&mut world, taken);
    world.close();
}
