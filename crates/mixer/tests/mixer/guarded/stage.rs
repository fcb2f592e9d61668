//! What the paths are taken on: three legs in a room, each with a far end that speaks and hears.

use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::sync::OnceLock;
use std::time::{Duration, Instant, UNIX_EPOCH};

use mixer::codec::{MAX_DECODED, MAX_PAYLOAD};
use mixer::srtp::Srtp;
use mixer::{
    Codec, Command, ConferenceId, Decoder, Encoder, G711, Ingress, Leg, LegConfig, LegId, LegStats,
    MediaConfig, PayloadType, Rate, Report, Shard, ShardConfig, TICK,
};

use crate::phone::{EVENT, ROOM, TestSeat, config, epoch, rtp};
use crate::speech::speech;

/// The leg on trial, another talker (PCMU), and a listener with the codec on trial.
pub(super) const SUBJECT: usize = 0;
pub(super) const OTHER: usize = 1;
pub(super) const LISTENER: usize = 2;

/// The payload type of everybody's codec.
pub(super) const AUDIO: u8 = 110;

/// The other end of a leg.
pub(super) struct Far {
    pub(super) encoder: Encoder,
    pub(super) decoder: Decoder,
    pub(super) says: fn(usize) -> f64,
    pub(super) kind: u8,
    pub(super) ssrc: u32,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    /// So many times 20 ms go into a packet, and the payload of one that is not full yet.
    pub(super) frames: usize,
    pub(super) begun: Vec<u8>,
    /// Sound in 1/48000 s.
    pub(super) spoken: usize,
    /// It sends so many ticks later what it hears.
    pub(super) echo: Option<VecDeque<Vec<i16>>>,
    /// What it seals and opens with.
    pub(super) keys: Option<(Srtp, Srtp)>,
    pub(super) heard: Vec<i16>,
    /// The last packet, in the clear.
    pub(super) packet: Vec<u8>,
    pub(super) packets: usize,
}

pub(super) struct Stage {
    pub(super) now: Instant,
    pub(super) ticks: usize,
    pub(super) shard: Shard<()>,
    pub(super) far: Vec<Far>,
    /// Packets of the subject that are lost, by the number of the tick, by how many ticks the others are late, and by how many
    /// milliseconds within a tick.
    pub(super) lost: fn(usize) -> bool,
    pub(super) late: fn(usize) -> usize,
    pub(super) jitter: fn(usize) -> u64,
    pub(super) road: Vec<(usize, Vec<u8>)>,
    pub(super) taken: Vec<Ingress>,
    pub(super) sent_reports: usize,
    pub(super) reports: Vec<Report<()>>,
}

/// Twenty seconds of sentences.
pub(super) fn sentence(at: usize) -> f64 {
    static SPEECH: OnceLock<Vec<i16>> = OnceLock::new();
    let pcm = SPEECH.get_or_init(|| speech(Rate::Narrow));
    f64::from(pcm[at / 6 % pcm.len()])
}

pub(super) fn hum(at: usize) -> f64 {
    3_000.0 * (at as f64 * 440.0 * TAU / 48_000.0).sin()
}

pub(super) fn shout(at: usize) -> f64 {
    30_000.0 * (at as f64 * 310.0 * TAU / 48_000.0).sin()
}

pub(super) fn quiet(_: usize) -> f64 {
    0.0
}

impl Far {
    pub(super) fn new(codec: Codec, leg: usize, says: fn(usize) -> f64) -> Self {
        Self {
            encoder: Encoder::new(codec),
            decoder: Decoder::new(codec),
            says,
            kind: AUDIO,
            ssrc: 0xabc0 + leg as u32,
            sequence: 65_500,
            timestamp: 0xffff_8000,
            frames: 1,
            begun: Vec::new(),
            spoken: 0,
            echo: None,
            keys: None,
            heard: Vec::new(),
            packet: Vec::new(),
            packets: 0,
        }
    }

    /// 20 ms; nothing where its encoder leaves silence out.
    pub(super) fn speak(&mut self) -> Option<Vec<u8>> {
        let codec = self.encoder.codec();
        let step = 48_000 / codec.rate().hz() as usize;
        let from = self.spoken;
        let mut pcm: Vec<i16> =
            (0..codec.rate().frame()).map(|n| (self.says)(from + n * step) as i16).collect();
        if let Some(back) = self.echo.as_mut().and_then(VecDeque::pop_front) {
            pcm.iter_mut().zip(back).for_each(|(sample, back)| *sample = sample.saturating_add(back / 3));
        }
        let mut payload = [0; MAX_PAYLOAD];
        let length = self.encoder.encode(&pcm, &mut payload);
        self.begun.extend(&payload[..length]);
        self.spoken += 960;
        if !(self.spoken / 960).is_multiple_of(self.frames) {
            return None;
        }
        let payload = std::mem::take(&mut self.begun);
        let packet = rtp(self.kind, false, self.sequence, self.timestamp, self.ssrc, &payload);
        self.timestamp = self.timestamp.wrapping_add(self.frames as u32 * (codec.clock_rate() / 50));
        if payload.is_empty() {
            return None;
        }
        self.sequence = self.sequence.wrapping_add(1);
        Some(self.seal(packet))
    }

    pub(super) fn seal(&mut self, mut packet: Vec<u8>) -> Vec<u8> {
        if let Some((mouth, _)) = &mut self.keys {
            let length = packet.len();
            packet.resize(length + mouth.keys().overhead(), 0);
            mouth.protect(&mut packet, length).expect("a packet");
        }
        packet
    }

