//! The whole bridge on a virtual clock: [`World`] drives `server::control::Control` and two mixer shards as the shell
//! does, between scripted phones, over a network that loses, doubles and reorders by a seed. Nothing sleeps, no port is
//! opened; 64*T1 takes microseconds.
//!
//! The phones' media (RTP, G.711, SDP) is written apart from the bridge's, so that one mistake cannot hide another.

pub mod calls;
pub mod codec;
pub mod ear;
pub mod fixture;
pub mod g711;
pub mod gateway;
pub mod judge;
pub mod known;
pub mod media;
pub mod mouth;
pub mod network;
pub mod people;
pub mod pki;
pub mod ports;
pub mod programs;
pub mod prompts;
pub mod raw;
pub mod registrar;
pub mod sdp;
pub mod sockets;
pub mod srtp;
pub mod world;

pub use calls::{Caller, Line, Phone, PhoneId};
pub use codec::Codec;
pub use fixture::{
    ELBE, ELBE_NUMBER, GRETA, MICROSOFT, MICROSOFT_NUMBER, OPERATOR, OPERATOR_NUMBER, SAM, STRANGER, Setup,
};
pub use mouth::{AMPLITUDE, KeyStyle, Sound};
pub use network::Impairment;
pub use people::{Callee, Site, SiteId};
pub use raw::RawCall;
pub use world::World;
