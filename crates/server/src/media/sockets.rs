//! The two UDP sockets of one leg, and who may speak through them.
//!
//! The source of every datagram is compared here, so that strangers are counted: they are the first thing to look at
//! when nothing is heard. `connect()` would let the kernel drop them unseen, and not those that were queued before it.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};

/// Largest datagram that is read; RTP on a PSTN leg is below 500 bytes.
pub const DATAGRAM: usize = 1500;

/// How many datagrams of one socket are read in one phase, so that a flood on one leg cannot starve the others.
const READS_PER_PHASE: usize = 64;

/// How many datagrams of strangers are read and counted on one leg.
const COUNTED_STRANGERS: u64 = 1000;

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
    /// Sends that the kernel refused.
    pub send_errors: u64,
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
    peer_rtp: Option<SocketAddr>,
    peer_rtcp: Option<SocketAddr>,
    rtcp_mux: bool,
    source: Source,
    connected: bool,
    learning: Learning,
    counters: SocketCounters,
}

/// A datagram as it was read.
#[derive(Debug)]
pub struct Arrived<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// When the kernel got it.
    pub at: Instant,
}

impl LegSockets {
    /// Binds `port` and `port + 1` of `address`.
    pub fn bind(address: IpAddr, port: u16) -> io::Result<Self> {
        let rtp = bind_one(address, port)?;
        let rtcp = bind_one(address, port + 1)?;
        Ok(Self {
            rtp,
            rtcp,
            peer_rtp: None,
            peer_rtcp: None,
            rtcp_mux: false,
            source: Source::Exact,
            connected: false,
            learning: Learning::Nobody,
            counters: SocketCounters::default(),
        })
    }

    /// Says where the peer is, as its SDP told. Until then everything that arrives is refused.
    pub fn set_peer(&mut self, rtp: SocketAddr, rtcp: SocketAddr, rtcp_mux: bool, source: Source) {
        self.peer_rtp = Some(rtp);
        self.peer_rtcp = Some(if rtcp_mux { rtp } else { rtcp });
        self.rtcp_mux = rtcp_mux;
        self.source = source;
        self.learning = Learning::Nobody;
        if source == Source::Exact {
            self.leave_strangers_to_the_kernel();
        }
    }

    /// Counts a stranger's datagram. Who sends many must not crowd out the peer: from then on the kernel drops them,
    /// which costs less and is not counted.
    fn refuse(&mut self) {
        self.counters.strangers += 1;
        if self.source == Source::Exact && !self.connected {
            self.leave_strangers_to_the_kernel();
        }
    }

