//! Roles and keys in the meeting.

use super::{World, tones};
use crate::command::{Command, Tone};
use crate::id::LegId;
use crate::prompt::PromptId::{
    AllMuted, AllUnmuted, AnnouncementsOff, AnnouncementsOn, ConferenceLocked, ConferenceNowLocked,
    ConferenceNowUnlocked, Digit1, Digit2, Digit3, Digit5, Digit6, Digit7, ForAdmitAll, ForAnnouncements,
    ForHand, ForHelp, ForLock, ForMute, ForMuteAll, ForRollCall, Goodbye, HandLowered, HandRaised, HardMuted,
    LobbyAdmitted, LobbyEmpty, Muted, MutedByOrganizer, OnlyYou, OrganizerOnly, PeopleHere, Star, ThereAre,
    UnknownCommand, Unmuted,
};
use crate::{Action, MutedBy};

const MEETING: &str = "131313131";
const PETRA: &str = "+14255550101";
const EVE: &str = "+14255550102";
/// What one hears who cannot unmute himself.
const HARD_MUTED: [crate::PromptId; 4] = [HardMuted, ForHand, Star, Digit5];
const BOB: &str = "+14255550103";

/// The organizer and two participants.
fn meeting() -> (World, LegId, LegId, LegId) {
    let mut world = World::new();
    let petra = world.organizer(PETRA, MEETING);
    let (eve, bob) = (world.keyed(EVE, MEETING), world.keyed(BOB, MEETING));
    world.take();
    (world, petra, eve, bob)
}

fn by(world: &World, leg: LegId) -> Option<MutedBy> {
    let rosters = world.bridge.conferences.values();
    rosters.filter_map(|roster| roster.participant(leg)).find_map(|one| one.muted_by)
}

#[test]
fn an_organizer_s_command_is_for_organizers_and_the_help_says_who_may_what() {
    let (mut world, petra, eve, _) = meeting();
    for keys in ["*21", "*22", "*23", "*7"] {
        world.press(eve, keys);
        assert_eq!(world.heard(eve), [OrganizerOnly], "{keys}");
    }
    world.press(eve, "*1");
    let everybodys = [
        [ForMute, Star, Digit6],
        [ForHand, Star, Digit5],
        [ForRollCall, Star, Digit3],
        [ForHelp, Star, Digit1],
    ];
    assert_eq!(world.heard(eve), everybodys.concat());
    world.press(petra, "*1");
    let organizers = [
        &everybodys.concat()[..],
        &[ForAdmitAll, Star, Digit2, Digit1],
        &[ForMuteAll, Star, Digit2, Digit2],
        &[ForAnnouncements, Star, Digit2, Digit3],
        &[ForLock, Star, Digit7],
    ];
    assert_eq!(world.heard(petra), organizers.concat());
    world.press(petra, "*29");
    assert_eq!(world.heard(petra), [UnknownCommand, ForHelp, Star, Digit1]);
}

#[test]
fn hands_are_raised_and_lowered_and_queue_in_the_order_they_came() {
    let (mut world, _, eve, bob) = meeting();
    world.press(bob, "*5");
    assert_eq!(world.heard(bob), [HandRaised, ForHand, Star, Digit5]);
    world.wall += std::time::Duration::from_secs(1);
    world.press(eve, "*5");
    let hands = |world: &World| world.bridge.conferences.values().next().expect("open").snapshot().hands;
    assert_eq!(hands(&world), [bob, eve]);
    world.press(bob, "*5");
    assert_eq!(world.heard(bob), [HandLowered]);
    assert_eq!(hands(&world), [eve]);
}

#[test]
fn the_roll_call_is_private_and_counts() {
    let (mut world, petra, eve, bob) = meeting();
    world.bye(bob);
    world.press(eve, "*3");
    assert_eq!(world.heard(eve), [ThereAre, Digit2, PeopleHere]);
    world.bye(petra);
    world.press(eve, "*3");
    assert_eq!(world.heard(eve), [OnlyYou]);
}

