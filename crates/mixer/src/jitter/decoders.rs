//! The decoders of one leg: one for every codec its peer may send, made when the leg is.

use crate::ahead;
use crate::codec::{Codec, Decoder};
use crate::units::Rate;
use crate::waste::Waste;

use super::timeline::unit;

/// Payload bytes kept of the last packet that was passed over, so that decoding begins again with it. Packets without speech are
/// smaller.
const KEPT: usize = 64;

/// Decoders, in the order of the codecs they were made for.
#[derive(Debug)]
pub(super) struct Decoders {
    all: Vec<Decoder>,
    /// A decoder that has missed packets, and the last of them.
    passed_over: Option<(u8, usize)>,
    kept: Box<[u8]>,
}

impl Decoders {
    /// One for every codec.
    pub(super) fn new(codecs: &[Codec]) -> Self {
        let mut decoders =
            Self { all: Vec::with_capacity(codecs.len()), passed_over: None, kept: Box::default() };
        let mut waste = Waste::default(); // nothing comes into it: there is room
        for &codec in codecs {
            decoders.admit(codec, &mut waste);
        }
        decoders
    }

    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.all.capacity() * size_of::<Decoder>() + self.kept.len()
    }

    /// One more, if there is none for `codec` yet. The others keep their numbers.
    pub(super) fn admit(&mut self, codec: Codec, waste: &mut Waste) {
        if self.find(codec).is_none() && self.all.len() < usize::from(u8::MAX) {
            waste.reserve(&mut self.all, 1);
            self.all.push(Decoder::new(codec));
            if !is_divisible(codec) {
                waste.replace(&mut self.kept, vec![0; KEPT].into_boxed_slice());
                self.passed_over = None;
            }
        }
    }

    /// See [`crate::ahead`].
    pub(super) fn fetch(&self) {
        if let [first, ..] = &self.all[..] {
            ahead::fetch(first);
        }
    }

    /// The number of the decoder for `codec`.
    pub(super) fn find(&self, codec: Codec) -> Option<u8> {
        self.all.iter().position(|decoder| decodes(decoder.codec(), codec)).map(|place| place as u8)
    }

    pub(super) fn codec(&self, number: u8) -> Codec {
        self.all[usize::from(number)].codec()
    }

    /// The highest rate that any of them decodes to.
    pub(super) fn highest_rate(&self) -> Rate {
        self.all.iter().map(|decoder| decoder.codec().rate()).max().unwrap_or_default()
    }

    /// True when all of them can decode any part of a payload.
    pub(super) fn are_divisible(&self) -> bool {
        self.all.iter().all(|decoder| is_divisible(decoder.codec()))
    }

    /// The decoder of this number, whose next packet is this one.
    pub(super) fn get(&mut self, number: u8, scratch: &mut [i16]) -> &mut Decoder {
        let decoder = &mut self.all[usize::from(number)];
        if let Some((_, length)) = self.passed_over.take_if(|(passed, _)| *passed == number) {
            // What it decodes to was silence and its time is over; the state it leaves is what the next packet builds on. Where
            // it cannot be decoded, the state is older, and the next packet begins with a few milliseconds of transition.
            let _ = decoder.decode(&self.kept[..length], scratch);
        }
        decoder
    }

    /// The decoder of this number begins anew, as its encoder does after a change of codec or stream.
    pub(super) fn restart(&mut self, number: u8) {
        self.all[usize::from(number)].restart();
    }

    /// The decoder of this number, for what is not its next packet.
    pub(super) fn get_as_is(&mut self, number: u8) -> &mut Decoder {
        &mut self.all[usize::from(number)]
    }

    /// A packet of silence is not decoded. For a codec whose state builds on it, it is kept in case sound follows.
    pub(super) fn pass_over(&mut self, number: u8, payload: &[u8]) {
        if payload.len() <= self.kept.len() && !is_divisible(self.codec(number)) {
            self.kept[..payload.len()].copy_from_slice(payload);
            self.passed_over = Some((number, payload.len()));
        }
    }
}

/// True when a decoder made for one codec decodes the other: for Opus all that counts is the rate.
fn decodes(one: Codec, other: Codec) -> bool {
    match (one, other) {
        (Codec::Opus(one), Codec::Opus(other)) => one.rate == other.rate,
        _ => one == other,
    }
}

/// True for codecs whose payloads can be decoded in parts, byte by byte.
fn is_divisible(codec: Codec) -> bool {
    byte(codec).is_some()
}

/// Units of the timeline in a byte, for codecs whose payloads can be decoded in parts.
pub(super) fn byte(codec: Codec) -> Option<i64> {
    match codec {
        Codec::Pcmu | Codec::Pcma | Codec::G722 => Some(unit(Rate::Narrow)),
        Codec::Opus(_) => None,
    }
}
