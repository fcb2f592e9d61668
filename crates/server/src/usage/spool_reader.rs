//! The records of a running bridge's spool, for the API: whole lines that are on disk, from any place on, a bounded piece at a
//! time.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bridge::Stamp;
use serde::Deserialize;
use serde_json::Value;

use super::records::files;
use crate::spool::{LONGEST_LINE, read_line};

/// Bytes that one page looks at; where there is more, `more` says so.
const PIECE: u64 = 32 << 20;

/// A spool's folder, and how much of its current file is on disk.
#[derive(Clone, Debug, Default)]
pub struct SpoolReader {
    folder: PathBuf,
    durable: Arc<AtomicU64>,
}

/// Which records are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of legs that began then or later.
    pub from: Option<SystemTime>,
    /// Of legs that began before.
    pub to: Option<SystemTime>,
    /// Of this organization only.
    pub tenant: Option<String>,
    /// `start`, `interim` or `final`.
    pub kind: String,
}

/// A place in the spool that lasts: a file may get another name, and is known by its first record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The `record_id` of the file's first record.
    file: String,
    /// Bytes of it that are read.
    offset: u64,
}

/// Some records in the order in which they were written.
#[derive(Debug, Default)]
pub struct Page {
    /// Whole records; who asked for privacy has no number and no name in them.
    pub records: Vec<Value>,
    /// Where to go on; `None` while there is no record at all.
    pub next: Option<Place>,
    /// There is more behind it.
    pub more: bool,
}

/// What must be read of a record to know whether it is wanted.
#[derive(Deserialize)]
struct Mark {
    kind: String,
    #[serde(default)]
    tenant: Option<String>,
    #[serde(default)]
    invite_time: String,
}

impl Place {
    /// `None` for what is no place.
    pub fn read(text: &str) -> Option<Self> {
        let (file, offset) = text.rsplit_once(':')?;
        let is_name = !file.is_empty() && file.len() <= 64;
        let plain = !offset.is_empty() && offset.bytes().all(|byte| byte.is_ascii_digit());
        (is_name && plain)
            .then(|| offset.parse().ok())
            .flatten()
            .map(|offset| Self { file: file.into(), offset })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}:{}", self.file, self.offset)
    }
}

impl Wanted {
    fn wants(&self, line: &[u8]) -> bool {
        let Ok(mark) = serde_json::from_slice::<Mark>(line) else { return false };
        // Both are written in one form, in which the order of texts is that of moments.
        let from = self.from.is_none_or(|from| *mark.invite_time >= *Stamp(from).to_string());
        let to = self.to.is_none_or(|to| *mark.invite_time < *Stamp(to).to_string());
        let own = self.tenant.is_none() || mark.tenant == self.tenant;
        mark.kind == self.kind && own && from && to
    }
}

impl SpoolReader {
    /// Of this folder, of whose current file so many bytes are on disk.
    pub fn new(folder: PathBuf, durable: Arc<AtomicU64>) -> Self {
        Self { folder, durable }
    }

    /// A page from `place` on; without one from the beginning. `None` when the place is there no more.
    pub fn page(&self, wanted: &Wanted, place: Option<&Place>, most: usize) -> io::Result<Option<Page>> {
        let mut page = Page::default();
        let mut read = 0;
        let found = self.lines(wanted.from, place, |file, line, offset| {
            if page.records.len() == most || read >= PIECE {
                page.more = true;
                return false;
            }
            read += line.len() as u64;
            page.next = Some(Place { file: file.to_owned(), offset });
            if wanted.wants(line) {
                page.records.extend(
                    serde_json::from_slice(line).ok().map(|record| shown(record, wanted.tenant.is_some())),
                );
            }
            true
        })?;
        page.next = page.next.or_else(|| place.cloned());
        Ok(found.then_some(page))
    }

    /// Gives every record that is wanted to `each`, until it says that it has enough.
    pub fn each(&self, wanted: &Wanted, mut each: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
        self.lines(wanted.from, None, |_, line, _| if wanted.wants(line) { each(line) } else { each(b"") })?;
        Ok(())
    }

