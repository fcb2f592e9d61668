//! The jitter buffer under bad networks: every line is a network, with what must still hold. Then properties over arbitrary ones.

use std::time::{Duration, Instant};

use mixer::codec::Codec;
use mixer::jitter::{Playout, PlayoutStats, Pull, Push};
use mixer::{G711, RtpTime, SeqNo, TICK};
use proptest::prelude::*;

use crate::phone::{Seeded, epoch};

/// name | packet ms | seconds | jitter ms | loss % | reorder % by 30 ms | duplicates % | drift ppm || at most: ticks concealed
/// besides the lost ones %, late packets %, delay at the end ms.
const NETWORKS: &str = "
perfect, 20 ms packets      | 20 |  60 |   0 |  0 | 0 |  0 |    0 || 0   | 0   |  30
perfect, 10 ms packets      | 10 |  60 |   0 |  0 | 0 |  0 |    0 || 0   | 0   |  30
perfect, 30 ms packets      | 30 |  60 |   0 |  0 | 0 |  0 |    0 || 0   | 0   |  30
perfect, 40 ms packets      | 40 |  60 |   0 |  0 | 0 |  0 |    0 || 0   | 0   |  30
perfect, 50 ms packets      | 50 |  60 |   0 |  0 | 0 |  0 |    0 || 0   | 0   |  30
perfect, 60 ms packets      | 60 |  60 |   0 |  0 | 0 |  0 |    0 || 0   | 0   |  30
a good line                 | 20 |  60 |   5 |  0 | 0 |  0 |    0 || 0.1 | 0   |  40
an office network           | 20 |  60 |  20 |  1 | 0 |  0 |    0 || 0.2 | 0   |  60
jitter of 60 ms             | 20 |  60 |  60 |  0 | 0 |  0 |    0 || 0.5 | 0.5 | 100
jitter of 100 ms            | 20 |  60 | 100 |  0 | 0 |  0 |    0 || 1   | 0.5 | 140
jitter of 100 ms, 60 ms     | 60 |  60 | 100 |  0 | 0 |  0 |    0 || 1   | 1   | 140
1 % loss                    | 20 |  60 |   0 |  1 | 0 |  0 |    0 || 0   | 0   |  50
5 % loss                    | 20 |  60 |   0 |  5 | 0 |  0 |    0 || 0   | 0   |  50
10 % loss                   | 20 |  60 |   2 | 10 | 0 |  0 |    0 || 0.5 | 0   |  60
20 % loss, 30 ms packets    | 30 |  60 |   2 | 20 | 0 |  0 |    0 || 4   | 0   |  90
5 % reordered by 30 ms      | 20 |  60 |   0 |  0 | 5 |  0 |    0 || 0.2 | 0.2 |  60
everything twice            | 20 |  60 |   2 |  0 | 0 |100 |    0 || 0.1 | 0   |  40
a fast clock                | 20 | 600 |   2 |  0 | 0 |  0 |  200 || 0.1 | 0   |  40
a slow clock                | 20 | 600 |   2 |  0 | 0 |  0 | -200 || 0.1 | 0   |  40
everything at once          | 20 | 120 |  30 |  3 | 3 |  3 |  100 || 1   | 0.5 |  90
";

/// A sender's packets, and the order in which the network delivers them.
struct Network {
    packet_ms: u64,
    jitter_ms: u64,
    loss: u64,
    reorder: u64,
    duplicate: u64,
    drift_ppm: i64,
}

struct Outcome {
    sent: u64,
    /// Milliseconds of sound that were lost on the way.
    lost_ms: u64,
    ticks: u64,
    stats: PlayoutStats,
    delay: Duration,
    /// The least and the greatest delay after the first ten seconds.
    delays: (Duration, Duration),
}

