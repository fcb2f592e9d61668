//! What can be said on the command line of `partyline load`, and what it comes to.

use std::fs;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};
use sip::Uri;

use super::plan::{Shape, Talk, Who};
use super::speech::Codec;

/// Legs of the room that times the bridge: one sends bursts, two listen.
const PROBES: usize = 3;
/// Bytes of a file of conference IDs: 10,000 of them, each with a remark.
const MOST_IDS: u64 = 1 << 20;

/// Loads a bridge with calls by SIP, and judges what the callers hear.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Start a bridge of our own on loopback, with a configuration made for this run, and load that.
    #[arg(long = "self", conflicts_with_all = ["to", "conference_ids", "ids_from", "server_pid", "from_host"])]
    pub own: bool,
    /// The bridge's number and address, such as sip:+496990009100@192.0.2.10:5060; SIP over UDP.
    #[arg(long, required_unless_present = "own", value_name = "URI")]
    pub to: Option<String>,
    /// Calls, spread evenly over the conferences.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub legs: u32,
    /// Conferences.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rooms: u32,
    /// The conferences' IDs, keyed after the answer and followed by #. One more than --rooms adds a conference of three calls
    /// that times the bridge.
    #[arg(long, value_delimiter = ',', value_name = "ID,ID,...")]
    pub conference_ids: Vec<String>,
    /// A file with one conference ID a line; # begins a remark.
    #[arg(long, conflicts_with = "conference_ids", value_name = "FILE")]
    pub ids_from: Option<PathBuf>,
    /// Keyed after the conference ID, and followed by #.
    #[arg(long, value_name = "DIGITS", value_parser = pin)]
    pub pin: Option<String>,
    /// Who talks: all, percent:20 (of each conference) or talkers:3 (in each conference).
    #[arg(long, default_value = "talkers:3", value_parser = who)]
    pub talk: Who,
    /// After so many seconds others talk; 0: the same legs all the time.
    #[arg(long, default_value_t = 4.0, value_parser = seconds_to_60)]
    pub spurt: f64,
    /// How many talkers the bridge mixes at a time; 0: all of them. Of more in a conference so many must be heard.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub mixed: u16,
    /// What the callers speak.
    #[arg(long, value_enum, default_value_t = Codec::Pcmu)]
    pub codec: Codec,
    /// Whether RTP is encrypted: sdes offers nothing else, with keys in SDP (RFC 4568).
    #[arg(long, value_enum, default_value_t = Srtp::Off)]
    pub srtp: Srtp,
    /// New calls a second.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rate: u32,
    /// How long is measured once everyone is in, in seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: u32,
    /// Keys are pressed so many seconds after the answer.
    #[arg(long, default_value_t = 1.0, value_parser = seconds_to_60)]
    pub key_after: f64,
    /// How long everyone may take to be in their conference after the last key, in seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub join_within: u32,
    /// The address to call from; default: the one that leads to the bridge (with --self 127.0.0.2).
    #[arg(long, value_name = "IP")]
    pub bind: Option<IpAddr>,
    /// The first caller's number; each further one is one higher.
    #[arg(long, default_value = "+493023125000", value_name = "NUMBER", value_parser = number)]
    pub from: String,
    /// The host in From; default: the address called from.
    #[arg(long, value_name = "HOST")]
    pub from_host: Option<String>,
    /// The bridge's process on this machine, to know what it costs.
    #[arg(long, value_name = "PID")]
    pub server_pid: Option<u32>,
    /// Threads that send and receive; one carries a few thousand legs.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub threads: u16,
    /// Feeds everything random.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Write the whole report, leg by leg.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Draw histograms and the CPU over time.
    #[arg(long, value_name = "FILE.png")]
    pub plot: Option<PathBuf>,
    /// With --self: break the mix on purpose (`add-self-back`), which must be noticed.
    #[arg(long, conflicts_with = "to", value_name = "HOW")]
    pub sabotage: Option<String>,
}

/// Whether RTP is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Srtp {
    /// Plain RTP.
    Off,
    /// SRTP with keys in SDP.
    Sdes,
}

fn who(text: &str) -> Result<Who, String> {
    let number =
        |text: &str, most: usize| text.parse::<usize>().ok().filter(|number| (1..=most).contains(number));
    match text.split_once(':') {
        None if text == "all" => Some(Who::All),
        Some(("percent", share)) => number(share, 100).map(|share| Who::Percent(share as u8)),
        Some(("talkers", count)) => number(count, 1000).map(Who::Talkers),
        _ => None,
    }
    .ok_or_else(|| "expected all, percent:1 to percent:100 or talkers:1 to talkers:1000".to_owned())
}

