//! Usage records from the spool into the database: every one once, however often anything is killed on the way.
//!
//! The spool is the truth. A record and the mark of how far its file has been taken are written in one transaction; what would
//! come a second time is known by its `record_id`. A database that refuses costs no call: the spool keeps what it has, and delivery
//! goes on where it stopped.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prometheus::{IntCounterVec, IntGauge};
use serde_json::Value;
use sqlx::Row as _;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::backlog::{Backlog, Piece};
use super::{Store, StoreError};

/// How often the spool is looked at.
const EVERY: Duration = Duration::from_millis(500);
/// A database that does not take some records within so long has refused them.
const SILENCE: Duration = Duration::from_secs(30);
/// How long the end of the bridge waits for the last records; they are in the spool in any case.
const LAST_RECORDS: Duration = Duration::from_secs(5);
/// How often the log says that records wait.
const COMPLAIN_EVERY: Duration = Duration::from_mins(1);

/// What is delivered, and from where.
pub(crate) struct Spooled {
    /// The spool's folder.
    pub(crate) folder: PathBuf,
    /// How many bytes of its current file are on disk.
    pub(crate) durable: Arc<AtomicU64>,
    /// Who we are.
    pub(crate) node: String,
}

/// What is counted.
#[derive(Clone)]
pub(crate) struct DeliveryMetrics {
    /// Records in the spool and not in the database.
    pub(crate) waiting: IntGauge,
    /// For how long it has been so that some are, in seconds.
    pub(crate) oldest: IntGauge,
    /// Records by what came of them.
    pub(crate) delivered: IntCounterVec,
}

/// Delivery that goes on beside the bridge.
pub(crate) struct Delivery {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Delivery {
    /// Begins it.
    pub(crate) fn start(store: Store, spooled: Spooled, metrics: DeliveryMetrics) -> Self {
        let (stop, stopped) = oneshot::channel();
        let courier =
            Courier { store, spooled, metrics, backlog: None, waiting_since: None, complained: None };
        Self { stop, task: tokio::spawn(courier.run(stopped)) }
    }

    /// Delivers what the spool has got until now, if the database takes it at once, and ends.
    pub(crate) async fn finish(self) {
        // Gone only when the task has ended already.
        let _ = self.stop.send(());
        if timeout(LAST_RECORDS, self.task).await.is_err() {
            tracing::warn!(
                "the last usage records are not in the database yet; the next start takes them there"
            );
        }
    }
}

struct Courier {
    store: Store,
    spooled: Spooled,
    metrics: DeliveryMetrics,
    /// `None` until the database has said how far it is.
    backlog: Option<Backlog>,
    waiting_since: Option<Instant>,
    complained: Option<Instant>,
}

impl Courier {
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let mut last = false;
        loop {
            let outcome = self.round().await;
            self.say(outcome.err().as_ref());
            if last {
                return;
            }
            last = timeout(EVERY, &mut stopped).await.is_ok();
        }
    }

