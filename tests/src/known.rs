//! Which tests there are in this repository, read from its sources: for tables of documentation that name them.

use std::fs;
use std::path::{Path, PathBuf};

/// The repository.
pub fn root() -> PathBuf {
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

/// A test as `cargo test` knows it.
#[derive(Debug)]
pub struct Known {
    /// Its package.
    pub package: String,
    /// `lib`, or the name of an integration test.
    pub target: String,
    /// The modules, as the file and its inner modules are called, and the function.
    pub path: String,
    /// The function alone.
    pub name: String,
}

/// Package, target and modules of a source file, by where it is.
fn place(file: &Path) -> (String, String, Vec<String>) {
    let file = file.strip_prefix(root()).expect("below the root").with_extension("");
    let mut parts: Vec<String> = file.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts[0] == "crates" {
        parts.remove(0);
    }
    let package = parts.remove(0);
    let target = match parts.remove(0).as_str() {
        "src" => "lib".to_owned(),
        // `tests/x.rs` of a package is a target, and so is `x/main.rs` of the package `tests`.
        "tests" => parts.remove(0),
        folder => folder.to_owned(),
    };
    let files = ["mod", "lib", "main"];
    if parts.last().is_some_and(|last| files.contains(&last.as_str())) {
        parts.pop();
    }
    (package, target, parts)
}

/// All functions that are tests.
pub fn tests() -> Vec<Known> {
    let mut files = Vec::new();
    for folder in ["crates", "tests", "benches"] {
        sources(&root().join(folder), &mut files);
    }
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        let (package, target, modules) = place(&file);
        let (mut inner, mut test) = (None, false);
        for line in text.lines() {
            let inside = line.starts_with(' ');
            let opened = line.strip_suffix(" {").and_then(|line| line.split("mod ").nth(1));
            if !inside && !line.is_empty() {
                inner = opened.map(str::to_owned);
            }
            let line = line.trim();
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                test = true;
            } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| test) {
                let name = rest.split('(').next().unwrap_or_default().to_owned();
                let path = modules.iter().chain(&inner).chain([&name]).map(String::as_str);
                let path = path.collect::<Vec<_>>().join("::");
                found.push(Known { package: package.clone(), target: target.clone(), path, name });
                test = false;
            }
        }
    }
    found
}

/// What stands between backticks in a cell.
pub fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}