fn seconds_to_60(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.0..=60.0).contains(seconds));
    seconds.ok_or_else(|| "expected seconds from 0 to 60".to_owned())
}

fn pin(text: &str) -> Result<String, String> {
    let good = (1..=32).contains(&text.len()) && text.bytes().all(|key| key.is_ascii_digit() || key == b'*');
    if good { Ok(text.to_owned()) } else { Err("expected 1 to 32 digits".to_owned()) }
}

fn number(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let good = (1..=15).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    if good {
        Ok(text.to_owned())
    } else {
        Err("expected up to 15 digits, with or without a leading +".to_owned())
    }
}

/// A conference to fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Conference {
    /// What is keyed to get in, without the pause before.
    pub(super) keys: String,
    pub(super) shape: Shape,
}

impl Options {
    /// Who talks, as the plan wants it.
    pub(super) fn talking(&self) -> Talk {
        let spurt = (self.spurt > 0.0).then(|| Duration::from_secs_f64(self.spurt));
        Talk { who: self.talk, spurt }
    }

    /// The conferences with their keys; the last one may be the probe.
    pub(super) fn conferences(&self, ids: &[String]) -> anyhow::Result<Vec<Conference>> {
        let (legs, rooms) = (self.legs as usize, self.rooms as usize);
        ensure!(legs >= rooms, "{legs} legs cannot fill {rooms} conferences: name as many legs at least");
        ensure!(
            ids.len() >= rooms,
            "{rooms} conferences need as many conference IDs, {} are given: name more with --conference-ids or --ids-from, or \
             fewer --rooms",
            ids.len()
        );
        let pin = self.pin.as_deref().map(|pin| format!(",{pin}#")).unwrap_or_default();
        let shape = |room| match room {
            _ if room == rooms => Shape { legs: PROBES, probe: true },
            _ => Shape { legs: legs / rooms + usize::from(room < legs % rooms), probe: false },
        };
        let conference = |(room, id): (usize, &String)| {
            let keyed = id.bytes().all(|key| key.is_ascii_digit() || key == b'*');
            ensure!(keyed && !id.is_empty(), "`{id}` is no conference ID: expected digits");
            Ok(Conference { keys: format!("{id}#{pin}"), shape: shape(room) })
        };
        ids.iter().take(rooms + 1).enumerate().map(conference).collect()
    }

