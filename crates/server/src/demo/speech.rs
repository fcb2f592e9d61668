//! Stand-in voices for tests: pulses of a wandering pitch and some breath through two moving formants, cut into syllables.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::listening::RATE;

/// `seconds` of somebody with this seed talking, full scale 1.0, about -18 dBFS.
pub(super) fn speech(seed: u64, seconds: f32) -> Vec<f32> {
    let mut dice = StdRng::seed_from_u64(seed);
    let base = dice.random_range(90.0..220.0_f32);
    let mut samples = Vec::new();
    let mut phase = 0.0_f32;
    while samples.len() < (seconds * RATE as f32) as usize {
        let length = dice.random_range(800..2400);
        let pitch = base * dice.random_range(0.8..1.25_f32);
        let glide = dice.random_range(-0.2..0.2_f32);
        let breath = if dice.random_bool(0.25) { 0.5 } else { 0.03 };
        let mut formants = [
            Formant::new(dice.random_range(250.0..800.0), 80.0),
            Formant::new(dice.random_range(900.0..2600.0), 120.0),
        ];
        for n in 0..length {
            let at = n as f32 / length as f32;
            phase += pitch * (1.0 + glide * at) / RATE as f32;
            let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
            phase = phase.fract();
            let source = pulse + breath * dice.random_range(-0.3..0.3_f32);
            let sound: f32 = formants.iter_mut().map(|formant| formant.filter(source)).sum();
            samples.push(sound * (std::f32::consts::PI * at).sin());
        }
        samples.extend(std::iter::repeat_n(0.0, dice.random_range(80..900)));
    }
    samples.truncate((seconds * RATE as f32) as usize);
    let scale = 0.125 / super::listening::rms(&samples);
    samples.iter().map(|sample| (sample * scale).clamp(-1.0, 1.0)).collect()
}

/// A two-pole resonator.
struct Formant {
    a: f32,
    b: f32,
    past: [f32; 2],
}

impl Formant {
    fn new(frequency: f32, width: f32) -> Self {
        let radius = (-std::f32::consts::PI * width / RATE as f32).exp();
        let a = 2.0 * radius * (2.0 * std::f32::consts::PI * frequency / RATE as f32).cos();
        Self { a, b: -radius * radius, past: [0.0; 2] }
    }

    fn filter(&mut self, input: f32) -> f32 {
        let output = input + self.a * self.past[0] + self.b * self.past[1];
        self.past = [output, self.past[0]];
        output
    }
}
