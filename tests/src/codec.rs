//! The phones' codecs. G.711 is their own, and they ask libopus themselves; G.722 and the decoders are the mixer's, which are
//! held against other people's in its own tests: what is on trial here is who hears whom.

use audiopus::coder::Encoder as LibOpus;
use audiopus::{Application, Bitrate, Channels, SampleRate};
use mixer::{Decoder, Encoder, OpusFormat, Rate};

use crate::g711::Law;

/// A codec of a phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// mu-law, payload type 0.
    Mu,
    /// A-law, payload type 8.
    A,
    /// G.722, payload type 9.
    G722,
    /// Opus, always as 111 here.
    Opus,
}

impl Codec {
    /// Its payload type.
    pub fn payload_type(self) -> u8 {
        match self {
            Self::Mu => 0,
            Self::A => 8,
            Self::G722 => 9,
            Self::Opus => 111,
        }
    }

    /// The codec of a payload type.
    pub fn of(payload_type: u8) -> Option<Self> {
        [Self::Mu, Self::A, Self::G722, Self::Opus]
            .into_iter()
            .find(|codec| codec.payload_type() == payload_type)
    }

    /// What its rtpmap says.
    pub fn rtpmap(self) -> &'static str {
        match self {
            Self::Mu => "PCMU/8000",
            Self::A => "PCMA/8000",
            Self::G722 => "G722/8000",
            Self::Opus => "opus/48000/2",
        }
    }

    /// Ticks of the RTP timestamp in 20 ms.
    pub fn ticks(self) -> u32 {
        if self == Self::Opus { 960 } else { 160 }
    }

    /// The clock rate of the timestamp, in Hz.
    pub fn clock(self) -> u32 {
        50 * self.ticks()
    }

    /// The rate of its sound, in Hz.
    pub fn rate(self) -> u32 {
        match self {
            Self::Mu | Self::A => 8000,
            Self::G722 => 16_000,
            Self::Opus => 48_000,
        }
    }

    fn law(self) -> Option<Law> {
        match self {
            Self::Mu => Some(Law::Mu),
            Self::A => Some(Law::A),
            Self::G722 | Self::Opus => None,
        }
    }

    fn of_the_mixer(self) -> mixer::Codec {
        match self {
            Self::Mu => mixer::Codec::Pcmu,
            Self::A => mixer::Codec::Pcma,
            Self::G722 => mixer::Codec::G722,
            Self::Opus => mixer::Codec::Opus(OpusFormat::speech(Rate::Full)),
        }
    }
}

/// What turns a phone's sound into payloads.
#[derive(Debug)]
pub enum Speech {
    /// G.711.
    Law(Law),
    /// G.722.
    Subbands(Box<Encoder>),
    /// Opus at 48 kHz.
    Opus(LibOpus),
}

impl Speech {
    /// The beginning of a stream.
    pub fn new(codec: Codec) -> Self {
        match codec {
            Codec::Mu => Self::Law(Law::Mu),
            Codec::A => Self::Law(Law::A),
            Codec::G722 => Self::Subbands(Box::new(Encoder::new(mixer::Codec::G722))),
            Codec::Opus => {
                let works = "libopus takes what it documents";
                let mut opus =
                    LibOpus::new(SampleRate::Hz48000, Channels::Mono, Application::Voip).expect(works);
                opus.set_bitrate(Bitrate::BitsPerSecond(40_000)).expect(works);
                opus.set_inband_fec(true).expect(works);
                opus.set_packet_loss_perc(5).expect(works);
                Self::Opus(opus)
            }
        }
    }

    /// Its codec.
    pub fn codec(&self) -> Codec {
        match self {
            Self::Law(Law::Mu) => Codec::Mu,
            Self::Law(Law::A) => Codec::A,
            Self::Subbands(_) => Codec::G722,
            Self::Opus(_) => Codec::Opus,
        }
    }

    /// The payload of 20, 40 or 60 ms.
    pub fn encode(&mut self, pcm: &[i16]) -> Vec<u8> {
        let mut room = vec![0; 1_500];
        match self {
            Self::Law(law) => pcm.iter().map(|&sample| law.encode(sample)).collect(),
            Self::Subbands(encoder) => {
                let frames = pcm.chunks(320);
                let encoded = frames.map(|frame| {
                    let length = encoder.encode(frame, &mut room);
                    room[..length].to_vec()
                });
                encoded.collect::<Vec<_>>().concat()
            }
            // One frame of so many milliseconds, as the table in RFC 6716 section 3.1 has them.
            Self::Opus(opus) => {
                let length = opus.encode(pcm, &mut room).expect("20, 40 or 60 ms are encoded");
                room.truncate(length);
                room
            }
        }
    }
}

/// What turns payloads into sound again: one for each stream that is heard.
#[derive(Debug)]
pub struct Listening {
    codec: Codec,
    decoder: Option<Decoder>,
}

impl Listening {
    /// The beginning of a stream.
    pub fn new(codec: Codec) -> Self {
        let decoder = codec.law().is_none().then(|| Decoder::new(codec.of_the_mixer()));
        Self { codec, decoder }
    }

    /// Its codec.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The sound of a payload; `None` where it is none.
    pub fn decode(&mut self, payload: &[u8]) -> Option<Vec<i16>> {
        match (&mut self.decoder, self.codec.law()) {
            (Some(decoder), _) => {
                let mut pcm = vec![0; mixer::codec::MAX_DECODED];
                let length = decoder.decode(payload, &mut pcm).ok()?;
                pcm.truncate(length);
                Some(pcm)
            }
            (None, Some(law)) => Some(payload.iter().map(|&code| law.decode(code)).collect()),
            (None, None) => None,
        }
    }
}
