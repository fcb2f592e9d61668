//! How a leg's speech is coded, from the generator's side: encoders to prepare packets with, decoders to listen with.
//!
//! G.711 is the witnesses' own implementation, independent of the bridge's; G.722 and Opus are `mixer`'s.

use clap::ValueEnum;
use mixer::Rate;
use mixer::codec::{self, MAX_DECODED, MAX_PAYLOAD, OpusFormat};

use crate::demo::g711::Law;

/// Samples a second of everything that is analyzed.
pub const RATE: usize = 8000;

/// Samples of 20 ms at [`RATE`].
pub const FRAME: usize = RATE / 50;

/// A codec that a leg can speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Codec {
    /// G.711 mu-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722 at 64 kbit/s.
    G722,
    /// Opus at 16 kHz, mono, with in-band FEC and without DTX.
    Opus,
}

impl Codec {
    /// Every codec there is.
    pub const ALL: [Self; 4] = [Self::Pcmu, Self::Pcma, Self::G722, Self::Opus];

    /// As SDP knows it.
    pub fn sdp(self) -> sip::sdp::Codec {
        match self {
            Self::Pcmu => sip::sdp::Codec::Pcmu,
            Self::Pcma => sip::sdp::Codec::Pcma,
            Self::G722 => sip::sdp::Codec::G722,
            Self::Opus => sip::sdp::Codec::Opus,
        }
    }

    /// As SDP writes it.
    pub fn name(self) -> &'static str {
        self.sdp().name()
    }

    /// The static payload type (RFC 3551 section 6), or the one that we offer.
    pub fn payload_type(self) -> u8 {
        self.sdp().payload_type()
    }

    /// RTP clock ticks of 20 ms.
    pub fn step(self) -> u32 {
        self.sdp().clock_rate() / 50
    }

    /// Samples a second that are encoded.
    pub fn rate(self) -> usize {
        match self {
            Self::Pcmu | Self::Pcma => RATE,
            Self::G722 | Self::Opus => 2 * RATE,
        }
    }

    /// Packets that a decoder needs before what it says can be trusted, when it begins in mid-stream.
    pub fn settling(self) -> usize {
        match self {
            Self::Pcmu | Self::Pcma => 0,
            Self::G722 | Self::Opus => 5,
        }
    }

    /// Whether a packet means the same whatever was sent before it.
    pub fn is_stateless(self) -> bool {
        self.settling() == 0
    }
}

fn wide(codec: Codec, rate: Rate) -> codec::Codec {
    match codec {
        Codec::Pcmu => codec::Codec::Pcmu,
        Codec::Pcma => codec::Codec::Pcma,
        Codec::G722 => codec::Codec::G722,
        Codec::Opus => codec::Codec::Opus(OpusFormat { dtx: false, ..OpusFormat::speech(rate) }),
    }
}

/// Turns samples into payloads.
#[derive(Debug)]
pub enum Encoder {
    /// Sample by sample.
    Law(Law),
    /// With a memory.
    Stateful(Box<codec::Encoder>),
}

impl Encoder {
    /// At the beginning of a stream.
    pub fn new(codec: Codec) -> Self {
        match codec {
            Codec::Pcmu => Self::Law(Law::Mu),
            Codec::Pcma => Self::Law(Law::A),
            Codec::G722 | Codec::Opus => {
                Self::Stateful(Box::new(codec::Encoder::new(wide(codec, Rate::Wide))))
            }
        }
    }

    /// The payload of 20 ms at [`Codec::rate`].
    pub fn encode(&mut self, samples: &[i16]) -> Vec<u8> {
        match self {
            Self::Law(law) => samples.iter().map(|&sample| law.encode(sample)).collect(),
            Self::Stateful(encoder) => {
                let mut payload = [0; MAX_PAYLOAD];
                let length = encoder.encode(samples, &mut payload);
                payload[..length].to_vec()
            }
        }
    }
}

/// Turns payloads into samples.
#[derive(Debug)]
pub enum Decoder {
    /// Sample by sample.
    Law(Law),
    /// With a memory; of its samples every so many-th is kept.
    Stateful(Box<codec::Decoder>, usize),
}

impl Decoder {
    /// Knows nothing yet.
    pub fn new(codec: Codec) -> Self {
        match codec {
            Codec::Pcmu => Self::Law(Law::Mu),
            Codec::Pcma => Self::Law(Law::A),
            Codec::G722 => Self::Stateful(Box::new(codec::Decoder::new(codec::Codec::G722)), 2),
            // Whatever rate it was encoded at, it is decoded at ours.
            Codec::Opus => Self::Stateful(Box::new(codec::Decoder::new(wide(codec, Rate::Narrow))), 1),
        }
    }

    /// Appends the samples of one payload at [`RATE`]; what cannot be decoded is 20 ms of silence.
    pub fn decode(&mut self, payload: &[u8], samples: &mut Vec<f32>) {
        match self {
            Self::Law(law) => samples.extend(payload.iter().map(|&octet| f32::from(law.decode(octet)))),
            Self::Stateful(decoder, every) => {
                let mut pcm = [0; MAX_DECODED];
                let length = decoder.decode(payload, &mut pcm).unwrap_or(FRAME * *every);
                // What is said has nothing above half of our rate: no filter is needed to drop samples.
                samples.extend(pcm[..length].iter().step_by(*every).map(|&sample| f32::from(sample)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_with_the_same_loudness() {
        for codec in Codec::ALL {
            let (mut encoder, mut decoder) = (Encoder::new(codec), Decoder::new(codec));
            let (rate, mut heard) = (codec.rate(), Vec::new());
            for packet in 0..30 {
                let sample = |n: usize| {
                    let at = (packet * rate / 50 + n) as f32 / rate as f32;
                    (8000.0 * (std::f32::consts::TAU * 400.0 * at).sin()) as i16
                };
                let frame: Vec<i16> = (0..rate / 50).map(sample).collect();
                decoder.decode(&encoder.encode(&frame), &mut heard);
            }
            assert_eq!(heard.len(), 30 * FRAME, "{codec:?}");
            let settled = &heard[10 * FRAME..];
            let power = settled.iter().map(|sample| sample * sample).sum::<f32>() / settled.len() as f32;
            assert!((power.sqrt() / (8000.0 / 2_f32.sqrt()) - 1.0).abs() < 0.2, "{codec:?}: {power}");
        }
    }
}
