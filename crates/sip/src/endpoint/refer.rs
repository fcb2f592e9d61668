//! REFER (RFC 3515) inside of a dialog: the peer asks us to call somebody else in its place, and is told what came of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::Endpoint;
use super::event::{CommandError, Event, InviteId};
use super::flow::Flow;
use super::inside::Purpose;
use super::reply::{Refusal, describe, reply_flow};
use super::usage::Usage;
use crate::transaction::key::ServerKey;
use crate::wire::{HeaderName, Message, StatusCode};

/// The one REFER of each leg that is not finished.
pub(super) type Referrals = HashMap<InviteId, Referral>;

/// A REFER of theirs.
#[derive(Debug)]
pub(super) struct Referral {
    /// The transaction, until it has its answer.
    server: Option<(u64, Arc<Message>)>,
    /// The CSeq of the REFER: the `id` of its subscription (RFC 3515 section 2.4.6).
    cseq: u32,
    /// Whoever sent it wants no NOTIFY (RFC 4488).
    silent: bool,
}

impl Endpoint {
    pub(super) fn handle_refer(
        &mut self,
        now: Instant,
        flow: Flow,
        request: Message,
        key: ServerKey,
        id: InviteId,
    ) {
        let target = match self.admit_refer(id, &request) {
            Ok(target) => target,
            Err(refusal) => return self.refuse_in_dialog(now, &request, key, flow, refusal),
        };
        let by = request.headers().get(HeaderName::ReferredBy).map(str::to_owned);
        let server = self.start_server(&request, key, reply_flow(&request, flow), None, "");
        let cseq = request.cseq().map_or(0, |cseq| cseq.number);
        let silent = wants_silence(&request);
        let request = Arc::new(request);
        self.referrals.insert(id, Referral { server: Some((server, request)), cseq, silent });
        self.emit(Event::ReferReceived { id, target: Box::new(target), by });
    }

    fn admit_refer(&self, id: InviteId, request: &Message) -> Result<crate::wire::NameAddr, Refusal> {
        if !self.terms_of(id).accept_refer {
            return Err(Refusal::new(603, "REFER on a trunk without accept_refer"));
        }
        if !matches!(self.usages.get(&id), Some(Usage::Up(up)) if up.leaving.is_none()) {
            return Err(Refusal::new(603, "REFER before the answer, or behind the end"));
        }
        if self.referrals.contains_key(&id) {
            return Err(Refusal::new(491, "a REFER before the last one was finished"));
        }
        let targets = request.addresses(HeaderName::ReferTo).unwrap_or_default();
        let bad = || Refusal::new(400, "a REFER needs one readable Refer-To");
        targets.into_iter().next().map(|target| target.detached()).ok_or_else(bad)
    }

    /// Answers a REFER with 202, and says that it is being tried ([`Endpoint::notify_refer`] says what came of it).
    pub fn accept_refer(&mut self, now: Instant, id: InviteId) -> Result<(), CommandError> {
        self.answer_refer(now, id, 202)?;
        self.notify_refer(now, id, 100)
    }

    /// Refuses a REFER, 300 to 699.
    pub fn reject_refer(&mut self, now: Instant, id: InviteId, status: u16) -> Result<(), CommandError> {
        if !(300..=699).contains(&status) {
            return Err(CommandError::BadStatus(status));
        }
        self.answer_refer(now, id, status)?;
        self.referrals.remove(&id);
        Ok(())
    }

    fn answer_refer(&mut self, now: Instant, id: InviteId, status: u16) -> Result<(), CommandError> {
        let silent = self.referrals.get(&id).is_some_and(|referral| referral.silent);
        let waiting = self.referrals.get_mut(&id).and_then(|referral| referral.server.take());
        let (server, request) = waiting.ok_or(CommandError::WrongState("without a REFER to answer"))?;
        let terms = self.terms_of(id);
        let mut response = self.response(&request, status, None, "");
        if let Some(up) = self.up_mut(id) {
            response.headers_mut().push(HeaderName::Contact, &up.dialog.contact);
        }
        if silent && status < 300 {
            // RFC 4488 section 4: without this it would wait for a NOTIFY all the same.
            response.headers_mut().push("Refer-Sub", "false");
        }
        describe(&mut response, &terms, None);
        self.respond(now, server, &response);
        Ok(())
    }

    /// Tells who sent the REFER how far the call in its place has come: the status of the last response to it. A final one
    /// ends the matter.
    pub fn notify_refer(&mut self, now: Instant, id: InviteId, status: u16) -> Result<(), CommandError> {
        let accepted = self.referrals.get(&id).filter(|referral| referral.server.is_none());
        let &Referral { cseq, silent, .. } =
            accepted.ok_or(CommandError::WrongState("without a REFER to tell of"))?;
        let status = StatusCode::new(status).ok_or(CommandError::BadStatus(status))?;
        if status.is_final() {
            self.referrals.remove(&id);
        }
        if silent {
            return Ok(());
        }
        let key = self.up_mut(id).map(|up| up.dialog.key.clone()).ok_or(CommandError::Gone)?;
        self.send_inside(now, id, &key, Purpose::Notify { status, cseq }, 0);
        Ok(())
    }

    /// The leg ends: a REFER without an answer gets one.
    pub(super) fn drop_referral(&mut self, now: Instant, id: InviteId) {
        let _ = self.answer_refer(now, id, 487);
        self.referrals.remove(&id);
    }
}

/// `Refer-Sub: false` (RFC 4488 section 4).
fn wants_silence(request: &Message) -> bool {
    let value = request.headers().get("Refer-Sub").unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("false")
}
