//! Reliable provisional responses (RFC 3262), both ways.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt;

use super::event::{CommandError, FailureKind, InviteId};
use super::flow::Flow;
use super::inside::Purpose;
use super::reply::{Refusal, describe, reply_flow};
use super::terms::{Reliable, knows};
use super::usage::{Offered, Usage};
use super::{Body, Endpoint};
use crate::dialog::DialogKey;
use crate::transaction::TimerReason;
use crate::transaction::key::ServerKey;
use crate::wire::{HeaderName, Message};

/// Provisional responses that wait for the PRACK of the one before them.
const MAX_QUEUED: usize = 8;

/// The reliable provisional responses to an INVITE of theirs.
#[derive(Debug, Default)]
pub(super) struct Provisionals {
    /// The RSeq of the last one; 0 before the first.
    pub(super) rseq: u32,
    /// The last one has no PRACK yet.
    waiting: Option<Waiting>,
    queue: VecDeque<(u16, Option<Body>)>,
    /// One that carried our answer has its PRACK: the first offer and answer are over.
    settled: bool,
    /// A 200 that waits for the PRACK of our answer.
    held: Option<(Body, Vec<(String, String)>)>,
}

#[derive(Debug)]
struct Waiting {
    interval: Duration,
    answers: bool,
}

/// How a provisional response goes out.
enum Way {
    Plain,
    Reliable,
    /// The peer insists on PRACK, and our offer could only be in this response, where the application has none.
    None,
}

impl Provisionals {
    pub(super) fn settled(&self) -> bool {
        self.settled
    }

    /// RFC 3262 section 3: no 2xx before the PRACK for an answer in a provisional response.
    pub(super) fn hold(&mut self, body: &Body, extra: &[(String, String)]) -> bool {
        let holds = self.waiting.as_ref().is_some_and(|waiting| waiting.answers);
        if holds {
            self.held = Some((body.clone(), extra.to_vec()));
        }
        holds
    }

    pub(super) fn is_held(&self) -> bool {
        self.held.is_some()
    }
}

impl Offered {
    fn way(&self) -> Way {
        let insists = self.request.headers().has_token(HeaderName::Require, "100rel");
        let can = self.terms.reliable != Reliable::Off && knows(&self.request, "100rel");
        match (can, self.late_offer) {
            (true, false) => Way::Reliable,
            // RFC 3261 section 13.2.1: our first reliable response would have to carry our offer. The 200 does.
            (true, true) if insists => Way::None,
            _ => Way::Plain,
        }
    }
}

impl Endpoint {
    /// Sends a provisional response, 101 to 199, with our tag and Contact, so that it makes an early dialog: reliably where
    /// the caller can (RFC 3262), one after the other, each repeated until its PRACK. Without a PRACK in 64*T1 the INVITE is
    /// refused.
    pub fn progress(
        &mut self,
        now: Instant,
        id: InviteId,
        status: u16,
        body: Option<Body>,
    ) -> Result<(), CommandError> {
        let offered = self.offered(id)?;
        if !(101..=199).contains(&status) {
            return Err(CommandError::BadStatus(status));
        }
        if offered.provisionals.is_held() {
            return Err(CommandError::WrongState("answered already"));
        }
        match offered.way() {
            Way::Plain => {
                let (server, response) = self.provisional(id, status, body)?;
                self.respond(now, server, &response);
            }
            Way::Reliable if offered.provisionals.waiting.is_some() => {
                let queue = &mut self.offered_mut(id)?.provisionals.queue;
                if queue.len() >= MAX_QUEUED {
                    return Err(CommandError::OfferPending);
                }
                queue.push_back((status, body));
            }
            Way::Reliable => self.send_reliable(now, id, status, body)?,
            Way::None => {
                let why = "not told what we would offer, which only the 200 says";
                return Err(CommandError::WrongState(why));
            }
        }
        Ok(())
    }

    fn provisional(
        &self,
        id: InviteId,
        status: u16,
        body: Option<Body>,
    ) -> Result<(u64, Message), CommandError> {
        let offered = self.offered(id)?;
        let mut response = self.response(&offered.request, status, None, &offered.dialog.key.local_tag);
        response.headers_mut().push(HeaderName::Contact, &offered.dialog.contact);
        describe(&mut response, &offered.terms, body);
        Ok((offered.server, response))
    }

