//! The recorded voices of the demo, cut into turns.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, ensure};

use super::listening::RATE;

/// How long one turn may be.
const TURN: usize = RATE * 31 / 10;

/// What one person says alone, and what he says when all talk at once.
#[derive(Clone, Debug)]
pub struct Voice {
    /// His turn.
    pub alone: Arc<[i16]>,
    /// With the others.
    pub together: Arc<[i16]>,
}

impl Voice {
    /// Reads `<folder>/<name>.wav`: 8 kHz, mono, 16 bit, at least four seconds of speech.
    pub fn load(folder: &Path, name: &str) -> anyhow::Result<Self> {
        let path = folder.join(format!("{name}.wav"));
        let what = || {
            format!(
                "cannot use the voice {}: the demo needs one WAV for each person (8 kHz, mono, 16 bit); run it in the \
                 repository's root, or name its configuration with --config",
                path.display()
            )
        };
        let mut reader = hound::WavReader::open(&path).with_context(what)?;
        let spec = reader.spec();
        ensure!(
            (spec.sample_rate, spec.channels, spec.bits_per_sample) == (RATE as u32, 1, 16),
            "{} but it has {} Hz, {} channels, {} bit",
            what(),
            spec.sample_rate,
            spec.channels,
            spec.bits_per_sample
        );
        let samples: Vec<i16> = reader.samples().collect::<Result<_, _>>().with_context(what)?;
        ensure!(samples.len() >= 4 * RATE, "{} but it is shorter than four seconds", what());
        Ok(Self::cut(&samples))
    }

    /// Two turns of about the same length, cut where it is quietest near the middle.
    fn cut(samples: &[i16]) -> Self {
        let middle = (samples.len() / 2).min(TURN);
        let span = RATE / 100;
        let loudness =
            |at: &usize| samples[*at..at + span].iter().map(|s| u64::from(s.unsigned_abs())).sum::<u64>();
        let candidates = (middle - RATE / 3..middle).step_by(span / 2);
        let at = candidates.min_by_key(loudness).unwrap_or(middle);
        let rest = &samples[at..];
        Self { alone: samples[..at].into(), together: rest[..rest.len().min(TURN)].into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cut_falls_into_the_pause() {
        let mut samples = vec![5000_i16; 46_400];
        samples[22_600..23_000].fill(0);
        let voice = Voice::cut(&samples);
        assert!((22_600..23_000).contains(&voice.alone.len()), "{}", voice.alone.len());
        assert_eq!(voice.alone.len() + voice.together.len(), samples.len());
    }

    #[test]
    fn the_committed_voices_can_be_used() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/demo/voices");
        for name in ["alice", "bob", "carol", "dave", "erin"] {
            let voice = Voice::load(&folder, name).unwrap();
            assert!(voice.alone.len() > 2 * RATE && voice.together.len() > 2 * RATE, "{name}");
        }
    }

    #[test]
    fn a_missing_voice_says_what_to_do() {
        let error = Voice::load(Path::new("/nowhere"), "zoe").unwrap_err();
        assert!(format!("{error:#}").contains("--config"), "{error:#}");
    }
}
