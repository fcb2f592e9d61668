//! A far end made of packets, a clock made of additions, tones and a meter for them.

use std::f64::consts::TAU;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mixer::{
    Clip, Command, ConferenceId, Digits, Direction, FRAME, G711, Leg, LegConfig, LegId, MediaConfig,
    PayloadType, Ptime, Rate, Report, RtpTime, Seat, SeqNo, Shard, Ssrc, TICK,
};
use rtc_shared::marshal::Marshal as _;

/// The seat of a test has no sockets.
pub(crate) type TestSeat = Seat<()>;

/// The point in time that a test counts from.
#[expect(clippy::disallowed_methods, reason = "`Instant` has no other constructor; a test only adds to it")]
pub(crate) fn epoch() -> Instant {
    Instant::now()
}

/// The payload type of telephone events in these tests.
pub(crate) const EVENT: u8 = 101;

/// A leg with usual settings.
pub(crate) fn config(id: u64, codec: G711) -> LegConfig {
    LegConfig {
        id: LegId(id),
        media: MediaConfig {
            codec: codec.into(),
            audio_pt: if codec == G711::Pcmu { PayloadType::PCMU } else { PayloadType::PCMA },
            event_pt: Some(PayloadType::new(EVENT)),
            event_clock_rate: 8_000,
            ptime: Ptime::Ms20,
            audio_level: None,
        },
        direction: Direction::SendRecv,
        ssrc: Ssrc::new(0x1000 + id as u32),
        first_sequence: SeqNo::new(65_530),
        first_timestamp: RtpTime::new(0xffff_ff00),
        cname: "bridge@example.org".into(),
        csrc: true,
        silent_after: Duration::from_secs(30),
    }
}

pub(crate) fn seat(id: u64, codec: G711) -> Box<TestSeat> {
    Box::new(Seat { leg: Leg::new(config(id, codec)), io: () })
}

/// What a far end sends next, and what it heard.
#[derive(Clone, Debug)]
pub(crate) struct Phone {
    pub(crate) leg: LegId,
    pub(crate) codec: G711,
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    /// Samples per packet.
    pub(crate) packet: usize,
    /// Tones in hertz and their amplitude; empty for silence.
    pub(crate) tones: Vec<(f64, f64)>,
    spoken: usize,
    /// Samples of time since it joined.
    elapsed: usize,
    /// Everything heard, in order.
    pub(crate) heard: Vec<i16>,
    /// The packets that came.
    pub(crate) arrived: Vec<Heard>,
}

/// One packet that a phone received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) csrcs: Vec<u32>,
    pub(crate) payload: Vec<u8>,
}

impl Phone {
    pub(crate) fn new(leg: u64, codec: G711) -> Self {
        Self {
            leg: LegId(leg),
            codec,
            ssrc: 0xabc0 + leg as u32,
            sequence: 65_000,
            timestamp: 4_000_000_000,
            packet: FRAME,
            tones: Vec::new(),
            spoken: 0,
            elapsed: 0,
            heard: Vec::new(),
            arrived: Vec::new(),
        }
    }

    /// A phone that sends one tone.
    pub(crate) fn with_tone(leg: u64, codec: G711, hertz: f64) -> Self {
        Self { tones: vec![(hertz, 4_000.0)], ..Self::new(leg, codec) }
    }

    /// The next audio packet.
    pub(crate) fn speak(&mut self) -> Vec<u8> {
        let mut pcm = vec![0_i16; self.packet];
        for (hertz, amplitude) in &self.tones {
            for (sample, new) in pcm.iter_mut().zip(tone(*hertz, *amplitude, self.spoken, self.packet)) {
                *sample = sample.saturating_add(new);
            }
        }
        self.spoken += self.packet;
        let mut codes = vec![0; self.packet];
        self.codec.encode(&pcm, &mut codes);
        let kind = if self.codec == G711::Pcmu { 0 } else { 8 };
        let packet = rtp(kind, false, self.sequence, self.timestamp, self.ssrc, &codes);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(self.packet as u32);
        packet
    }

    /// One telephone-event packet at the present place in the stream; it takes a sequence number.
    pub(crate) fn event(&mut self, marker: bool, payload: [u8; 4]) -> Vec<u8> {
        let packet = rtp(EVENT, marker, self.sequence, self.timestamp, self.ssrc, &payload);
        self.sequence = self.sequence.wrapping_add(1);
        packet
    }

    /// Takes what the bridge sent.
    pub(crate) fn listen(&mut self, datagram: &[u8]) {
        use rtc_shared::marshal::Unmarshal as _;
        let packet =
            rtc_rtp::Packet::unmarshal(&mut Bytes::copy_from_slice(datagram)).expect("the bridge sends RTP");
        let header = packet.header;
        if header.payload_type != EVENT {
            let mut pcm = vec![0; packet.payload.len()];
            self.codec.decode(&packet.payload, &mut pcm);
            self.heard.extend(pcm);
        }
        self.arrived.push(Heard {
            marker: header.marker,
            payload_type: header.payload_type,
            sequence: header.sequence_number,
            timestamp: header.timestamp,
            ssrc: header.ssrc,
            csrcs: header.csrc,
            payload: packet.payload.to_vec(),
        });
    }

