//! The bridge's own use of the machine, under the names that every Prometheus client uses. Read from `/proc`; what
//! cannot be read is left out.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::observed::{counter, gauge};
use super::{Family, TWICE, describe};

/// Linux counts processor time in hundredths of a second, whatever the kernel's own clock does.
const USER_HZ: f64 = 100.0;

/// The collector.
pub(super) struct Footprint {
    cpu: Desc,
    gauges: [(Desc, Read); 4],
    began: f64,
}

type Read = fn(began: f64) -> Option<f64>;

impl Footprint {
    pub(super) fn new() -> Self {
        let desc = |name: &str, help: &str| {
            Desc::new(name.to_owned(), help.to_owned(), Vec::new(), std::collections::HashMap::new())
                .expect(TWICE)
        };
        Self {
            cpu: desc("process_cpu_seconds_total", "Processor time used, user and system."),
            gauges: [
                (desc("process_resident_memory_bytes", "Memory in use."), |_| resident_bytes()),
                (desc("process_open_fds", "Open file descriptors."), |_| open_files()),
                (desc("process_max_fds", "The most file descriptors that may be open."), |_| most_files()),
                (desc("process_start_time_seconds", "When the bridge was started, since 1970."), Some),
            ],
            began: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
        }
    }

    pub(super) fn families(&self) -> Vec<Family> {
        let gauges = self.gauges.iter().map(|(desc, _)| desc);
        describe("counter", [&self.cpu]).chain(describe("gauge", gauges)).collect()
    }
}

impl Collector for Footprint {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.iter().map(|(desc, _)| desc).chain([&self.cpu]).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let gauges = self.gauges.iter().filter_map(|(desc, read)| Some(gauge(desc, read(self.began)?)));
        gauges.chain(cpu_seconds().map(|seconds| counter(&self.cpu, seconds))).collect()
    }
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name and may hold blanks; the 14th and 15th are what is wanted.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: Vec<f64> =
        fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    Some(ticks.iter().sum::<f64>() / USER_HZ)
}

fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kibibytes| kibibytes * 1024.0)
}

fn open_files() -> Option<f64> {
    // One of them reads the folder.
    fs::read_dir("/proc/self/fd").ok().map(|files| files.count().saturating_sub(1) as f64)
}

fn most_files() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_can_be_read_on_this_machine() {
        let families = Footprint::new().collect();
        assert_eq!(families.len(), 5);
        let memory = resident_bytes().unwrap_or_default();
        assert!(memory > 1e6, "{memory}");
        assert!(most_files() >= open_files());
    }
}
