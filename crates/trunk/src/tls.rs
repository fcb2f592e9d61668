//! TLS between a trunk and us: which certificates are shown, which are believed, and which names they must carry.
//!
//! The names of a certificate are found by RFC 5922 section 7.1 in the shell; what they must be is decided here. Beyond
//! RFC 5922, which knows no wildcards, `*.` may stand for one label (RFC 2818 section 3.1), as carriers and Microsoft use it.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::SystemTime;

use routing::Spanned;
use schemars::JsonSchema;
use serde::Deserialize;
use sip::Host;

use crate::check::Check;
use crate::profile::{Listed, Peer, Profile, Transport};
use crate::source::ProfileSource;

/// Where a trunk differs from `tls` of `[sip]`.
#[derive(Clone, Debug, Default, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSource {
    /// Our certificate towards this trunk, with its chain: PEM.
    pub certificate: Option<Spanned<PathBuf>>,
    /// The key of `certificate`: PEM.
    pub key: Option<Spanned<PathBuf>>,
    /// Whom its certificates must be issued by: PEM, or `system`.
    pub roots: Option<Spanned<PathBuf>>,
    /// The name that its peers' certificates must carry when we connect, and that we ask for (SNI).
    pub server_name: Option<Spanned<String>>,
    /// Whether it must show a certificate when it connects to us; default: true.
    pub require_certificate: Option<Spanned<bool>>,
}

/// What a trunk has of its own for TLS; `None` stands for what `[sip.tls]` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// Files of our certificate and of its key, as written.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// File of the roots, as written; `system` for those of the operating system.
    pub roots: Option<PathBuf>,
    /// The one name that the peers' certificates must carry when we connect; lower case.
    pub server_name: Option<String>,
    /// Whether it must show a certificate when it connects to us.
    pub require_certificate: bool,
    /// Whether what comes in its name over anything but TLS is forged: all its peers are reached over TLS, or it has
    /// `tls_names` of its own.
    pub only: bool,
}

/// A TLS peer whose certificate was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPeer {
    /// What it may call itself (RFC 5922 section 7.1): the dNSNames and the hosts of the SIP URIs among its subject's
    /// alternative names, or its common name where there are none of these; addresses as text. Lower case.
    pub names: Vec<String>,
    /// The certificate's subject, for people.
    pub subject: String,
    /// When the certificate expires.
    pub not_after: SystemTime,
    /// The roots that vouch for it, as `tls.roots` of trunks names them; `None` are those of `[sip.tls]`.
    pub vouched_by: Vec<Option<PathBuf>>,
}

impl TlsPeer {
    /// Whether one of its names is one of these; see [`matches_name`].
    pub fn has_name(&self, wanted: &[String]) -> bool {
        self.names.iter().any(|name| wanted.iter().any(|wanted| matches_name(wanted, name)))
    }
}

/// How a connection to one address must be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsTarget {
    /// Our certificate; `None`: that of `[sip.tls]`.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Whom to believe; `None`: the roots of `[sip.tls]`.
    pub roots: Option<PathBuf>,
    /// The peer's certificate must carry one of these.
    pub names: Vec<String>,
    /// The name that we ask for in the handshake (RFC 6066 section 3); an address is never asked for.
    pub asked_for: Option<String>,
}

impl TlsTarget {
    /// Whether a connection whose other end proved to be `peer` may carry what is meant for this target
    /// (RFC 5923 section 8.1).
    pub fn accepts(&self, peer: &TlsPeer) -> bool {
        peer.vouched_by.contains(&self.roots) && peer.has_name(&self.names)
    }
}

impl Profile {
    /// How to connect to `peer`, one of this trunk's. Its own name is what must be proven: `server_name`, else its `host`,
    /// else one of `tls_names`.
    pub fn tls_target(&self, peer: &Peer) -> TlsTarget {
        let host = peer.host.as_ref().map(|host| host.to_string().to_ascii_lowercase());
        let name = self.tls.server_name.clone().or(host);
        let names = name.clone().map_or_else(|| self.tls_names.clone(), |name| vec![name]);
        self.target(names, name)
    }

    /// How to connect to an address of this trunk that is no peer of it, such as a Contact's.
    pub(crate) fn tls_target_elsewhere(&self) -> TlsTarget {
        match &self.tls.server_name {
            Some(name) => self.target(vec![name.clone()], Some(name.clone())),
            None => self.target(self.tls_names.clone(), None),
        }
    }

    fn target(&self, names: Vec<String>, name: Option<String>) -> TlsTarget {
        let is_one = |name: &String| !name.starts_with("*.") && name.parse::<IpAddr>().is_err();
        let asked_for = name.or_else(|| names.first().cloned()).filter(is_one);
        TlsTarget { identity: self.tls.identity.clone(), roots: self.tls.roots.clone(), names, asked_for }
    }
}

