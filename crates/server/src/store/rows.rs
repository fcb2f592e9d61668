//! Rows of the database as sections of a configuration: the same text, read and checked by the same code.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::Deserialize;
use toml::value::Datetime;

use super::entity::{Cell, ENTITIES, Entity, Kind};

/// The whole directory of the database at one moment.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    version: i64,
    sections: Vec<(&'static Entity, Vec<Cell>)>,
    /// Where rows that are being imported stand, by table and key.
    origins: HashMap<(&'static str, String), Origin>,
}

/// Where a row was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) file: PathBuf,
    /// The line, from 1, where the file has lines.
    pub(crate) line: Option<usize>,
    /// From 1, where the file has columns.
    pub(crate) columns: HashMap<&'static str, usize>,
}

/// The sections that rows can be.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sections {
    pub(crate) bridge: Vec<routing::BridgeSource>,
    pub(crate) number: Vec<routing::NumberSource>,
    pub(crate) organizer: Vec<routing::OrganizerSource>,
    pub(crate) meeting: Vec<bridge::MeetingSource>,
}

/// The rows written as sections, and which byte of them is whose.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) text: String,
    marks: Vec<(usize, Mark)>,
}

/// A row's place in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// `organizers`.
    pub table: &'static str,
    /// The row's key.
    pub key: String,
    /// The column, where one is meant.
    pub column: Option<&'static str>,
}

impl Rows {
    pub(super) fn at(version: i64) -> Self {
        Self { version, ..Self::default() }
    }

    /// The number of the change that these rows are the result of.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sections.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }

    pub(super) fn add(&mut self, entity: &'static Entity, cells: Vec<Cell>) {
        self.sections.push((entity, cells));
    }

    /// The rows of one table, in the order of their keys.
    pub(crate) fn of(&self, entity: &'static Entity) -> impl Iterator<Item = &[Cell]> {
        self.sections.iter().filter(|(of, _)| of.name == entity.name).map(|(_, cells)| cells.as_slice())
    }

    /// The row with this key.
    pub(crate) fn find(&self, entity: &'static Entity, key: &str) -> Option<&[Cell]> {
        self.of(entity).find(|cells| matches!(cells.first(), Some(Cell::Text(text)) if text == key))
    }

    /// Says where rows came from.
    pub(crate) fn set_origins(&mut self, origins: HashMap<(&'static str, String), Origin>) {
        self.origins = origins;
    }

    /// Where a row came from, and in which column a key of it stands.
    pub(crate) fn origin(&self, mark: &Mark) -> Option<(&Origin, Option<usize>)> {
        let origin = self.origins.get(&(mark.table, mark.key.clone()))?;
        Some((origin, mark.column.and_then(|column| origin.columns.get(column)).copied()))
    }

    /// All rows as sections, after `offset` blanks: so that no place in them is one in the file.
    pub(crate) fn written(&self, offset: usize) -> Written {
        let mut written = Written { text: " ".repeat(offset), marks: Vec::new() };
        written.text.push('\n');
        for (entity, cells) in &self.sections {
            written.row(entity, cells);
        }
        written
    }
}

impl Written {
    fn row(&mut self, entity: &'static Entity, cells: &[Cell]) {
        let key = cells.first().map(Cell::shown).unwrap_or_default();
        let mark = |column| Mark { table: entity.name, key: key.clone(), column };
        self.marks.push((self.text.len(), mark(None)));
        self.text.push_str("[[");
        self.text.push_str(entity.section);
        self.text.push_str("]]\n");
        for (column, cell) in entity.columns.iter().zip(cells).filter(|(column, _)| column.configured) {
            let Some(value) = as_toml(column.kind, cell) else { continue };
            self.marks.push((self.text.len(), mark(Some(column.name))));
            self.text.push_str(column.name);
            self.text.push_str(" = ");
            self.text.push_str(&value);
            self.text.push('\n');
        }
    }

