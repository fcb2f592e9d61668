//! A view of one RTP packet over the bytes that arrived, and the header that we write (RFC 3550 section 5.1).
//!
//! Guarantee: [`Packet::parse`] never panics, whatever the bytes are, and never copies; once it succeeded, no accessor can
//! panic. The fuzz target `rtp` tries to break this, and compares with `rtc-rtp`.

use thiserror::Error;

use crate::units::{PayloadType, RtpTime, SeqNo, Ssrc};

/// Bytes of the fixed header.
pub const HEADER: usize = 12;

/// Contributing sources a header can list (RFC 3550 section 5.1: four bits).
pub const MAX_CSRC: usize = 15;

/// Why a datagram is not an RTP packet. It is dropped and counted: garbage never ends a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// Fewer bytes than the header needs.
    #[error("{0} bytes are too short for the RTP header they announce")]
    Short(usize),
    /// Version other than 2.
    #[error("RTP version {0} instead of 2")]
    Version(u8),
    /// The header extension reaches beyond the packet.
    #[error("the RTP header extension reaches beyond the packet")]
    Extension,
    /// The padding is longer than the payload, or of length zero.
    #[error("the RTP padding is longer than the payload")]
    Padding,
}

/// True for a datagram that is RTCP when RTP and RTCP share a port (RFC 5761 section 4).
pub fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [first, 192..=223, ..] if first >> 6 == 2)
}

/// A checked view of one RTP packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    header: &'a [u8; HEADER],
    csrcs: &'a [u8],
    payload: &'a [u8],
    payload_at: usize,
}

impl<'a> Packet<'a> {
    /// Checks every length once, so that the accessors need not.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Malformed> {
        let short = Malformed::Short(datagram.len());
        let (header, rest) = datagram.split_first_chunk::<HEADER>().ok_or(short)?;
        let version = header[0] >> 6;
        if version != 2 {
            return Err(Malformed::Version(version));
        }
        let (csrcs, mut rest) = rest.split_at_checked(usize::from(header[0] & 0x0f) * 4).ok_or(short)?;
        if header[0] & 0x10 != 0 {
            // RFC 3550 section 5.3.1: 16 bits of profile, 16 bits of length in words.
            let (extension, after) = rest.split_first_chunk::<4>().ok_or(Malformed::Extension)?;
            let words = usize::from(u16::from_be_bytes([extension[2], extension[3]]));
            rest = after.get(words * 4..).ok_or(Malformed::Extension)?;
        }
        let payload_at = datagram.len() - rest.len();
        if header[0] & 0x20 != 0 {
            let padding = usize::from(*rest.last().ok_or(Malformed::Padding)?);
            let payload = rest.len().checked_sub(padding).ok_or(Malformed::Padding)?;
            if padding == 0 {
                return Err(Malformed::Padding);
            }
            rest = &rest[..payload];
        }
        Ok(Self { header, csrcs, payload: rest, payload_at })
    }

    /// The marker bit: for audio the first packet after a pause (RFC 3551 section 4.1), for events the first of an event.
    pub fn marker(&self) -> bool {
        self.header[1] & 0x80 != 0
    }

    /// What the payload is.
    pub fn payload_type(&self) -> PayloadType {
        PayloadType::new(self.header[1])
    }

    /// Its place in the stream.
    pub fn sequence(&self) -> SeqNo {
        SeqNo::new(u16::from_be_bytes([self.header[2], self.header[3]]))
    }

    /// The sampling instant of its first sample.
    pub fn timestamp(&self) -> RtpTime {
        RtpTime::new(u32::from_be_bytes([self.header[4], self.header[5], self.header[6], self.header[7]]))
    }

    /// The stream it belongs to.
    pub fn ssrc(&self) -> Ssrc {
        Ssrc::new(u32::from_be_bytes([self.header[8], self.header[9], self.header[10], self.header[11]]))
    }

    /// Who is heard in it, if a mixer made it.
    pub fn csrcs(&self) -> impl Iterator<Item = Ssrc> + use<'a> {
        self.csrcs.as_chunks::<4>().0.iter().map(|word| Ssrc::new(u32::from_be_bytes(*word)))
    }

    /// What it carries, without extension and padding.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The octet of the datagram at which the payload begins; the datagram's length where nothing comes after the header.
    pub fn payload_at(&self) -> usize {
        self.payload_at
    }
}

/// The fields of a header that we write.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// See [`Packet::marker`].
    pub marker: bool,
    /// See [`Packet::payload_type`].
    pub payload_type: PayloadType,
    /// See [`Packet::sequence`].
    pub sequence: SeqNo,
    /// See [`Packet::timestamp`].
    pub timestamp: RtpTime,
    /// See [`Packet::ssrc`].
    pub ssrc: Ssrc,
    /// At most [`MAX_CSRC`]; what is beyond that is left out, as RFC 3550 section 5.1 allows.
    pub csrcs: &'a [Ssrc],
}

