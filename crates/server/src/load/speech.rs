//! How a leg's speech is coded, from the generator's side: encoders to prepare packets with, decoders to listen with.
//!
//! G.711 is the witnesses' own implementation, independent of the bridge's.

use crate::demo::g711::Law;

/// Samples a second of everything that is analyzed.
pub const RATE: usize = 8000;

/// Samples of 20 ms at [`RATE`].
pub const FRAME: usize = RATE / 50;

/// A codec that a leg can speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// G.711 mu-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

impl Codec {
    /// As SDP writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// The static payload type (RFC 3551 section 6).
    pub fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// RTP clock ticks of 20 ms.
    pub fn step(self) -> u32 {
        160
    }

    /// Packets that a decoder needs before what it says can be trusted, when it begins in mid-stream.
    pub fn settling(self) -> usize {
        0
    }

    fn law(self) -> Law {
        match self {
            Self::Pcmu => Law::Mu,
            Self::Pcma => Law::A,
        }
    }
}

/// Turns samples into payloads.
#[derive(Debug)]
pub struct Encoder {
    codec: Codec,
}

impl Encoder {
    /// At the beginning of a stream.
    pub fn new(codec: Codec) -> Self {
        Self { codec }
    }

    /// The payload of one [`FRAME`].
    pub fn encode(&mut self, samples: &[i16; FRAME]) -> Vec<u8> {
        let law = self.codec.law();
        samples.iter().map(|&sample| law.encode(sample)).collect()
    }
}

/// Turns payloads into samples.
#[derive(Debug)]
pub struct Decoder {
    codec: Codec,
}

impl Decoder {
    /// Knows nothing yet.
    pub fn new(codec: Codec) -> Self {
        Self { codec }
    }

    /// Appends the samples of one payload at [`RATE`]; what cannot be decoded is as long and silent.
    pub fn decode(&mut self, payload: &[u8], samples: &mut Vec<f32>) {
        let law = self.codec.law();
        samples.extend(payload.iter().map(|&octet| f32::from(law.decode(octet))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_with_the_same_loudness() {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            let mut frame = [0; FRAME];
            for (n, sample) in frame.iter_mut().enumerate() {
                *sample = (8000.0 * (std::f32::consts::TAU * n as f32 / 20.0).sin()) as i16;
            }
            let (mut encoder, mut decoder) = (Encoder::new(codec), Decoder::new(codec));
            let mut heard = Vec::new();
            for _ in 0..20 {
                decoder.decode(&encoder.encode(&frame), &mut heard);
            }
            let settled = &heard[codec.settling() * FRAME..];
            let power = settled.iter().map(|sample| sample * sample).sum::<f32>() / settled.len() as f32;
            assert!((power.sqrt() / (8000.0 / 2_f32.sqrt()) - 1.0).abs() < 0.1, "{}", codec.name());
        }
    }
}
