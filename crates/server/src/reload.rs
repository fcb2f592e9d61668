//! Reading the configuration again while calls are up: what `SIGHUP` and `partyline ctl config rollback` ask for.
//!
//! All of it or nothing: a file with a mistake, or whose trunks or directory need a restart, changes nothing. What can be
//! applied is the trunks, the directory, prices and limits, the defense against guessing and the API's tokens; what else
//! differs is named, and waits for a restart.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::{mpsc, oneshot};
use trunk::Trunks;

use crate::config::{Built, Config, Sources};
use crate::dns::locate;
use crate::http::Token;
use crate::versions::{Version, Versions};

/// The sections and keys that are applied at once. All others are read at the start only.
const APPLIED: [&str; 15] = [
    "trunk",
    "global_policy",
    "dial_out",
    "bridge",
    "number",
    "organizer",
    "group_policy",
    "policy",
    "route",
    "meeting",
    "billing",
    "rate_plan",
    "dial_out_limit",
    "defense",
    "api_token",
];

/// The one key of `[http]` that is: the file with a token is read again wherever it is.
const TOKEN_FILE: &str = "token_file";

/// What came of it, for whoever asked.
pub(crate) type Outcome = Result<InForce, Vec<String>>;

/// What the bridge runs with.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct InForce {
    /// Of the file as it was taken last.
    #[serde(flatten)]
    pub version: Version,
    /// The sections in which the file says something else than the bridge runs with: they need a restart.
    pub needs_restart: BTreeSet<String>,
}

/// What is changed in the running bridge, and where further changes of the trunks' addresses come from.
pub(crate) struct Reloaded {
    pub(crate) trunks: Arc<Trunks>,
    pub(crate) located: mpsc::Receiver<Arc<Trunks>>,
    pub(crate) built: Built,
    pub(crate) rules: Rules,
    pub(crate) sources: Arc<Sources>,
    pub(crate) in_force: InForce,
}

/// What else is applied.
pub(crate) struct Rules {
    pub(crate) tariffs: Arc<bridge::Tariffs>,
    pub(crate) defense: bridge::DefenseConfig,
    pub(crate) tokens: Vec<Arc<Token>>,
}

/// What there is to be followed.
pub(crate) struct Running {
    pub(crate) path: PathBuf,
    pub(crate) trunks: Arc<Trunks>,
    pub(crate) sources: Arc<Sources>,
    /// The text that the bridge was started with: what is not applied is still as it says.
    pub(crate) started: Arc<str>,
    pub(crate) versions: Versions,
}

/// What came of reading the file.
pub(crate) type Answer = Result<Box<Reloaded>, Vec<String>>;

/// Those who are told what came of a reading; after a SIGHUP nobody.
pub(crate) type Askers = Vec<oneshot::Sender<Outcome>>;

/// The readings of the file: one at a time, so that an older file is never taken after a newer one.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// Whom the reading that is under way is for.
    now: Option<Askers>,
    /// Whom the next one is for: it begins after they asked, and so reads what they wrote.
    next: Option<Askers>,
}

impl Turns {
    /// Somebody wants the file to be read again; whether to begin now, or it will be done when [`Turns::over`] says so.
    pub(crate) fn ask(&mut self, asker: Option<oneshot::Sender<Outcome>>) -> bool {
        let begins = self.now.is_none();
        let turn = if begins { &mut self.now } else { &mut self.next };
        turn.get_or_insert_default().extend(asker);
        begins
    }

    /// A reading is over: whom it was for, and whether the next one begins now.
    pub(crate) fn over(&mut self) -> (Askers, bool) {
        let told = self.now.take().unwrap_or_default();
        self.now = self.next.take();
        (told, self.now.is_some())
    }
}

/// Reads the file again; `answer` gets what may take the place of what runs, or why nothing may.
pub(crate) async fn reload(running: Running, answer: mpsc::Sender<Answer>) {
    let outcome = read(running).await;
    // Fails only when the bridge is stopping.
    let _ = answer.send(outcome.map(Box::new)).await;
}

