//! From one decoder to another in mid-stream, without a step: the old sound goes on for a few milliseconds, as it would in a gap, and
//! gives way to the new one once that is there.

use super::conceal::Conceal;
use super::noise::Noise;
use super::wave::{Wave, millisecond};
use crate::codec::Codec;
use crate::units::Rate;

/// Over so long the new sound takes the place of the old one.
const BLEND_MS: usize = 5;

/// The longest [`onset`], in milliseconds.
const ONSET_MS: usize = 7;

/// Milliseconds from where an encoder and its decoder begin to where their sound is there, whole: both filters of G.722 (22 samples)
/// and its step size on its way up; what Opus looks ahead, up to 6.5 ms at speech.
pub(super) const fn onset(codec: Codec) -> usize {
    match codec {
        Codec::Pcmu | Codec::Pcma => 0,
        Codec::G722 => 3,
        Codec::Opus(_) => ONSET_MS,
    }
}

/// How the old sound would go on, at the rate of the new one.
pub(super) struct Handover {
    pcm: [i16; (ONSET_MS + BLEND_MS) * millisecond(Rate::Full)],
    length: usize,
    onset: usize,
}

impl Handover {
    /// The sound of `wave` is to go on with that of a decoder of `codec`, which begins. The wave gets the decoder's rate.
    pub(super) fn begin(wave: &mut Wave, mut conceal: Conceal, noise: &mut Noise, codec: Codec) -> Self {
        let (old, new) = (millisecond(wave.rate()), millisecond(codec.rate()));
        let (ahead, onset) = (wave.ahead(), onset(codec));
        // Made at the old rate, where the pitch is known best, and a little more than is needed: between two samples, both count.
        let made = ((onset + BLEND_MS + 1) * old).min(wave.room());
        conceal.go_on(wave);
        conceal.fill(wave, made, noise);
        wave.change_rate(codec.rate());
        let from = ahead * new / old;
        let length = (onset + BLEND_MS) * new;
        let mut pcm = [0; (ONSET_MS + BLEND_MS) * millisecond(Rate::Full)];
        let length = length.min(wave.ahead().saturating_sub(from));
        pcm[..length].copy_from_slice(&wave.next()[from..][..length]);
        wave.remove(from, wave.ahead());
        Self { pcm, length, onset: onset * new }
    }

    /// The last `count` samples of `wave` are the first ones of the new sound.
    pub(super) fn blend(&self, wave: &mut Wave, count: usize) {
        let over = self.length.min(count);
        let onset = self.onset.min(over) as i32;
        let pcm = wave.all_mut();
        let begin = pcm.len().saturating_sub(count);
        for (n, (new, old)) in pcm[begin..].iter_mut().zip(&self.pcm[..over]).enumerate() {
            let (part, all) = ((n as i32 + 1 - onset).max(0), over as i32 + 1 - onset);
            *new = ((i32::from(*old) * (all - part) + i32::from(*new) * part) / all) as i16;
        }
    }
}
