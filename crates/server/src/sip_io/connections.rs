//! The TCP and TLS connections: which are open, who is at their other end, and which one a message takes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use dashmap::DashMap;
use sip::{Flow, Transport};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use trunk::{TlsPeer, TlsTarget, Trunks};

use super::Setup;
use super::arrivals::Arrivals;
use super::place::{Place, Places};
use super::stream::{self, Line};
use crate::config::trunk_transport;
use crate::log_budget::LogBudget;
use crate::tls::Tls;

/// A new connection must be up within this time, its TLS handshake not counted.
const CONNECT_WITHIN: Duration = Duration::from_secs(4);
/// A connection that carries nothing for so long is closed; a keep-alive counts.
const IDLE: Duration = Duration::from_secs(3700);
/// The same for an address that no trunk lists.
const STRANGER_IDLE: Duration = Duration::from_secs(30);
/// Messages that may wait to be written to one connection.
const WRITE_QUEUE: usize = 256;
/// Ports of connections that peers opened and that are gone, remembered so that nobody tries to connect to them.
const REMEMBERED: usize = 4096;

/// All connections of the process.
pub(super) struct Connections {
    open: DashMap<u64, Connection>,
    to_peer: DashMap<(Transport, SocketAddr), u64>,
    /// Where connections came from that are gone.
    gone: DashMap<SocketAddr, ()>,
    next: AtomicU64,
    places: Arc<Places>,
    trunks: Arc<ArcSwap<Trunks>>,
    tls: Option<Arc<Tls>>,
    arrivals: Arc<Arrivals>,
    failed_handshakes: AtomicU64,
    quiet: Mutex<LogBudget>,
}

struct Connection {
    writer: mpsc::Sender<Bytes>,
    security: Security,
}

/// What is known of the other end.
enum Security {
    /// Nothing: TCP.
    None,
    /// We are connecting, or have connected, to this.
    Wanted(TlsTarget),
    /// It has connected to us, with this certificate.
    Proven(Option<Arc<TlsPeer>>),
}

impl Connections {
    pub(super) fn new(setup: Setup, arrivals: Arc<Arrivals>) -> Arc<Self> {
        Arc::new(Self {
            open: DashMap::new(),
            to_peer: DashMap::new(),
            gone: DashMap::new(),
            next: AtomicU64::new(1),
            places: Places::new(setup.limits),
            trunks: setup.trunks,
            tls: setup.tls,
            arrivals,
            failed_handshakes: AtomicU64::new(0),
            quiet: Mutex::new(LogBudget::new(std::time::Instant::now())),
        })
    }

    pub(super) fn failed_handshakes(&self) -> u64 {
        self.failed_handshakes.load(Ordering::Relaxed)
    }

    /// Over the connection of the flow, else one that is open to the same peer, else a new one.
    pub(super) fn send(self: &Arc<Self>, flow: Flow, bytes: Bytes) {
        if let Some(writer) = self.open.get(&flow.connection).map(|one| one.writer.clone()) {
            return self.write(flow, &writer, bytes);
        }
        let remote = self.home(&flow);
        let target = match self.target(flow.transport, remote) {
            Ok(target) => target,
            Err(why) => return self.arrivals.failed(flow, why),
        };
        let known = self.to_peer.get(&(flow.transport, remote)).map(|id| *id);
        if let Some(one) = known.and_then(|id| self.open.get(&id))
            && one.security.fits(target.as_ref())
        {
            let writer = one.writer.clone();
            drop(one);
            return self.write(flow, &writer, bytes);
        }
        self.open(flow, remote, target, bytes);
    }

    fn write(&self, flow: Flow, writer: &mpsc::Sender<Bytes>, bytes: Bytes) {
        if writer.try_send(bytes).is_err() {
            self.arrivals.failed(flow, "the connection's write queue is full or it has just closed");
        }
    }

    /// Where a connection is opened: not to the port that a peer's own connection happened to come from.
    fn home(&self, flow: &Flow) -> SocketAddr {
        if self.gone.contains_key(&flow.remote) {
            return self
                .trunks
                .load()
                .home(trunk_transport(flow.transport), flow.remote)
                .unwrap_or(flow.remote);
        }
        flow.remote
    }

