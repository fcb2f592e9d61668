//! Any order of events, also impossible ones: commands stay legal, every leg gets its records, nothing is left over.

use super::{CALLEE, MICROSOFT_NUMBER, OPERATOR_NUMBER, World, ended, failed, key};
use crate::action::Action;
use crate::bridge::BridgeConfig;
use crate::call::State;
use crate::event::{Caller, DialFailureKind, EndedBy, Event};
use crate::id::{ConferenceId, LegId};
use crate::policy::Role;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const IDS: [&str; 11] = [
    "111111111",
    "222222222",
    "333333333",
    "444444444",
    "555555555",
    "666666666",
    "777777777",
    "888888888",
    "121212121",
    "131313131",
    "123456789",
];
const KEYS: [char; 9] = ['1', '6', '*', '#', '0', '9', 'A', '2', '5'];
const KINDS: [DialFailureKind; 5] = [
    DialFailureKind::NoResponse,
    DialFailureKind::Timeout,
    DialFailureKind::Response,
    DialFailureKind::Transport,
    DialFailureKind::Local,
];
const ENDS: [EndedBy; 6] = [
    EndedBy::Bye,
    EndedBy::Cancel,
    EndedBy::AckTimeout,
    EndedBy::DialogGone,
    EndedBy::Transport,
    EndedBy::Media,
];
const STATUSES: [u16; 8] = [404, 408, 480, 486, 503, 600, 603, 0];

fn pick<T: Copy>(from: &[T], by: u8) -> T {
    from[usize::from(by) % from.len()]
}

/// Usually a leg that lives, sometimes one that is gone or never was.
fn pick_leg(world: &World, by: u8) -> LegId {
    let living: Vec<LegId> = world.bridge.calls.keys().copied().collect();
    if by >= 32 && !living.is_empty() {
        return pick(&living, by);
    }
    LegId(1 + u64::from(by) % (world.next_leg + 2))
}

/// The attempt under way; sometimes another one.
fn pick_attempt(world: &World, leg: LegId, by: u8) -> u32 {
    let state = world.bridge.calls.get(&leg).map(|call| &call.state);
    match state {
        _ if by % 8 == 7 => u32::from(by),
        Some(State::Dialing { dial }) => dial.attempt(),
        _ => 1,
    }
}

/// Plays one step of a random story. `a` chooses the kind, `b` the leg, `c` the rest.
fn step(world: &mut World, (a, b, c): (u8, u8, u8)) {
    let leg = pick_leg(world, b);
    let attempt = pick_attempt(world, leg, c);
    match a % 32 {
        0..=1 => {
            let (trunk, called) = pick(
                &[("acme-1", OPERATOR_NUMBER), ("microsoft", MICROSOFT_NUMBER), ("acme-2", MICROSOFT_NUMBER)],
                c,
            );
            world.offer(trunk, called);
        }
        2 => {
            let caller = world.greeted("acme-1", OPERATOR_NUMBER);
            world.press(caller, pick(&["111111111", "222222222", "444444444", "121212121", "131313131"], c));
        }
        3..=4 => {
            let dialed = pick(&[CALLEE, "+493087654321", "+14255550111", "112", ""], c);
            world.ask(pick(&IDS, c / 8), dialed, b % 2 == 0);
        }
        5..=6 => {
            let callee =
                world.ask(pick(&["222222222", "444444444"], c), pick(&[CALLEE, "+4930111"], b), c > 127);
            world.tell(Event::UsageDurable { leg: callee });
        }
        7..=9 => world.tell(Event::UsageDurable { leg }),
        10 => world.tell(Event::LegEstablished { leg }),
        11..=12 => world.tell(Event::MediaStarted { leg }),
        13..=14 => world.tell(Event::Digit { leg, digit: key(pick(&KEYS, c)) }),
        15..=16 => world.press(leg, pick(&IDS, c)),
        17..=18 => world.press(
            leg,
            pick(&["*6", "*1", "**9", "1", "#", "*3", "*5", "*7", "*21", "*22", "*23", "*12345#"], c),
        ),
        19..=20 => world.prompt_ends(leg),
        21 => world.tell(Event::ClipEnded { leg, token: u64::from(c) }),
        22 if c < 64 => world.tell(Event::MediaSilent { leg }),
        23 => world.tell(Event::LegEnded { leg, end: ended(pick(&ENDS, c)) }),
        22 | 24 => world.tell(Event::LegProgress { leg, attempt, status: pick(&[180, 183, 181], c) }),
        25..=26 => world.tell(Event::LegAnswered { leg, attempt }),
        27 => {
            let failure = failed(pick(&KINDS, c), pick(&STATUSES, c / 4), c % 2 == 0);
            world.tell(Event::LegFailed { leg, attempt, failure });
        }
        28..=29 if b.is_multiple_of(2) || a.is_multiple_of(2) => rare(world, leg, b, c),
        28..=29 => world.pass(Duration::from_millis(u64::from(c) * 20)),
        30 => world.pass(Duration::from_secs(u64::from(c / 8))),
        _ => {
            // Woken for nothing, and an offer of a leg that exists.
            world.bridge.handle_timeout(world.now, world.wall);
            if world.bridge.calls.contains_key(&leg) {
                let (trunk, called) =
                    (routing::TrunkId::new("acme-1"), OPERATOR_NUMBER.parse().expect("a number"));
                let caller = Caller::default();
                world.tell(Event::LegOffered { leg, trunk, called, caller, sip_call_id: String::new() });
            }
        }
    }
}

