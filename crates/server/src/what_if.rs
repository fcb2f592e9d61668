//! The last routing decisions, and what another configuration would have made of them.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tokio::sync::Semaphore;

use bridge::Stamp;
use routing::{Asked, Came, Difference, Table};
use serde::Serialize;
use serde_json::{Value, json};

use crate::config::Config;
use crate::store::{Rows, Store};

/// Rows of an answer; the counts are of all.
const MOST_ROWS: usize = 1000;

/// A decision that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// When.
    pub at: SystemTime,
    /// What was to be decided.
    pub asked: Asked,
    /// How it was.
    pub was: Came,
}

/// The last of them.
#[derive(Debug)]
pub struct Decisions {
    most: usize,
    kept: Mutex<VecDeque<Made>>,
}

impl Decisions {
    /// Keeps so many; with 0 none.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, kept: Mutex::default() })
    }

    /// One more; the oldest goes where there are enough.
    pub(crate) fn push(&self, made: Made) {
        if self.most == 0 {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        while kept.len() >= self.most {
            kept.pop_front();
        }
        kept.push_back(made);
    }

    fn all(&self) -> Vec<Made> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Answers what another configuration would have decided.
#[derive(Clone)]
pub struct Rehearsal {
    /// What was decided.
    pub decisions: Arc<Decisions>,
    /// The running bridge's database: its rows belong to the candidate as they belong to the running configuration.
    pub store: Option<Store>,
    /// What the running configuration's file is called: mistakes of the candidate are said to be in it.
    pub name: PathBuf,
    /// One at a time: a rehearsal is some seconds of a core and the memory of a whole configuration.
    turn: Arc<Semaphore>,
}

/// What stands against a rehearsal.
#[derive(Debug, PartialEq, Eq)]
pub enum NotRehearsed {
    /// The candidate is wrong: every mistake.
    Wrong(String),
    /// Its database cannot be asked.
    Unavailable(String),
    /// Another one is being rehearsed.
    Busy,
}

/// What is said when another one is being rehearsed.
pub(crate) const BUSY: &str = "another configuration is being tried; try again in a second";

impl Rehearsal {
    /// Of these decisions.
    pub fn new(decisions: Arc<Decisions>, store: Option<Store>, name: PathBuf) -> Self {
        Self { decisions, store, name, turn: Arc::new(Semaphore::new(1)) }
    }

    /// Replays every decision that is kept on the candidate. Nothing of the running bridge changes.
    pub async fn of(&self, candidate: String) -> Result<Value, NotRehearsed> {
        let turn = Arc::clone(&self.turn).try_acquire_owned().map_err(|_| NotRehearsed::Busy)?;
        let rows = match &self.store {
            Some(store) => {
                store.rows().await.map_err(|error| NotRehearsed::Unavailable(error.to_string()))?
            }
            None => Rows::default(),
        };
        let (name, decisions) = (self.name.clone(), self.decisions.all());
        let work = tokio::task::spawn_blocking(move || {
            // Whoever asked may hang up; the work goes on all the same, and so it is what holds the turn.
            let _turn = turn;
            let table = Config::routing(&name, &candidate, &rows);
            table.map(|table| replayed(&table, &decisions))
        });
        match work.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(problems)) => Err(NotRehearsed::Wrong(problems.to_string())),
            Err(error) => Err(NotRehearsed::Unavailable(error.to_string())),
        }
    }
}

/// One decision that would be another.
#[derive(Serialize)]
struct Changed<'a> {
    at: Stamp,
    #[serde(flatten)]
    asked: &'a Asked,
    differs: Vec<Difference>,
    was: &'a Came,
    would: Came,
}

