//! Who comes back after his call has ended, and as whom.

use super::World;
use super::lobby::{BOB, BYPASS, EVE, PETRA, STRICT, played, shown};
use crate::action::Action;
use crate::command::Command;
use crate::event::Event;
use crate::id::LegId;
use crate::policy::Role;
use crate::prompt::PromptId::{Muted, OrganizerPressStar};
use crate::roster::{MutedBy, Participant};
use std::time::Duration;

/// Somebody as the meeting shows him.
fn one(world: &World, leg: LegId) -> Participant {
    shown(world).participants.into_iter().find(|one| one.leg == leg).expect("somebody who is in it")
}

#[test]
fn who_drops_and_returns_within_three_minutes_is_who_he_was() {
    let mut world = World::new();
    let petra = world.organizer(PETRA, STRICT);
    let eve = world.waiting(EVE, STRICT);
    world.press(petra, "*21");
    world.press(eve, "*6*5");
    world.bye(eve);
    world.pass(Duration::from_mins(2));
    world.take();
    let back = world.keyed(EVE, STRICT);
    assert!(world.is_in_conference(back), "past the lobby");
    let commands = world.take();
    assert_eq!(played(&commands, back).last(), Some(&Muted));
    assert!(
        commands.iter().any(|command| matches!(command, Command::Mute { leg, muted: true } if *leg == back))
    );
    let snapshot = shown(&world);
    assert_eq!(snapshot.hands, [back]);
    let one = snapshot.participants.iter().find(|one| one.leg == back).expect("him");
    assert_eq!(one.muted_by, Some(MutedBy::Own));

    world.lose(petra);
    let petra = world.keyed(PETRA, STRICT);
    assert_eq!(shown(&world).participants.last().map(|one| one.role), Some(Role::Organizer));
    world.bye(back);
    world.pass(Duration::from_mins(3));
    let late = world.keyed(EVE, STRICT);
    assert_eq!(world.state(late), Some("lobby"), "too late");
    world.bye(petra);
}

#[test]
fn who_was_removed_or_hides_his_number_or_comes_to_an_empty_meeting_is_nobody() {
    let mut world = World::new();
    let petra = world.organizer(PETRA, STRICT);
    let eve = world.waiting(EVE, STRICT);
    let hidden = world.waiting("", STRICT);
    world.press(petra, "*21");
    world.tell(Event::RemoveLeg { leg: eve });
    let again = world.keyed(EVE, STRICT);
    assert_eq!(world.state(again), Some("lobby"), "removed");
    world.bye(hidden);
    let again = world.keyed("", STRICT);
    assert_eq!(world.state(again), Some("lobby"), "hidden");

    let mut world = World::new();
    let petra = world.organizer(PETRA, STRICT);
    let bob = world.waiting(BOB, STRICT);
    world.press(petra, "*21");
    world.lose(petra);
    world.bye(bob);
    let back = world.keyed(BOB, STRICT);
    assert_eq!(world.heard(back), [OrganizerPressStar], "a participant starts nothing");
    let petra = world.keyed(PETRA, STRICT);
    assert!(world.is_in_conference(petra), "its organizer does");
}

#[test]
fn a_number_that_several_call_from_tells_nobody() {
    let mut world = World::new();
    let petra = world.organizer(PETRA, STRICT);
    let colleague = world.keyed("+14255550199", STRICT);
    assert_eq!(world.state(colleague), Some("lobby"));
    let twin = world.waiting(PETRA, STRICT);
    world.press(petra, "*21");
    assert!(world.is_in_conference(twin));
    world.lose(petra);
    let third = world.keyed(PETRA, STRICT);
    assert_eq!(
        world.state(third),
        Some("identifying"),
        "another telephone behind the same number is still in the meeting: the PIN tells"
    );
}

#[test]
fn an_organizer_who_hung_up_is_asked_for_the_pin_also_in_a_running_meeting() {
    let mut world = World::new();
    let petra = world.organizer(PETRA, STRICT);
    let eve = world.waiting(EVE, STRICT);
    world.press(petra, "*21*5*6");
    assert!(world.is_in_conference(eve));
    world.bye(petra);
    world.take();
    let back = world.keyed(PETRA, STRICT);
    assert_eq!(world.heard(back), [OrganizerPressStar]);
    world.press(back, "*2718#");
    world.pin_is(true);
    let shown_now = one(&world, back);
    assert_eq!((shown_now.role, shown_now.muted_by), (Role::Organizer, Some(MutedBy::Own)), "all as it was");
    assert!(shown_now.hand.is_some());

    world.bye(back);
    let other = world.keyed(PETRA, STRICT);
    world.press(other, "1");
    assert_eq!(world.state(other), Some("lobby"), "the number alone opens nothing");
    let conference = shown(&world).conference;
    world.act(conference, Action::Admit(other));
    let shown_now = one(&world, other);
    assert_eq!((shown_now.role, shown_now.muted_by), (Role::Participant, Some(MutedBy::Own)));
    assert!(shown_now.hand.is_some(), "mute and hand come with him through the lobby");
}

#[test]
fn without_the_pin_a_former_organizer_is_an_ordinary_participant() {
    let mut world = World::new();
    let petra = world.organizer(PETRA, BYPASS);
    let eve = world.keyed(EVE, BYPASS);
    assert!(world.is_in_conference(eve));
    world.bye(petra);
    let back = world.keyed(PETRA, BYPASS);
    world.press(back, "*");
    for _ in 0..3 {
        world.press(back, "1111#");
        world.pin_is(false);
    }
    assert_eq!(one(&world, back).role, Role::Participant);
    world.bye(back);
    let again = world.keyed(PETRA, BYPASS);
    assert!(world.is_in_conference(again), "and no organizer any more who would be asked");
}

