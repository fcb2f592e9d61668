//! Other programs as child processes: started with a log, ended by their own process id.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// No test runs longer; a program that outlives its test by an accident is ended by `timeout`.
const LONGEST: &str = "120";
const GRACE: Duration = Duration::from_secs(5);

/// A running program. Dropping it ends it: SIGTERM, and SIGKILL to what does not listen.
pub(crate) struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts `command` with its output in `log`.
    pub(crate) fn start(command: &[&str], folder: &Path, log: &str) -> Self {
        fs::create_dir_all(folder).expect("a folder for the peer");
        let log = folder.join(log);
        let file = File::create(&log).expect("a log file");
        let child = Command::new("timeout")
            .args(["--kill-after=2", LONGEST])
            .args(command)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle to the log"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|why| panic!("cannot start {command:?}: {why}"));
        Self { child, log }
    }

    /// Everything it has printed.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Its exit status, once it has ended by itself.
    pub(crate) async fn ended(&mut self, within: Duration) -> Option<ExitStatus> {
        let began = Instant::now();
        while began.elapsed() < within {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        None
    }

    /// SIGTERM, and its exit status.
    pub(crate) async fn stop(mut self) -> Option<ExitStatus> {
        self.signal(Signal::SIGTERM);
        self.ended(GRACE).await
    }

    /// Its end from one moment to the next, as by a power cut: it says nothing to anybody any more.
    pub(crate) fn kill(self) {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("it runs");
        let program: i32 = children.trim().parse().expect("one program behind `timeout`");
        kill(Pid::from_raw(program), Signal::SIGKILL).expect("it is ours");
    }

    fn signal(&self, signal: Signal) {
        // An error means that it has ended already.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), signal);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        self.signal(Signal::SIGTERM);
        let began = Instant::now();
        while began.elapsed() < GRACE {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
