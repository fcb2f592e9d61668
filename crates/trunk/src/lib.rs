//! WHO the peer is: operator SBCs and the Microsoft PSTN gateway as data plus small policies.
//!
//! A `[[trunk]]` table becomes a [`Profile`]; all of them are one [`Trunks`] snapshot. A request from outside is
//! [`identify`]'d and read by [`dial_in`]; one of ours is written by [`shape_invite`] and [`shape_options`].
//! [`Monitor`] knows which peers are healthy, [`Admission`] how many legs they take, [`judge`] what a failure means,
//! [`Registrations`] where carriers know us.
//!
//! The engines here ([`Monitor`], [`Admission`], [`Registrations`]) are driven: `handle_*` brings them what happened with the time as an
//! argument, `poll_*` takes out what they want done. They open nothing and read no clock.

mod admission;
mod check;
mod claims;
mod dial_in;
mod dialogs;
mod failover;
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod identify;
pub mod locate;
mod microsoft;
mod names;
mod numbers;
mod operator;
mod profile;
mod registration;
mod shape;
mod source;
#[cfg(test)]
mod testing;
mod tls;
mod trunks;
mod turns;

pub use admission::{Admission, Limit, LimitCause};
pub use claims::Claims;
pub use dial_in::{Caller, DialIn, Refusal, dial_in};
pub use dialogs::{ReliableName, SessionTimerName};
pub use failover::{Failure, Next, judge};
pub use health::{Change, Monitor, PeerKey, PingOutcome, SendOptions, State, TimerReason};
pub use identify::{Origin, Unknown, identify};
pub use names::{NameChange, Names};
pub use numbers::{NumberFormat, NumberPlan};
pub use profile::{
    AcceptedCodes, CalledFrom, Kind, Listed, MediaAddress, MediaSource, Options, OpusSettings, Peer, Profile,
    Registration, Transport, Turn,
};
pub use registration::{RegisterOutcome, RegistrationChange, RegistrationShown, Registrations, SendRegister};
pub use shape::{
    DialOut, Local, Shaped, ShapedRegister, shape_contact, shape_invite, shape_options, shape_referred,
    shape_register,
};
pub use source::{
    CodeSource, CodecName, CredentialsSource, InboundCredentialsSource, OpusSource, PeerSource, ProfileError,
    ProfileSource, RegisterSource, SrtpName, SuiteName,
};
pub use tls::{TlsPeer, TlsSettings, TlsSource, TlsTarget, matches_name};
pub use trunks::Trunks;
