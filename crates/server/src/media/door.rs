//! Opens and closes the sockets of legs, within the configured range of ports.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Instant;

use trunk::MediaAddress;

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
    all: MediaAddress,
    /// Every address that media comes to, or that SDP says.
    ours: BTreeSet<IpAddr>,
}

impl SocketDoor {
    /// Binds as `all` says, where a leg's trunk says nothing else.
    pub fn new(all: MediaAddress, (first, last): (u16, u16)) -> Self {
        let ours = [all.bind, all.told].into();
        Self { ports: Ports::new(first, last), range: first..=last, all, ours }
    }
}

impl Door for SocketDoor {
    type Io = LegSockets;

    fn open(&mut self, now: Instant, own: Option<MediaAddress>) -> Result<Opened<LegSockets>, String> {
        let MediaAddress { bind, told } = own.unwrap_or(self.all);
        self.ours.extend([bind, told]);
        for _ in 0..TRIES {
            let port = self.ports.take(now).ok_or("all RTP ports are in use: widen media.ports")?;
            match LegSockets::bind(bind, port) {
                Ok(io) => return Ok(Opened { io, address: told, port }),
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
        self.ours.contains(&address.ip()) && self.range.contains(&address.port())
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
