//! The table of features is whole, and the tests it names exist.

use std::collections::BTreeSet;
use std::fs;

use tests::known::{quoted, root, tests};

#[test]
fn every_feature_has_its_row_and_every_test_that_a_row_names_exists() {
    let text = fs::read_to_string(root().join("docs/features.md")).expect("docs/features.md");
    let known = tests();
    let known: BTreeSet<&str> = known.iter().map(|test| test.name.as_str()).collect();
    let mut rows = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("| F-")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [row, _, here, shown_by] = cells[..] else { panic!("not four cells: {line}") };
        rows.push(row.to_owned());
        assert!(!here.is_empty(), "{row}: what does it do here?");
        for name in quoted(shown_by) {
            assert!(known.contains(name), "{row}: there is no test {name}");
        }
        let done = !["not yet", "does not apply", "not offered", "no noise suppression", "nothing is mailed"]
            .iter()
            .any(|word| here.contains(word));
        assert!(!done || shown_by.contains('`'), "{row}: no test shows it");
    }
    let expected: Vec<String> = (1..=49).map(|number| format!("F-{number:02}")).collect();
    assert_eq!(rows, expected);
}
