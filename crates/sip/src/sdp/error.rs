use super::{MAX_BYTES, MAX_MEDIA, MAX_PAYLOAD_TYPES};

/// Why a description was refused. The text says what the peer would have to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// More than [`MAX_BYTES`].
    #[error("the description has {0} bytes; send at most {MAX_BYTES}")]
    TooLarge(usize),
    /// Not SDP.
    #[error("the description is not valid SDP: {0}")]
    Syntax(String),
    /// More than [`MAX_MEDIA`] m-lines.
    #[error("the description has {0} m-lines; send at most {MAX_MEDIA}")]
    TooManyMedia(usize),
    /// More than [`MAX_PAYLOAD_TYPES`] in one m-line.
    #[error("an m-line has {0} payload types; send at most {MAX_PAYLOAD_TYPES}")]
    TooManyPayloadTypes(usize),
    /// The same payload type twice in an m-line, or with two meanings.
    #[error("payload type {0} is listed twice or has two rtpmaps; give each payload type one meaning")]
    DuplicatePayloadType(u8),
    /// No m=audio line with a port.
    #[error("there is no m=audio line with a port; offer an audio stream")]
    NoAudio,
    /// The answer refused our stream or has other m-lines than our offer.
    #[error("the answer does not accept the one audio stream that was offered")]
    NotAccepted,
    /// Neither RTP nor SRTP with keys in SDP: DTLS, for one.
    #[error("the audio stream wants {0}; offer RTP/AVP, or RTP/SAVP with a=crypto")]
    Transport(String),
    /// SRTP, of whatever kind, on a trunk that has none.
    #[error("the audio stream wants {0}; this trunk speaks plain RTP, offer RTP/AVP")]
    Encrypted(String),
    /// Plain RTP on a trunk that must not have it: the protocol, and the suites that would do.
    #[error(
        "the audio stream is {0} without a=crypto; this trunk requires SRTP, offer RTP/SAVP with a=crypto of {1}"
    )]
    NotEncrypted(String, String),
    /// No line of `a=crypto` that could be used: why, and the suites that would do.
    #[error("no a=crypto can be used ({0}); send one of {1} with inline keys")]
    NoCrypto(String, String),
    /// An answer whose `a=crypto` was never offered.
    #[error(
        "the answer's a=crypto ({0}) is none of those that were offered; answer with the tag and suite of one of them"
    )]
    CryptoNotOffered(String),
    /// No common codec.
    #[error("no common codec; offer one of {0}")]
    NoCodec(String),
    /// No usable c= line.
    #[error("the connection address is missing or unusable ({0}); send c= with a unicast IP address")]
    Address(String),
    /// IPv4 against IPv6.
    #[error("the connection address {0} is not of our address family; use {1}")]
    Family(std::net::IpAddr, &'static str),
}

impl SdpError {
    /// The response that fits: 413, 400 or 488.
    pub const fn status(&self) -> u16 {
        match self {
            Self::TooLarge(_) => 413,
            Self::Syntax(_) => 400,
            _ => 488,
        }
    }
}
