//! A room of a mixer's shard, without sockets.

use std::time::{Duration, Instant};

use mixer::codec::MAX_PAYLOAD;
use mixer::{
    Codec, Command, ConferenceId, Direction, Encoder, Leg, LegConfig, LegId, MediaConfig, PayloadType, Ptime,
    RtpTime, Seat, SeqNo, Shard, ShardConfig, Ssrc, TICK,
};

pub(crate) const HEADER: usize = 12;

/// A shard with one conference of legs on one codec, and the packets of one period, which are sent again and again.
pub struct Room {
    shard: Shard<()>,
    now: Instant,
    packets: Vec<Vec<u8>>,
    /// Timestamp units of a period.
    step: u32,
    period: u32,
}

impl Room {
    /// So many PCMU legs, of which every `one_in`-th talks.
    pub fn new(legs: usize, one_in: usize) -> Self {
        Self::with_codec(legs, one_in, Codec::Pcmu)
    }

    /// So many legs on this codec, of which every `one_in`-th talks. Two seconds have passed, so that jitter buffers and talkers have settled.
    pub fn with_codec(legs: usize, one_in: usize, codec: Codec) -> Self {
        let now = Instant::now();
        let conference = ConferenceId(1);
        let mut shard = Shard::new(ShardConfig { seats: legs, ..ShardConfig::default() });
        shard.apply(now, Command::Open { conference, seats: legs });
        let mut packets = Vec::new();
        for n in 0..legs {
            let seat = Box::new(Seat { leg: Leg::new(leg_config(n, codec)), io: () });
            shard.apply(now, Command::Seat { conference, seat });
            packets.push(packet(n, codec, n.is_multiple_of(one_in)));
        }
        let step = codec.clock_rate() / 50;
        let mut room = Self { shard, now, packets, step, period: 0 };
        for _ in 0..100 {
            room.period();
        }
        room
    }

    /// What a media thread does in 20 ms besides its system calls: one packet into every leg, one tick, one look at every
    /// packet that leaves. Returns the bytes that left.
    pub fn period(&mut self) -> usize {
        self.period += 1;
        for (seat, packet) in self.shard.seats_mut().zip(&mut self.packets) {
            stamp(packet, self.period, self.step);
            seat.leg.ingress_rtp(self.now, packet);
        }
        self.now += TICK;
        self.shard.tick(self.now);
        let left = self.shard.seats_mut().map(|seat| seat.leg.egress().map_or(0, <[u8]>::len)).sum();
        while self.shard.poll_report().is_some() {}
        left
    }
}

/// The packet that the far end of leg `n` sends again and again.
fn packet(n: usize, codec: Codec, talks: bool) -> Vec<u8> {
    let mut packet = vec![0; HEADER];
    packet[0] = 0x80;
    packet[1] = payload_type(codec).to_wire();
    packet[8..HEADER].copy_from_slice(&(n as u32).to_be_bytes());
    packet.extend(payload(n, codec, talks));
    packet
}

/// What leg `n` says in a packet, or its silence.
pub(crate) fn payload(n: usize, codec: Codec, talks: bool) -> Vec<u8> {
    let speech = |i: usize| if talks { ((i * (n + 7) * 977) % 8_000) as i16 - 4_000 } else { 0 };
    let pcm: Vec<i16> = (0..codec.rate().frame()).map(speech).collect();
    let mut payload = vec![0; MAX_PAYLOAD];
    let length = Encoder::new(codec).encode(&pcm, &mut payload);
    payload.truncate(length);
    payload
}

/// Writes the sequence number and the timestamp of a period.
pub(crate) fn stamp(packet: &mut [u8], period: u32, step: u32) {
    packet[2..4].copy_from_slice(&(period as u16).to_be_bytes());
    packet[4..8].copy_from_slice(&period.wrapping_mul(step).to_be_bytes());
}

fn payload_type(codec: Codec) -> PayloadType {
    match codec {
        Codec::Pcmu => PayloadType::PCMU,
        Codec::Pcma => PayloadType::PCMA,
        Codec::G722 => PayloadType::new(9),
        Codec::Opus(_) => PayloadType::new(111),
    }
}

/// A leg that sends and receives 20 ms packets of `codec`; its number is its identity and its SSRC.
pub fn leg_config(n: usize, codec: Codec) -> LegConfig {
    LegConfig {
        id: LegId(n as u64),
        media: MediaConfig {
            codec,
            audio_pt: payload_type(codec),
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
