//! Speech through networks, on virtual time: every line is one, with what must still hold of what is heard.

use std::time::{Duration, Instant};

use mixer::codec::{Codec, OpusFormat};
use mixer::jitter::{Playout, PlayoutStats, Pull};
use mixer::units::Rate;
use mixer::{RtpTime, SeqNo, TICK};

use crate::phone::{Seeded, epoch};
use crate::speech::{decoded, largest_step, likeness, packets, speech};

/// name | codec | packet ms | jitter ms | loss % | packets lost in a row | reordered % by 30 ms | twice % | drift ppm || at most:
/// concealed besides what was lost %, late %, delay ms at the 50th and the 99th percentile, largest step in % of the speech's own
/// || at least: likeness %.
///
/// Less than nothing concealed: that much of what was lost came back as a copy in the next packet, which is waited for.
const SCENARIOS: &str = "
a perfect line              | PCMU | 20  |   0 |  0 | 1 | 0 |   0 |    0 || 0   | 0   |  25 |  25 | 100 || 99
packets of 10 ms            | PCMA | 10  |   0 |  0 | 1 | 0 |   0 |    0 || 0   | 0   |  25 |  25 | 100 || 99
packets of 30 ms            | PCMU | 30  |   0 |  0 | 1 | 0 |   0 |    0 || 0   | 0   |  25 |  25 | 100 || 99
packets of 60 ms            | PCMA | 60  |   0 |  0 | 1 | 0 |   0 |    0 || 0   | 0   |  25 |  25 | 100 || 99
packets of 120 ms           | PCMU | 120 |   0 |  0 | 1 | 0 |   0 |    0 || 0   | 0   |  25 |  25 | 100 || 99
G.722                       | G722 | 20  |   0 |  0 | 1 | 0 |   0 |    0 || 0   | 0   |  25 |  25 | 100 || 99
Opus                        | opus | 20  |   0 |  0 | 1 | 0 |   0 |    0 || 0   | 0   |  25 |  25 | 100 || 99
jitter of 20 ms             | PCMU | 20  |  20 |  0 | 1 | 0 |   0 |    0 || 0.2 | 0.2 |  40 |  45 | 110 || 95
jitter of 60 ms             | PCMA | 20  |  60 |  0 | 1 | 0 |   0 |    0 || 0.5 | 0.5 |  80 | 100 | 110 || 95
jitter of 100 ms            | PCMU | 20  | 100 |  0 | 1 | 0 |   0 |    0 || 1   | 1   | 125 | 135 | 110 || 90
jitter of 100 ms, G.722     | G722 | 20  | 100 |  0 | 1 | 0 |   0 |    0 || 1   | 1   | 125 | 135 | 110 || 90
jitter of 100 ms, Opus      | opus | 20  | 100 |  0 | 1 | 0 |   0 |    0 || 1   | 1   | 125 | 135 | 130 || 90
1 % lost                    | PCMU | 20  |   0 |  1 | 1 | 0 |   0 |    0 || 0   | 0   |  45 |  45 | 110 || 95
5 % lost                    | PCMU | 20  |   0 |  5 | 1 | 0 |   0 |    0 || 0   | 0   |  45 |  45 | 115 || 90
5 % lost, G.722             | G722 | 20  |   0 |  5 | 1 | 0 |   0 |    0 || 0   | 0   |  45 |  45 | 130 || 90
5 % lost, Opus at 32 kbit/s | op32 | 20  |   0 |  5 | 1 | 0 |   0 |    0 || -2.5 | 0  |  45 |  45 | 110 || 95
10 % lost, three in a row   | PCMA | 20  |   5 | 10 | 3 | 0 |   0 |    0 || 0.5 | 0.5 |  40 |  45 | 130 || 75
5 % reordered               | PCMU | 20  |   0 |  0 | 1 | 5 |   0 |    0 || 0.2 | 0.2 |  50 |  60 | 110 || 95
everything twice            | PCMU | 20  |   5 |  0 | 1 | 0 | 100 |    0 || 0.2 | 0   |  35 |  40 | 110 || 95
a fast clock                | PCMU | 20  |   2 |  0 | 1 | 0 |   0 |  200 || 0   | 0   |  30 |  40 | 110 || 95
a slow clock                | PCMA | 20  |   2 |  0 | 1 | 0 |   0 | -200 || 0   | 0   |  30 |  40 | 110 || 95
everything at once          | PCMU | 20  |  40 |  3 | 2 | 3 |   3 |  100 || 1   | 0.6 |  95 | 110 | 130 || 80
everything at once, Opus    | opus | 20  |  40 |  3 | 2 | 3 |   3 | -100 || 1   | 0.5 |  95 | 110 | 180 || 80
";

