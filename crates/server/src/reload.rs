//! Reading the trunks again while calls are up: what `SIGHUP` asks for.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;
use trunk::Trunks;

use crate::config::Config;
use crate::dns::locate;

/// The trunks of the changed file, and where further changes of their addresses come from.
pub(crate) struct Reloaded {
    pub(crate) trunks: Arc<Trunks>,
    pub(crate) located: mpsc::Receiver<Arc<Trunks>>,
}

/// Reads the file again; `answer` gets the trunks if they may take the place of the `running` ones, or why they may not.
pub(crate) async fn reload(
    path: PathBuf,
    running: Arc<Trunks>,
    answer: mpsc::Sender<Result<Reloaded, Vec<String>>>,
) {
    let outcome = read(path, &running).await;
    // Fails only when the bridge is stopping.
    let _ = answer.send(outcome).await;
}

async fn read(path: PathBuf, running: &Trunks) -> Result<Reloaded, Vec<String>> {
    let read = tokio::task::spawn_blocking(move || Config::load(&path)).await;
    let config = match read {
        Ok(Ok(config)) => config,
        Ok(Err(problems)) => return Err(problems.0.iter().map(ToString::to_string).collect()),
        Err(error) => return Err(vec![error.to_string()]),
    };
    config.trunks.may_follow(running).map_err(|why| vec![format!("{why}: that needs a restart")])?;
    let (trunks, located) = locate(&config).await.map_err(|error| vec![format!("{error:#}")])?;
    Ok(Reloaded { trunks, located })
}
