//! The timers of RFC 3261 table 4 and RFC 6026 section 8.1, and the name of every other deadline of the engine.

use std::time::Duration;

/// The three base values from which every transaction timer is computed (RFC 3261 table 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// Round-trip estimate; 500 ms.
    pub t1: Duration,
    /// The longest pause between retransmissions of a non-INVITE request or an INVITE response; 4 s.
    pub t2: Duration,
    /// How long a message may stay in the network; 5 s.
    pub t4: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) }
    }
}

impl Timers {
    /// 64*T1: timers B, F, H, J, L and M.
    pub fn whole(&self) -> Duration {
        self.t1.saturating_mul(64)
    }

    /// Timer D: more than 32 s on an unreliable transport, none on a reliable one.
    pub(crate) fn d(&self, reliable: bool) -> Duration {
        if reliable { Duration::ZERO } else { self.whole().max(Duration::from_secs(32)) }
    }

    /// Timers I and K: T4 on an unreliable transport, none on a reliable one.
    pub(crate) fn linger(&self, reliable: bool) -> Duration {
        if reliable { Duration::ZERO } else { self.t4 }
    }

    /// Timer J: 64*T1 on an unreliable transport, none on a reliable one.
    pub(crate) fn j(&self, reliable: bool) -> Duration {
        if reliable { Duration::ZERO } else { self.whole() }
    }

    /// The next retransmission interval of timers E and G, and of the 2xx: doubled, at most T2.
    pub(crate) fn backoff(&self, interval: Duration) -> Duration {
        interval.saturating_mul(2).min(self.t2)
    }
}

/// Why the engine asks to be woken. A to M are the letters of RFC 3261 table 4 and RFC 6026; the rest are the
/// deadlines of the transaction user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerReason {
    /// INVITE request retransmission (UDP only).
    TimerA,
    /// INVITE transaction timeout.
    TimerB,
    /// Wait for retransmissions of a final response to our INVITE.
    TimerD,
    /// Non-INVITE request retransmission (UDP only).
    TimerE,
    /// Non-INVITE transaction timeout.
    TimerF,
    /// Retransmission of our final non-2xx response to an INVITE (UDP only).
    TimerG,
    /// Wait for the ACK to our final non-2xx response.
    TimerH,
    /// Wait for retransmissions of that ACK.
    TimerI,
    /// Wait for retransmissions of a non-INVITE request.
    TimerJ,
    /// Wait for retransmissions of the response to our non-INVITE request.
    TimerK,
    /// Wait for retransmissions of an INVITE that was answered 2xx (RFC 6026).
    TimerL,
    /// Wait for further 2xx to our INVITE, retransmitted or from another fork (RFC 6026).
    TimerM,
    /// Retransmission of our 2xx until the ACK (RFC 3261 section 13.3.1.4).
    AcceptRetransmit,
    /// No ACK for our 2xx after 64*T1: the dialog is ended with BYE (RFC 3261 section 13.3.1.4).
    AckMissing,
    /// The application has not answered an INVITE or a re-INVITE in time.
    AnswerDue,
    /// The same for an offer in an UPDATE or a PRACK.
    UpdateDue,
    /// Nothing at all came back for our INVITE.
    FirstResponse,
    /// No 101-199 came back for our INVITE (FailoverTimeSeconds).
    Provisional,
    /// The far end rang for too long.
    Ring,
    /// A CANCEL was sent and the INVITE got no final response in 64*T1 (RFC 3261 section 9.1).
    CancelUnanswered,
    /// Our re-INVITE met theirs (491): try again (RFC 3261 section 14.1).
    GlareRetry,
    /// Retransmission of a reliable provisional response until its PRACK (RFC 3262 section 3).
    ProvisionalRetransmit,
    /// No PRACK after 64*T1: the INVITE is refused (RFC 3262 section 3).
    PrackMissing,
    /// Half of the session interval is over: we refresh the dialog (RFC 4028 section 7.2).
    SessionRefresh,
    /// The session interval is over and nobody has refreshed the dialog (RFC 4028 section 10).
    SessionOver,
}
