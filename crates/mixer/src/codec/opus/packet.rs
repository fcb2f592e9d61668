//! What an Opus packet says about itself before its audio is decoded: how long it lasts (RFC 6716 section 3), whether someone
//! speaks in it and whether it holds a copy of the frame before (section 4.2.3).
//!
//! A packet that is parsed here meets every requirement of section 3.4, so that the decoder takes it.

use crate::units::Rate;

/// Bytes of the longest packet that is looked at: more does not come in one piece over the networks that we know.
pub(crate) const MAX_PACKET: usize = 1_500;
/// Bytes of the longest frame (R2).
const MAX_FRAME_BYTES: usize = 1_275;
/// Samples of the longest packet at 48 kHz: 120 ms (R5).
const MAX_SAMPLES: usize = 5_760;
/// Frames of the longest packet: 2.5 ms each.
const MAX_FRAMES: usize = 48;

/// Which layers a frame has (section 3.1, table 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Silk,
    Hybrid,
    Celt,
}

/// A packet whose framing is in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    mode: Mode,
    stereo: bool,
    /// Samples of a frame at 48 kHz.
    frame: usize,
    frames: Frames<'a>,
}

impl<'a> Packet<'a> {
    /// `None` for what is not an Opus packet, is longer than [`MAX_PACKET`] or lasts more than 120 ms.
    pub(crate) fn parse(payload: &'a [u8]) -> Option<Self> {
        let (&toc, rest) = payload.split_first()?; // R1
        if payload.len() > MAX_PACKET {
            return None;
        }
        let (mode, frame) = configuration(toc >> 3);
        let frames = match toc & 3 {
            0 => Frames::one(rest),
            1 => Frames::equal(rest, 2),
            2 => Frames::listed(rest, 2),
            _ => Frames::counted(rest),
        }?;
        (frames.count * frame <= MAX_SAMPLES).then_some(Self { mode, stereo: toc & 4 != 0, frame, frames })
    }

    /// PCM samples of the whole packet at `rate`.
    pub(crate) fn samples(&self, rate: Rate) -> usize {
        self.frames.count * self.frame_samples(rate)
    }

    /// PCM samples of each of its frames at `rate`.
    pub(crate) fn frame_samples(&self, rate: Rate) -> usize {
        self.frame * rate.frame() / Rate::Full.frame()
    }

    /// Whether the encoder found no speech in the whole packet. A frame of at most a byte is DTX, and silent. Frames of the SILK
    /// layer have voice activity flags; those of CELT alone say only whether they are digital silence: `None` where one of them
    /// is not.
    pub(crate) fn is_silence(&self) -> Option<bool> {
        let mut silence = true;
        for frame in self.frames.iter() {
            let Some((&first, rest)) = frame.split_first().filter(|(_, rest)| !rest.is_empty()) else {
                continue;
            };
            silence &= match self.mode {
                Mode::Silk | Mode::Hybrid => first & self.activity_flags() == 0,
                // The silence flag of table 56: the first symbol, of probability 2^-15, which the coder writes as ones.
                Mode::Celt if first == 0xff && rest[0] >= 0xfe => true,
                Mode::Celt => return None,
            };
        }
        Some(silence)
    }

    /// Whether the first frame holds a copy of the frame before it, for when that was lost (LBRR).
    pub(crate) fn has_fec(&self) -> bool {
        let first = self.frames.iter().next().filter(|frame| frame.len() > 1).and_then(|frame| frame.first());
        self.mode != Mode::Celt && first.is_some_and(|first| first & self.copy_flags() != 0)
    }

    /// Where the first byte of a frame has its voice activity flags: for every channel one per SILK frame, then an LBRR flag.
    /// All of them are binary values of even probability at the start of the range coder's output, so that they are its top bits.
    fn activity_flags(&self) -> u8 {
        let flags = self.silk_frames();
        let mid = !(0xff >> flags);
        if self.stereo { mid | mid >> (flags + 1) } else { mid }
    }

    /// Where it has its LBRR flags.
    fn copy_flags(&self) -> u8 {
        let flags = self.silk_frames();
        let mid = 0x80 >> flags;
        if self.stereo { mid | mid >> (flags + 1) } else { mid }
    }

    /// SILK frames in a frame: of 20 ms, or one of 10 ms (section 4.2.2).
    const fn silk_frames(&self) -> u32 {
        if self.frame <= 960 { 1 } else { self.frame as u32 / 960 }
    }
}

