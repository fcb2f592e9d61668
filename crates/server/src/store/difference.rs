//! What a change of the directory means to people: what Microsoft would mail them, told as events.
//!
//! Whoever changes the directory works on the database (`partyline organizer reset-pin`, an import, a provisioning system);
//! the bridge sees that it is another than before. It remembers of each row what it takes to see that, and no value: a PIN is
//! in none of it, and its hash only hashed again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::entity::{Cell, Entity, MEETINGS, ORGANIZERS};
use super::rows::Rows;
use crate::control::Happening;

/// More are not told one by one: an import of everybody must not push all else out of the stream.
const MOST: usize = 1000;

/// The people and meetings of a directory, as far as a difference can be told.
#[derive(Clone, Debug, Default)]
pub struct Known {
    version: i64,
    /// By id.
    organizers: BTreeMap<String, Row>,
    /// By conference ID.
    meetings: BTreeMap<String, Row>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Row {
    /// The tenant of an organizer, the organizer of a meeting.
    of: Box<str>,
    /// What stands in each column but the key, hashed.
    marks: Box<[u32]>,
}

impl Known {
    /// Of these rows.
    pub fn of(rows: &Rows) -> Self {
        let read = |entity: &'static Entity, owner: &str| {
            let place = entity.columns.iter().position(|column| column.name == owner).unwrap_or(0);
            let row = |cells: &[Cell]| {
                let of = cells.get(place).map(Cell::shown).unwrap_or_default().into();
                Some((cells.first()?.shown(), Row { of, marks: cells.iter().skip(1).map(mark).collect() }))
            };
            rows.of(entity).filter_map(row).collect()
        };
        let (organizers, meetings) = (read(&ORGANIZERS, "tenant"), read(&MEETINGS, "organizer"));
        Self { version: rows.version(), organizers, meetings }
    }

    /// What has happened since `before`. A meeting whose ID is gone, or has expired, while another one is there that is the same in
    /// all else as it was has got another ID.
    pub(super) fn since(&self, before: &Self, at: SystemTime) -> Vec<Happening> {
        let mut told = Told { at, events: Vec::new(), left: MOST, counts: BTreeMap::new() };
        for (id, was) in before.organizers.iter().filter(|(id, _)| !self.organizers.contains_key(*id)) {
            told.tell("organizer.removed", &was.of, None, json!({ "organizer": id }));
        }
        for (id, now) in &self.organizers {
            match before.organizers.get(id) {
                None => told.tell("organizer.created", &now.of, None, json!({ "organizer": id })),
                Some(was) if was != now => {
                    let mut changed = changed(&ORGANIZERS, was, now);
                    if changed.remove("pin_hash") {
                        told.tell("pin.reset", &now.of, None, json!({ "organizer": id }));
                    }
                    if !changed.is_empty() {
                        let details = json!({ "organizer": id, "changed": changed });
                        told.tell("organizer.changed", &now.of, None, details);
                    }
                }
                Some(_) => {}
            }
        }
        let mut gone: HashMap<&Row, Vec<&String>> = HashMap::new();
        for (id, was) in before.meetings.iter().filter(|(id, was)| self.meetings.get(*id) != Some(*was)) {
            gone.entry(was).or_default().push(id);
        }
        for (id, now) in self.meetings.iter().filter(|(id, _)| !before.meetings.contains_key(*id)) {
            let Some(old) = gone.get_mut(now).and_then(Vec::pop) else { continue };
            // The organizer may have come in the same change; who is in the file has no row.
            let of = self.organizers.get(&*now.of).map_or("", |organizer| &organizer.of);
            let details = json!({ "organizer": now.of, "before": old });
            told.tell("conference_id.reset", of, Some(id), details);
        }
        told.end(self.version)
    }
}

