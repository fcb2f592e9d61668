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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::trunks;

    const TRUNKS: &str = r#"
[[trunk]]
id = "wide"
kind = "operator"
peers = [{ address = "198.51.100.1" }]
sources = ["198.51.0.0/16", "2001:db8::/32"]

[[trunk]]
id = "narrow"
kind = "operator"
peers = [{ address = "198.51.100.9" }]

[[trunk]]
id = "around-teams"
kind = "operator"
peers = [{ address = "52.1.1.1" }]
sources = ["52.0.0.0/8"]

[[trunk]]
id = "teams-a"
kind = "microsoft"
fqdn = "a.example.net"
peers = [{ address = "52.114.75.24", host = "sip.pstnhub.microsoft.com" }]
sources = ["52.112.0.0/14"]
tls_names = ["sip.pstnhub.microsoft.com"]

[[trunk]]
id = "teams-b"
kind = "microsoft"
fqdn = "b.example.net"
peers = [{ address = "52.114.76.76", host = "sip.pstnhub.gov.example" }]
sources = ["52.112.0.0/14"]
tls_names = ["*.gov.example"]
"#;

    fn who(source: &str, tls_name: Option<&str>) -> Result<String, Unknown> {
        let trunks = trunks(TRUNKS).unwrap();
        let source = SocketAddr::new(source.parse().unwrap(), 5060);
        trunks.identify(source, tls_name).map(|profile| profile.id.to_string())
    }

    #[test]
    fn the_longest_prefix_names_the_trunk() {
        // (source, trunk)
        let table = [
            ("198.51.100.9", "narrow"),
            ("198.51.100.1", "wide"),
            ("198.51.3.4", "wide"),
            ("52.3.3.3", "around-teams"),
            ("::ffff:198.51.100.9", "narrow"),
            ("2001:db8::7", "wide"),
        ];
        for (source, trunk) in table {
            assert_eq!(who(source, None).as_deref(), Ok(trunk), "{source}");
        }
    }

    #[test]
    fn the_tls_name_tells_trunks_on_the_same_network_apart() {
        // (name in the certificate, trunk)
        let table = [
            ("sip.pstnhub.microsoft.com", Some("teams-a")),
            ("SIP.PSTNHUB.MICROSOFT.COM", Some("teams-a")),
            ("one.gov.example", Some("teams-b")),
            ("one.two.gov.example", None),
            ("gov.example", None),
            (".gov.example", None),
            ("sip.pstnhub.microsoft.com.evil.example", None),
        ];
        for (name, trunk) in table {
            assert_eq!(who("52.113.0.1", Some(name)).ok().as_deref(), trunk, "{name}");
        }
    }

    #[test]
    fn a_right_name_from_a_wrong_address_is_refused() {
        assert!(matches!(who("203.0.113.1", Some("sip.pstnhub.microsoft.com")), Err(Unknown::Source(_))));
    }

    #[test]
    fn a_refusal_is_403_and_says_what_to_add() {
        let cases = [
            (who("203.0.113.1", None), "add it to `sources`"),
            (who("52.113.0.1", None), "must show a TLS name"),
            (who("52.113.0.1", Some("other.example")), "not in `tls_names`"),
        ];
        for (refused, advice) in cases {
            let refused = refused.unwrap_err();
            assert_eq!(refused.status(), 403);
            assert!(refused.to_string().contains(advice), "{refused}");
        }
    }
}
