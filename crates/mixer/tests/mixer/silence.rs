//! Senders that pause, change their mind or start over: what is heard then, and what is not counted as a fault of the network.

use std::time::{Duration, Instant};

use mixer::codec::{Codec, Encoder, MAX_PAYLOAD, OpusFormat};
use mixer::jitter::{Playout, Pull};
use mixer::units::Rate;
use mixer::{RtpTime, SeqNo, TICK, Waste};

use crate::phone::{epoch, tone};
use crate::speech::{largest_step, packets, speech};

/// A sender and its listener, in step: a packet arrives 8 ms after a tick and is played at the next.
struct Line {
    now: Instant,
    playout: Playout,
    sequence: u16,
    time: u32,
    said: usize,
    heard: Vec<i16>,
    pulls: Vec<Pull>,
    encoder: Encoder,
}

impl Line {
    fn new(codecs: &[Codec]) -> Self {
        Self {
            now: epoch(),
            playout: Playout::new(codecs),
            sequence: 65_500,
            time: 0xffff_0000,
            said: 0,
            heard: Vec::new(),
            pulls: Vec::new(),
            encoder: Encoder::new(codecs[0]),
        }
    }

    /// Ticks with a packet of a tone in each.
    fn speak(&mut self, codec: Codec, ticks: usize) {
        if codec != self.encoder.codec() {
            self.encoder = Encoder::new(codec);
        }
        for _ in 0..ticks {
            let wide: Vec<i16> = tone(200.0, 6_000.0, self.said, 160);
            self.said += 160;
            // The same tone at any rate: every sample as often as it takes, which a codec at 16 kHz hears as the same tone.
            let times = codec.rate().frame() / 160;
            let pcm: Vec<i16> = wide.iter().flat_map(|sample| std::iter::repeat_n(*sample, times)).collect();
            let mut payload = [0; MAX_PAYLOAD];
            let length = self.encoder.encode(&pcm, &mut payload);
            let (sequence, time) = (SeqNo::new(self.sequence), RtpTime::new(self.time));
            self.playout.push(sequence, time, codec, &payload[..length], self.now + Duration::from_millis(8));
            self.sequence = self.sequence.wrapping_add(1);
            self.time = self.time.wrapping_add(codec.clock_rate() / 50);
            self.tick(None);
        }
    }

    /// Ticks in which nothing is sent, though the sender's clock goes on.
    fn pause(&mut self, ticks: usize) {
        for _ in 0..ticks {
            self.said += 160;
            self.time = self.time.wrapping_add(160);
            self.tick(None);
        }
    }

    fn tick(&mut self, unheard_below: Option<u16>) {
        self.now += TICK;
        self.pulls.push(self.playout.pull(self.now, unheard_below));
        self.heard.extend_from_slice(self.playout.samples());
    }

    /// Pulls of one kind since tick `from`.
    fn count(&self, from: usize, kind: Pull) -> usize {
        self.pulls[from..].iter().filter(|pull| **pull == kind).count()
    }
}

#[test]
fn a_sender_that_leaves_silence_out_loses_nothing_and_is_not_concealed() {
    let mut line = Line::new(&[Codec::Pcmu]);
    for pause in [3, 10, 40, 200] {
        line.speak(Codec::Pcmu, 50);
        line.pause(pause);
    }
    line.speak(Codec::Pcmu, 50);
    let stats = line.playout.stats();
    assert_eq!((stats.concealed, stats.late, stats.restarts), (Duration::ZERO, 0, 0), "{stats:?}");
    assert!(line.count(0, Pull::Speech) >= 245);
    let own = largest_step(&tone(200.0, 6_000.0, 0, 160));
    // A tone that begins is a step of its own; it is blended over 2 ms.
    assert!(largest_step(&line.heard) <= 3 * own, "{} of {own}", largest_step(&line.heard));
}

