//! WHAT the peer said: an RFC 3261 engine that opens nothing and never reads a clock.
