//! Digest authentication (RFC 3261 section 22, RFC 7616, RFC 8760), both sides: [`client`] answers challenges,
//! [`server`] makes them. MD5, SHA-256 and SHA-512-256, with `qop=auth` (RFC 2069's form without qop only as a client).
//!
//! Limits: a header of more than 32 parameters is not read.

mod algorithm;
mod client;
mod fields;
mod server;

pub use algorithm::Algorithm;
pub use client::Credentials;
pub(crate) use client::{Authorizer, Verdict};
pub use server::{Challenge, Challenger, InboundCredentials};

/// Any text as a challenge and as credentials: no panic, and what is quoted is read back. For the fuzzer.
pub(crate) fn fuzz(value: &str) {
    let _ = client::parse_challenge(value);
    let _ = fields::list(value);
    let quoted = format!("Digest x={}", fields::quoted(value));
    let read = fields::parameters(&quoted).and_then(|read| read.into_iter().next());
    assert_eq!(read.map(|(_, text)| text).as_deref(), Some(value));
}
