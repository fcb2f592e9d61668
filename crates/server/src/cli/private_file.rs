//! A file that only its owner may read: what an engineer takes out of the bridge has callers' numbers in it, and may have what
//! they said.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// For nobody but the owner.
const OWN: u32 = 0o600;

/// Writes a file in place of what was there under this name, mode 0600 from before its first octet. What is no regular file,
/// such as a pipe, keeps its mode.
pub(super) fn write(file: &Path, bytes: &[u8]) -> Result<(), String> {
    put(file, bytes).map_err(|error| format!("{}: cannot be written: {error}", file.display()))
}

fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(OWN).open(path)?;
    if file.metadata()?.is_file() {
        // One that was there already has a mode of its own.
        file.set_permissions(Permissions::from_mode(OWN))?;
    }
    file.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_the_owner_may_read_a_file_also_one_that_was_there_for_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let (new, old) = (folder.path().join("new"), folder.path().join("old"));
        fs::write(&old, "longer than what comes").expect("a file");
        fs::set_permissions(&old, Permissions::from_mode(0o644)).expect("its mode");
        for file in [&new, &old] {
            write(file, b"capture").expect("written");
            assert_eq!(fs::read(file).expect("the file"), b"capture");
            assert_eq!(fs::metadata(file).expect("the file").permissions().mode() & 0o777, 0o600, "{file:?}");
        }
        write(Path::new("/dev/null"), b"capture").expect("what is no file is only written");
        let gone = write(&folder.path().join("no/such"), b"capture").expect_err("there is no such folder");
        assert!(gone.contains("no/such: cannot be written: "), "{gone}");
    }
}
