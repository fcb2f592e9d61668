//! Rows from a file: read whole, every mistake named, then all of them or none.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bridge::Stamp;
use serde_json::{Map, Value};

use super::entity::{BRIDGES, Cell, Column, ENTITIES, Entity, Kind, MEETINGS, NUMBERS, ORGANIZERS};
use super::rows::{Origin, Rows, entity};
use super::{Change, StoreError, csv};
use crate::config::{Problem, Problems};

/// Bytes of a file that is imported.
const LONGEST: u64 = 64_000_000;
/// How long a meeting's dial-in details live after its end, or its start where it has no end.
pub(crate) const KEPT: Duration = Duration::from_hours(60 * 24);

/// What a file says that the directory should have.
#[derive(Debug, Default)]
pub(crate) struct Import {
    rows: Vec<Incoming>,
    problems: Vec<Problem>,
}

/// One row; what the file does not speak of stays as it is.
#[derive(Debug)]
struct Incoming {
    entity: &'static Entity,
    cells: Vec<Option<Cell>>,
    origin: Origin,
}

/// What becomes of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) table: &'static str,
    pub(crate) key: String,
    /// `None`: it was there; otherwise what it changes, nothing where all is as it was.
    pub(crate) changes: Option<Vec<(&'static str, String, String)>>,
}

