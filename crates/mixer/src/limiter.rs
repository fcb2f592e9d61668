//! Loud voices together without distortion: the gain goes down smoothly before a peak arrives, instead of cutting it off.
//!
//! The sound is delayed by 2 ms, always, and looked at in blocks of 0.5 ms. Each block says by how much it must be lowered; the
//! lowest of the last five counts (sliding minimum), holds for 10 ms, and recovers with a time constant of 60 ms; four of those
//! are averaged, which makes the ramp down. A block leaves four steps after it came, so every value in the averages that shape
//! it has seen it: no sample ever gets above [`CEILING`]. While nothing comes near the ceiling, the samples pass unchanged.

use crate::ahead;
use crate::units::Rate;

/// The highest magnitude that leaves: 0.2 dB below full scale, and below the overload of both laws of G.711.
pub(crate) const CEILING: i32 = 32_000;

/// Blocks of 0.5 ms in a frame.
const BLOCKS: usize = 40;

/// Blocks that the sound is delayed by: 2 ms.
const AHEAD: usize = 4;

/// Samples of the delay at the highest rate.
const TAIL: usize = Rate::Full.frame() / BLOCKS * AHEAD;

/// Blocks that the gain stays down after a peak: 10 ms, so that it does not follow the wave of a deep voice.
const HOLD: u8 = 20;

/// Part of the way back to 1 in each block after that: a time constant of 60 ms.
const RELEASE: f32 = 0.5 / 60.0;

/// A gain this close to 1 is 1: the step is 0.01 dB.
const NEARLY: f32 = 0.001;

/// The limiter of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Limiter {
    /// What came last and has not left.
    tail: [i32; TAIL],
    rate: Rate,
    /// What the blocks of the tail need.
    needs: [f32; AHEAD],
    /// The gain before it is averaged, of the last steps.
    gains: [f32; AHEAD],
    hold: u8,
}

impl Limiter {
    /// With silence before the first sample.
    pub(crate) fn new(rate: Rate) -> Self {
        Self { tail: [0; TAIL], rate, needs: [1.0; AHEAD], gains: [1.0; AHEAD], hold: 0 }
    }

    /// Samples of the delay at a rate.
    pub(crate) const fn delay(rate: Rate) -> usize {
        rate.frame() / BLOCKS * AHEAD
    }

    /// See [`crate::ahead`].
    pub(crate) fn fetch(&self) {
        ahead::fetch(&self.tail[..Self::delay(Rate::Narrow)]);
        ahead::fetch(&self.needs);
        ahead::fetch(&self.gains);
    }

    /// The rate of what it takes and gives.
    pub(crate) fn rate(&self) -> Rate {
        self.rate
    }

    /// True while samples pass unchanged.
    pub(crate) fn is_open(&self) -> bool {
        self.needs.iter().chain(&self.gains).all(|gain| *gain >= 1.0)
    }

    /// True when nothing waits to leave.
    pub(crate) fn is_silent(&self) -> bool {
        self.tail[..Self::delay(self.rate)].iter().all(|sample| *sample == 0)
    }

