//! Who heard whom: finds known voices in a recording.
//!
//! Everything here is a pure function of samples: what every person said and what every person heard, 8 kHz mono, full
//! scale 1.0, all on one clock. The path between them (G.711, jitter buffer, mix) is linear with a gain near one and some
//! delay that may slip, so the question "is this voice in there, and how loud?" is answered window by window:
//!
//! 1. the delay of each voice is the peak of its whitened cross-correlation with what was heard ([`Fourier`]);
//! 2. what was heard is regressed onto all delayed voices at once (least squares): a voice that is in the mix gets a
//!    coefficient near 1, a voice that is not gets one near 0, also when several talk together;
//! 3. the windows vote.
//!
//! Voices are told apart by their waveform: no tones, no marks, nothing the bridge could know about.

use std::ops::Range;

use super::fourier::{Complex, Fourier};

/// Samples per second of every recording in this module.
pub const RATE: usize = 8000;
/// Length of one window: long enough to hold several syllables, short enough that a delay does not slip in most of them.
const WINDOW: usize = RATE * 400 / 1000;
const HOP: usize = RATE * 200 / 1000;
/// A voice is looked for from a little before it was said (the clocks of two sockets are read at different moments) ...
const EARLIEST: usize = RATE * 20 / 1000;
/// ... to this much later.
const LATEST: usize = RATE * 480 / 1000;
/// Where a voice that was not found is assumed to be, when deciding whether it spoke at all in a window.
const USUAL_DELAY: usize = RATE * 80 / 1000;
/// A voice counts as speaking in a window from this level on (full scale 1.0; -46 dBFS).
const SPEAKING: f32 = 0.005;
/// A window below this level holds nobody (full scale 1.0; -66 dBFS): A-law has no zero, its silence is at -72.
const NOTHING: f32 = 0.0005;
/// A coefficient above this is "heard" in one window.
const HEARD: f32 = 0.5;

/// What one listener got of one voice during one slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Heard {
    /// Windows in which the voice spoke; 0 means that it was silent and nothing can be said about it.
    pub windows: usize,
    /// Share of these windows in which it was heard, 0..=1.
    pub share: f32,
    /// Median regression coefficient over these windows: 1 as loud as spoken, 0 absent.
    pub gain: f32,
    /// Median delay from mouth to ear in the windows in which it was heard.
    pub delay_ms: Option<f32>,
}

impl Heard {
    /// Heard in most of what was said, at about the level at which it was said.
    pub fn is_there(&self) -> bool {
        self.share >= 0.7 && (0.5..=2.0).contains(&self.gain)
    }

    /// Not there: neither in the median nor here and there.
    pub fn is_absent(&self) -> bool {
        self.share <= 0.12 && self.gain.abs() < 0.2
    }

    /// The level relative to what was said, in decibels; `None` when nothing came.
    pub fn level_db(&self) -> Option<f32> {
        (self.gain > 0.01).then(|| 20.0 * self.gain.log10())
    }
}

/// What one listener got during one slot.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Ear {
    /// One entry for each voice, in the order given.
    pub voices: Vec<Heard>,
    /// Level of everything heard, dB relative to full scale.
    pub level_dbfs: f32,
    /// Level of what no known voice explains, dB relative to full scale (median over the windows).
    pub rest_dbfs: f32,
}

/// For every listener: which of `voices` is in what he heard during `slot` (samples on the common clock).
pub fn listen(voices: &[&[f32]], listeners: &[&[f32]], slot: Range<usize>) -> Vec<Ear> {
    let fourier = Fourier::new((WINDOW + EARLIEST + LATEST).next_power_of_two());
    let mut ballots: Vec<Ballot> = listeners.iter().map(|_| Ballot::new(voices.len())).collect();
    let mut start = slot.start;
    while start + WINDOW <= slot.end {
        let said: Vec<Said> = voices.iter().map(|voice| Said::new(&fourier, voice, start)).collect();
        for (ballot, heard) in ballots.iter_mut().zip(listeners) {
            ballot.vote(&fourier, &said, &excerpt(heard, start as isize, WINDOW));
        }
        start += HOP;
    }
    let levels = listeners.iter().map(|heard| rms(&excerpt(heard, slot.start as isize, slot.len())));
    ballots.into_iter().zip(levels).map(|(ballot, level)| ballot.count(level)).collect()
}

