//! The endpoint under a virtual clock: pairs of endpoints over a lossy link, and hand-written peers.

mod calls;
mod pair;
mod peer;
