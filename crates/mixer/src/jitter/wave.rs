//! The sound of one leg around the moment of playout: what was played last, and what is decoded and comes next.

use crate::ahead;
use crate::units::Rate;
use crate::waste::Waste;

/// Linear PCM in one piece of fixed memory: history, then what is ahead.
pub(super) struct Wave {
    pcm: Box<[i16]>,
    rate: Rate,
    /// The memory in milliseconds, and how much of it may be kept as history.
    span: (usize, usize),
    /// Milliseconds of history that are kept when room is made.
    kept: u16,
    /// The first sample that is ahead.
    at: usize,
    /// Behind the last sample.
    end: usize,
    /// Samples before the end that are known to be silence.
    hush: u32,
    /// All of the memory is: on a leg that says nothing it is neither read nor written.
    blank: bool,
}

impl std::fmt::Debug for Wave {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Wave({} samples ahead at {} Hz)", self.ahead(), self.rate.hz())
    }
}

impl Wave {
    /// Silence as history, nothing ahead. The memory is for the highest rate that may come.
    pub(super) fn new(highest: Rate, rate: Rate, history_ms: usize, ahead_ms: usize) -> Self {
        let span = (history_ms + ahead_ms, history_ms);
        let pcm = vec![0; span.0 * millisecond(highest)].into_boxed_slice();
        let at = history_ms * millisecond(rate);
        Self { pcm, rate, span, kept: history_ms as u16, at, end: at, hush: 0, blank: true }
    }

    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.pcm)
    }

    /// Memory for a higher rate, or for more ahead; never less than before.
    pub(super) fn grow(&mut self, highest: Rate, ahead_ms: usize, waste: &mut Waste) {
        let span = (self.span.1 + ahead_ms).max(self.span.0);
        let needed = span * millisecond(highest);
        if needed > self.pcm.len() {
            let mut pcm = vec![0; needed].into_boxed_slice();
            pcm[..self.end].copy_from_slice(&self.pcm[..self.end]);
            waste.replace(&mut self.pcm, pcm);
        }
        // Only as much as the memory holds at every rate that has come so far.
        self.span.0 = span;
    }

    /// See [`crate::ahead`]: where the next frame comes.
    pub(super) fn fetch(&self) {
        if !self.blank {
            ahead::fetch_front(&self.pcm[self.end..], 2 * self.rate.frame());
        }
    }

    /// Samples per second.
    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// Samples that are decoded and not played.
    pub(super) fn ahead(&self) -> usize {
        self.end - self.at
    }

    /// Samples that can still be appended.
    pub(super) fn room(&self) -> usize {
        (self.span.0 - self.span.1) * millisecond(self.rate) - self.ahead()
    }

    /// The samples ahead.
    pub(super) fn next(&self) -> &[i16] {
        &self.pcm[self.at..self.end]
    }

    /// The `count` samples before what is ahead, or fewer where there is no memory of them.
    pub(super) fn played(&self, count: usize) -> &[i16] {
        &self.pcm[self.at.saturating_sub(count)..self.at]
    }

    /// Everything up to the end: history and what is ahead.
    pub(super) fn all(&self) -> &[i16] {
        &self.pcm[..self.end]
    }

    /// From now on so much history is kept, in milliseconds, but not more than there is memory for: the less, the less often it is
    /// moved.
    pub(super) fn keep(&mut self, milliseconds: usize) {
        self.kept = milliseconds.min(self.span.1) as u16;
    }

    /// Everything up to the end, to change it.
    pub(super) fn all_mut(&mut self) -> &mut [i16] {
        self.sounds();
        &mut self.pcm[..self.end]
    }

    /// Where in everything that which is ahead begins.
    pub(super) fn begin(&self) -> usize {
        self.at
    }

    /// Appends what `fill` writes into room for `count` samples; `fill` says how many it wrote. `count` is at most
    /// [`Wave::room`].
    pub(super) fn append<T>(&mut self, count: usize, fill: impl FnOnce(&mut [i16]) -> (usize, T)) -> T {
        self.sounds();
        self.make_room(count);
        let room = &mut self.pcm[self.end..][..count];
        let (filled, answer) = fill(room);
        self.end += filled.min(count);
        answer
    }

    /// Appends silence: at most [`Wave::room`] samples.
    pub(super) fn append_silence(&mut self, count: usize) {
        self.make_room(count);
        if !self.blank {
            self.pcm[self.end..][..count].fill(0);
        }
        self.end += count;
        self.hush = self.hush.saturating_add(count as u32);
    }

    /// Plays `count` samples, at most as many as are ahead: they are history from now on.
    pub(super) fn play(&mut self, count: usize) {
        self.at = (self.at + count).min(self.end);
    }

    /// Takes `count` samples out, from `from` samples ahead on.
    pub(super) fn remove(&mut self, from: usize, count: usize) {
        let from = (self.at + from).min(self.end);
        let to = (from + count).min(self.end);
        self.pcm.copy_within(to..self.end, from);
        self.end -= to - from;
        self.hush = self.hush.saturating_sub((to - from) as u32);
    }

    /// Opens a hole of `count` samples in front of what is ahead, whose content is to be written next; false without room.
    pub(super) fn insert(&mut self, count: usize) -> bool {
        if self.room() < count {
            return false;
        }
        self.sounds();
        self.make_room(count);
        self.pcm.copy_within(self.at..self.end, self.at + count);
        self.end += count;
        true
    }

    /// Converts everything to another rate, for a sender that changes its codec in mid-stream. Interpolation by a cubic through four
    /// samples: it is about a few milliseconds, once.
    pub(super) fn change_rate(&mut self, rate: Rate) {
        let (old, new) = (millisecond(self.rate), millisecond(rate));
        if old == new {
            return;
        }
        self.sounds();
        let history = self.span.1 * new;
        let ahead = (self.ahead() * new / old).min((self.span.0 - self.span.1) * new);
        // In place, from the front: what is read must never be behind what is written, so a lower rate moves to the back first.
        let base = if new > old { self.pcm.len() - self.end } else { 0 };
        self.pcm.copy_within(..self.end, base);
        for n in 0..history + ahead {
            let place = (n as i64 - history as i64) * old as i64;
            let (whole, part) = (place.div_euclid(new as i64), place.rem_euclid(new as i64));
            let sample = |k: i64| {
                let k = (self.at as i64 + k).clamp(0, self.end as i64 - 1);
                f32::from(self.pcm[(base + k as usize).max(n)]) // never one that was written already
            };
            let four = [whole - 1, whole, whole + 1, whole + 2].map(sample);
            self.pcm[n] = cubic(four, part as f32 / new as f32);
        }
        (self.rate, self.at, self.end) = (rate, history, history + ahead);
    }

    /// Moves history to the front when `count` more samples would not fit behind.
    fn make_room(&mut self, count: usize) {
        let memory = self.span.0 * millisecond(self.rate);
        if self.end + count > memory {
            let from = self.at.saturating_sub(usize::from(self.kept) * millisecond(self.rate));
            if (self.hush as usize) < self.end - from {
                self.pcm.copy_within(from..self.end, 0);
            } else if !self.blank {
                self.pcm.fill(0);
                self.blank = true;
            }
            self.at -= from;
            self.end -= from;
        }
    }

    /// What is in the memory is not known to be silence any more.
    fn sounds(&mut self) {
        self.hush = 0;
        self.blank = false;
    }
}

