//! A histogram of durations with a bounded relative error, and the quantiles that are shown of it.

use serde::Serialize;

/// Sub-buckets of an octave: a value is known to 1/16.
const FINE: u64 = 16;
/// 16 linear buckets, then 20 octaves of 16: up to 16.7 s in microseconds.
const BUCKETS: usize = 16 + 20 * 16;

/// Counts of durations, in microseconds, to 6 % each; the largest is kept exactly.
#[derive(Clone, Debug)]
pub struct Spread {
    buckets: Box<[u32]>,
    count: u64,
    largest: u64,
}

/// What is shown of a [`Spread`]. Times in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// How many values.
    pub count: u64,
    /// Half are at most so large.
    pub p50: f64,
    /// 99 % are at most so large.
    pub p99: f64,
    /// 99.9 % are at most so large.
    pub p999: f64,
    /// The largest.
    pub max: f64,
}

impl Default for Spread {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS].into(), count: 0, largest: 0 }
    }
}

impl Spread {
    /// One value in microseconds.
    pub fn add(&mut self, micros: u64) {
        self.buckets[bucket(micros)] += 1;
        self.count += 1;
        self.largest = self.largest.max(micros);
    }

    /// Everything of another histogram.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.largest = self.largest.max(other.largest);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.buckets.fill(0);
        self.count = 0;
        self.largest = 0;
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The value in microseconds below which this share (0..=1) of all values lies: the upper edge of its bucket.
    pub fn quantile(&self, share: f64) -> u64 {
        let rank = (share * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, &count) in self.buckets.iter().enumerate() {
            seen += u64::from(count);
            if seen >= rank {
                return edge(index).min(self.largest);
            }
        }
        self.largest
    }

    /// The figures to show, in milliseconds.
    pub fn quantiles(&self) -> Quantiles {
        let at = |share| self.quantile(share) as f64 / 1000.0;
        let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
        Quantiles { count: self.count, p50, p99, p999, max: self.largest as f64 / 1000.0 }
    }

    /// Upper edge in milliseconds and count of every bucket that is not empty, in order.
    pub fn bars(&self) -> Vec<(f64, u32)> {
        let some = self.buckets.iter().enumerate().filter(|(_, count)| **count > 0);
        some.map(|(index, &count)| (edge(index) as f64 / 1000.0, count)).collect()
    }
}

fn bucket(micros: u64) -> usize {
    if micros < FINE {
        return micros as usize;
    }
    let octave = u64::from(micros.ilog2()) - 4; // 16..=31 is octave 0
    let within = (micros >> octave) - FINE;
    ((FINE * (octave + 1) + within) as usize).min(BUCKETS - 1)
}

/// The largest value of a bucket.
fn edge(index: usize) -> u64 {
    let index = index as u64;
    if index < FINE {
        return index;
    }
    let (octave, within) = (index / FINE - 1, index % FINE);
    ((FINE + within + 1) << octave) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_the_bucket_whose_edge_is_at_most_a_sixteenth_above_it() {
        for micros in (0..100_000).chain([1 << 20, (1 << 24) - 1]) {
            let edge = edge(bucket(micros));
            assert!(edge >= micros && edge <= micros + micros / 16, "{micros}: {edge}");
        }
    }

    #[test]
    fn quantiles_of_a_thousand_values() {
        let mut spread = Spread::default();
        (1..=1000).for_each(|n| spread.add(n * 10));
        let shown = spread.quantiles();
        assert_eq!(shown.count, 1000);
        for (value, exact) in [(shown.p50, 5.0), (shown.p99, 9.9), (shown.p999, 9.99)] {
            assert!(value >= exact && value <= exact * 17.0 / 16.0, "{value} for {exact}");
        }
        assert!((shown.max - 10.0).abs() < 1e-9);
    }

    #[test]
    fn an_empty_spread_is_zero() {
        assert_eq!(Spread::default().quantiles(), Quantiles::default());
    }

    #[test]
    fn absurd_values_go_to_the_last_bucket_and_the_largest_stays_exact() {
        let mut spread = Spread::default();
        spread.add(u64::MAX);
        assert_eq!(spread.quantile(1.0), edge(BUCKETS - 1));
        assert_eq!(spread.count(), 1);
    }
}
