//! Where a sound is most like itself: normalized cross-correlation, coarse at 4 kHz, then exact around the best place.

use crate::units::Rate;

/// A place where the sound is like the reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Match {
    /// Samples from the beginning of the region.
    pub(super) offset: usize,
    /// The normalized correlation, -1.0..=1.0; 0 where either is silent.
    pub(super) likeness: f32,
}

/// Samples per second of the coarse search. The voice's pitch, 66 to 400 Hz, and its first formant are below half of it.
const COARSE: u32 = 4_000;

/// Room for 50 ms at the coarse rate: the longest region searched.
const ROOM: usize = COARSE as usize / 20;

/// The offset into `region` at which as many samples as `reference` holds are most like it. Both are cut to 50 ms; a region
/// shorter than the reference gives offset 0 and likeness 0.
pub(super) fn find(reference: &[i16], region: &[i16], rate: Rate) -> Match {
    let factor = (rate.hz() / COARSE) as usize;
    let reference = &reference[..reference.len().min(ROOM * factor)];
    let region = &region[..region.len().min(ROOM * factor)];
    let Some(last) = region.len().checked_sub(reference.len()) else {
        return Match { offset: 0, likeness: 0.0 };
    };
    let coarse = coarse(reference, region, factor);
    let (from, to) = (coarse.saturating_sub(factor), (coarse + factor).min(last));
    best(reference, region, (factor / 4).max(1), (from.min(last), to))
}

/// The same without a coarse search first, so that sounds above 2 kHz are found too; for what happens seldom: it takes as many
/// steps as both have samples, at 16 kHz.
pub(super) fn find_exactly(reference: &[i16], region: &[i16], rate: Rate) -> Match {
    let room = ROOM * (rate.hz() / COARSE) as usize;
    let (reference, region) = (&reference[..reference.len().min(room)], &region[..region.len().min(room)]);
    let stride = (rate.hz() as usize / 16_000).max(1);
    match region.len().checked_sub(reference.len()) {
        Some(last) => best(reference, region, stride, (0, last)),
        None => Match { offset: 0, likeness: 0.0 },
    }
}

/// The best of the offsets from one to another.
fn best(reference: &[i16], region: &[i16], stride: usize, (from, to): (usize, usize)) -> Match {
    let mut best = Match { offset: from, likeness: -1.0 };
    for offset in from..=to {
        let likeness = likeness(reference, &region[offset..], stride);
        if likeness > best.likeness {
            best = Match { offset, likeness };
        }
    }
    best
}

/// The best offset among those that are whole samples at the coarse rate, in samples of the full rate.
fn coarse(reference: &[i16], region: &[i16], factor: usize) -> usize {
    let (mut short, mut long) = ([0.0; ROOM], [0.0; ROOM]);
    let short = decimate(reference, factor, &mut short);
    let long = decimate(region, factor, &mut long);
    let mut best = (0, f32::MIN);
    let mut energy: f32 = long[..short.len()].iter().map(|sample| sample * sample).sum();
    for (offset, window) in long.windows(short.len().max(1)).enumerate() {
        let product = dot(short, window);
        // The square keeps the order of positive correlations and needs no root.
        let score = product * product.abs() / energy.max(1.0);
        if score > best.1 {
            best = (offset, score);
        }
        if let Some(next) = long.get(offset + short.len()) {
            energy += next * next - window[0] * window[0];
        }
    }
    best.0 * factor
}

/// Means of every `factor` samples: a low pass that is good enough to compare by.
fn decimate<'a>(pcm: &[i16], factor: usize, room: &'a mut [f32; ROOM]) -> &'a [f32] {
    let count = pcm.len() / factor;
    for (mean, group) in room.iter_mut().zip(pcm.chunks_exact(factor)) {
        *mean = group.iter().map(|&sample| i32::from(sample)).sum::<i32>() as f32 / factor as f32;
    }
    &room[..count]
}

/// The correlation of `reference` with as many samples of `other`, by every `stride`-th of them.
fn likeness(reference: &[i16], other: &[i16], stride: usize) -> f32 {
    let (mut product, mut left, mut right) = (0_i64, 0_i64, 0_i64);
    for (&a, &b) in reference.iter().zip(other).step_by(stride) {
        let (a, b) = (i64::from(a), i64::from(b));
        product += a * b;
        left += a * a;
        right += b * b;
    }
    if left == 0 || right == 0 {
        return 0.0;
    }
    product as f32 / (left as f32 * right as f32).sqrt()
}

/// The inner product, in eight sums at once so that it vectorizes.
fn dot(left: &[f32], right: &[f32]) -> f32 {
    let (left, left_rest) = left.as_chunks::<8>();
    let (right, right_rest) = right.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (left, right) in left.iter().zip(right) {
        for lane in 0..8 {
            sums[lane] += left[lane] * right[lane];
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(left, right)| left * right).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    /// A voice-like sound: harmonics of `hertz` that fall with their number.
    fn voice(rate: Rate, hertz: f64, samples: usize) -> Vec<i16> {
        (0..samples)
            .map(|n| {
                let seconds = n as f64 / f64::from(rate.hz());
                let sum: f64 =
                    (1..12).map(|k| (TAU * hertz * f64::from(k) * seconds).sin() / f64::from(k)).sum();
                (sum * 4_000.0) as i16
            })
            .collect()
    }

    #[test]
    fn the_pitch_of_a_voice_is_found_exactly_at_every_rate() {
        for rate in Rate::ALL {
            for hertz in [80.0, 125.0, 200.0] {
                let period = (f64::from(rate.hz()) / hertz).round() as usize;
                let pcm = voice(rate, f64::from(rate.hz()) / period as f64, rate.frame() * 3);
                let least = rate.frame() / 5;
                let found = find(&pcm[..rate.frame() / 2], &pcm[least..rate.frame() + least], rate);
                assert!((least + found.offset).is_multiple_of(period), "{rate:?}, {hertz} Hz: {found:?}");
                assert!(found.likeness > 0.99, "{found:?}");
            }
        }
    }

    #[test]
    fn silence_is_like_nothing_and_a_short_region_is_no_mistake() {
        let silence = [0; 400];
        assert!(find(&silence[..80], &silence, Rate::Narrow).likeness.abs() < f32::EPSILON);
        assert_eq!(find(&silence[..80], &silence[..10], Rate::Narrow).offset, 0);
        assert_eq!(find(&[], &[], Rate::Full).offset, 0);
        let loud = [i16::MIN; 2_400];
        assert!(find(&loud[..960], &loud, Rate::Full).likeness > 0.99);
    }
}
