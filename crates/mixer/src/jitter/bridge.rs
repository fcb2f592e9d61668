//! A gap with sound on both sides of it, since the packet behind it is here already: the voice before it goes on and the voice
//! behind it is carried back, each at its own pitch, and one becomes the other. Where both are of one voice, time is bent so
//! that their periods meet; where they are not alike, their powers add up.

use super::likeness;
use super::wave::millisecond;
use crate::units::{MAX_FRAME, Rate};

/// The longest gap that is bridged; what is longer is begun by concealment.
pub(super) const LONGEST_MS: usize = 40;

/// Sound that must be known behind the gap.
pub(super) const LEAST_MS: usize = 10;

/// So much at the beginning of what is behind is not to be carried back where its decoder has lost its way: 2.5 ms.
const SETTLING_US: usize = 2_500;

/// Pitch periods looked for: 66 to 200 Hz. A higher voice is found at a multiple of its period.
const PERIODS_MS: (usize, usize) = (5, 15);

/// So much at the edge is compared with what is farther off.
const TEMPLATE_MS: usize = 10;
const TEMPLATE_BEHIND_MS: usize = 7;

/// Below this likeness a sound has no pitch.
const VOICED: f32 = 0.5;

/// By such parts of the gap more or less than expected the periods of both sides may be apart, if they are so much alike there.
const SHIFTS: [(usize, f32); 2] = [(10, 0.8), (5, VOICED)];

/// A voice changes its pitch by no more within a gap.
const PACES: std::ops::RangeInclusive<f32> = 0.75..=1.33;

/// Room for one side, carried through the gap and beyond.
const ROOM: usize = MAX_FRAME;

/// Samples on either side of a place between two.
const TAPS: usize = 3;

/// Fills `pcm[from..to]`, at most [`LONGEST_MS`] and a little at 8 or 16 kHz, with [`LEAST_MS`] behind it, or a little less.
pub(super) fn bridge(pcm: &mut [i16], from: usize, to: usize, rate: Rate) {
    let (past, rest) = pcm.split_at_mut(from);
    let (gap, behind) = rest.split_at_mut(to - from);
    let past = Side::past(past, rate);
    let behind = Side::behind(behind, rate, past.period);
    let join = Join::find(&past, &behind, gap.len(), rate);
    let (mut onward, mut back) = ([0.0; ROOM], [0.0; ROOM]);
    past.carry(&mut onward, join.end);
    behind.carry(&mut back, join.end / join.pace);
    let length = gap.len();
    for (n, sample) in gap.iter_mut().enumerate() {
        let (at, left) = join.places(n, length);
        let (old, new) = (between(&onward, at), between(&back, left));
        let b = (n as f32 + 0.5) / length as f32;
        let a = 1.0 - b;
        // Two sounds as loud as each other and so much alike have this power together.
        let power = a * a + b * b + 2.0 * a * b * join.likeness;
        *sample = rounded((a * old + b * new) / power.sqrt());
    }
}

/// The same where what is behind is not right from its first sample on, as its decoder has still to find its way: the bridge
/// reaches into it and gives way to it within [`SETTLING_US`]. Carried back, a wrong beginning would be heard in every period.
pub(super) fn bridge_into(pcm: &mut [i16], from: usize, to: usize, rate: Rate) {
    let mut behind = [0; SETTLING_US * millisecond(Rate::Full) / 1_000];
    let over = SETTLING_US * millisecond(rate) / 1_000;
    behind[..over].copy_from_slice(&pcm[to..to + over]);
    bridge(pcm, from, to + over, rate);
    for (n, (sample, new)) in pcm[to..to + over].iter_mut().zip(behind).enumerate() {
        let b = (n as f32 + 0.5) / over as f32;
        *sample = rounded(f32::from(*sample) * (1.0 - b) + f32::from(new) * b);
    }
}

/// Fills `pcm[from..to]` with what is before it going on.
pub(super) fn onward(pcm: &mut [i16], from: usize, to: usize, rate: Rate) {
    let (past, gap) = pcm.split_at_mut(from);
    let past = Side::past(past, rate);
    for (n, sample) in gap[..to - from].iter_mut().enumerate() {
        *sample = rounded(past.made(n));
    }
}

