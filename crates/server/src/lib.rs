//! THE shell: the only crate with threads, sockets, files and clocks.

pub mod demo;
pub mod plot;
