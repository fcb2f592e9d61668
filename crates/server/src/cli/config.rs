//! `partyline config`: what a configuration file may say.

use std::process::ExitCode;

use clap::Subcommand;

use crate::config::{reference, schema_text};

/// What to print.
#[derive(Debug, Subcommand)]
pub(super) enum Job {
    /// Print the JSON Schema of the configuration file, with which editors complete keys.
    Schema,
    /// Print every key with its type, meaning and default, in Markdown.
    Reference,
}

/// Prints it.
pub(super) fn run(job: &Job) -> ExitCode {
    let text = match job {
        Job::Schema => schema_text(),
        Job::Reference => reference(),
    };
    say!("{}", text.trim_end());
    ExitCode::SUCCESS
}
