//! Who may speak SIP with us at all.
//!
//! A trunk's peers get the whole engine. Everybody else gets at most one stateless answer a request: no 100, no
//! transaction, no retransmission, so that a scanner costs little and learns nothing.

use bytes::Bytes;
use sip::{Flow, Framing, Message, Method, Terms, Transmit, Transport};

use super::{Control, Door, Now, Output};
use crate::config::trunk_transport;

impl<D: Door> Control<D> {
    pub(super) fn sip_input(&mut self, now: Now, flow: Flow, bytes: Bytes) {
        self.count_received(&bytes);
        if self.is_peer(&flow) {
            let terms = self.terms_for(&flow);
            return self.endpoint.handle_input_under(now.mono, flow, bytes, terms);
        }
        let framing = if flow.transport == Transport::Udp { Framing::Datagram } else { Framing::Stream };
        let Ok(request) = Message::parse(bytes.clone(), framing) else {
            return self.note_stranger(now, &flow, "not SIP");
        };
        match *request.method() {
            _ if !request.is_request() => self.note_stranger(now, &flow, "a response"),
            // Answered by the engine without keeping anything: load balancers and monitors ask from anywhere.
            Method::OPTIONS => self.endpoint.handle_input(now.mono, flow, bytes),
            Method::ACK => self.note_stranger(now, &flow, "an ACK"),
            _ => {
                self.note_stranger(
                    now,
                    &flow,
                    "a request; if it is a peer, add it to `sources` of its [[trunk]]",
                );
                let response = forbidden(&request);
                let transmit = Transmit { flow, bytes: response.to_bytes() };
                self.count_sent(&transmit);
                self.outputs.push_back(Output::Sip(transmit));
            }
        }
    }

    /// A trunk lists the source, or our own requests go there; and over TLS it has proven that it is that trunk.
    fn is_peer(&self, flow: &Flow) -> bool {
        self.trunks.knows(&self.origin(flow))
    }

    /// How the message that is being handled has reached us.
    pub(super) fn origin(&self, flow: &Flow) -> trunk::Origin<'_> {
        let transport = trunk_transport(flow.transport);
        trunk::Origin { source: flow.remote, transport, peer: self.speaking.as_deref() }
    }

    /// What the trunk behind a flow may ask of us.
    fn terms_for(&self, flow: &Flow) -> Terms {
        let known = self.trunks.identify(&self.origin(flow)).ok();
        known.map_or_else(Terms::default, |profile| profile.terms)
    }

    fn note_stranger(&mut self, now: Now, flow: &Flow, what: &str) {
        self.metrics.sip_rejected.with_label_values(&["no_trunk"]).inc();
        let Some(unsaid) = self.quiet.take(now.mono) else { return };
        match self.trunks.identify(&self.origin(flow)) {
            Ok(_) | Err(trunk::Unknown::Source(_)) => {
                tracing::warn!(peer = %flow.remote, what, unsaid, "SIP from an address that no trunk lists");
            }
            Err(why) => {
                tracing::warn!(peer = %flow.remote, %why, unsaid, "SIP from a peer that has not proven who it is");
            }
        }
    }
}

/// 403 without a reason, with a constant tag: a retransmission gets the same answer.
fn forbidden(request: &Message) -> Message {
    let mut response = Message::response_to(request, 403, None);
    if request.to().is_some_and(|to| to.tag().is_none()) {
        response.set_to_tag("stranger");
    }
    response
}
