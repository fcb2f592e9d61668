//! Names at the door, and who hears of whom.

use super::World;
use crate::command::{Command, Sound, Tone, Word};
use crate::event::Event;
use crate::id::{ConferenceId, LegId};
use crate::naming::{LONGEST_NAME, SpokenName};
use crate::prompt::PromptId::{
    AndOthers, Digit2, Digit3, FirstCaller, HasJoined, HasLeft, HaveJoined, JoinAsParticipant, Joining,
    LobbyWait, PeopleHere, PeopleJoined, PinNotRecognized, SayName, Somebody, ThereAre,
};
use crate::returning::REMEMBERED;
use crate::{Action, PromptId};
use std::sync::Arc;
use std::time::Duration;

/// Nora's: anybody may start it, names are said.
const MEETING: &str = "181818181";
/// Hers too: callers wait in the lobby.
const STRICT: &str = "191919191";
const PETRA: &str = "+14255550101";
const EVE: &str = "+14255550102";
const BOB: &str = "+14255550103";

const SECOND: Duration = Duration::from_secs(1);

fn name() -> SpokenName {
    SpokenName::new(Arc::new(()), SECOND)
}

/// Says a name after the tone; the shell has looked at it.
fn says(world: &mut World, leg: LegId, name: &SpokenName) {
    assert_eq!(world.state(leg), Some("naming"));
    world.prompt_ends(leg);
    world.pass(SECOND);
    world.press(leg, "#");
    world.tell(Event::Named { leg, name: Some(name.clone()) });
}

/// Somebody who has said his name and is in the meeting.
fn named(world: &mut World, caller: &str, name: &SpokenName) -> LegId {
    let leg = world.keyed(caller, MEETING);
    says(world, leg, name);
    assert!(world.is_in_conference(leg));
    leg
}

/// Somebody who has said none.
fn nameless(world: &mut World, caller: &str) -> LegId {
    let leg = world.keyed(caller, MEETING);
    world.press(leg, "#1");
    assert!(world.is_in_conference(leg));
    leg
}

/// What all hear, who does not, and what is whispered to whom.
type Heard = (Vec<(Vec<Word>, Option<LegId>)>, Vec<(LegId, Vec<Word>)>);

fn heard(world: &mut World) -> Heard {
    let mut heard = Heard::default();
    for command in world.take() {
        match command {
            Command::PlayAll { sound: Sound::Words(words), except, .. } => heard.0.push((words, except)),
            Command::PlayAll { sound: Sound::Tone(tone), .. } => panic!("a tone: {tone:?}"),
            Command::Whisper { leg, words, .. } => heard.1.push((leg, words)),
            _ => {}
        }
    }
    heard
}

fn words(prompts: &[PromptId]) -> Vec<Word> {
    prompts.iter().copied().map(Word::Prompt).collect()
}

#[test]
fn a_caller_says_his_name_after_the_tone_and_the_others_hear_it_once_he_is_in() {
    let mut world = World::new();
    let (hers, his) = (name(), name());
    let eve = named(&mut world, EVE, &hers);
    world.pass(5 * SECOND);
    world.take();
    let bob = world.keyed(BOB, MEETING);
    let asked = world.take().into_iter().find_map(|command| match command {
        Command::Speak { leg, words, .. } if leg == bob => Some(words),
        _ => None,
    });
    assert_eq!(asked, Some(vec![Word::Prompt(SayName), Word::Tone(Tone::Name)]));
    says(&mut world, bob, &his);
    let commands = world.take();
    let done: Vec<&str> = commands
        .iter()
        .filter_map(|command| match command {
            Command::RecordName { leg, .. } if *leg == bob => Some("record"),
            Command::KeepName { leg, .. } if *leg == bob => Some("keep"),
            Command::Seat { leg, .. } if *leg == bob => Some("seat"),
            _ => None,
        })
        .collect();
    assert_eq!(done, ["record", "keep", "seat"]);
    world.pass(SECOND);
    assert_eq!(
        heard(&mut world),
        (vec![(vec![Word::Name(his.clone()), Word::Prompt(HasJoined)], Some(bob))], Vec::new())
    );
    world.pass(10 * SECOND);
    world.bye(bob);
    world.pass(SECOND);
    assert_eq!(heard(&mut world).0, [(vec![Word::Name(his), Word::Prompt(HasLeft)], None)]);
    world.bye(eve);
    world.assert_empty();
}