/// Level in dB relative to full scale, floored at -96 (one step of 16 bit).
pub fn dbfs(rms: f32) -> f32 {
    20.0 * rms.max(1.6e-5).log10()
}

/// Root mean square; 0 for nothing.
pub fn rms(samples: &[f32]) -> f32 {
    if samples.is_empty() {
        return 0.0;
    }
    (samples.iter().map(|s| f64::from(*s) * f64::from(*s)).sum::<f64>() / samples.len() as f64).sqrt() as f32
}

/// One voice around one window: everything that may have arrived in it.
struct Said {
    /// From `LATEST` before the window to `EARLIEST` after its end, first difference (speech has most of its energy at the
    /// bottom, where all voices look alike; the difference flattens it and leaves the coefficients unchanged).
    flat: Vec<f32>,
    spectrum: Vec<Complex>,
    speaks: bool,
}

impl Said {
    fn new(fourier: &Fourier, voice: &[f32], start: usize) -> Self {
        let plain = excerpt(voice, start as isize - LATEST as isize, LATEST + WINDOW + EARLIEST);
        let spoken = &plain[LATEST - USUAL_DELAY..][..WINDOW];
        let speaks = rms(spoken) >= SPEAKING;
        let flat = difference(&plain);
        let spectrum = if speaks { fourier.spectrum(&flat) } else { Vec::new() };
        Self { flat, spectrum, speaks }
    }

    /// The part that arrives in the window after `delay` (counted from `LATEST`, so that 0 is the oldest part).
    fn delayed(&self, offset: usize) -> &[f32] {
        &self.flat[offset..][..WINDOW]
    }
}

struct Ballot {
    gains: Vec<Vec<f32>>,
    delays: Vec<Vec<f32>>,
    rest: Vec<f32>,
}

impl Ballot {
    fn new(voices: usize) -> Self {
        Self { gains: vec![Vec::new(); voices], delays: vec![Vec::new(); voices], rest: Vec::new() }
    }

    fn vote(&mut self, fourier: &Fourier, said: &[Said], heard: &[f32]) {
        let speaking: Vec<usize> = (0..said.len()).filter(|&voice| said[voice].speaks).collect();
        if rms(heard) < NOTHING {
            for voice in speaking {
                self.gains[voice].push(0.0);
            }
            self.rest.push(rms(heard));
            return;
        }
        let flat = difference(heard);
        let spectrum = fourier.spectrum(&flat);
        let offsets: Vec<usize> =
            speaking.iter().map(|&voice| best_offset(fourier, &spectrum, &said[voice].spectrum)).collect();
        let columns: Vec<&[f32]> =
            speaking.iter().zip(&offsets).map(|(&voice, &offset)| said[voice].delayed(offset)).collect();
        let gains = regress(&flat, &columns);
        let mut rest = flat.clone();
        for ((&voice, &gain), (&offset, column)) in
            speaking.iter().zip(&gains).zip(offsets.iter().zip(&columns))
        {
            self.gains[voice].push(gain);
            if gain > HEARD {
                let delay = LATEST as f32 - offset as f32;
                self.delays[voice].push(delay * 1000.0 / RATE as f32);
            }
            for (left, explained) in rest.iter_mut().zip(*column) {
                *left -= gain * explained;
            }
        }
        // Back from the difference to a level: scale by how much the difference changed what was heard.
        let ratio = rms(&rest) / rms(&flat).max(1e-9);
        self.rest.push(if rms(&flat) == 0.0 { 0.0 } else { rms(heard) * ratio });
    }

    fn count(mut self, level: f32) -> Ear {
        let voices = self
            .gains
            .iter_mut()
            .zip(&mut self.delays)
            .map(|(gains, delays)| Heard {
                windows: gains.len(),
                share: gains.iter().filter(|gain| **gain > HEARD).count() as f32 / gains.len().max(1) as f32,
                gain: median(gains).unwrap_or(0.0),
                delay_ms: median(delays),
            })
            .collect();
        Ear { voices, level_dbfs: dbfs(level), rest_dbfs: dbfs(median(&mut self.rest).unwrap_or(0.0)) }
    }
}

