//! Shared set-up of the benches.

pub mod room;
pub mod rooms;

pub use room::Room;
pub use rooms::Rooms;