#[test]
fn announced_comfort_noise_is_heard_at_its_level_until_there_is_speech() {
    let mut line = Line::new(&[Codec::Pcma]);
    line.speak(Codec::Pcma, 50);
    line.playout.comfort_noise(SeqNo::new(line.sequence), 50);
    line.sequence = line.sequence.wrapping_add(1);
    let from = line.pulls.len();
    line.pause(100);
    assert_eq!(line.count(from + 1, Pull::ComfortNoise), 99);
    let noise = &line.heard[line.heard.len() - 8_000..];
    let mean = noise.iter().map(|sample| i32::from(*sample).abs()).sum::<i32>() / 8_000;
    // -50 dBov of white noise is a mean absolute value of 83.
    assert!((70..=95).contains(&mean), "{mean}");
    line.speak(Codec::Pcma, 10);
    assert_eq!(line.playout.stats().concealed, Duration::ZERO);
    assert!(line.playout.level() > 3_000);
}

#[test]
fn the_codec_may_change_in_mid_stream_and_nothing_clicks_or_is_missing() {
    let mut line = Line::new(&[Codec::G722, Codec::Pcmu, Codec::Pcma]);
    let own = largest_step(&tone(200.0, 6_000.0, 0, 160));
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Pcmu, Codec::G722] {
        let from = line.pulls.len();
        let heard = line.heard.len();
        line.speak(codec, 50);
        assert_eq!(line.playout.rate(), codec.rate());
        assert!(line.count(from, Pull::Speech) >= 48, "{:?}", &line.pulls[from..]);
        let step = largest_step(&line.heard[heard.saturating_sub(400).max(1_600)..]);
        assert!(step <= 2 * own, "{codec:?}: {step} instead of {own}");
    }
    assert_eq!(line.playout.stats().concealed, Duration::ZERO);
}

#[test]
fn another_clock_rate_in_the_same_stream_goes_on_behind_what_was_there() {
    let opus = Codec::Opus(OpusFormat::speech(Rate::Wide));
    let mut line = Line::new(&[opus, Codec::Pcmu]);
    for codec in [Codec::Pcmu, opus, Codec::Pcmu] {
        let from = line.pulls.len();
        line.speak(codec, 100);
        let silent = line.pulls.len() - from - line.count(from, Pull::Speech);
        assert!(silent <= 3, "{codec:?}: {silent} ticks");
    }
}

#[test]
fn a_codec_that_is_admitted_later_takes_over_without_a_gap() {
    let mut line = Line::new(&[Codec::Pcmu]);
    line.speak(Codec::Pcmu, 50);
    assert!(!line.playout.plays(Codec::G722));
    line.playout.admit(&[Codec::G722], &mut Waste::default());
    let from = line.pulls.len();
    line.speak(Codec::G722, 50);
    assert_eq!(line.count(from, Pull::Speech), 50);
    line.playout.admit(&[Codec::Opus(OpusFormat::speech(Rate::Full))], &mut Waste::default());
    line.speak(Codec::G722, 50);
    assert_eq!(line.count(from, Pull::Speech), 100);
}

#[test]
fn another_stream_takes_over_within_60_ms() {
    let mut line = Line::new(&[Codec::Pcmu]);
    line.speak(Codec::Pcmu, 100);
    line.playout.restart();
    (line.sequence, line.time) = (17, 5);
    let from = line.pulls.len();
    line.speak(Codec::Pcmu, 100);
    let silent = 100 - line.count(from, Pull::Speech);
    assert!(silent <= 3, "{silent} ticks");
    assert_eq!(line.playout.stats().restarts, 1);
}

