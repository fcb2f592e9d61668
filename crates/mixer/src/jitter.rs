//! Playout: packets in whatever order, size and time they come; 20 ms of sound at every tick.

mod buffer;

pub use buffer::{Buffer, Pull, Push};
