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
    /// SRTP or something else that is not RTP/AVP.
    #[error("the audio stream wants {0}; this trunk speaks plain RTP, offer RTP/AVP")]
    Transport(String),
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
