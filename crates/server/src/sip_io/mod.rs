//! SIP over UDP, TCP and TLS sockets: bytes in, bytes out, no rule of the protocol.
//!
//! What arrives goes to control through one bounded queue. When that is full a UDP datagram is dropped and counted
//! (its sender retransmits), while a reader of TCP or TLS waits (its sender is slowed down).

mod arrivals;
mod connections;
mod place;
mod stream;
mod udp;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use sip::{Flow, Transport};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use trunk::{TlsPeer, Trunks};

use crate::tls::Tls;
use arrivals::Arrivals;
use connections::Connections;
pub use place::Limits;

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// UDP, TCP or TLS.
    pub transport: Transport,
    /// The local address.
    pub address: SocketAddr,
}

/// As `sip.listen` has it: `udp://127.0.0.1:5060`.
impl fmt::Display for Listener {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
        };
        write!(out, "{scheme}://{}", self.address)
    }
}

/// What the sockets tell control.
#[derive(Debug)]
pub enum Arrival {
    /// One whole message.
    Message {
        /// Where it came from.
        flow: Flow,
        /// The message.
        bytes: Bytes,
        /// Whose certificate was verified on its connection, over TLS.
        peer: Option<Arc<TlsPeer>>,
    },
    /// Something could not be sent, or a connection ended.
    Failed {
        /// Which.
        flow: Flow,
        /// Why, for the log.
        why: String,
    },
}

/// Everything the sockets need to know.
pub struct Setup {
    /// Who may hold how many connections.
    pub limits: Limits,
    /// Who our peers are, at present.
    pub trunks: Arc<ArcSwap<Trunks>>,
    /// The certificates, where a listener or a trunk speaks TLS.
    pub tls: Option<Arc<Tls>>,
}

/// All SIP sockets of the process.
pub struct SipIo {
    udp: Vec<(SocketAddr, Arc<UdpSocket>)>,
    streams: Arc<Connections>,
    arrivals: Arc<Arrivals>,
    tasks: Vec<JoinHandle<()>>,
}

impl SipIo {
    /// Binds every listener or none.
    pub async fn bind(
        listeners: &[Listener],
        setup: Setup,
        arrivals: mpsc::Sender<Arrival>,
    ) -> io::Result<Self> {
        let arrivals = Arc::new(Arrivals::new(arrivals));
        let streams = Connections::new(setup, Arc::clone(&arrivals));
        let mut io = Self { udp: Vec::new(), streams, arrivals, tasks: Vec::new() };
        for listener in listeners {
            let said = |error: io::Error| io::Error::new(error.kind(), format!("{listener}: {error}"));
            if listener.transport == Transport::Udp {
                let (local, socket) = udp::open(listener.address).await.map_err(said)?;
                io.udp.push((local, Arc::clone(&socket)));
                io.tasks.push(tokio::spawn(udp::read(socket, local, Arc::clone(&io.arrivals))));
            } else {
                let socket = TcpListener::bind(listener.address).await.map_err(said)?;
                io.tasks.push(tokio::spawn(Arc::clone(&io.streams).accept(socket, listener.transport)));
            }
        }
        Ok(io)
    }

    /// Sends one message. A failure comes back as [`Arrival::Failed`], never as a wait.
    pub fn send(&self, flow: &Flow, bytes: Bytes) {
        match flow.transport {
            Transport::Udp => self.send_udp(flow, &bytes),
            Transport::Tcp | Transport::Tls => self.streams.send(*flow, bytes),
        }
    }

    /// Messages dropped because control could not keep up, so far.
    pub fn dropped(&self) -> u64 {
        self.arrivals.dropped()
    }

    /// TLS handshakes that failed, so far: theirs and ours.
    pub fn failed_handshakes(&self) -> u64 {
        self.streams.failed_handshakes()
    }

    fn send_udp(&self, flow: &Flow, bytes: &[u8]) {
        let exact = self.udp.iter().find(|(local, _)| *local == flow.local);
        let usable =
            exact.or_else(|| self.udp.iter().find(|(local, _)| local.is_ipv4() == flow.remote.is_ipv4()));
        let Some((_, socket)) = usable else {
            return self.arrivals.failed(*flow, "no UDP listener of that address family");
        };
        match socket.try_send_to(bytes, flow.remote) {
            Ok(_) => {}
            // The kernel's buffer is full: the transaction's retransmission is the remedy.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => self.arrivals.failed(*flow, &error.to_string()),
        }
    }
}

impl Drop for SipIo {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
