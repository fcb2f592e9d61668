//! The caller's way, sentence by sentence.

use super::{MICROSOFT_NUMBER, OPERATOR_NUMBER, World, meetings, tones};
use crate::attendant::AttendantConfig;
use crate::bridge::{BridgeConfig, Reason};
use crate::command::{Command, HangupCause, Purpose, Sound, Tone};
use crate::event::Event;
use crate::id::LegId;
use crate::prompt::PromptId::{
    self, CallThisNumber, CannotJoinByPhone, ConferenceFull, ConferenceLocked, Digit0, Digit1, Digit2,
    Digit4, Digit5, EnterConferenceId, FirstCaller, ForMute, Goodbye, IdNotRecognized, Joining,
    MeetingExpired, Muted, NothingEntered, NumberNotIncluded, Plus, UnknownCommand, Unmuted, Welcome,
};
use crate::usage::{CallResult, EndingParty, RecordKind};
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn hung_up(world: &mut World, leg: LegId) -> Option<HangupCause> {
    world.take().into_iter().find_map(|command| match command {
        Command::Hangup { leg: who, cause } if who == leg => Some(cause),
        _ => None,
    })
}

#[test]
fn the_answer_waits_until_the_start_record_is_safe() {
    let mut world = World::new();
    let leg = world.offer("acme-1", OPERATOR_NUMBER);
    let commands = world.take();
    assert!(matches!(&commands[..], [Command::Usage(start)] if start.kind == RecordKind::Start));
    world.tell(Event::UsageDurable { leg });
    let commands = world.take();
    assert!(matches!(
        &commands[..],
        [
            Command::Answer { .. },
            Command::OpenConference { purpose: Purpose::Room, seats: 1, .. },
            Command::Seat { .. }
        ]
    ));
}

#[test]
fn a_record_that_does_not_become_safe_in_time_refuses_the_leg() {
    let mut world = World::new();
    let leg = world.offer("acme-1", OPERATOR_NUMBER);
    world.take();
    assert_eq!(world.bridge.poll_timeout().map(|(_, reason)| reason), Some(Reason::RecordNotSafe));
    world.pass(5 * SECOND);
    assert!(matches!(&world.take()[..], [Command::Usage(_), Command::Refuse { status: 503, .. }]));
    world.tell(Event::UsageDurable { leg });
    assert!(world.take().is_empty());
    world.assert_empty();
}

#[test]
fn a_number_that_is_not_ours_is_refused_with_one_final_record() {
    let mut world = World::new();
    for (trunk, called, expected) in [
        ("acme-1", "+14255559999", 404),
        ("microsoft", OPERATOR_NUMBER, 403),
        ("acme-1", MICROSOFT_NUMBER, 403),
    ] {
        world.offer(trunk, called);
        let commands = world.take();
        let [Command::Usage(record), Command::Refuse { status, .. }] = &commands[..] else {
            panic!("{commands:?}")
        };
        assert_eq!(*status, expected);
        assert_eq!(record.end.as_ref().unwrap().result, CallResult::Refused);
        assert_eq!(record.decision.len(), 1);
    }
    world.assert_empty();
}

#[test]
fn the_greeting_starts_with_the_first_packet_also_before_the_ack() {
    let mut world = World::new();
    let leg = world.offer("acme-1", OPERATOR_NUMBER);
    world.tell(Event::UsageDurable { leg });
    assert!(world.heard(leg).is_empty());
    world.tell(Event::MediaStarted { leg });
    assert_eq!(world.heard(leg), [Welcome, EnterConferenceId]);
    world.tell(Event::LegEstablished { leg });
    world.tell(Event::MediaStarted { leg });
    assert!(world.take().is_empty());
}

