//! The configuration: read once, checked whole, before any port is bound.

mod check;
mod defense;
mod document;
mod http;
mod keys;
mod languages;
mod problem;
mod reference;
mod schema;
mod sources;
mod tls;
mod tokens;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use check::Check;
pub use document::{Document, Log, LogFormat};
pub use problem::{Problem, Problems};
pub use reference::reference;
pub use schema::schema_text;
pub use sources::{Built, Sources};

use routing::Language;

use crate::control::{LoadLimits, Strangers};
use crate::media::realtime::Scheduling;
use crate::sip_io::Listener;
use crate::spool::SpoolOptions;
use crate::store::{Rows, Store, StoreError, StoreOptions};
use crate::tls::Tls;

/// A configuration that cannot be wrong.
pub struct Config {
    /// The file that it was read from.
    pub path: PathBuf,
    /// The node's name in logs and records.
    pub node: String,
    /// Where the last configurations are kept.
    pub versions: PathBuf,
    /// Log filter and format.
    pub log: Log,
    /// SIP listeners.
    pub listeners: Vec<Listener>,
    /// The host in Contact and Via, where it differs from the listener's.
    pub advertise: Option<sip::Host>,
    /// What single listeners are called instead.
    pub advertised: Vec<sip::Advertised>,
    /// `User-Agent` and `Server`.
    pub user_agent: String,
    /// TCP and TLS connections one address may hold.
    pub tcp_connections_per_address: usize,
    /// Name servers; without any, those of the system.
    pub dns: Vec<SocketAddr>,
    /// What strangers get.
    pub strangers: Strangers,
    /// The certificates, where SIP is spoken over TLS.
    pub tls: Option<Arc<Tls>>,
    /// Everything about media.
    pub media: Media,
    /// The HTTP port.
    pub http: Http,
    /// The bearer tokens of `/v1`.
    pub tokens: Vec<Arc<crate::http::Token>>,
    /// The control socket.
    pub ctl_socket: Option<PathBuf>,
    /// How much of the SIP messages that passed is kept.
    pub trace: crate::trace::Limits,
    /// How many of the last routing decisions are kept.
    pub decisions: usize,
    /// How many bytes of RTP packets are kept in the clear; `None`: none, which is the default.
    pub capture: Option<usize>,
    /// Where SIP messages are exported to.
    pub hep: Option<crate::trace::Collector>,
    /// Where recordings of meetings are written.
    pub recordings: PathBuf,
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
    /// What legs cost, and may cost.
    pub tariffs: Arc<bridge::Tariffs>,
    /// The database, where there is one.
    pub store: Option<StoreOptions>,
    /// What `table` and `directory` were made of, besides the rows of the database.
    pub sources: Arc<Sources>,
    /// The change of the database that they are the result of; 0 without one.
    pub directory_version: i64,
    /// What of that change is remembered, so that the next one can be told.
    pub directory_known: crate::store::Known,
}

/// `[http]`, checked.
pub struct Http {
    /// Where it is.
    pub listen: SocketAddr,
    /// Requests a second that each token may send.
    pub requests_per_second: u32,
    /// How often each token may read the event stream at once.
    pub event_readers_per_token: usize,
    /// Connections that one address may hold.
    pub connections_per_address: usize,
    /// The lists of the bridges' numbers are shown.
    pub public_numbers: bool,
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
    /// What the media threads ask of the kernel's scheduler.
    pub scheduling: Scheduling,
    /// How busy a media thread may be.
    pub limits: LoadLimits,
    /// The prompts' folder and map.
    pub prompts: (PathBuf, Option<PathBuf>),
    /// The language of those prompts.
    pub language: Language,
    /// The folders of further languages.
    pub prompt_packs: BTreeMap<Language, PathBuf>,
    /// A leg that sends nothing for so long is hung up.
    pub silence_timeout: Duration,
    /// How conferences mix.
    pub mix: mixer::MixConfig,
}