struct Network {
    packet_ms: u64,
    jitter_ms: u64,
    loss: u64,
    burst: u64,
    reorder: u64,
    twice: u64,
    drift_ppm: i64,
}

struct Outcome {
    sent: u64,
    lost: Duration,
    stats: PlayoutStats,
    delays: Vec<Duration>,
    heard: Vec<i16>,
}

impl Network {
    /// Packet numbers in the order of their arrival, and how much sound never arrives.
    fn deliver(&self, sent: u64, random: &mut Seeded) -> (Vec<(Duration, u64)>, Duration) {
        let (mut arrivals, mut lost, mut burst) = (Vec::new(), 0, 0);
        for n in 0..sent {
            let micros = (n + 1) * self.packet_ms * 1000;
            let micros = micros.saturating_add_signed(-(micros as i64 * self.drift_ppm / 1_000_000));
            if random.below(100 * self.burst) < self.loss {
                burst = self.burst;
            }
            if burst > 0 {
                (burst, lost) = (burst - 1, lost + 1);
                continue;
            }
            let late = if random.below(100) < self.reorder { 30_000 } else { 0 };
            let at = Duration::from_micros(micros + random.below(self.jitter_ms * 1000 + 1) + late + 6_500);
            arrivals.push((at, n));
            if random.below(100) < self.twice {
                arrivals.push((at + Duration::from_millis(random.below(30)), n));
            }
        }
        arrivals.sort();
        (arrivals, Duration::from_millis(lost * self.packet_ms))
    }

    fn run(&self, codec: Codec, payloads: &[Vec<u8>], seed: u64) -> Outcome {
        let start = epoch();
        let sent = payloads.len() as u64;
        let (arrivals, lost) = self.deliver(sent, &mut Seeded(seed));
        let mut arrivals = arrivals.into_iter().peekable();
        let mut playout = Playout::new(&[codec]);
        let (mut heard, mut delays) = (Vec::new(), Vec::new());
        let stamp = codec.clock_rate() / 1000 * self.packet_ms as u32;
        for tick in 1..sent * self.packet_ms / 20 {
            let now = TICK * tick as u32;
            while let Some((at, n)) = arrivals.next_if(|(at, _)| *at <= now) {
                let sequence = SeqNo::new((n as u16).wrapping_add(65_000));
                let timestamp = RtpTime::new(0xffff_f000_u32.wrapping_add(n as u32 * stamp));
                playout.push(sequence, timestamp, codec, &payloads[n as usize], start + at);
            }
            let pull = playout.pull(start + now, None);
            heard.extend_from_slice(playout.samples());
            if tick > 250 && pull == Pull::Speech {
                delays.push(playout.playout_delay());
            }
        }
        delays.sort();
        Outcome { sent, lost, stats: playout.stats(), delays, heard }
    }
}

fn codec(name: &str) -> Codec {
    match name {
        "PCMU" => Codec::Pcmu,
        "PCMA" => Codec::Pcma,
        "G722" => Codec::G722,
        // From here on libopus has bits to spare for copies of what may be lost.
        "op32" => Codec::Opus(OpusFormat { bitrate: 32_000, ..OpusFormat::speech(Rate::Wide) }),
        _ => Codec::Opus(OpusFormat::speech(Rate::Wide)),
    }
}

/// The same bytes in packets of another length; Opus stays at 20 ms.
fn in_packets_of(millis: u64, payloads: &[Vec<u8>]) -> Vec<Vec<u8>> {
    if millis == 20 {
        return payloads.to_vec();
    }
    payloads.concat().chunks_exact(8 * millis as usize).map(<[u8]>::to_vec).collect()
}

