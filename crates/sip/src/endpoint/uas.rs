//! The called side of an INVITE (RFC 3261 section 13.3), until its final response.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::body::{Carried, carried};
use super::event::{CommandError, Event, FailureKind, InviteId};
use super::flow::Flow;
use super::prack::Provisionals;
use super::refresh::Upkeep;
use super::reply::{Refusal, describe, reply_flow};
use super::terms::{Reliable, Terms, knows};
use super::update::too_small;
use super::usage::{Offered, Unacked, Up, Usage};
use super::{Body, Endpoint, Readiness, Shed};
use crate::dialog::Dialog;
use crate::dialog::session_timer::SessionTimer;
use crate::transaction::TimerReason;
use crate::transaction::key::ServerKey;
use crate::wire::{HeaderName, Message};

impl Endpoint {
    pub(super) fn handle_new_invite(
        &mut self,
        now: Instant,
        flow: Flow,
        request: Message,
        key: ServerKey,
        terms: &Terms,
    ) {
        let (id, tag) = (InviteId(self.fresh()), self.token());
        let admitted = self.admit(&request, flow, &tag, terms);
        let admitted = admitted.and_then(|found| Ok((found, self.replaced(&request, terms)?)));
        let ((dialog, offer, timer), replaces) = match admitted {
            Ok(found) => found,
            Err(refusal) => return self.refuse(&request, flow, refusal),
        };
        let server = self.start_server(&request, key, reply_flow(&request, flow), Some(id), &tag);
        let trying = self.response(&request, 100, None, &tag);
        self.respond(now, server, &trying);
        let request = Arc::new(request);
        self.dialogs.insert(dialog.key.clone(), id);
        let late_offer = offer.is_none();
        let offered = Offered {
            server,
            request: Arc::clone(&request),
            dialog,
            late_offer,
            terms: *terms,
            timer,
            provisionals: Provisionals::default(),
        };
        self.usages.insert(id, Usage::Offered(Box::new(offered)));
        let expires = request
            .expires()
            .filter(|seconds| *seconds > 0)
            .map(|seconds| Duration::from_secs(seconds.into()));
        let patience = self.config.answer_within;
        self.arm_usage(id, TimerReason::AnswerDue, now, expires.unwrap_or(patience).min(patience));
        self.emit(Event::InviteReceived { id, request, flow, offer, replaces });
    }

    /// Whether a new INVITE may become a leg; with its dialog and its offer if so.
    fn admit(
        &self,
        request: &Message,
        flow: Flow,
        tag: &str,
        terms: &Terms,
    ) -> Result<(Dialog, Option<bytes::Bytes>, Option<SessionTimer>), Refusal> {
        if let Readiness::Draining { retry_after } = self.readiness {
            return Err(
                Refusal::new(503, "draining: no new calls").with("Retry-After", retry_after.to_string())
            );
        }
        if let Some(Shed { retry_after, reason, why }) = &self.shed {
            let refusal = Refusal::new(503, why.as_str()).with("Retry-After", retry_after.to_string());
            return Err(match reason {
                Some(reason) => refusal.with("Reason", reason.as_str()),
                None => refusal,
            });
        }
        if self.usages.len() >= self.config.max_invites {
            let after = self.config.overload_retry_after.to_string();
            return Err(Refusal::new(503, "too many calls").with("Retry-After", after));
        }
        if !accepts_sdp(request) {
            return Err(Refusal::new(406, "the caller takes no SDP, and we have nothing else"));
        }
        if terms.reliable == Reliable::Required && !knows(request, "100rel") {
            let why = "the trunk is to acknowledge provisional responses";
            return Err(Refusal::new(421, why).with("Require", "100rel"));
        }
        let timer = SessionTimer::grant(terms, request, None).map_err(too_small)?;
        let offer = match carried(request) {
            Carried::Foreign => {
                return Err(Refusal::new(415, "a body that is not SDP")
                    .with("Accept", "application/sdp")
                    .with("Accept-Encoding", "identity"));
            }
            found => found.sdp(),
        };
        let contact = self.default_contact(request, &flow);
        Dialog::from_invite(request, tag, contact, flow).map(|dialog| (dialog, offer, timer)).ok_or_else(
            || Refusal::new(400, "an INVITE needs one readable Contact and readable Record-Routes"),
        )
    }

