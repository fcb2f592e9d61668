//! The routing table and the meetings, made of the file's sections and of the rows of the database.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bridge::{MeetingRules, MemoryDirectory};
use routing::{Language, Table, TableError, TableSource, TrunkRef};

use super::languages::unspoken;
use super::{Problem, Problems};
use crate::pin;
use crate::store::{Rows, Sections, Written};

/// What the file says of the directory, kept so that it can be built again when the database changes.
#[derive(Clone, Debug)]
pub struct Sources {
    path: PathBuf,
    text: String,
    table: TableSource,
    meetings: Vec<bridge::MeetingSource>,
    trunks: Vec<TrunkRef>,
    rules: MeetingRules,
    /// What prompts are there in; the bridge's own language first.
    spoken: Vec<Language>,
}

/// The directory as the engines have it.
#[derive(Clone, Debug)]
pub struct Built {
    /// Which trunk may carry which leg.
    pub table: Arc<Table>,
    /// The meetings.
    pub meetings: Arc<MemoryDirectory>,
}

impl Sources {
    pub(super) fn new(
        (path, text): (&Path, &str),
        (table, meetings): (TableSource, Vec<bridge::MeetingSource>),
        trunks: Vec<TrunkRef>,
        rules: MeetingRules,
        spoken: Vec<Language>,
    ) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), table, meetings, trunks, rules, spoken }
    }

    /// The text of the file.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether this may take the place of `running` while calls are up: callers would not be asked otherwise, nor in another
    /// language, and the rows come from the same database. Else the key that needs a restart.
    pub fn may_follow(&self, running: &Self) -> Result<(), &'static str> {
        let url = |sources: &Self| {
            let document: toml::Table = toml::from_str(&sources.text).unwrap_or_default();
            document.get("store").and_then(|store| store.get("url")).cloned()
        };
        if self.rules.id_length != running.rules.id_length {
            return Err("attendant.conference_id_digits");
        }
        if self.spoken != running.spoken {
            return Err("the languages of [media]");
        }
        if url(self) != url(running) {
            return Err("store.url");
        }
        Ok(())
    }

    /// How many digits a conference ID has.
    pub fn id_length(&self) -> usize {
        self.rules.id_length
    }

    /// Builds both, or says everything that is wrong: with the file's line, or the table and key of the row.
    pub fn build(&self, rows: &Rows) -> Result<Built, Problems> {
        if rows.is_empty() {
            return self.check(
                &self.table,
                &self.meetings,
                &Places { sources: self, rows, written: Written::default() },
            );
        }
        let written = rows.written(self.text.len());
        let read = toml::from_str::<Sections>(&written.text);
        let places = Places { sources: self, rows, written };
        let sections = read.map_err(|error| {
            let found = error.message().trim().to_owned();
            Problems(vec![places.problem(error.span(), String::new(), found, String::new())])
        })?;
        self.doubles(&sections, &places)?;
        let (mut table, mut meetings) = (self.table.clone(), self.meetings.clone());
        table.bridges.extend(sections.bridge);
        table.numbers.extend(sections.number);
        table.organizers.extend(sections.organizer);
        meetings.extend(sections.meeting);
        self.check(&table, &meetings, &places)
    }

    fn check(
        &self,
        table: &TableSource,
        meetings: &[bridge::MeetingSource],
        places: &Places<'_>,
    ) -> Result<Built, Problems> {
        let all = |errors: Vec<TableError>| {
            let said = |error: TableError| places.problem(error.span, error.key, error.found, error.expected);
            Problems(errors.into_iter().map(said).collect())
        };
        let written = table;
        let mut wrong = pin_hashes(&written.organizers);
        wrong.extend(unspoken(written, &self.spoken));
        let table = Table::build(written, &self.trunks).map_err(all)?;
        let meetings = MemoryDirectory::build(meetings, written, &self.rules, &table);
        match meetings {
            Ok(meetings) if wrong.is_empty() => {
                Ok(Built { table: Arc::new(table), meetings: Arc::new(meetings) })
            }
            Ok(_) => Err(all(wrong)),
            Err(errors) => Err(all(wrong.into_iter().chain(errors).collect())),
        }
    }

    /// What stands in both the file and the database is refused, and both places are named.
    fn doubles(&self, rows: &Sections, places: &Places<'_>) -> Result<(), Problems> {
        let mut problems = Vec::new();
        let mut look = |section: &str,
                        key: &str,
                        file: Vec<&routing::Spanned<String>>,
                        rows: Vec<&routing::Spanned<String>>| {
            let bare = |text: &str| bare(section, text);
            let known: std::collections::HashMap<String, Range<usize>> =
                file.into_iter().map(|one| (bare(one.get_ref()), one.span())).collect();
            for row in rows {
                let Some(span) = known.get(&bare(row.get_ref())) else { continue };
                let also = Problem::at_span(&self.path, &self.text, Some(span.clone()), "", "", "");
                let found =
                    format!("{:?} is also in {}", row.get_ref(), also.to_string().trim_end_matches(": "));
                let key = format!("{section} {:?}.{key}", row.get_ref());
                problems.push(places.problem(Some(row.span()), key, found, "one place for each".to_owned()));
            }
        };
        let (table, meetings) = (&self.table, &self.meetings);
        look(
            "bridge",
            "tenant",
            table.bridges.iter().map(|one| &one.tenant).collect(),
            rows.bridge.iter().map(|one| &one.tenant).collect(),
        );
        look(
            "number",
            "number",
            table.numbers.iter().map(|one| &one.number).collect(),
            rows.number.iter().map(|one| &one.number).collect(),
        );
        look(
            "organizer",
            "id",
            table.organizers.iter().map(|one| &one.id).collect(),
            rows.organizer.iter().map(|one| &one.id).collect(),
        );
        look(
            "meeting",
            "conference_id",
            meetings.iter().map(|one| &one.conference_id).collect(),
            rows.meeting.iter().map(|one| &one.conference_id).collect(),
        );
        if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
    }
}

