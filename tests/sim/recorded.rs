//! Those in a meeting hear that it is recorded, and nothing is recorded in a pause.

use std::time::Duration;

use bridge::PromptId::{
    self, FirstCaller, Joining, RecordingEnded, RecordingOn, RecordingPaused, RecordingResumed,
};
use server::control::Ask;
use server::recording::Format;
use tests::fixture::SAM;
use tests::{Caller, MICROSOFT, MICROSOFT_NUMBER, OPERATOR, OPERATOR_NUMBER, PhoneId, Setup, World};

use crate::cast::{join, keyed, listen};

fn ask(world: &mut World, ask: impl Fn(String) -> Ask) -> u16 {
    let ask = world.ask(ask(SAM.to_owned()));
    world.replies[&ask].status
}

fn record(world: &mut World) -> u16 {
    ask(world, |conference_id| Ask::StartRecording { conference_id, format: Format::Wav })
}

fn pause(world: &mut World, paused: bool) -> u16 {
    ask(world, |conference_id| Ask::PauseRecording { conference_id, paused })
}

/// What each phone hears next.
fn hear_next(world: &mut World, phones: [PhoneId; 2]) -> [Vec<PromptId>; 2] {
    let when = listen(world, Duration::from_secs(1));
    phones.map(|phone| world.phone(phone).ear.prompts(&when))
}

/// The tags of the happenings about recordings.
fn told(world: &World) -> Vec<&'static str> {
    let kinds = world.happened.iter().map(|happening| happening.kind);
    kinds.filter(|kind| kind.starts_with("recording")).collect()
}

#[test]
fn everybody_hears_that_the_meeting_is_recorded_also_who_joins() {
    let mut world = World::new(Setup::default());
    let alice = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2100), SAM);
    let bob = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER).tone(2300), SAM);
    world.seconds(2);
    assert_eq!(pause(&mut world, true), 409, "it is not recorded");
    assert_eq!(record(&mut world), 201);
    assert_eq!(hear_next(&mut world, [alice, bob]), [[RecordingOn], [RecordingOn]]);
    assert_eq!(world.shown[SAM]["recording_paused"], false);
    let carol = keyed(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER).tone(2500), SAM);
    let heard = world.phone(carol).ear.prompts(&(Duration::ZERO..world.elapsed()));
    assert_eq!(heard[heard.len() - 2..], [Joining, RecordingOn]);

    assert_eq!(pause(&mut world, true), 200);
    assert_eq!(hear_next(&mut world, [alice, carol]), [[RecordingPaused], [RecordingPaused]]);
    assert_eq!(world.shown[SAM]["recording_paused"], true);
    assert_eq!(pause(&mut world, false), 200);
    assert_eq!(hear_next(&mut world, [bob, carol]), [[RecordingResumed], [RecordingResumed]]);
    assert_eq!(ask(&mut world, |conference_id| Ask::StopRecording { conference_id }), 200);
    assert_eq!(hear_next(&mut world, [alice, bob]), [[RecordingEnded], [RecordingEnded]]);
    assert_eq!(
        told(&world),
        ["recording.started", "recording.paused", "recording.resumed", "recording.ended"]
    );
    world.close();
}

#[test]
fn who_presses_a_key_or_comes_at_that_moment_hears_it_too() {
    let mut world = World::new(Setup::default());
    let alice = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2100), SAM);
    world.seconds(2);
    world.press(alice, "*1");
    world.run(Duration::from_millis(400));
    assert_eq!(record(&mut world), 201);
    // The help is a dozen words, and nobody is cut off in it.
    let when = listen(&mut world, Duration::from_secs(5));
    let heard = world.phone(alice).ear.prompts(&when);
    assert_eq!(heard.last(), Some(&RecordingOn), "{heard:?}");
    assert!(!heard.contains(&FirstCaller));
    world.close();
}

#[test]
fn nothing_is_tapped_in_a_pause_and_what_follows_it_is_the_next_part() {
    let mut world = World::new(Setup::default());
    join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2100), SAM);
    record(&mut world);
    world.seconds(1);
    pause(&mut world, true);
    world.seconds(3);
    pause(&mut world, true);
    pause(&mut world, false);
    world.seconds(1);
    let mut parts = [0, 0, 0];
    let mut numbers = Vec::new();
    while let Ok(tapped) = world.tapped[0].pop() {
        parts[tapped.part as usize] += 1;
        numbers.push(tapped.number);
    }
    assert!((48..=51).contains(&parts[0]) && (48..=51).contains(&parts[1]) && parts[2] == 0, "{parts:?}");
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "there is no gap: {numbers:?}");
    world.close();
}
