//! The evidence as a timeline: what each person said, and what he heard in the colors of those whom the measurement found.

use super::{
    evidence::{Evidence, Finding, Person},
    listening::RATE,
};
use crate::plot::{
    Timeline,
    timeline::{Column, Lane, SlotBand},
};

/// Samples in one column of the picture: 20 ms.
const STEP: usize = RATE / 50;

/// The timeline of everything that was measured.
pub fn timeline(evidence: &Evidence, findings: &[Finding], title: &str, subtitle: &str) -> Timeline {
    let end =
        evidence.people.iter().map(|person| person.said.len().max(person.heard.len())).max().unwrap_or(0);
    // A little air behind the last sound, for what is written there.
    let to = Evidence::seconds(end) + 1.5;
    Timeline {
        title: title.into(),
        subtitle: subtitle.into(),
        from: 0.0,
        to,
        step: Evidence::seconds(STEP),
        rooms: evidence.rooms.iter().map(|room| (room.name.clone(), room.tint)).collect(),
        slots: evidence
            .slots
            .iter()
            .map(|slot| SlotBand {
                from: Evidence::seconds(slot.from),
                to: Evidence::seconds(slot.to),
                room: slot.room,
                label: slot.label.clone(),
            })
            .collect(),
        lanes: (0..evidence.people.len()).map(|person| lane(evidence, findings, person)).collect(),
    }
}

fn lane(evidence: &Evidence, findings: &[Finding], index: usize) -> Lane {
    let person = &evidence.people[index];
    let own: Vec<&Finding> = findings.iter().filter(|finding| finding.listener == index).collect();
    Lane {
        name: person.name.clone(),
        notes: person.notes.clone(),
        color: person.color,
        said: person.said.chunks(STEP).map(peak).collect(),
        heard: heard(evidence, &own, person),
        stays: person.stays.clone(),
        marks: person.marks.clone(),
        right: own.iter().all(|finding| finding.is_right()),
        verdict: verdict(evidence, &own, index),
    }
}

fn heard(evidence: &Evidence, own: &[&Finding], person: &Person) -> Vec<Column> {
    let column = |(number, samples): (usize, &[f32])| {
        let start = number * STEP;
        let finding = own.iter().find(|finding| {
            let slot = &evidence.slots[finding.slot];
            // What was said at the very end of a slot arrives a little after it.
            (slot.from..slot.to + RATE / 4).contains(&start)
        });
        let shares = finding.map_or(Vec::new(), |finding| shares(evidence, finding, start, samples));
        Column { peak: peak(samples), shares }
    };
    person.heard.chunks(STEP).enumerate().map(column).collect()
}

/// Each voice's share of the energy in one column, by its measured coefficient and delay.
fn shares(evidence: &Evidence, finding: &Finding, start: usize, samples: &[f32]) -> Vec<f32> {
    let energies: Vec<f32> = finding
        .ear
        .voices
        .iter()
        .zip(&evidence.people)
        .map(|(voice, person)| {
            let Some(delay) = voice.delay_ms.filter(|_| voice.gain > 0.2) else { return 0.0 };
            let from = start.saturating_sub((delay * RATE as f32 / 1000.0) as usize);
            let said =
                person.said.get(from..(from + samples.len()).min(person.said.len())).unwrap_or_default();
            voice.gain * voice.gain * energy(said)
        })
        .collect();
    let explained: f32 = energies.iter().sum();
    // A clean slot is all voices; in an unclean one the rest shows.
    let clean = finding.ear.rest_dbfs < finding.ear.level_dbfs - 8.0;
    let whole = if clean { explained } else { explained.max(energy(samples)) };
    energies.iter().map(|energy| if whole > 0.0 { energy / whole } else { 0.0 }).collect()
}

fn verdict(evidence: &Evidence, own: &[&Finding], index: usize) -> Vec<String> {
    let names = |people: &mut dyn Iterator<Item = usize>| {
        let mut people: Vec<usize> = people.collect();
        people.sort_unstable();
        people.dedup();
        let names: Vec<&str> = people.iter().map(|&person| evidence.people[person].name.as_str()).collect();
        names.join(", ")
    };
    let found = |voice: usize| own.iter().any(|finding| finding.ear.voices[voice].is_there());
    let heard = names(&mut (0..evidence.people.len()).filter(|&voice| voice != index && found(voice)));
    let missed = names(&mut own.iter().flat_map(|finding| {
        finding.wanted.iter().copied().filter(|&voice| !finding.ear.voices[voice].is_there())
    }));
    let right = own.iter().all(|finding| finding.is_right());
    let mut lines = vec![if right { "exactly the others" } else { "not as it should be" }.to_owned()];
    lines.push(if heard.is_empty() { "heard nobody".into() } else { format!("heard {heard}") });
    if !missed.is_empty() {
        lines.push(format!("missed {missed}"));
    }
    let own_echo = own.iter().map(|finding| finding.ear.voices[index].gain.abs()).fold(0.0, f32::max);
    let echo = own.iter().any(|finding| {
        let voice = &finding.ear.voices[index];
        voice.windows > 0 && !voice.is_absent()
    });
    lines.push(format!("own voice {}{own_echo:.2}", if echo { "HEARD: " } else { "absent: " }));
    let delays: Vec<f32> =
        own.iter().flat_map(|finding| finding.ear.voices.iter().filter_map(|voice| voice.delay_ms)).collect();
    if let Some(longest) = delays.iter().copied().reduce(f32::max) {
        let shortest = delays.iter().copied().fold(longest, f32::min);
        lines.push(format!("mouth to ear {shortest:.0}-{longest:.0} ms"));
    }
    lines
}

fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |peak, sample| peak.max(sample.abs()))
}

fn energy(samples: &[f32]) -> f32 {
    samples.iter().map(|sample| sample * sample).sum()
}

#[cfg(test)]
mod tests {
    use super::super::evidence::tests::meeting;
    use super::*;

    fn picture(echo: f32) -> Timeline {
        let evidence = meeting(echo);
        timeline(&evidence, &evidence.examine(), "A meeting", "generated")
    }

    /// Voices drawn into a lane between two seconds, by energy share.
    fn drawn(timeline: &Timeline, lane: usize, from: f32, to: f32) -> Vec<bool> {
        let index = |second: f32| (second / timeline.step) as usize;
        let columns = &timeline.lanes[lane].heard[index(from)..index(to)];
        (0..timeline.lanes.len())
            .map(|voice| {
                columns.iter().any(|column| column.shares.get(voice).is_some_and(|share| *share > 0.3))
            })
            .collect()
    }

    #[test]
    fn each_stretch_is_painted_with_whom_was_heard_in_it() {
        let timeline = picture(0.0);
        assert_eq!(drawn(&timeline, 0, 1.2, 3.0), [false; 4], "alice hears nobody while she talks");
        assert_eq!(drawn(&timeline, 0, 4.2, 6.0), [false, true, false, false]);
        assert_eq!(drawn(&timeline, 0, 10.2, 13.0), [false, true, true, false]);
        assert_eq!(timeline.lanes[0].verdict[..2], ["exactly the others", "heard bob, carol"]);
        assert!(timeline.lanes[..3].iter().all(|lane| lane.right));
    }

    #[test]
    fn an_echo_shows_in_the_own_color_and_in_words() {
        let timeline = picture(1.0);
        assert_eq!(drawn(&timeline, 0, 1.2, 3.0), [true, false, false, false]);
        assert!(!timeline.lanes[0].right);
        assert!(timeline.lanes[0].verdict.iter().any(|line| line.starts_with("own voice HEARD")));
    }
}
