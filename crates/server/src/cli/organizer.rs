//! `partyline organizer`: what the database knows of an organizer besides the rows that are imported.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::meeting::digits;
use super::store::{Database, Failure, run as run_store};
use crate::pin;
use crate::store::{Cell, ORGANIZERS};

/// What is asked.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    database: Database,
    #[command(subcommand)]
    job: Job,
}

#[derive(Debug, Subcommand)]
enum Job {
    /// Give an organizer another PIN, and print it: once, since the database has its hash only.
    ResetPin {
        /// The organizer's id.
        organizer: String,
    },
}

/// Exit 0 when it is done, 1 when the database fails, 2 when something is wrong with what was asked.
pub(super) fn run(options: Options) -> ExitCode {
    let Job::ResetPin { organizer } = options.job;
    run_store(&options.database.config, async |store, sources, options| {
        let mut change = store.begin().await?;
        let rows = change.rows().await?;
        let Some(old) = rows.find(&ORGANIZERS, &organizer) else {
            let advice = "one of the configuration has its pin_hash there: `partyline pin hash`";
            return Err(Failure::Asked(format!("the database has no organizer {organizer:?} ({advice})")));
        };
        let new = Zeroizing::new(digits(&mut rand::rng(), options.pin_digits));
        let hash = pin::hash(&new, rand::random());
        let cells = ORGANIZERS.columns.iter().zip(old).map(|(column, cell)| match column.name {
            "pin_hash" => Cell::Text(hash.clone()),
            _ => cell.clone(),
        });
        change.put(&ORGANIZERS, &cells.collect::<Vec<_>>()).await?;
        sources.build(&change.rows().await?)?;
        change.commit().await?;
        say!("PIN of {organizer}: {} (it is shown this once)", new.as_str());
        Ok(())
    })
}
