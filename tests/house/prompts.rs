//! The recordings that are committed are the ones that the bridge asks for, and say what its texts say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bridge::PromptId;

fn prompts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/prompts")
}

#[test]
fn every_text_of_the_bridge_is_the_text_that_was_recorded() {
    let written = std::fs::read_to_string(prompts().join("en-US/prompts.toml")).expect("prompts.toml");
    let mut recorded: Vec<_> =
        written.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    let mut expected: Vec<_> =
        PromptId::ALL.iter().map(|prompt| format!("{} = \"{}\"", prompt.stem(), prompt.text())).collect();
    recorded.sort_unstable();
    expected.sort_unstable();
    assert_eq!(recorded, expected, "after a change here run scripts/prompts.sh, which makes the WAVs");
}

/// The languages that are committed.
const LANGUAGES: [&str; 5] = ["en-US", "de-DE", "fr-FR", "it-IT", "es-ES"];

#[test]
fn every_language_says_all_that_the_others_say_and_nothing_twice() {
    let stems: BTreeSet<&str> = PromptId::ALL.into_iter().map(PromptId::stem).collect();
    for language in LANGUAGES {
        let written =
            std::fs::read_to_string(prompts().join(language).join("prompts.toml")).expect("prompts.toml");
        let table: toml::Table = written.parse().expect("a table");
        let mut says: BTreeSet<&str> = table.keys().map(String::as_str).collect();
        if language != "en-US" {
            says.insert(PromptId::HoldMusic.stem());
        }
        assert_eq!(says, stems, "{language}");
        // A sentence that was not translated.
        if language != "en-US" {
            for prompt in PromptId::ALL.into_iter().filter(|prompt| prompt.text().contains(' ')) {
                assert_ne!(
                    table[prompt.stem()].as_str(),
                    Some(prompt.text()),
                    "{language}: {}",
                    prompt.stem()
                );
            }
        }
    }
}

#[test]
fn every_prompt_has_a_recording_that_is_neither_too_loud_nor_cut() {
    let all = LANGUAGES.into_iter().flat_map(|language| PromptId::ALL.map(|prompt| (language, prompt)));
    // Music needs no translation.
    let all = all.filter(|(language, prompt)| *language == "en-US" || *prompt != PromptId::HoldMusic);
    for (language, prompt) in all {
        let path = prompts().join(language).join(format!("{}.wav", prompt.stem()));
        let mut wav = hound::WavReader::open(&path).unwrap_or_else(|why| {
            panic!(
                "{}: {why}; add its text to prompts.toml and run scripts/prompts.sh {language}",
                path.display()
            )
        });
        let spec = wav.spec();
        assert_eq!(
            (spec.channels, spec.bits_per_sample, spec.sample_rate),
            (1, 16, 16_000),
            "{language} {prompt:?}"
        );
        let samples: Vec<i16> = wav.samples().collect::<Result<_, _>>().expect("samples");
        let peak = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
        assert!((3000..23_200).contains(&peak), "{language} {prompt:?}: peak {peak}, -3 dBFS is 23197");
        let (first, last) = (samples.first().copied(), samples.last().copied());
        assert_eq!((first, last), (Some(0), Some(0)), "{language} {prompt:?} begins or ends with a click");
    }
}

#[test]
fn the_map_to_asterisk_names_only_prompts_and_files_that_exist() {
    let path = prompts().join("asterisk-en.toml");
    let map = std::fs::read_to_string(&path).expect("asterisk-en.toml");
    let lines = map.lines().filter(|line| !line.starts_with('#'));
    let entries: Vec<_> = lines.filter_map(|line| line.split_once(" = ")).collect();
    assert!(entries.len() > 10, "{entries:?}");
    for (stem, files) in entries {
        assert!(PromptId::ALL.iter().any(|prompt| prompt.stem() == stem), "no prompt is called {stem}");
        assert!(files.contains("/en_US_f_Allison/") && !files.contains(".wav"), "{stem}: {files}");
    }
    // The pack itself is not ours to require: where it is installed, the bridge must be able to load it.
    if Path::new("/usr/share/asterisk/sounds/en_US_f_Allison").exists() {
        server::prompts::Prompts::load(&prompts().join("en-US"), Some(&path)).expect("the pack loads");
    }
}
