//! Requests that are too large for a datagram go over TCP, and as a datagram after all where nobody takes that
//! (RFC 3261 section 18.1.1).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Endpoint;
use super::flow::{Flow, Transport};
use crate::wire::{HeaderName, Message};

/// Bytes of the largest request that goes as a datagram: what fits into an Ethernet frame with 200 bytes to spare.
const LARGEST: usize = 1300;
/// Who has refused TCP is not asked again for so long.
const REFUSED_FOR: Duration = Duration::from_mins(10);
/// Refusals that are remembered.
const REMEMBERED: usize = 1024;

/// Who has refused TCP, and when.
pub(super) type Refusals = HashMap<SocketAddr, Instant>;

impl Endpoint {
    /// The way over TCP for a request of so many bytes that is meant for `flow`; `None` where it goes as it was meant.
    pub(super) fn way_over_tcp(&self, now: Instant, flow: &Flow, length: usize) -> Option<Flow> {
        if flow.transport != Transport::Udp || length <= LARGEST {
            return None;
        }
        let refused = self.tcp_refusals.get(&flow.remote);
        if refused.is_some_and(|at| now.saturating_duration_since(*at) < REFUSED_FOR) {
            return None;
        }
        let listeners =
            || self.config.tcp_listeners.iter().filter(|own| own.is_ipv4() == flow.remote.is_ipv4());
        let local = listeners().find(|own| own.ip() == flow.local.ip()).or_else(|| listeners().next())?;
        Some(Flow { transport: Transport::Tcp, local: *local, remote: flow.remote, connection: 0 })
    }

    pub(super) fn note_tcp_refusal(&mut self, now: Instant, remote: SocketAddr) {
        if self.tcp_refusals.len() >= REMEMBERED {
            self.tcp_refusals.clear();
        }
        self.tcp_refusals.insert(remote, now);
    }

    /// Says in the Via of a request of ours which way it goes; the branch stays.
    pub(super) fn rewrite_via(&self, request: &mut Message, flow: &Flow) {
        let branch = request.via_top().and_then(|via| via.branch().map(str::to_owned)).unwrap_or_default();
        request.headers_mut().set(HeaderName::Via, self.via(flow, &branch));
    }
}
