//! Playing faster or slower without changing the pitch: one period of the voice is taken out or put in, where the sound before
//! and after is alike, with an overlap (waveform similarity overlap-add).

use super::likeness;
use super::wave::{Wave, millisecond};
use crate::units::MAX_FRAME;

/// What is taken out or put in at once.
const LEAST_MS: usize = 2;
const MOST_MS: usize = 15;

/// Samples that are compared and overlapped.
const OVERLAP_MS: usize = 8;

/// From this likeness on the seam is not heard.
const ALIKE: f32 = 0.85;

/// Milliseconds that should be ahead before sound is taken out.
pub(super) const AHEAD_MS: usize = 20 + MOST_MS + OVERLAP_MS;

/// Takes out at most `most` samples so that 20 ms stay ahead; in sound that is `quiet` any place will do. Returns how many.
pub(super) fn cut(wave: &mut Wave, most: usize, quiet: bool) -> usize {
    let rate = wave.rate();
    let overlap = OVERLAP_MS * millisecond(rate);
    let spare = wave.ahead().saturating_sub(rate.frame().max(overlap));
    let (least, most) = (LEAST_MS * millisecond(rate), most.min(MOST_MS * millisecond(rate)).min(spare));
    if most < least {
        return 0;
    }
    let next = wave.next();
    let found = likeness::find(&next[..overlap], &next[least..most + overlap], rate);
    if found.likeness < ALIKE && !quiet {
        return 0;
    }
    let period = if found.likeness < ALIKE { most } else { least + found.offset };
    let begin = wave.begin();
    let pcm = wave.all_mut();
    for n in 0..overlap {
        let (old, new) = (i32::from(pcm[begin + n]), i32::from(pcm[begin + n + period]));
        pcm[begin + n] = fade(old, new, n, overlap);
    }
    wave.remove(overlap, period);
    period
}

/// Puts in at most `most` samples, by playing the last of the history again; in sound that is `quiet` any place will do. Returns
/// how many.
pub(super) fn extend(wave: &mut Wave, most: usize, quiet: bool) -> usize {
    let rate = wave.rate();
    let overlap = (OVERLAP_MS * millisecond(rate)).min(wave.ahead());
    let begin = wave.begin();
    let (least, most) = (LEAST_MS * millisecond(rate), most.min(MOST_MS * millisecond(rate)).min(begin));
    if most < least || overlap < least {
        return 0;
    }
    let region = &wave.all()[begin - most..begin - least + overlap];
    let found = likeness::find(&wave.next()[..overlap], region, rate);
    if found.likeness < ALIKE && !quiet {
        return 0;
    }
    let period = if found.likeness < ALIKE { most } else { most - found.offset };
    // The first samples ahead become those of a period ago, then all is played again from there.
    let mut seam = [0; MAX_FRAME];
    let pcm = wave.all();
    for (n, sample) in seam[..overlap].iter_mut().enumerate() {
        *sample = fade(i32::from(pcm[begin + n]), i32::from(pcm[begin + n - period]), n, overlap);
    }
    if !wave.insert(period) {
        return 0;
    }
    // `insert` may have moved everything: what was ahead is `period` behind where it begins now, and the hole is to be filled
    // with what follows the seam a period ago.
    let begin = wave.begin();
    let pcm = wave.all_mut();
    pcm.copy_within(begin - period..begin, begin);
    pcm[begin..][..overlap].copy_from_slice(&seam[..overlap]);
    period
}

