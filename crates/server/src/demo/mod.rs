//! `partyline demo`: the bridge in a child process, simulated callers in this one, and a verdict measured only from the RTP
//! that arrived at the callers' own sockets.

pub mod caller;
pub mod child;
pub mod evidence;
pub mod fourier;
pub mod g711;
pub mod http;
pub mod listening;
pub mod media;
pub mod picture;
pub mod recording;
pub mod rtp;
mod signalling;
pub mod speaker;
#[cfg(test)]
mod speech;
pub mod voices;
