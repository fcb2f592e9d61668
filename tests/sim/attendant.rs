//! From the first word to the door of the meeting.

use std::time::Duration;

use bridge::PromptId::{
    self, CallThisNumber, ConferenceFull, ConferenceLocked, EnterConferenceId, FirstCaller, Goodbye,
    IdNotRecognized, MeetingExpired, NothingEntered, NumberNotIncluded, Welcome,
};
use tests::fixture::{EXPIRED, LOCKED, SMALL};
use tests::prompts::{TICKS, Voice};
use tests::{
    Caller, GRETA, Line, MICROSOFT, MICROSOFT_NUMBER, OPERATOR, OPERATOR_NUMBER, PhoneId, SAM, Setup, Sound,
    World,
};

use crate::cast::{answered, join, participants};

/// A caller whom the attendant has just asked for the ID.
fn asked(world: &mut World) -> PhoneId {
    let phone = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
    answered(world, phone);
    world.run(Duration::from_millis(900));
    assert_eq!(said(world, phone), [Welcome, EnterConferenceId]);
    phone
}

/// Everything that was said to a phone.
fn said(world: &World, phone: PhoneId) -> Vec<PromptId> {
    world.phone(phone).ear.prompts(&(Duration::ZERO..world.elapsed()))
}

fn is_hung_up_on(world: &World, phone: PhoneId) -> bool {
    matches!(&world.phone(phone).line, Line::Over { by_bridge: true, .. })
}

#[test]
fn after_the_third_wrong_id_the_attendant_says_goodbye_and_hangs_up() {
    let mut world = World::new(Setup::default());
    let phone = asked(&mut world);
    for _ in 0..3 {
        assert!(!is_hung_up_on(&world, phone));
        world.press(phone, "999999999#");
        world.seconds(4);
    }
    let rounds = [IdNotRecognized, EnterConferenceId, IdNotRecognized, EnterConferenceId, IdNotRecognized];
    assert_eq!(said(&world, phone), [&[Welcome, EnterConferenceId][..], &rounds, &[Goodbye]].concat());
    let Line::Over { by_bridge: true, reason } = &world.phone(phone).line else { panic!("no BYE") };
    assert!(reason.starts_with("Q.850;cause=16"), "{reason}");
    let record = world.finals()[0].clone();
    assert_eq!(record["end"]["result"], "answered");
    assert_eq!(record["end"]["ended_by"], "bridge");
    assert_eq!(record["end"]["keys_pressed"], 30);
    assert!(!record.to_string().contains("999999999"), "keyed digits are nowhere in the records");
    world.close();
}

#[test]
fn an_expired_id_is_explained() {
    let mut world = World::new(Setup::default());
    let phone = asked(&mut world);
    world.press(phone, EXPIRED);
    world.seconds(4);
    assert_eq!(said(&world, phone)[2..], [MeetingExpired, EnterConferenceId]);
    world.close();
}

#[test]
fn an_operator_connect_meeting_dialed_on_a_microsoft_number_is_refused_with_the_number_to_call() {
    let mut world = World::new(Setup::default());
    let phone = world.call(&Caller::to(MICROSOFT, MICROSOFT_NUMBER));
    answered(&mut world, phone);
    world.seconds(1);
    world.press(phone, &format!("{GRETA}#"));
    world.seconds(16);
    let number: Vec<PromptId> = PromptId::spell(OPERATOR_NUMBER).collect();
    let mut expected = vec![Welcome, EnterConferenceId, NumberNotIncluded, CallThisNumber];
    expected.extend(&number);
    expected.push(CallThisNumber);
    expected.extend(&number);
    expected.push(Goodbye);
    assert_eq!(said(&world, phone), expected);
    assert!(is_hung_up_on(&world, phone));
    assert_eq!(world.finals()[0]["organizer"], "greta");
    world.close();
}

#[test]
fn the_same_meeting_dialed_on_its_operator_s_number_is_open() {
    let mut world = World::new(Setup::default());
    let phone = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), GRETA);
    assert_eq!(said(&world, phone)[2..], [FirstCaller]);
    assert_eq!(participants(&world, GRETA), 1);
    world.close();
}

#[test]
fn any_digit_stops_any_prompt_at_once_and_counts() {
    let mut world = World::new(Setup::default());
    let phone = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
    answered(&mut world, phone);
    world.run(Duration::from_millis(150));
    world.press(phone, &SAM[..1]);
    world.run(Duration::from_millis(200));
    let begun = world.phone(phone).ear.packets.len();
    world.run(Duration::from_millis(500));
    let ear = &world.phone(phone).ear;
    assert_eq!(said(&world, phone), [Welcome], "the question was never reached");
    assert!(ear.packets[begun..].iter().all(|packet| packet.pcm.iter().all(|s| s.abs() < 100)), "silence");
    world.press(phone, &SAM[1..]);
    world.seconds(3);
    assert_eq!(participants(&world, SAM), 1, "the digit that interrupted was the first of the ID");
    world.close();
}

#[test]
fn the_full_length_needs_no_pound_and_a_pound_that_follows_belongs_to_it() {
    let mut world = World::new(Setup::default());
    let phone = asked(&mut world);
    world.press(phone, SAM);
    world.until("in the meeting", Duration::from_secs(3), |world| participants(world, SAM) == 1);
    world.press(phone, "#");
    world.seconds(1);
    world.close();
}

#[test]
fn a_pound_ends_an_id_early() {
    let mut world = World::new(Setup::default());
    let phone = asked(&mut world);
    world.press(phone, "12345#");
    world.run(Duration::from_millis(2500));
    assert_eq!(said(&world, phone)[2..], [IdNotRecognized, EnterConferenceId]);
    world.close();
}