impl Import {
    /// Reads a file: JSON when it is called so, otherwise CSV. Nothing is asked of any database.
    pub(crate) fn read(path: &Path) -> Result<Self, Problems> {
        let whole = |found: String, expected: &str| {
            Problems(vec![Problem::at_span(path, "", None, "", found, expected)])
        };
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text));
        read.map_err(|error| whole(format!("cannot be read: {error}"), "a CSV or JSON file in UTF-8"))?;
        if text.len() as u64 > LONGEST {
            return Err(whole("more than 64 megabytes".to_owned(), "several smaller files"));
        }
        let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        Self::parse(path, &text, is_json)
    }

    /// The same of a text.
    pub(crate) fn parse(path: &Path, text: &str, is_json: bool) -> Result<Self, Problems> {
        let mut import = Self::default();
        if is_json {
            import.json(path, text);
        } else {
            import.csv(path, text);
        }
        import.doubles();
        if import.problems.is_empty() { Ok(import) } else { Err(Problems(import.problems)) }
    }

    /// Puts the rows into the directory, and says what that changes; the rows that are there then know where they came from.
    pub(crate) async fn apply(&self, change: &mut Change) -> Result<(Rows, Vec<Step>), StoreError> {
        let before = change.rows().await?;
        let mut steps = Vec::with_capacity(self.rows.len());
        for incoming in &self.rows {
            let key = incoming.key();
            let old = before.find(incoming.entity, &key);
            let cells = incoming.over(old);
            let changes = old.map(|old| differences(incoming.entity, old, &cells));
            if changes.as_ref().is_none_or(|changes| !changes.is_empty()) {
                change.put(incoming.entity, &cells).await?;
            }
            steps.push(Step { table: incoming.entity.name, key, changes });
        }
        let mut rows = change.rows().await?;
        let origins = self.rows.iter().map(|row| ((row.entity.name, row.key()), row.origin.clone()));
        rows.set_origins(origins.collect());
        Ok((rows, steps))
    }

    fn csv(&mut self, path: &Path, text: &str) {
        let records = match csv::records(text) {
            Ok(records) => records,
            Err(mistake) => {
                let at = (mistake.line, mistake.field);
                return self.problem(path, Some(at), "", mistake.found.to_owned(), mistake.expected);
            }
        };
        let Some((head, records)) = records.split_first() else {
            return self.problem(
                path,
                None,
                "",
                "empty".to_owned(),
                "a line of column names, and a row a line",
            );
        };
        let names: Vec<&str> = head.fields.iter().map(|name| name.trim()).collect();
        let Some(entity) = table_of(&names) else {
            let expected = "columns of one table: conference_id, organizer, ... (meetings), number, owner, ... \
                            (numbers), id, tenant, license, ... (organizers), or tenant, ... (bridges)";
            return self.problem(
                path,
                Some((head.line, 1)),
                "",
                format!("columns {}", names.join(", ")),
                expected,
            );
        };
        let Some(columns) = self.columns(path, entity, head.line, &names) else { return };
        for record in records {
            if record.fields.len() != names.len() {
                let found = format!("{} fields", record.fields.len());
                self.problem(
                    path,
                    Some((record.line, 1)),
                    "",
                    found,
                    &format!("{}, as the first line has", names.len()),
                );
                continue;
            }
            let mut cells = vec![None; entity.columns.len()];
            for (number, (&column, field)) in (1..).zip(columns.iter().zip(&record.fields)) {
                match of_text(&entity.columns[column], field.trim()) {
                    Ok(cell) => cells[column] = Some(cell),
                    Err(expected) => {
                        let key = format!("{}.{}", entity.section, entity.columns[column].name);
                        self.problem(path, Some((record.line, number)), &key, format!("{field:?}"), expected);
                    }
                }
            }
            let places =
                columns.iter().zip(1..).map(|(&column, number)| (entity.columns[column].name, number));
            let origin = Origin { file: path.to_owned(), line: Some(record.line), columns: places.collect() };
            self.take(entity, cells, origin);
        }
    }

    /// Which column each name is; `None` and a problem when one is none or comes twice.
    fn columns(
        &mut self,
        path: &Path,
        entity: &'static Entity,
        line: usize,
        names: &[&str],
    ) -> Option<Vec<usize>> {
        let before = self.problems.len();
        let mut columns = Vec::new();
        for (number, name) in (1..).zip(names) {
            match entity.columns.iter().position(|column| column.name == *name) {
                Some(at) if !columns.contains(&at) => columns.push(at),
                known => {
                    let found = if known.is_some() { "twice" } else { "no such column" };
                    let expected = format!("each of {} at most once", listed(entity));
                    self.problem(path, Some((line, number)), name, found.to_owned(), &expected);
                }
            }
        }
        (self.problems.len() == before).then_some(columns)
    }

    fn json(&mut self, path: &Path, text: &str) {
        let tables = match serde_json::from_str::<Map<String, Value>>(text) {
            Ok(tables) => tables,
            Err(error) => {
                let at = (error.line().max(1), error.column().max(1));
                let expected = "an object: {\"organizers\": [{...}], \"numbers\": [...], \"meetings\": [...], \"bridges\": [...]}";
                return self.problem(path, Some(at), "", error.to_string(), expected);
            }
        };
        for (name, rows) in tables {
            let (Some(entity), Value::Array(rows)) = (entity(&name), rows) else {
                let expected = "bridges, numbers, organizers or meetings, each a list of objects";
                self.problem(path, None, &name, "not a table of the directory".to_owned(), expected);
                continue;
            };
            for (number, row) in (1..).zip(rows) {
                self.object(path, entity, number, row);
            }
        }
        // What others refer to comes first, whatever the file's order.
        let place = |of: &Entity| ENTITIES.iter().position(|entity| entity.name == of.name);
        self.rows.sort_by_key(|row| place(row.entity));
    }

    fn object(&mut self, path: &Path, entity: &'static Entity, number: usize, row: Value) {
        let place = PathBuf::from(format!("{}: {} row {number}", path.display(), entity.name));
        let Value::Object(fields) = row else {
            return self.problem(&place, None, "", "not an object".to_owned(), "{\"column\": value, ...}");
        };
        let mut cells = vec![None; entity.columns.len()];
        for (name, value) in fields {
            let Some(at) = entity.columns.iter().position(|column| column.name == name) else {
                let expected = format!("one of {}", listed(entity));
                self.problem(&place, None, &name, "no such column".to_owned(), &expected);
                continue;
            };
            match of_json(&entity.columns[at], &value) {
                Ok(cell) => cells[at] = Some(cell),
                Err(expected) => self.problem(&place, None, &name, value.to_string(), expected),
            }
        }
        self.take(entity, cells, Origin { file: place, line: None, columns: HashMap::new() });
    }

    fn take(&mut self, entity: &'static Entity, mut cells: Vec<Option<Cell>>, origin: Origin) {
        if !matches!(cells.first(), Some(Some(Cell::Text(_)))) {
            let at = origin.line.map(|line| (line, 1));
            let expected = format!("its {}", entity.columns[0].name);
            return self.problem(&origin.file, at, "", "a row without its key".to_owned(), &expected);
        }
        if entity.name == MEETINGS.name {
            expire(&mut cells);
        }
        self.rows.push(Incoming { entity, cells, origin });
    }

    /// A key that comes twice would be decided by the order of the rows.
    fn doubles(&mut self) {
        let mut seen: HashMap<(&str, String), &Origin> = HashMap::new();
        let mut found = Vec::new();
        for row in &self.rows {
            if let Some(first) = seen.insert((row.entity.name, row.key()), &row.origin) {
                let line = first.line.map_or_else(String::new, |line| format!(":{line}"));
                let said = format!("{:?} is also in {}{line}", row.key(), first.file.display());
                found.push((row.origin.clone(), said));
            }
        }
        for (origin, said) in found {
            self.problem(&origin.file, origin.line.map(|line| (line, 1)), "", said, "each key once");
        }
    }

    fn problem(&mut self, file: &Path, at: Option<(usize, usize)>, key: &str, found: String, expected: &str) {
        let (file, key, expected) = (file.to_owned(), key.to_owned(), expected.to_owned());
        self.problems.push(Problem { file, at, key, found, expected });
    }
}

