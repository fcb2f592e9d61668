//! INVITE inside of a dialog (RFC 3261 section 14), both ways, and what happens when they meet.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt;

use super::body::{Carried, carried};
use super::clients::User;
use super::event::{CommandError, End, Event, InviteId};
use super::flow::{Flow, Transmit};
use super::reply::{Refusal, reply_flow};
use super::uas::{Accepting, push_extra};
use super::usage::{Asked, Offering, Up, Usage};
use super::{Body, Endpoint};
use crate::dialog::Dialog;
use crate::dialog::digest::Verdict;
use crate::dialog::session_timer::SessionTimer;
use crate::transaction::TimerReason;
use crate::transaction::key::ServerKey;
use crate::wire::{HeaderName, Message, Method};

/// How often a re-INVITE of ours is sent again after a 491.
const MAX_GLARES: u8 = 6;

/// A re-INVITE of ours: what its transaction remembers, also when the leg has ended meanwhile.
#[derive(Debug)]
pub(super) struct Ours {
    pub(super) usage: InviteId,
    dialog: Dialog,
    body: Body,
    ack: Option<Transmit>,
    challenges: u8,
    glares: u8,
    /// It only keeps the dialog alive: the application has not asked for it.
    refresh: bool,
}

impl Endpoint {
    /// Sends a new offer in the dialog. [`Event::ReinviteAnswered`] or [`Event::ReinviteFailed`] follows; a 491 is
    /// retried by itself after the random time of section 14.1.
    pub fn reinvite(&mut self, now: Instant, id: InviteId, body: Body) -> Result<(), CommandError> {
        let up = self.up(id)?;
        let busy = up.unacked.is_some() || up.asked.is_some() || !matches!(up.offering, Offering::Idle);
        if busy || self.updates.contains_key(&id) {
            return Err(CommandError::OfferPending);
        }
        self.send_reinvite(now, id, body, Again::default());
        Ok(())
    }

    /// A re-INVITE with the description that holds, so that the dialog lives on (RFC 4028 section 7.4).
    pub(super) fn send_refreshing_invite(&mut self, now: Instant, id: InviteId, body: Body) {
        self.send_reinvite(now, id, body, Again { refresh: true, ..Again::default() });
    }

    fn send_reinvite(&mut self, now: Instant, id: InviteId, body: Body, again: Again) {
        let Some(mut dialog) = self.up_mut(id).map(|up| up.dialog.clone()) else { return };
        let Again { challenges, glares, refresh } = again;
        let (mut request, flow) = self.in_dialog_request(&mut dialog, Method::INVITE, None);
        request.headers_mut().push(HeaderName::Contact, &dialog.contact);
        self.ask_to_live(id, &mut request);
        request.set_body(&body.content_type, body.bytes.clone());
        if let Some(up) = self.up_mut(id) {
            up.dialog.local_cseq = dialog.local_cseq;
            up.dialog.authorizer.clone_from(&dialog.authorizer);
        }
        let ours = Ours { usage: id, dialog, body, ack: None, challenges, glares, refresh };
        let client = self.start_client(now, request, flow, User::Reinvite(Box::new(ours)));
        if let Some(up) = self.up_mut(id) {
            up.offering = Offering::Sent { client };
        }
    }

    pub(super) fn reinvite_response(&mut self, now: Instant, handle: u64, response: &Arc<Message>) {
        let status = response.status().map_or(0, crate::wire::StatusCode::code);
        let Some(ours) = self.ours_mut(handle) else { return };
        let id = ours.usage;
        if status >= 200 {
            self.cancel_is_settled(handle);
        }
        match status {
            // The transaction has no timer of its own any more: a peer that says no more than 100 is canceled.
            100..=199 if self.up_mut(id).is_some_and(|up| is_sent(up, handle)) => {
                let patience = self.config.timers.whole();
                self.arm_usage(id, TimerReason::Ring, now, patience);
            }
            200..=299 => self.reinvite_accepted(now, handle, response),
            401 | 407 | 422 => self.reinvite_challenged(now, id, handle, status, response),
            300.. => self.reinvite_refused(now, id, handle, status, Some(response)),
            _ => {}
        }
    }

    fn reinvite_accepted(&mut self, now: Instant, handle: u64, response: &Arc<Message>) {
        let Some(ours) = self.ours_mut(handle) else { return };
        if let Some(ack) = ours.ack.clone() {
            self.transmits.push_back(ack);
            return;
        }
        let (id, mut dialog, cseq) = (ours.usage, ours.dialog.clone(), ours.dialog.local_cseq);
        let sent = ours.body.clone();
        dialog.refresh_target(response);
        let current = self.up_mut(id).filter(|up| is_sent(up, handle));
        let waited_for = current.is_some();
        if let Some(up) = current {
            up.dialog.refresh_target(response);
            if let Some(authorizer) = &mut up.dialog.authorizer {
                authorizer.learn(response);
            }
            up.offering = Offering::Idle;
            up.upkeep.sdp = Some(sent);
            self.disarm_usage(id, TimerReason::Ring);
            self.keep_alive_by(now, id, response);
        }
        // Acknowledged also when the leg has ended meanwhile: the peer would repeat its 2xx for 32 s otherwise.
        let transmit = self.send_ack(&mut dialog, handle, cseq, None);
        if let Some(ours) = self.ours_mut(handle) {
            ours.ack = Some(transmit);
        }
        if waited_for {
            self.emit(Event::ReinviteAnswered { id, body: carried(response).sdp() });
        }
    }

