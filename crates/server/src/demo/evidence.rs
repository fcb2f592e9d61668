//! What the callers brought home, and what it proves: who was heard by whom.
//!
//! Pure: samples in, findings out. The bridge is asked nothing.

use super::listening::{Ear, Heard, RATE, listen};
use crate::plot::Color;

/// Below this level an ear counts as hearing nothing at all, dB relative to full scale.
const SILENCE: f32 = -50.0;
/// What no known voice explains must lie this far below what is heard, dB.
const CLEAN: f32 = 8.0;

/// Everything the callers said and heard, 8 kHz, full scale 1.0, on one clock.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The meetings' names.
    pub rooms: Vec<Room>,
    /// The people.
    pub people: Vec<Person>,
    /// When who was asked to talk.
    pub slots: Vec<Slot>,
}

/// One meeting.
#[derive(Clone, Debug)]
pub struct Room {
    /// Its name, short.
    pub name: String,
    /// Its tint in pictures.
    pub tint: Color,
}

/// One person with all his calls.
#[derive(Clone, Debug)]
pub struct Person {
    /// First name.
    pub name: String,
    /// His color in pictures.
    pub color: Color,
    /// How he came in, one or two short lines.
    pub notes: Vec<String>,
    /// What he said.
    pub said: Vec<f32>,
    /// What arrived at his sockets.
    pub heard: Vec<f32>,
    /// When he was in which room: seconds, seconds, index of the room.
    pub stays: Vec<(f32, f32, usize)>,
    /// What happened to him: second and a word.
    pub marks: Vec<(f32, String)>,
}

/// A stretch of time in which some people of one room talk.
#[derive(Clone, Debug)]
pub struct Slot {
    /// What it is called.
    pub label: String,
    /// Index of the room.
    pub room: usize,
    /// First sample on the common clock.
    pub from: usize,
    /// One past the last sample.
    pub to: usize,
    /// Who talks (indexes of people).
    pub talkers: Vec<usize>,
    /// Who is in the room.
    pub present: Vec<usize>,
}

/// What one person heard in one slot, and what is wrong with it.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Index of the slot.
    pub slot: usize,
    /// Index of the listener.
    pub listener: usize,
    /// What was measured.
    pub ear: Ear,
    /// Who should have been heard.
    pub wanted: Vec<usize>,
    /// Every deviation, as a sentence; empty when all is well.
    pub faults: Vec<String>,
}

impl Finding {
    /// Heard exactly the others.
    pub fn is_right(&self) -> bool {
        self.faults.is_empty()
    }
}

impl Evidence {
    /// Listens to every recording in every slot, on all cores.
    pub fn examine(&self) -> Vec<Finding> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let share = self.slots.len().div_ceil(cores).max(1);
        let slots: Vec<usize> = (0..self.slots.len()).collect();
        std::thread::scope(|scope| {
            let workers: Vec<_> =
                slots.chunks(share).map(|slots| scope.spawn(|| self.examine_slots(slots))).collect();
            workers
                .into_iter()
                .flat_map(|worker| worker.join().expect("listening is a pure function"))
                .collect()
        })
    }

    fn examine_slots(&self, slots: &[usize]) -> Vec<Finding> {
        let voices: Vec<&[f32]> = self.people.iter().map(|person| person.said.as_slice()).collect();
        let mut findings = Vec::new();
        for &slot in slots {
            let here = &self.slots[slot];
            let listeners: Vec<&[f32]> =
                here.present.iter().map(|&listener| self.people[listener].heard.as_slice()).collect();
            let ears = listen(&voices, &listeners, here.from..here.to);
            findings.extend(
                ears.into_iter().zip(&here.present).map(|(ear, &listener)| self.judge(slot, listener, ear)),
            );
        }
        findings
    }

    fn judge(&self, slot: usize, listener: usize, ear: Ear) -> Finding {
        let here = &self.slots[slot];
        let wanted: Vec<usize> = here.talkers.iter().copied().filter(|&talker| talker != listener).collect();
        let own = &self.people[listener].name;
        let mut faults = Vec::new();
        for (voice, heard) in ear.voices.iter().enumerate() {
            let name = &self.people[voice].name;
            let numbers = describe(heard);
            if wanted.contains(&voice) {
                if heard.windows == 0 {
                    faults.push(format!("{name} said nothing, so {own} could not hear it"));
                } else if !heard.is_there() {
                    faults.push(format!("{own} did not hear {name} ({numbers})"));
                }
            } else if heard.windows > 0 && !heard.is_absent() {
                let whom = if voice == listener {
                    "their own voice".to_owned()
                } else {
                    format!("{name}, who should not be there")
                };
                faults.push(format!("{own} heard {whom} ({numbers})"));
            }
        }
        if wanted.is_empty() && ear.level_dbfs > SILENCE {
            faults.push(format!(
                "{own} should have heard silence and heard something at {:.0} dBFS",
                ear.level_dbfs
            ));
        }
        if !wanted.is_empty() && ear.rest_dbfs > SILENCE && ear.rest_dbfs > ear.level_dbfs - CLEAN {
            faults.push(format!(
                "{own} heard something else as well: {:.0} dBFS of {:.0} dBFS is nobody's voice",
                ear.rest_dbfs, ear.level_dbfs
            ));
        }
        Finding { slot, listener, ear, wanted, faults }
    }

    /// Seconds of a sample on the common clock.
    pub fn seconds(sample: usize) -> f32 {
        sample as f32 / RATE as f32
    }
}

