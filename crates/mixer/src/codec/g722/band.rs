//! One band of G.722: the adaptive predictor and the adaptive quantizer's scale factor. Encoder and decoder run the same one.

use super::guess::Adaptation;
use super::tables::{ILB, QM2, QM4, WH, WL};
use super::{dequantize, multiply, saturate};

/// Zeros of the predictor.
pub(super) const ZEROS: usize = 6;

/// The logarithm of the lower band's scale factor is at most so much, and that of the higher.
const LIMITS: (i32, i32) = (18_432, 22_528);

/// By how much the scale factor of each band is shifted.
const SHIFTS: (i32, i32) = (8, 10);

/// What one band remembers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Band {
    /// Logarithm of the scale factor (NB).
    log_scale: i32,
    /// The scale factor of the quantizer (DET).
    scale: i32,
    /// The part of the prediction that the zeros contribute (SZ).
    zeros_sum: i32,
    /// The prediction of the next sample (S).
    predicted: i32,
    /// Coefficients of the two poles (A1, A2).
    poles: [i32; 2],
    /// The last two reconstructed samples (RLT), the newest first.
    rebuilt: [i32; 2],
    /// The signs (0 or -1) of the last two partly reconstructed samples (PLT), the newest first.
    signs: [i32; 2],
    /// Coefficients of the zeros (B1 to B6), the newest difference's first; two of eight are never used, for alignment.
    zeros: [i16; 8],
    /// The last six differences (DLT), the newest first.
    differences: [i16; 8],
}

impl Band {
    pub(super) const LOW: Self = Self::new(32);
    pub(super) const HIGH: Self = Self::new(8);

    const fn new(scale: i32) -> Self {
        Self {
            log_scale: 0,
            scale,
            zeros_sum: 0,
            predicted: 0,
            poles: [0; 2],
            rebuilt: [0; 2],
            signs: [0; 2],
            zeros: [0; 8],
            differences: [0; 8],
        }
    }

    /// What the predictor expects of the next sample, 16 bits.
    #[inline]
    pub(super) const fn predicted(&self) -> i32 {
        self.predicted
    }

    /// The quantizer's scale factor, 0..=32767.
    #[inline]
    pub(super) const fn scale(&self) -> i32 {
        self.scale
    }

    /// After a code of the lower band, with the difference that its upper four bits stand for.
    #[inline]
    pub(super) fn adapt_low(&mut self, code: u8, difference: i32) {
        self.rescale(WL[usize::from(code >> 2)], LIMITS.0, SHIFTS.0);
        self.predict(difference);
    }

    /// After a code of the higher band, with the difference that it stands for.
    #[inline]
    pub(super) fn adapt_high(&mut self, code: u8, difference: i32) {
        self.rescale(WH[usize::from(code)], LIMITS.1, SHIFTS.1);
        self.predict(difference);
    }

    /// A code of the lower band, for what it teaches only.
    pub(super) fn pass_low(&mut self, code: u8) {
        self.adapt_low(code, dequantize(QM4[usize::from(code >> 2)], self.scale));
    }

    /// A code of the higher band, for what it teaches only.
    pub(super) fn pass_high(&mut self, code: u8) {
        self.adapt_high(code, dequantize(QM2[usize::from(code)], self.scale));
    }

    /// What it has learnt, but for the signal.
    pub(super) fn adaptation(&self) -> Adaptation {
        Adaptation {
            log_scale: self.log_scale as f32,
            poles: self.poles.map(|pole| pole as f32),
            zeros: std::array::from_fn(|n| f32::from(self.zeros[n])),
        }
    }

    /// The lower band as if it had learnt this.
    pub(super) fn adapt_to_low(&mut self, adaptation: &Adaptation) {
        self.adapt_to(adaptation, LIMITS.0, SHIFTS.0);
    }

    /// The higher band as if it had learnt this.
    pub(super) fn adapt_to_high(&mut self, adaptation: &Adaptation) {
        self.adapt_to(adaptation, LIMITS.1, SHIFTS.1);
    }

