//! The configurations that the bridge has taken: each gets a number and a hash, and the last of them are kept, without the
//! secrets that stand in them.

mod difference;
mod secrets;

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bridge::Stamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub(crate) use difference::difference;
pub(crate) use secrets::{filled, hidden};

/// How many are kept.
const KEPT: usize = 20;

/// A configuration that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Rises by one with each that is another.
    pub number: u64,
    /// When it was taken first, RFC 3339.
    pub taken: String,
    /// See [`hash`].
    pub hash: String,
}

/// One of them with its text, in which no secret is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Copy {
    #[serde(flatten)]
    pub(crate) version: Version,
    pub(crate) text: String,
}

/// The SHA-256 of a configuration without the secrets in it, in hexadecimal: with them in it, it would be something to try
/// passwords against.
pub fn hash(text: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(hidden(text).as_bytes()).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The folder that they are kept in.
#[derive(Clone, Debug)]
pub(crate) struct Versions {
    folder: PathBuf,
    /// One is taken after the other: `SIGHUP` may come while an order is carried out.
    turn: Arc<Mutex<()>>,
}

impl Versions {
    /// Makes the folder, for its owner alone, where there is none.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        Ok(Self { folder: folder.to_owned(), turn: Arc::default() })
    }

    /// This configuration is in force from now on. The one that was in force last has its number again.
    pub(crate) fn take(&self, now: SystemTime, text: &str) -> io::Result<Version> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.list()?;
        let hash = hash(text);
        if let Some(last) = all.last().filter(|last| last.hash == hash) {
            return Ok(last.clone());
        }
        // Of a damaged one too: a number never means two configurations.
        let number = self.numbers()?.last().map_or(1, |last| last + 1);
        let version = Version { number, taken: Stamp(now).to_string(), hash };
        self.write(&Copy { version: version.clone(), text: hidden(text) })?;
        let too_many = (all.len() + 1).saturating_sub(KEPT);
        for old in &all[..too_many] {
            fs::remove_file(self.file(old.number))?;
        }
        Ok(version)
    }

    /// Those that are kept, the oldest first. What cannot be read, or says another number than its name, is passed over: no bridge
    /// stays down for an old copy.
    pub(crate) fn list(&self) -> io::Result<Vec<Version>> {
        let mut all = Vec::new();
        for number in self.numbers()? {
            match self.copy(number) {
                Ok(Some(copy)) if copy.version.number == number => all.push(copy.version),
                Ok(_) => {}
                Err(error) => {
                    let file = self.file(number);
                    tracing::warn!(file = %file.display(), %error, "this version of the configuration cannot be read");
                }
            }
        }
        Ok(all)
    }

    /// The numbers that files are named by, in order.
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let number: Option<u32> = name.to_str().and_then(|name| name.strip_suffix(".json")?.parse().ok());
            numbers.extend(number.map(u64::from));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// One of them.
    pub(crate) fn copy(&self, number: u64) -> io::Result<Option<Copy>> {
        match fs::read(self.file(number)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn file(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number}.json"))
    }

    /// Whole or not at all.
    fn write(&self, copy: &Copy) -> io::Result<()> {
        let making = self.folder.join("making");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&making)?;
        file.write_all(&serde_json::to_vec(copy)?)?;
        file.sync_all()?;
        fs::rename(&making, self.file(copy.version.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_configuration_that_is_another_gets_the_next_number_and_the_last_twenty_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let versions = Versions::open(&folder.path().join("versions")).unwrap();
        let take = |text: &str| versions.take(SystemTime::UNIX_EPOCH, text).unwrap();
        let first = take("[node]\nname = \"a\"\n");
        assert_eq!((first.number, &*first.taken, first.hash.len()), (1, "1970-01-01T00:00:00.000Z", 64));
        assert_eq!(take("[node]\nname = \"a\"\n"), first, "the same again");
        for name in 0..24 {
            take(&format!("[node]\nname = \"{name}\"\n"));
        }
        let numbers: Vec<u64> = versions.list().unwrap().iter().map(|version| version.number).collect();
        assert_eq!(numbers, (6..=25).collect::<Vec<u64>>());
        assert!(versions.copy(1).unwrap().is_none());
        assert!(versions.copy(25).unwrap().unwrap().text.contains("\"23\""));
        assert_eq!(take("[node]\nname = \"a\"\n").number, 26, "what was there once is taken anew");
    }

    #[test]
    fn a_damaged_copy_is_passed_over_and_its_number_is_not_given_again() {
        let folder = tempfile::tempdir().unwrap();
        let versions = Versions::open(folder.path()).unwrap();
        let take = |text: &str| versions.take(SystemTime::UNIX_EPOCH, text).map(|version| version.number);
        assert_eq!(take("a = 1\n").unwrap(), 1);
        fs::write(folder.path().join("2.json"), "{\"number\":2,\"ta").unwrap();
        fs::write(folder.path().join("18446744073709551615.json"), "").unwrap();
        fs::copy(versions.file(1), folder.path().join("7.json")).unwrap();
        assert_eq!(versions.list().unwrap().len(), 1, "what stands under another number is none");
        assert!(versions.copy(2).is_err(), "who asks for it learns that it is damaged");
        assert_eq!(take("a = 1\n").unwrap(), 1);
        assert_eq!(take("a = 2\n").unwrap(), 8);
    }

    #[test]
    fn two_that_are_taken_at_once_have_two_numbers_and_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let versions = Versions::open(folder.path()).unwrap();
        let text = |name: usize| format!("[node]\nname = \"{}\"\n", name.to_string().repeat(20_000));
        std::thread::scope(|threads| {
            for name in 1..=8 {
                let (versions, text) = (versions.clone(), text(name));
                threads.spawn(move || versions.take(SystemTime::UNIX_EPOCH, &text).unwrap());
            }
        });
        let numbers: Vec<u64> = versions.list().unwrap().iter().map(|version| version.number).collect();
        assert_eq!(numbers, (1..=8).collect::<Vec<u64>>());
        assert!(numbers.iter().all(|number| versions.copy(*number).unwrap().is_some()));
    }

    #[test]
    fn no_secret_of_a_configuration_is_in_its_copy_or_can_be_tried_against_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let versions = Versions::open(folder.path()).unwrap();
        let text = |password: &str| {
            format!("[hep]\nto = \"udp://127.0.0.1:9\"\npassword = \"{password}\" # was geheim-0\n")
        };
        let first = versions.take(SystemTime::UNIX_EPOCH, &text("geheim-1")).unwrap();
        let kept = fs::read_to_string(versions.file(first.number)).unwrap();
        assert!(!kept.contains("geheim") && kept.contains('9'), "{kept}");
        assert_eq!(hash(&text("geheim-1")), hash(&text("geheim-2")));
        let mode = fs::metadata(versions.file(first.number)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