    /// Whose byte this is.
    pub(crate) fn mark(&self, at: usize) -> Option<&Mark> {
        let after = self.marks.partition_point(|(start, _)| *start <= at);
        self.marks.get(after.checked_sub(1)?).map(|(_, mark)| mark)
    }
}

/// A value as it stands in a configuration; whatever a text holds, it is one value there.
fn as_toml(kind: Kind, cell: &Cell) -> Option<String> {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    Some(match (kind, cell) {
        (_, Cell::Nothing(_)) => return None,
        (Kind::Switch, Cell::Whole(0)) => "false".to_owned(),
        (Kind::Switch, Cell::Whole(1)) => "true".to_owned(),
        (_, Cell::Whole(number)) => number.to_string(),
        (Kind::Moment, Cell::Text(text)) => match text.parse::<Datetime>() {
            Ok(moment) => moment.to_string(),
            Err(_) => quoted(text),
        },
        (Kind::List, Cell::Text(text)) => {
            let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
            format!("[{}]", parts.map(quoted).collect::<Vec<_>>().join(", "))
        }
        (_, Cell::Text(text)) => quoted(text),
    })
}

/// The table that is called so, by itself or by its section.
pub(crate) fn entity(name: &str) -> Option<&'static Entity> {
    ENTITIES.into_iter().find(|entity| entity.name == name || entity.section == name)
}

#[cfg(test)]
mod tests {
    use super::super::entity::{Column, MEETINGS, ORGANIZERS};
    use super::*;

    fn row(entity: &'static Entity, values: &[(&str, &str)]) -> Vec<Cell> {
        let cell = |column: &Column| {
            let value = values.iter().find(|(name, _)| *name == column.name);
            value.map_or(Cell::Nothing(column.kind), |(_, text)| match column.kind {
                Kind::Switch | Kind::Whole => Cell::Whole(text.parse().unwrap()),
                _ => Cell::Text((*text).to_owned()),
            })
        };
        entity.columns.iter().map(cell).collect()
    }

    #[test]
    fn a_row_is_the_section_that_somebody_would_have_written() {
        let mut rows = Rows::at(7);
        let values = [
            ("id", "greta"),
            ("tenant", "contoso"),
            ("groups", "sales; support"),
            ("allow_toll_free_dial_in", "0"),
        ];
        rows.add(&ORGANIZERS, row(&ORGANIZERS, &values));
        let values = [
            ("conference_id", "912308576"),
            ("starts", "2026-11-23T10:00:00Z"),
            ("ends", "2026-11-23T11:00:00Z"),
            ("capacity", "12"),
        ];
        rows.add(&MEETINGS, row(&MEETINGS, &values));
        let written = rows.written(3);
        assert_eq!(
            written.text,
            "   \n[[organizer]]\nid = \"greta\"\ntenant = \"contoso\"\ngroups = [\"sales\", \"support\"]\n\
             allow_toll_free_dial_in = false\n[[meeting]]\nconference_id = \"912308576\"\n\
             starts = 2026-11-23T10:00:00Z\ncapacity = 12\n"
        );
        let at = written.text.find("= 12").unwrap();
        let mark = Mark { table: "meetings", key: "912308576".to_owned(), column: Some("capacity") };
        assert_eq!(written.mark(at), Some(&mark));
        assert_eq!(written.mark(0), None);
    }

    #[test]
    fn every_key_of_a_section_is_a_column_and_no_other() {
        for entity in ENTITIES {
            let text = format!("[[{}]]\nnot_a_key = 1\n", entity.section);
            let error = toml::from_str::<Sections>(&text).unwrap_err().to_string();
            let listed = error.split_once("expected").unwrap().1;
            let mut keys: Vec<&str> = listed.split('`').skip(1).step_by(2).collect();
            let mut columns: Vec<&str> =
                entity.columns.iter().filter(|column| column.configured).map(|column| column.name).collect();
            keys.sort_unstable();
            columns.sort_unstable();
            assert_eq!(keys, columns, "{}", entity.name);
        }
    }

    #[test]
    fn no_value_can_become_a_key_or_a_section() {
        let wicked = "x\"\nlicense = \"y\"\n[[organizer]]\u{0}\u{7f}'''";
        let mut rows = Rows::at(1);
        let values = [("id", wicked), ("tenant", wicked), ("license", wicked), ("groups", wicked)];
        rows.add(&ORGANIZERS, row(&ORGANIZERS, &values));
        let sections: Sections = toml::from_str(&rows.written(0).text).unwrap();
        assert_eq!(sections.organizer.len(), 1);
        assert_eq!(sections.organizer[0].license.get_ref(), wicked);
        let values = [
            ("conference_id", "1"),
            ("organizer", "greta"),
            ("starts", "2026-11-23T10:00:00Z\nlocked = true"),
        ];
        let mut rows = Rows::at(1);
        rows.add(&MEETINGS, row(&MEETINGS, &values));
        let error = toml::from_str::<Sections>(&rows.written(0).text).unwrap_err();
        assert!(error.message().contains("datetime"), "{error}");
    }
}
