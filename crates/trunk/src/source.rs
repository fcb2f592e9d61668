//! A `[[trunk]]` table as it is written, and its way to a [`Profile`].
//!
//! Names are Microsoft's where `CsOnlinePSTNGateway` has one, in snake_case: `enabled`, `fqdn`, `send_sip_options`,
//! `forward_pai`, `failover_response_codes`, `failover_time_seconds`, `max_concurrent_sessions`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use routing::Spanned;
use schemars::JsonSchema;
use serde::Deserialize;
use sip::sdp::{Codec, Suite};
use thiserror::Error;

use crate::check::{self, Check};
use crate::dialogs::{self, ReliableName, SessionTimerName};
use crate::numbers::NumberFormat;
use crate::profile::{CalledFrom, Kind, MediaSource, Options, Profile, Transport};
use crate::tls::TlsSource;
use crate::{microsoft, operator};

/// `[[trunk]]`: an operator's SBC, or the Microsoft PSTN gateway. Every key but `id`, `kind` and `peers` has a default; an unknown key is refused.
#[derive(Clone, Debug, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileSource {
    /// The name in routes, logs, metrics and usage records.
    pub id: Spanned<String>,
    /// The dialect, and the defaults that come with it.
    pub kind: Kind,
    /// Who stands behind it: `operator:<id>`, `microsoft` or `customer`. Default: `microsoft` for that kind, else the operator of
    /// its `id`.
    pub provider: Option<Spanned<String>>,
    /// `false` drains it: running legs stay, new ones are refused. Default: true.
    pub enabled: Option<bool>,
    /// Our name towards this peer, in Contact, From and Via. Default: our address; Microsoft insists on a name.
    pub fqdn: Option<Spanned<String>>,
    /// Where our calls go, in order, at least one.
    pub peers: Spanned<Vec<PeerSource>>,
    /// Networks that its calls come from. Default: the addresses of `peers`.
    pub sources: Option<Spanned<Vec<Spanned<String>>>>,
    /// Names of its certificates; `*.` stands for one label. Default: what its TLS peers are called.
    #[serde(default)]
    pub tls_names: Vec<Spanned<String>>,
    /// Where it differs from `tls` of `[sip]`.
    pub tls: Option<TlsSource>,
    /// In order of preference. Default for an operator: `pcma`, `pcmu`.
    pub codecs: Option<Spanned<Vec<CodecName>>>,
    /// How Opus is spoken, where `codecs` has it; the peer's own wishes can only lower these.
    pub opus: Option<OpusSource>,
    /// Audio levels are exchanged in an RTP header extension (RFC 6464). Default: true for an operator, false for Microsoft.
    pub audio_level: Option<bool>,
    /// Encrypted media with keys in SDP (RFC 4568), over TLS only. Default: `off`; for Microsoft over TLS `mandatory`.
    pub srtp: Option<Spanned<SrtpName>>,
    /// In order of preference. Default for Microsoft: `AES_CM_128_HMAC_SHA1_80` alone.
    pub srtp_suites: Option<Spanned<Vec<SuiteName>>>,
    /// The keys that we write have base64's padding. Default: true.
    pub srtp_pad_keys: Option<bool>,
    /// Where this trunk's RTP is received. Default: as in `[media]`.
    pub media_address: Option<Spanned<IpAddr>>,
    /// What SDP says instead of `media_address`.
    pub media_advertise: Option<Spanned<IpAddr>>,
    /// From whom RTP is accepted.
    #[serde(default)]
    pub media_source: MediaSource,
    /// How it wants and sends dialed numbers. Default: `e164`.
    pub number_format: Option<Spanned<NumberFormat>>,
    /// How it wants caller IDs. Default: as `number_format`.
    pub caller_number_format: Option<Spanned<NumberFormat>>,
    /// The country of numbers without `+`: 1 to 3 digits.
    pub country_code: Option<Spanned<String>>,
    /// What stands before a national number. Default: usual in that country.
    pub national_prefix: Option<Spanned<String>>,
    /// What stands before a country code. Default: usual in that country.
    pub international_prefix: Option<Spanned<String>>,
    /// Which header names the number that was called.
    #[serde(default)]
    pub called_from: CalledFrom,
    /// Its P-Asserted-Identity is believed (RFC 3325). Default: false.
    pub trust_pai: Option<bool>,
    /// `ForwardPai`: we assert the caller ID to it in P-Asserted-Identity. Default: true for an operator, false for Microsoft.
    pub forward_pai: Option<bool>,
    /// Numbers in our URIs carry `;user=phone`. Default: true.
    pub user_phone: Option<bool>,
    /// The domain of From and P-Asserted-Identity, where it is not our own name.
    pub from_domain: Option<Spanned<String>>,
    /// `SendSipOptions`: we ask each peer how it is. Default: true.
    pub send_sip_options: Option<bool>,
    /// How often, 1 to 3600. Default: 30 for an operator, 60 for Microsoft.
    pub options_interval_seconds: Option<Spanned<u32>>,
    /// The answers that mean "healthy": codes such as `404`, classes such as `"2xx"`. Default: `["2xx"]`.
    pub options_accepted_codes: Option<Spanned<Vec<Spanned<CodeSource>>>>,
    /// The user part of From in OPTIONS, for peers that want one.
    pub options_user: Option<Spanned<String>>,
    /// `FailoverResponseCodes`: after these answers the next peer or trunk is tried. Default: 408, 503, 504.
    pub failover_response_codes: Option<Vec<Spanned<u16>>>,
    /// `FailoverTimeSeconds`: how long the first 101 to 199 may take, 1 to 60. Default: 10.
    pub failover_time_seconds: Option<Spanned<u32>>,
    /// How long the first response of any kind may take, 100 to 32000 milliseconds. Default: 3500.
    pub first_response_ms: Option<Spanned<u32>>,
    /// How long it may ring, 5 to 600. Default: 60.
    pub ring_seconds: Option<Spanned<u32>>,
    /// Session timers (RFC 4028), which end calls that nobody refreshes any more: `accept` where the peer asks, `ask` asks too.
    /// Default: `ask`.
    pub session_timer: Option<SessionTimerName>,
    /// The interval that we ask for, 90 to 86400. Default: 1800.
    pub session_expires_seconds: Option<Spanned<u32>>,
    /// The shortest interval that we grant, 90 to `session_expires_seconds`. Default: 90.
    pub min_se_seconds: Option<Spanned<u32>>,
    /// Provisional responses acknowledged by PRACK (RFC 3262). Default: `supported`.
    pub reliable_provisionals: Option<ReliableName>,
    /// The peer may send a leg to another dialog with one of its own hosts (REFER). Default: false.
    pub accept_refer: Option<bool>,
    /// An INVITE of its may take the place of a leg's dialog (Replaces). Default: false.
    pub accept_replaces: Option<bool>,
    /// `MaxConcurrentSessions`: calls at once, both directions together, 1 to 1000000. Default: no limit.
    pub max_concurrent_sessions: Option<Spanned<u32>>,
    /// New calls a second, both directions together, 1 to 10000. Default: no limit.
    pub calls_per_second: Option<Spanned<u32>>,
    /// What we register there (RFC 3261 section 10). Default: nothing.
    pub register: Option<Spanned<RegisterSource>>,
    /// Digest credentials for our calls and registrations.
    pub credentials: Option<CredentialsSource>,
    /// Digest credentials that its calls must bring. Default: none are asked for.
    pub inbound_credentials: Option<InboundCredentialsSource>,
}

