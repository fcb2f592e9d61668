//! Starts the log as the configuration wishes.
//!
//! Nobody who reads the log may stop the bridge: lines go through a bounded queue to a thread of their own. A reader that
//! is too slow costs lines, which are counted and said; one that is gone costs nothing.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{Log, LogFormat};

/// Lines that may wait for the reader.
const WAITING: usize = 10_000;
/// How long the end of the process waits for the reader.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Starts logging to standard error. `Err` says what is wrong with the filter. What is returned writes the lines that
/// wait when it is dropped.
pub(super) fn start(log: &Log) -> Result<LastLines, String> {
    let filter = EnvFilter::try_new(log.filter.as_ref()).map_err(|error| error.to_string())?;
    let terminal = io::IsTerminal::is_terminal(&io::stderr());
    let json = log.format == LogFormat::Json;
    let queue = Queue::start(WAITING, json, io::stderr()).map_err(|error| error.to_string())?;
    let last = LastLines(queue.clone());
    // A line that cannot be written is counted by us; the subscriber would print its complaint, and panic without a reader.
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(queue).log_internal_errors(false);
    if json {
        builder.json().flatten_event(true).init();
    } else {
        builder.with_ansi(terminal).init();
    }
    Ok(last)
}

enum Entry {
    Line(Vec<u8>),
    /// Everything before it is written: say so.
    Flush(SyncSender<()>),
}

/// The way to the thread that writes.
#[derive(Clone)]
struct Queue {
    entries: SyncSender<Entry>,
    lost: Arc<AtomicU64>,
}

impl Queue {
    fn start(waiting: usize, json: bool, to: impl Write + Send + 'static) -> io::Result<Self> {
        let (entries, queued) = sync_channel(waiting);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_lines(&queued, &counted, json, to))?;
        Ok(Self { entries, lost })
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { queue: self, bytes: Vec::new() }
    }
}

/// One line, queued when it is dropped.
struct Line<'a> {
    queue: &'a Queue,
    bytes: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if self.queue.entries.try_send(Entry::Line(std::mem::take(&mut self.bytes))).is_err() {
            self.queue.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes the lines that wait when the process ends.
pub(super) struct LastLines(Queue);

impl Drop for LastLines {
    fn drop(&mut self) {
        let (written, done) = sync_channel(1);
        if self.0.entries.try_send(Entry::Flush(written)).is_ok() {
            let _ = done.recv_timeout(LAST_LINES);
        }
    }
}

fn write_lines(entries: &Receiver<Entry>, lost: &AtomicU64, json: bool, mut to: impl Write) {
    for entry in entries {
        // A reader that is gone gets nothing more; the bridge goes on.
        match entry {
            Entry::Line(line) => drop(to.write_all(&line)),
            Entry::Flush(written) => drop(written.try_send(())),
        }
        let missing = lost.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let what = "log lines lost: whoever reads standard error is too slow";
            let line = if json {
                format!("{{\"level\":\"WARN\",\"message\":\"{what}\",\"lost\":{missing}}}\n")
            } else {
                format!("WARN {what} lost={missing}\n")
            };
            drop(to.write_all(line.as_bytes()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that takes a line only when it is told to.
    struct Slow {
        go: Receiver<()>,
        read: SyncSender<String>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.go.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            let _ = self.read.send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_slow_reader_costs_lines_and_not_time_and_is_told_how_many() {
        let ((go, wait), (read, lines)) = (sync_channel(100), sync_channel(100));
        let queue = Queue::start(2, false, Slow { go: wait, read }).unwrap();
        for number in 0..100 {
            write!(queue.make_writer(), "{number}").unwrap();
        }
        for _ in 0..5 {
            go.send(()).unwrap();
        }
        assert_eq!(lines.recv().unwrap(), "0");
        let said = lines.recv().unwrap();
        assert!(said.starts_with("WARN log lines lost"), "{said}");
        let missing: u32 = said.trim().rsplit_once('=').unwrap().1.parse().unwrap();
        assert!((97..=98).contains(&missing), "one in hand, two in the queue, or almost: {missing}");
    }

    #[test]
    fn a_reader_that_is_gone_stops_nobody() {
        let ((go, wait), (read, _)) = (sync_channel(100), sync_channel(100));
        drop(go);
        let queue = Queue::start(2, true, Slow { go: wait, read }).unwrap();
        let last = LastLines(queue.clone());
        write!(queue.make_writer(), "x").unwrap();
        drop(last);
        write!(queue.make_writer(), "y").unwrap();
    }
}
