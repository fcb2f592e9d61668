//! What the unit tests share: a fixed point in time.

use std::time::Instant;

/// The point in time that a test counts from.
#[expect(clippy::disallowed_methods, reason = "`Instant` has no other constructor; a test only adds to it")]
pub(crate) fn epoch() -> Instant {
    Instant::now()
}