/// Writes a header to the front of `buffer` and returns its length. The buffer must hold a header with all its CSRCs:
/// `HEADER + 4 * MAX_CSRC` bytes always suffice.
pub fn write_header(header: &Header<'_>, buffer: &mut [u8]) -> usize {
    let csrcs = &header.csrcs[..header.csrcs.len().min(MAX_CSRC)];
    let length = HEADER + 4 * csrcs.len();
    let (fixed, list) = buffer[..length].split_at_mut(HEADER);
    fixed[0] = 0x80 | csrcs.len() as u8;
    fixed[1] = (u8::from(header.marker) << 7) | header.payload_type.to_wire();
    fixed[2..4].copy_from_slice(&header.sequence.to_wire().to_be_bytes());
    fixed[4..8].copy_from_slice(&header.timestamp.to_wire().to_be_bytes());
    fixed[8..12].copy_from_slice(&header.ssrc.to_wire().to_be_bytes());
    for (word, csrc) in list.as_chunks_mut::<4>().0.iter_mut().zip(csrcs) {
        *word = csrc.to_wire().to_be_bytes();
    }
    length
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use rtc_shared::marshal::{Marshal, Unmarshal};

    use super::*;

    fn packet(csrcs: Vec<u32>, marker: bool, payload: &'static [u8]) -> rtc_rtp::Packet {
        rtc_rtp::Packet {
            header: rtc_rtp::Header {
                version: 2,
                marker,
                payload_type: 101,
                sequence_number: 65_535,
                timestamp: 0xdead_beef,
                ssrc: 0x0102_0304,
                csrc: csrcs,
                ..Default::default()
            },
            payload: Bytes::from_static(payload),
        }
    }

    #[test]
    fn the_view_reads_what_another_implementation_wrote() {
        for (csrcs, marker) in [(vec![], false), (vec![1, 2, 3], true), (vec![9; 15], false)] {
            let bytes = packet(csrcs.clone(), marker, b"hello").marshal().expect("a valid packet");
            let view = Packet::parse(&bytes).expect("a valid packet");
            assert_eq!(view.marker(), marker);
            assert_eq!(view.payload_type(), PayloadType::new(101));
            assert_eq!(view.sequence(), SeqNo::new(65_535));
            assert_eq!(view.timestamp(), RtpTime::new(0xdead_beef));
            assert_eq!(view.ssrc(), Ssrc::new(0x0102_0304));
            assert_eq!(view.csrcs().map(Ssrc::to_wire).collect::<Vec<_>>(), csrcs);
            assert_eq!(view.payload(), b"hello");
        }
    }

    #[test]
    fn another_implementation_reads_what_we_wrote() {
        let mut buffer = [0; HEADER + 4 * MAX_CSRC];
        let csrcs = [Ssrc::new(7); 20];
        let length = write_header(
            &Header {
                marker: true,
                payload_type: PayloadType::PCMA,
                sequence: SeqNo::new(9),
                timestamp: RtpTime::new(160),
                ssrc: Ssrc::new(77),
                csrcs: &csrcs,
            },
            &mut buffer,
        );
        let read = rtc_rtp::Packet::unmarshal(&mut BytesMut::from(&buffer[..length]).freeze())
            .expect("ours is valid");
        assert!(read.header.marker);
        assert_eq!((read.header.payload_type, read.header.sequence_number), (8, 9));
        assert_eq!((read.header.timestamp, read.header.ssrc), (160, 77));
        assert_eq!(read.header.csrc, vec![7; MAX_CSRC]);
    }

    #[test]
    fn extension_and_padding_are_not_payload() {
        let mut bytes = vec![0xb0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
        bytes.extend([0xbe, 0xde, 0, 1, 1, 2, 3, 4]); // one word of extension
        bytes.extend([42, 43, 0, 0, 3]); // two bytes of payload, three of padding
        let view = Packet::parse(&bytes).expect("valid");
        assert_eq!((view.payload(), view.payload_at()), (&[42, 43][..], 20));
        let bare = Packet::parse(&bytes[..20]).map(|_| ());
        assert_eq!(bare, Err(Malformed::Padding), "the padding bit without padding");
        bytes[0] = 0x90;
        let view = Packet::parse(&bytes[..20]).expect("valid");
        assert_eq!((view.payload(), view.payload_at()), (&[][..], 20));
    }

    #[test]
    fn broken_datagrams_are_refused_by_name() {
        let good = [0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
        let with_first = |first: u8, rest: &[u8]| {
            let mut bytes = good.to_vec();
            bytes[0] = first;
            bytes.extend(rest);
            Packet::parse(&bytes).map(|_| ()).expect_err("broken")
        };
        assert_eq!(Packet::parse(&[]).map(|_| ()), Err(Malformed::Short(0)));
        assert_eq!(Packet::parse(&good[..11]).map(|_| ()), Err(Malformed::Short(11)));
        assert_eq!(with_first(0x40, &[]), Malformed::Version(1));
        assert_eq!(with_first(0x81, &[1, 2, 3]), Malformed::Short(15));
        assert_eq!(with_first(0x90, &[1, 2, 0]), Malformed::Extension);
        assert_eq!(with_first(0x90, &[1, 2, 0xff, 0xff]), Malformed::Extension);
        assert_eq!(with_first(0xa0, &[]), Malformed::Padding);
        assert_eq!(with_first(0xa0, &[0]), Malformed::Padding);
        assert_eq!(with_first(0xa0, &[9]), Malformed::Padding);
    }

    #[test]
    fn rtcp_on_the_rtp_port_is_told_apart() {
        assert!(is_rtcp(&[0x80, 200, 0, 6]));
        assert!(is_rtcp(&[0x81, 201, 0, 7]));
        assert!(!is_rtcp(&[0x80, 0, 0, 7]));
        assert!(!is_rtcp(&[0x80, 0x80 | 8, 0, 7]));
        assert!(!is_rtcp(&[0x80]));
    }
}
