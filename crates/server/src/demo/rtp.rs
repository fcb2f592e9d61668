//! The little RTP a caller needs (RFC 3550 section 5.1, RFC 4733 section 2.3), independent of the bridge's own.

/// What a received datagram says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Whose stream.
    pub ssrc: u32,
    /// Position in the stream, 16 bit and wrapping.
    pub sequence: u16,
    /// Sampling instant of the first sample, in samples, wrapping.
    pub timestamp: u32,
    /// Payload type, 0..=127.
    pub payload_type: u8,
    /// Begin of a talkspurt, or of an event.
    pub marker: bool,
    /// Encoded audio or an event.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// The packet in a datagram; `None` when it is not RTP version 2 or contradicts its own length.
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let fixed = datagram.get(..12)?;
        if fixed[0] >> 6 != 2 {
            return None;
        }
        let word = |at: usize| u32::from_be_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
        let mut payload = datagram.get(12 + 4 * usize::from(fixed[0] & 0x0f)..)?;
        if fixed[0] & 0x10 != 0 {
            let words = payload.get(2..4)?;
            payload = payload.get(4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]))..)?;
        }
        if fixed[0] & 0x20 != 0 {
            let padding = usize::from(*payload.last()?);
            payload = payload.get(..payload.len().checked_sub(padding)?)?;
        }
        Some(Self {
            ssrc: word(8),
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: word(4),
            payload_type: fixed[1] & 0x7f,
            marker: fixed[1] & 0x80 != 0,
            payload,
        })
    }

    /// The datagram.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(12 + self.payload.len());
        bytes.extend([0x80, u8::from(self.marker) << 7 | self.payload_type & 0x7f]);
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.timestamp.to_be_bytes());
        bytes.extend(self.ssrc.to_be_bytes());
        bytes.extend(self.payload);
        bytes
    }
}

/// -10 dBm0, the level at which most telephones send their events.
const VOLUME: u8 = 0x0a;

/// The payload of a telephone-event packet (RFC 4733 section 2.3).
///
/// `None` when the key is not one of `0-9 * # A-D`.
pub fn telephone_event(key: char, end: bool, duration: u16) -> Option<[u8; 4]> {
    let event = match key.to_ascii_uppercase() {
        digit @ '0'..='9' => digit as u8 - b'0',
        '*' => 10,
        '#' => 11,
        letter @ 'A'..='D' => letter as u8 - b'A' + 12, // 12..=15
        _ => return None,
    };
    let [high, low] = duration.to_be_bytes();
    Some([event, u8::from(end) << 7 | VOLUME, high, low])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_survives_the_wire() {
        let packet = Packet {
            ssrc: 0xdead_beef,
            sequence: 65535,
            timestamp: 4_294_967_200,
            payload_type: 101,
            marker: true,
            payload: &[1, 2, 3],
        };
        assert_eq!(Packet::parse(&packet.to_bytes()), Some(packet));
    }

    #[test]
    fn csrc_extension_and_padding_are_stepped_over() {
        let mut bytes = vec![0xb1, 0x00, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend([9, 9, 9, 9]); // one CSRC
        bytes.extend([0xbe, 0xde, 0, 1, 7, 7, 7, 7]); // an extension of one word
        bytes.extend([0xaa, 0xbb, 0, 2]); // two octets of payload, two of padding
        assert_eq!(Packet::parse(&bytes).map(|packet| packet.payload), Some(&[0xaa, 0xbb][..]));
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(Packet::parse(&[]), None);
        assert_eq!(Packet::parse(&[0x40; 40]), None, "version 1");
        assert_eq!(Packet::parse(&[0x8f; 20]), None, "more CSRCs than octets");
        assert_eq!(Packet::parse(&[0xa0; 13]), None, "more padding than payload");
    }

    #[test]
    fn the_keys_have_their_registered_codes() {
        assert_eq!(telephone_event('#', true, 0x0320), Some([11, 0x8a, 3, 0x20]));
        assert_eq!(telephone_event('0', false, 160), Some([0, 10, 0, 160]));
        assert_eq!(telephone_event('x', false, 160), None);
    }
}
