//! The mixer's tick at 3, 10, 100 and 1000 legs of one conference, all talking and 20 % talking. Every leg sends a packet every
//! 20 ms, as legs of a PSTN bridge do; an iteration is what a media thread does in one period besides its system calls: one
//! packet into every leg, one tick, one look at every packet that leaves.
#![allow(missing_docs)] // criterion's macros generate undocumented functions

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mixer::{
    Codec, Command, ConferenceId, Direction, FRAME, G711, Leg, LegConfig, LegId, MediaConfig, PayloadType,
    Ptime, RtpTime, Seat, SeqNo, Shard, ShardConfig, Ssrc, TICK,
};

/// A shard with one conference of `legs`, of which every `one_in`-th talks, and the packets of one period.
struct Room {
    shard: Shard<()>,
    now: Instant,
    packets: Vec<[u8; 12 + FRAME]>,
    period: u32,
}

impl Room {
    fn new(legs: usize, one_in: usize) -> Self {
        let now = Instant::now();
        let conference = ConferenceId(1);
        let mut shard = Shard::new(ShardConfig { seats: legs, ..ShardConfig::default() });
        shard.apply(now, Command::Open { conference, seats: legs });
        let mut packets = Vec::new();
        for n in 0..legs {
            let seat = Box::new(Seat { leg: Leg::new(config(n)), io: () });
            shard.apply(now, Command::Seat { conference, seat });
            let mut packet = [0; 12 + FRAME];
            packet[0] = 0x80;
            packet[8..12].copy_from_slice(&(n as u32).to_be_bytes());
            let speech: [i16; FRAME] = std::array::from_fn(|i| ((i * (n + 7) * 977) % 8_000) as i16 - 4_000);
            let pcm = if n % one_in == 0 { speech } else { [0; FRAME] };
            G711::Pcmu.encode(&pcm, &mut packet[12..]);
            packets.push(packet);
        }
        let mut room = Self { shard, now, packets, period: 0 };
        (0..100).for_each(|_| room.period());
        room
    }

    fn period(&mut self) {
        self.period += 1;
        let (sequence, timestamp) =
            ((self.period as u16).to_be_bytes(), (self.period * FRAME as u32).to_be_bytes());
        for (seat, packet) in self.shard.seats_mut().zip(&mut self.packets) {
            packet[2..4].copy_from_slice(&sequence);
            packet[4..8].copy_from_slice(&timestamp);
            seat.leg.ingress_rtp(self.now, packet);
        }
        self.now += TICK;
        self.shard.tick(self.now);
        for seat in self.shard.seats_mut() {
            black_box(seat.leg.egress());
        }
        while self.shard.poll_report().is_some() {}
    }
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

fn tick(criterion: &mut Criterion) {
    for (name, one_in) in [("all_talking", 1), ("fifth_talking", 5)] {
        let mut group = criterion.benchmark_group(format!("mixer/period/{name}"));
        group
            .sample_size(30)
            .measurement_time(Duration::from_secs(2))
            .warm_up_time(Duration::from_millis(500));
        for legs in [3, 10, 100, 1_000] {
            let mut room = Room::new(legs, one_in);
            group.throughput(Throughput::Elements(legs as u64));
            group.bench_function(BenchmarkId::from_parameter(legs), |bencher| bencher.iter(|| room.period()));
        }
        group.finish();
    }
}

criterion_group!(benches, tick);
criterion_main!(benches);
