//! The two UDP sockets of one leg, and who may speak through them.
//!
//! A connected socket sends cheaper and lets the kernel drop strangers, but unseen, while strangers are the first thing to
//! look at when nothing is heard. So a socket is connected when the first packet from the right source has come, and
//! disconnected when nothing comes any more: in between nobody misses anything, and before and after strangers are counted.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use mixer::TICK;

use super::arrival::{Received, StampClock, bind, receive, receive_connected};
use super::system_calls::disconnect;

/// Largest datagram that is read; RTP on a PSTN leg is below 500 bytes.
pub const DATAGRAM: usize = 1500;

/// How many datagrams of one socket are read in one phase, so that a flood on one leg cannot starve the others.
const READS_PER_PHASE: usize = 64;

/// How many datagrams of strangers are read and counted on one leg; then the kernel drops them, so that who sends many does
/// not crowd out the peer.
const COUNTED_STRANGERS: u64 = 1000;

/// A connected socket on which nothing has come for so long is disconnected.
const QUIET: Duration = Duration::from_secs(2);

/// From whom RTP is accepted (`media_source` of the trunk profile).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Exactly the address and port of the SDP.
    Exact,
    /// The address of the SDP, any port.
    SameIp,
    /// Whoever first sends two RTP packets in a row once the SDP's address is known; learned once, never again: for
    /// peers behind a NAT (RFC 7362).
    Symmetric,
}

/// What the leg's sockets have refused or failed to do; read by control for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketCounters {
    /// Datagrams from an address that is not the peer's.
    pub strangers: u64,
    /// Where the last of them came from.
    pub last_stranger: Option<SocketAddr>,
    /// Sends that the kernel refused.
    pub send_errors: u64,
}

/// How far the kernel does the comparing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// Not at all: the source of each datagram is compared here.
    Open,
    /// It is connected, but what was queued before that may still be a stranger's.
    Draining,
    /// What is read is the peer's.
    Connected,
}

/// How far the source of a symmetric peer is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Learning {
    /// Nothing has come.
    Nobody,
    /// One packet has come; the next one would prove it.
    Probation { from: SocketAddr, ssrc: mixer::Ssrc, next: mixer::SeqNo },
    /// It is known, for good.
    Learned,
}

/// One leg's sockets: RTP on the even port, RTCP on the odd one.
#[derive(Debug)]
pub struct LegSockets {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    /// The address of `rtp`.
    local: Option<SocketAddr>,
    peer_rtp: Option<SocketAddr>,
    peer_rtcp: Option<SocketAddr>,
    rtcp_mux: bool,
    source: Source,
    link: Link,
    learning: Learning,
    /// When the last datagram of the peer came to the RTP port, by the kernel's stamp.
    heard: Option<Instant>,
    /// When the RTP port was read last.
    read: Option<Instant>,
    counters: SocketCounters,
}

/// A datagram as it was read.
#[derive(Debug)]
pub struct Arrived<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// When the kernel got it.
    pub at: Instant,
    /// It comes from an address that would become the peer's if the answer is that it is authentic: it is to be looked at and
    /// not to be taken.
    pub unproven: bool,
}

impl LegSockets {
    /// Binds `port` and `port + 1` of `address`.
    pub fn bind(address: IpAddr, port: u16) -> io::Result<Self> {
        Ok(Self::of(bind(address, port)?, bind(address, port + 1)?))
    }

    fn of(rtp: UdpSocket, rtcp: UdpSocket) -> Self {
        Self {
            local: rtp.local_addr().ok(),
            rtp,
            rtcp,
            peer_rtp: None,
            peer_rtcp: None,
            rtcp_mux: false,
            source: Source::Exact,
            link: Link::Open,
            learning: Learning::Nobody,
            heard: None,
            read: None,
            counters: SocketCounters::default(),
        }
    }

