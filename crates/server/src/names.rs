//! What a caller said as his name: from what was tapped to what is played. It is never written anywhere.

use std::sync::Arc;

use bridge::SpokenName;
use mixer::frame::TICK;
use mixer::resample::Resampler;
use mixer::{Rate, Sound, Tapped};
use rtrb::Consumer;
use tokio::sync::OwnedSemaphorePermit;

/// What names are kept at; [`Sound`] has the other rates.
const RATE: Rate = Rate::Wide;
/// Less is a cough, or the line's noise.
const SHORTEST: usize = 10;
/// Frames whose loudest sample is below are silence: -40 dBFS.
const SILENCE: u16 = 328;
/// Silence that stays at each end, so that no letter is cut: 60 ms.
const KEPT: usize = 3;
/// Where the loudest sample of a name is brought to: as loud as a prompt's, -6 dBFS.
const PEAK: f32 = 16_384.0;
/// No line is raised by more: 12 dB.
const MOST_GAIN: f32 = 4.0;

/// A name in memory, and its place among those that may be kept.
struct Kept {
    sound: Sound,
    _place: Option<OwnedSemaphorePermit>,
}

/// The name in what was tapped, without the silence around it; `None` where nobody said anything. `place` is given back when nobody
/// needs the name any more. It takes some milliseconds: not for control's loop.
pub fn spoken(mut frames: Consumer<Tapped>, place: Option<OwnedSemaphorePermit>) -> Option<SpokenName> {
    let mut resampler = Resampler::new(Rate::Narrow, RATE);
    let mut pcm: Vec<i16> = Vec::new();
    while let Ok(tapped) = frames.pop() {
        if resampler.from() != tapped.frame.rate() {
            resampler = Resampler::new(tapped.frame.rate(), RATE);
        }
        let mut out = [0; RATE.frame()];
        resampler.frame(tapped.frame.samples(), &mut out);
        pcm.extend(out);
    }
    let loud: Vec<bool> = pcm.chunks(RATE.frame()).map(|frame| peak(frame) > SILENCE).collect();
    let (first, last) = (loud.iter().position(|loud| *loud)?, loud.iter().rposition(|loud| *loud)?);
    if loud.iter().filter(|loud| **loud).count() < SHORTEST {
        return None;
    }
    let (first, end) = (first.saturating_sub(KEPT), (last + 1 + KEPT).min(loud.len()));
    let name = &mut pcm[first * RATE.frame()..end * RATE.frame()];
    let gain = (PEAK / f32::from(peak(name).max(1))).min(MOST_GAIN);
    let edge = RATE.frame() / 2;
    let length = name.len();
    for (n, sample) in name.iter_mut().enumerate() {
        // It begins and ends without a click.
        let fade = (n.min(length - 1 - n) as f32 / edge as f32).min(1.0);
        *sample = (f32::from(*sample) * gain * fade) as i16;
    }
    let sound = Sound::new(RATE, name);
    let lasts = TICK * sound.frames() as u32;
    Some(SpokenName::new(Arc::new(Kept { sound, _place: place }), lasts))
}

/// What is played of a name.
pub fn sound_of(name: &SpokenName) -> Option<&Sound> {
    name.sound().downcast_ref().map(|kept: &Kept| &kept.sound)
}

fn peak(pcm: &[i16]) -> u16 {
    pcm.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use mixer::frame::Frame;
    use rtrb::RingBuffer;

    use super::*;

    /// As loud as these, one frame each.
    fn tapped(levels: &[i16]) -> Consumer<Tapped> {
        let (mut taps, frames) = RingBuffer::new(levels.len());
        for (number, level) in (0..).zip(levels) {
            let mut frame = Frame::silence(Rate::Narrow);
            for (n, sample) in frame.samples_mut().iter_mut().enumerate() {
                *sample = if n % 8 < 4 { *level } else { -*level };
            }
            taps.push(Tapped { number, part: 0, frame }).expect("room");
        }
        frames
    }

    #[test]
    fn a_name_is_without_the_silence_around_it_and_as_loud_as_a_prompt() {
        let levels = [vec![0; 40], vec![6000; 30], vec![0; 20], vec![6000; 10], vec![20; 60]].concat();
        let name = spoken(tapped(&levels), None).expect("a name");
        let sound = sound_of(&name).expect("a sound");
        // The resampler's filter rings on for a frame at most.
        assert!(
            (30 + 20 + 10 + 2 * KEPT..=30 + 20 + 10 + 2 * KEPT + 2).contains(&sound.frames()),
            "{sound:?}"
        );
        let middle = sound.frame(RATE, 20).expect("a frame");
        assert!((14_000..=16_384).contains(&peak(middle)), "{}", peak(middle));
        assert_eq!(sound.frame(RATE, 0).map(|frame| frame[0]), Some(0));
    }

    #[test]
    fn a_quiet_line_is_raised_by_12_decibels_at_most_and_silence_is_no_name() {
        let name = spoken(tapped(&[500; 50]), None).expect("a name");
        let middle = sound_of(&name).and_then(|sound| sound.frame(RATE, 20)).map(peak);
        assert!(middle.is_some_and(|peak| (1500..3200).contains(&peak)), "{middle:?}");
        for nothing in [&[0; 100][..], &[200; 100], &[6000; 5], &[]] {
            assert!(spoken(tapped(nothing), None).is_none(), "{} frames", nothing.len());
        }
    }

    #[test]
    fn a_name_gives_its_place_back_when_nobody_needs_it() {
        let places = Arc::new(tokio::sync::Semaphore::new(1));
        let place = Arc::clone(&places).try_acquire_owned().ok();
        let name = spoken(tapped(&[500; 50]), place).expect("a name");
        assert_eq!(places.available_permits(), 0);
        drop(name.clone());
        assert_eq!(places.available_permits(), 0);
        drop(name);
        assert_eq!(places.available_permits(), 1);
    }
}
