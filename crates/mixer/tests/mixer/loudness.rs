//! A quiet telephone and a loud one, as a third one hears them.

use mixer::{G711, MixConfig, Rate, ShardConfig};

use crate::phone::{Phone, World, rtp};
use crate::speech::speech;

/// How loud speech at a level is to a listener after eight seconds, in decibels; its pauses are in it on both sides alike.
fn heard(factor: f64, agc: bool) -> f64 {
    let mix = MixConfig { agc, ..MixConfig::default() };
    let mut world = World::new(ShardConfig { mix, ..ShardConfig::default() });
    world.join(Phone::new(0, G711::Pcmu));
    world.join(Phone::new(1, G711::Pcmu));
    let said: Vec<i16> = speech(Rate::Narrow).iter().map(|s| (f64::from(*s) * factor) as i16).collect();
    for (n, frame) in said.chunks_exact(160).enumerate() {
        let mut codes = [0; 160];
        G711::Pcmu.encode(frame, &mut codes);
        let packet = rtp(0, n == 0, n as u16, n as u32 * 160, 7, &codes);
        world.deliver(0, &packet);
        world.tick();
    }
    let late = &world.phones[1].heard[8 * 8_000..];
    let power = late.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / late.len() as f64;
    10.0 * power.log10()
}

#[test]
fn a_quiet_telephone_and_a_loud_one_are_heard_at_a_like_loudness() {
    // 24 dB apart: -18 and +6 dB of what was recorded.
    let [quiet, loud] = [0.125, 2.0].map(|factor| heard(factor, false));
    assert!((22.0..26.0).contains(&(loud - quiet)), "{quiet:.1} and {loud:.1} dB without automatic gain");
    let [quiet, loud] = [0.125, 2.0].map(|factor| heard(factor, true));
    assert!((loud - quiet).abs() < 6.0, "{quiet:.1} and {loud:.1} dB");
}