#[test]
fn speech_is_heard_as_it_was_said_through_every_network() {
    let mut failures = Vec::new();
    for line in SCENARIOS.lines().filter(|line| !line.is_empty()) {
        let fields: Vec<&str> = line.split('|').map(str::trim).filter(|field| !field.is_empty()).collect();
        let number = |place: usize| fields[place].parse::<u64>().expect("a number");
        let bound = |place: usize| fields[place].parse::<f64>().expect("a number");
        let network = Network {
            packet_ms: number(2),
            jitter_ms: number(3),
            loss: number(4),
            burst: number(5),
            reorder: number(6),
            twice: number(7),
            drift_ppm: fields[8].parse().expect("a number"),
        };
        let codec = codec(fields[1]);
        let payloads = packets(codec, &speech(codec.rate()));
        let said = decoded(codec, &payloads);
        for seed in 1..3 {
            let outcome = network.run(codec, &in_packets_of(network.packet_ms, &payloads), seed);
            let played = Duration::from_millis(outcome.sent * network.packet_ms).as_secs_f64();
            let extra = outcome.stats.concealed.as_secs_f64() - outcome.lost.as_secs_f64();
            let millis = |part: usize| {
                let delays = &outcome.delays;
                delays[(delays.len() - 1) * part / 100].as_secs_f64() * 1000.0
            };
            let found = [
                extra * 100.0 / played - 0.05,
                outcome.stats.late as f64 * 100.0 / outcome.sent as f64,
                millis(50),
                millis(99),
                f64::from(largest_step(&outcome.heard)) * 100.0 / f64::from(largest_step(&said)),
                -100.0 * likeness(&said, &outcome.heard, codec.rate()),
            ];
            let bounds = [bound(9), bound(10), bound(11), bound(12), bound(13), -bound(14)];
            if found.iter().zip(bounds).any(|(found, bound)| found.total_cmp(&bound).is_gt()) {
                failures.push(format!(
                    "{}, seed {seed}: {found:.1?} instead of {bounds:?}, {:?}",
                    fields[0], outcome.stats
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Pushes and pulls packets of 20 ms for so many ticks; `late` says by how much a packet comes late, `None` that it never comes.
fn hours(
    playout: &mut Playout,
    ticks: u64,
    ppm: i64,
    late: impl Fn(u64) -> Option<Duration>,
    mut each: impl FnMut(u64, &Playout),
) {
    let start: Instant = epoch();
    let payload = [0x23; 160];
    let mut next = 0_u64;
    for tick in 1..ticks {
        let now = TICK * tick as u32;
        loop {
            let micros = (next + 1) * 20_000;
            let at = Duration::from_micros(micros.saturating_add_signed(-(micros as i64 * ppm / 1_000_000)));
            let Some(at) = late(next).map(|late| at + late + Duration::from_millis(4)) else {
                next += 1;
                continue;
            };
            if at > now {
                break;
            }
            let (sequence, time) = (SeqNo::new(next as u16), RtpTime::new((next as u32).wrapping_mul(160)));
            playout.push(sequence, time, Codec::Pcmu, &payload, start + at);
            next += 1;
        }
        playout.pull(start + now, None);
        each(tick, playout);
    }
}

#[test]
fn eight_hours_of_drift_neither_let_the_delay_creep_nor_drop_anything_in_bursts() {
    for ppm in [200, -200] {
        let mut playout = Playout::new(&[Codec::Pcmu]);
        let (mut by_hour, mut stretched, mut most) = ([Duration::ZERO; 8], Duration::ZERO, Duration::ZERO);
        hours(
            &mut playout,
            8 * 3_600 * 50,
            ppm,
            |_| Some(Duration::ZERO),
            |tick, playout| {
                by_hour[(tick / 180_000) as usize] += playout.playout_delay() / 180_000;
                if tick % 50 == 0 {
                    let so_far = playout.stats().cut + playout.stats().put_in;
                    most = most.max(so_far.saturating_sub(stretched));
                    stretched = so_far;
                }
            },
        );
        let stats = playout.stats();
        assert_eq!((stats.late, stats.dropped, stats.overflowed, stats.concealed), (0, 0, 0, Duration::ZERO));
        let (least, greatest) = (by_hour.iter().min().copied(), by_hour.iter().max().copied());
        let creep = greatest.zip(least).map(|(most, least)| most.saturating_sub(least));
        assert!(creep <= Some(Duration::from_millis(5)), "{ppm} ppm: {by_hour:?}");
        assert!(most <= Duration::from_millis(30), "{ppm} ppm: {most:?} within a second");
        // 200 ppm of eight hours is 5760 ms.
        assert!((5_730..=5_790).contains(&stretched.as_millis()), "{ppm} ppm: {stats:?}");
    }
}

#[test]
fn the_delay_of_an_undisturbed_line_is_that_of_the_packet_and_the_wait_for_the_tick() {
    let mut playout = Playout::new(&[Codec::Pcmu]);
    hours(
        &mut playout,
        3_000,
        0,
        |_| Some(Duration::ZERO),
        |tick, playout| {
            // Packets come 4 ms after a tick, so they wait 16 ms for the next; they are not kept for another.
            assert!(tick < 10 || playout.playout_delay() == Duration::from_millis(16));
        },
    );
}
