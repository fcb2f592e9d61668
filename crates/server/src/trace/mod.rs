//! The SIP messages of the last calls, as they passed our sockets: kept in memory, shown as a ladder or as a capture file.
//!
//! What is shown is masked first (see [`mask`]): whoever may look at a call need not learn its keys and passwords.

mod call_id;
pub mod ladder;
mod ladders;
pub mod mask;
pub mod pcap;
mod tap;

use std::time::SystemTime;

use bytes::Bytes;
use sip::Flow;

pub use call_id::call_id;
pub use ladders::{Kept, Known, Ladders, Limits, Summary};
pub use tap::{Look, Tap, trunk_of};

/// One message that passed our sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// When, by the wall clock.
    pub at: SystemTime,
    /// Towards us, or away from us.
    pub ingress: bool,
    /// The way it took.
    pub flow: Flow,
    /// The whole message.
    pub bytes: Bytes,
}
