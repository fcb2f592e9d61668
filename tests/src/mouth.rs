//! What a phone sends: its own RTP writer, a tone, and keys in all the ways in which phones send keys.

use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::path::Path;
use std::sync::OnceLock;

use bytes::{BufMut, Bytes, BytesMut};

use crate::codec::{Codec, Speech};

/// Sound has a sample for each of these.
const FINEST: u64 = 48_000;
/// How loud a tone is.
pub const AMPLITUDE: f64 = 3000.0;
/// A key is held for so many packets.
const HELD: u32 = 5;

/// What comes out of a phone while no key is pressed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sound {
    /// A sine of this frequency; multiples of 50 Hz can be told apart exactly.
    Tone(u32),
    /// Sentences of the demo's Alice, again and again.
    Sentences,
    /// What it heard so many beats before, at half its loudness: a loudspeaker beside the microphone.
    Echo(usize),
    /// Packets without sound.
    Silence,
    /// A comfort-noise packet now and then (RFC 3389): alive and quiet.
    ComfortNoise,
    /// Nothing at all.
    Nothing,
}

/// How a key is sent as telephone-event (RFC 4733); all of them were seen in the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStyle {
    /// Marker, growing duration, three ends 20 ms apart.
    Plain,
    /// No marker bit.
    NoMarker,
    /// The ends never come.
    NoEnd,
    /// Each end has a timestamp of its own.
    EndsWithNewTimestamps,
    /// The events have an SSRC of their own.
    OtherSsrc,
    /// All three ends at once, with one sequence number (SIPp's recordings).
    EndsWithOneSequence,
    /// Only one packet, an end.
    OneEndOnly,
    /// The speech goes on beside the event.
    AudioBeside,
}

impl KeyStyle {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Plain,
        Self::NoMarker,
        Self::NoEnd,
        Self::EndsWithNewTimestamps,
        Self::OtherSsrc,
        Self::EndsWithOneSequence,
        Self::OneEndOnly,
        Self::AudioBeside,
    ];
}

/// The sending half of a phone's media.
#[derive(Debug)]
pub struct Mouth {
    /// What it says.
    pub sound: Sound,
    /// How keys are sent.
    pub keys: KeyStyle,
    /// The codec it speaks.
    pub codec: Codec,
    /// The payload type of telephone events.
    pub event_type: u8,
    /// 20 ms go into a packet so many times: 1 to 3.
    pub frames: usize,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    speech: Speech,
    /// What was heard and is still to be sent back, 20 ms each.
    heard: VecDeque<Vec<i16>>,
    /// Sound of a packet that is not full yet, and its timestamp.
    begun: (Vec<i16>, u32),
    /// How long it has spoken, in 1/48000 s.
    spoken: u64,
    /// Keys to press, with a pause after each.
    waiting: VecDeque<char>,
    pressed: Option<Pressed>,
    pause: u32,
    beat: u32,
}

#[derive(Debug)]
struct Pressed {
    event: u8,
    began: u32,
    sent: u32,
}

impl Mouth {
    /// A phone that says `sound`; `seed` begins its stream.
    pub fn new(seed: u32, sound: Sound) -> Self {
        Self {
            sound,
            keys: KeyStyle::Plain,
            codec: Codec::A,
            event_type: 101,
            frames: 1,
            ssrc: seed.wrapping_mul(2_654_435_761) ^ 0x5151,
            sequence: seed as u16 ^ 0xFFF0,
            timestamp: seed.wrapping_mul(77_777),
            speech: Speech::new(Codec::A),
            heard: VecDeque::new(),
            begun: (Vec::new(), 0),
            spoken: 0,
            waiting: VecDeque::new(),
            pressed: None,
            pause: 0,
            beat: 0,
        }
    }

    /// Presses keys, one after the other.
    pub fn press(&mut self, keys: &str) {
        self.waiting.extend(keys.chars());
    }

    /// The phone begins a new stream, as after a transfer behind the SBC: SSRC, sequence and timestamp are others.
    pub fn restart(&mut self) {
        self.ssrc = self.ssrc.rotate_left(7) ^ 0xA5A5;
        self.sequence = self.sequence.wrapping_mul(31).wrapping_add(7);
        self.timestamp = self.timestamp.wrapping_add(0x4000_0000);
    }

    /// What the phone hears, at the rate of its codec.
    pub(crate) fn hear(&mut self, pcm: &[i16]) {
        if let Sound::Echo(beats) = self.sound {
            while self.heard.len() < beats {
                self.heard.push_back(Vec::new());
            }
            self.heard.extend(pcm.chunks(self.codec.rate() as usize / 50).map(<[i16]>::to_vec));
        }
    }

    /// Whether keys are still being sent.
    pub fn is_pressing(&self) -> bool {
        self.pressed.is_some() || !self.waiting.is_empty()
    }

    /// The datagrams of the next 20 ms.
    pub fn beat(&mut self) -> Vec<Bytes> {
        let mut out = Vec::new();
        self.beat += 1;
        if self.speech.codec() != self.codec {
            self.speech = Speech::new(self.codec);
            self.begun.0.clear();
        }
        if self.pressed.is_none() && self.pause == 0 {
            self.pressed = self.waiting.pop_front().and_then(event_of).map(|event| Pressed {
                event,
                began: self.timestamp,
                sent: 0,
            });
        }
        self.pause = self.pause.saturating_sub(1);
        let key = self.pressed.take();
        if key.is_none() || self.keys == KeyStyle::AudioBeside {
            self.speak(&mut out);
        } else {
            self.begun.0.clear();
        }
        if let Some(mut key) = key {
            if self.hold(&mut key, &mut out) {
                self.pressed = Some(key);
            } else {
                // A lone end looks like the repetition of the last one for 150 ms.
                self.pause = if self.keys == KeyStyle::OneEndOnly { 12 } else { 4 };
            }
        }
        self.timestamp = self.timestamp.wrapping_add(self.codec.ticks());
        self.spoken += FINEST / 50;
        out
    }