/// The sound on one side of the gap. Distances count from the gap's edge away from the sound: what is there is at negative ones.
struct Side<'a> {
    pcm: &'a [i16],
    is_behind: bool,
    period: usize,
    voiced: bool,
}

impl<'a> Side<'a> {
    fn past(pcm: &'a [i16], rate: Rate) -> Self {
        let millisecond = millisecond(rate);
        let (least, most) = (PERIODS_MS.0 * millisecond, PERIODS_MS.1 * millisecond);
        let template = pcm.len().saturating_sub(TEMPLATE_MS * millisecond);
        let region = &pcm[template.saturating_sub(most)..pcm.len().saturating_sub(least)];
        let found = likeness::find(&pcm[template..], region, rate);
        let voiced = found.likeness >= VOICED;
        let period = if voiced { most.saturating_sub(found.offset).max(least) } else { most };
        Self { pcm, is_behind: false, period, voiced }
    }

    fn behind(pcm: &'a [i16], rate: Rate, other: usize) -> Self {
        let millisecond = millisecond(rate);
        let template = &pcm[..(TEMPLATE_BEHIND_MS * millisecond).min(pcm.len())];
        let least = PERIODS_MS.0 * millisecond;
        let most = (PERIODS_MS.1 * millisecond).min(pcm.len() * 4 / 5).max(1);
        let region = pcm.get(least..(most + template.len()).min(pcm.len())).unwrap_or(&[]);
        let found = likeness::find(template, region, rate);
        let voiced = found.likeness >= VOICED;
        let period = if voiced { (least + found.offset).min(most) } else { other.min(most) };
        Self { pcm, is_behind: true, period, voiced }
    }

    /// What was received, `distance` from the edge; 1 is the sample next to it.
    fn real(&self, distance: usize) -> f32 {
        let index =
            if self.is_behind { distance.wrapping_sub(1) } else { self.pcm.len().wrapping_sub(distance) };
        self.pcm.get(index).map_or(0.0, |&sample| f32::from(sample))
    }

    /// What goes on, `n` samples beyond the edge: the last period over and over, from where the sound was.
    fn made(&self, n: usize) -> f32 {
        let quarter = (self.period / 4).max(1);
        let missing = if n < quarter {
            let step = self.real(1) - self.real(self.period + 1);
            step * (quarter - n) as f32 / quarter as f32
        } else {
            0.0
        };
        self.repeated(n) + missing
    }

    /// The last period, over and over; the end of each turn becomes what came before its beginning.
    fn repeated(&self, n: usize) -> f32 {
        let quarter = (self.period / 4).max(1);
        let left = self.period - n % self.period;
        let value = self.real(left);
        if left > quarter {
            return value;
        }
        let before = self.real(self.period + left);
        before + (value - before) * (left - 1) as f32 / quarter as f32
    }

    /// What goes on until `end` samples beyond the edge and a little longer; the first [`TAPS`] are received.
    fn carry(&self, room: &mut [f32; ROOM], end: f32) {
        for (n, sample) in room.iter_mut().enumerate().take(end as usize + 3 * TAPS) {
            *sample = if n < TAPS { self.real(TAPS - n) } else { self.made(n - TAPS) };
        }
    }
}

/// How both sides meet.
struct Join {
    /// Where in what goes on the gap ends.
    end: f32,
    /// How fast the periods of what is behind go by, at the gap's end, against those of the past.
    pace: f32,
    /// How alike both are where they meet.
    likeness: f32,
}

