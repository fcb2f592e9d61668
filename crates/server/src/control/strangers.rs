//! Who may speak SIP with us at all.
//!
//! A trunk's peers get the whole engine. Everybody else gets at most one stateless answer a request: no 100, no
//! transaction, no retransmission, so that a scanner costs little and learns nothing.

use bytes::Bytes;
use sip::{Flow, Framing, Message, Method, Terms, Transmit, Transport};

use super::{Control, Door, Now, Output};

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

    /// A trunk lists the source, or our own requests go there.
    fn is_peer(&self, flow: &Flow) -> bool {
        let ip = flow.remote.ip().to_canonical();
        self.trunks.identify(flow.remote, None).is_ok()
            || self
                .trunks
                .profiles()
                .iter()
                .any(|profile| profile.peers.iter().any(|peer| peer.address.ip() == ip))
    }

    /// What the trunk behind a flow may ask of us.
    fn terms_for(&self, flow: &Flow) -> Terms {
        let known = self.trunks.identify(flow.remote, None).ok();
        known.map_or_else(Terms::default, |profile| profile.terms)
    }

    fn note_stranger(&mut self, now: Now, flow: &Flow, what: &str) {
        self.metrics.sip_rejected.with_label_values(&["no_trunk"]).inc();
        if let Some(unsaid) = self.quiet.take(now.mono) {
            tracing::warn!(peer = %flow.remote, what, unsaid, "SIP from an address that no trunk lists");
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
