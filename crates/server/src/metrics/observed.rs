//! What other threads count on their own, read when the page is: nothing is copied in between, a scrape changes nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{self, Metric, MetricFamily, MetricType};

use super::{Family, TWICE, describe, full};
use crate::media::gauges::{LATE_BUCKETS, ShardGauges, TICK_BUCKETS};

/// Where it is read.
pub struct Sources {
    /// What the media threads publish.
    pub shards: Vec<Arc<CachePadded<ShardGauges>>>,
    /// SIP messages dropped, as the sockets count them.
    pub sip_dropped: Box<dyn Fn() -> u64 + Send + Sync>,
    /// TLS handshakes that failed, as the sockets count them.
    pub failed_handshakes: Box<dyn Fn() -> u64 + Send + Sync>,
    /// How long the oldest usage record has waited for the disk.
    pub oldest_record: Box<dyn Fn() -> Duration + Send + Sync>,
}

impl Sources {
    /// Nothing is running.
    pub fn none() -> Self {
        Self {
            shards: Vec::new(),
            sip_dropped: Box::new(|| 0),
            failed_handshakes: Box::new(|| 0),
            oldest_record: Box::new(|| Duration::ZERO),
        }
    }
}

/// Reads one number.
type Read = fn(&Sources) -> f64;
/// Reads the buckets of a histogram, their bounds in microseconds, and the sum in nanoseconds.
type ReadBuckets = fn(&Sources) -> (Vec<u64>, &'static [u64], u64);

const COUNTERS: [(&str, &str, Read); 5] = [
    ("sip_dropped_total", "SIP messages dropped because control could not keep up.", |sources| {
        (sources.sip_dropped)() as f64
    }),
    ("tls_handshakes_failed_total", "TLS handshakes that failed, theirs and ours.", |sources| {
        (sources.failed_handshakes)() as f64
    }),
    ("mixer_ticks_total", "Ticks done by all media threads.", |sources| sources.sum(|shard| &shard.ticks)),
    ("mixer_deadline_missed_total", "Ticks skipped because a media thread woke too late.", |sources| {
        sources.sum(|shard| &shard.skipped)
    }),
    ("mixer_late_ticks_total", "Ticks that ran a whole tick or more late.", |sources| {
        sources.sum(|shard| &shard.late)
    }),
];

const GAUGES: [(&str, &str, Read); 1] = [(
    "cdr_spool_oldest_seconds",
    "How long the oldest usage record has waited for the disk; 0 when none waits.",
    |sources| (sources.oldest_record)().as_secs_f64(),
)];

const LOAD: &str =
    "The share of its time that a media thread is busy, over about a second; admission goes by it.";

const HISTOGRAMS: [(&str, &str, ReadBuckets); 2] = [
    (
        "mixer_tick_seconds",
        "How long the phases of the media threads took: reading, mixing and sending.",
        |sources| {
            let sum = sources.total(|shard| &shard.busy_nanos);
            (sources.buckets(|shard| &shard.tick_buckets), &TICK_BUCKETS, sum)
        },
    ),
    ("mixer_wake_late_seconds", "How late the media threads woke for their phases.", |sources| {
        let sum = sources.total(|shard| &shard.late_nanos);
        (sources.buckets(|shard| &shard.late_buckets), &LATE_BUCKETS, sum)
    }),
];

impl Sources {
    fn total(&self, of: fn(&ShardGauges) -> &AtomicU64) -> u64 {
        self.shards.iter().map(|shard| of(shard).load(Ordering::Relaxed)).sum()
    }

    fn sum(&self, of: fn(&ShardGauges) -> &AtomicU64) -> f64 {
        self.total(of) as f64
    }

    fn buckets<const N: usize>(&self, of: fn(&ShardGauges) -> &[AtomicU64; N]) -> Vec<u64> {
        let bucket = |index: usize| -> u64 {
            self.shards.iter().map(|shard| of(shard)[index].load(Ordering::Relaxed)).sum()
        };
        (0..N).map(bucket).collect()
    }
}

/// The collector.
pub(super) struct Observed {
    sources: Sources,
    counters: Vec<Desc>,
    gauges: Vec<Desc>,
    load: Desc,
    histograms: Vec<Desc>,
}

impl Observed {
    pub(super) fn new(sources: Sources) -> Self {
        let desc = |name: &str, help: &str| {
            Desc::new(full(name), help.to_owned(), Vec::new(), HashMap::new()).expect(TWICE)
        };
        Self {
            sources,
            counters: COUNTERS.iter().map(|(name, help, _)| desc(name, help)).collect(),
            gauges: GAUGES.iter().map(|(name, help, _)| desc(name, help)).collect(),
            load: Desc::new(full("load_ratio"), LOAD.to_owned(), vec!["shard".to_owned()], HashMap::new())
                .expect(TWICE),
            histograms: HISTOGRAMS.iter().map(|(name, help, _)| desc(name, help)).collect(),
        }
    }

    pub(super) fn families(&self) -> Vec<Family> {
        let rest = describe("gauge", &self.gauges).chain(describe("histogram", &self.histograms));
        describe("counter", &self.counters).chain(rest).chain(describe("gauge", [&self.load])).collect()
    }
}

impl Collector for Observed {
    fn desc(&self) -> Vec<&Desc> {
        self.counters.iter().chain(&self.gauges).chain(&self.histograms).chain([&self.load]).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let sources = &self.sources;
        let counters =
            self.counters.iter().zip(COUNTERS).map(|(desc, (_, _, read))| counter(desc, read(sources)));
        let gauges = self.gauges.iter().zip(GAUGES).map(|(desc, (_, _, read))| gauge(desc, read(sources)));
        let histograms = self.histograms.iter().zip(HISTOGRAMS).map(|(desc, (_, _, read))| {
            let (buckets, bounds, nanos) = read(sources);
            histogram(desc, &buckets, bounds, nanos)
        });
        let load = (!sources.shards.is_empty()).then(|| self.load(sources));
        counters.chain(gauges).chain(histograms).chain(load).collect()
    }
}

impl Observed {
    /// The load of every media thread.
    fn load(&self, sources: &Sources) -> MetricFamily {
        let samples = sources.shards.iter().enumerate().map(|(number, shard)| {
            let mut label = proto::LabelPair::default();
            label.set_name("shard".to_owned());
            label.set_value(number.to_string());
            let mut gauge = proto::Gauge::default();
            gauge.set_value(shard.load().busy);
            let mut metric = Metric::from_gauge(gauge);
            metric.set_label(vec![label]);
            metric
        });
        let mut family = family(&self.load, MetricType::GAUGE, Metric::default());
        family.set_metric(samples.collect());
        family
    }
}

/// A family with one counter.
pub(super) fn counter(desc: &Desc, value: f64) -> MetricFamily {
    let mut counter = proto::Counter::default();
    counter.set_value(value);
    let mut metric = Metric::default();
    metric.set_counter(counter);
    family(desc, MetricType::COUNTER, metric)
}

/// A family with one gauge.
pub(super) fn gauge(desc: &Desc, value: f64) -> MetricFamily {
    let mut gauge = proto::Gauge::default();
    gauge.set_value(value);
    family(desc, MetricType::GAUGE, Metric::from_gauge(gauge))
}

fn histogram(desc: &Desc, buckets: &[u64], bounds: &[u64], nanos: u64) -> MetricFamily {
    let mut seen = 0;
    let cumulative = bounds.iter().zip(buckets).map(|(&micros, count)| {
        seen += count;
        let mut bucket = proto::Bucket::default();
        bucket.set_upper_bound(micros as f64 / 1e6);
        bucket.set_cumulative_count(seen);
        bucket
    });
    let mut histogram = proto::Histogram::default();
    histogram.set_bucket(cumulative.collect());
    histogram.set_sample_count(buckets.iter().sum());
    histogram.set_sample_sum(nanos as f64 / 1e9);
    let mut metric = Metric::default();
    metric.set_histogram(histogram);
    family(desc, MetricType::HISTOGRAM, metric)
}

fn family(desc: &Desc, kind: MetricType, metric: Metric) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(desc.fq_name.clone());
    family.set_help(desc.help.clone());
    family.set_field_type(kind);
    family.set_metric(vec![metric]);
    family
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn what_the_media_threads_count_becomes_counters_and_real_histograms() {
        let shard = Arc::new(CachePadded::new(ShardGauges::default()));
        let other = Arc::new(CachePadded::new(ShardGauges::default()));
        shard.ticks.store(5, Ordering::Relaxed);
        other.ticks.store(2, Ordering::Relaxed);
        shard.tick_buckets[0].store(4, Ordering::Relaxed);
        other.tick_buckets[1].store(2, Ordering::Relaxed);
        other.tick_buckets[TICK_BUCKETS.len()].store(1, Ordering::Relaxed);
        shard.busy_nanos.store(1_500_000_000, Ordering::Relaxed);
        let mut metrics = Metrics::new(std::iter::empty());
        metrics.observe(Sources { shards: vec![shard, other], ..Sources::none() });
        let page = metrics.page();
        for line in [
            "# TYPE partyline_mixer_ticks_total counter",
            "partyline_mixer_ticks_total 7",
            "# TYPE partyline_mixer_tick_seconds histogram",
            "partyline_mixer_tick_seconds_bucket{le=\"0.0005\"} 4",
            "partyline_mixer_tick_seconds_bucket{le=\"0.001\"} 6",
            "partyline_mixer_tick_seconds_bucket{le=\"0.04\"} 6",
            "partyline_mixer_tick_seconds_bucket{le=\"+Inf\"} 7",
            "partyline_mixer_tick_seconds_sum 1.5",
            "partyline_mixer_tick_seconds_count 7",
            "# TYPE partyline_sip_dropped_total counter",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
    }
}
