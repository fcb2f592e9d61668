//! A load generator for conference bridges: many legs, each with a socket of its own, driven by one thread, and judged only by
//! what arrived at those sockets.
//!
//! [`fleet`] drives plain RTP legs whose addresses somebody else has agreed on; that is all it takes to load any bridge,
//! whatever its signalling.

pub mod arrivals;
pub mod batch;
mod caller;
pub mod cost;
pub mod crew;
mod driver;
mod ear;
mod ending;
pub mod fleet;
mod keypad;
mod leg;
pub mod options;
mod outcome;
mod own_bridge;
mod picture;
pub mod plan;
mod play;
mod probe;
pub mod report;
pub mod speech;
pub mod spread;
mod table;
#[cfg(test)]
mod tests;

pub use options::Options;
pub use play::run;
mod tones;
