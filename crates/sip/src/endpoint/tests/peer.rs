//! Hand-written peers.
