//! Who may speak SIP with us at all.
//!
//! A trunk's peers get the whole engine. Everybody else gets at most one stateless answer a request: no 100, no
//! transaction, no retransmission, so that a scanner costs little and learns nothing.

use bytes::Bytes;
use rand::RngExt as _;
use routing::LegDirection;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sip::{Flow, Framing, Message, Method, Shed, Terms, Transmit, Transport};

use super::commands::reason_header;
use super::load::RETRY_AFTER;
use super::{Control, Door, Now, Output};
use crate::config::trunk_transport;

/// What a request gets whose source no trunk lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strangers {
    /// One stateless 403; OPTIONS is answered.
    #[default]
    #[serde(rename = "403")]
    Forbidden,
    /// Nothing at all.
    Silent,
}

impl<D: Door> Control<D> {
    pub(super) fn sip_input(&mut self, now: Now, flow: Flow, bytes: Bytes) {
        self.count_received(&bytes);
        if self.is_peer(&flow) {
            let terms = self.terms_for(&flow);
            if bytes.starts_with(b"INVITE") {
                let shed = self.full(now, &flow);
                self.endpoint.set_shedding(shed);
            }
            return self.endpoint.handle_input_under(now.mono, flow, bytes, terms);
        }
        if !self.gate.admits(now.mono, flow.remote.ip()) {
            self.metrics.sip_rejected.with_label_values(&["stranger_rate"]).inc();
            return;
        }
        if self.strangers == Strangers::Silent {
            return self.note_stranger(
                now,
                &flow,
                "anything; if it is a peer, add it to `sources` of its [[trunk]]",
            );
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

    /// Why this peer may not begin a call now. It is asked before anything is known of the INVITE; that a copy of one that was
    /// taken, or one inside of a dialog, is served all the same is up to the engine.
    fn full(&mut self, now: Now, flow: &Flow) -> Option<Shed> {
        let dice = self.random.random::<f64>();
        let (label, why, seconds) = if let Some(overload) = self.load.refuses(dice) {
            (overload.label(), overload.to_string(), RETRY_AFTER)
        } else {
            let profile = self.trunks.identify(&self.origin(flow)).ok()?;
            let limit = self.admission.check(now.mono, &profile.id, LegDirection::DialIn).err();
            let Some(limit) = limit else {
                self.shedding = None;
                return None;
            };
            ("limit", limit.to_string(), limit.retry_after)
        };
        self.shedding = Some(label);
        let reason = Some(reason_header("SIP", 503, &why));
        Some(Shed { retry_after: self.jittered(seconds), reason, why })
    }

    /// So many seconds, or up to twice as many: those who are turned away together are not to come back together.
    pub(super) fn jittered(&mut self, seconds: u32) -> u32 {
        seconds.saturating_add(self.random.random_range(0..=seconds))
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
