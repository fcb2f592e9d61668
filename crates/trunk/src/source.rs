//! A `[[trunk]]` table as it is written, and its way to a [`Profile`].
//!
//! Names are Microsoft's where `CsOnlinePSTNGateway` has one, in snake_case: `enabled`, `fqdn`, `send_sip_options`,
//! `forward_pai`, `failover_response_codes`, `failover_time_seconds`, `max_concurrent_sessions`.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use sip::sdp::{Codec, Suite};
use thiserror::Error;
use toml::Spanned;

use crate::check::{self, Check};
use crate::dialogs::{self, ReliableName, SessionTimerName};
use crate::numbers::NumberFormat;
use crate::profile::{CalledFrom, Kind, MediaSource, Options, Profile, Transport};
use crate::tls::TlsSource;
use crate::{microsoft, operator};

/// One `[[trunk]]` table. Every key but `id`, `kind` and `peers` has a default; an unknown key is refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the keys are documented at the fields of `Profile`, which each of them fills"
)]
pub struct ProfileSource {
    pub id: Spanned<String>,
    pub kind: Kind,
    pub provider: Option<Spanned<String>>,
    pub enabled: Option<bool>,
    pub fqdn: Option<Spanned<String>>,
    pub peers: Spanned<Vec<PeerSource>>,
    pub sources: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    pub tls_names: Vec<Spanned<String>>,
    pub tls: Option<TlsSource>,
    pub codecs: Option<Spanned<Vec<CodecName>>>,
    pub opus: Option<OpusSource>,
    pub audio_level: Option<bool>,
    pub srtp: Option<Spanned<SrtpName>>,
    pub srtp_suites: Option<Spanned<Vec<SuiteName>>>,
    pub srtp_pad_keys: Option<bool>,
    #[serde(default)]
    pub media_source: MediaSource,
    pub number_format: Option<Spanned<NumberFormat>>,
    pub caller_number_format: Option<Spanned<NumberFormat>>,
    pub country_code: Option<Spanned<String>>,
    pub national_prefix: Option<Spanned<String>>,
    pub international_prefix: Option<Spanned<String>>,
    #[serde(default)]
    pub called_from: CalledFrom,
    pub trust_pai: Option<bool>,
    pub forward_pai: Option<bool>,
    pub user_phone: Option<bool>,
    pub from_domain: Option<Spanned<String>>,
    pub send_sip_options: Option<bool>,
    pub options_interval_seconds: Option<Spanned<u32>>,
    pub options_accepted_codes: Option<Spanned<Vec<Spanned<CodeSource>>>>,
    pub options_user: Option<Spanned<String>>,
    pub failover_response_codes: Option<Vec<Spanned<u16>>>,
    pub failover_time_seconds: Option<Spanned<u32>>,
    pub first_response_ms: Option<Spanned<u32>>,
    pub ring_seconds: Option<Spanned<u32>>,
    pub session_timer: Option<SessionTimerName>,
    pub session_expires_seconds: Option<Spanned<u32>>,
    pub min_se_seconds: Option<Spanned<u32>>,
    pub reliable_provisionals: Option<ReliableName>,
    pub accept_refer: Option<bool>,
    pub accept_replaces: Option<bool>,
    pub max_concurrent_sessions: Option<Spanned<u32>>,
    pub calls_per_second: Option<Spanned<u32>>,
    pub credentials: Option<CredentialsSource>,
    pub inbound_credentials: Option<InboundCredentialsSource>,
}

/// One entry of `peers`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerSource {
    /// `203.0.113.10`, `203.0.113.10:5060`, `[2001:db8::1]:5060`, where the port defaults to 5060 (5061 for TLS); or a name, with
    /// a port or without, which the DNS locates (RFC 3263).
    pub address: Spanned<String>,
    /// `udp`, `tcp` or `tls`; default `udp` for an operator, `tls` for Microsoft.
    pub transport: Option<Transport>,
    /// The peer's name in URIs.
    pub host: Option<Spanned<String>>,
}

/// The `credentials` table.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialsSource {
    /// The user name.
    pub username: Spanned<String>,
    /// The password.
    pub password: Spanned<String>,
    /// The only realm to answer.
    pub realm: Option<String>,
}

impl fmt::Debug for CredentialsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialsSource").field("username", self.username.get_ref()).finish_non_exhaustive()
    }
}

