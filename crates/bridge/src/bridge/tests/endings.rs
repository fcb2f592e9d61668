//! Every way out.

use super::{OPERATOR_NUMBER, World, ended, failed, tones};
use crate::command::{Command, DialOutRefusal, HangupCause};
use crate::event::{DialFailureKind, EndedBy, Event};
use crate::usage::{CallResult, EndingParty};
use std::time::Duration;

#[test]
fn a_caller_who_gives_up_before_the_answer_has_one_final_record() {
    let mut world = World::new();
    let leg = world.offer("acme-1", OPERATOR_NUMBER);
    world.take();
    world.tell(Event::LegEnded { leg, end: ended(EndedBy::Cancel) });
    let commands = world.take();
    let [Command::Usage(record), Command::Release { .. }] = &commands[..] else { panic!("{commands:?}") };
    let end = record.end.as_ref().unwrap();
    assert_eq!((end.result, end.ended_by), (CallResult::Cancelled, EndingParty::FarEnd));
    world.tell(Event::UsageDurable { leg });
    assert!(world.take().is_empty(), "the record became safe after the CANCEL");
    world.assert_empty();
}

#[test]
fn a_leg_that_ends_with_the_attendant_closes_its_room() {
    let mut world = World::new();
    let leg = world.greeted("acme-1", OPERATOR_NUMBER);
    world.take();
    world.tell(Event::LegEnded { leg, end: ended(EndedBy::DialogGone) });
    assert!(matches!(
        &world.take()[..],
        [Command::Usage(_), Command::Release { .. }, Command::CloseConference { .. }]
    ));
    world.assert_empty();
}

#[test]
fn a_silent_leg_is_hung_up_and_the_others_hear_it_leave() {
    let mut world = World::new();
    let silent = world.joined("111111111");
    let other = world.joined("111111111");
    world.take();
    world.tell(Event::MediaSilent { leg: silent });
    let commands = world.take();
    assert!(commands.iter().any(|command| {
        matches!(command, Command::Hangup { leg, cause: HangupCause::MediaSilent } if *leg == silent)
    }));
    assert_eq!(tones(&commands).len(), 1);
    world.bye(other);
    world.assert_empty();
}

#[test]
fn ending_a_conference_ends_everybody_in_it_and_only_them() {
    let mut world = World::new();
    let one = world.joined("111111111");
    let _two = world.joined("111111111");
    let elsewhere = world.joined("444444444");
    let ringing = world.ask("111111111", "+14255550111", false);
    world.tell(Event::UsageDurable { leg: ringing });
    world.take();
    let conference =
        world.bridge.snapshot(world.now).legs.iter().find(|leg| leg.leg == one).unwrap().conference;
    world.tell(Event::EndConference { conference: conference.unwrap() });
    let commands = world.take();
    assert!(tones(&commands).is_empty());
    let hung_up = commands
        .iter()
        .filter(|command| matches!(command, Command::Hangup { cause: HangupCause::ConferenceEnded, .. }));
    assert_eq!(hung_up.count(), 3);
    assert!(world.is_in_conference(elsewhere));
    world.bye(elsewhere);
    world.assert_empty();
}

#[test]
fn draining_refuses_new_work_and_lets_the_answered_join() {
    let mut world = World::new();
    let host = world.joined("222222222");
    let attended = world.greeted("acme-1", OPERATOR_NUMBER);
    let ringing = world.dialing("222222222", false);
    let unanswered = world.offer("acme-1", OPERATOR_NUMBER);
    world.take();
    world.tell(Event::Drain);
    let commands = world.take();
    assert!(matches!(
        &commands[..],
        [Command::Usage(_), Command::Refuse { leg, status: 503, .. }] if *leg == unanswered
    ));
    world.tell(Event::UsageDurable { leg: unanswered });
    assert!(world.take().is_empty(), "no answer after the drain began");

    world.offer("acme-1", OPERATOR_NUMBER);
    assert!(matches!(&world.take()[..], [Command::Usage(_), Command::Refuse { status: 503, .. }]));
    world.ask("222222222", "+493011111111", false);
    assert!(matches!(&world.take()[..], [Command::DialOutRefused { why: DialOutRefusal::Draining, .. }]));

    world.press(attended, "222222222");
    assert!(world.is_in_conference(attended));
    world.take();
    let failure = failed(DialFailureKind::Response, 503, true);
    world.tell(Event::LegFailed { leg: ringing, attempt: 1, failure });
    assert!(!world.take().iter().any(|command| matches!(command, Command::Dial { .. })));
    assert!(world.bridge.is_draining());
    assert_eq!(world.bridge.legs(), 2);
    world.bye(host);
    world.bye(attended);
    world.assert_empty();
}

