//! Judging what the legs heard: which tones are in a window, and whether these are the right ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;

use serde::Serialize;

use super::leg::Window;
use super::plan::{Expected, Plan};
use super::speech::{Codec, Decoder, FRAME, RATE};
use crate::demo::fourier::Fourier;

/// A tone is heard when it is at most 14 dB below the loudest that should be.
const HEARD: f32 = 0.2;
/// One that should not be there is noticed from 20 dB below.
const NOTICED: f32 = 0.1;
/// Below this share of what was said nothing is heard at all: 30 dB.
const NOTHING: f32 = 0.03;
/// Faults kept with their particulars.
const KEPT: usize = 50;

/// What one leg's windows came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Heard {
    /// Windows in which it heard what it must and nothing else.
    pub right: u32,
    /// Windows in which it did not.
    pub wrong: u32,
    /// Whether two wrong ones came in a row: one alone may be a lost packet's doing.
    pub repeated: bool,
    /// The fewest talkers heard in a window.
    pub fewest: u16,
    /// The most talkers heard in a window.
    pub most: u16,
    #[serde(skip)]
    last_was_wrong: bool,
}

/// One wrong window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Which leg.
    pub leg: usize,
    /// In which room.
    pub room: usize,
    /// What was wrong.
    pub why: String,
}

/// What one window holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Finding {
    /// How many others are heard.
    pub(super) others: usize,
    pub(super) own: bool,
    /// Tones that nobody in the room says now.
    pub(super) foreign: Vec<usize>,
}

impl Finding {
    fn fault(&self, expected: &Expected, plan: &Plan) -> Option<String> {
        let hertz = |tone: usize| format!("{} Hz", plan.grid.frequency(tone));
        let mut faults = Vec::new();
        if let Some(own) = expected.own.filter(|_| self.own) {
            faults.push(format!("hears itself ({})", hertz(own)));
        }
        if self.others < expected.least {
            let (heard, least) = (self.others, expected.least);
            faults.push(format!("hears {heard} talkers of its room instead of {least}"));
        }
        if !self.foreign.is_empty() {
            let tones: Vec<String> = self.foreign.iter().take(5).map(|&tone| hertz(tone)).collect();
            faults.push(format!("hears what nobody in its room says ({})", tones.join(", ")));
        }
        (!faults.is_empty()).then(|| faults.join("; "))
    }
}

/// What the ear has found so far; shared with whoever waits for everyone to be heard.
#[derive(Debug, Default)]
pub(super) struct Roll {
    /// Legs that have had a right window.
    pub(super) right: AtomicUsize,
}

/// The ear's results.
pub(super) struct Judgement {
    /// By number of leg.
    pub(super) heard: Vec<Heard>,
    pub(super) faults: Vec<Fault>,
}

/// A window, or the order to forget what was judged before.
pub(super) enum Sound {
    Window(Window),
    Clear,
}

