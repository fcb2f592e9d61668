//! A room of a mixer's shard, without sockets.

use std::time::{Duration, Instant};

use mixer::{
    Codec, Command, ConferenceId, Direction, FRAME, G711, Leg, LegConfig, LegId, MediaConfig, PayloadType,
    Ptime, RtpTime, Seat, SeqNo, Shard, ShardConfig, Ssrc, TICK,
};

const HEADER: usize = 12;

/// A shard with one conference of PCMU legs, and the packets of one period, which are sent again and again.
pub struct Room {
    shard: Shard<()>,
    now: Instant,
    packets: Vec<[u8; HEADER + FRAME]>,
    period: u32,
}

impl Room {
    /// So many legs, of which every `one_in`-th talks. Two seconds have passed, so that jitter buffers and talkers have settled.
    pub fn new(legs: usize, one_in: usize) -> Self {
        let now = Instant::now();
        let conference = ConferenceId(1);
        let mut shard = Shard::new(ShardConfig { seats: legs, ..ShardConfig::default() });
        shard.apply(now, Command::Open { conference, seats: legs });
        let mut packets = Vec::new();
        for n in 0..legs {
            let seat = Box::new(Seat { leg: Leg::new(config(n)), io: () });
            shard.apply(now, Command::Seat { conference, seat });
            packets.push(packet(n, n.is_multiple_of(one_in)));
        }
        let mut room = Self { shard, now, packets, period: 0 };
        for _ in 0..100 {
            room.period();
        }
        room
    }

    /// What a media thread does in 20 ms besides its system calls: one packet into every leg, one tick, one look at every
    /// packet that leaves. Returns the bytes that left.
    pub fn period(&mut self) -> usize {
        self.period += 1;
        let sequence = (self.period as u16).to_be_bytes();
        let timestamp = (self.period * FRAME as u32).to_be_bytes();
        for (seat, packet) in self.shard.seats_mut().zip(&mut self.packets) {
            packet[2..4].copy_from_slice(&sequence);
            packet[4..8].copy_from_slice(&timestamp);
            seat.leg.ingress_rtp(self.now, packet);
        }
        self.now += TICK;
        self.shard.tick(self.now);
        let left = self.shard.seats_mut().map(|seat| seat.leg.egress().map_or(0, <[u8]>::len)).sum();
        while self.shard.poll_report().is_some() {}
        left
    }
}

fn packet(n: usize, talks: bool) -> [u8; HEADER + FRAME] {
    let mut packet = [0; HEADER + FRAME];
    packet[0] = 0x80;
    packet[8..12].copy_from_slice(&(n as u32).to_be_bytes());
    let speech: [i16; FRAME] = std::array::from_fn(|i| ((i * (n + 7) * 977) % 8_000) as i16 - 4_000);
    G711::Pcmu.encode(if talks { &speech } else { &[0; FRAME] }, &mut packet[HEADER..]);
    packet
}

fn config(n: usize) -> LegConfig {
    LegConfig {
        id: LegId(n as u64),
        media: MediaConfig {
            codec: Codec::Pcmu,
            audio_pt: PayloadType::PCMU,
            event_pt: None,
            event_clock_rate: 8_000,
            ptime: Ptime::Ms20,
            audio_level: None,
        },
        direction: Direction::SendRecv,
        ssrc: Ssrc::new(n as u32),
        first_sequence: SeqNo::new(0),
        first_timestamp: RtpTime::new(0),
        cname: "bench".into(),
        csrc: true,
        silent_after: Duration::from_hours(1),
    }
}