#[test]
fn the_second_signal_ends_everything_with_records() {
    let mut world = World::new();
    world.joined("222222222");
    world.joined("222222222");
    world.greeted("acme-1", OPERATOR_NUMBER);
    world.dialing("222222222", true);
    world.offer("acme-1", OPERATOR_NUMBER);
    world.take();
    world.tell(Event::DrainNow);
    let commands = world.take();
    assert!(tones(&commands).is_empty());
    assert_eq!(commands.iter().filter(|command| matches!(command, Command::Usage(_))).count(), 5);
    world.assert_empty();
}

#[test]
fn a_user_can_remove_a_leg_in_any_state() {
    let mut world = World::new();
    let offered = world.offer("acme-1", OPERATOR_NUMBER);
    let attended = world.greeted("acme-1", OPERATOR_NUMBER);
    let dialing = world.dialing("222222222", false);
    let joined = world.joined("111111111");
    for leg in [offered, attended, dialing, joined] {
        world.take();
        world.tell(Event::RemoveLeg { leg });
        let end = world.final_record().unwrap().end.unwrap();
        assert_eq!(end.ended_by, EndingParty::User);
    }
    world.assert_empty();
}

#[test]
fn words_about_strangers_are_ignored_and_counted() {
    let mut world = World::new();
    let leg = crate::id::LegId(99);
    world.tell(Event::LegAnswered { leg, attempt: 1 });
    world.tell(Event::ClipEnded { leg, token: 0 });
    world.bye(leg);
    assert!(world.take().is_empty());
    assert_eq!(world.bridge.counters().events_ignored, 3);
}

#[test]
fn the_bridge_takes_no_more_legs_than_configured() {
    let config = crate::bridge::BridgeConfig { legs: 1, ..crate::bridge::BridgeConfig::default() };
    let mut world = World::with(config);
    world.joined("222222222");
    world.take();
    world.offer("acme-1", OPERATOR_NUMBER);
    assert!(matches!(&world.take()[..], [Command::Usage(_), Command::Refuse { status: 503, .. }]));
    world.ask("222222222", super::CALLEE, false);
    assert!(matches!(&world.take()[..], [Command::DialOutRefused { why: DialOutRefusal::TooMany, .. }]));
}

#[test]
fn a_snapshot_is_plain_json() {
    let mut world = World::new();
    world.joined("222222222");
    world.dialing("222222222", false);
    world.pass(Duration::from_secs(1));
    let json = serde_json::to_value(world.bridge.snapshot(world.now)).unwrap();
    assert_eq!(json["conferences"][0]["conference_id"], "222222222");
    assert_eq!(json["conferences"][0]["participants"][0]["direction"], "dial-in");
    assert_eq!(json["conferences"][0]["callees"][0]["destination"], super::CALLEE);
    assert_eq!(json["legs"][1]["state"], "dialing");
}

#[test]
fn a_cancel_that_crosses_the_answer_leaves_nothing_to_bill() {
    for (by, result) in [(EndedBy::Cancel, CallResult::Cancelled), (EndedBy::Media, CallResult::Failed)] {
        let mut world = World::new();
        let leg = world.offer("acme-1", OPERATOR_NUMBER);
        world.tell(Event::UsageDurable { leg });
        world.pass(Duration::from_millis(100));
        world.tell(Event::LegEnded { leg, end: ended(by) });
        let record = world.final_record().unwrap();
        let end = record.end.unwrap();
        assert_eq!((end.result, end.duration_ms, end.billed_seconds), (result, 0, 0));
        assert_eq!(record.answer_time, None);
        world.assert_empty();
    }
}
