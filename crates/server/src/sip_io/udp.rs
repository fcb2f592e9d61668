//! SIP over UDP: one datagram, one message.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use nix::sys::socket::{setsockopt, sockopt};
use sip::{Flow, Transport};
use tokio::net::UdpSocket;

use super::Arrival;
use super::arrivals::Arrivals;

/// Bytes that may wait in the kernel for a UDP socket: some thousand messages, or 0.1 s of a bad flood.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;
/// Largest UDP datagram.
const DATAGRAM: usize = 65_535;

/// A socket with room for a flood, and its address.
pub(super) async fn open(address: SocketAddr) -> io::Result<(SocketAddr, Arc<UdpSocket>)> {
    let socket = Arc::new(UdpSocket::bind(address).await?);
    make_room(&socket);
    Ok((socket.local_addr()?, socket))
}

/// A flood must not push a trunk's messages out of the kernel's queue before we have looked at them. Where the kernel
/// caps what we ask for (`net.core.rmem_max`), less room is no error.
fn make_room(socket: &UdpSocket) {
    if setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
        let _ = setsockopt(socket, sockopt::RcvBuf, &RECEIVE_BUFFER);
    }
}

/// Reads until the process ends.
pub(super) async fn read(socket: Arc<UdpSocket>, local: SocketAddr, arrivals: Arc<Arrivals>) {
    let mut buffer = vec![0; DATAGRAM];
    loop {
        // An error here is an ICMP report about some earlier datagram; the socket itself stays good.
        let Ok((length, remote)) = socket.recv_from(&mut buffer).await else { continue };
        let flow = Flow { transport: Transport::Udp, local, remote, connection: 0 };
        let bytes = Bytes::copy_from_slice(&buffer[..length]);
        arrivals.try_bring(Arrival::Message { flow, bytes, peer: None });
    }
}
