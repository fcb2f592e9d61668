//! THE shell: the only crate with threads, sockets, files and clocks.
//!
//! [`control::Control`] decides nothing of its own: it translates between the engines and is driven by [`shell`] here
//! and by the simulation in the tests.

#![warn(clippy::print_stdout, clippy::print_stderr)] // see `say`

#[macro_use]
mod say;

pub mod cli;
pub mod config;
pub mod control;
pub mod ctl;
pub mod demo;
mod descriptors;
mod dns;
pub mod doctor;
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub mod load;
mod log_budget;
pub mod masked;
pub mod media;
pub mod metrics;
pub mod names;
pub mod pin;
pub mod plot;
pub mod prompts;
pub mod recording;
mod reload;
pub mod shell;
pub mod sip_io;
pub mod spool;
pub mod store;
pub mod tls;
pub mod trace;
pub mod usage;
pub mod versions;
pub mod what_if;