    /// Whether the files of the report can be written: better said now than after the run.
    pub(super) fn reports_can_be_written(&self) -> anyhow::Result<()> {
        for path in [&self.json, &self.plot].into_iter().flatten() {
            let open = fs::OpenOptions::new().create(true).append(true).open(path);
            open.with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    /// The conference IDs that were named.
    pub(super) fn ids(&self) -> anyhow::Result<Vec<String>> {
        let Some(file) = &self.ids_from else {
            return Ok(self.conference_ids.clone());
        };
        ids_in(file)
    }

    /// The bridge's number, host and port.
    pub(super) fn target(&self) -> anyhow::Result<(String, String, u16)> {
        let text = self.to.as_deref().context("name the bridge with --to, or take --self")?;
        let uri = Uri::parse(text).with_context(|| format!("--to {text}: expected sip:NUMBER@HOST:PORT"))?;
        let transport = uri.param("transport").flatten().unwrap_or("udp");
        if !text.to_ascii_lowercase().starts_with("sip:") || !transport.eq_ignore_ascii_case("udp") {
            bail!("--to {text}: calls are placed over UDP only: expected sip:NUMBER@HOST:PORT");
        }
        let user = uri.user().with_context(|| format!("--to {text}: the number before the @ is missing"))?;
        let host = uri.host().with_context(|| format!("--to {text}: the host behind the @ is missing"))?;
        Ok((user.into_owned(), host.to_string(), uri.port().unwrap_or(5060)))
    }

    /// Keys of the longest conference ID with its PIN, at most.
    pub(super) fn conferences_keys(&self) -> usize {
        let longest = self.conference_ids.iter().map(String::len).max().unwrap_or(12).max(9);
        // The comma before a PIN waits as long as five keys take.
        longest + 1 + self.pin.as_ref().map_or(0, |pin| pin.len() + 6)
    }

    /// The number of the n-th caller.
    pub(super) fn caller(&self, n: usize) -> String {
        let (plus, digits) = match self.from.strip_prefix('+') {
            Some(digits) => ("+", digits),
            None => ("", self.from.as_str()),
        };
        // Fifteen digits fit; an overflow of the last one grows the number, which is still a number.
        let first: u64 = digits.parse().unwrap_or_default();
        format!("{plus}{:0width$}", first + n as u64, width = digits.len())
    }
}

fn ids_in(file: &Path) -> anyhow::Result<Vec<String>> {
    let mut text = String::new();
    let named = || format!("--ids-from {}", file.display());
    fs::File::open(file)
        .and_then(|open| open.take(MOST_IDS + 1).read_to_string(&mut text))
        .with_context(named)?;
    ensure!(
        text.len() as u64 <= MOST_IDS,
        "{}: more than {MOST_IDS} bytes; expected one conference ID a line",
        named()
    );
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or("").trim());
    Ok(lines.filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn options(words: &str) -> Result<Options, String> {
        let words = std::iter::once("load").chain(words.split_ascii_whitespace());
        Line::try_parse_from(words).map(|line| line.options).map_err(|error| error.to_string())
    }

    #[test]
    fn legs_are_spread_evenly_and_one_more_id_is_the_probe() {
        let options =
            options("--to sip:1@h --legs 7 --rooms 2 --conference-ids 11,22,33,44 --pin 9").unwrap();
        let conferences = options.conferences(&options.ids().unwrap()).unwrap();
        let shapes: Vec<_> = conferences.iter().map(|one| (one.shape.legs, one.shape.probe)).collect();
        assert_eq!(shapes, [(4, false), (3, false), (3, true)]);
        assert_eq!(conferences[1].keys, "22#,9#");
    }

    #[test]
    fn what_does_not_add_up_is_refused_with_what_to_do() {
        let refused = |words: &str| {
            let options = options(words).unwrap();
            options.conferences(&options.ids().unwrap()).unwrap_err().to_string()
        };
        assert!(refused("--to sip:1@h --legs 2 --rooms 3 --conference-ids 1").contains("as many legs"));
        assert!(refused("--to sip:1@h --rooms 3 --conference-ids 1,2").contains("--ids-from"));
        assert!(refused("--to sip:1@h --rooms 1 --conference-ids 1a").contains("`1a` is no conference ID"));
    }

    #[test]
    fn arguments_out_of_bounds_are_refused() {
        for words in [
            "",
            "--self --to sip:1@h",
            "--self --legs 0",
            "--self --legs 20001",
            "--self --rooms 0",
            "--self --talk percent:0",
            "--self --talk percent:101",
            "--self --talk talkers:0",
            "--self --talk some",
            "--self --spurt 61",
            "--self --spurt -1",
            "--self --rate 0",
            "--self --seconds 0",
            "--self --from me",
            "--self --pin x",
            "--self --pin 1#",
            "--self --codec speex",
            "--to sip:1@h --sabotage add-self-back",
        ] {
            assert!(options(words).is_err(), "{words}");
        }
        assert_eq!(options("--self --talk percent:20").unwrap().talk, Who::Percent(20));
        assert_eq!(options("--self --talk all").unwrap().talk, Who::All);
    }

    #[test]
    fn a_file_of_ids_without_end_is_not_read_to_its_end() {
        let endless = ids_in(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(endless.starts_with("--ids-from /dev/zero: more than"), "{endless}");
    }

    #[test]
    fn a_report_that_cannot_be_written_is_said_before_anybody_calls() {
        let options = options("--self --json /nonexistent/report.json").unwrap();
        let refused = format!("{:#}", options.reports_can_be_written().unwrap_err());
        assert!(refused.starts_with("cannot write /nonexistent/report.json: "), "{refused}");
    }

    #[test]
    fn the_target_is_a_sip_uri_over_udp() {
        let target = |to: &str| options(&format!("--to {to}")).unwrap().target();
        assert_eq!(target("sip:+4969@192.0.2.1:5070").unwrap(), ("+4969".into(), "192.0.2.1".into(), 5070));
        assert_eq!(target("sip:9100@bridge.example").unwrap().2, 5060);
        for wrong in ["192.0.2.1", "sip:192.0.2.1", "sip:1@h;transport=tcp", "tel:+4969", "sips:1@h"] {
            assert!(target(wrong).unwrap_err().to_string().contains("--to"), "{wrong}");
        }
    }

    #[test]
    fn callers_are_numbered_on() {
        let numbered = |from: &str, n| options(&format!("--self --from {from}")).unwrap().caller(n);
        assert_eq!(numbered("+493023125000", 7), "+493023125007");
        assert_eq!(numbered("0099", 2), "0101");
    }
}
