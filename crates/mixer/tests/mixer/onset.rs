//! The first 20 ms of a word, as a listener hears them, while others talk.

use mixer::{Command, G711, LegId, MixConfig, ShardConfig};

use crate::phone::{Phone, World, amplitude};

/// Whole periods fit into 20 ms of each, so that they are told apart in one frame.
const TONES: [f64; 5] = [300.0, 700.0, 1_100.0, 1_500.0, 1_900.0];

/// The first 20 ms of the word, and the rest of it.
const FIRST: f64 = 2_300.0;
const REST: f64 = 2_700.0;

/// The place of the one who says it, and of the one who listens.
const SPEAKER: usize = 5;
const LISTENER: usize = 6;

/// So many talk at this amplitude, a sixth one sits by, and a seventh listens. At most five are heard.
fn room(talking: usize, amplitude: f64) -> World {
    let mix = MixConfig { talkers: 5, agc: false, ..MixConfig::default() };
    let mut world = World::new(ShardConfig { mix, ..ShardConfig::default() });
    for (leg, hertz) in TONES.into_iter().enumerate() {
        let mut phone = Phone::new(leg as u64, G711::Pcmu);
        phone.tones.extend((leg < talking).then_some((hertz, amplitude)));
        world.join(phone);
    }
    world.join(Phone::new(SPEAKER as u64, G711::Pcma));
    world.join(Phone::new(LISTENER as u64, G711::Pcmu));
    world.run(100);
    world
}

/// The sixth one says a word of 400 ms: how much of its first 20 ms and of its rest is heard, of 1.
fn say(world: &mut World, loudness: f64) -> (f64, f64) {
    let from = world.phones[LISTENER].heard.len();
    world.phones[SPEAKER].tones = vec![(FIRST, loudness)];
    world.run(1);
    world.phones[SPEAKER].tones = vec![(REST, loudness)];
    world.run(19);
    world.phones[SPEAKER].tones.clear();
    world.run(5);
    let heard = &world.phones[LISTENER].heard[from..];
    // Wherever in the stream the 20 ms lie: the limiter delays all by 2 ms, a jitter buffer may by more.
    let first = heard.windows(160).step_by(4).map(|frame| amplitude(frame, FIRST)).fold(0.0, f64::max);
    (first / loudness, amplitude(&heard[1_600..3_200], REST) / loudness)
}

/// A voice comes up within 2 ms: of 20 ms, half of the first 2 are missing, so 95 % are there, less what G.711 adds.
const WHOLE: f64 = 0.92;

#[test]
fn the_first_20_ms_of_a_sixth_talker_who_is_louder_are_heard() {
    // Who is heard stays so unless somebody is half as loud again.
    for louder in [1.7, 2.5] {
        let mut world = room(5, 3_000.0);
        let (first, rest) = say(&mut world, 3_000.0 * louder);
        assert!(first > WHOLE && rest > WHOLE, "{louder} times as loud: {first:.2} and {rest:.2} of it");
        let listed = world.phones[LISTENER].arrived.iter().rev().nth(10).expect("packets").csrcs.len();
        assert_eq!(listed, 5, "in the place of one of them");
    }
}

#[test]
fn a_sixth_talker_who_is_not_clearly_louder_is_not_heard_and_disturbs_nobody() {
    for louder in [0.5, 1.0, 1.4] {
        let mut world = room(5, 3_000.0);
        let (first, rest) = say(&mut world, 3_000.0 * louder);
        assert!(first < 0.05 && rest < 0.02, "{louder} times as loud: {first:.2} and {rest:.2} of it");
        for hertz in TONES {
            let heard = world.phones[LISTENER].hears(hertz, 4_000);
            assert!((2_850.0..3_150.0).contains(&heard), "{hertz} Hz is heard at {heard}");
        }
    }
}

#[test]
fn where_a_place_is_free_the_first_20_ms_are_heard_however_quiet() {
    for (talking, loudness) in [(4, 8_000.0), (4, 400.0), (4, 60.0), (1, 400.0), (0, 60.0)] {
        let (first, rest) = say(&mut room(talking, 3_000.0), loudness);
        // Beside loud voices G.711 adds noise of 150 (root mean square of a step of 512), of which one frequency in 160 samples
        // holds 150 * (2 / 160)^0.5 = 17: three times that, at the most.
        let noise = if talking > 0 { 50.0 / loudness } else { 0.0 };
        assert!(
            first > WHOLE - noise && rest > WHOLE - noise,
            "{loudness} beside {talking} talkers: {first:.2} and {rest:.2} of it"
        );
    }
}

#[test]
fn a_word_right_behind_somebody_s_last_one_takes_his_place_though_he_is_a_talker_still() {
    let mut world = room(5, 3_000.0);
    world.phones[2].tones.clear();
    // His level falls by an eighth a tick: after 100 ms it is half of what it was, and with half on top still below the others'.
    world.run(5);
    let (first, rest) = say(&mut world, 3_000.0);
    assert!(first > WHOLE && rest > WHOLE, "{first:.2} and {rest:.2} of it");
}

#[test]
fn the_first_20_ms_after_unmute_are_heard_too() {
    let mut world = room(4, 3_000.0);
    let leg = LegId(SPEAKER as u64);
    world.apply(Command::Mute { leg, muted: true });
    world.phones[SPEAKER].tones = vec![(REST, 3_000.0)];
    world.run(50);
    world.phones[SPEAKER].tones.clear();
    world.run(50);
    world.apply(Command::Mute { leg, muted: false });
    let (first, rest) = say(&mut world, 3_000.0);
    assert!(first > WHOLE && rest > WHOLE, "{first:.2} and {rest:.2} of it");
}
