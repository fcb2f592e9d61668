//! A tap: what is said in a conference, handed to whoever records it. The mixer never waits for him.

use std::time::Instant;

use rtrb::{Consumer, Producer, RingBuffer};

use crate::frame::{Frame, TICK};
use crate::limiter::Limiter;
use crate::rest::Rest;
use crate::units::Rate;

/// 20 ms of a conference's mix.
#[derive(Debug)]
pub struct Tapped {
    /// Its place in time, in ticks since the tap was set. A number that is missing was never mixed, or found no room in the
    /// ring: it stands for 20 ms all the same.
    pub number: u64,
    /// How often the tap had paused before it. The numbers go on over a pause as if there had been none.
    pub part: u32,
    /// All that is heard in the conference.
    pub frame: Frame,
}

/// The mixer's end of a tap.
#[derive(Debug)]
pub struct Tap {
    ring: Producer<Tapped>,
    first: Option<Instant>,
    /// The number of the frame at `first`.
    base: u64,
    /// The number that follows the last one.
    next: u64,
    part: u32,
    paused: bool,
    /// Those who listen to it later hear loud voices together as well as those who were there.
    limiter: Limiter,
}

impl Tap {
    /// A tap with room for so many frames, and the other end.
    pub fn new(frames: usize) -> (Box<Self>, Consumer<Tapped>) {
        let (ring, other_end) = RingBuffer::new(frames);
        let limiter = Limiter::new(Rate::default());
        let tap = Self { ring, first: None, base: 0, next: 0, part: 0, paused: false, limiter };
        (Box::new(tap), other_end)
    }

    /// From the next tick on nothing is handed out, or all again. What follows a pause is the next part.
    pub(crate) fn pause(&mut self, paused: bool) {
        if std::mem::replace(&mut self.paused, paused) && !paused {
            self.part += 1;
            self.base = self.next;
            self.first = None;
        }
    }

    /// The sum of the tick at `now`, at `rate`; dropped when the ring is full, or during a pause.
    pub(crate) fn take(&mut self, now: Instant, rate: Rate, sum: &[i32]) {
        if self.paused {
            return;
        }
        let since = now.saturating_duration_since(*self.first.get_or_insert(now)) + TICK / 2;
        let number = self.base + (since.as_nanos() / TICK.as_nanos()) as u64;
        self.next = number + 1;
        let mut rest = Rest::nothing();
        if rate != self.limiter.rate() {
            rest.drain_at(&mut self.limiter, rate);
            self.limiter.change_rate(rate);
        }
        let mut frame = Frame::silence(rate);
        self.limiter.run(sum, frame.samples_mut());
        rest.add_to(frame.samples_mut());
        if let Ok(place) = self.ring.write_chunk_uninit(1) {
            place.fill_from_iter([Tapped { number, part: self.part, frame }]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_drops_frames_and_the_numbers_of_the_rest_keep_the_time() {
        let start = crate::testing::epoch();
        let (mut tap, mut other_end) = Tap::new(2);
        let mut numbers = Vec::new();
        for (n, read) in [(0, false), (1, false), (2, false), (3, true), (6, true)] {
            tap.take(start + TICK * n, Rate::Narrow, &[n as i32; 160]);
            while read && let Ok(tapped) = other_end.pop() {
                numbers.push((tapped.number, tapped.frame.samples()[159]));
            }
        }
        // 2 and 3 found no room; 4 and 5 never were.
        assert_eq!(numbers, [(0, 0), (1, 1), (6, 6)]);
    }

    #[test]
    fn nothing_is_handed_out_in_a_pause_and_the_numbers_go_on_after_it() {
        let start = crate::testing::epoch();
        let (mut tap, mut other_end) = Tap::new(9);
        for n in 0..10_i16 {
            match n {
                2 => tap.pause(true),
                6 | 7 => tap.pause(false),
                _ => {}
            }
            tap.take(start + TICK * u32::from(n.unsigned_abs()), Rate::Narrow, &[i32::from(n); 160]);
        }
        let frames = std::iter::from_fn(|| other_end.pop().ok());
        let told: Vec<_> =
            frames.map(|tapped| (tapped.number, tapped.part, tapped.frame.samples()[159])).collect();
        let (before, after) = ([(0, 0, 0), (1, 0, 1)], [(2, 1, 6), (3, 1, 7), (4, 1, 8), (5, 1, 9)]);
        assert_eq!(told, [&before[..], &after].concat());
    }

    #[test]
    fn another_rate_goes_on_from_what_was_there() {
        let start = crate::testing::epoch();
        for (from, to) in [(Rate::Narrow, Rate::Wide), (Rate::Full, Rate::Narrow), (Rate::Wide, Rate::Full)] {
            let (mut tap, mut other_end) = Tap::new(4);
            tap.take(start, from, &vec![8_000; from.frame()]);
            tap.take(start + TICK, to, &vec![0; to.frame()]);
            let (before, after) = (other_end.pop().expect("one"), other_end.pop().expect("two"));
            assert_eq!(before.frame.samples().last(), Some(&8_000));
            let pcm = after.frame.samples();
            // It fades out within 2 ms.
            let step = 8_000 / i16::try_from(Limiter::delay(from.min(to))).expect("a few") + 1;
            assert!(
                8_000 - pcm[0] <= step && pcm[pcm.len() / 8..].iter().all(|sample| *sample == 0),
                "{from:?} to {to:?}"
            );
            assert!(
                pcm.windows(2).all(|pair| (0..=step).contains(&(pair[0] - pair[1]))),
                "{from:?} to {to:?}"
            );
        }
    }

    #[test]
    fn loud_voices_together_are_not_cut_off_at_any_rate() {
        let start = crate::testing::epoch();
        let (mut tap, mut other_end) = Tap::new(150);
        for n in 0..150 {
            let rate = Rate::ALL[n as usize / 50];
            let turn = std::f64::consts::TAU * 440.0 / f64::from(rate.hz());
            let sum: Vec<i32> =
                (0..rate.frame()).map(|n| ((turn * n as f64).sin() * 60_000.0) as i32).collect();
            tap.take(start + TICK * n, rate, &sum);
        }
        let frames: Vec<_> = std::iter::from_fn(|| other_end.pop().ok()).map(|tapped| tapped.frame).collect();
        for (settled, rate) in frames.chunks(50).map(|frames| &frames[10..]).zip(Rate::ALL) {
            let samples = || settled.iter().flat_map(Frame::samples).map(|sample| f64::from(*sample));
            let peak = samples().fold(0.0, |peak, sample| sample.abs().max(peak));
            let power = samples().map(|sample| sample * sample).sum::<f64>() / samples().count() as f64;
            // A sine's peak is 1.41 times its root mean square; cut off at half its height it would be 1.15 times.
            let crest = peak / power.sqrt();
            assert!((1.38..1.45).contains(&crest), "{rate:?}: {crest}");
        }
    }
}
