//! The four transaction machines of RFC 3261 section 17 with the corrections of RFC 6026.
//!
//! A machine is pure: it is told a status code, a timer or a transport failure, and answers with [`Output`]s in the
//! order in which they must happen. It holds no message, no clock and no socket; the `endpoint` keeps the bytes, the
//! timers and the addresses. Each file is one figure of the RFC, each arm one of its arrows.

pub(crate) mod client_invite;
pub(crate) mod client_other;
pub(crate) mod key;
pub(crate) mod queue;
pub(crate) mod server_invite;
pub(crate) mod server_other;
pub(crate) mod timers;

use std::time::Duration;

pub use timers::{TimerReason, Timers};

/// What a machine wants done, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// Send what this transaction sends: the request (client) or the last response (server).
    Transmit,
    /// Send the ACK for a final response that is not a 2xx (RFC 3261 section 17.1.1.3).
    Acknowledge,
    /// Pass the input that caused this to the transaction user.
    Deliver,
    /// Start a timer, replacing one of the same name.
    Arm(TimerReason, Duration),
    /// Stop a timer.
    Disarm(TimerReason),
    /// Timer B or F fired: to the transaction user this is a 408 (RFC 3261 section 8.1.3.1); timer H: no ACK came.
    TimedOut,
    /// The transport refused the message: to the transaction user this is a 503 (RFC 3261 section 8.1.3.1).
    TransportFailed,
    /// The transaction is over; its timers and keys can be forgotten.
    Terminated,
}

/// Some instant for virtual clocks to start from. The only clock the tests ever read.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a virtual clock needs one instant to count from")]
pub(crate) fn test_epoch() -> std::time::Instant {
    std::time::Instant::now()
}