/// What happens to the whole bridge.
fn rare(world: &mut World, leg: LegId, b: u8, c: u8) {
    match c {
        0..=3 => world.tell(Event::Drain),
        4..=5 => world.tell(Event::DrainNow),
        6..=60 => {
            let open: Vec<ConferenceId> = world.bridge.conferences.keys().copied().collect();
            let conference = if open.is_empty() { ConferenceId(u64::from(b)) } else { pick(&open, b) };
            world.tell(Event::EndConference { conference });
        }
        61..=70 => world.tell(Event::TableChanged(super::table())),
        71..=100 => world.tell(Event::RemoveLeg { leg }),
        101..=150 => {
            let token = world.checks.last().map_or(u64::from(b), |(_, token)| *token);
            let leg = world.checks.last().map_or(leg, |(leg, _)| *leg);
            world.tell(Event::PinChecked { leg, token, right: c.is_multiple_of(2) });
        }
        _ => {
            let open: Vec<ConferenceId> = world.bridge.conferences.keys().copied().collect();
            let conference = if open.is_empty() { ConferenceId(u64::from(b)) } else { pick(&open, b) };
            let role = if b.is_multiple_of(2) { Role::Organizer } else { Role::Participant };
            let action = match c % 16 {
                0..=1 => Action::Admit(leg),
                2..=3 => Action::AdmitAll,
                4 => Action::Reject(leg),
                5..=6 => Action::Mute { leg, hard: b.is_multiple_of(2) },
                7 => Action::Unmute(leg),
                8 => Action::MuteAll { hard: b.is_multiple_of(2) },
                9 => Action::UnmuteAll,
                10 => Action::LowerHand(leg),
                11 => Action::Lock(b.is_multiple_of(2)),
                12 => Action::Announce(b.is_multiple_of(2)),
                13 => Action::SetRole { leg, role },
                14 => Action::Remove(leg),
                _ => Action::End,
            };
            world.act(conference, action);
        }
    }
}

fn world() -> World {
    World::with(BridgeConfig {
        legs: 12,
        dial_outs: 3,
        dial_attempt: Duration::from_secs(8),
        ..BridgeConfig::default()
    })
}

#[test]
fn the_stories_reach_every_state_and_every_command() {
    let mut states = BTreeSet::new();
    let mut commands: BTreeMap<String, u32> = BTreeMap::new();
    let mut rng = StdRng::from_seed([3; 32]);
    for _ in 0..400 {
        let mut world = world();
        for _ in 0..200 {
            step(&mut world, rng.random());
            states.extend(world.bridge.calls.values().map(|call| call.state_name()));
            for command in world.take() {
                let name: String =
                    format!("{command:?}").chars().take_while(char::is_ascii_alphabetic).collect();
                *commands.entry(name).or_default() += 1;
            }
        }
    }
    assert_eq!(states.len(), 9, "{states:?}");
    assert_eq!(commands.len(), 19, "{commands:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn draining_leaves_nothing_behind(story in prop::collection::vec(any::<(u8, u8, u8)>(), 1..250)) {
        let mut world = world();
        for part in story {
            step(&mut world, part);
        }
        world.tell(Event::DrainNow);
        world.assert_empty();
    }

    #[test]
    fn hanging_up_one_by_one_leaves_nothing_behind(
        story in prop::collection::vec(any::<(u8, u8, u8)>(), 1..250),
    ) {
        let mut world = world();
        for part in story {
            step(&mut world, part);
        }
        for leg in world.bridge.calls.keys().copied().collect::<Vec<_>>() {
            world.bye(leg);
        }
        world.assert_empty();
    }

    #[test]
    fn without_any_event_everybody_leaves_who_is_not_in_a_meeting(
        story in prop::collection::vec(any::<(u8, u8, u8)>(), 1..150),
    ) {
        let mut world = world();
        for part in story {
            step(&mut world, part);
        }
        world.pass(Duration::from_hours(1));
        let names: Vec<_> = world.bridge.calls.values().map(|call| call.state_name()).collect();
        prop_assert!(names.iter().all(|name| *name == "in-conference"), "{names:?}");
        // Each waits for its next interim record and for nothing else.
        prop_assert_eq!(world.bridge.timers.len(), world.bridge.calls.len());
        for leg in world.bridge.calls.keys().copied().collect::<Vec<_>>() {
            world.tell(Event::MediaSilent { leg });
        }
        world.assert_empty();
    }
}
