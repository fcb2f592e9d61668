//! The configuration: read once, checked whole, before any port is bound.

mod document;
mod problem;

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

pub use document::{Document, Log, LogFormat};
pub use problem::{Problem, Problems};

use crate::sip_io::Listener;
use crate::spool::SpoolOptions;

/// A configuration that cannot be wrong.
pub struct Config {
    /// The node's name in logs and records.
    pub node: String,
    /// Log filter and format.
    pub log: Log,
    /// SIP listeners.
    pub listeners: Vec<Listener>,
    /// The host in Contact and Via, where it differs from the listener's.
    pub advertise: Option<sip::Host>,
    /// `User-Agent` and `Server`.
    pub user_agent: String,
    /// TCP connections one address may hold.
    pub tcp_connections_per_address: usize,
    /// Everything about media.
    pub media: Media,
    /// The HTTP port.
    pub http_listen: SocketAddr,
    /// The bearer token of `/v1`.
    pub token: Option<String>,
    /// Where and how usage records are kept.
    pub spool: SpoolOptions,
    /// The bridge's numbers: timers, attempts, lengths.
    pub bridge: bridge::BridgeConfig,
    /// Dialed-out people must press 1 to join.
    pub confirm_dial_out: bool,
    /// How long a drain waits for legs; `None` until they end themselves.
    pub drain_deadline: Option<Duration>,
    /// Who our peers are.
    pub trunks: Arc<trunk::Trunks>,
    /// Which trunk may carry which leg.
    pub table: Arc<routing::Table>,
    /// The meetings.
    pub directory: Arc<bridge::MemoryDirectory>,
}

/// `[media]`, checked.
pub struct Media {
    /// Where RTP is received.
    pub address: IpAddr,
    /// What SDP says.
    pub advertise: IpAddr,
    /// First and last port.
    pub ports: (u16, u16),
    /// Media threads.
    pub shards: usize,
    /// SCHED_FIFO priority, 0 for none.
    pub realtime_priority: u8,
    /// The prompts' folder and map.
    pub prompts: (PathBuf, Option<PathBuf>),
    /// A leg that sends nothing for so long is hung up.
    pub silence_timeout: Duration,
    /// The demo's proof that it would notice a broken mix.
    pub sabotage: Option<mixer::Sabotage>,
}

impl Config {
    /// Reads and checks a file. All problems are found, not only the first.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Problems(vec![Problem::at_span(
                path,
                "",
                None,
                "",
                format!("cannot be read: {error}"),
                "a readable TOML file",
            )])
        })?;
        Self::parse(path, &text)
    }

    /// Checks `text` as the contents of `path`; relative paths in it are relative to the folder of `path`.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Problems> {
        let document: Document = toml::from_str(text).map_err(|error| {
            let message = error.message().trim().to_owned();
            let (found, expected) = message.split_once(", expected ").unwrap_or((&message, ""));
            // A wrong value is said without its key; that stands on the same line.
            let is_value = ["invalid ", "unknown variant"].iter().any(|word| found.starts_with(word));
            let span = error.span().filter(|_| is_value);
            let key = span.and_then(|span| problem::key_at(text, span.start)).unwrap_or_default();
            Problems(vec![Problem::at_span(path, text, error.span(), key, found, expected)])
        })?;
        Check { path, text, problems: Vec::new() }.config(document)
    }
}