    /// Gives every line with its file and the place behind it, until `each` has enough. Whether the place was found.
    fn lines(
        &self,
        since: Option<SystemTime>,
        place: Option<&Place>,
        mut each: impl FnMut(&str, &[u8], u64) -> bool,
    ) -> io::Result<bool> {
        let mut found = place.is_none();
        for path in files(&self.folder, since.filter(|_| place.is_none()))? {
            let Some((name, mut file, end)) = self.open(&path)? else { continue };
            let mut offset = 0;
            if let Some(place) = place.filter(|_| !found) {
                if place.file != name {
                    continue;
                }
                (found, offset) = (true, place.offset.min(end));
            }
            file.seek(SeekFrom::Start(offset))?;
            let mut lines = BufReader::new(file.take(end - offset));
            let mut line = Vec::new();
            loop {
                line.clear();
                let (length, finished) = read_line(&mut lines, &mut line)?;
                if !finished {
                    break;
                }
                offset += length;
                if !each(&name, &line, offset) {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    /// A file, what it is known by, and how far it may be read.
    fn open(&self, path: &Path) -> io::Result<Option<(String, File, u64)>> {
        let durable = self.durable.load(Ordering::Acquire);
        let file = match File::open(path) {
            // Taken away meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let length = file.metadata()?.len();
        let end = if path.ends_with("usage.jsonl") { length.min(durable) } else { length };
        let mut first = BufReader::new((&file).take(end.min(LONGEST_LINE as u64)));
        let mut line = String::new();
        // A file whose first line is no record of ours is known by its name.
        let read = first.read_line(&mut line).is_ok();
        let record = serde_json::from_str::<Value>(&line).ok().filter(|_| read);
        let id = record.as_ref().and_then(|record| record.get("record_id")?.as_str()).map(str::to_owned);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        Ok((end > 0).then(|| (id.unwrap_or(name), file, end)))
    }
}

/// What names a trunk, in a record and in each of its attempts.
const TRUNKS: [&str; 4] = ["trunk", "route", "because", "decision"];

/// A record as it is shown: of who asked for privacy neither number nor name, nor what else the peer said of him; and to a
/// tenant no trunk, since trunks are everybody's.
fn shown(mut record: Value, to_a_tenant: bool) -> Value {
    if to_a_tenant {
        withhold(&mut record);
        let attempts = record.get_mut("attempts").and_then(Value::as_array_mut);
        attempts.into_iter().flatten().for_each(withhold);
    }
    if record["caller_anonymous"] == true {
        for field in ["caller", "caller_display", "claims"] {
            record[field] = Value::Null;
        }
    }
    record
}

fn withhold(record: &mut Value) {
    for field in TRUNKS {
        if let Some(named) = record.get_mut(field) {
            *named = Value::Null;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn line(id: u32, tenant: &str, day: u32) -> String {
        format!(
            "{{\"record_id\":\"r{id}\",\"kind\":\"final\",\"tenant\":\"{tenant}\",\"caller\":\"+4930{id}\",\"trunk\":\"acme\",\
             \"decision\":[{{\"rule\":\"O6\",\"text\":\"acme carries it\"}}],\"attempts\":[{{\"trunk\":\"acme\",\"sip_status\":486}}],\
             \"caller_anonymous\":{},\
             \"invite_time\":\"2026-11-{day:02}T10:00:00.000Z\"}}\n",
            id == 2
        )
    }

    fn ids(page: &Page) -> Vec<&str> {
        page.records.iter().filter_map(|record| record["record_id"].as_str()).collect()
    }

    fn wanted() -> Wanted {
        Wanted { kind: "final".to_owned(), ..Wanted::default() }
    }

    #[test]
    fn pages_go_on_where_they_were_also_when_the_file_has_got_another_name() {
        let folder = tempfile::tempdir().unwrap();
        let current = folder.path().join("usage.jsonl");
        let first = line(1, "a", 1) + &line(2, "b", 2);
        fs::write(&current, first.clone() + &line(3, "a", 3) + "{\"record_id").unwrap();
        let durable = Arc::new(AtomicU64::new(first.len() as u64));
        let reader = SpoolReader::new(folder.path().to_owned(), Arc::clone(&durable));
        let page = reader.page(&wanted(), None, 1).unwrap().unwrap();
        assert_eq!((ids(&page), page.more), (vec!["r1"], true));
        assert_eq!(page.next.as_ref().unwrap().to_string(), format!("r1:{}", line(1, "a", 1).len()));
        let page = reader.page(&wanted(), page.next.as_ref(), 9).unwrap().unwrap();
        assert_eq!((ids(&page), page.more), (vec!["r2"], false), "the third is not on disk yet");
        assert!(page.records[0]["caller"].is_null(), "who asked for privacy has it here too");
        fs::write(&current, first + &line(3, "a", 3)).unwrap();
        fs::rename(&current, folder.path().join("usage-2026-11-04T00-00-00.000Z.jsonl")).unwrap();
        fs::write(&current, line(4, "a", 5)).unwrap();
        durable.store(10_000, Ordering::Release);
        let page = reader.page(&wanted(), page.next.as_ref(), 9).unwrap().unwrap();
        assert_eq!((ids(&page), page.more), (vec!["r3", "r4"], false));
        let end = reader.page(&wanted(), page.next.as_ref(), 9).unwrap().unwrap();
        assert_eq!((ids(&end), &end.next), (vec![], &page.next));
        assert!(reader.page(&wanted(), Place::read("gone:0").as_ref(), 9).unwrap().is_none());
    }

    #[test]
    fn records_are_chosen_by_time_tenant_and_kind() {
        let folder = tempfile::tempdir().unwrap();
        let text: String = (1..=9).map(|id| line(id, if id % 2 == 0 { "b" } else { "a" }, id)).collect();
        fs::write(folder.path().join("usage.jsonl"), text).unwrap();
        let reader = SpoolReader::new(folder.path().to_owned(), Arc::new(AtomicU64::new(u64::MAX)));
        let moment = |text: &str| Some(text.parse::<Stamp>().unwrap().0);
        let (from, to) = (moment("2026-11-03T10:00:00Z"), moment("2026-11-08T11:00:00+01:00"));
        let wanted = Wanted { from, to, tenant: Some("b".to_owned()), ..wanted() };
        let page = reader.page(&wanted, None, 9).unwrap().unwrap();
        assert_eq!(ids(&page), ["r4", "r6"]);
        let own = &page.records[0];
        assert_eq!((&own["trunk"], &own["attempts"][0]["trunk"]), (&Value::Null, &Value::Null), "{own}");
        assert_eq!((&own["attempts"][0]["sip_status"], &own["decision"]), (&486.into(), &Value::Null));
        let starts = Wanted { kind: "start".to_owned(), ..wanted };
        assert_eq!(ids(&reader.page(&starts, None, 9).unwrap().unwrap()), [""; 0]);
    }

    #[test]
    fn a_place_is_a_name_and_a_number() {
        assert_eq!(Place::read("r1:7").map(|place| place.to_string()), Some("r1:7".to_owned()));
        for wrong in ["", "7", ":7", "r1:", "r1:x", "r1:-1", &format!("{}:1", "x".repeat(65))] {
            assert_eq!(Place::read(wrong), None, "{wrong}");
        }
    }
}