impl Incoming {
    fn key(&self) -> String {
        self.cells.first().and_then(Option::as_ref).map(Cell::shown).unwrap_or_default()
    }

    /// The row as it will be, in the place of `old`.
    fn over(&self, old: Option<&[Cell]>) -> Vec<Cell> {
        let columns = self.cells.iter().zip(self.entity.columns).enumerate();
        let cell = |(at, (cell, column)): (usize, (&Option<Cell>, &Column))| {
            cell.clone().or_else(|| old?.get(at).cloned()).unwrap_or(Cell::Nothing(column.kind))
        };
        columns.map(cell).collect()
    }
}

/// A meeting whose time is given, and not when its ID expires, keeps it for 60 days after the end, or the start where it has no end.
fn expire(cells: &mut [Option<Cell>]) {
    let at = |name: &str| MEETINGS.columns.iter().position(|column| column.name == name);
    let text = |name: &str| match &cells[at(name)?] {
        Some(Cell::Text(text)) => text.parse::<Stamp>().ok(),
        _ => None,
    };
    let Some(place) = at("expires") else { return };
    let last = text("ends").or_else(|| text("starts"));
    if let (None | Some(Cell::Nothing(_)), Some(last)) = (&cells[place], last) {
        cells[place] = Some(Cell::Text(Stamp(last.0 + KEPT).to_string()));
    }
}

fn differences(entity: &Entity, old: &[Cell], new: &[Cell]) -> Vec<(&'static str, String, String)> {
    let pairs = entity.columns.iter().zip(old.iter().zip(new)).filter(|(_, (old, new))| old != new);
    pairs.map(|(column, (old, new))| (column.name, shown(column, old), shown(column, new))).collect()
}

/// A value for people; of a PIN's hash only that there is one.
pub(crate) fn shown(column: &Column, cell: &Cell) -> String {
    match (column.name, column.kind, cell) {
        (_, _, Cell::Nothing(_)) => String::new(),
        ("pin_hash", ..) => "set".to_owned(),
        (_, Kind::Switch, Cell::Whole(number)) => if *number == 0 { "false" } else { "true" }.to_owned(),
        _ => cell.shown(),
    }
}

/// The table whose columns these are; each has one that only it has.
fn table_of(names: &[&str]) -> Option<&'static Entity> {
    let telling =
        [("conference_id", &MEETINGS), ("number", &NUMBERS), ("license", &ORGANIZERS), ("id", &ORGANIZERS)];
    let told = telling.into_iter().find(|(name, _)| names.contains(name)).map(|(_, entity)| entity);
    told.or_else(|| names.contains(&"tenant").then_some(&BRIDGES))
}

fn listed(entity: &Entity) -> String {
    entity.columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
}

fn of_text(column: &Column, text: &str) -> Result<Cell, &'static str> {
    if text.is_empty() {
        return Ok(Cell::Nothing(column.kind));
    }
    match column.kind {
        Kind::Switch => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Ok(Cell::Whole(1)),
            "false" | "no" | "0" => Ok(Cell::Whole(0)),
            _ => Err("true or false"),
        },
        Kind::Whole => text.parse().map(Cell::Whole).map_err(|_| "a whole number"),
        Kind::Text | Kind::List | Kind::Moment => plain(text),
    }
}

