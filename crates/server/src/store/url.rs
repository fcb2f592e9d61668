//! Where the database is.

use std::fmt;
use std::path::{Path, PathBuf};

/// `sqlite:FILE` or `postgres://...`. What it holds may be a password: nothing prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl {
    url: String,
    /// The same, and SQLite makes the file where there is none.
    making: String,
    /// The file of SQLite.
    file: Option<PathBuf>,
}

/// The text names no database that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither sqlite:FILE nor postgres://USER@HOST/DATABASE")]
pub struct WrongUrl;

impl StoreUrl {
    /// Reads `text`; the file of SQLite is relative to `folder`.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, WrongUrl> {
        if let Some(file) = text.strip_prefix("sqlite:") {
            let file = Path::new(file.strip_prefix("//").unwrap_or(file));
            if file.as_os_str().is_empty() || file.as_os_str() == ":memory:" {
                return Err(WrongUrl);
            }
            let file = std::path::absolute(folder.join(file)).map_err(|_| WrongUrl)?;
            let url = format!("sqlite://{}", encoded(&file));
            return Ok(Self { making: format!("{url}?mode=rwc"), url, file: Some(file) });
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self { url: text.to_owned(), making: text.to_owned(), file: None });
        }
        Err(WrongUrl)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.url
    }

    pub(super) fn making(&self) -> &str {
        &self.making
    }

    /// SQLite's file is not there yet.
    pub(super) fn is_missing(&self) -> bool {
        self.file.as_ref().is_some_and(|file| !file.exists())
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(out, "{}", file.display()),
            None => out.write_str("PostgreSQL"),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "StoreUrl({self})")
    }
}

/// A path as a URL has it (RFC 3986 section 2.1).
fn encoded(path: &Path) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_sqlite_is_relative_to_the_configuration_and_may_have_any_name() {
        let url = StoreUrl::parse("sqlite:a b?#.db", Path::new("/etc/party line")).unwrap();
        assert_eq!(url.as_str(), "sqlite:///etc/party%20line/a%20b%3F%23.db");
        assert_eq!(url.making(), "sqlite:///etc/party%20line/a%20b%3F%23.db?mode=rwc");
        assert!(url.is_missing());
        assert_eq!(
            StoreUrl::parse("sqlite:///var/x.db", Path::new("/etc")).unwrap().as_str(),
            "sqlite:///var/x.db"
        );
    }

    #[test]
    fn what_is_shown_of_a_place_holds_no_password() {
        let url = StoreUrl::parse("postgres://party:hidden@db.example.net/line", Path::new("")).unwrap();
        assert!(!format!("{url} {url:?}").contains("hidden"));
    }

    #[test]
    fn other_databases_are_refused() {
        for wrong in ["", "sqlite:", "sqlite::memory:", "mysql://a/b", "partyline.db"] {
            assert_eq!(StoreUrl::parse(wrong, Path::new("/")), Err(WrongUrl), "{wrong}");
        }
    }
}
