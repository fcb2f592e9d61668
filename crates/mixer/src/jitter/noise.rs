//! Comfort noise: the background behind the words, estimated from what is played or announced by the sender (RFC 3389).

/// The level of the background, and a generator of noise at that level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noise {
    /// Mean absolute sample value of the background in 1/64, once something was heard.
    background: Option<u32>,
    /// What a comfort-noise packet announced; holds until there is sound again.
    announced: Option<u16>,
    seed: u32,
    last: i32,
}

/// Louder than this is no background: about -40 dBov. It bounds what a line of noise or a tone can teach.
const LOUDEST: u32 = 250;

/// The estimate rises by 1/2^7 per frame, 3 dB in a second, so that words do not lift it; it falls at once.
const RISE: u32 = 7;

/// The least by which it rises: 12 in a second.
const STEP: u32 = 16;

impl Default for Noise {
    fn default() -> Self {
        Self { background: None, announced: None, seed: 0x9e37_79b9, last: 0 }
    }
}

impl Noise {
    /// A frame of received sound had this mean absolute sample value.
    pub(super) fn heard(&mut self, level: u16) {
        let level = u32::from(level).min(LOUDEST) * 64;
        self.announced = None;
        let before = self.background.unwrap_or(level);
        // At least a step, or an estimate of zero would stay there.
        self.background = Some(level.min(before + (before >> RISE) + STEP));
    }

    /// The sender announced noise of `level` dB below overload (RFC 3389 section 3.1).
    pub(super) fn announce(&mut self, level: u8) {
        // White noise of that power: its mean absolute value is 0.8 of the root of the power.
        let mean = 32_768.0 * 0.8 * 10.0_f32.powf(-f32::from(level & 0x7f) / 20.0);
        self.announced = Some((mean as u16).min(LOUDEST as u16 * 4));
    }

    /// Mean absolute sample value of the noise that is to be played.
    pub(super) fn level(&self) -> u16 {
        self.announced.unwrap_or((self.background.unwrap_or(0) / 64) as u16)
    }

    /// One sample of noise at [`Noise::level`], slightly low-passed: it is heard as air and not as hiss.
    pub(super) fn sample(&mut self, level: u16) -> i32 {
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let white = (self.seed as i32) >> 16;
        self.last = i32::midpoint(self.last, white);
        // `last` has a standard deviation of 10,900 and a mean absolute value of 8,750.
        (self.last * i32::from(level)) / 8_750
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(noise: &mut Noise) -> i32 {
        let level = noise.level();
        (0..8_000).map(|_| noise.sample(level).abs()).sum::<i32>() / 8_000
    }

    #[test]
    fn the_background_is_what_remains_between_words_and_noise_is_as_loud_as_it() {
        let mut noise = Noise::default();
        for second in 0..60 {
            for frame in 0..50 {
                noise.heard(if frame < 35 { 2_000 + second } else { 60 });
            }
        }
        assert_eq!(noise.level(), 60);
        assert!((55..=65).contains(&mean(&mut noise)), "{}", mean(&mut noise));
        (0..500).for_each(|_| noise.heard(5_000));
        assert_eq!(noise.level(), 250, "music is not background");
    }

    #[test]
    fn announced_noise_has_the_power_that_was_announced_until_there_is_sound() {
        let mut noise = Noise::default();
        noise.heard(10);
        noise.announce(50);
        // -50 dBov is a root of the power of 104, for white noise a mean absolute value of 83.
        assert!((78..=88).contains(&mean(&mut noise)), "{}", mean(&mut noise));
        noise.announce(127);
        assert_eq!(noise.level(), 0);
        noise.heard(0);
        assert_eq!(noise.level(), 0);
    }
}