/// Mode and samples at 48 kHz of a frame, by the five bits of the configuration number (section 3.1, table 2).
const fn configuration(number: u8) -> (Mode, usize) {
    const SILK: [usize; 4] = [480, 960, 1_920, 2_880];
    const CELT: [usize; 4] = [120, 240, 480, 960];
    let length = (number & 3) as usize;
    match number {
        0..12 => (Mode::Silk, SILK[length]),
        12..16 => (Mode::Hybrid, SILK[length & 1]),
        _ => (Mode::Celt, CELT[length]),
    }
}

/// The compressed frames of a packet: `count` of them lie one after the other in `bytes`.
#[derive(Clone, Copy, Debug)]
struct Frames<'a> {
    bytes: &'a [u8],
    count: usize,
    /// Where the lengths of all but the last frame are listed; none are where all are equal.
    lengths: Option<&'a [u8]>,
}

impl<'a> Frames<'a> {
    /// Code 0 (section 3.2.2).
    fn one(bytes: &'a [u8]) -> Option<Self> {
        Self::equal(bytes, 1)
    }

    /// Code 1 (section 3.2.3), and code 3 with constant bitrate.
    fn equal(bytes: &'a [u8], count: usize) -> Option<Self> {
        let fits = bytes.len().is_multiple_of(count) && bytes.len() / count <= MAX_FRAME_BYTES; // R2, R3, R6
        fits.then_some(Self { bytes, count, lengths: None })
    }

    /// Code 2 (section 3.2.4), and code 3 with variable bitrate: the lengths of all but the last frame come first (R4, R7).
    fn listed(rest: &'a [u8], count: usize) -> Option<Self> {
        let mut bytes = rest;
        let mut sum = 0;
        for _ in 1..count {
            let (length, after) = frame_length(bytes)?;
            sum += length;
            bytes = after;
        }
        let last = bytes.len().checked_sub(sum)?;
        let fits = last <= MAX_FRAME_BYTES; // R2; what a length can say is at most 1275
        fits.then_some(Self { bytes, count, lengths: Some(rest) })
    }

    /// Code 3 (section 3.2.5): a byte with the number of frames, then the length of the padding at the end.
    fn counted(rest: &'a [u8]) -> Option<Self> {
        let (&head, mut rest) = rest.split_first()?;
        let count = usize::from(head & 0x3f);
        if count == 0 || count > MAX_FRAMES {
            return None; // R5
        }
        if head & 0x40 != 0 {
            let mut padding = 0;
            loop {
                let (&byte, after) = rest.split_first()?;
                rest = after;
                padding += usize::from(byte.min(254));
                if byte != 255 {
                    break;
                }
            }
            rest = &rest[..rest.len().checked_sub(padding)?];
        }
        if head & 0x80 == 0 { Self::equal(rest, count) } else { Self::listed(rest, count) }
    }

    fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        let equal = self.bytes.len() / self.count;
        let (mut bytes, mut lengths) = (self.bytes, self.lengths);
        (1..=self.count).map_while(move |number| {
            let length = match &mut lengths {
                _ if number == self.count => bytes.len(),
                None => equal,
                Some(lengths) => {
                    let (length, after) = frame_length(lengths)?;
                    *lengths = after;
                    length
                }
            };
            let (frame, after) = bytes.split_at_checked(length)?;
            bytes = after;
            Some(frame)
        })
    }
}

