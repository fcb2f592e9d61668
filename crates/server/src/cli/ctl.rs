//! `partyline ctl`: the engineer's side of the control socket.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{Output, counted, ctl_config, ctl_shown as shown, ctl_usage, private_file};
use crate::ctl::{Act, Heard, Line, Question, Reply, passages_of, sounds_of};
use crate::recording::Format;
use crate::trace::{Sound, ladder, pcap};

/// No bridge answers at the socket.
pub(super) const NOBODY: u8 = 3;
/// Octets that are read of keys to press: more than there may be.
const LONGEST_DIGITS: u64 = 128;

/// What is asked of the running bridge.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration file of the bridge, for its `ctl.socket`.
    #[arg(long, env = "PARTYLINE_CONFIG", global = true, default_value = "partyline.toml")]
    config: PathBuf,
    /// The socket, where there is no configuration file at hand.
    #[arg(long, env = "PARTYLINE_SOCKET", global = true)]
    socket: Option<PathBuf>,
    #[command(flatten)]
    pub(super) output: Output,
    #[command(subcommand)]
    job: Job,
}

#[derive(Debug, Subcommand)]
enum Job {
    /// How the bridge is doing.
    Status,
    /// The trunks.
    #[command(subcommand)]
    Trunk(TrunkJob),
    /// The meetings with somebody in them.
    #[command(subcommand)]
    Conf(ConfJob),
    /// The configurations that the bridge has taken.
    #[command(subcommand)]
    Config(ctl_config::Job),
    /// What another configuration would have made of the last routing decisions: which legs would fail or succeed, take another
    /// trunk, show another number, or be billed by somebody else. Nothing changes.
    WhatIf {
        /// Its file.
        file: PathBuf,
    },
    /// The usage records of this node, and totals of them, as the API has them.
    #[command(subcommand)]
    Usage(ctl_usage::Job),
    /// The SIP messages of one of the last calls as a ladder; without a Call-ID, which calls there are.
    Trace(Trace),
}

#[derive(Debug, Subcommand)]
enum TrunkJob {
    /// All of them.
    Ls,
    /// One of them, with its peers.
    Show {
        /// Its name.
        name: String,
    },
    /// Stop new legs on a trunk; running ones stay. Lasts until undrain or a restart.
    Drain {
        /// Its name.
        name: String,
    },
    /// Resume new legs on a trunk.
    Undrain {
        /// Its name.
        name: String,
    },
}

#[derive(Clone, Debug, Subcommand)]
enum ConfJob {
    /// All of them.
    Ls,
    /// One of them, with its people.
    Show {
        /// Its conference ID.
        id: String,
    },
    /// End it for everyone.
    End {
        /// Its conference ID.
        id: String,
    },
    /// Lock it: nobody may come in any more.
    Lock {
        /// Its conference ID.
        id: String,
        /// Unlock it instead.
        #[arg(long)]
        off: bool,
    },
    /// Let entry and exit be heard.
    Announce {
        /// Its conference ID.
        id: String,
        /// Let nobody hear them instead.
        #[arg(long)]
        off: bool,
    },
    /// Mute somebody, or everybody but the organizers.
    Mute {
        /// Its conference ID.
        id: String,
        /// Who, as `conf show` lists the legs; without it everybody.
        leg: Option<u64>,
        /// They cannot end it themselves.
        #[arg(long)]
        hard: bool,
    },
    /// End a mute, or all that organizers and users have muted.
    Unmute {
        /// Its conference ID.
        id: String,
        /// Who; without it everybody.
        leg: Option<u64>,
    },
    /// Let somebody in from the lobby, or everybody.
    Admit {
        /// Its conference ID.
        id: String,
        /// Who; without it everybody.
        leg: Option<u64>,
    },
    /// Send somebody away from the lobby.
    Reject {
        /// Its conference ID.
        id: String,
        /// Who.
        leg: u64,
    },
    /// Lower somebody's hand.
    LowerHand {
        /// Its conference ID.
        id: String,
        /// Who.
        leg: u64,
    },
    /// Make somebody an organizer.
    Organizer {
        /// Its conference ID.
        id: String,
        /// Who.
        leg: u64,
        /// A participant instead.
        #[arg(long)]
        off: bool,
    },
    /// Hang up on somebody in it, or stop calling him.
    Kick {
        /// Its conference ID.
        id: String,
        /// Who, as `conf show` lists the legs.
        leg: u64,
    },
    /// Call a number and bring whoever answers into it.
    DialOut {
        /// Its conference ID.
        id: String,
        /// The number, as a person would write it.
        number: String,
        /// The callee must press 1 to join; default: as configured.
        #[arg(long)]
        confirm: Option<bool>,
        /// It is your own number: usage records tell it apart.
        #[arg(long)]
        call_me: bool,
    },
    /// Press keys into the call to somebody whom the meeting has dialed; they are read from the input: `echo 4711# | ...`.
    Digits {
        /// Its conference ID.
        id: String,
        /// Who.
        leg: u64,
    },
    /// Record it from now on.
    Record {
        /// Its conference ID.
        id: String,
        /// End the recording instead.
        #[arg(long)]
        stop: bool,
        /// Record nothing for now: the file has a mark there and no silence.
        #[arg(long, conflicts_with = "stop")]
        pause: bool,
        /// Go on after a pause.
        #[arg(long, conflicts_with_all = ["stop", "pause"])]
        resume: bool,
        /// What the file is.
        #[arg(long, value_enum, default_value_t, conflicts_with_all = ["stop", "pause", "resume"])]
        format: Format,
    },
}

