//! What to play when nothing arrived: the last frame again, forwards and backwards by turns so that the wave stays continuous,
//! fading out within 60 ms.

use crate::frame::{FRAME, Frame};
use crate::units::Rate;

/// Gain at the start of each concealed frame, and the end of the last one, in 1/256.
const FADE: [i32; 4] = [256, 192, 96, 0];

/// Samples over which the first real frame after a gap takes over.
const CROSSFADE: usize = 32;

#[derive(Debug, Default)]
pub(crate) struct Conceal {
    last: Frame,
    /// Frames concealed since the last good one; from `FADE.len() - 1` on there is silence.
    age: usize,
}

impl Conceal {
    /// A real frame is about to be played; after a gap its first 4 ms are blended with what was played instead.
    pub(crate) fn good(&mut self, frame: &mut Frame) {
        if self.age > 0 {
            let mut continued = Frame::default();
            self.conceal(&mut continued);
            let fade = continued.samples().iter().zip(frame.samples_mut()).take(CROSSFADE).enumerate();
            for (n, (old, new)) in fade {
                let n = n as i32;
                *new = ((i32::from(*old) * (CROSSFADE as i32 - n) + i32::from(*new) * n) / CROSSFADE as i32)
                    as i16;
            }
        }
        self.last.copy_from(frame);
        self.age = 0;
    }

    /// The next frame of a gap.
    pub(crate) fn conceal(&mut self, frame: &mut Frame) {
        let (Some(&from), Some(&to)) = (FADE.get(self.age), FADE.get(self.age + 1)) else {
            frame.reset(Rate::Narrow);
            return;
        };
        for n in 0..FRAME {
            let gain = from + (to - from) * n as i32 / FRAME as i32;
            let source = if self.age.is_multiple_of(2) { FRAME - 1 - n } else { n };
            frame.samples_mut()[n] = ((i32::from(self.last.samples()[source]) * gain) >> 8) as i16;
        }
        self.age += 1;
    }

    /// The sender paused on purpose (comfort noise, a digit): nothing is to be repeated.
    pub(crate) fn mute(&mut self) {
        self.age = FADE.len();
        self.last.reset(Rate::Narrow);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp() -> Frame {
        let mut frame = Frame::default();
        frame.samples_mut().iter_mut().enumerate().for_each(|(n, sample)| *sample = 1_000 + n as i16 * 10);
        frame
    }

    #[test]
    fn a_gap_is_filled_continuously_and_fades_to_silence_within_60_ms() {
        let mut conceal = Conceal::default();
        conceal.good(&mut ramp());
        let mut played = ramp().samples().to_vec();
        for _ in 0..4 {
            let mut frame = Frame::default();
            conceal.conceal(&mut frame);
            played.extend(frame.samples());
        }
        let largest_step = played.windows(2).map(|pair| (pair[1] - pair[0]).abs()).max();
        assert!(largest_step <= Some(25), "{largest_step:?}");
        assert!(played[FRAME * 4..].iter().all(|sample| *sample == 0));
    }

    #[test]
    fn the_first_frame_after_a_gap_takes_over_without_a_step() {
        let mut conceal = Conceal::default();
        conceal.good(&mut Frame::constant(8_000));
        let mut gap = Frame::default();
        conceal.conceal(&mut gap);
        let mut next = Frame::constant(-8_000);
        conceal.good(&mut next);
        assert!((gap.samples()[FRAME - 1] - next.samples()[0]).abs() < 200);
        assert_eq!(next.samples()[CROSSFADE], -8_000);
    }

    #[test]
    fn after_a_pause_on_purpose_nothing_is_repeated() {
        let mut conceal = Conceal::default();
        conceal.good(&mut ramp());
        conceal.mute();
        let mut frame = ramp();
        conceal.conceal(&mut frame);
        assert_eq!(frame, Frame::default());
    }
}
