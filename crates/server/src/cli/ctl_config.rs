//! `partyline ctl config`: the configurations that the bridge has taken, what differs between them, and back to one of them.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::Value;

use super::ctl::{NOBODY, ask};
use super::{Output, ctl_shown as shown};
use crate::config::Config;
use crate::ctl::{Question, Reply};
use crate::versions::{difference, filled};

/// What the bridge answers when nothing of a file was taken.
const REFUSED: u16 = 409;

#[derive(Debug, Subcommand)]
pub(super) enum Job {
    /// Those that are kept, and which is in force.
    Ls,
    /// One of them, without its secrets.
    Show {
        /// Its number.
        number: u64,
    },
    /// What differs between two of them.
    Diff {
        /// The number of the one.
        from: u64,
        /// The number of the other.
        to: u64,
    },
    /// Put one of them in the place of the configuration file, with the secrets that the file has now, and have the bridge read
    /// it: the trunks and the directory are as they were at once, what else differs is named and needs a restart.
    Rollback {
        /// Its number.
        number: u64,
    },
}

/// What went wrong.
enum Failure {
    /// The bridge, or a file.
    Refused(String),
    /// What would be put there is wrong.
    Wrong(String),
    /// Nobody answers, or not what came of it.
    Nobody(String),
}

/// Exit 0 done, 1 refused or not found, 2 what would be put there is wrong, 3 no bridge answers or what came of it is not known.
pub(super) fn run(job: &Job, output: Output, socket: &Path) -> ExitCode {
    let (why, code) = match job.run(output, socket) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Refused(why)) => (why, ExitCode::FAILURE),
        Err(Failure::Wrong(why)) => (why, ExitCode::from(2)),
        Err(Failure::Nobody(why)) => (why, ExitCode::from(NOBODY)),
    };
    remark!("{why}");
    code
}

impl Job {
    fn run(&self, output: Output, socket: &Path) -> Result<(), Failure> {
        match *self {
            Self::Ls => {
                let body = told(socket, &Question::Versions)?;
                print(output, &body, || shown::versions(&body));
            }
            Self::Show { number } => {
                let body = told(socket, &Question::Version { number })?;
                print(output, &body, || say!("{}", text(&body).trim_end()));
            }
            Self::Diff { from, to } => {
                let (old, new) = (
                    told(socket, &Question::Version { number: from })?,
                    told(socket, &Question::Version { number: to })?,
                );
                let lines = difference(text(&old), text(&new));
                print(output, &serde_json::json!({ "from": from, "to": to, "lines": lines }), || {
                    for line in &lines {
                        say!("{line}");
                    }
                });
            }
            Self::Rollback { number } => {
                let in_force = rollback(socket, number)?;
                print(output, &in_force, || {
                    say!(
                        "version {number} is in force again, as version {}: its trunks, bridges, numbers, organizers, policies, \
                         routes and meetings",
                        in_force["number"]
                    );
                    shown::restart(&in_force);
                });
            }
        }
        Ok(())
    }
}

fn print(output: Output, body: &Value, table: impl FnOnce()) {
    if output.is_json() {
        say!("{}", serde_json::to_string_pretty(body).unwrap_or_default());
    } else {
        table();
    }
}

fn text(body: &Value) -> &str {
    body["text"].as_str().unwrap_or_default()
}

fn told(socket: &Path, question: &Question) -> Result<Value, Failure> {
    let reply: Reply = ask(socket, question).map_err(|error| {
        let name = socket.display();
        Failure::Nobody(format!("{name}: {error}; is the bridge running, and may you open its socket?"))
    })?;
    if reply.is_good() { Ok(reply.body) } else { Err(Failure::Refused(reason(&reply))) }
}

fn reason(reply: &Reply) -> String {
    reply.body["detail"].as_str().unwrap_or("refused without a reason").to_owned()
}

/// Has the bridge read the file, and puts the old text back where it says that it takes nothing of it. Without an answer it may
/// have taken it, or do so in a moment: the file must not say something else then than what runs.
fn reload(socket: &Path, path: &Path, before: &str) -> Result<Value, Failure> {
    let why = match ask(socket, &Question::Reload) {
        Ok(reply) if reply.is_good() => return Ok(reply.body),
        Ok(reply) if reply.status == REFUSED => {
            match replace(path, before) {
                Ok(()) => remark!("{}: is as it was", path.display()),
                Err(error) => remark!("{}: cannot be put back: {error}", path.display()),
            }
            return Err(Failure::Refused(reason(&reply)));
        }
        Ok(reply) => reason(&reply),
        Err(error) => error.to_string(),
    };
    Err(Failure::Nobody(format!(
        "{why}; {} is written, and whether the bridge has taken it is not known: `partyline ctl config ls` says what is in \
         force, SIGHUP has the file read again",
        path.display()
    )))
}

/// Writes the file, has it read, and puts the old one back where the bridge refuses it.
fn rollback(socket: &Path, number: u64) -> Result<Value, Failure> {
    let version = told(socket, &Question::Version { number })?;
    let named = Path::new(version["path"].as_str().unwrap_or_default());
    // Where a link leads to: a file in the place of the link would be another than whoever made the link writes to.
    let path = fs::canonicalize(named).unwrap_or_else(|_| named.to_owned());
    let said = |error: io::Error| Failure::Refused(format!("{}: {error}", path.display()));
    let before = fs::read_to_string(&path).map_err(said)?;
    let whole = filled(text(&version), &before).map_err(|missing| {
        Failure::Wrong(format!(
            "secrets are kept in no version, and the file has none for: {}; write them into {} first",
            missing.join(", "),
            path.display()
        ))
    })?;
    // What it names is looked for from the folder where the bridge finds the file.
    let checked = beside(named);
    put(&path, &checked, &whole).map_err(said)?;
    let right = Config::load(&checked);
    // Nothing more can be done about what cannot be removed.
    let _ = fs::remove_file(&checked);
    if let Err(problems) = right {
        return Err(Failure::Wrong(format!("version {number} is not right here and now:\n{problems}")));
    }
    replace(&path, &whole).map_err(said)?;
    reload(socket, &path, &before)
}

/// Another text in a file, in one step.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let beside = beside(path);
    put(path, &beside, text)?;
    fs::rename(&beside, path)
}

/// A name in the same folder, so that taking the place of the other is one step.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".rollback");
    path.with_file_name(name)
}

/// Writes a file with the mode of another one.
fn put(like: &Path, file: &Path, text: &str) -> io::Result<()> {
    let there = fs::metadata(like)?;
    let _ = fs::remove_file(file);
    let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    made.set_permissions(there.permissions())?;
    // Root may have it, and the bridge must read it; whoever may not give it away has it himself.
    let _ = std::os::unix::fs::fchown(&made, Some(there.uid()), Some(there.gid()));
    made.write_all(text.as_bytes())?;
    made.sync_all()
}
