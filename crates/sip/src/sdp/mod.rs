//! SDP offer and answer (RFC 3264, 6337, 8866) for one audio stream, on the syntax layer of `sdp-types`: codecs with their
//! parameters, telephone-event (RFC 4733), comfort noise (RFC 3389), audio levels (RFC 6464) and keys for SRTP (RFC 4568).
//!
//! The limits, checked before anything is built from a body: [`MAX_BYTES`] (413), [`MAX_MEDIA`] m-lines and
//! [`MAX_PAYLOAD_TYPES`] in one of them (488). Of `a=crypto` the first [`MAX_CRYPTO`] lines of an m-line are read. Nothing
//! here recurses; work is linear in the size of the body.
//!
//! Order of use: a peer's offer goes to [`answer`]; our own [`offer`] is kept and given to [`accept_answer`] with what
//! came back (an INVITE without SDP is answered by [`offer`] too: the late offer). A re-offer is just another offer: it
//! is read for what it says, whatever its o= version claims; one without SDP is answered by [`reoffer`].

mod base64;
mod codec;
mod crypto;
mod description;
mod error;
mod level;
mod offer_answer;
mod opus;
mod write;

pub use codec::Codec;
pub use crypto::{Crypto, MAX_CRYPTO, MasterKey, Mki, Suite};
pub use error::SdpError;
pub use level::AudioLevel;
pub use offer_answer::{accept_answer, answer, offer, reoffer};
pub use opus::{OpusParameters, OpusTerms};

use std::net::{IpAddr, SocketAddr};

/// Bytes of a description.
pub const MAX_BYTES: usize = 64 * 1024;
/// m-lines of a description.
pub const MAX_MEDIA: usize = 32;
/// Payload types of one m-line.
pub const MAX_PAYLOAD_TYPES: usize = 64;

/// What we can do, as the trunk's profile says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a thing of its own that we can do or not")]
pub struct Capabilities {
    /// Codecs in our order of preference.
    pub codecs: Vec<Codec>,
    /// Whether we speak telephone-event (RFC 4733).
    pub telephone_event: bool,
    /// The packet time we prefer, in milliseconds; a multiple of 10 from 10 to 60. Opus is sent in 20 ms whatever this says.
    pub ptime_ms: u8,
    /// Whether we take comfort noise (RFC 3389) in place of silence from a peer that offers it. We never ask for it.
    pub comfort_noise: bool,
    /// What we want of the peer's Opus.
    pub opus: OpusParameters,
    /// Whether we exchange audio levels in a header extension.
    pub audio_level: bool,
    /// Whether RTP is encrypted.
    pub srtp: Srtp,
    /// The suites we offer and accept, in our order of preference.
    pub suites: Vec<Suite>,
    /// Whether the keys we write have base64's padding.
    pub pad_keys: bool,
}

impl Default for Capabilities {
    /// G.711 and telephone-event in 20 ms, and nothing encrypted.
    fn default() -> Self {
        Self {
            codecs: vec![Codec::Pcma, Codec::Pcmu],
            telephone_event: true,
            ptime_ms: 20,
            comfort_noise: true,
            opus: OpusParameters::default(),
            audio_level: false,
            srtp: Srtp::Off,
            suites: Vec::new(),
            pad_keys: true,
        }
    }
}

/// Whether RTP is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Srtp {
    /// Plain RTP only: `RTP/AVP` is offered and accepted, its `a=crypto` is not looked at.
    #[default]
    Off,
    /// Encrypted where both sides can: `RTP/AVP` with `a=crypto` is offered (what many telephones call optional), and
    /// accepted as `RTP/SAVP` is; without `a=crypto` it is plain RTP.
    Optional,
    /// Never plain: `RTP/SAVP` is offered, and only what carries `a=crypto` accepted.
    Mandatory,
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// A key of our own for each suite that the capabilities name; a suite without one is neither offered nor accepted. No
    /// key may stand here twice, nor in two streams: each is the beginning of one keystream.
    pub keys: Vec<MasterKey>,
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
    /// What both sides said about Opus, if that is the codec.
    pub opus: Option<OpusTerms>,
    /// The payload type of telephone-event, if both speak it.
    pub event_pt: Option<u8>,
    /// Its clock rate in Hz: that of the codec, or 8000 where a peer knows no other beside Opus.
    pub event_clock_rate: u32,
    /// The peer may send comfort noise, under its static payload type 13 (RFC 3551 section 6).
    pub comfort_noise: bool,
    /// The packet time we send, in milliseconds.
    pub ptime_ms: u8,
    /// What we may send and receive.
    pub direction: Direction,
    /// The peer does not take part both ways: it said sendonly, recvonly or inactive, or gave a null address.
    pub on_hold: bool,
    /// How audio levels are carried, if they are.
    pub audio_level: Option<AudioLevel>,
    /// The keys of both directions, if RTP is encrypted.
    pub crypto: Option<Crypto>,
}

#[cfg(test)]
mod tests;
