//! The spool's folder: the file that records are appended to, the ones that were put aside when it grew, and a lock.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::journal::Store;
use super::open_legs::OpenLegs;

/// The file that records are appended to.
pub(crate) const CURRENT: &str = "usage.jsonl";
/// The start records of legs that were open when the file before this one was put aside.
const CARRIED: &str = "open.jsonl";
/// Held locked while a bridge runs: two of them would take each other's running legs for crashed ones.
const LOCK: &str = "lock";

/// Appends to `usage.jsonl` and never keeps half a line: a failed append is cut off again. A file that has grown to
/// its limit is put aside under the time of that moment.
#[derive(Debug)]
pub struct FileStore {
    folder: PathBuf,
    file: File,
    /// Length of what was appended whole.
    good: u64,
    /// Length of what is known to be on disk.
    synced: u64,
    /// The same for others to read; 0 while another file takes the place of this one.
    durable: Arc<AtomicU64>,
    /// Lines after that.
    unsynced: Vec<u8>,
    /// Open by what is known to be on disk.
    open: OpenLegs,
    limit: u64,
    /// The length at which the file is put aside next.
    full_at: u64,
    _lock: File,
}

impl FileStore {
    /// Opens or makes the folder and its file, reads once what is open, and cuts off a last line that a crash left
    /// unfinished. A file of `limit` bytes or more is put aside; 0: never. Fails also when another bridge has the
    /// folder.
    pub fn open(folder: &Path, limit: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let lock = lock(folder)?;
        let mut open = OpenLegs::default();
        match File::open(folder.join(CARRIED)) {
            Ok(file) => {
                open.scan(BufReader::new(file))?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let path = folder.join(CURRENT);
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)?;
        let scanned = open.scan(BufReader::new(&file))?;
        if scanned.unreadable > 0 {
            tracing::warn!(file = %path.display(), lines = scanned.unreadable, "lines that are no usage records were passed over");
        }
        let length = file.metadata()?.len();
        if scanned.good < length {
            tracing::warn!(file = %path.display(), bytes = length - scanned.good, "cut off an unfinished usage record");
            file.set_len(scanned.good)?;
        }
        file.seek(SeekFrom::Start(scanned.good))?;
        sync_folder(folder)?;
        let (good, full_at) = (scanned.good, if limit == 0 { u64::MAX } else { limit });
        let (folder, unsynced) = (folder.to_owned(), Vec::new());
        let durable = Arc::new(AtomicU64::new(good));
        Ok(Self { folder, file, good, synced: good, durable, unsynced, open, limit, full_at, _lock: lock })
    }

    /// How many bytes of the current file are on disk, at any time.
    pub fn durable(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.durable)
    }

    /// The legs that have a start record on disk and no final one.
    pub fn open_legs(&self) -> &OpenLegs {
        &self.open
    }

    fn cut_to(&mut self, length: u64) {
        let _ = self.file.set_len(length);
        let _ = self.file.seek(SeekFrom::Start(length));
        self.good = length;
    }

    /// Puts the file aside and begins a new one. Whenever this is interrupted, what is open can be read from
    /// `open.jsonl` and `usage.jsonl`: the first is whole before the second goes.
    fn put_aside(&self, now: SystemTime) -> io::Result<File> {
        let fresh_path = self.folder.join(format!("{CURRENT}.new"));
        let carried_path = self.folder.join(format!("{CARRIED}.new"));
        let fresh = File::create(&fresh_path)?;
        let mut carried = File::create(&carried_path)?;
        for line in self.open.lines() {
            carried.write_all(line.as_bytes())?;
            carried.write_all(b"\n")?;
        }
        carried.sync_all()?;
        fs::rename(&carried_path, self.folder.join(CARRIED))?;
        let current = self.folder.join(CURRENT);
        let aside = self.unused_name(now);
        // Nobody takes the new file's first bytes for synced because the old one had more.
        self.durable.store(0, Ordering::Release);
        fs::rename(&current, &aside)?;
        if let Err(error) = fs::rename(&fresh_path, &current) {
            fs::rename(&aside, &current)?;
            return Err(error);
        }
        sync_folder(&self.folder)?;
        tracing::info!(file = %aside.display(), open = self.open.lines().len(), "usage records put aside");
        Ok(fresh)
    }

    /// `usage-2026-11-23T06-10-42.123Z.jsonl`, and with a number where that exists.
    fn unused_name(&self, now: SystemTime) -> PathBuf {
        let stamp = bridge::Stamp(now).to_string().replace(':', "-");
        let names = std::iter::once(format!("usage-{stamp}.jsonl"))
            .chain((1_u32..).map(|number| format!("usage-{stamp}-{number}.jsonl")));
        let mut paths = names.map(|name| self.folder.join(name));
        paths.find(|path| !path.exists()).unwrap_or_else(|| unreachable!("some number is free"))
    }
}

