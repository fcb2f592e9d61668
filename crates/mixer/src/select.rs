//! Who is heard: loudness with hangover, the loudest few, and ramps so that nobody comes or goes with a click.

use crate::frame::Frame;

/// Mean absolute sample value from which a frame counts as sound: about -60 dBm0, below the noise of a good line.
const THRESHOLD: u16 = 24;

/// Ticks that a talker stays active after the last sound: 400 ms, so that word ends and pauses are not cut.
const HANGOVER: u8 = 20;

/// Samples over which a talker fades in or out: 5 ms.
const RAMP: usize = 40;

/// How one leg sounds over time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Voice {
    /// Mean absolute sample value, rising at once, falling by an eighth per tick.
    level: u16,
    hangover: u8,
    heard: bool,
}

impl Voice {
    /// Below this level a frame does not count as sound.
    pub(crate) const THRESHOLD: u16 = THRESHOLD;

    /// Takes the frame of this tick into account.
    pub(crate) fn listen(&mut self, frame: &Frame) {
        let now = frame.mean_abs();
        self.level = now.max(self.level - self.level.div_ceil(8));
        self.hangover = if now >= THRESHOLD { HANGOVER } else { self.hangover.saturating_sub(1) };
    }

    /// How loud it is.
    pub(crate) fn level(self) -> u16 {
        self.level
    }

    /// True from the first sound until the hangover ends.
    pub(crate) fn is_active(self) -> bool {
        self.hangover > 0
    }

    /// Its weight in the choice: who is heard stays heard unless someone is louder by half.
    pub(crate) fn weight(self) -> u32 {
        let level = u32::from(self.level);
        if self.heard { level + level / 2 + u32::from(THRESHOLD) } else { level }
    }

    /// Shapes the frame by whether it was chosen for this tick; false when nothing of it is left to mix.
    pub(crate) fn shape(&mut self, chosen: bool, frame: &mut Frame) -> bool {
        let before = std::mem::replace(&mut self.heard, chosen);
        match (before, chosen) {
            (true, true) => {}
            (false, true) => ramp(frame.samples_mut(), |n| n),
            (true, false) => {
                ramp(frame.samples_mut(), |n| RAMP as i32 - 1 - n);
                frame.samples_mut()[RAMP..].fill(0);
            }
            (false, false) => return false,
        }
        true
    }

    /// In a new conference nobody has heard it yet.
    pub(crate) fn unheard(&mut self) {
        self.heard = false;
    }
}

fn ramp(samples: &mut [i16], gain: impl Fn(i32) -> i32) {
    for (n, sample) in samples.iter_mut().take(RAMP).enumerate() {
        *sample = (i32::from(*sample) * gain(n as i32) / RAMP as i32) as i16;
    }
}

/// The loudest few of a tick; its memory is fixed.
#[derive(Debug)]
pub(crate) struct Ranking {
    best: Vec<(u32, usize)>,
    places: usize,
}

impl Ranking {
    /// For `places` talkers.
    pub(crate) fn new(places: usize) -> Self {
        Self { best: Vec::with_capacity(places + 1), places }
    }

    pub(crate) fn clear(&mut self) {
        self.best.clear();
    }

    /// Someone who may be heard, by number; of equals the first one stays.
    pub(crate) fn add(&mut self, weight: u32, seat: usize) {
        if self.best.len() == self.places && self.best.last().is_none_or(|(least, _)| *least >= weight) {
            return;
        }
        let place = self.best.partition_point(|(other, _)| *other >= weight);
        self.best.insert(place, (weight, seat));
        self.best.truncate(self.places);
    }

    /// True when `seat` is among the chosen.
    pub(crate) fn chose(&self, seat: usize) -> bool {
        self.best.iter().any(|(_, chosen)| *chosen == seat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FRAME;

    #[test]
    fn the_loudest_are_chosen_and_of_equals_the_first() {
        let mut ranking = Ranking::new(3);
        for (seat, weight) in [10, 50, 10, 90, 50, 50].into_iter().enumerate() {
            ranking.add(weight, seat);
        }
        assert_eq!((0..6).filter(|seat| ranking.chose(*seat)).collect::<Vec<_>>(), [1, 3, 4]);
        ranking.clear();
        assert!(!ranking.chose(3));
        let mut nobody = Ranking::new(0);
        nobody.add(1, 1);
        assert!(!nobody.chose(1));
    }

    #[test]
    fn a_talker_stays_active_through_400_ms_of_silence() {
        let mut voice = Voice::default();
        voice.listen(&Frame::default());
        assert!(!voice.is_active());
        voice.listen(&Frame::constant(1_000));
        let active = (0..40).take_while(|_| {
            voice.listen(&Frame::default());
            voice.is_active()
        });
        assert_eq!(active.count(), 19);
    }

    #[test]
    fn who_is_heard_is_replaced_only_by_someone_clearly_louder() {
        let (mut heard, mut other) = (Voice::default(), Voice::default());
        heard.listen(&Frame::constant(1_000));
        heard.shape(true, &mut Frame::constant(1_000));
        other.listen(&Frame::constant(1_400));
        assert!(heard.weight() > other.weight());
        other.listen(&Frame::constant(1_600));
        assert!(heard.weight() < other.weight());
    }

    #[test]
    fn nobody_comes_or_goes_with_a_click() {
        let mut voice = Voice::default();
        let mut played: Vec<i16> = Vec::new();
        for chosen in [true, true, false, false] {
            let mut frame = Frame::constant(8_000);
            if !voice.shape(chosen, &mut frame) {
                frame = Frame::default();
            }
            played.extend(frame.samples());
        }
        let largest = played.windows(2).map(|pair| (pair[1] - pair[0]).abs()).max();
        assert!(largest <= Some(200), "{largest:?}");
        assert_eq!((played[FRAME], played[3 * FRAME]), (8_000, 0));
    }
}