impl Config {
    /// Reads and checks a file, with the rows of its database. All problems are found, not only the first. Nothing is made
    /// or changed: a database that nobody has used yet is as good as an empty one.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        Self::read(path, |store| async move { Store::look(&store.url).await })
    }

    /// The same for whoever is going to use the database: it is made where there is none, and its tables are brought up to
    /// date first.
    pub fn load_and_prepare(path: &Path) -> Result<Self, Problems> {
        Self::read(path, |store| async move {
            let open = Store::open(&store.url).await?;
            let rows = open.rows().await;
            open.close().await;
            rows
        })
    }

    fn read<F>(path: &Path, rows: impl FnOnce(StoreOptions) -> F + Send) -> Result<Self, Problems>
    where
        F: Future<Output = Result<Rows, StoreError>>,
    {
        let text = read_file(path)?;
        let document = Self::document(path, &text)?;
        let mut check = Check::new(path, &text);
        let options = document.store.as_ref().and_then(|store| check.store(store));
        let rows = match options {
            Some(options) => {
                apart(|| rows(options)).map_err(|error| check.store_problem(&document, &error))?
            }
            None => Rows::default(),
        };
        Check::new(path, &text).config(document, &rows)
    }

    /// Checks `text` as the contents of `path`, without asking any database; relative paths in it are relative to the
    /// folder of `path`.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Problems> {
        let document = Self::document(path, text)?;
        Check::new(path, text).config(document, &Rows::default())
    }

    /// What routing would be by `text`, with these rows of a database: nothing else of it is looked at, and no file that it
    /// names is read. Mistakes are said to be in `name`.
    pub fn routing(name: &Path, text: &str, rows: &Rows) -> Result<Arc<routing::Table>, Problems> {
        let document = Self::document(name, text)?;
        Check::new(name, text).routing(document, rows)
    }

    /// What a change of the database's directory is checked with, and where that is. The rows that are there already are not
    /// looked at: they may be what is to be mended.
    pub fn directory(path: &Path) -> Result<(StoreOptions, Sources), Problems> {
        let text = read_file(path)?;
        let document = Self::document(path, &text)?;
        Check::new(path, &text).directory(document)
    }

    fn document(path: &Path, text: &str) -> Result<Document, Problems> {
        toml::from_str(text).map_err(|error| {
            let message = error.message().trim().to_owned();
            let (found, expected) = message.split_once(", expected ").unwrap_or((&message, ""));
            let (found, expected) = in_words(found, expected);
            // A wrong value is said without its key; that stands on the same line.
            let is_value = ["invalid ", "unknown variant"].iter().any(|word| found.starts_with(word));
            let span = error.span().filter(|_| is_value);
            let key = span.and_then(|span| problem::key_at(text, span.start)).unwrap_or_default();
            Problems(vec![Problem::at_span(path, text, error.span(), key, found, expected)])
        })
    }

    /// Where we listen over TCP.
    pub fn tcp_listeners(&self) -> Vec<SocketAddr> {
        let tcp = self.listeners.iter().filter(|own| own.transport == sip::Transport::Tcp);
        tcp.map(|own| own.address).collect()
    }
}

fn read_file(path: &Path) -> Result<String, Problems> {
    std::fs::read_to_string(path).map_err(|error| {
        Problems(vec![Problem::at_span(
            path,
            "",
            None,
            "",
            format!("cannot be read: {error}"),
            "a readable TOML file",
        )])
    })
}

/// Waits for the database on a thread of its own: whoever loads a configuration may have a runtime already, or none.
fn apart<F, T>(work: impl FnOnce() -> F + Send) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
    T: Send,
{
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| StoreError::Database(error.into()))?.block_on(work())
    };
    // A panic in there is our own bug and goes on here.
    std::thread::scope(|scope| scope.spawn(run).join().unwrap_or_else(|why| std::panic::resume_unwind(why)))
}

/// What was found and what serde expects, without the names of Rust's types.
fn in_words<'a>(found: &'a str, expected: &'a str) -> (&'a str, &'a str) {
    let expected = match (found, expected) {
        ("wanted string or table", _) => return ("invalid type", "a string"),
        ("invalid IP address syntax", "") => "an IP address",
        ("invalid socket address syntax", "") => "an IP address with its port, as 127.0.0.1:8080",
        (_, "u8") => "a whole number from 0 to 255",
        (_, "u16") => "a whole number from 0 to 65535",
        (_, "u32" | "u64" | "usize") => "a whole number from 0",
        (_, "f64") => "a number",
        (_, other) if other.starts_with("struct ") => "a table",
        (_, other) => other,
    };
    (found, expected)
}

/// The trunk layer's word for a transport in the signalling engine's.
pub(crate) fn sip_transport(transport: trunk::Transport) -> sip::Transport {
    match transport {
        trunk::Transport::Udp => sip::Transport::Udp,
        trunk::Transport::Tcp => sip::Transport::Tcp,
        trunk::Transport::Tls => sip::Transport::Tls,
    }
}

