//! The configurations that were taken, and another one for the one that is in force.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::Reply;
use crate::reload::{InForce, Outcome};
use crate::versions::Versions;

/// Reading the configuration again takes as long as its names and its database.
const WITHIN: Duration = Duration::from_mins(1);

/// Whom to ask about configurations.
pub struct Configurations {
    /// The file.
    pub(crate) path: PathBuf,
    pub(crate) versions: Versions,
    pub(crate) in_force: Arc<ArcSwap<InForce>>,
    pub(crate) orders: mpsc::Sender<oneshot::Sender<Outcome>>,
}

impl Configurations {
    pub(super) async fn list(&self) -> Reply {
        let versions = self.versions.clone();
        match tokio::task::spawn_blocking(move || versions.list()).await {
            Ok(Ok(all)) => {
                let body = json!({ "path": self.path, "in_force": **self.in_force.load(), "versions": all });
                Reply { status: 200, body }
            }
            Ok(Err(error)) => Reply::refusal(503, format!("the versions cannot be read: {error}")),
            Err(error) => Reply::refusal(503, error.to_string()),
        }
    }

    pub(super) async fn one(&self, number: u64) -> Reply {
        let versions = self.versions.clone();
        match tokio::task::spawn_blocking(move || versions.copy(number)).await {
            Ok(Ok(Some(copy))) => {
                let mut body = json!(copy);
                body["path"] = json!(self.path);
                Reply { status: 200, body }
            }
            Ok(Ok(None)) => {
                Reply::refusal(404, "there is no such version: `ctl config ls` lists those that are kept")
            }
            Ok(Err(error)) => Reply::refusal(503, format!("the version cannot be read: {error}")),
            Err(error) => Reply::refusal(503, error.to_string()),
        }
    }

    pub(super) async fn reload(&self) -> Reply {
        let (answer, answered) = oneshot::channel();
        if self.orders.try_send(answer).is_err() {
            return Reply::refusal(503, "the configuration is being read already; try again in a second");
        }
        match timeout(WITHIN, answered).await {
            Ok(Ok(Ok(in_force))) => Reply { status: 200, body: json!(in_force) },
            Ok(Ok(Err(problems))) => Reply::refusal(409, problems.join("\n")),
            _ => Reply::refusal(503, "the bridge did not answer in time"),
        }
    }
}
