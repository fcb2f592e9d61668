//! The audio codecs of a trunk and how SDP names them.

use std::fmt;

/// An audio codec we speak on a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 mu-law, payload type 0 (RFC 3551).
    Pcmu,
    /// G.711 A-law, payload type 8 (RFC 3551).
    Pcma,
    /// G.722 at 64 kbit/s, payload type 9: 16 kHz sound under a clock of 8000 (RFC 3551 section 4.5.2).
    G722,
    /// Opus, always under a dynamic payload type (RFC 7587).
    Opus,
}

impl Codec {
    /// Every codec there is.
    pub const ALL: [Self; 4] = [Self::Pcmu, Self::Pcma, Self::G722, Self::Opus];

    /// The payload type that we offer it under: the static one that needs no rtpmap (RFC 3551 table 4), and 111 for Opus.
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
            Self::G722 => 9,
            Self::Opus => 111,
        }
    }

    /// The encoding name of the rtpmap.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Opus => "opus",
        }
    }

    /// RTP clock rate in Hz.
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => 8000,
            Self::Opus => 48_000,
        }
    }

    /// Whether a packet can be cut and joined at any 10 ms; an Opus packet is one frame of 20 ms here.
    pub(super) const fn is_divisible(self) -> bool {
        !matches!(self, Self::Opus)
    }

    /// What follows the payload type in its rtpmap. Opus says two channels, whatever is in it (RFC 7587 section 7).
    pub(super) const fn rtpmap(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU/8000",
            Self::Pcma => "PCMA/8000",
            Self::G722 => "G722/8000",
            Self::Opus => "opus/48000/2",
        }
    }

    /// The codec of an rtpmap. The channels of Opus mean nothing, and some peers leave them out.
    pub(super) fn from_encoding(name: &str, clock_rate: u32, channels: Option<&str>) -> Option<Self> {
        let found = Self::ALL
            .into_iter()
            .find(|codec| codec.name().eq_ignore_ascii_case(name) && codec.clock_rate() == clock_rate)?;
        let fits = match channels {
            None | Some("1") => true,
            Some("2") => found == Self::Opus,
            Some(_) => false,
        };
        fits.then_some(found)
    }

    /// The codec of a payload type without an rtpmap.
    pub(super) fn from_static(payload_type: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| *codec != Self::Opus && codec.payload_type() == payload_type)
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
