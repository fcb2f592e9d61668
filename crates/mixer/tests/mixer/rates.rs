//! Conferences of telephones with different codecs: the rate follows them, and what is shared is encoded once for each codec.

use std::f64::consts::TAU;
use std::time::Instant;

use mixer::{
    Codec, Command, Decoder, Encoder, LegId, MixConfig, OpusFormat, PayloadType, Rate, Shard, ShardConfig,
    TICK,
};

use crate::phone::{ROOM, TestSeat, config, epoch, rtp};

const OPUS: Codec = Codec::Opus(OpusFormat::speech(Rate::Wide));
const FULL: Codec = Codec::Opus(OpusFormat::speech(Rate::Full));

/// A telephone of any codec.
struct Phone {
    leg: LegId,
    encoder: Encoder,
    decoder: Decoder,
    tone: Option<f64>,
    ticks: u32,
    heard: Vec<i16>,
    stamps: Vec<u32>,
}

struct Room {
    now: Instant,
    shard: Shard<()>,
    phones: Vec<Phone>,
}

impl Room {
    fn new(mix: MixConfig) -> Self {
        let now = epoch();
        let mut shard = Shard::new(ShardConfig { mix, ..ShardConfig::default() });
        shard.apply(now, Command::Open { conference: ROOM, seats: 8 });
        Self { now, shard, phones: Vec::new() }
    }

    fn join(&mut self, leg: u64, codec: Codec, tone: Option<f64>) {
        let mut config = config(leg, mixer::G711::Pcmu);
        config.media.codec = codec;
        config.media.audio_pt = PayloadType::new(110);
        let seat = Box::new(TestSeat { leg: mixer::Leg::new(config), io: () });
        self.shard.apply(self.now, Command::Seat { conference: ROOM, seat });
        let (encoder, decoder) = (Encoder::new(codec), Decoder::new(codec));
        let leg = LegId(leg);
        self.phones.push(Phone {
            leg,
            encoder,
            decoder,
            tone,
            ticks: 0,
            heard: Vec::new(),
            stamps: Vec::new(),
        });
    }

    fn leave(&mut self, leg: u64) {
        self.shard.apply(self.now, Command::Remove { leg: LegId(leg) });
        self.phones.retain(|phone| phone.leg != LegId(leg));
    }

    fn run(&mut self, ticks: usize) {
        for _ in 0..ticks {
            for phone in &mut self.phones {
                let codec = phone.encoder.codec();
                let (frame, from) = (codec.rate().frame(), phone.ticks as usize * codec.rate().frame());
                let wave = |n: usize| {
                    (TAU * phone.tone.unwrap_or(0.0) * n as f64 / f64::from(codec.rate().hz())).sin()
                };
                let pcm: Vec<i16> = (from..from + frame).map(|n| (6_000.0 * wave(n)) as i16).collect();
                let mut payload = [0; mixer::codec::MAX_PAYLOAD];
                let length = phone.encoder.encode(&pcm, &mut payload);
                let stamp = phone.ticks * (codec.clock_rate() / 50);
                let packet =
                    rtp(110, false, phone.ticks as u16, stamp, phone.leg.0 as u32 + 9, &payload[..length]);
                phone.ticks += 1;
                if length > 0 {
                    self.shard.seat_mut(phone.leg).expect("seated").leg.ingress_rtp(self.now, &packet);
                }
            }
            self.now += TICK;
            self.shard.tick(self.now);
            for phone in &mut self.phones {
                let Some(packet) = self.shard.seat_mut(phone.leg).expect("seated").leg.egress() else {
                    continue;
                };
                let packet = mixer::rtp::Packet::parse(packet).expect("ours");
                let mut pcm = vec![0; phone.decoder.codec().rate().frame()];
                phone.decoder.decode(packet.payload(), &mut pcm).expect("ours can be decoded");
                phone.heard.extend(pcm);
                phone.stamps.push(packet.timestamp().to_wire());
            }
            while self.shard.poll_report().is_some() {}
        }
    }

    fn rate(&self) -> Rate {
        self.shard.conferences().next().expect("open").rate()
    }

    fn encodes(&self) -> u64 {
        self.shard.conferences().map(mixer::Conference::encodes).sum()
    }
}

impl Phone {
    /// The largest second difference of what was heard from sample `from` on, which a click makes large: a tone has little.
    fn roughness(&self, from: usize) -> i32 {
        let bend = |w: &[i16]| (i32::from(w[0]) - 2 * i32::from(w[1]) + i32::from(w[2])).abs();
        self.heard[from..].windows(3).map(bend).max().unwrap_or(0)
    }

