//! Other people's programs that the tests need.

use std::path::Path;

/// Whether a program can be found. Where it cannot, what needs it is skipped, and with `CI` set this panics.
pub fn have(program: &str, package: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = path.split(':').chain(["/usr/sbin"]).any(|folder| Path::new(folder).join(program).exists());
    if !found {
        let advice = format!("{program} is not installed: run ./x setup, or apt-get install {package}");
        assert!(std::env::var_os("CI").is_none(), "{advice}");
        eprintln!("skipped: {advice}");
    }
    found
}
