//! What fills a gap is as loud in each band as what is around it.
//!
//! Where two sounds are blended, each of their harmonics is louder or fainter as phases happen to meet, and the louder of the two is
//! heard far into the other. Both change the color of the voice. So the sound is taken apart into windows of 16 ms, and in each of
//! them every band is moved by the greater part of the way, in decibels, to where it would be if it went straight from what it is
//! before the gap to what it is behind. The phases stay, and with them the periods of the voice.

use super::wave::millisecond;
use crate::units::Rate;

/// A window: one to three periods of a voice. Each begins in the middle of the one before. A power of two at 8 and at 16 kHz.
const WINDOW_MS: usize = 16;

/// The longest window, and half of it.
const WINDOW: usize = WINDOW_MS * millisecond(Rate::Wide);
const HALF: usize = WINDOW / 2;

/// Behind a gap whose decoder has to find its way, so much is evened out too, and what tells how it sounds there begins so late.
const ASTRAY_MS: usize = 8;
const FOUND_MS: usize = 4;

/// The longest piece that is evened out.
const PIECE: usize = (super::bridge::LONGEST_MS + ASTRAY_MS) * millisecond(Rate::Wide);

/// This part of the difference in loudness is made up for. More of it makes gaps in which the voice changed more alike to nothing.
const PART: f32 = 0.6;

/// A band that is louder or fainter than expected by more than this (a factor of ten of its power) is moved as if by this.
const MOST: f32 = std::f32::consts::LN_10;

/// A band is what lies within two lines of the spectrum, of 62.5 Hz each; weights of it and its neighbors.
const NEIGHBORS: [f32; 5] = [1.0 / 12.0, 0.25, 1.0 / 3.0, 0.25, 1.0 / 12.0];

type Complex = [f32; 2];

/// For the lines of two spectra up to half of the rate: the logarithm of the power, or a factor.
type Lines = [[f32; HALF + 1]; 2];

/// Evens out `pcm[from..to]`, which was lost and is made, at 8 or 16 kHz. Where the decoder of what is behind it is `astray`, the
/// beginning of that too. Where less is known on either side than a window, nothing changes.
pub(super) fn even_out(pcm: &mut [i16], from: usize, to: usize, astray: bool, rate: Rate) {
    let length = WINDOW_MS * millisecond(rate);
    let hop = length / 2;
    let (later, found) = if astray { (ASTRAY_MS, FOUND_MS) } else { (0, 0) };
    let (end, behind) = (to + later * millisecond(rate), to + found * millisecond(rate));
    if length > WINDOW || from < length || behind + length > pcm.len() || end - from > PIECE {
        return;
    }
    let mut pair = [[0.0; 2]; WINDOW];
    take(pcm, [from - length, behind], &mut pair[..length]);
    let edges = lines(&pair[..length]);
    let mut change = [0.0; PIECE];
    for first in (from - hop..end).step_by(length) {
        let starts = [first, first + hop];
        take(pcm, starts, &mut pair[..length]);
        let mut factors = lines(&pair[..length]);
        for (lines, start) in factors.iter_mut().zip(starts) {
            let way = (start + length - from) as f32 / (behind + length - from) as f32;
            for (line, (before, after)) in lines.iter_mut().zip(edges[0].iter().zip(&edges[1])) {
                let missing = before + (after - before) * way.min(1.0) - *line;
                *line = (0.5 * PART * missing.clamp(-MOST, MOST)).exp();
            }
        }
        color(&mut pair[..length], &factors);
        back(&mut pair[..length]);
        for (n, start) in starts.into_iter().enumerate().filter(|(_, start)| start + length <= pcm.len()) {
            for (at, colored) in (start..).zip(&pair[..length]) {
                let slope = slope(at - start, length);
                if let Some(change) = at.checked_sub(from).and_then(|at| change.get_mut(at)) {
                    *change += slope * (colored[n] - slope * f32::from(pcm[at]));
                }
            }
        }
    }
    for (sample, change) in pcm[from..end].iter_mut().zip(change) {
        *sample = (f32::from(*sample) + change).round() as i16; // saturates
    }
}

/// A window that is applied before and after: the squares of two that overlap by half are 1 together.
fn slope(n: usize, length: usize) -> f32 {
    -TURNS[n * (WINDOW / length)][1]
}

