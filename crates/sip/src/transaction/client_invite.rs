//! The INVITE client transaction: RFC 3261 figure 5 as replaced by RFC 6026 figure 5.
//!
//! ```text
//!              INVITE sent; A (UDP), B
//!     A: again    +---------+  B, transport: to the user
//!        +--------| Calling |--------------------------------+
//!        +------->+---------+---------2xx----------+         |
//!                  | 1xx   | 300-699: ACK          |         |
//!                  v       |                       v         v
//!          +------------+  |      2xx         +----------+  +------------+
//!    1xx   | Proceeding |--|----------------->| Accepted |->| Terminated |
//!          +------------+  |                  +----------+ M+------------+
//!            300-699: ACK  v                   2xx: to user      ^
//!                     +-----------+ 300-699: ACK again           |
//!                     | Completed |------------------ D ---------+
//!                     +-----------+
//! ```

use std::time::Duration;

use super::{Output, TimerReason, Timers};

/// One INVITE client transaction.
#[derive(Debug)]
pub(crate) struct ClientInvite {
    state: State,
    reliable: bool,
    timers: Timers,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Calling { interval: Duration },
    Proceeding,
    Completed,
    Accepted,
    Terminated,
}

impl ClientInvite {
    /// Sends the INVITE (RFC 3261 section 17.1.1.2).
    pub(crate) fn start(reliable: bool, timers: Timers) -> (Self, Vec<Output>) {
        let mut outputs = vec![Output::Transmit, Output::Arm(TimerReason::TimerB, timers.whole())];
        if !reliable {
            outputs.push(Output::Arm(TimerReason::TimerA, timers.t1));
        }
        (Self { state: State::Calling { interval: timers.t1 }, reliable, timers }, outputs)
    }

    /// A response to our INVITE arrived.
    pub(crate) fn response(&mut self, status: u16) -> Vec<Output> {
        match (&self.state, status) {
            (State::Calling { .. } | State::Proceeding, 100..=199) => {
                self.state = State::Proceeding;
                vec![
                    Output::Disarm(TimerReason::TimerA),
                    Output::Disarm(TimerReason::TimerB),
                    Output::Deliver,
                ]
            }
            // RFC 6026 section 8.4: a 2xx moves the machine to Accepted, and every later 2xx goes to the user too,
            // which acknowledges it (or ends the dialog of another fork).
            (State::Calling { .. } | State::Proceeding, 200..=299) => {
                self.state = State::Accepted;
                vec![
                    Output::Disarm(TimerReason::TimerA),
                    Output::Disarm(TimerReason::TimerB),
                    Output::Arm(TimerReason::TimerM, self.timers.whole()),
                    Output::Deliver,
                ]
            }
            (State::Accepted, 200..=299) => vec![Output::Deliver],
            (State::Calling { .. } | State::Proceeding, 300..=699) => self.complete(),
            (State::Completed, 300..=699) => vec![Output::Acknowledge],
            _ => Vec::new(),
        }
    }

    /// A timer fired.
    pub(crate) fn timer(&mut self, reason: TimerReason) -> Vec<Output> {
        match (&mut self.state, reason) {
            (State::Calling { interval }, TimerReason::TimerA) => {
                *interval = interval.saturating_mul(2);
                vec![Output::Transmit, Output::Arm(TimerReason::TimerA, *interval)]
            }
            (State::Calling { .. }, TimerReason::TimerB) => {
                self.state = State::Terminated;
                vec![Output::TimedOut, Output::Terminated]
            }
            (State::Completed, TimerReason::TimerD) | (State::Accepted, TimerReason::TimerM) => {
                self.state = State::Terminated;
                vec![Output::Terminated]
            }
            _ => Vec::new(),
        }
    }

    /// The transport could not send (RFC 3261 section 17.1.4; RFC 6026 section 8.4 keeps Accepted alive).
    pub(crate) fn transport_failed(&mut self) -> Vec<Output> {
        match self.state {
            // A response has been seen, so the far end knows of the INVITE: its final answer may still reach us.
            State::Accepted | State::Proceeding | State::Terminated => Vec::new(),
            State::Calling { .. } => {
                self.state = State::Terminated;
                vec![Output::TransportFailed, Output::Terminated]
            }
            State::Completed => {
                self.state = State::Terminated;
                vec![Output::Terminated]
            }
        }
    }

