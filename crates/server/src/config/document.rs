//! The configuration file as it is written: TOML, every key optional, no key unknown.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use routing::Spanned;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defense::Defense;
use super::keys::Keys;
use super::tokens::ApiToken;
use crate::control::Strangers;

/// The whole file. Tables that belong to an engine are that engine's own types.
#[derive(Debug, Default, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Document {
    /// `[node]`: which bridge of several this is
    pub node: Node,
    /// `[log]`: what is logged, and how
    pub log: Log,
    /// `[sip]`: where signaling is received, and under which names
    pub sip: Sip,
    /// `[media]`: where RTP is received, how it is mixed, what callers are told
    pub media: Media,
    /// `[http]`: metrics, health, the API and the public lists
    pub http: Http,
    /// `[[api_token]]`: who may use the API
    pub api_token: Vec<ApiToken>,
    /// `[ctl]`: `partyline ctl`
    pub ctl: Ctl,
    /// `[trace]`: what is kept of the last calls
    pub trace: Trace,
    /// `[hep]`: export of SIP messages to a collector (HEP3)
    pub hep: Hep,
    /// `[recording]`: where recordings go
    pub recording: Recording,
    /// `[usage]`: where usage records go
    pub usage: Usage,
    /// `[store]`: a database for people, numbers, meetings and usage records
    pub store: Option<Store>,
    /// `[attendant]`: how callers are asked
    pub attendant: Attendant,
    /// `[keys]`: what people key in a meeting
    pub keys: Keys,
    /// `[defense]`: the limits against guessed conference IDs and PINs
    pub defense: Defense,
    /// `[drain]`: how the bridge ends
    pub drain: Drain,
    /// `[[trunk]]`: a peer that carries calls
    pub trunk: Vec<Spanned<trunk::ProfileSource>>,
    /// The routing policy of organizers that are granted none, by user or by group. It catches every licensed user.
    pub global_policy: Option<Spanned<String>>,
    /// `[dial_out]`: what no meeting dials
    pub dial_out: routing::DialOutSource,
    /// `[[bridge]]`: an organization's bridge
    pub bridge: Vec<routing::BridgeSource>,
    /// `[[number]]`: a service number
    pub number: Vec<routing::NumberSource>,
    /// `[[organizer]]`: who may hold meetings
    pub organizer: Vec<routing::OrganizerSource>,
    /// `[[group_policy]]`: a routing policy granted to a group
    pub group_policy: Vec<routing::GroupPolicySource>,
    /// `[[policy]]`: an audio-conferencing routing policy
    pub policy: Vec<routing::PolicySource>,
    /// `[[route]]`: a voice route
    pub route: Vec<routing::RouteSource>,
    /// `[billing]`: interim records and the minute pool
    pub billing: bridge::BillingSource,
    /// `[[rate_plan]]`: the prices of one who bills
    pub rate_plan: Vec<bridge::RatePlanSource>,
    /// `[[dial_out_limit]]`: how much dialing out there may be
    pub dial_out_limit: Vec<bridge::DialOutLimitSource>,
    /// `[[meeting]]`: a meeting
    pub meeting: Vec<bridge::MeetingSource>,
}

impl Document {
    /// Takes out what prices and limits are built from.
    pub fn take_tariffs(&mut self) -> bridge::TariffSource {
        bridge::TariffSource {
            billing: std::mem::take(&mut self.billing),
            plans: std::mem::take(&mut self.rate_plan),
            limits: std::mem::take(&mut self.dial_out_limit),
        }
    }

    /// Takes out what routing and the directory are built from.
    pub fn take_tables(&mut self) -> (routing::TableSource, Vec<bridge::MeetingSource>) {
        let source = routing::TableSource {
            global_policy: self.global_policy.take(),
            dial_out: std::mem::take(&mut self.dial_out),
            bridges: std::mem::take(&mut self.bridge),
            numbers: std::mem::take(&mut self.number),
            organizers: std::mem::take(&mut self.organizer),
            group_policies: std::mem::take(&mut self.group_policy),
            policies: std::mem::take(&mut self.policy),
            routes: std::mem::take(&mut self.route),
        };
        (source, std::mem::take(&mut self.meeting))
    }
}

/// `[node]`: which bridge of several this is.
#[derive(Debug, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Node {
    /// The name in logs and usage records.
    pub name: String,
    /// The folder of the last configurations; default: `versions` in `usage.spool`.
    pub versions: Option<PathBuf>,
}

impl Default for Node {
    fn default() -> Self {
        Self { name: "partyline".to_owned(), versions: None }
    }
}