/// The check of one document, gathering problems.
struct Check<'a> {
    path: &'a Path,
    text: &'a str,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn config(mut self, mut document: Document) -> Result<Config, Problems> {
        let listeners = self.listeners(&document.sip.listen);
        let advertise = self.advertise(document.sip.advertise.as_ref(), &listeners);
        let media = self.media(&document.media);
        let token = self.token(document.http.token_file.as_deref());
        let bridge = self.bridge(&document);
        let trunks = self.trunks(&document.trunk, &listeners);
        let tables = document.take_tables();
        let (table, directory) = self.tables(tables, trunks.as_ref(), bridge.as_ref());
        let usage = &document.usage;
        let group = self.within("usage.group_milliseconds", &usage.group_milliseconds, 0..=1000);
        let megabytes = self.within("usage.file_megabytes", &usage.file_megabytes, 0..=1_000_000);
        let spool = SpoolOptions {
            folder: self.resolve(&usage.spool),
            group: Duration::from_millis(group),
            file_limit: megabytes * 1_000_000,
        };
        let connections = &document.sip.tcp_connections_per_address;
        let connections = self.within("sip.tcp_connections_per_address", connections, 1..=100_000);
        self.problems.sort_by_key(|problem| problem.at);
        let (Some(media), Some(bridge), Some(trunks), Some(table), Some(directory), true) =
            (media, bridge, trunks, table, directory, self.problems.is_empty())
        else {
            return Err(Problems(self.problems));
        };
        let drain = document.drain.deadline_seconds;
        let bridge = bridge::BridgeConfig { dial_attempt: longest_attempt(&trunks), ..bridge };
        Ok(Config {
            node: document.node.name,
            log: document.log,
            listeners,
            advertise,
            user_agent: document.sip.user_agent,
            tcp_connections_per_address: connections,
            media,
            http_listen: document.http.listen,
            token,
            spool,
            bridge,
            confirm_dial_out: document.attendant.confirm_dial_out,
            drain_deadline: (drain > 0).then(|| Duration::from_secs(drain)),
            trunks: Arc::new(trunks),
            table: Arc::new(table),
            directory: Arc::new(directory),
        })
    }

    fn problem(&mut self, span: std::ops::Range<usize>, key: &str, found: String, expected: &str) {
        // A default has no place in the file.
        let span = (span.end > span.start).then_some(span);
        self.problems.push(Problem::at_span(self.path, self.text, span, key, found, expected));
    }

    /// The value, which must lie in `range`: a wish that would be bent in silence is refused instead.
    fn within<T: Copy + PartialOrd + std::fmt::Display>(
        &mut self,
        key: &str,
        value: &Spanned<T>,
        range: RangeInclusive<T>,
    ) -> T {
        let found = *value.as_ref();
        if !range.contains(&found) {
            let expected = format!("{} to {}", range.start(), range.end());
            self.problem(value.span(), key, found.to_string(), &expected);
        }
        found
    }

    fn listeners(&mut self, texts: &[Spanned<String>]) -> Vec<Listener> {
        let mut listeners = Vec::new();
        for text in texts {
            let written = text.as_ref();
            let parsed = written.split_once("://").and_then(|(scheme, address)| {
                let transport = match scheme {
                    "udp" => sip::Transport::Udp,
                    "tcp" => sip::Transport::Tcp,
                    _ => return None,
                };
                address.parse().ok().map(|address| Listener { transport, address })
            });
            match parsed {
                Some(listener) => listeners.push(listener),
                None => self.problem(
                    text.span(),
                    "sip.listen",
                    format!("`{written}` is not a listener"),
                    "udp://ADDRESS:PORT or tcp://ADDRESS:PORT",
                ),
            }
        }
        if texts.is_empty() {
            self.problem(
                0..0,
                "sip.listen",
                "no listener".to_owned(),
                "at least one, such as \"udp://127.0.0.1:5060\"",
            );
        }
        listeners
    }

    fn advertise(
        &mut self,
        advertise: Option<&Spanned<String>>,
        listeners: &[Listener],
    ) -> Option<sip::Host> {
        if let Some(host) = advertise {
            let parsed = sip::Host::parse(host.as_ref()).ok();
            if parsed.is_none() {
                let found = format!("`{}` is not a host", host.as_ref());
                self.problem(
                    host.span(),
                    "sip.advertise",
                    found,
                    "a host name or an IP address, without port",
                );
            }
            return parsed;
        }
        if listeners.iter().any(|listener| listener.address.ip().is_unspecified()) {
            let found = "missing, while sip.listen names no address of its own".to_owned();
            self.problem(0..0, "sip.advertise", found, "the host that peers reach this bridge at");
        }
        None
    }

    fn media(&mut self, media: &document::Media) -> Option<Media> {
        let ports = parse_ports(media.ports.as_ref());
        if ports.is_none() {
            let found = format!("`{}` is not a range with room for a leg", media.ports.as_ref());
            self.problem(
                media.ports.span(),
                "media.ports",
                found,
                "two ports like \"20000-20399\", 1024 or above",
            );
        }
        if media.address.is_unspecified() && media.advertise.is_none() {
            let found = "missing, while media.address is unspecified".to_owned();
            self.problem(0..0, "media.advertise", found, "the address that peers send RTP to");
        }
        let sabotage = match media.sabotage.as_ref().map(|text| (text.as_ref().as_str(), text.span())) {
            None => None,
            Some(("add-self-back", _)) => Some(mixer::Sabotage::AddSelfBack),
            Some((other, span)) => {
                self.problem(
                    span,
                    "media.sabotage",
                    format!("`{other}` is unknown"),
                    "add-self-back, or no such key",
                );
                None
            }
        };
        let shards = self.within("media.shards", &media.shards, 0..=256);
        let realtime_priority = self.within("media.realtime_priority", &media.realtime_priority, 0..=99);
        let silence =
            self.within("media.silence_timeout_seconds", &media.silence_timeout_seconds, 1..=86_400);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Some(Media {
            address: media.address,
            advertise: media.advertise.unwrap_or(media.address),
            ports: ports?,
            shards: if shards == 0 { (cores - 1).max(1) } else { shards },
            realtime_priority,
            prompts: (self.resolve(&media.prompts), media.prompt_map.as_deref().map(|map| self.resolve(map))),
            silence_timeout: Duration::from_secs(silence),
            sabotage,
        })
    }

    fn token(&mut self, file: Option<&Path>) -> Option<String> {
        let file = self.resolve(file?);
        let read =
            std::fs::read_to_string(&file).map(|text| text.lines().next().unwrap_or("").trim().to_owned());
        match read {
            Ok(token) if token.len() >= 16 => Some(token),
            Ok(_) => {
                let found = format!("the first line of {} is too short", file.display());
                self.problem(0..0, "http.token_file", found, "a secret of at least 16 characters");
                None
            }
            Err(error) => {
                let found = format!("{}: {error}", file.display());
                self.problem(
                    0..0,
                    "http.token_file",
                    found,
                    "a readable file with the token on its first line",
                );
                None
            }
        }
    }

    fn bridge(&mut self, document: &Document) -> Option<bridge::BridgeConfig> {
        let attendant = &document.attendant;
        let lengths = bridge::MIN_ID_LENGTH..=bridge::MAX_ID_LENGTH;
        let before = self.problems.len();
        let mut config = bridge::BridgeConfig::default();
        config.attendant.id_length =
            self.within("attendant.conference_id_digits", &attendant.conference_id_digits, lengths);
        config.attendant.attempts = self.within("attendant.attempts", &attendant.attempts, 1..=10);
        let first = self.within("attendant.first_digit_seconds", &attendant.first_digit_seconds, 1..=300);
        config.attendant.first_digit = Duration::from_secs(first);
        let next = self.within("attendant.next_digit_seconds", &attendant.next_digit_seconds, 1..=300);
        config.attendant.next_digit = Duration::from_secs(next);
        let seats = &document.media.seats_per_conference;
        config.seats = self.within("media.seats_per_conference", seats, 1..=1000);
        (self.problems.len() == before).then_some(config)
    }

    fn trunks(
        &mut self,
        sources: &[Spanned<trunk::ProfileSource>],
        listeners: &[Listener],
    ) -> Option<trunk::Trunks> {
        let serves = |transport: trunk::Transport, address: SocketAddr| {
            listeners.iter().any(|own| {
                own.transport == sip_transport(transport) && own.address.is_ipv4() == address.is_ipv4()
            })
        };
        for error in trunk::Trunks::unserved(sources, serves) {
            self.engine_problem(error.span, error.key, error.found, error.expected);
        }
        match trunk::Trunks::build(sources) {
            Ok(trunks) => Some(trunks),
            Err(errors) => {
                for error in errors {
                    self.engine_problem(error.span, error.key, error.found, error.expected);
                }
                None
            }
        }
    }

    /// The routing table and the meetings, each against what it refers to.
    fn tables(
        &mut self,
        (source, meetings): (routing::TableSource, Vec<bridge::MeetingSource>),
        trunks: Option<&trunk::Trunks>,
        bridge: Option<&bridge::BridgeConfig>,
    ) -> (Option<routing::Table>, Option<bridge::MemoryDirectory>) {
        let (Some(trunks), Some(bridge)) = (trunks, bridge) else { return (None, None) };
        let table = match routing::Table::build(&source, &trunks.refs()) {
            Ok(table) => Some(table),
            Err(errors) => {
                for error in errors {
                    self.engine_problem(error.span, error.key, error.found, error.expected);
                }
                None
            }
        };
        let Some(built) = &table else { return (None, None) };
        let rules =
            bridge::MeetingRules { id_length: bridge.attendant.id_length, ..bridge::MeetingRules::default() };
        let directory = match bridge::MemoryDirectory::build(&meetings, &rules, built) {
            Ok(directory) => Some(directory),
            Err(errors) => {
                for error in errors {
                    self.engine_problem(error.span, error.key, error.found, error.expected);
                }
                None
            }
        };
        (table, directory)
    }

    fn engine_problem(
        &mut self,
        span: Option<std::ops::Range<usize>>,
        key: String,
        found: String,
        expected: String,
    ) {
        self.problems.push(Problem::at_span(self.path, self.text, span, key, found, expected));
    }

    /// A path of the file, relative to the file's folder.
    fn resolve(&self, path: &Path) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }
}