/// The `inbound_credentials` table.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InboundCredentialsSource {
    /// The user name.
    pub username: Spanned<String>,
    /// The password.
    pub password: Spanned<String>,
    /// The realm of our challenge; default: our name, or `partyline`.
    pub realm: Option<Spanned<String>>,
    /// `SHA-512-256`, `SHA-256`, `MD5` in the order of the challenges; default: SHA-256, then MD5.
    pub algorithms: Option<Spanned<Vec<String>>>,
}

impl fmt::Debug for InboundCredentialsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundCredentialsSource")
            .field("username", &self.username.get_ref())
            .finish_non_exhaustive()
    }
}

/// A codec as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are RFC 3551's")]
pub enum CodecName {
    Pcmu,
    Pcma,
    G722,
    Opus,
}

/// The `opus` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpusSource {
    /// Bit/s, 6000 to 128000.
    pub bitrate: Option<Spanned<u32>>,
    /// 0 to 10.
    pub complexity: Option<Spanned<u32>>,
    /// In-band forward error correction.
    pub fec: Option<bool>,
    /// Nothing is sent for silence.
    pub dtx: Option<bool>,
    /// 8000, 16000 or 48000.
    pub max_rate: Option<Spanned<u32>>,
}

/// Whether media is encrypted, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "documented at `sip::sdp::Srtp`")]
pub enum SrtpName {
    Off,
    Optional,
    Mandatory,
}

impl SrtpName {
    /// As in the file.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Mandatory => "mandatory",
        }
    }
}

/// A suite of SRTP as it is written: as in SDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "documented at `sip::sdp::Suite`")]
pub enum SuiteName {
    #[serde(rename = "AES_CM_128_HMAC_SHA1_80")]
    AesCm128HmacSha1_80,
    #[serde(rename = "AES_CM_128_HMAC_SHA1_32")]
    AesCm128HmacSha1_32,
    #[serde(rename = "AEAD_AES_128_GCM")]
    AeadAes128Gcm,
    #[serde(rename = "AEAD_AES_256_GCM")]
    AeadAes256Gcm,
}

/// One of `options_accepted_codes`: `404`, or a class as `"2xx"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum CodeSource {
    /// A single code.
    Code(u16),
    /// A class.
    Class(String),
}

/// Why a profile cannot be used: where it is written, what stands there, what should.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{key} = {found}: expected {expected}")]
pub struct ProfileError {
    /// Bytes of the TOML document, for the line number.
    pub span: Option<Range<usize>>,
    /// The key, with the trunk's id: `trunk.acme.fqdn`.
    pub key: String,
    /// What was found.
    pub found: String,
    /// What is expected instead.
    pub expected: String,
}

/// What a kind of peer brings along; a key in the table overrides it.
pub(crate) struct Defaults {
    pub(crate) transport: Transport,
    pub(crate) codecs: &'static [Codec],
    pub(crate) audio_level: bool,
    pub(crate) srtp_suites: &'static [Suite],
    pub(crate) trust_pai: bool,
    pub(crate) forward_pai: bool,
    pub(crate) options_interval_seconds: u32,
}

