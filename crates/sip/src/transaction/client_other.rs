//! The non-INVITE client transaction: RFC 3261 figure 6.
//!
//! ```text
//!               request sent; E (UDP), F
//!    E: again     +--------+  F, transport: to the user
//!        +--------| Trying |--------------------------------+
//!        +------->+--------+                                |
//!              1xx |      | 200-699: to user               v
//!                  v      |                          +------------+
//!          +------------+ |      E: again, at T2     | Terminated |
//!          | Proceeding |-|--------------------------+------------+
//!          +------------+ |                                ^
//!                 200-699 v                                |
//!                    +-----------+                         |
//!                    | Completed |----------- K -----------+
//!                    +-----------+
//! ```

use std::time::Duration;

use super::{Output, TimerReason, Timers};

/// One non-INVITE client transaction.
#[derive(Debug)]
pub(crate) struct ClientOther {
    state: State,
    reliable: bool,
    timers: Timers,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Trying { interval: Duration },
    Proceeding,
    Completed,
    Terminated,
}

impl ClientOther {
    /// Sends the request (RFC 3261 section 17.1.2.2).
    pub(crate) fn start(reliable: bool, timers: Timers) -> (Self, Vec<Output>) {
        let mut outputs = vec![Output::Transmit, Output::Arm(TimerReason::TimerF, timers.whole())];
        if !reliable {
            outputs.push(Output::Arm(TimerReason::TimerE, timers.t1));
        }
        (Self { state: State::Trying { interval: timers.t1 }, reliable, timers }, outputs)
    }

    /// A response to our request arrived.
    pub(crate) fn response(&mut self, status: u16) -> Vec<Output> {
        match (&self.state, status) {
            (State::Trying { .. } | State::Proceeding, 100..=199) => {
                self.state = State::Proceeding;
                vec![Output::Deliver]
            }
            (State::Trying { .. } | State::Proceeding, 200..=699) => {
                let mut outputs = vec![
                    Output::Disarm(TimerReason::TimerE),
                    Output::Disarm(TimerReason::TimerF),
                    Output::Deliver,
                ];
                if self.reliable {
                    self.state = State::Terminated;
                    outputs.push(Output::Terminated);
                } else {
                    self.state = State::Completed;
                    outputs.push(Output::Arm(TimerReason::TimerK, self.timers.linger(self.reliable)));
                }
                outputs
            }
            _ => Vec::new(),
        }
    }

    /// A timer fired.
    pub(crate) fn timer(&mut self, reason: TimerReason) -> Vec<Output> {
        match (&mut self.state, reason) {
            (State::Trying { interval }, TimerReason::TimerE) => {
                *interval = self.timers.backoff(*interval);
                vec![Output::Transmit, Output::Arm(TimerReason::TimerE, *interval)]
            }
            (State::Proceeding, TimerReason::TimerE) => {
                vec![Output::Transmit, Output::Arm(TimerReason::TimerE, self.timers.t2)]
            }
            (State::Trying { .. } | State::Proceeding, TimerReason::TimerF) => {
                self.state = State::Terminated;
                vec![Output::TimedOut, Output::Terminated]
            }
            (State::Completed, TimerReason::TimerK) => {
                self.state = State::Terminated;
                vec![Output::Terminated]
            }
            _ => Vec::new(),
        }
    }

    /// The transport could not send (RFC 3261 section 17.1.4).
    pub(crate) fn transport_failed(&mut self) -> Vec<Output> {
        match self.state {
            State::Trying { .. } | State::Proceeding => {
                self.state = State::Terminated;
                vec![Output::TransportFailed, Output::Terminated]
            }
            State::Completed | State::Terminated => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Output::{Arm, Deliver, Disarm, Terminated, TimedOut, Transmit, TransportFailed};
    use TimerReason::{TimerE, TimerF, TimerK};

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn over_udp_the_request_is_repeated_with_doubling_up_to_t2() {
        let (mut machine, outputs) = ClientOther::start(false, Timers::default());
        assert_eq!(outputs, [Transmit, Arm(TimerF, ms(32_000)), Arm(TimerE, ms(500))]);
        for next in [1000, 2000, 4000, 4000, 4000] {
            assert_eq!(machine.timer(TimerE), [Transmit, Arm(TimerE, ms(next))]);
        }
        assert_eq!(machine.timer(TimerF), [TimedOut, Terminated]);
    }

    #[test]
    fn a_provisional_slows_the_repetition_to_t2_and_f_still_ends_it() {
        let (mut machine, _) = ClientOther::start(false, Timers::default());
        assert_eq!(machine.response(100), [Deliver]);
        assert_eq!(machine.timer(TimerE), [Transmit, Arm(TimerE, ms(4000))]);
        assert_eq!(machine.response(182), [Deliver]);
        assert_eq!(machine.timer(TimerF), [TimedOut, Terminated]);
    }

    #[test]
    fn a_final_response_is_delivered_once_and_its_copies_are_absorbed_until_k() {
        let (mut machine, _) = ClientOther::start(false, Timers::default());
        assert_eq!(machine.response(481), [Disarm(TimerE), Disarm(TimerF), Deliver, Arm(TimerK, ms(5000))]);
        for status in [100, 200, 481, 699] {
            assert_eq!(machine.response(status), [], "{status}");
        }
        assert_eq!(machine.timer(TimerE), []);
        assert_eq!(machine.timer(TimerK), [Terminated]);
    }

    #[test]
    fn over_tcp_nothing_is_repeated_and_k_is_zero() {
        let (mut machine, outputs) = ClientOther::start(true, Timers::default());
        assert_eq!(outputs, [Transmit, Arm(TimerF, ms(32_000))]);
        assert_eq!(machine.response(200), [Disarm(TimerE), Disarm(TimerF), Deliver, Terminated]);
    }

    #[test]
    fn a_transport_failure_reaches_the_user_unless_it_is_answered() {
        let (mut machine, _) = ClientOther::start(false, Timers::default());
        assert_eq!(machine.transport_failed(), [TransportFailed, Terminated]);
        let (mut machine, _) = ClientOther::start(false, Timers::default());
        machine.response(200);
        assert_eq!(machine.transport_failed(), []);
    }
}
