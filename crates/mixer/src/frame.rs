//! One 20 ms block of linear PCM at the conference's rate, and prompts made of such blocks.

use std::sync::Arc;
use std::time::Duration;

/// Samples in a [`Frame`]: 20 ms at 8 kHz.
pub const FRAME: usize = 160;

/// The time one [`Frame`] lasts, and the time between two ticks.
pub const TICK: Duration = Duration::from_millis(20);

/// 20 ms of mono linear PCM: 160 samples of 16 bit at 8 kHz.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(align(32))]
pub struct Frame(pub [i16; FRAME]);

impl Frame {
    /// Nothing to hear.
    pub const SILENCE: Self = Self([0; FRAME]);

    /// Mean absolute sample value, 0..=32768: the loudness measure of talker selection.
    pub fn mean_abs(&self) -> u16 {
        let sum: u32 = self.0.iter().map(|&sample| u32::from(sample.unsigned_abs())).sum();
        (sum / FRAME as u32) as u16
    }
}

impl Default for Frame {
    fn default() -> Self {
        Self::SILENCE
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame(mean_abs {})", self.mean_abs())
    }
}

/// A prompt or a tone, decoded once and shared: whoever made it keeps a second `Arc` or gets this one back in a report, so
/// that the last reference is never dropped on a media thread.
#[derive(Clone, Debug)]
pub struct Clip {
    /// The caller's own number for it; it comes back when the clip has ended.
    pub token: u64,
    /// The sound, 20 ms a frame, at 8 kHz.
    pub frames: Arc<[Frame]>,
}

impl Clip {
    /// A clip from linear PCM at 8 kHz; the last frame is filled up with silence.
    pub fn from_pcm(token: u64, pcm: &[i16]) -> Self {
        let frames = pcm
            .chunks(FRAME)
            .map(|chunk| {
                let mut frame = Frame::SILENCE;
                frame.0.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
                frame
            })
            .collect();
        Self { token, frames }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_from_pcm_is_filled_up_with_silence() {
        let clip = Clip::from_pcm(7, &[5; FRAME + 1]);
        assert_eq!(clip.frames.len(), 2);
        assert_eq!(clip.frames[0], Frame([5; FRAME]));
        assert_eq!((clip.frames[1].0[0], clip.frames[1].0[1]), (5, 0));
    }

    #[test]
    fn the_loudest_possible_frame_does_not_overflow_the_level() {
        assert_eq!(Frame([i16::MIN; FRAME]).mean_abs(), 32_768);
    }
}