    /// Says where the peer is, as its SDP told. Until then everything that arrives is refused.
    pub fn set_peer(&mut self, rtp: SocketAddr, rtcp: SocketAddr, rtcp_mux: bool, source: Source) {
        self.peer_rtp = Some(rtp);
        self.peer_rtcp = Some(if rtcp_mux { rtp } else { rtcp });
        self.rtcp_mux = rtcp_mux;
        self.source = source;
        self.learning = Learning::Nobody;
        self.open();
        if source == Source::Exact && self.counters.strangers >= COUNTED_STRANGERS {
            self.connect();
        }
    }

    /// Lets the kernel drop strangers from now on. Without success we go on as before.
    fn connect(&mut self) {
        if let Some(peer) = self.peer_rtp
            && self.rtp.connect(peer).is_ok()
        {
            self.link = Link::Draining;
        }
    }

    /// Hears strangers again, to count them.
    fn open(&mut self) {
        // Where that fails, the next `connect` takes the place of the old one.
        if self.link != Link::Open && disconnect(&self.rtp).is_ok() {
            self.link = Link::Open;
        }
    }

    /// Once a second: when the peer has fallen silent, it may have begun to send from elsewhere.
    pub fn watch(&mut self, now: Instant) {
        let quiet = self.heard.is_none_or(|at| now.saturating_duration_since(at) > QUIET);
        if quiet && self.counters.strangers < COUNTED_STRANGERS {
            self.open();
        }
    }

    /// The peer is known to send from where it should: what else comes need not be looked at.
    fn trust(&mut self) {
        let known = match self.source {
            Source::Exact => true,
            Source::SameIp => false,
            Source::Symmetric => self.learning == Learning::Learned,
        };
        if known && self.link == Link::Open {
            self.connect();
        }
    }

    fn refuse(&mut self, from: SocketAddr) {
        self.counters.strangers += 1;
        self.counters.last_stranger = Some(from);
        if self.source == Source::Exact
            && self.counters.strangers >= COUNTED_STRANGERS
            && self.link == Link::Open
        {
            self.connect();
        }
    }

    /// What was refused so far.
    pub fn counters(&self) -> SocketCounters {
        self.counters
    }

    /// The local RTP port, freed when this value is dropped.
    pub fn rtp_port(&self) -> Option<u16> {
        self.rtp.local_addr().ok().map(|address| address.port())
    }

