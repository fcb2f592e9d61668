//! The callee's way, sentence by sentence.

use super::{CALLEE, OPERATOR_NUMBER, World, failed};
use crate::command::{Command, DialOutRefusal, HangupCause, Purpose, Sound, Tone};
use crate::event::{DialFailureKind, DialOutRequest, Event};
use crate::id::{LegId, RequestId};
use crate::prompt::PromptId::{
    CalleeBusy, CalleeDeclined, CalleeNoAnswer, CalleeUnreachable, FirstCaller, Joining, PressOneToJoin,
};
use crate::usage::{CallResult, CallType, EndingParty, RecordKind};
use routing::Initiator;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn dials(commands: &[Command]) -> Vec<(u32, String)> {
    let dial = |command: &Command| match command {
        Command::Dial { attempt, candidate, .. } => Some((*attempt, candidate.trunk.to_string())),
        _ => None,
    };
    commands.iter().filter_map(dial).collect()
}

fn fail(world: &mut World, leg: LegId, attempt: u32, kind: DialFailureKind, status: u16, failover: bool) {
    world.tell(Event::LegFailed { leg, attempt, failure: failed(kind, status, failover) });
}

fn refusal(world: &mut World) -> DialOutRefusal {
    let refused = world.take().into_iter().find_map(|command| match command {
        Command::DialOutRefused { why, .. } => Some(why),
        _ => None,
    });
    refused.expect("a refusal")
}

#[test]
fn the_invite_waits_until_the_start_record_is_safe() {
    let mut world = World::new();
    let leg = world.ask("222222222", CALLEE, false);
    let commands = world.take();
    assert!(matches!(
        &commands[..],
        [
            Command::OpenConference { purpose: Purpose::Meeting, .. },
            Command::DialOutAccepted { .. },
            Command::Usage(start)
        ] if start.kind == RecordKind::Start && start.call_type == CallType::ConfOut
    ));
    world.tell(Event::UsageDurable { leg });
    let commands = world.take();
    let [Command::Dial { attempt: 1, candidate, .. }] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!(candidate.caller_id.as_str(), OPERATOR_NUMBER);
    assert_eq!(candidate.biller.to_string(), "operator:acme");
}

#[test]
fn who_has_himself_called_is_told_apart_in_the_records_and_follows_the_same_rules() {
    let mut world = World::new();
    let request = |leg: LegId, dialed: &str| DialOutRequest {
        request: RequestId(leg.0),
        leg,
        meeting: "222222222".into(),
        dialed: dialed.into(),
        initiator: Initiator::Member,
        confirm: false,
        call_me: true,
        down: Vec::new(),
    };
    let leg = world.fresh_leg();
    world.tell(Event::DialOut(request(leg, CALLEE)));
    let commands = world.take();
    let start = commands.iter().find_map(|command| match command {
        Command::Usage(record) => Some(record),
        _ => None,
    });
    let start = start.expect("a start record");
    assert_eq!((start.call_type, start.initiator), (CallType::CallMe, Some("member")));
    assert_eq!(serde_json::to_value(start).expect("JSON")["call_type"], "call_me");
    // An emergency number is one also for who has himself called.
    let leg = world.fresh_leg();
    world.tell(Event::DialOut(request(leg, "112")));
    assert!(world.take().iter().any(|command| matches!(command, Command::DialOutRefused { .. })));
}

/// How often the ring-back tone is heard during so many seconds.
fn ring_backs(world: &mut World, seconds: u32) -> usize {
    world.take();
    world.pass(SECOND * seconds);
    let rings = |command: &&Command| {
        matches!(command, Command::PlayAll { sound: Sound::Tone(Tone::RingBack), except: None, .. })
    };
    world.take().iter().filter(rings).count()
}

#[test]
fn who_is_alone_hears_that_it_rings_until_the_answer_and_who_talks_with_others_does_not() {
    for status in [180, 183] {
        let mut world = World::new();
        world.joined("222222222");
        let leg = world.dialing("222222222", false);
        assert_eq!(ring_backs(&mut world, 10), 0, "nothing rings yet");
        world.tell(Event::LegProgress { leg, attempt: 1, status });
        assert_eq!(ring_backs(&mut world, 12), 3, "at once, and every five seconds");
        world.tell(Event::LegProgress { leg, attempt: 1, status: 183 });
        let other = world.joined("222222222");
        assert_eq!(ring_backs(&mut world, 12), 0, "two people talk");
        world.bye(other);
        assert!(ring_backs(&mut world, 10) >= 1);
        world.tell(Event::LegAnswered { leg, attempt: 1 });
        assert_eq!(ring_backs(&mut world, 30), 0, "it is answered");
    }
}