#[test]
fn a_name_ends_after_five_seconds_and_who_says_none_comes_in_without_one() {
    let mut world = World::new();
    let eve = world.keyed(EVE, MEETING);
    world.press(eve, "#");
    assert_eq!(world.state(eve), Some("naming"), "the pound belongs to the ID");
    world.prompt_ends(eve);
    world.pass(LONGEST_NAME);
    assert!(world.is_in_conference(eve));
    assert_eq!(world.heard(eve), [FirstCaller]);
    world.tell(Event::Named { leg: eve, name: None });
    let bob = nameless(&mut world, BOB);
    assert_eq!(world.heard(bob), [Joining]);
    world.press(eve, "*3");
    assert_eq!(world.heard(eve), [ThereAre, Digit2, PeopleHere], "nobody has a name, and a number is masked");
}

#[test]
fn three_who_come_within_a_second_are_said_together_and_a_crowd_is_counted() {
    let mut world = World::new();
    let one = name();
    named(&mut world, EVE, &one);
    world.pass(5 * SECOND);
    world.take();
    let mut legs = Vec::new();
    for caller in ["+14255550111", "+14255550112", "+14255550113"] {
        let leg = world.keyed(caller, MEETING);
        world.prompt_ends(leg);
        legs.push(leg);
    }
    for leg in legs {
        world.press(leg, "#");
        world.tell(Event::Named { leg, name: Some(one.clone()) });
        world.pass(SECOND / 5);
    }
    world.pass(SECOND);
    let names = std::iter::repeat_n(Word::Name(one), 3).chain([Word::Prompt(HaveJoined)]);
    assert_eq!(heard(&mut world), (vec![(names.collect(), None)], Vec::new()));
    for last in 20..32 {
        nameless(&mut world, &format!("+142555501{last}"));
    }
    world.pass(2 * SECOND);
    assert_eq!(heard(&mut world).0, [], "the last sentence has not ended");
    world.pass(5 * SECOND);
    assert_eq!(heard(&mut world).0, [(words(&[PromptId::Twelve, PeopleJoined]), None)]);
    world.pass(20 * SECOND);
    assert_eq!(heard(&mut world), Heard::default(), "no train of them");
}

#[test]
fn a_number_is_for_organizers_only_and_the_others_hear_a_tone() {
    let mut world = World::new();
    let eve = named(&mut world, EVE, &name());
    let petra = named(&mut world, PETRA, &name());
    let conference: ConferenceId = *world.bridge.conferences.keys().next().expect("open");
    world.act(conference, Action::SetRole { leg: petra, role: crate::Role::Organizer });
    world.pass(10 * SECOND);
    world.take();
    let bob = nameless(&mut world, BOB);
    world.pass(SECOND);
    let digits: Vec<Word> = PromptId::spell(BOB).chain([HasJoined]).map(Word::Prompt).collect();
    let expected = (vec![(vec![Word::Tone(Tone::Entry)], Some(bob))], vec![(petra, digits.clone())]);
    assert_eq!(heard(&mut world), expected);

    let number = |words: &[Word]| words.contains(&digits[0]);
    for (leg, knows) in [(petra, true), (eve, false)] {
        world.take();
        world.press(leg, "*3");
        let said = world.take().into_iter().find_map(|command| match command {
            Command::Speak { leg: to, words, .. } if to == leg => Some(words),
            _ => None,
        });
        let said = said.expect("a roll call");
        assert_eq!(said[..3], words(&[ThereAre, Digit3, PeopleHere]));
        assert!(matches!(said[3], Word::Name(_)), "{said:?}");
        assert_eq!(
            (number(&said), said.last() == Some(&Word::Prompt(AndOthers))),
            (knows, !knows),
            "{said:?}"
        );
    }
}

