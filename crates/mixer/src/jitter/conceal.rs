//! What to play when nothing arrived: the voice goes on at its own pitch, from more and more periods of it so that it does not
//! buzz, and fades into the background noise. The method is that of ITU-T G.711 Appendix I (09/99), at any rate and without its
//! delay: instead of holding 3.75 ms back, the first samples of a gap are shifted to where the last real one ended.
//!
//! In three things it differs, since gaps are of 20 ms here and not of 10, and PESQ prefers it: the pitch is looked for in
//! the last 10 ms, where it is what it will be; a packet's time is made of one period, and only longer gaps of more; and what
//! has no pitch repeats its last 15 ms and not its last 45, which may be of another sound.

use super::likeness::{self, Match};
use super::noise::Noise;
use super::wave::{Wave, millisecond};
use crate::units::Rate;

/// Pitch periods looked for: 5 to 15 ms, 66 to 200 Hz (appendix I.2.2). A higher voice is found at a multiple of its period.
const PERIODS_MS: (usize, usize) = (5, 15);

/// The last so much is compared with what was before it.
const TEMPLATE_MS: usize = 10;

/// History that is needed at the beginning of a gap: three of the longest periods and the overlap of the last.
const NEEDED_MS: usize = 50;

/// A gap is heard for so long; then there is background noise only (appendix I.2.7).
pub(super) const AUDIBLE_MS: usize = 60;

/// History that the wave must keep: what is needed at the beginning of a gap is read until its end.
pub(super) const HISTORY_MS: usize = NEEDED_MS + AUDIBLE_MS;

/// Below this likeness the sound has no pitch, and repeating one period of it would give it one.
const VOICED: f32 = 0.5;

/// The sound of one gap. It is a function of the history before the gap and of the time since, so that it can be asked for
/// again: for the samples of the gap, and then for those that the first real ones are blended with.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Conceal {
    gap: Option<Gap>,
    /// The sender pauses on purpose: its last sound is not to be continued.
    pause: bool,
}

#[derive(Clone, Copy, Debug)]
struct Gap {
    /// Samples made in place of real ones.
    made: usize,
    /// Of the real samples after it: how many are blended, and how many are to be.
    blended: usize,
    blend: usize,
    /// The pitch period, in samples.
    period: usize,
    /// Samples of a millisecond.
    millisecond: usize,
    pause: bool,
}

impl Conceal {
    /// The sender pauses on purpose (comfort noise, a digit): if nothing comes next, that is no gap.
    pub(super) fn pause(&mut self) {
        self.pause = true;
        if let Some(gap) = &mut self.gap {
            gap.pause = true;
        }
    }

    /// History that may be needed from now on, in milliseconds: all that there is only while a gap is being bridged.
    pub(super) fn needed_ms(&self) -> usize {
        if self.gap.is_some() { HISTORY_MS } else { NEEDED_MS }
    }

    /// True while what comes next is a pause.
    pub(super) fn is_pause(&self) -> bool {
        self.pause
    }

    /// What follows the end of `wave` will not continue it, though nothing is missing: it is to be blended.
    pub(super) fn splice(&mut self, wave: &Wave) {
        if self.gap.is_none_or(|gap| gap.blended > 0) {
            self.gap = Some(Gap::begin(wave, self.pause, likeness::find));
        }
    }

    /// What comes next continues the end of `wave`, though what follows that is another sound: its pitch is looked for at any
    /// height.
    pub(super) fn go_on(&mut self, wave: &Wave) {
        self.gap = Some(Gap::begin(wave, self.pause, likeness::find_exactly));
    }

