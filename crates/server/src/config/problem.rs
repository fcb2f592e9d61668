//! One thing that is wrong with a configuration file, said so that it can be mended.

use std::fmt;
use std::path::{Path, PathBuf};

/// A mistake in a configuration file: where it stands, what was found, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file as it was named on the command line.
    pub file: PathBuf,
    /// Line and column, both from 1, where the text tells them.
    pub at: Option<(usize, usize)>,
    /// The key in dotted form, `media.ports`; empty where the whole file is meant.
    pub key: String,
    /// What stands there now.
    pub found: String,
    /// What would be right.
    pub expected: String,
}

impl Problem {
    /// A problem at a byte span of `text`, the file's contents.
    pub fn at_span(
        file: &Path,
        text: &str,
        span: Option<std::ops::Range<usize>>,
        key: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        let at = span.map(|span| line_and_column(text, span.start));
        Self { file: file.to_owned(), at, key: key.into(), found: found.into(), expected: expected.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.file.display())?;
        if let Some((line, column)) = self.at {
            write!(out, ":{line}:{column}")?;
        }
        write!(out, ": ")?;
        if !self.key.is_empty() {
            write!(out, "`{}`: ", self.key)?;
        }
        write!(out, "{}", self.found)?;
        if !self.expected.is_empty() {
            write!(out, "; expected {}", self.expected)?;
        }
        Ok(())
    }
}

/// Every problem of one load, in file order.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", list(.0))]
pub struct Problems(pub Vec<Problem>);

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The dotted key of the value that stands at a byte offset, where it stands on the line of its key.
pub(super) fn key_at(text: &str, offset: usize) -> Option<String> {
    let before = text.get(..offset)?;
    let (above, line) = before.rsplit_once('\n').unwrap_or(("", before));
    let (key, _) = line.split_once('=')?;
    let table = above.lines().rev().find_map(|line| line.trim().strip_prefix('[')?.split(']').next());
    let table = table.map_or_else(String::new, |table| format!("{}.", table.trim_start_matches('[').trim()));
    Some(format!("{table}{}", key.trim()))
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(1, |tail| tail.chars().count() + 1);
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_is_found_by_the_key_on_its_line() {
        let text = "a = 1\n[drain]\nseconds = x\n[[trunk]]\n# [none]\nid = 7\n";
        let key = |value: &str| key_at(text, text.find(value).unwrap());
        assert_eq!(key("1").as_deref(), Some("a"));
        assert_eq!(key("x").as_deref(), Some("drain.seconds"));
        assert_eq!(key("7").as_deref(), Some("trunk.id"));
        assert_eq!(key("drain"), None);
    }

    #[test]
    fn a_problem_names_file_line_key_and_expectation() {
        let text = "a = 1\n[media]\nports = \"x\"\n";
        let start = text.find("\"x\"").unwrap();
        let problem = Problem::at_span(
            Path::new("p.toml"),
            text,
            Some(start..start + 3),
            "media.ports",
            "`x` is not a range",
            "two even ports like \"20000-20399\"",
        );
        assert_eq!(
            problem.to_string(),
            "p.toml:3:9: `media.ports`: `x` is not a range; expected two even ports like \"20000-20399\""
        );
    }
}
