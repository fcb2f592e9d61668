//! The mixer's tick at 3, 10, 100 and 1000 legs of one conference, all talking and 20 % talking, and rooms on G.722 and Opus. Every
//! leg sends a packet every 20 ms, as legs of a PSTN bridge do; an iteration is what a media thread does in one period besides its
//! system calls: one packet into every leg, one tick, one look at every packet that leaves. `cold`: many rooms, and in place of each
//! system call as much memory is used as that uses.
#![allow(missing_docs)] // criterion's macros generate undocumented functions

use std::hint::black_box;
use std::time::Duration;

use benches::{Room, Rooms};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mixer::{Codec, OpusFormat, Rate};

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
            group.bench_function(BenchmarkId::from_parameter(legs), |bencher| {
                bencher.iter(|| black_box(room.period()));
            });
        }
        group.finish();
    }
}

/// A hundred legs, three of which talk: what one encode for all listeners is worth.
fn codecs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mixer/period/three_of_100_talk");
    group.sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    let opus = Codec::Opus(OpusFormat::speech(Rate::Wide));
    for (name, codec) in [("pcmu", Codec::Pcmu), ("g722", Codec::G722), ("opus_16_khz", opus)] {
        let mut room = Room::with_codec(100, 34, codec);
        group.throughput(Throughput::Elements(100));
        group.bench_function(name, |bencher| bencher.iter(|| black_box(room.period())));
    }
    group.finish();
}

fn cold(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mixer/period/cold");
    group.sample_size(50).measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_millis(500));
    for (name, rooms, legs, one_in) in
        [("100x3", 100, 3, 1), ("20x10", 20, 10, 1), ("1x300", 1, 300, 1), ("1x300_fifth_talking", 1, 300, 5)]
    {
        let mut all = Rooms::new(rooms, legs, one_in);
        group.throughput(Throughput::Elements((rooms * legs) as u64));
        group.bench_function(name, |bencher| bencher.iter(|| black_box(all.period())));
    }
    group.finish();
}

criterion_group!(benches, tick, codecs, cold);
criterion_main!(benches);