/// Speech is marked: 10 ms of one code each, counting 0..=95. Two seconds of every five are silence.
fn codes(packet: u64, packet_ms: u64) -> Vec<u8> {
    let chunks = packet_ms / 10;
    let code = |chunk: u64| if chunk / 100 % 5 >= 3 { 0xff } else { (chunk % 96) as u8 };
    (0..chunks).flat_map(|n| [code(packet * chunks + n); 80]).collect()
}

/// Pulls a frame; true when all of it was received, and nothing of it or of the frame before it concealed or stretched.
fn plays_whole(buffer: &mut Playout, now: Instant, calm: &mut bool) -> bool {
    let made = |buffer: &Playout| {
        let stats = buffer.stats();
        (stats.concealed, stats.cut, stats.put_in)
    };
    let before = made(buffer);
    let whole = buffer.pull(now, None) == Pull::Speech && made(buffer) == before;
    std::mem::replace(calm, whole) && whole
}

/// A sample of each half of a frame, where it is as it was sent and not on its way from one code to the next.
fn steady(pcm: &[i16]) -> impl Iterator<Item = i16> {
    let is_steady = |around: &&[i16]| around.iter().all(|sample| *sample == around[0]);
    pcm.chunks(80).filter_map(move |half| half.windows(20).find(is_steady)).map(|around| around[0])
}

/// Checks that what is played moves forward, never back, never twice.
#[derive(Default)]
struct Order {
    last: Option<u8>,
}

impl Order {
    fn check(&mut self, pcm: &[i16]) {
        if pcm.iter().any(|sample| *sample > -400) {
            self.last = None; // silence: the count starts anywhere afterwards
        }
        for sample in steady(pcm) {
            let mut code = [0];
            G711::Pcmu.encode(&[sample], &mut code);
            if code[0] >= 96 {
                self.last = None; // silence: the count starts anywhere afterwards
                continue;
            }
            if let Some(last) = self.last.replace(code[0]) {
                let step = (96 + code[0] - last) % 96;
                // A period of the voice may be played again when the delay has to grow.
                assert!(!(48..94).contains(&step), "{} after {last}", code[0]);
            }
        }
    }
}

impl Network {
    fn run(&self, seconds: u64, seed: u64) -> Outcome {
        let start = epoch();
        let mut random = Seeded(seed);
        let sent = (seconds + 10) * 1000 / self.packet_ms; // a fast clock must not run out of packets
        let mut arrivals: Vec<(Duration, u64)> = Vec::new();
        let mut lost_ms = 0;
        for n in 0..sent {
            // A packet leaves when its last sample has been spoken, by the sender's clock.
            let micros = (n + 1) * self.packet_ms * 1000;
            let micros = micros.saturating_add_signed(-(micros as i64 * self.drift_ppm / 1_000_000));
            if random.below(100) < self.loss {
                lost_ms += if n * self.packet_ms < seconds * 1000 { self.packet_ms } else { 0 };
                continue;
            }
            let mut delay = random.below(self.jitter_ms * 1000 + 1);
            if random.below(100) < self.reorder {
                delay += 30_000;
            }
            let at = Duration::from_micros(micros + delay + 7_000);
            arrivals.push((at, n));
            if random.below(100) < self.duplicate {
                arrivals.push((at + Duration::from_millis(random.below(30)), n));
            }
        }
        arrivals.sort();
        let mut arrivals = arrivals.into_iter().peekable();
        let mut buffer = Playout::new(&[Codec::Pcmu, Codec::Pcma]);
        let (mut order, mut calm) = (Order::default(), false);
        let ticks = seconds * 50;
        let mut delays = (Duration::MAX, Duration::ZERO);
        for tick in 1..ticks {
            let now = TICK * tick as u32;
            while let Some((at, n)) = arrivals.next_if(|(at, _)| *at <= now) {
                let timestamp = RtpTime::new((n * self.packet_ms * 8) as u32).plus(0xffff_f000);
                let sequence = SeqNo::new((n as u16).wrapping_add(65_000));
                buffer.push(sequence, timestamp, Codec::Pcmu, &codes(n, self.packet_ms), start + at);
            }
            if plays_whole(&mut buffer, start + now, &mut calm) {
                order.check(buffer.samples());
            }
            if tick > 500 {
                let delay = buffer.playout_delay();
                delays = (delays.0.min(delay), delays.1.max(delay));
            }
        }
        let delay = buffer.playout_delay();
        Outcome { sent, lost_ms, ticks, stats: buffer.stats(), delay, delays }
    }
}