#[test]
fn without_media_the_greeting_starts_one_second_after_the_ack() {
    let mut world = World::new();
    let leg = world.offer("acme-1", OPERATOR_NUMBER);
    world.tell(Event::UsageDurable { leg });
    world.pass(3 * SECOND);
    world.tell(Event::LegEstablished { leg });
    world.pass(Duration::from_millis(999));
    assert!(world.heard(leg).is_empty());
    world.pass(Duration::from_millis(1));
    assert_eq!(world.heard(leg), [Welcome, EnterConferenceId]);
}

#[test]
fn an_answer_that_nobody_acknowledges_does_not_stay() {
    let mut world = World::new();
    let leg = world.offer("acme-1", OPERATOR_NUMBER);
    world.tell(Event::UsageDurable { leg });
    world.pass(40 * SECOND);
    assert_eq!(hung_up(&mut world, leg), Some(HangupCause::SetupTimeout));
    world.assert_empty();
}

#[test]
fn the_right_id_leads_into_the_meeting_with_and_without_pound() {
    let mut world = World::new();
    let first = world.greeted("acme-1", OPERATOR_NUMBER);
    world.press(first, "111111111");
    assert!(world.is_in_conference(first));
    assert_eq!(world.heard(first), [FirstCaller]);
    world.press(first, "#");
    assert!(world.is_in_conference(first));

    let second = world.greeted("microsoft", MICROSOFT_NUMBER);
    world.press(second, "111111111#");
    let commands = world.take();
    assert_eq!(tones(&commands), [Tone::Entry]);
    let except = commands.iter().find_map(|command| match command {
        Command::PlayAll { except, .. } => Some(*except),
        _ => None,
    });
    assert_eq!(except, Some(Some(second)));
    let mut heard = commands.iter().filter_map(|command| match command {
        Command::Play { leg, prompts, .. } if *leg == second => Some(prompts.clone()),
        _ => None,
    });
    assert_eq!(heard.next_back(), Some(vec![Joining]));

    let snapshot = world.bridge.snapshot(world.now);
    assert_eq!(snapshot.conferences.len(), 1);
    assert_eq!(snapshot.conferences[0].participants.len(), 2);
    assert_eq!(snapshot.conferences[0].subject, "Budget\u{FFFD}");
    assert_eq!(snapshot.counters.ids_accepted, 2);
    world.bye(first);
    assert_eq!(tones(&world.take()), [Tone::Exit]);
    world.bye(second);
    assert!(tones(&world.take()).is_empty());
    world.assert_empty();
}

#[test]
fn any_digit_stops_the_prompt_and_counts() {
    let mut world = World::new();
    let leg = world.greeted("acme-1", OPERATOR_NUMBER);
    world.take();
    world.press(leg, "1");
    assert!(matches!(&world.take()[..], [Command::StopPlay { .. }]));
    world.press(leg, "11111111");
    assert!(world.is_in_conference(leg));
}

#[test]
fn star_starts_the_entry_anew_and_letters_mean_nothing() {
    let mut world = World::new();
    let leg = world.greeted("acme-1", OPERATOR_NUMBER);
    world.press(leg, "99*11111A1111");
    assert!(world.is_in_conference(leg));
}

#[test]
fn wrong_foreign_barred_and_long_expired_ids_sound_alike() {
    for id in ["123456789", "777777777", "888888888", "666666666", "1234#", "0#"] {
        let mut world = World::new();
        let leg = world.greeted("acme-1", OPERATOR_NUMBER);
        world.press(leg, id);
        assert_eq!(world.heard(leg), [IdNotRecognized, EnterConferenceId], "{id}");
        assert_eq!(world.bridge.counters().ids_wrong, 1);
        world.bye(leg);
        let record = world.final_record().unwrap();
        assert_eq!((record.conference_id, record.organizer, record.decision.len()), (None, None, 0));
    }
}

