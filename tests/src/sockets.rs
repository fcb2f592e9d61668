//! The bridge's media sockets without a kernel: queues by port, and the same rules as `server::media::sockets`.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use server::control::{Door, Opened, Peer};
use server::media::ports::Ports;
use server::media::sockets::Source;
use trunk::MediaAddress;

/// What a socket's buffer holds, as the kernel's would.
const BUFFER: usize = 256;

/// One datagram in a socket's buffer.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Its sender.
    pub from: SocketAddr,
    /// When it came.
    pub at: Instant,
    /// What it says.
    pub bytes: Bytes,
}

/// Every open socket of the bridge, by port.
#[derive(Clone, Debug, Default)]
pub struct Sockets {
    open: Arc<Mutex<HashMap<u16, VecDeque<Arrived>>>>,
}

impl Sockets {
    fn lock(&self) -> MutexGuard<'_, HashMap<u16, VecDeque<Arrived>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A datagram came for this port; nobody may be there.
    pub fn deliver(&self, port: u16, arrived: Arrived) {
        if let Some(buffer) = self.lock().get_mut(&port)
            && buffer.len() < BUFFER
        {
            buffer.push_back(arrived);
        }
    }

    /// Open ports, RTP and RTCP.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn read(&self, port: u16) -> Option<Arrived> {
        self.lock().get_mut(&port)?.pop_front()
    }
}

/// One leg's two sockets.
#[derive(Debug)]
pub struct SimIo {
    /// Where RTP leaves from.
    pub local: SocketAddr,
    sockets: Sockets,
    peer: Option<Peer>,
    learned: Option<SocketAddr>,
    strangers: u64,
}

impl SimIo {
    /// Where RTP goes.
    pub fn rtp_to(&self) -> Option<SocketAddr> {
        self.learned.or(self.peer.map(|peer| peer.rtp))
    }

    /// Where RTCP leaves from and goes to.
    pub fn rtcp_way(&self) -> Option<(SocketAddr, SocketAddr)> {
        let peer = self.peer?;
        if peer.rtcp_mux {
            return Some((self.local, self.rtp_to()?));
        }
        Some((SocketAddr::new(self.local.ip(), self.local.port() + 1), peer.rtcp))
    }

    /// The next datagram on the RTP port that is the peer's.
    pub fn read_rtp(&mut self) -> Option<Arrived> {
        while let Some(arrived) = self.sockets.read(self.local.port()) {
            if self.accepts(arrived.from) {
                return Some(arrived);
            }
            self.strangers += 1;
        }
        None
    }

    /// The next datagram on the RTCP port that is the peer's.
    pub fn read_rtcp(&mut self) -> Option<Arrived> {
        while let Some(arrived) = self.sockets.read(self.local.port() + 1) {
            if self.peer.is_some_and(|peer| peer.rtcp.ip() == arrived.from.ip()) {
                return Some(arrived);
            }
            self.strangers += 1;
        }
        None
    }

    fn accepts(&mut self, from: SocketAddr) -> bool {
        let Some(peer) = self.peer else { return false };
        match peer.source {
            Source::Exact => from == peer.rtp,
            Source::SameIp => from.ip() == peer.rtp.ip(),
            Source::Symmetric => *self.learned.get_or_insert(from) == from,
        }
    }
}

/// Opens sockets of the simulation; the ports are chosen by the server's own rule.
pub struct SimDoor {
    ports: Ports,
    address: IpAddr,
    sockets: Sockets,
}

impl SimDoor {
    /// Ports `first` to `last` of `address`.
    pub fn new(address: IpAddr, (first, last): (u16, u16), sockets: Sockets) -> Self {
        Self { ports: Ports::new(first, last), address, sockets }
    }
}

impl Door for SimDoor {
    type Io = SimIo;

    fn open(&mut self, now: Instant, own: Option<MediaAddress>) -> Result<Opened<SimIo>, String> {
        assert_eq!(own, None, "the simulation has one media address");
        let port = self.ports.take(now).ok_or("all RTP ports are in use")?;
        for one in [port, port + 1] {
            let before = self.sockets.lock().insert(one, VecDeque::new());
            assert!(before.is_none(), "port {one} was opened twice");
        }
        let io = SimIo {
            local: SocketAddr::new(self.address, port),
            sockets: self.sockets.clone(),
            peer: None,
            learned: None,
            strangers: 0,
        };
        Ok(Opened { io, address: self.address, port })
    }

    fn set_peer(io: &mut SimIo, peer: Peer) {
        io.peer = Some(peer);
        io.learned = None;
    }

    fn close(&mut self, now: Instant, io: Option<SimIo>, port: u16) {
        if let Some(io) = &io {
            assert_eq!(io.local.port(), port, "another leg's sockets were closed");
        }
        for one in [port, port + 1] {
            let before = self.sockets.lock().remove(&one);
            assert!(before.is_some(), "port {one} was closed twice");
        }
        self.ports.give_back(now, port);
    }

    fn is_ours(&self, address: SocketAddr) -> bool {
        address.ip() == self.address
    }

    fn ports(&self) -> (usize, usize, u64) {
        let (used, all) = self.ports.used_of();
        (used, all, self.ports.reused_early())
    }

    fn strangers(io: &SimIo) -> u64 {
        io.strangers
    }
}
