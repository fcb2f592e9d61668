//! The `partyline` binary: see `server::cli`.
fn main() {}