#[test]
fn after_the_third_wrong_id_goodbye_then_bye() {
    let mut world = World::new();
    let leg = world.greeted("acme-1", OPERATOR_NUMBER);
    world.press(leg, "123456789#123456789#");
    assert_eq!(world.heard(leg), [IdNotRecognized, EnterConferenceId]);
    world.press(leg, "987654321");
    assert_eq!(world.heard(leg), [IdNotRecognized, Goodbye]);
    world.prompt_ends(leg);
    assert_eq!(hung_up(&mut world, leg), Some(HangupCause::Farewell));
    assert_eq!(world.bridge.counters().ids_wrong, 3);
    world.assert_empty();
}

#[test]
fn ten_seconds_without_a_digit_use_up_an_attempt() {
    let mut world = World::new();
    let leg = world.greeted("acme-1", OPERATOR_NUMBER);
    world.prompt_ends(leg);
    world.take();
    world.pass(Duration::from_millis(9_999));
    assert!(world.heard(leg).is_empty());
    world.pass(Duration::from_millis(1));
    assert_eq!(world.heard(leg), [NothingEntered, EnterConferenceId]);
    for expected in [vec![NothingEntered, EnterConferenceId], vec![NothingEntered, Goodbye]] {
        world.prompt_ends(leg);
        world.pass(10 * SECOND);
        // The reprompt played meanwhile and its end was not reported for the last one.
        if expected.last() == Some(&Goodbye) {
            assert_eq!(world.heard(leg), expected);
        }
    }
    assert_eq!(world.bridge.counters().ids_wrong, 0);
}

#[test]
fn five_seconds_after_a_digit_the_entry_is_taken_as_it_is() {
    let mut world = World::new();
    let leg = world.greeted("acme-1", OPERATOR_NUMBER);
    world.press(leg, "1234");
    world.take();
    world.pass(Duration::from_millis(4_999));
    assert!(world.heard(leg).is_empty());
    world.pass(Duration::from_millis(1));
    assert_eq!(world.heard(leg), [IdNotRecognized, EnterConferenceId]);
}

#[test]
fn a_prompt_whose_end_is_never_reported_does_not_hold_the_caller() {
    let mut world = World::new();
    let leg = world.greeted("acme-1", OPERATOR_NUMBER);
    world.pass(Duration::from_mins(4));
    assert_eq!(world.state(leg), None);
    world.assert_empty();
}

#[test]
fn nobody_stays_with_the_attendant_longer_than_allowed() {
    let attendant = AttendantConfig { attempts: 1000, ..AttendantConfig::default() };
    let mut world = World::with(BridgeConfig { attendant, ..BridgeConfig::default() });
    let leg = world.greeted("acme-1", OPERATOR_NUMBER);
    for _ in 0..44 {
        world.press(leg, "1*");
        world.pass(4 * SECOND);
    }
    world.take();
    world.pass(5 * SECOND);
    assert_eq!(hung_up(&mut world, leg), Some(HangupCause::AttendantLimit));
    world.assert_empty();
}

#[test]
fn an_expired_id_inside_its_grace_window_is_explained_and_not_counted_as_wrong() {
    let mut world = World::new();
    let leg = world.greeted("acme-1", OPERATOR_NUMBER);
    world.press(leg, "555555555");
    assert_eq!(world.heard(leg), [MeetingExpired, EnterConferenceId]);
    let counters = world.bridge.counters();
    assert_eq!((counters.ids_wrong, counters.ids_expired), (0, 1));
}

#[test]
fn a_license_without_microsoft_numbers_names_the_operator_number() {
    let mut world = World::new();
    let leg = world.greeted("microsoft", MICROSOFT_NUMBER);
    world.press(leg, "222222222");
    let number =
        [Plus, Digit1, Digit4, Digit2, Digit5, Digit5, Digit5, Digit5, Digit0, Digit2, Digit0, Digit0];
    let mut expected = vec![NumberNotIncluded];
    for _ in 0..2 {
        expected.push(CallThisNumber);
        expected.extend(number);
    }
    expected.push(Goodbye);
    assert_eq!(world.heard(leg), expected);
    world.prompt_ends(leg);
    let record = world.final_record().unwrap();
    assert_eq!(record.organizer.unwrap().as_str(), "adele");
    assert_eq!(record.decision.last().unwrap().rule, routing::Rule::D7);
    assert_eq!(world.bridge.counters().ids_refused, 1);
    world.assert_empty();
}

