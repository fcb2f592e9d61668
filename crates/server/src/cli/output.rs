//! How a command prints its result.

use clap::{Args, ValueEnum};

/// For people or for programs: the same words for every command that has an answer.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Output {
    /// How the answer is printed.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    output: Format,
    /// The same as `--output json`.
    #[arg(long, global = true, conflicts_with = "output")]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// For programs: one JSON value.
    Json,
}

impl Output {
    /// Whether a program is to read it.
    pub(crate) fn is_json(self) -> bool {
        self.json || self.output == Format::Json
    }
}