#[derive(Debug, Args)]
struct Trace {
    /// The Call-ID, as in the log, the usage records and the SBC's own trace.
    call_id: Option<String>,
    /// In the list: keep-alives and what strangers sent too.
    #[arg(long)]
    all: bool,
    /// Print the messages themselves below the ladder, masked.
    #[arg(short, long)]
    messages: bool,
    /// Write the ladder as a picture.
    #[arg(long, value_name = "FILE", requires = "call_id")]
    svg: Option<PathBuf>,
    /// Write the messages, masked, for tcpdump, Wireshark and sngrep.
    #[arg(long, value_name = "FILE", requires = "call_id")]
    pcap: Option<PathBuf>,
    /// Put the RTP packets of the call into the capture, decrypted; only where `trace.capture_media` keeps them.
    #[arg(long, requires = "pcap")]
    media: bool,
}

/// Exit 0 done, 1 refused or not found, 2 wrong usage or configuration, 3 no bridge answers.
pub(super) fn run(options: &Options) -> ExitCode {
    let socket = match options.socket.clone().map_or_else(|| socket_in(&options.config), Ok) {
        Ok(socket) => socket,
        Err(why) => {
            remark!("{why}");
            return ExitCode::from(2);
        }
    };
    if let Job::Config(job) = &options.job {
        return ctl_config::run(job, options.output, &socket);
    }
    let question = match options.job.question() {
        Ok(question) => question,
        Err(why) => {
            remark!("{why}");
            return ExitCode::from(2);
        }
    };
    let reply = match ask(&socket, &question) {
        Ok(reply) => reply,
        Err(error) => {
            remark!("{}: {error}; is the bridge running, and may you open its socket?", socket.display());
            return ExitCode::from(NOBODY);
        }
    };
    if !reply.is_good() {
        remark!("{}", reply.body["detail"].as_str().unwrap_or("refused without a reason"));
        return ExitCode::FAILURE;
    }
    match options.job.show(options.output, &reply.body) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            remark!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// What must be right in a configuration file to know where the socket is.
#[derive(serde::Deserialize)]
struct OnlyCtl {
    #[serde(default)]
    ctl: Socket,
}

#[derive(Default, serde::Deserialize)]
struct Socket {
    socket: Option<PathBuf>,
}

/// `ctl.socket` of a configuration file, which need not be right otherwise.
fn socket_in(path: &Path) -> Result<PathBuf, String> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        format!("{name}: cannot be read: {error}; name the configuration with --config, or the socket with --socket")
    })?;
    let document: OnlyCtl = toml::from_str(&text).map_err(|error| {
        format!("{name}: {error}name the socket with --socket: the bridge may run all the same")
    })?;
    let socket = document.ctl.socket.ok_or_else(|| {
        format!("{name}: `ctl.socket`: missing; expected [ctl] socket = \"/run/partyline/ctl.sock\", then restart the bridge")
    })?;
    Ok(path.parent().unwrap_or(Path::new("")).join(socket))
}