#[test]
fn a_key_skips_the_explanation_but_not_the_goodbye() {
    let mut world = World::new();
    let leg = world.greeted("acme-1", OPERATOR_NUMBER);
    world.press(leg, "333333333#");
    assert_eq!(world.heard(leg), [ConferenceLocked, Goodbye]);
    world.press(leg, "1");
    assert_eq!(world.heard(leg), [Goodbye]);
    world.press(leg, "1");
    assert_eq!(hung_up(&mut world, leg), Some(HangupCause::Farewell));
    world.assert_empty();
}

#[test]
fn at_its_capacity_a_conference_is_full_until_somebody_leaves() {
    let mut world = World::new();
    let first = world.joined("444444444");
    let _second = world.joined("444444444");
    let third = world.greeted("acme-1", OPERATOR_NUMBER);
    world.press(third, "444444444");
    assert_eq!(world.heard(third), [ConferenceFull, Goodbye]);
    world.bye(first);
    world.joined("444444444");
}

#[test]
fn rules_that_the_organizer_can_mend_are_told_as_such() {
    // A number that left its trunk after the call was answered: nothing the caller can do, but the meeting exists.
    let mut world = World::new();
    let leg = world.greeted("acme-1", OPERATOR_NUMBER);
    let source =
        super::ROUTING.replace("owner = \"operator:acme\"", "owner = \"operator:acme\"\nsuspended = true");
    let source = routing::TableSource::from_toml(&source).unwrap();
    let provider = routing::Provider::Operator(routing::OperatorId::new("acme"));
    let trunk = routing::TrunkRef { id: routing::TrunkId::new("acme-1"), provider };
    let table = routing::Table::build(&source, &[trunk]).expect("a table");
    world.tell(Event::TableChanged(Arc::new(table)));
    world.press(leg, "111111111");
    assert_eq!(world.heard(leg), [CannotJoinByPhone, Goodbye]);
}

#[test]
fn a_new_directory_counts_for_the_next_id_and_leaves_conferences_alone() {
    let mut world = World::new();
    let leg = world.joined("111111111");
    let other = r#"meeting = [{ conference_id = "999999999", organizer = "megan" }]"#;
    world.tell(Event::DirectoryChanged(Arc::new(meetings(other).unwrap())));
    assert!(world.is_in_conference(leg));
    let late = world.greeted("acme-1", OPERATOR_NUMBER);
    world.press(late, "111111111");
    assert_eq!(world.heard(late), [IdNotRecognized, EnterConferenceId]);
    world.joined("999999999");
    assert_eq!(world.bridge.conferences(), 2);
}

#[test]
fn star_six_mutes_and_unmutes_with_a_word_and_star_one_helps() {
    let mut world = World::new();
    let leg = world.joined("111111111");
    world.take();
    for (keys, expected) in [
        ("*6", Some((true, Muted))),
        ("*6", Some((false, Unmuted))),
        ("*1", Some((false, ForMute))),
        ("*9", Some((false, UnknownCommand))),
        ("6", None),
    ] {
        world.press(leg, keys);
        let commands = world.take();
        let muted = world.bridge.snapshot(world.now).conferences[0].participants[0].muted;
        let played: Vec<PromptId> = commands
            .iter()
            .filter_map(|command| match command {
                Command::Play { prompts, .. } => prompts.first().copied(),
                _ => None,
            })
            .collect();
        match expected {
            Some((silent, prompt)) => {
                assert_eq!((muted, &played[..]), (silent, &[prompt][..]), "{keys}");
                let ordered = commands.iter().any(|command| matches!(command, Command::Mute { .. }));
                assert_eq!(ordered, keys == "*6");
            }
            None => assert!(played.is_empty(), "{keys}"),
        }
    }
    world.press(leg, "*");
    world.pass(5 * SECOND);
    world.take();
    world.press(leg, "6");
    assert!(world.take().is_empty(), "a star is forgotten after five seconds");
}

