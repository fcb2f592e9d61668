//! From one sample rate to another, for recordings: done once at load, so written for quality. Live audio has its own
//! resampler, which works in 20 ms steps and without memory of its own.

use std::f64::consts::PI;

use crate::units::Rate;

/// Zero crossings of the filter on each side: the transition band is about a sixth of the lower rate's band.
const CROSSINGS: usize = 24;

/// `pcm` at another rate (windowed sinc, cut at 0.45 of the lower rate), without shifting it in time. What would fold back into
/// the band, or what is mirrored beyond it, is at least 50 dB down.
pub(crate) fn convert(pcm: &[i16], from: Rate, to: Rate) -> Vec<i16> {
    if from == to || pcm.is_empty() {
        return pcm.to_vec();
    }
    // One grid holds both rates, since each divides 48 kHz: there, `up` steps are a sample of `from` and `down` one of `to`.
    let common = common_divisor(from.hz() as usize, to.hz() as usize);
    let (up, down) = (to.hz() as usize / common, from.hz() as usize / common);
    let half = CROSSINGS * up.max(down);
    let phases = phases(half, up, 0.45 / up.max(down) as f64);
    let reach = half / up;
    let mut padded = vec![0.0_f32; reach];
    padded.extend(pcm.iter().map(|&sample| f32::from(sample)));
    padded.resize(padded.len() + reach + 1, 0.0);
    (0..(pcm.len() * up).div_ceil(down))
        .map(|n| {
            let (at, phase) = (n * down / up, n * down % up);
            let sum = dot(&phases[phase], &padded[at..]);
            sum.round().clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16
        })
        .collect()
}

/// The low-pass on the common grid, split by where between two samples of the source an output sample lies: entry `phase` holds
/// the weights of the source samples from `reach` before it on.
fn phases(half: usize, up: usize, cut: f64) -> Vec<Vec<f32>> {
    let reach = (half / up) as isize;
    let weight = |distance: isize| {
        let x = distance as f64;
        let sinc = if distance == 0 { 2.0 * cut } else { (2.0 * PI * cut * x).sin() / (PI * x) };
        let window = 0.5 + 0.5 * (PI * x / (half as f64 + 1.0)).cos();
        if distance.unsigned_abs() > half { 0.0 } else { (sinc * window * up as f64) as f32 }
    };
    (0..up as isize)
        .map(|phase| (-reach..=reach + 1).map(|tap| weight(phase - tap * up as isize)).collect())
        .collect()
}

/// Eight sums side by side, which the compiler turns into vector instructions; one sum in order it may not.
fn dot(weights: &[f32], samples: &[f32]) -> f32 {
    let (weights, last_weights) = weights.as_chunks::<8>();
    let (samples, last_samples) = samples[..weights.len() * 8 + last_weights.len()].as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for (weights, samples) in weights.iter().zip(samples) {
        for ((sum, weight), sample) in sums.iter_mut().zip(weights).zip(samples) {
            *sum += weight * sample;
        }
    }
    let rest: f32 = last_weights.iter().zip(last_samples).map(|(weight, sample)| weight * sample).sum();
    sums.iter().sum::<f32>() + rest
}

fn common_divisor(mut a: usize, mut b: usize) -> usize {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hertz: f64, rate: Rate) -> Vec<i16> {
        let rate = f64::from(rate.hz());
        (0..rate as usize).map(|n| (8000.0 * (2.0 * PI * hertz * n as f64 / rate).sin()) as i16).collect()
    }

    fn rms(samples: &[i16]) -> f64 {
        let middle = &samples[samples.len() / 4..samples.len() * 3 / 4];
        (middle.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / middle.len() as f64).sqrt()
    }

    #[test]
    fn the_voice_band_arrives_in_time_and_at_its_level_at_every_rate() {
        for from in Rate::ALL {
            for to in Rate::ALL {
                let (expected, converted) = (sine(1000.0, to), convert(&sine(1000.0, from), from, to));
                assert_eq!(converted.len(), expected.len());
                let error: Vec<_> = expected.iter().zip(&converted).map(|(a, b)| a - b).collect();
                assert!(rms(&error) < 8.0, "{from:?} to {to:?}: {}", rms(&error));
            }
        }
    }

    #[test]
    fn what_would_fold_back_is_stopped() {
        for from in [Rate::Wide, Rate::Full] {
            let stopped = rms(&convert(&sine(6000.0, from), from, Rate::Narrow));
            assert!(stopped < 8000.0 / 2.0_f64.sqrt() / 300.0, "{stopped}");
        }
    }

    #[test]
    fn what_would_be_mirrored_is_stopped() {
        let converted = convert(&sine(3000.0, Rate::Narrow), Rate::Narrow, Rate::Full);
        let low_passed = convert(&converted, Rate::Full, Rate::Narrow);
        let again = convert(&low_passed, Rate::Narrow, Rate::Full);
        let beyond: Vec<_> = converted.iter().zip(&again).map(|(a, b)| a - b).collect();
        assert!(rms(&beyond) < 8000.0 / 2.0_f64.sqrt() / 300.0, "{}", rms(&beyond));
    }

    #[test]
    fn the_length_follows_the_rate_and_the_same_rate_changes_nothing() {
        assert_eq!(convert(&[1; 961], Rate::Full, Rate::Narrow).len(), 161);
        assert_eq!(convert(&[3, -4], Rate::Wide, Rate::Wide), [3, -4]);
        assert_eq!(convert(&[3, -4], Rate::Narrow, Rate::Full).len(), 12);
        assert!(convert(&[], Rate::Wide, Rate::Narrow).is_empty());
    }
}
