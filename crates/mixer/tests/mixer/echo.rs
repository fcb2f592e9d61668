//! Legs that send back what they are sent: found soon, not heard by the others, and nobody else is taken for one.

use std::time::{Duration, Instant};

use mixer::codec::MAX_PAYLOAD;
use mixer::{
    Codec, Command, Decoder, Encoder, Leg, LegId, MixConfig, OpusFormat, PayloadType, Rate, Report, Shard,
    ShardConfig, TICK,
};

use crate::phone::{ROOM, Seeded, TestSeat, config, epoch, rtp};
use crate::speech::speech;

const FRAME: usize = 160;
/// The payload type of everybody's codec.
const AUDIO: u8 = 96;
const SECOND: usize = 50;

/// A far end that says something and, if it echoes, what it heard.
#[derive(Default)]
struct Party {
    /// `None`: one of the laws of G.711, in turn.
    codec: Option<Codec>,
    /// At 8 kHz.
    says: Vec<i16>,
    /// Samples later, and how much louder as a factor.
    echo: Option<(usize, f64)>,
    /// Mean absolute value of its line's noise.
    noise: f64,
    /// Packets of a thousand that get lost in each direction.
    lost: u64,
    /// At the codec's rate.
    heard: Vec<i16>,
}

impl Party {
    fn saying(says: Vec<i16>) -> Self {
        Self { says, noise: 4.0, ..Self::default() }
    }

    fn echoing(milliseconds: usize, decibels: f64) -> Self {
        let echo = Some((milliseconds * 8, 10.0_f64.powf(decibels / 20.0)));
        Self { echo, noise: 4.0, lost: 10, ..Self::default() }
    }

    fn frame(&self, tick: usize, rate: Rate, random: &mut Seeded) -> Vec<i16> {
        let times = rate.frame() / FRAME;
        let sample = |n: usize| {
            let own = self.says.get(n / times).map_or(0.0, |sample| f64::from(*sample));
            let back = self.echo.map_or(0.0, |(delay, gain)| {
                let sent = n.checked_sub(delay * times).and_then(|n| self.heard.get(n));
                sent.map_or(0.0, |sample| f64::from(*sample) * gain)
            });
            own + back
        };
        let mut noise = || (random.below(4_001) as f64 / 1_000.0 - 2.0) * self.noise;
        (tick * rate.frame()..(tick + 1) * rate.frame()).map(|n| (sample(n) + noise()) as i16).collect()
    }
}

/// A conference of them, its clock and what was reported about echo: the tick, the leg, and what.
struct Room {
    start: Instant,
    ticks: usize,
    shard: Shard<()>,
    parties: Vec<Party>,
    codecs: Vec<(Encoder, Decoder)>,
    random: Seeded,
    reports: Vec<(usize, LegId, Duration, bool)>,
}

impl Room {
    fn new(mix: MixConfig, parties: Vec<Party>) -> Self {
        let start = epoch();
        let mut shard = Shard::new(ShardConfig { mix, ..ShardConfig::default() });
        shard.apply(start, Command::Open { conference: ROOM, seats: 8 });
        let codec = |(leg, party): (usize, &Party)| {
            party.codec.unwrap_or(if leg.is_multiple_of(2) { Codec::Pcmu } else { Codec::Pcma })
        };
        let codecs: Vec<Codec> = parties.iter().enumerate().map(codec).collect();
        for (leg, codec) in codecs.iter().enumerate() {
            let mut config = config(leg as u64, mixer::G711::Pcmu);
            config.media.codec = *codec;
            config.media.audio_pt = PayloadType::new(AUDIO);
            let seat = Box::new(TestSeat { leg: Leg::new(config), io: () });
            shard.apply(start, Command::Seat { conference: ROOM, seat });
        }
        let codecs = codecs.into_iter().map(|codec| (Encoder::new(codec), Decoder::new(codec))).collect();
        Self { start, ticks: 0, shard, parties, codecs, random: Seeded(7), reports: Vec::new() }
    }