/// The offset into the voice's excerpt at which it explains the window best: the peak of the cross-correlation with the
/// magnitudes partly taken out of it, so that a vowel's many similar periods do not win over the right one.
fn best_offset(fourier: &Fourier, heard: &[Complex], said: &[Complex]) -> usize {
    let cross = heard
        .iter()
        .zip(said)
        .map(|(h, s)| {
            // said * conj(heard): the correlation's index is then the offset into the voice.
            let (real, imaginary) = (s.0 * h.0 + s.1 * h.1, s.1 * h.0 - s.0 * h.1);
            let weight = real.hypot(imaginary).powf(-0.7);
            if weight.is_finite() { (real * weight, imaginary * weight) } else { (0.0, 0.0) }
        })
        .collect();
    let correlation = fourier.signal(cross);
    let mut best = LATEST - USUAL_DELAY;
    for (offset, value) in correlation.iter().enumerate().take(LATEST + EARLIEST + 1) {
        if *value > correlation[best] {
            best = offset;
        }
    }
    best
}

/// Least squares: the coefficients with which `columns` add up to `target` best (normal equations, with a trace of ridge
/// so that a silent or doubled column gets a coefficient near 0 instead of a division by it).
fn regress(target: &[f32], columns: &[&[f32]]) -> Vec<f32> {
    let size = columns.len();
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let mut matrix = vec![vec![0.0; size + 1]; size];
    for row in 0..size {
        for column in 0..size {
            matrix[row][column] = dot(columns[row], columns[column]);
        }
        matrix[row][size] = dot(columns[row], target);
    }
    let ridge = 1e-4 * (0..size).map(|row| matrix[row][row]).fold(1e-9, f64::max);
    for (row, line) in matrix.iter_mut().enumerate() {
        line[row] += ridge;
    }
    // Gauss-Jordan without pivoting: the matrix is symmetric and, with the ridge, positive definite.
    for pivot in 0..size {
        let scale = 1.0 / matrix[pivot][pivot];
        for value in &mut matrix[pivot] {
            *value *= scale;
        }
        let pivot_row = matrix[pivot].clone();
        for (row, line) in matrix.iter_mut().enumerate() {
            if row != pivot {
                let factor = line[pivot];
                for (value, above) in line.iter_mut().zip(&pivot_row) {
                    *value -= factor * above;
                }
            }
        }
    }
    matrix.iter().map(|line| line[size] as f32).collect()
}

fn difference(samples: &[f32]) -> Vec<f32> {
    let mut last = 0.0;
    samples.iter().map(|&sample| sample - 0.95 * std::mem::replace(&mut last, sample)).collect()
}

/// `length` samples from `start`, zeros where there is nothing.
fn excerpt(samples: &[f32], start: isize, length: usize) -> Vec<f32> {
    let at = |index: usize| {
        usize::try_from(start + index as isize)
            .ok()
            .and_then(|index| samples.get(index))
            .copied()
            .unwrap_or(0.0)
    };
    (0..length).map(at).collect()
}