    fn reinvite_challenged(
        &mut self,
        now: Instant,
        id: InviteId,
        handle: u64,
        status: u16,
        response: &Arc<Message>,
    ) {
        let Some(ours) = self.ours_mut(handle) else { return };
        let (body, mut again) = (ours.body.clone(), ours.again());
        let Some(up) = self.up_mut(id).filter(|up| is_sent(up, handle)) else { return };
        let retry = if status == 422 {
            up.upkeep.raise(response)
        } else {
            let authorizer = up.dialog.authorizer.as_mut();
            authorizer.map(|found| found.consider(response, again.challenges)) == Some(Verdict::Retry)
        };
        if retry {
            again.challenges += u8::from(status != 422);
            self.send_reinvite(now, id, body, again);
        } else {
            self.reinvite_refused(now, id, handle, status, Some(response));
        }
    }

    /// Our re-INVITE came to nothing: 408 stands for no answer, 503 for the transport.
    pub(super) fn reinvite_refused(
        &mut self,
        now: Instant,
        id: InviteId,
        handle: u64,
        status: u16,
        response: Option<&Message>,
    ) {
        let Some(ours) = self.ours_mut(handle) else { return };
        let (body, glares, owner) = (ours.body.clone(), ours.glares, ours.dialog.owns_call_id);
        let refresh = ours.refresh;
        let Some(up) = self.up_mut(id).filter(|up| is_sent(up, handle)) else { return };
        up.offering = if status == 491 && glares < MAX_GLARES {
            Offering::Glare { body, tries: glares + 1, refresh }
        } else {
            Offering::Idle
        };
        self.disarm_usage(id, TimerReason::Ring);
        match status {
            // Section 12.2.1.2: the peer has lost the dialog, or is gone; a BYE costs nothing where it is not sure.
            481 => drop(self.end(now, id, End::DialogGone(481))),
            408 => self.end_with_bye(now, id, End::DialogGone(408), None),
            491 if glares < MAX_GLARES => {
                // Section 14.1, in units of 10 ms: the owner of the Call-ID waits longer, so that the two differ.
                let units =
                    if owner { self.rng.random_range(210..=400) } else { self.rng.random_range(0..=200) };
                self.arm_usage(id, TimerReason::GlareRetry, now, Duration::from_millis(10 * units));
            }
            _ if refresh => match response {
                Some(response) => self.refresh_later(now, id, status, response),
                None => self.refresh_failed(now, id, 503),
            },
            _ => self.emit(Event::ReinviteFailed { id, status }),
        }
    }

    /// Nothing final came for our re-INVITE although it is being worked on: CANCEL it. Its 487, a 2xx that crosses, or
    /// silence decides (section 14.1 asks for no more).
    pub(super) fn cancel_reinvite(&mut self, now: Instant, id: InviteId) {
        if let Some(Offering::Sent { client }) = self.up_mut(id).map(|up| &up.offering) {
            let client = *client;
            self.cancel_client(now, client, None);
        }
    }

    pub(super) fn retry_after_glare(&mut self, now: Instant, id: InviteId) {
        let Some(up) = self.up_mut(id) else { return };
        let Offering::Glare { body, tries, refresh } = &up.offering else { return };
        let (body, again) = (body.clone(), Again { challenges: 0, glares: *tries, refresh: *refresh });
        if up.asked.is_some() || up.unacked.is_some() {
            // Theirs is still being answered; ours waits for its end.
            return self.arm_usage(id, TimerReason::GlareRetry, now, self.config.timers.t1);
        }
        self.send_reinvite(now, id, body, again);
    }

    /// A re-INVITE of theirs (section 14.2).
    pub(super) fn handle_reinvite(
        &mut self,
        now: Instant,
        flow: Flow,
        request: Message,
        key: ServerKey,
        id: InviteId,
    ) {
        let (offer, timer) = match self.admit_reinvite(id, &request) {
            Ok(admitted) => admitted,
            Err(refusal) => return self.refuse_in_dialog(now, &request, key, flow, refusal),
        };
        self.settle_accept(now, id, None);
        let server = self.start_server(&request, key, reply_flow(&request, flow), Some(id), "");
        let trying = self.response(&request, 100, None, "");
        self.respond(now, server, &trying);
        let asked = Asked { server, request: Arc::new(request), late_offer: offer.is_none(), timer };
        if let Some(up) = self.up_mut(id) {
            up.asked = Some(asked);
            if flow.transport.is_reliable() {
                up.dialog.flow = flow; // the connection that lives
            }
        }
        self.arm_usage(id, TimerReason::AnswerDue, now, self.config.reinvite_within);
        self.emit(Event::ReinviteReceived { id, offer });
    }

