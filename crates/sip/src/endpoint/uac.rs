//! The calling side of an INVITE (RFC 3261 sections 8.1, 9.1 and 13.2), until its final response.
//!
//! The application's interest (a *usage*) and the INVITE client transaction part ways when the application gives up:
//! the transaction stays, is canceled as soon as the peer has shown that there is something to cancel, and
//! acknowledges and ends every 2xx that still comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::body::carried;
use super::clients::User;
use super::event::{Event, Failure, FailureKind, InviteId};
use super::flow::{Flow, Transmit};
use super::prack::rseq_of;
use super::refresh::Upkeep;
use super::reply::describe;
use super::terms::Reliable;
use super::usage::{Offering, Up, Usage};
use super::{Body, Credentials, Endpoint, Terms};
use crate::dialog::digest::{Authorizer, Verdict};
use crate::dialog::session_timer::{SessionTimer, min_se_of};
use crate::dialog::{Dialog, DialogKey};
use crate::transaction::TimerReason;
use crate::wire::{HeaderName, Message, Method, NameAddr, Uri};

/// Forks of one INVITE that are told apart; a peer with more is not followed.
const MAX_FORKS: usize = 16;
/// How often an INVITE is sent again with a larger session interval.
const MAX_RAISES: u8 = 3;

/// An INVITE to send.
#[derive(Debug, Clone)]
pub struct OutgoingInvite {
    /// The way to the peer.
    pub flow: Flow,
    /// The Request-URI.
    pub request_uri: Uri,
    /// From, without a tag.
    pub from: NameAddr,
    /// To.
    pub to: NameAddr,
    /// Contact.
    pub contact: NameAddr,
    /// Further headers, as name and value.
    pub extra: Vec<(String, String)>,
    /// The SDP offer; `None` lets the peer offer in its 2xx.
    pub body: Option<Body>,
    /// The trunk's credentials, for 401 and 407.
    pub credentials: Option<Credentials>,
    /// Nothing at all within this time: `Failed` with `NoResponse`.
    pub first_response_within: Duration,
    /// No 101-199 within this time: `Failed` with `ProvisionalTimeout` (Microsoft's FailoverTimeSeconds).
    pub provisional_within: Duration,
    /// No final response within this time after the first 101-199: `Failed` with `RingTimeout`.
    pub ring_for: Duration,
    /// How the dialog is kept.
    pub terms: Terms,
}

/// Stage: our INVITE has no final response yet.
#[derive(Debug)]
pub(super) struct Calling {
    pub(super) client: u64,
    pub(super) early: Vec<Early>,
    invite: OutgoingInvite,
    /// From with our tag.
    from: String,
    pub(super) call_id: String,
    cseq: u32,
    authorizer: Option<Authorizer>,
    challenges: u8,
    raises: u8,
    /// The Min-SE of a 422, in seconds.
    min_se: u32,
    ringing: bool,
}

impl Calling {
    pub(super) fn terms(&self) -> Terms {
        self.invite.terms
    }

    /// Whether the INVITE is to be sent again after a 401, 407 or 422; if not, why not.
    fn reconsider(&mut self, status: u16, response: &Message) -> Result<(), &'static str> {
        if status == 422 {
            let least = min_se_of(response).filter(|least| *least > self.min_se && self.raises < MAX_RAISES);
            self.min_se = least.ok_or("a session interval that we cannot grant")?;
            self.raises += 1;
            return Ok(());
        }
        let challenges = self.challenges;
        match self.authorizer.as_mut().map(|found| found.consider(response, challenges)) {
            Some(Verdict::Retry) => {
                self.challenges += 1;
                Ok(())
            }
            Some(Verdict::GiveUp(why)) => Err(why),
            None => Err("no credentials are configured for this trunk"),
        }
    }
}

