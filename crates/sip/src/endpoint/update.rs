//! UPDATE (RFC 3311) from the peer, before the answer and after it: a refresh is answered by itself, an offer goes to the
//! application. PRACK with an offer is the same under another name (RFC 3262 section 5).

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rand::RngExt;

use super::body::{Carried, carried};
use super::event::{CommandError, Event, InviteId};
use super::flow::Flow;
use super::ingress::dialog_key;
use super::reply::{Refusal, reply_flow};
use super::uas::push_extra;
use super::usage::{Offering, Usage};
use super::{Body, Endpoint, Terms};
use crate::dialog::session_timer::{SessionTimer, TooSmall};
use crate::transaction::TimerReason;
use crate::transaction::key::ServerKey;
use crate::wire::{HeaderName, Message, Method};

/// An offer of theirs outside of an INVITE, which waits for the application.
#[derive(Debug)]
pub(super) struct Update {
    server: u64,
    request: Arc<Message>,
    timer: Option<SessionTimer>,
}

impl Endpoint {
    pub(super) fn handle_update(
        &mut self,
        now: Instant,
        flow: Flow,
        request: Message,
        key: ServerKey,
        id: InviteId,
    ) {
        let timer = match self.grant(id, &request) {
            Ok(timer) => timer,
            Err(refusal) => return self.refuse_in_dialog(now, &request, key, flow, refusal),
        };
        self.take_offer(now, flow, request, key, id, timer);
    }

    /// Answers a request that may carry an offer: at once where it does not, else when the application says how.
    pub(super) fn take_offer(
        &mut self,
        now: Instant,
        flow: Flow,
        request: Message,
        key: ServerKey,
        id: InviteId,
        timer: Option<SessionTimer>,
    ) {
        let offer = match self.admit_offer(id, &request) {
            Ok(offer) => offer,
            Err(refusal) => return self.refuse_in_dialog(now, &request, key, flow, refusal),
        };
        let server = self.start_server(&request, key, reply_flow(&request, flow), None, "");
        if let Some(up) = self.up_mut(id).filter(|_| flow.transport.is_reliable()) {
            up.dialog.flow = flow; // the connection that lives
        }
        let update = Update { server, request: Arc::new(request), timer };
        if offer.is_none() {
            return self.answer_update(now, id, &update, None);
        }
        self.updates.insert(id, update);
        self.arm_usage(id, TimerReason::UpdateDue, now, self.config.reinvite_within);
        self.emit(Event::ReinviteReceived { id, offer });
    }

    /// What a session timer asks for in a re-INVITE or an UPDATE, granted or refused.
    pub(super) fn grant(&mut self, id: InviteId, request: &Message) -> Result<Option<SessionTimer>, Refusal> {
        let Some(up) = self.up_mut(id) else { return Ok(None) };
        SessionTimer::grant(&up.upkeep.terms, request, up.upkeep.timer).map_err(too_small)
    }

    /// RFC 3311 section 5.2: one offer at a time.
    fn admit_offer(&mut self, id: InviteId, request: &Message) -> Result<Option<Bytes>, Refusal> {
        let offer = match carried(request) {
            Carried::Foreign => {
                return Err(Refusal::new(415, "a body that is not SDP").with("Accept", "application/sdp"));
            }
            Carried::Nothing => return Ok(None),
            Carried::Sdp(offer) => offer,
        };
        let seconds = self.rng.random_range(0..=10u32).to_string();
        let overlap =
            Refusal::new(500, "an offer before the last one was answered").with("Retry-After", seconds);
        let met = Refusal::new(491, "an offer met ours, which is not answered yet");
        if self.updates.contains_key(&id) {
            return Err(overlap);
        }
        let key = dialog_key(request);
        match self.usages.get(&id) {
            Some(Usage::Offered(offered)) if offered.provisionals.settled() => Ok(Some(offer)),
            Some(Usage::Calling(calling)) => {
                let early = calling.early.iter().find(|early| Some(&early.dialog.key) == key.as_ref());
                if early.is_some_and(super::uac::Early::is_settled) { Ok(Some(offer)) } else { Err(met) }
            }
            Some(Usage::Up(up)) if up.asked.is_some() => Err(overlap),
            Some(Usage::Up(up))
                if up.unacked.is_some()
                    || matches!(up.offering, Offering::Sent { .. } | Offering::AwaitingAnswer { .. }) =>
            {
                Err(met)
            }
            Some(Usage::Up(_)) => Ok(Some(offer)),
            _ => Err(overlap),
        }
    }

    /// The application has accepted an offer in an UPDATE.
    pub(super) fn accept_update(&mut self, now: Instant, id: InviteId, update: &Update, body: Body) {
        self.disarm_usage(id, TimerReason::UpdateDue);
        match self.usages.get_mut(&id) {
            Some(Usage::Up(up)) => up.upkeep.sdp = Some(body.clone()),
            Some(Usage::Calling(calling)) => {
                let key = dialog_key(&update.request);
                let early = calling.early.iter_mut().find(|early| Some(&early.dialog.key) == key.as_ref());
                if let Some(early) = early {
                    early.note_update(body.clone());
                }
            }
            _ => {}
        }
        self.answer_update(now, id, update, Some(body));
    }

    fn answer_update(&mut self, now: Instant, id: InviteId, update: &Update, body: Option<Body>) {
        let Update { server, request, timer } = update;
        let terms = self.terms_of(id);
        let mut response = self.response(request, 200, None, "");
        let refreshes = *request.method() == Method::UPDATE;
        if let Some(dialog) = dialog_key(request).and_then(|key| self.dialog_mut(id, &key)) {
            if refreshes {
                dialog.refresh_target(request);
            }
            response.headers_mut().push(HeaderName::Contact, &dialog.contact);
        }
        if let Some(timer) = timer {
            timer.write_grant(request, response.headers_mut());
        }
        super::reply::describe(&mut response, &terms, body);
        self.respond(now, *server, &response);
        if refreshes {
            self.keep_alive(now, id, *timer);
        }
    }

    pub(super) fn reject_update(
        &mut self,
        now: Instant,
        id: InviteId,
        update: &Update,
        status: u16,
        extra: &[(String, String)],
    ) {
        self.disarm_usage(id, TimerReason::UpdateDue);
        let mut response = self.response(&update.request, status, None, "");
        push_extra(&mut response, extra);
        self.respond(now, update.server, &response);
    }

    /// The usage ends, or goes on to its next stage, before an offer was answered.
    pub(super) fn drop_update(&mut self, now: Instant, id: InviteId) {
        if let Some(update) = self.updates.remove(&id) {
            self.reject_update(now, id, &update, 487, &[]);
        }
    }

    /// The application has slept over it. RFC 3311 section 5.2: 504 where it cannot be answered at once.
    pub(super) fn update_is_due(&mut self, now: Instant, id: InviteId) -> Result<(), CommandError> {
        let update = self.updates.remove(&id).ok_or(CommandError::Gone)?;
        self.reject_update(now, id, &update, 504, &[]);
        Ok(())
    }

    pub(super) fn terms_of(&self, id: InviteId) -> Terms {
        match self.usages.get(&id) {
            Some(Usage::Offered(offered)) => offered.terms,
            Some(Usage::Calling(calling)) => calling.terms(),
            Some(Usage::Up(up)) => up.upkeep.terms,
            None => self.config.terms,
        }
    }
}

/// RFC 4028 section 6: 422 with the least that we grant.
pub(super) fn too_small(least: TooSmall) -> Refusal {
    Refusal::new(422, format!("a session interval below {} s", least.0)).with("Min-SE", least.0.to_string())
}