/// One entry of `peers`.
#[derive(Clone, Debug, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerSource {
    /// `203.0.113.10`, `203.0.113.10:5060`, `[2001:db8::1]:5060`, where the port defaults to 5060 (5061 for TLS); or a name, with
    /// a port or without, which the DNS locates (RFC 3263).
    pub address: Spanned<String>,
    /// Default: `udp` for an operator, `tls` for Microsoft.
    pub transport: Option<Transport>,
    /// The peer's name in URIs.
    pub host: Option<Spanned<String>>,
    /// 0 to 65535, lower comes first. Where no peer of the trunk has `priority` or `weight`, they come in the order of the file;
    /// otherwise the default is 0.
    pub priority: Option<Spanned<u32>>,
    /// 0 to 65535: the share of the calls among peers of one priority; default 1.
    pub weight: Option<Spanned<u32>>,
}

/// What we register at a trunk.
#[derive(Clone, Debug, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterSource {
    /// The user part of the address that is registered; default: the user name of `credentials`.
    pub username: Option<Spanned<String>>,
    /// Its domain; default: what the first peer is called.
    pub domain: Option<Spanned<String>>,
    /// For how many seconds we ask, 60 to 86400; default: 600.
    pub expires_seconds: Option<Spanned<u32>>,
}

/// Digest credentials for our calls and registrations.
#[derive(Clone, JsonSchema, Deserialize)]
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

/// Digest credentials that calls must bring.
#[derive(Clone, JsonSchema, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are RFC 3551's")]
pub enum CodecName {
    Pcmu,
    Pcma,
    G722,
    Opus,
}

/// How Opus is spoken.
#[derive(Clone, Debug, JsonSchema, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Deserialize)]
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
#[derive(Clone, Debug, JsonSchema, Deserialize)]
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
        // The real gateway speaks TLS and encrypts; where keys would cross a network in clear there are none.
        let encrypted = listed.iter().all(|one| one.transport() == Some(Transport::Tls));
        let srtp = match self.kind {
            Kind::Microsoft if encrypted => SrtpName::Mandatory,
            Kind::Microsoft | Kind::Operator => SrtpName::Off,
        };
        let registration = check.registration(self, &listed);
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
            srtp: check::srtp(self.srtp.as_ref().map_or(srtp, |name| *name.get_ref())),
            srtp_suites: check.suites(self.srtp_suites.as_ref(), defaults.srtp_suites),
            srtp_pad_keys: self.srtp_pad_keys.unwrap_or(true),
            media_address: check.media_address(self.media_address.as_ref(), self.media_advertise.as_ref()),
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
            registration,
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
mod tests;