/// From `old` to `new` within `all` steps.
fn fade(old: i32, new: i32, n: usize, all: usize) -> i16 {
    let (part, all) = (n as i32 + 1, all as i32 + 1);
    ((old * (all - part) + new * part) / all) as i16
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::units::Rate;

    /// Half a second of harmonics of `hertz`, of which there are `count`.
    fn sound(rate: Rate, hertz: f64, count: u32) -> Vec<i16> {
        (0..rate.hz() / 2)
            .map(|n| {
                let phase = TAU * hertz * f64::from(n) / f64::from(rate.hz());
                let sum: f64 = (1..=count).map(|k| (phase * f64::from(k)).sin() / f64::from(k)).sum();
                (sum * 4_000.0) as i16
            })
            .collect()
    }

    /// Plays `pcm` with a cut or an extension in every third frame; how much was changed, and what is heard.
    fn stretched(rate: Rate, pcm: &[i16], change: fn(&mut Wave, usize, bool) -> usize) -> (usize, Vec<i16>) {
        let mut wave = Wave::new(rate, rate, 110, 100);
        let (mut source, mut changed, mut heard) = (pcm, 0, Vec::new());
        for frame in 0.. {
            let wanted = (AHEAD_MS * millisecond(rate)).saturating_sub(wave.ahead());
            let Some((next, rest)) = source.split_at_checked(wanted) else { break };
            wave.append(wanted, |room| {
                room.copy_from_slice(next);
                (wanted, ())
            });
            source = rest;
            if frame > 6 && frame % 3 == 0 {
                changed += change(&mut wave, usize::MAX, false);
            }
            heard.extend_from_slice(&wave.next()[..rate.frame()]);
            wave.play(rate.frame());
        }
        (changed, heard)
    }

    fn largest_step(pcm: &[i16]) -> i32 {
        pcm.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap_or(0)
    }

    /// What is left of a tone when it is taken out of every piece of 10 ms, in dB below it.
    fn purity(pcm: &[i16], rate: Rate, hertz: f64) -> f64 {
        let (mut whole, mut rest) = (1.0, 1.0);
        for piece in pcm.chunks_exact(rate.frame() / 2) {
            let turn = |n: usize| TAU * hertz * n as f64 / f64::from(rate.hz());
            let part = |wave: fn(f64) -> f64| {
                let sum: f64 = piece.iter().enumerate().map(|(n, &s)| f64::from(s) * wave(turn(n))).sum();
                sum * 2.0 / piece.len() as f64
            };
            let (a, b) = (part(f64::cos), part(f64::sin));
            for (n, &sample) in piece.iter().enumerate() {
                let left = f64::from(sample) - a * turn(n).cos() - b * turn(n).sin();
                whole += f64::from(sample).powi(2);
                rest += left.powi(2);
            }
        }
        10.0 * f64::log10(whole / rest)
    }

    #[test]
    fn a_voice_and_a_tone_are_played_faster_and_slower_without_a_click_at_any_rate() {
        for rate in Rate::ALL {
            for (hertz, harmonics) in [(110.0, 12), (220.0, 8), (400.0, 1), (1_000.0, 1)] {
                let pcm = sound(rate, hertz, harmonics);
                let own = largest_step(&pcm);
                for (name, change) in
                    [("cut", cut as fn(&mut Wave, usize, bool) -> usize), ("extended", extend)]
                {
                    let (changed, heard) = stretched(rate, &pcm, change);
                    let millis = changed / millisecond(rate);
                    assert!(millis >= 10, "{name} {hertz} Hz at {rate:?}: {millis} ms");
                    let step = largest_step(&heard);
                    assert!(step <= own + own / 20, "{name} {hertz} Hz at {rate:?}: {step} of {own}");
                    if harmonics == 1 {
                        let purity = purity(&heard, rate, hertz);
                        assert!(purity > 20.0, "{name} {hertz} Hz at {rate:?}: {purity:.1} dB");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_unlike_itself_is_left_alone_unless_it_is_quiet() {
        let rate = Rate::Narrow;
        let mut seed = 1_u32;
        let noise: Vec<i16> = (0..400)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 18) as i16 - 8_192
            })
            .collect();
        let mut wave = Wave::new(rate, rate, 110, 100);
        wave.append(400, |room| {
            room.copy_from_slice(&noise);
            (400, ())
        });
        assert_eq!((cut(&mut wave, usize::MAX, false), extend(&mut wave, usize::MAX, false)), (0, 0));
        assert_eq!(cut(&mut wave, 37, true), 37);
        assert_eq!((extend(&mut wave, 37, true), wave.ahead()), (37, 400));
    }
}
