//! `partyline doctor TRUNK`: the exam of one trunk, before it carries calls or when it does not carry them.
//!
//! It runs beside a live bridge: it has sockets of its own on ports that are free, places one call at most and only where it
//! is told to, and changes nothing. What it cannot know it skips, and says why.

mod answer;
mod audio;
mod call;
mod certificate;
mod exam;
mod line;
mod midcall;
mod pace;
mod places;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use routing::TrunkId;

use crate::cli::Output;
use crate::config::Config;
use exam::Exam;
use line::Line;

/// What is to be examined.
#[derive(Debug, Args)]
pub struct Options {
    /// The trunk, as its `[[trunk]]` table names it.
    trunk: String,
    /// The configuration file.
    #[arg(long, env = "PARTYLINE_CONFIG", default_value = "partyline.toml")]
    config: PathBuf,
    /// Call this number over the trunk, play a tone and listen: best one that sends back what it hears.
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    call: Option<routing::E164>,
    /// The number that calls; default: the first number of the configuration whose owner is this trunk's provider.
    #[arg(long, value_name = "NUMBER", value_parser = number, requires = "call")]
    caller: Option<routing::E164>,
    /// How long to wait for an OPTIONS of theirs, where no running bridge can tell of one.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    wait: u64,
    /// The port for our side of SIP; default: one that is free. While the bridge does not run it may be its own, so that what
    /// the peer sends by itself arrives.
    #[arg(long, value_name = "PORT")]
    own_port: Option<u16>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// As the trunk's routes write it: no numbering plan applies here.
fn number(text: &str) -> Result<routing::E164, String> {
    text.parse().map_err(|_| "expected + and digits only, such as +491701234567".to_owned())
}

/// Exit 0 when nothing failed, 1 when something did, 2 for a wrong file or a trunk that is not in it.
pub fn run(options: &Options) -> ExitCode {
    let config = match Config::load(&options.config) {
        Ok(config) => config,
        Err(problems) => {
            remark!("{problems}");
            return ExitCode::from(2);
        }
    };
    let trunk = TrunkId::new(options.trunk.as_str());
    let known: Vec<&str> = config.trunks.profiles().iter().map(|profile| profile.id.as_str()).collect();
    if config.trunks.get(&trunk).is_none() {
        let name = options.config.display();
        remark!("{name}: no [[trunk]] is called {:?}; there are: {}", options.trunk, known.join(", "));
        return ExitCode::from(2);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            remark!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let report = runtime.block_on(async {
        // What follows the names ends with its receiver.
        let (trunks, _) = crate::dns::locate(&config).await.map_err(|error| format!("{error:#}"))?;
        let line = Line::open(&config, &trunks, options.own_port).await?;
        let profile = trunks.get(&trunk).ok_or("the trunk is gone")?;
        Ok::<_, String>(Exam::new(&config, profile, options, line).whole().await)
    });
    // A name that is still being asked for must not keep us.
    runtime.shutdown_background();
    match report {
        Ok(report) => {
            if options.output.is_json() {
                say!("{}", report.to_json());
            } else {
                report.print();
            }
            if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            remark!("{why}");
            ExitCode::FAILURE
        }
    }
}