async fn read(running: Running) -> Result<Reloaded, Vec<String>> {
    let path = running.path.clone();
    let read = tokio::task::spawn_blocking(move || Config::load(&path)).await;
    let config = match read {
        Ok(Ok(config)) => config,
        Ok(Err(problems)) => return Err(problems.0.iter().map(ToString::to_string).collect()),
        Err(error) => return Err(vec![error.to_string()]),
    };
    let restart = |why: String| vec![format!("{why}: that needs a restart")];
    config.trunks.may_follow(&running.trunks).map_err(|why| restart(why.clone()))?;
    config.sources.may_follow(&running.sources).map_err(|key| restart(key.to_owned()))?;
    let (trunks, located) = locate(&config).await.map_err(|error| vec![format!("{error:#}")])?;
    let text = config.sources.text().to_owned();
    let needs_restart = differing(&running.started, &text);
    let versions = running.versions;
    let taken = tokio::task::spawn_blocking(move || versions.take(SystemTime::now(), &text)).await;
    let version = match taken {
        Ok(Ok(version)) => version,
        Ok(Err(error)) => return Err(vec![format!("the version cannot be kept: {error}")]),
        Err(error) => return Err(vec![error.to_string()]),
    };
    Ok(Reloaded {
        trunks,
        located,
        built: Built { table: config.table, meetings: config.directory },
        rules: Rules { tariffs: config.tariffs, defense: config.bridge.defense, tokens: config.tokens },
        sources: config.sources,
        in_force: InForce { version, needs_restart },
    })
}

/// The sections, of those that are read at the start only, in which the two texts differ.
fn differing(started: &str, now: &str) -> BTreeSet<String> {
    let sections = |text: &str| {
        let mut sections = toml::from_str::<toml::Table>(text).unwrap_or_default();
        if let Some(toml::Value::Table(http)) = sections.get_mut("http") {
            http.remove(TOKEN_FILE);
        }
        sections
    };
    let (started, now) = (sections(started), sections(now));
    let names: BTreeSet<&String> = started.keys().chain(now.keys()).collect();
    let differs = |name: &&String| !APPLIED.contains(&name.as_str()) && started.get(*name) != now.get(*name);
    names.into_iter().filter(differs).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reading_is_at_a_time_and_whoever_asks_meanwhile_is_answered_by_the_next() {
        let mut turns = Turns::default();
        let asker = || Some(oneshot::channel().0);
        assert!(turns.ask(None), "SIGHUP");
        assert!(!turns.ask(asker()) && !turns.ask(asker()) && !turns.ask(None));
        let (told, next) = turns.over();
        assert!(told.is_empty() && next);
        assert!(!turns.ask(asker()), "the second has begun");
        let (told, next) = turns.over();
        assert_eq!((told.len(), next), (2, true));
        let (told, next) = turns.over();
        assert_eq!((told.len(), next), (1, false));
        assert!(turns.ask(None));
    }

    #[test]
    fn what_differs_and_is_not_applied_needs_a_restart() {
        let started = "global_policy = \"a\"\n[http]\nlisten = \"127.0.0.1:1\"\n[node]\nname = \"x\"\n[[route]]\nname = \"r\"\n";
        assert!(differing(started, started).is_empty());
        let now =
            started.replace("127.0.0.1:1", "127.0.0.1:2").replace("\"r\"", "\"s\"").replace("\"a\"", "\"b\"");
        assert_eq!(differing(started, &now), BTreeSet::from(["http".to_owned()]));
        let token = started.replace("[http]\n", "[http]\ntoken_file = \"t\"\n");
        let applied =
            format!("{token}[defense]\nwindow_seconds = 5\n[[api_token]]\nname = \"a\"\n[[rate_plan]]\n");
        assert!(differing(started, &applied).is_empty());
        let less = now.replace("[node]\nname = \"x\"\n", "[hep]\nto = \"udp://127.0.0.1:9\"\n");
        let all = ["hep", "http", "node"].map(str::to_owned);
        assert_eq!(differing(started, &less), BTreeSet::from(all));
    }
}
