//! What the commands that use the database have in common.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::config::{Config, Problems, Sources};
use crate::store::{Store, StoreError, StoreOptions};

/// Which database is meant.
#[derive(Debug, Args)]
pub(super) struct Database {
    /// The configuration file, which says where the database is.
    #[arg(long, env = "PARTYLINE_CONFIG", global = true, default_value = "partyline.toml")]
    pub(super) config: PathBuf,
}

/// Why a command did nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// What was asked is wrong: everything that is.
    Wrong(Problems),
    /// What was asked is wrong, in one sentence.
    Asked(String),
    /// The database failed.
    Store(StoreError),
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Wrong(problems)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Opens the database of a configuration, with its tables as this program needs them, and does one thing with it. Exit 0
/// when it is done, 1 when the database failed, 2 when something is wrong with the file or with what was asked.
pub(super) fn run(
    config: &Path,
    job: impl AsyncFnOnce(Store, Sources, StoreOptions) -> Result<(), Failure>,
) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            remark!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        let (options, sources) = Config::directory(config)?;
        let store = Store::open(&options.url).await?;
        let done = job(store.clone(), sources, options).await;
        store.close().await;
        done
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Wrong(problems)) => {
            remark!("{problems}");
            let count = problems.0.len();
            remark!("{count} problem{}; nothing was changed", if count == 1 { "" } else { "s" });
            ExitCode::from(2)
        }
        Err(Failure::Asked(why)) => {
            remark!("{why}; nothing was changed");
            ExitCode::from(2)
        }
        Err(Failure::Store(error)) => {
            remark!("{error}; nothing was changed");
            ExitCode::FAILURE
        }
    }
}
