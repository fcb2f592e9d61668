//! The INVITE server transaction: RFC 3261 figure 7 as replaced by RFC 6026 figure 7.
//!
//! ```text
//!                  INVITE: to the user, which sends 100
//!   INVITE: again    +------------+
//!   1xx: send  +-----| Proceeding |-----+
//!              +---->+------------+     |
//!        300-699: send |          | 2xx: send
//!   INVITE, G: again   v          v
//!             +-----------+    +----------+ INVITE: absorbed, 2xx from user: send
//!             | Completed |    | Accepted | ACK: to the user
//!             +-----------+    +----------+
//!            ACK |    | H: user      | L
//!                v    +-----+        |
//!          +-----------+    v        v
//!          | Confirmed |-->+------------+
//!          +-----------+ I | Terminated |
//!                          +------------+
//! ```

use std::time::Duration;

use super::{Output, TimerReason, Timers};

/// One INVITE server transaction.
#[derive(Debug)]
pub(crate) struct ServerInvite {
    state: State,
    reliable: bool,
    timers: Timers,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Proceeding,
    Completed { interval: Duration },
    Confirmed,
    Accepted,
    Terminated,
}

impl ServerInvite {
    /// An INVITE arrived; the user sends 100 at once (RFC 3261 section 17.2.1 allows 200 ms).
    pub(crate) fn start(reliable: bool, timers: Timers) -> Self {
        Self { state: State::Proceeding, reliable, timers }
    }

    /// Whether a final response can still be given.
    pub(crate) fn is_proceeding(&self) -> bool {
        self.state == State::Proceeding
    }

    /// The same INVITE arrived again.
    pub(crate) fn retransmission(&mut self) -> Vec<Output> {
        match self.state {
            State::Proceeding | State::Completed { .. } => vec![Output::Transmit],
            // RFC 6026 section 7.1: absorbed in Accepted; the user repeats the 2xx by its own timer.
            State::Accepted | State::Confirmed | State::Terminated => Vec::new(),
        }
    }

    /// The user gives a response.
    pub(crate) fn respond(&mut self, status: u16) -> Vec<Output> {
        match (&self.state, status) {
            (State::Proceeding, 100..=199) | (State::Accepted, 200..=299) => vec![Output::Transmit],
            (State::Proceeding, 200..=299) => {
                self.state = State::Accepted;
                vec![Output::Transmit, Output::Arm(TimerReason::TimerL, self.timers.whole())]
            }
            (State::Proceeding, 300..=699) => {
                self.state = State::Completed { interval: self.timers.t1 };
                let mut outputs =
                    vec![Output::Transmit, Output::Arm(TimerReason::TimerH, self.timers.whole())];
                if !self.reliable {
                    outputs.push(Output::Arm(TimerReason::TimerG, self.timers.t1));
                }
                outputs
            }
            _ => Vec::new(),
        }
    }

    /// An ACK arrived that matches this transaction.
    pub(crate) fn ack(&mut self) -> Vec<Output> {
        match self.state {
            State::Completed { .. } if self.reliable => {
                self.state = State::Terminated;
                vec![Output::Terminated]
            }
            State::Completed { .. } => {
                self.state = State::Confirmed;
                vec![
                    Output::Disarm(TimerReason::TimerG),
                    Output::Disarm(TimerReason::TimerH),
                    Output::Arm(TimerReason::TimerI, self.timers.linger(self.reliable)),
                ]
            }
            State::Accepted => vec![Output::Deliver],
            State::Proceeding | State::Confirmed | State::Terminated => Vec::new(),
        }
    }

    /// A timer fired.
    pub(crate) fn timer(&mut self, reason: TimerReason) -> Vec<Output> {
        match (&mut self.state, reason) {
            (State::Completed { interval }, TimerReason::TimerG) => {
                *interval = self.timers.backoff(*interval);
                vec![Output::Transmit, Output::Arm(TimerReason::TimerG, *interval)]
            }
            (State::Completed { .. }, TimerReason::TimerH) => {
                self.state = State::Terminated;
                vec![Output::TimedOut, Output::Terminated]
            }
            (State::Confirmed, TimerReason::TimerI) | (State::Accepted, TimerReason::TimerL) => {
                self.state = State::Terminated;
                vec![Output::Terminated]
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Output::{Arm, Deliver, Disarm, Terminated, TimedOut, Transmit};
    use TimerReason::{TimerG, TimerH, TimerI, TimerL};

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn udp() -> ServerInvite {
        ServerInvite::start(false, Timers::default())
    }

    #[test]
    fn a_repeated_invite_is_answered_with_the_last_provisional() {
        let mut machine = udp();
        assert_eq!(machine.respond(100), [Transmit]);
        assert_eq!(machine.respond(180), [Transmit]);
        assert_eq!(machine.retransmission(), [Transmit]);
        assert_eq!(machine.ack(), []);
    }

    #[test]
    fn a_refusal_is_repeated_by_g_with_doubling_up_to_t2_until_h() {
        let mut machine = udp();
        assert_eq!(machine.respond(486), [Transmit, Arm(TimerH, ms(32_000)), Arm(TimerG, ms(500))]);
        for next in [1000, 2000, 4000, 4000] {
            assert_eq!(machine.timer(TimerG), [Transmit, Arm(TimerG, ms(next))]);
        }
        assert_eq!(machine.retransmission(), [Transmit]);
        assert_eq!(machine.respond(486), []);
        assert_eq!(machine.timer(TimerH), [TimedOut, Terminated]);
    }

    #[test]
    fn the_ack_to_a_refusal_stops_g_and_h_and_i_absorbs_what_follows() {
        let mut machine = udp();
        machine.respond(486);
        assert_eq!(machine.ack(), [Disarm(TimerG), Disarm(TimerH), Arm(TimerI, ms(5000))]);
        assert_eq!(machine.ack(), []);
        assert_eq!(machine.retransmission(), []);
        assert_eq!(machine.timer(TimerG), []);
        assert_eq!(machine.timer(TimerI), [Terminated]);
    }

    #[test]
    fn after_a_2xx_the_invite_is_absorbed_and_the_ack_goes_to_the_user_until_l() {
        let mut machine = udp();
        assert_eq!(machine.respond(200), [Transmit, Arm(TimerL, ms(32_000))]);
        assert!(!machine.is_proceeding());
        assert_eq!(machine.retransmission(), []);
        assert_eq!(machine.respond(200), [Transmit]);
        assert_eq!(machine.respond(486), []);
        assert_eq!(machine.ack(), [Deliver]);
        assert_eq!(machine.timer(TimerL), [Terminated]);
        assert_eq!(machine.respond(200), []);
    }

    #[test]
    fn over_tcp_a_refusal_is_sent_once_and_i_is_zero() {
        let mut machine = ServerInvite::start(true, Timers::default());
        assert_eq!(machine.respond(486), [Transmit, Arm(TimerH, ms(32_000))]);
        assert_eq!(machine.ack(), [Terminated]);
    }
}
