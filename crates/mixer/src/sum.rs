//! Mix-minus: the exact integer sum of all talkers, minus what somebody is not to hear. Written so that it vectorises.

use crate::units::Rate;

/// The sum of a tick. 32 bits hold 65,536 talkers at full scale, so adding and subtracting are exact, in any order.
#[derive(Clone, Debug)]
pub(crate) struct Sum {
    samples: Vec<i32>,
    /// True while nothing was added.
    silent: bool,
}

impl Sum {
    /// 20 ms of silence. It allocates.
    pub(crate) fn new(rate: Rate) -> Self {
        Self { samples: vec![0; rate.frame()], silent: true }
    }

    pub(crate) fn clear(&mut self) {
        if !self.silent {
            self.samples.fill(0);
            self.silent = true;
        }
    }

    /// True while nothing was added.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent
    }

    pub(crate) fn samples(&self) -> &[i32] {
        &self.samples
    }

    /// Adds one contribution.
    pub(crate) fn add(&mut self, frame: &[i16]) {
        self.silent = false;
        for (sum, own) in self.samples.iter_mut().zip(frame) {
            *sum += i32::from(*own);
        }
    }

    /// Adds a whole sum.
    pub(crate) fn add_sum(&mut self, other: &Self) {
        if !other.silent {
            self.silent = false;
            self.samples.iter_mut().zip(&other.samples).for_each(|(sum, other)| *sum += other);
        }
    }

    /// Takes one contribution out.
    pub(crate) fn subtract(&mut self, frame: &[i16]) {
        for (sum, own) in self.samples.iter_mut().zip(frame) {
            *sum -= i32::from(*own);
        }
    }

    /// The same as `other`, at the same rate.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.samples.copy_from_slice(&other.samples);
        self.silent = other.silent;
    }

    /// Only this.
    pub(crate) fn set(&mut self, frame: &[i16]) {
        self.silent = false;
        for (sum, own) in self.samples.iter_mut().zip(frame) {
            *sum = i32::from(*own);
        }
    }

    /// The beginning of something new rises from silence over 5 ms.
    pub(crate) fn fade_in(&mut self) {
        let over = self.samples.len() / 4;
        for (n, sample) in self.samples[..over].iter_mut().enumerate() {
            *sample = (i64::from(*sample) * n as i64 / over as i64) as i32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FRAME;

    #[test]
    fn the_sum_is_exact_in_any_order() {
        let mut sum = Sum::new(Rate::Narrow);
        let (loud, own) = ([i16::MAX; FRAME], [i16::MIN; FRAME]);
        sum.add(&loud);
        sum.add(&own);
        sum.add(&loud);
        assert_eq!(sum.samples()[7], 2 * 32_767 - 32_768);
        sum.subtract(&own);
        sum.subtract(&loud);
        let mut other = Sum::new(Rate::Narrow);
        other.copy_from(&sum);
        assert!(other.samples().iter().all(|sample| *sample == 32_767));
        sum.clear();
        assert!(sum.is_silent() && sum.samples().iter().all(|sample| *sample == 0));
    }
}