/// `[log]`: what is logged, and how.
#[derive(Debug, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// A filter as `tracing` knows it, `info` or `info,server::control=debug`.
    pub filter: Spanned<String>,
    /// How lines are written.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: Spanned::new(0..0, "info".to_owned()), format: LogFormat::Text }
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[sip]`: where signaling is received, and under which names.
#[derive(Debug, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sip {
    /// Listeners, `udp://ADDRESS:PORT`, `tcp://ADDRESS:PORT` or `tls://ADDRESS:PORT`.
    pub listen: Vec<Spanned<String>>,
    /// The host that peers reach us at, in Contact and Via; default: the listener's address.
    pub advertise: Option<Spanned<String>>,
    /// `User-Agent` and `Server`.
    pub user_agent: String,
    /// How many TCP and TLS connections one address may hold open.
    pub tcp_connections_per_address: Spanned<usize>,
    /// The name servers that are asked where peers are that are given by name; without any, those of the system.
    pub dns: Vec<Spanned<String>>,
    /// What requests get whose source no trunk lists.
    pub strangers: Strangers,
    /// Certificates, needed where `listen` has a `tls://`.
    pub tls: Option<SipTls>,
}

/// `tls` of `[sip]`
#[derive(Debug, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SipTls {
    /// Our certificate with its chain: PEM.
    pub certificate: Spanned<PathBuf>,
    /// The key of `certificate`: PEM.
    pub key: Spanned<PathBuf>,
    /// Who has issued the certificates of our peers: PEM, or `system`.
    #[serde(default = "system")]
    pub roots: Spanned<PathBuf>,
}

fn system() -> Spanned<PathBuf> {
    Spanned::new(0..0, PathBuf::from("system"))
}

impl Default for Sip {
    fn default() -> Self {
        let listen = ["udp://127.0.0.1:5060", "tcp://127.0.0.1:5060"];
        Self {
            listen: listen.into_iter().map(|text| Spanned::new(0..0, text.to_owned())).collect(),
            advertise: None,
            user_agent: format!("partyline/{}", env!("CARGO_PKG_VERSION")),
            tcp_connections_per_address: Spanned::new(0..0, 50),
            dns: Vec::new(),
            strangers: Strangers::default(),
            tls: None,
        }
    }
}

/// `[media]`: where RTP is received, how it is mixed, what callers are told.
#[derive(Debug, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the configuration")]
pub struct Media {
    /// Where RTP is received.
    pub address: Spanned<IpAddr>,
    /// What SDP says instead, behind a one-to-one NAT.
    pub advertise: Option<Spanned<IpAddr>>,
    /// First and last UDP port, `20000-20399`: two for a leg.
    pub ports: Spanned<String>,
    /// Media threads; 0 means one less than there are cores, at least one.
    pub shards: Spanned<usize>,
    /// SCHED_FIFO priority of the media threads; 0 leaves the scheduler alone.
    pub realtime_priority: Spanned<u8>,
    /// Keep each media thread on a core of its own.
    pub pin: bool,
    /// The share of its time that a media thread may be busy; above it new legs are refused.
    pub max_load: Spanned<f64>,
    /// While more than one tick of a hundred is later than this, new legs are refused.
    pub max_late_milliseconds: Spanned<u64>,
    /// The folder of prompts.
    pub prompts: PathBuf,
    /// The language of those.
    pub language: Spanned<String>,
    /// Further languages that numbers may speak: a folder of prompts for each.
    pub prompt_packs: BTreeMap<Spanned<String>, PathBuf>,
    /// A table that maps prompt names to other recordings (see `config/prompts/README.md`).
    pub prompt_map: Option<PathBuf>,
    /// Hang up a leg that has sent nothing for so long, in seconds.
    pub silence_timeout_seconds: Spanned<u64>,
    /// Seats that a conference has room for.
    pub seats_per_conference: Spanned<usize>,
    /// How many of the loudest are heard at once, 1 to 15.
    pub talkers: Spanned<usize>,
    /// Raise quiet talkers and lower loud ones, so that both are understood.
    pub agc: bool,
    /// Keep the echo of legs that send back what they are sent out of the mix.
    pub echo: bool,
    /// Mix at 48 kHz where two legs or more can carry it; otherwise never above 16 kHz.
    pub full_band: bool,
    /// Break the mix on purpose, so that the demo can prove that it would notice.
    pub sabotage: Option<Spanned<String>>,
}

impl Default for Media {
    fn default() -> Self {
        Self {
            address: Spanned::new(0..0, IpAddr::from([127, 0, 0, 1])),
            advertise: None,
            ports: Spanned::new(0..0, "20000-20399".to_owned()),
            shards: Spanned::new(0..0, 0),
            realtime_priority: Spanned::new(0..0, 0),
            pin: false,
            max_load: Spanned::new(0..0, 0.85),
            max_late_milliseconds: Spanned::new(0..0, 20),
            prompts: PathBuf::from("prompts/en-US"),
            language: Spanned::new(0..0, "en-US".to_owned()),
            prompt_packs: BTreeMap::new(),
            prompt_map: None,
            silence_timeout_seconds: Spanned::new(0..0, 30),
            seats_per_conference: Spanned::new(0..0, 300),
            talkers: Spanned::new(0..0, mixer::MixConfig::default().talkers),
            agc: true,
            echo: true,
            full_band: true,
            sabotage: None,
        }
    }
}

