//! The floor: the least that a G.711 conference bridge must do, with nothing else. `./x bench` measures partyline against it.
//!
//! One thread and one UDP socket a leg. Every 20 ms each socket is read with `recvmsg` (kernel timestamp) until it is empty, the
//! room is summed, and each leg gets the sum minus itself as PCMU. No SIP, RTCP, jitter buffer (but for a packet or two that
//! wait when they came in pairs), concealment, levels or selection: what a real bridge costs more than this is the price of those.
//!
//! Leg `n` of all rooms listens on port `--port` + n and talks with port `--peer-port` + n. It runs until its standard input
//! ends, then prints how late its ticks were as one line of JSON.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut, Read as _};
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use nix::sys::socket::{MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};

/// Samples of 20 ms at 8 kHz, which are also the bytes of a PCMU payload.
const FRAME: usize = 160;
const HEADER: usize = 12;
const TICK: Duration = Duration::from_millis(20);
/// Packets of a leg that may wait for the next ticks: the caller's clock and ours drift through each other's packets.
const WAITING: usize = 3;
/// Ticks that are made up for after a late wake-up; older ones are skipped.
const CATCH_UP: u32 = 3;

#[derive(Parser)]
#[command(about = "The least that a G.711 conference bridge must do: what ./x bench compares with.")]
struct Options {
    /// Conferences.
    #[arg(long)]
    rooms: usize,
    /// Legs in each of them.
    #[arg(long)]
    legs: usize,
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    address: IpAddr,
    /// Port of the first leg.
    #[arg(long)]
    port: u16,
    /// Address of all peers.
    #[arg(long, default_value = "127.0.0.1")]
    peer_address: IpAddr,
    /// Port of the first leg's peer.
    #[arg(long)]
    peer_port: u16,
    /// Leave the sockets unconnected and name the peer in every send.
    #[arg(long)]
    unconnected: bool,
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    let decode: [i16; 256] = std::array::from_fn(|code| decoded(code as u8));
    let mut rooms = (0..options.rooms).map(|room| open(&options, room)).collect::<io::Result<Vec<_>>>()?;
    let over = Arc::new(AtomicBool::new(false));
    thread::spawn({
        let over = Arc::clone(&over);
        move || {
            // Whether it ended or failed, nobody wants us any more.
            let _ = io::stdin().read_to_end(&mut Vec::new());
            over.store(true, Ordering::Relaxed);
        }
    });
    println!("ready");
    let mut lateness = Vec::with_capacity(1 << 16);
    let (mut due, mut skipped) = (Instant::now() + TICK, 0_u32);
    while !over.load(Ordering::Relaxed) {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let late = Instant::now().saturating_duration_since(due);
        lateness.push(late.as_micros() as u64);
        for room in &mut rooms {
            room.tick(&decode);
        }
        due += TICK;
        let behind = Instant::now().saturating_duration_since(due).as_millis() as u32 / 20;
        if behind > CATCH_UP {
            due += TICK * (behind - CATCH_UP);
            skipped += behind - CATCH_UP;
        }
    }
    lateness.sort_unstable();
    let at =
        |permille: usize| lateness.get((lateness.len() * permille / 1000).min(lateness.len() - 1)).copied();
    println!(
        "{{\"ticks\": {}, \"skipped\": {skipped}, \"late_us\": {{\"p50\": {}, \"p99\": {}, \"p99.9\": {}}}}}",
        lateness.len(),
        at(500).unwrap_or(0),
        at(990).unwrap_or(0),
        at(999).unwrap_or(0)
    );
    Ok(())
}

struct Leg {
    socket: UdpSocket,
    /// Where to send, when the socket is not connected.
    peer: Option<(IpAddr, u16)>,
    waiting: VecDeque<[u8; FRAME]>,
    heard: [i16; FRAME],
    packet: [u8; HEADER + FRAME],
    sequence: u16,
}

struct Room {
    legs: Vec<Leg>,
    sum: [i32; FRAME],
}