    fn run(&mut self, ticks: usize) {
        for _ in 0..ticks {
            let now = self.start + TICK * self.ticks as u32;
            for (leg, (party, (encoder, _))) in self.parties.iter().zip(&mut self.codecs).enumerate() {
                let codec = encoder.codec();
                let pcm = party.frame(self.ticks, codec.rate(), &mut self.random);
                let mut payload = [0; MAX_PAYLOAD];
                let length = encoder.encode(&pcm, &mut payload);
                let stamp = self.ticks as u32 * (codec.clock_rate() / 50);
                let packet = rtp(AUDIO, false, self.ticks as u16, stamp, 77 + leg as u32, &payload[..length]);
                if self.random.below(1_000) >= party.lost {
                    self.shard.seat_mut(LegId(leg as u64)).expect("seated").leg.ingress_rtp(now, &packet);
                }
            }
            self.shard.tick(now + TICK);
            for (leg, (party, (_, decoder))) in self.parties.iter_mut().zip(&mut self.codecs).enumerate() {
                let seat = self.shard.seat_mut(LegId(leg as u64)).expect("seated");
                let packet = mixer::rtp::Packet::parse(seat.leg.egress().expect("sends")).expect("ours");
                let mut pcm = vec![0; decoder.codec().rate().frame()];
                decoder.decode(packet.payload(), &mut pcm).expect("ours can be decoded");
                if self.random.below(1_000) < party.lost {
                    pcm.fill(0);
                }
                party.heard.extend(pcm);
            }
            while let Some(report) = self.shard.poll_report() {
                if let Report::Echo { leg, delay, on } = report {
                    self.reports.push((self.ticks, leg, delay, on));
                }
            }
            self.ticks += 1;
        }
    }

    /// Energy of what a leg heard between two ticks.
    fn energy(&self, leg: usize, from: usize, to: usize) -> f64 {
        self.parties[leg].heard[from * FRAME..to * FRAME].iter().map(|&s| f64::from(s).powi(2)).sum()
    }
}

/// Speech of a third of the demo's voices, and of the prompts' other voice.
fn sentences() -> Vec<i16> {
    speech(Rate::Narrow)
}

fn prompts() -> Vec<i16> {
    speech(Rate::Wide).chunks_exact(2).map(|pair| i16::midpoint(pair[0], pair[1])).collect()
}

fn decibels(power: f64) -> f64 {
    10.0 * power.max(1e-9).log10()
}

#[test]
fn an_echo_of_50_to_600_ms_and_6_to_30_db_is_found_within_6_seconds_and_not_heard_by_the_others() {
    for milliseconds in [50, 100, 200, 400, 600] {
        for gain in [-6.0, -12.0, -20.0, -30.0] {
            let heard = [true, false].map(|echo| {
                let parties = vec![
                    Party::saying(sentences()),
                    Party::echoing(milliseconds, gain),
                    Party { noise: 2.0, ..Party::default() },
                ];
                let mut room = Room::new(MixConfig { echo, ..MixConfig::default() }, parties);
                room.run(18 * SECOND);
                let about = format!("{milliseconds} ms, {gain} dB: {:?}", room.reports);
                if echo {
                    let [(tick, LegId(1), delay, true)] = room.reports[..] else { panic!("{about}") };
                    assert!(tick <= 6 * SECOND, "{about}");
                    // In ticks, half a one off at most; our jitter buffer, up to 60 ms, is in it.
                    let late = delay.as_millis() as i64 - milliseconds as i64;
                    assert!((-10..=70).contains(&late), "{about}");
                } else {
                    assert!(room.reports.is_empty(), "{about}");
                }
                room.energy(0, 6 * SECOND, 18 * SECOND)
            });
            let down = decibels(heard[1] / heard[0]);
            assert!(down >= 20.0, "{milliseconds} ms, {gain} dB: {down:.1} dB");
        }
    }
}

