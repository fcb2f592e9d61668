//! Prompts that can be told apart: each is a pair of tones of its own, so that a phone knows what was said to it.

use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bridge::PromptId;
use server::prompts::Prompts;

use crate::ear::{Ear, Packet, goertzel};

/// What the bridge plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// Two tones for each prompt.
    Marked,
    /// The recordings that are committed.
    Recorded,
}

/// How long a marked prompt is, in ticks of 20 ms.
pub const TICKS: usize = 15;
/// Each of the two tones of a prompt is louder than a phone.
const AMPLITUDE: f64 = 5000.0;
/// Louder than any phone, so that phones' tones are no prompt.
const PROMPT: f64 = 3700.0;
/// So many tones there are, 200 Hz apart, and no phone's among them.
const TONES: usize = 15;

/// The two frequencies of a prompt: as with the keys of a telephone, a pair says more than a tone.
fn tones_of(number: usize) -> [u32; 2] {
    let pairs = (0..TONES).flat_map(|high| (0..high).map(move |low| [low, high]));
    let pair = pairs.into_iter().nth(number).expect("fewer prompts than pairs of tones");
    pair.map(|tone| 350 + 200 * tone as u32)
}

/// All prompts as tones, through the server's own loader.
pub(crate) fn marked() -> Arc<Prompts> {
    static MARKED: OnceLock<Arc<Prompts>> = OnceLock::new();
    let load = || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (number, prompt) in PromptId::ALL.into_iter().enumerate() {
            let spec = hound::WavSpec {
                channels: 1,
                sample_rate: 8000,
                bits_per_sample: 16,
                sample_format: hound::SampleFormat::Int,
            };
            let path = folder.path().join(format!("{}.wav", prompt.stem()));
            let mut file = hound::WavWriter::create(path, spec).expect("a WAV file");
            for at in 0..TICKS * 160 {
                let tone = |hertz: u32| (std::f64::consts::TAU * f64::from(hertz) * at as f64 / 8000.0).sin();
                let [low, high] = tones_of(number).map(tone);
                file.write_sample((AMPLITUDE * (low + high)) as i16).expect("a sample");
            }
            file.finalize().expect("the end of a WAV file");
        }
        Arc::new(Prompts::load(folder.path(), None).expect("marked prompts load"))
    };
    Arc::clone(MARKED.get_or_init(load))
}

impl Ear {
    /// How loud a tone is during `when` in the packets that carry no prompt.
    pub fn level_beside_prompts(&self, frequency: u32, when: &Range<Duration>) -> f64 {
        let packets = self.packets.iter().filter(|packet| prompt_in(packet).is_none());
        Self { packets: packets.cloned().collect(), ..Self::default() }.level(frequency, when)
    }

    /// The prompts that were heard during `when`, in order; one that was cut off counts.
    pub fn prompts(&self, when: &Range<Duration>) -> Vec<PromptId> {
        let mut heard: Vec<(PromptId, usize)> = Vec::new();
        let mut last = None;
        for packet in self.packets.iter().filter(|packet| when.contains(&packet.at)) {
            let now = prompt_in(packet);
            match (now, heard.last_mut()) {
                (Some(prompt), Some((before, ticks))) if last == Some(prompt) && *before == prompt => {
                    *ticks += 1;
                }
                (Some(prompt), _) => heard.push((prompt, 1)),
                (None, _) => {}
            }
            last = now;
        }
        // The same prompt twice in a row, a digit say, is one long tone.
        heard
            .into_iter()
            .flat_map(|(prompt, ticks)| std::iter::repeat_n(prompt, ((ticks + TICKS / 2) / TICKS).max(1)))
            .collect()
    }
}

fn prompt_in(packet: &Packet) -> Option<PromptId> {
    let loud = packet.pcm.iter().any(|sample| sample.unsigned_abs() > 4500);
    let found = |(number, prompt): (usize, PromptId)| {
        let is_loud = |tone: u32| goertzel(&packet.pcm, tone, packet.rate()) > PROMPT;
        tones_of(number).into_iter().all(is_loud).then_some(prompt)
    };
    if loud { PromptId::ALL.into_iter().enumerate().find_map(found) } else { None }
}
