//! Whether somebody speaks: loudness against the noise of the line, with hangover, and the weight in the choice of who is heard.

/// Mean absolute sample value below which nothing counts as sound: about -57 dBm0, the noise of a good line.
const QUIETEST: u16 = 20;

/// Mean absolute sample value from which everything counts as sound, however steady: about -29 dBm0. A steady tone must not be
/// taken for noise for ever.
const LOUDEST: u16 = 512;

/// The floor of a line without any noise, in 1/256: from here it rises to the noise of a bad line within ten seconds.
const LEAST_FLOOR: u32 = 4 << 8;

/// How far above the noise sound begins, as a factor: 6 dB. A weak consonant at the start of a word is above that.
const ABOVE_NOISE: u32 = 2;

/// Ticks that a talker stays active after the last sound: 400 ms, so that word ends and pauses are not cut.
const HANGOVER: u8 = 20;

/// How one leg sounds over time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Voice {
    /// Mean absolute sample value of this tick.
    now: u16,
    /// The same, rising at once, falling by an eighth per tick.
    level: u16,
    /// The noise of the line, in 1/256: falls quickly to whatever is quieter, rises by 3.4 dB a second.
    floor: u32,
    hangover: u8,
    /// In the mix of the last tick.
    heard: bool,
}

impl Default for Voice {
    fn default() -> Self {
        Self { now: 0, level: 0, floor: LEAST_FLOOR, hangover: 0, heard: false }
    }
}

impl Voice {
    /// Takes the mean absolute sample value of this tick into account.
    pub(crate) fn listen(&mut self, now: u16) {
        self.now = now;
        self.level = now.max(self.fallen());
        let heard = u32::from(now) << 8;
        self.floor = if heard < self.floor {
            self.floor - (self.floor - heard).div_ceil(4)
        } else {
            (self.floor + self.floor / 128).min(heard)
        };
        self.floor = self.floor.max(LEAST_FLOOR);
        self.hangover = if self.is_sounding() { HANGOVER } else { self.hangover.saturating_sub(1) };
    }

    /// Nobody speaks in this tick; how loud the line is nobody knows. What is known of its noise stays.
    pub(crate) fn rest(&mut self) {
        self.now = 0;
        self.level = self.fallen();
        self.hangover = self.hangover.saturating_sub(1);
    }

    /// How loud it is: mean absolute sample value, with a short memory.
    pub(crate) fn level(self) -> u16 {
        self.level
    }

    /// How loud this tick is.
    pub(crate) fn now(self) -> u16 {
        self.now
    }

    /// From how loud on it is sound and not noise.
    pub(crate) fn threshold(self) -> u16 {
        (ABOVE_NOISE * (self.floor >> 8)).clamp(u32::from(QUIETEST), u32::from(LOUDEST)) as u16
    }

    /// True while this very tick holds sound.
    pub(crate) fn is_sounding(self) -> bool {
        self.now >= self.threshold()
    }

    /// True from the first sound until the hangover ends.
    pub(crate) fn is_active(self) -> bool {
        self.hangover > 0
    }

    /// The loudness below which a tick leaves its weight under `bar`, while it is not heard; `None` where it is above that anyway.
    pub(crate) fn outdone_below(self, bar: u32) -> Option<u16> {
        (u32::from(self.fallen()) < bar).then_some(bar.min(u32::from(u16::MAX)) as u16)
    }

    /// Its weight in the choice: who is heard stays heard unless someone is louder by half.
    pub(crate) fn weight(self) -> u32 {
        let level = u32::from(self.level);
        if self.heard { level + level / 2 + u32::from(QUIETEST) } else { level }
    }

    /// True when it was in the mix of the last tick.
    pub(crate) fn is_heard(self) -> bool {
        self.heard
    }

    /// Its level after a tick of silence.
    fn fallen(self) -> u16 {
        self.level - self.level.div_ceil(8)
    }

    /// Whether it is in the mix of this tick.
    pub(crate) fn set_heard(&mut self, heard: bool) {
        self.heard = heard;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_lift_the_weight_to_the_bar_is_outdone() {
        let mut voice = Voice::default();
        voice.listen(1_000);
        for (bar, expected) in [(0, None), (875, None), (876, Some(876)), (100_000, Some(u16::MAX))] {
            assert_eq!(voice.outdone_below(bar), expected, "{bar}");
        }
        voice.listen(875);
        assert_eq!(voice.weight(), 875, "what is below the bar of 876 leaves it there");
    }

    #[test]
    fn a_talker_stays_active_through_400_ms_of_silence() {
        let mut voice = Voice::default();
        voice.listen(0);
        assert!(!voice.is_active());
        voice.listen(1_000);
        let active = (0..40).take_while(|_| {
            voice.listen(0);
            voice.is_active()
        });
        assert_eq!(active.count(), 19);
    }

    #[test]
    fn the_noise_of_a_line_is_still_known_after_silence_that_nobody_measured() {
        let mut voice = Voice::default();
        (0..500).for_each(|_| voice.listen(60));
        let threshold = voice.threshold();
        assert!(threshold > 60 && !voice.is_active(), "noise is no voice any more");
        voice.listen(3_000);
        (0..100).for_each(|_| voice.rest());
        assert_eq!((voice.threshold(), voice.is_active(), voice.level()), (threshold, false, 0));
        voice.listen(60);
        assert!(!voice.is_active());
    }

    #[test]
    fn who_is_heard_is_replaced_only_by_someone_clearly_louder() {
        let (mut heard, mut other) = (Voice::default(), Voice::default());
        heard.listen(1_000);
        heard.set_heard(true);
        other.listen(1_400);
        assert!(heard.weight() > other.weight());
        other.listen(1_600);
        assert!(heard.weight() < other.weight());
    }

    #[test]
    fn the_noise_of_a_line_is_no_talker_and_a_word_in_it_is_one_at_once() {
        for noise in [30_u16, 100, 200] {
            let mut voice = Voice::default();
            let flutter = |tick: u32| noise + (tick * 7_919 % 21) as u16 * noise / 200; // +-5 %, as 20 ms of noise have
            for tick in 0..50 * 30 {
                voice.listen(flutter(tick));
            }
            assert!(!voice.is_active(), "noise of {noise}, threshold {}", voice.threshold());
            voice.listen(noise * 5 / 2); // 8 dB above it: a weak consonant
            assert!(voice.is_active());
        }
    }

    #[test]
    fn a_steady_loud_tone_stays_a_talker_for_ever() {
        let mut voice = Voice::default();
        for tick in 0..50 * 60 * 10 {
            voice.listen(600);
            assert!(voice.is_sounding(), "tick {tick}");
        }
    }

    #[test]
    fn speech_without_long_pauses_does_not_raise_the_floor_above_itself() {
        let mut voice = Voice::default();
        // Syllables of 160 ms between 60 ms at a twentieth, quiet speech of -40 dBm0.
        for tick in 0..50 * 60 {
            voice.listen(if tick % 11 < 8 { 142 } else { 7 });
            assert!(tick % 11 >= 8 || voice.is_sounding(), "tick {tick}");
        }
    }
}