#[test]
fn an_echo_that_comes_back_in_g722_or_opus_is_found_within_8_seconds_and_not_heard_either() {
    let opus = Codec::Opus(OpusFormat::speech(Rate::Wide));
    for (codec, milliseconds, gain) in
        [(Codec::G722, 100, -6.0), (Codec::G722, 400, -20.0), (opus, 100, -6.0), (opus, 400, -20.0)]
    {
        let energy = [true, false].map(|echo| {
            let parties = vec![
                Party::saying(sentences()),
                Party { codec: Some(codec), ..Party::echoing(milliseconds, gain) },
                Party { noise: 2.0, ..Party::default() },
            ];
            let mut room = Room::new(MixConfig { echo, ..MixConfig::default() }, parties);
            room.run(18 * SECOND);
            let about = format!("{}, {milliseconds} ms, {gain} dB: {:?}", codec.name(), room.reports);
            if echo {
                let [(tick, LegId(1), delay, true)] = room.reports[..] else { panic!("{about}") };
                assert!(tick <= 8 * SECOND, "{about}");
                // As with G.711, and what an encoder of Opus looks ahead.
                let late = delay.as_millis() as i64 - milliseconds as i64;
                assert!((-10..=80).contains(&late), "{about}");
            }
            room.energy(0, 8 * SECOND, 18 * SECOND)
        });
        let down = decibels(energy[1] / energy[0]);
        assert!(down >= 20.0, "{}, {milliseconds} ms, {gain} dB: {down:.1} dB", codec.name());
    }
}

/// A conversation: each in turn, sometimes at once, with pauses; nobody says what another says.
fn conversation(voices: &[Vec<i16>], seconds: usize, seed: u64) -> Vec<Party> {
    let mut random = Seeded(seed);
    let speak = |voice: &Vec<i16>| {
        let mut says = Vec::new();
        while says.len() < seconds * 8_000 {
            says.extend(std::iter::repeat_n(0, random.below(24_000) as usize));
            let from = random.below(voice.len() as u64 / 2) as usize;
            says.extend(&voice[from..][..2_000 + random.below(voice.len() as u64 / 2 - 2_000) as usize]);
        }
        Party::saying(says)
    };
    voices.iter().map(speak).collect()
}

#[test]
fn people_who_talk_in_turns_and_at_once_are_no_echo() {
    let (demo, other) = (sentences(), prompts());
    let thirds: Vec<Vec<i16>> = demo.chunks(demo.len() / 3).take(3).map(<[i16]>::to_vec).collect();
    for seed in 0..3 {
        let voices = [&thirds[..], std::slice::from_ref(&other)].concat();
        let mut room = Room::new(MixConfig::default(), conversation(&voices, 120, seed));
        room.run(120 * SECOND);
        assert!(room.reports.is_empty(), "seed {seed}: {:?}", room.reports);
    }
}

#[test]
fn answers_that_come_right_after_a_word_are_no_echo() {
    let (demo, other) = (sentences(), prompts());
    let mut random = Seeded(3);
    let mut parties = [Vec::new(), Vec::new()];
    while parties[0].len() < 120 * 8_000 {
        for (leg, voice) in [&demo, &other].into_iter().enumerate() {
            let length = 2_000 + random.below(8_000) as usize;
            let from = random.below((voice.len() - length) as u64) as usize;
            let pause = random.below(4_000) as usize;
            parties[leg].extend(&voice[from..][..length]);
            parties[1 - leg].extend(vec![0; length + pause]);
            parties[leg].extend(vec![0; pause]);
        }
    }
    let mut room = Room::new(MixConfig::default(), parties.map(Party::saying).into());
    room.run(120 * SECOND);
    assert!(room.reports.is_empty(), "{:?}", room.reports);
}

#[test]
fn tones_and_beeps_in_step_music_noise_and_silence_are_no_echo() {
    let wave = |n: usize, hertz: f64| (n as f64 * hertz * std::f64::consts::TAU / 8_000.0).sin();
    let samples = 60 * 8_000;
    // Beeps answered by other beeps 200 ms later; music of ten notes, each of 300 ms.
    let beeps = |hertz: f64, late: usize| -> Vec<i16> {
        let on = |n: usize| (n + 8_000 - late) % 8_000 < 2_400;
        (0..samples).map(|n| if on(n) { (5_000.0 * wave(n, hertz)) as i16 } else { 0 }).collect()
    };
    let note = |n: usize| 220.0 * 2.0_f64.powf((n / 2_400 * 7 % 10) as f64 / 12.0);
    let dying = |n: usize| 6_000.0 * (-((n % 2_400) as f64) / 1_200.0).exp();
    let music: Vec<i16> =
        (0..samples).map(|n| (dying(n) * (wave(n, note(n)) + wave(n, 2.0 * note(n)))) as i16).collect();
    let speech: Vec<i16> = sentences().into_iter().cycle().take(samples).collect();
    for (one, other) in [
        (beeps(800.0, 0), Party::saying(beeps(1_300.0, 1_600))),
        (speech.clone(), Party::saying(music)),
        (speech.clone(), Party { noise: 60.0, ..Party::default() }),
        (speech, Party::default()),
    ] {
        let mut room = Room::new(MixConfig::default(), vec![Party::saying(one), other]);
        room.run(60 * SECOND);
        assert!(room.reports.is_empty(), "{:?}", room.reports);
    }
}