    fn speak(&mut self, out: &mut Vec<Bytes>) {
        let rate = u64::from(self.codec.rate());
        match self.sound {
            Sound::Tone(frequency) => {
                let pcm: Vec<i16> = (0..rate / 50)
                    .map(|at| {
                        let time = (self.spoken + at * FINEST / rate) % FINEST;
                        let angle = TAU * f64::from(frequency) * time as f64 / FINEST as f64;
                        (AMPLITUDE * angle.sin()) as i16
                    })
                    .collect();
                out.extend(self.say(&pcm));
            }
            Sound::Sentences => {
                let sentences = sentences();
                let at = |n: u64| ((self.spoken + n * FINEST / rate) / (FINEST / 8000)) as usize;
                let pcm: Vec<i16> = (0..rate / 50).map(|n| sentences[at(n) % sentences.len()]).collect();
                out.extend(self.say(&pcm));
            }
            Sound::Echo(_) => {
                let mut pcm = self.heard.pop_front().unwrap_or_default();
                for sample in &mut pcm {
                    *sample /= 2;
                }
                pcm.resize(rate as usize / 50, 0);
                out.extend(self.say(&pcm));
            }
            Sound::Silence => out.extend(self.say(&vec![0; rate as usize / 50])),
            Sound::ComfortNoise if self.beat.is_multiple_of(50) => {
                out.push(self.packet(false, 13, self.timestamp, &[70]));
            }
            Sound::ComfortNoise | Sound::Nothing => {}
        }
    }

    /// 20 ms more; the packet, once it is full.
    fn say(&mut self, pcm: &[i16]) -> Option<Bytes> {
        if self.begun.0.is_empty() {
            self.begun.1 = self.timestamp;
        }
        self.begun.0.extend(pcm);
        if self.begun.0.len() < self.frames * pcm.len() {
            return None;
        }
        let (pcm, began) = (std::mem::take(&mut self.begun.0), self.begun.1);
        let payload = self.speech.encode(&pcm);
        Some(self.packet(false, self.codec.payload_type(), began, &payload))
    }

    /// One more beat of a key; false when it has been released.
    fn hold(&mut self, key: &mut Pressed, out: &mut Vec<Bytes>) -> bool {
        let style = self.keys;
        let ssrc = self.ssrc;
        if style == KeyStyle::OtherSsrc {
            self.ssrc ^= 0x0E05;
        }
        let first = key.sent == 0;
        key.sent += 1;
        let held = key.sent.min(HELD) * self.codec.ticks();
        let goes_on = if style == KeyStyle::OneEndOnly {
            out.push(self.event(key, true, true, key.began, held));
            false
        } else if key.sent <= HELD {
            let marker = first && style != KeyStyle::NoMarker;
            out.push(self.event(key, marker, false, key.began, held));
            true
        } else {
            self.end(key, style, held, out)
        };
        self.ssrc = ssrc;
        goes_on
    }

    fn end(&mut self, key: &Pressed, style: KeyStyle, held: u32, out: &mut Vec<Bytes>) -> bool {
        match style {
            KeyStyle::NoEnd => false,
            KeyStyle::EndsWithOneSequence => {
                let sequence = self.sequence;
                for _ in 0..3 {
                    self.sequence = sequence;
                    out.push(self.event(key, false, true, key.began, held));
                }
                false
            }
            KeyStyle::EndsWithNewTimestamps => {
                let timestamp = key.began + (key.sent - HELD) * self.codec.ticks();
                out.push(self.event(key, false, true, timestamp, held));
                key.sent < HELD + 3
            }
            _ => {
                out.push(self.event(key, false, true, key.began, held));
                key.sent < HELD + 3
            }
        }
    }

    fn event(&mut self, key: &Pressed, marker: bool, end: bool, timestamp: u32, held: u32) -> Bytes {
        let duration = (held as u16).to_be_bytes();
        let payload = [key.event, u8::from(end) << 7 | 0x0A, duration[0], duration[1]];
        self.packet(marker, self.event_type, timestamp, &payload)
    }

    /// An RTP packet (RFC 3550 section 5.1).
    fn packet(&mut self, marker: bool, payload_type: u8, timestamp: u32, payload: &[u8]) -> Bytes {
        let mut bytes = BytesMut::with_capacity(12 + payload.len());
        bytes.put_u8(0x80);
        bytes.put_u8(u8::from(marker) << 7 | payload_type);
        bytes.put_u16(self.sequence);
        bytes.put_u32(timestamp);
        bytes.put_u32(self.ssrc);
        bytes.put_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        bytes.freeze()
    }
}

/// What Alice says, at 8 kHz.
fn sentences() -> &'static [i16] {
    static SENTENCES: OnceLock<Vec<i16>> = OnceLock::new();
    SENTENCES.get_or_init(|| {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/demo/voices/alice.wav");
        let wav = hound::WavReader::open(file).expect("the demo's voices are here");
        assert_eq!(wav.spec().sample_rate, 8000);
        wav.into_samples().map(|sample| sample.expect("a sample")).collect()
    })
}

/// RFC 4733 section 3.2.
fn event_of(key: char) -> Option<u8> {
    "0123456789*#ABCD".find(key).map(|event| event as u8)
}