    /// How loud a tone is in the last half second.
    fn hears(&self, hertz: f64) -> f64 {
        let rate = self.decoder.codec().rate().hz() as usize;
        let last = &self.heard[self.heard.len() - rate / 2..];
        let sum = |phase: f64| -> f64 {
            let wave = |n: usize| (TAU * hertz * n as f64 / rate as f64 + phase).sin();
            last.iter().enumerate().map(|(n, sample)| f64::from(*sample) * wave(n)).sum()
        };
        sum(0.0).hypot(sum(TAU / 4.0)) * 2.0 / last.len() as f64
    }
}

#[test]
fn the_rate_follows_the_legs() {
    let mut room = Room::new(MixConfig::default());
    room.join(0, Codec::Pcmu, None);
    assert_eq!(room.rate(), Rate::Narrow);
    room.join(1, Codec::G722, None);
    assert_eq!(room.rate(), Rate::Wide);
    room.join(2, FULL, None);
    assert_eq!(room.rate(), Rate::Wide, "one full-band leg has nobody to be heard by at 48 kHz");
    room.join(3, FULL, None);
    assert_eq!(room.rate(), Rate::Full);
    room.leave(2);
    assert_eq!(room.rate(), Rate::Wide);
    room.leave(3);
    room.leave(1);
    assert_eq!(room.rate(), Rate::Narrow);
    let mut narrow = Room::new(MixConfig { full_band: false, ..MixConfig::default() });
    (0..3).for_each(|leg| narrow.join(leg, FULL, None));
    assert_eq!(narrow.rate(), Rate::Wide);
}

#[test]
fn telephones_of_every_codec_hear_each_other_and_not_themselves() {
    let mut room = Room::new(MixConfig::default());
    let tones = [430.0, 870.0, 1_310.0, 1_730.0, 2_210.0];
    for (leg, codec) in [Codec::Pcmu, Codec::Pcma, Codec::G722, OPUS, FULL].into_iter().enumerate() {
        room.join(leg as u64, codec, Some(tones[leg]));
    }
    room.run(100);
    for (own, phone) in room.phones.iter().enumerate() {
        for (other, hertz) in tones.into_iter().enumerate() {
            let heard = phone.hears(hertz);
            let codec = phone.decoder.codec();
            assert_eq!(heard > 3_000.0, own != other, "{codec:?} hears {hertz} Hz at {heard}");
            assert!(
                heard < 7_500.0 && (own != other || heard < 300.0),
                "{codec:?} hears {hertz} Hz at {heard}"
            );
        }
        let step = phone.decoder.codec().clock_rate() / 50;
        assert!(phone.stamps.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step));
    }
}

#[test]
fn listeners_share_one_encode_for_each_codec_whoever_whispers() {
    let mut room = Room::new(MixConfig::default());
    room.join(0, OPUS, Some(430.0));
    for leg in 1..20 {
        room.join(leg, [Codec::Pcmu, Codec::G722, OPUS, Codec::Pcma][leg as usize % 4], None);
    }
    room.run(50);
    let before = room.encodes();
    room.run(50);
    assert_eq!(room.encodes() - before, 50 * 5, "four codecs, and the talker's own");
    let clip = mixer::Clip::from_pcm(1, Rate::Narrow, &vec![3_000; 160 * 100]);
    room.shard.apply(room.now, Command::Whisper { leg: LegId(7), clip });
    let before = room.encodes();
    room.run(50);
    assert_eq!(room.encodes() - before, 50 * 6, "and the one who is whispered to");
}

#[test]
fn a_change_of_the_rate_does_not_click() {
    for wide in [Codec::G722, OPUS] {
        let mut room = Room::new(MixConfig::default());
        room.join(0, Codec::Pcmu, Some(300.0));
        room.join(1, Codec::Pcmu, None);
        room.join(2, Codec::Pcmu, Some(300.0));
        room.run(50);
        let from = room.phones[1].heard.len();
        let steady = room.phones.iter().map(|phone| phone.roughness(from - 4_000)).collect::<Vec<_>>();
        room.join(3, wide, None);
        room.run(25);
        room.leave(3);
        room.run(25);
        for (phone, steady) in room.phones.iter().zip(steady) {
            // The tone's own bend and that of G.711's steps; fading within 2 ms bends as much again.
            let rough = phone.roughness(from);
            assert!(rough <= steady * 2 + 600, "{}: {rough}, steady {steady}", phone.leg);
        }
    }
}

