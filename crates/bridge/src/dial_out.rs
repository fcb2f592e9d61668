//! One dial-out: candidates in order, at most one INVITE at a time, and what its failure means.
//!
//! A pure machine; it knows no SIP. The next candidate is tried only when the last one did not reach the callee's
//! telephone: on a failover code of the trunk's profile, when nothing answered in time, or when the request could not
//! be sent. A 6xx speaks for every trunk and is never retried.

use crate::bridge::Reason;
use crate::event::{DialFailure, DialFailureKind};
use crate::id::ConferenceId;
use crate::prompt::PromptId;
use crate::usage::CallResult;
use routing::{Candidate, E164};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The rhythm of the ring-back tone in most of the world.
const RING_BACK_EVERY: Duration = Duration::from_secs(5);

/// A dial-out that has not come to its end.
#[derive(Debug)]
pub(crate) struct DialOut {
    /// The conference it is for.
    pub(crate) conference: ConferenceId,
    /// The callee must press 1.
    pub(crate) confirm: bool,
    destination: E164,
    waiting: VecDeque<Candidate>,
    attempt: u32,
    ringing: bool,
    due: Option<Instant>,
    /// When the ring-back tone is heard next, while it rings.
    ring_back: Option<Instant>,
}

/// What follows from a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Dial the next candidate.
    Dial,
    /// That was all, with this result.
    Over(CallResult),
}

impl DialOut {
    /// `None` when there is no candidate.
    pub(crate) fn new(conference: ConferenceId, confirm: bool, candidates: Vec<Candidate>) -> Option<Self> {
        let destination = candidates.first()?.dialed.clone();
        Some(Self {
            conference,
            confirm,
            destination,
            waiting: candidates.into(),
            attempt: 0,
            ringing: false,
            due: None,
            ring_back: None,
        })
    }

    /// The number that is called.
    pub(crate) fn destination(&self) -> &E164 {
        &self.destination
    }

    /// The attempt under way, 0 before the first.
    pub(crate) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Whether it rings.
    pub(crate) fn is_ringing(&self) -> bool {
        self.ringing
    }

    /// What is due next: the end of the running attempt, whatever the trunk layer says, or the ring-back tone.
    pub(crate) fn deadline(&self) -> Option<(Instant, Reason)> {
        let over = self.due.map(|due| (due, Reason::DialTooLong));
        let ring = self.ring_back.map(|due| (due, Reason::RingBack));
        [over, ring].into_iter().flatten().min_by_key(|(due, _)| *due)
    }

