//! A tap: what is said in a conference, handed to whoever records it. The mixer never waits for him.

use std::time::Instant;

use rtrb::{Consumer, Producer, RingBuffer};

use crate::frame::{Frame, TICK};
use crate::units::Rate;

/// 20 ms of a conference's mix.
#[derive(Debug)]
pub struct Tapped {
    /// Its place in time, in ticks since the tap was set. A number that is missing was never mixed, or found no room in the
    /// ring: it stands for 20 ms all the same.
    pub number: u64,
    /// All that is heard in the conference.
    pub frame: Frame,
}

/// The mixer's end of a tap.
#[derive(Debug)]
pub struct Tap {
    ring: Producer<Tapped>,
    first: Option<Instant>,
}

impl Tap {
    /// A tap with room for so many frames, and the other end.
    pub fn new(frames: usize) -> (Box<Self>, Consumer<Tapped>) {
        let (ring, other_end) = RingBuffer::new(frames);
        (Box::new(Self { ring, first: None }), other_end)
    }

    /// The mix of the tick at `now`, which `fill` makes; dropped when the ring is full.
    pub(crate) fn take(&mut self, now: Instant, fill: impl FnOnce(&mut Frame)) {
        let since = now.saturating_duration_since(*self.first.get_or_insert(now)) + TICK / 2;
        let number = (since.as_nanos() / TICK.as_nanos()) as u64;
        if let Ok(place) = self.ring.write_chunk_uninit(1) {
            let mut frame = Frame::silence(Rate::Narrow);
            fill(&mut frame);
            place.fill_from_iter([Tapped { number, frame }]);
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
            tap.take(start + TICK * n, |frame| frame.samples_mut()[0] = n as i16);
            while read && let Ok(tapped) = other_end.pop() {
                numbers.push((tapped.number, tapped.frame.samples()[0]));
            }
        }
        // 2 and 3 found no room; 4 and 5 never were.
        assert_eq!(numbers, [(0, 0), (1, 1), (6, 6)]);
    }
}