    /// Whatever it is given, within the bounds that adapting itself keeps.
    fn adapt_to(&mut self, adaptation: &Adaptation, limit: i32, shift: i32) {
        self.log_scale = (adaptation.log_scale.round() as i32).clamp(0, limit);
        self.set_scale(shift);
        let [first, second] = adaptation.poles.map(|pole| pole.round() as i32);
        self.poles = bounded(first, second);
        for (zero, other) in self.zeros.iter_mut().zip(adaptation.zeros) {
            *zero = other.round() as i16; // saturates
        }
        self.predict_next();
    }

    /// LOGSCL, LOGSCH: the logarithm leaks, moves by the code's weight and is turned into a factor.
    #[inline]
    fn rescale(&mut self, weight: i16, limit: i32, shift: i32) {
        self.log_scale = (((self.log_scale * 127) >> 7) + i32::from(weight)).clamp(0, limit);
        self.set_scale(shift);
    }

    /// SCALEL, SCALEH: the factor of the logarithm.
    #[inline]
    fn set_scale(&mut self, shift: i32) {
        let mantissa = i32::from(ILB[((self.log_scale >> 6) & 31) as usize]);
        // The integer part is at most 9 in the lower band and 11 in the higher, one more than the shift.
        let exponent = self.log_scale >> 11;
        self.scale = (mantissa << 1 >> (shift + 1 - exponent)) << 2;
    }

    /// The predictor's next step, for the quantized `difference` (16 bits).
    #[inline]
    fn predict(&mut self, difference: i32) {
        let rebuilt = saturate(self.predicted + difference); // RECONS
        let sign = (self.zeros_sum + difference) >> 31; // PARREC: only the sign of the sum is used
        self.adapt_poles(sign);
        self.adapt_zeros(difference);
        self.rebuilt = [rebuilt, self.rebuilt[0]];
        self.signs = [sign, self.signs[0]];
        self.differences.copy_within(0..ZEROS - 1, 1);
        self.differences[0] = difference as i16;
        self.predict_next();
    }

    /// FILTEP, FILTEZ, PREDIC.
    #[inline]
    fn predict_next(&mut self) {
        let poles_sum = self.filter_poles();
        self.zeros_sum = self.filter_zeros();
        self.predicted = saturate(poles_sum + self.zeros_sum);
    }

    /// UPPOL2, UPPOL1.
    #[inline]
    fn adapt_poles(&mut self, sign: i32) {
        let [first, second] = self.poles;
        let same = sign == self.signs[0];
        let turn = saturate(4 * first);
        let turn = if same { -turn } else { turn }.min(32_767) >> 7;
        let step = if sign == self.signs[1] { 128 } else { -128 };
        let second = turn + step + multiply(second, 32_512);
        let step = if same { 192 } else { -192 };
        self.poles = bounded(step + multiply(first, 32_640), second);
    }

    /// UPZERO: every coefficient leaks, and moves towards the sign that the new difference shares with its own.
    #[inline]
    fn adapt_zeros(&mut self, difference: i32) {
        let step: i16 = if difference == 0 { 0 } else { 128 };
        let sign = (difference >> 31) as i16;
        for (zero, older) in self.zeros.iter_mut().zip(&self.differences) {
            let flip = (older >> 15) ^ sign; // 0 where the signs agree, else -1
            let leaked = multiply(i32::from(*zero), 32_640) as i16;
            *zero = leaked.saturating_add((step ^ flip) - flip);
        }
    }

    /// FILTEP.
    #[inline]
    fn filter_poles(&self) -> i32 {
        let [first, second] = self.poles;
        let [newer, older] = self.rebuilt;
        saturate(multiply(first, saturate(2 * newer)) + multiply(second, saturate(2 * older)))
    }

    /// FILTEZ.
    #[inline]
    fn filter_zeros(&self) -> i32 {
        let products: [i32; ZEROS] = std::array::from_fn(|n| {
            let doubled = self.differences[n].saturating_add(self.differences[n]);
            multiply(i32::from(self.zeros[n]), i32::from(doubled))
        });
        // The sum saturates at every addition, the oldest product first.
        products.iter().rev().fold(0, |sum, product| saturate(sum + product))
    }
}

/// Poles that are stable: LIMIT of UPPOL2 and UPPOL1.
#[inline]
fn bounded(first: i32, second: i32) -> [i32; 2] {
    let second = second.clamp(-12_288, 12_288);
    let bound = 15_360 - second;
    [first.clamp(-bound, bound), second]
}
