//! Prompts and tones, decoded once and kept at every rate, so that playing one is no more than reading it.

use std::sync::Arc;

use crate::resample::resample;
use crate::units::Rate;

/// One prompt or tone, or several played without a gap. Made outside the tick; cheap to put together from others.
#[derive(Clone, Default)]
pub struct Sound {
    parts: Vec<Arc<Recording>>,
}

/// The same sound at every rate, each filled up with silence to whole frames.
struct Recording {
    frames: usize,
    pcm: [Vec<i16>; Rate::ALL.len()],
}

impl Sound {
    /// A sound from linear PCM at `rate`, with versions for the other rates; the last frame is filled up with silence. Not for
    /// the tick: it allocates and calculates for long.
    pub fn new(rate: Rate, samples: &[i16]) -> Self {
        let frames = samples.len().div_ceil(rate.frame());
        let pcm = Rate::ALL.map(|to| {
            let mut pcm = resample(samples, rate, to);
            pcm.resize(frames * to.frame(), 0);
            pcm
        });
        Self { parts: vec![Arc::new(Recording { frames, pcm })] }
    }

    /// One after the other without a gap; the samples are shared, not copied.
    pub fn sequence<'a>(sounds: impl IntoIterator<Item = &'a Self>) -> Self {
        Self { parts: sounds.into_iter().flat_map(|sound| sound.parts.iter().cloned()).collect() }
    }

    /// How many frames it lasts.
    pub fn frames(&self) -> usize {
        self.parts.iter().map(|part| part.frames).sum()
    }

    /// The `n`th 20 ms of it at `rate`: [`Rate::frame`] samples, or `None` when it has ended before.
    pub fn frame(&self, rate: Rate, mut n: usize) -> Option<&[i16]> {
        let part = self.parts.iter().find(|part| {
            let here = n < part.frames;
            n -= if here { 0 } else { part.frames };
            here
        })?;
        part.pcm[rate.index()].chunks_exact(rate.frame()).nth(n)
    }
}

impl std::fmt::Debug for Sound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sound({} frames)", self.frames())
    }
}

/// A sound to play. Whoever made it keeps a second `Arc` or gets this one back in a report, so that the last reference is never
/// dropped on a media thread.
#[derive(Clone, Debug)]
pub struct Clip {
    /// The caller's own number for it; it comes back when the clip has ended.
    pub token: u64,
    /// What is played.
    pub sound: Arc<Sound>,
}

impl Clip {
    /// A clip of its own from linear PCM at `rate`.
    pub fn from_pcm(token: u64, rate: Rate, pcm: &[i16]) -> Self {
        Self { token, sound: Arc::new(Sound::new(rate, pcm)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_is_filled_up_with_silence_and_as_long_at_every_rate() {
        let sound = Sound::new(Rate::Narrow, &[500; 161]);
        assert_eq!(sound.frames(), 2);
        for rate in Rate::ALL {
            assert_eq!(sound.frame(rate, 1).expect("the second frame").len(), rate.frame());
            assert!(sound.frame(rate, 2).is_none());
        }
        assert_eq!(sound.frame(Rate::Narrow, 0), Some(&[500; 160][..]));
        let last = sound.frame(Rate::Narrow, 1).expect("the second frame");
        assert_eq!((last[0], last[1]), (500, 0));
    }

    #[test]
    fn a_sequence_plays_its_parts_without_a_gap() {
        let sounds = [1, 2, 3].map(|value| Sound::new(Rate::Narrow, &[value; 320][..value as usize * 100]));
        let sequence = Sound::sequence(&sounds);
        let first = |n| sequence.frame(Rate::Narrow, n).map(|frame| frame[0]);
        assert_eq!(
            (0..6).map(first).collect::<Vec<_>>(),
            [Some(1), Some(2), Some(2), Some(3), Some(3), None]
        );
        assert_eq!(sequence.frames(), 5);
        assert_eq!(Sound::sequence(&[]).frame(Rate::Full, 0), None);
    }
}
