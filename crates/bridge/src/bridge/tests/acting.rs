//! What users do in a meeting, and what they are told when it cannot be done.

use super::World;
use crate::command::{Command, HangupCause};
use crate::digit::Keys;
use crate::event::Event;
use crate::id::{ConferenceId, LegId};
use crate::policy::Role;
use crate::prompt::PromptId::{ForLock, Goodbye, HandLowered, LobbyRejected};
use crate::{Action, ActionRefusal};

const STRICT: &str = "121212121";

/// What came of a wish; everything else is left to be looked at.
fn told(world: &mut World, conference: ConferenceId, action: Action) -> Result<usize, ActionRefusal> {
    world.act(conference, action);
    let answer = world.fresh.iter().rev().find_map(|command| match command {
        Command::Acted { result, .. } => Some(*result),
        _ => None,
    });
    answer.expect("every wish is answered")
}

fn open(world: &World) -> ConferenceId {
    *world.bridge.conferences.keys().next().expect("a conference is open")
}

#[test]
fn a_user_lets_people_in_one_by_one_or_all_or_sends_them_away() {
    let mut world = World::new();
    let waiting: Vec<LegId> = (0..4).map(|n| world.waiting(&format!("+1425555030{n}"), STRICT)).collect();
    let conference = open(&world);
    assert_eq!(told(&mut world, conference, Action::Reject(waiting[3])), Ok(1));
    assert_eq!(world.heard(waiting[3]), [LobbyRejected, Goodbye]);
    assert_eq!(told(&mut world, conference, Action::Admit(waiting[0])), Ok(1));
    assert!(world.is_in_conference(waiting[0]), "that starts the meeting");
    assert_eq!(world.state(waiting[1]), Some("lobby"), "and lets in nobody else");
    assert_eq!(told(&mut world, conference, Action::AdmitAll), Ok(2));
    assert_eq!(told(&mut world, conference, Action::AdmitAll), Ok(0));
    assert_eq!(
        told(&mut world, conference, Action::Admit(waiting[0])),
        Err(ActionRefusal::NotInLobby(waiting[0]))
    );
}

#[test]
fn a_wish_is_done_once_and_says_when_it_was_so_already() {
    let mut world = World::new();
    let leg = world.joined("111111111");
    let conference = open(&world);
    let organizer = Action::SetRole { leg, role: Role::Organizer };
    for action in [
        Action::Mute { leg, hard: false },
        Action::Mute { leg, hard: true },
        Action::Unmute(leg),
        Action::Lock(true),
        Action::Lock(false),
        Action::Announce(false),
        Action::Announce(true),
        organizer,
    ] {
        assert_eq!(told(&mut world, conference, action), Ok(1), "{action:?}");
        assert_eq!(told(&mut world, conference, action), Ok(0), "{action:?} again");
    }
    world.press(leg, "*1");
    assert!(world.heard(leg).contains(&ForLock), "an organizer's help");
    let hard = Action::Mute { leg, hard: true };
    assert_eq!(told(&mut world, conference, hard), Err(ActionRefusal::IsOrganizer(leg)));
    assert_eq!(told(&mut world, conference, Action::Mute { leg, hard: false }), Ok(1));
    assert_eq!(world.heard(leg)[..1], [crate::PromptId::MutedByOrganizer]);
    world.press(leg, "*5");
    assert_eq!(told(&mut world, conference, Action::LowerHand(leg)), Ok(1));
    assert_eq!(world.heard(leg), [HandLowered]);
}

#[test]
fn keys_are_pressed_only_into_calls_of_the_meeting_s_own_and_only_once_they_are_in_it() {
    let mut world = World::new();
    let keys = Keys::parse("27182#").expect("keys");
    let caller = world.joined("222222222");
    let conference = open(&world);
    let refused = told(&mut world, conference, Action::SendDigits { leg: caller, keys });
    assert_eq!(refused, Err(ActionRefusal::NotDialedOut(caller)));
    let callee = world.dialing("222222222", false);
    let early = told(&mut world, conference, Action::SendDigits { leg: callee, keys });
    assert_eq!(early, Err(ActionRefusal::UnknownLeg(callee)), "its telephone rings");
    world.tell(Event::LegAnswered { leg: callee, attempt: 1 });
    world.take();
    assert_eq!(told(&mut world, conference, Action::SendDigits { leg: callee, keys }), Ok(1));
    let commands = world.take();
    let sent = commands.iter().filter(
        |command| matches!(command, Command::SendDigits { leg, keys: sent } if (*leg, *sent) == (callee, keys)),
    );
    assert_eq!(sent.count(), 1, "{commands:?}");
    assert!(!format!("{commands:?}").contains("27182"));
}

#[test]
fn a_leg_or_a_conference_that_is_not_there_is_named() {
    let mut world = World::new();
    let leg = world.joined("111111111");
    let (conference, stranger) = (open(&world), LegId(4711));
    let nowhere = ConferenceId(4711);
    assert_eq!(told(&mut world, nowhere, Action::AdmitAll), Err(ActionRefusal::UnknownConference));
    for action in [
        Action::Admit(stranger),
        Action::Reject(stranger),
        Action::Mute { leg: stranger, hard: false },
        Action::Unmute(stranger),
        Action::LowerHand(stranger),
        Action::SetRole { leg: stranger, role: Role::Organizer },
        Action::Remove(stranger),
    ] {
        assert_eq!(
            told(&mut world, conference, action),
            Err(ActionRefusal::UnknownLeg(stranger)),
            "{action:?}"
        );
    }
    assert_eq!(told(&mut world, conference, Action::Remove(leg)), Ok(1));
    assert_eq!(
        told(&mut world, conference, Action::End),
        Err(ActionRefusal::UnknownConference),
        "all have left"
    );
    world.assert_empty();
}

#[test]
fn the_end_is_for_everybody_also_in_the_lobby() {
    let mut world = World::new();
    let petra = world.organizer("+14255550101", STRICT);
    let eve = world.waiting("+14255550102", STRICT);
    let conference = open(&world);
    assert_eq!(told(&mut world, conference, Action::End), Ok(2));
    let over = |command: &Command| match command {
        Command::Hangup { leg, cause: HangupCause::ConferenceEnded } => Some(*leg),
        _ => None,
    };
    assert_eq!(world.take().iter().filter_map(over).collect::<Vec<_>>(), [petra, eve]);
    world.assert_empty();
}
