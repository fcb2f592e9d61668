//! The reference of the configuration, `docs/configuration.md`: written from the schema, so that it cannot be old.

use std::collections::VecDeque;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::schema::schema;

const HEAD: &str = "\
# Configuration reference

One TOML file; every key is optional unless it is marked, and an unknown one is refused. Relative paths are relative to the file.
[config/partyline.toml](../config/partyline.toml) is the same as a file to begin with. `partyline check --lint FILE` reads a file as
the bridge would and says what is wrong, or suspicious, with line, key and what was expected: it also knows the ranges and the
names that must exist.

Editors complete keys and mark mistakes with the JSON Schema in [config/partyline.schema.json](../config/partyline.schema.json)
(`partyline config schema` prints it); those that know TOML find it by the first line of a file: `#:schema partyline.schema.json`.

This page is written by `partyline config reference`; a test compares the two.
";

/// The whole page, in Markdown.
pub fn reference() -> String {
    let schema = schema();
    let mut page = Page { schema: &schema, text: HEAD.to_owned(), open: VecDeque::new() };
    page.top();
    while let Some((title, table)) = page.open.pop_front() {
        page.section(&title, table);
    }
    page.text
}

struct Page<'a> {
    schema: &'a Value,
    text: String,
    /// Tables that are still to be written: the heading, and the table's own schema.
    open: VecDeque<(String, &'a Map<String, Value>)>,
}

impl<'a> Page<'a> {
    /// The keys outside of all sections, and the sections in a list to be written.
    fn top(&mut self) {
        let Some(properties) = self.schema["properties"].as_object() else { return };
        let mut loose = String::new();
        for (key, about) in properties {
            let whole = self.resolve(about);
            if let Some(table) = as_table(whole) {
                self.open.push_back((format!("`[{key}]`"), table));
            } else if let Some(table) = as_table(self.resolve(&whole["items"])) {
                self.open.push_back((format!("`[[{key}]]`"), table));
            } else {
                let _ = writeln!(loose, "{}", self.row(key, about, false));
            }
        }
        let _ = write!(self.text, "\n## Outside of all sections\n\n{TABLE_HEAD}{loose}");
    }

    fn section(&mut self, title: &str, table: &'a Map<String, Value>) {
        let _ = write!(self.text, "\n## {title}\n\n");
        // What the section's name alone says is not repeated.
        let about = one_line(table.get("description"));
        if let Some(about) = Some(about.strip_prefix(title).unwrap_or(&about)).filter(|text| !text.is_empty())
        {
            let about = about.trim_start_matches(": ");
            let _ = write!(self.text, "{}{}\n\n", about[..1].to_uppercase(), &about[1..]);
        }
        self.text.push_str(TABLE_HEAD);
        let required: Vec<&str> = table
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for (key, about) in table.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let row = self.row(key, about, required.contains(&key.as_str()));
            let _ = writeln!(self.text, "{row}");
            let whole = self.resolve(about);
            let inner = as_table(whole).or_else(|| as_table(self.resolve(&whole["items"])));
            if let Some(inner) = inner {
                self.open.push_front((format!("`{key}` of {title}"), inner));
            }
        }
    }

    /// One key: its name, its type and meaning, its default.
    fn row(&self, key: &str, about: &Value, required: bool) -> String {
        let default = match about.get("default") {
            _ if required => "**required**".to_owned(),
            Some(value) if is_nothing(value) => String::new(),
            Some(value) => format!("`{}`", toml(value)),
            None => String::new(),
        };
        let mut meaning =
            one_line(about.get("description").or_else(|| self.resolve(about).get("description")));
        if !default.is_empty()
            && let Some(cut) = meaning.find("Default: ")
        {
            meaning.truncate(cut);
        }
        meaning.push_str(&self.words(about));
        let meaning = meaning.trim().replace('|', "\\|");
        format!("| `{key}` | {} | {meaning} | {default} |", self.kind(about).replace('|', "\\|"))
    }

    /// What each of a key's words means, where that is written at the words.
    fn words(&self, about: &Value) -> String {
        let choices = self.resolve(about).get("oneOf").and_then(Value::as_array).into_iter().flatten();
        let said = choices.filter_map(|word| Some((word["const"].as_str()?, word.get("description")?)));
        said.map(|(word, about)| format!(" `{word}`: {}", one_line(Some(about)).trim_end_matches('.')))
            .collect::<Vec<_>>()
            .join(";")
    }

    /// What a value looks like, in words.
    fn kind(&self, about: &Value) -> String {
        let whole = self.resolve(about);
        if let Some(words) = whole.get("enum").and_then(Value::as_array) {
            return list(words.iter());
        }
        if let Some(words) = whole.get("oneOf").and_then(Value::as_array) {
            let words = words.iter().flat_map(|word| {
                let several = word.get("enum").and_then(Value::as_array).into_iter().flatten();
                word.get("const").into_iter().chain(several)
            });
            return list(words);
        }
        if let Some(choices) = whole.get("anyOf").and_then(Value::as_array) {
            return choices.iter().map(|choice| self.kind(choice)).collect::<Vec<_>>().join(" or ");
        }
        match whole.get("type").and_then(Value::as_str) {
            Some("array") => format!("list of {}", self.kind(&whole["items"])),
            Some("object") if whole.get("additionalProperties").is_some_and(Value::is_object) => {
                format!("table of name = {}", self.kind(&whole["additionalProperties"]))
            }
            Some("object") => "table, see below".to_owned(),
            Some("string") => "text".to_owned(),
            Some(other) => other.to_owned(),
            None => String::new(),
        }
    }

    /// The schema that a `$ref` leads to; anything else is itself.
    fn resolve(&self, about: &'a Value) -> &'a Value {
        let Some(name) = about["$ref"].as_str().and_then(|at| at.strip_prefix("#/$defs/")) else {
            return about;
        };
        &self.schema["$defs"][name]
    }
}

/// The schema, when it is that of a table with keys of its own.
fn as_table(about: &Value) -> Option<&Map<String, Value>> {
    about.as_object().filter(|object| object.contains_key("properties"))
}

const TABLE_HEAD: &str = "| key | is | what it does | default |\n|---|---|---|---|\n";

fn list<'a>(words: impl Iterator<Item = &'a Value>) -> String {
    words.map(|word| format!("`{}`", word.as_str().unwrap_or_default())).collect::<Vec<_>>().join(", ")
}

/// Whether a default says no more than that nothing is written.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(values) => values.is_empty(),
        _ => false,
    }
}

/// A default as it is written in the file.
fn toml(value: &Value) -> String {
    match value {
        Value::Array(values) => format!("[{}]", values.iter().map(toml).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

fn one_line(text: Option<&Value>) -> String {
    text.and_then(Value::as_str).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_committed_reference_is_what_the_code_reads() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        let committed = std::fs::read_to_string(path).expect("docs/configuration.md");
        assert!(
            committed == reference(),
            "docs/configuration.md is old: cargo run --bin partyline -- config reference > docs/configuration.md"
        );
    }

    #[test]
    fn keys_of_tables_within_tables_have_a_place_too() {
        let page = reference();
        for wanted in [
            "## `[sip]`",
            "## `[[trunk]]`",
            "## `peers` of `[[trunk]]`",
            "| `blocked_prefixes` |",
            "| `global_policy` |",
        ] {
            assert!(page.contains(wanted), "{wanted}");
        }
        assert!(!page.contains("[`"), "a link that only the code's documentation understands");
    }
}