/// The length of a frame in one or two bytes (section 3.2.1), and what follows it.
fn frame_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match *bytes {
        [length @ 0..=251, ref rest @ ..] => Some((usize::from(length), rest)),
        [first, second, ref rest @ ..] => Some((usize::from(second) * 4 + usize::from(first), rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packet (first bytes, then so many zeros), milliseconds at 48 kHz, or what is wrong with it.
    const FRAMINGS: [(&[u8], usize, Option<f64>); 26] = [
        (&[], 0, None),
        (&[0x00], 0, Some(10.0)),                // SILK 10 ms, DTX
        (&[0x08], 30, Some(20.0)),               // SILK 20 ms
        (&[0x10], 30, Some(40.0)),               // SILK 40 ms
        (&[0x18], 30, Some(60.0)),               // SILK 60 ms
        (&[0x60], 30, Some(10.0)),               // hybrid 10 ms
        (&[0x78], 30, Some(20.0)),               // hybrid 20 ms
        (&[0x80], 30, Some(2.5)),                // CELT 2.5 ms
        (&[0xf8], 30, Some(20.0)),               // CELT 20 ms
        (&[0x08], 1_275, Some(20.0)),            // the longest frame
        (&[0x08], 1_276, None),                  // R2
        (&[0x09], 30, Some(40.0)),               // two equal frames
        (&[0x09], 31, None),                     // R3
        (&[0x0a, 10], 30, Some(40.0)),           // two frames, one of 10 bytes
        (&[0x0a, 31], 30, None),                 // R4
        (&[0x0a, 252], 30, None), // R4: 252 asks for a second byte; it makes 252, which are not there
        (&[0x0a, 252, 1], 255, None), // one short of 256
        (&[0x0a, 252, 1], 256, Some(40.0)), // the first has all of 256, the second is DTX
        (&[0x0b], 0, None),       // R6: no count
        (&[0x0b, 0], 30, None),   // R5: no frames
        (&[0x0b, 3], 30, Some(60.0)), // three equal frames
        (&[0x0b, 7], 35, None),   // R5: 140 ms
        (&[0x0b, 0x43, 9], 30, Some(60.0)), // nine bytes of padding leave 21
        (&[0x0b, 0x43, 255, 0], 30, None), // more padding than packet
        (&[0x0b, 0x83, 10, 10], 30, Some(60.0)), // frames of 10, 10 and 10
        (&[0x83, 0x30], 48, Some(120.0)), // 48 frames of 2.5 ms
    ];

    #[test]
    fn the_duration_follows_from_the_first_bytes_and_a_bad_framing_has_none() {
        for (start, zeros, milliseconds) in FRAMINGS {
            let bytes = [start, &vec![0; zeros]].concat();
            let samples = Packet::parse(&bytes).map(|packet| packet.samples(Rate::Full) as f64 / 48.0);
            assert_eq!(samples, milliseconds, "{start:02x?} and {zeros} zeros");
        }
    }

    #[test]
    fn the_duration_is_in_samples_of_the_rate_asked_for() {
        let packet = Packet::parse(&[0x80, 0]).expect("2.5 ms of CELT");
        assert_eq!(Rate::ALL.map(|rate| packet.samples(rate)), [20, 40, 120]);
    }

    #[test]
    fn the_frames_of_a_packet_are_its_bytes_without_lengths_and_padding() {
        for (bytes, frames) in [
            (
                &[0x0b, 0xc3, 1, 2, 1, 0xa1, 0xa2, 0xb1, 0xc1, 0xc2, 0][..],
                &[&[0xa1, 0xa2][..], &[0xb1], &[0xc1, 0xc2]][..],
            ),
            (&[0x09, 1, 2], &[&[1], &[2]]),
            (&[0x0a, 0, 1, 2], &[&[], &[1, 2]]),
        ] {
            let packet = Packet::parse(bytes).expect("well formed");
            assert!(packet.frames.iter().eq(frames.iter().copied()), "{bytes:02x?}");
        }
    }

    #[test]
    fn a_frame_is_silent_when_all_its_voice_activity_flags_are_zero_and_has_a_copy_when_an_lbrr_flag_is_set()
    {
        for (toc, first, silence, copy) in [
            (0x08, 0b0011_1111, Some(true), false), // 20 ms mono: V L
            (0x08, 0b0111_1111, Some(true), true),
            (0x08, 0b1011_1111, Some(false), false),
            (0x0c, 0b0000_1111, Some(true), false), // 20 ms stereo: V L V L
            (0x0c, 0b0010_0000, Some(false), false),
            (0x0c, 0b0001_0000, Some(true), true),
            (0x18, 0b0000_1111, Some(true), false), // 60 ms mono: V V V L
            (0x18, 0b0001_0000, Some(true), true),
            (0x18, 0b0010_0000, Some(false), false),
            (0x1c, 0b0000_0010, Some(false), false), // 60 ms stereo: V V V L V V V L
            (0x1c, 0b0000_0001, Some(true), true),
            (0xf8, 0b1111_1111, None, false), // CELT says nothing but digital silence
        ] {
            let bytes = [toc, first, 0];
            let packet = Packet::parse(&bytes).expect("well formed");
            assert_eq!((packet.is_silence(), packet.has_fec()), (silence, copy), "{toc:#04x} {first:#010b}");
        }
        assert_eq!(Packet::parse(&[0xf8, 0xff, 0xfe]).and_then(|packet| packet.is_silence()), Some(true));
        assert_eq!(Packet::parse(&[0x08]).and_then(|packet| packet.is_silence()), Some(true), "DTX");
    }
}
