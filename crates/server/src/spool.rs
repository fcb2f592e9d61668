//! Usage records on disk: one JSON object a line, synced before anyone relies on it.
//!
//! A thread of its own gathers the records of a few milliseconds, writes them, syncs once, and only then says that
//! they are durable. A disk that refuses (full, gone) costs no call: records wait in memory, bounded, and are
//! written when it takes them again.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

/// Records that may wait in memory while the disk refuses; the oldest are kept, later ones are dropped and counted.
pub const WAITING_LIMIT: usize = 100_000;

/// Records on their way to the spool's thread.
const QUEUE: usize = 10_000;

/// Something that lines can be appended to and that can be made durable. A file, or a test's unreliable one.
pub trait Store: Send {
    /// Appends `bytes` whole, or leaves the store as it was.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns once everything appended survives a power cut; on failure what was appended since the last success is
    /// taken back.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file that never keeps half a line: a failed append is cut off again.
#[derive(Debug)]
pub struct FileStore {
    file: File,
    /// Length of what was appended whole.
    good: u64,
    /// Length of what is known to be on disk.
    synced: u64,
}

impl FileStore {
    fn cut_to(&mut self, length: u64) {
        let _ = self.file.set_len(length);
        let _ = self.file.seek(SeekFrom::Start(length));
        self.good = length;
    }
}

impl FileStore {
    /// Opens or makes `path` for appending, and cuts off a last line that a crash left unfinished.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let good = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1) as u64;
        if good < text.len() as u64 {
            tracing::warn!(file = %path.display(), bytes = text.len() as u64 - good, "cut off an unfinished usage record");
            file.set_len(good)?;
        }
        file.seek(SeekFrom::Start(good))?;
        Ok(Self { file, good, synced: good })
    }
}

impl Store for FileStore {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(bytes) {
            self.cut_to(self.good);
            return Err(error);
        }
        self.good += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if let Err(error) = self.file.sync_data() {
            // The records will be written again: what may or may not be on disk must not stay there twice.
            self.cut_to(self.synced);
            return Err(error);
        }
        self.synced = self.good;
        Ok(())
    }
}

/// The logic of the spool without its thread: records wait until they are written and synced.
pub struct Journal<S> {
    store: S,
    waiting: VecDeque<(String, Option<u64>)>,
    dropped: u64,
}

/// What one attempt to write came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Flush {
    /// Tickets of records that are durable now.
    pub durable: Vec<u64>,
    /// Tickets of records that wait for the disk; their calls need not.
    pub late: Vec<u64>,
    /// Why the disk refused, if it did.
    pub refused: Option<String>,
}

impl<S: Store> Journal<S> {
    /// A journal over `store`.
    pub fn new(store: S) -> Self {
        Self { store, waiting: VecDeque::new(), dropped: 0 }
    }

    /// Takes one record (a JSON object without line breaks) and the ticket that wants to hear of it.
    pub fn push(&mut self, line: String, ticket: Option<u64>) {
        if self.waiting.len() >= WAITING_LIMIT {
            self.dropped += 1;
            return;
        }
        self.waiting.push_back((line, ticket));
    }

