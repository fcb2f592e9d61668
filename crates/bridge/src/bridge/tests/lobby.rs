//! The organizer by telephone, the lobby, and who comes back.

use super::World;
use crate::bridge::Reason;
use crate::command::{Command, HangupCause};
use crate::event::Event;
use crate::id::{ConferenceId, LegId};
use crate::policy::Role;
use crate::prompt::PromptId::{
    self, ConferenceFull, ConferenceLocked, Digit1, Digit2, EnterPin, FirstCaller, ForAdmitAll, Goodbye,
    HoldMusic, JoinAsParticipant, Joining, LobbyCaller, LobbyTooLong, LobbyWait, MeetingEnds,
    OrganizerPressStar, PinNotRecognized, Star,
};
use crate::roster::ConferenceSnapshot;
use crate::usage::EndingParty;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// Neither switch is on.
pub(super) const STRICT: &str = "121212121";
/// Callers pass the lobby once the meeting has started.
pub(super) const BYPASS: &str = "131313131";
/// Ends with its organizer; room for three.
pub(super) const HERS: &str = "141414141";
pub(super) const PETRA: &str = "+14255550101";
pub(super) const EVE: &str = "+14255550102";
pub(super) const BOB: &str = "+14255550103";

/// The one open conference.
pub(super) fn shown(world: &World) -> ConferenceSnapshot {
    let open: Vec<ConferenceId> = world.bridge.conferences.keys().copied().collect();
    let [one] = open[..] else { panic!("{open:?}") };
    world.bridge.conference(one).expect("it is open")
}

/// Everything that was played to a leg since the last look.
pub(super) fn played(commands: &[Command], to: LegId) -> Vec<PromptId> {
    let of_leg = commands.iter().filter_map(|command| match command {
        Command::Play { leg, prompts, .. } if *leg == to => Some(prompts.clone()),
        _ => None,
    });
    of_leg.flatten().collect()
}

#[test]
fn the_right_pin_starts_the_meeting() {
    let mut world = World::new();
    let petra = world.keyed(PETRA, STRICT);
    assert_eq!(world.heard(petra), [OrganizerPressStar]);
    world.press(petra, "#*");
    assert_eq!(world.heard(petra), [EnterPin]);
    world.press(petra, "2718#");
    let commands = world.take();
    let checks = commands.iter().filter_map(|command| match command {
        Command::CheckPin { leg, hash, pin, .. } => Some((*leg, hash.as_str(), pin.as_str())),
        _ => None,
    });
    assert_eq!(checks.collect::<Vec<_>>(), [(petra, "the hash of 2718", "2718")]);
    assert!(!format!("{commands:?}").contains("2718"), "{commands:?}");
    assert_eq!(world.bridge.poll_timeout().map(|(_, reason)| reason), Some(Reason::PinCheck));
    world.pin_is(true);
    assert_eq!(world.heard(petra), [FirstCaller]);
    let shown = shown(&world);
    assert!(shown.started);
    assert_eq!(shown.participants[0].role, Role::Organizer);
    assert_eq!((world.bridge.counters.pins_accepted, world.bridge.counters.pins_wrong), (1, 0));
    world.bye(petra);
    let record = world.final_record().expect("a record");
    assert_eq!(
        record.end.expect("an end").keys_pressed,
        9,
        "neither the star nor a digit of the PIN is counted"
    );
    world.assert_empty();
}

#[test]
fn three_wrong_pins_make_an_ordinary_participant() {
    let mut world = World::new();
    let eve = world.keyed(EVE, STRICT);
    world.press(eve, "*");
    for _ in 0..2 {
        world.press(eve, "1111#");
        world.pin_is(false);
        assert_eq!(world.heard(eve), [PinNotRecognized, EnterPin]);
    }
    world.press(eve, "1111#");
    world.pin_is(false);
    assert_eq!(world.heard(eve), [PinNotRecognized, JoinAsParticipant, LobbyWait, HoldMusic]);
    assert_eq!(world.state(eve), Some("lobby"));
    assert_eq!(world.bridge.counters.pins_wrong, 3);
    assert_eq!(world.bridge.snapshot(world.now).wrong_ids[0].in_window, 3, "they count like wrong IDs");
    world.bye(eve);
    world.assert_empty();
}

#[test]
fn a_check_that_is_answered_late_or_for_another_is_no_answer() {
    let mut world = World::new();
    let eve = world.keyed(EVE, STRICT);
    world.press(eve, "*1111#");
    let (leg, token) = world.checks.pop().expect("a check");
    world.tell(Event::PinChecked { leg, token: token + 7, right: true });
    assert_eq!(world.state(eve), Some("identifying"));
    world.pass(15 * SECOND);
    world.tell(Event::PinChecked { leg, token, right: true });
    assert_eq!(world.state(eve), Some("identifying"), "it counts as a wrong one");
    assert_eq!(world.heard(eve), [PinNotRecognized, EnterPin]);
}

#[test]
fn the_lobby_has_music_that_goes_on_and_an_end_after_half_an_hour() {
    let mut world = World::new();
    let eve = world.waiting(EVE, STRICT);
    assert_eq!(world.heard(eve), [LobbyWait, HoldMusic]);
    let lobby = shown(&world).lobby;
    assert_eq!(lobby[0].leg, eve);
    assert_eq!(lobby[0].number.as_ref().map(ToString::to_string), Some(EVE.into()));
    world.prompt_ends(eve);
    assert_eq!(world.heard(eve), [HoldMusic]);
    world.press(eve, "*6#1");
    assert!(world.take().is_empty(), "keys mean nothing here");
    world.pass(Duration::from_secs(30 * 60 - 1));
    assert_eq!(world.state(eve), Some("lobby"));
    world.pass(SECOND);
    assert_eq!(world.heard(eve), [LobbyTooLong, Goodbye]);
    assert!(world.bridge.conferences.is_empty(), "nobody waits any more");
    world.prompt_ends(eve);
    world.assert_empty();
}