/// An early dialog of one fork.
#[derive(Debug)]
pub(super) struct Early {
    pub(super) dialog: Dialog,
    /// The SDP of its provisional responses: the answer, if the 2xx comes without one (RFC 3261 section 13.2.1).
    sdp: Option<Bytes>,
    /// The RSeq of its last reliable provisional response (RFC 3262 section 4).
    rseq: Option<u32>,
    /// Our answer to an UPDATE of the peer's, which is what holds then.
    updated: Option<Body>,
}

impl Early {
    /// Whether the first offer and answer are over, so that there may be another (RFC 3311 section 5.1): the answer came
    /// reliably.
    pub(super) fn is_settled(&self) -> bool {
        self.updated.is_some() || (self.rseq.is_some() && self.sdp.is_some())
    }

    pub(super) fn note_update(&mut self, answer: Body) {
        self.updated = Some(answer);
    }
}

/// What an INVITE client transaction remembers for its user, and by itself once the user has left.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    /// Who waits for the outcome; `None` after the first 2xx, and after giving up.
    pub(super) usage: Option<InviteId>,
    provisional: bool,
    abandoned: Option<Abandoned>,
    acks: Vec<(String, Option<Transmit>)>,
    /// The highest CSeq used in any of its early dialogs.
    spent: u32,
    authorizer: Option<Authorizer>,
}

#[derive(Debug)]
struct Abandoned {
    reason: Option<String>,
    canceled: bool,
}

impl Attempt {
    /// Keeps an ACK, for the copies of the 2xx that it answers.
    pub(super) fn remember_ack(&mut self, tag: &str, transmit: Transmit) {
        match self.acks.iter_mut().find(|(known, _)| known == tag) {
            Some((_, ack)) => *ack = Some(transmit),
            None => self.acknowledge(tag.to_owned(), Some(transmit)),
        }
    }

    /// Nearly always the only one, for half a minute of every call.
    fn acknowledge(&mut self, tag: String, ack: Option<Transmit>) {
        self.acks.reserve_exact(1);
        self.acks.push((tag, ack));
    }
}

impl Endpoint {
    /// Calls. `Progress` any number of times, then `Answered` or `Failed` follows; always one of the two.
    pub fn invite(&mut self, now: Instant, outgoing: OutgoingInvite) -> InviteId {
        let id = InviteId(self.fresh());
        let from = outgoing.from.clone().without_tag().with_tag(&self.token()).to_string();
        let mut calling = Calling {
            client: 0,
            early: Vec::new(),
            from,
            call_id: self.token(),
            cseq: 0,
            authorizer: outgoing
                .credentials
                .clone()
                .map(|credentials| Authorizer::new(credentials, outgoing.flow.remote.ip())),
            challenges: 0,
            raises: 0,
            min_se: 0,
            ringing: false,
            invite: outgoing,
        };
        let provisional_within = calling.invite.provisional_within;
        self.send_invite(now, id, &mut calling);
        self.usages.insert(id, Usage::Calling(Box::new(calling)));
        self.arm_usage(id, TimerReason::Provisional, now, provisional_within);
        id
    }