#[test]
fn who_hides_his_number_and_says_no_name_is_somebody() {
    let mut world = World::new();
    named(&mut world, EVE, &name());
    world.pass(5 * SECOND);
    world.take();
    nameless(&mut world, "hidden");
    world.pass(SECOND);
    assert_eq!(heard(&mut world).0[0].0, words(&[Somebody, HasJoined]));
}

#[test]
fn who_comes_back_keeps_his_name_while_the_meeting_goes_on() {
    let mut world = World::new();
    let (hers, his) = (name(), name());
    let eve = named(&mut world, EVE, &hers);
    let bob = named(&mut world, BOB, &his);
    world.pass(10 * SECOND);
    world.bye(bob);
    world.pass(10 * SECOND);
    world.take();
    let again = world.keyed(BOB, MEETING);
    assert!(world.is_in_conference(again), "he is not asked again");
    world.pass(SECOND);
    assert_eq!(heard(&mut world).0[0].0[0], Word::Name(his));
    world.bye(again);
    world.bye(eve);
    world.assert_empty();
    let back = world.keyed(BOB, MEETING);
    assert_eq!(world.state(back), Some("naming"), "with the meeting his name is gone");
    world.bye(back);
    world.assert_empty();
}

#[test]
fn the_name_of_who_has_gone_is_forgotten_after_three_minutes_whatever_else_happens() {
    let mut world = World::new();
    let his = name();
    named(&mut world, EVE, &name());
    let bob = named(&mut world, BOB, &his);
    world.pass(10 * SECOND);
    world.bye(bob);
    world.pass(10 * SECOND);
    world.take();
    assert!(Arc::strong_count(his.sound()) > 1, "it waits for him");
    world.pass(REMEMBERED);
    assert_eq!(Arc::strong_count(his.sound()), 1);
}

#[test]
fn the_organizer_and_who_waits_in_the_lobby_are_asked_and_what_is_said_before_is_not_lost() {
    let mut world = World::new();
    let eve = world.keyed(EVE, STRICT);
    world.press(eve, "*");
    for _ in 0..3 {
        world.press(eve, "1#");
        world.pin_is(false);
    }
    let asked = world.take().into_iter().rev().find_map(|command| match command {
        Command::Speak { words, .. } => Some(words),
        _ => None,
    });
    let mut expected = words(&[PinNotRecognized, JoinAsParticipant, SayName]);
    expected.push(Word::Tone(Tone::Name));
    assert_eq!(asked, Some(expected));
    says(&mut world, eve, &name());
    assert_eq!(world.state(eve), Some("lobby"));
    assert_eq!(world.heard(eve).first(), Some(&LobbyWait));
    let host = world.keyed(PETRA, STRICT);
    world.press(host, "*2718#");
    world.pin_is(true);
    says(&mut world, host, &name());
    assert!(world.is_in_conference(host));
    world.press(host, "*21");
    assert!(world.is_in_conference(eve));
    world.pass(SECOND);
    let said = &heard(&mut world).0[0].0;
    assert!(matches!(said[..], [Word::Name(_), Word::Prompt(HasJoined)]), "{said:?}");
}

#[test]
fn star_23_silences_names_too_and_who_is_gone_at_once_is_not_mentioned() {
    let mut world = World::new();
    let eve = named(&mut world, EVE, &name());
    world.pass(5 * SECOND);
    let bob = named(&mut world, BOB, &name());
    world.bye(bob);
    world.pass(5 * SECOND);
    assert_eq!(heard(&mut world), Heard::default());
    let conference: ConferenceId = *world.bridge.conferences.keys().next().expect("open");
    let petra = named(&mut world, PETRA, &name());
    world.act(conference, Action::Announce(false));
    world.pass(5 * SECOND);
    assert_eq!(heard(&mut world), Heard::default(), "what was not said yet is not said");
    world.bye(petra);
    let bob = world.keyed(BOB, MEETING);
    assert!(world.is_in_conference(bob));
    world.pass(5 * SECOND);
    world.bye(bob);
    world.pass(5 * SECOND);
    assert_eq!(heard(&mut world), Heard::default(), "neither who comes nor who goes");
    world.bye(eve);
    world.assert_empty();
}