    /// Appends `count` samples to `wave`, which has room for them.
    pub(super) fn fill(&mut self, wave: &mut Wave, count: usize, noise: &mut Noise) {
        self.splice(wave);
        let Some(gap) = &mut self.gap else { return };
        wave.append(count, |room| (room.len(), ()));
        let pcm = wave.all_mut();
        // The real sound ends `made` samples before the new ones begin. After the audible part nothing is read any more.
        let begin = pcm.len() - count;
        let Some(real) = begin.checked_sub(gap.made.min(gap.audible())) else { return };
        let level = noise.level();
        for n in 0..count {
            pcm[begin + n] = gap.sample(pcm, real, gap.made + n, level, noise);
        }
        gap.made += count;
    }

    /// Samples made since there were real ones.
    pub(super) fn made(&self) -> usize {
        self.gap.filter(|gap| gap.blended == 0).map_or(0, |gap| gap.made)
    }

    /// The end of what was made, and `ahead` samples more as they would go on, to `room`: how many.
    pub(super) fn onward(&self, wave: &Wave, noise: &mut Noise, room: &mut [i16], ahead: usize) -> usize {
        let Some(gap) = &self.gap else { return 0 };
        let pcm = wave.all();
        let made = gap.made.min(room.len() - ahead).min(pcm.len());
        room[..made].copy_from_slice(&pcm[pcm.len() - made..]);
        let real = pcm.len().saturating_sub(gap.made.min(gap.audible()));
        let level = noise.level();
        for n in 0..ahead {
            room[made + n] = gap.sample(pcm, real, gap.made + n, level, noise);
        }
        made + ahead
    }

    /// The last `count` samples of `wave` are real: after a gap the first of them are blended with its sound.
    pub(super) fn resume(&mut self, wave: &mut Wave, count: usize, noise: &mut Noise) {
        self.pause = false;
        let Some(gap) = &mut self.gap else { return };
        gap.blend = if gap.blended == 0 { gap.overlap() } else { gap.blend };
        let pcm = wave.all_mut();
        let begin = pcm.len() - count.min(pcm.len());
        let level = noise.level();
        let before = gap.made.min(gap.audible()) + gap.blended;
        let real = begin.saturating_sub(before);
        for n in 0..count.min(gap.blend - gap.blended) {
            let old = i32::from(gap.sample(pcm, real, gap.made + gap.blended, level, noise));
            let new = i32::from(pcm[begin + n]);
            gap.blended += 1;
            let (part, all) = (gap.blended as i32, gap.blend as i32 + 1);
            pcm[begin + n] = ((old * (all - part) + new * part) / all) as i16;
        }
        if gap.blended == gap.blend {
            self.gap = None;
        }
    }
}

impl Gap {
    /// Looks for the pitch at the end of what is there.
    fn begin(wave: &Wave, pause: bool, find: fn(&[i16], &[i16], Rate) -> Match) -> Self {
        let millisecond = millisecond(wave.rate());
        let pcm = wave.all();
        let (least, most) = (PERIODS_MS.0 * millisecond, PERIODS_MS.1 * millisecond);
        let template = pcm.len().saturating_sub(TEMPLATE_MS * millisecond);
        let region = &pcm[template.saturating_sub(most)..pcm.len().saturating_sub(least)];
        let found = find(&pcm[template..], region, wave.rate());
        let voiced = found.likeness >= VOICED;
        let period = if voiced { most.saturating_sub(found.offset).max(least) } else { most };
        Self { made: 0, blended: 0, blend: 0, period, millisecond, pause }
    }

    /// Samples until only noise is left.
    fn audible(&self) -> usize {
        AUDIBLE_MS * self.millisecond
    }

    /// Samples over which one sound takes over from the other: a quarter of the period.
    fn quarter(&self) -> usize {
        self.period / 4
    }

    /// Samples over which the real sound takes over: the longer the gap, the less the two fit, up to 10 ms (appendix I.2.8). Noise
    /// gives way sooner, so that the beginning of a word is not lost.
    fn overlap(&self) -> usize {
        if self.pause || self.made >= self.audible() {
            return 2 * self.millisecond;
        }
        let longest = 5 * self.millisecond;
        (self.quarter() + self.made / 20).min(longest)
    }