    /// Continues as `other` would.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        let delay = Self::delay(other.rate);
        self.tail[..delay].copy_from_slice(&other.tail[..delay]);
        (self.rate, self.needs, self.gains, self.hold) = (other.rate, other.needs, other.gains, other.hold);
    }

    /// From now on at another rate. What has not left yet is dropped.
    pub(crate) fn change_rate(&mut self, rate: Rate) {
        self.tail = [0; TAIL];
        self.rate = rate;
    }

    /// What has not left yet fades out on its way: something else begins.
    pub(crate) fn fade_out(&mut self) {
        let delay = Self::delay(self.rate);
        for (n, sample) in self.tail[..delay].iter_mut().enumerate() {
            *sample = (i64::from(*sample) * (delay - n) as i64 / delay as i64) as i32;
        }
    }

    /// What has not left yet, fading out as it leaves, and silence behind it: 20 ms of it.
    pub(crate) fn drain(&mut self, out: &mut [i16]) {
        self.fade_out();
        self.run(&[0; Rate::Full.frame()][..self.rate.frame()], out);
    }

    /// Takes 20 ms of the sum and gives what leaves 2 ms later.
    ///
    /// # Panics
    ///
    /// When one of them is not a frame at the limiter's rate.
    pub(crate) fn run(&mut self, sum: &[i32], out: &mut [i16]) {
        assert!(sum.len() == self.rate.frame() && out.len() == sum.len(), "a limiter takes whole frames");
        let delay = Self::delay(self.rate);
        if self.is_open() && peak(sum) <= CEILING {
            let (head, rest) = out.split_at_mut(delay);
            copy(&self.tail[..delay], head);
            copy(&sum[..sum.len() - delay], rest);
        } else {
            self.limit(sum, out);
        }
        self.tail[..delay].copy_from_slice(&sum[sum.len() - delay..]);
    }

    fn limit(&mut self, sum: &[i32], out: &mut [i16]) {
        let block = self.rate.frame() / BLOCKS;
        let tail = self.tail;
        let mut before = average(&self.gains);
        for (step, (new, out)) in sum.chunks_exact(block).zip(out.chunks_exact_mut(block)).enumerate() {
            let gain = self.step(need(peak(new)));
            let leaving = match step.checked_sub(AHEAD) {
                Some(earlier) => &sum[earlier * block..][..block],
                None => &tail[step * block..][..block],
            };
            let slope = (gain - before) / block as f32;
            for (n, (out, sample)) in out.iter_mut().zip(leaving).enumerate() {
                let gain = before + slope * (n + 1) as f32;
                let limited = (*sample as f32 * gain).round_ties_even() as i32;
                *out = limited.clamp(-CEILING, CEILING) as i16; // rounding alone could pass it, by one
            }
            before = gain;
        }
    }

    /// A block that needs so much gain has come: the gain at the end of the one that leaves.
    fn step(&mut self, need: f32) -> f32 {
        let lowest = self.needs.iter().fold(need, |lowest, other| lowest.min(*other));
        let [_, rest @ ..] = self.needs;
        self.needs = [rest[0], rest[1], rest[2], need];
        let last = self.gains[AHEAD - 1];
        let next = if lowest <= last {
            self.hold = HOLD;
            lowest
        } else if self.hold > 0 {
            self.hold -= 1;
            last
        } else {
            let next = last + (lowest - last) * RELEASE;
            if next > 1.0 - NEARLY { lowest } else { next }
        };
        let [_, rest @ ..] = self.gains;
        self.gains = [rest[0], rest[1], rest[2], next];
        average(&self.gains)
    }
}

fn average(gains: &[f32; AHEAD]) -> f32 {
    gains.iter().sum::<f32>() / AHEAD as f32
}

fn need(peak: i32) -> f32 {
    if peak <= CEILING { 1.0 } else { CEILING as f32 / peak as f32 }
}

fn peak(samples: &[i32]) -> i32 {
    samples.iter().fold(0, |peak, sample| peak.max(sample.saturating_abs()))
}