    /// Our RTP address and the peer's, once it is known.
    pub fn ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        Some((self.local?, self.peer_rtp?))
    }

    /// Whether RTP and RTCP share the RTP port (RFC 5761).
    pub fn is_muxed(&self) -> bool {
        self.rtcp_mux
    }

    /// Reads what has arrived on the RTP port and hands each acceptable datagram to `take`. A datagram may stay for the
    /// next call when it came behind one that came as regularly as it should: it is early.
    ///
    /// The answer of `take` counts only where [`Arrived::unproven`] says so: whether the datagram is authentic. The address of a
    /// symmetric peer is never learned from one that is not.
    pub fn read_rtp(
        &mut self,
        clock: &StampClock,
        buffer: &mut [u8; DATAGRAM],
        mut take: impl FnMut(Arrived<'_>) -> bool,
    ) {
        let before = self.read.replace(clock.monotonic());
        for _ in 0..READS_PER_PHASE {
            let received = if self.link == Link::Connected {
                receive_connected(&self.rtp, clock, buffer).map(|(length, at)| (length, None, at))
            } else {
                receive(&self.rtp, clock, buffer)
                    .map(|Received { length, from, at }| (length, Some(from), at))
            };
            match received {
                Ok((length, from, at)) => {
                    let bytes = &buffer[..length];
                    let proof = || take(Arrived { bytes, at, unproven: true });
                    if let Some(from) = from
                        && !self.accepts(from, bytes, proof)
                    {
                        self.refuse(from);
                        continue;
                    }
                    take(Arrived { bytes, at, unproven: false });
                    let last = self.heard.replace(at);
                    self.trust();
                    if self.link == Link::Connected && is_regular(last, at, before) {
                        return;
                    }
                }
                // An ICMP "port unreachable" of an earlier send: the peer is not listening yet.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    self.counters.send_errors += 1;
                }
                Err(error) => {
                    if error.kind() == io::ErrorKind::WouldBlock && self.link == Link::Draining {
                        self.link = Link::Connected;
                    }
                    return;
                }
            }
        }
    }

    /// Reads what has arrived on the RTCP port. Called about once a second.
    pub fn read_rtcp(
        &mut self,
        clock: &StampClock,
        buffer: &mut [u8; DATAGRAM],
        mut take: impl FnMut(Arrived<'_>),
    ) {
        for _ in 0..READS_PER_PHASE {
            match receive(&self.rtcp, clock, buffer) {
                Ok(Received { length, from, at }) => {
                    if self.peer_rtcp.is_some_and(|peer| peer.ip() == from.ip()) {
                        take(Arrived { bytes: &buffer[..length], at, unproven: false });
                    } else {
                        self.counters.strangers += 1;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    self.counters.send_errors += 1;
                }
                Err(_) => return,
            }
        }
    }

    /// Sends one RTP packet; without a peer it is dropped.
    pub fn send_rtp(&mut self, bytes: &[u8]) {
        let Some(peer) = self.peer_rtp else { return };
        for _ in 0..2 {
            let sent = match self.link {
                Link::Open => self.rtp.send_to(bytes, peer),
                Link::Draining | Link::Connected => self.rtp.send(bytes),
            };
            match sent {
                Ok(_) => return,
                // The error of an earlier datagram is reported once, on the next call: try this one again.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    self.counters.send_errors += 1;
                }
                Err(_) => {
                    self.counters.send_errors += 1;
                    return;
                }
            }
        }
    }

    /// Sends one RTCP packet, on the RTP port where muxed.
    pub fn send_rtcp(&mut self, bytes: &[u8]) {
        if self.rtcp_mux {
            return self.send_rtp(bytes);
        }
        let Some(peer) = self.peer_rtcp else { return };
        if self.rtcp.send_to(bytes, peer).is_err() {
            self.counters.send_errors += 1;
        }
    }

    fn accepts(&mut self, from: SocketAddr, bytes: &[u8], authentic: impl FnOnce() -> bool) -> bool {
        let Some(peer) = self.peer_rtp else { return false };
        match self.source {
            Source::Exact => from == peer,
            Source::SameIp => from.ip() == peer.ip(),
            Source::Symmetric => {
                from == peer && self.learning == Learning::Learned || self.learn(from, bytes, authentic)
            }
        }
    }

    /// Probation of a source that may become the peer: authentic RTP, twice in a row, under one SSRC.
    fn learn(&mut self, from: SocketAddr, bytes: &[u8], authentic: impl FnOnce() -> bool) -> bool {
        if self.learning == Learning::Learned {
            return false;
        }
        let Ok(packet) = mixer::rtp::Packet::parse(bytes) else { return false };
        if !authentic() {
            return false;
        }
        let (ssrc, sequence) = (packet.ssrc(), packet.sequence());
        if self.learning != (Learning::Probation { from, ssrc, next: sequence }) {
            self.learning = Learning::Probation { from, ssrc, next: sequence.next() };
            return false;
        }
        self.learning = Learning::Learned;
        self.peer_rtp = Some(from);
        if self.rtcp_mux {
            self.peer_rtcp = Some(from);
        }
        true
    }
}

/// Whether a datagram came one packet time after the last one and since the read `before`: then the socket is most likely
/// empty, and asking it would cost a system call for nothing. What has come behind it all the same is early. With only the
/// first condition, a sender whose clock is fast would leave one datagram waiting forever.
fn is_regular(last: Option<Instant>, at: Instant, before: Option<Instant>) -> bool {
    let gap = last.map(|last| at.saturating_duration_since(last));
    let regular = gap.is_some_and(|gap| gap > TICK * 3 / 4 && gap < TICK * 5 / 4);
    regular && before.is_some_and(|before| at > before)
}

#[cfg(test)]
mod tests;
