//! Usage records on disk: one JSON object a line, synced before anyone relies on it.
//!
//! A thread of its own gathers the records of a few milliseconds, writes them, syncs once, and only then says that
//! they are durable. A disk that refuses (full, gone) costs no call: records wait in memory, bounded, and are
//! written when it takes them again. Legs that an earlier run left open are closed before the first call is taken.

mod file;
mod journal;
mod line;
mod open_legs;

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

pub(crate) use file::CURRENT;
pub use file::FileStore;
pub use journal::{Flush, Journal, Store, WAITING_LIMIT, Waiting};
pub(crate) use line::{LONGEST_LINE, read_line};
pub use open_legs::{OpenLegs, Scanned};

/// Records on their way to the spool's thread.
const QUEUE: usize = 10_000;
/// A disk that refused is tried again after this.
const RETRY: Duration = Duration::from_secs(1);
/// How long the end of the bridge waits for a disk that hangs.
const LAST_WRITES: Duration = Duration::from_secs(10);
/// How often the log says that the disk refuses.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// Where and how records are kept.
#[derive(Clone, Debug)]
pub struct SpoolOptions {
    /// The folder of `usage.jsonl`.
    pub folder: PathBuf,
    /// How long records are gathered before one sync.
    pub group: Duration,
    /// `usage.jsonl` is put aside when it has so many bytes; 0: never.
    pub file_limit: u64,
}

/// What the spool counts.
#[derive(Clone)]
pub struct SpoolMetrics {
    /// Records handed over and not on disk yet.
    pub waiting: prometheus::IntGauge,
    /// Records written and synced.
    pub delivered: prometheus::IntCounter,
    /// Records given up.
    pub dropped: prometheus::IntCounter,
}

/// Since when the oldest record waits for the disk; written by the spool's thread, read by whoever asks.
#[derive(Debug)]
pub struct Oldest {
    began: Instant,
    /// Milliseconds since `began`, plus one; 0 when none waits.
    since: AtomicU64,
}

impl Oldest {
    fn new() -> Self {
        Self { began: Instant::now(), since: AtomicU64::new(0) }
    }

    fn set(&self, since: Option<Instant>) {
        let millis = |since: Instant| since.saturating_duration_since(self.began).as_millis() as u64 + 1;
        self.since.store(since.map_or(0, millis), Ordering::Relaxed);
    }

    /// How long it has waited; zero when none does.
    pub fn age(&self) -> Duration {
        match self.since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => self.began.elapsed().saturating_sub(Duration::from_millis(since - 1)),
        }
    }
}

/// The spool's thread and the way to it.
pub struct Spool {
    /// `None` once the spool is ending.
    records: Option<mpsc::SyncSender<Waiting>>,
    metrics: SpoolMetrics,
    oldest: Arc<Oldest>,
    /// Bytes of the current file that are on disk.
    durable: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
    /// Closed when the thread ends.
    ended: mpsc::Receiver<Infallible>,
    last_writes: Duration,
}

