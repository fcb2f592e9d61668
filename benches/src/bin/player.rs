//! Plays prepared RTP packets at their times from many sockets, and records what comes back with the kernel's time stamps.
//!
//! `./x bench` and `./x quality` prepare the packets (speech, tones, an impulse; with losses and delays where the plan has
//! them) and judge the record; this program only keeps time. A plan is one line of JSON (see [`Plan`]), then the packets in the
//! order of their times, each as: microseconds (u32), leg (u16), length (u16), bytes; little endian. A record is the same, with
//! microseconds as u64; packets of legs whose payload is not wanted keep only their 12 bytes of RTP header, and `length` says how
//! long they were. The first line of standard output says how well time was kept.
#![allow(missing_docs)]

use std::fs::{self, File};
use std::io::{self, BufWriter, IoSliceMut, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use clap::Parser;
use mixer::srtp::{Keys, MAX_OVERHEAD, Srtp, Suite};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use serde::Deserialize;

const HEADER: usize = 12;
/// A leg that sends nothing is looked at so often.
const LOOK: Duration = Duration::from_millis(20);

#[derive(Parser)]
#[command(about = "Plays prepared RTP packets on time and records the answers: a part of ./x bench.")]
struct Options {
    /// What to play.
    #[arg(long)]
    plan: PathBuf,
    /// Where the record goes.
    #[arg(long)]
    record: PathBuf,
}

/// The first line of a plan.
#[derive(Deserialize)]
struct Plan {
    legs: Vec<LegPlan>,
    /// How long to play.
    seconds: f64,
    /// The packets are played again after so many microseconds; 0: once.
    loop_us: u32,
}

#[derive(Deserialize)]
struct LegPlan {
    local: SocketAddr,
    remote: SocketAddr,
    /// Is the payload recorded?
    payload: bool,
    /// The keys, where the leg speaks SRTP.
    srtp: Option<KeyPlan>,
    /// What RTP's sequence number and timestamp advance by from one round of the loop to the next.
    sequence_step: u16,
    timestamp_step: u32,
}

/// The keys of a leg, each as key and salt in hexadecimal.
#[derive(Deserialize)]
struct KeyPlan {
    /// By its name in SDP.
    suite: String,
    /// What we send with, and what the bridge does.
    ours: String,
    theirs: String,
}

impl KeyPlan {
    fn open(&self) -> Result<(Srtp, Srtp), String> {
        let suite = Suite::from_name(&self.suite).ok_or_else(|| format!("{} is no suite", self.suite))?;
        let key = |text: &str| {
            let digits = (0..text.len() / 2).map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16));
            let bytes = digits.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
            Keys::new(suite, &bytes, None).map(Srtp::new).map_err(|error| error.to_string())
        };
        Ok((key(&self.ours)?, key(&self.theirs)?))
    }
}

struct Leg {
    plan: LegPlan,
    socket: UdpSocket,
    /// Egress and ingress.
    srtp: Option<(Srtp, Srtp)>,
}

struct Due<'a> {
    at: u32,
    leg: usize,
    bytes: &'a [u8],
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    let file = fs::read(&options.plan)?;
    let line = file.iter().position(|byte| *byte == b'\n').ok_or("a plan begins with a line of JSON")?;
    let plan: Plan = serde_json::from_slice(&file[..line])?;
    let packets = packets(&file[line + 1..]).ok_or("a plan ends with whole packets")?;
    let legs = plan.legs.into_iter().map(Leg::open).collect::<io::Result<Vec<_>>>()?;
    if packets.iter().any(|due| due.leg >= legs.len() || due.bytes.len() < HEADER) {
        return Err("a packet belongs to no leg, or is not RTP".into());
    }
    let mut player = Player {
        legs,
        record: Vec::with_capacity(64 << 20),
        start: Clock::now(),
        late: Vec::new(),
        rejected: 0,
    };
    player.play(&packets, Duration::from_secs_f64(plan.seconds), plan.loop_us);
    let mut out = BufWriter::new(File::create(&options.record)?);
    out.write_all(&player.record)?;
    out.flush()?;
    player.late.sort_unstable();
    let at = |permille: usize| player.late.get(player.late.len() * permille / 1000).copied().unwrap_or(0);
    println!(
        "{{\"sent\": {}, \"late_us\": {{\"p50\": {}, \"p99\": {}, \"p99.9\": {}}}, \"started\": {}, \"rejected\": {}}}",
        player.late.len(),
        at(500),
        at(990),
        at(999),
        player.start.real.as_secs_f64(),
        player.rejected
    );
    Ok(())
}

fn packets(mut bytes: &[u8]) -> Option<Vec<Due<'_>>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (head, rest) = bytes.split_first_chunk::<8>()?;
        let at = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let leg = u16::from_le_bytes([head[4], head[5]]).into();
        let (body, rest) = rest.split_at_checked(u16::from_le_bytes([head[6], head[7]]).into())?;
        all.push(Due { at, leg, bytes: body });
        bytes = rest;
    }
    Some(all)
}