/// The spectra of two windows in one: the samples of the first are the real parts, those of the second the imaginary ones. What is behind the end of `pcm` counts as silence.
fn take(pcm: &[i16], starts: [usize; 2], pair: &mut [Complex]) {
    let length = pair.len();
    for (n, both) in pair.iter_mut().enumerate() {
        *both = starts.map(|start| pcm.get(start + n).map_or(0.0, |&s| slope(n, length) * f32::from(s)));
    }
    transform(pair);
}

/// How loud each band of two spectra is: the logarithm of its power.
fn lines(pair: &[Complex]) -> Lines {
    let half = pair.len() / 2;
    let mut power = [[0.0; HALF + 1]; 2];
    for n in 0..=half {
        let ([a, b], [c, d]) = (pair[n], pair[(pair.len() - n) % pair.len()]);
        power[0][n] = ((a + c).powi(2) + (b - d).powi(2)) * 0.25;
        power[1][n] = ((b + d).powi(2) + (c - a).powi(2)) * 0.25;
    }
    power.map(|power| {
        let mut lines = [0.0; HALF + 1];
        for (n, line) in lines.iter_mut().enumerate().take(half + 1) {
            let near = NEIGHBORS.iter().enumerate().filter_map(|(m, weight)| {
                let power = power[..=half].get((n + m).checked_sub(NEIGHBORS.len() / 2)?)?;
                Some(weight * power)
            });
            *line = (1.0 + near.sum::<f32>()).ln(); // never of nothing
        }
        lines
    })
}

/// Each of two spectra times its factors.
fn color(pair: &mut [Complex], factors: &Lines) {
    let length = pair.len();
    for n in 0..=length / 2 {
        let mirror = (length - n) % length;
        let ([a, b], [c, d]) = (pair[n], pair[mirror]);
        let (one, other) = (0.5 * factors[0][n], 0.5 * factors[1][n]);
        let (first, second) = ([one * (a + c), one * (b - d)], [other * (b + d), other * (c - a)]);
        pair[n] = [first[0] - second[1], first[1] + second[0]];
        pair[mirror] = [first[0] + second[1], second[0] - first[1]];
    }
}

/// The windows of two spectra.
fn back(pair: &mut [Complex]) {
    let scale = 1.0 / pair.len() as f32;
    // Forwards with both parts exchanged is backwards with both parts exchanged.
    for value in pair.iter_mut() {
        value.swap(0, 1);
    }
    transform(pair);
    for value in pair {
        *value = [scale * value[1], scale * value[0]];
    }
}

/// The discrete Fourier transform of a power of two of values, at most [`WINDOW`], in place.
fn transform(values: &mut [Complex]) {
    let length = values.len();
    let unused = usize::BITS - length.trailing_zeros();
    for n in 0..length {
        let mirrored = n.reverse_bits() >> unused;
        if mirrored > n {
            values.swap(n, mirrored);
        }
    }
    let mut half = 1;
    while half < length {
        for group in values.chunks_exact_mut(2 * half) {
            let (low, high) = group.split_at_mut(half);
            for ((low, high), [cos, sin]) in low.iter_mut().zip(high).zip(TURNS.iter().step_by(WINDOW / half))
            {
                let turned = [high[0] * cos - high[1] * sin, high[0] * sin + high[1] * cos];
                *high = [low[0] - turned[0], low[1] - turned[1]];
                *low = [low[0] + turned[0], low[1] + turned[1]];
            }
        }
        half *= 2;
    }
}

/// Half a turn backwards in [`WINDOW`] steps.
static TURNS: [Complex; WINDOW] = turns();