    /// Whether the running attempt takes too long.
    pub(crate) fn is_over_time(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Whether the ring-back tone is to be heard now.
    pub(crate) fn take_ring_back(&mut self, now: Instant) -> bool {
        let due = self.ring_back.is_some_and(|due| due <= now);
        if due {
            self.ring_back = Some(now + RING_BACK_EVERY);
        }
        due
    }

    /// The candidate that is next, without taking it.
    pub(crate) fn upcoming(&self) -> Option<&Candidate> {
        self.waiting.front()
    }

    /// Leaves out the candidate that is next.
    pub(crate) fn pass_over(&mut self) {
        self.waiting.pop_front();
    }

    /// Takes the next candidate; the attempt under way, if any, is history.
    pub(crate) fn dial(&mut self, now: Instant, longest: Duration) -> Option<(u32, Candidate)> {
        let candidate = self.waiting.pop_front()?;
        self.attempt += 1;
        self.ringing = false;
        self.ring_back = None;
        self.due = Some(now + longest);
        Some((self.attempt, candidate))
    }

    /// A provisional answer. Whether it is the first sign of ringing of this attempt; from then on the ring-back tone is due.
    pub(crate) fn progress(&mut self, now: Instant, status: u16) -> bool {
        // 180 Ringing and 183 Session Progress: gateways send either while the telephone rings.
        let rings = matches!(status, 180 | 183) && !self.ringing;
        if rings {
            self.ringing = true;
            self.ring_back = Some(now);
        }
        rings
    }

    /// What follows from the failure of the attempt under way. `may_retry` is false while the node drains.
    pub(crate) fn failed(&self, failure: &DialFailure, may_retry: bool) -> Next {
        if may_retry && !self.waiting.is_empty() && reaches_nobody(failure) {
            Next::Dial
        } else {
            Next::Over(result(failure))
        }
    }
}

/// Whether the attempt failed before the callee's telephone had a say, so that another trunk may do better.
fn reaches_nobody(failure: &DialFailure) -> bool {
    match failure.kind {
        DialFailureKind::NoResponse | DialFailureKind::Transport | DialFailureKind::Local => true,
        DialFailureKind::Timeout => false,
        DialFailureKind::Response => failure.failover && failure.status < 600,
    }
}

/// Busy, no answer, declined and unreachable told apart: by the SIP status where it is clear, else by the Q.850 cause
/// (17, 18 and 19, 21), else by the statuses a gateway uses for a telephone that does not answer.
fn result(failure: &DialFailure) -> CallResult {
    if failure.kind == DialFailureKind::Timeout {
        return CallResult::NoAnswer;
    }
    let cause = match failure.q850 {
        Some(17) => Some(CallResult::Busy),
        Some(18 | 19) => Some(CallResult::NoAnswer),
        Some(21) => Some(CallResult::Declined),
        _ => None,
    };
    match failure.status {
        486 | 600 => CallResult::Busy,
        603 => CallResult::Declined,
        480 => cause.unwrap_or(CallResult::NoAnswer),
        _ => cause.unwrap_or(CallResult::Unreachable),
    }
}

/// What the meeting is told.
pub(crate) fn explanation(result: CallResult) -> PromptId {
    match result {
        CallResult::Busy => PromptId::CalleeBusy,
        CallResult::NoAnswer => PromptId::CalleeNoAnswer,
        CallResult::Declined => PromptId::CalleeDeclined,
        _ => PromptId::CalleeUnreachable,
    }
}

/// A failure in a word, for the record.
pub(crate) fn failure_word(failure: &DialFailure) -> &'static str {
    match failure.kind {
        DialFailureKind::NoResponse => "no-response",
        DialFailureKind::Timeout => "no-answer",
        DialFailureKind::Response => "response",
        DialFailureKind::Transport => "transport",
        DialFailureKind::Local => "local",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use routing::{Biller, Rule, TrunkId};

    fn candidate(trunk: &str) -> Candidate {
        Candidate {
            trunk: TrunkId::new(trunk),
            dialed: "+14255550100".parse().unwrap(),
            caller_id: "+14255550199".parse().unwrap(),
            biller: Biller::Microsoft,
            route: None,
            rule: Rule::O6,
            down: false,
            because: "test".into(),
        }
    }

    fn failure(kind: DialFailureKind, status: u16, failover: bool) -> DialFailure {
        DialFailure { kind, status, q850: None, failover, reason: String::new() }
    }

    fn dialing() -> DialOut {
        let mut dial = DialOut::new(ConferenceId(1), false, vec![candidate("a"), candidate("b")]).unwrap();
        let begin = crate::bridge::tests::epoch();
        assert_eq!(dial.dial(begin, Duration::from_secs(1)).unwrap().0, 1);
        dial
    }

    #[test]
    fn only_failover_codes_and_silence_lead_to_the_next_candidate() {
        use DialFailureKind::{Local, NoResponse, Response, Timeout, Transport};
        let dial = dialing();
        for (kind, status, failover, next) in [
            (Response, 503, true, Next::Dial),
            (Response, 503, false, Next::Over(CallResult::Unreachable)),
            (Response, 404, false, Next::Over(CallResult::Unreachable)),
            (Response, 486, false, Next::Over(CallResult::Busy)),
            (Response, 600, true, Next::Over(CallResult::Busy)),
            (Response, 603, true, Next::Over(CallResult::Declined)),
            (Response, 480, false, Next::Over(CallResult::NoAnswer)),
            (Timeout, 0, true, Next::Over(CallResult::NoAnswer)),
            (NoResponse, 0, false, Next::Dial),
            (Transport, 503, false, Next::Dial),
            (Local, 0, false, Next::Dial),
        ] {
            assert_eq!(dial.failed(&failure(kind, status, failover), true), next, "{kind:?} {status}");
        }
        let draining = dial.failed(&failure(Response, 503, true), false);
        assert_eq!(draining, Next::Over(CallResult::Unreachable));
    }

    #[test]
    fn the_cause_of_the_telephone_network_tells_what_the_status_does_not() {
        for (status, q850, expected) in [
            (500, Some(17), CallResult::Busy),
            (480, Some(18), CallResult::NoAnswer),
            (480, Some(21), CallResult::Declined),
            (486, Some(63), CallResult::Busy),
            (404, Some(1), CallResult::Unreachable),
        ] {
            let failure = DialFailure { q850, ..failure(DialFailureKind::Response, status, false) };
            assert_eq!(result(&failure), expected, "{status} {q850:?}");
        }
    }

    #[test]
    fn candidates_are_dialed_in_order_until_none_is_left() {
        let mut dial = dialing();
        let begin = crate::bridge::tests::epoch();
        assert!(dial.progress(begin, 183));
        assert!(!dial.progress(begin, 180));
        let (attempt, second) = dial.dial(begin, Duration::from_secs(1)).unwrap();
        assert_eq!((attempt, second.trunk.as_str()), (2, "b"));
        assert!(!dial.is_ringing());
        assert!(dial.dial(begin, Duration::from_secs(1)).is_none());
        let last = dial.failed(&failure(DialFailureKind::Response, 503, true), true);
        assert_eq!(last, Next::Over(CallResult::Unreachable));
    }
}
