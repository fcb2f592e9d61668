//! SDP offer and answer (RFC 3264, 6337, 8866) for one audio stream, on the syntax layer of `sdp-types`.
//!
//! The limits, checked before anything is built from a body: [`MAX_BYTES`] (413), [`MAX_MEDIA`] m-lines and
//! [`MAX_PAYLOAD_TYPES`] in one of them (488). Nothing here recurses; work is linear in the size of the body.
//!
//! Order of use: a peer's offer goes to [`answer`]; our own [`offer`] is kept and given to [`accept_answer`] with what
//! came back (an INVITE without SDP is answered by [`offer`] too: the late offer). A re-offer is just another offer: it
//! is read for what it says, whatever its o= version claims; one without SDP is answered by [`reoffer`].

mod description;
mod error;
mod offer_answer;

pub use error::SdpError;
pub use offer_answer::{accept_answer, answer, offer, reoffer};

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

/// Bytes of a description.
pub const MAX_BYTES: usize = 64 * 1024;
/// m-lines of a description.
pub const MAX_MEDIA: usize = 32;
/// Payload types of one m-line.
pub const MAX_PAYLOAD_TYPES: usize = 64;

/// An audio codec we speak on a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 mu-law, payload type 0 (RFC 3551).
    Pcmu,
    /// G.711 A-law, payload type 8 (RFC 3551).
    Pcma,
}

impl Codec {
    /// The payload type that needs no rtpmap (RFC 3551 table 4).
    pub const fn static_payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// The encoding name of the rtpmap.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// RTP clock rate in Hz.
    pub const fn clock_rate(self) -> u32 {
        8000
    }

    const ALL: [Self; 2] = [Self::Pcmu, Self::Pcma];

    fn from_encoding(name: &str, clock_rate: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name().eq_ignore_ascii_case(name) && c.clock_rate() == clock_rate)
    }

    fn from_static(payload_type: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.static_payload_type() == payload_type)
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What we can do, as the trunk's profile says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Codecs in our order of preference.
    pub codecs: Vec<Codec>,
    /// Whether we speak telephone-event (RFC 4733).
    pub telephone_event: bool,
    /// The packet time we prefer, in milliseconds; a multiple of 10 from 10 to 60.
    pub ptime_ms: u8,
}

/// Which way media may flow, as **we** see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// We send, the peer does not.
    SendOnly,
    /// We listen, and must not send.
    RecvOnly,
    /// Nobody sends.
    Inactive,
}

impl Direction {
    const fn from_flags(send: bool, receive: bool) -> Self {
        match (send, receive) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether we may send.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the peer may send.
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The attribute's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive]
            .into_iter()
            .find(|d| d.as_str() == name)
    }
}

/// Our side of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalMedia {
    /// The address that peers reach us at; must be of the family the peer uses.
    pub address: IpAddr,
    /// Our RTP port.
    pub port: u16,
    /// Our RTCP port; equal to `port` when there is only one socket, which is then offered with rtcp-mux.
    pub rtcp_port: u16,
    /// The o= session id: the same for the whole dialog.
    pub session_id: u64,
    /// The o= version: one more whenever what we send differs from what we sent before.
    pub session_version: u64,
    /// What we want; the result is never more than this.
    pub direction: Direction,
}

/// What both sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Where RTP goes. The address is 0.0.0.0 or :: while the peer holds in the old way; `direction` then forbids sending.
    pub remote_rtp: SocketAddr,
    /// Where RTCP goes (RFC 3605, RFC 5761).
    pub remote_rtcp: SocketAddr,
    /// RTP and RTCP share the port.
    pub rtcp_mux: bool,
    /// The codec we send; the peer sends the same.
    pub codec: Codec,
    /// Its payload type.
    pub audio_pt: u8,
    /// The payload type of telephone-event, if both speak it at the codec's clock rate.
    pub event_pt: Option<u8>,
    /// The packet time we send, in milliseconds.
    pub ptime_ms: u8,
    /// What we may send and receive.
    pub direction: Direction,
    /// The peer does not take part both ways: it said sendonly, recvonly or inactive, or gave a null address.
    pub on_hold: bool,
}

#[cfg(test)]
mod tests;
