//! OPTIONS (RFC 3261 section 11), both ways: the keep-alive of trunks.

use std::sync::Arc;
use std::time::Instant;

use super::clients::User;
use super::event::{Event, Failure, FailureKind, OptionsId};
use super::flow::Flow;
use super::{Endpoint, Readiness, Terms};
use crate::wire::{HeaderName, Message, Method, NameAddr, Uri};

/// An OPTIONS to send, outside of any dialog.
#[derive(Debug, Clone)]
pub struct OutgoingOptions {
    /// The way to the peer.
    pub flow: Flow,
    /// The Request-URI.
    pub request_uri: Uri,
    /// From, without a tag.
    pub from: NameAddr,
    /// To.
    pub to: NameAddr,
    /// Contact; Microsoft's gateway answers nothing without one.
    pub contact: NameAddr,
    /// Further headers, as name and value.
    pub extra: Vec<(String, String)>,
    /// What the peer may ask of us, for Allow and Supported.
    pub terms: Terms,
}

impl Endpoint {
    /// Sends OPTIONS; [`Event::OptionsAnswered`] follows within 64*T1 at the latest.
    pub fn options(&mut self, now: Instant, outgoing: OutgoingOptions) -> OptionsId {
        let id = OptionsId(self.fresh());
        let OutgoingOptions { flow, request_uri, from, to, contact, extra, terms } = outgoing;
        let (via, tag, call_id) = (self.new_via(&flow), self.token(), self.token());
        let mut request = Message::request(Method::OPTIONS, request_uri);
        let headers = request.headers_mut();
        headers.push(HeaderName::Via, via);
        headers.push(HeaderName::MaxForwards, 70);
        headers.push(HeaderName::From, from.without_tag().with_tag(&tag));
        headers.push(HeaderName::To, to);
        headers.push(HeaderName::CallId, call_id);
        headers.push(HeaderName::CSeq, "1 OPTIONS");
        headers.push(HeaderName::Contact, contact);
        headers.push(HeaderName::Accept, "application/sdp");
        for (name, value) in &extra {
            headers.push(name.as_str(), value);
        }
        if !self.config.user_agent.is_empty() {
            headers.push(HeaderName::UserAgent, &self.config.user_agent);
        }
        terms.describe(&mut request);
        self.start_client(now, request, flow, User::Options(id, now));
        id
    }

    pub(super) fn options_response(
        &mut self,
        now: Instant,
        id: OptionsId,
        sent: Instant,
        response: &Arc<Message>,
    ) {
        let Some(status) = response.status().filter(|status| status.is_final()) else { return };
        let rtt = now.saturating_duration_since(sent);
        self.emit(Event::OptionsAnswered { id, outcome: Ok(status.code()), rtt });
    }

    pub(super) fn options_failed(
        &mut self,
        now: Instant,
        id: OptionsId,
        sent: Instant,
        kind: FailureKind,
        why: &str,
    ) {
        let status = if kind == FailureKind::Transport { 503 } else { 408 };
        let failure = Failure { kind, status, reason: why.to_owned(), retry_after: None, response: None };
        let rtt = now.saturating_duration_since(sent);
        self.emit(Event::OptionsAnswered { id, outcome: Err(failure), rtt });
    }

    /// Answers theirs as an INVITE would be answered now (section 11.2): 200, or 503 while draining. Nothing is kept:
    /// a copy gets the same answer.
    pub(super) fn answer_options(
        &mut self,
        request: &Message,
        flow: Flow,
        readiness: Readiness,
        terms: &Terms,
    ) {
        let response = self.options_answer(request, &flow, readiness, terms);
        self.send_stateless(request, flow, &response);
    }

    pub(super) fn options_answer(
        &self,
        request: &Message,
        flow: &Flow,
        readiness: Readiness,
        terms: &Terms,
    ) -> Message {
        let tag = self.stateless_tag(request);
        let (status, retry_after) = match readiness {
            Readiness::Ready => (200, None),
            Readiness::Draining { retry_after } => (503, Some(retry_after)),
        };
        let contact = self.default_contact(request, flow);
        let mut response = self.response(request, status, None, &tag);
        let headers = response.headers_mut();
        headers.push(HeaderName::Contact, contact);
        headers.push(HeaderName::Accept, "application/sdp");
        headers.push(HeaderName::AcceptEncoding, "identity");
        if let Some(after) = retry_after {
            headers.push(HeaderName::RetryAfter, after);
        }
        terms.describe(&mut response);
        response
    }
}
