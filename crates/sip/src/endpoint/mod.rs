//! The endpoint: every transaction and dialog of one SIP stack, without a socket, a thread or a clock.
//!
//! Four kinds of method. *World to engine*: [`Endpoint::handle_input`], [`Endpoint::handle_timeout`],
//! [`Endpoint::handle_flow_failed`], each with the time. *Commands*: [`Endpoint::invite`], [`Endpoint::accept`],
//! [`Endpoint::hangup`], ... *Engine to world*: [`Endpoint::poll_transmit`], [`Endpoint::poll_event`] until `None` after
//! every call of the other kinds, then [`Endpoint::poll_timeout`] for the next wake-up and its reason.
//!
//! ```
//! # use std::time::Instant;
//! # use sip::{Endpoint, EndpointConfig, Event, Flow, Transport};
//! let mut endpoint = Endpoint::new(EndpointConfig::default(), [7; 32]);
//! let (local, remote) = (([192, 0, 2, 1], 5060).into(), ([192, 0, 2, 9], 5060).into());
//! let flow = Flow { transport: Transport::Udp, local, remote, connection: 0 };
//! let invite = b"INVITE sip:+15550100@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n\
//!     From: <sip:bob@192.0.2.9>;tag=b\r\nTo: <sip:+15550100@192.0.2.1>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\
//!     Contact: <sip:bob@192.0.2.9>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
//! let now = Instant::now();
//! endpoint.handle_input(now, flow, invite.as_slice().into());
//! let Some(Event::InviteReceived { id, .. }) = endpoint.poll_event() else { panic!("a call") };
//! endpoint.reject(now, id, 404, None, &[]).unwrap();
//! let sent: Vec<_> = std::iter::from_fn(|| endpoint.poll_transmit()).collect();
//! assert!(sent[0].bytes.starts_with(b"SIP/2.0 100") && sent[1].bytes.starts_with(b"SIP/2.0 404"));
//! let (when, why) = endpoint.poll_timeout().expect("timer G repeats the 404 until its ACK");
//! assert_eq!((when - now, why), (std::time::Duration::from_millis(500), sip::TimerReason::TimerG));
//! ```
//!
//! Nothing a peer sends makes it panic; what it cannot use becomes an answer where the RFC asks for one, and an
//! [`Event::Discarded`] always.

mod body;
mod clients;
mod config;
mod event;
mod farewell;
mod flow;
mod ingress;
mod inside;
mod large;
mod midcall;
mod neighbors;
mod options;
mod prack;
mod refer;
mod refresh;
mod register;
mod reinvite;
mod replaces;
mod reply;
mod servers;
mod session_id;
mod terms;
#[cfg(test)]
mod tests;
mod uac;
mod uas;
mod update;
mod usage;

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::dialog::DialogKey;
use crate::transaction::key::{ClientKey, MergeKey, ServerKey};
use crate::transaction::queue::{TimerOwner, TimerQueue};
use crate::transaction::{TimerReason, Timers};
use crate::wire::Via;
use clients::Client;
use servers::Server;
use usage::Usage;

pub use crate::dialog::digest::{Algorithm, Challenge, Challenger, Credentials, InboundCredentials};
pub use body::Body;
pub use config::{Advertised, EndpointConfig, Readiness, Shed};
pub use event::{CommandError, End, Event, Failure, FailureKind, InviteId, OptionsId};
pub use flow::{Flow, Transmit, Transport};
pub use neighbors::{Neighborhood, Neighbors, Network};
pub use options::OutgoingOptions;
pub use register::{OutgoingRegister, Registered, RegistrationId};
pub(crate) use session_id::of_peer;
pub use terms::{Reliable, SessionTimers, Terms};
pub use uac::OutgoingInvite;