/// The columns that are others now.
fn changed(entity: &'static Entity, was: &Row, now: &Row) -> BTreeSet<&'static str> {
    let columns = entity.columns.iter().skip(1).zip(was.marks.iter().zip(&now.marks));
    columns.filter(|(_, (was, now))| was != now).map(|(column, _)| column.name).collect()
}

/// Half a hash is enough to see that a value is another.
fn mark(cell: &Cell) -> u32 {
    let mut hasher = DefaultHasher::new();
    cell.shown().hash(&mut hasher);
    (hasher.finish() >> 32) as u32
}

struct Told {
    at: SystemTime,
    events: Vec<Happening>,
    left: usize,
    counts: BTreeMap<&'static str, u64>,
}

impl Told {
    fn tell(&mut self, kind: &'static str, tenant: &str, conference_id: Option<&str>, details: Value) {
        *self.counts.entry(kind).or_default() += 1;
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        let mut members = Map::new();
        members.extend(conference_id.map(|id| ("conference_id".to_owned(), json!(id))));
        members.insert("details".to_owned(), details);
        let tenant = Some(tenant).filter(|tenant| !tenant.is_empty()).map(Into::into);
        self.events.push(Happening { kind, at: self.at, tenant, masks: false, members });
    }

    /// Last comes what all of it was, so that nobody misses what was too much to be told one by one.
    fn end(mut self, version: i64) -> Vec<Happening> {
        let details = json!({ "version": version, "told": self.events.len(), "happened": self.counts });
        let members = Map::from_iter([("details".to_owned(), details)]);
        self.events.push(Happening {
            kind: "directory.changed",
            at: self.at,
            tenant: None,
            masks: false,
            members,
        });
        self.events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(entity: &'static Entity, values: &[(&str, &str)]) -> Vec<Cell> {
        let cell = |name: &str| values.iter().find(|(of, _)| *of == name).map(|(_, text)| (*text).to_owned());
        let columns = entity.columns.iter();
        columns.map(|column| cell(column.name).map_or(Cell::Nothing(column.kind), Cell::Text)).collect()
    }

    fn known(organizers: &[(&str, &str, &str)], meetings: &[(&str, &str)]) -> Known {
        let mut rows = Rows::at(7);
        for (id, license, pin) in organizers {
            let values = [("id", *id), ("tenant", "contoso"), ("license", *license), ("pin_hash", *pin)];
            rows.add(&ORGANIZERS, cells(&ORGANIZERS, &values));
        }
        for (id, subject) in meetings {
            let values = [("conference_id", *id), ("organizer", "a"), ("subject", *subject)];
            rows.add(&MEETINGS, cells(&MEETINGS, &values));
        }
        Known::of(&rows)
    }

    fn told(before: &Known, after: &Known) -> Vec<(&'static str, Option<String>, Value)> {
        let event = |one: Happening| {
            let id = one.members.get("conference_id").and_then(Value::as_str).map(str::to_owned);
            (one.kind, id, one.members["details"].clone())
        };
        after.since(before, SystemTime::UNIX_EPOCH).into_iter().map(event).collect()
    }

    #[test]
    fn what_would_be_mailed_is_told_and_never_the_pin_nor_its_hash() {
        let before = known(
            &[("a", "standard", "$argon2id$old"), ("b", "standard", ""), ("c", "standard", "")],
            &[("111111111", "weekly"), ("222222222", "daily")],
        );
        let after = known(
            &[("a", "standard", "$argon2id$new"), ("b", "operator", ""), ("d", "standard", "$argon2id$d")],
            &[("111111111", "weekly"), ("333333333", "daily"), ("444444444", "another")],
        );
        let told = told(&before, &after);
        assert_eq!(
            told[..5],
            [
                ("organizer.removed", None, json!({ "organizer": "c" })),
                ("pin.reset", None, json!({ "organizer": "a" })),
                ("organizer.changed", None, json!({ "organizer": "b", "changed": ["license"] })),
                ("organizer.created", None, json!({ "organizer": "d" })),
                (
                    "conference_id.reset",
                    Some("333333333".to_owned()),
                    json!({ "organizer": "a", "before": "222222222" })
                ),
            ]
        );
        assert_eq!((told[5].0, &told[5].2["told"]), ("directory.changed", &json!(5)));
        assert!(!format!("{told:?} {before:?}").contains("argon2id"), "{told:?}");
        let events = after.since(&before, SystemTime::UNIX_EPOCH);
        assert!(events[..5].iter().all(|one| one.tenant == Some("contoso".into())), "{events:?}");
    }

    #[test]
    fn an_import_of_everybody_is_told_in_numbers() {
        let names: Vec<String> = (0..MOST + 5).map(|number| number.to_string()).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), "standard", "")).collect();
        let told = told(&known(&[], &[]), &known(&many, &[]));
        assert_eq!(told.len(), MOST + 1);
        assert_eq!(told[MOST].2["happened"], json!({ "organizer.created": MOST + 5 }));
    }
}