/// The trunk layer's word for a transport in the signalling engine's.
pub(crate) fn sip_transport(transport: trunk::Transport) -> sip::Transport {
    match transport {
        trunk::Transport::Udp => sip::Transport::Udp,
        trunk::Transport::Tcp => sip::Transport::Tcp,
        trunk::Transport::Tls => sip::Transport::Tls,
    }
}

/// The longest that one attempt may take: every peer of the trunk rings for as long as its profile allows. The bridge
/// gives an attempt up after this, so it must not be shorter.
fn longest_attempt(trunks: &trunk::Trunks) -> Duration {
    let longest = trunks.profiles().iter().map(|profile| {
        let peers = u32::try_from(profile.peers.len()).unwrap_or(u32::MAX);
        (profile.failover_time + profile.ring_for).saturating_mul(peers)
    });
    longest.fold(bridge::BridgeConfig::default().dial_attempt, Duration::max)
}

fn parse_ports(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-')?;
    let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let first_even = first.checked_add(first % 2)?;
    (first >= 1024 && first_even < last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        match Config::parse(Path::new("p.toml"), text) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn an_empty_file_is_a_valid_configuration() {
        assert_eq!(problems(""), Vec::<String>::new());
    }

    #[test]
    fn the_sample_configurations_load() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
        for name in ["partyline.toml", "demo.toml"] {
            if let Err(problems) = Config::load(&folder.join(name)) {
                panic!("{problems}");
            }
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_line_and_the_keys_there_are() {
        let found = problems("[media]\nport = \"20000-20399\"\n");
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("p.toml:2:1: unknown field `port`; expected one of `address`"),
            "{}",
            found[0]
        );
    }

    #[test]
    fn every_problem_of_a_file_is_said_at_once_in_file_order() {
        let text = "[sip]\nlisten = [\"tls://127.0.0.1:5061\"]\n[media]\nports = \"9-8\"\n[attendant]\nconference_id_digits = 6\n";
        let found = problems(text);
        assert_eq!(found.len(), 3, "{found:#?}");
        assert!(found[0].starts_with("p.toml:2:11: `sip.listen`: `tls://127.0.0.1:5061` is not a listener"));
        assert!(found[1].starts_with("p.toml:4:9: `media.ports`"));
        assert!(found[2].starts_with("p.toml:6:24: `attendant.conference_id_digits`: 6; expected 7 to 12"));
    }

    #[test]
    fn a_number_outside_its_range_is_refused_and_not_bent() {
        let table = [
            ("attendant", "first_digit_seconds = 301", "1 to 300"),
            ("attendant", "next_digit_seconds = 0", "1 to 300"),
            ("attendant", "attempts = 11", "1 to 10"),
            ("media", "seats_per_conference = 1001", "1 to 1000"),
            ("media", "silence_timeout_seconds = 0", "1 to 86400"),
            ("media", "realtime_priority = 100", "0 to 99"),
            ("media", "shards = 1000", "0 to 256"),
            ("usage", "group_milliseconds = 1001", "0 to 1000"),
            ("sip", "tcp_connections_per_address = 0", "1 to 100000"),
        ];
        for (section, line, expected) in table {
            let found = problems(&format!("[{section}]\n{line}\n"));
            assert_eq!(found.len(), 1, "{line}: {found:?}");
            let key = line.split(' ').next().unwrap();
            assert!(found[0].contains(&format!("`{section}.{key}`")), "{}", found[0]);
            assert!(found[0].ends_with(&format!("expected {expected}")), "{}", found[0]);
        }
    }

    #[test]
    fn an_attempt_is_given_up_only_after_every_peer_could_have_rung_out() {
        let text = "[[trunk]]\nid = \"acme\"\nkind = \"operator\"\nring_seconds = 600\n\
                    peers = [{ address = \"127.0.0.2\" }, { address = \"127.0.0.3\" }]\n";
        let config = Config::parse(Path::new("p.toml"), text).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(config.bridge.dial_attempt, Duration::from_secs(2 * (600 + 10)));
    }

    /// The keys of a table, as the refusal of an unknown one lists them.
    fn keys_of(header: &str) -> Vec<String> {
        let text = format!("{header}\nnot_a_key = 1\n");
        let error = toml::from_str::<Document>(&text).expect_err(header).to_string();
        let (_, listed) = error.split_once("expected").unwrap_or_else(|| panic!("{header}: {error}"));
        listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn the_commented_configuration_shows_every_key() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/partyline.toml");
        let sample = std::fs::read_to_string(path).unwrap();
        for table in keys_of("") {
            let Some(header) = [format!("[{table}]"), format!("[[{table}]]")].into_iter().find(|header| {
                sample.contains(&format!("\n{header}")) || sample.contains(&format!("\n# {header}"))
            }) else {
                let key = format!("\n# {table} = ");
                assert!(sample.contains(&key), "{table} is missing");
                continue;
            };
            let after = sample.split(&header).skip(1);
            let shown: Vec<&str> = after.map(|rest| rest.split("\n[").next().unwrap()).collect();
            for key in keys_of(&header) {
                let line = |text: &str| {
                    text.contains(&format!("\n{key} = ")) || text.contains(&format!("\n# {key} = "))
                };
                assert!(shown.iter().any(|text| line(text)), "{header} {key} is missing");
            }
        }
    }

    #[test]
    fn an_unspecified_listener_needs_a_name_to_advertise() {
        let found = problems("[sip]\nlisten = [\"udp://0.0.0.0:5060\"]\n");
        assert!(found[0].contains("`sip.advertise`: missing"), "{found:?}");
    }

    #[test]
    fn a_meeting_of_an_unknown_organizer_does_not_load() {
        let found = problems("[[meeting]]\nconference_id = \"314159265\"\norganizer = \"nobody\"\n");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("p.toml:3:13: "), "{}", found[0]);
    }
}
