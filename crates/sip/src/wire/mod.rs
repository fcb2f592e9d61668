//! SIP messages as bytes, and bytes as SIP messages.
//!
//! The guarantee that the fuzzers try to break: **no input makes this module panic, allocate more than a small multiple
//! of its own size, recurse, or take more than linear time**, and no value given to a builder can add a line to a message.
//! The limits are in [`limits`]; passing one is an error with an answer, like any other fault of a peer.
//!
//! Parsing cuts spans out of the received [`bytes::Bytes`]; nothing is copied except folded and non-UTF-8 values.
//! Headers keep their received bytes and are echoed exactly. `rsip` lends the vocabulary (methods, reason phrases);
//! why it does not read the wire is shown by the tests in `rsip_defects`.

mod head;
mod headers;
mod host;
#[cfg(test)]
mod hostile;
pub mod limits;
mod message;
mod method;
mod name;
mod name_addr;
mod params;
mod parse;
#[cfg(test)]
mod rsip_defects;
mod status;
mod syntax;
mod text;
mod uri;
mod via;

pub(crate) use head::stream_length;
pub use headers::Headers;
pub use host::{Host, HostPort};
pub use message::Message;
pub use method::{KnownMethod, Method};
pub use name::{AsHeaderName, HeaderName};
pub use name_addr::NameAddr;
pub use params::Params;
pub use parse::{Framing, Malformed};
pub use status::StatusCode;
pub use syntax::SyntaxError;
pub use text::Text;
pub use uri::{Scheme, Uri};
pub use via::{CSeq, Via};
