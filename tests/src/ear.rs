//! What a phone hears: its own RTP reader, and the question whether a tone is in it.

use std::f64::consts::TAU;
use std::ops::Range;
use std::time::Duration;

use crate::codec::{Codec, Listening};

/// One packet as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// When, since the beginning of the world.
    pub at: Duration,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp, in the clock of its codec.
    pub timestamp: u32,
    /// The stream.
    pub ssrc: u32,
    /// Payload type.
    pub payload_type: u8,
    /// Marker bit.
    pub marker: bool,
    /// Contributing sources.
    pub csrcs: Vec<u32>,
    /// Bytes of payload.
    pub length: usize,
    /// The codec, for audio.
    pub codec: Option<Codec>,
    /// The sound at the codec's rate, for audio that is kept.
    pub pcm: Vec<i16>,
}

/// The receiving half of a phone's media.
#[derive(Debug, Default)]
pub struct Ear {
    /// Only count: for storms, in which nobody listens.
    pub deaf: bool,
    /// Everything that came, in order of arrival; empty when deaf.
    pub packets: Vec<Packet>,
    /// RTP packets.
    pub count: u64,
    /// RTCP packets.
    pub rtcp: u64,
    /// What could not be read: our bridge must never send that.
    pub garbage: Vec<Vec<u8>>,
    pub(crate) listening: Option<Listening>,
}

impl Ear {
    /// A datagram on the RTP port.
    pub fn take_rtp(&mut self, at: Duration, bytes: &[u8]) {
        self.count += 1;
        if self.deaf {
            return;
        }
        match self.parse(at, bytes) {
            Some(packet) => self.packets.push(packet),
            None => self.garbage.push(bytes.to_vec()),
        }
    }

    fn parse(&mut self, at: Duration, bytes: &[u8]) -> Option<Packet> {
        let word = |from: usize| -> Option<u32> {
            bytes.get(from..from + 4).map(|four| u32::from_be_bytes([four[0], four[1], four[2], four[3]]))
        };
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        // Version 2, no padding, no extension: we never send either.
        if first & 0b1111_0000 != 0x80 {
            return None;
        }
        let csrcs: Vec<u32> =
            (0..usize::from(first & 15)).map(|number| word(12 + 4 * number)).collect::<Option<_>>()?;
        let payload = bytes.get(12 + 4 * csrcs.len()..).filter(|payload| !payload.is_empty())?;
        let payload_type = second & 127;
        let codec = Codec::of(payload_type);
        let pcm = match codec {
            Some(codec) => {
                if self.listening.as_ref().is_none_or(|before| before.codec() != codec) {
                    self.listening = Some(Listening::new(codec));
                }
                self.listening.as_mut().and_then(|listening| listening.decode(payload))?
            }
            None => Vec::new(),
        };
        Some(Packet {
            at,
            sequence: u16::from_be_bytes([bytes[2], bytes[3]]),
            timestamp: word(4)?,
            ssrc: word(8)?,
            payload_type,
            marker: second & 128 != 0,
            length: payload.len(),
            csrcs,
            codec,
            pcm,
        })
    }

    /// A datagram on the RTCP port: version 2 and a sender or receiver report in front (RFC 3550 section 6.1).
    pub fn take_rtcp(&mut self, bytes: &[u8]) {
        self.rtcp += 1;
        if bytes.len() < 8 || bytes[0] >> 6 != 2 || !matches!(bytes[1], 200 | 201) {
            self.garbage.push(bytes.to_vec());
        }
    }

    /// Forgets what was heard so far.
    pub fn clear(&mut self) {
        self.packets.clear();
    }

    /// The sharpest edge in what came during `when`, in samples: how far any sample is from where the two before it say that a
    /// steady tone goes on. A change of its phase or loudness that takes its time is small; a cut is as large as its step. Where
    /// the rate changes, it begins anew.
    pub fn sharpest_edge(&self, frequency: u32, when: &Range<Duration>) -> f64 {
        let packets: Vec<&Packet> = self.packets.iter().filter(|packet| when.contains(&packet.at)).collect();
        let mut sharpest = 0.0_f64;
        for alike in packets.chunk_by(|one, next| one.rate() == next.rate()) {
            let Some(rate) = alike.first().map(|packet| packet.rate()) else { continue };
            let turn = 2.0 * (TAU * f64::from(frequency) / f64::from(rate)).cos();
            let sound: Vec<f64> =
                alike.iter().flat_map(|packet| packet.pcm.iter().map(|&sample| f64::from(sample))).collect();
            let edges = sound.windows(3).map(|three| (three[2] - turn * three[1] + three[0]).abs());
            sharpest = edges.fold(sharpest, f64::max);
        }
        sharpest
    }