#[test]
fn each_peer_of_a_trunk_that_was_tried_has_a_row_of_its_own_in_the_record() {
    let mut world = World::new();
    world.joined("222222222");
    let leg = world.dialing("222222222", false);
    world.tell(Event::LegDialed { leg, attempt: 1, sip_call_id: "first@us".into() });
    let failure = crate::DialFailure {
        kind: DialFailureKind::NoResponse,
        status: 408,
        q850: None,
        failover: true,
        reason: String::new(),
    };
    world.tell(Event::PeerFailed { leg, attempt: 1, failure });
    world.tell(Event::LegDialed { leg, attempt: 1, sip_call_id: "second@us".into() });
    world.tell(Event::LegAnswered { leg, attempt: 1 });
    world.bye(leg);
    let rows = world.final_record().unwrap().attempts;
    let row = |at: usize| {
        (rows[at].attempt, rows[at].sip_call_id.as_deref(), rows[at].sip_status, rows[at].failure)
    };
    assert_eq!(rows.len(), 2);
    assert_eq!(row(0), (1, Some("first@us"), Some(408), Some("no-response")));
    assert_eq!(row(1), (1, Some("second@us"), Some(200), None));
}

#[test]
fn who_answers_joins_and_the_others_hear_it() {
    let mut world = World::new();
    let host = world.joined("222222222");
    let leg = world.dialing("222222222", false);
    world.tell(Event::LegProgress { leg, attempt: 1, status: 180 });
    let conference = world.bridge.snapshot(world.now).conferences[0].clone();
    assert!(conference.callees[0].ringing);
    world.pass(5 * SECOND);
    world.tell(Event::LegDialed { leg, attempt: 1, sip_call_id: "abc@us".into() });
    world.tell(Event::LegAnswered { leg, attempt: 1 });
    assert!(world.is_in_conference(leg));
    assert_eq!(world.heard(leg), [Joining]);
    let conference = world.bridge.snapshot(world.now).conferences[0].clone();
    assert_eq!((conference.participants.len(), conference.callees.len()), (2, 0));
    assert_eq!(conference.participants[1].number.as_ref().unwrap().as_str(), CALLEE);
    world.pass(61 * SECOND);
    world.bye(leg);
    let record = world.final_record().unwrap();
    let end = record.end.unwrap();
    assert_eq!((end.result, end.duration_ms, end.billed_seconds), (CallResult::Answered, 61_000, 120));
    assert_eq!(record.initiator, Some("member"));
    assert_eq!(record.route.as_deref(), Some("germany"));
    assert_eq!(record.attempts.len(), 1);
    assert_eq!(record.attempts[0].sip_call_id.as_deref(), Some("abc@us"));
    assert_eq!(record.attempts[0].sip_status, Some(200));
    assert!(record.ring_time.unwrap() < record.answer_time.unwrap());
    world.bye(host);
    world.assert_empty();
}

#[test]
fn a_callee_may_be_the_first_in_the_conference() {
    let mut world = World::new();
    let leg = world.dialing("222222222", false);
    world.tell(Event::LegAnswered { leg, attempt: 1 });
    assert_eq!(world.heard(leg), [FirstCaller]);
    world.bye(leg);
    world.assert_empty();
}