    fn admit_reinvite(
        &mut self,
        id: InviteId,
        request: &Message,
    ) -> Result<(Option<bytes::Bytes>, Option<SessionTimer>), Refusal> {
        self.take_cseq(id, request)?;
        let seconds = self.rng.random_range(0..=10u32).to_string();
        let overlap = || Refusal::new(500, "an INVITE before the last one was answered");
        match self.usages.get(&id) {
            Some(Usage::Up(_)) => {}
            Some(Usage::Calling(_)) => return Err(Refusal::new(491, "an INVITE that met ours")),
            _ => return Err(overlap().with("Retry-After", seconds)),
        }
        let Some(up) = self.up_mut(id) else { return Err(overlap().with("Retry-After", seconds)) };
        let asked = up.asked.is_some();
        if asked || self.updates.contains_key(&id) {
            return Err(overlap().with("Retry-After", seconds));
        }
        let Some(up) = self.up_mut(id) else { return Err(overlap()) };
        // Ours is on its way, or the ACK that is not here yet carries their answer: they try again (RFC 5407 section
        // 3.1.5). If it carries nothing it is as good as here (section 3.1.4): some carriers re-INVITE at once.
        let ours = matches!(up.offering, Offering::Sent { .. } | Offering::AwaitingAnswer { .. });
        let open = up.unacked.as_ref().is_some_and(|unacked| unacked.offered || up.leaving.is_some());
        if ours || open {
            return Err(Refusal::new(491, "a re-INVITE met an offer that is not finished"));
        }
        match carried(request) {
            Carried::Foreign => {
                Err(Refusal::new(415, "a body that is not SDP").with("Accept", "application/sdp"))
            }
            found => Ok((found.sdp(), self.grant(id, request)?)),
        }
    }

    /// Answers a re-INVITE or an UPDATE with 200 and our SDP: the answer, or the offer if theirs had none (then
    /// [`Event::ReinviteAnswered`] brings the answer from the ACK).
    pub fn accept_reinvite(&mut self, now: Instant, id: InviteId, body: Body) -> Result<(), CommandError> {
        if let Some(update) = self.updates.remove(&id) {
            self.accept_update(now, id, &update, body);
            return Ok(());
        }
        let Asked { server, request, late_offer, timer } = self.take_asked(id)?;
        let Some(up) = self.up_mut(id) else { return Err(CommandError::Gone) };
        up.dialog.refresh_target(&request);
        up.upkeep.sdp = Some(body.clone());
        let (dialog, terms) = (up.dialog.clone(), up.upkeep.terms);
        let reply = Accepting {
            server,
            request: &request,
            body,
            extra: &[],
            first: false,
            offered: late_offer,
            timer,
        };
        let unacked = self.send_accept(now, id, &dialog, &terms, reply);
        if let Some(up) = self.up_mut(id) {
            up.unacked = unacked;
        }
        self.keep_alive(now, id, timer);
        Ok(())
    }

    /// Refuses a re-INVITE or an UPDATE, 300 to 699 (488 where the media does not fit); everything stays as it was.
    pub fn reject_reinvite(
        &mut self,
        now: Instant,
        id: InviteId,
        status: u16,
        extra: &[(String, String)],
    ) -> Result<(), CommandError> {
        if !(300..=699).contains(&status) {
            return Err(CommandError::BadStatus(status));
        }
        if let Some(update) = self.updates.remove(&id) {
            self.reject_update(now, id, &update, status, extra);
            return Ok(());
        }
        let asked = self.take_asked(id)?;
        let mut response = self.response(&asked.request, status, None, "");
        push_extra(&mut response, extra);
        self.respond(now, asked.server, &response);
        Ok(())
    }

    fn take_asked(&mut self, id: InviteId) -> Result<Asked, CommandError> {
        self.up(id)?;
        let asked = self.up_mut(id).and_then(|up| up.asked.take());
        self.disarm_usage(id, TimerReason::AnswerDue);
        asked.ok_or(CommandError::WrongState("without a re-INVITE to answer (it may have been canceled)"))
    }

    pub(super) fn up(&self, id: InviteId) -> Result<&Up, CommandError> {
        match self.usages.get(&id) {
            Some(Usage::Up(up)) => Ok(up),
            Some(_) => Err(CommandError::WrongState("not answered yet")),
            None => Err(CommandError::Gone),
        }
    }

    fn ours_mut(&mut self, handle: u64) -> Option<&mut Ours> {
        match &mut self.clients.get_mut(&handle)?.user {
            User::Reinvite(ours) => Some(ours),
            _ => None,
        }
    }
}

/// How often a re-INVITE of ours was sent before, and why.
#[derive(Debug, Clone, Copy, Default)]
struct Again {
    challenges: u8,
    glares: u8,
    refresh: bool,
}

impl Ours {
    fn again(&self) -> Again {
        Again { challenges: self.challenges, glares: self.glares, refresh: self.refresh }
    }
}

fn is_sent(up: &Up, handle: u64) -> bool {
    matches!(up.offering, Offering::Sent { client } if client == handle)
}