const fn turns() -> [Complex; WINDOW] {
    // Of pi / 256.
    let (cos, sin) = (0.999_924_701_839_144_5_f64, 0.012_271_538_285_719_925_f64);
    let mut turns = [[0.0; 2]; WINDOW];
    let (mut real, mut imaginary, mut n) = (1.0_f64, 0.0_f64, 0);
    while n < WINDOW {
        turns[n] = [real as f32, imaginary as f32];
        (real, imaginary) = (real * cos + imaginary * sin, imaginary * cos - real * sin);
        n += 1;
    }
    turns
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    const RATES: [Rate; 2] = [Rate::Narrow, Rate::Wide];

    /// Two tones, of 500 and 1500 Hz.
    fn tones(rate: Rate, millis: usize, amplitudes: [f64; 2]) -> Vec<i16> {
        (0..millis * millisecond(rate))
            .map(|n| {
                let turn = TAU * n as f64 / f64::from(rate.hz());
                let [low, high] = amplitudes;
                ((500.0 * turn).sin() * low + (1_500.0 * turn).sin() * high) as i16
            })
            .collect()
    }

    /// The amplitude of a tone.
    fn amplitude(pcm: &[i16], hertz: f64, rate: Rate) -> f64 {
        let (mut sine, mut cosine) = (0.0, 0.0);
        for (n, &sample) in pcm.iter().enumerate() {
            let (sin, cos) = (TAU * hertz * n as f64 / f64::from(rate.hz())).sin_cos();
            sine += f64::from(sample) * sin;
            cosine += f64::from(sample) * cos;
        }
        2.0 * sine.hypot(cosine) / pcm.len() as f64
    }

    #[test]
    fn each_band_of_a_gap_comes_near_to_what_it_is_on_both_sides_and_no_other_sample_changes() {
        for rate in RATES {
            let (from, to) = (40 * millisecond(rate), 60 * millisecond(rate));
            let mut pcm = tones(rate, 90, [4_000.0, 2_000.0]);
            pcm[from..to].copy_from_slice(&tones(rate, 60, [2_000.0, 4_000.0])[from..to]);
            let before = pcm.clone();
            even_out(&mut pcm, from, to, false, rate);
            assert!(pcm[..from] == before[..from] && pcm[to..] == before[to..]);
            // It was off by 6 dB in opposite directions, and 0.6 of that is made up for.
            let gap = &pcm[from..to];
            let (low, high) = (amplitude(gap, 500.0, rate), amplitude(gap, 1_500.0, rate));
            assert!(low > 2_600.0 && high < 3_100.0, "{rate:?}: {low:.0} and {high:.0}");
        }
    }

    #[test]
    fn what_is_as_it_should_be_stays_so() {
        for rate in RATES {
            for astray in [false, true] {
                let mut pcm = tones(rate, 100, [4_000.0, 2_000.0]);
                let before = pcm.clone();
                even_out(&mut pcm, 40 * millisecond(rate), 60 * millisecond(rate), astray, rate);
                let most = pcm.iter().zip(&before).map(|(a, b)| (a - b).abs()).max();
                assert!(most < Some(60), "{rate:?}: {most:?}");
            }
        }
    }

    #[test]
    fn any_sound_and_any_length_is_borne() {
        for rate in RATES {
            for value in [0, i16::MIN, i16::MAX] {
                for (past, gap, behind) in [(0, 1, 1), (15, 20, 20), (50, 1, 16), (50, 40, 20), (50, 80, 20)]
                {
                    for astray in [false, true] {
                        let all = (past + gap + behind) * millisecond(rate);
                        let mut pcm: Vec<i16> =
                            (0..all).map(|n| if n % 3 == 0 { value } else { 0 }).collect();
                        let from = past * millisecond(rate);
                        even_out(&mut pcm, from, from + gap * millisecond(rate), astray, rate);
                    }
                }
            }
        }
    }

    #[test]
    fn a_spectrum_goes_back_to_the_windows_that_it_was_made_of() {
        for length in [WINDOW / 2, WINDOW] {
            let pcm: Vec<i16> = (0..2 * length).map(|n| ((n * n * 31) % 2_000) as i16 - 1_000).collect();
            let mut pair = vec![[0.0; 2]; length];
            take(&pcm, [0, length], &mut pair);
            let power = lines(&pair);
            assert!(power.iter().flat_map(|lines| &lines[..=length / 2]).all(|line| *line > 5.0));
            color(&mut pair, &[[1.0; HALF + 1]; 2]);
            back(&mut pair);
            for (n, values) in pair.iter().enumerate() {
                for (value, start) in values.iter().zip([0, length]) {
                    assert!((value - slope(n, length) * f32::from(pcm[start + n])).abs() < 0.1);
                }
            }
        }
    }
}