    fn complete(&mut self) -> Vec<Output> {
        let mut outputs = vec![
            Output::Disarm(TimerReason::TimerA),
            Output::Disarm(TimerReason::TimerB),
            Output::Acknowledge,
            Output::Deliver,
        ];
        if self.reliable {
            self.state = State::Terminated;
            outputs.push(Output::Terminated);
        } else {
            self.state = State::Completed;
            outputs.push(Output::Arm(TimerReason::TimerD, self.timers.d(self.reliable)));
        }
        outputs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Output::{Acknowledge, Arm, Deliver, Disarm, Terminated, TimedOut, Transmit, TransportFailed};
    use TimerReason::{TimerA, TimerB, TimerD, TimerM};

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn over_udp_the_invite_is_sent_at_0_500_1500_3500_7500_15500_31500_ms() {
        let (mut machine, outputs) = ClientInvite::start(false, Timers::default());
        assert_eq!(outputs, [Transmit, Arm(TimerB, ms(32_000)), Arm(TimerA, ms(500))]);
        for next in [1000, 2000, 4000, 8000, 16_000, 32_000] {
            assert_eq!(machine.timer(TimerA), [Transmit, Arm(TimerA, ms(next))]);
        }
        assert_eq!(machine.timer(TimerB), [TimedOut, Terminated]);
        assert_eq!(machine.state, State::Terminated);
    }

    #[test]
    fn over_tcp_the_invite_is_sent_once() {
        let (_, outputs) = ClientInvite::start(true, Timers::default());
        assert_eq!(outputs, [Transmit, Arm(TimerB, ms(32_000))]);
    }

    #[test]
    fn every_input_in_every_state_does_what_the_figure_says() {
        let stop = [Disarm(TimerA), Disarm(TimerB)];
        // state reached by these statuses, then the status under test, then the outputs after the two Disarms if any
        let table: &[(&[u16], u16, bool, &[Output])] = &[
            (&[], 100, true, &[Deliver]),
            (&[], 183, true, &[Deliver]),
            (&[180], 199, true, &[Deliver]),
            (&[], 200, true, &[Arm(TimerM, ms(32_000)), Deliver]),
            (&[180], 299, true, &[Arm(TimerM, ms(32_000)), Deliver]),
            (&[200], 200, false, &[Deliver]),
            (&[200], 180, false, &[]),
            (&[200], 486, false, &[]),
            (&[], 300, true, &[Acknowledge, Deliver, Arm(TimerD, ms(32_000))]),
            (&[180], 699, true, &[Acknowledge, Deliver, Arm(TimerD, ms(32_000))]),
            (&[486], 486, false, &[Acknowledge]),
            (&[486], 180, false, &[]),
            (&[486], 200, false, &[]),
        ];
        for (before, status, stopped, expected) in table {
            let (mut machine, _) = ClientInvite::start(false, Timers::default());
            for status in *before {
                machine.response(*status);
            }
            let mut wanted = if *stopped { stop.to_vec() } else { Vec::new() };
            wanted.extend_from_slice(expected);
            assert_eq!(machine.response(*status), wanted, "after {before:?} then {status}");
        }
    }

    #[test]
    fn over_tcp_a_refusal_ends_the_transaction_at_once() {
        let (mut machine, _) = ClientInvite::start(true, Timers::default());
        assert_eq!(machine.response(486), [Disarm(TimerA), Disarm(TimerB), Acknowledge, Deliver, Terminated]);
    }

    #[test]
    fn d_and_m_end_the_transaction() {
        let (mut machine, _) = ClientInvite::start(false, Timers::default());
        machine.response(486);
        assert_eq!(machine.timer(TimerA), []);
        assert_eq!(machine.timer(TimerD), [Terminated]);
        let (mut machine, _) = ClientInvite::start(false, Timers::default());
        machine.response(200);
        assert_eq!(machine.timer(TimerB), []);
        assert_eq!(machine.timer(TimerM), [Terminated]);
    }

    #[test]
    fn a_transport_failure_before_any_response_reaches_the_user() {
        let (mut machine, _) = ClientInvite::start(true, Timers::default());
        assert_eq!(machine.transport_failed(), [TransportFailed, Terminated]);
        let (mut machine, _) = ClientInvite::start(true, Timers::default());
        machine.response(200);
        assert_eq!(machine.transport_failed(), []);
    }
}