/// The decisions on another table: how many would differ in what, and those that would.
pub(crate) fn replayed(table: &Table, decisions: &[Made]) -> Value {
    let mut counts: HashMap<Difference, u64> = HashMap::new();
    let (mut rows, mut changed) = (Vec::new(), 0_u64);
    for made in decisions {
        let would = made.asked.on(table);
        let differs = made.was.against(&would);
        if differs.is_empty() {
            continue;
        }
        changed += 1;
        for &what in &differs {
            *counts.entry(what).or_default() += 1;
        }
        if rows.len() < MOST_ROWS {
            let (asked, was) = (&made.asked, &made.was);
            rows.push(json!(Changed { at: Stamp(made.at), asked, differs, was, would }));
        }
    }
    let count = |what| counts.get(&what).copied().unwrap_or_default();
    json!({
        "decisions": decisions.len(),
        "since": decisions.first().map(|made| Stamp(made.at)),
        "changed": changed,
        "fails": count(Difference::Fails),
        "succeeds": count(Difference::Succeeds),
        "trunk": count(Difference::Trunk),
        "caller_id": count(Difference::CallerId),
        "biller": count(Difference::Biller),
        "rows": rows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use std::path::Path;

    fn made(number: &str) -> Made {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/partyline.toml");
        let config = Config::load(&path).unwrap_or_else(|problems| panic!("{problems}"));
        let asked = Asked::DialOut { organizer: "greta".into(), number: number.to_owned(), down: Vec::new() };
        Made { at: SystemTime::UNIX_EPOCH, was: asked.on(&config.table), asked }
    }

    #[test]
    fn the_last_decisions_are_kept_and_no_more() {
        let (few, none) = (Decisions::new(3), Decisions::new(0));
        for number in ["+4930901821", "+4930901822", "+4930901823", "+4930901824"] {
            few.push(made(number));
            none.push(made(number));
        }
        assert_eq!((few.all().len(), none.all().len()), (3, 0));
        assert!(matches!(&few.all()[0].asked, Asked::DialOut { number, .. } if number == "+4930901822"));
    }

    #[tokio::test]
    async fn a_candidate_is_rehearsed_with_the_last_decisions_and_a_wrong_one_is_told_by_its_mistakes() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/partyline.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let decisions = Decisions::new(10);
        decisions.push(made("+4930901821"));
        decisions.push(made("+4930901822"));
        let rehearsal = Rehearsal::new(decisions, None, "partyline.toml".into());
        let same = rehearsal.of(text.clone()).await.unwrap();
        assert_eq!((&same["decisions"], &same["changed"]), (&json!(2), &json!(0)), "{same}");
        // Nobody but the numbers: no organizer, so no license, so no call.
        let none = rehearsal.of(String::new()).await.unwrap();
        assert_eq!((&none["fails"], &none["changed"]), (&json!(2), &json!(2)), "{none}");
        let row = &none["rows"][0];
        assert_eq!((&row["direction"], &row["differs"]), (&json!("dial-out"), &json!(["fails"])), "{row}");
        assert_eq!((&row["was"]["carried"], &row["would"]["carried"]), (&json!(true), &json!(false)));
        let wrong = rehearsal.of("[[route]]\nname = 5\n".to_owned()).await.unwrap_err();
        assert!(
            matches!(&wrong, NotRehearsed::Wrong(why) if why.starts_with("partyline.toml:2:8")),
            "{wrong:?}"
        );
    }

    #[test]
    fn one_is_rehearsed_at_a_time_and_who_hangs_up_frees_no_turn_before_the_work_is_done() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        let rehearsal = Rehearsal::new(Decisions::new(1), None, "p.toml".into());
        let (release, held) = std::sync::mpsc::sync_channel::<()>(1);
        runtime.block_on(async {
            // The one thread is taken, so that no work begins.
            let first = tokio::task::spawn_blocking(move || held.recv());
            assert_eq!(rehearsal.of(String::new()).now_or_never(), None, "he asks, waits, and hangs up");
            let second = rehearsal.of(String::new()).now_or_never();
            assert_eq!(second, Some(Err(NotRehearsed::Busy)));
            drop(release);
            first.await.unwrap().unwrap_err();
            // It is the next in line of the one thread.
            tokio::task::spawn_blocking(|| ()).await.unwrap();
            assert!(rehearsal.of(String::new()).await.is_ok());
        });
    }
}
