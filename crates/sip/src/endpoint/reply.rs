//! Responses: what they carry, the way they take, and those that need no transaction.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::time::Instant;

use super::flow::{Flow, Transmit};
use super::{Body, Endpoint, Terms};
use crate::transaction::key::ServerKey;
use crate::wire::{HeaderName, Malformed, Message, Method};

/// Why a request is refused without a transaction.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) why: String,
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(super) fn new(status: u16, why: impl Into<String>) -> Self {
        Self { status, why: why.into(), headers: Vec::new() }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Endpoint {
    /// A response with our To tag and our name in it. `tag` is not used for a 100, which makes no dialog.
    pub(super) fn response(
        &self,
        request: &Message,
        status: u16,
        reason: Option<&str>,
        tag: &str,
    ) -> Message {
        let mut response = Message::response_to(request, status, reason);
        if status > 100 && !tag.is_empty() {
            response.set_to_tag(tag);
        }
        self.name_response(request, &mut response);
        if !self.config.user_agent.is_empty() {
            response.headers_mut().push(HeaderName::Server, &self.config.user_agent);
        }
        response
    }

    /// Answers without keeping anything (RFC 3261 section 8.2.7): every copy of the request gets the same answer,
    /// To tag included. The ACK to it will match nothing and is dropped.
    pub(super) fn refuse(&mut self, request: &Message, flow: Flow, refusal: Refusal) {
        let Refusal { status, why, headers } = refusal;
        let mut response = self.response(request, status, None, &self.stateless_tag(request));
        for (name, value) in headers {
            response.headers_mut().push(name, value);
        }
        self.send_stateless(request, flow, &response);
        self.discard(flow, why, Some(status));
    }

    /// Refuses a request inside of a dialog by a transaction: its CSeq is used up, so that a copy could not get the
    /// same answer again.
    pub(super) fn refuse_in_dialog(
        &mut self,
        now: Instant,
        request: &Message,
        key: ServerKey,
        flow: Flow,
        refusal: Refusal,
    ) {
        let Refusal { status, why, headers } = refusal;
        let mut response = self.response(request, status, None, "");
        for (name, value) in headers {
            response.headers_mut().push(name, value);
        }
        let server = self.start_server(request, key, reply_flow(request, flow), None, "");
        self.respond(now, server, &response);
        self.discard(flow, why, Some(status));
    }

    pub(super) fn send_stateless(&mut self, request: &Message, flow: Flow, response: &Message) {
        let transmit = Transmit { flow: reply_flow(request, flow), bytes: response.to_bytes() };
        self.transmits.push_back(transmit);
    }

    /// Answers what could not be parsed, where it can be answered at all.
    pub(super) fn handle_malformed(&mut self, flow: Flow, malformed: Malformed) {
        let Malformed { status, why, partial, ack } = malformed;
        let answerable = (300..=699).contains(&status) && !ack;
        match partial.filter(|partial| answerable && partial.is_request() && partial.via_top().is_some()) {
            Some(mut partial) => {
                partial.note_source(flow.remote);
                self.refuse(&partial, flow, Refusal::new(status, why));
            }
            None => self.discard(flow, why, None),
        }
    }

    /// The To tag of a stateless answer: a function of the request that nobody outside can compute.
    pub(super) fn stateless_tag(&self, request: &Message) -> String {
        let mut hasher = DefaultHasher::new();
        self.secret.hash(&mut hasher);
        request.call_id().hash(&mut hasher);
        request.headers().get(HeaderName::From).hash(&mut hasher);
        // An ACK is asked about too, and must come to the tag of its INVITE.
        request
            .headers()
            .get(HeaderName::CSeq)
            .and_then(|cseq| cseq.split_whitespace().next())
            .hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }

    /// The Contact of a leg for which the application names none: the user that was called, at our own address.
    pub(super) fn default_contact(&self, request: &Message, flow: &Flow) -> String {
        let user = request.uri().and_then(|uri| uri.user_raw());
        let user = user.map(|user| format!("{user}@")).unwrap_or_default();
        let transport = match flow.transport {
            super::Transport::Udp => "",
            super::Transport::Tcp => ";transport=tcp",
            super::Transport::Tls => ";transport=tls",
        };
        format!("<sip:{user}{}{transport}>", self.host(flow))
    }
}

/// Adds what a response or request of ours that may make a dialog carries besides its Contact.
pub(super) fn describe(message: &mut Message, terms: &Terms, body: Option<Body>) {
    terms.describe(message);
    if let Some(body) = body {
        message.set_body(&body.content_type, body.bytes);
    }
}

/// Where the response to a request goes: over the connection it came on, or, for a datagram, to its source address
/// and, by RFC 3581, its source port where `rport` was asked for and the port of sent-by where it was not. `maddr`
/// is not followed: no trunk multicasts, and a stranger could aim our answers with it.
pub(super) fn reply_flow(request: &Message, flow: Flow) -> Flow {
    if flow.transport.is_reliable() {
        return flow;
    }
    let Some(via) = request.via_top() else { return flow };
    let port = match via.rport() {
        Some(_) => flow.remote.port(),
        None => via.sent_by().port.filter(|port| *port != 0).unwrap_or(flow.transport.default_port()),
    };
    Flow { remote: SocketAddr::new(flow.remote.ip(), port), ..flow }
}

/// Whether we would serve the method if the rest of the request is right.
pub(super) fn is_served(method: &Method, terms: &Terms) -> bool {
    let transfers = matches!(*method, Method::REFER | Method::NOTIFY);
    (transfers && terms.accept_refer)
        || matches!(
            *method,
            Method::INVITE
                | Method::ACK
                | Method::CANCEL
                | Method::BYE
                | Method::OPTIONS
                | Method::PRACK
                | Method::UPDATE
        )
}
