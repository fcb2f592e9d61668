//! How sound is compared: its loudness and brightness as logarithms, and how alike two curves of them are.

/// Units of a [`Trace`] in a decibel: 16 in an octave of 6.02 dB.
pub(crate) const DECIBEL: f32 = 16.0 / 6.02;

/// How 20 ms sound: logarithms, 16 units in an octave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    /// Of the mean absolute sample value.
    pub(crate) loudness: u8,
    /// Of how much more or less the mean absolute step between samples is; 128 when they are the same.
    pub(crate) brightness: u8,
}

impl Trace {
    /// Nothing at all.
    pub(crate) const SILENCE: Self = Self { loudness: 0, brightness: 128 };

    /// Of one frame; of none, silence.
    pub(crate) fn of(pcm: &[i16]) -> Self {
        let sum: u32 = pcm.iter().map(|&sample| u32::from(sample.unsigned_abs())).sum();
        let steps: u32 =
            pcm.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).unsigned_abs()).sum();
        let length = pcm.len().max(1) as u32;
        let (loudness, steps) = (logarithm(sum / length), logarithm(steps / length));
        let brightness = 128 + i16::from(steps) - i16::from(loudness);
        Self { loudness, brightness: brightness.clamp(0, 255) as u8 }
    }
}

/// Sixteen times the binary logarithm, in straight lines between the octaves: off by half a decibel at most.
pub(crate) fn logarithm(value: u32) -> u8 {
    let value = value.clamp(1, 0xffff);
    let octave = value.ilog2();
    (octave * 16 + ((value << 4 >> octave) & 15)) as u8
}

/// Sums for a coefficient of correlation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Likeness {
    pub(crate) count: u32,
    sums: [u32; 2],
    squares: [u32; 2],
    product: u32,
}

impl Likeness {
    /// Of what was sent, where that is louder than its floor, and what came back, which counts as its floor where it is weaker.
    pub(crate) fn of(sent: &[u8], back: &[u8], [floor, noise]: [u8; 2]) -> Self {
        let mut likeness = Self::default();
        for (&sent, &back) in sent.iter().zip(back) {
            let counts = u32::from(sent > floor);
            let (x, y) = (u32::from(sent) * counts, u32::from(back.max(noise)) * counts);
            likeness.count += counts;
            likeness.sums[0] += x;
            likeness.sums[1] += y;
            likeness.squares[0] += x * x;
            likeness.squares[1] += y * y;
            likeness.product += x * y;
        }
        likeness
    }

    pub(crate) fn add(&mut self, sent: u8, back: u8) {
        let (x, y) = (u32::from(sent), u32::from(back));
        self.count += 1;
        self.sums[0] += x;
        self.sums[1] += y;
        self.squares[0] += x * x;
        self.squares[1] += y * y;
        self.product += x * y;
    }

    /// -1..=1; 0 where what was sent varies by less than `least`, as a variance.
    pub(crate) fn coefficient(&self, least: f32) -> f32 {
        let count = self.count.max(1) as f32;
        let mean = |sum: u32| sum as f32 / count;
        let [x, y] = self.sums.map(mean);
        let [xx, yy] = self.squares.map(mean);
        let variance = xx - x * x;
        if variance < least {
            return 0.0;
        }
        (mean(self.product) - x * y) / (variance * (yy - y * y).max(1.0)).sqrt()
    }

    /// How much louder it came back.
    pub(crate) fn gain(&self) -> f32 {
        (self.sums[1] as f32 - self.sums[0] as f32) / self.count.max(1) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_decibels_are_an_octave() {
        assert_eq!([1, 2, 3, 4, 1_000, 2_000, 32_768].map(logarithm), [0, 16, 24, 32, 159, 175, 240]);
        assert_eq!(Trace::of(&[]), Trace::SILENCE);
        assert_eq!(Trace::of(&[1_000; 160]).loudness, 159);
        let buzz: Vec<i16> = (0..160_u32).map(|n| if n.is_multiple_of(2) { 500 } else { -500 }).collect();
        assert_eq!(Trace::of(&buzz).brightness, 128 + 16); // each step is twice the level
    }

    #[test]
    fn a_curve_is_like_itself_at_any_level_and_unlike_its_mirror_image() {
        let curve: Vec<u8> = (0..100).map(|n: u32| 100 + (n * 37 % 64) as u8).collect();
        let lower: Vec<u8> = curve.iter().map(|level| level - 40).collect();
        let mirrored: Vec<u8> = curve.iter().map(|level| 250 - level).collect();
        let likeness = Likeness::of(&curve, &lower, [0, 0]);
        assert!(likeness.coefficient(1.0) > 0.999 && (likeness.gain() + 40.0).abs() < 0.01);
        assert!(Likeness::of(&curve, &mirrored, [0, 0]).coefficient(1.0) < -0.999);
        assert!(Likeness::of(&[120; 100], &lower, [0, 0]).coefficient(1.0).abs() < f32::EPSILON);
    }
}
