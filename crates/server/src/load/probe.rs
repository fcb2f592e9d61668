//! Timing a bridge: one leg of a quiet room sends short bursts at random times, the others of that room time their onset.
//!
//! The delay is that of the stream: from the time at which the burst's first sample would have been said (its packet's
//! departure plus its place in it) to that at which it can be heard (its packet's arrival plus its place in that).

use std::f32::consts::TAU;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::speech::{Codec, Decoder, Encoder, FRAME, RATE};
use super::spread::Spread;
use super::tones::idle_noise;

const LOUD: f32 = 12_000.0;
/// An eighth of the burst: a bridge that fades in, or is still turned down, is heard as well.
const ONSET: f32 = LOUD / 8.0;
/// Length of a burst in seconds.
const LENGTH: f32 = 0.04;
/// 150 ms without sound before another onset is believed.
const CALM: usize = RATE * 150 / 1000;
/// A burst that is not heard within this time is missed; shorter than the shortest pause between two bursts.
const LONGEST_NANOS: u64 = 450_000_000;
/// Packets from one burst to the next.
const PAUSE: std::ops::Range<u32> = 25..55;

/// Nanoseconds of so many samples.
fn nanos(samples: usize, rate: usize) -> u64 {
    samples as u64 * 1_000_000_000 / rate as u64
}

/// The leg that sends the bursts.
pub(super) struct Clicker {
    encoder: Encoder,
    rate: usize,
    dice: StdRng,
    noise: Box<dyn FnMut() -> i16 + Send>,
    /// Packets until the next burst.
    pause: u32,
    /// Samples of the burst that have been said, while one is being said.
    said: Option<usize>,
}

/// The burst that a room is waiting for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Burst {
    /// Counts from 1; 0: there was none yet.
    pub(super) number: u64,
    /// When its first sample was said.
    pub(super) at: u64,
}

impl Clicker {
    pub(super) fn new(codec: Codec, seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let pause = dice.random_range(PAUSE);
        let noise = Box::new(idle_noise(seed));
        Self { encoder: Encoder::new(codec), rate: codec.rate(), dice, noise, pause, said: None }
    }

    /// The next packet's payload, to be sent `now`; a burst that begins in it is noted.
    pub(super) fn next(&mut self, now: u64, burst: &mut Burst) -> Vec<u8> {
        let mut frame = vec![0; self.rate / 50];
        frame.fill_with(&mut self.noise);
        let mut first = 0;
        if self.said.is_none() {
            self.pause = self.pause.saturating_sub(1);
            if self.pause == 0 {
                first = self.dice.random_range(0..frame.len());
                *burst = Burst { number: burst.number + 1, at: now + nanos(first, self.rate) };
                self.pause = self.dice.random_range(PAUSE);
                self.said = Some(0);
            }
        }
        for sample in &mut frame[first..] {
            let Some(said) = self.said else { break };
            let at = said as f32 / self.rate as f32;
            // 1 kHz from its peak on, so that the onset is the first sample.
            *sample = (LOUD * (TAU * 1000.0 * at).cos()) as i16;
            self.said = (at < LENGTH).then_some(said + 1);
        }
        self.encoder.encode(&frame)
    }
}

/// A leg that times them.
pub(super) struct Listener {
    decoder: Decoder,
    samples: Vec<f32>,
    calm: usize,
    /// The last burst that was heard or given up.
    last: u64,
    /// Delays in microseconds.
    pub(super) delays: Spread,
    pub(super) missed: u64,
}

impl Listener {
    pub(super) fn new(codec: Codec) -> Self {
        Self {
            decoder: Decoder::new(codec),
            samples: Vec::with_capacity(2 * FRAME),
            calm: 0,
            last: 0,
            delays: Spread::default(),
            missed: 0,
        }
    }

    /// Counts from here on.
    pub(super) fn clear(&mut self, burst: Burst) {
        self.last = burst.number;
        self.delays.clear();
        self.missed = 0;
    }

    /// A packet that came `at`; `burst` is the last that was sent.
    pub(super) fn hear(&mut self, at: u64, payload: &[u8], burst: Burst) {
        self.samples.clear();
        self.decoder.decode(payload, &mut self.samples);
        for place in 0..self.samples.len() {
            if self.samples[place].abs() < ONSET {
                self.calm += 1;
            } else if std::mem::take(&mut self.calm) >= CALM {
                self.onset(at + nanos(place, RATE), burst);
            }
        }
    }

    fn onset(&mut self, at: u64, burst: Burst) {
        let heard = at.checked_sub(burst.at).filter(|delay| *delay < LONGEST_NANOS);
        if let Some(delay) = heard.filter(|_| burst.number > self.last) {
            self.missed += burst.number - self.last - 1;
            self.last = burst.number;
            self.delays.add(delay / 1000);
        }
    }

    /// Bursts that were not heard, the last one, which may be on its way, not counted.
    pub(super) fn missed(&self, burst: Burst) -> u64 {
        self.missed + burst.number.saturating_sub(self.last + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_a_known_delay_is_timed_to_the_millisecond() {
        for (codec, delay_packets) in [(Codec::Pcmu, 0), (Codec::Pcma, 3)] {
            let mut clicker = Clicker::new(codec, 5);
            let mut listener = Listener::new(codec);
            let (mut burst, mut line) = (Burst::default(), std::collections::VecDeque::new());
            for n in 0..1000_u64 {
                let now = n * 20_000_000;
                line.push_back(clicker.next(now, &mut burst));
                if line.len() > delay_packets {
                    listener.hear(now + 1_000_000, &line.pop_front().unwrap(), burst);
                }
            }
            let expected = 20.0 * delay_packets as f64 + 1.0;
            let delays = listener.delays.quantiles();
            assert!(delays.count >= 15, "{}", delays.count);
            assert!((delays.p50 - expected).abs() < 0.2 + expected / 16.0, "{delays:?}");
            assert!((delays.max - expected).abs() < 0.2, "{delays:?}");
            assert_eq!(listener.missed(burst), 0);
        }
    }

    #[test]
    fn bursts_that_do_not_come_are_missed() {
        let mut clicker = Clicker::new(Codec::Pcmu, 5);
        let mut listener = Listener::new(Codec::Pcmu);
        let mut burst = Burst::default();
        for n in 0..1000_u64 {
            clicker.next(n * 20_000_000, &mut burst);
            listener.hear(n * 20_000_000, &[0xff; FRAME], burst);
        }
        assert_eq!(listener.missed(burst), burst.number - 1);
    }
}
