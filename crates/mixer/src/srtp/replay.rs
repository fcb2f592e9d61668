//! Where each stream is: the rollover counter (RFC 3711 section 3.3.1) and the replay window (section 3.3.2).

/// Packets that the replay window holds (RFC 3711 section 3.3.2 asks for 64 at least).
pub const WINDOW: u64 = 128;

/// Streams that are remembered per key and kind of packet. A leg has one; a peer that changes its SSRC in mid-call has another.
pub const STREAMS: usize = 4;

/// The last index of RTP: 32 bits of rollover counter, 16 of sequence number.
pub(super) const LAST_INDEX: u64 = (1 << 48) - 1;

/// The newest packet of a stream, and which of the [`WINDOW`] up to it were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    newest: u64,
    /// Bit n: the packet n before the newest.
    taken: u128,
}

impl Window {
    fn new(index: u64) -> Self {
        Self { newest: index, taken: 1 }
    }

    /// The index that a sequence number means: the one nearest to the newest (RFC 3711 section 3.3.1). `None` where that would
    /// lie before the first. It may lie behind the last one of the key.
    pub(super) fn index_of(self, sequence: u16) -> Option<u64> {
        let (newest, epoch) = (self.newest as u16, self.newest >> 16);
        let epoch = if newest < 0x8000 && sequence > newest && sequence - newest > 0x8000 {
            epoch.checked_sub(1)?
        } else if newest >= 0x8000 && newest - 0x8000 > sequence {
            epoch + 1
        } else {
            epoch
        };
        Some((epoch << 16) | u64::from(sequence))
    }

    /// True for a packet that may be taken: newer than all, or in the window and not taken yet.
    pub(super) fn is_fresh(self, index: u64) -> bool {
        match self.newest.checked_sub(index) {
            None => true,
            Some(behind) => behind < WINDOW && self.taken >> behind & 1 == 0,
        }
    }

    /// True for a packet newer than all.
    pub(super) fn is_newer(self, index: u64) -> bool {
        index > self.newest
    }

    fn take(&mut self, index: u64) {
        if let Some(behind) = self.newest.checked_sub(index) {
            self.taken |= 1_u128.checked_shl(behind as u32).unwrap_or(0);
        } else {
            let ahead = u32::try_from(index - self.newest).unwrap_or(u32::MAX);
            self.taken = self.taken.checked_shl(ahead).unwrap_or(0) | 1;
            self.newest = index;
        }
    }
}

/// The streams of one key. Only authentic packets get in: a stranger can neither add a stream nor push one out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Streams {
    streams: [Option<Stream>; STREAMS],
    taken: u64,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    ssrc: u32,
    window: Window,
    /// The value of `taken` at its last packet.
    last: u64,
}

impl Streams {
    /// Where a stream is; `None` for one that never was, or was forgotten.
    pub(super) fn window(&self, ssrc: u32) -> Option<Window> {
        self.streams.iter().flatten().find(|stream| stream.ssrc == ssrc).map(|stream| stream.window)
    }

    /// True when a further stream would push one out.
    pub(super) fn is_full(&self) -> bool {
        self.streams.iter().all(Option::is_some)
    }

    /// Notes an authentic packet. A new stream takes the place of the one that was silent for longest.
    pub(super) fn take(&mut self, ssrc: u32, index: u64) {
        self.taken += 1;
        let last = self.taken;
        if let Some(stream) = self.streams.iter_mut().flatten().find(|stream| stream.ssrc == ssrc) {
            stream.window.take(index);
            stream.last = last;
            return;
        }
        let place = self.streams.iter_mut().min_by_key(|place| place.map_or(0, |stream| stream.last));
        if let Some(place) = place {
            *place = Some(Stream { ssrc, window: Window::new(index), last });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_index_is_the_nearest_one_as_in_rfc_3711() {
        for (newest, sequence, expected) in [
            (0x0000_0000, 1, Some(1)),
            (0x0000_0000, 0x8000, Some(0x8000)), // half the way is ahead while the newest is in the lower half,
            (0x0000_0000, 0x8001, None),         // and before that there is nothing at rollover counter zero
            (0x0001_0000, 0x8001, Some(0x8001)),
            (0x0000_ffff, 0, Some(0x1_0000)),
            (0x0000_ffff, 0x7ffe, Some(0x1_7ffe)),
            (0x0000_ffff, 0x7fff, Some(0x7fff)), // half the way is behind while the newest is in the upper half
            (0x0001_0001, 0xffff, Some(0xffff)),
            (0x0005_1234, 0x1235, Some(0x5_1235)),
            (LAST_INDEX, 0xfffe, Some(LAST_INDEX - 1)),
            (LAST_INDEX, 0, Some(LAST_INDEX + 1)), // the key is used up
        ] {
            assert_eq!(Window::new(newest).index_of(sequence), expected, "{newest:#x} {sequence:#x}");
        }
    }

    proptest! {
        #[test]
        fn the_window_takes_each_packet_once(start in 0..1_000_u64, steps in prop::collection::vec(-200..200_i64, 1..300)) {
            let mut window = Window::new(start);
            let (mut taken, mut newest) = (HashSet::from([start]), start);
            for step in steps {
                let index = newest.saturating_add_signed(step);
                let expected = index > newest || (newest - index < WINDOW && !taken.contains(&index));
                prop_assert_eq!(window.is_fresh(index), expected, "{} after {}", index, newest);
                if expected {
                    window.take(index);
                    taken.insert(index);
                    newest = newest.max(index);
                }
            }
        }
    }

    #[test]
    fn a_leap_empties_the_window() {
        let mut window = Window::new(7);
        for leap in [1, 127, 128, 129, 1 << 32, LAST_INDEX] {
            window.take(leap);
            assert!(!window.is_fresh(leap));
            assert!(window.is_fresh(leap + 1));
        }
        assert!(window.is_fresh(LAST_INDEX - 127));
        assert!(!window.is_fresh(LAST_INDEX - 128));
    }

    #[test]
    fn the_stream_that_was_silent_for_longest_makes_room() {
        let mut streams = Streams::default();
        for ssrc in 1..=STREAMS as u32 {
            assert!(!streams.is_full());
            streams.take(ssrc, 10);
        }
        assert!(streams.is_full());
        streams.take(1, 11);
        streams.take(99, 5);
        assert_eq!(streams.window(2), None);
        assert_eq!(streams.window(99), Some(Window::new(5)));
        assert!(streams.window(1).is_some_and(|window| !window.is_fresh(10)));
    }
}
