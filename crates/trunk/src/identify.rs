//! Who sent this request: source address and TLS name -> trunk, or a refusal with its status.
//!
//! That the trunk may bring this very number is rule D2 of `routing`; here the question is only who the peer is.

use std::net::{IpAddr, SocketAddr};

use routing::TrunkId;
use thiserror::Error;

use crate::profile::{Profile, Transport};
use crate::tls::TlsPeer;

/// How a request reached us.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// From where.
    pub source: SocketAddr,
    /// Over what.
    pub transport: Transport,
    /// Whose certificate was shown and verified, over TLS.
    pub peer: Option<&'a TlsPeer>,
}

/// Nobody we know. The answer is 403 (or silence, as the shell likes); the text is for the log and says what to add.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unknown {
    /// No trunk lists the source address.
    #[error("no trunk lists the source {0}; if it is a peer, add it to `sources` of its [[trunk]]")]
    Source(IpAddr),
    /// The address belongs to a trunk that is spoken with over TLS only.
    #[error(
        "{source_ip} is trunk {trunk}, which speaks TLS (its `peers` or `tls_names` say so); it came without"
    )]
    NoTls {
        /// Where it came from.
        source_ip: IpAddr,
        /// The trunk that lists the address.
        trunk: TrunkId,
    },
    /// It came over TLS, and without a certificate.
    #[error(
        "{source_ip} is trunk {trunk}, which must show a certificate (see its `tls.require_certificate`)"
    )]
    NoCertificate {
        /// Where it came from.
        source_ip: IpAddr,
        /// The trunk that lists the address.
        trunk: TrunkId,
    },
    /// The address fits, the certificate was not issued by the roots of this trunk.
    #[error(
        "{source_ip} is trunk {trunk}, but {subject:?} was not issued by the roots of this trunk (`tls.roots`)"
    )]
    Roots {
        /// Where it came from.
        source_ip: IpAddr,
        /// The trunk that lists the address.
        trunk: TrunkId,
        /// The subject of the certificate.
        subject: String,
    },
    /// The address fits, the certificate does not.
    #[error(
        "{source_ip} is trunk {trunk}, but its certificate names {found:?}, none of which is in `tls_names`"
    )]
    TlsName {
        /// Where it came from.
        source_ip: IpAddr,
        /// The trunk that lists the address.
        trunk: TrunkId,
        /// The names in the certificate.
        found: String,
    },
}

impl Unknown {
    /// The SIP status to answer: 403 Forbidden.
    pub fn status(&self) -> u16 {
        403
    }
}

/// Finds the trunk behind a request by its source address (the longest prefix wins) and by the TLS names the peer proved,
/// which a trunk that speaks TLS always wants. An IPv4 source on a dual-stack socket counts as IPv4.
pub fn identify<'a>(profiles: &'a [Profile], origin: &Origin<'_>) -> Result<&'a Profile, Unknown> {
    let ip = origin.source.ip().to_canonical();
    let prefix = |profile: &Profile| {
        profile.sources.iter().filter(|net| net.contains(&ip)).map(ipnet::IpNet::prefix_len).max()
    };
    let mut here: Vec<(u8, &Profile)> =
        profiles.iter().filter_map(|profile| Some((prefix(profile)?, profile))).collect();
    // Longest prefix first; a stable sort keeps the order of the file among equals, which differ by TLS name.
    here.sort_by_key(|(prefix, _)| std::cmp::Reverse(*prefix));
    // A wider network's trunk never answers for an address that a narrower one claims: only equals are alternatives.
    let longest = here.first().map_or(0, |(prefix, _)| *prefix);
    let mut nearest = None;
    for (_, profile) in here.iter().filter(|(prefix, _)| *prefix == longest) {
        match proven(profile, ip, origin) {
            Ok(()) => return Ok(profile),
            Err(why) => {
                nearest.get_or_insert(why);
            }
        }
    }
    Err(nearest.unwrap_or(Unknown::Source(ip)))
}

