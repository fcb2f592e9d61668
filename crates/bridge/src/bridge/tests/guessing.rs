//! Who guesses conference IDs and PINs, and who does not.

use super::lobby::{PETRA, STRICT};
use super::{OPERATOR_NUMBER, World};
use crate::bridge::{BridgeConfig, Reason};
use crate::command::Command;
use crate::defense::{Alarm, AlarmLevel, AlarmScope, DefenseConfig, Guessed};
use crate::id::LegId;
use crate::prompt::PromptId::{self, FirstCaller, Goodbye, IdNotRecognized, JoinAsParticipant, LobbyWait};
use routing::{OrganizerId, TrunkId};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// No meeting's.
const UNKNOWN: &str = "123456789";
/// Another tenant's.
const FOREIGN: &str = "777777777";
/// Of an organizer whose license has no dial-in.
const BARRED: &str = "888888888";
/// Anybody's.
const OPEN: &str = "111111111";

fn with(defense: DefenseConfig) -> World {
    World::with(BridgeConfig { defense, ..BridgeConfig::default() })
}

fn alarms(world: &mut World) -> Vec<Alarm> {
    let alarm = |command: Command| match command {
        Command::Alarm(alarm) => Some(alarm),
        _ => None,
    };
    world.take().into_iter().filter_map(alarm).collect()
}

/// Somebody with a number of his own keys this and hangs up.
fn one_try(world: &mut World, number: u32, id: &str) {
    let leg = world.keyed(&format!("+1425777{number:04}"), id);
    world.pass(3 * SECOND);
    world.bye(leg);
}

/// Lines that ask for the PIN of Petra's meeting, each from a number of its own, all on one trunk.
fn guessers(world: &mut World, lines: u32) -> Vec<LegId> {
    let line = |number| {
        let leg = world.keyed(&format!("+1425666{number:04}"), STRICT);
        world.press(leg, "*");
        leg
    };
    (0..lines).map(line).collect()
}

/// Every line that may keys a wrong PIN, and every check is answered at once: how many there were in so many seconds.
fn guessed(world: &mut World, lines: &[LegId], seconds: u32) -> usize {
    let mut checks = 0;
    for _ in 0..seconds {
        for &leg in lines {
            world.press(leg, "1111#");
            while !world.checks.is_empty() {
                world.pin_is(false);
                checks += 1;
            }
        }
        for _ in 0..10 {
            world.pass(Duration::from_millis(100));
            while !world.checks.is_empty() {
                world.pin_is(false);
                checks += 1;
            }
        }
    }
    checks
}

#[test]
fn the_pins_of_an_organizer_are_guessed_slowly_whoever_guesses() {
    let mut world = World::new();
    let lines = guessers(&mut world, 100);
    let checks = guessed(&mut world, &lines, 60);
    assert!((10..=15).contains(&checks), "{checks} PINs in a minute over a hundred lines");
    let petra = OrganizerId::new("petra");
    let alarms: Vec<Alarm> =
        alarms(&mut world).into_iter().filter(|one| one.guessed == Guessed::Pins).collect();
    let [one] = &alarms[..] else { panic!("{alarms:?}") };
    assert_eq!((&one.scope, one.wrong), (&AlarmScope::Organizer(petra), 11));
}

#[test]
fn an_organizer_waits_for_nobody_who_guesses_on_another_trunk_or_from_a_strange_number() {
    let mut world = World::new();
    let petra = world.organizer(PETRA, STRICT);
    world.bye(petra);
    world.pass(Duration::from_mins(4));
    let lines = guessers(&mut world, 100);
    guessed(&mut world, &lines[..50], 20);
    for &leg in &lines {
        world.press(leg, "1111#");
    }
    assert!(world.bridge.pins.poll_timeout().is_some(), "others wait");
    world.checks.clear();
    for (trunk, number) in [("acme-1", PETRA), ("acme-2", "+14255550188"), ("microsoft", "+14255550189")] {
        let petra = world.keyed_on(trunk, number, STRICT);
        world.press(petra, "*2718#");
        world.pass(Duration::from_millis(1));
        assert_eq!(world.checks.last().map(|(leg, _)| *leg), Some(petra), "{trunk} {number}");
        world.pin_is(true);
        assert!(world.is_in_conference(petra));
        world.bye(petra);
        world.pass(Duration::from_mins(4));
        for &leg in &lines {
            if world.state(leg).is_some() {
                world.bye(leg);
            }
        }
        world.checks.clear();
        let again = guessers(&mut world, 20);
        guessed(&mut world, &again, 5);
        for &leg in &again {
            world.bye(leg);
        }
    }
}

