//! The command line: one binary, a subcommand a job.

mod check;
mod config;
mod ctl;
mod ctl_config;
mod ctl_shown;
mod ctl_usage;
mod directory;
mod explain;
mod log;
mod meeting;
mod organizer;
mod output;
mod pin;
mod private_file;
mod store;
mod table;
mod token;
mod usage;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::config::Config;
pub(crate) use output::Output;

/// A telephone-conference bridge: callers dial a number, key the conference ID, and talk.
#[derive(Debug, Parser)]
#[command(name = "partyline", version)]
struct Arguments {
    #[command(subcommand)]
    job: Job,
}

#[derive(Debug, Subcommand)]
enum Job {
    /// Run the bridge until SIGTERM; the first drains, the second ends all calls.
    Serve {
        /// The configuration file.
        #[arg(long, env = "PARTYLINE_CONFIG")]
        config: PathBuf,
    },
    /// Check a configuration file: exit 0 when it is good, 2 with file, line, key and expectation when it is not.
    Check {
        /// The configuration file.
        file: PathBuf,
        /// Also report what is valid but suspicious.
        #[arg(long)]
        lint: bool,
    },
    /// Say what is valid but suspicious in a configuration file: `check --lint`.
    Lint {
        /// The configuration file.
        file: PathBuf,
    },
    /// Examine a trunk: names, addresses, certificates, OPTIONS, codecs, clock, ports, and a test call where asked for.
    Doctor(crate::doctor::Options),
    /// Print what makes a shell complete these commands: `source <(partyline completions bash)`.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Make a token for the API.
    #[command(subcommand)]
    Token(token::Job),
    /// Print the description of the API, OpenAPI 3.1.
    Openapi,
    /// Print what a configuration file may say: every key as a page, or as JSON Schema for editors.
    #[command(subcommand)]
    Config(config::Job),
    /// Say which trunk would carry a leg, and why.
    Explain(explain::Question),
    /// Ask the running bridge: how it is, its trunks, its meetings, the messages of a call; drain a trunk.
    Ctl(ctl::Options),
    /// Run the bridge and simulated callers, and prove who heard whom.
    Demo(crate::demo::Options),
    /// Show the bridges, numbers, organizers and meetings of the database, and import them from files.
    Directory(directory::Options),
    /// Make a meeting in the database, or give one another conference ID.
    Meeting(meeting::Options),
    /// Give an organizer of the database another PIN.
    Organizer(organizer::Options),
    /// Make what proves that a caller is the organizer.
    Pin {
        #[command(subcommand)]
        job: pin::Job,
    },
    /// What legs cost: totals of the usage records, export, and comparison with an operator's own records.
    Usage(usage::Options),
    /// Call a bridge with many legs, judge what they hear and measure what it costs.
    Load(Box<crate::load::Options>),
}

/// Runs the subcommand. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
pub fn main() -> ExitCode {
    match Arguments::parse().job {
        Job::Serve { config } => serve(&config),
        Job::Check { file, lint } => check::run(&file, lint),
        Job::Lint { file } => check::run(&file, true),
        Job::Doctor(options) => crate::doctor::run(&options),
        Job::Completions { shell } => completions(shell),
        Job::Token(job) => token::run(&job),
        Job::Openapi => {
            say!("{}", crate::http::description().trim_end());
            ExitCode::SUCCESS
        }
        Job::Config(job) => config::run(&job),
        Job::Explain(question) => explain::run(&question),
        Job::Ctl(options) => ctl::run(&options),
        Job::Demo(options) => crate::demo::run(&options),
        Job::Directory(options) => directory::run(options),
        Job::Meeting(options) => meeting::run(options),
        Job::Organizer(options) => organizer::run(options),
        Job::Pin { job } => pin::run(&job),
        Job::Usage(options) => usage::run(&options),
        Job::Load(options) => crate::load::run(&options),
    }
}

/// "1 trunk", "2 trunks".
fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn completions(shell: clap_complete::Shell) -> ExitCode {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "partyline", &mut text);
    say!("{}", String::from_utf8_lossy(&text).trim_end());
    ExitCode::SUCCESS
}

fn serve(path: &std::path::Path) -> ExitCode {
    let config = match Config::load_and_prepare(path) {
        Ok(config) => config,
        Err(problems) => {
            remark!("{problems}");
            return ExitCode::from(2);
        }
    };
    let _last_lines = match log::start(&config.log) {
        Ok(last) => last,
        Err(why) => {
            remark!("{}: `log.filter`: {why}", path.display());
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            remark!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(crate::shell::serve(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            remark!("cannot start: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_with_an_answer_prints_it_as_json_by_the_same_words() {
        let is_json = |words: &str| {
            let job = Arguments::try_parse_from(words.split_whitespace()).map(|all| all.job);
            match job.map_err(|why| why.kind())? {
                Job::Ctl(options) => Ok(options.output.is_json()),
                Job::Explain(question) => Ok(question.output.is_json()),
                Job::Doctor(options) => Ok(options.output.is_json()),
                other => panic!("{words}: {other:?}"),
            }
        };
        let explained = "dial-in --called +49301 --trunk acme --organizer greta";
        for (command, rest) in [("ctl", "status"), ("explain", explained), ("doctor", "acme")] {
            for (words, expected) in [
                ("", Ok(false)),
                ("--json", Ok(true)),
                ("-o json", Ok(true)),
                ("--output json", Ok(true)),
                ("-o table", Ok(false)),
                ("--json -o table", Err(clap::error::ErrorKind::ArgumentConflict)),
            ] {
                for line in [
                    format!("partyline {command} {words} {rest}"),
                    format!("partyline {command} {rest} {words}"),
                ] {
                    assert_eq!(is_json(&line), expected, "{line}");
                }
            }
        }
    }
}