/// What stands in `pin_hash` and is none; it may be the PIN itself, so it is never repeated.
fn pin_hashes(organizers: &[routing::OrganizerSource]) -> Vec<TableError> {
    let hashes = organizers.iter().filter_map(|of| Some((of, of.pin_hash.as_ref()?)));
    let wrong = hashes.filter(|(_, hash)| !pin::has_form(hash.get_ref()));
    wrong
        .map(|(of, hash)| TableError {
            span: Some(hash.span()),
            key: format!("organizer {:?}.pin_hash", of.id.get_ref()),
            found: "not a hash of a PIN".to_owned(),
            expected: pin::EXPECTED.to_owned(),
        })
        .collect()
}

/// A key as it is compared: a number may be written in several ways.
fn bare(section: &str, text: &str) -> String {
    if section == "number" { text.chars().filter(char::is_ascii_digit).collect() } else { text.to_owned() }
}

/// Turns a span of the file, or of the rows written behind it, into a place that a person can go to.
struct Places<'a> {
    sources: &'a Sources,
    rows: &'a Rows,
    written: Written,
}

impl Places<'_> {
    fn problem(&self, span: Option<Range<usize>>, key: String, found: String, expected: String) -> Problem {
        let mark = span.as_ref().and_then(|span| self.written.mark(span.start));
        let Some(mark) = mark else {
            return Problem::at_span(&self.sources.path, &self.sources.text, span, key, found, expected);
        };
        let key = if key.is_empty() {
            format!(
                "{} {:?}{}",
                mark.table,
                mark.key,
                mark.column.map(|c| format!(".{c}")).unwrap_or_default()
            )
        } else {
            key
        };
        let (file, at) = match self.rows.origin(mark) {
            Some((origin, column)) => {
                (origin.file.clone(), origin.line.map(|line| (line, column.unwrap_or(1))))
            }
            None => (PathBuf::from(format!("database: {} {:?}", mark.table, mark.key)), None),
        };
        Problem { file, at, key, found, expected }
    }
}
