//! The table of attacks and faults names tests and mutants that exist, and every mutant can be directed.

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

/// The names of all functions that are tests.
fn tests() -> BTreeSet<String> {
    let mut files = Vec::new();
    for folder in ["crates", "tests", "benches"] {
        sources(&root().join(folder), &mut files);
    }
    let mut names = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        let mut test = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                test = true;
            } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| test) {
                names.extend(rest.split('(').next().map(str::to_owned));
                test = false;
            }
        }
    }
    names
}

/// What stands between backticks in a cell.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn every_test_and_every_mutant_of_the_table_exists() {
    let text = fs::read_to_string(root().join("docs/security.md")).expect("docs/security.md");
    let (tests, mut rows) = (tests(), 0);
    assert!(tests.contains("every_test_and_every_mutant_of_the_table_exists"), "this one is found too");
    for line in text.lines().filter(|line| line.starts_with("| ") && !line.contains("| shown by |")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let [what, _, shown_by, without] = cells[..] else { panic!("not four cells: {line}") };
        rows += 1;
        let mut shown = 0;
        for name in quoted(shown_by) {
            let fuzzed = root().join(format!("fuzz/fuzz_targets/{name}.rs")).exists();
            let file = name.contains('/') && root().join(name).exists();
            assert!(tests.contains(name) || fuzzed || file, "{what}: there is no test {name}");
            shown += usize::from(tests.contains(name));
        }
        assert!(shown > 0, "{what}: no test shows it");
        for name in quoted(without) {
            let patch = root().join(format!("tests/mutants/{name}.patch"));
            assert!(patch.exists(), "{what}: there is no mutant {name}");
        }
    }
    assert!(rows > 40, "{rows} rows were found");
}

#[test]
fn every_mutant_says_what_it_takes_away_and_which_test_must_notice() {
    for entry in fs::read_dir(root().join("tests/mutants")).expect("tests/mutants") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a patch");
        let mut lines = text.lines();
        let (what, test) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        assert!(what.starts_with("# ") && what.len() > 10, "{}: what is taken away?", path.display());
        assert!(test.starts_with("# test: cargo "), "{}: which test must notice?", path.display());
    }
}