    /// How loud a tone is in the last `samples` heard.
    pub(crate) fn hears(&self, hertz: f64, samples: usize) -> f64 {
        amplitude(&self.heard[self.heard.len() - samples..], hertz)
    }
}

/// An RTP packet by another implementation.
pub(crate) fn rtp(
    kind: u8,
    marker: bool,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    payload: &[u8],
) -> Vec<u8> {
    let header = rtc_rtp::Header {
        version: 2,
        marker,
        payload_type: kind,
        sequence_number: sequence,
        timestamp,
        ssrc,
        ..Default::default()
    };
    let packet = rtc_rtp::Packet { header, payload: Bytes::copy_from_slice(payload) };
    packet.marshal().expect("a valid packet").to_vec()
}

/// A shard, its phones and the time.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) shard: Shard<()>,
    pub(crate) phones: Vec<Phone>,
    pub(crate) reports: Vec<Report<()>>,
}

pub(crate) const ROOM: ConferenceId = ConferenceId(1);

impl World {
    /// A shard with one open conference.
    pub(crate) fn new(shard: mixer::ShardConfig) -> Self {
        let mut world =
            Self { now: epoch(), shard: Shard::new(shard), phones: Vec::new(), reports: Vec::new() };
        world.apply(Command::Open { conference: ROOM, seats: 8 });
        world
    }

    pub(crate) fn apply(&mut self, command: Command<()>) {
        self.shard.apply(self.now, command);
    }

    /// A phone calls in.
    pub(crate) fn join(&mut self, phone: Phone) {
        self.apply(Command::Seat { conference: ROOM, seat: seat(phone.leg.0, phone.codec) });
        self.phones.push(phone);
    }

    /// Runs so many ticks: every phone sends when its packet is full, then the shard mixes, then every phone hears.
    pub(crate) fn run(&mut self, ticks: usize) {
        for _ in 0..ticks {
            for place in 0..self.phones.len() {
                self.phones[place].elapsed += FRAME;
                while self.phones[place].spoken + self.phones[place].packet <= self.phones[place].elapsed {
                    let datagram = self.phones[place].speak();
                    self.deliver(place, &datagram);
                }
            }
            self.tick();
        }
    }

    /// One datagram from a phone, now.
    pub(crate) fn deliver(&mut self, phone: usize, datagram: &[u8]) {
        let (leg, now) = (self.phones[phone].leg, self.now);
        if let Some(seat) = self.shard.seat_mut(leg) {
            seat.leg.ingress_rtp(now, datagram);
        }
    }

    /// One tick without anyone speaking.
    pub(crate) fn tick(&mut self) {
        self.now += TICK;
        self.shard.tick(self.now);
        for phone in &mut self.phones {
            if let Some(datagram) = self.shard.seat_mut(phone.leg).and_then(|seat| seat.leg.egress()) {
                phone.listen(datagram);
            }
        }
        let reports = std::iter::from_fn(|| self.shard.poll_report());
        self.reports.extend(reports.filter(|report| !matches!(report, Report::Spent(_))));
    }

    /// The digits reported so far.
    pub(crate) fn digits(&self) -> String {
        let digit = |report: &Report<()>| match report {
            Report::Digit { digit, .. } => Some(*digit),
            _ => None,
        };
        self.reports.iter().filter_map(digit).collect()
    }
}

/// A clip of one tone.
pub(crate) fn tone_clip(token: u64, hertz: f64, frames: usize) -> Clip {
    Clip::from_pcm(token, Rate::Narrow, &tone(hertz, 4_000.0, 0, frames * FRAME))
}

pub(crate) fn digits(text: &str) -> Digits {
    Digits::parse(text).expect("telephone keys")
}

/// `count` samples of a tone at 8 kHz, beginning with sample `from` of it.
pub(crate) fn tone(hertz: f64, amplitude: f64, from: usize, count: usize) -> Vec<i16> {
    (from..from + count).map(|n| ((n as f64 * hertz * TAU / 8_000.0).sin() * amplitude) as i16).collect()
}

/// Amplitude of one frequency in `pcm` (Goertzel).
pub(crate) fn amplitude(pcm: &[i16], hertz: f64) -> f64 {
    let coefficient = 2.0 * (TAU * hertz / 8_000.0).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in pcm {
        let next = f64::from(*sample) + coefficient * last - before;
        before = last;
        last = next;
    }
    let power = last * last + before * before - coefficient * last * before;
    power.max(0.0_f64).sqrt() * 2.0 / pcm.len() as f64
}

/// A small seeded generator, so that a scenario is the same every time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seeded(pub u64);

impl Seeded {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }
}