    /// The sound of the gap, `n` samples after the real one, which ends at `real`.
    fn sample(&self, pcm: &[i16], real: usize, n: usize, level: u16, noise: &mut Noise) -> i16 {
        let (gain, whole) = self.gain(n);
        let hum = if gain == 0 { 0 } else { self.voice(pcm, real, n) * gain / whole };
        let air = if level == 0 || gain == whole { 0 } else { noise.sample(level) * (whole - gain) / whole };
        (hum + air).clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
    }

    /// How loud the voice still is, as a fraction: full for 10 ms, then a fifth less every 10 ms (appendix I.2.7).
    fn gain(&self, n: usize) -> (i32, i32) {
        let ten = 10 * self.millisecond;
        let (full, end) = if self.pause { (0, ten) } else { (ten, self.audible()) };
        ((end - n.clamp(full, end)) as i32, (end - full) as i32)
    }

    /// The voice without fading: one period for 20 ms, two for the next, then three (appendix I.2.5 has 10 ms).
    fn voice(&self, pcm: &[i16], real: usize, n: usize) -> i32 {
        let twenty = 20 * self.millisecond;
        let step = (n / twenty).min(2);
        let periods = step + 1;
        let value = self.repeated(pcm, real, n, periods);
        let (since, quarter) = (n - step * twenty, self.quarter().max(1));
        let missing = if since >= quarter {
            return value;
        } else if step > 0 {
            self.repeated(pcm, real, n, step) - value
        } else {
            // To where the last real sample was.
            let sample = |at: usize| pcm.get(at).map_or(0, |&sample| i32::from(sample));
            sample(real.wrapping_sub(1)) - sample(real.wrapping_sub(self.period + 1))
        };
        value + missing * (quarter - since) as i32 / quarter as i32
    }