fn of_json(column: &Column, value: &Value) -> Result<Cell, &'static str> {
    match (column.kind, value) {
        (kind, Value::Null) => Ok(Cell::Nothing(kind)),
        (Kind::Switch, Value::Bool(is)) => Ok(Cell::Whole(i64::from(*is))),
        (Kind::Switch, _) => Err("true or false"),
        (Kind::Whole, Value::Number(number)) => number.as_i64().map(Cell::Whole).ok_or("a whole number"),
        (Kind::Whole, _) => Err("a whole number"),
        (Kind::List, Value::Array(parts)) => {
            let parts: Option<Vec<&str>> = parts.iter().map(Value::as_str).collect();
            let parts = parts.filter(|parts| parts.iter().all(|part| !part.contains(';')));
            plain(&parts.ok_or("a list of texts without semicolons")?.join(";"))
        }
        (_, Value::String(text)) if text.is_empty() => Ok(Cell::Nothing(column.kind)),
        (_, Value::String(text)) => plain(text),
        _ => Err("a text"),
    }
}

/// PostgreSQL takes no zero byte, and nobody needs a control character here.
fn plain(text: &str) -> Result<Cell, &'static str> {
    if text.chars().any(char::is_control) || text.len() > 4096 {
        return Err("a text of at most 4096 bytes without control characters");
    }
    Ok(Cell::Text(text.to_owned()))
}

/// Any bytes as a file of either kind: no panic, and every problem says where it is.
pub(crate) fn fuzz(input: &[u8]) {
    csv::fuzz(input);
    let Ok(text) = std::str::from_utf8(input) else { return };
    for is_json in [false, true] {
        match Import::parse(Path::new("f"), text, is_json) {
            Ok(import) => assert!(import.rows.iter().all(|row| !row.key().is_empty())),
            Err(problems) => assert!(problems.0.iter().all(|problem| problem.to_string().starts_with('f'))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(name: &str, text: &str) -> Vec<String> {
        match Import::parse(Path::new(name), text, name.ends_with("json")) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn every_mistake_of_a_file_is_named_with_line_and_column() {
        let text = "id,license,allow_toll_free_dial_in\nnora,none,maybe\nx,none\n,none,yes\nnora,none,no\n";
        assert_eq!(
            problems("people.csv", text),
            [
                "people.csv:2:3: `organizer.allow_toll_free_dial_in`: \"maybe\"; expected true or false",
                "people.csv:3:1: 2 fields; expected 3, as the first line has",
                "people.csv:4:1: a row without its key; expected its id",
                "people.csv:5:1: \"nora\" is also in people.csv:2; expected each key once",
            ]
        );
        let found = problems("people.csv", "number,owner,colour\n");
        assert!(
            found[0].starts_with("people.csv:1:3: `colour`: no such column; expected each of number, owner,")
        );
        assert!(problems("people.csv", "")[0].contains("empty"));
        assert!(problems("people.csv", "a,b\n")[0].contains("columns a, b; expected columns of one table"));
    }

    #[test]
    fn a_json_file_names_table_and_row() {
        let text =
            r#"{"organizers": [{"id": "a", "groups": ["x", "y"]}, {"id": "b", "capacity": 1}, 7], "x": []}"#;
        let found = problems("d.json", text);
        assert!(
            found[0].starts_with("d.json: organizers row 2: `capacity`: no such column; expected one of id,"),
            "{found:?}"
        );
        assert_eq!(found[1], "d.json: organizers row 3: not an object; expected {\"column\": value, ...}");
        assert!(found[2].starts_with("d.json: `x`: not a table"), "{found:?}");
        assert!(problems("d.json", "[")[0].starts_with("d.json:1:1: "));
    }

    #[test]
    fn an_id_lives_for_sixty_days_after_the_end_of_its_meeting() {
        let text = "conference_id,organizer,starts,ends,expires\n1,a,2026-11-01T10:00:00Z,2026-11-01T11:00:00Z,\n\
                    2,a,2026-11-01T10:00:00Z,,\n3,a,2026-11-01T10:00:00Z,,2026-12-01T00:00:00Z\n4,a,,,\n";
        let import = Import::parse(Path::new("m.csv"), text, false).unwrap();
        let expires: Vec<String> = import
            .rows
            .iter()
            .map(|row| row.cells[5].as_ref().map(Cell::shown).unwrap_or_default())
            .collect();
        let sixty = ["2026-12-31T11:00:00.000Z", "2026-12-31T10:00:00.000Z", "2026-12-01T00:00:00Z", ""];
        assert_eq!(expires, sixty);
    }

    #[test]
    fn the_seeds_of_the_fuzz_target_pass() {
        for seed in [
            "id,license\na,b\n",
            "{\"meetings\":[{\"conference_id\":\"1\",\"starts\":\"2026-01-01T00:00:00Z\"}]}",
            "\"",
            "{",
            "[]",
        ] {
            fuzz(seed.as_bytes());
        }
    }
}
