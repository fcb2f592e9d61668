//! WHAT the peer said: an RFC 3261 engine that opens nothing and never reads a clock.

pub mod framing;
pub mod sdp;
pub mod wire;

pub use wire::{
    AsHeaderName, CSeq, Framing, HeaderName, Headers, Host, HostPort, KnownMethod, Malformed, Message,
    Method, NameAddr, Params, Scheme, StatusCode, SyntaxError, Text, Uri, Via,
};