impl ProfileSource {
    /// Checks the table and fills in its defaults; all errors at once.
    pub fn build(&self) -> Result<Profile, Vec<ProfileError>> {
        let mut check = Check { trunk: self.id.get_ref(), errors: Vec::new() };
        let defaults = match self.kind {
            Kind::Operator => &operator::DEFAULTS,
            Kind::Microsoft => &microsoft::DEFAULTS,
        };
        let listed = check.peers(&self.peers, self.kind, defaults.transport);
        let tls = check.tls(self, &listed);
        let mut profile = Profile {
            id: check.id(&self.id),
            kind: self.kind,
            provider: check.provider(self.kind, self.provider.as_ref(), self.id.get_ref()),
            enabled: self.enabled.unwrap_or(true),
            fqdn: check.host_name("fqdn", self.fqdn.as_ref()),
            sources: check.sources(self.sources.as_ref()),
            tls_names: check.tls_names(self, &tls, &listed),
            tls,
            listed,
            peers: Vec::new(),
            sources_are_peers: self.sources.is_none(),
            codecs: check.codecs(self.codecs.as_ref(), defaults.codecs),
            opus: check.opus(self.opus.as_ref()),
            audio_level: self.audio_level.unwrap_or(defaults.audio_level),
            srtp: check::srtp(self.srtp.as_ref().map(|name| *name.get_ref())),
            srtp_suites: check.suites(self.srtp_suites.as_ref(), defaults.srtp_suites),
            srtp_pad_keys: self.srtp_pad_keys.unwrap_or(true),
            media_source: self.media_source,
            numbers: check.numbers(self),
            called_from: self.called_from,
            trust_pai: self.trust_pai.unwrap_or(defaults.trust_pai),
            forward_pai: self.forward_pai.unwrap_or(defaults.forward_pai),
            user_phone: self.user_phone.unwrap_or(true),
            from_domain: check.host_name("from_domain", self.from_domain.as_ref()),
            options: Options {
                send: self.send_sip_options.unwrap_or(true),
                interval: check.seconds(
                    "options_interval_seconds",
                    self.options_interval_seconds.as_ref(),
                    1..=3600,
                    defaults.options_interval_seconds,
                ),
                accepted: check.accepted(self.options_accepted_codes.as_ref()),
                user: check.token("options_user", self.options_user.as_ref()),
            },
            failover_response_codes: check.failover_codes(self.failover_response_codes.as_deref()),
            failover_time: check.seconds(
                "failover_time_seconds",
                self.failover_time_seconds.as_ref(),
                1..=60,
                10,
            ),
            first_response_within: Duration::from_millis(u64::from(
                check
                    .number("first_response_ms", self.first_response_ms.as_ref(), 100..=32_000)
                    .unwrap_or(3500),
            )),
            ring_for: check.seconds("ring_seconds", self.ring_seconds.as_ref(), 5..=600, 60),
            terms: dialogs::terms(self, &mut check),
            max_concurrent_sessions: check.number(
                "max_concurrent_sessions",
                self.max_concurrent_sessions.as_ref(),
                1..=1_000_000,
            ),
            calls_per_second: check.number("calls_per_second", self.calls_per_second.as_ref(), 1..=10_000),
            credentials: check.credentials(self.credentials.as_ref()),
            inbound_credentials: check
                .inbound_credentials(self.inbound_credentials.as_ref(), self.fqdn.as_ref()),
        };
        profile.settle(&BTreeMap::new());
        if profile.kind == Kind::Microsoft {
            microsoft::check(self, &profile, &mut check);
        }
        if check.errors.is_empty() { Ok(profile) } else { Err(check.errors) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use routing::{OperatorId, Provider};
    use sip::Algorithm;
    use sip::sdp::{Codec, OpusParameters, Srtp, Suite};
    use sip::{Reliable, SessionTimers};

    use crate::locate::Place;
    use crate::testing::{MICROSOFT, OPERATOR, profile, syntax_error, trunks};
    use crate::{MediaSource, NumberFormat, OpusSettings, ProfileError, Transport};

    #[test]
    fn the_defaults_of_an_operator() {
        let profile = profile(OPERATOR);
        assert_eq!(profile.provider, Provider::Operator(OperatorId::new("acme")));
        assert!(profile.enabled && profile.forward_pai && profile.user_phone && profile.options.send);
        assert!(!profile.trust_pai);
        assert_eq!(profile.peers[0].transport, Transport::Udp);
        assert_eq!(profile.sources.iter().map(ToString::to_string).collect::<Vec<_>>(), ["203.0.113.10/32"]);
        assert_eq!(profile.codecs, [Codec::Pcma, Codec::Pcmu]);
        assert_eq!(profile.opus, OpusSettings::default());
        assert_eq!((profile.srtp, profile.srtp_pad_keys, profile.audio_level), (Srtp::Off, true, true));
        let suites: Vec<&str> = profile.srtp_suites.iter().map(|suite| suite.name()).collect();
        let expected =
            ["AEAD_AES_128_GCM", "AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"];
        assert_eq!(suites, expected);
        assert_eq!(profile.media_source, MediaSource::Exact);
        assert_eq!(profile.numbers.format, NumberFormat::E164);
        assert_eq!(profile.options.interval, Duration::from_secs(30));
        assert_eq!(profile.failover_response_codes, [408, 503, 504].into());
        assert_eq!(profile.failover_time, Duration::from_secs(10));
        assert_eq!(profile.first_response_within, Duration::from_millis(3500));
        assert_eq!(profile.ring_for, Duration::from_mins(1));
        assert_eq!((profile.max_concurrent_sessions, profile.calls_per_second), (None, None));
        assert_eq!((profile.credentials, profile.inbound_credentials), (None, None));
    }

    #[test]
    fn the_defaults_of_microsoft() {
        let profile = profile(MICROSOFT);
        assert_eq!(profile.provider, Provider::Microsoft);
        assert!(profile.enabled && profile.user_phone && profile.options.send);
        assert!(!profile.trust_pai && !profile.forward_pai);
        assert_eq!(profile.peers[0].transport, Transport::Tls);
        assert_eq!(profile.codecs, [Codec::Pcmu, Codec::Pcma]);
        assert_eq!((profile.srtp, profile.audio_level), (Srtp::Off, false));
        assert_eq!(profile.srtp_suites, [Suite::AesCm128HmacSha1_80]);
        assert_eq!(profile.options.interval, Duration::from_mins(1));
    }

    #[test]
    fn the_port_of_a_peer_defaults_to_that_of_its_transport() {
        let port = |address: &str, transport: &str| {
            let peer = format!("address = \"{address}\", transport = \"{transport}\"");
            profile(&OPERATOR.replace("address = \"203.0.113.10:5060\"", &peer)).peers[0].address.port()
        };
        assert_eq!(port("203.0.113.10", "udp"), 5060);
        assert_eq!(port("203.0.113.10", "tls"), 5061);
        assert_eq!(port("[2001:db8::1]:5070", "tcp"), 5070);
        assert_eq!(port("2001:db8::1", "tcp"), 5060);
    }

    #[test]
    fn every_key_is_read() {
        let profile = profile(
            r#"
[[trunk]]
id = "acme"
kind = "operator"
provider = "operator:Acme GmbH"
enabled = false
fqdn = "conf.example.net"
peers = [
  { address = "203.0.113.10:5060", transport = "tcp", host = "sbc1.acme.example" },
  { address = "203.0.113.11" },
]
sources = ["203.0.113.0/28", "198.51.100.7"]
tls_names = ["SBC.acme.example", "*.acme.example"]
tls = { certificate = "our.pem", key = "our.key", roots = "system", server_name = "Edge.acme.example" }
codecs = ["opus", "g722", "pcma", "pcmu", "pcma"]
opus = { bitrate = 24000, complexity = 10, fec = false, dtx = true, max_rate = 16000 }
audio_level = false
srtp = "optional"
srtp_suites = ["AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80"]
srtp_pad_keys = false
media_source = "same-ip"
number_format = "national"
caller_number_format = "plain"
country_code = "49"
national_prefix = "0"
international_prefix = "00"
called_from = "history-info"
trust_pai = true
forward_pai = false
user_phone = false
from_domain = "acme.example"
send_sip_options = false
options_interval_seconds = 45
options_accepted_codes = ["2xx", 404]
options_user = "ping"
failover_response_codes = [480, 500]
failover_time_seconds = 20
first_response_ms = 1000
ring_seconds = 90
session_timer = "accept"
session_expires_seconds = 900
min_se_seconds = 120
reliable_provisionals = "required"
accept_refer = true
accept_replaces = true
max_concurrent_sessions = 30
calls_per_second = 3
credentials = { username = "u", password = "secret", realm = "acme.example" }
inbound_credentials = { username = "they", password = "s3cret", algorithms = ["SHA-256"] }
"#,
        );
        assert_eq!(profile.provider, Provider::Operator(OperatorId::new("Acme GmbH")));
        assert!(!profile.enabled && !profile.forward_pai && !profile.user_phone && !profile.options.send);
        assert!(profile.trust_pai);
        assert_eq!(profile.peers.len(), 2);
        assert_eq!(profile.sources.len(), 2);
        assert_eq!(profile.tls_names, ["sbc.acme.example", "*.acme.example"]);
        assert_eq!(profile.tls.identity, Some(("our.pem".into(), "our.key".into())));
        assert_eq!(profile.tls.roots, Some("system".into()));
        assert_eq!(profile.tls.server_name.as_deref(), Some("edge.acme.example"));
        assert!(profile.tls.require_certificate && profile.tls.only);
        assert_eq!(profile.codecs, [Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu]);
        let opus = OpusSettings { bitrate: 24_000, complexity: 10, fec: false, dtx: true, max_rate: 16_000 };
        assert_eq!(profile.opus, opus);
        assert_eq!(
            (profile.srtp, profile.srtp_pad_keys, profile.audio_level),
            (Srtp::Optional, false, false)
        );
        assert_eq!(profile.srtp_suites, [Suite::AesCm128HmacSha1_80, Suite::AeadAes256Gcm]);
        assert_eq!(profile.media_source, MediaSource::SameIp);
        assert_eq!(profile.options.interval, Duration::from_secs(45));
        assert!(profile.options.accepted.contains(299) && profile.options.accepted.contains(404));
        assert!(!profile.options.accepted.contains(405));
        assert_eq!(profile.options.user.as_deref(), Some("ping"));
        assert_eq!(profile.failover_response_codes, [480, 500].into());
        assert_eq!(profile.failover_time, Duration::from_secs(20));
        assert_eq!(profile.first_response_within, Duration::from_secs(1));
        assert_eq!(profile.ring_for, Duration::from_secs(90));
        let terms = profile.terms;
        assert_eq!((terms.session_timer, terms.reliable), (SessionTimers::Accept, Reliable::Required));
        assert_eq!((terms.session_expires, terms.min_se), (900, 120));
        assert!(terms.accept_refer && terms.accept_replaces);
        assert_eq!((profile.max_concurrent_sessions, profile.calls_per_second), (Some(30), Some(3)));
        let inbound = profile.inbound_credentials.clone().unwrap();
        assert_eq!((inbound.username.as_str(), inbound.password.as_str()), ("they", "s3cret"));
        assert_eq!(
            (inbound.realm.as_str(), inbound.algorithms),
            ("conf.example.net", vec![Algorithm::Sha256])
        );
        let credentials = profile.credentials.clone().unwrap();
        assert_eq!((credentials.username.as_str(), credentials.password.as_str()), ("u", "secret"));
        assert!(!format!("{profile:?}").contains("secret"), "a password is never shown");
    }

    #[test]
    fn the_settings_of_a_trunk_are_what_its_sdp_says() {
        let lines = "codecs = [\"opus\", \"pcma\"]\nopus = { bitrate = 20000, dtx = true, fec = false, max_rate = 8000 }\n\
                     srtp = \"mandatory\"\nsrtp_suites = [\"AEAD_AES_256_GCM\"]\nsrtp_pad_keys = false\n";
        let capabilities = profile(&format!("{OPERATOR}{lines}")).capabilities();
        assert_eq!(capabilities.codecs, [Codec::Opus, Codec::Pcma]);
        let opus = OpusParameters {
            max_playback_rate: 8000,
            max_capture_rate: 8000,
            max_average_bitrate: Some(20_000),
            dtx: true,
            ..OpusParameters::default()
        };
        assert_eq!(capabilities.opus, opus);
        assert_eq!((capabilities.srtp, capabilities.pad_keys), (Srtp::Mandatory, false));
        assert_eq!(capabilities.suites, [Suite::AeadAes256Gcm]);
        assert!(capabilities.audio_level && capabilities.comfort_noise && capabilities.telephone_event);
    }

    /// (the line that is added, the key that is named, a part of what is expected)
    const WRONG: &[(&str, &str, &str)] = &[
        ("provider = \"microsoft\"", "provider", "kind = \"microsoft\""),
        ("provider = \"acme\"", "provider", "operator:<id>"),
        ("fqdn = \"conf.example.net:5060\"", "fqdn", "without port"),
        ("fqdn = \"a\\r\\nX: y\"", "fqdn", "host name"),
        ("from_domain = \"a b\"", "from_domain", "host name"),
        ("sources = []", "sources", "addresses of `peers`"),
        ("sources = [\"sbc.example.net\"]", "sources", "203.0.113.0/28"),
        ("sources = [\"0.0.0.0/0\"]", "sources", "lets anyone call"),
        ("tls_names = [\"*\"]", "tls_names", "certificate name"),
        ("codecs = []", "codecs", "pcma"),
        ("opus = { bitrate = 5999 }", "opus.bitrate", "6000 to 128000"),
        ("opus = { complexity = 11 }", "opus.complexity", "0 to 10"),
        ("opus = { max_rate = 24000 }", "opus.max_rate", "8000, 16000 or 48000"),
        ("srtp_suites = []", "srtp_suites", "srtp = \"off\""),
        ("number_format = \"national\"", "number_format", "country_code, national_prefix and"),
        (
            "caller_number_format = \"national\"\ncountry_code = \"49\"",
            "caller_number_format",
            "national_prefix",
        ),
        ("country_code = \"+49\"", "country_code", "1 to 3 digits"),
        ("country_code = \"049\"", "country_code", "does not begin with 0"),
        ("national_prefix = \"x\"", "national_prefix", "digits"),
        ("international_prefix = \"\"", "international_prefix", "digits"),
        ("options_interval_seconds = 0", "options_interval_seconds", "1 to 3600"),
        ("options_accepted_codes = []", "options_accepted_codes", "send_sip_options = false"),
        ("options_accepted_codes = [180]", "options_accepted_codes", "2xx"),
        ("options_accepted_codes = [\"7xx\"]", "options_accepted_codes", "2xx"),
        ("options_user = \"a@b\"", "options_user", "without escapes"),
        ("failover_response_codes = [603]", "failover_response_codes", "never retried"),
        ("failover_response_codes = [200]", "failover_response_codes", "400 to 599"),
        ("failover_time_seconds = 0", "failover_time_seconds", "1 to 60"),
        ("first_response_ms = 10", "first_response_ms", "100 to 32000"),
        ("ring_seconds = 1", "ring_seconds", "5 to 600"),
        ("max_concurrent_sessions = 0", "max_concurrent_sessions", "1 to 1000000"),
        ("calls_per_second = 0", "calls_per_second", "1 to 10000"),
        ("credentials = { username = \"\", password = \"x\" }", "credentials.username", "text"),
        ("credentials = { username = \"u\", password = \"a\\nb\" }", "credentials.password", "control"),
        (
            "inbound_credentials = { username = \"u\", password = \"\" }",
            "inbound_credentials.password",
            "text",
        ),
        (
            "inbound_credentials = { username = \"u\", password = \"p\", algorithms = [\"SHA-1\"] }",
            "inbound_credentials.algorithms",
            "SHA-256",
        ),
    ];

    #[test]
    fn a_wrong_value_is_refused_with_its_place_its_key_and_what_is_expected() {
        for (line, key, expected) in WRONG {
            let document = format!("{OPERATOR}{line}\n");
            let errors = trunks(&document).expect_err(line);
            let [ProfileError { span, key: found_key, expected: found, .. }] = errors.as_slice() else {
                panic!("{line}: {errors:?}");
            };
            assert_eq!(*found_key, format!("trunk.acme.{key}"), "{line}");
            assert!(found.contains(expected), "{line}: {found}");
            let span = span.clone().expect("every error has its place");
            let at = &document[span.clone()];
            assert!(span.start >= OPERATOR.len(), "{line} points at {at:?}");
        }
    }

    #[test]
    fn a_peer_may_be_a_name_and_has_the_addresses_that_the_dns_gives_it() {
        let peers = "[{ address = \"Sbc.acme.example\" }, { address = \"203.0.113.7\" }, { address = \"two.example:5070\", transport = \"tcp\" }]";
        let document = format!("[[trunk]]\nid = \"acme\"\nkind = \"operator\"\npeers = {peers}\n");
        let trunks = trunks(&document).expect("a trunk");
        let names: Vec<String> = trunks.names().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["sbc.acme.example", "two.example:5070"]);
        let shown = |trunks: &crate::Trunks| -> Vec<String> {
            let peers = trunks.profiles()[0].peers.iter();
            let host = |peer: &crate::Peer| peer.host.as_ref().map_or("-".to_owned(), ToString::to_string);
            peers.map(|peer| format!("{} {} {}", peer.transport.as_str(), peer.address, host(peer))).collect()
        };
        assert_eq!(shown(&trunks), ["udp 203.0.113.7:5060 -"], "before anything is known");
        let place =
            |last: u8, port: u16, transport| Place { address: ([192, 0, 2, last], port).into(), transport };
        let mut places = BTreeMap::new();
        for name in trunks.names() {
            let found = match name.port {
                None => vec![place(2, 5061, Transport::Tls), place(1, 5060, Transport::Udp)],
                Some(port) => vec![place(3, port, name.transport.expect("as written"))],
            };
            places.insert(name, found);
        }
        let settled = trunks.settled(&places);
        let expected = [
            "tls 192.0.2.2:5061 sbc.acme.example",
            "udp 192.0.2.1:5060 sbc.acme.example",
            "udp 203.0.113.7:5060 -",
            "tcp 192.0.2.3:5070 two.example",
        ];
        assert_eq!(shown(&settled), expected);
        let sources: Vec<String> = settled.profiles()[0].sources.iter().map(ToString::to_string).collect();
        assert_eq!(sources, ["192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32", "203.0.113.7/32"]);
        assert!(settled.lists([192, 0, 2, 3].into()) && !trunks.lists([192, 0, 2, 3].into()));
    }

    #[test]
    fn a_wrong_peer_is_refused() {
        // (the peers, what is expected)
        let table = [
            ("[]", "at least one"),
            ("[{ address = \"203.0.113\" }]", "name or name:port"),
            ("[{ address = \"sbc.acme.example:0\" }]", "name or name:port"),
            ("[{ address = \"sbc acme\" }]", "name or name:port"),
            ("[{ address = \"sbc.acme.example\" }, { address = \"SBC.acme.example.\" }]", "once"),
            ("[{ address = \"203.0.113.10:0\" }]", "IP, IP:port"),
            ("[{ address = \"0.0.0.0\" }]", "IP, IP:port"),
            ("[{ address = \"203.0.113.10\" }, { address = \"203.0.113.10:5060\" }]", "once"),
            ("[{ address = \"203.0.113.10\", host = \"a:5060\" }]", "without port"),
        ];
        for (peers, expected) in table {
            let document = format!("[[trunk]]\nid = \"acme\"\nkind = \"operator\"\npeers = {peers}\n");
            let errors = trunks(&document).expect_err(peers);
            assert!(errors[0].expected.contains(expected), "{peers}: {errors:?}");
            assert!(errors[0].span.is_some());
        }
    }

    #[test]
    fn all_errors_come_at_once() {
        let document = format!("{OPERATOR}ring_seconds = 1\ncalls_per_second = 0\nfqdn = \"-\"\n");
        assert_eq!(trunks(&document).unwrap_err().len(), 3);
    }

    #[test]
    fn an_unknown_key_or_value_is_refused_by_name() {
        for (line, named) in [
            ("max_sessions = 5", "max_sessions"),
            ("codecs = [\"g729\"]", "g729"),
            ("opus = { rate = 8000 }", "rate"),
            ("srtp = \"yes\"", "yes"),
            ("srtp_suites = [\"AES_CM_128\"]", "AES_CM_128"),
            ("media_source = \"any\"", "any"),
            ("credentials = { user = \"u\", password = \"p\" }", "user"),
        ] {
            let error = syntax_error(&format!("{OPERATOR}{line}\n"));
            assert!(error.contains(named) && error.contains("expected"), "{error}");
        }
    }

    #[test]
    fn an_id_must_do_as_a_metric_label() {
        for id in ["", "a b", "ä", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
            let errors = trunks(&OPERATOR.replace("\"acme\"", &format!("\"{id}\""))).unwrap_err();
            assert!(errors[0].expected.contains("metric label"), "{errors:?}");
        }
    }

    const DOCUMENTATION: &str = include_str!("../../../docs/trunks.md");

    #[test]
    fn the_documentation_names_every_key_and_no_other() {
        let error = syntax_error(&format!("{OPERATOR}no_such_key = 1\n"));
        let known = error.split("expected one of").nth(1).expect("serde lists the keys");
        let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        let table =
            DOCUMENTATION.split("\n## Keys").nth(1).and_then(|text| text.split("\n## ").next()).unwrap();
        let documented: Vec<&str> =
            table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        assert_eq!(known, documented, "same keys, same order");
    }

    #[test]
    fn the_examples_of_the_documentation_load() {
        let examples: Vec<&str> =
            DOCUMENTATION.split("```toml\n").skip(1).filter_map(|text| text.split("```").next()).collect();
        assert_eq!(trunks(&examples.concat()).expect("they fit together").profiles().len(), 2);
    }
}