/// The value `part` of the way from the second of four samples to the third (Catmull and Rom's spline).
fn cubic([a, b, c, d]: [f32; 4], part: f32) -> i16 {
    let curve = 2.0 * a - 5.0 * b + 4.0 * c - d + part * (3.0 * (b - c) + d - a);
    (b + 0.5 * part * (c - a + part * curve)) as i16
}

/// Samples in a millisecond.
pub(super) const fn millisecond(rate: Rate) -> usize {
    rate.hz() as usize / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_is_played_in_order_through_many_turns_of_the_memory() {
        let mut wave = Wave::new(Rate::Narrow, Rate::Narrow, 50, 60);
        let mut played = Vec::new();
        for n in 0..100_i16 {
            wave.append(160, |room| {
                room.fill(n);
                (160, ())
            });
            if n > 0 {
                played.extend_from_slice(&wave.next()[..160]);
                wave.play(160);
                assert_eq!(wave.played(400).len(), 400);
            }
        }
        assert!(played.chunks(160).enumerate().all(|(n, chunk)| chunk.iter().all(|&s| s == n as i16)));
        assert_eq!((wave.ahead(), wave.room()), (160, 320));
    }

    #[test]
    fn silence_is_written_until_there_is_nothing_else_and_sound_after_it_is_whole() {
        let mut wave = Wave::new(Rate::Narrow, Rate::Narrow, 50, 60);
        wave.keep(20);
        for round in 1..4 {
            for _ in 0..4 {
                wave.append(160, |room| {
                    room.fill(round);
                    (160, ())
                });
                wave.play(160);
            }
            assert!(!wave.blank);
            let mut written = 0;
            while !wave.blank {
                wave.append_silence(160);
                assert!(wave.next().iter().all(|&sample| sample == 0));
                wave.play(160);
                written += 160;
            }
            assert!(written <= 2 * wave.pcm.len(), "{written}");
            (0..50).for_each(|_| {
                wave.append_silence(160);
                wave.play(160);
            });
            assert!(wave.blank && wave.all().iter().all(|&sample| sample == 0));
        }
    }

    #[test]
    fn samples_are_taken_out_and_put_in_ahead_and_history_stays() {
        let mut wave = Wave::new(Rate::Narrow, Rate::Narrow, 10, 20);
        wave.append(6, |room| {
            room.copy_from_slice(&[1, 2, 3, 4, 5, 6]);
            (6, ())
        });
        wave.play(1);
        wave.remove(1, 2);
        assert_eq!(wave.next(), [2, 5, 6]);
        assert!(wave.insert(2));
        assert_eq!((wave.ahead(), &wave.next()[2..]), (5, &[2, 5, 6][..]));
        assert_eq!(wave.played(1), [1]);
        assert!(!wave.insert(161));
    }

    #[test]
    fn a_change_of_rate_keeps_the_sound() {
        for (from, to) in [(Rate::Narrow, Rate::Wide), (Rate::Wide, Rate::Narrow), (Rate::Narrow, Rate::Full)]
        {
            let mut wave = Wave::new(Rate::Full, from, 50, 60);
            let ramp = |n: usize| (n * 8 / millisecond(from)) as i16;
            wave.append(from.frame() * 3, |room| {
                room.iter_mut().enumerate().for_each(|(n, sample)| *sample = ramp(n));
                (room.len(), ())
            });
            wave.play(from.frame() * 2);
            wave.change_rate(to);
            assert_eq!((wave.ahead(), wave.rate()), (to.frame(), to));
            let middle = wave.next()[to.frame() / 2];
            assert!((middle - 400).abs() <= 2, "{middle}");
            assert!((wave.played(to.frame())[0] - 160).abs() <= 2);
        }
    }
}