/// The seam when a listener begins to talk (own stream) and when he stops (shared again), on a tone that somebody else sends: the
/// deviation from the tone within 100 ms of each, against the codec's own deviation before.
#[test]
fn the_seam_between_shared_and_own_stream_stays_within_the_codecs_own_noise() {
    for codec in [Codec::Pcmu, Codec::G722, OPUS] {
        let mut room = Room::new(MixConfig { agc: false, ..MixConfig::default() });
        room.join(0, codec, Some(430.0));
        room.join(1, codec, None);
        room.join(2, codec, None);
        room.run(100);
        let mut noise = Vec::new();
        for tone in [None, Some(1_310.0), None, None] {
            room.phones[1].tone = tone;
            for place in 0..8 {
                // The talker pauses once, while the other one has stopped: after the pause he is on the shared stream again.
                room.phones[0].tone = (noise.len() < 24 || place > 3).then_some(430.0);
                room.run(5);
                noise.push(room.phones[1].residue(430.0));
            }
        }
        noise.drain(24..30); // the pause, its edges, and the tone's own start
        let quiet = noise[..8].iter().copied().fold(0.0, f64::max);
        let encodes = room.encodes();
        room.run(5);
        assert_eq!(
            room.encodes() - encodes,
            5 * 2,
            "{codec:?} shares again: the listeners', and the talker's own"
        );
        let seams = noise[8..].iter().copied().fold(0.0, f64::max);
        assert!(seams <= quiet * 2.0 + 12.0, "{codec:?}: {seams:.1} at the seams, {quiet:.1} before");
    }
}

/// Who has spoken keeps an encoder of his own until it may be given up. Where nobody ever pauses, that is soon all the same: with Opus
/// at once, since it is heard no more than the codec itself; with G.722 after two seconds and a half, and then what is heard of it in
/// the 100 ms around is no more than twice what PCMU adds to the same tone all the time, as measured here first.
#[test]
fn a_talker_in_a_room_without_pauses_shares_again_within_three_seconds_and_it_is_hardly_heard() {
    let noise = |codec| {
        let mut room = Room::new(MixConfig { agc: false, ..MixConfig::default() });
        room.join(0, codec, Some(430.0));
        room.join(1, codec, None);
        room.run(100);
        room.phones[1].residue(430.0)
    };
    let telephone = noise(Codec::Pcmu);
    for (codec, shares_after, most) in [
        (Codec::G722, 3_000, 2.0 * telephone),
        (OPUS, 500, 2.0 * noise(OPUS) + 12.0),
        (FULL, 500, 2.0 * noise(FULL) + 12.0),
    ] {
        let mut room = Room::new(MixConfig { agc: false, ..MixConfig::default() });
        room.join(0, codec, Some(430.0));
        room.join(1, codec, None);
        room.join(2, codec, None);
        room.run(100);
        room.phones[1].tone = Some(1_310.0);
        room.run(50);
        room.phones[1].tone = None;
        room.run(25); // his voice, and its hangover
        for millis in (100..4_000).step_by(100) {
            let before = room.encodes();
            room.run(5);
            let (encodes, residue) = (room.encodes() - before, room.phones[1].residue(430.0));
            assert!(residue <= most, "{codec:?} after {millis} ms: {residue:.1}, {most:.1} at most");
            // The shared mix, and the other talker's.
            assert!(
                millis <= shares_after || encodes == 5 * 2,
                "{codec:?} after {millis} ms: {encodes} encodes"
            );
        }
    }
}

impl Phone {
    /// Root mean square of what the last 100 ms hold besides one tone.
    fn residue(&self, hertz: f64) -> f64 {
        let rate = self.decoder.codec().rate().hz() as usize;
        let last = &self.heard[self.heard.len() - rate / 10..];
        let wave = |n: usize, phase: f64| (TAU * hertz * n as f64 / rate as f64 + phase).sin();
        let part = |phase: f64| -> f64 {
            last.iter().enumerate().map(|(n, s)| f64::from(*s) * wave(n, phase)).sum::<f64>() * 2.0
                / last.len() as f64
        };
        let (a, b) = (part(0.0), part(TAU / 4.0));
        let rest = |n: usize, s: i16| f64::from(s) - a * wave(n, 0.0) - b * wave(n, TAU / 4.0);
        (last.iter().enumerate().map(|(n, s)| rest(n, *s).powi(2)).sum::<f64>() / last.len() as f64).sqrt()
    }
}
