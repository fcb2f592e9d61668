//! G.722 at 64 kbit/s (ITU-T G.722, 09/2012, mode 1): 16 kHz PCM, split by a quadrature mirror filter into a lower band of six
//! bits and a higher band of two bits per pair of samples, each coded by adaptive differential PCM. Integer arithmetic, as the
//! Recommendation defines it bit by bit; the block names in capitals are its own (clause 6.2).

mod band;
mod guess;
mod tables;

use band::{Band, ZEROS};
use tables::{IHN, IHP, ILN, ILP, LEVELS, QM2, QM4, QM6, QMF, THRESHOLDS};

/// Bytes, and pairs of samples, of 20 ms.
const CODES: usize = 160;
/// Taps of the quadrature mirror filter.
const TAPS: usize = 24;
/// The transmit filter needs the samples before: all taps but the two newest.
const HISTORY: usize = TAPS - 2;
/// Samples that [`Decoder::follow`] looks ahead.
pub(super) const AHEAD: usize = TAPS - 2;

/// The state of a stream to be sent. A copy of it continues the stream with the same bits.
#[derive(Clone, Debug)]
pub(super) struct Encoder {
    history: [i16; HISTORY],
    low: Band,
    high: Band,
}

impl Encoder {
    pub(super) const fn new() -> Self {
        Self { history: [0; HISTORY], low: Band::LOW, high: Band::HIGH }
    }

    /// 320 samples of 16 bits at 16 kHz to 160 bytes, of which it returns the number.
    pub(super) fn encode(&mut self, pcm: &[i16; 2 * CODES], codes: &mut [u8; CODES]) -> usize {
        let mut samples = [0; HISTORY + 2 * CODES];
        samples[..HISTORY].copy_from_slice(&self.history);
        samples[HISTORY..].copy_from_slice(pcm);
        self.history.copy_from_slice(&samples[2 * CODES..]);
        for (n, code) in codes.iter_mut().enumerate() {
            let window = samples[2 * n..].first_chunk().expect("HISTORY samples follow the last pair");
            let (low, high) = split(window);
            *code = self.low(low) | self.high(high) << 6;
        }
        CODES
    }

    /// SUBTRA, QUANTL and the adaptation of the lower band.
    #[inline]
    fn low(&mut self, signal: i32) -> u8 {
        let error = saturate(signal - self.low.predicted());
        // Where the table's steps, scaled to the signal, are passed: they rise, so that counting them replaces the search.
        let scale = self.low.scale() as u32;
        let magnitude = (error ^ (error >> 31)) as u16;
        let passed: u16 = THRESHOLDS
            .iter()
            .map(|step| u16::from(((u32::from(*step) * scale) >> 16) as u16 <= magnitude))
            .sum();
        let code = if error < 0 { ILN } else { ILP }[usize::from(passed.min(LEVELS))];
        self.low.adapt_low(code, dequantize(QM4[usize::from(code >> 2)], self.low.scale()));
        code
    }

    /// SUBTRA, QUANTH and the adaptation of the higher band.
    #[inline]
    fn high(&mut self, signal: i32) -> u8 {
        let error = saturate(signal - self.high.predicted());
        let magnitude = error ^ (error >> 31);
        let far = usize::from(magnitude >= (564 * self.high.scale()) >> 12);
        let code = if error < 0 { IHN } else { IHP }[far];
        self.high.adapt_high(code, dequantize(QM2[usize::from(code)], self.high.scale()));
        code
    }
}

/// The state of a stream that is received.
#[derive(Clone, Debug)]
pub(super) struct Decoder {
    /// Sums and differences of the bands, the newest last.
    history: [i16; HISTORY],
    low: Band,
    high: Band,
}

impl Decoder {
    pub(super) const fn new() -> Self {
        Self { history: [0; HISTORY], low: Band::LOW, high: Band::HIGH }
    }

    /// Every byte to two samples at 16 kHz; `pcm` is twice as long as `codes`.
    pub(super) fn decode(&mut self, codes: &[u8], pcm: &mut [i16]) {
        assert_eq!(pcm.len(), 2 * codes.len(), "two samples per byte");
        for (codes, pcm) in codes.chunks(CODES).zip(pcm.chunks_mut(2 * CODES)) {
            self.decode_chunk(codes, pcm);
        }
    }

    /// The state that it would have after sound like `pcm`, though what was received of it is lost: `pcm` is encoded, and what
    /// the encoder learns is kept. The filters of both bands look ahead, so that `pcm` holds [`AHEAD`] samples more than are
    /// passed. What the lost sound was really like is guessed from the codes that come `next`, if these are 20 ms at least.
    pub(super) fn follow(&mut self, pcm: &[i16], next: &[u8]) {
        let before = [self.low, self.high];
        let mut encoder = Encoder { history: [0; HISTORY], low: self.low, high: self.high };
        for window in pcm.windows(TAPS).step_by(2) {
            let (low, high) = split(window.first_chunk().expect("a window of as many"));
            encoder.low(low);
            encoder.high(high);
            self.history.copy_within(2.., 0);
            self.history[HISTORY - 2..].copy_from_slice(&[(low + high) as i16, (low - high) as i16]);
        }
        (self.low, self.high) = (encoder.low, encoder.high);
        if let Some(next) = next.first_chunk() {
            self.guess(&before, next, pcm.len().saturating_sub(AHEAD) / 2);
        }
    }