#[test]
fn every_network_stays_within_its_bounds() {
    for line in NETWORKS.lines().filter(|line| !line.is_empty()) {
        let fields: Vec<&str> = line.split('|').map(str::trim).filter(|field| !field.is_empty()).collect();
        let number = |place: usize| fields[place].parse::<u64>().expect("a number");
        let bound = |place: usize| fields[place].parse::<f64>().expect("a number");
        let network = Network {
            packet_ms: number(1),
            jitter_ms: number(3),
            loss: number(4),
            reorder: number(5),
            duplicate: number(6),
            drift_ppm: fields[7].parse().expect("a number"),
        };
        for seed in 1..4 {
            let outcome = network.run(number(2), seed);
            let stats = outcome.stats;
            let lost = outcome.lost_ms / 20;
            let concealed =
                (stats.concealed.as_secs_f64() * 50.0 - lost as f64) * 100.0 / outcome.ticks as f64;
            let late = stats.late as f64 * 100.0 / outcome.sent as f64;
            let delay = outcome.delay.as_secs_f64() * 1000.0;
            assert!(
                concealed <= bound(8) + 0.05 && late <= bound(9) && delay <= bound(10),
                "{}, seed {seed}: concealed {concealed:.2} %, late {late:.2} %, delay {delay:.0} ms, {stats:?}",
                fields[0]
            );
            assert_eq!((stats.restarts, stats.refused), (0, 0), "{}", fields[0]);
        }
    }
}

#[test]
fn two_hours_of_drift_change_the_delay_by_no_more_than_a_frame() {
    for drift_ppm in [200, -200] {
        let network = Network { packet_ms: 20, jitter_ms: 0, loss: 0, reorder: 0, duplicate: 0, drift_ppm };
        let outcome = network.run(2 * 3600, 1);
        let (least, most) = outcome.delays;
        assert!(
            most.saturating_sub(least) <= Duration::from_millis(25),
            "{drift_ppm} ppm: {least:?} to {most:?}"
        );
        assert_eq!((outcome.stats.late, outcome.stats.concealed), (0, Duration::ZERO), "{drift_ppm} ppm");
        // 200 ppm of two hours is 1440 ms; no more is taken out or put in than that and a frame.
        let stretched = outcome.stats.cut + outcome.stats.put_in;
        assert!((1_410..=1_470).contains(&stretched.as_millis()), "{drift_ppm} ppm: {:?}", outcome.stats);
    }
}

#[test]
fn the_delay_grows_within_two_seconds_of_jitter_and_falls_within_thirty_of_calm() {
    let start = epoch();
    let mut buffer = Playout::new(&[Codec::Pcmu, Codec::Pcma]);
    let mut random = Seeded(5);
    let mut pending: Vec<(u64, u64)> = Vec::new();
    let mut late_before = 0;
    for tick in 1..4_000_u64 {
        let jitter = if (500..2_000).contains(&tick) { random.below(101) } else { 0 };
        pending.push((tick * 20 + jitter, tick));
        let now = tick * 20;
        pending.sort_unstable();
        while let Some((at, n)) = pending.first().copied().filter(|(at, _)| *at <= now) {
            pending.remove(0);
            let arrival = start + Duration::from_millis(at);
            buffer.push(
                SeqNo::new(n as u16),
                RtpTime::new(n as u32 * 160),
                Codec::Pcmu,
                &codes(n, 20),
                arrival,
            );
        }
        buffer.pull(start + Duration::from_millis(now), None);
        let millis = buffer.playout_delay().as_millis();
        match tick {
            499 => assert!(millis <= 30, "calm: {millis} ms"),
            600 => {
                assert!((80..=140).contains(&millis), "two seconds of jitter: {millis} ms");
                late_before = buffer.stats().late;
            }
            1_999 => {
                assert!(millis <= 140, "{millis} ms");
                assert!(
                    buffer.stats().late - late_before <= 14,
                    "late after it has grown: {:?}",
                    buffer.stats()
                );
            }
            3_500 => assert!(millis < 60, "thirty seconds of calm: {millis} ms"),
            _ => {}
        }
    }
}

