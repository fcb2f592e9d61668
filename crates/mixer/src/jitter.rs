//! Playout: packets in whatever order, size, codec and time they come; 20 ms of sound at every tick.

mod bridge;
mod conceal;
mod decoders;
mod delay;
mod handover;
mod likeness;
mod noise;
mod playout;
mod spectrum;
mod store;
mod stretch;
mod tick;
mod timeline;
mod wave;

use std::time::Duration;

pub use playout::Playout;

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// It waits for its time.
    Stored,
    /// It waits for its time; a later one came before it.
    Reordered,
    /// Its time is over; it is not played.
    Late,
    /// It was here before; it is not played again.
    Duplicate,
    /// Empty, too long, malformed, of a codec nobody agreed on, or without room.
    Refused,
}

/// What a tick gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// 20 ms with received sound.
    Speech,
    /// A gap, concealed.
    Concealed,
    /// Background noise: the sender pauses, or has been away for so long that there is nothing to conceal with.
    ComfortNoise,
    /// Nothing that would be heard: nothing arrives, or what arrives is silence that was not even decoded.
    Silent,
    /// Sound arrived and waits until it is safe to begin; no sound until then.
    Filling,
}

/// Counters of the playout of one leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlayoutStats {
    /// Packets that came before one with a lower sequence number.
    pub reordered: u64,
    /// Packets whose time was over.
    pub late: u64,
    /// Packets that came twice.
    pub duplicate: u64,
    /// Packets that could not be taken or decoded.
    pub refused: u64,
    /// Packets that gave way to newer ones because there was no room.
    pub overflowed: u64,
    /// Packets passed over because far too much was waiting.
    pub dropped: u64,
    /// Sound made in place of what was lost or late; not what a sender left out on purpose.
    pub concealed: Duration,
    /// Lost sound that the next packet carried a copy of.
    pub recovered: Duration,
    /// Sound taken out because the delay was longer than needed.
    pub cut: Duration,
    /// Sound put in because the delay was shorter than needed.
    pub put_in: Duration,
    /// Times that timestamps jumped or a new stream took over.
    pub restarts: u64,
}
