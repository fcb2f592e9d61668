//! How the media of a leg is reached.

use std::time::Instant;

use trunk::MediaAddress;

/// How the media of a leg is reached: sockets in the shell, plain addresses in the simulation.
pub trait Door {
    /// What a mixer seat carries along.
    type Io: Send + 'static;
    /// Opens the sockets of one leg, where its trunk wants them or else where all others are. `Err` says why not, for the log.
    fn open(&mut self, now: Instant, own: Option<MediaAddress>) -> Result<Opened<Self::Io>, String>;
    /// Tells the sockets where the peer is.
    fn set_peer(io: &mut Self::Io, peer: Peer);
    /// The leg is over: the sockets are closed and the port may rest.
    fn close(&mut self, now: Instant, io: Option<Self::Io>, port: u16);
    /// Port pairs in use, in all, and reused before their rest.
    fn ports(&self) -> (usize, usize, u64);
    /// Whether an address is one that our own legs speak from, in use or not.
    fn is_ours(&self, _address: std::net::SocketAddr) -> bool {
        false
    }
    /// Datagrams from strangers that these sockets refused.
    fn strangers(_io: &Self::Io) -> u64 {
        0
    }
    /// Where the last of them came from.
    fn last_stranger(_io: &Self::Io) -> Option<std::net::SocketAddr> {
        None
    }
}

/// A leg's open sockets.
pub struct Opened<Io> {
    /// The sockets.
    pub io: Io,
    /// The address for SDP.
    pub address: std::net::IpAddr,
    /// The RTP port; RTCP is the next one.
    pub port: u16,
}

/// Where a peer's media is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// RTP.
    pub rtp: std::net::SocketAddr,
    /// RTCP.
    pub rtcp: std::net::SocketAddr,
    /// Both on the RTP port.
    pub rtcp_mux: bool,
    /// From whom RTP is accepted.
    pub source: crate::media::sockets::Source,
}
