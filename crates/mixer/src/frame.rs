//! One 20 ms block of linear PCM.

use std::time::Duration;

use crate::units::{MAX_FRAME, Rate};

/// Samples in a [`Frame`] at 8 kHz.
pub const FRAME: usize = Rate::Narrow.frame();

/// The time one [`Frame`] lasts, and the time between two ticks.
pub const TICK: Duration = Duration::from_millis(20);

/// 20 ms of mono linear PCM of 16 bit at any [`Rate`]. The memory is that of the highest rate, but only the samples in use are
/// ever copied.
#[repr(align(32))]
pub struct Frame {
    samples: [i16; MAX_FRAME],
    rate: Rate,
}

impl Frame {
    /// Nothing to hear.
    pub const fn silence(rate: Rate) -> Self {
        Self { samples: [0; MAX_FRAME], rate }
    }

    /// Samples per second.
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// The samples, as many as [`Rate::frame`] says.
    pub fn samples(&self) -> &[i16] {
        &self.samples[..self.rate.frame()]
    }

    /// The samples, to change them.
    pub fn samples_mut(&mut self) -> &mut [i16] {
        &mut self.samples[..self.rate.frame()]
    }

    /// Silence, at whatever rate from now on.
    pub fn reset(&mut self, rate: Rate) {
        self.rate = rate;
        self.samples_mut().fill(0);
    }

    /// Another rate, without the cost of [`Frame::reset`]; what the samples are is for the caller to say next.
    pub fn set_rate(&mut self, rate: Rate) {
        self.rate = rate;
    }

    /// Makes this frame the same as `other`.
    pub fn copy_from(&mut self, other: &Self) {
        self.rate = other.rate;
        self.samples_mut().copy_from_slice(other.samples());
    }

    /// Mean absolute sample value, 0..=32768: the loudness measure of talker selection.
    pub fn mean_abs(&self) -> u16 {
        let samples = self.samples();
        let sum: u32 = samples.iter().map(|&sample| u32::from(sample.unsigned_abs())).sum();
        (sum / samples.len() as u32) as u16
    }
}

impl Clone for Frame {
    fn clone(&self) -> Self {
        let mut copy = Self::silence(self.rate);
        copy.copy_from(self);
        copy
    }
}

impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.rate == other.rate && self.samples() == other.samples()
    }
}

impl Eq for Frame {}

impl Default for Frame {
    fn default() -> Self {
        Self::silence(Rate::default())
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({} Hz, mean_abs {})", self.rate.hz(), self.mean_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loudest_possible_frame_does_not_overflow_the_level() {
        for rate in Rate::ALL {
            let mut frame = Frame::silence(rate);
            frame.samples_mut().fill(i16::MIN);
            assert_eq!(frame.mean_abs(), 32_768);
        }
    }

    #[test]
    fn a_frame_is_as_long_as_its_rate_says_and_only_that_counts() {
        let mut frame = Frame::silence(Rate::Full);
        frame.samples_mut().fill(7);
        frame.set_rate(Rate::Wide);
        let mut other = Frame::silence(Rate::Wide);
        assert_ne!(frame, other);
        other.samples_mut().fill(7);
        assert_eq!(
            (frame.samples().len(), &frame),
            (320, &other),
            "what lies beyond the rate is not looked at"
        );
        frame.reset(Rate::Narrow);
        assert_eq!(frame, Frame::default());
        assert_eq!(frame.clone(), frame);
    }
}