/// Judges until the last sender is gone.
pub(super) fn listen(
    plan: &Plan,
    codec: Codec,
    legs: usize,
    sounds: &Receiver<Sound>,
    roll: &Arc<Roll>,
) -> Judgement {
    let spectrum = Spectrum::new(plan.grid.window);
    let mut judgement = Judgement { heard: vec![Heard::default(); legs], faults: Vec::new() };
    let mut counted = vec![false; legs];
    while let Ok(sound) = sounds.recv() {
        let window = match sound {
            Sound::Window(window) => window,
            Sound::Clear => {
                judgement.heard.fill(Heard::default());
                judgement.faults.clear();
                continue;
            }
        };
        let place = window.place;
        let expected = plan.expected(place.room, place.seat, window.scene);
        let finding = examine(&spectrum, plan, &expected, &decode(codec, &window));
        let fault = finding.fault(&expected, plan);
        judgement.heard[place.leg].count(finding.others, fault.is_some());
        match fault {
            Some(why) if judgement.faults.len() < KEPT => {
                judgement.faults.push(Fault { leg: place.leg, room: place.room, why });
            }
            None if !std::mem::replace(&mut counted[place.leg], true) => {
                roll.right.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }
    judgement
}

impl Heard {
    fn count(&mut self, others: usize, wrong: bool) {
        let others = others as u16;
        let first = self.right + self.wrong == 0;
        self.fewest = if first { others } else { self.fewest.min(others) };
        self.most = self.most.max(others);
        self.repeated |= wrong && self.last_was_wrong;
        self.last_was_wrong = wrong;
        *(if wrong { &mut self.wrong } else { &mut self.right }) += 1;
    }

    /// Whether the leg must be said to hear wrongly: twice in a row, or never rightly.
    pub fn is_wrong(&self) -> bool {
        self.repeated || (self.wrong > 0 && self.right == 0)
    }
}

/// How many packets a window takes.
pub(super) fn packets(plan: &Plan, codec: Codec) -> usize {
    codec.settling() + plan.grid.window.div_ceil(FRAME)
}

fn decode(codec: Codec, window: &Window) -> Vec<f32> {
    let mut decoder = Decoder::new(codec);
    let mut samples = Vec::with_capacity(window.payloads.len() * FRAME);
    for payload in &window.payloads {
        decoder.decode(payload, &mut samples);
    }
    samples.split_off((codec.settling() * FRAME).min(samples.len()))
}

/// A Hann-windowed transform.
pub(super) struct Spectrum {
    fourier: Fourier,
    hann: Vec<f32>,
}

impl Spectrum {
    pub(super) fn new(size: usize) -> Self {
        let hann = (0..size).map(|n| 0.5 - 0.5 * (std::f32::consts::TAU * n as f32 / size as f32).cos());
        Self { fourier: Fourier::new(size), hann: hann.collect() }
    }

    /// Amplitude of every bin, as a tone on it would have.
    fn amplitudes(&self, samples: &[f32]) -> Vec<f32> {
        let shaped: Vec<f32> = samples.iter().zip(&self.hann).map(|(sample, hann)| sample * hann).collect();
        let points = self.fourier.spectrum(&shaped);
        // A Hann window halves a tone; half of it is at the negative frequency.
        let scale = 4.0 / self.fourier.size() as f32;
        points[..points.len() / 2].iter().map(|(real, imaginary)| real.hypot(*imaginary) * scale).collect()
    }
}

fn examine(spectrum: &Spectrum, plan: &Plan, expected: &Expected, samples: &[f32]) -> Finding {
    let amplitudes = spectrum.amplitudes(samples);
    let size = plan.grid.window as f32;
    let levels: Vec<f32> = (0..plan.grid.count)
        .map(|tone| {
            let bin = (plan.grid.frequency(tone) * size / RATE as f32).round() as usize;
            // Between two bins a tone is the weaker in both: the larger is at most 1.4 dB down.
            amplitudes[bin - 1..=bin + 1].iter().copied().fold(0.0, f32::max)
        })
        .collect();
    let loudest = expected.others.iter().map(|&tone| levels[tone]).fold(0.0, f32::max);
    let audible = loudest > plan.amplitude * NOTHING;
    let heard = expected.others.iter().filter(|&&tone| audible && levels[tone] >= HEARD * loudest);
    let others = heard.count();
    // Where nobody should be heard what was said is the measure.
    let measure = if audible { loudest } else { plan.amplitude };
    let own = expected.own.is_some_and(|tone| levels[tone] >= NOTICED * measure);
    let foreign = (0..plan.grid.count)
        .filter(|tone| Some(*tone) != expected.own && !expected.others.contains(tone))
        .filter(|&tone| levels[tone] >= NOTICED * measure)
        .collect();
    Finding { others, own, foreign }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use super::super::plan::{Shape, Talk, Who};
    use super::super::speech::Encoder;
    use super::super::tones::Repertoire;
    use super::*;

    fn plan(legs: usize, mixed: usize) -> Plan {
        let shapes = [Shape { legs, probe: false }; 2];
        Plan::new(&shapes, Talk { who: Who::All, spurt: None }, mixed, 3).unwrap()
    }

    /// What a bridge would send that mixes these tones, each loop from a place of its own.
    fn mix(plan: &Plan, tones: &[usize]) -> Vec<f32> {
        through(Codec::Pcmu, plan, tones)
    }

    /// The same with this codec on the way in and out.
    fn through(codec: Codec, plan: &Plan, tones: &[usize]) -> Vec<f32> {
        let repertoire = Repertoire::new(&plan.grid, codec, plan.amplitude);
        let packets = 20 + packets(plan, codec);
        let mut sum = vec![0.0_f32; packets * FRAME];
        for &tone in tones {
            let mut decoder = Decoder::new(codec);
            let mut samples = Vec::new();
            for packet in 0..packets {
                decoder.decode(repertoire.tone(tone).at(tone * 3 + packet), &mut samples);
            }
            sum.iter_mut().zip(samples).for_each(|(sum, sample)| *sum += sample);
        }
        let (mut encoder, mut decoder, mut heard) = (Encoder::new(codec), Decoder::new(codec), Vec::new());
        for frame in sum.chunks_exact(FRAME) {
            let every = codec.rate() / RATE;
            // Held samples are near enough: what that adds lies above half of the rate.
            let samples: Vec<i16> = (0..FRAME * every).map(|n| frame[n / every] as i16).collect();
            decoder.decode(&encoder.encode(&samples), &mut heard);
        }
        heard.split_off(heard.len() - plan.grid.window)
    }

    #[test]
    fn every_codec_leaves_the_tones_apart() {
        for codec in Codec::ALL {
            for talkers in [2, 5] {
                let plan = plan(talkers, 0);
                let expected = plan.expected(0, 0, 0);
                let spectrum = Spectrum::new(plan.grid.window);
                let heard = |tones: &[usize]| {
                    examine(&spectrum, &plan, &expected, &through(codec, &plan, tones))
                        .fault(&expected, &plan)
                };
                assert_eq!(heard(&expected.others), None, "{codec:?}, {talkers}");
                let mut with_self = expected.others.clone();
                with_self.push(expected.own.unwrap());
                assert!(heard(&with_self).unwrap().contains("hears itself"), "{codec:?}, {talkers}");
            }
        }
    }

    fn fault(plan: &Plan, tones: &[usize]) -> Option<String> {
        let expected = plan.expected(0, 0, 0);
        let finding = examine(&Spectrum::new(plan.grid.window), plan, &expected, &mix(plan, tones));
        finding.fault(&expected, plan)
    }

    #[test]
    fn the_right_mix_is_right_and_each_way_of_being_wrong_is_named() {
        for legs in [3, 20, 300] {
            let plan = plan(legs, 0);
            let expected = plan.expected(0, 0, 0);
            assert_eq!(fault(&plan, &expected.others), None, "{legs}");
            let mut with_self = expected.others.clone();
            with_self.push(expected.own.unwrap());
            assert!(fault(&plan, &with_self).unwrap().starts_with("hears itself"), "{legs}");
            assert!(fault(&plan, &expected.others[1..]).unwrap().contains("instead of"), "{legs}");
            assert!(fault(&plan, &[]).unwrap().contains("hears 0 talkers"), "{legs}");
        }
        let plan = plan(3, 0);
        let mut with_others = plan.expected(0, 0, 0).others;
        with_others.push(plan.expected(1, 0, 0).own.unwrap());
        assert!(fault(&plan, &with_others).unwrap().contains("nobody in its room says"));
    }

    #[test]
    fn what_a_thousand_lines_add_is_not_taken_for_a_stranger() {
        let shape = Shape { legs: 1000, probe: false };
        let talk = Talk { who: Who::Percent(20), spurt: None };
        let plan = Plan::new(&[shape], talk, 0, 1).unwrap();
        let talker = (0..1000).find(|&seat| plan.expected(0, seat, 0).own.is_some()).unwrap();
        let expected = plan.expected(0, talker, 0);
        assert_eq!(expected.others.len(), 199);
        let lines = noise_of_quiet_lines(&plan, 800);
        let examined = |tones: &[usize]| {
            let heard: Vec<f32> = mix(&plan, tones).iter().zip(&lines).map(|(a, b)| a + b).collect();
            examine(&Spectrum::new(plan.grid.window), &plan, &expected, &heard).fault(&expected, &plan)
        };
        assert_eq!(examined(&expected.others), None);
        let free = |tone: &usize| !expected.others.contains(tone) && expected.own != Some(*tone);
        let stranger = (0..plan.grid.count).find(free);
        for (tone, why) in [(expected.own, "hears itself"), (stranger, "nobody in its room says")] {
            let mut with_one_more = expected.others.clone();
            with_one_more.push(tone.unwrap());
            assert!(examined(&with_one_more).unwrap().contains(why));
        }
    }

    /// As they come to a bridge: each begins at a place of its own.
    fn noise_of_quiet_lines(plan: &Plan, lines: usize) -> Vec<f32> {
        let repertoire = Repertoire::new(&plan.grid, Codec::Pcmu, plan.amplitude);
        let mut sum = vec![0.0; plan.grid.window.next_multiple_of(FRAME)];
        for line in 0..lines {
            let (mut decoder, mut samples) = (Decoder::new(Codec::Pcmu), Vec::new());
            for packet in 0..sum.len() / FRAME {
                decoder.decode(repertoire.quiet.at(line * 40_503 % 65_536 + packet), &mut samples);
            }
            sum.iter_mut().zip(samples).for_each(|(sum, sample)| *sum += sample);
        }
        sum.truncate(plan.grid.window);
        sum
    }

    #[test]
    fn of_many_talkers_those_that_the_bridge_mixes_suffice() {
        let plan = plan(40, 5);
        let others = plan.expected(0, 0, 0).others;
        assert_eq!(fault(&plan, &others[..4]), None);
        assert_eq!(fault(&plan, &others[7..12]), None);
        assert!(fault(&plan, &others[..3]).is_some());
    }

    #[test]
    fn a_bridge_that_turns_the_volume_down_is_still_understood() {
        let plan = plan(4, 0);
        let expected = plan.expected(0, 0, 0);
        let quiet: Vec<f32> = mix(&plan, &expected.others).iter().map(|sample| sample * 0.25).collect();
        let spectrum = Spectrum::new(plan.grid.window);
        assert_eq!(examine(&spectrum, &plan, &expected, &quiet).fault(&expected, &plan), None);
    }

    #[test]
    fn a_tone_between_two_bins_keeps_its_amplitude_within_1_5_db() {
        let spectrum = Spectrum::new(1024);
        for offset in [0.0, 0.25, 0.5] {
            let frequency = (100.0 + offset) * RATE as f32 / 1024.0;
            let samples: Vec<f32> =
                (0..1024).map(|n| 1000.0 * (TAU * frequency * n as f32 / RATE as f32).sin()).collect();
            let loudest = spectrum.amplitudes(&samples).into_iter().fold(0.0, f32::max);
            assert!((840.0..1010.0).contains(&loudest), "{offset}: {loudest}");
        }
    }

    #[test]
    fn one_wrong_window_is_forgiven_and_two_in_a_row_are_not() {
        let mut heard = Heard::default();
        for wrong in [false, true, false, true, false] {
            heard.count(3, wrong);
        }
        assert!(!heard.is_wrong());
        heard.count(1, true);
        heard.count(1, true);
        assert!(heard.is_wrong());
        assert_eq!((heard.fewest, heard.most), (1, 3));
        let mut never = Heard::default();
        never.count(0, true);
        assert!(never.is_wrong());
    }
}
