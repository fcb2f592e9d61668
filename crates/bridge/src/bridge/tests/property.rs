//! Any order of events, also impossible ones: commands stay legal, every leg gets its records, nothing is left over.

use super::{CALLEE, MICROSOFT_NUMBER, OPERATOR_NUMBER, World, ended, failed, key};
use crate::bridge::BridgeConfig;
use crate::event::{DialFailureKind, EndedBy, Event};
use crate::id::{ConferenceId, LegId};
use proptest::prelude::*;
use std::time::Duration;

const IDS: [&str; 9] = [
    "111111111",
    "222222222",
    "333333333",
    "444444444",
    "555555555",
    "666666666",
    "777777777",
    "888888888",
    "123456789",
];
const KEYS: [char; 8] = ['1', '6', '*', '#', '0', '9', 'A', '2'];
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

/// Plays one step of a random story. `a` chooses the kind, `b` the leg, `c` the rest.
fn step(world: &mut World, (a, b, c): (u8, u8, u8)) {
    // Legs 1 to the newest exist or existed; a few more are unknown.
    let leg = LegId(1 + u64::from(b) % (world.next_leg + 2));
    let attempt = world.bridge.calls.get(&leg).map_or(1, |call| match &call.state {
        crate::call::State::Dialing { dial } => dial.attempt(),
        _ => 1,
    });
    let attempt = if c % 8 == 7 { u32::from(c) } else { attempt };
    match a % 32 {
        0..=2 => {
            let (trunk, called) = pick(
                &[("acme-1", OPERATOR_NUMBER), ("microsoft", MICROSOFT_NUMBER), ("acme-2", MICROSOFT_NUMBER)],
                c,
            );
            world.offer(trunk, called);
        }
        3..=5 => {
            let dialed = pick(&[CALLEE, "+493087654321", "112", "", "+14255550111"], c);
            world.ask(pick(&IDS, c / 8), dialed, b % 2 == 0);
        }
        6..=9 => world.tell(Event::UsageDurable { leg }),
        10 => world.tell(Event::LegEstablished { leg }),
        11..=12 => world.tell(Event::MediaStarted { leg }),
        13..=14 => world.tell(Event::Digit { leg, digit: key(pick(&KEYS, c)) }),
        15..=17 => world.press(leg, pick(&IDS, c)),
        18 => world.press(leg, pick(&["*6", "*1", "**9", "1", "#"], c)),
        19..=20 => world.prompt_ends(leg),
        21 => world.tell(Event::ClipEnded { leg, token: u64::from(c) }),
        22 => world.tell(Event::MediaSilent { leg }),
        23 => world.tell(Event::LegEnded { leg, end: ended(pick(&ENDS, c)) }),
        24 => world.tell(Event::LegProgress { leg, attempt, status: pick(&[180, 183, 181], c) }),
        25..=26 => world.tell(Event::LegAnswered { leg, attempt }),
        27 => {
            let failure = failed(pick(&KINDS, c), pick(&STATUSES, c / 4), c % 2 == 0);
            world.tell(Event::LegFailed { leg, attempt, failure });
        }
        28 => match c % 16 {
            0 => world.tell(Event::Drain),
            1 => world.tell(Event::DrainNow),
            2..=4 => world.tell(Event::EndConference { conference: ConferenceId(u64::from(b)) }),
            5 => world.tell(Event::TableChanged(super::table())),
            _ => world.tell(Event::RemoveLeg { leg }),
        },
        29 => world.pass(Duration::from_millis(u64::from(c) * 20)),
        30 => world.pass(Duration::from_secs(u64::from(c))),
        _ => {
            // Woken for nothing, and an offer of a leg that exists.
            world.bridge.handle_timeout(world.now, world.wall);
            let caller = crate::event::Caller::default();
            let called = OPERATOR_NUMBER.parse().expect("a number");
            if world.bridge.calls.contains_key(&leg) {
                let trunk = routing::TrunkId::new("acme-1");
                world.tell(Event::LegOffered { leg, trunk, called, caller, sip_call_id: String::new() });
            }
        }
    }
}

fn world() -> World {
    World::with(BridgeConfig { legs: 12, dial_outs: 3, ..BridgeConfig::default() })
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
        let names: Vec<_> = world.bridge.calls.values().map(crate::call::Call::state_name).collect();
        prop_assert!(names.iter().all(|name| *name == "in-conference"), "{names:?}");
        prop_assert!(world.bridge.timers.is_empty());
        for leg in world.bridge.calls.keys().copied().collect::<Vec<_>>() {
            world.tell(Event::MediaSilent { leg });
        }
        world.assert_empty();
    }
}