/// `[http]`: metrics, health, the API and the public lists.
#[derive(Debug, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Where metrics, health and the API are served.
    pub listen: SocketAddr,
    /// A file whose first line is a bearer token of `/v1` that may do everything.
    pub token_file: Option<PathBuf>,
    /// Requests a second that each token may send; twice as many at once.
    pub requests_per_second: Spanned<u32>,
    /// How often each token may read the event stream at once.
    pub event_readers_per_token: Spanned<usize>,
    /// Connections that one address may hold.
    pub connections_per_address: Spanned<usize>,
    /// The lists of the bridges' numbers are shown to everyone who knows their names.
    pub public_numbers: bool,
    /// Where invitations say that those are: the beginning of a link.
    pub public_url: Option<Spanned<String>>,
}

impl Default for Http {
    fn default() -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 8080));
        Self {
            listen,
            token_file: None,
            requests_per_second: Spanned::new(0..0, 100),
            event_readers_per_token: Spanned::new(0..0, 8),
            connections_per_address: Spanned::new(0..0, 64),
            public_numbers: false,
            public_url: None,
        }
    }
}

/// `[ctl]`: `partyline ctl`.
#[derive(Debug, Default, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ctl {
    /// The Unix socket that `partyline ctl` speaks to; without it there is none.
    pub socket: Option<PathBuf>,
}

/// `[trace]`: what is kept of the last calls.
#[derive(Debug, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Trace {
    /// How many of the last calls' SIP messages are kept in memory; 0 keeps none.
    pub calls: Spanned<usize>,
    /// The most megabytes that they may take.
    pub megabytes: Spanned<usize>,
    /// Keep the last RTP packets of all calls too, in the clear.
    pub capture_media: bool,
    /// The most megabytes that those may take.
    pub media_megabytes: Spanned<usize>,
    /// How many of the last routing decisions are kept in memory; 0 keeps none.
    pub decisions: Spanned<usize>,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            calls: Spanned::new(0..0, 500),
            megabytes: Spanned::new(0..0, 16),
            capture_media: false,
            media_megabytes: Spanned::new(0..0, 16),
            decisions: Spanned::new(0..0, 1000),
        }
    }
}

/// `[hep]`: export of SIP messages to a collector (HEP3).
#[derive(Debug, Default, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hep {
    /// A collector of SIP messages, `udp://ADDRESS:PORT`; without it nothing is exported.
    pub to: Option<Spanned<String>>,
    /// Which of its sources this bridge is.
    pub capture_id: u32,
    /// What it asks for.
    pub password: Option<Spanned<String>>,
}

/// `[recording]`: where recordings go.
#[derive(Debug, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recording {
    /// The folder of recordings; made when the first one begins.
    pub folder: PathBuf,
}

impl Default for Recording {
    fn default() -> Self {
        Self { folder: PathBuf::from("recordings") }
    }
}

/// `[usage]`: where usage records go.
#[derive(Debug, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Usage {
    /// The folder of the usage records' spool.
    pub spool: PathBuf,
    /// How long records are gathered before one fsync, in milliseconds.
    pub group_milliseconds: Spanned<u64>,
    /// `usage.jsonl` is put aside when it has so many megabytes; 0: never.
    pub file_megabytes: Spanned<u64>,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            spool: PathBuf::from("usage"),
            group_milliseconds: Spanned::new(0..0, 10),
            file_megabytes: Spanned::new(0..0, 64),
        }
    }
}

/// `[store]`: a database for people, numbers, meetings and usage records.
#[derive(Debug, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// `sqlite:FILE` or `postgres://USER@HOST/DATABASE`.
    pub url: Spanned<String>,
    /// How often the database is asked whether the directory has changed, in seconds.
    #[serde(default = "five")]
    pub poll_seconds: Spanned<u64>,
    /// Digits of a PIN that `partyline organizer reset-pin` makes, 4 to 12.
    #[serde(default = "five_digits")]
    pub pin_digits: Spanned<usize>,
}

fn five_digits() -> Spanned<usize> {
    Spanned::new(0..0, 5)
}

fn five() -> Spanned<u64> {
    Spanned::new(0..0, 5)
}

/// `[attendant]`: how callers are asked.
#[derive(Debug, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Attendant {
    /// Digits of a conference ID, 7 to 12.
    pub conference_id_digits: Spanned<usize>,
    /// How long the first digit may take, in seconds.
    pub first_digit_seconds: Spanned<u64>,
    /// How long each further digit may take, in seconds.
    pub next_digit_seconds: Spanned<u64>,
    /// How many conference IDs a caller may try.
    pub attempts: Spanned<u32>,
    /// Dialed-out people must press 1 to join.
    pub confirm_dial_out: bool,
    /// Who is alone in a meeting hears that a callee's telephone rings.
    pub ring_back: bool,
}

impl Default for Attendant {
    fn default() -> Self {
        Self {
            conference_id_digits: Spanned::new(0..0, 9),
            first_digit_seconds: Spanned::new(0..0, 10),
            next_digit_seconds: Spanned::new(0..0, 5),
            attempts: Spanned::new(0..0, 3),
            confirm_dial_out: false,
            ring_back: true,
        }
    }
}

/// `[drain]`: how the bridge ends.
#[derive(Debug, Default, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Drain {
    /// After SIGTERM, legs still up after so many seconds are ended; 0 waits until they end themselves.
    pub deadline_seconds: u64,
}
