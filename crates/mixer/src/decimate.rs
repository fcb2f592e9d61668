//! From a higher sample rate to a lower one, for recordings: done once at load, so written for quality and clarity.

use std::f64::consts::PI;

/// Keeps every `ratio`th sample of `pcm` after a low-pass (windowed sinc, cut at 0.45 of the new rate), without shifting it
/// in time. What would fold back into the band is at least 50 dB down. A ratio of 1 or 0 returns the samples as they are.
pub fn decimate(pcm: &[i16], ratio: usize) -> Vec<i16> {
    if ratio < 2 {
        return pcm.to_vec();
    }
    let half = 24 * ratio;
    let taps = low_pass(half, 0.45 / ratio as f64);
    let mut padded = vec![0.0_f32; half];
    padded.extend(pcm.iter().map(|&sample| f32::from(sample)));
    padded.resize(padded.len() + half, 0.0);
    padded
        .windows(taps.len())
        .step_by(ratio)
        .map(|window| {
            let sum: f32 = taps.iter().zip(window).map(|(weight, sample)| weight * sample).sum();
            sum.round().clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16
        })
        .collect()
}

/// `2 * half + 1` taps; `cut` is in cycles per sample.
fn low_pass(half: usize, cut: f64) -> Vec<f32> {
    (0..=2 * half)
        .map(|index| {
            let x = index as f64 - half as f64;
            let sinc = if index == half { 2.0 * cut } else { (2.0 * PI * cut * x).sin() / (PI * x) };
            let window = 0.5 + 0.5 * (PI * x / (half as f64 + 1.0)).cos();
            (sinc * window) as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hertz: f64, rate: f64) -> Vec<i16> {
        (0..rate as usize).map(|n| (8000.0 * (2.0 * PI * hertz * n as f64 / rate).sin()) as i16).collect()
    }

    fn level(samples: &[i16]) -> f64 {
        let middle = &samples[samples.len() / 4..samples.len() * 3 / 4];
        (middle.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / middle.len() as f64).sqrt()
    }

    #[test]
    fn the_voice_band_is_kept_and_what_would_alias_is_stopped() {
        for (rate, ratio) in [(16_000.0, 2), (48_000.0, 6)] {
            let kept = level(&decimate(&sine(1000.0, rate), ratio));
            let stopped = level(&decimate(&sine(6000.0, rate), ratio));
            assert!((kept - 8000.0 / 2.0_f64.sqrt()).abs() < 60.0, "{kept}");
            assert!(stopped < kept / 300.0, "{stopped}");
        }
    }

    #[test]
    fn the_length_is_divided_and_a_ratio_of_one_changes_nothing() {
        assert_eq!(decimate(&[1; 961], 6).len(), 161);
        assert_eq!(decimate(&[3, -4], 1), [3, -4]);
        assert!(decimate(&[], 2).is_empty());
    }
}
