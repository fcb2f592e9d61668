//! The logic of the spool without its thread: records wait until they are written and synced.

use std::collections::VecDeque;
use std::io;
use std::time::Instant;

/// Records that may wait in memory while the disk refuses; the oldest are kept, later ones are dropped and counted.
pub const WAITING_LIMIT: usize = 100_000;

/// Records that are written and synced together at most, so that a little space on a full disk is used.
const GROUP: usize = 512;

/// Something that lines can be appended to and that can be made durable. A file, or a test's unreliable one.
pub trait Store: Send {
    /// Appends `bytes`, whole lines, or leaves the store as it was.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns once everything appended survives a power cut; on failure what was appended since the last success is
    /// taken back.
    fn sync(&mut self) -> io::Result<()>;
}

/// One usage record on its way to the disk.
#[derive(Debug)]
pub struct Waiting {
    /// A JSON object without line breaks.
    pub line: String,
    /// Who wants to hear of it; taken once that has been said.
    pub ticket: Option<u64>,
    /// Since when it waits.
    pub since: Instant,
}

/// Records in the order they came, and the store that takes them.
pub struct Journal<S> {
    store: S,
    waiting: VecDeque<Waiting>,
    dropped: u64,
}

/// What one attempt to write came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Flush {
    /// Records that are durable now.
    pub written: u64,
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

    /// Takes one record. When too many wait it is given up, and its ticket comes back: its call need not wait.
    pub fn push(&mut self, record: Waiting) -> Option<u64> {
        if self.waiting.len() >= WAITING_LIMIT {
            self.dropped += 1;
            return record.ticket;
        }
        self.waiting.push_back(record);
        None
    }

    /// Writes and syncs all that waits, group by group, until the store refuses one.
    pub fn flush(&mut self) -> Flush {
        let mut flush = Flush::default();
        while !self.waiting.is_empty() {
            let group = self.waiting.len().min(GROUP);
            let mut bytes = Vec::new();
            for record in self.waiting.iter().take(group) {
                bytes.extend_from_slice(record.line.as_bytes());
                bytes.push(b'\n');
            }
            if let Err(error) = self.store.append(&bytes).and_then(|()| self.store.sync()) {
                flush.late = self.waiting.iter_mut().filter_map(|record| record.ticket.take()).collect();
                flush.refused = Some(error.to_string());
                break;
            }
            flush.written += group as u64;
            flush.durable.extend(self.waiting.drain(..group).filter_map(|record| record.ticket));
        }
        flush
    }

    /// Records waiting for the disk.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Since when the oldest record waits.
    pub fn oldest(&self) -> Option<Instant> {
        self.waiting.front().map(|record| record.since)
    }

    /// What is still waiting, when nobody will flush any more.
    pub fn into_waiting(self) -> impl Iterator<Item = Waiting> {
        self.waiting.into_iter()
    }

    /// Records given up because too many waited, since the last call.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that loses what was not synced, and that can be full.
    #[derive(Default)]
    struct Unreliable {
        synced: Vec<u8>,
        cached: Vec<u8>,
        room: Option<usize>,
        sync_fails: bool,
    }

    impl Store for &mut Unreliable {
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            if self.room.is_some_and(|room| self.synced.len() + bytes.len() > room) {
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

    fn record(line: &str, ticket: u64) -> Waiting {
        Waiting { line: line.to_owned(), ticket: Some(ticket), since: Instant::now() }
    }

    #[test]
    fn what_was_called_durable_survives_a_crash_that_drops_unsynced_bytes() {
        let mut disk = Unreliable::default();
        let mut journal = Journal::new(&mut disk);
        journal.push(record("{\"a\":1}", 1));
        journal.push(record("{\"a\":2}", 2));
        let flush = journal.flush();
        journal.push(record("{\"a\":3}", 3));
        drop(journal);
        assert_eq!((flush.written, flush.durable), (2, vec![1, 2]));
        disk.cached.clear();
        assert_eq!(disk.synced, b"{\"a\":1}\n{\"a\":2}\n");
    }

    #[test]
    fn nothing_is_called_durable_before_the_sync_succeeded() {
        let mut disk = Unreliable { sync_fails: true, ..Unreliable::default() };
        let mut journal = Journal::new(&mut disk);
        journal.push(record("{}", 7));
        let flush = journal.flush();
        assert_eq!((flush.durable, flush.late), (vec![], vec![7]));
        assert_eq!(journal.waiting(), 1);
        assert!(journal.oldest().is_some());
    }

    #[test]
    fn a_full_disk_keeps_the_records_and_releases_the_calls() {
        let mut disk = Unreliable { room: Some(0), ..Unreliable::default() };
        {
            let mut journal = Journal::new(&mut disk);
            journal.push(record("{\"a\":1}", 1));
            let flush = journal.flush();
            assert_eq!(flush.late, vec![1]);
            assert!(flush.refused.is_some());
            journal.store.room = None;
            let flush = journal.flush();
            assert_eq!((flush.written, flush.durable), (1, vec![]), "the ticket was settled before");
        }
        assert_eq!(disk.synced, b"{\"a\":1}\n");
    }

    #[test]
    fn a_little_space_on_a_full_disk_is_used_group_by_group_and_in_order() {
        let mut disk = Unreliable { room: Some(GROUP * 3 + 2), ..Unreliable::default() };
        let mut journal = Journal::new(&mut disk);
        for _ in 0..=GROUP {
            journal.push(record("{}", 1));
        }
        let flush = journal.flush();
        assert_eq!((flush.written, flush.late.len()), (GROUP as u64, 1));
        assert_eq!(journal.waiting(), 1);
    }

    #[test]
    fn a_record_that_is_given_up_gives_its_ticket_back() {
        let mut disk = Unreliable { room: Some(0), ..Unreliable::default() };
        let mut journal = Journal::new(&mut disk);
        for _ in 0..WAITING_LIMIT {
            assert_eq!(journal.push(record("{}", 1)), None);
        }
        assert_eq!(journal.push(record("{}", 2)), Some(2));
        assert_eq!((journal.take_dropped(), journal.take_dropped()), (1, 0));
    }
}