fn open(options: &Options, room: usize) -> io::Result<Room> {
    let legs = (room * options.legs..(room + 1) * options.legs).map(|number| {
        let socket = UdpSocket::bind((options.address, options.port + number as u16))?;
        let peer = (options.peer_address, options.peer_port + number as u16);
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        if !options.unconnected {
            socket.connect(peer)?;
        }
        let mut packet = [0; HEADER + FRAME];
        packet[0] = 0x80;
        packet[8..12].copy_from_slice(&(0xf100_0000 + number as u32).to_be_bytes());
        let (peer, waiting) = (options.unconnected.then_some(peer), VecDeque::with_capacity(WAITING + 1));
        Ok(Leg { socket, peer, waiting, heard: [0; FRAME], packet, sequence: 0 })
    });
    Ok(Room { legs: legs.collect::<io::Result<_>>()?, sum: [0; FRAME] })
}

impl Room {
    fn tick(&mut self, decode: &[i16; 256]) {
        self.sum = [0; FRAME];
        for leg in &mut self.legs {
            leg.receive(decode);
            for (sum, sample) in self.sum.iter_mut().zip(&leg.heard) {
                *sum += i32::from(*sample);
            }
        }
        for leg in &mut self.legs {
            leg.send(&self.sum);
        }
    }
}

impl Leg {
    /// Reads all that has come, and hears the oldest that waits.
    fn receive(&mut self, decode: &[i16; 256]) {
        self.read();
        match self.waiting.pop_front() {
            Some(codes) => {
                for (sample, code) in self.heard.iter_mut().zip(codes) {
                    *sample = decode[usize::from(code)];
                }
            }
            None => self.heard = [0; FRAME],
        }
    }

    fn read(&mut self) {
        let mut datagram = [0_u8; 2048];
        let mut control = [0_u8; 64];
        loop {
            let mut slices = [IoSliceMut::new(&mut datagram)];
            let socket = self.socket.as_raw_fd();
            let flags = MsgFlags::MSG_DONTWAIT;
            let length = match recvmsg::<SockaddrStorage>(socket, &mut slices, Some(&mut control[..]), flags)
            {
                Ok(message) => message.bytes,
                // The error of an earlier send, reported once: the peer was not there yet.
                Err(nix::errno::Errno::ECONNREFUSED) => continue,
                Err(_) => return,
            };
            if let Ok(codes) = <[u8; FRAME]>::try_from(&datagram[HEADER.min(length)..length]) {
                if self.waiting.len() == WAITING {
                    self.waiting.pop_front();
                }
                self.waiting.push_back(codes);
            }
        }
    }

    fn send(&mut self, sum: &[i32; FRAME]) {
        for ((code, sum), own) in self.packet[HEADER..].iter_mut().zip(sum).zip(&self.heard) {
            *code = encoded((sum - i32::from(*own)).clamp(-32_768, 32_767));
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        self.packet[4..8].copy_from_slice(&(u32::from(self.sequence) * FRAME as u32).to_be_bytes());
        // A peer that is not there is no reason to stop.
        let _ = match self.peer {
            Some(peer) => self.socket.send_to(&self.packet, peer),
            None => self.socket.send(&self.packet),
        };
    }
}

/// ITU-T G.711 mu-law, one code to 16 bits.
fn decoded(code: u8) -> i16 {
    let code = !code;
    let magnitude = ((((i32::from(code) & 15) << 3) + 132) << ((code >> 4) & 7)) - 132;
    (if code & 0x80 == 0 { magnitude } else { -magnitude }) as i16
}

/// 16 bits to one mu-law code, as arithmetic that vectorizes: the segment is the exponent of the biased magnitude as a float.
fn encoded(sample: i32) -> u8 {
    let sign = sample >> 31;
    let magnitude = (sample ^ sign).min(32_635) + 132;
    let code = ((magnitude as f32).to_bits() as i32 >> 19) - (134 << 4);
    !(code | (sign & 0x80)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_decoding_and_encoding() {
        // 0x7f is the negative zero, which is sent as the positive one.
        for code in (0..=255).filter(|code| *code != 0x7f) {
            assert_eq!(encoded(i32::from(decoded(code))), code);
        }
    }
}