#[test]
fn a_step_in_the_route_loses_nothing_but_the_pause_itself() {
    let start = epoch();
    let mut buffer = Playout::new(&[Codec::Pcmu, Codec::Pcma]);
    let (mut order, mut calm) = (Order::default(), false);
    let arrival = |n: u64| n * 20 + if n >= 100 { 80 } else { 0 };
    let mut next = 1;
    for tick in 1..200_u64 {
        while arrival(next) <= tick * 20 {
            let at = start + Duration::from_millis(arrival(next));
            buffer.push(
                SeqNo::new(next as u16),
                RtpTime::new(next as u32 * 160),
                Codec::Pcmu,
                &codes(next, 20),
                at,
            );
            next += 1;
        }
        if plays_whole(&mut buffer, start + TICK * tick as u32, &mut calm) {
            order.check(buffer.samples());
        }
    }
    let stats = buffer.stats();
    assert_eq!((stats.late, stats.dropped), (0, 0), "{stats:?}");
    assert!((60..=100).contains(&stats.concealed.as_millis()), "{stats:?}");
}

#[test]
fn a_burst_after_a_stall_is_cut_to_a_short_delay_and_the_newest_is_kept() {
    let start = epoch();
    let mut buffer = Playout::new(&[Codec::Pcmu, Codec::Pcma]);
    let push = |buffer: &mut Playout, n: u64, at: u64| {
        let codes = [(n % 96) as u8; 160];
        let at = start + Duration::from_millis(at);
        buffer.push(SeqNo::new(n as u16), RtpTime::new(n as u32 * 160), Codec::Pcmu, &codes, at)
    };
    (0..50).for_each(|n| {
        push(&mut buffer, n, n * 20);
        buffer.pull(start + TICK * n as u32, None);
    });
    // Two seconds of nothing, then all of it at once, then as before.
    (50..150).for_each(|n| {
        buffer.pull(start + TICK * n as u32, None);
    });
    (50..150).for_each(|n| {
        push(&mut buffer, n, 3_000);
    });
    for n in 150..250 {
        push(&mut buffer, n, n * 20);
        buffer.pull(start + TICK * n as u32, None);
    }
    let delay = buffer.playout_delay();
    assert!(delay <= Duration::from_millis(150), "{delay:?}");
    let mut code = [0];
    G711::Pcmu.encode(&buffer.samples()[60..61], &mut code);
    let behind = (96 + 249 - u64::from(code[0])) % 96;
    assert!(behind <= 8, "what is played is {behind} packets old");
}