#[test]
fn silence_that_nobody_hears_is_not_decoded_and_the_first_word_after_it_is_whole() {
    let mut line = Line::new(&[Codec::Pcmu]);
    line.speak(Codec::Pcmu, 20);
    let quiet = [0xff; 160];
    for _ in 0..50 {
        let (sequence, time) = (SeqNo::new(line.sequence), RtpTime::new(line.time));
        line.playout.push(sequence, time, Codec::Pcmu, &quiet, line.now + Duration::from_millis(8));
        (line.sequence, line.time) = (line.sequence.wrapping_add(1), line.time.wrapping_add(160));
        line.tick(Some(24));
    }
    assert_eq!(line.count(20, Pull::Silent), 50);
    assert_eq!(line.playout.level(), 0);
    let mut payload = [0; 160];
    mixer::G711::Pcmu.encode(&tone(200.0, 6_000.0, 0, 160), &mut payload);
    let (sequence, time) = (SeqNo::new(line.sequence), RtpTime::new(line.time));
    line.playout.push(sequence, time, Codec::Pcmu, &payload, line.now + Duration::from_millis(8));
    line.tick(Some(24));
    assert_eq!(line.pulls.last(), Some(&Pull::Speech));
    let mut expected = [0; 160];
    mixer::G711::Pcmu.decode(&payload, &mut expected);
    assert_eq!(line.playout.samples(), expected, "from its first sample on");
}

#[test]
fn silence_in_long_packets_is_metered_in_every_tick_until_it_ends() {
    let mut line = Line::new(&[Codec::Pcmu]);
    line.speak(Codec::Pcmu, 20);
    let mut metered = Vec::new();
    for _ in 0..20 {
        let (sequence, time) = (SeqNo::new(line.sequence), RtpTime::new(line.time));
        let quiet = [0xfe; 480];
        line.playout.push(sequence, time, Codec::Pcmu, &quiet, line.now + Duration::from_millis(8));
        (line.sequence, line.time) = (line.sequence.wrapping_add(1), line.time.wrapping_add(480));
        for _ in 0..3 {
            line.tick(Some(24));
            metered.push(line.playout.is_metered());
        }
    }
    assert_eq!(line.count(20, Pull::Silent), 60);
    assert_eq!(metered.iter().filter(|metered| !**metered).count(), 0, "{metered:?}");
    for _ in 0..50 {
        line.tick(Some(24));
    }
    assert!(!line.playout.is_metered(), "nothing comes any more");
}

/// Speech with long pauses, decoded always, and only while somebody listens or a payload may be sound.
#[test]
fn no_word_begins_later_because_silence_was_not_decoded() {
    /// Mean absolute sample value from which a good line's noise counts as sound.
    const THRESHOLD: u16 = 24;
    for codec in [Codec::Pcmu, Codec::G722, Codec::Opus(OpusFormat::speech(Rate::Wide))] {
        let rate = codec.rate();
        let said = speech(rate);
        let with_pauses: Vec<i16> = said
            .chunks(rate.hz() as usize)
            .flat_map(|second| second.iter().copied().chain(std::iter::repeat_n(0, rate.hz() as usize)))
            .collect();
        let payloads = packets(codec, &with_pauses);
        let (mut always, mut sparing) = (Playout::new(&[codec]), Playout::new(&[codec]));
        let (mut now, mut hangover, mut spared, mut cut) = (epoch(), 0, 0, 0);
        for (n, payload) in payloads.iter().enumerate() {
            let (sequence, time) = (SeqNo::new(n as u16), RtpTime::new(n as u32 * (codec.clock_rate() / 50)));
            for playout in [&mut always, &mut sparing] {
                playout.push(sequence, time, codec, payload, now + Duration::from_millis(8));
            }
            now += TICK;
            always.pull(now, None);
            let pull = sparing.pull(now, (hangover == 0).then_some(THRESHOLD));
            hangover = if sparing.level() >= THRESHOLD { 20 } else { i32::max(hangover - 1, 0) };
            spared += usize::from(pull == Pull::Silent);
            cut += usize::from(pull == Pull::Silent && always.level() >= 2 * THRESHOLD);
        }
        let wide = codec == Codec::G722;
        assert_eq!(spared > payloads.len() / 4, !wide, "{}: {spared} of {}", codec.name(), payloads.len());
        assert_eq!(cut, 0, "{}: ticks of speech that were not decoded", codec.name());
    }
}
