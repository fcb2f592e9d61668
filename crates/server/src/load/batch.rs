//! Reading many datagrams of one socket with one system call, each with the time at which the kernel got it.
//!
//! The stamps free the reader from being in time: a socket may be read seldom and yet every arrival is known to the
//! microsecond.

use std::io::{self, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, recvmmsg, setsockopt, sockopt};

/// Datagrams read with one call.
const BATCH: usize = 8;
/// Bytes kept of a datagram; RTP of 20 ms is far below.
const LARGEST: usize = 1500;

/// Wall-clock time in nanoseconds since 1970: what the kernel stamps with.
pub fn wall() -> u64 {
    nanos(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

fn nanos(time: Duration) -> u64 {
    time.as_nanos() as u64
}

/// Makes a socket fit for [`Batch`]: never blocking, stamped, with room for what lies there between two readings.
pub fn prepare(socket: &UdpSocket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    setsockopt(socket, sockopt::ReceiveTimestampns, &true)?;
    // The kernel may cap it; its default holds a second as well.
    let _ = setsockopt(socket, sockopt::RcvBuf, &(256 * 1024));
    Ok(())
}

/// Memory for one call; belongs to one thread.
pub struct Batch {
    headers: MultiHeaders<()>,
    buffers: Box<[[u8; LARGEST]; BATCH]>,
}

impl Default for Batch {
    fn default() -> Self {
        let headers = MultiHeaders::preallocate(BATCH, Some(cmsg_space!(libc::timespec)));
        Self { headers, buffers: Box::new([[0; LARGEST]; BATCH]) }
    }
}

impl Batch {
    /// Hands every datagram that waits, at most `most` batches of them, to `take`, with its arrival (see [`wall`]).
    /// Returns how many errors the socket reported: an ICMP message for an earlier send is one.
    pub fn read(&mut self, socket: &UdpSocket, most: usize, mut take: impl FnMut(u64, &mut [u8])) -> u64 {
        let mut errors = 0;
        for _ in 0..most {
            let mut slices = self.buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
            let flags = MsgFlags::MSG_DONTWAIT;
            let messages =
                match recvmmsg(socket.as_raw_fd(), &mut self.headers, slices.iter_mut(), flags, None) {
                    Ok(messages) => messages,
                    Err(Errno::EAGAIN) => return errors,
                    Err(_) => {
                        errors += 1;
                        continue;
                    }
                };
            let (mut arrived, mut count) = ([(0, 0); BATCH], 0);
            for message in messages {
                let stamp = message.cmsgs().ok().and_then(|mut all| {
                    all.find_map(|one| match one {
                        ControlMessageOwned::ScmTimestampns(at) => Some(nanos(at.into())),
                        _ => None,
                    })
                });
                arrived[count] = (stamp.unwrap_or_else(wall), message.bytes);
                count += 1;
            }
            for (buffer, (at, length)) in self.buffers.iter_mut().zip(&arrived[..count]) {
                take(*at, &mut buffer[..*length]);
            }
            if count < BATCH {
                break;
            }
        }
        errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_waits_is_read_in_order_with_rising_stamps_again_and_again() {
        let here = UdpSocket::bind("127.0.0.1:0").unwrap();
        prepare(&here).unwrap();
        let there = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut batch = Batch::default();
        for round in 0..3 {
            let before = wall();
            for n in 0..20_u8 {
                there.send_to(&vec![n; usize::from(n) + 1], here.local_addr().unwrap()).unwrap();
            }
            let mut got = Vec::new();
            assert_eq!(batch.read(&here, 10, |at, bytes| got.push((at, bytes.to_vec()))), 0);
            let expected: Vec<_> = (0..20_u8).map(|n| vec![n; usize::from(n) + 1]).collect();
            assert_eq!(got.iter().map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>(), expected, "{round}");
            assert!(got.is_sorted_by_key(|(at, _)| *at));
            assert!(got[0].0 >= before && got[19].0 <= wall(), "the stamps are of this round");
        }
        assert_eq!(batch.read(&here, 1, |_, _| panic!("nothing waits")), 0);
    }
}