    fn send_reliable(
        &mut self,
        now: Instant,
        id: InviteId,
        status: u16,
        body: Option<Body>,
    ) -> Result<(), CommandError> {
        let answers = body.is_some();
        let first = self.rng.random_range(1..1_000_000);
        let interval = self.config.timers.t1;
        let provisionals = &mut self.offered_mut(id)?.provisionals;
        provisionals.rseq = if provisionals.rseq == 0 { first } else { provisionals.rseq + 1 };
        provisionals.waiting = Some(Waiting { interval, answers });
        let rseq = provisionals.rseq;
        let (server, mut response) = self.provisional(id, status, body)?;
        response.headers_mut().push(HeaderName::Require, "100rel");
        response.headers_mut().push(HeaderName::RSeq, rseq);
        self.respond(now, server, &response);
        self.arm_usage(id, TimerReason::ProvisionalRetransmit, now, interval);
        self.arm_usage(id, TimerReason::PrackMissing, now, self.config.timers.whole());
        Ok(())
    }

    /// No PRACK yet: the response again, over any transport, with doubling (section 3).
    pub(super) fn repeat_provisional(&mut self, now: Instant, id: InviteId) {
        let Ok(offered) = self.offered_mut(id) else { return };
        let server = offered.server;
        let Some(waiting) = &mut offered.provisionals.waiting else { return };
        waiting.interval = waiting.interval.saturating_mul(2);
        let interval = waiting.interval;
        self.repeat_response(now, server);
        self.arm_usage(id, TimerReason::ProvisionalRetransmit, now, interval);
    }

    /// Nobody acknowledges: the caller cannot hear us (section 3 asks for a 5xx).
    pub(super) fn prack_is_missing(&mut self, now: Instant, id: InviteId) {
        if self.offered(id).is_ok() {
            self.refuse_offered(now, id, 504, None, &[]);
            self.fail(id, FailureKind::Unanswered, 504, "no PRACK for a provisional response");
        }
    }

    /// A PRACK of theirs.
    pub(super) fn handle_prack(
        &mut self,
        now: Instant,
        flow: Flow,
        request: Message,
        key: ServerKey,
        id: InviteId,
    ) {
        let named = request.headers().get(HeaderName::RAck).and_then(rack);
        let expected = match self.usages.get(&id) {
            Some(Usage::Offered(offered)) if offered.provisionals.waiting.is_some() => {
                let cseq = offered.request.cseq().map_or(0, |cseq| cseq.number);
                Some((offered.provisionals.rseq, cseq))
            }
            // Our 200 has overtaken it.
            Some(Usage::Up(up)) => up.reliable,
            _ => None,
        };
        if named.is_none() || named != expected {
            let refusal = Refusal::new(481, "PRACK for a response that was not sent");
            return self.refuse_in_dialog(now, &request, key, flow, refusal);
        }
        let settled = self.acknowledge_provisional(id);
        if settled {
            // Only after the first offer and answer is there room for another (section 5).
            self.take_offer(now, flow, request, key, id, None);
        } else {
            let server = self.start_server(&request, key, reply_flow(&request, flow), None, "");
            let response = self.response(&request, 200, None, "");
            self.respond(now, server, &response);
        }
        self.after_prack(now, id);
    }

    /// Whether the first offer and answer are over.
    fn acknowledge_provisional(&mut self, id: InviteId) -> bool {
        self.disarm_usage(id, TimerReason::ProvisionalRetransmit);
        self.disarm_usage(id, TimerReason::PrackMissing);
        match self.offered_mut(id) {
            Ok(offered) => {
                let waiting = offered.provisionals.waiting.take();
                offered.provisionals.settled |= waiting.is_some_and(|waiting| waiting.answers);
                offered.provisionals.settled
            }
            Err(_) => true,
        }
    }

    /// What waited for the PRACK goes out: the 200, or the next provisional response.
    fn after_prack(&mut self, now: Instant, id: InviteId) {
        let Ok(offered) = self.offered_mut(id) else { return };
        if let Some((body, extra)) = offered.provisionals.held.take() {
            let _ = self.accept(now, id, body, &extra);
        } else if let Some((status, body)) = offered.provisionals.queue.pop_front() {
            let _ = self.send_reliable(now, id, status, body);
        }
    }

    /// Acknowledges a reliable provisional response to our INVITE, in the early dialog that it made (section 4).
    pub(super) fn send_prack(&mut self, now: Instant, id: InviteId, key: &DialogKey, rseq: u32, cseq: u32) {
        self.send_inside(now, id, key, Purpose::Prack { rseq, cseq }, 0);
    }
}

/// The RSeq of a provisional response that wants a PRACK; `None` for any other.
pub(super) fn rseq_of(response: &Arc<Message>) -> Option<u32> {
    let headers = response.headers();
    let number =
        headers.get(HeaderName::RSeq).filter(|_| headers.has_token(HeaderName::Require, "100rel"))?;
    number.trim().parse().ok().filter(|number| *number > 0)
}

/// `RAck: rseq cseq method`, for an INVITE.
fn rack(value: &str) -> Option<(u32, u32)> {
    let mut words = value.split_ascii_whitespace();
    let (rseq, cseq) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (words.next() == Some("INVITE") && words.next().is_none()).then_some((rseq, cseq))
}
