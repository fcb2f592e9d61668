//! What an endpoint is told once, and the readiness it is told later.

use std::net::SocketAddr;
use std::time::Duration;

use super::flow::{Flow, Transport};
use super::terms::Terms;
use crate::transaction::Timers;
use crate::wire::HostPort;

/// The settings of an [`Endpoint`](super::Endpoint).
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// Text of `User-Agent` and `Server`; empty leaves both out.
    pub user_agent: String,
    /// T1, T2, T4.
    pub timers: Timers,
    /// Host written into Via and into the Contact we make up ourselves, with the flow's own port; `None` takes the
    /// flow's own address. A name is needed where the peer checks it against a certificate.
    pub advertised_host: Option<String>,
    /// What single listeners are called instead.
    pub advertised: Vec<Advertised>,
    /// Where we listen over TCP: requests that are too large for a datagram leave from there (RFC 3261 section 18.1.1). Without
    /// any of the right family they go as datagrams.
    pub tcp_listeners: Vec<SocketAddr>,
    /// Transactions alive at once, both roles; above it new requests get 503.
    pub max_transactions: usize,
    /// INVITE usages alive at once, both roles; above it new INVITEs get 503.
    pub max_invites: usize,
    /// Events and transmits waiting for the shell; above it further input is dropped unread.
    pub max_queued: usize,
    /// How long the application may take to answer an INVITE finally; then the caller gets 480.
    pub answer_within: Duration,
    /// How long the application may take to answer a re-INVITE; then the peer gets 500.
    pub reinvite_within: Duration,
    /// Seconds in the Retry-After of a 503 for overload.
    pub overload_retry_after: u32,
    /// How dialogs are kept with peers for whom nothing else is said.
    pub terms: Terms,
}

impl Default for EndpointConfig {
    fn default() -> Self {
        Self {
            user_agent: "partyline".to_owned(),
            timers: Timers::default(),
            advertised_host: None,
            advertised: Vec::new(),
            tcp_listeners: Vec::new(),
            max_transactions: 100_000,
            max_invites: 20_000,
            max_queued: 100_000,
            answer_within: Duration::from_mins(3),
            reinvite_within: Duration::from_secs(20),
            overload_retry_after: 10,
            terms: Terms::default(),
        }
    }
}

/// What peers call one of our listeners, which may be behind a NAT or have a name that they check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised {
    /// What the listener carries.
    pub transport: Transport,
    /// Where it listens; an unspecified address stands for all of its family.
    pub local: SocketAddr,
    /// Its name from outside; without a port, that of `local`.
    pub name: HostPort,
}

impl Advertised {
    /// Whether this flow belongs to the listener.
    pub fn is_of(&self, flow: &Flow) -> bool {
        let everywhere = self.local.ip().is_unspecified()
            && self.local.port() == flow.local.port()
            && self.local.is_ipv4() == flow.local.is_ipv4();
        self.transport == flow.transport && (self.local == flow.local || everywhere)
    }
}

/// Why no new call is taken at this moment, and what its caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shed {
    /// Seconds after which it may be tried again.
    pub retry_after: u32,
    /// The value of a Reason header; `None` tells nothing.
    pub reason: Option<String>,
    /// What was reached, for the log.
    pub why: String,
}

/// Whether new calls are wanted. OPTIONS and out-of-dialog INVITEs are answered accordingly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// OPTIONS gets 200; INVITEs are passed on.
    Ready,
    /// OPTIONS and new INVITEs get 503; dialogs that exist are served to their end.
    Draining {
        /// Seconds after which the peer may try again.
        retry_after: u32,
    },
}