#[test]
fn who_hangs_up_in_the_lobby_is_shown_there_no_more() {
    let mut world = World::new();
    let petra = world.organizer(PETRA, STRICT);
    let (eve, bob) = (world.waiting(EVE, STRICT), world.waiting(BOB, STRICT));
    world.take();
    world.bye(eve);
    let shows = |commands: &[Command]| commands.iter().any(|one| matches!(one, Command::Show { .. }));
    assert!(shows(&world.take()), "nothing else tells the shell that the lobby has changed");
    assert_eq!(shown(&world).lobby.iter().map(|one| one.leg).collect::<Vec<_>>(), [bob]);
    world.tell(Event::RemoveLeg { leg: bob });
    assert!(shows(&world.take()));
    world.bye(petra);
    world.assert_empty();
}

#[test]
fn with_bypass_the_organizer_s_coming_lets_everybody_in_and_later_callers_go_straight_in() {
    let mut world = World::new();
    let waiting = [world.waiting(EVE, BYPASS), world.waiting(BOB, BYPASS)];
    let petra = world.organizer(PETRA, BYPASS);
    for leg in waiting {
        assert!(world.is_in_conference(leg));
    }
    world.bye(petra);
    let later = world.keyed("+14255550109", BYPASS);
    assert!(world.is_in_conference(later), "nobody is asked, also when the organizer has left");
}

#[test]
fn without_bypass_everybody_waits_until_he_is_let_in() {
    let mut world = World::new();
    let early = world.waiting(EVE, STRICT);
    let petra = world.organizer(PETRA, STRICT);
    assert_eq!(world.state(early), Some("lobby"), "the start alone lets nobody in");
    world.take();
    let late = world.keyed(BOB, STRICT);
    assert_eq!(world.state(late), Some("lobby"), "and he was not asked");
    assert_eq!(played(&world.take(), petra), [LobbyCaller, ForAdmitAll, Star, Digit2, Digit1]);
    world.press(petra, "*21");
    let commands = world.take();
    assert!(world.is_in_conference(early) && world.is_in_conference(late));
    assert_eq!(played(&commands, late), [Joining]);
    assert!(shown(&world).lobby.is_empty());
}

#[test]
fn when_all_have_left_a_lobby_waits_for_a_new_beginning() {
    let mut world = World::new();
    let eve = world.waiting(EVE, STRICT);
    let petra = world.organizer(PETRA, STRICT);
    world.bye(petra);
    assert_eq!(world.state(eve), Some("lobby"));
    assert!(!shown(&world).started);
    world.pass(Duration::from_mins(4));
    let again = world.keyed(PETRA, STRICT);
    assert_eq!(world.heard(again), [OrganizerPressStar]);
}

#[test]
fn who_waits_has_a_seat_and_the_lock_is_looked_at_again_after_the_pin() {
    let mut world = World::new();
    let slow = world.keyed(PETRA, HERS);
    for caller in [EVE, BOB, "+14255550109"] {
        world.waiting(caller, HERS);
    }
    let fifth = world.keyed("+14255550110", HERS);
    assert_eq!(world.heard(fifth), [ConferenceFull, Goodbye]);
    world.press(slow, "*2718#");
    world.pin_is(true);
    assert_eq!(world.heard(slow), [ConferenceFull, Goodbye]);

    let slow = world.keyed("+14255550111", STRICT);
    let petra = world.organizer(PETRA, STRICT);
    world.press(petra, "*7");
    world.press(slow, "1");
    assert_eq!(world.heard(slow), [ConferenceLocked, Goodbye]);
}

#[test]
fn a_meeting_ends_with_its_organizer_where_it_says_so() {
    let mut world = World::new();
    let petra = world.organizer(PETRA, HERS);
    let eve = world.waiting(EVE, HERS);
    world.press(petra, "*21");
    world.lose(petra);
    world.pass(Duration::from_mins(2));
    let petra = world.keyed(PETRA, HERS);
    world.pass(Duration::from_mins(2));
    assert!(world.is_in_conference(eve), "her line had dropped, and she came back");
    world.take();
    world.bye(petra);
    let said = |command: &Command| matches!(command, Command::PlayAll { sound: crate::Sound::Prompts(said), .. } if said == &[MeetingEnds]);
    assert!(world.take().iter().any(said));
    world.pass(5 * SECOND);
    let commands = world.take();
    assert!(commands.iter().any(
        |command| matches!(command, Command::Hangup { leg, cause: HangupCause::OrganizerLeft } if *leg == eve)
    ));
    world.assert_empty();
}

#[test]
fn a_meeting_without_a_pin_ends_after_four_hours() {
    let mut world = World::new();
    let leg = world.joined("111111111");
    world.pass(Duration::from_secs(4 * 3600 - 1));
    assert!(world.is_in_conference(leg));
    assert_eq!(world.bridge.curfews.len(), 1, "it waits for its end");
    world.pass(6 * SECOND);
    let record = world.final_record().expect("a record").end.expect("an end");
    assert_eq!((record.ended_by, record.cause), (EndingParty::Bridge, "the meeting's time is over"));
    world.assert_empty();
}
