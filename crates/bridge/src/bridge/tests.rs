//! What the unit tests of this crate share.

use crate::digit::Digit;
use std::sync::OnceLock;
use std::time::Instant;

/// The one moment all tests count from.
#[allow(
    clippy::disallowed_methods,
    reason = "an Instant can only be had from the clock; tests need one origin"
)]
pub(crate) fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

/// A key that is one.
pub(crate) fn key(character: char) -> Digit {
    Digit::new(character).expect("a telephone key")
}
