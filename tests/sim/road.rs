//! What the network does to speech, and what is heard of it in the meeting.

use std::time::Duration;

use tests::{
    Caller, Impairment, MICROSOFT, MICROSOFT_NUMBER, OPERATOR, OPERATOR_NUMBER, PhoneId, SAM, Setup, World,
};

use crate::cast::{LOUD, join, listen};

/// A talker (2100 Hz) on a perfect network and a listener.
fn pair() -> (World, PhoneId, PhoneId) {
    let mut world = World::new(Setup::default());
    let talker = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2100), SAM);
    let listener = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER), SAM);
    world.seconds(1);
    (world, talker, listener)
}

/// The share of the talker's speech that is heard while the network misbehaves for ten seconds, after two to adapt.
fn heard_under(media: Impairment) -> f64 {
    let (mut world, _, listener) = pair();
    world.net.media = media;
    world.seconds(2);
    let when = listen(&mut world, Duration::from_secs(10));
    let share = world.phone(listener).ear.share(2100, LOUD, &when);
    world.close();
    share
}

#[test]
fn five_percent_reordered_by_thirty_milliseconds_are_not_heard() {
    let media = Impairment { late: 0.05, late_by: Duration::from_millis(30), ..Impairment::NONE };
    let share = heard_under(media);
    assert!(share > 0.99, "{share}");
}

#[test]
fn a_hundred_milliseconds_of_jitter_are_waited_for() {
    let media = Impairment { jitter: Duration::from_millis(100), ..Impairment::NONE };
    // Our own packets suffer the same on their way to the listener, who plays them in the order of arrival.
    let share = heard_under(media);
    assert!(share > 0.97, "{share}");
}

#[test]
fn loss_costs_no_more_than_what_is_lost() {
    for (loss, least) in [(0.01, 0.98), (0.05, 0.93), (0.2, 0.75)] {
        let share = heard_under(Impairment { loss, ..Impairment::NONE });
        assert!(share > least, "{share} at a loss of {loss}");
    }
}

#[test]
fn another_stream_in_the_middle_of_a_call_is_taken_over_within_sixty_milliseconds() {
    let (mut world, talker, listener) = pair();
    let begin = world.elapsed();
    world.phone_mut(talker).mouth.restart();
    let when = listen(&mut world, Duration::from_secs(2));
    let missing: Vec<Duration> = world
        .phone(listener)
        .ear
        .packets
        .iter()
        .filter(|packet| when.contains(&packet.at) && !tests::ear::has(packet, 2100, LOUD / 2.0))
        .map(|packet| packet.at.saturating_sub(begin))
        .collect();
    assert!(missing.len() <= 5, "silence at {missing:?}");
    world.close();
}

#[test]
fn the_clock_on_the_wall_may_be_set_and_durations_stay_true() {
    for step in [3600, -3600] {
        let (mut world, talker, listener) = pair();
        let answered = world.phone(talker).answered.expect("it is up");
        world.wall_step = step;
        world.seconds(20);
        let lasted = world.since(answered).as_millis() as i64;
        world.hang_up(talker);
        world.seconds(1);
        let record = world.finals()[0].clone();
        let duration = record["end"]["duration_ms"].as_i64().expect("milliseconds");
        assert!((duration - lasted).abs() < 50, "{duration} instead of {lasted}");
        assert_eq!(record["end"]["wall_clock_stepped"], true);
        assert_eq!(world.phone(listener).line, tests::Line::Up);
        world.close();
    }
}
