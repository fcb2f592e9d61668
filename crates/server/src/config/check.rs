//! The check of a configuration file: every value against what it may be, every name against what it refers to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use routing::Spanned;
use sip::Advertised;

use super::document::{self, Document};
use super::{Built, Config, Media, Problem, Problems, Sources, sip_transport};
use routing::Language;

use crate::control::LoadLimits;
use crate::media::realtime::Scheduling;
use crate::sip_io::Listener;
use crate::spool::SpoolOptions;
use crate::store::{Rows, StoreError, StoreOptions, StoreUrl};

/// The check of one document, gathering problems.
pub(super) struct Check<'a> {
    path: &'a Path,
    text: &'a str,
    problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    /// Of `text`, the contents of `path`.
    pub(super) fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text, problems: Vec::new() }
    }

    /// The configuration, or everything that is wrong with it.
    pub(super) fn config(mut self, mut document: Document, rows: &Rows) -> Result<Config, Problems> {
        self.log_filter(&document.log.filter);
        let (listeners, advertised) = self.listeners(&document.sip.listen);
        let advertise = self.advertise(document.sip.advertise.as_ref(), &listeners, &advertised);
        let media = self.media(&document.media);
        let tokens = self.tokens(&document.api_token, document.http.token_file.as_deref());
        let http = self.http(&document.http);
        let bridge = self.bridge(&document);
        let trunks = self.trunks(&document.trunk, &listeners);
        let trunks = trunks.map(Arc::new);
        let tls = self.tls(&document, &listeners, trunks.as_ref());
        let store = document.store.as_ref().map(|store| self.store(store));
        let tables = document.take_tables();
        let built = self.tables(tables, rows, trunks.as_deref(), bridge.as_ref(), media.as_ref());
        let tariffs = document.take_tariffs();
        let tariffs = built.as_ref().and_then(|(_, built)| self.tariffs(&tariffs, &built.table));
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
        let trace = crate::trace::Limits {
            calls: self.within("trace.calls", &document.trace.calls, 0..=100_000),
            bytes: self.within("trace.megabytes", &document.trace.megabytes, 1..=4096) * 1_000_000,
        };
        let decisions = self.within("trace.decisions", &document.trace.decisions, 0..=100_000);
        let media_bytes =
            self.within("trace.media_megabytes", &document.trace.media_megabytes, 1..=4096) * 1_000_000;
        let capture = document.trace.capture_media.then_some(media_bytes);
        let dns = self.name_servers(&document.sip.dns);
        let hep = self.hep(&document.hep);
        self.problems.sort_by_key(|problem| problem.at);
        let (Some(media), Some(bridge), Some(trunks), Some((sources, built)), Some(tariffs), true) =
            (media, bridge, trunks, built, tariffs, self.problems.is_empty())
        else {
            return Err(Problems(self.problems));
        };
        let drain = document.drain.deadline_seconds;
        let dial_attempt = bridge.dial_attempt.max(trunks.longest_attempt());
        let english = media.language.is_english();
        let bridge = bridge::BridgeConfig { dial_attempt, english, ..bridge };
        Ok(Config {
            path: self.path.to_owned(),
            versions: document
                .node
                .versions
                .as_deref()
                .map_or_else(|| spool.folder.join("versions"), |folder| self.resolve(folder)),
            node: document.node.name,
            log: document.log,
            listeners,
            advertise,
            advertised,
            user_agent: document.sip.user_agent,
            tcp_connections_per_address: connections,
            dns,
            strangers: document.sip.strangers,
            media,
            http,
            tokens,
            ctl_socket: document.ctl.socket.as_deref().map(|socket| self.resolve(socket)),
            trace,
            decisions,
            capture,
            hep,
            recordings: self.resolve(&document.recording.folder),
            spool,
            bridge,
            confirm_dial_out: document.attendant.confirm_dial_out,
            drain_deadline: (drain > 0).then(|| Duration::from_secs(drain)),
            tls,
            trunks,
            table: built.table,
            directory: built.meetings,
            tariffs: Arc::new(tariffs),
            store: store.flatten(),
            sources: Arc::new(sources),
            directory_version: rows.version(),
            directory_known: crate::store::Known::of(rows),
        })
    }

    /// What a change of the directory is checked with: everything that the routing table and the meetings refer to.
    pub(super) fn directory(mut self, mut document: Document) -> Result<(StoreOptions, Sources), Problems> {
        let (listeners, _) = self.listeners(&document.sip.listen);
        let bridge = self.bridge(&document);
        let trunks = self.trunks(&document.trunk, &listeners);
        let (language, packs) = self.prompt_packs(&document.media);
        let store = if let Some(store) = &document.store {
            self.store(store)
        } else {
            let found = "missing: this directory is the file alone".to_owned();
            self.problem(
                0..0,
                "store",
                found,
                "[store] with url = \"sqlite:partyline.db\" or \"postgres://...\"",
            );
            None
        };
        let (Some(bridge), Some(trunks), Some(store), true) =
            (bridge, trunks, store, self.problems.is_empty())
        else {
            return Err(Problems(self.problems));
        };
        let spoken = language.into_iter().chain(packs.into_keys()).collect();
        Ok((store, self.sources(document.take_tables(), &trunks, &bridge, spoken)))
    }

    /// The routing table of a document and of the rows beside it, with everything that it refers to.
    pub(super) fn routing(
        mut self,
        mut document: Document,
        rows: &Rows,
    ) -> Result<Arc<routing::Table>, Problems> {
        let (listeners, _) = self.listeners(&document.sip.listen);
        let bridge = self.bridge(&document);
        let trunks = self.trunks(&document.trunk, &listeners);
        let (language, packs) = self.prompt_packs(&document.media);
        let (Some(bridge), Some(trunks), true) = (bridge, trunks, self.problems.is_empty()) else {
            return Err(Problems(self.problems));
        };
        let spoken = language.into_iter().chain(packs.into_keys()).collect();
        let built = self.sources(document.take_tables(), &trunks, &bridge, spoken).build(rows)?;
        Ok(built.table)
    }

    fn sources(
        &self,
        tables: (routing::TableSource, Vec<bridge::MeetingSource>),
        trunks: &trunk::Trunks,
        bridge: &bridge::BridgeConfig,
        spoken: Vec<Language>,
    ) -> Sources {
        let rules =
            bridge::MeetingRules { id_length: bridge.attendant.id_length, ..bridge::MeetingRules::default() };
        Sources::new((self.path, self.text), tables, trunks.refs(), rules, spoken)
    }

    fn name_servers(&mut self, written: &[Spanned<String>]) -> Vec<SocketAddr> {
        let mut servers = Vec::new();
        for text in written {
            let server = text.get_ref();
            let server = server.parse().or_else(|_| server.parse().map(|ip: IpAddr| SocketAddr::new(ip, 53)));
            if let Ok(server) = server {
                servers.push(server);
            } else {
                let found = format!("{:?}", text.get_ref());
                self.problem(text.span(), "sip.dns", found, "a name server's IP or IP:port");
            }
        }
        servers
    }

    pub(super) fn problem(&mut self, span: std::ops::Range<usize>, key: &str, found: String, expected: &str) {
        // A default has no place in the file.
        let span = (span.end > span.start).then_some(span);
        self.problems.push(Problem::at_span(self.path, self.text, span, key, found, expected));
    }

    /// The value, which must lie in `range`: a wish that would be bent in silence is refused instead.
    pub(super) fn within<T: Copy + PartialOrd + std::fmt::Display>(
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

    /// A lone word that is no level would be taken for a module's name, and the log be empty.
    fn log_filter(&mut self, filter: &Spanned<String>) {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        let text = filter.as_ref();
        let is_level = |word: &str| LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level));
        let mut words = text.split(',').map(str::trim);
        let unknown = words.find(|word| !is_level(word) && !word.contains(['=', ':', '[']));
        if unknown.is_some() || tracing_subscriber::EnvFilter::try_new(text).is_err() {
            let found = format!("`{text}` is not a filter");
            let expected = "error, warn, info, debug, trace, or by module \"info,server::control=debug\"";
            self.problem(filter.span(), "log.filter", found, expected);
        }
    }

    /// The listeners, and what those with an `as` are called from outside.
    fn listeners(&mut self, texts: &[Spanned<String>]) -> (Vec<Listener>, Vec<Advertised>) {
        let (mut listeners, mut advertised): (Vec<Listener>, Vec<Advertised>) = Default::default();
        for text in texts {
            let written = text.as_ref();
            match parse_listener(written) {
                Some((listener, name)) => {
                    let Listener { transport, address: local } = listener;
                    advertised.extend(name.map(|name| Advertised { transport, local, name }));
                    listeners.push(listener);
                }
                None => self.problem(
                    text.span(),
                    "sip.listen",
                    format!("`{written}` is not a listener"),
                    "udp://ADDRESS:PORT, tcp://ADDRESS:PORT or tls://ADDRESS:PORT, with \" as HOST\" or \" as HOST:PORT\" where \
                     peers know it by another name",
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
        (listeners, advertised)
    }

    fn advertise(
        &mut self,
        advertise: Option<&Spanned<String>>,
        listeners: &[Listener],
        advertised: &[Advertised],
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
        let named = |own: &Listener| {
            advertised.iter().any(|one| one.transport == own.transport && one.local == own.address)
        };
        if listeners.iter().any(|listener| listener.address.ip().is_unspecified() && !named(listener)) {
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
        let address = *media.address.get_ref();
        if address.is_unspecified() && media.advertise.is_none() {
            let found = "missing, while media.address is unspecified".to_owned();
            self.problem(0..0, "media.advertise", found, "the address that peers send RTP to");
        }
        let several = |ip: IpAddr| ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST);
        if several(address) {
            let span = media.address.span();
            self.problem(span, "media.address", address.to_string(), "the address of one machine");
        }
        let advertise = media.advertise.as_ref().map(|ip| (*ip.get_ref(), ip.span()));
        if let Some((wrong, span)) = advertise.clone().filter(|(ip, _)| several(*ip) || ip.is_unspecified()) {
            self.problem(span, "media.advertise", wrong.to_string(), "the address of one machine");
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
        let talkers = self.within("media.talkers", &media.talkers, 1..=mixer::MixConfig::MAX_TALKERS);
        let mix = mixer::MixConfig {
            talkers,
            agc: media.agc,
            echo: media.echo,
            full_band: media.full_band,
            sabotage,
        };
        let shards = self.within("media.shards", &media.shards, 0..=256);
        let priority = self.within("media.realtime_priority", &media.realtime_priority, 0..=99);
        let busy = self.within("media.max_load", &media.max_load, 0.05..=1.0);
        let late = self.within("media.max_late_milliseconds", &media.max_late_milliseconds, 1..=10_000);
        let silence =
            self.within("media.silence_timeout_seconds", &media.silence_timeout_seconds, 1..=86_400);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let (language, prompt_packs) = self.prompt_packs(media);
        Some(Media {
            address,
            advertise: advertise.map_or(address, |(ip, _)| ip),
            ports: ports?,
            shards: if shards == 0 { (cores - 1).max(1) } else { shards },
            scheduling: Scheduling { priority, pin: media.pin },
            limits: LoadLimits { busy, late: Duration::from_millis(late) },
            prompts: (self.resolve(&media.prompts), media.prompt_map.as_deref().map(|map| self.resolve(map))),
            language: language?,
            prompt_packs,
            silence_timeout: Duration::from_secs(silence),
            mix,
        })
    }

    fn hep(&mut self, hep: &document::Hep) -> Option<crate::trace::Collector> {
        if let Some(long) = hep.password.as_ref().filter(|password| password.as_ref().len() > 255) {
            let found = format!("{} bytes", long.as_ref().len());
            self.problem(long.span(), "hep.password", found, "at most 255 bytes");
        }
        let written = hep.to.as_ref()?;
        let Some(to) = written.as_ref().strip_prefix("udp://").and_then(|to| to.parse().ok()) else {
            let found = format!("`{}` is not a collector", written.as_ref());
            self.problem(written.span(), "hep.to", found, "udp://ADDRESS:PORT, as udp://127.0.0.1:9060");
            return None;
        };
        let password = hep.password.as_ref().map(|password| password.as_ref().clone());
        Some(crate::trace::Collector {
            to,
            sender: crate::trace::Sender { capture_id: hep.capture_id, password },
        })
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
        config.ring_back = attendant.ring_back;
        config.keys = self.keys(&document.keys);
        config.defense = self.defense(&document.defense);
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
        let addresses: Vec<SocketAddr> = listeners.iter().map(|own| own.address).collect();
        for error in trunk::Trunks::keys_in_clear(sources, &addresses) {
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
        tables: (routing::TableSource, Vec<bridge::MeetingSource>),
        rows: &Rows,
        trunks: Option<&trunk::Trunks>,
        bridge: Option<&bridge::BridgeConfig>,
        media: Option<&Media>,
    ) -> Option<(Sources, Built)> {
        let media = media?;
        let spoken = std::iter::once(&media.language).chain(media.prompt_packs.keys()).cloned().collect();
        let sources = self.sources(tables, trunks?, bridge?, spoken);
        match sources.build(rows) {
            Ok(built) => Some((sources, built)),
            Err(problems) => {
                self.problems.extend(problems.0);
                None
            }
        }
    }

    /// Prices and limits, or `None` with problems noted.
    fn tariffs(&mut self, source: &bridge::TariffSource, table: &routing::Table) -> Option<bridge::Tariffs> {
        let built = bridge::Tariffs::build(source, table);
        built
            .map_err(|errors| {
                for error in errors {
                    self.engine_problem(error.span, error.key, error.found, error.expected);
                }
            })
            .ok()
    }

    /// `[store]`, or `None` with a problem noted.
    pub(super) fn store(&mut self, store: &document::Store) -> Option<StoreOptions> {
        let poll = self.within("store.poll_seconds", &store.poll_seconds, 1..=3600);
        let digits = bridge::MIN_PIN_LENGTH..=bridge::MAX_PIN_LENGTH;
        let pin_digits = self.within("store.pin_digits", &store.pin_digits, digits);
        match StoreUrl::parse(store.url.get_ref(), self.folder()) {
            Ok(url) => Some(StoreOptions { url, poll: Duration::from_secs(poll), pin_digits }),
            Err(wrong) => {
                // What stands there may be a password.
                let expected = "sqlite:FILE or postgres://USER@HOST/DATABASE";
                self.problem(store.url.span(), "store.url", wrong.to_string(), expected);
                None
            }
        }
    }

    /// The database of `[store]` cannot be read.
    pub(super) fn store_problem(&self, document: &Document, error: &StoreError) -> Problems {
        let span = document.store.as_ref().map(|store| store.url.span());
        let expected = "a database that this machine and user can reach";
        let found = error.to_string();
        Problems(vec![Problem::at_span(self.path, self.text, span, "store.url", found, expected)])
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

    /// The folder of the file.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// A path of the file, relative to the file's folder.
    pub(super) fn resolve(&self, path: &Path) -> PathBuf {
        self.folder().join(path)
    }
}

/// `tls://192.0.2.1:5061`, or `tls://10.0.0.5:5061 as bridge.example.net:5062`.
fn parse_listener(written: &str) -> Option<(Listener, Option<sip::HostPort>)> {
    let (own, name) = written.split_once(" as ").map_or((written, None), |(own, name)| (own, Some(name)));
    let (scheme, address) = own.trim().split_once("://")?;
    let transport = match scheme {
        "udp" => sip::Transport::Udp,
        "tcp" => sip::Transport::Tcp,
        "tls" => sip::Transport::Tls,
        _ => return None,
    };
    let listener = Listener { transport, address: address.parse().ok()? };
    let Some(name) = name.map(str::trim) else { return Some((listener, None)) };
    // As the Request-URI of somebody who calls us.
    let uri = sip::Uri::parse(&format!("sip:{name}")).ok().filter(|uri| uri.user().is_none())?;
    let plain = uri.params().iter().next().is_none() && !name.contains('?');
    let host = uri.host().filter(|_| plain)?.clone();
    Some((listener, Some(sip::HostPort { host, port: uri.port() })))
}

fn parse_ports(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-')?;
    let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let first_even = first.checked_add(first % 2)?;
    (first >= 1024 && first_even < last).then_some((first, last))
}