    /// Answers with 200, which is repeated until its ACK arrives ([`Event::Established`]); without one in 64*T1 the
    /// leg ends with BYE. A `Contact` among `extra` replaces the one we would make up. Where a provisional response with SDP
    /// still waits for its PRACK, the 200 follows that.
    pub fn accept(
        &mut self,
        now: Instant,
        id: InviteId,
        body: Body,
        extra: &[(String, String)],
    ) -> Result<(), CommandError> {
        let offered = self.offered_mut(id)?;
        if offered.provisionals.is_held() {
            return Err(CommandError::WrongState("answered already"));
        }
        if offered.provisionals.hold(&body, extra) {
            return Ok(());
        }
        let Some(Usage::Offered(offered)) = self.usages.remove(&id) else { return Err(CommandError::Gone) };
        let Offered { server, request, mut dialog, late_offer, terms, timer, provisionals } = *offered;
        if let Some((_, contact)) = extra.iter().find(|(name, _)| name.eq_ignore_ascii_case("contact")) {
            dialog.contact.clone_from(contact);
        }
        for reason in [TimerReason::AnswerDue, TimerReason::ProvisionalRetransmit, TimerReason::PrackMissing]
        {
            self.disarm_usage(id, reason);
        }
        let upkeep = Upkeep::new(terms, &request, Some(body.clone()), 0);
        let mut up = Up::new(dialog, upkeep);
        let cseq = request.cseq().map_or(0, |cseq| cseq.number);
        up.reliable = (provisionals.rseq != 0).then_some((provisionals.rseq, cseq));
        let reply =
            Accepting { server, request: &request, body, extra, first: true, offered: late_offer, timer };
        up.unacked = self.send_accept(now, id, &up.dialog, &terms, reply);
        self.usages.insert(id, Usage::Up(Box::new(up)));
        self.keep_alive(now, id, timer);
        Ok(())
    }

    /// Builds and sends a 2xx to an INVITE or re-INVITE and starts its two timers.
    pub(super) fn send_accept(
        &mut self,
        now: Instant,
        id: InviteId,
        dialog: &Dialog,
        terms: &Terms,
        reply: Accepting<'_>,
    ) -> Option<Unacked> {
        let Accepting { server, request, body, extra, first, offered, timer } = reply;
        let mut response = self.response(request, 200, None, &dialog.key.local_tag);
        response.headers_mut().push(HeaderName::Contact, &dialog.contact);
        if let Some(timer) = timer {
            timer.write_grant(request, response.headers_mut());
        }
        push_extra(&mut response, extra);
        describe(&mut response, terms, Some(body));
        let cseq = request.cseq()?.number;
        if !self.respond(now, server, &response) {
            return None;
        }
        let interval = self.config.timers.t1;
        self.arm_usage(id, TimerReason::AcceptRetransmit, now, interval);
        self.arm_usage(id, TimerReason::AckMissing, now, self.config.timers.whole());
        Some(Unacked { server, cseq, interval, first, offered })
    }

    /// Refuses an INVITE, 300 to 699. [`Event::Failed`] with `Rejected` confirms it.
    pub fn reject(
        &mut self,
        now: Instant,
        id: InviteId,
        status: u16,
        reason: Option<&str>,
        extra: &[(String, String)],
    ) -> Result<(), CommandError> {
        self.offered(id)?;
        if !(300..=699).contains(&status) {
            return Err(CommandError::BadStatus(status));
        }
        self.refuse_offered(now, id, status, reason, extra);
        self.fail(id, FailureKind::Rejected, status, reason.unwrap_or("refused by the application"));
        Ok(())
    }

