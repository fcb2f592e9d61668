//! Secrets that stand in a configuration: hidden in its copies, and filled in again from the file that is there now.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What stands in the place of one.
const HIDDEN: &str = "\"(hidden)\"";
/// Keys whose value is one, wherever they stand.
const SECRET: [&str; 2] = ["password", "pin_hash"];
/// Keys by which one table of several is known.
const NAMES: [&str; 5] = ["id", "name", "tenant", "number", "conference_id"];

/// The text without its secrets: values of passwords and hashes of PINs, the address of a database that is no file, and
/// comments that look as if they held one. A text that is no TOML is hidden whole.
pub(crate) fn hidden(text: &str) -> String {
    let Some(found) = secrets(text) else { return String::new() };
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for range in found.values() {
        shown.push_str(&text[from..range.start]);
        shown.push_str(HIDDEN);
        // What is said of a secret beside it may be the one before.
        let rest = text[range.end..].lines().next().unwrap_or_default();
        from = range.end + if rest.trim_start().starts_with('#') { rest.len() } else { 0 };
    }
    shown.push_str(&text[from..]);
    let lines = shown.split('\n').map(|line| if is_suspicious(line) { "# (hidden)" } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

/// A copy with its secrets as they stand in `now`; or the keys of those that are not there.
pub(crate) fn filled(copy: &str, now: &str) -> Result<String, Vec<String>> {
    let (wanted, known) = (secrets(copy).unwrap_or_default(), secrets(now).unwrap_or_default());
    // Of one place there is one value, wherever in the file it stands.
    let known: BTreeMap<&str, &str> =
        known.iter().map(|((_, name), range)| (name.as_str(), &now[range.clone()])).collect();
    let (mut text, mut from, mut missing) = (String::with_capacity(copy.len()), 0, Vec::new());
    for ((_, name), range) in &wanted {
        if copy[range.clone()] != *HIDDEN {
            continue;
        }
        let Some(value) = known.get(name.as_str()) else {
            missing.push(name.clone());
            continue;
        };
        text.push_str(&copy[from..range.start]);
        text.push_str(value);
        from = range.end;
    }
    text.push_str(&copy[from..]);
    if missing.is_empty() { Ok(text) } else { Err(missing) }
}

/// A comment that may hold one.
fn is_suspicious(line: &str) -> bool {
    let line = line.trim_start();
    let names_one = SECRET.iter().any(|name| line.contains(name)) || line.contains("postgres");
    line.starts_with('#') && names_one && line.contains(['=', ':'])
}

/// The secrets of a text, by where they stand and by the names of the tables that they stand in. `None` for what is no TOML.
fn secrets(text: &str) -> Option<BTreeMap<(usize, String), Range<usize>>> {
    let document = DeTable::parse(text).ok()?;
    let mut found = BTreeMap::new();
    look(document.get_ref(), "", &mut found);
    Some(found)
}

fn look(table: &DeTable<'_>, place: &str, found: &mut BTreeMap<(usize, String), Range<usize>>) {
    for (key, value) in table {
        let key: &str = key.get_ref();
        let here = if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
        match value.get_ref() {
            DeValue::Table(inner) => look(inner, &here, found),
            DeValue::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    if let DeValue::Table(inner) = item.get_ref() {
                        let which = named(inner).unwrap_or_else(|| at.to_string());
                        look(inner, &format!("{here} {which:?}"), found);
                    }
                }
            }
            DeValue::String(written) if is_secret(&here, key, written) => {
                let range = span(value);
                found.insert((range.start, here), range);
            }
            _ => {}
        }
    }
}

fn is_secret(place: &str, key: &str, value: &str) -> bool {
    SECRET.contains(&key) || (place == "store.url" && !value.starts_with("sqlite:"))
}

fn named(table: &DeTable<'_>) -> Option<String> {
    let name = |wanted: &&str| {
        let found = table.iter().find(|(key, _)| key.get_ref() == wanted)?;
        match found.1.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            _ => None,
        }
    };
    NAMES.iter().find_map(name)
}

fn span(value: &Spanned<DeValue<'_>>) -> Range<usize> {
    value.span()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# password = \"geheim-0\"\n[store]\nurl = \"postgres://pl:geheim-1@db/pl\"\n\n[[trunk]]\nid = \"acme\"\n\
        credentials = { username = \"us\", password = \"geheim-2\" } # ours\n\n[[organizer]]\nid = \"greta\"\npin_hash = \"geheim-3\" \
        # geheim-4\nlicense = \"none\"\n";

    #[test]
    fn secrets_are_hidden_wherever_they_stand_and_all_else_stays() {
        let shown = hidden(TEXT);
        assert!(!shown.contains("geheim"), "{shown}");
        assert_eq!(
            shown,
            "# (hidden)\n[store]\nurl = \"(hidden)\"\n\n[[trunk]]\nid = \"acme\"\n\
             credentials = { username = \"us\", password = \"(hidden)\" } # ours\n\n[[organizer]]\nid = \"greta\"\n\
             pin_hash = \"(hidden)\"\nlicense = \"none\"\n"
        );
        assert_eq!(hidden(&shown), shown);
        let file = "[store]\nurl = \"sqlite:partyline.db\"\n";
        assert_eq!(hidden(file), file);
        assert_eq!(hidden("password = "), "", "what cannot be read is not kept");
    }

    #[test]
    fn a_copy_gets_the_secrets_of_the_same_tables_as_they_are_now_or_says_which_are_missing() {
        let now = "[[organizer]]\nid = \"greta\"\npin_hash = 'new-1'\n[[trunk]]\nid = \"acme\"\n\
            credentials.password = \"new-2\"\n[store]\nurl = \"postgres://new-3\"\n";
        let whole = filled(&hidden(TEXT), now).unwrap();
        for value in ["url = \"postgres://new-3\"", "password = \"new-2\"", "pin_hash = 'new-1'"] {
            assert!(whole.contains(value), "{whole}");
        }
        let missing = filled(&hidden(TEXT), "[[trunk]]\nid = \"other\"\n").unwrap_err();
        let all = ["store.url", "trunk \"acme\".credentials.password", "organizer \"greta\".pin_hash"];
        assert_eq!(missing, all);
    }
}
