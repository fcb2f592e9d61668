//! The non-INVITE server transaction: RFC 3261 figure 8.
//!
//! ```text
//!     request: to the user
//!        +--------+  1xx: send   +------------+  request, 1xx: send again
//!        | Trying |------------->| Proceeding |
//!        +--------+              +------------+
//!             | 200-699: send        | 200-699: send
//!             v                      v
//!        +-----------+  J (0 on TCP)   +------------+
//!        | Completed |---------------->| Terminated |
//!        +-----------+ request: again  +------------+
//! ```

use super::{Output, TimerReason, Timers};

/// One non-INVITE server transaction.
#[derive(Debug)]
pub(crate) struct ServerOther {
    state: State,
    reliable: bool,
    timers: Timers,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

impl ServerOther {
    /// A request arrived.
    pub(crate) fn start(reliable: bool, timers: Timers) -> Self {
        Self { state: State::Trying, reliable, timers }
    }

    /// The same request arrived again.
    pub(crate) fn retransmission(&mut self) -> Vec<Output> {
        match self.state {
            State::Proceeding | State::Completed => vec![Output::Transmit],
            State::Trying | State::Terminated => Vec::new(),
        }
    }

    /// The user gives a response.
    pub(crate) fn respond(&mut self, status: u16) -> Vec<Output> {
        match (&self.state, status) {
            (State::Trying | State::Proceeding, 100..=199) => {
                self.state = State::Proceeding;
                vec![Output::Transmit]
            }
            (State::Trying | State::Proceeding, 200..=699) if self.reliable => {
                self.state = State::Terminated;
                vec![Output::Transmit, Output::Terminated]
            }
            (State::Trying | State::Proceeding, 200..=699) => {
                self.state = State::Completed;
                vec![Output::Transmit, Output::Arm(TimerReason::TimerJ, self.timers.j(self.reliable))]
            }
            _ => Vec::new(),
        }
    }

    /// A timer fired.
    pub(crate) fn timer(&mut self, reason: TimerReason) -> Vec<Output> {
        match (&self.state, reason) {
            (State::Completed, TimerReason::TimerJ) => {
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
    use Output::{Arm, Terminated, Transmit};
    use TimerReason::TimerJ;
    use std::time::Duration;

    #[test]
    fn a_repeated_request_is_absorbed_until_there_is_an_answer_and_then_gets_it_again() {
        let mut machine = ServerOther::start(false, Timers::default());
        assert_eq!(machine.retransmission(), []);
        assert_eq!(machine.respond(100), [Transmit]);
        assert_eq!(machine.retransmission(), [Transmit]);
        assert_eq!(machine.respond(200), [Transmit, Arm(TimerJ, Duration::from_secs(32))]);
        assert_eq!(machine.retransmission(), [Transmit]);
        assert_eq!(machine.respond(500), []);
        assert_eq!(machine.timer(TimerJ), [Terminated]);
    }

    #[test]
    fn over_tcp_the_answer_ends_the_transaction() {
        let mut machine = ServerOther::start(true, Timers::default());
        assert_eq!(machine.respond(200), [Transmit, Terminated]);
        assert_eq!(machine.retransmission(), []);
    }
}