#[test]
fn a_pin_is_not_tried_for_nothing_by_hanging_up() {
    let mut world = World::new();
    for line in 0..30 {
        let leg = world.keyed(&format!("+1425666{line:04}"), STRICT);
        world.press(leg, "*1111#");
        world.bye(leg);
    }
    assert_eq!(world.checks.len(), 4, "three, and one before the gap that the fourth makes");
}

#[test]
fn whose_turn_does_not_come_goes_on_as_a_participant_and_the_line_behind_him_moves_up() {
    let config =
        DefenseConfig { pin_gap: 100 * SECOND, pin_gap_most: 100 * SECOND, ..DefenseConfig::default() };
    let mut world = with(config);
    let lines = guessers(&mut world, 5);
    for &leg in &lines[..4] {
        world.press(leg, "1111#");
        world.pin_is(false);
    }
    world.press(lines[4], "1111#");
    assert!(world.checks.is_empty());
    assert_eq!(world.bridge.counters.pins_slowed, 1);
    world.take();
    world.pass(30 * SECOND);
    assert_eq!(world.heard(lines[4])[..2], [JoinAsParticipant, LobbyWait]);
    for &leg in &lines {
        world.bye(leg);
    }
    world.assert_empty();
}

#[test]
fn a_check_that_never_ends_holds_the_line_up_for_fifteen_seconds_only() {
    let mut world = World::new();
    let lines = guessers(&mut world, 2);
    world.press(lines[0], "1111#");
    world.press(lines[1], "2718#");
    assert_eq!(world.checks.len(), 1);
    world.pass(15 * SECOND);
    assert_eq!(world.checks.last().map(|(leg, _)| *leg), Some(lines[1]));
}

#[test]
fn a_caller_who_errs_too_often_waits_for_right_and_wrong_alike() {
    let defense = DefenseConfig { per_caller: 2, ..DefenseConfig::default() };
    let mut world = World::with(BridgeConfig { defense, ..BridgeConfig::default() });
    let leg = world.greeted("acme-1", OPERATOR_NUMBER);
    world.press(leg, "123456789#123456789#123456789");
    world.bye(leg);
    for (id, expected) in [("123456789", IdNotRecognized), ("111111111", FirstCaller)] {
        let leg = world.greeted("acme-1", OPERATOR_NUMBER);
        world.press(leg, id);
        world.take();
        assert_eq!(world.bridge.poll_timeout().map(|(_, reason)| reason), Some(Reason::SlowDown));
        world.press(leg, "5");
        assert!(world.heard(leg).is_empty());
        world.pass(3 * SECOND);
        assert_eq!(world.heard(leg).first(), Some(&expected));
    }
    assert_eq!(world.bridge.snapshot(world.now).wrong_ids[0].in_window, 4);
}

#[test]
fn callers_who_hide_their_number_are_counted_together_by_trunk() {
    let mut world = with(DefenseConfig { per_anonymous: 4, ..DefenseConfig::default() });
    for _ in 0..5 {
        let leg = world.keyed("", UNKNOWN);
        assert_eq!(world.heard(leg).first(), Some(&IdNotRecognized));
        world.bye(leg);
    }
    let hidden = world.keyed("", OPEN);
    assert!(!world.is_in_conference(hidden), "also the right one");
    world.pass(3 * SECOND);
    assert!(world.is_in_conference(hidden));
    let elsewhere = world.keyed_on("microsoft", "", OPEN);
    assert!(world.is_in_conference(elsewhere), "on another trunk nobody has erred");
    let shown = world.keyed("+14255550177", OPEN);
    assert!(world.is_in_conference(shown), "and who shows a number is not one of them");
}