    /// The last `periods` periods, over and over; the end of each turn becomes what came before its beginning.
    fn repeated(&self, pcm: &[i16], real: usize, n: usize, periods: usize) -> i32 {
        let turn = self.period * periods;
        let sample = |at: usize| pcm.get(at).map_or(0, |&sample| i32::from(sample));
        let at = n % turn;
        let value = sample((real + at).wrapping_sub(turn));
        let quarter = self.quarter().max(1);
        let left = turn - at;
        if left > quarter {
            return value;
        }
        let before = sample(real.wrapping_sub(turn + left));
        before + (value - before) * (left as i32 - 1) / quarter as i32
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    const RATES: [Rate; 2] = [Rate::Narrow, Rate::Wide];

    /// A voice-like sound with a pitch that rises slowly, as speech has.
    fn voice(rate: Rate, samples: usize) -> Vec<i16> {
        let mut phase = 0.0;
        (0..samples)
            .map(|n| {
                let seconds = n as f64 / f64::from(rate.hz());
                phase += TAU * (120.0 + 15.0 * seconds) / f64::from(rate.hz());
                let sum: f64 = (1..16)
                    .map(|k| (phase * f64::from(k)).sin() / f64::from(k) * (1.0 + f64::from(k % 3)))
                    .sum();
                (sum * 2_500.0) as i16
            })
            .collect()
    }

    /// `pcm` with `lost` samples from `from` on concealed.
    fn with_gap(rate: Rate, pcm: &[i16], from: usize, lost: usize) -> Vec<i16> {
        let mut wave = Wave::new(rate, rate, HISTORY_MS, 200);
        let mut noise = Noise::default();
        let mut conceal = Conceal::default();
        let mut played = Vec::new();
        let frame = rate.frame();
        for (n, chunk) in pcm.chunks_exact(frame).enumerate() {
            if (from..from + lost).contains(&(n * frame)) {
                conceal.fill(&mut wave, frame, &mut noise);
            } else {
                wave.append(frame, |room| {
                    room.copy_from_slice(chunk);
                    (frame, ())
                });
                conceal.resume(&mut wave, frame, &mut noise);
            }
            played.extend_from_slice(wave.next());
            wave.play(frame);
        }
        played
    }

    fn largest_step(pcm: &[i16]) -> i32 {
        pcm.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap_or(0)
    }

    #[test]
    fn a_voice_goes_on_through_a_gap_of_20_ms_as_if_nothing_were_missing() {
        for rate in RATES {
            let pcm = voice(rate, rate.frame() * 20);
            let (from, lost) = (rate.frame() * 10, rate.frame());
            let played = with_gap(rate, &pcm, from, lost);
            let power: f64 = pcm[from..from + lost].iter().map(|&s| f64::from(s).powi(2)).sum();
            let error: f64 = pcm[from..from + 2 * lost]
                .iter()
                .zip(&played[from..])
                .map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2))
                .sum();
            let snr = 10.0 * (power / error).log10();
            assert!(snr > 9.0, "{rate:?}: {snr:.1} dB");
        }
    }

    #[test]
    fn no_step_is_larger_than_those_of_the_voice_itself() {
        for rate in RATES {
            let pcm = voice(rate, rate.frame() * 30);
            let own = largest_step(&pcm);
            for frames in [1, 2, 3, 5, 8] {
                let played = with_gap(rate, &pcm, rate.frame() * 10, frames * rate.frame());
                let step = largest_step(&played);
                assert!(step <= own + own / 8, "{rate:?}, {frames} frames: {step} instead of {own}");
            }
        }
    }

    #[test]
    fn what_has_no_pitch_goes_on_as_it_was_last_and_not_as_the_sound_before_it() {
        for rate in RATES {
            let mut seed = 1_u32;
            let mut hiss = |amplitude: i32| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (((seed as i32 >> 16) * amplitude) >> 15) as i16
            };
            let frame = rate.frame();
            let pcm: Vec<i16> =
                (0..6 * frame).map(|n| hiss(if n < 5 * frame { 8_000 } else { 400 })).collect();
            let heard = with_gap(rate, &[&pcm[..], &pcm[..frame]].concat(), 6 * frame, frame);
            let loudest = heard[6 * frame..].iter().map(|sample| sample.unsigned_abs()).max();
            // A sample, and the step between two others that the beginning is shifted by.
            assert!(loudest <= Some(3 * 400), "{rate:?}: {loudest:?} after noise of 400");
        }
    }

    #[test]
    fn a_long_gap_fades_into_the_background_and_not_into_nothing() {
        let rate = Rate::Narrow;
        let mut wave = Wave::new(rate, rate, HISTORY_MS, 200);
        let mut noise = Noise::default();
        (0..200).for_each(|_| noise.heard(80));
        let mut conceal = Conceal::default();
        let pcm = voice(rate, 1_600);
        wave.append(1_600, |room| {
            room.copy_from_slice(&pcm);
            (1_600, ())
        });
        wave.play(1_600);
        for frame in 0..50 {
            conceal.fill(&mut wave, 160, &mut noise);
            let mean = wave.next().iter().map(|&s| i32::from(s).abs()).sum::<i32>() / 160;
            assert!(frame < 3 || (50..110).contains(&mean), "frame {frame}: {mean}");
            wave.play(160);
        }
    }

    #[test]
    fn after_a_pause_on_purpose_nothing_is_continued() {
        let rate = Rate::Narrow;
        let mut wave = Wave::new(rate, rate, HISTORY_MS, 200);
        let (mut noise, mut conceal) = (Noise::default(), Conceal::default());
        let pcm = voice(rate, 1_600);
        wave.append(1_600, |room| {
            room.copy_from_slice(&pcm);
            (1_600, ())
        });
        wave.play(1_600);
        conceal.pause();
        conceal.fill(&mut wave, 160, &mut noise);
        assert!(largest_step(wave.all()) <= largest_step(&pcm), "it ends without a step");
        assert!(wave.next()[80..].iter().all(|&sample| sample == 0), "within 10 ms");
    }
}