#[test]
fn the_next_digit_may_take_five_seconds() {
    let mut world = World::new(Setup::default());
    let phone = asked(&mut world);
    world.press(phone, "1234");
    world.run(Duration::from_millis(900 + 4800));
    assert_eq!(said(&world, phone).len(), 2, "still patient");
    world.run(Duration::from_millis(1200));
    assert_eq!(said(&world, phone)[2..], [IdNotRecognized, EnterConferenceId]);
    world.close();
}

#[test]
fn the_first_digit_may_take_ten_seconds_from_the_end_of_the_question() {
    let mut world = World::new(Setup::default());
    let phone = asked(&mut world);
    world.run(Duration::from_millis(9500));
    assert_eq!(said(&world, phone).len(), 2, "still patient");
    world.seconds(2);
    assert_eq!(said(&world, phone)[2..], [NothingEntered, EnterConferenceId]);
    world.seconds(25);
    assert_eq!(said(&world, phone)[4..], [NothingEntered, EnterConferenceId, NothingEntered, Goodbye]);
    assert!(is_hung_up_on(&world, phone));
    world.close();
}

#[test]
fn the_greeting_starts_with_the_first_packet_and_no_tick_of_it_is_cut() {
    let mut world = World::new(Setup::default());
    let phone = world.call(&Caller { sound: Sound::Nothing, ..Caller::to(OPERATOR, OPERATOR_NUMBER) });
    answered(&mut world, phone);
    world.run(Duration::from_millis(400));
    assert_eq!(world.phone(phone).ear.first_sound(), None, "nobody is there to hear it yet");
    let first_packet = world.elapsed();
    world.phone_mut(phone).mouth.sound = Sound::Silence;
    world.seconds(1);
    let ear = &world.phone(phone).ear;
    let began = ear.first_sound().expect("a greeting");
    let after = began.saturating_sub(first_packet);
    assert!(after < Duration::from_millis(100), "{after:?}");
    let loud = ear.packets.iter().filter(|packet| packet.pcm.iter().any(|sample| *sample > 4000)).count();
    // The limiter's 2 ms carry the end of the last tick into one more packet.
    assert_eq!(loud, 2 * TICKS + 1, "every tick of both prompts");
    world.close();
}

#[test]
fn without_media_the_greeting_starts_one_second_after_the_ack() {
    let mut world = World::new(Setup::default());
    let phone = world.call(&Caller { sound: Sound::Nothing, ..Caller::to(OPERATOR, OPERATOR_NUMBER) });
    answered(&mut world, phone);
    let acked = world.elapsed();
    world.seconds(2);
    let began = world.phone(phone).ear.first_sound().expect("a greeting");
    let after = began.saturating_sub(acked).as_millis();
    assert!((1000..1060).contains(&after), "{after} ms");
    world.close();
}

#[test]
fn an_sbc_that_moves_the_media_during_the_greeting_does_not_cut_it() {
    for millisecond in [40, 200, 330, 500, 640] {
        let mut world = World::new(Setup::default());
        let phone = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
        answered(&mut world, phone);
        world.run(Duration::from_millis(millisecond));
        world.move_phone(phone, 19_000);
        world.reinvite(phone, Some("sendrecv"));
        world.seconds(2);
        let heard = said(&world, phone);
        assert_eq!(heard.last(), Some(&EnterConferenceId), "after {millisecond} ms: {heard:?}");
        world.seconds(10);
        assert_eq!(
            said(&world, phone).last(),
            Some(&EnterConferenceId),
            "and the ten seconds begin after it"
        );
        world.press(phone, SAM);
        world.seconds(3);
        assert_eq!(participants(&world, SAM), 1, "after {millisecond} ms");
        world.close();
    }
}

#[test]
fn a_locked_conference_says_so() {
    let mut world = World::new(Setup::default());
    let phone = asked(&mut world);
    world.press(phone, LOCKED);
    world.seconds(4);
    assert_eq!(said(&world, phone)[2..], [ConferenceLocked, Goodbye]);
    assert!(is_hung_up_on(&world, phone));
    world.close();
}

#[test]
fn at_the_cap_the_conference_is_full() {
    let mut world = World::new(Setup::default());
    let first = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SMALL);
    join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SMALL);
    let third = asked(&mut world);
    world.press(third, SMALL);
    world.seconds(4);
    assert_eq!(said(&world, third)[2..], [ConferenceFull, Goodbye]);
    assert!(is_hung_up_on(&world, third));
    let ask = world.dial_out(SMALL, "+49301234567", None);
    assert_eq!(world.replies[&ask].status, 409, "{:?}", world.replies[&ask]);
    world.hang_up(first);
    world.seconds(1);
    join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SMALL);
    assert_eq!(participants(&world, SMALL), 2, "a seat was free again");
    world.close();
}

#[test]
fn the_recorded_prompts_are_heard_to_their_end() {
    let mut world = World::new(Setup { voice: Voice::Recorded, ..Setup::default() });
    let phone = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
    answered(&mut world, phone);
    let last_loud = |world: &World| {
        let packets = &world.phone(phone).ear.packets;
        let loud = packets.iter().rev().find(|packet| packet.pcm.iter().any(|sample| sample.abs() > 300));
        loud.map(|packet| packet.at)
    };
    world.seconds(12);
    let answer = world.phone(phone).answered.expect("answered");
    let spoken = last_loud(&world).expect("a greeting").saturating_sub(answer);
    assert!((2..12).contains(&spoken.as_secs()), "{spoken:?}");
    world.press(phone, &format!("{SAM}#"));
    world.until("in the meeting", Duration::from_secs(3), |world| participants(world, SAM) == 1);
    world.seconds(5);
    world.close();
}
