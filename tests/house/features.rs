//! The table of features is whole, and the tests it names exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The Rust files below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The names of all functions, tests among them.
fn functions() -> BTreeSet<String> {
    let mut files = Vec::new();
    for folder in ["crates", "tests"] {
        sources(&root().join(folder), &mut files);
    }
    let mut names = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        let declared = text.lines().filter_map(|line| line.trim().split_once("fn "));
        names.extend(declared.filter_map(|(_, rest)| rest.split('(').next().map(str::to_owned)));
    }
    names
}

#[test]
fn every_feature_has_its_row_and_every_test_that_a_row_names_exists() {
    let text = fs::read_to_string(root().join("docs/features.md")).expect("docs/features.md");
    let functions = functions();
    let mut rows = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("| F-")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [row, _, here, shown_by] = cells[..] else { panic!("not four cells: {line}") };
        rows.push(row.to_owned());
        assert!(!here.is_empty(), "{row}: what does it do here?");
        for name in shown_by.split('`').skip(1).step_by(2) {
            assert!(functions.contains(name), "{row}: there is no test {name}");
        }
        let done = !["not yet", "does not apply", "not offered", "no noise suppression", "nothing is mailed"]
            .iter()
            .any(|word| here.contains(word));
        assert!(!done || shown_by.contains('`'), "{row}: no test shows it");
    }
    let expected: Vec<String> = (1..=49).map(|number| format!("F-{number:02}")).collect();
    assert_eq!(rows, expected);
}