    /// Writes all that waits and syncs once.
    pub fn flush(&mut self) -> Flush {
        if self.waiting.is_empty() {
            return Flush::default();
        }
        let mut bytes = Vec::new();
        for (line, _) in &self.waiting {
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        match self.store.append(&bytes).and_then(|()| self.store.sync()) {
            Ok(()) => {
                let durable = self.waiting.drain(..).filter_map(|(_, ticket)| ticket).collect();
                Flush { durable, ..Flush::default() }
            }
            Err(error) => {
                let late = self.waiting.iter_mut().filter_map(|(_, ticket)| ticket.take()).collect();
                Flush { late, refused: Some(error.to_string()), ..Flush::default() }
            }
        }
    }

    /// Records waiting for the disk.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Records given up because too many waited, since the last call.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

/// What the spool tells the outside.
#[derive(Debug)]
pub enum Told {
    /// The record of this ticket is on disk (`true`), or the disk refuses and the call should not wait (`false`).
    Settled(u64, bool),
}

/// The spool's thread and the way to it.
pub struct Spool {
    records: mpsc::SyncSender<Option<(String, Option<u64>)>>,
    dropped: prometheus::IntCounter,
    thread: Option<JoinHandle<()>>,
}

/// Gauges of the spool.
#[derive(Clone)]
pub struct SpoolMetrics {
    /// Records waiting for the disk.
    pub waiting: prometheus::IntGauge,
    /// Records written and synced.
    pub delivered: prometheus::IntCounter,
    /// Records given up.
    pub dropped: prometheus::IntCounter,
}

impl Spool {
    /// Opens `folder/usage.jsonl`, closes what an earlier run left open, and starts the thread. `tell` is called
    /// from that thread.
    pub fn start(
        folder: &Path,
        group: Duration,
        metrics: SpoolMetrics,
        tell: impl Fn(Told) + Send + 'static,
    ) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = Self::path(folder);
        let store = FileStore::open(&path)?;
        let mut journal = Journal::new(store);
        let left = crashed(&std::fs::read_to_string(&path)?);
        if !left.is_empty() {
            tracing::warn!(
                records = left.len(),
                "closed the usage records of legs that an earlier run left open"
            );
        }
        for line in left {
            journal.push(line, None);
        }
        let (records, queue) = mpsc::sync_channel::<Option<(String, Option<u64>)>>(QUEUE);
        let dropped = metrics.dropped.clone();
        let thread = std::thread::Builder::new()
            .name("usage".to_owned())
            .spawn(move || write_records(&mut journal, &queue, group, &metrics, tell))?;
        Ok(Self { records, dropped, thread: Some(thread) })
    }

    /// The file of a spool folder.
    pub fn path(folder: &Path) -> PathBuf {
        folder.join("usage.jsonl")
    }

    /// Hands one record over without waiting; `ticket` is told of once it is settled. `false`: the queue is full (the
    /// disk has hung for very long), the record is lost and counted.
    pub fn write(&self, line: String, ticket: Option<u64>) -> bool {
        let taken = self.records.try_send(Some((line, ticket))).is_ok();
        if !taken {
            self.dropped.inc();
        }
        taken
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        let _ = self.records.send(None);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write_records(
    journal: &mut Journal<FileStore>,
    queue: &mpsc::Receiver<Option<(String, Option<u64>)>>,
    group: Duration,
    metrics: &SpoolMetrics,
    tell: impl Fn(Told),
) {
    let retry = Duration::from_secs(1);
    let mut ending = false;
    while !ending {
        let first = if journal.waiting() == 0 {
            queue.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected)
        } else {
            queue.recv_timeout(retry)
        };
        match first {
            Ok(Some((line, ticket))) => {
                journal.push(line, ticket);
                let until = std::time::Instant::now() + group;
                loop {
                    let left = until.saturating_duration_since(std::time::Instant::now());
                    match queue.recv_timeout(left) {
                        Ok(Some((line, ticket))) => journal.push(line, ticket),
                        Ok(None) => {
                            ending = true;
                            break;
                        }
                        Err(_) => break,
                    }
                }
            }
            Ok(None) | Err(mpsc::RecvTimeoutError::Disconnected) => ending = true,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        let before = journal.waiting();
        let flush = journal.flush();
        if let Some(why) = &flush.refused {
            tracing::error!(%why, waiting = journal.waiting(), "usage records cannot be written: free space or mend the disk; calls go on");
        } else {
            metrics.delivered.inc_by(before as u64);
        }
        metrics.waiting.set(journal.waiting() as i64);
        metrics.dropped.inc_by(journal.take_dropped());
        for ticket in flush.durable {
            tell(Told::Settled(ticket, true));
        }
        for ticket in flush.late {
            tell(Told::Settled(ticket, false));
        }
    }
}

/// The final records of legs that have a start record and no final one: their node died. Each repeats the start
/// record, so that nothing known is lost, with `kind` and `ended_by` put right.
fn crashed(text: &str) -> Vec<String> {
    let mut open: HashMap<String, Value> = HashMap::new();
    let mut closed: HashSet<String> = HashSet::new();
    let mut order = Vec::new();
    for line in text.lines() {
        let Ok(record) = serde_json::from_str::<Value>(line) else { continue };
        let Some(id) = record.get("usage_id").and_then(Value::as_str).map(str::to_owned) else { continue };
        match record.get("kind").and_then(Value::as_str) {
            Some("start") => {
                order.push(id.clone());
                open.insert(id, record);
            }
            Some("final") => {
                closed.insert(id);
            }
            _ => {}
        }
    }
    order
        .into_iter()
        .filter(|id| !closed.contains(id))
        .filter_map(|id| {
            let mut record = open.remove(&id)?;
            let fields = record.as_object_mut()?;
            fields.insert("kind".to_owned(), Value::from("final"));
            fields.insert("ended_by".to_owned(), Value::from("node-crash"));
            Some(record.to_string())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that loses what was not synced, and that can be full.
    #[derive(Default)]
    struct Unreliable {
        synced: Vec<u8>,
        cached: Vec<u8>,
        full: bool,
        sync_fails: bool,
    }

    impl Store for &mut Unreliable {
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            if self.full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.cached.extend_from_slice(bytes);
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            if self.sync_fails {
                self.cached.clear();
                return Err(io::Error::other("the device went away"));
            }
            let cached = std::mem::take(&mut self.cached);
            self.synced.extend(cached);
            Ok(())
        }
    }

    #[test]
    fn what_was_called_durable_survives_a_crash_that_drops_unsynced_bytes() {
        let mut disk = Unreliable::default();
        let mut journal = Journal::new(&mut disk);
        journal.push("{\"a\":1}".to_owned(), Some(1));
        journal.push("{\"a\":2}".to_owned(), Some(2));
        let flush = journal.flush();
        journal.push("{\"a\":3}".to_owned(), Some(3));
        drop(journal);
        assert_eq!(flush.durable, vec![1, 2]);
        disk.cached.clear();
        assert_eq!(disk.synced, b"{\"a\":1}\n{\"a\":2}\n");
    }

    #[test]
    fn nothing_is_called_durable_before_the_sync_succeeded() {
        let mut disk = Unreliable { sync_fails: true, ..Unreliable::default() };
        let mut journal = Journal::new(&mut disk);
        journal.push("{}".to_owned(), Some(7));
        let flush = journal.flush();
        assert_eq!((flush.durable, flush.late), (vec![], vec![7]));
        assert_eq!(journal.waiting(), 1);
    }

    #[test]
    fn a_full_disk_keeps_the_records_and_releases_the_calls() {
        let mut disk = Unreliable { full: true, ..Unreliable::default() };
        {
            let mut journal = Journal::new(&mut disk);
            journal.push("{\"a\":1}".to_owned(), Some(1));
            let flush = journal.flush();
            assert_eq!(flush.late, vec![1]);
            assert!(flush.refused.is_some());
            journal.store.full = false;
            assert_eq!(journal.flush(), Flush::default(), "the ticket was settled before");
        }
        assert_eq!(disk.synced, b"{\"a\":1}\n");
    }

    #[test]
    fn an_unfinished_last_line_is_cut_off_and_open_legs_are_closed_as_node_crash() {
        let folder = tempfile::tempdir().unwrap();
        let path = Spool::path(folder.path());
        let whole = concat!(
            r#"{"kind":"start","usage_id":"a","trunk":"acme"}"#,
            "\n",
            r#"{"kind":"start","usage_id":"b","trunk":"acme"}"#,
            "\n",
            r#"{"kind":"final","usage_id":"b"}"#,
            "\n"
        );
        std::fs::write(&path, format!("{whole}{{\"kind\":\"sta")).unwrap();
        drop(FileStore::open(&path).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
        let left = crashed(whole);
        assert_eq!(left.len(), 1);
        let record: Value = serde_json::from_str(&left[0]).unwrap();
        assert_eq!(
            (&record["usage_id"], &record["ended_by"]),
            (&Value::from("a"), &Value::from("node-crash"))
        );
        assert_eq!(record["trunk"], "acme");
    }
}
