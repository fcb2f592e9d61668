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
