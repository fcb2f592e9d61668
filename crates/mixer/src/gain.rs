//! How loud a talker goes into the mix: automatic gain, and glides so that nothing comes or goes with a click.

use crate::limiter::CEILING;
use crate::select::Voice;

/// Decibels of a mean absolute sample value of 1, relative to 0 dBm0 (ITU-T G.711: 3.17 dB below a sine at full scale, whose mean
/// absolute value is 2/pi of 32,124).
const ONE: f32 = -83.05;

/// A talker whose speech is between these, in dBm0, is left as it is: around the nominal level of telephony, -20 dBm0 (-26 dBov).
const NOMINAL: [f32; 2] = [-22.0, -18.0];

/// The most that is taken away from a loud talker and given to a quiet one, in decibels.
const LIMITS: [f32; 2] = [-8.0, 18.0];

/// Decibels per tick that the gain moves by while somebody speaks: down faster than up.
const STEPS: [f32; 2] = [0.5, 0.35];

/// Decibels per tick by which what was added is taken away in a pause, so that noise between words stays as it was.
const CLOSING: f32 = 3.0;

/// Decibels that a word's weakest part is below its level, at most; what is weaker is not raised.
const WITHIN: f32 = 16.0;

/// Ticks after which a sound without a dip is no syllable but a tone, music or noise: 1.5 s.
const LONGEST: u8 = 75;

/// Ticks of the shortest syllable.
const SHORTEST: u8 = 2;

/// A sound whose mean is nearer than this to its peak does not swell as a syllable does: a beep.
const FLAT: f32 = 0.9;

/// Syllables before anything is done, and after which the estimate moves slowly.
const ENOUGH: u8 = 2;
const SETTLED: u8 = 16;

/// Automatic gain of one leg. It learns from syllables only: sound that begins, stays up for at most 1.5 s and dips by 12 dB.
/// Noise, tones, music and silence therefore teach it nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Agc {
    /// Active speech level in dBm0, once there was any.
    speech: f32,
    syllables: u8,
    /// Mean absolute sample value below which the talker is not speaking, but his line is heard.
    least: f32,
    /// Of the ticks of the present syllable: their sum, the sum of their squares, how many, and the loudest.
    sum: u32,
    squares: f32,
    ticks: u8,
    peak: u16,
    /// The gain for speech, and the one in force, in decibels.
    gain: f32,
    applied: f32,
}

impl Default for Agc {
    fn default() -> Self {
        Self {
            speech: 0.0,
            syllables: 0,
            least: 0.0,
            sum: 0,
            squares: 0.0,
            ticks: 0,
            peak: 0,
            gain: 0.0,
            applied: 0.0,
        }
    }
}

impl Agc {
    /// Takes a tick into account.
    pub(crate) fn tick(&mut self, voice: Voice) {
        let sounding = voice.is_sounding();
        self.follow(voice, sounding);
        let speaking = sounding && f32::from(voice.now()) >= self.least;
        if speaking && self.syllables >= ENOUGH {
            let wanted = (NOMINAL[0] - self.speech).max(0.0) + (NOMINAL[1] - self.speech).min(0.0);
            let wanted = wanted.clamp(LIMITS[0], LIMITS[1]);
            self.gain += (wanted - self.gain).clamp(-STEPS[0], STEPS[1]);
            self.gain = if self.gain.abs() < 0.01 { 0.0 } else { self.gain };
        }
        self.applied = if speaking {
            self.gain
        } else {
            (self.applied - CLOSING).max(self.gain.min(0.0)).min(self.applied)
        };
    }

    /// The gain at the end of this tick, as a factor: exactly 1 until there is a reason.
    pub(crate) fn factor(&self) -> f32 {
        if self.applied.abs() < 0.005 { 1.0 } else { 10.0_f32.powf(self.applied / 20.0) }
    }

    fn follow(&mut self, voice: Voice, sounding: bool) {
        let now = voice.now();
        let dipped = now < self.peak / 4;
        if self.ticks > 0 && (dipped || !sounding) {
            self.end_syllable(voice.threshold());
        }
        if sounding && !dipped {
            self.peak = self.peak.max(now);
            self.ticks = self.ticks.saturating_add(1);
            self.sum = self.sum.saturating_add(u32::from(now));
            self.squares += f32::from(now) * f32::from(now);
        }
    }

    fn end_syllable(&mut self, threshold: u16) {
        // Each tick counts as much as it is loud, so that the noise before the word does not.
        let mean = self.squares / self.sum.max(1) as f32;
        let clear = self.peak >= 2 * threshold; // noise that flutters around the threshold is none
        let voice = mean <= FLAT * f32::from(self.peak);
        if clear && voice && (SHORTEST..=LONGEST).contains(&self.ticks) {
            let level = ONE + 20.0 * mean.max(1.0).log10();
            self.syllables = (self.syllables + 1).min(SETTLED);
            self.speech += (level - self.speech) / f32::from(self.syllables);
            self.least = 10.0_f32.powf((self.speech - WITHIN - ONE) / 20.0);
        }
        (self.sum, self.squares, self.ticks, self.peak) = (0, 0.0, 0, 0);
    }
}

