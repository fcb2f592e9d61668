//! Recordings of meetings: one thread that takes what the media threads tap and writes it to files. No mixer waits for it: what
//! finds no room in its ring is lost, counted and written as silence, so that the time stays right.

mod file;
mod opus;
mod wav;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use prometheus::{IntCounter, IntGauge};
use rtrb::Consumer;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use file::RecordingFile;

/// Orders that may wait; there is one for each request of the API.
const ORDERS: usize = 256;
/// How often the rings are emptied.
const TURN: Duration = Duration::from_millis(200);
/// Frames that a tap's ring holds: five seconds, which a disk may take to wake up.
pub const RING: usize = 250;

/// What a recording is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Mono 16-bit WAV at 16 kHz: 115 MB an hour.
    #[default]
    Wav,
    /// Opus in Ogg, mono: 14 MB an hour at most.
    Opus,
}

impl Format {
    /// What the file's name ends with (RFC 7845 section 9 for Opus).
    pub fn extension(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Opus => "opus",
        }
    }
}

/// What is told of recordings.
#[derive(Clone)]
pub struct RecordingMetrics {
    /// Files being written.
    pub running: IntGauge,
    /// Recordings that ended because they could not be written.
    pub failed: IntCounter,
    /// Frames that are silence because the writer was too slow.
    pub dropped: IntCounter,
}

/// A recording that is over, by itself or as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its number, as given to [`Recorder::begin`].
    pub number: u64,
    /// Why it could not go on; `None` when it was to end.
    pub why: Option<String>,
}

/// The writer.
pub struct Recorder {
    orders: Option<SyncSender<Order>>,
    /// Its other end is gone when the thread is.
    over: Receiver<()>,
    open: Open,
}

/// The files that are being written.
type Open = Arc<Mutex<BTreeSet<PathBuf>>>;

/// A recording begins. It ends when the tap at the other end is gone.
struct Order {
    number: u64,
    name: String,
    format: Format,
    frames: Consumer<mixer::Tapped>,
}

impl Recorder {
    /// Starts the thread, which writes into `folder`; `ended` is told of every recording that is over, from that thread.
    pub fn start(
        folder: PathBuf,
        metrics: RecordingMetrics,
        ended: impl Fn(Ended) + Send + 'static,
    ) -> io::Result<Self> {
        let (orders, taken) = mpsc::sync_channel(ORDERS);
        let open = Open::default();
        let (ended, running) = (Box::new(ended), HashMap::new());
        let writer = Writer { folder, metrics, ended, running, open: Arc::clone(&open) };
        let (lives, over) = mpsc::sync_channel(1);
        std::thread::Builder::new().name("recorder".to_owned()).spawn(move || {
            writer.run(&taken);
            drop(lives);
        })?;
        Ok(Self { orders: Some(orders), over, open })
    }

    /// Writes what comes out of `frames` to the file `name` until its other end is gone. `false` when too many begin at once.
    pub fn begin(&self, number: u64, name: String, format: Format, frames: Consumer<mixer::Tapped>) -> bool {
        let order = Order { number, name, format, frames };
        self.orders.as_ref().is_some_and(|orders| orders.try_send(order).is_ok())
    }

    /// Closes all files, which may take so long. A disk that hangs keeps nobody longer: gives the files that are left as they are.
    pub fn stop(&mut self, within: Duration) -> Vec<PathBuf> {
        self.orders = None;
        if self.over.recv_timeout(within) != Err(RecvTimeoutError::Timeout) {
            return Vec::new();
        }
        let left: Vec<PathBuf> =
            self.open.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
        tracing::error!(files = ?left, ?within, "recordings are not closed: the disk does not answer; their last seconds are lost");
        left
    }
}

struct Writer {
    folder: PathBuf,
    metrics: RecordingMetrics,
    ended: Box<dyn Fn(Ended) + Send>,
    running: HashMap<u64, (RecordingFile, Consumer<mixer::Tapped>)>,
    open: Open,
}

