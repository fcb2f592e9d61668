//! HOW it sounds: RTP in, RTP out, one conference at a time.
//!
//! The mixer is sans-IO: it owns no socket, no thread and no clock. A media thread (or the simulation) drives a [`Shard`]:
//! commands in, datagrams in, [`Shard::tick`] every 20 ms, datagrams out, reports out.

pub mod clock;
pub mod codec;
pub mod frame;
#[doc(hidden)]
pub mod fuzzing;
pub mod guard;
pub mod jitter;
pub mod resample;
pub mod rtp;
pub mod srtp;
pub mod units;

mod ahead;
mod conference;
mod confidants;
mod desk;
mod echo;
mod fanout;
mod gain;
mod leg;
mod limiter;
mod own;
mod port;
mod rest;
mod select;
mod shard;
mod sound;
mod sum;
mod talkers;
mod tap;
#[cfg(test)]
mod testing;
mod waste;

pub use clock::{Clock, PHASE, PHASES, Phases};
pub use codec::g711::G711;
pub use codec::{Codec, Decoder, Encoder, OpusFormat, Undecodable};
pub use conference::{Conference, MixConfig, Sabotage};
pub use confidants::CONFIDANTS;
pub use desk::Desk;
pub use frame::{FRAME, Frame, TICK};
pub use leg::{CLIPS, Direction, Ingress, IngressCounts, Leg, LegConfig, LegStats, MediaConfig};
pub use port::{Audience, Command, Digits, DigitsError, Report, Seat};
pub use shard::{Shard, ShardConfig};
pub use sound::{Clip, Sound};
pub use tap::{Tap, Tapped};
pub use units::{ConferenceId, LegId, MAX_FRAME, PayloadType, Ptime, Rate, RtpTime, SeqNo, Ssrc};
pub use waste::Waste;

#[cfg(test)]
#[global_allocator]
static ALLOCATOR: guard::GuardedAllocator = guard::GuardedAllocator;