    /// Gives an INVITE its final refusal and forgets the usage; the transaction waits for the ACK by itself.
    pub(super) fn refuse_offered(
        &mut self,
        now: Instant,
        id: InviteId,
        status: u16,
        reason: Option<&str>,
        extra: &[(String, String)],
    ) {
        let Some(Usage::Offered(offered)) = self.take_usage(now, id) else { return };
        let mut response = self.response(&offered.request, status, reason, &offered.dialog.key.local_tag);
        push_extra(&mut response, extra);
        self.respond(now, offered.server, &response);
    }

    /// A CANCEL matched the INVITE behind `server` while it waited for its answer (RFC 3261 section 9.2).
    pub(super) fn invite_canceled(
        &mut self,
        now: Instant,
        id: InviteId,
        server: u64,
        reason: Option<String>,
    ) {
        match self.usages.get_mut(&id) {
            Some(Usage::Offered(_)) => {
                self.refuse_offered(now, id, 487, None, &[]);
                let reason = reason.unwrap_or_else(|| "canceled by the caller".to_owned());
                self.fail(id, FailureKind::Canceled, 487, reason);
            }
            Some(Usage::Up(up)) => {
                if let Some(asked) = up.asked.take_if(|asked| asked.server == server) {
                    let tag = up.dialog.key.local_tag.clone();
                    self.disarm_usage(id, TimerReason::AnswerDue);
                    let response = self.response(&asked.request, 487, None, &tag);
                    self.respond(now, server, &response);
                }
            }
            _ => {}
        }
    }

    /// The application has slept over an INVITE or a re-INVITE.
    pub(super) fn answer_is_due(&mut self, now: Instant, id: InviteId) {
        match self.usages.get(&id) {
            Some(Usage::Offered(offered)) => {
                // RFC 3261 section 13.3.1: an invitation that has expired gets 487.
                let status = if offered.request.expires().is_some() { 487 } else { 480 };
                self.refuse_offered(now, id, status, None, &[]);
                self.fail(id, FailureKind::Unanswered, status, "the application did not answer in time");
            }
            Some(Usage::Up(_)) => {
                let _ = self.reject_reinvite(now, id, 500, &[]);
            }
            _ => {}
        }
    }

    pub(super) fn offered(&self, id: InviteId) -> Result<&Offered, CommandError> {
        match self.usages.get(&id) {
            Some(Usage::Offered(offered)) => Ok(offered),
            other => Err(not_offered(other)),
        }
    }

    pub(super) fn offered_mut(&mut self, id: InviteId) -> Result<&mut Offered, CommandError> {
        match self.usages.get_mut(&id) {
            Some(Usage::Offered(offered)) => Ok(offered),
            other => Err(not_offered(other.map(|other| &*other))),
        }
    }
}

/// What a 2xx to an INVITE or a re-INVITE is made of.
pub(super) struct Accepting<'a> {
    pub(super) server: u64,
    pub(super) request: &'a Message,
    pub(super) body: Body,
    pub(super) extra: &'a [(String, String)],
    /// It begins the dialog.
    pub(super) first: bool,
    /// The body is our offer.
    pub(super) offered: bool,
    pub(super) timer: Option<SessionTimer>,
}

fn not_offered(usage: Option<&Usage>) -> CommandError {
    match usage {
        Some(Usage::Calling(_)) => CommandError::WrongState("an INVITE of our own"),
        Some(_) => CommandError::WrongState("answered already"),
        None => CommandError::Gone,
    }
}

/// RFC 3261 section 20.1: no Accept means SDP; otherwise it must be among what is listed.
fn accepts_sdp(request: &Message) -> bool {
    let mut listed = request.headers().all(HeaderName::Accept).peekable();
    listed.peek().is_none()
        || listed.any(|range| {
            let range = range.split(';').next().unwrap_or_default().trim();
            ["application/sdp", "application/*", "*/*"].iter().any(|known| range.eq_ignore_ascii_case(known))
        })
}

pub(super) fn push_extra(response: &mut Message, extra: &[(String, String)]) {
    for (name, value) in extra.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("contact")) {
        response.headers_mut().push(name.as_str(), value);
    }
}
