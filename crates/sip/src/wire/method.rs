use super::syntax::is_token;
use std::{fmt, str::FromStr, sync::Arc};

pub use rsip::Method as KnownMethod;

/// A request method. Case matters (RFC 3261 section 7.1). Unknown ones are kept, so that a 405 or 501 can be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// One of the methods of RFC 3261 and its extensions.
    Known(KnownMethod),
    /// Any other token, as written.
    Other(Arc<str>),
}

#[allow(missing_docs)] // the names are the documentation
impl Method {
    pub const INVITE: Self = Self::Known(KnownMethod::Invite);
    pub const ACK: Self = Self::Known(KnownMethod::Ack);
    pub const BYE: Self = Self::Known(KnownMethod::Bye);
    pub const CANCEL: Self = Self::Known(KnownMethod::Cancel);
    pub const OPTIONS: Self = Self::Known(KnownMethod::Options);
    pub const REGISTER: Self = Self::Known(KnownMethod::Register);
    pub const PRACK: Self = Self::Known(KnownMethod::PRack);
    pub const UPDATE: Self = Self::Known(KnownMethod::Update);
    pub const INFO: Self = Self::Known(KnownMethod::Info);
    pub const REFER: Self = Self::Known(KnownMethod::Refer);
    pub const NOTIFY: Self = Self::Known(KnownMethod::Notify);
    pub const SUBSCRIBE: Self = Self::Known(KnownMethod::Subscribe);
    pub const MESSAGE: Self = Self::Known(KnownMethod::Message);
    pub const PUBLISH: Self = Self::Known(KnownMethod::Publish);
}

impl Method {
    /// As it stands on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(known) => match known {
                KnownMethod::Ack => "ACK",
                KnownMethod::Bye => "BYE",
                KnownMethod::Cancel => "CANCEL",
                KnownMethod::Info => "INFO",
                KnownMethod::Invite => "INVITE",
                KnownMethod::Message => "MESSAGE",
                KnownMethod::Notify => "NOTIFY",
                KnownMethod::Options => "OPTIONS",
                KnownMethod::PRack => "PRACK",
                KnownMethod::Publish => "PUBLISH",
                KnownMethod::Refer => "REFER",
                KnownMethod::Register => "REGISTER",
                KnownMethod::Subscribe => "SUBSCRIBE",
                KnownMethod::Update => "UPDATE",
            },
            Self::Other(name) => name,
        }
    }

    /// Reads a method; `None` when `text` is not a token.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "ACK" => Self::ACK,
            "BYE" => Self::BYE,
            "CANCEL" => Self::CANCEL,
            "INFO" => Self::INFO,
            "INVITE" => Self::INVITE,
            "MESSAGE" => Self::MESSAGE,
            "NOTIFY" => Self::NOTIFY,
            "OPTIONS" => Self::OPTIONS,
            "PRACK" => Self::PRACK,
            "PUBLISH" => Self::PUBLISH,
            "REFER" => Self::REFER,
            "REGISTER" => Self::REGISTER,
            "SUBSCRIBE" => Self::SUBSCRIBE,
            "UPDATE" => Self::UPDATE,
            other if is_token(other.as_bytes()) => Self::Other(other.into()),
            _ => return None,
        })
    }
}

impl FromStr for Method {
    type Err = super::SyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).ok_or(super::SyntaxError("a method is a token"))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
