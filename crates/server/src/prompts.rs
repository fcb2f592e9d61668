//! The recordings that callers hear: a folder of WAV files, decoded once at start.

use std::collections::{HashMap, HashSet};
use std::f64::consts::PI;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bridge::PromptId;
use mixer::{Clip, Frame};

/// Samples per second of a decoded prompt.
const RATE: u32 = 8000;

/// Every prompt and tone as frames of 20 ms at 8 kHz.
#[derive(Debug)]
pub struct Prompts {
    clips: HashMap<PromptId, Arc<[Frame]>>,
    entry: Arc<[Frame]>,
    exit: Arc<[Frame]>,
}

/// Why the prompts could not be loaded; every missing or unusable file at once.
#[derive(Debug, thiserror::Error)]
#[error("prompts in {}: {}", folder.display(), problems.join("; "))]
pub struct PromptError {
    folder: PathBuf,
    problems: Vec<String>,
}

impl Prompts {
    /// Loads `<stem>.wav` for every prompt from `folder`: mono, 16 bit, 8, 16 or 48 kHz. A `map` file (TOML,
    /// `stem = ["file", ...]`, paths relative to the folder and without the `.wav`) may name other files, played
    /// one after the other; stems that it leaves out are looked for as `<stem>.wav`.
    pub fn load(folder: &Path, map: Option<&Path>) -> Result<Self, PromptError> {
        let mut problems = Vec::new();
        if map.is_none() && !folder.is_dir() {
            problems.push("there is no such folder; expected one with a WAV for each prompt".to_owned());
            return Err(PromptError { folder: folder.to_owned(), problems });
        }
        let names = match map.map(read_map).transpose() {
            Ok(names) => names.unwrap_or_default(),
            Err(problem) => {
                problems.push(problem);
                HashMap::new()
            }
        };
        // A name that is spelled wrong would be passed over in silence, and the caller hear what the site meant to replace.
        let known: HashSet<&str> = PromptId::ALL.into_iter().map(PromptId::stem).collect();
        let mut strange: Vec<&String> = names.keys().filter(|name| !known.contains(name.as_str())).collect();
        strange.sort();
        problems.extend(strange.into_iter().map(|name| format!("`{name}` in the prompt map is no prompt")));
        let mut clips = HashMap::new();
        for prompt in PromptId::ALL {
            let own = vec![prompt.stem().to_owned()];
            let files = names.get(prompt.stem()).unwrap_or(&own);
            let mut samples = Vec::new();
            for file in files {
                match read_wav(&folder.join(format!("{file}.wav"))) {
                    Ok(more) => samples.extend(more),
                    Err(problem) => problems.push(problem),
                }
            }
            clips.insert(prompt, to_frames(&samples));
        }
        if problems.is_empty() {
            Ok(Self {
                clips,
                entry: tone(&[(660.0, 0.09), (880.0, 0.12)]),
                exit: tone(&[(880.0, 0.09), (660.0, 0.12)]),
            })
        } else {
            Err(PromptError { folder: folder.to_owned(), problems })
        }
    }

    /// Silent stand-ins of 200 ms each, for simulations in which nobody listens to the words.
    pub fn silent() -> Self {
        let clip: Arc<[Frame]> = vec![Frame::SILENCE; 10].into();
        let clips = PromptId::ALL.into_iter().map(|prompt| (prompt, Arc::clone(&clip))).collect();
        Self { clips, entry: tone(&[(660.0, 0.2)]), exit: tone(&[(880.0, 0.2)]) }
    }

    /// The frames of a sequence of prompts, played without a gap.
    pub fn sequence(&self, prompts: &[PromptId]) -> Arc<[Frame]> {
        if let [one] = prompts {
            return self.clips.get(one).map(Arc::clone).unwrap_or_default();
        }
        prompts
            .iter()
            .filter_map(|prompt| self.clips.get(prompt))
            .flat_map(|clip| clip.iter().copied())
            .collect()
    }

    /// The tone that says somebody came or went.
    pub fn tone(&self, tone: bridge::Tone) -> Arc<[Frame]> {
        match tone {
            bridge::Tone::Entry => Arc::clone(&self.entry),
            bridge::Tone::Exit => Arc::clone(&self.exit),
        }
    }
}

fn read_map(path: &Path) -> Result<HashMap<String, Vec<String>>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn read_wav(path: &Path) -> Result<Vec<i16>, String> {
    let wrong = |what: String| {
        format!("{}: {what}; expected mono 16-bit WAV at 8000, 16000 or 48000 Hz", path.display())
    };
    let mut reader = hound::WavReader::open(path).map_err(|error| wrong(error.to_string()))?;
    let spec = reader.spec();
    if spec.channels != 1 || spec.bits_per_sample != 16 || spec.sample_format != hound::SampleFormat::Int {
        return Err(wrong(format!("{} channels of {} bit", spec.channels, spec.bits_per_sample)));
    }
    let samples: Vec<i16> =
        reader.samples().collect::<Result<_, _>>().map_err(|error| wrong(error.to_string()))?;
    match spec.sample_rate {
        RATE => Ok(samples),
        16_000 | 48_000 => Ok(mixer::decimate(&samples, (spec.sample_rate / RATE) as usize)),
        other => Err(wrong(format!("{other} Hz"))),
    }
}

fn to_frames(samples: &[i16]) -> Arc<[Frame]> {
    Clip::from_pcm(0, samples).frames
}

/// Pure tones one after the other, each `(hertz, seconds)`, with short ramps so that nothing clicks.
fn tone(parts: &[(f64, f64)]) -> Arc<[Frame]> {
    let mut samples = Vec::new();
    for &(hertz, seconds) in parts {
        let count = (seconds * f64::from(RATE)) as usize;
        samples.extend((0..count).map(|n| {
            let ramp = (n.min(count - n) as f64 / 80.0).min(1.0);
            (4000.0 * ramp * (2.0 * PI * hertz * n as f64 / f64::from(RATE)).sin()) as i16
        }));
    }
    to_frames(&samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_recording_is_named_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let error = Prompts::load(folder.path(), None).unwrap_err();
        assert_eq!(error.problems.len(), PromptId::ALL.len());
        assert!(error.to_string().contains("expected mono 16-bit WAV"));
    }

    #[test]
    fn a_missing_folder_is_one_problem_and_not_one_for_each_recording() {
        let error = Prompts::load(Path::new("nowhere"), None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "prompts in nowhere: there is no such folder; expected one with a WAV for each prompt"
        );
    }

    #[test]
    fn a_name_in_the_map_that_is_no_prompt_is_refused() {
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/prompts");
        let folder = tempfile::tempdir().unwrap();
        let map = folder.path().join("map.toml");
        std::fs::write(&map, "goodby = [\"goodbye\"]\n").unwrap();
        let error = Prompts::load(&config.join("en-US"), Some(&map)).unwrap_err();
        assert_eq!(error.problems, ["`goodby` in the prompt map is no prompt"]);
    }
}