    pub(super) fn hear(&mut self, datagram: &[u8]) {
        let mut plain = datagram.to_vec();
        if let Some((_, ear)) = &mut self.keys {
            let length = ear.unprotect(&mut plain).expect("under our key");
            plain.truncate(length);
        }
        let packet = mixer::rtp::Packet::parse(&plain).expect("what we send can be read");
        if packet.payload_type() != PayloadType::new(EVENT) {
            let mut pcm = [0; MAX_DECODED];
            let samples = self.decoder.decode(packet.payload(), &mut pcm).expect("and decoded");
            self.heard.extend(&pcm[..samples]);
            if let Some(back) = &mut self.echo {
                back.push_back(pcm[..samples].to_vec());
            }
        }
        self.packets += 1;
        self.packet = plain;
    }

    /// How many talkers its last packet lists.
    pub(super) fn sources(&self) -> usize {
        usize::from(self.packet[0] & 0x0f)
    }
}

impl Stage {
    /// The subject says sentences, the other one hums, the listener says nothing.
    pub(super) fn new(codec: Codec) -> Self {
        let now = epoch();
        let mut stage = Self {
            now,
            ticks: 0,
            shard: Shard::new(ShardConfig::default()),
            far: Vec::new(),
            lost: |_| false,
            late: |_| 0,
            jitter: |_| 0,
            road: Vec::new(),
            taken: Vec::new(),
            sent_reports: 0,
            reports: Vec::new(),
        };
        stage.apply(Command::Open { conference: ROOM, seats: 8 });
        stage.join(codec, sentence);
        stage.join(Codec::Pcmu, hum);
        stage.join(codec, quiet);
        stage
    }

    pub(super) fn apply(&mut self, command: Command<()>) {
        self.shard.apply(self.now, command);
    }

    pub(super) fn join(&mut self, codec: Codec, says: fn(usize) -> f64) -> LegId {
        let leg = self.far.len();
        self.seat(codec, leg as u64, ROOM);
        self.far.push(Far::new(codec, leg, says));
        LegId(leg as u64)
    }

    /// A leg sits down whose far end is not there.
    pub(super) fn seat(&mut self, codec: Codec, leg: u64, conference: ConferenceId) {
        let usual = config(leg, G711::Pcmu);
        let media = MediaConfig {
            codec,
            audio_pt: PayloadType::new(AUDIO),
            event_clock_rate: codec.clock_rate(),
            audio_level: Some(3),
            ..usual.media
        };
        let leg_config = LegConfig { media, silent_after: Duration::from_secs(1), ..usual };
        let seat = Box::new(TestSeat { leg: Leg::new(leg_config), io: () });
        self.apply(Command::Seat { conference, seat });
    }

    pub(super) fn leg(&mut self, far: usize) -> &mut Leg {
        &mut self.shard.seat_mut(LegId(far as u64)).expect("seated").leg
    }

    pub(super) fn stats(&mut self) -> LegStats {
        self.leg(SUBJECT).stats()
    }

    pub(super) fn codec(&mut self) -> Codec {
        self.leg(SUBJECT).config().media.codec
    }

    pub(super) fn deliver(&mut self, far: usize, datagram: &[u8]) {
        let late = if far == SUBJECT { (self.jitter)(self.ticks) } else { 0 };
        let arrival = self.now + Duration::from_millis(late);
        if let Some(seat) = self.shard.seat_mut(LegId(far as u64)) {
            let ingress = seat.leg.ingress_rtp(arrival, datagram);
            if far == SUBJECT {
                self.taken.push(ingress);
            }
        }
    }

    pub(super) fn run(&mut self, ticks: usize) {
        for _ in 0..ticks {
            for far in 0..self.far.len() {
                let Some(packet) = self.far[far].speak() else { continue };
                if far != SUBJECT {
                    self.deliver(far, &packet);
                } else if !(self.lost)(self.ticks) {
                    self.road.push((self.ticks + (self.late)(self.ticks), packet));
                }
            }
            let tick = self.ticks;
            for (_, packet) in self.road.extract_if(.., |(due, _)| *due <= tick).collect::<Vec<_>>() {
                self.deliver(SUBJECT, &packet);
            }
            self.tick();
        }
    }

    pub(super) fn tick(&mut self) {
        self.ticks += 1;
        self.now += TICK;
        self.shard.tick(self.now);
        for (leg, far) in self.far.iter_mut().enumerate() {
            let seat = self.shard.seat_mut(LegId(leg as u64));
            if let Some(packet) = seat.and_then(|seat| seat.leg.egress()) {
                far.hear(packet);
            }
        }
        for seat in self.shard.seats_mut() {
            self.sent_reports += usize::from(seat.leg.egress_rtcp(self.now, UNIX_EPOCH).is_some());
        }
        self.reports.extend(std::iter::from_fn(|| self.shard.poll_report()));
    }

    pub(super) fn reported(&self, is_it: impl Fn(&Report<()>) -> bool) -> bool {
        self.reports.iter().any(is_it)
    }

    pub(super) fn rate(&self) -> Rate {
        self.shard.conferences().next().expect("open").rate()
    }

    pub(super) fn reconfigure(&mut self, change: impl Fn(&mut MediaConfig)) {
        let mut media = self.leg(SUBJECT).config().media;
        change(&mut media);
        self.apply(Command::Reconfigure { leg: LegId(0), media });
        if media.codec != self.far[SUBJECT].encoder.codec() {
            self.far[SUBJECT].encoder = Encoder::new(media.codec);
            self.far[SUBJECT].decoder = Decoder::new(media.codec);
        }
    }
}
