//! What the unit tests share: a fixed point in time, tones and a meter for them.

use std::f64::consts::TAU;
use std::time::Instant;

/// The point in time that a test counts from.
#[expect(clippy::disallowed_methods, reason = "`Instant` has no other constructor; a test only adds to it")]
pub(crate) fn epoch() -> Instant {
    Instant::now()
}

/// `count` samples of a tone at 8 kHz, beginning with sample `from` of it.
pub(crate) fn tone(hertz: f64, amplitude: f64, from: usize, count: usize) -> Vec<i16> {
    (from..from + count).map(|n| ((n as f64 * hertz * TAU / 8_000.0).sin() * amplitude) as i16).collect()
}

/// Amplitude of one frequency in `pcm` (Goertzel).
pub(crate) fn amplitude(pcm: &[i16], hertz: f64) -> f64 {
    let coefficient = 2.0 * (TAU * hertz / 8_000.0).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in pcm {
        let next = f64::from(*sample) + coefficient * last - before;
        before = last;
        last = next;
    }
    let power = last * last + before * before - coefficient * last * before;
    power.max(0.0).sqrt() * 2.0 / pcm.len() as f64
}