impl Join {
    fn find(past: &Side<'_>, behind: &Side<'_>, gap: usize, rate: Rate) -> Self {
        let none = Self { end: gap as f32, pace: 1.0, likeness: 0.0 };
        if !past.voiced {
            return none;
        }
        let pace = if behind.voiced { pace(past.period, behind.period) } else { 1.0 };
        if !PACES.contains(&pace) {
            return none;
        }
        let expected = (gap as f32 * 0.5 * (1.0 + pace)) as usize;
        let length = (TEMPLATE_MS * millisecond(rate)).min(behind.pcm.len());
        let mut region = [0; ROOM];
        // A high voice has several periods within reach, of which the nearest is the right one.
        for (parts, enough) in SHIFTS {
            let shift = (past.period / 2).min(gap / parts);
            let from = expected.saturating_sub(shift);
            let region = &mut region[..(2 * shift + length).min(ROOM)];
            for (n, sample) in region.iter_mut().enumerate() {
                *sample = rounded(past.repeated(from + n));
            }
            let found = likeness::find(&behind.pcm[..length], region, rate);
            if found.likeness >= enough {
                return Self { end: (from + found.offset) as f32, pace, likeness: found.likeness };
            }
        }
        none
    }

    /// For a sample of the gap, how far it is beyond both edges in the time of each side.
    fn places(&self, n: usize, gap: usize) -> (f32, f32) {
        let place = n as f32 / gap as f32;
        let at = n as f32 + (self.end - gap as f32) * place * place;
        (at, ((self.end - at) / self.pace - 1.0).max(0.0))
    }
}

/// Periods of the past in one of what is behind, whichever multiples of them were found.
fn pace(past: usize, behind: usize) -> f32 {
    let ratio = past as f32 / behind as f32;
    [1.0, 2.0, 0.5, 1.5, 2.0 / 3.0, 3.0, 1.0 / 3.0]
        .into_iter()
        .map(|multiple| ratio * multiple)
        .min_by(|a, b| a.ln().abs().total_cmp(&b.ln().abs()))
        .unwrap_or(1.0)
}

/// The value at a place between two samples of what is carried on, by Lagrange's polynomial of the fifth degree.
fn between(carried: &[f32; ROOM], at: f32) -> f32 {
    let whole = (at as usize).min(ROOM - 3 * TAPS);
    // What is at `whole` has `TAPS` before it, and two of them are needed.
    let Some(near) = carried[whole + TAPS - 2..].first_chunk::<6>() else { return 0.0 };
    let t = at - whole as f32;
    if t < 1e-4 {
        return near[2];
    }
    // From each of the six, which are as far apart as samples are: never 0, as `t` is between two of them.
    let away: [f32; 6] = std::array::from_fn(|n| t + 2.0 - n as f32);
    let all: f32 = away.iter().product();
    near.iter().zip(away).zip(LAGRANGE).map(|((sample, away), weight)| sample * weight * all / away).sum()
}

/// One over the product of each place's distances to the other five.
const LAGRANGE: [f32; 6] = [-1.0 / 120.0, 1.0 / 24.0, -1.0 / 12.0, 1.0 / 12.0, -1.0 / 24.0, 1.0 / 120.0];

