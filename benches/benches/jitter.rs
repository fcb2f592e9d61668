//! The jitter buffer of one leg: an iteration is one packet in and 20 ms out, decoded.
#![allow(missing_docs)] // criterion's macros generate undocumented functions

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use mixer::codec::{Codec, Encoder, MAX_PAYLOAD, OpusFormat};
use mixer::jitter::Playout;
use mixer::units::Rate;
use mixer::{RtpTime, SeqNo, TICK};

/// A sender, the network and the buffer.
struct Line {
    playout: Playout,
    codec: Codec,
    payloads: Vec<Vec<u8>>,
    now: Instant,
    sent: u32,
}

impl Line {
    fn new(codec: Codec, amplitude: f64) -> Self {
        let mut encoder = Encoder::new(codec);
        let mut payload = [0; MAX_PAYLOAD];
        let frame = codec.rate().frame();
        let payloads = (0..50)
            .map(|packet| {
                // A voice of 125 Hz: harmonics that fall with their number.
                let pcm: Vec<i16> = (packet * frame..(packet + 1) * frame)
                    .map(|n| {
                        let phase = n as f64 * 125.0 * std::f64::consts::TAU / f64::from(codec.rate().hz());
                        (1..9).map(|k| (phase * f64::from(k)).sin() * amplitude / f64::from(k)).sum::<f64>()
                            as i16
                    })
                    .collect();
                let length = encoder.encode(&pcm, &mut payload);
                payload[..length].to_vec()
            })
            .collect();
        let mut line =
            Self { playout: Playout::new(&[codec]), codec, payloads, now: Instant::now(), sent: 0 };
        (0..500).for_each(|_| line.period(true, Duration::ZERO, None));
        line
    }

    fn period(&mut self, arrives: bool, late: Duration, unheard_below: Option<u16>) {
        let payload = &self.payloads[self.sent as usize % self.payloads.len()];
        if arrives {
            let time = RtpTime::new(self.sent.wrapping_mul(self.codec.clock_rate() / 50));
            let arrival = self.now + Duration::from_millis(8) + late;
            self.playout.push(SeqNo::new(self.sent as u16), time, self.codec, payload, arrival);
        }
        self.sent = self.sent.wrapping_add(1);
        self.now += TICK;
        black_box(self.playout.pull(self.now, unheard_below));
        black_box(self.playout.samples());
    }
}

fn jitter(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mixer/jitter");
    group.sample_size(30).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(300));
    for codec in [Codec::Pcmu, Codec::G722, Codec::Opus(OpusFormat::speech(Rate::Wide))] {
        let name = codec.name();
        let mut line = Line::new(codec, 3_000.0);
        group.bench_function(format!("{name}/in_order"), |bencher| {
            bencher.iter(|| line.period(true, Duration::ZERO, None));
        });
        group.bench_function(format!("{name}/every_tenth_lost"), |bencher| {
            bencher.iter(|| line.period(!line.sent.is_multiple_of(10), Duration::ZERO, None));
        });
        // Every second one is lost, and the next is waited for: what a concealed packet costs is twice this less one in order.
        group.bench_function(format!("{name}/every_second_lost"), |bencher| {
            bencher.iter(|| line.period(line.sent.is_multiple_of(2), Duration::ZERO, None));
        });
        // Twice a second a packet comes 60 ms late, so that the delay grows and is cut again all the time.
        group.bench_function(format!("{name}/stretching"), |bencher| {
            bencher.iter(|| {
                let late = if line.sent.is_multiple_of(25) { 60 } else { 0 };
                line.period(true, Duration::from_millis(late), None);
            });
        });
    }
    let mut line = Line::new(Codec::Pcmu, 10.0);
    group.bench_function("PCMU/silence_that_nobody_hears", |bencher| {
        bencher.iter(|| line.period(true, Duration::ZERO, Some(24)));
    });
    group.finish();
}

criterion_group!(benches, jitter);
criterion_main!(benches);
