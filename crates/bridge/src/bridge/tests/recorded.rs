//! Who hears that a meeting is recorded.

use super::World;
use crate::command::{Command, Sound, Word};
use crate::event::{Event, RecordingChange};
use crate::id::{ConferenceId, LegId};
use crate::prompt::PromptId::{
    self, FirstCaller, Joining, RecordingEnded, RecordingOn, RecordingPaused, RecordingResumed,
};

const MEETING: &str = "131313131";
/// Its organizer wants no notice.
const UNTOLD: &str = "171717171";
const PETRA: &str = "+14255550101";
const EVE: &str = "+14255550102";
const BOB: &str = "+14255550103";

fn record(world: &mut World, change: RecordingChange) {
    let conference = *world.bridge.conferences.keys().next().expect("open");
    world.tell(Event::Recording { conference, change });
}

/// What everybody hears, and what is whispered to whom.
fn told(world: &mut World) -> (Vec<PromptId>, Vec<(LegId, Word)>) {
    let (mut all, mut few) = (Vec::new(), Vec::new());
    for command in world.take() {
        match command {
            Command::PlayAll { sound: Sound::Prompts(prompts), except: None, .. } => all.extend(prompts),
            Command::Whisper { leg, words, .. } => few.extend(words.into_iter().map(|one| (leg, one))),
            _ => {}
        }
    }
    (all, few)
}

#[test]
fn everybody_hears_that_a_recording_begins_pauses_goes_on_and_ends() {
    let mut world = World::new();
    let petra = world.organizer(PETRA, MEETING);
    world.prompt_ends(petra);
    world.take();
    for (change, prompt) in [
        (RecordingChange::Started, RecordingOn),
        (RecordingChange::Paused, RecordingPaused),
        (RecordingChange::Resumed, RecordingResumed),
        (RecordingChange::Ended, RecordingEnded),
    ] {
        record(&mut world, change);
        assert_eq!(told(&mut world), (vec![prompt], Vec::new()), "{change:?}");
    }
}

#[test]
fn who_joins_a_recorded_meeting_hears_so_unless_nothing_is_recorded_then() {
    let mut world = World::new();
    world.organizer(PETRA, MEETING);
    for (change, heard) in [
        (RecordingChange::Started, &[Joining, RecordingOn][..]),
        (RecordingChange::Paused, &[Joining]),
        (RecordingChange::Resumed, &[Joining, RecordingOn]),
        (RecordingChange::Ended, &[Joining]),
    ] {
        record(&mut world, change);
        let eve = world.keyed(EVE, MEETING);
        assert_eq!(world.heard(eve), heard, "{change:?}");
        world.bye(eve);
    }
}

#[test]
fn who_is_being_told_something_else_hears_it_after_that() {
    let mut world = World::new();
    let petra = world.organizer(PETRA, MEETING);
    let (eve, bob) = (world.keyed(EVE, MEETING), world.keyed(BOB, MEETING));
    world.prompt_ends(petra);
    world.prompt_ends(bob);
    world.take();
    record(&mut world, RecordingChange::Started);
    assert_eq!(told(&mut world), (vec![RecordingOn], vec![(eve, Word::Prompt(RecordingOn))]));
}

#[test]
fn a_key_does_not_take_the_notice_away_that_waits_behind_what_it_stops() {
    let mut world = World::new();
    let petra = world.organizer(PETRA, MEETING);
    world.prompt_ends(petra);
    let eve = world.keyed(EVE, MEETING);
    record(&mut world, RecordingChange::Started);
    let whispered = vec![(eve, Word::Prompt(RecordingOn))];
    assert_eq!(told(&mut world).1, whispered);
    world.press(eve, "*");
    assert_eq!(told(&mut world).1, whispered, "what she was told is stopped, and the notice comes again");
    world.press(eve, "6");
    assert_eq!(told(&mut world).1, Vec::new(), "it plays: a key stops nothing");
    world.press(eve, "*");
    assert_eq!(
        told(&mut world).1,
        whispered,
        "the answer that waited behind the notice is stopped, the notice is not"
    );
    world.tell(Event::ClipEnded { leg: eve, token: 0 });
    world.press(eve, "1*");
    assert_eq!(told(&mut world).1, Vec::new(), "once heard it does not come again");
}

#[test]
fn a_key_while_who_joins_is_told_of_the_recording_does_not_keep_it_from_him() {
    let mut world = World::new();
    world.organizer(PETRA, MEETING);
    record(&mut world, RecordingChange::Started);
    let (eve, bob) = (world.keyed(EVE, MEETING), world.keyed(BOB, MEETING));
    world.prompt_ends(bob);
    world.take();
    world.press(eve, "*");
    world.press(bob, "*1*");
    assert_eq!(told(&mut world).1, [(eve, Word::Prompt(RecordingOn))], "bob has heard it, eve has not");
}

#[test]
fn nobody_hears_it_where_the_organizer_or_the_bridge_says_so() {
    let mut world = World::new();
    let petra = world.keyed(PETRA, UNTOLD);
    assert_eq!(world.heard(petra), [FirstCaller]);
    record(&mut world, RecordingChange::Started);
    assert_eq!(told(&mut world), (Vec::new(), Vec::new()));
    let eve = world.keyed(EVE, UNTOLD);
    assert_eq!(world.heard(eve), [Joining]);
}

#[test]
fn a_recording_of_a_meeting_that_is_over_is_no_more_to_tell() {
    let mut world = World::new();
    world.tell(Event::Recording { conference: ConferenceId(99), change: RecordingChange::Started });
    assert!(world.take().is_empty());
    world.assert_empty();
}
