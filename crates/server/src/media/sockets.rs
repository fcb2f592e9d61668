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
mod tests {
    use super::super::arrival::bind_any;
    use super::*;

    fn pair(source: Source) -> (LegSockets, UdpSocket) {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let mut leg = LegSockets::of(bind_any(ip), bind_any(ip));
        let peer = UdpSocket::bind((ip, 0)).unwrap();
        let address = peer.local_addr().unwrap();
        leg.set_peer(address, address, false, source);
        (leg, peer)
    }

    fn read(leg: &mut LegSockets) -> Vec<Vec<u8>> {
        let mut got = Vec::new();
        let mut buffer = [0; DATAGRAM];
        leg.read_rtp(&StampClock::now(), &mut buffer, |Arrived { bytes, unproven, .. }| {
            if !unproven {
                got.push(bytes.to_vec());
            }
            bytes.last() != Some(&FORGED)
        });
        got
    }

    #[test]
    fn a_datagram_that_was_queued_before_the_peer_was_known_is_refused_when_it_is_a_strangers() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let (mut leg, peer) = pair(Source::Exact);
        // Forget the peer, as before the answer.
        let fresh = bind_any(ip);
        leg.rtp = fresh;
        let stranger = UdpSocket::bind((ip, 0)).unwrap();
        let port = leg.rtp_port().unwrap();
        stranger.send_to(b"stranger", (ip, port)).unwrap();
        let address = peer.local_addr().unwrap();
        leg.set_peer(address, address, false, Source::Exact);
        peer.send_to(b"peer", (ip, port)).unwrap();
        assert_eq!(read(&mut leg), vec![b"peer".to_vec()]);
        assert_eq!(leg.counters().strangers, 1);
    }

    #[test]
    fn once_the_peer_is_heard_the_kernel_drops_strangers_until_it_falls_silent() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let (mut leg, peer) = pair(Source::Exact);
        let port = leg.rtp_port().unwrap();
        let stranger = UdpSocket::bind((ip, 0)).unwrap();
        let address = stranger.local_addr().unwrap();
        stranger.send_to(b"before", (ip, port)).unwrap();
        peer.send_to(b"peer", (ip, port)).unwrap();
        // In the socket before it is connected: still a stranger's, and seen as such.
        stranger.send_to(b"queued", (ip, port)).unwrap();
        assert_eq!(read(&mut leg), vec![b"peer".to_vec()]);
        assert_eq!((leg.counters().strangers, leg.counters().last_stranger), (2, Some(address)));
        assert_eq!(leg.link, Link::Connected);
        // Refused by the kernel, which the stranger may see as an error.
        let _ = stranger.send_to(b"unseen", (ip, port));
        assert!(read(&mut leg).is_empty());
        assert_eq!(leg.counters().strangers, 2);
        leg.watch(Instant::now());
        assert_eq!(leg.link, Link::Connected);
        // The peer has restarted and sends from another port: that must show.
        leg.watch(Instant::now() + QUIET + TICK);
        let _ = stranger.send_to(b"error", (ip, port));
        let _ = stranger.send_to(b"seen", (ip, port));
        assert!(read(&mut leg).is_empty());
        assert!(leg.counters().strangers > 2);
        peer.send_to(b"again", (ip, port)).unwrap();
        assert_eq!(read(&mut leg), vec![b"again".to_vec()]);
        assert_eq!(leg.link, Link::Connected);
    }

    #[test]
    fn a_peer_that_moves_is_heard_at_its_new_address_and_the_old_one_is_a_stranger() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let (mut leg, old) = pair(Source::Exact);
        let port = leg.rtp_port().unwrap();
        old.send_to(b"old", (ip, port)).unwrap();
        assert_eq!(read(&mut leg).len(), 1);
        let new = UdpSocket::bind((ip, 0)).unwrap();
        let address = new.local_addr().unwrap();
        leg.set_peer(address, address, false, Source::Exact);
        leg.send_rtp(b"hello");
        let mut buffer = [0; 16];
        assert_eq!(new.recv(&mut buffer).unwrap(), 5);
        old.send_to(b"old", (ip, port)).unwrap();
        new.send_to(b"new", (ip, port)).unwrap();
        assert_eq!(read(&mut leg), vec![b"new".to_vec()]);
        assert_eq!(leg.counters().strangers, 1);
        leg.send_rtp(b"connected");
        assert_eq!(new.recv(&mut buffer).unwrap(), 9);
    }

    #[test]
    fn rtcp_is_taken_from_the_peer_s_address_only_however_short_it_is() {
        let (mut leg, peer) = pair(Source::Exact);
        let to = leg.rtcp.local_addr().unwrap();
        let stranger = UdpSocket::bind(("127.0.0.9", 0)).unwrap();
        // A report of four bytes once switched another bridge's check of the source off.
        for length in 0..=8 {
            stranger.send_to(&vec![0x80; length], to).unwrap();
        }
        peer.send_to(b"report", to).unwrap();
        let (mut got, mut buffer) = (Vec::new(), [0; DATAGRAM]);
        leg.read_rtcp(&StampClock::now(), &mut buffer, |Arrived { bytes, .. }| got.push(bytes.to_vec()));
        assert_eq!(got, vec![b"report".to_vec()]);
        assert_eq!(leg.counters().strangers, 9);
    }

    #[test]
    fn a_datagram_one_packet_time_after_the_last_one_is_most_likely_the_only_one() {
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        // Arrivals and reads of a steady stream.
        assert!(is_regular(Some(at(5)), at(25), Some(at(20))));
        // The one before it was delayed: this one, or the next, may follow at once.
        assert!(!is_regular(Some(at(5)), at(35), Some(at(20))), "it is late, and the next one is near");
        assert!(!is_regular(Some(at(35)), at(45), Some(at(40))), "it came soon after the last one");
        // The sender's clock is fast and two came between two reads: the second one is not fresh at the next read.
        assert!(!is_regular(Some(at(21)), at(40), Some(at(41))));
        assert!(!is_regular(None, at(25), Some(at(20))), "the first one");
        assert!(!is_regular(Some(at(5)), at(25), None), "the first read");
    }

    #[test]
    fn strangers_are_counted_until_they_are_a_flood_and_then_the_kernel_drops_them() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let (mut leg, peer) = pair(Source::Exact);
        let port = leg.rtp_port().unwrap();
        let stranger = UdpSocket::bind((ip, 0)).unwrap();
        for _ in 0..2 * COUNTED_STRANGERS {
            // Refused by the kernel at last, which the stranger may see as an error.
            let _ = stranger.send_to(b"stranger", (ip, port));
            assert!(read(&mut leg).is_empty());
        }
        assert_eq!(leg.counters().strangers, COUNTED_STRANGERS);
        peer.send_to(b"peer", (ip, port)).unwrap();
        assert_eq!(read(&mut leg), vec![b"peer".to_vec()]);
    }

    /// The end of a packet that fails authentication in these tests.
    const FORGED: u8 = 0xee;

    #[test]
    fn symmetric_never_learns_from_a_packet_that_fails_authentication() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let (mut leg, _peer) = pair(Source::Symmetric);
        let port = leg.rtp_port().unwrap();
        let forger = UdpSocket::bind((ip, 0)).unwrap();
        let genuine = UdpSocket::bind((ip, 0)).unwrap();
        let forged = |sequence| {
            let mut packet = rtp(1, sequence);
            packet[12] = FORGED;
            packet
        };
        for sequence in 0..20 {
            forger.send_to(&forged(sequence), (ip, port)).unwrap();
        }
        assert!(read(&mut leg).is_empty());
        assert_eq!(leg.counters().strangers, 20);
        // A forged packet does not disturb the probation of the peer either.
        genuine.send_to(&rtp(1, 1), (ip, port)).unwrap();
        forger.send_to(&forged(2), (ip, port)).unwrap();
        genuine.send_to(&rtp(1, 2), (ip, port)).unwrap();
        assert_eq!(read(&mut leg), vec![rtp(1, 2).to_vec()]);
        leg.send_rtp(b"back");
        let mut buffer = [0; 16];
        assert_eq!(genuine.recv(&mut buffer).unwrap(), 4);
    }

    fn rtp(ssrc: u8, sequence: u8) -> [u8; 13] {
        [0x80, 0, 0, sequence, 0, 0, 0, 0, 0, 0, 0, ssrc, 0xff]
    }

    #[test]
    fn symmetric_learns_who_sends_two_rtp_packets_in_a_row_and_never_again() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let (mut leg, _peer) = pair(Source::Symmetric);
        let port = leg.rtp_port().unwrap();
        let send = |socket: &UdpSocket, bytes: &[u8]| socket.send_to(bytes, (ip, port)).unwrap();
        let scanner = UdpSocket::bind((ip, 0)).unwrap();
        let first = UdpSocket::bind((ip, 0)).unwrap();
        let second = UdpSocket::bind((ip, 0)).unwrap();
        send(&scanner, b"hello");
        send(&scanner, &rtp(9, 1));
        send(&scanner, &rtp(9, 7));
        send(&first, &rtp(1, 1));
        send(&first, &rtp(1, 2));
        send(&second, &rtp(2, 1));
        send(&second, &rtp(2, 2));
        send(&first, &rtp(1, 3));
        assert_eq!(read(&mut leg), vec![rtp(1, 2).to_vec(), rtp(1, 3).to_vec()]);
        leg.send_rtp(b"back");
        let mut buffer = [0; 16];
        assert_eq!(first.recv(&mut buffer).unwrap(), 4);
    }
}
