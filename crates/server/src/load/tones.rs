//! The tones by which talkers are told apart, and their packets, made once.
//!
//! A tone's frequency is a multiple of what makes a loop of a few packets hold a whole number of periods, so that a talker
//! costs a copy. The grid is as wide as the number of talkers allows: the wider, the shorter the window that separates them.

use std::f32::consts::TAU;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::speech::{Codec, Encoder};

/// The lowest tone; above the mains' hum and what telephones cut off.
const LOWEST: f32 = 330.0;
/// The highest one.
const HIGHEST: f32 = 3330.0;

/// Spacing in Hz, samples of a window that separates neighbors (four bins), packets of a loop.
const GRIDS: [(f32, usize, usize); 5] =
    [(50.0, 1024, 5), (20.0, 2048, 5), (10.0, 4096, 5), (5.0, 8192, 10), (2.5, 16_384, 20)];

/// With so many tones a room's neighbors, near and far, are mostly told from it.
const ENOUGH: usize = 100;

/// Most talkers of one room that can be told apart.
pub(super) const MOST_TALKERS: usize = ((HIGHEST - LOWEST) / GRIDS[GRIDS.len() - 1].0) as usize + 1;

/// Packets of the loop of a quiet line: many, because of a thousand lines those at the same place of it add up in step.
const QUIET: usize = 500;

/// The frequencies in use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    spacing: f32,
    /// How many tones there are.
    pub count: usize,
    /// Samples of a window, a power of two.
    pub window: usize,
    looped: usize,
}

impl Grid {
    /// The widest grid with `wanted` tones, or else one with at least `needed`; `None` above [`MOST_TALKERS`].
    pub fn new(needed: usize, wanted: usize) -> Option<Self> {
        let with = |count: usize| GRIDS.iter().map(Self::of).find(|grid| grid.count >= count);
        // Longer windows than half a second are taken only where they must be; then rooms far apart share tones.
        with(wanted.max(needed)).filter(|grid| grid.window <= 4096).or_else(|| with(needed.max(ENOUGH)))
    }

    fn of(&(spacing, window, looped): &(f32, usize, usize)) -> Self {
        Self { spacing, count: ((HIGHEST - LOWEST) / spacing) as usize + 1, window, looped }
    }

    /// Of a tone, in Hz.
    pub fn frequency(&self, tone: usize) -> f32 {
        LOWEST + tone as f32 * self.spacing
    }
}

/// Payloads that are sent again and again.
#[derive(Debug)]
pub(super) struct Loop(Vec<Vec<u8>>);

impl Loop {
    /// The payload at this place, modulo its length.
    pub(super) fn at(&self, place: usize) -> &[u8] {
        &self.0[place % self.0.len()]
    }
}

/// Everything that can be said, encoded.
#[derive(Debug)]
pub(super) struct Repertoire {
    tones: Vec<Loop>,
    /// A line on which nobody talks: noise at -70 dBm0, for true silence would be a favor to the bridge.
    pub(super) quiet: Loop,
}

impl Repertoire {
    /// All tones of the grid at this amplitude (0..=32767).
    pub(super) fn new(grid: &Grid, codec: Codec, amplitude: f32) -> Self {
        // A codec with a memory has a seam where its loop begins anew: that is made rare.
        let packets = if codec.is_stateless() { grid.looped } else { 100 };
        let tones = (0..grid.count).map(|tone| {
            let frequency = grid.frequency(tone);
            // In step with each other many tones would add up to pulses.
            let phase = (tone * tone) as f32 * 0.618_034;
            looped(codec, packets, |at| amplitude * (TAU * ((phase + frequency * at) % 1.0)).sin())
        });
        let tones = tones.collect();
        let mut noise = idle_noise(0x1d1e);
        let quiet = looped(codec, QUIET, |_| f32::from(noise()));
        Self { tones, quiet }
    }

    /// The packets of one tone.
    pub(super) fn tone(&self, tone: usize) -> &Loop {
        &self.tones[tone]
    }
}

/// Samples of a quiet line.
pub(super) fn idle_noise(seed: u64) -> impl FnMut() -> i16 {
    let mut dice = StdRng::seed_from_u64(seed);
    move || dice.random_range(-8..=8)
}

/// A periodic signal, given by its samples at times in seconds. Before the loop that is kept the encoder settles.
fn looped(codec: Codec, packets: usize, mut sample: impl FnMut(f32) -> f32) -> Loop {
    let mut encoder = Encoder::new(codec);
    let frame = codec.rate() / 50;
    let settling = if codec.is_stateless() { 0 } else { 20 };
    let mut payloads = Vec::with_capacity(settling + packets);
    for packet in packets - settling..2 * packets {
        let at = |n| ((packet % packets) * frame + n) as f32 / codec.rate() as f32;
        let samples: Vec<i16> = (0..frame).map(|n| sample(at(n)).round() as i16).collect();
        payloads.push(encoder.encode(&samples));
    }
    Loop(payloads.split_off(settling))
}

#[cfg(test)]
mod tests {
    use super::super::speech::{FRAME, RATE};
    use super::*;

    #[test]
    fn the_grid_is_as_wide_as_the_talkers_allow() {
        let window = |needed, wanted| Grid::new(needed, wanted).map(|grid| grid.window);
        assert_eq!(window(3, 9), Some(1024));
        assert_eq!(window(3, 100), Some(2048));
        assert_eq!(window(300, 300), Some(4096));
        assert_eq!(window(3, 5000), Some(2048), "more rooms than tones: rooms far apart share them");
        assert_eq!(window(1000, 1000), Some(16_384));
        assert_eq!(window(MOST_TALKERS + 1, 1), None);
    }

    #[test]
    fn a_loop_holds_whole_periods_so_that_it_has_no_seam() {
        for grid in GRIDS.iter().map(Grid::of) {
            for tone in 0..grid.count {
                let periods = grid.frequency(tone) * (grid.looped * FRAME) as f32 / RATE as f32;
                assert!((periods - periods.round()).abs() < 1e-3, "{} Hz", grid.frequency(tone));
            }
            let bin = RATE as f32 / grid.window as f32;
            assert!(grid.spacing >= 4.0 * bin);
        }
    }
}
