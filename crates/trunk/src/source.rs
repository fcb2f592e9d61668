//! A `[[trunk]]` table as it is written, and its way to a [`Profile`].
//!
//! Names are Microsoft's where `CsOnlinePSTNGateway` has one, in snake_case: `enabled`, `fqdn`, `send_sip_options`,
//! `forward_pai`, `failover_response_codes`, `failover_time_seconds`, `max_concurrent_sessions`.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;
use toml::Spanned;

use crate::check::Check;
use crate::numbers::NumberFormat;
use crate::profile::{CalledFrom, Codec, Kind, MediaSource, Options, Profile, Transport};
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
    pub sources: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    pub tls_names: Vec<Spanned<String>>,
    pub codecs: Option<Spanned<Vec<CodecName>>>,
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
    pub options_accepted_codes: Option<Vec<Spanned<CodeSource>>>,
    pub options_user: Option<Spanned<String>>,
    pub failover_response_codes: Option<Vec<Spanned<u16>>>,
    pub failover_time_seconds: Option<Spanned<u32>>,
    pub first_response_ms: Option<Spanned<u32>>,
    pub ring_seconds: Option<Spanned<u32>>,
    pub max_concurrent_sessions: Option<Spanned<u32>>,
    pub calls_per_second: Option<Spanned<u32>>,
    pub credentials: Option<CredentialsSource>,
}

/// One entry of `peers`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerSource {
    /// `203.0.113.10`, `203.0.113.10:5060`, `[2001:db8::1]:5060`; the port defaults to 5060 (5061 for TLS).
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

/// A codec as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are RFC 3551's")]
pub enum CodecName {
    Pcmu,
    Pcma,
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
        let peers = check.peers(&self.peers, defaults.transport);
        let profile = Profile {
            id: check.id(&self.id),
            kind: self.kind,
            provider: check.provider(self.kind, self.provider.as_ref(), self.id.get_ref()),
            enabled: self.enabled.unwrap_or(true),
            fqdn: check.host_name("fqdn", self.fqdn.as_ref()),
            sources: check.sources(self.sources.as_deref(), &peers),
            peers,
            tls_names: self.tls_names.iter().filter_map(|name| check.tls_name(name)).collect(),
            codecs: check.codecs(self.codecs.as_ref(), defaults.codecs),
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
                accepted: check.accepted(self.options_accepted_codes.as_deref()),
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
            max_concurrent_sessions: check.number(
                "max_concurrent_sessions",
                self.max_concurrent_sessions.as_ref(),
                1..=1_000_000,
            ),
            calls_per_second: check.number("calls_per_second", self.calls_per_second.as_ref(), 1..=10_000),
            credentials: check.credentials(self.credentials.as_ref()),
        };
        if profile.kind == Kind::Microsoft {
            microsoft::check(self, &profile, &mut check);
        }
        if check.errors.is_empty() { Ok(profile) } else { Err(check.errors) }
    }
}
