//! Who sent this request: source address and TLS name -> trunk, or a refusal with its status.
//!
//! That the trunk may bring this very number is rule D2 of `routing`; here the question is only who the peer is.

use std::net::{IpAddr, SocketAddr};

use routing::TrunkId;
use thiserror::Error;

use crate::profile::Profile;

/// Nobody we know. The answer is 403 (or silence, as the shell likes); the text is for the log and says what to add.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unknown {
    /// No trunk lists the source address.
    #[error("no trunk lists the source {0}; if it is a peer, add it to `sources` of its [[trunk]]")]
    Source(IpAddr),
    /// The address belongs to trunks that are known by certificate, and the connection showed none.
    #[error(
        "{source_ip} is trunk {trunk}, which must show a TLS name of its `tls_names`; it came without TLS"
    )]
    NoTlsName {
        /// Where it came from.
        source_ip: IpAddr,
        /// The trunk that lists the address.
        trunk: TrunkId,
    },
    /// The address fits, the certificate does not.
    #[error("{source_ip} is trunk {trunk}, but its certificate names {found:?}, which is not in `tls_names`")]
    TlsName {
        /// Where it came from.
        source_ip: IpAddr,
        /// The trunk that lists the address.
        trunk: TrunkId,
        /// The name in the certificate.
        found: String,
    },
}

impl Unknown {
    /// The SIP status to answer: 403 Forbidden.
    pub fn status(&self) -> u16 {
        403
    }
}

/// Finds the trunk behind a request by its source address (the longest prefix wins) and, where the trunk's profile
/// asks for it, the TLS name the peer proved. An IPv4 source on a dual-stack socket counts as IPv4.
pub fn identify<'a>(
    profiles: &'a [Profile],
    source: SocketAddr,
    tls_name: Option<&str>,
) -> Result<&'a Profile, Unknown> {
    let ip = source.ip().to_canonical();
    let prefix = |profile: &Profile| {
        profile.sources.iter().filter(|net| net.contains(&ip)).map(ipnet::IpNet::prefix_len).max()
    };
    let mut here: Vec<(u8, &Profile)> =
        profiles.iter().filter_map(|profile| Some((prefix(profile)?, profile))).collect();
    // Longest prefix first; a stable sort keeps the order of the file among equals, which differ by TLS name.
    here.sort_by_key(|(prefix, _)| std::cmp::Reverse(*prefix));
    let Some((_, nearest)) = here.first() else {
        return Err(Unknown::Source(ip));
    };
    let fits = |profile: &Profile| {
        profile.tls_names.is_empty()
            || tls_name
                .is_some_and(|name| profile.tls_names.iter().any(|pattern| matches_name(pattern, name)))
    };
    // A wider network's trunk never answers for an address that a narrower one claims: only equals are alternatives.
    let longest = here.first().map_or(0, |(prefix, _)| *prefix);
    if let Some((_, profile)) = here.iter().find(|(prefix, profile)| *prefix == longest && fits(profile)) {
        return Ok(profile);
    }
    let trunk = nearest.id.clone();
    Err(match tls_name {
        None => Unknown::NoTlsName { source_ip: ip, trunk },
        Some(name) => Unknown::TlsName { source_ip: ip, trunk, found: name.chars().take(253).collect() },
    })
}

/// RFC 2818 section 3.1 (RFC 6125): case does not matter, `*` stands for exactly the leftmost label.
fn matches_name(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix("*.") {
        None => pattern.eq_ignore_ascii_case(name),
        Some(parent) => name
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent)),
    }
}
