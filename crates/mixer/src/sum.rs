//! Mix-minus: the exact integer sum of all talkers, minus one's own, saturated once. Written so that it vectorises.

use crate::frame::{FRAME, Frame};

/// The sum of a tick. 32 bits hold 65,536 talkers at full scale, so adding and subtracting are exact, in any order.
#[derive(Clone, Debug)]
#[repr(align(32))]
pub(crate) struct Sum([i32; FRAME]);

impl Sum {
    pub(crate) const SILENCE: Self = Self([0; FRAME]);

    /// Adds one contribution.
    pub(crate) fn add(&mut self, frame: &[i16]) {
        for (sum, own) in self.0.iter_mut().zip(frame) {
            *sum += i32::from(*own);
        }
    }

    /// All of it.
    pub(crate) fn whole(&self) -> Frame {
        let mut heard = Frame::default();
        for (out, sum) in heard.samples_mut().iter_mut().zip(&self.0) {
            *out = saturate(*sum);
        }
        heard
    }

    /// All of it without one contribution.
    pub(crate) fn minus(&self, own: &[i16]) -> Frame {
        let mut heard = Frame::default();
        for ((out, sum), own) in heard.samples_mut().iter_mut().zip(&self.0).zip(own) {
            *out = saturate(*sum - i32::from(*own));
        }
        heard
    }

    /// All of it without two contributions.
    pub(crate) fn minus_both(&self, own: &[i16], other: &[i16]) -> Frame {
        let mut heard = Frame::default();
        for (((out, sum), own), other) in heard.samples_mut().iter_mut().zip(&self.0).zip(own).zip(other) {
            *out = saturate(*sum - i32::from(*own) - i32::from(*other));
        }
        heard
    }
}

fn saturate(sum: i32) -> i16 {
    sum.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_exact_and_saturates_only_at_the_end() {
        let mut sum = Sum::SILENCE;
        let (loud, own) = ([i16::MAX; FRAME], [-30_000; FRAME]);
        sum.add(&loud);
        sum.add(&loud);
        sum.add(&own);
        assert_eq!(sum.whole().samples()[0], i16::MAX);
        assert_eq!(sum.minus(&loud).samples()[0], i16::MAX - 30_000);
        assert_eq!(sum.minus(&own).samples()[159], i16::MAX);
        assert_eq!(sum.minus_both(&loud, &loud).samples()[80], -30_000);
    }
}
