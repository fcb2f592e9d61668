//! Names: said after the tone, and heard when somebody comes and goes.

use std::time::Duration;

use bridge::PromptId::{
    self, Digit2, Digit3, HasJoined, HasLeft, HaveJoined, PeopleHere, PeopleJoined, Plus, SayName, ThereAre,
};
use bridge::{Action, LegId, Role};
use server::control::Ask;
use tests::fixture::SAM;
use tests::mouth::Sound;
use tests::{Caller, MICROSOFT, MICROSOFT_NUMBER, OPERATOR, OPERATOR_NUMBER, PhoneId, Setup, World};

use crate::cast::{LOUD, QUIET, answered, join, keyed, listen, participants};

/// Nora's meeting.
const NORAS: &str = "300000009";
const NORA: &str = r#"
[[organizer]]
id = "nora"
tenant = "contoso"
license = "audio-conferencing-standard"
service_number = "+14255550100"
allow_pstn_users_to_bypass_lobby = true
allow_anonymous_users_to_start_meeting = true
entry_exit_announcements = "names"
[[meeting]]
conference_id = "300000009"
organizer = "nora"
"#;

fn world() -> World {
    World::new(Setup { tables: NORA, ..Setup::default() })
}

/// From this number.
fn from(number: &str) -> Caller {
    Caller { from: Some(number.into()), ..Caller::to(OPERATOR, OPERATOR_NUMBER) }
}

/// Comes in and says a tone as his name, and from then on nothing.
fn named(world: &mut World, caller: &Caller, tone: u32) -> PhoneId {
    let phone = keyed(world, &caller.clone().tone(tone), NORAS);
    assert_eq!(world.phone(phone).ear.prompts(&(Duration::ZERO..world.elapsed())).last(), Some(&SayName));
    world.press(phone, "#");
    world.run(Duration::from_millis(300));
    world.phone_mut(phone).mouth.sound = Sound::Silence;
    phone
}

/// Comes in without a name.
fn nameless(world: &mut World, caller: &Caller) -> PhoneId {
    let phone = keyed(world, caller, NORAS);
    world.press(phone, "#");
    world.run(Duration::from_millis(300));
    phone
}

/// What a phone hears next.
fn hears_next(world: &mut World, phone: PhoneId, seconds: u64) -> (Vec<PromptId>, [f64; 2]) {
    let when = listen(world, Duration::from_secs(seconds));
    let ear = &world.phone(phone).ear;
    (ear.prompts(&when), [2300, 2500].map(|tone| ear.level_beside_prompts(tone, &when)))
}

#[test]
fn who_comes_and_goes_is_said_with_the_name_that_he_said_after_the_tone() {
    let mut world = world();
    let alice = nameless(&mut world, &from("+493023125001"));
    world.seconds(3);
    let bob = named(&mut world, &from("+493023125002"), 2300);
    assert_eq!(participants(&world, NORAS), 2);
    let begin = world.elapsed();
    let (said, [his, other]) = hears_next(&mut world, alice, 5);
    assert_eq!(said, [HasJoined]);
    assert!(his > LOUD / 3.0 && other < QUIET, "his name: {his}, {other}");
    let own = world.phone(bob).ear.level(2300, &(begin..world.elapsed()));
    assert!(own < QUIET, "he does not hear his own: {own}");

    world.press(alice, "*3");
    let (said, [his, _]) = hears_next(&mut world, alice, 4);
    assert_eq!(said, [ThereAre, Digit2, PeopleHere]);
    assert!(his > LOUD / 3.0, "the roll call names him: {his}");
    world.hang_up(bob);
    let (said, [his, _]) = hears_next(&mut world, alice, 5);
    assert_eq!(said, [HasLeft]);
    assert!(his > LOUD / 3.0, "his name: {his}");
    world.close();
}