/// Multiplies `samples` by a gain that moves from `from` to `to` over the first `over` of them and stays there. Nothing is
/// touched where both are 1. No sample leaves above the limiter's ceiling because of it: the gain is lowered instead.
pub(crate) fn glide(samples: &mut [i16], from: f32, to: f32, over: usize) {
    if is_unity(from) && is_unity(to) {
        return;
    }
    let peak = samples.iter().fold(0_u16, |peak, sample| peak.max(sample.unsigned_abs()));
    let most = (CEILING as f32 / f32::from(peak.max(1))).max(1.0);
    let (from, to) = (from.min(most), to.min(most));
    let (moving, steady) = samples.split_at_mut(over.min(samples.len()));
    let slope = (to - from) / over.max(1) as f32;
    for (n, sample) in moving.iter_mut().enumerate() {
        *sample = (f32::from(*sample) * (from + slope * n as f32)).round_ties_even() as i16;
    }
    if !is_unity(to) {
        for sample in steady {
            *sample = (f32::from(*sample) * to).round_ties_even() as i16;
        }
    }
}

#[expect(clippy::float_cmp, reason = "a gain of exactly 1 is a promise that no sample changes")]
fn is_unity(gain: f32) -> bool {
    gain == 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean absolute value of speech at a level.
    fn at(dbm0: f32) -> u16 {
        10.0_f32.powf((dbm0 - ONE) / 20.0) as u16
    }

    /// Seconds of syllables at a level with line noise between them; gives the gain in decibels at the end of the last syllable,
    /// and the highest in any pause.
    fn speak(agc: &mut Agc, voice: &mut Voice, dbm0: f32, noise: u16, seconds: usize) -> (f32, f32) {
        let (mut speaking, mut highest) = (0.0, f32::MIN);
        for tick in 0..seconds * 50 {
            let within = tick % 20;
            // A syllable whose level, each part counting as much as it is loud, is 1.
            let swell =
                (std::f32::consts::PI * (within as f32 + 0.5) / 12.0).sin() * 4.0 / std::f32::consts::PI;
            voice.listen(if within < 12 { (f32::from(at(dbm0)) * swell) as u16 } else { noise });
            agc.tick(*voice);
            let gain = 20.0 * agc.factor().log10();
            match within {
                6 => speaking = gain,
                19 => highest = gain.max(highest),
                _ => {}
            }
        }
        (speaking, highest)
    }

    #[test]
    fn a_quiet_and_a_loud_talker_end_within_6_db_after_3_seconds() {
        let heard = [-40.0, -10.0].map(|dbm0| {
            let (gain, _) = speak(&mut Agc::default(), &mut Voice::default(), dbm0, 8, 3);
            dbm0 + gain
        });
        assert!((heard[0] - heard[1]).abs() < 6.0, "{heard:?}");
    }

    #[test]
    fn speech_at_the_nominal_level_is_not_touched() {
        for dbm0 in [-21.5, -20.0, -18.5] {
            let (mut agc, mut voice) = (Agc::default(), Voice::default());
            speak(&mut agc, &mut voice, dbm0, 8, 10);
            agc.tick(voice);
            assert_eq!(agc.factor().to_bits(), 1.0_f32.to_bits());
        }
    }

    #[test]
    fn noise_between_words_is_never_amplified_for_long() {
        let (mut agc, mut voice) = (Agc::default(), Voice::default());
        let (speaking, pause) = speak(&mut agc, &mut voice, -40.0, 20, 5);
        assert!(speaking > 12.0 && pause <= 0.0, "{speaking} dB in words, {pause} dB at the end of pauses");
    }

    #[test]
    fn tones_noise_music_and_silence_teach_it_nothing() {
        for level in [0, 30, 300, 3_000, 12_000] {
            let (mut agc, mut voice) = (Agc::default(), Voice::default());
            for tick in 0..50 * 60_u32 {
                voice.listen(level - level / 14 * (tick % 7) as u16);
                agc.tick(voice);
                assert_eq!(agc.factor().to_bits(), 1.0_f32.to_bits());
            }
        }
    }

    #[test]
    fn beeps_teach_it_nothing() {
        let (mut agc, mut voice) = (Agc::default(), Voice::default());
        for tick in 0..50 * 60 {
            voice.listen(if tick % 50 < 20 { 6_000 } else { 8 });
            agc.tick(voice);
            assert_eq!(agc.factor().to_bits(), 1.0_f32.to_bits());
        }
    }

    #[test]
    fn the_gain_stays_within_its_limits() {
        for dbm0 in [-55.0, -2.0] {
            let (mut agc, mut voice) = (Agc::default(), Voice::default());
            let (gain, _) = speak(&mut agc, &mut voice, dbm0, 2, 60);
            assert!((LIMITS[0] - 0.01..=LIMITS[1] + 0.01).contains(&gain), "{gain}");
        }
    }

    #[test]
    fn a_glide_has_no_step_and_a_shout_at_high_gain_is_not_cut_off() {
        let mut samples = [8_000_i16; 160];
        glide(&mut samples, 0.0, 1.0, 16);
        assert_eq!((samples[0], samples[8], samples[16], samples[159]), (0, 4_000, 8_000, 8_000));
        glide(&mut samples[16..], 1.0, 0.0, 144);
        assert!(samples.windows(2).all(|pair| (pair[1] - pair[0]).abs() <= 500));
        let mut shout = [20_000_i16; 160];
        glide(&mut shout, 8.0, 8.0, 16);
        assert!(shout.iter().all(|sample| *sample == CEILING as i16));
        let mut untouched: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        glide(&mut untouched, 1.0, 1.0, 16);
        assert!(untouched.into_iter().eq(i16::MIN..=i16::MAX));
    }
}
