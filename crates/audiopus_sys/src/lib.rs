//! The C interface of libopus 1.6.1, for `audiopus`: all of `opusic-sys`, which has the same functions and constants.

pub use opusic_sys::*;
