//! The SIP messages of the last calls, as they passed our sockets: kept in memory, shown as a ladder or as a capture file.
//!
//! What is shown is masked first (see [`mask`]): whoever may look at a call need not learn its keys and passwords.

mod call_id;
mod export;
mod hep;
pub mod ladder;
mod ladders;
pub mod mask;
pub mod pcap;
mod sounds;
mod tap;

use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use bytes::Bytes;
use sip::Flow;

pub use call_id::call_id;
pub use export::{Collector, Export, ExportMetrics};
pub use hep::Sender;
pub use ladders::{Kept, Known, Ladders, Limits, Summary};
pub use sounds::{KeptSounds, Sound, Sounds};
pub use tap::{Look, Tap, trunk_of};

/// One message that passed our sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// When, by the wall clock.
    pub at: SystemTime,
    /// Towards us, or away from us.
    pub ingress: bool,
    /// The way it took.
    pub flow: Flow,
    /// The whole message.
    pub bytes: Bytes,
}

impl Passage {
    /// From where to where it went, both of one address family.
    pub(crate) fn ends(&self) -> (SocketAddr, SocketAddr) {
        let (local, remote) = same_family(self.flow.local, self.flow.remote);
        if self.ingress { (remote, local) } else { (local, remote) }
    }
}

/// A listener may be the wildcard of the other family, or an IPv4 address written as IPv6.
fn same_family(local: SocketAddr, remote: SocketAddr) -> (SocketAddr, SocketAddr) {
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (local, remote) = (plain(local), plain(remote));
    if local.is_ipv4() == remote.is_ipv4() {
        return (local, remote);
    }
    let wide = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    };
    (wide(local), wide(remote))
}
