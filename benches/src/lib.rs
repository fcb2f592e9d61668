//! Shared set-up of the benches.

pub mod room;

pub use room::Room;