    /// Sends the INVITE, the first time or again with credentials.
    fn send_invite(&mut self, now: Instant, id: InviteId, calling: &mut Calling) {
        calling.cseq += 1;
        let flow = calling.invite.flow;
        let mut request = Message::request(Method::INVITE, calling.invite.request_uri.clone());
        let headers = request.headers_mut();
        headers.push(HeaderName::Via, self.new_via(&flow));
        headers.push(HeaderName::MaxForwards, 70);
        headers.push(HeaderName::From, &calling.from);
        headers.push(HeaderName::To, &calling.invite.to);
        headers.push(HeaderName::CallId, &calling.call_id);
        headers.push(HeaderName::CSeq, format!("{} INVITE", calling.cseq));
        headers.push(HeaderName::Contact, &calling.invite.contact);
        for (name, value) in &calling.invite.extra {
            headers.push(name.as_str(), value);
        }
        if !self.config.user_agent.is_empty() {
            headers.push(HeaderName::UserAgent, &self.config.user_agent);
        }
        self.name_request(&mut request, None);
        let terms = calling.invite.terms;
        SessionTimer::write_ask(&terms, None, calling.min_se, request.headers_mut());
        if terms.reliable == Reliable::Required && calling.invite.body.is_some() {
            request.headers_mut().push(HeaderName::Require, "100rel");
        }
        // An offer in a reliable provisional response would want its answer in our PRACK: it is to come in the 2xx.
        let offerless = calling.invite.body.is_none();
        let shown = if offerless { Terms { reliable: Reliable::Off, ..terms } } else { terms };
        describe(&mut request, &shown, calling.invite.body.clone());
        if let Some(authorizer) = &mut calling.authorizer {
            let cnonce = self.token();
            authorizer.sign(&mut request, flow.remote.ip(), &self.neighbors, &cnonce);
        }
        let attempt =
            Attempt { usage: Some(id), authorizer: calling.authorizer.clone(), ..Attempt::default() };
        calling.client = self.start_client(now, request, flow, User::Invite(Box::new(attempt)));
        self.arm_usage(id, TimerReason::FirstResponse, now, calling.invite.first_response_within);
    }

    /// A response reached the INVITE transaction `handle`.
    pub(super) fn invite_response(&mut self, now: Instant, handle: u64, response: &Arc<Message>) {
        let status = response.status().map_or(0, crate::wire::StatusCode::code);
        if status >= 200 {
            self.cancel_is_settled(handle);
        }
        let Some(attempt) = self.attempt_mut(handle) else { return };
        let usage = attempt.usage;
        match (status, usage) {
            (100..=199, None) => {
                attempt.provisional = true;
                self.cancel_if_abandoned(now, handle);
            }
            (100..=199, Some(id)) => {
                attempt.provisional = true;
                self.disarm_usage(id, TimerReason::FirstResponse);
                if status > 100 {
                    self.progressed(now, id, handle, status, response);
                }
            }
            (200..=299, _) => self.invite_accepted(now, handle, usage, response),
            (_, Some(id)) => self.invite_refused(now, id, status, response),
            (_, None) => {}
        }
    }

    fn progressed(&mut self, now: Instant, id: InviteId, handle: u64, status: u16, response: &Arc<Message>) {
        let Some(client) = self.clients.get(&handle) else { return };
        let (flow, authorizer) = match &client.user {
            User::Invite(attempt) => (client.meant(), attempt.authorizer.clone()),
            _ => return,
        };
        let made = early_key(response).and_then(|_| Dialog::from_response(&client.request, response, flow));
        let Some(Usage::Calling(calling)) = self.usages.get_mut(&id) else { return };
        let body = carried(response).sdp();
        let rseq = rseq_of(response);
        let mut prack = None;
        if let Some(made) = made {
            let at = calling.early.iter().position(|early| early.dialog.key == made.key);
            let at = match at {
                Some(at) => at,
                None if calling.early.len() < MAX_FORKS => {
                    self.dialogs.insert(made.key.clone(), id);
                    let dialog = Dialog { authorizer, ..made };
                    calling.early.push(Early { dialog, sdp: None, rseq: None, updated: None });
                    calling.early.len() - 1
                }
                None => return self.discard(flow, "a provisional response from one fork too many", None),
            };
            let early = &mut calling.early[at];
            // RFC 3262 section 4: a copy is no news, and what comes out of order is not acknowledged, so that it comes again.
            if let (Some(rseq), Some(last)) = (rseq, early.rseq)
                && last.checked_add(1) != Some(rseq)
            {
                return;
            }
            if let Some(rseq) = rseq {
                early.rseq = Some(rseq);
                prack = Some((early.dialog.key.clone(), rseq, calling.cseq));
            }
            early.sdp = body.clone().or(early.sdp.take());
        }
        let ring_for = (!calling.ringing).then_some(calling.invite.ring_for);
        calling.ringing = true;
        self.disarm_usage(id, TimerReason::Provisional);
        if let Some(ring_for) = ring_for {
            self.arm_usage(id, TimerReason::Ring, now, ring_for);
        }
        if let Some((key, rseq, cseq)) = prack {
            self.send_prack(now, id, &key, rseq, cseq);
        }
        self.emit(Event::Progress { id, status, body, response: Arc::clone(response) });
    }

