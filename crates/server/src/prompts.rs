//! The recordings that callers hear: a folder of WAV files, decoded once at start.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::f64::consts::PI;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bridge::PromptId;
use mixer::{Rate, Sound};
use routing::Language;

use crate::config::Media;

/// A telephone that rings, by the tone of most of the world. Short, as its end may meet the callee's first word.
const RING_BACK: [(f64, f64); 1] = [(425.0, 0.6)];

/// After it a caller says his name: a beep, as an answering machine's.
const NAME: [(f64, f64); 1] = [(950.0, 0.25)];

/// One language's recordings.
type Clips = HashMap<PromptId, Arc<Sound>>;

/// Every prompt and tone, at every sample rate.
#[derive(Debug)]
pub struct Prompts {
    clips: Clips,
    /// What numbers speak that do not speak the bridge's own language.
    packs: BTreeMap<Language, Clips>,
    entry: Arc<Sound>,
    exit: Arc<Sound>,
    ring_back: Arc<Sound>,
    name: Arc<Sound>,
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
        Self::load_beside(folder, map, None)
    }

    /// The same for a further language, which may leave the music to the bridge's own.
    fn load_beside(folder: &Path, map: Option<&Path>, own: Option<&Clips>) -> Result<Self, PromptError> {
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
            if let (PromptId::HoldMusic, Some(own)) = (prompt, own)
                && !folder.join(format!("{}.wav", prompt.stem())).exists()
            {
                clips.extend(own.get(&prompt).map(|music| (prompt, Arc::clone(music))));
                continue;
            }
            let own = vec![prompt.stem().to_owned()];
            let files = names.get(prompt.stem()).unwrap_or(&own);
            let mut sounds = Vec::new();
            for file in files {
                match read_wav(&folder.join(format!("{file}.wav"))) {
                    Ok(sound) => sounds.push(sound),
                    Err(problem) => problems.push(problem),
                }
            }
            clips.insert(prompt, Arc::new(Sound::sequence(&sounds)));
        }
        if problems.is_empty() {
            Ok(Self {
                clips,
                packs: BTreeMap::new(),
                entry: tone(&[(660.0, 0.09), (880.0, 0.12)]),
                exit: tone(&[(880.0, 0.09), (660.0, 0.12)]),
                ring_back: tone(&RING_BACK),
                name: tone(&NAME),
            })
        } else {
            Err(PromptError { folder: folder.to_owned(), problems })
        }
    }

    /// Everything that a configuration names: its own prompts, and those of each further language.
    pub fn of(media: &Media) -> Result<Self, PromptError> {
        let (folder, map) = &media.prompts;
        let mut own = Self::load(folder, map.as_deref())?;
        for (language, folder) in &media.prompt_packs {
            let clips = Self::load_beside(folder, None, Some(&own.clips))?.clips;
            own.packs.insert(language.clone(), clips);
        }
        Ok(own)
    }

    /// Silent stand-ins of 200 ms each, for simulations in which nobody listens to the words.
    pub fn silent() -> Self {
        let clip = Arc::new(Sound::new(Rate::Narrow, &[0; 10 * mixer::FRAME]));
        let clips = PromptId::ALL.into_iter().map(|prompt| (prompt, Arc::clone(&clip))).collect();
        Self {
            clips,
            packs: BTreeMap::new(),
            entry: tone(&[(660.0, 0.2)]),
            exit: tone(&[(880.0, 0.2)]),
            ring_back: tone(&RING_BACK),
            name: tone(&NAME),
        }
    }

    /// A sequence of prompts, played without a gap; without a language, or in one that has no pack, in the bridge's own.
    pub fn sequence(&self, prompts: &[PromptId], language: Option<&Language>) -> Arc<Sound> {
        let all = language.and_then(|language| self.packs.get(language)).unwrap_or(&self.clips);
        if let [one] = prompts {
            return all.get(one).map(Arc::clone).unwrap_or_default();
        }
        let clips = prompts.iter().filter_map(|prompt| all.get(prompt));
        Arc::new(Sound::sequence(clips.map(|clip| &**clip)))
    }

    /// The tone that says somebody came or went.
    pub fn tone(&self, tone: bridge::Tone) -> Arc<Sound> {
        match tone {
            bridge::Tone::Entry => Arc::clone(&self.entry),
            bridge::Tone::Exit => Arc::clone(&self.exit),
            bridge::Tone::RingBack => Arc::clone(&self.ring_back),
            bridge::Tone::Name => Arc::clone(&self.name),
        }
    }
}

fn read_map(path: &Path) -> Result<HashMap<String, Vec<String>>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn read_wav(path: &Path) -> Result<Sound, String> {
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
    let rate = Rate::ALL.into_iter().find(|rate| rate.hz() == spec.sample_rate);
    let rate = rate.ok_or_else(|| wrong(format!("{} Hz", spec.sample_rate)))?;
    Ok(Sound::new(rate, &samples))
}

/// Pure tones one after the other, each `(hertz, seconds)`, with short ramps so that nothing clicks.
fn tone(parts: &[(f64, f64)]) -> Arc<Sound> {
    let rate = f64::from(Rate::Full.hz());
    let mut samples = Vec::new();
    for &(hertz, seconds) in parts {
        let count = (seconds * rate) as usize;
        samples.extend((0..count).map(|n| {
            let ramp = (n.min(count - n) as f64 / (0.01 * rate)).min(1.0);
            (4000.0 * ramp * (2.0 * PI * hertz * n as f64 / rate).sin()) as i16
        }));
    }
    Arc::new(Sound::new(Rate::Full, &samples))
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