/// How much of `said` is in `heard`, as a factor, at the delay below 200 ms where it is most.
fn part(said: &[i16], heard: &[i16]) -> f64 {
    let dot =
        |a: &[i16], b: &[i16]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
    let said = &said[..said.len() - 1_600];
    let at = |delay: usize| dot(said, &heard[delay..]) / dot(said, said);
    (0..1_600).map(at).fold(0.0, f64::max)
}

#[test]
fn who_speaks_into_his_own_echo_is_heard_and_so_is_who_speaks_while_nobody_else_does() {
    // The one speaks for 10 s, then both at once for 8 s, then the echoing one alone.
    let (one, other) = (sentences(), prompts());
    let first: Vec<i16> = one.iter().copied().cycle().take(18 * 8_000).collect();
    let own = |from: usize, to: usize| other[..(to - from) * 8_000].to_vec();
    let late = [vec![0; 10 * 8_000], own(10, 18), vec![0; 8_000], own(19, 25)].concat();
    let mut parties =
        vec![Party::saying(first), Party::echoing(200, -12.0), Party { noise: 2.0, ..Party::default() }];
    parties[1].says.clone_from(&late);
    let mut room = Room::new(MixConfig { agc: false, ..MixConfig::default() }, parties);
    room.run(26 * SECOND);
    assert!(matches!(room.reports[..], [(_, LegId(1), _, true)]), "{:?}", room.reports);
    for (from, to, least) in [(10, 18, 0.7), (19, 25, 0.95)] {
        let range = from * 8_000..to * 8_000;
        let heard = part(&late[range.clone()], &room.parties[0].heard[range]);
        assert!(heard > least, "{from}..{to} s: {heard:.2}");
    }
}

#[test]
fn an_echo_that_is_gone_is_reported_and_one_who_left_it_is_a_talker_like_others() {
    let speech: Vec<i16> = sentences().into_iter().cycle().take(40 * 8_000).collect();
    let mut room = Room::new(MixConfig::default(), vec![Party::saying(speech), Party::echoing(150, -10.0)]);
    room.run(10 * SECOND);
    assert!(matches!(room.reports[..], [(_, LegId(1), _, true)]), "{:?}", room.reports);
    room.parties[1].echo = None;
    room.run(10 * SECOND);
    assert!(matches!(room.reports[..], [_, (_, LegId(1), _, false)]), "{:?}", room.reports);
}

#[test]
fn an_echo_does_not_take_the_place_of_a_talker() {
    // One is heard at a time; the echo is louder than the second one.
    let mix = MixConfig { talkers: 1, agc: false, ..MixConfig::default() };
    let speech: Vec<i16> = sentences().into_iter().cycle().take(8 * 8_000).collect();
    let quiet: Vec<i16> = prompts()[..6 * 8_000].iter().map(|sample| sample / 4).collect();
    let second = [vec![0; 8 * 8_000], quiet.clone()].concat();
    let heard = [Party::echoing(400, -3.0), Party::default()].map(|between| {
        let parties = vec![Party::saying(speech.clone()), between, Party::saying(second.clone())];
        let mut room = Room::new(mix, parties);
        room.run(14 * SECOND);
        part(&quiet, &room.parties[0].heard[8 * 8_000..])
    });
    assert!(heard[0] > heard[1] - 0.01, "{heard:?}");
}
