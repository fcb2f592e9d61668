//! Codecs: 20 ms of linear PCM to a payload and back.
//!
//! [`Codec`] names one with everything that changes its bits, so that it is the key of whatever may be encoded once and sent
//! to many. [`Encoder`] and [`Decoder`] are the state of one stream in one direction: made when a leg is made, and from then
//! on they neither allocate nor free. What a payload says about itself without being decoded (how long it lasts, how loud it
//! is) is asked of the [`Codec`].

pub mod g711;
mod g722;
pub(crate) mod opus;

use g711::G711;
pub use opus::OpusFormat;
use thiserror::Error;

use crate::units::{MAX_FRAME, Rate};

/// Bytes of the largest payload of one 20 ms frame that we ever send.
pub const MAX_PAYLOAD: usize = 400;

/// Frames of 20 ms in the longest payload that is decoded: 120 ms, the longest packet of Opus (RFC 6716 section 3.4).
pub const MAX_FRAMES: usize = 6;

/// Room for the PCM of the longest payload at the highest rate.
pub const MAX_DECODED: usize = MAX_FRAMES * MAX_FRAME;

/// A codec and its settings: two streams of equal `Codec`s that encode the same PCM send the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 mu-law (RFC 3551 section 4.5.14).
    Pcmu,
    /// G.711 A-law (RFC 3551 section 4.5.14).
    Pcma,
    /// G.722 at 64 kbit/s: 16 kHz, though its RTP clock runs at 8000 (RFC 3551 section 4.5.2).
    G722,
    /// Opus, mono: its RTP clock runs at 48,000 at every rate (RFC 7587 section 4.1).
    Opus(OpusFormat),
}

impl Codec {
    /// The encoding name of SDP (RFC 3551 table 4, RFC 7587 section 6.1).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Opus(_) => "opus",
        }
    }

    /// Ticks of the RTP timestamp per second.
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => 8_000,
            Self::Opus(_) => 48_000,
        }
    }

    /// The rate of the PCM that is encoded and decoded.
    pub const fn rate(self) -> Rate {
        match self {
            Self::Pcmu | Self::Pcma => Rate::Narrow,
            Self::G722 => Rate::Wide,
            Self::Opus(format) => format.rate,
        }
    }

    /// PCM samples at [`Codec::rate`] that `payload` decodes to; `None` when it is malformed, empty or longer than 120 ms.
    pub fn duration(self, payload: &[u8]) -> Option<usize> {
        let samples = match self {
            Self::Pcmu | Self::Pcma => payload.len(),
            Self::G722 => 2 * payload.len(),
            Self::Opus(format) => return opus::duration(payload, format.rate),
        };
        (1..=MAX_FRAMES * self.rate().frame()).contains(&samples).then_some(samples)
    }

    /// Mean absolute value, 0..=32768, of the samples that `payload` would decode to, without decoding it. `None` where that
    /// cannot be had cheaply, and for a payload without a [`Codec::duration`].
    pub fn level(self, payload: &[u8]) -> Option<u16> {
        self.duration(payload)?;
        match self {
            Self::Pcmu => Some(G711::Pcmu.level(payload)),
            Self::Pcma => Some(G711::Pcma.level(payload)),
            Self::G722 | Self::Opus(_) => None,
        }
    }

    /// Whether `payload` holds nothing that has to be heard, told without decoding it. For G.711: only the codes of zero and the
    /// step next to it. For Opus: the sender's encoder found no voice, by its own activity flags (RFC 6716 section 4.2.3); these
    /// have no hangover, so that a listener keeps decoding for a while after the last `false`. `None` where it cannot be told
    /// cheaply, and for a payload without a [`Codec::duration`].
    pub fn is_silence(self, payload: &[u8]) -> Option<bool> {
        match self {
            Self::Opus(_) => opus::is_silence(payload),
            _ => self.level(payload).map(|level| level <= SMALLEST_STEP),
        }
    }

    /// Whether `payload` carries a copy of the frame before it, for when that was lost (Opus in-band FEC); see
    /// [`Decoder::decode_fec`].
    pub fn has_copy(self, payload: &[u8]) -> bool {
        matches!(self, Self::Opus(_)) && opus::has_copy(payload)
    }

    /// Whether both sides agreed that payloads may carry such copies.
    pub const fn promises_copies(self) -> bool {
        matches!(self, Self::Opus(format) if format.fec)
    }
}

