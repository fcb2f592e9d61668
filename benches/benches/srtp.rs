//! SRTP per packet: 20 ms of PCMU, 172 bytes with the header, by suite and direction. And per leg: what a media thread does in
//! one period besides its system calls, for a conference of ten legs that all talk, in the clear and with SRTP both ways.
#![allow(missing_docs)] // criterion's macros generate undocumented functions

use std::hint::black_box;
use std::time::{Duration, Instant};

use benches::room::leg_config;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mixer::srtp::{Keys, LegSrtp, MAX_OVERHEAD, Srtp, SrtpConfig, Suite};
use mixer::{Codec, Command, ConferenceId, G711, Leg, Seat, Shard, ShardConfig, TICK};

const LENGTH: usize = 172;

/// The packet with this sequence number, and room behind it.
fn packet(sequence: u16) -> [u8; LENGTH + MAX_OVERHEAD] {
    let mut packet = [0x55; LENGTH + MAX_OVERHEAD];
    packet[..4].copy_from_slice(&[0x80, 0, (sequence >> 8) as u8, sequence as u8]);
    packet
}

fn srtp(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mixer/srtp");
    group.sample_size(50).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    for suite in Suite::ALL {
        let keys = Keys::new(suite, &[7; 64][..suite.master_len()], None).expect("of the right length");
        let mut sender = Srtp::new(keys.clone());
        let mut sequence = 0_u16;
        group.bench_function(format!("protect/{}", suite.name()), |bencher| {
            bencher.iter(|| {
                sequence = sequence.wrapping_add(1);
                let mut packet = packet(sequence);
                black_box(sender.protect(&mut packet, LENGTH)).expect("each number once");
                packet
            });
        });
        let (mut sender, mut receiver) = (Srtp::new(keys.clone()), Srtp::new(keys));
        let mut sequence = 0_u16;
        group.bench_function(format!("unprotect/{}", suite.name()), |bencher| {
            bencher.iter_batched_ref(
                || {
                    sequence = sequence.wrapping_add(1);
                    let mut packet = packet(sequence);
                    let length = sender.protect(&mut packet, LENGTH).expect("each number once");
                    (packet, length)
                },
                |(packet, length)| black_box(receiver.unprotect(&mut packet[..*length])).expect("authentic"),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// Legs in the conference.
const LEGS: usize = 10;

/// What arrives in one period: a datagram for each leg.
type Arrivals = Vec<Vec<u8>>;

/// The far ends: their sequence number, and their keys where they have some.
struct Far {
    srtp: Vec<Srtp>,
    sequence: u16,
}

impl Far {
    fn speak(&mut self) -> Arrivals {
        self.sequence = self.sequence.wrapping_add(1);
        let speak = |n: usize| {
            let mut datagram = packet(self.sequence);
            datagram[4..8].copy_from_slice(&(u32::from(self.sequence) * 160).to_be_bytes());
            let speech: [i16; 160] = std::array::from_fn(|i| ((i * (n + 7) * 977) % 8_000) as i16 - 4_000);
            G711::Pcmu.encode(&speech, &mut datagram[12..LENGTH]);
            let srtp = self.srtp.get_mut(n);
            let length =
                srtp.map_or(LENGTH, |srtp| srtp.protect(&mut datagram, LENGTH).expect("each number once"));
            datagram[..length].to_vec()
        };
        (0..LEGS).map(speak).collect()
    }
}

fn conference(suite: Option<Suite>) -> (Shard<()>, Far) {
    let conference = ConferenceId(1);
    let now = Instant::now();
    let mut shard = Shard::new(ShardConfig { seats: LEGS, ..ShardConfig::default() });
    shard.apply(now, Command::Open { conference, seats: LEGS });
    let mut far = Far { srtp: Vec::new(), sequence: 0 };
    for n in 0..LEGS {
        let mut leg = Leg::new(leg_config(n, Codec::Pcmu));
        if let Some(suite) = suite {
            let keys =
                Keys::new(suite, &[n as u8; 64][..suite.master_len()], None).expect("of the right length");
            leg.secure(now, LegSrtp::new(SrtpConfig { ingress: keys.clone(), egress: keys.clone() }));
            far.srtp.push(Srtp::new(keys));
        }
        shard.apply(now, Command::Seat { conference, seat: Box::new(Seat { leg, io: () }) });
    }
    (shard, far)
}

fn legs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mixer/srtp/period");
    group.sample_size(50).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    group.throughput(Throughput::Elements(LEGS as u64));
    for suite in std::iter::once(None).chain(Suite::ALL.map(Some)) {
        let (mut shard, mut far) = conference(suite);
        let mut now = Instant::now();
        group.bench_function(suite.map_or("clear", Suite::name), |bencher| {
            bencher.iter_batched_ref(
                || far.speak(),
                |arrivals| {
                    for (seat, datagram) in shard.seats_mut().zip(arrivals) {
                        black_box(seat.leg.ingress_rtp(now, datagram));
                    }
                    now += TICK;
                    shard.tick(now);
                    for seat in shard.seats_mut() {
                        black_box(seat.leg.egress());
                    }
                    while shard.poll_report().is_some() {}
                },
                BatchSize::SmallInput,
            );
        });
        let rejected: u64 = shard.seats_mut().map(|seat| seat.leg.stats().srtp.rejected.total()).sum();
        assert_eq!(rejected, 0, "the benchmark measures what is taken");
    }
    group.finish();
}

criterion_group!(benches, srtp, legs);
criterion_main!(benches);