    /// A request went out in an early dialog: whatever fork answers, its CSeq is used up.
    pub(super) fn note_spent(&mut self, id: InviteId, cseq: u32) {
        if let Some(Usage::Calling(calling)) = self.usages.get(&id) {
            let client = calling.client;
            if let Some(attempt) = self.attempt_mut(client) {
                attempt.spent = attempt.spent.max(cseq);
            }
        }
    }

    /// A 2xx (RFC 3261 section 13.2.2.4): the first makes the leg, a copy gets its ACK again, and one from another
    /// fork, or one that nobody waits for any more, gets ACK and BYE.
    fn invite_accepted(
        &mut self,
        now: Instant,
        handle: u64,
        usage: Option<InviteId>,
        response: &Arc<Message>,
    ) {
        let Some(client) = self.clients.get(&handle) else { return };
        let flow = client.meant();
        let Some(mut dialog) = Dialog::from_response(&client.request, response, flow) else {
            return self.discard(flow, "a 2xx to our INVITE from which no dialog can be made", None);
        };
        let offerless = client.request.body().is_empty();
        let cseq = dialog.local_cseq;
        let Some(attempt) = self.attempt_mut(handle) else { return };
        if let Some((_, ack)) = attempt.acks.iter().find(|(tag, _)| *tag == dialog.key.remote_tag) {
            let again = ack.clone();
            self.transmits.extend(again);
            return;
        }
        if attempt.acks.len() >= MAX_FORKS {
            return self.discard(flow, "a 2xx from one fork too many", None);
        }
        dialog.authorizer.clone_from(&attempt.authorizer);
        dialog.local_cseq = dialog.local_cseq.max(attempt.spent);
        let tag = dialog.key.remote_tag.clone();
        let Some(id) = usage else {
            let transmit = self.send_ack(&mut dialog, handle, cseq, None);
            if let Some(attempt) = self.attempt_mut(handle) {
                attempt.remember_ack(&tag, transmit);
            }
            return self.send_bye(now, dialog, None);
        };
        attempt.usage = None;
        let late_offer = offerless && carried(response).sdp().is_some();
        if late_offer {
            attempt.acknowledge(tag.clone(), None);
        }
        let Some(Usage::Calling(mut calling)) = self.take_usage(now, id) else { return };
        let same = calling.early.iter_mut().find(|early| early.dialog.key == dialog.key);
        let updated = same.and_then(|early| {
            dialog.remote_cseq = early.dialog.remote_cseq;
            dialog.authorizer.clone_from(&early.dialog.authorizer);
            early.updated.take()
        });
        if let Some(authorizer) = &mut dialog.authorizer {
            authorizer.learn(response);
        }
        let early = || early_answer(&calling.early, &tag).filter(|_| !offerless);
        let settled = updated.is_some();
        let body = if settled { None } else { carried(response).sdp().or_else(early) };
        if !late_offer {
            let transmit = self.send_ack(&mut dialog, handle, cseq, None);
            if let Some(attempt) = self.attempt_mut(handle) {
                attempt.remember_ack(&tag, transmit);
            }
        }
        self.dialogs.insert(dialog.key.clone(), id);
        let terms = calling.invite.terms;
        let sdp = updated.or(calling.invite.body);
        let mut up = Up::new(dialog, Upkeep::new(terms, response, sdp, calling.min_se));
        if late_offer {
            up.offering = Offering::AwaitingAnswer { client: handle, cseq };
        }
        self.usages.insert(id, Usage::Up(Box::new(up)));
        self.keep_alive_by(now, id, response);
        self.emit(Event::Answered { id, body, settled, response: Arc::clone(response) });
    }

