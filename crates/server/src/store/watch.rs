//! Looks every few seconds whether somebody has changed the directory, and hands a new one over when it is good.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use prometheus::{IntCounterVec, IntGauge};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Known, Rows, Store, StoreError};
use crate::config::{Built, Sources};
use crate::control::Happening;

/// A database that does not answer for so long is taken as gone.
const SILENCE: Duration = Duration::from_secs(30);
/// How often the log says that it is.
const COMPLAIN_EVERY: Duration = Duration::from_mins(1);

/// A directory that takes the place of the one before, and what is another in it.
pub(crate) struct Changed {
    pub(crate) built: Built,
    pub(crate) happened: Vec<Happening>,
}

/// What is counted.
#[derive(Clone)]
pub(crate) struct DirectoryMetrics {
    /// 1 while the database answers.
    pub(crate) up: IntGauge,
    /// The change that is in force.
    pub(crate) version: IntGauge,
    /// Changes taken and refused.
    pub(crate) reloads: IntCounterVec,
}

/// Runs until nobody takes the directories any more. `read` is the change that is in force, and `known` what it holds.
pub(crate) async fn watch(
    store: Store,
    poll: Duration,
    sources: Arc<ArcSwap<Sources>>,
    (mut read, mut known): (i64, Known),
    metrics: DirectoryMetrics,
    taker: mpsc::Sender<Changed>,
) {
    metrics.version.set(read);
    let mut complained: Option<Instant> = None;
    loop {
        match timeout(SILENCE, changed(&store, read)).await.unwrap_or(Err(StoreError::Silent)) {
            Ok(rows) => {
                metrics.up.set(1);
                if complained.take().is_some() {
                    tracing::info!("the directory's database answers again");
                }
                if let Some(rows) = rows {
                    // One that is wrong is not read again before somebody has changed it.
                    read = rows.version();
                    if !take(rows, &sources.load_full(), &mut known, &metrics, &taker).await {
                        return;
                    }
                }
            }
            Err(error) => {
                metrics.up.set(0);
                if complained.is_none_or(|said| said.elapsed() >= COMPLAIN_EVERY) {
                    complained = Some(Instant::now());
                    tracing::error!(%error, "the directory cannot be read; it stays as it is, and calls go on");
                }
            }
        }
        tokio::time::sleep(poll).await;
    }
}

async fn changed(store: &Store, read: i64) -> Result<Option<Rows>, StoreError> {
    if store.version().await? == read {
        return Ok(None);
    }
    store.rows().await.map(Some)
}

/// Builds the directory beside the runtime's threads; `false` when nobody wants it any more.
async fn take(
    rows: Rows,
    sources: &Arc<Sources>,
    known: &mut Known,
    metrics: &DirectoryMetrics,
    taker: &mpsc::Sender<Changed>,
) -> bool {
    let (version, count, sources) = (rows.version(), rows.len(), Arc::clone(sources));
    let before = std::mem::take(known);
    let built = tokio::task::spawn_blocking(move || {
        let built = sources.build(&rows);
        let after = Known::of(&rows);
        let happened = after.since(&before, SystemTime::now());
        // What is refused changes nothing: the next change is told against what is in force.
        let known = if built.is_ok() { after } else { before };
        (built.map(|built| Changed { built, happened }), known)
    });
    let built = built.await.map(|(built, now)| {
        *known = now;
        built
    });
    let problems = match built {
        Ok(Ok(changed)) => {
            metrics.version.set(version);
            metrics.reloads.with_label_values(&["taken"]).inc();
            tracing::info!(version, rows = count, "the directory has changed");
            return taker.send(changed).await.is_ok();
        }
        Ok(Err(problems)) => problems.0.iter().map(ToString::to_string).collect(),
        Err(error) => vec![error.to_string()],
    };
    metrics.reloads.with_label_values(&["refused"]).inc();
    for problem in problems {
        tracing::error!(version, problem, "the directory stays as it was");
    }
    true
}
