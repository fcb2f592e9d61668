//! What filters still hold when others take their place: it is heard under what comes next, so that nothing breaks off.

use crate::limiter::{CEILING, Limiter};
use crate::resample::Resampler;
use crate::units::{MAX_FRAME, Rate};

/// The limiter holds 2 ms, which go through a converter of 2.5 ms at most: 5 ms at the highest rate.
const LONGEST: usize = MAX_FRAME / 4;

/// The end of a sound, at the rate of whoever hears it.
#[derive(Clone, Debug)]
pub(crate) struct Rest {
    pcm: [i16; LONGEST],
    length: usize,
}

impl Rest {
    /// Room for one, with nothing in it.
    pub(crate) const fn nothing() -> Self {
        Self { pcm: [0; LONGEST], length: 0 }
    }

    /// True when there is nothing in it.
    pub(crate) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Nothing is left.
    pub(crate) fn clear(&mut self) {
        self.length = 0;
    }

    /// What `limiter` holds, fading out, and what `converter` holds behind it, if there is one.
    pub(crate) fn drain(&mut self, limiter: &mut Limiter, converter: Option<&mut Resampler>) {
        let (mut pcm, mut converted) = ([0; MAX_FRAME], [0; MAX_FRAME]);
        let pcm = &mut pcm[..limiter.rate().frame()];
        limiter.drain(pcm);
        let (heard, rate): (&[i16], Rate) = match converter {
            Some(converter) => {
                let converted = &mut converted[..converter.to().frame()];
                converter.frame(pcm, converted);
                (converted, converter.to())
            }
            None => (pcm, limiter.rate()),
        };
        self.length = rate.frame() / 4;
        self.pcm[..self.length].copy_from_slice(&heard[..self.length]);
    }

    /// What `limiter` holds, fading out, at another rate. Linear interpolation: it is about 2 ms, which go on from what was heard
    /// without a filter's delay.
    pub(crate) fn drain_at(&mut self, limiter: &mut Limiter, rate: Rate) {
        let (from, to) = (limiter.rate().frame(), rate.frame());
        let mut pcm = [0; MAX_FRAME];
        limiter.drain(&mut pcm[..from]);
        self.length = to / 4;
        for (n, sample) in self.pcm[..self.length].iter_mut().enumerate() {
            let (at, part) = (n * from / to, (n * from % to) as i32);
            let (left, right) = (i32::from(pcm[at]), i32::from(pcm[at + 1]));
            *sample = (left + (right - left) * part / to as i32) as i16;
        }
    }

    /// Adds it to the beginning of what comes next.
    pub(crate) fn add_to(&self, pcm: &mut [i16]) {
        for (sample, rest) in pcm.iter_mut().zip(&self.pcm[..self.length]) {
            *sample = (i32::from(*sample) + i32::from(*rest)).clamp(-CEILING, CEILING) as i16;
        }
    }
}