    fn decode_chunk(&mut self, codes: &[u8], pcm: &mut [i16]) {
        let mut bands = [0; HISTORY + 2 * CODES];
        bands[..HISTORY].copy_from_slice(&self.history);
        for (code, pair) in codes.iter().zip(bands[HISTORY..].as_chunks_mut::<2>().0) {
            let low = self.low(code & 0x3f);
            let high = self.high(code >> 6);
            *pair = [(low + high) as i16, (low - high) as i16];
        }
        for (n, pair) in pcm.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            let window = bands[2 * n..].first_chunk().expect("HISTORY values follow the last pair");
            *pair = join(window);
        }
        self.history.copy_from_slice(&bands[2 * codes.len()..][..HISTORY]);
    }

    /// The lower band: heard with all six bits, predicted with the upper four.
    #[inline]
    fn low(&mut self, code: u8) -> i32 {
        let heard = self.low.predicted() + dequantize(QM6[usize::from(code)], self.low.scale());
        self.low.adapt_low(code, dequantize(QM4[usize::from(code >> 2)], self.low.scale()));
        limit(heard)
    }

    #[inline]
    fn high(&mut self, code: u8) -> i32 {
        let difference = dequantize(QM2[usize::from(code)], self.high.scale());
        let heard = self.high.predicted() + difference;
        self.high.adapt_high(code, difference);
        limit(heard)
    }
}

/// TRANSMIT QMF: the newest pair of samples and the 22 before, to one sample of each band, 15 bits.
#[inline]
fn split(window: &[i16; TAPS]) -> (i32, i32) {
    let (mut even, mut odd) = (0, 0);
    for n in 0..TAPS / 2 {
        even += i32::from(window[2 * n]) * i32::from(QMF[2 * n]);
        odd += i32::from(window[2 * n + 1]) * i32::from(QMF[2 * n + 1]);
    }
    ((even + odd) >> 14, (odd - even) >> 14)
}

/// RECEIVE QMF: the newest sum and difference of the bands and the 22 values before, to two samples.
#[inline]
fn join(window: &[i16; TAPS]) -> [i16; 2] {
    let (mut sums, mut differences) = (0, 0);
    for n in 0..TAPS / 2 {
        sums += i32::from(window[2 * n]) * i32::from(QMF[2 * n]);
        differences += i32::from(window[2 * n + 1]) * i32::from(QMF[2 * n + 1]);
    }
    [saturate(differences >> 11) as i16, saturate(sums >> 11) as i16]
}

/// INVQAL, INVQBL, INVQAH: a step of a quantizer times its scale factor.
#[inline]
fn dequantize(step: i16, scale: i32) -> i32 {
    multiply(scale, i32::from(step))
}

/// The product of two numbers of 16 bits as fractions of 32,768.
#[inline]
fn multiply(one: i32, other: i32) -> i32 {
    (one * other) >> 15
}

/// LIMIT: a band's signal has 15 bits.
#[inline]
fn limit(value: i32) -> i32 {
    value.clamp(-16_384, 16_383)
}

/// To 16 bits.
#[inline]
fn saturate(value: i32) -> i32 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoder_that_follows_what_was_lost_goes_on_much_better_than_one_that_does_not() {
        // Two voices of harmonics, one after the other, so that there is something to learn.
        let pcm: Vec<i16> = (0..20 * 2 * CODES)
            .map(|n| {
                let (seconds, hertz) = (n as f64 / 16_000.0, if n < 10 * 2 * CODES { 110.0 } else { 190.0 });
                let sum: f64 = (1..30)
                    .map(|k| (std::f64::consts::TAU * hertz * f64::from(k) * seconds).sin() / f64::from(k))
                    .sum();
                (sum * 4_000.0) as i16
            })
            .collect();
        let mut encoder = Encoder::new();
        let codes: Vec<[u8; CODES]> = pcm
            .as_chunks::<{ 2 * CODES }>()
            .0
            .iter()
            .map(|frame| {
                let mut codes = [0; CODES];
                encoder.encode(frame, &mut codes);
                codes
            })
            .collect();
        let mut whole = Decoder::new();
        let mut heard = vec![0; pcm.len()];
        let frame = |n: usize| n * 2 * CODES..(n + 1) * 2 * CODES;
        for (n, codes) in codes.iter().enumerate() {
            whole.decode(codes, &mut heard[frame(n)]);
        }
        // Packet 10, the first of the other voice, is lost; what it held is known.
        let error = |follows: bool| -> f64 {
            let mut decoder = Decoder::new();
            let mut pcm = [0; 2 * CODES];
            codes[..10].iter().for_each(|codes| decoder.decode(codes, &mut pcm));
            if follows {
                decoder.follow(&heard[frame(10).start..frame(10).end + AHEAD], &[]);
            }
            decoder.decode(&codes[11], &mut pcm);
            pcm.iter().zip(&heard[frame(11)]).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
        };
        let (following, stale) = (error(true), error(false));
        assert!(following * 100.0 < stale, "{:.1} dB", 10.0 * (stale / following).log10());
    }
}
