//! Where bytes come from and go to.

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// One datagram, one message.
    Udp,
    /// A stream, framed by Content-Length.
    Tcp,
    /// The same, encrypted.
    Tls,
}

impl Transport {
    /// Whether the transport itself repeats what is lost (RFC 3261 section 17).
    pub fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// The token in a Via header.
    pub fn via_token(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// The port meant when none is written (RFC 3261 section 19.1.2).
    pub fn default_port(self) -> u16 {
        if self == Self::Tls { 5061 } else { 5060 }
    }
}

/// One way for bytes between a peer and us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// How messages travel.
    pub transport: Transport,
    /// Our address; it is written into Via and, where nothing else is said, into Contact: not a wildcard.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
    /// The shell's number for a TCP or TLS connection; 0 = UDP, or a connection that must be opened first.
    pub connection: u64,
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} -> {}", self.transport.via_token(), self.local, self.remote)
    }
}

/// One message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// The way it should take.
    pub flow: Flow,
    /// The whole message: one datagram, or to be written to the stream as it is.
    pub bytes: Bytes,
}
