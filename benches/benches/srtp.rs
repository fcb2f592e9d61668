//! SRTP per packet: 20 ms of PCMU, 172 bytes with the header, by suite and direction. No allocation in any of it.
#![allow(missing_docs)] // criterion's macros generate undocumented functions

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use mixer::srtp::{Keys, MAX_OVERHEAD, Srtp, Suite};

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

criterion_group!(benches, srtp);
criterion_main!(benches);