#[test]
fn star_22_mutes_everybody_but_organizers_and_releases_only_what_it_muted() {
    let (mut world, petra, eve, bob) = meeting();
    world.press(bob, "*6");
    world.take();
    world.press(petra, "*22");
    let commands = world.take();
    let muted: Vec<LegId> = commands
        .iter()
        .filter_map(|command| match command {
            Command::Mute { leg, muted: true } => Some(*leg),
            _ => None,
        })
        .collect();
    assert_eq!(muted, [eve], "bob is muted already, petra is the organizer");
    let said = |to: LegId| {
        commands.iter().find_map(|command| match command {
            Command::Play { leg, prompts, .. } if *leg == to => Some(prompts.clone()),
            _ => None,
        })
    };
    assert_eq!(
        (said(eve), said(petra)),
        (Some(vec![MutedByOrganizer, ForMute, Star, Digit6]), Some(vec![AllMuted]))
    );
    assert_eq!((by(&world, eve), by(&world, bob)), (Some(MutedBy::Organizer), Some(MutedBy::Own)));
    world.press(eve, "*6");
    assert_eq!(world.heard(eve), [Unmuted], "a soft mute she ends herself");
    world.press(eve, "*6");
    assert_eq!(world.heard(eve), [Muted]);
    world.press(petra, "*22");
    assert_eq!(world.heard(petra), [AllUnmuted]);
    assert_eq!(by(&world, bob), Some(MutedBy::Own), "whoever muted himself stays so");
}

#[test]
fn a_hard_mute_is_ended_by_others_only_and_catches_who_comes_later() {
    let (mut world, petra, eve, bob) = meeting();
    let conference = *world.bridge.conferences.keys().next().expect("open");
    world.act(conference, Action::MuteAll { hard: true });
    assert_eq!(world.heard(eve), HARD_MUTED);
    world.press(eve, "*6");
    assert_eq!(world.heard(eve), HARD_MUTED, "she cannot end it");
    assert_eq!(by(&world, eve), Some(MutedBy::OrganizerHard));
    let late = world.keyed("+14255550109", MEETING);
    assert_eq!(by(&world, late), Some(MutedBy::OrganizerHard));
    world.act(conference, Action::Unmute(bob));
    assert_eq!((by(&world, bob), world.heard(bob)), (None, vec![Unmuted]));
    world.press(petra, "*22");
    assert_eq!((by(&world, eve), by(&world, late), by(&world, petra)), (None, None, None));
}

#[test]
fn star_23_turns_the_tones_off_and_on() {
    let (mut world, petra, _, bob) = meeting();
    world.press(petra, "*23");
    assert_eq!(world.heard(petra), [AnnouncementsOff]);
    world.bye(bob);
    assert_eq!(tones(&world.take()), []);
    world.press(petra, "*23");
    assert_eq!(world.heard(petra), [AnnouncementsOn]);
    world.pass(std::time::Duration::from_secs(3));
    world.keyed(BOB, MEETING);
    assert_eq!(tones(&world.take()), [Tone::Entry]);
}

#[test]
fn star_7_locks_and_unlocks_also_for_those_who_were_here() {
    let (mut world, petra, _, bob) = meeting();
    world.press(petra, "*7");
    assert_eq!(world.heard(petra), [ConferenceNowLocked]);
    world.bye(bob);
    let back = world.keyed(BOB, MEETING);
    assert_eq!(world.heard(back), [ConferenceLocked, Goodbye]);
    world.press(petra, "*7");
    assert_eq!(world.heard(petra), [ConferenceNowUnlocked]);
    let back = world.keyed(BOB, MEETING);
    assert!(world.is_in_conference(back));
}

#[test]
fn star_21_says_whether_anybody_waited() {
    let mut world = World::new();
    let petra = world.organizer(PETRA, "121212121");
    world.press(petra, "*21");
    assert_eq!(world.heard(petra), [LobbyEmpty]);
    let eve = world.waiting(EVE, "121212121");
    world.press(petra, "*21");
    assert_eq!(world.heard(petra), [LobbyAdmitted]);
    assert!(world.is_in_conference(eve));
}