/// One step of an arbitrary life of a buffer.
#[derive(Clone, Debug)]
enum Step {
    Push { sequence: u16, timestamp: u32, length: usize },
    Wait { micros: u64 },
    Pull,
    Restart,
    Pause { sequence: u16 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<u16>(), any::<u32>(), 0..1_000_usize)
            .prop_map(|(sequence, timestamp, length)| Step::Push { sequence, timestamp, length }),
        6 => (0..40_u16, 0..40_u32, 1..4_usize).prop_map(|(sequence, timestamp, tens)| Step::Push {
            sequence,
            timestamp: timestamp * 80,
            length: tens * 80
        }),
        4 => (0..1_000_000_u64).prop_map(|micros| Step::Wait { micros }),
        8 => Just(Step::Pull),
        1 => Just(Step::Restart),
        1 => any::<u16>().prop_map(|sequence| Step::Pause { sequence }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_operations_panics(steps in prop::collection::vec(step(), 1..200)) {
        let mut now = epoch();
        let mut buffer = Playout::new(&[Codec::Pcmu, Codec::Pcma]);
        for step in steps {
            match step {
                Step::Push { sequence, timestamp, length } => {
                    let codes = vec![sequence as u8; length];
                    buffer.push(SeqNo::new(sequence), RtpTime::new(timestamp), Codec::Pcma, &codes, now);
                }
                Step::Wait { micros } => now += Duration::from_micros(micros),
                Step::Pull => {
                    buffer.pull(now, None);
                    now += TICK;
                }
                Step::Restart => buffer.restart(),
                Step::Pause { sequence } => buffer.pause(SeqNo::new(sequence)),
            }
        }
    }

    /// Whatever a network does to an honest sender's packets: order is kept, nothing is played twice, duplicates are told apart.
    #[test]
    fn an_honest_sender_is_played_in_order_and_only_once(
        tens in 1..=6_u64,
        first in any::<u16>(),
        fates in prop::collection::vec((0..200_u64, 0..10_u8, 0..10_u8), 50..300),
    ) {
        let start = epoch();
        let packet_ms = tens * 10;
        let mut arrivals: Vec<(u64, u64)> = Vec::new();
        for (n, (delay, lost, twice)) in fates.iter().enumerate() {
            let at = (n as u64 + 1) * packet_ms + delay;
            if *lost > 0 {
                arrivals.push((at, n as u64));
            }
            if *twice == 0 {
                arrivals.push((at + 35, n as u64));
            }
        }
        arrivals.sort_unstable();
        let mut buffer = Playout::new(&[Codec::Pcmu, Codec::Pcma]);
        let (mut order, mut calm, mut checked) = (Forward::default(), false, 0);
        let mut arrivals = arrivals.into_iter().peekable();
        let mut seen = std::collections::HashSet::new();
        for tick in 1..fates.len() as u64 * packet_ms / 20 + 30 {
            let now: Instant = start + TICK * tick as u32;
            while let Some((at, n)) = arrivals.next_if(|(at, _)| *at <= tick * 20) {
                let sequence = SeqNo::new(first.wrapping_add(n as u16));
                let timestamp = RtpTime::new((n * packet_ms * 8) as u32);
                let arrival = start + Duration::from_millis(at);
                let push = buffer.push(sequence, timestamp, Codec::Pcmu, &ramp(n, packet_ms), arrival);
                if !seen.insert(n) {
                    prop_assert!(matches!(push, Push::Duplicate | Push::Late), "{push:?}");
                }
            }
            if plays_whole(&mut buffer, now, &mut calm) {
                if tick - checked > 20 {
                    order.last = None; // what is beyond half a second cannot be told from what was before
                }
                checked = tick;
                prop_assert!(order.check(buffer.samples()), "tick {tick}: {:?}", buffer.stats());
            }
        }
    }
}

/// Speech without silence: 10 ms of one code each, counting 0..=95.
fn ramp(packet: u64, packet_ms: u64) -> Vec<u8> {
    let chunks = packet_ms / 10;
    (0..chunks).flat_map(|n| [((packet * chunks + n) % 96) as u8; 80]).collect()
}

/// Like [`Order`], for arbitrary networks: a step is forward when it is less than 700 ms.
#[derive(Default)]
struct Forward {
    last: Option<u8>,
}

impl Forward {
    fn check(&mut self, pcm: &[i16]) -> bool {
        steady(pcm).all(|sample| {
            let mut code = [0];
            G711::Pcmu.encode(&[sample], &mut code);
            if code[0] >= 96 {
                return true;
            }
            self.last.replace(code[0]).is_none_or(|last| !(70..94).contains(&((96 + code[0] - last) % 96)))
        })
    }
}
