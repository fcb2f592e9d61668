//! The header extension that carries a client's audio level (RFC 6464), as `a=extmap` binds it (RFC 8285).

use super::Direction;

/// The name of the extension.
const URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
/// The ID under which we offer it.
const OUR_ID: u8 = 1;

/// How the audio level is carried, once both sides want it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AudioLevel {
    /// The ID of the element in the one-byte header, 1 to 14.
    pub id: u8,
    /// Which way levels flow, as we see it.
    pub direction: Direction,
    /// The voice-activity bit means something; false for `vad=off`.
    pub voice_bit: bool,
}

impl AudioLevel {
    /// As we offer it.
    pub(super) const OFFERED: Self = Self { id: OUR_ID, direction: Direction::SendRecv, voice_bit: true };

    /// Reads the value of `a=extmap`, as its writer sees it. `None` for other extensions, and for IDs that the one-byte
    /// header has no room for: 15 is reserved, above it an offer asks to choose another, which we do not.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let (id, direction) = match words.next()?.split_once('/') {
            Some((id, word)) => (id, Direction::parse(word)?),
            None => (value.split_ascii_whitespace().next()?, Direction::SendRecv),
        };
        let id = id.parse::<u8>().ok().filter(|id| (1..=14).contains(id))?;
        if words.next()? != URI {
            return None;
        }
        Some(Self { id, direction, voice_bit: words.next() != Some("vad=off") })
    }

    /// The value of `a=extmap`, as we see it.
    pub(super) fn written(self) -> String {
        let direction = match self.direction {
            Direction::SendRecv => String::new(),
            other => format!("/{}", other.as_str()),
        };
        format!("{}{direction} {URI}{}", self.id, if self.voice_bit { "" } else { " vad=off" })
    }

    /// What we make of what the peer says: the same, seen from here.
    pub(super) fn turned(self) -> Self {
        let direction = Direction::from_flags(self.direction.receives(), self.direction.sends());
        Self { direction, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extmap_is_read_with_its_direction_and_written_the_same() {
        for value in [format!("1 {URI}"), format!("14/sendonly {URI}"), format!("3/recvonly {URI} vad=off")] {
            assert_eq!(AudioLevel::parse(&value).map(AudioLevel::written), Some(value));
        }
        assert!(AudioLevel::parse(&format!("2 {URI} vad=on")).is_some_and(|level| level.voice_bit));
    }

    #[test]
    fn other_extensions_and_ids_without_room_are_not_taken() {
        for value in ["", "1", "1 urn:ietf:params:rtp-hdrext:toffset"] {
            assert_eq!(AudioLevel::parse(value), None, "{value}");
        }
        for id in ["0", "15", "16", "256", "4096", "-1", "x", "1/both"] {
            assert_eq!(AudioLevel::parse(&format!("{id} {URI}")), None, "{id}");
        }
    }

    #[test]
    fn what_they_send_we_receive() {
        let theirs = AudioLevel::parse(&format!("5/sendonly {URI}")).expect("an extmap");
        assert_eq!(theirs.turned().direction, Direction::RecvOnly);
        assert_eq!(AudioLevel::OFFERED.turned(), AudioLevel::OFFERED);
    }
}
