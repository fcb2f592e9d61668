//! The checks behind a [`crate::ProfileSource`]: each takes what is written at a key and gives a value that cannot be
//! wrong, or notes an error with its place.

mod media;

pub(crate) use media::srtp;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use ipnet::IpNet;
use routing::Spanned;
use routing::{DialPlan, OperatorId, Provider, TrunkId};
use sip::{Algorithm, Credentials, Host, InboundCredentials};

use crate::locate::Name;
use crate::numbers::{NumberFormat, NumberPlan};
use crate::profile::{AcceptedCodes, Kind, Listed, Peer, Registration, Transport, Turn};
use crate::source::{
    CodeSource, CredentialsSource, InboundCredentialsSource, PeerSource, ProfileError, ProfileSource,
};

/// Collects what is wrong with one table.
pub(crate) struct Check<'a> {
    pub(crate) trunk: &'a str,
    pub(crate) errors: Vec<ProfileError>,
}

impl Check<'_> {
    /// Notes an error at a key of this trunk.
    pub(crate) fn refuse(
        &mut self,
        span: Option<Range<usize>>,
        key: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) {
        self.errors.push(ProfileError {
            span,
            key: format!("trunk.{}.{key}", self.trunk),
            found: found.into(),
            expected: expected.into(),
        });
    }

    pub(crate) fn id(&mut self, id: &Spanned<String>) -> TrunkId {
        let text = id.get_ref();
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || text.len() > 32 || !text.chars().all(fine) {
            let expected = "1 to 32 letters, digits, '-', '_' or '.': it becomes a metric label";
            self.refuse(Some(id.span()), "id", format!("{text:?}"), expected);
        }
        TrunkId::new(text.as_str())
    }

    pub(crate) fn provider(&mut self, kind: Kind, written: Option<&Spanned<String>>, id: &str) -> Provider {
        let expected = match kind {
            Kind::Operator => {
                "\"operator:<id>\" or \"customer\" (the Microsoft gateway has kind = \"microsoft\")"
            }
            Kind::Microsoft => "\"microsoft\", or no provider at all",
        };
        let Some(text) = written else {
            return match kind {
                Kind::Operator => Provider::Operator(OperatorId::new(id)),
                Kind::Microsoft => Provider::Microsoft,
            };
        };
        match (kind, text.get_ref().parse()) {
            (Kind::Microsoft, Ok(provider @ Provider::Microsoft))
            | (Kind::Operator, Ok(provider @ (Provider::Operator(_) | Provider::Customer))) => provider,
            _ => {
                self.refuse(Some(text.span()), "provider", format!("{:?}", text.get_ref()), expected);
                Provider::Customer
            }
        }
    }

    pub(crate) fn peers(
        &mut self,
        peers: &Spanned<Vec<PeerSource>>,
        kind: Kind,
        default: Transport,
    ) -> Vec<Listed> {
        if peers.get_ref().is_empty() {
            let expected = "at least one { address = \"IP:port\" } or { address = \"name\" }: where dial-out legs and OPTIONS go";
            self.refuse(Some(peers.span()), "peers", "[]", expected);
        }
        let mut built: Vec<Listed> = Vec::new();
        let ranked = peers.get_ref().iter().any(|peer| peer.priority.is_some() || peer.weight.is_some());
        for (entry, source) in peers.get_ref().iter().enumerate() {
            let text = source.address.get_ref();
            let turn = self.turn(source, entry, ranked);
            let Some(listed) = self.peer(source, kind, default, turn) else {
                let expected = "IP, IP:port, name or name:port";
                self.refuse(Some(source.address.span()), "peers.address", format!("{text:?}"), expected);
                continue;
            };
            if built.iter().any(|other| same_place(other, &listed)) {
                let expected = "each address and transport once";
                self.refuse(
                    Some(source.address.span()),
                    "peers.address",
                    format!("{text:?} again"),
                    expected,
                );
            }
            built.push(listed);
        }
        built
    }

    /// In the order of the file where nothing else is written.
    fn turn(&mut self, source: &PeerSource, entry: usize, ranked: bool) -> Turn {
        let mut number = |key: &str, written| self.number(key, written, 0..=65_535).map(|value| value as u16);
        let priority = number("peers.priority", source.priority.as_ref());
        let weight = number("peers.weight", source.weight.as_ref());
        let in_file = u16::try_from(entry).unwrap_or(u16::MAX);
        let priority = priority.unwrap_or(if ranked { 0 } else { in_file });
        Turn { entry, priority, weight: weight.unwrap_or(1) }
    }

    /// `None` when its address is neither an address nor a name.
    fn peer(&mut self, source: &PeerSource, kind: Kind, default: Transport, turn: Turn) -> Option<Listed> {
        let host = self.host_name("peers.host", source.host.as_ref());
        let transport = source.transport.unwrap_or(default);
        let text = source.address.get_ref();
        let address = text
            .parse::<SocketAddr>()
            .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, transport.default_port())));
        if let Ok(address) = address {
            let usable = address.port() != 0 && !address.ip().is_unspecified();
            return usable.then_some(Listed::Address(Peer { address, transport, host, turn }));
        }
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok().filter(|port: &u16| *port != 0)?)),
            None => (text.as_str(), None),
        };
        // A label of digits alone at the end is a mistyped address (RFC 3696 section 2).
        let whole = name.trim_end_matches('.');
        let top = whole.rsplit('.').next().unwrap_or_default();
        if !is_host_name(whole) || whole.len() < 2 || top.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        // The gateway is reached over TLS, whatever its zone says; an operator's zone decides where nothing is written.
        let fixed = source.transport.is_some() || port.is_some() || kind == Kind::Microsoft;
        let name = Name { host: whole.to_ascii_lowercase(), port, transport: fixed.then_some(transport) };
        Some(Listed::Name { name, host, turn })
    }

    pub(crate) fn sources(&mut self, sources: Option<&Spanned<Vec<Spanned<String>>>>) -> Vec<IpNet> {
        let Some(sources) = sources else { return Vec::new() };
        if sources.get_ref().is_empty() {
            let expected =
                "the networks its requests come from; without the key they are the addresses of `peers`";
            self.refuse(Some(sources.span()), "sources", "[]", expected);
        }
        let mut nets = Vec::new();
        for source in sources.get_ref() {
            let text = source.get_ref();
            match text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
                Ok(net) if net.prefix_len() > 0 => nets.push(net.trunc()),
                Ok(_) => {
                    let expected = "the peer's own networks: a trunk for the whole Internet lets anyone call";
                    self.refuse(Some(source.span()), "sources", format!("{text:?}"), expected);
                }
                Err(_) => {
                    let expected = "an address or a network, as 203.0.113.10 or 203.0.113.0/28";
                    self.refuse(Some(source.span()), "sources", format!("{text:?}"), expected);
                }
            }
        }
        nets
    }

    pub(crate) fn host_name(&mut self, key: &str, name: Option<&Spanned<String>>) -> Option<Host> {
        let name = name?;
        let host = Host::parse(name.get_ref()).ok().filter(|_| is_host_name(name.get_ref()));
        if host.is_none() {
            let expected = "a host name without port, as sbc.example.net";
            self.refuse(Some(name.span()), key, format!("{:?}", name.get_ref()), expected);
        }
        host
    }

    pub(crate) fn tls_name(&mut self, name: &Spanned<String>) -> Option<String> {
        let text = name.get_ref().to_ascii_lowercase();
        if !is_host_name(text.strip_prefix("*.").unwrap_or(&text)) {
            let expected = "a certificate name, as sbc.example.net or *.example.net";
            self.refuse(Some(name.span()), "tls_names", format!("{text:?}"), expected);
            return None;
        }
        Some(text)
    }

    pub(crate) fn numbers(&mut self, source: &ProfileSource) -> NumberPlan {
        let format = source.number_format.as_ref().map_or(NumberFormat::E164, |format| *format.get_ref());
        let caller_format = source.caller_number_format.as_ref().map_or(format, |format| *format.get_ref());
        for (key, format) in
            [("number_format", &source.number_format), ("caller_number_format", &source.caller_number_format)]
        {
            let prefixes = source.national_prefix.is_some() && source.international_prefix.is_some();
            let complete = source.country_code.is_some() && prefixes;
            if let Some(format) = format
                && *format.get_ref() == NumberFormat::National
                && !complete
            {
                let expected = "country_code, national_prefix and international_prefix with it, as \"49\", \"0\", \"00\" or \"1\", \"1\", \"011\"";
                self.refuse(Some(format.span()), key, "\"national\" alone", expected);
            }
        }
        let written =
            |prefix: Option<&Spanned<String>>| prefix.map_or_else(String::new, |text| text.get_ref().clone());
        NumberPlan {
            format,
            caller_format,
            dial_plan: self.dial_plan(source),
            national_prefix: written(source.national_prefix.as_ref()),
            international_prefix: written(source.international_prefix.as_ref()),
        }
    }

    pub(crate) fn dial_plan(&mut self, source: &ProfileSource) -> DialPlan {
        let mut plan = DialPlan::international();
        if let Some(code) = &source.country_code {
            match DialPlan::of_country(code.get_ref()) {
                Ok(country) => plan = country,
                Err(why) => {
                    self.refuse(
                        Some(code.span()),
                        "country_code",
                        format!("{:?}", code.get_ref()),
                        why.to_string(),
                    );
                }
            }
        }
        let mut with = |key, written: Option<&Spanned<String>>, national: bool| {
            let Some(written) = written else { return };
            let prefix = Some(written.get_ref().as_str());
            let (international, national) = if national { (None, prefix) } else { (prefix, None) };
            match plan.clone().with_prefixes(international, national) {
                Ok(changed) => plan = changed,
                Err(why) => self.refuse(
                    Some(written.span()),
                    key,
                    format!("{:?}", written.get_ref()),
                    why.to_string(),
                ),
            }
        };
        with("national_prefix", source.national_prefix.as_ref(), true);
        with("international_prefix", source.international_prefix.as_ref(), false);
        plan
    }

    pub(crate) fn token(&mut self, key: &str, written: Option<&Spanned<String>>) -> Option<String> {
        let written = written?;
        let text = written.get_ref();
        let fine = |b: u8| b.is_ascii_alphanumeric() || b"-_.!~*'&=+$,".contains(&b);
        if text.is_empty() || text.len() > 64 || !text.bytes().all(fine) {
            let expected = "1 to 64 characters that may stand in a URI's user part without escapes";
            self.refuse(Some(written.span()), key, format!("{text:?}"), expected);
            return None;
        }
        Some(text.clone())
    }

    pub(crate) fn number(
        &mut self,
        key: &str,
        written: Option<&Spanned<u32>>,
        range: RangeInclusive<u32>,
    ) -> Option<u32> {
        let written = written?;
        let value = *written.get_ref();
        if !range.contains(&value) {
            let expected = format!("{} to {}", range.start(), range.end());
            self.refuse(Some(written.span()), key, value.to_string(), expected);
            return None;
        }
        Some(value)
    }

    pub(crate) fn seconds(
        &mut self,
        key: &str,
        written: Option<&Spanned<u32>>,
        range: RangeInclusive<u32>,
        default: u32,
    ) -> Duration {
        Duration::from_secs(u64::from(self.number(key, written, range).unwrap_or(default)))
    }

    pub(crate) fn accepted(&mut self, codes: Option<&Spanned<Vec<Spanned<CodeSource>>>>) -> AcceptedCodes {
        let Some(codes) = codes else {
            return AcceptedCodes(vec![200..=299]);
        };
        if codes.get_ref().is_empty() {
            let expected = "at least one code; to send no OPTIONS say send_sip_options = false";
            self.refuse(Some(codes.span()), "options_accepted_codes", "[]", expected);
        }
        let mut ranges = Vec::new();
        for code in codes.get_ref() {
            let range = match code.get_ref() {
                CodeSource::Code(code) if (200..=699).contains(code) => Some(*code..=*code),
                CodeSource::Code(_) => None,
                CodeSource::Class(class) => match class.as_bytes() {
                    [digit @ b'2'..=b'6', b'x', b'x'] => {
                        let first = u16::from(digit - b'0') * 100;
                        Some(first..=first + 99)
                    }
                    _ => None,
                },
            };
            if let Some(range) = range {
                ranges.push(range);
                continue;
            }
            let found = match code.get_ref() {
                CodeSource::Code(code) => code.to_string(),
                CodeSource::Class(class) => format!("{class:?}"),
            };
            let expected = "final codes and classes, as [\"2xx\", 404]";
            self.refuse(Some(code.span()), "options_accepted_codes", found, expected);
        }
        AcceptedCodes(ranges)
    }

    pub(crate) fn failover_codes(&mut self, codes: Option<&[Spanned<u16>]>) -> BTreeSet<u16> {
        let Some(codes) = codes else {
            return [408, 503, 504].into();
        };
        for code in codes {
            if !(400..=599).contains(code.get_ref()) {
                let expected = "400 to 599; 6xx speaks for the callee everywhere and is never retried";
                self.refuse(
                    Some(code.span()),
                    "failover_response_codes",
                    code.get_ref().to_string(),
                    expected,
                );
            }
        }
        codes.iter().map(|code| *code.get_ref()).collect()
    }

    /// A user name, a password or a realm. It is not shown.
    fn secret(&mut self, key: &str, text: &Spanned<String>) {
        if text.get_ref().is_empty() || text.get_ref().chars().any(char::is_control) {
            self.refuse(Some(text.span()), key, "(not shown)", "text without control characters");
        }
    }

    /// What the trunk's calls must prove; the realm defaults to our name.
    pub(crate) fn inbound_credentials(
        &mut self,
        source: Option<&InboundCredentialsSource>,
        fqdn: Option<&Spanned<String>>,
    ) -> Option<InboundCredentials> {
        let source = source?;
        self.secret("inbound_credentials.username", &source.username);
        self.secret("inbound_credentials.password", &source.password);
        if let Some(realm) = &source.realm {
            self.secret("inbound_credentials.realm", realm);
        }
        let algorithms = match &source.algorithms {
            None => vec![Algorithm::Sha256, Algorithm::Md5],
            Some(written) => {
                let known: Vec<Algorithm> =
                    written.get_ref().iter().filter_map(|name| Algorithm::of(name)).collect();
                if known.is_empty() || known.len() != written.get_ref().len() {
                    let expected = "one or more of \"SHA-512-256\", \"SHA-256\", \"MD5\"";
                    let found = format!("{:?}", written.get_ref());
                    self.refuse(Some(written.span()), "inbound_credentials.algorithms", &found, expected);
                }
                known
            }
        };
        let realm = source.realm.as_ref().or(fqdn).map(|realm| realm.get_ref().clone());
        Some(InboundCredentials {
            username: source.username.get_ref().clone(),
            password: source.password.get_ref().clone(),
            realm: realm.unwrap_or_else(|| "partyline".to_owned()),
            algorithms,
        })
    }

    /// What is registered: a user of a domain, by default that of the credentials at the first peer.
    pub(crate) fn registration(&mut self, source: &ProfileSource, listed: &[Listed]) -> Option<Registration> {
        let written = source.register.as_ref()?;
        let table = written.get_ref();
        let own = source.credentials.as_ref().map(|credentials| &credentials.username);
        let username = table.username.as_ref().or(own);
        if username.is_none() {
            let expected = "register.username, or credentials with one: the user part of the address";
            self.refuse(Some(written.span()), "register.username", "nothing", expected);
        }
        let username = self.token("register.username", username);
        let domain = match &table.domain {
            // An address is a domain too: some carriers have no name.
            Some(domain) => match domain.get_ref().parse::<IpAddr>() {
                Ok(ip) => Some(Host::from(ip)),
                Err(_) => self.host_name("register.domain", Some(domain)),
            },
            None => listed.first().and_then(|first| Host::parse(&first.called()).ok()),
        };
        let expires = self.number("register.expires_seconds", table.expires_seconds.as_ref(), 60..=86_400);
        Some(Registration { username: username?, domain: domain?, expires: expires.unwrap_or(600) })
    }

    pub(crate) fn credentials(&mut self, source: Option<&CredentialsSource>) -> Option<Credentials> {
        let source = source?;
        self.secret("credentials.username", &source.username);
        self.secret("credentials.password", &source.password);
        Some(Credentials {
            username: source.username.get_ref().clone(),
            password: source.password.get_ref().clone(),
            realm: source.realm.clone(),
        })
    }
}

/// Whether two entries of `peers` lead to the same.
fn same_place(one: &Listed, other: &Listed) -> bool {
    match (one, other) {
        (Listed::Address(one), Listed::Address(other)) => {
            (one.address, one.transport) == (other.address, other.transport)
        }
        (Listed::Name { name: one, .. }, Listed::Name { name: other, .. }) => one == other,
        _ => false,
    }
}

/// A DNS name of letters, digits, '-' and '_' in labels of 1 to 63, 253 in all; an IP address is none.
fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label) && name.parse::<IpAddr>().is_err()
}
