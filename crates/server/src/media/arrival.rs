//! One datagram out of a socket, with the kernel's own time of its arrival. Nothing is allocated for it.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrLike, SockaddrStorage, getsockopt, recvmsg, setsockopt, sockopt,
};

/// Room for what arrives while a phase is late: 128 KiB hold more than three seconds of a leg, and are below what an untuned
/// kernel allows (`net.core.rmem_max` = 212992).
const RECEIVE_BUFFER: usize = 128 * 1024;

/// A datagram that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    pub(super) length: usize,
    pub(super) from: SocketAddr,
    /// When the kernel got it.
    pub(super) at: Instant,
}

/// A socket on `port` of `address` that never blocks and stamps what arrives.
pub(super) fn bind(address: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((address, port))?;
    socket.set_nonblocking(true)?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    // The kernel caps it in silence; see `check_receive_buffer`.
    setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER)?;
    Ok(socket)
}

/// Says in the log when the kernel gives a leg's socket less room than it asks for.
pub(crate) fn check_receive_buffer(address: IpAddr) {
    let granted = bind(address, 0).and_then(|socket| Ok(getsockopt(&socket, sockopt::RcvBuf)?));
    // The kernel doubles what it grants, for its own books.
    if let Ok(granted) = granted.map(|doubled| doubled / 2)
        && granted < RECEIVE_BUFFER
    {
        tracing::warn!(
            granted,
            wanted = RECEIVE_BUFFER,
            "small receive buffers for RTP: raise the sysctl net.core.rmem_max, or a late phase loses packets"
        );
    }
}

/// Reads one datagram without waiting, and asks who sent it.
pub(super) fn receive(socket: &UdpSocket, clock: &StampClock, buffer: &mut [u8]) -> io::Result<Received> {
    let (length, from, at) = read_message::<SockaddrStorage>(socket, clock, buffer)?;
    let from = from.as_ref().and_then(to_socket_address).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Received { length, from, at })
}

/// Reads one datagram of a connected socket without waiting: its length, and when the kernel got it.
pub(super) fn receive_connected(
    socket: &UdpSocket,
    clock: &StampClock,
    buffer: &mut [u8],
) -> io::Result<(usize, Instant)> {
    let (length, _, at) = read_message::<()>(socket, clock, buffer)?;
    Ok((length, at))
}

fn read_message<S: SockaddrLike>(
    socket: &UdpSocket,
    clock: &StampClock,
    buffer: &mut [u8],
) -> io::Result<(usize, Option<S>, Instant)> {
    let mut control = [0_u8; 64];
    let mut slices = [IoSliceMut::new(buffer)];
    let message =
        recvmsg::<S>(socket.as_raw_fd(), &mut slices, Some(&mut control[..]), MsgFlags::MSG_DONTWAIT)?;
    let stamp = message.cmsgs().ok().and_then(|mut all| {
        all.find_map(|one| match one {
            ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
            _ => None,
        })
    });
    let at = stamp.map_or(clock.monotonic, |stamp| clock.instant_of(stamp));
    Ok((message.bytes, message.address, at))
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

    /// The time of day when it was made.
    pub fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.real
    }

    /// The monotonic time of a `CLOCK_REALTIME` stamp.
    pub fn instant_of(&self, stamp: Duration) -> Instant {
        let age = self.real.saturating_sub(stamp).min(Duration::from_secs(1));
        self.monotonic.checked_sub(age).unwrap_or(self.monotonic)
    }
}

/// A socket on a port that it asks for by number, as a leg's does: only such a port stays when the socket is disconnected.
#[cfg(test)]
pub(super) fn bind_any(address: IpAddr) -> UdpSocket {
    (20_000..30_000).find_map(|port| bind(address, port).ok()).expect("a free port")
}

#[cfg(test)]
mod tests {
    use super::*;

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