    /// How loud a tone is in what came during `when`: its amplitude, averaged over 20 ms pieces.
    pub fn level(&self, frequency: u32, when: &Range<Duration>) -> f64 {
        let mut sum = 0.0;
        let mut pieces = 0;
        for packet in self.packets.iter().filter(|packet| when.contains(&packet.at)) {
            for piece in packet.pieces() {
                sum += goertzel(piece, frequency, packet.rate()).powi(2);
                pieces += 1;
            }
        }
        if pieces == 0 { 0.0 } else { (sum / f64::from(pieces)).sqrt() }
    }

    /// The share of 20 ms pieces during `when` in which a tone is louder than `least`.
    pub fn share(&self, frequency: u32, least: f64, when: &Range<Duration>) -> f64 {
        let pieces = self.packets.iter().filter(|packet| when.contains(&packet.at) && !packet.pcm.is_empty());
        let (mut loud, mut all) = (0.0, 0.0);
        for packet in pieces {
            all += 1.0;
            loud += f64::from(u8::from(goertzel(&packet.pcm, frequency, packet.rate()) > least));
        }
        if all > 0.0 { loud / all } else { 0.0 }
    }

    /// Audio packets during `when`.
    pub fn packets_in(&self, when: &Range<Duration>) -> usize {
        self.packets.iter().filter(|packet| when.contains(&packet.at)).count()
    }

    /// When the first packet with sound in it came.
    pub fn first_sound(&self) -> Option<Duration> {
        let loud = |packet: &&Packet| packet.pcm.iter().any(|sample| sample.unsigned_abs() > 200);
        self.packets.iter().find(loud).map(|packet| packet.at)
    }

    /// The longest jump between timestamps of neighbours, in ticks of 20 ms; 1 when nothing is missing.
    pub fn longest_step(&self) -> u32 {
        let ticks = |packet: &Packet| packet.codec.map_or(160, Codec::ticks);
        let steps = self
            .packets
            .windows(2)
            .map(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp) / ticks(&pair[1]));
        steps.max().unwrap_or(0)
    }

    /// The streams that came, in order of appearance.
    pub fn streams(&self) -> Vec<u32> {
        let mut streams: Vec<u32> = self.packets.iter().map(|packet| packet.ssrc).collect();
        streams.dedup();
        streams
    }

    /// Whether each sequence number is the successor of the one before it.
    pub fn is_gapless(&self) -> bool {
        self.packets.windows(2).all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1))
    }

    /// What a phone would complain about on a perfect network.
    pub fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> =
            self.garbage.iter().map(|bytes| format!("unreadable packet {bytes:02x?}")).collect();
        if self.streams().len() > 1 {
            faults.push(format!("the stream changed: {:08x?}", self.streams()));
        }
        if !self.is_gapless() {
            faults.push("sequence numbers are missing".to_owned());
        }
        faults
    }
}

impl Packet {
    /// The rate of its sound, in Hz.
    pub fn rate(&self) -> u32 {
        self.codec.map_or(8000, Codec::rate)
    }

    /// Its sound in pieces of 20 ms.
    pub fn pieces(&self) -> impl Iterator<Item = &[i16]> {
        self.pcm.chunks_exact(self.rate() as usize / 50)
    }
}

/// Whether a tone is in a packet's sound, at least so loud.
pub fn has(packet: &Packet, frequency: u32, least: f64) -> bool {
    goertzel(&packet.pcm, frequency, packet.rate()) >= least
}

/// The amplitude of one frequency, in Hz, in what was sampled at `rate` Hz (Goertzel's algorithm).
pub fn goertzel(samples: &[i16], frequency: u32, rate: u32) -> f64 {
    let angle = TAU * f64::from(frequency) / f64::from(rate);
    let coefficient = 2.0 * angle.cos();
    let (mut one, mut two) = (0.0, 0.0);
    for &sample in samples {
        let next = f64::from(sample) + coefficient * one - two;
        two = one;
        one = next;
    }
    let power = one * one + two * two - coefficient * one * two;
    2.0 * power.max(0.0).sqrt() / samples.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mouth::{AMPLITUDE, Mouth, Sound};

    #[test]
    fn a_tone_is_found_and_its_neighbours_are_not() {
        let mut mouth = Mouth::new(1, Sound::Tone(500));
        let mut ear = Ear::default();
        for beat in 0..50 {
            for bytes in mouth.beat() {
                ear.take_rtp(Duration::from_millis(20 * beat), &bytes);
            }
        }
        let all = Duration::ZERO..Duration::from_secs(1);
        assert!((ear.level(500, &all) - AMPLITUDE).abs() < 30.0);
        assert!(ear.level(400, &all) < 30.0 && ear.level(600, &all) < 30.0);
        assert_eq!((ear.longest_step(), ear.faults()), (1, Vec::new()));
    }
}