/// To the nearest of 16 bits.
fn rounded(value: f32) -> i16 {
    value.round() as i16 // saturates
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    const RATES: [Rate; 2] = [Rate::Narrow, Rate::Wide];

    /// A voice-like sound of half a second, whose pitch changes by `rise` Hz in a second.
    fn voice(rate: Rate, hertz: f64, rise: f64) -> Vec<i16> {
        let mut phase = 0.0;
        (0..rate.hz() / 2)
            .map(|n| {
                let seconds = f64::from(n) / f64::from(rate.hz());
                phase += TAU * (hertz + rise * seconds) / f64::from(rate.hz());
                let sum: f64 = (1..16)
                    .map(|k| (phase * f64::from(k)).sin() / f64::from(k) * (1.0 + f64::from(k % 3)))
                    .sum();
                (sum * 2_500.0) as i16
            })
            .collect()
    }

    fn hiss(samples: usize, amplitude: i32) -> Vec<i16> {
        let mut seed = 1_u32;
        (0..samples)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (((seed as i32 >> 16) * amplitude) >> 15) as i16
            })
            .collect()
    }

    /// Signal to noise in dB of a gap of `millis` in the middle of `pcm`, of which 20 ms behind it are known.
    fn bridged(rate: Rate, pcm: &[i16], millis: usize) -> (f64, Vec<i16>) {
        let (from, frame) = (pcm.len() / 2, rate.frame());
        let to = from + millis * millisecond(rate);
        let mut heard = pcm[..to + frame].to_vec();
        heard[from..to].fill(0);
        bridge(&mut heard, from, to, rate);
        assert!(heard[..from] == pcm[..from] && heard[to..] == pcm[to..to + frame]);
        let power = |one: &mut dyn Iterator<Item = f64>| one.map(|sample| sample.powi(2)).sum::<f64>();
        let error = power(&mut (from..to).map(|n| f64::from(pcm[n]) - f64::from(heard[n])));
        let signal = power(&mut (from..to).map(|n| f64::from(pcm[n])));
        (10.0 * (signal / error).log10(), heard[from..to].to_vec())
    }

    #[test]
    fn a_voice_of_any_pitch_that_rises_or_falls_is_what_it_was() {
        let mut worst = (f64::MAX, String::new());
        for rate in RATES {
            for hertz in [100.0, 130.0, 180.0, 250.0] {
                for rise in [-40.0, 0.0, 40.0] {
                    // Within 40 ms a high voice may be a whole period ahead, which nobody hears.
                    for millis in
                        [10, 20, 40].into_iter().filter(|millis| f64::from(*millis) * hertz <= 5_000.0)
                    {
                        let (snr, _) = bridged(rate, &voice(rate, hertz, rise), millis as usize);
                        if snr < worst.0 {
                            worst =
                                (snr, format!("{rate:?}, {hertz} Hz, {rise} Hz/s, {millis} ms: {snr:.1} dB"));
                        }
                    }
                }
            }
        }
        // As similar as the two halves of one vowel: half of its amplitude is right, at least.
        assert!(worst.0 > 6.0, "{}", worst.1);
    }

    #[test]
    fn noise_stays_as_loud_as_it_was() {
        for rate in RATES {
            let pcm = hiss(rate.hz() as usize / 2, 3_000);
            let (_, gap) = bridged(rate, &pcm, 20);
            let mean =
                |pcm: &[i16]| pcm.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / pcm.len() as f64;
            let change = 10.0 * (mean(&gap) / mean(&pcm)).log10();
            assert!(change.abs() < 2.0, "{rate:?}: {change:.1} dB");
        }
    }

    #[test]
    fn the_beginning_of_a_word_is_carried_back_into_the_gap() {
        for rate in RATES {
            let mut pcm = hiss(rate.hz() as usize / 2, 60);
            let middle = pcm.len() / 2;
            let word = voice(rate, 120.0, 0.0);
            pcm[middle + rate.frame()..].copy_from_slice(&word[middle + rate.frame()..]);
            let (_, gap) = bridged(rate, &pcm, 20);
            let loudest = |pcm: &[i16]| pcm.iter().map(|s| s.unsigned_abs()).max().unwrap_or(0);
            let (begin, end) = gap.split_at(gap.len() / 2);
            assert!(loudest(end) > loudest(&word) / 2, "{rate:?}: {}", loudest(end));
            assert!(loudest(&begin[..begin.len() / 2]) < loudest(&word) / 2, "it begins softly");
        }
    }

    #[test]
    fn any_sound_on_any_side_is_borne() {
        for rate in RATES {
            let length = rate.hz() as usize / 4;
            let shapes =
                [vec![0; length], vec![i16::MIN; length], vec![i16::MAX; length], hiss(length, 32_767)];
            for past in &shapes {
                for behind in &shapes {
                    for (gap, known) in [(1, 10), (20, 10), (40, 20), (40, 60)] {
                        let mut pcm = past.clone();
                        let to = length + gap * millisecond(rate);
                        pcm.resize(to, 0);
                        pcm.extend_from_slice(&behind[..known * millisecond(rate)]);
                        bridge(&mut pcm, length, to, rate);
                    }
                }
            }
        }
    }
}
