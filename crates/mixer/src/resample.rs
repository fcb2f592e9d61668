//! Between the rates of [`Rate`] by fixed ratios: 2, 3 and 6, up and down, one 20 ms frame at a time.
//!
//! Every ratio is one linear-phase low-pass at the higher rate, taken apart into its phases, so that no product with a zero
//! and no output that is thrown away is ever computed. It keeps what both rates can carry (to 3.4 kHz with 8 kHz, to 7 kHz with
//! 16 kHz) within 0.15 dB, stops its images and aliases (above 4.6 and 9 kHz) by at least 60 dB, and delays by 1.25 ms (0.75 ms
//! between 16 and 48 kHz).

mod taps;

use crate::units::{MAX_FRAME, Rate};
use taps::{SIX, THREE, TWO, down, up};

/// Samples of the past that the longest filter needs: all of its taps but one.
const HISTORY: usize = 120;
/// Outputs that are computed together, in vector registers; a divisor of every frame.
const BLOCK: usize = 16;
/// The widest row of taps.
const ROW: usize = 25;

/// A stream of frames at one rate to a stream at another. It is small, holds no heap memory, and a clone continues the stream.
#[derive(Clone, Debug)]
pub struct Resampler {
    from: Rate,
    to: Rate,
    /// The newest samples of the input, the newest last; how many of them count depends on the ratio.
    history: [i16; HISTORY],
}

impl Resampler {
    /// The start of a stream, with silence before it. Equal rates are allowed: the frames are copied.
    pub const fn new(from: Rate, to: Rate) -> Self {
        Self { from, to, history: [0; HISTORY] }
    }

    /// The rate of the frames that go in.
    pub const fn from(&self) -> Rate {
        self.from
    }

    /// The rate of the frames that come out.
    pub const fn to(&self) -> Rate {
        self.to
    }

    /// By how many samples of the output it is behind the input.
    pub const fn delay(&self) -> usize {
        match (self.from, self.to) {
            (Rate::Narrow, Rate::Wide) => 20,
            (Rate::Wide, Rate::Full) => 36,
            (Rate::Narrow, Rate::Full) => 60,
            (Rate::Wide | Rate::Full, Rate::Narrow) => 10,
            (Rate::Full, Rate::Wide) => 12,
            (Rate::Narrow, Rate::Narrow) | (Rate::Wide, Rate::Wide) | (Rate::Full, Rate::Full) => 0,
        }
    }

    /// One 20 ms frame.
    ///
    /// # Panics
    ///
    /// When `input` or `output` is not [`Rate::frame`] samples long.
    pub fn frame(&mut self, input: &[i16], output: &mut [i16]) {
        assert_eq!((input.len(), output.len()), (self.from.frame(), self.to.frame()), "one 20 ms frame");
        match (self.from, self.to) {
            (Rate::Narrow, Rate::Wide) => self.raise(&const { up::<2, 21>(&TWO) }, input, output),
            (Rate::Wide, Rate::Full) => self.raise(&const { up::<3, 25>(&THREE) }, input, output),
            (Rate::Narrow, Rate::Full) => self.raise(&const { up::<6, 21>(&SIX) }, input, output),
            (Rate::Wide, Rate::Narrow) => self.lower(&const { down::<2, 21>(&TWO) }, input, output),
            (Rate::Full, Rate::Wide) => self.lower(&const { down::<3, 25>(&THREE) }, input, output),
            (Rate::Full, Rate::Narrow) => self.lower(&const { down::<6, 21>(&SIX) }, input, output),
            (Rate::Narrow, Rate::Narrow) | (Rate::Wide, Rate::Wide) | (Rate::Full, Rate::Full) => {
                output.copy_from_slice(input);
            }
        }
    }

    /// The same sound comes at another rate from now on, `from`: this converts the first frame of it, and gives what converts the
    /// next. `before` is what lies before `input`, converted by whoever has the sound; up to a frame of it counts.
    ///
    /// The delays of the two differ. So for 5 ms the new one's output is blended in over the same output where it would be with
    /// the old one's delay.
    pub(crate) fn go_over(&self, from: Rate, before: &[i16], input: &[i16], output: &mut [i16]) -> Self {
        let mut next = Self::new(from, self.to);
        let (frame, most) = (self.to.frame(), from.frame());
        let mut line = [0; 2 * MAX_FRAME];
        let mut past = [0; MAX_FRAME];
        let kept = before.len().min(most);
        past[most - kept..most].copy_from_slice(&before[before.len() - kept..]);
        let (warm, now) = line[..2 * frame].split_at_mut(frame);
        next.frame(&past[..most], warm);
        next.frame(input, now);
        let moved = frame + next.delay() - self.delay();
        let over = frame / 4;
        for (n, output) in output.iter_mut().enumerate() {
            let (new, old) = (i32::from(line[frame + n]), i32::from(line[(moved + n).min(2 * frame - 1)]));
            let part = n.min(over) as i32;
            *output = ((old * (over as i32 - part) + new * part) / over as i32) as i16;
        }
        next
    }

