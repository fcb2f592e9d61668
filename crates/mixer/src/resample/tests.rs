//! The resampler, measured with tones.

use std::f64::consts::TAU;

use super::*;
use crate::guard;

const PAIRS: [(Rate, Rate); 6] = [
    (Rate::Narrow, Rate::Wide),
    (Rate::Wide, Rate::Full),
    (Rate::Narrow, Rate::Full),
    (Rate::Wide, Rate::Narrow),
    (Rate::Full, Rate::Wide),
    (Rate::Full, Rate::Narrow),
];

const AMPLITUDE: f64 = 16_000.0;

/// What both rates can carry, in Hz: kept up to the first, gone from the second on.
fn band(from: Rate, to: Rate) -> (u32, u32) {
    if from.min(to) == Rate::Narrow { (3_400, 4_600) } else { (7_000, 9_000) }
}

fn tone(hertz: f64, rate: Rate, frames: usize) -> Vec<i16> {
    let step = TAU * hertz / f64::from(rate.hz());
    (0..frames * rate.frame()).map(|n| (AMPLITUDE * (step * n as f64).sin()).round() as i16).collect()
}

/// The frames of `pcm`, one by one, in an armed guard.
fn run(resampler: &mut Resampler, pcm: &[i16]) -> Vec<i16> {
    let mut output = vec![0; pcm.len() / resampler.from().frame() * resampler.to().frame()];
    let frame = resampler.to().frame();
    for (input, output) in pcm.chunks_exact(resampler.from().frame()).zip(output.chunks_exact_mut(frame)) {
        guard::armed(|| resampler.frame(input, output));
    }
    output
}

/// Amplitude of the tone in `pcm`, and of everything else as a tone of the same power.
fn amplitudes(pcm: &[i16], hertz: f64, rate: Rate) -> (f64, f64) {
    let step = TAU * hertz / f64::from(rate.hz());
    let mut sums = (0.0, 0.0, 0.0);
    for (n, sample) in pcm.iter().enumerate() {
        let (sin, cos) = (step * n as f64).sin_cos();
        let sample = f64::from(*sample);
        sums = (sums.0 + sample * sin, sums.1 + sample * cos, sums.2 + sample * sample);
    }
    let power = |sum: f64| sum / pcm.len() as f64;
    let of_tone = 2.0 * (power(sums.0).powi(2) + power(sums.1).powi(2));
    ((2.0 * of_tone).sqrt(), (2.0 * (power(sums.2) - of_tone).max(0.0)).sqrt())
}

fn decibels(ratio: f64) -> f64 {
    20.0 * ratio.max(1e-9).log10()
}

#[test]
fn the_band_that_both_rates_carry_is_kept_and_nothing_else_comes_with_it() {
    for (from, to) in PAIRS {
        // Multiples of 50 Hz have whole periods in a 20 ms frame, so that tone and rest are told apart exactly.
        for hertz in (50..=band(from, to).0).step_by(50).map(f64::from) {
            let output = run(&mut Resampler::new(from, to), &tone(hertz, from, 6));
            let (kept, rest) = amplitudes(&output[to.frame()..], hertz, to);
            assert!(decibels(kept / AMPLITUDE).abs() <= 0.15, "{from:?} to {to:?}, {hertz} Hz: {kept}");
            assert!(decibels(rest / AMPLITUDE) <= -60.0, "{from:?} to {to:?}, {hertz} Hz: {rest} besides");
        }
    }
}

#[test]
fn what_the_lower_rate_cannot_carry_does_not_fold_back() {
    for (from, to) in PAIRS.into_iter().filter(|(from, to)| from > to) {
        for hertz in (band(from, to).1..from.hz() / 2).step_by(50).map(f64::from) {
            let output = run(&mut Resampler::new(from, to), &tone(hertz, from, 6));
            let (_, rest) = amplitudes(&output[to.frame()..], 0.0, to);
            assert!(decibels(rest / AMPLITUDE) <= -60.0, "{from:?} to {to:?}, {hertz} Hz: {rest}");
        }
    }
}

#[test]
fn an_impulse_comes_out_after_the_delay() {
    for (from, to) in PAIRS {
        let mut pcm = vec![0; 2 * from.frame()];
        pcm[from.frame() - 48] = 30_000;
        let mut resampler = Resampler::new(from, to);
        let output = run(&mut resampler, &pcm);
        let highest = (0..output.len()).max_by_key(|n| output[*n]);
        let expected = (from.frame() - 48) * to.frame() / from.frame() + resampler.delay();
        assert_eq!(highest, Some(expected), "{from:?} to {to:?}");
        assert!(resampler.delay() as u32 * 800 <= to.hz(), "at most 1.25 ms");
    }
}

#[test]
fn a_clone_continues_the_stream_and_equal_rates_copy() {
    let pcm = tone(440.0, Rate::Wide, 4);
    let (before, after) = pcm.split_at(2 * Rate::Wide.frame());
    for to in Rate::ALL {
        let mut first = Resampler::new(Rate::Wide, to);
        run(&mut first, before);
        let mut second = first.clone();
        assert_eq!(run(&mut first, after), run(&mut second, after));
    }
    assert_eq!(run(&mut Resampler::new(Rate::Wide, Rate::Wide), &pcm), pcm);
}

#[test]
fn full_scale_is_clipped_and_does_not_wrap() {
    for (from, to) in PAIRS {
        let square: Vec<i16> =
            (0..4 * from.frame()).map(|n| if n / 8 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let output = run(&mut Resampler::new(from, to), &square);
        // A wrapped sample would stand alone with the wrong sign: next to it the wave is at its other end.
        let jumps = output.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) > 60_000).count();
        assert!(from < to || jumps <= output.len() / 2);
        assert!(from > to || jumps == 0, "{from:?} to {to:?}: {jumps}");
    }
}

#[test]
fn a_recording_keeps_its_time_and_its_length() {
    for (from, to) in PAIRS.into_iter().chain([(Rate::Wide, Rate::Wide)]) {
        for length in [0, 1, 159, 160, 5_000] {
            let mut pcm = vec![0; length];
            let converted = resample(&pcm, from, to);
            assert_eq!(converted.len(), (length * to.frame()).div_ceil(from.frame()));
            if length == 5_000 {
                pcm[3_000] = 30_000;
                let converted = resample(&pcm, from, to);
                let highest = (0..converted.len()).max_by_key(|n| converted[*n]);
                assert_eq!(highest, Some(3_000 * to.frame() / from.frame()), "{from:?} to {to:?}");
            }
        }
    }
}
