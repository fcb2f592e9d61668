//! Opus (RFC 6716) in RTP (RFC 7587), mono, by libopus. What a packet says about itself is read here, in [`packet`], without
//! libopus; encoder and decoder are libopus's, which takes all its memory when they are made.

pub(crate) mod packet;

use audiopus::coder::{Decoder as LibDecoder, Encoder as LibEncoder};
use audiopus::packet::Packet as LibPacket;
use audiopus::{Application, Bitrate, Channels, MutSignals, SampleRate, Signal};

use super::MAX_PAYLOAD;
use crate::guard;
use crate::units::Rate;
use packet::Packet;

/// Everything that changes what an Opus encoder sends. RFC 7587 section 6.1 names the parameters of SDP that lead to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OpusFormat {
    /// Rate of the PCM, and so the widest band that is sent (`maxplaybackrate`, `sprop-maxcapturerate`).
    pub rate: Rate,
    /// Bits per second of payload, taken to the nearest of 6,000..=[`OpusFormat::MAX_BITRATE`] (`maxaveragebitrate`).
    pub bitrate: u32,
    /// How hard the encoder works, 0..=10; more is taken for 10.
    pub complexity: u8,
    /// Whether packets carry a coarser copy of the frame before, for when that was lost (`useinbandfec`). It is sent only while
    /// `loss_percent` makes it worth its bits.
    pub fec: bool,
    /// Whether silence is not sent (`usedtx`).
    pub dtx: bool,
    /// Whether all packets are of one size (`cbr`).
    pub cbr: bool,
    /// The loss that the encoder prepares for, 0..=100; more is taken for 100.
    pub loss_percent: u8,
}

impl OpusFormat {
    /// The highest bitrate of an encoder: what [`MAX_PAYLOAD`] can carry.
    pub const MAX_BITRATE: u32 = 128_000;

    /// Speech with a good trade of quality, bits and work: the rates of RFC 7587 section 3.1.1, in-band FEC
    /// where libopus finds the bits for it at 5 % loss (at 48 kHz it does, at 16 kHz not below 32,000 bit/s), and complexity 6:
    /// libopus 1.6 vectorizes three and four states of its quantizer and not two, so that 6 costs little more than 5 where there is
    /// AVX2 (`cargo bench -p benches --bench codecs -- opus_16k`).
    pub const fn speech(rate: Rate) -> Self {
        let bitrate = match rate {
            Rate::Narrow => 16_000,
            Rate::Wide => 24_000,
            Rate::Full => 40_000,
        };
        Self { rate, bitrate, complexity: 6, fec: true, dtx: false, cbr: false, loss_percent: 5 }
    }
}

const WORKS: &str = "libopus takes every value that is in its documented range";

/// The state of a stream to be sent.
#[derive(Debug)]
pub(super) struct Encoder {
    encoder: LibEncoder,
    dtx: bool,
}

impl Drop for Encoder {
    fn drop(&mut self) {
        guard::frees("the end of an Opus encoder");
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        guard::frees("the end of an Opus decoder");
    }
}

impl Encoder {
    pub(super) fn new(format: OpusFormat) -> Self {
        let mut encoder =
            LibEncoder::new(sample_rate(format.rate), Channels::Mono, Application::Voip).expect(WORKS);
        let bitrate = format.bitrate.clamp(6_000, OpusFormat::MAX_BITRATE) as i32;
        encoder.set_bitrate(Bitrate::BitsPerSecond(bitrate)).expect(WORKS);
        encoder.set_signal(Signal::Voice).expect(WORKS);
        encoder.set_complexity(format.complexity.min(10)).expect(WORKS);
        encoder.set_inband_fec(format.fec).expect(WORKS);
        encoder.set_packet_loss_perc(format.loss_percent.min(100)).expect(WORKS);
        encoder.set_dtx(format.dtx).expect(WORKS);
        encoder.set_vbr(!format.cbr).expect(WORKS);
        Self { encoder, dtx: format.dtx }
    }

    /// Samples by which the decoder's sound is late.
    pub(super) fn lookahead(&self) -> usize {
        self.encoder.lookahead().expect(WORKS) as usize
    }

    /// One 20 ms frame; 0 where DTX leaves it out.
    pub(super) fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> usize {
        // At most MAX_PAYLOAD, whatever the room: how much room there is changes the bits.
        let length =
            self.encoder.encode(pcm, &mut payload[..MAX_PAYLOAD]).expect("a frame of 20 ms is encoded");
        // "If the return value is 2 bytes or less, then the packet does not need to be transmitted" (opus.h, DTX).
        if self.dtx && length <= 2 { 0 } else { length }
    }
}

/// The state of a stream that is received.
#[derive(Debug)]
pub(super) struct Decoder {
    decoder: LibDecoder,
    rate: Rate,
}

impl Decoder {
    pub(super) fn new(rate: Rate) -> Self {
        let decoder = LibDecoder::new(sample_rate(rate), Channels::Mono).expect(WORKS);
        Self { decoder, rate }
    }

    /// All of `pcm` from a payload that [`duration`] has found to last as long; false where libopus still refuses it.
    pub(super) fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> bool {
        self.run(Some(payload), pcm, false)
    }

    /// All of `pcm` from the copy that `next` holds of the frame before it, where it holds one. What is longer than that frame
    /// is concealed first.
    pub(super) fn decode_fec(&mut self, next: &[u8], pcm: &mut [i16]) -> bool {
        let copied = Packet::parse(next).filter(Packet::has_fec);
        let Some(copied) = copied else { return false };
        pcm.len() >= copied.frame_samples(self.rate)
            && self.concealable(pcm)
            && self.run(Some(next), pcm, true)
    }

    /// All of `pcm` from what was decoded last.
    pub(super) fn conceal(&mut self, pcm: &mut [i16]) -> bool {
        self.concealable(pcm) && self.run(None, pcm, false)
    }

    /// libopus makes up multiples of 2.5 ms.
    fn concealable(&self, pcm: &[i16]) -> bool {
        let step = self.rate.frame() / 8;
        !pcm.is_empty()
            && pcm.len().is_multiple_of(step)
            && pcm.len() <= super::MAX_FRAMES * self.rate.frame()
    }

    fn run(&mut self, payload: Option<&[u8]>, pcm: &mut [i16], fec: bool) -> bool {
        let samples = pcm.len();
        let Ok(signals) = MutSignals::try_from(pcm) else { return false };
        let packet = match payload.map(LibPacket::try_from) {
            Some(Err(_)) => return false,
            Some(Ok(packet)) => Some(packet),
            None => None,
        };
        self.decoder.decode(packet, signals, fec) == Ok(samples)
    }
}

/// Samples that `payload` decodes to; `None` where it is malformed.
pub(super) fn duration(payload: &[u8], rate: Rate) -> Option<usize> {
    Packet::parse(payload).map(|packet| packet.samples(rate))
}

/// Whether nobody speaks in `payload`; `None` where it does not say.
pub(super) fn is_silence(payload: &[u8]) -> Option<bool> {
    Packet::parse(payload)?.is_silence()
}

/// Whether `payload` carries a copy of the frame before it.
pub(super) fn has_copy(payload: &[u8]) -> bool {
    Packet::parse(payload).is_some_and(|packet| packet.has_fec())
}

const fn sample_rate(rate: Rate) -> SampleRate {
    match rate {
        Rate::Narrow => SampleRate::Hz8000,
        Rate::Wide => SampleRate::Hz16000,
        Rate::Full => SampleRate::Hz48000,
    }
}

#[cfg(test)]
mod tests;