#[test]
fn where_hardly_an_id_exists_the_trunk_is_slowed_down_and_then_not_heard() {
    let mut world = with(DefenseConfig { ratio_entries: 10, ..DefenseConfig::default() });
    let honest = world.keyed(PETRA, OPEN);
    assert!(world.is_in_conference(honest));
    world.bye(honest);
    for caller in 0..3 {
        one_try(&mut world, caller, OPEN);
    }
    let mut caller = 100;
    while world.bridge.counters.ids_slowed == 0 {
        one_try(&mut world, caller, UNKNOWN);
        caller += 1;
        assert!(caller < 120, "{caller}");
    }
    let told = alarms(&mut world);
    let scopes: Vec<_> = told.iter().map(|one| (one.scope.clone(), one.level)).collect();
    let acme = AlarmScope::Trunk(TrunkId::new("acme-1"));
    assert_eq!(scopes, [(AlarmScope::Bridge, AlarmLevel::Slowed), (acme.clone(), AlarmLevel::Slowed)]);
    assert_eq!((told[0].wrong, told[0].hits), (7, 4));

    while world.bridge.counters.ids_unheard == 0 {
        one_try(&mut world, caller, UNKNOWN);
        let stranger = world.keyed(&format!("+1425888{caller:04}"), UNKNOWN);
        world.bye(stranger);
        caller += 1;
        assert!(caller < 200, "{caller}");
    }
    assert!(alarms(&mut world).iter().any(|one| one.scope == acme && one.level == AlarmLevel::Refused));
    let refused = world.bridge.counters.ids_unheard;
    let first = world.keyed("+14255550177", UNKNOWN);
    let second = world.keyed("+14255550178", OPEN);
    world.take();
    world.pass(3 * SECOND);
    assert_eq!(world.heard(second), [IdNotRecognized, Goodbye], "nobody has looked at the right one");
    assert!(world.bridge.counters.ids_unheard > refused);
    world.bye(first);
    let honest = world.keyed(PETRA, OPEN);
    assert!(world.is_in_conference(honest), "who was known before is not held up");
    world.pass(Duration::from_mins(11));
    let stranger = world.keyed("+14255550179", OPEN);
    assert!(world.is_in_conference(stranger), "and after the window it is over");
}

#[test]
fn who_keys_an_id_that_he_knows_between_his_guesses_is_found_out_all_the_same() {
    let mut world = with(DefenseConfig { ratio_entries: 10, ..DefenseConfig::default() });
    let mut caller = 0;
    while world.bridge.counters.ids_slowed == 0 {
        one_try(&mut world, caller, UNKNOWN);
        one_try(&mut world, caller + 1, OPEN);
        caller += 2;
        assert!(caller < 40, "{caller}");
    }
}

#[test]
fn slips_of_the_finger_that_the_right_id_follows_raise_no_alarm() {
    let mut world = with(DefenseConfig { ratio_entries: 10, ..DefenseConfig::default() });
    for (caller, slip) in ["111111112#", "11111111#", "131111111#"].iter().cycle().take(40).enumerate() {
        let leg = world.keyed(&format!("+1425777{caller:04}"), slip);
        world.press(leg, OPEN);
        assert!(world.is_in_conference(leg));
        world.bye(leg);
    }
    assert_eq!(alarms(&mut world), []);
}

#[test]
fn what_there_is_to_know_sounds_alike_and_takes_the_same_time_also_while_slowed_down() {
    for slowed in [false, true] {
        let mut world = with(DefenseConfig { per_caller: 2, ..DefenseConfig::default() });
        for _ in 0..3 {
            if slowed {
                let leg = world.keyed(PETRA, UNKNOWN);
                world.pass(3 * SECOND);
                world.bye(leg);
            }
        }
        let mut heard: Vec<(Vec<PromptId>, Vec<PromptId>)> = Vec::new();
        for id in [UNKNOWN, FOREIGN, BARRED] {
            world.take();
            let leg = world.keyed(PETRA, id);
            let at_once = world.heard(leg);
            world.pass(Duration::from_millis(2999));
            assert_eq!(world.heard(leg), [], "{id}");
            world.pass(Duration::from_millis(1));
            heard.push((at_once, world.heard(leg)));
            world.bye(leg);
            if !slowed {
                // A fresh window for each.
                world.pass(Duration::from_mins(11));
            }
        }
        assert_eq!(heard[0], heard[1], "foreign");
        assert_eq!(heard[0], heard[2], "barred");
        let told = if slowed { &heard[0].1 } else { &heard[0].0 };
        assert_eq!(told.first(), Some(&IdNotRecognized));
    }
}

#[test]
fn a_tenant_s_numbers_are_counted_over_all_trunks() {
    let mut world = with(DefenseConfig { per_tenant: 5, ..DefenseConfig::default() });
    for caller in 0..6 {
        let trunk = ["acme-1", "acme-2", "microsoft"][caller % 3];
        let leg = world.keyed_on(trunk, &format!("+1425777000{caller}"), UNKNOWN);
        world.bye(leg);
    }
    let scopes: Vec<_> = alarms(&mut world).into_iter().map(|one| one.scope).collect();
    assert_eq!(scopes, [AlarmScope::Tenant("contoso".into())]);
    let leg = world.keyed("+14255550177", OPEN);
    assert!(!world.is_in_conference(leg));
    world.pass(3 * SECOND);
    assert!(world.is_in_conference(leg));
}