fn describe(heard: &Heard) -> String {
    format!("coefficient {:.2}, in {:.0} % of {} windows", heard.gain, 100.0 * heard.share, heard.windows)
}

/// A meeting of three with a fourth person in another room, for tests here and in the neighboring modules.
#[cfg(test)]
pub(super) mod tests {
    use super::super::speech::speech;
    use super::*;

    /// Alice, Bob and Carol talk in turn and together while Dave talks to himself next door; `echo` is how much of himself
    /// everybody hears.
    pub(in super::super) fn meeting(echo: f32) -> Evidence {
        let seconds = |at: f32| (at * RATE as f32) as usize;
        let plans: [&[(f32, f32)]; 4] = [
            &[(1.0, 3.0), (10.0, 13.0)],
            &[(4.0, 6.0), (10.0, 13.0)],
            &[(7.0, 9.0), (10.0, 13.0)],
            &[(1.0, 3.0)],
        ];
        let said: Vec<Vec<f32>> = plans
            .iter()
            .enumerate()
            .map(|(person, plan)| {
                let mut track = vec![0.0; seconds(14.0)];
                for (turn, (from, to)) in plan.iter().enumerate() {
                    let words = speech(10 * person as u64 + turn as u64, to - from);
                    track[seconds(*from)..][..words.len()].copy_from_slice(&words);
                }
                track
            })
            .collect();
        let hears = |listener: usize| {
            let mut track = vec![0.0; seconds(14.0)];
            for talker in (0..4).filter(|talker| (*talker == 3) == (listener == 3)) {
                let gain = if talker == listener { echo } else { 1.0 };
                for n in 480..track.len() {
                    track[n] += gain * said[talker][n - 480];
                }
            }
            track
        };
        let people = ["alice", "bob", "carol", "dave"]
            .iter()
            .enumerate()
            .map(|(person, name)| Person {
                name: (*name).into(),
                color: [0x00d9_4f4f, 0x003f_7fd0, 0x0039_a06b, 0x00b0_70d0].map(Color::hex)[person],
                notes: vec!["+49 69 900 001".into()],
                said: said[person].clone(),
                heard: hears(person),
                stays: vec![(0.5, 13.5, usize::from(person == 3))],
                marks: vec![(0.5, "joined".into())],
            })
            .collect();
        let slot = |label: &str, from, to, talkers: &[usize]| Slot {
            label: label.into(),
            room: 0,
            from: seconds(from),
            to: seconds(to),
            talkers: talkers.into(),
            present: vec![0, 1, 2],
        };
        let tint = Color::hex(0x0033_66aa);
        Evidence {
            rooms: ["planning", "operations"].map(|name| Room { name: name.into(), tint }).into(),
            people,
            slots: vec![
                slot("alice", 1.0, 3.0, &[0]),
                slot("bob", 4.0, 6.0, &[1]),
                slot("carol", 7.0, 9.0, &[2]),
                slot("together", 10.0, 13.0, &[0, 1, 2]),
            ],
        }
    }

    #[test]
    fn everyone_hears_exactly_the_others() {
        let findings = meeting(0.0).examine();
        assert_eq!(findings.len(), 12);
        for finding in &findings {
            assert!(finding.is_right(), "{:?}", finding.faults);
        }
        let together = findings.last().unwrap();
        assert_eq!(together.wanted, [0, 1]);
    }

    #[test]
    fn an_echo_of_oneself_is_a_fault_of_everybody_who_talks() {
        let findings = meeting(1.0).examine();
        let wrong: Vec<&Finding> = findings.iter().filter(|finding| !finding.is_right()).collect();
        assert_eq!(wrong.len(), 6, "each alone and each in the together slot");
        assert!(wrong.iter().all(|finding| finding.faults[0].contains("their own voice")), "{wrong:#?}");
    }

    #[test]
    fn a_voice_from_the_next_room_is_a_fault() {
        let mut evidence = meeting(0.0);
        let dave = evidence.people[3].said.clone();
        for (heard, leak) in evidence.people[1].heard.iter_mut().zip(&dave) {
            *heard += leak;
        }
        let findings = evidence.examine();
        let wrong: Vec<&Finding> = findings.iter().filter(|finding| !finding.is_right()).collect();
        assert_eq!(wrong.len(), 1);
        assert!(
            wrong[0].faults[0].contains("bob heard dave, who should not be there"),
            "{:?}",
            wrong[0].faults
        );
    }

    #[test]
    fn a_listener_whose_line_is_dead_did_not_hear() {
        let mut evidence = meeting(0.0);
        evidence.people[2].heard.clear();
        let findings = evidence.examine();
        let faults: Vec<&String> = findings.iter().flat_map(|finding| &finding.faults).collect();
        assert_eq!(faults.len(), 4, "{faults:?}");
        assert!(faults[0].starts_with("carol did not hear alice"));
    }

    #[test]
    fn noise_under_the_talker_is_not_nothing() {
        let mut evidence = meeting(0.0);
        let hiss = speech(999, 14.0);
        for (heard, hiss) in evidence.people[0].heard.iter_mut().zip(&hiss) {
            *heard += hiss;
        }
        let faults: Vec<String> = evidence.examine().into_iter().flat_map(|finding| finding.faults).collect();
        assert!(faults.iter().any(|fault| fault.contains("should have heard silence")), "{faults:?}");
        assert!(faults.iter().any(|fault| fault.contains("nobody's voice")), "{faults:?}");
    }
}
