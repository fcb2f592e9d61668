//! The organizer by telephone, the lobby, and what organizers do with their keys.

use std::time::Duration;

use bridge::PromptId::{
    self, AllMuted, ConferenceNowLocked, Digit5, Digit6, EnterPin, FirstCaller, ForHand, ForMute, HardMuted,
    HoldMusic, JoinAsParticipant, Joining, LobbyAdmitted, LobbyCaller, LobbyWait, MeetingEnds,
    MutedByOrganizer, OrganizerOnly, OrganizerPressStar, PinNotRecognized, Star, Unmuted,
};
use bridge::{Action, LegId};
use server::control::Ask;
use tests::fixture::{BYPASS, HERS, STRICT};
use tests::{
    Caller, Line, MICROSOFT, MICROSOFT_NUMBER, OPERATOR, OPERATOR_NUMBER, PhoneId, Setup, Sound, World,
};

use crate::cast::{LOUD, QUIET, hears, keyed, listen, organizer, participants};

/// Petra, from her own telephone.
fn petra() -> Caller {
    Caller { from: Some("+493023125001".into()), ..Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2100) }
}

/// Somebody else.
fn guest() -> Caller {
    Caller { from: Some("+493023125002".into()), ..Caller::to(MICROSOFT, MICROSOFT_NUMBER).tone(2300) }
}

/// What was said to a phone after the attendant's question, music once however long it played.
fn said(world: &World, phone: PhoneId) -> Vec<PromptId> {
    let mut said = world.phone(phone).ear.prompts(&(Duration::ZERO..world.elapsed()));
    said.dedup_by(|a, b| a == b && *a == HoldMusic);
    said.split_off(2)
}

/// What a phone hears next.
fn hears_next(world: &mut World, phone: PhoneId, seconds: u64) -> Vec<PromptId> {
    let when = listen(world, Duration::from_secs(seconds));
    world.phone(phone).ear.prompts(&when)
}

fn waiting(world: &World, id: &str) -> Vec<LegId> {
    let shown = world.shown.get(id).and_then(|shown| shown["lobby"].as_array());
    let legs = shown.into_iter().flatten().filter_map(|one| one["leg"].as_u64());
    legs.map(LegId).collect()
}

/// A user does something; what came of it.
fn act(world: &mut World, id: &str, action: Action) -> (u16, serde_json::Value) {
    let ask = world.ask(Ask::Act { conference_id: id.to_owned(), action });
    let reply = &world.replies[&ask];
    (reply.status, reply.body.clone())
}

#[test]
fn the_organizer_starts_the_meeting_with_the_pin() {
    let mut world = World::new(Setup::default());
    let phone = keyed(&mut world, &petra(), STRICT);
    assert_eq!(said(&world, phone), [OrganizerPressStar], "the pound belongs to the ID");
    world.press(phone, "*");
    world.seconds(1);
    world.press(phone, "27182#");
    world.seconds(4);
    assert_eq!(said(&world, phone), [OrganizerPressStar, EnterPin, FirstCaller]);
    assert_eq!(world.shown[STRICT]["participants"][0]["role"], "organizer");
    assert_eq!(world.shown[STRICT]["started"], true);
    world.close();
}

#[test]
fn three_wrong_pins_lead_into_the_lobby_with_music_and_a_user_lets_him_in() {
    let mut world = World::new(Setup::default());
    let phone = keyed(&mut world, &guest(), STRICT);
    world.press(phone, "*");
    for _ in 0..3 {
        world.seconds(1);
        world.press(phone, "11111#");
        world.seconds(3);
    }
    let wrong = [PinNotRecognized, EnterPin];
    let heard = [&[OrganizerPressStar, EnterPin][..], &wrong, &wrong].concat();
    let last = [PinNotRecognized, JoinAsParticipant, LobbyWait, HoldMusic];
    assert_eq!(said(&world, phone), [heard, last.to_vec()].concat());
    let count = |result| world.metrics.attendant_attempts.with_label_values(&["pin", result]).get();
    assert_eq!((count("wrong"), count("accepted")), (3, 0));
    assert_eq!(hears_next(&mut world, phone, 20).last(), Some(&HoldMusic), "the music goes on");

    let legs = waiting(&world, STRICT);
    assert_eq!(participants(&world, STRICT), 0);
    assert_eq!(act(&mut world, STRICT, Action::Admit(LegId(4711))).0, 404);
    assert_eq!(act(&mut world, STRICT, Action::Admit(legs[0])), (200, serde_json::json!({ "changed": 1 })));
    assert_eq!(hears_next(&mut world, phone, 2).last(), Some(&FirstCaller));
    assert_eq!((participants(&world, STRICT), waiting(&world, STRICT).len()), (1, 0));
    assert_eq!(act(&mut world, STRICT, Action::Admit(legs[0])).0, 409, "he is in already");
    world.close();
}

#[test]
fn the_organizer_lets_everybody_in_by_star_21_and_they_hear_each_other() {
    let mut world = World::new(Setup::default());
    let early = keyed(&mut world, &guest(), STRICT);
    world.press(early, "1");
    world.seconds(2);
    assert_eq!(waiting(&world, STRICT).len(), 1);
    let host = organizer(&mut world, &petra(), STRICT);
    assert_eq!(hears_next(&mut world, early, 2).last(), Some(&HoldMusic), "her coming alone lets nobody in");
    assert!(hears(&mut world, host, 2300) < QUIET, "nobody is heard from the lobby");
    let late = keyed(&mut world, &Caller { from: Some("+493023125003".into()), ..guest() }, STRICT);
    assert_eq!(said(&world, late), [LobbyWait, HoldMusic], "once it has started nobody is asked");
    assert!(said(&world, host).contains(&LobbyCaller), "she is told that somebody waits");
    world.press(host, "*21");
    assert!(hears_next(&mut world, host, 3).contains(&LobbyAdmitted), "and that they are in");
    assert_eq!((participants(&world, STRICT), waiting(&world, STRICT).len()), (3, 0));
    assert_eq!(said(&world, early).last(), Some(&Joining));
    world.seconds(1);
    assert!(hears(&mut world, host, 2300) > LOUD);
    assert!(hears(&mut world, early, 2100) > LOUD);
    world.close();
}

