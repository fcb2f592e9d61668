//! The system calls that neither std nor nix offers. The one `unsafe` of this crate.
#![allow(unsafe_code)] // two calls of libc, each with its proof

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// Puts the calling thread under `SCHED_FIFO`.
pub(super) fn become_realtime(priority: u8) -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: i32::from(priority) };
    // SAFETY: `pthread_self` is the calling thread, and `parameters` lives across the call, which only reads it.
    let code =
        unsafe { libc::pthread_setschedparam(libc::pthread_self(), libc::SCHED_FIFO, &raw const parameters) };
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}

/// Undoes `connect`: the socket hears everybody again. Its own address and port stay when it was bound to them by number; a
/// port that the kernel chose is lost.
pub(super) fn disconnect(socket: &UdpSocket) -> io::Result<()> {
    let nobody = libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
    let length = size_of::<libc::sockaddr>() as libc::socklen_t;
    // SAFETY: `nobody` is a whole `sockaddr` of `length` bytes that lives across the call, which only reads it, and the
    // descriptor is open for as long as `socket` is borrowed.
    let code = unsafe { libc::connect(socket.as_raw_fd(), &raw const nobody, length) };
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::super::arrival::bind_any;
    use super::*;

    #[test]
    fn a_socket_that_is_disconnected_keeps_its_address_and_hears_everybody() {
        let socket = bind_any([127, 0, 0, 1].into());
        socket.set_nonblocking(false).unwrap();
        let (peer, stranger) =
            (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let own = socket.local_addr().unwrap();
        socket.connect(peer.local_addr().unwrap()).unwrap();
        disconnect(&socket).unwrap();
        assert_eq!(socket.local_addr().unwrap(), own);
        stranger.send_to(b"hello", own).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(socket.recv_from(&mut buffer).unwrap(), (5, stranger.local_addr().unwrap()));
    }
}