fn copy(from: &[i32], to: &mut [i16]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = (*from).clamp(-CEILING, CEILING) as i16;
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    fn tone(hertz: f64, amplitude: f64, rate: Rate, samples: usize) -> Vec<i32> {
        let wave =
            |n: usize| (amplitude * (TAU * hertz * n as f64 / f64::from(rate.hz())).sin()).round() as i32;
        (0..samples).map(wave).collect()
    }

    fn run(limiter: &mut Limiter, rate: Rate, sum: &[i32]) -> Vec<i16> {
        let mut all = vec![0; sum.len()];
        for (sum, out) in sum.chunks_exact(rate.frame()).zip(all.chunks_exact_mut(rate.frame())) {
            limiter.run(sum, out);
        }
        all
    }

    /// Signal to distortion in decibels: what is left of `heard` after the best copy of `meant` is taken out of it.
    fn ratio(meant: &[i32], heard: &[i16]) -> f64 {
        let dot = |a: &dyn Fn(usize) -> f64, b: &dyn Fn(usize) -> f64| {
            (0..heard.len()).map(|n| a(n) * b(n)).sum::<f64>()
        };
        let (meant, heard_at) = (|n: usize| f64::from(meant[n]), |n: usize| f64::from(heard[n]));
        let gain = dot(&meant, &heard_at) / dot(&meant, &meant);
        let rest = |n: usize| heard_at(n) - gain * meant(n);
        10.0 * (gain * gain * dot(&meant, &meant) / dot(&rest, &rest)).log10()
    }

    #[test]
    fn what_stays_below_the_ceiling_passes_unchanged_and_two_milliseconds_later() {
        for rate in Rate::ALL {
            let sum = tone(440.0, f64::from(CEILING), rate, rate.frame() * 50);
            let out = run(&mut Limiter::new(rate), rate, &sum);
            let delay = rate.hz() as usize / 500;
            assert_eq!(delay, Limiter::delay(rate));
            assert!(out[..delay].iter().all(|sample| *sample == 0));
            assert!(out[delay..].iter().zip(&sum).all(|(out, sum)| i32::from(*out) == *sum));
        }
    }

    #[test]
    fn no_sample_gets_above_the_ceiling_whatever_comes() {
        for rate in Rate::ALL {
            let mut state = 1_u64;
            let mut noise = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 40) as i32 - (1 << 23)
            };
            let sum: Vec<i32> = (0..rate.frame() * 100)
                .map(|n| match n / (rate.frame() * 10) % 4 {
                    0 => noise() >> 8,
                    1 => noise() >> 6,
                    2 => {
                        if n % 977 == 0 {
                            3_000_000
                        } else {
                            20
                        }
                    }
                    _ => noise() >> 16,
                })
                .collect();
            // The gain and not the last clamp does it: at the peak of the loudest the shape is kept.
            let out = run(&mut Limiter::new(rate), rate, &sum);
            assert!(out.iter().all(|sample| i32::from(*sample).abs() <= CEILING));
        }
    }

    #[test]
    fn two_and_three_loud_talkers_are_much_cleaner_than_with_hard_clipping() {
        for rate in Rate::ALL {
            let samples = rate.frame() * 100;
            let voices = [(220.0, 24_000.0), (523.0, 24_000.0), (1_310.0, 20_000.0)];
            for talkers in [2, 3] {
                let mut sum = vec![0; samples];
                for (hertz, amplitude) in &voices[..talkers] {
                    let voice = tone(*hertz, *amplitude, rate, samples);
                    sum.iter_mut().zip(voice).for_each(|(sum, voice)| *sum += voice);
                }
                let limited = run(&mut Limiter::new(rate), rate, &sum);
                let clipped: Vec<i16> = sum.iter().map(|sum| (*sum).clamp(-32_768, 32_767) as i16).collect();
                // The first 200 ms, in which the gain settles, are left out.
                let (from, delay) = (rate.frame() * 10, Limiter::delay(rate));
                let soft = ratio(&sum[from - delay..samples - delay], &limited[from..]);
                let hard = ratio(&sum[from..], &clipped[from..]);
                assert!(
                    soft > 30.0 && soft > hard + 15.0,
                    "{rate:?}, {talkers} talkers: {soft:.1} dB, clipped {hard:.1} dB"
                );
            }
        }
    }

    #[test]
    fn a_loud_deep_tone_is_not_bent() {
        let rate = Rate::Narrow;
        let sum = tone(100.0, 60_000.0, rate, rate.frame() * 50);
        let out = run(&mut Limiter::new(rate), rate, &sum);
        let (from, delay) = (rate.frame() * 10, Limiter::delay(rate));
        let clean = ratio(&sum[from - delay..sum.len() - delay], &out[from..]);
        assert!(clean > 40.0, "{clean:.1} dB");
    }

    #[test]
    fn after_a_peak_the_gain_is_back_within_300_ms_and_neither_at_once() {
        let rate = Rate::Narrow;
        let mut sum = tone(1_000.0, 8_000.0, rate, rate.frame() * 50);
        sum[800..960].iter_mut().for_each(|sample| *sample *= 8); // 20 ms, 6 dB above the ceiling
        let mut limiter = Limiter::new(rate);
        let out = run(&mut limiter, rate, &sum);
        let loudest = |millis: usize| {
            out[millis * 8..][..80].iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0)
        };
        assert!((3_900..4_600).contains(&loudest(124)), "{}", loudest(124));
        assert!((6_000..7_500).contains(&loudest(200)), "{}", loudest(200));
        assert!(loudest(420) >= 7_900, "{}", loudest(420));
        run(&mut limiter, rate, &vec![0; rate.frame() * 20]);
        assert!(limiter.is_open());
    }

    #[test]
    fn a_copied_limiter_goes_on_bit_for_bit() {
        let rate = Rate::Wide;
        let sum = tone(300.0, 50_000.0, rate, rate.frame() * 20);
        let (first, second) = sum.split_at(rate.frame() * 10);
        let mut original = Limiter::new(rate);
        run(&mut original, rate, first);
        let mut copy = Limiter::new(Rate::Full);
        copy.copy_from(&original);
        assert_eq!(run(&mut copy, rate, second), run(&mut original, rate, second));
    }
}