/// Whether what the origin proved is what this trunk has to prove.
pub(crate) fn proven(profile: &Profile, source_ip: IpAddr, origin: &Origin<'_>) -> Result<(), Unknown> {
    let trunk = profile.id.clone();
    if origin.transport != Transport::Tls {
        return if profile.tls.only { Err(Unknown::NoTls { source_ip, trunk }) } else { Ok(()) };
    }
    if !profile.tls.require_certificate {
        return Ok(());
    }
    let Some(peer) = origin.peer else {
        return Err(Unknown::NoCertificate { source_ip, trunk });
    };
    if !peer.vouched_by.contains(&profile.tls.roots) {
        return Err(Unknown::Roots { source_ip, trunk, subject: peer.subject.clone() });
    }
    // A trunk without a TLS peer and without `tls_names` has no name to prove: its roots are all there is.
    if profile.tls_names.is_empty() || peer.has_name(&profile.tls_names) {
        return Ok(());
    }
    Err(Unknown::TlsName { source_ip, trunk, found: peer.names.join(" ").chars().take(253).collect() })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::UNIX_EPOCH;

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

    fn certificate(names: &[&str], roots: Option<&str>) -> TlsPeer {
        TlsPeer {
            names: names.iter().copied().map(str::to_owned).collect(),
            subject: "CN=somebody".to_owned(),
            not_after: UNIX_EPOCH,
            vouched_by: vec![roots.map(PathBuf::from)],
        }
    }

    fn ask(
        text: &str,
        source: &str,
        transport: Transport,
        peer: Option<&TlsPeer>,
    ) -> Result<String, Unknown> {
        let trunks = trunks(text).unwrap();
        let source = SocketAddr::new(source.parse().unwrap(), 5060);
        trunks.identify(&Origin { source, transport, peer }).map(|profile| profile.id.to_string())
    }

    /// By UDP without a name, by TLS with one.
    fn who(source: &str, tls_name: Option<&str>) -> Result<String, Unknown> {
        let peer = tls_name.map(|name| certificate(&["first.example", name], None));
        let transport = if peer.is_some() { Transport::Tls } else { Transport::Udp };
        ask(TRUNKS, source, transport, peer.as_ref())
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
            ("*.gov.example", Some("teams-b")),
            ("*.pstnhub.microsoft.com", Some("teams-a")),
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
            (who("52.113.0.1", None), "it came without"),
            (who("52.113.0.1", Some("other.example")), "none of which is in `tls_names`"),
            (ask(TRUNKS, "52.113.0.1", Transport::Tls, None), "must show a certificate"),
        ];
        for (refused, advice) in cases {
            let refused = refused.unwrap_err();
            assert_eq!(refused.status(), 403);
            assert!(refused.to_string().contains(advice), "{refused}");
        }
    }

    const TLS: &str = r#"
[[trunk]]
id = "acme"
kind = "operator"
peers = [{ address = "203.0.113.10", transport = "tls", host = "sbc.acme.example" }]
tls = { roots = "acme.pem" }

[[trunk]]
id = "mixed"
kind = "operator"
peers = [
  { address = "203.0.113.20", transport = "tls", host = "sbc.mixed.example" },
  { address = "203.0.113.20", transport = "udp" },
]

[[trunk]]
id = "bare"
kind = "operator"
peers = [{ address = "203.0.113.30", transport = "tls", host = "sbc.bare.example" }]
tls = { require_certificate = false }
"#;

    #[test]
    fn a_trunk_that_is_called_over_tls_is_nobody_over_anything_else() {
        for transport in [Transport::Udp, Transport::Tcp] {
            assert!(matches!(ask(TLS, "203.0.113.10", transport, None), Err(Unknown::NoTls { .. })));
            assert!(matches!(ask(TLS, "203.0.113.30", transport, None), Err(Unknown::NoTls { .. })));
            assert_eq!(ask(TLS, "203.0.113.20", transport, None).as_deref(), Ok("mixed"));
        }
    }

    #[test]
    fn over_tls_a_trunk_proves_the_name_that_it_is_called_by() {
        let over_tls = |source, peer| ask(TLS, source, Transport::Tls, peer);
        let acme = certificate(&["sbc.acme.example"], Some("acme.pem"));
        assert_eq!(over_tls("203.0.113.10", Some(&acme)).as_deref(), Ok("acme"));
        let other = certificate(&["sbc.mixed.example"], Some("acme.pem"));
        assert!(matches!(over_tls("203.0.113.10", Some(&other)), Err(Unknown::TlsName { .. })));
        assert!(matches!(over_tls("203.0.113.20", None), Err(Unknown::NoCertificate { .. })));
        assert_eq!(over_tls("203.0.113.30", None).as_deref(), Ok("bare"), "it need not show one");
    }

    #[test]
    fn a_right_name_under_another_trunks_roots_is_refused() {
        let acme = certificate(&["sbc.acme.example"], None);
        let refused = ask(TLS, "203.0.113.10", Transport::Tls, Some(&acme));
        assert!(matches!(refused, Err(Unknown::Roots { .. })), "{refused:?}");
    }
}