#[test]
fn the_three_minutes_are_those_of_the_first_drop_and_are_not_renewed() {
    let mut world = World::new();
    let petra = world.organizer(PETRA, STRICT);
    let eve = world.waiting(EVE, STRICT);
    world.press(petra, "*21");
    world.lose(petra);
    world.lose(eve);
    let stays = world.waiting(BOB, STRICT);
    world.pass(Duration::from_mins(2));
    let (petra, eve) = (world.keyed(PETRA, STRICT), world.keyed(EVE, STRICT));
    assert_eq!(one(&world, petra).role, Role::Organizer);
    assert!(world.is_in_conference(eve));
    world.lose(petra);
    world.pass(Duration::from_secs(59));
    let petra = world.keyed(PETRA, STRICT);
    assert_eq!(one(&world, petra).role, Role::Organizer, "still within the first three minutes");
    world.lose(petra);
    world.lose(eve);
    world.pass(Duration::from_secs(2));
    let petra = world.keyed(PETRA, STRICT);
    assert_eq!(world.heard(petra), [OrganizerPressStar], "the PIN, from then on");
    world.press(petra, "*2718#");
    world.pin_is(true);
    assert_eq!(one(&world, petra).role, Role::Organizer);
    assert_eq!(world.state(stays), Some("lobby"));
    let late = world.keyed(EVE, STRICT);
    assert_eq!(world.state(late), Some("lobby"), "she came back by her number alone, and that is over");

    world.lose(petra);
    world.pass(Duration::from_secs(170));
    let petra = world.keyed(PETRA, STRICT);
    assert_eq!(one(&world, petra).role, Role::Organizer, "the PIN gives three new minutes");
}

#[test]
fn a_drop_long_after_a_comeback_gives_nothing_back() {
    let mut world = World::new();
    let petra = world.organizer(PETRA, STRICT);
    let eve = world.waiting(EVE, STRICT);
    world.press(petra, "*21");
    world.lose(eve);
    let eve = world.keyed(EVE, STRICT);
    assert!(world.is_in_conference(eve));
    world.pass(Duration::from_mins(20));
    world.lose(eve);
    let eve = world.keyed(EVE, STRICT);
    assert_eq!(world.state(eve), Some("lobby"));
    world.press(petra, "*21");
    world.lose(eve);
    let eve = world.keyed(EVE, STRICT);
    assert!(world.is_in_conference(eve), "who was let in anew has three new minutes");
}

#[test]
fn a_number_on_another_providers_trunk_is_another_caller() {
    let mut world = World::new();
    let petra = world.organizer(PETRA, STRICT);
    let eve = world.waiting(EVE, STRICT);
    world.press(petra, "*21");
    world.press(eve, "*5");
    let conference = shown(&world).conference;
    world.act(conference, Action::Mute { leg: eve, hard: true });
    world.lose(eve);
    let foreign = world.keyed_on("microsoft", EVE, STRICT);
    assert_eq!(world.state(foreign), Some("lobby"));
    world.act(conference, Action::Admit(foreign));
    let shown_now = one(&world, foreign);
    assert_eq!(shown_now.muted_by, Some(MutedBy::OrganizerHard), "another way in is no way out of a mute");
    assert_eq!(shown_now.hand, None, "and gives back nothing");
    world.bye(foreign);
    let back = world.keyed_on("acme-2", EVE, STRICT);
    assert!(world.is_in_conference(back), "the operator's other trunk is the same way");
    assert!(one(&world, back).hand.is_some());

    world.lose(petra);
    let foreign = world.keyed_on("microsoft", PETRA, STRICT);
    assert_eq!(world.state(foreign), Some("identifying"), "the PIN must be shown");
    let petra = world.keyed_on("acme-2", PETRA, STRICT);
    assert_eq!(one(&world, petra).role, Role::Organizer);
}

#[test]
fn who_was_muted_and_removed_comes_back_muted() {
    let mut world = World::new();
    let petra = world.organizer(PETRA, BYPASS);
    let eve = world.keyed(EVE, BYPASS);
    let conference = shown(&world).conference;
    world.act(conference, Action::Mute { leg: eve, hard: true });
    world.act(conference, Action::Remove(eve));
    let back = world.keyed(EVE, BYPASS);
    assert_eq!(one(&world, back).muted_by, Some(MutedBy::OrganizerHard));
    world.act(conference, Action::Unmute(back));
    world.act(conference, Action::Remove(petra));
    let petra = world.keyed(PETRA, BYPASS);
    assert_eq!(one(&world, petra).role, Role::Participant, "an organizer who was removed is not asked");
    world.act(conference, Action::Remove(back));
    let back = world.keyed(EVE, BYPASS);
    assert_eq!(one(&world, back).muted_by, None, "the mute was ended before");

    let mut world = World::new();
    let petra = world.organizer(PETRA, STRICT);
    let first = world.waiting(EVE, STRICT);
    world.press(petra, "*21");
    world.lose(first);
    let second = world.keyed_on("microsoft", EVE, STRICT);
    world.press(petra, "*21");
    world.tell(Event::RemoveLeg { leg: second });
    let third = world.keyed(EVE, STRICT);
    assert_eq!(world.state(third), Some("lobby"), "who was removed has no other way either");
}