fn median(values: &mut [f32]) -> Option<f32> {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::super::{g711::Law, speech::speech};
    use super::*;

    const LENGTH: f32 = 3.0;

    /// Four voices that talk over each other from second 1 on.
    fn together() -> Vec<Vec<f32>> {
        (1..=4).map(|seed| shifted(&speech(seed, LENGTH), RATE)).collect()
    }

    fn slot() -> Range<usize> {
        RATE..RATE + (LENGTH * RATE as f32) as usize
    }

    fn shifted(samples: &[f32], by: usize) -> Vec<f32> {
        std::iter::repeat_n(0.0, by).chain(samples.iter().copied()).collect()
    }

    /// What arrives when voices are summed with their gains, delayed, and sent as G.711.
    fn mixed(voices: &[Vec<f32>], gains: &[f32], delay: usize, law: Law) -> Vec<f32> {
        let length = voices.iter().map(Vec::len).max().unwrap_or(0);
        let sum: Vec<f32> = (0..length)
            .map(|n| {
                let sample: f32 =
                    voices.iter().zip(gains).map(|(v, g)| g * v.get(n).copied().unwrap_or(0.0)).sum();
                let octet = law.encode((sample * 32768.0).clamp(-32768.0, 32767.0) as i16);
                f32::from(law.decode(octet)) / 32768.0
            })
            .collect();
        shifted(&sum, delay)
    }

    fn listen_to(voices: &[Vec<f32>], heard: &[f32]) -> Ear {
        let voices: Vec<&[f32]> = voices.iter().map(Vec::as_slice).collect();
        listen(&voices, &[heard], slot()).remove(0)
    }

    fn verdicts(ear: &Ear) -> Vec<Option<bool>> {
        ear.voices
            .iter()
            .map(|heard| match (heard.is_there(), heard.is_absent()) {
                (true, false) => Some(true),
                (false, true) => Some(false),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn the_other_three_are_heard_in_a_mix_minus_and_the_listener_is_not() {
        let voices = together();
        for (law, delay) in [(Law::Mu, 0), (Law::A, 301), (Law::A, 2600)] {
            let ear = listen_to(&voices, &mixed(&voices, &[0.0, 1.0, 1.0, 1.0], delay, law));
            assert_eq!(
                verdicts(&ear),
                [Some(false), Some(true), Some(true), Some(true)],
                "{law:?} {delay} {ear:#?}"
            );
            for heard in &ear.voices[1..] {
                assert!((heard.gain - 1.0).abs() < 0.1, "{heard:?}");
                assert!((heard.delay_ms.unwrap() - delay as f32 / 8.0).abs() < 1.0, "{heard:?}");
            }
            assert!(ear.rest_dbfs < ear.level_dbfs - 12.0, "{ear:?}");
        }
    }

    #[test]
    fn a_listener_who_hears_himself_is_found() {
        let voices = together();
        let ear = listen_to(&voices, &mixed(&voices, &[1.0, 1.0, 1.0, 1.0], 700, Law::Mu));
        assert_eq!(verdicts(&ear)[0], Some(true), "{ear:#?}");
        // Also a faint echo of himself is not "absent".
        let ear = listen_to(&voices, &mixed(&voices, &[0.4, 1.0, 1.0, 1.0], 700, Law::Mu));
        assert!(!ear.voices[0].is_absent(), "{ear:#?}");
    }

    #[test]
    fn a_missing_talker_is_missed() {
        let voices = together();
        let ear = listen_to(&voices, &mixed(&voices, &[0.0, 1.0, 0.0, 1.0], 480, Law::A));
        assert_eq!(verdicts(&ear), [Some(false), Some(true), Some(false), Some(true)], "{ear:#?}");
    }

    #[test]
    fn a_talker_cut_off_half_way_is_neither_there_nor_absent() {
        let voices = together();
        let mut heard = mixed(&voices, &[0.0, 1.0, 0.0, 0.0], 480, Law::A);
        heard.truncate(RATE * 5 / 2);
        let ear = listen_to(&voices[1..2], &heard);
        assert_eq!(verdicts(&ear), [None], "{ear:#?}");
    }

    #[test]
    fn silence_holds_nobody_and_nothing() {
        let voices = together();
        let ear = listen_to(&voices, &vec![0.0; RATE * 6]);
        assert_eq!(verdicts(&ear), [Some(false); 4]);
        assert!(ear.level_dbfs < -90.0 && ear.rest_dbfs < -90.0);
        assert!(listen_to(&voices, &[]).voices.iter().all(Heard::is_absent));
    }

    #[test]
    fn a_stranger_is_left_over_as_the_rest() {
        let voices = together();
        let heard = mixed(&voices, &[0.0, 0.0, 0.0, 1.0], 480, Law::A);
        let ear = listen_to(&voices[..3], &heard);
        assert_eq!(verdicts(&ear), [Some(false); 3], "{ear:#?}");
        assert!(ear.rest_dbfs > ear.level_dbfs - 6.0, "{ear:?}");
    }

    #[test]
    fn a_jitter_buffer_that_slips_every_second_does_not_hide_the_talker() {
        let voices = together();
        let steady = mixed(&voices, &[0.0, 1.0, 1.0, 1.0], 480, Law::A);
        let mut slipping = Vec::new();
        for (second, part) in steady.chunks(RATE).enumerate() {
            slipping.extend_from_slice(part);
            if second % 2 == 0 {
                slipping.extend_from_slice(&[0.0; 160]);
            } else {
                slipping.truncate(slipping.len() - 240);
            }
        }
        let ear = listen_to(&voices, &slipping);
        assert_eq!(verdicts(&ear), [Some(false), Some(true), Some(true), Some(true)], "{ear:#?}");
    }

    #[test]
    fn a_voice_that_does_not_speak_in_the_slot_casts_no_vote() {
        let mut voices = together();
        voices[2].fill(0.0);
        let ear = listen_to(&voices, &mixed(&voices, &[0.0, 1.0, 1.0, 1.0], 480, Law::A));
        assert_eq!(ear.voices[2].windows, 0);
        assert!(ear.voices[1].is_there() && ear.voices[3].is_there());
    }
}