pub(super) fn ask(socket: &Path, question: &Question) -> std::io::Result<Reply> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(crate::ctl::ask(socket, question))
}

impl ConfJob {
    fn question(&self) -> Result<Question, String> {
        let (id, act) = match self.clone() {
            Self::Ls => return Ok(Question::Conferences),
            Self::Show { id } => return Ok(Question::Conference { id }),
            Self::DialOut { id, number, confirm, call_me } => {
                return Ok(Question::DialOut { id, number, confirm, call_me });
            }
            Self::Digits { id, leg } => return Ok(Question::Digits { id, leg, digits: digits()? }),
            Self::Record { id, pause, resume, .. } if pause || resume => {
                return Ok(Question::PauseRecording { id, paused: pause });
            }
            Self::Record { id, stop, format, .. } => return Ok(Question::Record { id, on: !stop, format }),
            Self::End { id } => (id, Act::End),
            Self::Lock { id, off } => (id, Act::Lock { on: !off }),
            Self::Announce { id, off } => (id, Act::Announce { on: !off }),
            Self::Mute { id, leg, hard } => (id, Act::Mute { leg, hard }),
            Self::Unmute { id, leg } => (id, Act::Unmute { leg }),
            Self::Admit { id, leg } => (id, Act::Admit { leg }),
            Self::Reject { id, leg } => (id, Act::Reject { leg }),
            Self::LowerHand { id, leg } => (id, Act::LowerHand { leg }),
            Self::Organizer { id, leg, off } => (id, Act::Organizer { leg, on: !off }),
            Self::Kick { id, leg } => (id, Act::Kick { leg }),
        };
        Ok(Question::Act { id, act })
    }
}

/// What is to be keyed, from the input: what stands on a command line is seen by everybody on the machine.
fn digits() -> Result<String, String> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(LONGEST_DIGITS).read_to_string(&mut text);
    read.map_err(|error| format!("the input cannot be read: {error}"))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

impl Job {
    fn question(&self) -> Result<Question, String> {
        Ok(match self {
            Self::Status => Question::Status,
            Self::Trunk(TrunkJob::Ls) => Question::Trunks,
            Self::Trunk(TrunkJob::Show { name }) => Question::Trunk { name: name.clone() },
            Self::Trunk(TrunkJob::Drain { name }) => {
                Question::DrainTrunk { name: name.clone(), draining: true }
            }
            Self::Trunk(TrunkJob::Undrain { name }) => {
                Question::DrainTrunk { name: name.clone(), draining: false }
            }
            Self::Conf(job) => return job.question(),
            // It asks for itself.
            Self::Config(_) => Question::Versions,
            Self::WhatIf { file } => {
                let read = std::fs::read_to_string(file);
                let read = read.map_err(|error| format!("{}: cannot be read: {error}", file.display()))?;
                Question::WhatIf { config: read }
            }
            Self::Usage(job) => job.question(),
            Self::Trace(Trace { call_id: Some(call_id), media, .. }) => {
                Question::Trace { call_id: call_id.clone(), media: *media }
            }
            Self::Trace(Trace { all, .. }) => Question::Calls { all: *all },
        })
    }

    fn show(&self, output: Output, body: &Value) -> Result<(), String> {
        let call = match self {
            Self::Trace(trace) if trace.call_id.is_some() => Some((trace, call_of(body)?)),
            _ => None,
        };
        if let Some((trace, call)) = &call {
            trace.write_files(call, body)?;
        }
        if output.is_json() {
            say!("{}", serde_json::to_string_pretty(body).map_err(|error| error.to_string())?);
            return Ok(());
        }
        match (self, call) {
            (Self::Status, _) => shown::status(body),
            (Self::Trunk(TrunkJob::Ls), _) => shown::trunks(body),
            (Self::Trunk(_), _) => shown::trunk(body),
            (Self::Conf(ConfJob::Ls), _) => shown::conferences(body),
            (Self::Conf(ConfJob::Show { .. }), _) => shown::conference(body),
            (Self::Conf(_), _) => shown::done(body),
            (Self::WhatIf { .. }, _) => shown::what_if(body),
            (Self::Config(_), _) => shown::versions(body),
            (Self::Usage(job), _) => job.show(body),
            (Self::Trace(trace), Some((_, call))) => {
                say!("{}", call.to_text());
                if trace.messages {
                    shown::messages(&call);
                }
            }
            (Self::Trace(_), None) => shown::calls(body),
        }
        Ok(())
    }
}

