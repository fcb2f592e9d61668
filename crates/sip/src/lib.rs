//! WHAT the peer said: an RFC 3261 engine that opens nothing and never reads a clock.

mod cause;
mod dialog;
pub mod endpoint;
pub mod framing;
#[doc(hidden)]
pub mod fuzzing;
#[doc(hidden)]
pub mod fuzzing_engine;
pub mod sdp;
pub mod transaction;
pub mod wire;

pub use cause::{q850, q850_in};
pub use endpoint::{
    Advertised, Algorithm, Body, Challenge, Challenger, CommandError, Credentials, End, Endpoint,
    EndpointConfig, Event, Failure, FailureKind, Flow, InboundCredentials, InviteId, Neighborhood, Neighbors,
    Network, OptionsId, OutgoingInvite, OutgoingOptions, OutgoingRegister, Readiness, Registered,
    RegistrationId, Reliable, SessionTimers, Shed, Terms, Transmit, Transport,
};
pub use transaction::{TimerReason, Timers};
pub use wire::{
    AsHeaderName, CSeq, Framing, HeaderName, Headers, Host, HostPort, KnownMethod, Malformed, Message,
    Method, NameAddr, Params, Scheme, StatusCode, SyntaxError, Text, Uri, Via,
};