    /// Takes all that there is.
    async fn round(&mut self) -> Result<(), StoreError> {
        if self.backlog.is_none() {
            let taken = timeout(SILENCE, self.store.taken()).await.map_err(|_| StoreError::Silent)??;
            self.backlog = Some(Backlog::of(taken));
        }
        while let Some(piece) = self.look().await? {
            let delivered = timeout(SILENCE, self.store.deliver(&piece, &self.spooled.node)).await;
            match delivered.unwrap_or(Err(StoreError::Silent)) {
                Ok(results) => {
                    for (result, count) in results {
                        self.metrics.delivered.with_label_values(&[result]).inc_by(count);
                    }
                    if let Some(backlog) = &mut self.backlog {
                        backlog.taken(&piece);
                    }
                }
                Err(error) => {
                    // Whether it was committed is not known: the database says so when it answers again.
                    self.metrics.delivered.with_label_values(&["refused"]).inc_by(piece.lines.len() as u64);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// The files are read beside the runtime's threads.
    async fn look(&mut self) -> Result<Option<Piece>, StoreError> {
        let Some(mut backlog) = self.backlog.take() else { return Ok(None) };
        let (folder, durable) = (self.spooled.folder.clone(), self.spooled.durable.load(Ordering::Acquire));
        let look = move || {
            let piece = backlog.next(&folder, durable);
            (backlog, piece)
        };
        let (backlog, piece) = tokio::task::spawn_blocking(look).await.map_err(|_| StoreError::Silent)?;
        self.metrics.waiting.set(backlog.waiting().cast_signed());
        self.backlog = Some(backlog);
        let piece = piece.map_err(|error| StoreError::Database(error.into()))?;
        if piece.is_none() {
            self.waiting_since = None;
        }
        Ok(piece)
    }

    fn say(&mut self, error: Option<&StoreError>) {
        let Some(error) = error else {
            self.metrics.oldest.set(0);
            if self.complained.take().is_some() {
                tracing::info!("usage records are in the database again");
            }
            return;
        };
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        self.metrics.oldest.set(since.elapsed().as_secs().max(1).cast_signed());
        if self.complained.is_none_or(|said| said.elapsed() >= COMPLAIN_EVERY) {
            self.complained = Some(Instant::now());
            let waiting = self.metrics.waiting.get();
            tracing::error!(%error, waiting, "usage records cannot be delivered; they stay in the spool, and calls go on");
        }
    }
}

impl Store {
    /// How far every file of every spool has been taken.
    async fn taken(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let rows = sqlx::query("SELECT first_record, taken FROM usage_files").fetch_all(&self.pool).await?;
        let read = |row: &sqlx::any::AnyRow| {
            Ok((row.try_get::<String, _>(0)?, u64::try_from(row.try_get::<i64, _>(1)?).unwrap_or(0)))
        };
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Writes the records of a piece and how far its file has been taken; what was in the database already stays as it is.
    async fn deliver(&self, piece: &Piece, node: &str) -> Result<[(&'static str, u64); 3], StoreError> {
        let (mut new, mut known, mut unreadable) = (0, 0, 0);
        let mut transaction = self.pool.begin().await?;
        for line in &piece.lines {
            let Some(record) = Columns::read(line) else {
                unreadable += 1;
                continue;
            };
            let bound = record.texts.into_iter().fold(sqlx::query(INSERT), sqlx::query::Query::bind);
            let bound = bound.bind(record.duration_ms).bind(record.billed_seconds);
            let done = bound.bind(node.to_owned()).bind(line.clone()).execute(&mut *transaction).await?;
            if done.rows_affected() == 0 { known += 1 } else { new += 1 }
        }
        sqlx::query(
            "INSERT INTO usage_files (first_record, node, taken) VALUES ($1, $2, $3) \
             ON CONFLICT (first_record) DO UPDATE SET taken = excluded.taken",
        )
        .bind(piece.file.clone())
        .bind(node.to_owned())
        .bind(piece.up_to.cast_signed())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok([("new", new), ("known", known), ("unreadable", unreadable)])
    }
}

/// Where the texts of [`INSERT`] stand in a record, in its order.
const TEXTS: [&str; 19] = [
    "/record_id",
    "/usage_id",
    "/kind",
    "/written",
    "/call_type",
    "/trunk",
    "/tenant",
    "/organizer",
    "/license",
    "/biller",
    "/number_owner",
    "/service_number",
    "/caller",
    "/destination",
    "/conference_id",
    "/invite_time",
    "/answer_time",
    "/end/end_time",
    "/end/result",
];

const INSERT: &str = "INSERT INTO usage_records (record_id, usage_id, kind, written, call_type, trunk, tenant, \
     organizer, license, biller, number_owner, service_number, caller, destination, conference_id, invite_time, \
     answer_time, end_time, result, duration_ms, billed_seconds, node, record) VALUES ($1, $2, $3, $4, $5, $6, $7, \
     $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23) ON CONFLICT DO NOTHING";

/// What of a record has a column of its own.
struct Columns {
    texts: Vec<Option<String>>,
    duration_ms: Option<i64>,
    billed_seconds: Option<i64>,
}

impl Columns {
    /// `None` when the line is no usage record. PostgreSQL takes no zero byte in a text.
    fn read(line: &str) -> Option<Self> {
        let record: Value = serde_json::from_str(line).ok()?;
        let text = |place: &str| Some(record.pointer(place)?.as_str()?.replace('\0', ""));
        let texts: Vec<Option<String>> = TEXTS.iter().map(|place| text(place)).collect();
        let number = |place: &str| record.pointer(place)?.as_i64();
        let (duration_ms, billed_seconds) = (number("/end/duration_ms"), number("/end/billed_seconds"));
        let complete = texts[..3].iter().all(Option::is_some);
        complete.then_some(Self { texts, duration_ms, billed_seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreUrl;

    fn line(record: &str, leg: &str, kind: &str) -> String {
        format!(
            "{{\"record_id\":\"{record}\",\"usage_id\":\"{leg}\",\"kind\":\"{kind}\",\"caller\":\"+49'); DROP TABLE usage_records; --\",\
             \"end\":{{\"result\":\"answered\",\"duration_ms\":1500,\"billed_seconds\":60}}}}"
        )
    }

    async fn number(store: &Store, query: &'static str) -> i64 {
        sqlx::query(query).fetch_one(&store.pool).await.unwrap().get(0)
    }

    #[tokio::test]
    async fn a_record_that_comes_again_is_known_and_a_leg_has_one_final_record() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&StoreUrl::parse("sqlite:x.db", folder.path()).unwrap()).await.unwrap();
        let lines = vec![line("1", "a", "start"), line("2", "a", "final"), "no record".to_owned()];
        let mut piece = Piece { file: "1".to_owned(), up_to: 77, lines };
        let first = store.deliver(&piece, "e2e").await.unwrap();
        assert_eq!(first, [("new", 2), ("known", 0), ("unreadable", 1)]);
        piece.lines.push(line("3", "a", "final"));
        let again = store.deliver(&piece, "e2e").await.unwrap();
        assert_eq!(again, [("new", 0), ("known", 3), ("unreadable", 1)]);
        assert_eq!(
            number(&store, "SELECT SUM(billed_seconds) FROM usage_records WHERE kind = 'final'").await,
            60
        );
        assert_eq!(store.taken().await.unwrap(), [("1".to_owned(), 77)]);
    }
}