    fn target(&self, transport: Transport, remote: SocketAddr) -> Result<Option<TlsTarget>, &'static str> {
        if transport != Transport::Tls {
            return Ok(None);
        }
        self.trunks.load().tls_target(remote).map(Some).ok_or("no trunk is reached over TLS at this address")
    }

    fn open(self: &Arc<Self>, flow: Flow, remote: SocketAddr, target: Option<TlsTarget>, bytes: Bytes) {
        let (writer, queue) = mpsc::channel(WRITE_QUEUE);
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        // Registered before it is up, so that a burst makes one connection and not many.
        let _ = writer.try_send(bytes);
        let security = target.clone().map_or(Security::None, Security::Wanted);
        self.open.insert(id, Connection { writer, security });
        self.to_peer.insert((flow.transport, remote), id);
        let all = Arc::clone(self);
        // Its local address stays that of the listener: what we write into Via and Contact must be reachable when this
        // connection is gone, which the port it happens to leave from is not (RFC 3261 section 18.1.1).
        let flow = Flow { connection: id, ..flow };
        tokio::spawn(async move {
            let why = all.connect(flow, remote, target.as_ref(), queue).await;
            all.arrivals.failed(flow, &why);
            all.forget(id);
        });
    }

    /// Connects, serves, and says why it ended.
    async fn connect(
        &self,
        flow: Flow,
        remote: SocketAddr,
        target: Option<&TlsTarget>,
        queue: mpsc::Receiver<Bytes>,
    ) -> String {
        let stream = match timeout(CONNECT_WITHIN, TcpStream::connect(remote)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return format!("connect: {error}"),
            Err(_) => return "connect: no answer within 4 s".to_owned(),
        };
        stream::tune(&stream);
        let line = Line { flow: Flow { remote, ..flow }, idle: IDLE, peer: None, ours: true };
        let (Some(target), Some(tls)) = (target, &self.tls) else {
            return self.serve(stream, line, queue).await;
        };
        match tls.connect(stream, remote, target, &self.trunks.load_full()).await {
            Ok((stream, peer)) => self.serve(stream, Line { peer, ..line }, queue).await,
            Err(why) => {
                self.failed_handshakes.fetch_add(1, Ordering::Relaxed);
                self.warn(remote, &why, "TLS connection to a peer failed");
                why
            }
        }
    }

    async fn serve<S>(&self, stream: S, line: Line, queue: mpsc::Receiver<Bytes>) -> String
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite,
    {
        let id = line.flow.connection;
        let pong = || {
            // RFC 5626 section 3.5.1: a double CRLF is answered with one.
            if let Some(connection) = self.open.get(&id) {
                let _ = connection.writer.try_send(Bytes::from_static(b"\r\n"));
            }
        };
        let distrust = || self.to_peer.retain(|_, known| *known != id);
        let alias = |port: u16| self.alias(&line, port);
        stream::serve(stream, &line, queue, &self.arrivals, stream::Doors { pong, distrust, alias }).await
    }

    /// The peer will take our requests over the connection that it opened, instead of at this port of its address (RFC 5923
    /// section 5). Only over TLS, where it has proven who it is.
    fn alias(&self, line: &Line, port: u16) {
        if line.ours || line.peer.is_none() {
            return;
        }
        let remote = SocketAddr::new(line.flow.remote.ip(), port);
        let mut known = self.to_peer.entry((Transport::Tls, remote)).or_insert(line.flow.connection);
        if !self.open.contains_key(&*known) {
            *known = line.flow.connection;
        }
    }

    fn forget(&self, id: u64) {
        self.open.remove(&id);
        self.to_peer.retain(|_, known| *known != id);
    }

    /// Takes the connections that others open, until the process ends.
    pub(super) async fn accept(self: Arc<Self>, listener: TcpListener, transport: Transport) {
        loop {
            let (stream, remote) = match listener.accept().await {
                Ok(taken) => taken,
                Err(error) => {
                    // Out of descriptors, most likely: wait for one to come back instead of spinning.
                    self.complain(&error);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let place = match self.places.take(remote.ip()) {
                // A handshake costs more than it takes to ask for one: it is for peers only.
                Ok(place) if place.stranger && transport == Transport::Tls => {
                    self.warn(remote, "TLS is for the addresses that a trunk lists", "connection refused");
                    continue;
                }
                Ok(place) => place,
                Err(why) => {
                    self.warn(remote, why, "connection refused");
                    continue;
                }
            };
            let Ok(local) = stream.local_addr() else { continue };
            let connection = self.next.fetch_add(1, Ordering::Relaxed);
            let flow = Flow { transport, local, remote, connection };
            tokio::spawn(Arc::clone(&self).welcome(stream, flow, place));
        }
    }

    async fn welcome(self: Arc<Self>, stream: TcpStream, flow: Flow, place: Place) {
        stream::tune(&stream);
        let idle = if place.stranger { STRANGER_IDLE } else { IDLE };
        let line = Line { flow, idle, peer: None, ours: false };
        let (writer, queue) = mpsc::channel(WRITE_QUEUE);
        let why = if flow.transport == Transport::Tls {
            let Some(tls) = &self.tls else { return };
            match tls.accept(stream, flow.remote.ip(), &self.trunks.load_full()).await {
                Ok((stream, peer)) => {
                    let security = Security::Proven(peer.clone());
                    self.open.insert(flow.connection, Connection { writer, security });
                    self.serve(stream, Line { peer, ..line }, queue).await
                }
                Err(why) => {
                    self.failed_handshakes.fetch_add(1, Ordering::Relaxed);
                    return self.warn(flow.remote, &why, "TLS connection of a peer failed");
                }
            }
        } else {
            self.open.insert(flow.connection, Connection { writer, security: Security::None });
            self.serve(stream, line, queue).await
        };
        self.forget(flow.connection);
        // Nothing of a stranger's is kept that could care, and looking for it costs control a walk through all calls.
        if !place.stranger {
            if self.gone.len() >= REMEMBERED {
                self.gone.clear();
            }
            self.gone.insert(flow.remote, ());
            self.arrivals.failed(flow, &why);
        }
    }

    fn complain(&self, error: &std::io::Error) {
        let mut quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(unsaid) = quiet.take(std::time::Instant::now()) {
            tracing::warn!(%error, unsaid, "no connection can be accepted; for too many open files raise LimitNOFILE");
        }
    }

    fn warn(&self, peer: SocketAddr, why: &str, what: &'static str) {
        let mut quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(unsaid) = quiet.take(std::time::Instant::now()) {
            tracing::warn!(%peer, ?why, unsaid, "{what}");
        }
    }
}

impl Security {
    /// Whether a message for this target may go over the connection.
    fn fits(&self, target: Option<&TlsTarget>) -> bool {
        match (self, target) {
            (Self::None, None) => true,
            (Self::Wanted(own), Some(target)) => own == target,
            (Self::Proven(Some(peer)), Some(target)) => target.accepts(peer),
            _ => false,
        }
    }
}
