//! Legs that send back what they are sent: found, told, and not heard by the others.

use std::time::Duration;

use serde_json::Value;
use tests::{
    Caller, Codec, MICROSOFT, MICROSOFT_NUMBER, OPERATOR, OPERATOR_NUMBER, PhoneId, SAM, Setup, Sound, World,
};

use crate::cast::{join, listen};

/// What the API says of everybody's echo.
fn shown(world: &World) -> Vec<bool> {
    let people = world.shown[SAM]["participants"].as_array().expect("a roster");
    people.iter().map(|person| person["echo"] == Value::Bool(true)).collect()
}

fn detected(world: &World) -> u64 {
    world.metrics.echo_detected.with_label_values(&["rhein"]).get()
}

/// How loud all is that a phone hears in the next five seconds: root mean square.
fn loudness(world: &mut World, phone: PhoneId) -> f64 {
    let when = listen(world, Duration::from_secs(5));
    let packets = world.phone(phone).ear.packets.iter().filter(|packet| when.contains(&packet.at));
    let samples: Vec<f64> = packets.flat_map(|packet| &packet.pcm).map(|&sample| f64::from(sample)).collect();
    (samples.iter().map(|sample| sample * sample).sum::<f64>() / samples.len() as f64).sqrt()
}

#[test]
fn a_telephone_that_echoes_is_shown_and_counted_and_its_echo_is_not_heard_until_it_is_gone() {
    for codec in [Codec::A, Codec::G722, Codec::Opus] {
        let codecs = r#"["opus", "g722", "pcma"]"#;
        let mut world = World::new(Setup { operator_codecs: codecs, ..Setup::default() });
        let speaker = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER), SAM);
        let caller = Caller { codecs: vec![codec], ..Caller::to(OPERATOR, OPERATOR_NUMBER) };
        let echoing = join(&mut world, &caller, SAM);
        world.seconds(1);
        world.phone_mut(speaker).mouth.sound = Sound::Sentences;
        // 200 ms, and the two ways through the network.
        world.phone_mut(echoing).mouth.sound = Sound::Echo(10);
        let before = loudness(&mut world, speaker);
        world.until("the echo is found", Duration::from_secs(10), |world| detected(world) == 1);
        world.seconds(1);
        assert_eq!(shown(&world), [false, true], "{codec:?}");
        let found = loudness(&mut world, speaker);
        assert!(found < before / 10.0, "{codec:?}: {found:.0}, and {before:.0} before it was found");
        // He has switched his loudspeaker off.
        world.phone_mut(echoing).mouth.sound = Sound::Silence;
        world.until("it is gone", Duration::from_secs(20), |world| shown(world) == [false, false]);
        assert_eq!(detected(&world), 1);
        world.close();
    }
}

#[test]
fn who_answers_a_speaker_is_no_echo() {
    let mut world = World::new(Setup::default());
    let speaker = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER), SAM);
    let other = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    for _ in 0..8 {
        for (talks, listens) in [(speaker, other), (other, speaker)] {
            world.phone_mut(talks).mouth.sound = Sound::Sentences;
            world.phone_mut(listens).mouth.sound = Sound::Silence;
            world.seconds(3);
        }
    }
    assert_eq!((shown(&world), detected(&world)), (vec![false, false], 0));
    world.close();
}