impl Spool {
    /// Opens the folder, closes what an earlier run left open, and starts the thread. `settled` is called from that
    /// thread with the ticket of a record that is on disk, or that its call should not wait for because the disk
    /// refuses.
    pub fn start(
        options: &SpoolOptions,
        metrics: SpoolMetrics,
        settled: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Self> {
        let store = FileStore::open(&options.folder, options.file_limit)?;
        let left = store.open_legs().closing(SystemTime::now());
        let durable = store.durable();
        let mut spool = Self::over(store, left, options.group, metrics, settled)?;
        spool.durable = durable;
        Ok(spool)
    }

    /// The spool over any store; `left` is written first.
    fn over(
        store: impl Store + 'static,
        left: Vec<String>,
        group: Duration,
        metrics: SpoolMetrics,
        settled: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Self> {
        let oldest = Arc::new(Oldest::new());
        let mut writer = Writer {
            journal: Journal::new(store),
            metrics: metrics.clone(),
            oldest: Arc::clone(&oldest),
            refused: None,
            settled,
        };
        if !left.is_empty() {
            tracing::warn!(
                legs = left.len(),
                "closing the usage records of legs that an earlier run left open"
            );
            for line in left {
                metrics.waiting.inc();
                writer.take(Waiting { line, ticket: None, since: Instant::now() });
            }
            writer.flush();
        }
        let (records, queue) = mpsc::sync_channel(QUEUE);
        let (ending, ended) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new().name("usage".to_owned()).spawn(move || {
            writer.run(&queue, group);
            drop(ending);
        })?;
        let thread = Some(thread);
        let durable = Arc::default();
        Ok(Self { records: Some(records), metrics, oldest, durable, thread, ended, last_writes: LAST_WRITES })
    }

    /// The file of a spool folder.
    pub fn path(folder: &Path) -> PathBuf {
        folder.join(file::CURRENT)
    }

    /// How long the oldest record has waited for the disk.
    pub fn oldest(&self) -> Arc<Oldest> {
        Arc::clone(&self.oldest)
    }

    /// How many bytes of the current file are on disk; whoever reads behind it reads no more.
    pub fn durable(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.durable)
    }

    /// Hands one record over without waiting; `ticket` is told of once it is settled. `false`: the queue is full (the
    /// disk has hung for very long), the record is lost and counted.
    pub fn write(&self, line: String, ticket: Option<u64>) -> bool {
        let record = Waiting { line, ticket, since: Instant::now() };
        self.metrics.waiting.inc();
        let taken = self.records.as_ref().is_some_and(|records| records.try_send(record).is_ok());
        if !taken {
            self.metrics.waiting.dec();
            self.metrics.dropped.inc();
        }
        taken
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // The thread writes what is queued and ends.
        drop(self.records.take());
        if self.ended.recv_timeout(self.last_writes) == Err(mpsc::RecvTimeoutError::Timeout) {
            let waiting = self.metrics.waiting.get();
            tracing::error!(waiting, "the disk hangs: usage records that wait for it are lost");
        } else if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread's side.
struct Writer<S, F> {
    journal: Journal<S>,
    metrics: SpoolMetrics,
    oldest: Arc<Oldest>,
    /// Since the disk refuses: when the log said so last.
    refused: Option<Instant>,
    settled: F,
}

impl<S: Store, F: Fn(u64)> Writer<S, F> {
    fn run(mut self, queue: &mpsc::Receiver<Waiting>, group: Duration) {
        let mut ending = false;
        while !ending {
            let first = if self.journal.waiting() == 0 {
                queue.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected)
            } else {
                queue.recv_timeout(RETRY)
            };
            match first {
                Ok(record) => {
                    self.take(record);
                    ending = self.gather(queue, group);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => ending = true,
            }
            self.flush();
        }
        for record in self.journal.into_waiting() {
            // The log is the last place that may keep it.
            tracing::error!(record = record.line, "this usage record could not be written");
        }
    }

    /// Takes what comes within `group`; `true` when nothing will come any more.
    fn gather(&mut self, queue: &mpsc::Receiver<Waiting>, group: Duration) -> bool {
        let until = Instant::now() + group;
        loop {
            match queue.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(record) => self.take(record),
                Err(mpsc::RecvTimeoutError::Timeout) => return false,
                Err(mpsc::RecvTimeoutError::Disconnected) => return true,
            }
        }
    }

    fn take(&mut self, record: Waiting) {
        if let Some(ticket) = self.journal.push(record) {
            (self.settled)(ticket);
        }
        self.oldest.set(self.journal.oldest());
    }

    fn flush(&mut self) {
        let flush = self.journal.flush();
        let dropped = self.journal.take_dropped();
        self.metrics.delivered.inc_by(flush.written);
        self.metrics.dropped.inc_by(dropped);
        self.metrics.waiting.sub((flush.written + dropped) as i64);
        self.oldest.set(self.journal.oldest());
        self.say(flush.refused.as_deref());
        for ticket in flush.durable.into_iter().chain(flush.late) {
            (self.settled)(ticket);
        }
    }

    fn say(&mut self, refused: Option<&str>) {
        let Some(why) = refused else {
            if self.refused.take().is_some() {
                tracing::info!("usage records are written again");
            }
            return;
        };
        if self.refused.is_none_or(|said| said.elapsed() >= COMPLAIN_EVERY) {
            self.refused = Some(Instant::now());
            let waiting = self.journal.waiting();
            tracing::error!(
                why,
                waiting,
                "usage records cannot be written: free space or mend the disk; calls go on"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn metrics() -> SpoolMetrics {
        let counter = |name| prometheus::IntCounter::new(name, "x").unwrap();
        SpoolMetrics {
            waiting: prometheus::IntGauge::new("w", "x").unwrap(),
            delivered: counter("d"),
            dropped: counter("l"),
        }
    }

    fn start(folder: &Path) -> (Spool, mpsc::Receiver<u64>, SpoolMetrics) {
        let metrics = metrics();
        let (settled, tickets) = mpsc::sync_channel(1000);
        let group = Duration::from_millis(1);
        let options = SpoolOptions { folder: folder.to_owned(), group, file_limit: 0 };
        let spool = Spool::start(&options, metrics.clone(), move |ticket| {
            // A test that does not listen is not interested.
            let _ = settled.send(ticket);
        })
        .unwrap();
        (spool, tickets, metrics)
    }

    #[test]
    fn a_ticket_is_settled_once_its_record_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, tickets, metrics) = start(folder.path());
        assert!(spool.write(r#"{"kind":"start","usage_id":"a"}"#.to_owned(), Some(7)));
        assert_eq!(tickets.recv_timeout(Duration::from_secs(10)), Ok(7));
        let text = fs::read_to_string(Spool::path(folder.path())).unwrap();
        assert_eq!(text, "{\"kind\":\"start\",\"usage_id\":\"a\"}\n");
        assert_eq!((metrics.waiting.get(), metrics.delivered.get()), (0, 1));
        assert_eq!(spool.oldest().age(), Duration::ZERO);
    }

    #[test]
    fn what_is_queued_when_the_bridge_stops_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, _tickets, _) = start(folder.path());
        for n in 0..100 {
            assert!(spool.write(format!("{{\"kind\":\"start\",\"usage_id\":\"{n}\"}}"), None));
        }
        drop(spool);
        assert_eq!(fs::read_to_string(Spool::path(folder.path())).unwrap().lines().count(), 100);
    }

    /// A disk that hangs until the test lets it go.
    struct Hanging(mpsc::Receiver<()>);

    impl Store for Hanging {
        fn append(&mut self, _bytes: &[u8]) -> io::Result<()> {
            let _ = self.0.recv();
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_disk_that_hangs_shows_in_the_age_and_does_not_keep_the_bridge_from_ending() {
        let (let_go, hangs) = mpsc::sync_channel(1);
        let metrics = metrics();
        let mut spool =
            Spool::over(Hanging(hangs), Vec::new(), Duration::ZERO, metrics.clone(), |_| {}).unwrap();
        spool.last_writes = Duration::from_millis(1);
        let oldest = spool.oldest();
        assert!(spool.write("{}".to_owned(), None));
        while oldest.age() == Duration::ZERO {
            std::thread::yield_now();
        }
        assert_eq!(metrics.waiting.get(), 1);
        drop(spool);
        drop(let_go);
    }

    #[test]
    fn every_open_leg_is_closed_once_however_often_the_bridge_starts() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, _tickets, _) = start(folder.path());
        for id in ["a", "b"] {
            spool.write(format!("{{\"kind\":\"start\",\"usage_id\":\"{id}\"}}"), None);
        }
        spool.write(r#"{"kind":"final","usage_id":"b"}"#.to_owned(), None);
        drop(spool);
        for _ in 0..3 {
            drop(start(folder.path()));
        }
        let text = fs::read_to_string(Spool::path(folder.path())).unwrap();
        let finals = |id: &str| {
            let id = format!("\"usage_id\":\"{id}\"");
            text.lines().filter(|line| line.contains("\"kind\":\"final\"") && line.contains(&id)).count()
        };
        assert_eq!((finals("a"), finals("b"), text.lines().count()), (1, 1, 4));
    }
}