#[test]
fn the_next_candidate_is_tried_on_failover_codes_and_silence_only() {
    for (kind, status, failover, next) in [
        (DialFailureKind::Response, 503, true, true),
        (DialFailureKind::NoResponse, 0, false, true),
        (DialFailureKind::Transport, 503, false, true),
        (DialFailureKind::Local, 0, false, true),
        (DialFailureKind::Response, 500, false, false),
        (DialFailureKind::Response, 603, true, false),
        (DialFailureKind::Timeout, 0, true, false),
    ] {
        let mut world = World::new();
        let leg = world.dialing("222222222", false);
        assert_eq!(dials(&world.take()), [(1, "acme-1".into())]);
        fail(&mut world, leg, 1, kind, status, failover);
        let expected = if next { vec![(2, "acme-2".to_string())] } else { vec![] };
        assert_eq!(dials(&world.take()), expected, "{kind:?} {status}");
        if next {
            fail(&mut world, leg, 1, kind, status, failover);
            assert!(world.take().is_empty(), "a late word of the first attempt");
            world.tell(Event::LegAnswered { leg, attempt: 1 });
            assert!(world.take().is_empty(), "a late answer of the first attempt");
            fail(&mut world, leg, 2, kind, status, failover);
            let record = world.final_record().unwrap();
            assert_eq!(record.attempts.len(), 2);
            assert_eq!(record.trunk.unwrap().as_str(), "acme-2");
        }
        world.assert_empty();
    }
}

#[test]
fn busy_no_answer_declined_and_unreachable_are_told_apart() {
    for (kind, status, result, prompt, by) in [
        (DialFailureKind::Response, 486, CallResult::Busy, CalleeBusy, EndingParty::FarEnd),
        (DialFailureKind::Response, 600, CallResult::Busy, CalleeBusy, EndingParty::FarEnd),
        (DialFailureKind::Timeout, 0, CallResult::NoAnswer, CalleeNoAnswer, EndingParty::FarEnd),
        (DialFailureKind::Response, 480, CallResult::NoAnswer, CalleeNoAnswer, EndingParty::FarEnd),
        (DialFailureKind::Response, 603, CallResult::Declined, CalleeDeclined, EndingParty::FarEnd),
        (DialFailureKind::Response, 404, CallResult::Unreachable, CalleeUnreachable, EndingParty::Network),
    ] {
        let mut world = World::new();
        let host = world.joined("222222222");
        let leg = world.dialing("222222222", false);
        world.take();
        fail(&mut world, leg, 1, kind, status, false);
        let commands = world.take();
        let told = commands.iter().any(|command| {
            matches!(command, Command::PlayAll { sound: Sound::Prompts(prompts), .. } if prompts[..] == [prompt])
        });
        assert!(told, "{status} {commands:?}");
        let record = commands.into_iter().find_map(|command| match command {
            Command::Usage(record) => Some(*record),
            _ => None,
        });
        let end = record.unwrap().end.unwrap();
        assert_eq!((end.result, end.ended_by, end.sip_status), (result, by, status));
        assert_eq!((end.duration_ms, end.billed_seconds), (0, 0));
        world.bye(host);
        world.assert_empty();
    }
}

#[test]
fn an_attempt_that_never_ends_is_given_up() {
    for (ringing, expected) in [(true, CallResult::NoAnswer), (false, CallResult::Unreachable)] {
        let mut world = World::new();
        let leg = world.dialing("222222222", false);
        if ringing {
            world.tell(Event::LegProgress { leg, attempt: 1, status: 183 });
        }
        world.take();
        world.pass(Duration::from_mins(3));
        let commands = world.take();
        assert!(matches!(commands[0], Command::CancelDial { attempt: 1, .. }));
        if ringing {
            world.fresh = commands;
        } else {
            assert_eq!(dials(&commands), [(2, "acme-2".into())]);
            world.pass(Duration::from_mins(3));
        }
        assert_eq!(world.final_record().unwrap().end.unwrap().result, expected);
        world.assert_empty();
    }
}

#[test]
fn with_confirmation_only_pressing_one_leads_into_the_meeting() {
    let mut world = World::new();
    let host = world.joined("222222222");
    let leg = world.dialing("222222222", true);
    world.take();
    world.tell(Event::LegAnswered { leg, attempt: 1 });
    assert_eq!(world.state(leg), Some("confirming"));
    assert!(world.heard(leg).is_empty());
    world.tell(Event::MediaStarted { leg });
    assert_eq!(world.heard(leg), [PressOneToJoin]);
    world.press(leg, "5*#");
    assert_eq!(world.state(leg), Some("confirming"));
    world.press(leg, "1");
    assert!(world.is_in_conference(leg));
    assert_eq!(world.heard(leg), [Joining]);
    world.bye(host);
    world.bye(leg);
    world.assert_empty();
}

