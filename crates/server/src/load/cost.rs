//! What processes cost: CPU time and memory, as Linux tells (proc(5)).

use std::fs;
use std::io;
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::unistd::{SysconfVar, sysconf};
use serde::Serialize;

use super::fleet::FleetError;
use super::report::Server;

/// CPU time of a process with all its threads, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cpu {
    /// In the program.
    pub user: f64,
    /// In the kernel on its behalf.
    pub system: f64,
}

impl Cpu {
    /// Of the process `pid`, to the clock tick (10 ms), ended threads included.
    pub fn of(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let hertz = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
        parse(&stat, hertz as f64)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/PID/stat has an unknown form"))
    }

    /// Of this process.
    pub fn own() -> Self {
        getrusage(UsageWho::RUSAGE_SELF).map_or_else(
            |_| Self::default(),
            |usage| {
                let milliseconds = |time: nix::sys::time::TimeVal| time.num_microseconds() as f64 / 1000.0;
                Self { user: milliseconds(usage.user_time()), system: milliseconds(usage.system_time()) }
            },
        )
    }

    /// Both together.
    pub fn total(self) -> f64 {
        self.user + self.system
    }

    /// What was used since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { user: self.user - earlier.user, system: self.system - earlier.system }
    }
}

/// The name may hold anything, blanks and brackets too: the fields are counted from the last bracket.
fn parse(stat: &str, hertz: f64) -> Option<Cpu> {
    let (_, after) = stat.rsplit_once(')')?;
    // Field 3 is the first after the name; utime and stime are 14 and 15.
    let mut fields = after.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    let (user, system) = (next()?, next()?);
    let milliseconds = |ticks: u64| ticks as f64 * 1000.0 / hertz;
    Some(Cpu { user: milliseconds(user), system: milliseconds(system) })
}

/// Resident memory of the process `pid` in KiB.
pub fn resident(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/PID/status has no VmRSS"))
}

/// The bridge's process, second by second.
pub(super) struct Watch {
    pid: u32,
    first: Cpu,
    last: (Instant, Cpu),
    percent: Vec<f64>,
    before: u64,
}

impl Watch {
    pub(super) fn begin(pid: u32) -> Result<Self, FleetError> {
        let failed = |error| FleetError::Server { pid, error };
        let first = Cpu::of(pid).map_err(failed)?;
        let before = resident(pid).map_err(failed)?;
        Ok(Self { pid, first, last: (Instant::now(), first), percent: Vec::new(), before })
    }

    pub(super) fn sample(&mut self) -> Result<(), FleetError> {
        let cpu = Cpu::of(self.pid).map_err(|error| FleetError::Server { pid: self.pid, error })?;
        let now = Instant::now();
        let (at, before) = std::mem::replace(&mut self.last, (now, cpu));
        let milliseconds = (now - at).as_secs_f64() * 1000.0;
        self.percent.push(100.0 * cpu.since(before).total() / milliseconds.max(1.0));
        Ok(())
    }

    pub(super) fn end(self, leg_seconds: f64) -> Result<Server, FleetError> {
        let failed = |error| FleetError::Server { pid: self.pid, error };
        let cpu_ms = Cpu::of(self.pid).map_err(failed)?.since(self.first);
        Ok(Server {
            pid: self.pid,
            cpu_ms,
            cpu_ms_per_leg_second: cpu_ms.total() / leg_seconds,
            cpu_percent: self.percent,
            rss_kib_before: self.before,
            rss_kib_after: resident(self.pid).map_err(failed)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_fields() {
        let stat = "12 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 250 31 0 0 20 0 3 0 99";
        assert_eq!(parse(stat, 100.0), Some(Cpu { user: 2500.0, system: 310.0 }));
        assert_eq!(parse("12 (a) S 1", 100.0), None);
        assert_eq!(parse("", 100.0), None);
    }

    #[test]
    fn this_process_can_be_asked_by_its_number() {
        let here = std::process::id();
        assert!(Cpu::of(here).is_ok());
        assert!(resident(here).is_ok_and(|kib| kib > 100));
        assert!(Cpu::of(u32::MAX).is_err());
        assert!(Cpu::own().total() >= 0.0);
    }
}