    /// `L` outputs per input: each from one row of taps and the newest `T` inputs.
    fn raise<const L: usize, const T: usize>(
        &mut self,
        taps: &[[f32; T]; L],
        input: &[i16],
        output: &mut [i16],
    ) {
        let mut samples = [0.0; ROW + Rate::Wide.frame()];
        let samples = &mut samples[..T - 1 + input.len()];
        let past = &mut self.history[HISTORY - (T - 1)..];
        widen(past, &mut samples[..T - 1]);
        widen(input, &mut samples[T - 1..]);
        past.copy_from_slice(&input[input.len() - (T - 1)..]);
        for (block, output) in output.chunks_exact_mut(L * BLOCK).enumerate() {
            let rows = taps.each_ref().map(|row| {
                let mut sums = [0.0; BLOCK];
                accumulate(row, &samples[block * BLOCK..], &mut sums);
                sums.map(narrow)
            });
            for (n, outputs) in output.chunks_exact_mut(L).enumerate() {
                outputs.iter_mut().zip(&rows).for_each(|(output, row)| *output = row[n]);
            }
        }
    }

    /// One output per `L` inputs: the sum over all rows of taps, each over every `L`-th input.
    fn lower<const L: usize, const T: usize>(
        &mut self,
        taps: &[[f32; T]; L],
        input: &[i16],
        output: &mut [i16],
    ) {
        let past = &mut self.history[HISTORY - L * (T - 1)..];
        let mut samples = [0; HISTORY + MAX_FRAME];
        let samples = &mut samples[..past.len() + input.len()];
        samples[..past.len()].copy_from_slice(past);
        samples[past.len()..].copy_from_slice(input);
        past.copy_from_slice(&input[input.len() - past.len()..]);
        let mut phases = [[0.0; ROW + Rate::Wide.frame()]; L];
        for (n, group) in samples.chunks_exact(L).enumerate() {
            phases.iter_mut().zip(group).for_each(|(phase, sample)| phase[n] = f32::from(*sample));
        }
        for (block, output) in output.chunks_exact_mut(BLOCK).enumerate() {
            let mut sums = [0.0; BLOCK];
            for (row, phase) in taps.iter().zip(&phases) {
                accumulate(row, &phase[block * BLOCK..], &mut sums);
            }
            output.iter_mut().zip(sums).for_each(|(output, sum)| *output = narrow(sum));
        }
    }
}

/// A whole recording, which is neither delayed nor shortened: `pcm.len()` times the ratio, rounded up. It allocates.
pub fn resample(pcm: &[i16], from: Rate, to: Rate) -> Vec<i16> {
    let mut resampler = Resampler::new(from, to);
    let length = (pcm.len() * to.frame()).div_ceil(from.frame());
    let skipped = resampler.delay();
    let mut output = Vec::with_capacity(length + skipped + to.frame());
    let mut input = vec![0; from.frame()];
    for start in (0..).step_by(from.frame()) {
        let rest = pcm.get(start..).unwrap_or_default();
        let (used, unused) = input.split_at_mut(rest.len().min(from.frame()));
        used.copy_from_slice(&rest[..used.len()]);
        unused.fill(0);
        let done = output.len();
        output.resize(done + to.frame(), 0);
        resampler.frame(&input, &mut output[done..]);
        if output.len() >= length + skipped {
            break;
        }
    }
    output.drain(..skipped);
    output.truncate(length);
    output
}

fn widen(samples: &[i16], wide: &mut [f32]) {
    wide.iter_mut().zip(samples).for_each(|(wide, sample)| *wide = f32::from(*sample));
}

/// Adds to each of the sums the products of the taps with the samples from its own place on.
#[inline]
fn accumulate<const T: usize>(taps: &[f32; T], samples: &[f32], sums: &mut [f32; BLOCK]) {
    let samples = &samples[..T - 1 + BLOCK];
    for (n, tap) in taps.iter().enumerate() {
        let window: &[f32; BLOCK] = samples[n..].first_chunk().expect("as long as cut above");
        sums.iter_mut().zip(window).for_each(|(sum, sample)| *sum += tap * sample);
    }
}

/// To the nearest sample that 16 bits can hold.
#[inline]
fn narrow(sum: f32) -> i16 {
    // Added to 1.5 * 2^23, where neighbors are 1 apart, a number is rounded and stands in the lowest bits. A cast would have to
    // care for infinities, and would not vectorise.
    const ROUND: f32 = 12_582_912.0;
    (sum.clamp(-32_768.0, 32_767.0) + ROUND).to_bits() as i16
}

#[cfg(test)]
mod tests;