#[test]
fn the_final_record_tells_the_whole_leg_and_no_digit() {
    let mut world = World::new();
    let leg = world.greeted("acme-1", OPERATOR_NUMBER);
    world.pass(4 * SECOND);
    world.press(leg, "123456789#111111111#");
    let start = world.take().into_iter().find_map(|command| match command {
        Command::Usage(record) => Some(*record),
        _ => None,
    });
    world.pass(Duration::from_millis(57_500));
    world.bye(leg);
    let record = world.final_record().unwrap();
    let end = record.end.clone().unwrap();
    assert_eq!((end.duration_ms, end.in_conference_ms, end.billed_seconds), (61_500, 57_500, 120));
    assert_eq!((end.result, end.ended_by, end.cause), (CallResult::Answered, EndingParty::FarEnd, "bye"));
    assert_eq!((end.keys_pressed, end.q850, end.wall_clock_stepped), (20, Some(16), false));
    assert_eq!(end.reason, "Normal\u{FFFD}call clearing");
    assert_eq!(record.caller_display.as_deref(), Some("Eve\u{FFFD}\u{FFFD}\u{FFFD}[2J"));
    assert_eq!(record.biller.clone().unwrap().to_string(), "operator:acme");
    assert_eq!(record.license, Some(routing::License::AudioConferencingStandard));
    assert_eq!(record.usage_id, start.as_ref().unwrap().usage_id);
    assert_ne!(record.record_id, start.unwrap().record_id);
    assert_eq!(record.record_id.get_version_num(), 7);
    assert_eq!(record.decision.last().unwrap().rule, routing::Rule::D11);
    let json = serde_json::to_value(&record).unwrap();
    assert_eq!(json["call_type"], "conf_in");
    assert_eq!(json["invite_time"], "2026-11-23T12:00:00.000Z");
    assert_eq!(json["kind"], "final");
    let text = json.to_string();
    assert!(!text.contains("123456789"), "{text}");
    assert!(!text.bytes().any(|byte| byte < 0x20));
}

#[test]
fn a_clock_step_changes_no_duration_and_is_flagged() {
    let mut world = World::new();
    let leg = world.joined("111111111");
    world.pass(10 * SECOND);
    world.wall -= Duration::from_hours(1);
    world.pass(10 * SECOND);
    world.bye(leg);
    let end = world.final_record().unwrap().end.unwrap();
    assert_eq!((end.duration_ms, end.wall_clock_stepped), (20_000, true));
}

#[test]
fn who_asks_for_privacy_is_recorded_but_not_shown() {
    let mut world = World::new();
    let leg = world.fresh_leg();
    let caller =
        crate::event::Caller { number: "+14255550123".parse().ok(), display: "Eve".into(), anonymous: true };
    let trunk = routing::TrunkId::new("acme-1");
    let called = OPERATOR_NUMBER.parse().unwrap();
    world.tell(Event::LegOffered { leg, trunk, called, caller, sip_call_id: "x".into() });
    world.tell(Event::UsageDurable { leg });
    world.tell(Event::MediaStarted { leg });
    world.press(leg, "111111111");
    let shown = &world.bridge.snapshot(world.now).conferences[0].participants[0];
    assert_eq!((&shown.number, &shown.display), (&None, &None));
    world.bye(leg);
    let record = world.final_record().unwrap();
    assert!(record.caller.is_some() && record.caller_anonymous);
}

