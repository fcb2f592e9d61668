//! Asks the kernel for real-time scheduling. The one `unsafe` of this crate.
#![allow(unsafe_code)] // one call of libc, with its proof below

/// Puts the calling thread under `SCHED_FIFO` with `priority`; 0 leaves it alone. A refusal is logged with what to
/// do about it and is not an error: the bridge runs, with less margin.
pub fn raise(priority: u8) {
    if priority == 0 {
        return;
    }
    let parameters = libc::sched_param { sched_priority: i32::from(priority) };
    // SAFETY: `pthread_self` is the calling thread, and `parameters` lives across the call, which only reads it.
    let code =
        unsafe { libc::pthread_setschedparam(libc::pthread_self(), libc::SCHED_FIFO, &raw const parameters) };
    if code == 0 {
        tracing::info!(priority, "media thread runs under SCHED_FIFO");
    } else {
        let why = std::io::Error::from_raw_os_error(code);
        tracing::warn!(priority, %why, "SCHED_FIFO refused: allow it (LimitRTPRIO, CAP_SYS_NICE) or set media.realtime_priority = 0");
    }
}
