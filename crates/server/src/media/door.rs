//! Opens and closes the sockets of legs, within the configured range of ports.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Instant;

use super::ports::Ports;
use super::sockets::LegSockets;
use crate::control::{Door, Opened, Peer};

/// How many busy ports are passed over before a leg is refused.
const TRIES: usize = 16;

/// The real way to a leg's media.
#[derive(Debug)]
pub struct SocketDoor {
    ports: Ports,
    range: RangeInclusive<u16>,
    address: IpAddr,
    advertise: IpAddr,
}

impl SocketDoor {
    /// Binds on `address`, says `advertise` in SDP.
    pub fn new(address: IpAddr, advertise: IpAddr, (first, last): (u16, u16)) -> Self {
        Self { ports: Ports::new(first, last), range: first..=last, address, advertise }
    }
}

impl Door for SocketDoor {
    type Io = LegSockets;

    fn open(&mut self, now: Instant) -> Result<Opened<LegSockets>, String> {
        for _ in 0..TRIES {
            let port = self.ports.take(now).ok_or("all RTP ports are in use: widen media.ports")?;
            match LegSockets::bind(self.address, port) {
                Ok(io) => return Ok(Opened { io, address: self.advertise, port }),
                Err(error) => {
                    // Somebody else on this machine has it; it goes to the end of the line.
                    tracing::warn!(port, %error, "an RTP port of media.ports cannot be bound");
                    self.ports.give_back(now, port);
                }
            }
        }
        Err(format!("{TRIES} ports of media.ports in a row cannot be bound: another program uses them"))
    }

    fn set_peer(io: &mut LegSockets, peer: Peer) {
        io.set_peer(peer.rtp, peer.rtcp, peer.rtcp_mux, peer.source);
    }

    fn close(&mut self, now: Instant, io: Option<LegSockets>, port: u16) {
        drop(io);
        self.ports.give_back(now, port);
    }

    fn is_ours(&self, address: SocketAddr) -> bool {
        let ip = address.ip();
        (ip == self.address || ip == self.advertise) && self.range.contains(&address.port())
    }

    fn ports(&self) -> (usize, usize, u64) {
        let (used, all) = self.ports.used_of();
        (used, all, self.ports.reused_early())
    }

    fn strangers(io: &LegSockets) -> u64 {
        io.counters().strangers
    }

    fn last_stranger(io: &LegSockets) -> Option<SocketAddr> {
        io.counters().last_stranger
    }
}
