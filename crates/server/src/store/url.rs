//! Where the database is.

use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// `sqlite:FILE` or `postgres://...`. What it holds may be a password: nothing prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl {
    url: String,
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
            return Ok(Self { url, file: Some(file) });
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self { url: text.to_owned(), file: None });
        }
        Err(WrongUrl)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.url
    }

    /// Makes SQLite's file where there is none, for this user alone: it holds conference IDs and hashes of PINs. SQLite gives the
    /// files beside it the same mode.
    pub(super) fn make(&self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
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
        assert!(url.is_missing());
        assert_eq!(
            StoreUrl::parse("sqlite:///var/x.db", Path::new("/etc")).unwrap().as_str(),
            "sqlite:///var/x.db"
        );
    }

    #[test]
    fn the_file_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::parse("sqlite:x.db", folder.path()).unwrap();
        for _ in 0..2 {
            url.make().unwrap();
        }
        assert_eq!(folder.path().join("x.db").metadata().unwrap().permissions().mode() & 0o777, 0o600);
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