/// The signalling engine's word for a transport in the trunk layer's.
pub(crate) fn trunk_transport(transport: sip::Transport) -> trunk::Transport {
    match transport {
        sip::Transport::Udp => trunk::Transport::Udp,
        sip::Transport::Tcp => trunk::Transport::Tcp,
        sip::Transport::Tls => trunk::Transport::Tls,
    }
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
        let text = "[sip]\nlisten = [\"tls:127.0.0.1:5061\"]\n[media]\nports = \"9-8\"\n[attendant]\nconference_id_digits = 6\n";
        let found = problems(text);
        assert_eq!(found.len(), 3, "{found:#?}");
        assert!(found[0].starts_with("p.toml:2:11: `sip.listen`: `tls:127.0.0.1:5061` is not a listener"));
        assert!(found[1].starts_with("p.toml:4:9: `media.ports`"));
        assert!(found[2].starts_with("p.toml:6:24: `attendant.conference_id_digits`: 6; expected 7 to 12"));
    }

    #[test]
    fn a_number_outside_its_range_is_refused_and_not_bent() {
        let table = [
            ("http", "requests_per_second = 0", "1 to 10000"),
            ("http", "event_readers_per_token = 65", "1 to 64"),
            ("http", "connections_per_address = 0", "1 to 256"),
            ("attendant", "first_digit_seconds = 301", "1 to 300"),
            ("attendant", "next_digit_seconds = 0", "1 to 300"),
            ("attendant", "attempts = 11", "1 to 10"),
            ("media", "seats_per_conference = 1001", "1 to 1000"),
            ("media", "silence_timeout_seconds = 0", "1 to 86400"),
            ("media", "realtime_priority = 100", "0 to 99"),
            ("media", "shards = 1000", "0 to 256"),
            ("media", "talkers = 16", "1 to 15"),
            ("media", "max_load = 1.5", "0.05 to 1"),
            ("media", "max_late_milliseconds = 0", "1 to 10000"),
            ("usage", "group_milliseconds = 1001", "0 to 1000"),
            ("sip", "tcp_connections_per_address = 0", "1 to 100000"),
            ("trace", "calls = 100001", "0 to 100000"),
            ("trace", "megabytes = 0", "1 to 4096"),
            ("trace", "decisions = 100001", "0 to 100000"),
            ("trace", "media_megabytes = 0", "1 to 4096"),
            ("sip", "dns = [\"ns.example.net\"]", "a name server's IP or IP:port"),
            ("keys", "prefix = \"**\"", "\"*\" or \"#\""),
            ("keys", "mute = \"6a\"", "1 to 3 digits, or \"\" for a command that nobody can key"),
            (
                "keys",
                "mute = \"2\"",
                "digits that do not begin those of `keys.admit_all`, nor begin with them",
            ),
            ("keys", "lock = \"61\"", "digits that do not begin those of `keys.mute`, nor begin with them"),
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
    fn a_log_filter_that_would_silence_the_log_is_refused() {
        for wrong in ["verbos", "info,loud", "a=b=c"] {
            let found = problems(&format!("[log]\nfilter = \"{wrong}\"\n"));
            assert!(
                found[0].starts_with(&format!("p.toml:2:10: `log.filter`: `{wrong}` is not")),
                "{found:?}"
            );
        }
        for right in ["warn", "Info,server::control=debug", "off"] {
            let text = format!("[log]\nfilter = \"{right}\"\n");
            Config::parse(Path::new("p.toml"), &text).unwrap_or_else(|problems| panic!("{problems}"));
        }
    }

    #[test]
    fn a_wrong_type_is_said_without_the_names_of_rust() {
        let found = problems("[media]\nshards = \"two\"\n");
        assert_eq!(
            found,
            ["p.toml:2:10: `media.shards`: invalid type: string \"two\"; expected a whole number from 0"]
        );
    }

    #[test]
    fn every_value_of_a_wrong_type_is_said_with_its_key_and_what_is_expected() {
        let trunk = "[[trunk]]\nid = \"a\"\nkind = \"operator\"\npeers = [{ address = \"127.0.0.2\" }]\n";
        for (line, said) in [
            ("codecs = [1]", "5:11: `trunk.codecs`: invalid type; expected a string"),
            ("srtp = true", "5:8: `trunk.srtp`: invalid type; expected a string"),
            ("opus = 5", "5:8: `trunk.opus`: invalid type: integer `5`; expected a table"),
        ] {
            assert_eq!(problems(&format!("{trunk}{line}\n")), [format!("p.toml:{said}")]);
        }
        for (text, said) in [
            (
                "[media]\naddress = \"x\"",
                "2:11: `media.address`: invalid IP address syntax; expected an IP address",
            ),
            (
                "[media]\nmax_load = \"x\"",
                "2:12: `media.max_load`: invalid type: string \"x\"; expected a number",
            ),
            (
                "[http]\nlisten = \"8080\"",
                "2:10: `http.listen`: invalid socket address syntax; expected an IP address with its port, as 127.0.0.1:8080",
            ),
        ] {
            assert_eq!(problems(text), [format!("p.toml:{said}")]);
        }
    }

    #[test]
    fn media_comes_to_one_machine() {
        for (key, address) in [
            ("address", "224.0.0.1"),
            ("address", "255.255.255.255"),
            ("advertise", "ff02::1"),
            ("advertise", "0.0.0.0"),
        ] {
            let found = problems(&format!("[media]\n{key} = \"{address}\"\n"));
            assert_eq!(
                found,
                [format!(
                    "p.toml:2:{}: `media.{key}`: {address}; expected the address of one machine",
                    key.len() + 4
                )]
            );
        }
    }

    #[test]
    fn srtp_over_a_network_is_refused_with_line_key_and_what_to_do() {
        let trunk = |address: &str| {
            format!(
                "[sip]\nlisten = [\"udp://127.0.0.1:5060\"]\n[[trunk]]\nid = \"acme\"\nkind = \"operator\"\n\
                 peers = [{{ address = \"{address}\" }}]\nsrtp = \"mandatory\"\n"
            )
        };
        assert_eq!(problems(&trunk("127.0.0.2")), Vec::<String>::new());
        let found = problems(&trunk("192.0.2.10"));
        let begin = "p.toml:7:8: `trunk.acme.srtp`: \"mandatory\" while the peer 192.0.2.10 is not on loopback; expected transport = \"tls\"";
        assert!(found.len() == 1 && found[0].starts_with(begin), "{found:#?}");
        let everywhere = trunk("127.0.0.2").replace("udp://127.0.0.1", "udp://192.0.2.9");
        let found = problems(&everywhere);
        assert!(found[0].contains("the listener 192.0.2.9 is not on loopback"), "{found:#?}");
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
    fn a_listener_may_be_known_by_a_name_and_port_of_its_own() {
        let text = "[sip]\nlisten = [\"udp://0.0.0.0:5060 as bridge.example.net\", \"tcp://[::]:5060 as [2001:db8::9]:5070\"]\n";
        let config = Config::parse(Path::new("p.toml"), text).unwrap_or_else(|problems| panic!("{problems}"));
        let named = |at: usize| {
            let name = &config.advertised[at].name;
            (name.host.to_string(), name.port)
        };
        assert_eq!(named(0), ("bridge.example.net".to_owned(), None));
        assert_eq!(named(1), ("[2001:db8::9]".to_owned(), Some(5070)));
        for wrong in ["as", "as a b", "as a;b=c", "as x@a", "as a:99999", "is a"] {
            let found = problems(&format!("[sip]\nlisten = [\"udp://127.0.0.1:5060 {wrong}\"]\n"));
            assert!(found.len() == 1 && found[0].contains("is not a listener"), "{wrong}: {found:?}");
        }
    }

    #[test]
    fn a_pin_stands_in_no_file_and_neither_in_what_is_said_about_it() {
        let organizer = |line: &str| {
            let bridge = "[[bridge]]\ntenant = \"t\"\n";
            format!("{bridge}[[organizer]]\nid = \"o\"\ntenant = \"t\"\nlicense = \"none\"\n{line}\n")
        };
        let hashed = organizer(&format!("pin_hash = \"{}\"", crate::pin::cheap_hash("27182")));
        assert_eq!(problems(&hashed), Vec::<String>::new());
        let found = problems(&organizer("pin_hash = \"27182\""));
        let begin = "p.toml:7:12: `organizer \"o\".pin_hash`: not a hash of a PIN; expected what `partyline pin hash`";
        assert!(found.len() == 1 && found[0].starts_with(begin) && !found[0].contains("27182"), "{found:?}");
        let found = problems(&organizer("entry_exit_announcements = \"bells\""));
        assert!(found[0].ends_with("expected \"tones\", \"names\" or \"off\""), "{found:?}");
    }

    #[test]
    fn a_meeting_of_an_unknown_organizer_does_not_load() {
        let found = problems("[[meeting]]\nconference_id = \"314159265\"\norganizer = \"nobody\"\n");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("p.toml:3:13: "), "{}", found[0]);
    }
}
