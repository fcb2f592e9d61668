//! `partyline explain`: a routing decision with its reasons, from a configuration file and without a running bridge.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use routing::{Decision, E164, Initiator, LegRequest, OrganizerId, Outcome, TrunkId};

use super::Output;
use crate::config::Config;

/// What is asked.
#[derive(Debug, Args)]
pub(super) struct Question {
    /// The configuration file.
    #[arg(long, env = "PARTYLINE_CONFIG", global = true, default_value = "partyline.toml")]
    config: PathBuf,
    #[command(flatten)]
    pub(super) output: Output,
    #[command(subcommand)]
    leg: Leg,
}

#[derive(Debug, Subcommand)]
enum Leg {
    /// May a caller on this number and trunk join a meeting of this organizer?
    DialIn {
        /// The number that was dialed, as E.164.
        #[arg(long)]
        called: E164,
        /// The trunk the call came on.
        #[arg(long)]
        trunk: String,
        /// Whose meeting it is.
        #[arg(long)]
        organizer: String,
    },
    /// Which trunks would carry a call from a meeting of this organizer to this number?
    DialOut {
        /// Whose meeting it is.
        #[arg(long)]
        organizer: String,
        /// The number, as a person would write it.
        #[arg(long)]
        number: String,
        /// A trunk to be taken as Down; may be given several times.
        #[arg(long)]
        down: Vec<String>,
    },
}

impl Leg {
    /// A trunk that is spelled wrong would be answered as if it were another's, or up.
    fn check_trunks(&self, trunks: &trunk::Trunks) -> Result<(), String> {
        let named = match self {
            Self::DialIn { trunk, .. } => std::slice::from_ref(trunk),
            Self::DialOut { down, .. } => down,
        };
        let known: Vec<&str> = trunks.profiles().iter().map(|profile| profile.id.as_str()).collect();
        match named.iter().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(format!("no [[trunk]] is called {name:?}; there are: {}", known.join(", "))),
            None => Ok(()),
        }
    }
}

/// Prints the decision. Exit 0 for a decision that carries the leg, 1 for one that refuses, 2 for a wrong file or
/// a trunk that is not in it.
pub(super) fn run(question: &Question) -> ExitCode {
    let config = match Config::load(&question.config) {
        Ok(config) => config,
        Err(problems) => {
            remark!("{problems}");
            return ExitCode::from(2);
        }
    };
    if let Err(problem) = question.leg.check_trunks(&config.trunks) {
        remark!("{}: {problem}", question.config.display());
        return ExitCode::from(2);
    }
    let disabled = |trunk: &str| {
        config.trunks.profiles().iter().any(|profile| profile.id.as_str() == trunk && !profile.enabled)
    };
    if let Leg::DialIn { trunk, .. } = &question.leg
        && disabled(trunk)
    {
        remark!("refused with 503: the trunk {trunk} has `enabled = false` and takes no calls");
        return ExitCode::FAILURE;
    }
    let decision = decide(&config.table, &question.leg, disabled);
    if question.output.is_json() {
        match serde_json::to_string_pretty(&decision) {
            Ok(text) => say!("{text}"),
            Err(error) => remark!("cannot write the decision: {error}"),
        }
    } else {
        print(&decision);
    }
    match decision.outcome {
        Outcome::Refuse(_) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

fn decide(table: &routing::Table, leg: &Leg, disabled: impl Fn(&str) -> bool) -> Decision {
    match leg {
        Leg::DialIn { called, trunk, organizer } => {
            let (trunk, organizer) = (TrunkId::new(trunk.as_str()), OrganizerId::new(organizer.as_str()));
            routing::explain(table, &LegRequest::DialIn { called, trunk: &trunk, organizer: &organizer })
        }
        Leg::DialOut { organizer, number, down } => {
            let organizer = OrganizerId::new(organizer.as_str());
            let is_down = |trunk: &TrunkId| {
                let named = down.iter().any(|name| name == trunk.as_str());
                named || disabled(trunk.as_str())
            };
            let request = LegRequest::DialOut {
                organizer: &organizer,
                dialed: number,
                initiator: Initiator::Member,
                down: &is_down,
            };
            routing::explain(table, &request)
        }
    }
}

fn print(decision: &Decision) {
    match &decision.outcome {
        Outcome::Admit { biller, .. } => say!("admitted; billed by {biller}"),
        Outcome::Candidates(candidates) => {
            for (place, candidate) in candidates.iter().enumerate() {
                say!(
                    "{}. trunk {} dials {} as {}; billed by {}; {}",
                    place + 1,
                    candidate.trunk,
                    candidate.dialed,
                    candidate.caller_id,
                    candidate.biller,
                    candidate.because
                );
            }
        }
        Outcome::Refuse(refusal) => say!("refused with {}: {}", refusal.status, refusal.because),
    }
    say!("because:");
    for step in &decision.because {
        say!("  {step}");
    }
}