impl Writer {
    fn run(mut self, orders: &Receiver<Order>) {
        loop {
            // The media threads give no sign: a wake-up for every frame would be theirs to pay.
            match orders.recv_timeout(TURN) {
                Ok(order) => self.open(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.close_all(),
            }
            self.turn();
        }
    }

    fn open(&mut self, order: Order) {
        let Order { number, name, format, frames } = order;
        let path = self.folder.join(&name);
        match create(&self.folder, &path, format) {
            Ok(file) => {
                tracing::info!(file = %path.display(), "recording");
                self.metrics.running.inc();
                self.opened().insert(file.path().to_owned());
                self.running.insert(number, (file, frames));
            }
            Err(error) => {
                tracing::error!(file = %path.display(), %error, "the recording cannot be written");
                self.metrics.failed.inc();
                (self.ended)(Ended { number, why: Some(error.to_string()) });
            }
        }
    }

    /// Never held while a file is touched: who stops must be able to look.
    fn opened(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&mut self) {
        let numbers: Vec<u64> = self.running.keys().copied().collect();
        for number in numbers {
            let Some((file, frames)) = self.running.get_mut(&number) else { continue };
            // Asked before the ring is emptied: then nothing can follow.
            let over = frames.is_abandoned();
            match drain(file, frames) {
                Ok(dropped) => {
                    self.metrics.dropped.inc_by(dropped);
                    if over {
                        self.close(number);
                    }
                }
                Err(error) => self.fail(number, &error),
            }
        }
    }

    fn close(&mut self, number: u64) {
        let Some((file, _)) = self.running.remove(&number) else { return };
        self.metrics.running.dec();
        let (name, seconds) = (file.path().to_owned(), file.seconds());
        let path = name.display().to_string();
        let finished = file.finish();
        self.opened().remove(&name);
        match finished {
            Ok(()) => {
                tracing::info!(file = path, seconds, "recording finished");
                (self.ended)(Ended { number, why: None });
            }
            Err(error) => self.failed(number, &path, seconds, &error),
        }
    }

    fn fail(&mut self, number: u64, error: &io::Error) {
        let Some((file, _)) = self.running.remove(&number) else { return };
        self.metrics.running.dec();
        self.opened().remove(file.path());
        self.failed(number, &file.path().display().to_string(), file.seconds(), error);
    }

    fn failed(&self, number: u64, file: &str, seconds: u64, error: &io::Error) {
        tracing::error!(file, seconds, %error, "the recording has stopped: it cannot be written; the meeting goes on");
        self.metrics.failed.inc();
        (self.ended)(Ended { number, why: Some(error.to_string()) });
    }

    fn close_all(mut self) {
        self.turn();
        let numbers: Vec<u64> = self.running.keys().copied().collect();
        for number in numbers {
            self.close(number);
        }
    }
}

fn create(folder: &Path, path: &Path, format: Format) -> io::Result<RecordingFile> {
    std::fs::create_dir_all(folder)?;
    RecordingFile::create(path, format)
}

/// Writes what waits; gives how many frames were missing.
fn drain(file: &mut RecordingFile, frames: &mut Consumer<mixer::Tapped>) -> io::Result<u64> {
    let mut missing = 0;
    while let Ok(tapped) = frames.pop() {
        missing += file.write(SystemTime::now(), &tapped)?;
    }
    file.flush_when_due()?;
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_hangs_keeps_nobody_from_stopping_and_its_files_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let metrics = RecordingMetrics {
            running: IntGauge::new("r", "r").expect("a gauge"),
            failed: IntCounter::new("f", "f").expect("a counter"),
            dropped: IntCounter::new("d", "d").expect("a counter"),
        };
        let running = metrics.running.clone();
        let (hangs, hung) = mpsc::sync_channel(1);
        let (release, held) = mpsc::sync_channel::<()>(1);
        let mut recorder = Recorder::start(folder.path().to_owned(), metrics, move |_| {
            let _ = hangs.send(());
            let _ = held.recv();
        })
        .expect("a thread");
        let (_tap, frames) = rtrb::RingBuffer::new(RING);
        assert!(recorder.begin(1, "open.wav".to_owned(), Format::Wav, frames));
        // There is no such folder: it is told that it has failed, and that takes as long as a disk that hangs.
        let (_other_tap, frames) = rtrb::RingBuffer::new(RING);
        assert!(recorder.begin(2, "no/such.wav".to_owned(), Format::Wav, frames));
        hung.recv().expect("the thread hangs");
        assert_eq!(running.get(), 1);
        assert_eq!(recorder.stop(Duration::ZERO), [folder.path().join("open.wav")]);
        drop(release);
        assert_eq!(recorder.over.recv(), Err(mpsc::RecvError), "and it ends when the disk answers");
        assert!(recorder.open.lock().expect("nobody panicked").is_empty());
    }
}