#[test]
fn three_who_come_at_once_are_one_announcement_that_interrupts_nobody() {
    let mut world = world();
    let alice = nameless(&mut world, &from("+493023125001"));
    let speaker = named(&mut world, &from("+493023125002"), 2500);
    world.seconds(8);
    world.phone_mut(speaker).mouth.sound = Sound::Tone(2500);
    let three: Vec<PhoneId> = (3..6)
        .map(|last| world.call(&Caller::to(MICROSOFT, MICROSOFT_NUMBER).tone(300 + 1000 * last % 700)))
        .collect();
    for &phone in &three {
        answered(&mut world, phone);
        world.phone_mut(phone).mouth.sound = Sound::Silence;
    }
    world.run(Duration::from_millis(1500));
    for &phone in &three {
        world.press(phone, &format!("{NORAS}#"));
    }
    world.seconds(4);
    for &phone in &three {
        world.press(phone, "#");
    }
    let when = listen(&mut world, Duration::from_secs(6));
    assert_eq!(participants(&world, NORAS), 5);
    let ear = &world.phone(alice).ear;
    assert_eq!(ear.prompts(&when), [Digit3, PeopleJoined], "once, and no train");
    let share = ear.share(2500, LOUD, &when);
    assert!(share > 0.97, "the speaker is heard all the while: {share}");
    assert!(!ear.prompts(&when).contains(&HaveJoined));
    world.close();
}

#[test]
fn an_organizer_hears_the_number_of_who_said_no_name_and_others_hear_a_tone() {
    let mut world = world();
    let alice = nameless(&mut world, &from("+493023125001"));
    let bob = nameless(&mut world, &from("+493023125002"));
    let leg = world.shown[NORAS]["participants"][0]["leg"].as_u64().expect("a leg");
    let action = Action::SetRole { leg: LegId(leg), role: Role::Organizer };
    world.ask(Ask::Act { conference_id: NORAS.to_owned(), action });
    world.seconds(9);
    let begin = world.elapsed();
    nameless(&mut world, &from("+493023125003"));
    world.seconds(9);
    let when = begin..world.elapsed();
    let organizer = world.phone(alice).ear.prompts(&when);
    let digits: Vec<PromptId> = PromptId::spell("+493023125003").chain([HasJoined]).collect();
    assert_eq!(organizer, digits);
    let other = &world.phone(bob).ear;
    assert_eq!(other.prompts(&when), [], "no digit of it");
    assert!(!other.prompts(&when).contains(&Plus));
    assert!(other.share(660, 800.0, &when) > 0.0, "the tone of coming");
    world.close();
}

/// A bridge that shows nobody a number.
const SECRET: &str = r#"
[[number]]
number = "+14255550199"
owner = "microsoft"
tenant = "fabrikam"
[[bridge]]
tenant = "fabrikam"
default_service_number = "+14255550199"
country_code = "1"
mask_pstn_numbers = "all"
[[organizer]]
id = "olaf"
tenant = "fabrikam"
license = "audio-conferencing-standard"
service_number = "+14255550199"
allow_pstn_users_to_bypass_lobby = true
allow_anonymous_users_to_start_meeting = true
[[meeting]]
conference_id = "300000010"
organizer = "olaf"
"#;

#[test]
fn what_the_far_end_says_at_the_end_shows_nobody_a_number_who_sees_none() {
    let mut world = World::new(Setup { tables: SECRET, ..Setup::default() });
    for (meeting, number) in [("300000010", "+14255550199"), (SAM, MICROSOFT_NUMBER)] {
        let caller =
            Caller { from: Some("+493023125001".into()), ..Caller::to(MICROSOFT, number).tone(2100) };
        let outside_only = meeting == SAM;
        let eve = join(&mut world, &caller, meeting);
        world.happened.clear();
        world.hang_up_saying(eve, "Q.850;cause=16;text=\"+49 30 23125001 has hung up\"");
        world.seconds(1);
        let left = world.happened.iter().find(|one| one.kind == "participant.left").expect("she left");
        let mut told = left.members["details"].clone();
        assert_eq!((&told["q850"], left.masks), (&16.into(), outside_only), "{told}");
        if outside_only {
            assert!(told["reason"].to_string().contains("30 23125001"), "whole for who is inside: {told}");
            server::masked::mask(&mut told);
        }
        let reason = told["reason"].as_str().expect("words");
        assert!(reason.contains("+49**********01 has hung up"), "{reason}");
    }
    world.close();
}
