//! Playout: packets in whatever order, size and time they come; 20 ms of sound at every tick.

mod buffer;
mod conceal;
mod delay;

pub use buffer::{Buffer, MAX_PAYLOAD, PlayoutStats, Pull, Push};
