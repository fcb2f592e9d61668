//! A PostgreSQL of a test's own: a cluster in a folder, reached by a socket in it, stopped and started at will.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tests::programs::have;

/// It refuses to be run by root.
const NOBODY: &str = "65534";

/// A cluster. Dropping it ends it.
pub(crate) struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    /// Whoever makes a folder owns it.
    is_root: bool,
    server: Option<Child>,
}

impl Postgres {
    /// Makes a cluster and starts it; `None` where PostgreSQL is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            // Says so, or panics where it must be there.
            have("postgres", "postgresql");
            return None;
        };
        let folder = TempDir::with_prefix("pg").expect("a folder");
        let is_root = fs::metadata(folder.path()).expect("the folder").uid() == 0;
        let mut cluster = Self { folder, programs, is_root, server: None };
        if cluster.is_root {
            let id = NOBODY.parse().expect("a number");
            std::os::unix::fs::chown(cluster.folder.path(), Some(id), Some(id)).expect("the folder's owner");
        }
        let data = cluster.data();
        let words =
            ["--no-sync", "--auth=trust", "--username=party", "--encoding=UTF8", "--locale=C", "-D", &data];
        let made = cluster.program("initdb", &words).stdout(Stdio::null()).status().expect("initdb runs");
        assert!(made.success(), "initdb failed in {data}");
        cluster.go_on().await;
        Some(cluster)
    }

    /// Where `[store] url` finds it.
    pub(crate) fn url(&self) -> String {
        format!("postgres:///postgres?host={}&user=party", self.folder.path().display())
    }

    /// Starts the server; it takes connections when this returns.
    pub(crate) async fn go_on(&mut self) {
        let (data, socket) = (self.data(), self.folder.path().display().to_string());
        let words = ["-D", &data, "-k", &socket, "-c", "listen_addresses=", "-c", "fsync=off"];
        let server = self.program("postgres", &words).spawn().expect("postgres runs");
        self.server = Some(server);
        for _ in 0..1000 {
            let asked = self.program("pg_isready", &["-q", "-h", &socket, "-U", "party"]).status();
            if asked.is_ok_and(|status| status.success()) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!(
            "PostgreSQL does not start:\n{}",
            fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
        );
    }

    /// Ends the server as a crash of its machine would: nobody is told.
    pub(crate) fn stop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        let _ = kill(Pid::from_raw(server.id().cast_signed()), Signal::SIGQUIT);
        let _ = server.wait();
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    /// One of its programs, by a user who may run it.
    fn program(&self, name: &str, words: &[&str]) -> Command {
        let path = self.programs.join(name);
        let mut command = if self.is_root {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        let log =
            File::options().create(true).append(true).open(self.folder.path().join("log")).expect("a log");
        command.args(words).current_dir(self.folder.path()).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a second handle to the log")).stderr(log);
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Debian keeps them apart for each version, and off the path.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = versions.map(|version| version.path().join("bin")).filter(|folder| is_there(folder)).max();
    let path = std::env::var("PATH").unwrap_or_default();
    debian.or_else(|| path.split(':').map(PathBuf::from).find(|folder| is_there(folder)))
}

fn is_there(folder: &Path) -> bool {
    ["initdb", "postgres", "pg_isready"].iter().all(|name| folder.join(name).exists())
}