#[test]
fn people_who_join_or_leave_together_make_one_tone_and_not_a_train_of_them() {
    let mut world = World::new();
    let first = world.greeted("acme-1", OPERATOR_NUMBER);
    world.press(first, "111111111");
    world.take();
    let crowd: Vec<LegId> = (0..10).map(|_| world.greeted("acme-1", OPERATOR_NUMBER)).collect();
    world.take();
    for &leg in &crowd {
        world.press(leg, "111111111");
    }
    assert_eq!(tones(&world.take()), [Tone::Entry]);
    for &leg in &crowd[..5] {
        world.bye(leg);
    }
    assert_eq!(tones(&world.take()), [Tone::Exit], "who leaves is heard at once, whoever came before");
    world.pass(2 * SECOND);
    world.bye(crowd[5]);
    assert_eq!(tones(&world.take()), [Tone::Exit]);
}

#[test]
fn a_flood_of_digits_stays_bounded() {
    let mut world = World::new();
    let leg = world.greeted("acme-1", OPERATOR_NUMBER);
    world.press(leg, &"*5".repeat(2_000));
    assert_eq!(world.state(leg), Some("attended"));
    world.press(leg, &"7".repeat(1_000));
    assert_eq!(world.state(leg), None);
    world.assert_empty();
    let sound = Sound::Tone(Tone::Entry);
    assert!(
        !world
            .take()
            .iter()
            .any(|command| matches!(command, Command::PlayAll { sound: s, .. } if *s == sound))
    );
}

#[test]
fn a_key_before_any_other_media_is_heard() {
    let mut world = World::new();
    let leg = world.offer("acme-1", OPERATOR_NUMBER);
    world.tell(Event::UsageDurable { leg });
    world.press(leg, "111111111#");
    assert!(world.is_in_conference(leg));
}

#[test]
fn the_end_of_an_older_prompt_changes_nothing() {
    let mut world = World::new();
    let leg = world.greeted("acme-1", OPERATOR_NUMBER);
    let greeting = world.bridge.calls[&leg].clip.unwrap();
    world.press(leg, "123456789#123456789#123456789#");
    world.tell(Event::ClipEnded { leg, token: greeting });
    world.tell(Event::ClipEnded { leg, token: u64::MAX });
    assert_eq!(world.state(leg), Some("attended"), "the goodbye is still being said");
    world.prompt_ends(leg);
    assert_eq!(world.state(leg), None);
}

#[test]
fn a_pound_that_comes_late_still_belongs_to_its_entry() {
    let mut world = World::new();
    let leg = world.greeted("acme-1", OPERATOR_NUMBER);
    world.press(leg, "1234");
    world.pass(6 * SECOND);
    world.take();
    world.press(leg, "#");
    assert!(world.take().is_empty(), "the explanation goes on");
    world.press(leg, "#");
    assert!(matches!(&world.take()[..], [Command::StopPlay { .. }]));
}

#[test]
fn a_smaller_capacity_counts_for_whoever_comes_next() {
    let mut world = World::new();
    world.joined("111111111");
    let smaller = r#"meeting = [{ conference_id = "111111111", organizer = "megan", capacity = 1 }]"#;
    world.tell(Event::DirectoryChanged(Arc::new(meetings(smaller).unwrap())));
    let late = world.greeted("acme-1", OPERATOR_NUMBER);
    world.press(late, "111111111");
    assert_eq!(world.heard(late), [ConferenceFull, Goodbye]);
}

#[test]
fn an_id_that_was_given_to_another_organizer_leads_to_another_conference() {
    let mut world = World::new();
    let old = world.joined("111111111");
    let reused = r#"meeting = [{ conference_id = "111111111", organizer = "adele" }]"#;
    world.tell(Event::DirectoryChanged(Arc::new(meetings(reused).unwrap())));
    let new = world.joined("111111111");
    assert_eq!(world.bridge.conferences(), 2);
    world.bye(old);
    let second = world.joined("111111111");
    assert_eq!(world.bridge.conferences(), 1);
    world.bye(new);
    world.bye(second);
    world.assert_empty();
}