/// The SIP engine of one process. See the module for the order in which to call it.
#[derive(Debug)]
pub struct Endpoint {
    config: EndpointConfig,
    readiness: Readiness,
    neighbors: Neighbors,
    shed: Option<Shed>,
    rng: StdRng,
    /// Makes the To tags of stateless answers unguessable and yet the same for every copy of a request.
    secret: u64,
    last_handle: u64,
    timers: TimerQueue,
    clients: HashMap<u64, Box<Client>>,
    client_keys: HashMap<ClientKey, u64>,
    /// Boxed: the table keeps the size that it had in a rush of calls.
    servers: HashMap<u64, Box<Server>>,
    server_keys: HashMap<ServerKey, u64>,
    merge_keys: HashMap<MergeKey, u64>,
    usages: HashMap<InviteId, Usage>,
    dialogs: HashMap<DialogKey, InviteId>,
    /// Offers in an UPDATE or a PRACK of theirs that wait for the application.
    updates: HashMap<InviteId, update::Update>,
    /// REFERs of theirs that are not finished.
    referrals: refer::Referrals,
    registrations: HashMap<RegistrationId, register::Series>,
    tcp_refusals: large::Refusals,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    overflowed: u64,
}

impl Endpoint {
    /// An endpoint without a call. The seed feeds every tag, branch, Call-ID and random delay.
    pub fn new(mut config: EndpointConfig, seed: [u8; 32]) -> Self {
        // A zero T1 would repeat messages without end at one instant.
        let least = std::time::Duration::from_millis(1);
        let Timers { t1, t2, t4 } = config.timers;
        config.timers = Timers { t1: t1.max(least), t2: t2.max(least), t4 };
        let mut rng = StdRng::from_seed(seed);
        let secret = rng.random();
        Self {
            config,
            readiness: Readiness::Ready,
            neighbors: Neighbors::default(),
            shed: None,
            rng,
            secret,
            last_handle: 0,
            timers: TimerQueue::default(),
            clients: HashMap::new(),
            client_keys: HashMap::new(),
            servers: HashMap::new(),
            server_keys: HashMap::new(),
            merge_keys: HashMap::new(),
            usages: HashMap::new(),
            dialogs: HashMap::new(),
            updates: HashMap::new(),
            referrals: refer::Referrals::new(),
            registrations: HashMap::new(),
            tcp_refusals: large::Refusals::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            overflowed: 0,
        }
    }

    /// The Call-ID of a usage, for the log and the record; `None` once it has ended.
    pub fn call_id(&self, id: InviteId) -> Option<&str> {
        Some(match self.usages.get(&id)? {
            Usage::Offered(offered) => &offered.dialog.key.call_id,
            Usage::Calling(calling) => &calling.call_id,
            Usage::Up(up) => &up.dialog.key.call_id,
        })
    }