/// A-law has no zero: its silence is +-8. The first step of mu-law is 8 too.
const SMALLEST_STEP: u16 = 8;

impl From<G711> for Codec {
    fn from(law: G711) -> Self {
        match law {
            G711::Pcmu => Self::Pcmu,
            G711::Pcma => Self::Pcma,
        }
    }
}

/// A payload that cannot be decoded: count it, conceal its time, and go on with the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Undecodable {
    /// Not a payload of this codec, or longer than 120 ms.
    #[error(
        "the payload is empty, longer than 120 ms, or not one of {0}; check that both sides agree on the codec"
    )]
    Malformed(&'static str),
    /// A payload of this codec that lasts longer than the room given for its samples.
    #[error(
        "the payload decodes to {samples} samples and there is room for {room}; give room for MAX_DECODED samples"
    )]
    NoRoom {
        /// Samples that it holds.
        samples: usize,
        /// Samples there is room for.
        room: usize,
    },
}

/// One stream to be sent.
#[derive(Debug)]
pub struct Encoder {
    codec: Codec,
    state: EncoderState,
}

#[derive(Debug)]
enum EncoderState {
    G711(G711),
    G722(Box<g722::Encoder>),
    Opus(opus::Encoder),
}

impl Encoder {
    /// The start of a stream. It takes all the memory that it will need.
    pub fn new(codec: Codec) -> Self {
        let state = match codec {
            Codec::Pcmu => EncoderState::G711(G711::Pcmu),
            Codec::Pcma => EncoderState::G711(G711::Pcma),
            Codec::G722 => EncoderState::G722(Box::new(g722::Encoder::new())),
            Codec::Opus(format) => EncoderState::Opus(opus::Encoder::new(format)),
        };
        Self { codec, state }
    }

    /// The codec it was made for.
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// How many samples at the codec's rate what is decoded lags behind what was encoded: of Opus only.
    pub fn lookahead(&self) -> usize {
        match &self.state {
            EncoderState::Opus(encoder) => encoder.lookahead(),
            EncoderState::G711(_) | EncoderState::G722(_) => 0,
        }
    }

    /// Encodes exactly one 20 ms frame at the codec's rate. Returns the bytes written to `payload`; 0 means that nothing is to
    /// be sent for this frame.
    ///
    /// # Panics
    ///
    /// When `pcm` is not [`Rate::frame`] samples long or `payload` shorter than [`MAX_PAYLOAD`].
    pub fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> usize {
        assert_eq!(pcm.len(), self.codec.rate().frame(), "an encoder takes one 20 ms frame at a time");
        assert!(payload.len() >= MAX_PAYLOAD, "an encoder needs room for MAX_PAYLOAD bytes");
        match &mut self.state {
            EncoderState::G711(law) => {
                law.encode(pcm, payload);
                pcm.len()
            }
            EncoderState::G722(encoder) => {
                let (pcm, payload) = (pcm.as_array(), payload.first_chunk_mut());
                encoder.encode(pcm.expect("one frame"), payload.expect("room for one frame"))
            }
            EncoderState::Opus(encoder) => encoder.encode(pcm, payload),
        }
    }

    /// Continues the stream of `other`: from here on both encode the same PCM to the same bits. False, and nothing changed,
    /// where the codecs differ or the codec's state cannot be copied.
    #[must_use]
    pub fn copy_state_from(&mut self, other: &Self) -> bool {
        if self.codec != other.codec {
            return false;
        }
        match (&mut self.state, &other.state) {
            (EncoderState::G711(_), EncoderState::G711(_)) => true,
            (EncoderState::G722(own), EncoderState::G722(other)) => {
                own.clone_from(other);
                true
            }
            _ => false,
        }
    }
}

