//! What a 20 ms frame costs in every codec, to encode, to decode and to meter without decoding, and in every resampling ratio.
//! The frames are two seconds of a synthetic voice, so that no codec sees silence or one frame again and again.
#![allow(missing_docs)] // criterion's macros generate undocumented functions

use std::f64::consts::TAU;
use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use mixer::codec::{MAX_DECODED, MAX_PAYLOAD};
use mixer::resample::Resampler;
use mixer::units::{MAX_FRAME, Rate};
use mixer::{Codec, Decoder, Encoder, OpusFormat};

fn codecs() -> Vec<(String, Codec)> {
    let mut codecs =
        vec![("pcmu".into(), Codec::Pcmu), ("pcma".into(), Codec::Pcma), ("g722".into(), Codec::G722)];
    for rate in Rate::ALL {
        for complexity in [0, 5, 6, 10] {
            let format = OpusFormat { complexity, ..OpusFormat::speech(rate) };
            codecs.push((format!("opus_{}k_c{complexity}", rate.hz() / 1000), Codec::Opus(format)));
        }
    }
    codecs
}

fn voice(rate: Rate) -> Vec<Vec<i16>> {
    let sample = |n: usize| {
        let time = n as f64 / f64::from(rate.hz());
        let envelope = (TAU * 1.5 * time).sin().abs();
        let pitch = TAU * (130.0 * time + 2.0 * (TAU * 3.0 * time).sin());
        let harmonics: f64 = (1..25).map(|k| (pitch * f64::from(k)).sin() / f64::from(k)).sum();
        let breath = ((n * 7_919) % 613) as f64 - 306.0;
        (6_000.0 * envelope * harmonics + breath) as i16
    };
    (0..100).map(|frame| (0..rate.frame()).map(|n| sample(frame * rate.frame() + n)).collect()).collect()
}

fn payloads(codec: Codec) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(codec);
    let mut payload = [0; MAX_PAYLOAD];
    let encode = |frame: Vec<i16>| {
        let length = encoder.encode(&frame, &mut payload);
        payload[..length].to_vec()
    };
    voice(codec.rate()).into_iter().map(encode).collect()
}

/// Measures one call with each of the inputs in turn.
fn measure<T>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, inputs: &[T], mut call: impl FnMut(&T)) {
    let mut inputs = inputs.iter().cycle();
    group.bench_function(name, |bencher| bencher.iter(|| call(inputs.next().expect("a cycle has no end"))));
}

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(30).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(300));
    group
}

fn encode(criterion: &mut Criterion) {
    let mut group = group(criterion, "codec/encode");
    for (name, codec) in codecs() {
        let mut encoder = Encoder::new(codec);
        let mut payload = [0; MAX_PAYLOAD];
        measure(&mut group, &name, &voice(codec.rate()), |frame| {
            black_box(encoder.encode(black_box(frame), &mut payload));
        });
    }
}

fn decode(criterion: &mut Criterion) {
    let mut group = group(criterion, "codec/decode");
    for (name, codec) in codecs() {
        let mut decoder = Decoder::new(codec);
        let mut pcm = vec![0; MAX_DECODED];
        measure(&mut group, &name, &payloads(codec), |payload| {
            black_box(decoder.decode(black_box(payload), &mut pcm)).expect("our own payload");
        });
    }
}

fn meter(criterion: &mut Criterion) {
    let mut group = group(criterion, "codec/meter");
    for (name, codec) in codecs() {
        measure(&mut group, &name, &payloads(codec), |payload| {
            black_box((codec.level(black_box(payload)), codec.is_silence(black_box(payload))));
        });
    }
}

fn resample(criterion: &mut Criterion) {
    let mut group = group(criterion, "resample");
    for from in Rate::ALL {
        for to in Rate::ALL.into_iter().filter(|to| *to != from) {
            let mut resampler = Resampler::new(from, to);
            let mut output = [0; MAX_FRAME];
            let name = format!("{}k_to_{}k", from.hz() / 1000, to.hz() / 1000);
            measure(&mut group, &name, &voice(from), |frame| {
                resampler.frame(black_box(frame), black_box(&mut output[..to.frame()]));
            });
        }
    }
}

criterion_group!(benches, encode, decode, meter, resample);
criterion_main!(benches);