    /// Transactions alive, both roles.
    pub fn transactions(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    /// INVITE usages alive, both roles, from the INVITE to their end.
    pub fn invites(&self) -> usize {
        self.usages.len()
    }

    /// Messages that were dropped unread because the queues to the shell were full.
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Whether new calls are taken.
    pub fn readiness(&self) -> Readiness {
        self.readiness
    }

    /// Says whether new calls are wanted. Running dialogs are not touched.
    pub fn set_readiness(&mut self, readiness: Readiness) {
        self.readiness = readiness;
    }

    /// Says which addresses belong to one trunk: requests inside of a dialog are led to those of its peer's only, and
    /// credentials are shown to no other.
    pub fn set_neighbors(&mut self, neighbors: Neighbors) {
        self.neighbors = neighbors;
    }

    /// Until told otherwise, new INVITEs get 503 at once: without 100, transaction or timer, for the price of reading them.
    /// Copies of those that were taken before, and every request of a dialog, are served. To be said before each message
    /// whose sender has limits of his own.
    pub fn set_shedding(&mut self, shed: Option<Shed>) {
        self.shed = shed;
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Endpoint::handle_timeout`] next, and why.
    pub fn poll_timeout(&self) -> Option<(Instant, TimerReason)> {
        self.timers.next()
    }

    /// The clock has reached a deadline (or any later time; early calls do nothing).
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((owner, reason)) = self.timers.pop_due(now) {
            match owner {
                TimerOwner::Client(handle) => self.client_timer(now, handle, reason),
                TimerOwner::Server(handle) => self.server_timer(now, handle, reason),
                TimerOwner::Usage(id) => self.usage_timer(now, InviteId(id), reason),
            }
        }
    }

    /// Sending on a flow failed, a connection could not be opened or was closed. Requests that wait for their first
    /// answer on it end as a 503 would (RFC 3261 sections 8.1.3.1 and 17.1.4); dialogs live on and use a new
    /// connection when they next have something to say.
    pub fn handle_flow_failed(&mut self, now: Instant, flow: &Flow, why: &str) {
        if flow.connection != 0 {
            self.usages.values_mut().for_each(|usage| usage.lose_connection(flow));
            self.servers_lose_connection(flow);
        }
        let mut hit: Vec<u64> = self
            .clients
            .iter()
            .filter(|(_, client)| same_way(&client.flow, flow))
            .map(|(at, _)| *at)
            .collect();
        hit.sort_unstable();
        for handle in hit {
            self.client_transport_failed(now, handle, why);
        }
    }

    /// What is not empty although nothing is going on any more; for the fuzzer and the tests.
    #[doc(hidden)]
    pub fn leftovers(&self) -> Vec<&'static str> {
        let tables = [
            ("timers", self.timers.next().is_none()),
            ("clients", self.clients.is_empty()),
            ("client keys", self.client_keys.is_empty()),
            ("servers", self.servers.is_empty()),
            ("server keys", self.server_keys.is_empty()),
            ("merge keys", self.merge_keys.is_empty()),
            ("usages", self.usages.is_empty()),
            ("dialogs", self.dialogs.is_empty()),
            ("updates", self.updates.is_empty()),
            ("referrals", self.referrals.is_empty()),
        ];
        tables.into_iter().filter(|(_, empty)| !empty).map(|(name, _)| name).collect()
    }

    fn fresh(&mut self) -> u64 {
        self.last_handle += 1;
        self.last_handle
    }

    /// 64 random bits as text: tags, branches, Call-IDs, cnonces.
    fn token(&mut self) -> String {
        format!("{:016x}", self.rng.random::<u64>())
    }

    fn emit(&mut self, event: Event) {
        self.events.push_back(event);
    }

    fn discard(&mut self, flow: Flow, why: impl Into<String>, answered: Option<u16>) {
        self.emit(Event::Discarded { flow, why: why.into(), answered });
    }

    fn host(&self, flow: &Flow) -> String {
        let listener = self.config.advertised.iter().find(|one| one.is_of(flow)).map(|one| &one.name);
        let port = listener.and_then(|name| name.port).unwrap_or(flow.local.port());
        let name = self.neighbors.our_name(flow.remote.ip());
        let name = name.or(listener.map(|name| &name.host)).map(ToString::to_string);
        match name.or_else(|| self.config.advertised_host.clone()) {
            Some(host) => format!("{host}:{port}"),
            None => flow.local.to_string(),
        }
    }

    /// A new Via with a fresh branch; `rport` asks for the answer to come back where the request left (RFC 3581), `alias`
    /// lets the peer send its own requests over the connection that we opened (RFC 5923 section 5).
    fn new_via(&mut self, flow: &Flow) -> String {
        let branch = format!("{}{}", Via::MAGIC_COOKIE, self.token());
        self.via(flow, &branch)
    }

    fn via(&self, flow: &Flow, branch: &str) -> String {
        let alias = if flow.transport.is_reliable() { ";alias" } else { "" };
        format!("SIP/2.0/{} {};branch={branch};rport{alias}", flow.transport.via_token(), self.host(flow))
    }
}

/// Whether bytes for `one` travel on `other`; a connection number of 0 stands for "whichever connection".
fn same_way(one: &Flow, other: &Flow) -> bool {
    one.transport == other.transport
        && one.remote == other.remote
        && (one.connection == other.connection || one.connection == 0 || other.connection == 0)
}
