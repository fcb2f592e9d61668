//! The way in: what a message is, whether it may be served, and by whom (RFC 3261 sections 8.2, 12.2.2 and 18.2.1).

use std::time::Instant;

use bytes::Bytes;

use super::event::InviteId;
use super::flow::Flow;
use super::reply::{Refusal, is_served, reply_flow};
use super::{Endpoint, Readiness, Terms};
use crate::dialog::DialogKey;
use crate::transaction::key::{MergeKey, ServerKey};
use crate::wire::{Framing, HeaderName, Message, Method};

impl Endpoint {
    /// Exactly one message: one datagram, or one as the stream framer cut it. It is judged under the terms of the
    /// configuration.
    pub fn handle_input(&mut self, now: Instant, flow: Flow, bytes: Bytes) {
        self.handle_input_under(now, flow, bytes, self.config.terms);
    }

    /// The same from a peer with terms of its own; dialogs that it begins stay under them.
    pub fn handle_input_under(&mut self, now: Instant, flow: Flow, bytes: Bytes, terms: Terms) {
        if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return; // a keep-alive, not a message (RFC 5626 section 3.5.1)
        }
        if self.events.len() + self.transmits.len() >= self.config.max_queued {
            self.overflowed = self.overflowed.saturating_add(1);
            return;
        }
        let framing = if flow.transport.is_reliable() { Framing::Stream } else { Framing::Datagram };
        match Message::parse(bytes, framing) {
            Ok(message) if message.is_request() => self.handle_request(now, flow, message, &terms),
            Ok(message) => self.handle_response(now, flow, message),
            Err(malformed) => self.handle_malformed(flow, malformed),
        }
    }

    fn handle_request(&mut self, now: Instant, flow: Flow, mut request: Message, terms: &Terms) {
        request.note_source(flow.remote);
        let method = request.method().clone();
        if method == Method::ACK {
            return self.handle_ack(now, flow, &request);
        }
        let Some(key) = ServerKey::of(&request, method.as_str()) else {
            return self.discard(flow, "a request without a usable Via", None);
        };
        if let Some(handle) = self.server_keys.get(&key).copied() {
            return self.server_retransmission(now, handle);
        }
        if let Err(refusal) = self.examine(&request, terms) {
            return self.refuse(&request, flow, refusal);
        }
        if method == Method::CANCEL {
            return self.handle_cancel(now, flow, &request, key);
        }
        if request.to().is_some_and(|to| to.tag().is_some()) {
            return self.handle_in_dialog(now, flow, request, key, terms);
        }
        if method == Method::INVITE {
            self.handle_new_invite(now, flow, request, key, terms);
        } else if method == Method::OPTIONS {
            self.answer_options(&request, flow, self.readiness, terms);
        } else {
            self.refuse(&request, flow, Refusal::new(481, format!("{method} outside of any dialog")));
        }
    }

    /// What RFC 3261 section 8.2 has a server inspect before it looks at the meaning of a request.
    fn examine(&self, request: &Message, terms: &Terms) -> Result<(), Refusal> {
        let method = request.method();
        let in_dialog = request.to().is_some_and(|to| to.tag().is_some());
        let cancel = *method == Method::CANCEL;
        // Overload: new work is shed first; what ends or steers a call already there is served as long as possible.
        let spare = if in_dialog || cancel { self.config.max_transactions / 4 } else { 0 };
        if self.transactions() >= self.config.max_transactions.saturating_add(spare) {
            return Err(Refusal::new(503, "too many transactions")
                .with("Retry-After", self.config.overload_retry_after.to_string()));
        }
        // REFER inside of a dialog is declined, not unknown, where the trunk has none.
        let declined = in_dialog && *method == Method::REFER;
        if !is_served(method, terms) && !declined {
            let status = if matches!(method, Method::Known(_)) { 405 } else { 501 };
            return Err(Refusal::new(status, format!("{method} is not served")).with("Allow", terms.allow()));
        }
        if !request.uri().is_some_and(is_reachable) {
            return Err(Refusal::new(416, "Request-URI of a scheme that is not sip, sips or tel"));
        }
        if !in_dialog && !cancel {
            if MergeKey::of(request).is_some_and(|key| self.merge_keys.contains_key(&key)) {
                return Err(Refusal::new(482, "the same request arrived by another path"));
            }
            // Who has used up its hops goes in a circle (RFC 7332). Nothing is passed on here: the calls that we make are new ones,
            // with all of their hops.
            if *method == Method::INVITE && request.max_forwards() == Some(0) {
                return Err(Refusal::new(483, "Max-Forwards is used up"));
            }
        }
        // RFC 3261 section 8.2.2.3: CANCEL has no Require.
        if cancel { Ok(()) } else { terms.check_required(request) }
    }

    fn handle_in_dialog(
        &mut self,
        now: Instant,
        flow: Flow,
        request: Message,
        key: ServerKey,
        terms: &Terms,
    ) {
        let Some(id) = dialog_key(&request).and_then(|key| self.dialogs.get(&key).copied()) else {
            let why = format!("{} in a dialog that does not exist", request.method());
            return self.refuse(&request, flow, Refusal::new(481, why));
        };
        match *request.method() {
            Method::INVITE => self.handle_reinvite(now, flow, request, key, id),
            Method::BYE => self.handle_bye(now, flow, &request, key, id),
            Method::NOTIFY => {
                let refusal = Refusal::new(481, "NOTIFY of a subscription that we do not have");
                self.refuse(&request, flow, refusal);
            }
            _ => match self.take_cseq(id, &request) {
                Ok(()) => self.handle_in_order(now, flow, request, key, id, terms),
                Err(refusal) => self.refuse(&request, flow, refusal),
            },
        }
    }

    /// A request whose place in its dialog was taken, once for all of them.
    fn handle_in_order(
        &mut self,
        now: Instant,
        flow: Flow,
        request: Message,
        key: ServerKey,
        id: InviteId,
        terms: &Terms,
    ) {
        match *request.method() {
            Method::PRACK => self.handle_prack(now, flow, request, key, id),
            Method::UPDATE => self.handle_update(now, flow, request, key, id),
            Method::REFER => self.handle_refer(now, flow, request, key, id),
            // Inside of a dialog OPTIONS asks about the dialog, and that one is served: by a transaction, since a copy
            // would find its own CSeq used up.
            _ => {
                let response = self.options_answer(&request, &flow, Readiness::Ready, terms);
                let server = self.start_server(&request, key, reply_flow(&request, flow), None, "");
                self.respond(now, server, &response);
            }
        }
    }

    /// RFC 3261 section 9.2: 200 whenever the INVITE is known, whatever became of it; 481 otherwise.
    fn handle_cancel(&mut self, now: Instant, flow: Flow, request: &Message, key: ServerKey) {
        let invite = ServerKey::of(request, "INVITE").and_then(|key| self.server_keys.get(&key).copied());
        let Some(invite) = invite else {
            return self.refuse(request, flow, Refusal::new(481, "CANCEL for an INVITE that is not known"));
        };
        let Some((tag, usage)) = self.servers.get(&invite).map(|found| (found.to_tag.clone(), found.usage))
        else {
            return;
        };
        // Branches can be guessed (some peers count them). Section 9.1 wants more to be the same.
        if usage.and_then(|id| self.asking(id, invite)).is_some_and(|asking| !is_about(request, asking)) {
            let why = "CANCEL with the branch of an INVITE whose Call-ID, From tag or CSeq it does not have";
            return self.refuse(request, flow, Refusal::new(481, why));
        }
        let handle = self.start_server(request, key, reply_flow(request, flow), None, &tag);
        let response = self.response(request, 200, None, &tag);
        self.respond(now, handle, &response);
        if let Some(id) = usage.filter(|_| self.server_is_proceeding(invite)) {
            let reason = request.headers().get(HeaderName::Reason).map(str::to_owned);
            self.invite_canceled(now, id, invite, reason);
        }
    }

    fn handle_ack(&mut self, now: Instant, flow: Flow, ack: &Message) {
        let invite = ServerKey::of(ack, "INVITE").and_then(|key| self.server_keys.get(&key).copied());
        if invite.is_some_and(|handle| self.server_ack(now, handle)) {
            return;
        }
        match dialog_key(ack).and_then(|key| self.dialogs.get(&key).copied()) {
            Some(id) => self.dialog_acked(now, flow, id, ack),
            None if ack.to().is_some_and(|to| to.tag() == Some(self.stateless_tag(ack).as_str())) => {
                self.discard(flow, "ACK to a refusal that was given without a transaction", None);
            }
            None => self.discard(flow, "ACK that matches no transaction and no dialog", None),
        }
    }
}

/// Whether a CANCEL is about this INVITE (RFC 3261 section 9.1).
fn is_about(cancel: &Message, invite: &Message) -> bool {
    let tag = |message: &Message| message.from().and_then(|from| from.tag().map(str::to_owned));
    let number = |message: &Message| message.cseq().map(|cseq| cseq.number);
    cancel.call_id() == invite.call_id() && number(cancel) == number(invite) && tag(cancel) == tag(invite)
}

/// The dialog that a request of the peer's names: its To tag is ours.
pub(super) fn dialog_key(request: &Message) -> Option<DialogKey> {
    Some(DialogKey {
        call_id: request.call_id()?.to_owned(),
        local_tag: request.to()?.tag()?.to_owned(),
        remote_tag: request.from()?.tag().unwrap_or_default().to_owned(),
    })
}

fn is_reachable(uri: &crate::wire::Uri) -> bool {
    matches!(uri.scheme().as_str(), "sip" | "sips" | "tel")
}