#[test]
fn a_voicemail_never_ends_up_in_a_meeting() {
    let mut world = World::new();
    let host = world.joined("222222222");
    let leg = world.dialing("222222222", true);
    world.tell(Event::LegAnswered { leg, attempt: 1 });
    world.pass(SECOND);
    assert_eq!(world.heard(leg), [PressOneToJoin]);
    world.prompt_ends(leg);
    world.pass(10 * SECOND);
    assert_eq!(world.heard(leg), [PressOneToJoin]);
    world.prompt_ends(leg);
    world.take();
    world.pass(10 * SECOND);
    let commands = world.take();
    assert!(
        commands
            .iter()
            .any(|command| { matches!(command, Command::Hangup { cause: HangupCause::NotConfirmed, .. }) })
    );
    world.bye(host);
    world.assert_empty();
}

#[test]
fn what_speaks_against_a_dial_out_is_said() {
    let mut world = World::new();
    for (meeting, expected) in [
        ("123456789", DialOutRefusal::UnknownMeeting),
        ("555555555", DialOutRefusal::UnknownMeeting),
        ("not digits", DialOutRefusal::UnknownMeeting),
        ("333333333", DialOutRefusal::ConferenceLocked),
    ] {
        world.ask(meeting, CALLEE, false);
        assert_eq!(refusal(&mut world), expected, "{meeting}");
    }
    world.ask("222222222", &"9".repeat(65), false);
    assert_eq!(refusal(&mut world), DialOutRefusal::NumberTooLong);
    for (meeting, dialed) in [("222222222", "112"), ("222222222", "+14255550111"), ("888888888", CALLEE)] {
        world.ask(meeting, dialed, false);
        assert!(matches!(refusal(&mut world), DialOutRefusal::Routing { .. }), "{meeting} {dialed}");
    }
    assert_eq!(world.bridge.counters().dial_outs_refused, 8);
    world.assert_empty();
}

#[test]
fn the_same_number_is_not_called_twice_at_once_for_one_meeting() {
    let mut world = World::new();
    let leg = world.dialing("222222222", false);
    world.ask("222222222", "+49 30 1234 5678", false);
    assert_eq!(refusal(&mut world), DialOutRefusal::AlreadyDialing);
    fail(&mut world, leg, 1, DialFailureKind::Response, 486, false);
    world.dialing("222222222", false);
}

#[test]
fn a_callee_has_a_seat_from_the_start() {
    let mut world = World::new();
    let _host = world.joined("444444444");
    let leg = world.ask("444444444", "+14255550111", false);
    world.tell(Event::UsageDurable { leg });
    world.ask("444444444", "+14255550112", false);
    assert_eq!(refusal(&mut world), DialOutRefusal::ConferenceFull);
    let late = world.greeted("acme-1", OPERATOR_NUMBER);
    world.press(late, "444444444");
    assert_eq!(world.state(late), Some("attended"));
    world.tell(Event::LegAnswered { leg, attempt: 1 });
    assert!(world.is_in_conference(leg));
}

#[test]
fn when_the_last_participant_leaves_nobody_is_called_any_more() {
    let mut world = World::new();
    let host = world.joined("222222222");
    let ringing = world.dialing("222222222", false);
    world.take();
    world.bye(host);
    let commands = world.take();
    assert!(commands.iter().any(|command| {
        matches!(command, Command::Hangup { leg, cause: HangupCause::NobodyLeft } if *leg == ringing)
    }));
    let record = commands.into_iter().rev().find_map(|command| match command {
        Command::Usage(record) if record.call_type == CallType::ConfOut => Some(*record),
        _ => None,
    });
    let record = record.unwrap();
    assert_eq!(record.attempts[0].failure, Some("cancelled"));
    assert_eq!(record.end.unwrap().result, CallResult::Cancelled);
    world.assert_empty();
    world.tell(Event::LegAnswered { leg: ringing, attempt: 1 });
    assert!(world.take().is_empty(), "an answer that crossed the CANCEL");
}

#[test]
fn a_leg_that_ends_while_it_is_being_dialed_is_released() {
    let mut world = World::new();
    let leg = world.dialing("222222222", false);
    world.take();
    world.bye(leg);
    assert!(matches!(
        &world.take()[..],
        [Command::Usage(_), Command::Release { .. }, Command::CloseConference { .. }]
    ));
    world.assert_empty();
}
