//! The files of a spool as a reader behind it sees them: what is there and not taken yet.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::spool::CURRENT;

/// Bytes that are read at once: many records, and more than the longest one has.
const PIECE: u64 = 1 << 20;
/// Records that are handed on together.
const GROUP: usize = 256;

/// How far every file has been read.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// By the `record_id` of a file's first record.
    files: HashMap<String, Place>,
    /// Files put aside of which nothing is left to take.
    done: HashMap<PathBuf, String>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Bytes whose records have been taken.
    taken: u64,
    /// Bytes whose records have been counted.
    counted: u64,
    /// Records between the two.
    waiting: u64,
}

/// Some records of one file, in their order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The `record_id` of the file's first record.
    pub(super) file: String,
    /// Bytes of the file that are taken once these are.
    pub(super) up_to: u64,
    pub(super) lines: Vec<String>,
}

impl Backlog {
    /// As a database remembers it.
    pub(super) fn of(taken: impl IntoIterator<Item = (String, u64)>) -> Self {
        let files =
            taken.into_iter().map(|(file, taken)| (file, Place { taken, counted: taken, waiting: 0 }));
        Self { files: files.collect(), done: HashMap::new() }
    }

    /// Looks what is there now, of the current file the first `durable` bytes, and gives the next piece of it.
    pub(super) fn next(&mut self, folder: &Path, durable: u64) -> io::Result<Option<Piece>> {
        let mut next = None;
        for path in files(folder)? {
            if self.done.contains_key(&path) {
                continue;
            }
            let is_current = path.ends_with(CURRENT);
            let mut file = match File::open(&path) {
                // Put aside, or taken away, in between: the next look finds it, or it is gone.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file?,
            };
            let length = file.metadata()?.len();
            let end = if is_current { length.min(durable) } else { length };
            let Some(first) = first_record(&mut file, end)? else { continue };
            let place = self.files.entry(first.clone()).or_default();
            place.count(&mut file, end)?;
            if place.waiting == 0 {
                if !is_current {
                    self.done.insert(path, first);
                }
            } else if next.is_none() {
                next = Some(place.read(&mut file, first)?);
            }
        }
        Ok(next)
    }

    /// A piece has been taken.
    pub(super) fn taken(&mut self, piece: &Piece) {
        if let Some(place) = self.files.get_mut(&piece.file) {
            place.taken = piece.up_to;
            place.waiting = place.waiting.saturating_sub(piece.lines.len() as u64);
        }
    }

    /// Records that wait, as they were counted last.
    pub(super) fn waiting(&self) -> u64 {
        self.files.values().map(|place| place.waiting).sum()
    }
}

impl Place {
    /// Counts the whole lines up to `end`.
    fn count(&mut self, file: &mut File, end: u64) -> io::Result<()> {
        if self.counted >= end {
            return Ok(());
        }
        file.seek(SeekFrom::Start(self.counted))?;
        let mut reader = BufReader::new(file.take(end - self.counted));
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)? as u64;
            if !line.ends_with(b"\n") {
                return Ok(());
            }
            self.counted += length;
            self.waiting += 1;
        }
    }

    fn read(&self, file: &mut File, first: String) -> io::Result<Piece> {
        file.seek(SeekFrom::Start(self.taken))?;
        let mut reader = BufReader::new(file.take((self.counted - self.taken).min(PIECE)));
        let mut piece = Piece { file: first, up_to: self.taken, lines: Vec::new() };
        let mut line = Vec::new();
        while piece.lines.len() < GROUP {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)? as u64;
            if !line.ends_with(b"\n") {
                // A line longer than a whole piece is no record: step over what was read of it.
                if piece.lines.is_empty() {
                    piece.up_to += length;
                }
                break;
            }
            piece.up_to += length;
            piece.lines.push(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
        Ok(piece)
    }
}

/// The files put aside by name, which is by time, and then the current one.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut aside = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("usage-") && path.extension().is_some_and(|extension| extension == "jsonl") {
            aside.push(path);
        }
    }
    aside.sort();
    aside.push(folder.join(CURRENT));
    Ok(aside)
}

/// The `record_id` on the first line that has one; `None` while there is none.
fn first_record(file: &mut File, end: u64) -> io::Result<Option<String>> {
    let mut reader = BufReader::new(file.take(end.min(PIECE)));
    let mut line = Vec::new();
    loop {
        line.clear();
        reader.read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            return Ok(None);
        }
        let record = serde_json::from_slice::<Value>(&line).ok();
        if let Some(id) = record.as_ref().and_then(|record| record.get("record_id")?.as_str()) {
            return Ok(Some(id.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: u32) -> String {
        format!("{{\"record_id\":\"{id}\"}}\n")
    }

    /// Takes all there is, and gives what was on the lines.
    fn take(backlog: &mut Backlog, folder: &Path, durable: u64) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(piece) = backlog.next(folder, durable).unwrap() {
            backlog.taken(&piece);
            lines.extend(piece.lines);
        }
        lines
    }

    #[test]
    fn what_is_durable_is_read_once_also_over_a_change_of_files() {
        let folder = tempfile::tempdir().unwrap();
        let (current, aside) = (folder.path().join(CURRENT), folder.path().join("usage-2026.jsonl"));
        fs::write(&current, line(1) + &line(2) + "{\"record").unwrap();
        let mut backlog = Backlog::default();
        let durable = line(1).len() as u64;
        assert_eq!(take(&mut backlog, folder.path(), durable), [line(1).trim_end()]);
        assert_eq!(take(&mut backlog, folder.path(), 1000), [line(2).trim_end()]);
        fs::write(&current, line(1) + &line(2) + &line(3)).unwrap();
        fs::rename(&current, &aside).unwrap();
        fs::write(&current, line(4)).unwrap();
        assert_eq!(take(&mut backlog, folder.path(), 1000), [line(3).trim_end(), line(4).trim_end()]);
        assert_eq!(take(&mut backlog, folder.path(), 1000), [""; 0]);
        // Another process goes on where a database says that this one was.
        let all = (line(1) + &line(2)).len() as u64;
        let mut backlog = Backlog::of([("1".to_owned(), all), ("4".to_owned(), 0)]);
        assert_eq!(take(&mut backlog, folder.path(), 1000), [line(3).trim_end(), line(4).trim_end()]);
    }

    #[test]
    fn what_was_refused_is_given_again_and_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(CURRENT), line(1) + &line(2)).unwrap();
        let mut backlog = Backlog::default();
        let first = backlog.next(folder.path(), 1000).unwrap();
        assert_eq!(backlog.next(folder.path(), 1000).unwrap(), first);
        assert_eq!(backlog.waiting(), 2);
        backlog.taken(&first.unwrap());
        assert_eq!((backlog.waiting(), backlog.next(folder.path(), 1000).unwrap()), (0, None));
    }

    #[test]
    fn a_line_that_is_longer_than_any_record_is_stepped_over() {
        let folder = tempfile::tempdir().unwrap();
        let long = "x".repeat(3 << 20) + "\n";
        fs::write(folder.path().join(CURRENT), line(1) + &long + &line(2)).unwrap();
        let lines = take(&mut Backlog::default(), folder.path(), u64::MAX);
        assert!(lines.len() <= 4 && lines[0] == line(1).trim_end(), "{}", lines.len());
        assert_eq!(lines.last().map(String::as_str), Some(line(2).trim_end()));
    }
}
