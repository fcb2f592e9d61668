//! The table of attacks and faults names tests and mutants that exist, each mutant beside a test that must notice it.

use std::collections::BTreeSet;
use std::fs;

use tests::known::{Known, quoted, root, tests};

/// One `cargo test` of a mutant's command: which tests it runs.
#[derive(Debug, Default)]
struct Chosen<'a> {
    package: &'a str,
    target: Option<&'a str>,
    filter: Option<&'a str>,
}

impl<'a> Chosen<'a> {
    fn read(arguments: &'a str) -> Self {
        let (mut chosen, mut words) = (Self::default(), arguments.split(' '));
        while let Some(word) = words.next() {
            match word {
                "-p" => chosen.package = words.next().unwrap_or_default(),
                "--test" => chosen.target = words.next(),
                "--lib" => chosen.target = Some("lib"),
                filter => {
                    let before = chosen.filter.replace(filter);
                    assert_eq!(before, None, "{arguments}: cargo takes one filter");
                }
            }
        }
        chosen
    }

    fn runs(&self, test: &Known) -> bool {
        test.package == self.package
            && self.target.is_none_or(|target| target == test.target)
            && self.filter.is_none_or(|filter| test.path.contains(filter))
    }
}

/// What stands against something, as `tests/mutants/NAME.patch` takes it away.
struct Mutant {
    name: String,
    what: String,
    command: String,
}

impl Mutant {
    fn chosen(&self) -> Vec<Chosen<'_>> {
        self.command
            .split(" && ")
            .filter_map(|part| part.strip_prefix("cargo test "))
            .map(Chosen::read)
            .collect()
    }
}

fn mutants() -> Vec<Mutant> {
    let folder = fs::read_dir(root().join("tests/mutants")).expect("tests/mutants");
    let patch = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a patch");
        let mut lines = text.lines().map(|line| line.strip_prefix("# ").unwrap_or_default());
        let (what, command) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        Mutant {
            name: path.file_stem().expect("a name").to_string_lossy().into_owned(),
            what: what.to_owned(),
            command: command.strip_prefix("test: ").unwrap_or_default().to_owned(),
        }
    };
    folder.map(patch).collect()
}

/// Attack or fault, what shows what stands against it, and what takes that away.
struct Row {
    what: String,
    shown_by: Vec<String>,
    without: Vec<String>,
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(root().join("docs/security.md")).expect("docs/security.md");
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.contains("| shown by |"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let [what, _, shown_by, without] = cells[..] else { panic!("not four cells: {line}") };
        let names = |cell| quoted(cell).map(str::to_owned).collect();
        Row { what: what.to_owned(), shown_by: names(shown_by), without: names(without) }
    })
    .collect()
}

#[test]
fn every_test_of_the_table_exists_and_every_row_has_one() {
    let (tests, rows) = (tests(), rows());
    let tests: BTreeSet<&str> = tests.iter().map(|test| test.name.as_str()).collect();
    assert!(tests.contains("every_test_of_the_table_exists_and_every_row_has_one"), "this one is found too");
    for Row { what, shown_by, .. } in &rows {
        for name in shown_by {
            let fuzzed = root().join(format!("fuzz/fuzz_targets/{name}.rs")).exists();
            let file = name.contains('/') && root().join(name).exists();
            assert!(tests.contains(name.as_str()) || fuzzed || file, "{what}: there is no test {name}");
        }
        assert!(shown_by.iter().any(|name| tests.contains(name.as_str())), "{what}: no test shows it");
    }
    assert!(rows.len() > 40, "{} rows were found", rows.len());
}

#[test]
fn the_mutants_of_the_table_are_those_that_there_are() {
    let (rows, mutants) = (rows(), mutants());
    let named: BTreeSet<&str> = rows.iter().flat_map(|row| &row.without).map(String::as_str).collect();
    let there: BTreeSet<&str> = mutants.iter().map(|mutant| mutant.name.as_str()).collect();
    let only_named: Vec<_> = named.difference(&there).collect();
    let only_there: Vec<_> = there.difference(&named).collect();
    assert!(only_named.is_empty(), "in docs/security.md, but not in tests/mutants: {only_named:?}");
    assert!(only_there.is_empty(), "in tests/mutants, but not in docs/security.md: {only_there:?}");
}

#[test]
fn every_mutant_says_what_it_takes_away_and_which_test_must_notice() {
    let tests = tests();
    for mutant in mutants() {
        let Mutant { name, what, command } = &mutant;
        assert!(what.len() > 8, "{name}: what is taken away?");
        let chosen = mutant.chosen();
        assert!(!chosen.is_empty(), "{name}: which test must notice? {command}");
        for part in chosen {
            assert!(part.filter.is_some(), "{name}: {command} runs everything");
            assert!(tests.iter().any(|test| part.runs(test)), "{name}: {command} runs nothing");
        }
    }
}

#[test]
fn a_test_that_shows_a_row_is_among_those_that_must_notice_its_mutants() {
    let (tests, mutants) = (tests(), mutants());
    let mut alone = Vec::new();
    for row in rows() {
        for mutant in mutants.iter().filter(|mutant| row.without.contains(&mutant.name)) {
            let chosen = mutant.chosen();
            let runs = |test: &Known| chosen.iter().any(|part| part.runs(test));
            if !tests.iter().any(|test| row.shown_by.contains(&test.name) && runs(test)) {
                alone.push(format!(
                    "{}: none of its tests is run by {}: {}",
                    row.what, mutant.name, mutant.command
                ));
            }
        }
    }
    assert!(alone.is_empty(), "{}", alone.join("\n"));
}
