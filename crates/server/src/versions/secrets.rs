//! Secrets that stand in a configuration: hidden in its copies, and filled in again from the file that is there now.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What stands in the place of one.
const HIDDEN: &str = "\"(hidden)\"";
/// What stands in the place of a comment.
const HIDDEN_COMMENT: &str = "# (hidden)";
/// Words of a comment that may hold one.
const SUSPICIOUS: [&str; 4] = ["password", "pin_hash", "secret", "postgres"];
/// Keys whose value is one, wherever they stand.
const SECRET: [&str; 2] = ["password", "pin_hash"];
/// Keys by which one table of several is known.
const NAMES: [&str; 5] = ["id", "name", "tenant", "number", "conference_id"];

/// The text without its secrets: values of passwords and hashes of PINs, the address of a database that is no file, and
/// comments that stand beside one or look as if they held one. A text that is no TOML is hidden whole.
pub(crate) fn hidden(text: &str) -> String {
    let Some(found) = Found::of(text) else { return String::new() };
    let mut out: Vec<(Range<usize>, &str)> =
        found.secrets.values().map(|range| (range.clone(), HIDDEN)).collect();
    for comment in found.comments(text) {
        // What is said of a secret beside it may be the one before.
        let beside = |secret: &Range<usize>| {
            secret.end <= comment.start && !text[secret.end..comment.start].contains('\n')
        };
        if found.secrets.values().any(beside) || is_suspicious(&text[comment.clone()]) {
            out.push((comment, HIDDEN_COMMENT));
        }
    }
    out.sort_by_key(|(range, _)| range.start);
    let (mut shown, mut from) = (String::with_capacity(text.len()), 0);
    for (range, instead) in out {
        shown.push_str(&text[from..range.start]);
        shown.push_str(instead);
        from = range.end;
    }
    shown.push_str(&text[from..]);
    shown
}

/// A copy with its secrets as they stand in `now`; or the keys of those that are not there.
pub(crate) fn filled(copy: &str, now: &str) -> Result<String, Vec<String>> {
    let secrets = |text| Found::of(text).unwrap_or_default().secrets;
    let (wanted, known) = (secrets(copy), secrets(now));
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

fn is_suspicious(comment: &str) -> bool {
    let comment = comment.to_lowercase();
    let names_one = SUSPICIOUS.iter().any(|word| comment.contains(word));
    (names_one && comment.contains(['=', ':'])) || comment.contains("$argon2")
}

/// What there is in a text.
#[derive(Default)]
struct Found {
    /// The secrets, by where they stand and by the names of the tables that they stand in.
    secrets: BTreeMap<(usize, String), Range<usize>>,
    /// Keys and strings: a `#` in them begins no comment.
    texts: BTreeMap<usize, usize>,
}

impl Found {
    /// `None` for what is no TOML.
    fn of(text: &str) -> Option<Self> {
        let document = DeTable::parse(text).ok()?;
        let mut found = Self::default();
        found.look(document.get_ref(), "");
        Some(found)
    }

    fn look(&mut self, table: &DeTable<'_>, place: &str) {
        for (key, value) in table {
            self.texts.insert(key.span().start, key.span().end);
            let key: &str = key.get_ref();
            let here = if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
            self.value(value, key, here);
        }
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, key: &str, here: String) {
        match value.get_ref() {
            DeValue::Table(inner) => self.look(inner, &here),
            DeValue::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    let which = match item.get_ref() {
                        DeValue::Table(inner) => named(inner),
                        _ => None,
                    };
                    let which = which.unwrap_or_else(|| at.to_string());
                    self.value(item, "", format!("{here} {which:?}"));
                }
            }
            DeValue::String(written) => {
                let range = value.span();
                self.texts.insert(range.start, range.end);
                if is_secret(&here, key, written) {
                    self.secrets.insert((range.start, here), range);
                }
            }
            _ => {}
        }
    }

    /// Where the comments of the same text are.
    fn comments(&self, text: &str) -> Vec<Range<usize>> {
        let (mut comments, mut from) = (Vec::new(), 0);
        while let Some(at) = text[from..].find('#').map(|at| from + at) {
            let inside = self.texts.range(..=at).next_back().map(|(_, end)| *end).filter(|end| *end > at);
            from = inside.unwrap_or_else(|| {
                let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
                comments.push(at..end);
                end
            });
        }
        comments
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
             credentials = { username = \"us\", password = \"(hidden)\" } # (hidden)\n\n[[organizer]]\nid = \"greta\"\n\
             pin_hash = \"(hidden)\" # (hidden)\nlicense = \"none\"\n"
        );
        assert_eq!(hidden(&shown), shown);
        // What was a secret once may stand behind any value, and a hash under any name.
        let once = "[[trunk]]\nid = \"acme\" # password: geheim-5\ncredentials = { username = \"us\", password = \"x\" } # was geheim-6\n\
            # greta had $argon2id$v=19$geheim-7\nname = \"password: # no comment\"\n\
            text = \"\"\"\n# password: no comment\n\"\"\" # ours\n\"a # b\" = 1\nlist = [\"#1\"] # a SECRET: geheim-8\n";
        let shown = hidden(once);
        assert!(!shown.contains("geheim"), "{shown}");
        for stays in [
            "id = \"acme\"",
            "\"password: # no comment\"",
            "\n# password: no comment\n",
            "# ours\n",
            "\"a # b\" = 1\n",
        ] {
            assert!(shown.contains(stays), "{shown}");
        }
        assert!(shown.ends_with("[\"#1\"] # (hidden)\n"), "{shown}");
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