/// The same moment on both clocks: the kernel stamps with the wall clock.
struct Clock {
    monotonic: Instant,
    real: Duration,
}

impl Clock {
    fn now() -> Self {
        let real = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { monotonic: Instant::now(), real }
    }
}

struct Player {
    legs: Vec<Leg>,
    record: Vec<u8>,
    start: Clock,
    /// How late each packet was sent, in microseconds.
    late: Vec<u32>,
    /// Datagrams that were not authentic.
    rejected: u64,
}

impl Player {
    fn play(&mut self, packets: &[Due<'_>], length: Duration, loop_us: u32) {
        let end = self.start.monotonic + length;
        let mut look = self.start.monotonic;
        let mut round = 0;
        while Instant::now() < end {
            let began = self.start.monotonic + Duration::from_micros(u64::from(loop_us)) * round;
            for due in packets {
                let at = began + Duration::from_micros(due.at.into());
                if at >= end {
                    break;
                }
                self.look_until(at, &mut look);
                self.late.push(Instant::now().saturating_duration_since(at).as_micros() as u32);
                self.send(due, round);
            }
            round += 1;
            if loop_us == 0 {
                self.look_until(end, &mut look);
            }
        }
        self.look_at_all();
    }

    /// Sleeps until `at`; every [`LOOK`] all sockets are read.
    fn look_until(&mut self, at: Instant, look: &mut Instant) {
        loop {
            let next = at.min(*look + LOOK);
            thread::sleep(next.saturating_duration_since(Instant::now()));
            if next == at {
                return;
            }
            *look = next;
            self.look_at_all();
        }
    }

    fn look_at_all(&mut self) {
        for number in 0..self.legs.len() {
            self.receive(number);
        }
    }

    fn send(&mut self, due: &Due<'_>, round: u32) {
        let leg = &mut self.legs[due.leg];
        let mut buffer = [0; 2048];
        let length = due.bytes.len().min(2048 - MAX_OVERHEAD);
        let packet = &mut buffer[..length];
        packet.copy_from_slice(&due.bytes[..length]);
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let sequence = sequence.wrapping_add(leg.plan.sequence_step.wrapping_mul(round as u16));
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        let timestamp = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
        let timestamp = timestamp.wrapping_add(leg.plan.timestamp_step.wrapping_mul(round));
        packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
        let length = match &mut leg.srtp {
            // What cannot be protected is not sent, and the record shows it.
            Some((egress, _)) => egress.protect(&mut buffer, length).unwrap_or(0),
            None => length,
        };
        // Nobody there yet, or no longer: the record shows it.
        let _ = leg.socket.send(&buffer[..length]);
    }

    fn receive(&mut self, number: usize) {
        let leg = &mut self.legs[number];
        let mut datagram = [0_u8; 2048];
        let mut control = [0_u8; 64];
        loop {
            let mut slices = [IoSliceMut::new(&mut datagram)];
            let (socket, flags) = (leg.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
            let (length, at) =
                match recvmsg::<SockaddrStorage>(socket, &mut slices, Some(&mut control[..]), flags) {
                    Ok(message) => (message.bytes, stamp(&message)),
                    Err(nix::errno::Errno::ECONNREFUSED) => continue,
                    Err(_) => return,
                };
            let at =
                at.map_or_else(|| self.start.monotonic.elapsed(), |at| at.saturating_sub(self.start.real));
            let authentic = match &mut leg.srtp {
                Some((_, ingress)) => ingress.unprotect(&mut datagram[..length]).ok(),
                None => Some(length),
            };
            let Some(length) = authentic else {
                self.rejected += 1;
                continue;
            };
            let kept = if leg.plan.payload { length } else { length.min(HEADER) };
            self.record.extend_from_slice(&(at.as_micros() as u64).to_le_bytes());
            self.record.extend_from_slice(&(number as u16).to_le_bytes());
            self.record.extend_from_slice(&(length as u16).to_le_bytes());
            self.record.extend_from_slice(&datagram[..kept]);
        }
    }
}

impl Leg {
    fn open(plan: LegPlan) -> io::Result<Self> {
        let socket = UdpSocket::bind(plan.local)?;
        socket.connect(plan.remote)?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        let srtp = plan.srtp.as_ref().map(KeyPlan::open).transpose().map_err(io::Error::other)?;
        Ok(Self { plan, socket, srtp })
    }
}

fn stamp(message: &nix::sys::socket::RecvMsg<'_, '_, SockaddrStorage>) -> Option<Duration> {
    message.cmsgs().ok()?.find_map(|one| match one {
        ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
        _ => None,
    })
}