    fn leave_strangers_to_the_kernel(&mut self) {
        if self.counters.strangers >= COUNTED_STRANGERS
            && let Some(peer) = self.peer_rtp
        {
            // Without success we go on as before.
            self.connected = self.rtp.connect(peer).is_ok();
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

    /// Whether RTP and RTCP share the RTP port (RFC 5761).
    pub fn is_muxed(&self) -> bool {
        self.rtcp_mux
    }

    /// Reads what has arrived on the RTP port and hands each acceptable datagram to `take`.
    pub fn read_rtp(
        &mut self,
        clock: &StampClock,
        buffer: &mut [u8; DATAGRAM],
        mut take: impl FnMut(Arrived<'_>),
    ) {
        for _ in 0..READS_PER_PHASE {
            match receive(&self.rtp, clock, buffer) {
                Ok((length, source, at)) => {
                    if self.accepts(source, &buffer[..length]) {
                        take(Arrived { bytes: &buffer[..length], at });
                    } else {
                        self.refuse();
                    }
                }
                // An ICMP "port unreachable" of an earlier send: the peer is not listening yet.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    self.counters.send_errors += 1;
                }
                Err(_) => return,
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
                Ok((length, source, at)) => {
                    if self.peer_rtcp.is_some_and(|peer| peer.ip() == source.ip()) {
                        take(Arrived { bytes: &buffer[..length], at });
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
            let sent = if self.connected { self.rtp.send(bytes) } else { self.rtp.send_to(bytes, peer) };
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

    fn accepts(&mut self, from: SocketAddr, bytes: &[u8]) -> bool {
        let Some(peer) = self.peer_rtp else { return false };
        match self.source {
            Source::Exact => from == peer,
            Source::SameIp => from.ip() == peer.ip(),
            Source::Symmetric => {
                from == peer && self.learning == Learning::Learned || self.learn(from, bytes)
            }
        }
    }

    /// Probation of a source that may become the peer: RTP, twice in a row, under one SSRC.
    fn learn(&mut self, from: SocketAddr, bytes: &[u8]) -> bool {
        if self.learning == Learning::Learned {
            return false;
        }
        let Ok(packet) = mixer::rtp::Packet::parse(bytes) else { return false };
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

fn bind_one(address: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((address, port))?;
    socket.set_nonblocking(true)?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    // Room for what arrives while a phase is late; the kernel may cap it, which costs nothing but margin.
    let _ = setsockopt(&socket, sockopt::RcvBuf, &(256 * 1024));
    Ok(socket)
}

fn receive(
    socket: &UdpSocket,
    clock: &StampClock,
    buffer: &mut [u8],
) -> io::Result<(usize, SocketAddr, Instant)> {
    let mut control = [0_u8; 64];
    let mut slices = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut slices,
        Some(&mut control[..]),
        MsgFlags::MSG_DONTWAIT,
    )?;
    let at = message
        .cmsgs()
        .ok()
        .and_then(|mut all| {
            all.find_map(|one| match one {
                ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
                _ => None,
            })
        })
        .map_or(clock.monotonic, |stamp| clock.instant_of(stamp));
    let source = message.address.as_ref().and_then(to_socket_address).ok_or(io::ErrorKind::InvalidData)?;
    Ok((message.bytes, source, at))
}

fn to_socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::from((v4.ip(), v4.port())));
    }
    address.as_sockaddr_in6().map(|v6| SocketAddr::from((v6.ip(), v6.port())))
}

/// Turns the kernel's wall-clock stamps into monotonic time, one reading of both clocks a batch.
///
/// The age of a stamp is clamped to the last second, so that a stepped wall clock cannot wreck the jitter estimate.
#[derive(Clone, Copy, Debug)]
pub struct StampClock {
    monotonic: Instant,
    real: Duration,
}

impl StampClock {
    /// Reads both clocks.
    pub fn now() -> Self {
        let real = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { monotonic: Instant::now(), real }
    }

    /// When it was made.
    pub fn monotonic(&self) -> Instant {
        self.monotonic
    }

    /// The monotonic time of a `CLOCK_REALTIME` stamp.
    pub fn instant_of(&self, stamp: Duration) -> Instant {
        let age = self.real.saturating_sub(stamp).min(Duration::from_secs(1));
        self.monotonic.checked_sub(age).unwrap_or(self.monotonic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(source: Source) -> (LegSockets, UdpSocket) {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let mut leg = LegSockets {
            rtp: bind_one(ip, 0).unwrap(),
            rtcp: bind_one(ip, 0).unwrap(),
            peer_rtp: None,
            peer_rtcp: None,
            rtcp_mux: false,
            source,
            connected: false,
            learning: Learning::Nobody,
            counters: SocketCounters::default(),
        };
        let peer = UdpSocket::bind((ip, 0)).unwrap();
        let address = peer.local_addr().unwrap();
        leg.set_peer(address, address, false, source);
        (leg, peer)
    }

    fn read(leg: &mut LegSockets) -> Vec<Vec<u8>> {
        let mut got = Vec::new();
        let mut buffer = [0; DATAGRAM];
        leg.read_rtp(&StampClock::now(), &mut buffer, |arrived| got.push(arrived.bytes.to_vec()));
        got
    }

    #[test]
    fn a_datagram_that_was_queued_before_the_peer_was_known_is_refused_when_it_is_a_strangers() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let (mut leg, peer) = pair(Source::Exact);
        // Forget the peer, as before the answer.
        let fresh = bind_one(ip, 0).unwrap();
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

    #[test]
    fn a_stepped_wall_clock_moves_a_stamp_by_at_most_a_second() {
        let clock = StampClock { monotonic: Instant::now(), real: Duration::from_secs(10_000) };
        assert_eq!(clock.instant_of(Duration::from_secs(20_000)), clock.monotonic);
        assert_eq!(
            clock.instant_of(Duration::from_secs(1)),
            clock.monotonic.checked_sub(Duration::from_secs(1)).unwrap()
        );
        let ten = Duration::from_millis(10);
        let (stamp, monotonic) =
            (clock.real.checked_sub(ten).unwrap(), clock.monotonic.checked_sub(ten).unwrap());
        assert_eq!(clock.instant_of(stamp), monotonic);
    }
}