impl Store for FileStore {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.good >= self.full_at && self.good == self.synced {
            match self.put_aside(SystemTime::now()) {
                Ok(fresh) => {
                    (self.file, self.good, self.synced, self.full_at) = (fresh, 0, 0, self.limit);
                }
                Err(error) => {
                    tracing::warn!(%error, "usage records cannot be put aside; the file grows on");
                    self.full_at = self.good.saturating_add(self.limit);
                }
            }
        }
        if let Err(error) = self.file.write_all(bytes) {
            self.cut_to(self.good);
            return Err(error);
        }
        self.good += bytes.len() as u64;
        self.unsynced.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let unsynced = std::mem::take(&mut self.unsynced);
        if let Err(error) = self.file.sync_data() {
            // The records will be written again: what may or may not be on disk must not stay there twice.
            self.cut_to(self.synced);
            return Err(error);
        }
        self.synced = self.good;
        self.durable.store(self.synced, Ordering::Release);
        for line in String::from_utf8_lossy(&unsynced).lines() {
            self.open.note(line);
        }
        Ok(())
    }
}

fn lock(folder: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(io::Error::new(
            ErrorKind::ResourceBusy,
            "another bridge writes its usage records here: stop it, or give each bridge a folder of its own",
        )),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// A new name in a folder survives a power cut only once the folder itself is on disk.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(id: &str) -> String {
        format!("{{\"kind\":\"start\",\"usage_id\":\"{id}\"}}\n")
    }

    fn finish(id: &str) -> String {
        format!("{{\"kind\":\"final\",\"usage_id\":\"{id}\"}}\n")
    }

    fn write(store: &mut FileStore, line: &str) {
        store.append(line.as_bytes()).unwrap();
        store.sync().unwrap();
    }

    fn files(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn an_unfinished_last_line_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(CURRENT);
        let whole = format!("{}{}", start("a"), start("b"));
        fs::write(&path, format!("{whole}{{\"kind\":\"sta")).unwrap();
        let store = FileStore::open(folder.path(), 0).unwrap();
        assert_eq!(store.open_legs().lines().len(), 2);
        assert_eq!(fs::read_to_string(&path).unwrap(), whole);
    }

    #[test]
    fn a_full_file_is_put_aside_and_a_leg_that_was_open_then_is_still_known() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = FileStore::open(folder.path(), 150).unwrap();
        write(&mut store, &start("long"));
        for n in 0..30 {
            write(&mut store, &start(&n.to_string()));
            write(&mut store, &finish(&n.to_string()));
        }
        drop(store);
        let names = files(folder.path());
        let aside: Vec<_> = names.iter().filter(|name| name.starts_with("usage-")).collect();
        assert!(aside.len() >= 10, "{names:?}");
        let all: usize = names
            .iter()
            .filter(|name| name.starts_with("usage"))
            .map(|name| fs::read_to_string(folder.path().join(name)).unwrap().lines().count())
            .sum();
        assert_eq!(all, 61, "no record is lost or doubled");
        assert!(!names.iter().any(|name| name.contains(".new")), "{names:?}");
        let mut store = FileStore::open(folder.path(), 150).unwrap();
        assert_eq!(store.open_legs().lines(), [start("long").trim_end()]);
        write(&mut store, &finish("long"));
        drop(store);
        assert_eq!(FileStore::open(folder.path(), 150).unwrap().open_legs().lines().len(), 0);
    }

    #[test]
    fn a_crash_while_a_file_is_put_aside_loses_no_open_leg() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = FileStore::open(folder.path(), 0).unwrap();
        write(&mut store, &start("a"));
        write(&mut store, &start("b"));
        drop(store);
        // After the first step: what is open stands in both files.
        fs::write(folder.path().join(CARRIED), format!("{}{}", start("a"), start("b"))).unwrap();
        let mut store = FileStore::open(folder.path(), 0).unwrap();
        assert_eq!(store.open_legs().lines().len(), 2);
        write(&mut store, &finish("a"));
        drop(store);
        assert_eq!(FileStore::open(folder.path(), 0).unwrap().open_legs().lines().len(), 1);
        // After the second one: the file has its new name, and there is no current one.
        fs::write(folder.path().join(CARRIED), start("b")).unwrap();
        fs::rename(folder.path().join(CURRENT), folder.path().join("usage-then.jsonl")).unwrap();
        assert_eq!(FileStore::open(folder.path(), 0).unwrap().open_legs().lines().len(), 1);
    }

    #[test]
    fn a_folder_serves_one_bridge_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = FileStore::open(folder.path(), 0).unwrap();
        let error = FileStore::open(folder.path(), 0).unwrap_err();
        assert!(error.to_string().contains("another bridge"), "{error}");
        drop(first);
        assert!(FileStore::open(folder.path(), 0).is_ok());
    }
}
