//! Many rooms of a mixer's shard, as a media thread finds them: between two legs the kernel has used the cache for itself.

use std::cell::RefCell;
use std::hint::black_box;
use std::time::Instant;

use mixer::codec::MAX_PAYLOAD;
use mixer::{Codec, Command, ConferenceId, Leg, PHASES, Seat, Shard, ShardConfig, TICK};

use crate::room::{HEADER, leg_config, payload, stamp};

/// Different payloads; they are the kernel's, and warm.
const PAYLOADS: usize = 16;

/// Bytes that the kernel touches to receive or to send a packet, about; and of its memory, more than the nearest caches hold.
const TOUCHED: usize = 3 * 1024;
const KERNEL: usize = 8 << 20;

/// A shard with rooms of PCMU legs, all of which send all the time.
pub struct Rooms {
    shard: Shard<()>,
    now: Instant,
    talk: Vec<Vec<u8>>,
    quiet: Vec<u8>,
    one_in: usize,
    period: u32,
    kernel: RefCell<Kernel>,
}

/// What the kernel does to the cache.
struct Kernel {
    memory: Vec<u8>,
    at: usize,
}

impl Rooms {
    /// So many rooms of so many legs, of which every `one_in`-th talks. Two seconds have passed.
    pub fn new(rooms: usize, legs: usize, one_in: usize) -> Self {
        let now = Instant::now();
        let mut shard = Shard::new(ShardConfig { seats: rooms * legs, ..ShardConfig::default() });
        for room in 0..rooms {
            let conference = ConferenceId(room as u64);
            shard.apply(now, Command::Open { conference, seats: legs });
            for leg in 0..legs {
                let leg = Leg::new(leg_config(room * legs + leg, Codec::Pcmu));
                shard.apply(now, Command::Seat { conference, seat: Box::new(Seat { leg, io: () }) });
            }
        }
        let talk = (0..PAYLOADS).map(|n| payload(n, Codec::Pcmu, true)).collect();
        let quiet = payload(0, Codec::Pcmu, false);
        let kernel = RefCell::new(Kernel { memory: vec![1; KERNEL], at: 0 });
        let mut rooms = Self { shard, now, talk, quiet, one_in, period: 0, kernel };
        for _ in 0..100 {
            rooms.period();
        }
        rooms
    }

    /// 20 ms of a media thread; in place of each of its system calls as much memory is used as that uses. Returns the bytes that left.
    pub fn period(&mut self) -> usize {
        self.period += 1;
        let Self { shard, now, talk, quiet, one_in, period, kernel } = self;
        let mut datagram = [0; HEADER + MAX_PAYLOAD];
        datagram[0] = 0x80;
        stamp(&mut datagram, *period, Codec::Pcmu.clock_rate() / 50);
        let mut left = 0;
        for phase in 0..PHASES {
            shard.phase(
                phase,
                *now + TICK,
                |seat| {
                    kernel.borrow_mut().call();
                    let leg = seat.leg.id().0 as usize;
                    let payload = if leg.is_multiple_of(*one_in) { &talk[leg % PAYLOADS] } else { &*quiet };
                    datagram[8..HEADER].copy_from_slice(&(leg as u32).to_be_bytes());
                    datagram[HEADER..HEADER + payload.len()].copy_from_slice(payload);
                    seat.leg.ingress_rtp(*now, &datagram[..HEADER + payload.len()]);
                },
                |seat| {
                    left += seat.leg.egress().map_or(0, |packet| black_box(packet).len());
                    kernel.borrow_mut().call();
                },
            );
        }
        self.now += TICK;
        while shard.poll_report().is_some() {}
        left
    }
}

impl Kernel {
    fn call(&mut self) {
        self.at = (self.at + TOUCHED) % (KERNEL - TOUCHED);
        let touched = &mut self.memory[self.at..][..TOUCHED];
        touched.iter_mut().step_by(64).for_each(|byte| *byte = byte.wrapping_add(1));
        black_box(touched);
    }
}