/// One stream that is received.
#[derive(Debug)]
pub struct Decoder {
    codec: Codec,
    state: DecoderState,
}

#[derive(Debug)]
enum DecoderState {
    G711(G711),
    G722(Box<g722::Decoder>),
    Opus(opus::Decoder),
}

impl Decoder {
    /// The start of a stream. It takes all the memory that it will need.
    pub fn new(codec: Codec) -> Self {
        let state = match codec {
            Codec::Pcmu => DecoderState::G711(G711::Pcmu),
            Codec::Pcma => DecoderState::G711(G711::Pcma),
            Codec::G722 => DecoderState::G722(Box::new(g722::Decoder::new())),
            Codec::Opus(format) => DecoderState::Opus(opus::Decoder::new(format.rate)),
        };
        Self { codec, state }
    }

    /// The codec it was made for.
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// Begins anew, as the encoder does after a change of codec or stream, in the memory that it has. Opus finds its way by itself
    /// within a packet.
    pub(crate) fn restart(&mut self) {
        if let DecoderState::G722(decoder) = &mut self.state {
            **decoder = g722::Decoder::new();
        }
    }

    /// Decodes one payload to the front of `pcm`; returns its samples at the codec's rate, which are as many as
    /// [`Codec::duration`] says. On an error nothing was decoded and the stream goes on as if there had been no payload.
    pub fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, Undecodable> {
        let samples = self.codec.duration(payload).ok_or(Undecodable::Malformed(self.codec.name()))?;
        let room = pcm.len();
        let pcm = pcm.get_mut(..samples).ok_or(Undecodable::NoRoom { samples, room })?;
        let decoded = match &mut self.state {
            DecoderState::G711(law) => {
                law.decode(payload, pcm);
                true
            }
            DecoderState::G722(decoder) => {
                decoder.decode(payload, pcm);
                true
            }
            DecoderState::Opus(decoder) => decoder.decode(payload, pcm),
        };
        decoded.then_some(samples).ok_or(Undecodable::Malformed(self.codec.name()))
    }

    /// True when what comes next builds on what was heard before, and [`Decoder::follow`] helps after a gap.
    pub(crate) const fn follows(&self) -> bool {
        matches!(self.state, DecoderState::G722(_))
    }

    /// Goes on as if sound like `pcm` had been received before the payload that comes `next`. The last [`Decoder::AHEAD`] of the
    /// samples are those after it.
    pub(crate) fn follow(&mut self, pcm: &[i16], next: &[u8]) {
        if let DecoderState::G722(decoder) = &mut self.state {
            decoder.follow(pcm, next);
        }
    }

    /// Samples that [`Decoder::follow`] needs besides those it follows.
    pub(crate) const AHEAD: usize = g722::AHEAD;

    /// Decodes the copy of a lost frame that the packet after it may carry (Opus in-band FEC, RFC 6716 section 2.1.7), to all
    /// of `pcm`: the samples that were lost, in multiples of 2.5 ms; what is longer than the copy is concealed before it. `None`,
    /// with the stream untouched, where there is no such copy. The next packet itself is decoded afterwards as usual.
    pub fn decode_fec(&mut self, next_payload: &[u8], pcm: &mut [i16]) -> Option<usize> {
        match &mut self.state {
            DecoderState::Opus(decoder) => decoder.decode_fec(next_payload, pcm).then_some(pcm.len()),
            DecoderState::G711(_) | DecoderState::G722(_) => None,
        }
    }

    /// The codec's own guess at the next `pcm.len()` samples, which were lost: for Opus, multiples of 2.5 ms up to 120 ms. False,
    /// with the stream untouched, where it has none.
    pub fn conceal(&mut self, pcm: &mut [i16]) -> bool {
        match &mut self.state {
            DecoderState::Opus(decoder) => decoder.conceal(pcm),
            DecoderState::G711(_) | DecoderState::G722(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