    fn invite_refused(&mut self, now: Instant, id: InviteId, status: u16, response: &Arc<Message>) {
        let mut why = None;
        if matches!(status, 401 | 407 | 422)
            && let Some(Usage::Calling(mut calling)) = self.usages.remove(&id)
        {
            let verdict = calling.reconsider(status, response);
            if verdict.is_ok() {
                if let Some(client) = self.clients.get(&calling.client) {
                    calling.invite.flow = client.meant(); // with the number of the connection, if it has one now
                }
                if let Some(attempt) = self.attempt_mut(calling.client) {
                    attempt.usage = None;
                }
                for early in calling.early.drain(..) {
                    self.dialogs.remove(&early.dialog.key); // a final response ends them all
                }
                self.send_invite(now, id, &mut calling);
            }
            self.usages.insert(id, Usage::Calling(calling));
            match verdict {
                Ok(()) => return,
                Err(words) => why = Some(words.to_owned()),
            }
        }
        if self.take_usage(now, id).is_none() {
            return;
        }
        let failure = Failure {
            kind: FailureKind::Response,
            status,
            reason: why.unwrap_or_else(|| response.reason().unwrap_or_default().into_owned()),
            retry_after: response.headers().get(HeaderName::RetryAfter).and_then(leading_number),
            response: Some(Arc::clone(response)),
        };
        self.emit(Event::Failed { id, failure });
    }

    /// The transaction of an outgoing INVITE ended without a response.
    pub(super) fn outgoing_failed(&mut self, now: Instant, id: InviteId, kind: FailureKind, why: &str) {
        if self.take_usage(now, id).is_some() {
            let status = if kind == FailureKind::Transport { 503 } else { 408 };
            self.fail(id, kind, status, why);
        }
    }

    /// The application's interest in an INVITE ends; the transaction sees to the rest by itself.
    pub(super) fn give_up_calling(
        &mut self,
        now: Instant,
        id: InviteId,
        kind: FailureKind,
        status: u16,
        why: &str,
        reason: Option<String>,
    ) {
        if !matches!(self.usages.get(&id), Some(Usage::Calling(_))) {
            return;
        }
        let Some(Usage::Calling(calling)) = self.take_usage(now, id) else { return };
        if let Some(attempt) = self.attempt_mut(calling.client) {
            attempt.usage = None;
            attempt.abandoned = Some(Abandoned { reason, canceled: false });
        }
        self.silence_client(calling.client);
        self.cancel_if_abandoned(now, calling.client);
        self.fail(id, kind, status, why);
    }

    /// RFC 3261 section 9.1: CANCEL only after a provisional response, and once.
    fn cancel_if_abandoned(&mut self, now: Instant, handle: u64) {
        let Some(attempt) = self.attempt_mut(handle) else { return };
        let provisional = attempt.provisional;
        let Some(abandoned) = attempt.abandoned.as_mut().filter(|left| provisional && !left.canceled) else {
            return;
        };
        abandoned.canceled = true;
        let reason = abandoned.reason.take();
        self.cancel_client(now, handle, reason);
    }
}

fn early_key(response: &Message) -> Option<DialogKey> {
    Some(DialogKey {
        call_id: response.call_id()?.to_owned(),
        local_tag: response.from()?.tag()?.to_owned(),
        remote_tag: response.to()?.tag()?.to_owned(),
    })
}

/// The SDP of an earlier provisional response: that of the same fork, or, where the answering fork sent none, the
/// last one heard (telekom.de sends SDP in its 183 and none in the 200).
fn early_answer(early: &[Early], tag: &str) -> Option<Bytes> {
    let same =
        early.iter().find(|early| early.dialog.key.remote_tag == tag).and_then(|early| early.sdp.clone());
    same.or_else(|| early.iter().rev().find_map(|early| early.sdp.clone()))
}

/// `Retry-After: 18000;duration=3600 (in a meeting)`: the number.
pub(super) fn leading_number(value: &str) -> Option<u32> {
    let digits = value.trim().split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}