impl Trace {
    /// Writes the files that were asked for, and says of each what is in it and what is not.
    fn write_files(&self, call: &ladder::Call, body: &Value) -> Result<(), String> {
        let messages = counted(call.messages.len(), "message");
        if let Some(file) = &self.svg {
            put(file, call.to_picture().to_svg().as_bytes(), &messages)?;
        }
        if let Some(file) = &self.pcap {
            let sounds = sounds_in(body)?;
            let capture = pcap::write_call(&call.messages, &sounds);
            if self.media {
                put(file, &capture, &format!("{messages}, {}", counted(sounds.len(), "RTP packet")))?;
            } else {
                put(file, &capture, &messages)?;
            }
            for hole in holes_in(body) {
                remark!("{hole}");
            }
        }
        Ok(())
    }
}

/// Writes a file, and says so beside the answer: standard output is for that alone.
fn put(file: &Path, bytes: &[u8], holds: &str) -> Result<(), String> {
    private_file::write(file, bytes)?;
    remark!("{}: written: {holds}, {}", file.display(), counted(bytes.len(), "byte"));
    Ok(())
}

fn call_of(body: &Value) -> Result<ladder::Call, String> {
    let lines: Vec<Line> = serde_json::from_value(body["messages"].clone()).map_err(|error| {
        format!("the bridge's answer is not understood: {error}; is it of another version?")
    })?;
    let messages =
        passages_of(&lines).ok_or("the bridge's answer is not understood; is it of another version?")?;
    let names = lines.into_iter().filter_map(|line| Some((line.remote, line.trunk?)));
    Ok(ladder::Call {
        call_id: body["call_id"].as_str().unwrap_or_default().to_owned(),
        dropped: body["dropped"].as_u64().unwrap_or_default(),
        names: names.collect(),
        messages,
    })
}

/// The RTP packets in the bridge's answer; none where none were asked for.
fn sounds_in(body: &Value) -> Result<Vec<Sound>, String> {
    let told: Option<Vec<Heard>> = serde_json::from_value(body["media"].clone()).map_err(|error| {
        format!("the bridge's answer is not understood: {error}; is it of another version?")
    })?;
    let sounds = sounds_of(&told.unwrap_or_default());
    sounds.ok_or_else(|| "the bridge's answer is not understood; is it of another version?".to_owned())
}

/// What is missing in the media of the bridge's answer.
fn holes_in(body: &Value) -> Vec<String> {
    let count = |key: &str| body[key].as_u64().filter(|count| *count > 0);
    let left_out = count("media_left_out").map(|packets| {
        format!("only the latest RTP packets of the call are in the capture; {packets} older ones are not")
    });
    let dropped = count("media_dropped").map(|packets| {
        format!(
            "the capture may have holes: {packets} RTP packets, of all calls since the bridge was started, were dropped \
             because it was busy"
        )
    });
    left_out.into_iter().chain(dropped).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_capture_that_is_not_whole_says_what_is_missing() {
        let whole = json!({ "media": [], "media_left_out": 0, "media_dropped": 0 });
        assert!(holes_in(&whole).is_empty());
        assert!(holes_in(&json!({ "messages": [] })).is_empty(), "no media was asked for");
        let holes = holes_in(&json!({ "media_left_out": 12, "media_dropped": 34 }));
        assert_eq!(holes.len(), 2);
        assert!(
            holes[0].contains("12 older ones are not") && holes[1].contains("34 RTP packets"),
            "{holes:?}"
        );
    }
}