#[test]
fn who_hangs_up_in_the_lobby_is_shown_there_no_more() {
    let mut world = World::new(Setup::default());
    organizer(&mut world, &petra(), STRICT);
    let other = keyed(&mut world, &guest(), STRICT);
    assert_eq!(waiting(&world, STRICT).len(), 1);
    world.hang_up(other);
    world.seconds(1);
    assert_eq!(waiting(&world, STRICT).len(), 0);
    world.close();
}

#[test]
fn with_bypass_the_lobby_is_empty_once_the_organizer_has_come() {
    let mut world = World::new(Setup::default());
    let early = keyed(&mut world, &guest(), BYPASS);
    world.seconds(6);
    assert_eq!(said(&world, early).last(), Some(&HoldMusic), "who says nothing waits");
    let host = organizer(&mut world, &petra(), BYPASS);
    assert_eq!(participants(&world, BYPASS), 2);
    world.hang_up(host);
    world.seconds(1);
    let late = keyed(&mut world, &Caller { from: Some("+493023125003".into()), ..guest() }, BYPASS);
    assert_eq!(said(&world, late), [Joining], "also when she has left");
    world.close();
}

#[test]
fn star_22_and_a_hard_mute_are_heard_by_whom_they_concern() {
    let mut world = World::new(Setup::default());
    let host = organizer(&mut world, &petra(), BYPASS);
    let other = keyed(&mut world, &guest(), BYPASS);
    world.press(other, "*22");
    assert_eq!(hears_next(&mut world, other, 2), [OrganizerOnly]);
    world.press(host, "*22");
    let when = listen(&mut world, Duration::from_secs(3));
    assert_eq!(world.phone(host).ear.prompts(&when), [AllMuted]);
    assert_eq!(world.phone(other).ear.prompts(&when), [MutedByOrganizer, ForMute, Star, Digit6]);
    assert!(hears(&mut world, host, 2300) < QUIET);
    assert!(hears(&mut world, other, 2100) > LOUD, "she herself is heard");
    world.press(other, "*6");
    assert_eq!(hears_next(&mut world, other, 2), [Unmuted]);
    assert!(hears(&mut world, host, 2300) > LOUD);
    assert_eq!(act(&mut world, BYPASS, Action::MuteAll { hard: true }).1["changed"], 1);
    assert_eq!(hears_next(&mut world, other, 2), [HardMuted, ForHand, Star, Digit5]);
    world.press(other, "*6");
    assert_eq!(hears_next(&mut world, other, 2), [HardMuted, ForHand, Star, Digit5]);
    assert!(hears(&mut world, host, 2300) < QUIET);
    assert_eq!(world.shown[BYPASS]["participants"][1]["muted_by"], "organizer-hard");
    world.press(other, "*5");
    world.seconds(2);
    assert_eq!(world.shown[BYPASS]["hands"].as_array().map(Vec::len), Some(1));
    world.close();
}

#[test]
fn a_caller_whose_line_dropped_comes_back_as_who_he_was_and_a_lock_holds_for_him_too() {
    let mut world = World::new(Setup::default());
    let host = organizer(&mut world, &petra(), STRICT);
    let other = keyed(&mut world, &guest(), STRICT);
    world.press(host, "*21");
    world.seconds(3);
    world.press(other, "*6");
    world.seconds(2);
    world.hang_up(other);
    world.seconds(60);
    let back = keyed(&mut world, &guest(), STRICT);
    assert_eq!(said(&world, back), [Joining, PromptId::Muted], "past the lobby");
    world.phone_mut(host).mouth.sound = Sound::Nothing;
    world.seconds(31);
    assert!(matches!(world.phone(host).line, Line::Over { by_bridge: true, .. }), "the network lost her");
    let host = keyed(&mut world, &petra(), STRICT);
    assert_eq!(said(&world, host), [Joining], "without her PIN");
    world.hang_up(host);
    world.seconds(20);
    let host = keyed(&mut world, &petra(), STRICT);
    assert_eq!(said(&world, host), [OrganizerPressStar], "who hung up is asked");
    world.press(host, "*27182#");
    world.seconds(4);
    assert_eq!(said(&world, host), [OrganizerPressStar, EnterPin, Joining]);
    world.press(host, "*7");
    assert_eq!(hears_next(&mut world, host, 2), [ConferenceNowLocked]);
    world.hang_up(back);
    world.seconds(1);
    let again = keyed(&mut world, &guest(), STRICT);
    assert_eq!(said(&world, again)[..1], [PromptId::ConferenceLocked]);
    world.close();
}

#[test]
fn a_meeting_that_ends_with_its_organizer_says_so_and_ends() {
    let mut world = World::new(Setup::default());
    let host = organizer(&mut world, &petra(), HERS);
    let other = keyed(&mut world, &guest(), HERS);
    world.press(host, "*21");
    world.seconds(3);
    world.hang_up(host);
    assert!(hears_next(&mut world, other, 3).contains(&MeetingEnds));
    world.seconds(4);
    let Line::Over { by_bridge: true, reason } = &world.phone(other).line else { panic!("no BYE") };
    assert!(reason.contains("the organizer has left"), "{reason}");
    world.close();
}
