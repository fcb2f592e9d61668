//! `partyline pin hash`: a PIN for the configuration.

use std::io::Read as _;
use std::process::ExitCode;

use clap::Subcommand;
use zeroize::Zeroizing;

use crate::pin;

/// The longest input that is looked at.
const LONGEST: u64 = 64;

#[derive(Debug, Subcommand)]
pub(super) enum Job {
    /// Read a PIN (4 to 12 digits) from the input and print what `pin_hash` of an [[organizer]] wants: `echo 27182 | partyline pin hash`.
    Hash,
}

pub(super) fn run(job: &Job) -> ExitCode {
    let Job::Hash = job;
    let mut text = Zeroizing::new(String::with_capacity(LONGEST as usize));
    if let Err(error) = std::io::stdin().lock().take(LONGEST).read_to_string(&mut text) {
        remark!("the input cannot be read: {error}");
        return ExitCode::FAILURE;
    }
    let written = text.trim_end_matches(['\r', '\n']);
    if !pin::is_pin(written) {
        remark!("a PIN has 4 to 12 digits and nothing else; nothing was hashed");
        return ExitCode::from(2);
    }
    say!("{}", pin::hash(written, rand::random()));
    ExitCode::SUCCESS
}
