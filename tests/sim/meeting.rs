//! Who hears whom.

use std::time::Duration;

use bridge::PromptId::{Muted, Unmuted};
use tests::{
    Caller, ELBE, ELBE_NUMBER, MICROSOFT, MICROSOFT_NUMBER, OPERATOR, OPERATOR_NUMBER, SAM, Setup, World,
};

use crate::cast::{LOUD, QUIET, hears, join, listen, participants};

#[test]
fn three_callers_join_and_each_hears_exactly_the_other_two() {
    let mut world = World::new(Setup::default());
    let callers = [
        (Caller::to(OPERATOR, OPERATOR_NUMBER), 400),
        (Caller::to(MICROSOFT, MICROSOFT_NUMBER), 700),
        (Caller::to(ELBE, ELBE_NUMBER), 1100),
    ];
    let phones = callers.map(|(caller, tone)| (join(&mut world, &caller.tone(tone), SAM), tone));
    assert_eq!(participants(&world, SAM), 3);
    world.seconds(1);
    let when = listen(&mut world, Duration::from_secs(2));
    for (listener, own) in phones {
        for (_, tone) in phones {
            let level = world.phone(listener).ear.level(tone, &when);
            if tone == own {
                assert!(level < QUIET, "{own} hears himself: {level}");
            } else {
                assert!(level > LOUD, "{own} does not hear {tone}: {level}");
            }
        }
        let ear = &world.phone(listener).ear;
        assert!(ear.longest_step() <= 3, "more than two ticks were lost: {}", ear.longest_step());
        assert_eq!(ear.packets.last().map(|packet| packet.csrcs.len()), Some(2));
    }
    world.close();
}

#[test]
fn star_six_mutes_and_unmutes_with_a_spoken_confirmation() {
    let mut world = World::new(Setup::default());
    let talker = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2100), SAM);
    let listener = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER), SAM);
    world.seconds(1);
    assert!(hears(&mut world, listener, 2100) > LOUD);
    world.press(talker, "*6");
    let told = listen(&mut world, Duration::from_secs(2));
    assert_eq!(world.phone(talker).ear.prompts(&told), [Muted]);
    assert!(hears(&mut world, listener, 2100) < QUIET);
    assert_eq!(world.shown[SAM]["participants"][0]["muted"], true);
    world.press(talker, "*6");
    let told = listen(&mut world, Duration::from_secs(2));
    assert_eq!(world.phone(talker).ear.prompts(&told), [Unmuted]);
    assert!(hears(&mut world, listener, 2100) > LOUD);
    assert_eq!(world.shown[SAM]["participants"][0]["muted"], false);
    world.close();
}

#[test]
fn the_tones_of_coming_and_going_reach_the_others_only() {
    // The bridge's entry and exit tones are 660 and 880 Hz.
    let mut world = World::new(Setup::default());
    let first = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    let second = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER), SAM);
    world.seconds(1);
    let third = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
    world.seconds(1);
    world.press(third, SAM);
    let coming = listen(&mut world, Duration::from_secs(4));
    for (phone, hears_it) in [(first, true), (second, true), (third, false)] {
        let level = world.phone(phone).ear.level_beside_prompts(880, &coming);
        assert_eq!(level > 100.0, hears_it, "{phone:?} at the entry: {level}");
    }
    world.hang_up(third);
    let going = listen(&mut world, Duration::from_secs(1));
    for phone in [first, second] {
        assert!(world.phone(phone).ear.level(660, &going) > 100.0, "{phone:?} at the exit");
    }
    world.close();
}

#[test]
fn a_leg_that_moves_between_shards_keeps_its_stream_and_loses_at_most_two_ticks() {
    // Rooms alternate between the shards, so of four callers some must change the shard to meet.
    for delay in [0, 7, 19] {
        let mut world = World::new(Setup {
            command_delay: Duration::from_millis(delay),
            report_delay: Duration::from_millis(delay / 3),
            ..Setup::default()
        });
        let callers: Vec<_> =
            (0..4).map(|n| world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2100 + 200 * n))).collect();
        world.seconds(2);
        assert!(world.shards.iter().all(|shard| shard.shard.len() == 2), "two rooms on each shard");
        for &phone in &callers {
            world.press(phone, SAM);
        }
        world.seconds(5);
        assert!(world.shards.iter().any(|shard| shard.shard.len() == 4), "all on the meeting's shard");
        for &phone in &callers {
            let ear = &world.phone(phone).ear;
            assert_eq!(ear.streams().len(), 1);
            assert!(ear.is_gapless(), "the sequence continues");
            // The way through two rings is longer than the move itself.
            let allowed = 3 + 2 * delay as u32 / 20 + u32::from(delay > 0);
            assert!(ear.longest_step() <= allowed, "{} ticks with {delay} ms", ear.longest_step());
        }
        let when = listen(&mut world, Duration::from_secs(1));
        for (number, &phone) in callers.iter().enumerate() {
            for other in 0..4 {
                let level = world.phone(phone).ear.level(2100 + 200 * other, &when);
                assert_eq!(level > LOUD, other as usize != number, "{number} hears {other}: {level}");
            }
        }
        world.close();
    }
}
