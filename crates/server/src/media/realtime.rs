//! What a media thread asks of the kernel's scheduler: real-time priority, a core of its own, timers that fire on time.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::system_calls::become_realtime;

/// What is asked for, as configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scheduling {
    /// `SCHED_FIFO` priority; 0 leaves the scheduler alone.
    pub priority: u8,
    /// Keep the thread on one core.
    pub pin: bool,
}

/// Prepares the calling thread, the media thread `number`. What the kernel refuses is logged with what to do about it and is
/// not an error: the bridge runs, with less margin.
pub fn prepare(number: usize, scheduling: Scheduling) {
    // By default the kernel may delay a sleeper's wake-up by 50 us to save power. One nanosecond is the least it takes.
    if let Err(error) = nix::sys::prctl::set_timerslack(1) {
        tracing::warn!(%error, "the media thread's timers stay as coarse as other threads'");
    }
    if scheduling.pin {
        pin(number);
    }
    if scheduling.priority > 0 {
        raise(scheduling.priority);
    }
}

/// Puts the calling thread under `SCHED_FIFO`.
fn raise(priority: u8) {
    match become_realtime(priority) {
        Ok(()) => tracing::info!(priority, "media thread runs under SCHED_FIFO"),
        Err(why) => {
            tracing::warn!(priority, %why, "SCHED_FIFO refused: allow it (LimitRTPRIO, CAP_SYS_NICE) or set media.realtime_priority = 0");
        }
    }
}

/// Keeps the calling thread on one of the cores that the process may use.
fn pin(number: usize) {
    let this = Pid::from_raw(0);
    let granted = sched_getaffinity(this).and_then(|allowed| {
        let cores: Vec<usize> =
            (0..CpuSet::count()).filter(|&core| allowed.is_set(core) == Ok(true)).collect();
        let core = core_of(number, &cores).ok_or(nix::errno::Errno::EINVAL)?;
        let mut own = CpuSet::new();
        own.set(core)?;
        sched_setaffinity(this, &own).map(|()| core)
    });
    match granted {
        Ok(core) => tracing::info!(core, "media thread stays on its core"),
        Err(why) => {
            tracing::warn!(%why, "pinning refused: check the unit's CPUAffinity or cpuset, or set media.pin = false");
        }
    }
}

/// The core of a media thread: from the last one down, so that the first ones, where most interrupts arrive, are left to
/// everything else.
fn core_of(number: usize, cores: &[usize]) -> Option<usize> {
    cores.iter().rev().cycle().take(number + 1).last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_threads_take_the_last_cores_first_and_share_when_there_are_more_of_them() {
        let cores = [0, 2, 5];
        let taken: Vec<_> = (0..4).map(|number| core_of(number, &cores)).collect();
        assert_eq!(taken, [Some(5), Some(2), Some(0), Some(5)]);
        assert_eq!(core_of(0, &[]), None);
    }
}
