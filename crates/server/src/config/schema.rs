//! What a configuration file may say, as JSON Schema: for editors, and for the reference in `docs/configuration.md`.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::{Map, Value};

use super::document::Document;

/// The JSON Schema (draft 2020-12) of the configuration file.
///
/// It describes shapes: tables, keys, types, defaults, words. What `partyline check` says beyond it (ranges, names that must exist,
/// one key that needs another) is not in it.
pub(super) fn schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Document>();
    RecursiveTransform(without_null).transform(&mut schema);
    let mut schema = schema.to_value();
    if let Some(top) = schema.as_object_mut() {
        top.insert("title".to_owned(), Value::from("partyline: the configuration file"));
        top.remove("description");
    }
    schema
}

/// [`schema`] as it is printed and committed: indented, with a line's end.
///
/// # Panics
/// Never: a JSON value can always be written.
pub fn schema_text() -> String {
    let mut text = serde_json::to_string_pretty(&schema()).expect("a JSON value is JSON");
    text.push('\n');
    text
}

/// TOML has no null: a key that may be left out is not written, which `required` says already.
fn without_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            object.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(words)) = object.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    let Some(Value::Array(choices)) = object.get_mut("anyOf") else { return };
    choices.retain(|choice| choice["type"] != "null");
    if let [Value::Object(only)] = choices.as_slice() {
        let only: Map<String, Value> = only.clone();
        object.remove("anyOf");
        for (key, value) in only {
            object.entry(key).or_insert(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_committed_schema_is_what_the_code_reads() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/partyline.schema.json");
        let committed = std::fs::read_to_string(path).expect("config/partyline.schema.json");
        assert!(
            committed == schema_text(),
            "config/partyline.schema.json is old: cargo run --bin partyline -- config schema > config/partyline.schema.json"
        );
    }

    /// Every `properties` below, with the place it is at.
    fn tables<'a>(at: &str, value: &'a Value, found: &mut Vec<(String, &'a Map<String, Value>)>) {
        match value {
            Value::Object(object) => {
                if let Some(Value::Object(properties)) = object.get("properties") {
                    assert_eq!(object["additionalProperties"], false, "{at}: an unknown key is refused");
                    found.push((at.to_owned(), properties));
                }
                for (key, value) in object {
                    tables(&format!("{at}/{key}"), value, found);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| tables(at, value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_key_says_what_it_is_and_none_may_be_null() {
        let schema = schema();
        assert!(!schema.to_string().contains("null"), "TOML has no null");
        let mut found = Vec::new();
        tables("", &schema, &mut found);
        assert!(found.len() > 30, "{} tables", found.len());
        for (at, properties) in found {
            for (key, about) in properties {
                assert!(
                    about["description"].as_str().is_some_and(|text| text.len() > 5),
                    "{at}: {key}: {about}"
                );
            }
        }
    }
}