/// Whether `name` in a certificate is the `wanted` one. Case does not matter; `*` stands for exactly the leftmost label,
/// in the certificate as in the configuration.
pub fn matches_name(wanted: &str, name: &str) -> bool {
    wanted.eq_ignore_ascii_case(name) || covers(wanted, name) || covers(name, wanted)
}

/// Whether `pattern` is `*.parent` and `name` is one label below that parent.
fn covers(pattern: &str, name: &str) -> bool {
    let Some(parent) = pattern.strip_prefix("*.") else { return false };
    if name.parse::<IpAddr>().is_ok() {
        return false;
    }
    name.split_once('.').is_some_and(|(label, rest)| {
        !label.is_empty() && label != "*" && rest.contains('.') && rest.eq_ignore_ascii_case(parent)
    })
}

impl Check<'_> {
    pub(crate) fn tls(&mut self, table: &ProfileSource, peers: &[Listed]) -> TlsSettings {
        let none = TlsSource::default();
        let source = table.tls.as_ref().unwrap_or(&none);
        let identity = match (&source.certificate, &source.key) {
            (Some(certificate), Some(key)) => Some((certificate.get_ref().clone(), key.get_ref().clone())),
            (None, None) => None,
            (Some(alone), None) | (None, Some(alone)) => {
                let found = format!("{:?} alone", alone.get_ref().display().to_string());
                let expected = "certificate and key together, or neither";
                self.refuse(Some(alone.span()), "tls", found, expected);
                None
            }
        };
        let server_name = self.host_name("tls.server_name", source.server_name.as_ref());
        TlsSettings {
            identity,
            roots: source.roots.as_ref().map(|roots| roots.get_ref().clone()),
            server_name: server_name.map(|name: Host| name.to_string().to_ascii_lowercase()),
            require_certificate: source.require_certificate.as_ref().is_none_or(|wanted| *wanted.get_ref()),
            only: !table.tls_names.is_empty()
                || peers.iter().all(|peer| peer.transport() == Some(Transport::Tls)),
        }
    }

    /// The names of its certificates: those that are written, else those by which its TLS peers are called.
    pub(crate) fn tls_names(
        &mut self,
        table: &ProfileSource,
        tls: &TlsSettings,
        peers: &[Listed],
    ) -> Vec<String> {
        if !table.tls_names.is_empty() {
            let wanted = table.tls.as_ref().and_then(|tls| tls.require_certificate.as_ref());
            if let Some(wanted) = wanted.filter(|wanted| !wanted.get_ref()) {
                let expected =
                    "true while tls_names is there, or no tls_names: without a certificate there is no name";
                self.refuse(Some(wanted.span()), "tls.require_certificate", "false", expected);
            }
            return table.tls_names.iter().filter_map(|name| self.tls_name(name)).collect();
        }
        let called = |peer: &Listed| tls.server_name.clone().unwrap_or_else(|| peer.called());
        let mut names: Vec<String> = Vec::new();
        // A peer whose transport the DNS decides may turn out to be one over TLS.
        let may_be_tls =
            |peer: &&Listed| peer.transport().is_none_or(|transport| transport == Transport::Tls);
        for name in peers.iter().filter(may_be_tls).map(called) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// An address that two trunks reach with different certificates or expectations: a connection to it could not be told
/// to be the one's or the other's.
pub(crate) fn contradiction(profile: &Profile, other: &Profile) -> Option<String> {
    let tls = |peer: &&Peer| peer.transport == Transport::Tls;
    let address = profile.peers.iter().filter(tls).find_map(|peer| {
        let same = other.peers.iter().filter(tls).find(|same| same.address == peer.address)?;
        (profile.tls_target(peer) != other.tls_target(same)).then(|| peer.address.to_string())
    });
    // A name stands for the same addresses in both.
    let target = |profile: &Profile, listed: &Listed| match listed {
        Listed::Name { name, host, turn } if name.transport != Some(Transport::Udp) => {
            let host = host.clone().or_else(|| Host::parse(&name.host).ok());
            let anywhere = SocketAddr::from(([0, 0, 0, 0], name.port.unwrap_or_default()));
            Some((
                name.host.clone(),
                profile.tls_target(&Peer { address: anywhere, transport: Transport::Tls, host, turn: *turn }),
            ))
        }
        _ => None,
    };
    let all = |profile: &Profile| -> Vec<_> {
        profile.listed.iter().filter_map(|listed| target(profile, listed)).collect()
    };
    let others = all(other);
    let clashes = |(name, target): &(String, TlsTarget)| {
        others.iter().any(|(same, theirs)| same == name && theirs != target)
    };
    address.or_else(|| all(profile).into_iter().find(clashes).map(|(name, _)| name))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::testing::{OPERATOR, profile, trunks};

    fn tls(lines: &str) -> String {
        let peer = "address = \"203.0.113.10\", transport = \"tls\"";
        let document = OPERATOR.replace("address = \"203.0.113.10:5060\"", peer);
        format!("{document}{lines}\n")
    }

    #[test]
    fn a_wildcard_is_one_label_in_the_certificate_and_in_the_configuration() {
        // (wanted, in the certificate, the same)
        let table = [
            ("sbc.acme.example", "sbc.acme.example", true),
            ("sbc.acme.example", "SBC.Acme.Example", true),
            ("sbc.acme.example", "*.acme.example", true),
            ("*.acme.example", "sbc.acme.example", true),
            ("*.acme.example", "*.acme.example", true),
            ("a.sbc.acme.example", "*.acme.example", false),
            ("acme.example", "*.acme.example", false),
            (".acme.example", "*.acme.example", false),
            ("sbc.acme.example", "*.example", false),
            ("acme.example", "*.example", false),
            ("example", "*", false),
            ("sbc.acme.example", "s*.acme.example", false),
            ("sbc.acme.example", "sbc.acme.example.evil.example", false),
            ("*.acme.example", "*.sbc.acme.example", false),
            ("203.0.113.10", "203.0.113.10", true),
            ("203.0.113.10", "*.0.113.10", false),
        ];
        for (wanted, name, same) in table {
            assert_eq!(matches_name(wanted, name), same, "{wanted} and {name}");
        }
    }

    #[test]
    fn who_is_called_by_name_must_prove_that_name() {
        let called = |lines: &str| {
            let profile = profile(&tls(lines));
            let target = profile.tls_target(&profile.peers[0]);
            (target.names.join(" "), target.asked_for.unwrap_or_default(), profile.tls_names.join(" "))
        };
        let acme = || "sbc.acme.example".to_owned();
        assert_eq!(called(""), (acme(), acme(), acme()));
        assert_eq!(called("tls_names = [\"*.acme.example\"]"), (acme(), acme(), "*.acme.example".to_owned()));
        let other = || "edge.acme.example".to_owned();
        assert_eq!(called("tls = { server_name = \"Edge.acme.example\" }"), (other(), other(), other()));
    }

    #[test]
    fn who_has_no_name_must_prove_one_of_tls_names_or_its_address() {
        let nameless = |lines: &str| tls(lines).replace(", host = \"sbc.acme.example\"", "");
        let alone = profile(&nameless(""));
        let target = alone.tls_target(&alone.peers[0]);
        assert_eq!((target.names, target.asked_for), (vec!["203.0.113.10".to_owned()], None));
        let named = profile(&nameless("tls_names = [\"*.acme.example\", \"b.example.net\"]"));
        let target = named.tls_target(&named.peers[0]);
        assert_eq!((target.names.len(), target.asked_for), (2, None), "a wildcard cannot be asked for");
    }

    #[test]
    fn a_connection_is_used_for_a_target_only_if_its_roots_and_a_name_fit() {
        let profile = profile(&tls("tls = { roots = \"acme.pem\" }"));
        let target = profile.tls_target(&profile.peers[0]);
        let peer = |name: &str, roots: Option<&str>| TlsPeer {
            names: vec!["x.example".to_owned(), name.to_owned()],
            subject: String::new(),
            not_after: UNIX_EPOCH,
            vouched_by: vec![roots.map(PathBuf::from)],
        };
        assert!(target.accepts(&peer("*.acme.example", Some("acme.pem"))));
        assert!(!target.accepts(&peer("*.acme.example", None)), "other roots");
        assert!(!target.accepts(&peer("sbc.evil.example", Some("acme.pem"))), "another name");
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_key() {
        for (lines, key) in [
            ("tls = { certificate = \"a.pem\" }", "tls"),
            ("tls = { key = \"a.key\" }", "tls"),
            ("tls = { server_name = \"203.0.113.10\" }", "tls.server_name"),
            ("tls_names = [\"a.example\"]\ntls = { require_certificate = false }", "tls.require_certificate"),
        ] {
            let errors = trunks(&tls(lines)).expect_err(lines);
            assert_eq!(errors.len(), 1, "{errors:?}");
            assert_eq!(errors[0].key, format!("trunk.acme.{key}"));
        }
    }

    #[test]
    fn one_address_with_two_sets_of_certificates_is_refused() {
        let second = |lines: &str| {
            let again = tls(lines).replace("\"acme\"", "\"second\"");
            trunks(&format!(
                "{}{}",
                tls("sources = [\"192.0.2.1\"]"),
                again.replace("[[trunk]]", "[[trunk]]\nsources = [\"192.0.2.2\"]",)
            ))
        };
        assert!(second("").is_ok(), "the same certificates: one connection for both");
        let errors = second("tls = { roots = \"other.pem\" }").expect_err("other roots");
        assert_eq!(errors[0].key, "trunk.second.peers");
        assert!(errors[0].found.contains("203.0.113.10:5061"), "{errors:?}");
    }
}
