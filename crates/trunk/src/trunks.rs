//! All trunks together: an immutable snapshot, swapped as a whole when the configuration changes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use routing::Spanned;
use routing::{TrunkId, TrunkRef};
use sip::sdp::Srtp;
use sip::{Neighborhood, Neighbors, Network};

use crate::health::PeerKey;
use crate::identify::{Origin, Unknown, identify, proven};
use crate::locate::{Name, Place};
use crate::profile::{Listed, Peer, Profile, Transport};
use crate::source::{ProfileError, ProfileSource};
use crate::tls::{TlsTarget, contradiction, matches_name};

/// The profiles, by name and by source.
#[derive(Clone, Debug, Default)]
pub struct Trunks {
    profiles: Vec<Profile>,
    by_id: BTreeMap<TrunkId, usize>,
}

impl Trunks {
    /// Builds all profiles and refuses what contradicts between them; every error at once.
    ///
    /// Two trunks may not share an id, nor a source network unless certificates tell them apart (both have `tls_names`
    /// and none of those in common). Several Microsoft trunks are allowed, as are several of one operator.
    pub fn build(sources: &[Spanned<ProfileSource>]) -> Result<Self, Vec<ProfileError>> {
        let mut errors = Vec::new();
        let mut profiles: Vec<Profile> = Vec::new();
        let mut written: Vec<&Spanned<ProfileSource>> = Vec::new();
        for source in sources {
            match source.get_ref().build() {
                Ok(profile) => {
                    for (other, place) in profiles.iter().zip(&written) {
                        errors.extend(conflict(source, &profile, place, other));
                        errors.extend(two_certificates(source, &profile, other));
                    }
                    profiles.push(profile);
                    written.push(source);
                }
                Err(more) => errors.extend(more),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let by_id = profiles.iter().enumerate().map(|(at, profile)| (profile.id.clone(), at)).collect();
        Ok(Self { profiles, by_id })
    }

    /// Refuses peers that no socket of ours can reach: `serves` says whether one of the listeners has this transport
    /// and the family of this address. Tables that do not build are left to [`Trunks::build`].
    pub fn unserved(
        sources: &[Spanned<ProfileSource>],
        serves: impl Fn(Transport, SocketAddr) -> bool,
    ) -> Vec<ProfileError> {
        let mut errors = Vec::new();
        for table in sources.iter().map(Spanned::get_ref) {
            let Ok(profile) = table.build() else { continue };
            for (listed, written) in profile.listed.iter().zip(table.peers.get_ref()) {
                let (served, over) = match listed {
                    Listed::Address(peer) => (serves(peer.transport, peer.address), peer.transport.as_str()),
                    // Any family: which one it will be, only the DNS knows.
                    Listed::Name { name, .. } => {
                        let any = |transport| ANYWHERE.iter().any(|address| serves(transport, *address));
                        (name.transport.is_none_or(any), name.transport.map_or("", Transport::as_str))
                    }
                };
                if !served {
                    errors.push(ProfileError {
                        span: Some(written.address.span()),
                        key: format!("trunk.{}.peers", profile.id),
                        found: format!("{listed} over {over}"),
                        expected: "a transport and address family for which sip.listen has an entry"
                            .to_owned(),
                    });
                }
            }
        }
        errors
    }

    /// Refuses SRTP whose keys could be read on the way: they stand in SDP, so SIP must be encrypted (RFC 4568 section 7.1.1).
    /// A trunk with `srtp` has TLS peers only, and then whatever comes in its name without TLS is refused ([`identify`]);
    /// or, for tests, its peers, its sources and every listener of ours are on loopback. Tables that do not build are left to
    /// [`Trunks::build`].
    pub fn keys_in_clear(sources: &[Spanned<ProfileSource>], listeners: &[SocketAddr]) -> Vec<ProfileError> {
        let mut errors = Vec::new();
        for table in sources.iter().map(Spanned::get_ref) {
            let (Some(written), Ok(profile)) = (&table.srtp, table.build()) else { continue };
            let tls = |listed: &Listed| listed.transport() == Some(Transport::Tls);
            if profile.srtp == Srtp::Off || profile.listed.iter().all(tls) {
                continue;
            }
            if let Some(listed) =
                profile.listed.iter().find(|one| matches!(one, Listed::Name { .. }) && !tls(one))
            {
                errors.push(ProfileError {
                    span: Some(written.span()),
                    key: format!("trunk.{}.srtp", profile.id),
                    found: format!(
                        "{:?} while the peer {} need not be reached over TLS",
                        written.get_ref().as_str(),
                        listed
                    ),
                    expected:
                        "transport = \"tls\" for all of its `peers`, or srtp = \"off\": the keys stand in SDP"
                            .to_owned(),
                });
                continue;
            }
            let peers = profile.peers.iter().map(|peer| ("the peer", IpNet::from(peer.address.ip())));
            let networks = profile.sources.iter().map(|&net| ("the source", net));
            let listeners = listeners.iter().map(|own| ("the listener", IpNet::from(own.ip())));
            let outside = peers.chain(networks).chain(listeners).find(|(_, net)| !is_loopback(*net));
            if let Some((what, net)) = outside {
                let place = if net.prefix_len() == net.max_prefix_len() {
                    net.addr().to_string()
                } else {
                    net.to_string()
                };
                errors.push(ProfileError {
                    span: Some(written.span()),
                    key: format!("trunk.{}.srtp", profile.id),
                    found: format!("{:?} while {what} {place} is not on loopback", written.get_ref().as_str()),
                    expected: "transport = \"tls\" for all of its `peers`, or srtp = \"off\": the keys stand in SDP, and without \
                               TLS they cross the network in clear (on loopback alone, as in tests, they may)"
                        .to_owned(),
                });
            }
        }
        errors
    }

    /// The names that the DNS must turn into addresses before their peers can be called.
    pub fn names(&self) -> BTreeSet<Name> {
        self.profiles.iter().flat_map(Profile::names).cloned().collect()
    }

    /// The same trunks, with what the DNS says of their names.
    #[must_use]
    pub fn settled(&self, places: &BTreeMap<Name, Vec<Place>>) -> Self {
        let mut settled = self.clone();
        settled.profiles.iter_mut().for_each(|profile| profile.settle(places));
        settled
    }

    /// Whether these may take the place of the `running` ones while calls are up; if not, why not. Trunks that come or go concern
    /// the routing table, and certificates and roots the connections.
    ///
    /// # Errors
    ///
    /// What has changed that only a restart can change.
    pub fn may_follow(&self, running: &Self) -> Result<(), String> {
        let names = |trunks: &Self| trunks.by_id.keys().cloned().collect::<BTreeSet<TrunkId>>();
        let (old, new) = (names(running), names(self));
        if let Some(id) = new.symmetric_difference(&old).next() {
            let what = if new.contains(id) { "new" } else { "gone" };
            return Err(format!("trunk {id} is {what}"));
        }
        for profile in &self.profiles {
            let Some(before) = running.get(&profile.id) else { continue };
            let same = (before.kind, &before.provider, &before.tls)
                == (profile.kind, &profile.provider, &profile.tls);
            if !same {
                return Err(format!("trunk {} has another kind, provider or tls", profile.id));
            }
        }
        Ok(())
    }

    /// The longest that one dial-out attempt may take: every peer of the trunk rings for as long as its profile allows.
    pub fn longest_attempt(&self) -> Duration {
        let longest = self.profiles.iter().map(|profile| {
            let peers = u32::try_from(profile.most_peers()).unwrap_or(u32::MAX);
            (profile.failover_time + profile.ring_for).saturating_mul(peers)
        });
        longest.max().unwrap_or_default()
    }

    /// The profile of a trunk.
    pub fn get(&self, id: &TrunkId) -> Option<&Profile> {
        self.by_id.get(id).and_then(|at| self.profiles.get(*at))
    }

    /// The peer behind a [`PeerKey`], as the monitor names it.
    pub fn peer(&self, key: &PeerKey) -> Option<(&Profile, &Peer)> {
        let profile = self.get(&key.trunk)?;
        let peer = profile.peers.iter().find(|peer| PeerKey::of(profile, peer) == *key)?;
        Some((profile, peer))
    }

    /// All profiles, in the order of the file.
    pub fn profiles(&self) -> &[Profile] {
        &self.profiles
    }

    /// What the routing table needs to know of them.
    pub fn refs(&self) -> Vec<TrunkRef> {
        self.profiles.iter().map(Profile::trunk_ref).collect()
    }

    /// Whether any trunk lists this address, as a peer's or as a source. It may still have to show a TLS name: this says
    /// who gets more patience, [`Trunks::identify`] says who somebody is.
    pub fn lists(&self, address: IpAddr) -> bool {
        self.at(address).next().is_some()
    }

    /// Who sent a request: see [`identify`].
    pub fn identify(&self, origin: &Origin<'_>) -> Result<&Profile, Unknown> {
        identify(&self.profiles, origin)
    }

    /// Whether a message may come from a trunk: as a request of its own ([`Trunks::identify`]), or as an answer from an address
    /// where our requests go.
    pub fn knows(&self, origin: &Origin<'_>) -> bool {
        let ip = origin.source.ip().to_canonical();
        let called =
            |profile: &Profile| profile.peers.iter().any(|peer| peer.address.ip().to_canonical() == ip);
        self.identify(origin).is_ok()
            || self.profiles.iter().any(|profile| called(profile) && proven(profile, ip, origin).is_ok())
    }

    /// The trunks that a TLS connection from or to this address could be, in the order of the file.
    pub fn at(&self, address: IpAddr) -> impl Iterator<Item = &Profile> {
        let address = address.to_canonical();
        self.profiles.iter().filter(move |profile| {
            profile.sources.iter().any(|net| net.contains(&address))
                || profile.peers.iter().any(|peer| peer.address.ip().to_canonical() == address)
        })
    }

    /// Which addresses belong to one trunk, those of its peers and of its sources, and what we are called there.
    pub fn neighbors(&self) -> Neighbors {
        let network = |net: &IpNet| Network { address: net.addr(), prefix: net.prefix_len() };
        let group = |profile: &Profile| {
            let peers = profile.peers.iter().map(|peer| network(&IpNet::from(peer.address.ip())));
            let networks = peers.chain(profile.sources.iter().map(network)).collect();
            Neighborhood { networks, our_name: profile.fqdn.clone() }
        };
        Neighbors::new(self.profiles.iter().map(group).collect())
    }

    /// Where somebody at this address is reached over this transport when the connection that he opened is gone: at the peer
    /// with his address, else at the first of his trunk.
    pub fn home(&self, transport: Transport, remote: SocketAddr) -> Option<SocketAddr> {
        let ip = remote.ip().to_canonical();
        let peers = || {
            self.at(remote.ip()).flat_map(|profile| &profile.peers).filter(|peer| peer.transport == transport)
        };
        let same = peers().find(|peer| peer.address.ip().to_canonical() == ip);
        same.or_else(|| peers().next()).map(|peer| peer.address)
    }

    /// How a TLS connection to this address is made; `None` when no trunk could be there.
    pub fn tls_target(&self, remote: SocketAddr) -> Option<TlsTarget> {
        let peer = |profile: &Profile| {
            let peer = profile.peers.iter().find(|peer| {
                peer.transport == Transport::Tls
                    && peer.address.port() == remote.port()
                    && peer.address.ip().to_canonical() == remote.ip().to_canonical()
            })?;
            Some(profile.tls_target(peer))
        };
        let speaks = |profile: &&Profile| profile.peers.iter().any(|peer| peer.transport == Transport::Tls);
        self.profiles
            .iter()
            .find_map(peer)
            .or_else(|| self.at(remote.ip()).find(speaks).map(Profile::tls_target_elsewhere))
    }
}

/// An address of each family.
const ANYWHERE: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 5060),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 5060),
];

/// Whether every address of a network is this machine's own.
fn is_loopback(net: IpNet) -> bool {
    // The first and the last address of 127.0.0.0/8 or of ::1.
    net.network().to_canonical().is_loopback() && net.broadcast().to_canonical().is_loopback()
}

/// What makes two trunks indistinguishable.
fn conflict(
    source: &Spanned<ProfileSource>,
    profile: &Profile,
    other_source: &Spanned<ProfileSource>,
    other: &Profile,
) -> Option<ProfileError> {
    let first = other_source.get_ref().id.get_ref();
    if profile.id == other.id {
        return Some(ProfileError {
            span: Some(source.get_ref().id.span()),
            key: format!("trunk.{first}.id"),
            found: format!("{first:?} a second time"),
            expected: "a different id for every trunk".to_owned(),
        });
    }
    let shared = profile.sources.iter().find(|net| other.sources.contains(net))?;
    let named = |profile: &Profile| {
        profile.tls.only && profile.tls.require_certificate && !profile.tls_names.is_empty()
    };
    let told_apart = named(profile)
        && named(other)
        && !profile
            .tls_names
            .iter()
            .any(|name| other.tls_names.iter().any(|other| matches_name(name, other)));
    if told_apart {
        return None;
    }
    Some(ProfileError {
        span: Some(span_of(source, *shared)),
        key: format!("trunk.{}.sources", profile.id),
        found: format!("{shared}, which trunk {first} has too"),
        expected: "each source network in one trunk, or different tls_names in both".to_owned(),
    })
}

/// What makes the TLS connections of two trunks indistinguishable.
fn two_certificates(
    source: &Spanned<ProfileSource>,
    profile: &Profile,
    other: &Profile,
) -> Option<ProfileError> {
    let address = contradiction(profile, other)?;
    Some(ProfileError {
        span: Some(source.get_ref().peers.span()),
        key: format!("trunk.{}.peers", profile.id),
        found: format!("{address} over tls, which trunk {} calls with another `tls` or `host`", other.id),
        expected: "the same `tls` and the same `host` in both: they share its connections".to_owned(),
    })
}

/// Where a source network is written: in `sources`, or as a peer's address when `sources` is left out.
fn span_of(source: &Spanned<ProfileSource>, net: IpNet) -> std::ops::Range<usize> {
    let table = source.get_ref();
    let names_it = |text: &str| {
        text.parse::<IpNet>().is_ok_and(|found| found.trunc() == net)
            || text.parse().is_ok_and(|ip: std::net::IpAddr| IpNet::from(ip) == net)
    };
    let written = table.sources.iter().flat_map(Spanned::get_ref).find(|text| names_it(text.get_ref()));
    written.map_or_else(|| table.peers.span(), Spanned::span)
}

#[cfg(test)]
mod tests {
    use routing::Provider;

    use super::*;
    use crate::testing::{MICROSOFT, OPERATOR, sources, trunks};

    fn other(id: &str, lines: &str) -> String {
        format!(
            "[[trunk]]\nid = \"{id}\"\nkind = \"operator\"\npeers = [{{ address = \"203.0.113.20\" }}]\n{lines}\n"
        )
    }

    #[test]
    fn a_trunk_is_found_by_its_id_and_a_peer_by_its_key() {
        let trunks = trunks(&format!("{OPERATOR}{MICROSOFT}")).unwrap();
        let teams = trunks.get(&TrunkId::new("teams")).unwrap();
        assert_eq!(teams.id.as_str(), "teams");
        assert!(trunks.get(&TrunkId::new("nobody")).is_none());
        let key = PeerKey::of(teams, &teams.peers[0]);
        assert_eq!(
            trunks.peer(&key).map(|(profile, peer)| (&profile.id, peer)),
            Some((&teams.id, &teams.peers[0]))
        );
        assert_eq!(key.to_string(), "teams at tls:52.114.75.24:5061");
    }

    #[test]
    fn what_concerns_one_trunk_alone_may_change_while_calls_are_up_and_what_concerns_routing_or_tls_may_not()
    {
        let running = trunks(&format!("{OPERATOR}{MICROSOFT}")).unwrap();
        let may = |document: &str| trunks(document).unwrap().may_follow(&running);
        let changed = OPERATOR.replace("203.0.113.10", "203.0.113.11");
        assert_eq!(may(&format!("{MICROSOFT}{changed}enabled = false\ncodecs = [\"g722\"]\n")), Ok(()));
        for (document, why) in [
            (OPERATOR.to_owned(), "trunk teams is gone"),
            (format!("{OPERATOR}{MICROSOFT}{}", other("second", "")), "trunk second is new"),
            (
                format!("{MICROSOFT}{OPERATOR}provider = \"customer\"\n"),
                "trunk acme has another kind, provider or tls",
            ),
            (format!("{OPERATOR}{MICROSOFT}tls = {{ roots = \"x.pem\" }}\n"), "trunk teams has another"),
        ] {
            assert!(may(&document).is_err_and(|found| found.contains(why)), "{why}");
        }
    }

    #[test]
    fn routing_learns_every_trunk_and_its_provider() {
        let refs = trunks(&format!("{OPERATOR}{MICROSOFT}{}", other("own", "provider = \"customer\"")))
            .unwrap()
            .refs();
        let found: Vec<(&str, &Provider)> =
            refs.iter().map(|trunk| (trunk.id.as_str(), &trunk.provider)).collect();
        assert_eq!(found.len(), 3);
        assert_eq!(found[1], ("teams", &Provider::Microsoft));
        assert_eq!(found[2], ("own", &Provider::Customer));
    }

    #[test]
    fn an_id_twice_is_refused_where_it_stands_the_second_time() {
        let document = format!("{OPERATOR}{}", other("acme", ""));
        let errors = trunks(&document).unwrap_err();
        assert_eq!((errors.len(), errors[0].key.as_str()), (1, "trunk.acme.id"));
        assert!(errors[0].span.as_ref().unwrap().start > OPERATOR.len());
    }

    #[test]
    fn a_source_network_in_two_trunks_is_refused_where_it_stands_the_second_time() {
        for (lines, place) in [("sources = [\"203.0.113.10\"]", "\"203.0.113.10\""), ("", "[{ address")] {
            let document = format!("{OPERATOR}{}", other("second", lines));
            let document = if lines.is_empty() { document.replace(".20", ".10") } else { document };
            let errors = trunks(&document).unwrap_err();
            assert_eq!((errors.len(), errors[0].key.as_str()), (1, "trunk.second.sources"));
            assert!(errors[0].to_string().contains("which trunk acme has too"), "{}", errors[0]);
            let span = errors[0].span.clone().unwrap();
            assert!(span.start > OPERATOR.len() && document[span].starts_with(place));
        }
    }

    #[test]
    fn a_network_inside_another_is_no_conflict() {
        assert!(trunks(&format!("{OPERATOR}{}", other("second", "sources = [\"203.0.113.0/24\"]"))).is_ok());
    }

    #[test]
    fn different_tls_names_on_one_network_are_no_conflict_and_shared_ones_are() {
        let second = |name: &str| {
            let trunk = MICROSOFT.replace("\"teams\"", "\"teams2\"").replace("75.24", "75.25");
            format!(
                "{MICROSOFT}{}",
                trunk.replace("tls_names = [\"sip.pst", &format!("tls_names = [\"{name}"))
            )
        };
        assert!(trunks(&second("sip2.pst")).is_ok(), "several Microsoft trunks are allowed");
        assert_eq!(trunks(&second("sip.pst")).unwrap_err()[0].key, "trunk.teams2.sources");
    }

    #[test]
    fn a_peer_that_no_listener_can_reach_is_refused_where_it_stands() {
        let document = format!("{OPERATOR}{MICROSOFT}");
        let sources = sources(&document);
        let errors =
            Trunks::unserved(&sources, |transport, address| transport != Transport::Tls && address.is_ipv4());
        let [error] = errors.as_slice() else { panic!("{errors:?}") };
        assert_eq!(
            (error.key.as_str(), error.found.as_str()),
            ("trunk.teams.peers", "52.114.75.24:5061 over tls")
        );
        assert_eq!(&document[error.span.clone().unwrap()], "\"52.114.75.24:5061\"");
        assert!(Trunks::unserved(&sources, |_, _| true).is_empty());
    }

    #[test]
    fn srtp_is_refused_where_its_keys_would_cross_a_network() {
        let here: Vec<SocketAddr> = vec!["127.0.0.1:5060".parse().unwrap(), "[::1]:5060".parse().unwrap()];
        let all: Vec<SocketAddr> = vec!["127.0.0.1:5060".parse().unwrap(), "192.0.2.9:5060".parse().unwrap()];
        // (peer, sources, srtp, listeners, what is not on loopback)
        let table = [
            ("127.0.0.2", "", "mandatory", &here, None),
            ("::1", "sources = [\"127.0.0.0/8\", \"::1\"]", "optional", &here, None),
            ("203.0.113.10", "", "off", &all, None),
            ("203.0.113.10\", transport = \"tls", "sources = [\"203.0.113.0/28\"]", "mandatory", &all, None),
            (
                "203.0.113.10\", transport = \"tls\" }, { address = \"203.0.113.10",
                "",
                "mandatory",
                &all,
                Some("the peer 203.0.113.10"),
            ),
            ("203.0.113.10", "sources = [\"127.0.0.1\"]", "optional", &here, Some("the peer 203.0.113.10")),
            (
                "127.0.0.2",
                "sources = [\"203.0.113.0/28\"]",
                "mandatory",
                &here,
                Some("the source 203.0.113.0/28"),
            ),
            ("127.0.0.2", "sources = [\"126.0.0.0/7\"]", "mandatory", &here, Some("the source 126.0.0.0/7")),
            ("127.0.0.2", "", "mandatory", &all, Some("the listener 192.0.2.9")),
        ];
        for (peer, lines, srtp, listeners, expected) in table {
            let document = format!(
                "[[trunk]]\nid = \"acme\"\nkind = \"operator\"\npeers = [{{ address = \"{peer}\" }}]\n{lines}\n\
                 srtp = \"{srtp}\"\n"
            );
            let errors = Trunks::keys_in_clear(&sources(&document), listeners);
            assert_eq!(errors.len(), usize::from(expected.is_some()), "{document}: {errors:?}");
            if let (Some(error), Some(expected)) = (errors.first(), expected) {
                assert_eq!(error.key, "trunk.acme.srtp");
                assert_eq!(error.found, format!("{srtp:?} while {expected} is not on loopback"));
                assert_eq!(&document[error.span.clone().unwrap()], format!("{srtp:?}"));
            }
        }
    }

    #[test]
    fn peers_and_sources_are_listed_and_nobody_else_is() {
        let trunks = trunks(&format!("{OPERATOR}{MICROSOFT}")).unwrap();
        for (address, listed) in [
            ("203.0.113.10", true),
            ("::ffff:203.0.113.10", true),
            ("203.0.113.11", false),
            ("52.115.1.1", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(trunks.lists(address.parse().unwrap()), listed, "{address}");
        }
    }

    #[test]
    fn who_is_reached_over_tls_is_a_peer_or_somewhere_else_in_his_trunk() {
        let trunks = trunks(&format!("{OPERATOR}{MICROSOFT}")).unwrap();
        let target = |address: &str| trunks.tls_target(address.parse().unwrap());
        let gateway = target("52.114.75.24:5061").expect("a peer");
        assert_eq!(gateway.asked_for.as_deref(), Some("sip.pstnhub.microsoft.com"));
        let elsewhere = target("52.113.1.1:5061").expect("an address of the trunk");
        assert_eq!((elsewhere.names, elsewhere.asked_for.is_some()), (gateway.names, true));
        assert_eq!(target("203.0.113.10:5061"), None, "a trunk that does not speak TLS");
        assert_eq!(target("198.51.100.1:5061"), None, "nobody's address");
    }

    #[test]
    fn who_had_connected_to_us_is_reached_at_the_peer_of_his_address_or_of_his_trunk() {
        let trunks = trunks(MICROSOFT).unwrap();
        let home = |address: &str| trunks.home(Transport::Tls, address.parse().unwrap());
        let gateway = "52.114.75.24:5061".parse().ok();
        assert_eq!(home("52.114.75.24:40000"), gateway);
        assert_eq!(home("52.113.1.1:40000"), gateway);
        assert_eq!(home("198.51.100.1:40000"), None);
        assert_eq!(trunks.home(Transport::Tcp, "52.114.75.24:40000".parse().unwrap()), None);
    }

    #[test]
    fn an_answer_is_known_by_where_it_comes_from_and_by_its_certificate() {
        let separate = MICROSOFT
            .replace("sources = [\"52.112.0.0/14\", \"52.122.0.0/15\"]", "sources = [\"192.0.2.1\"]");
        let trunks = trunks(&separate).unwrap();
        let peer = |name: &str| crate::TlsPeer {
            names: vec![name.to_owned()],
            subject: String::new(),
            not_after: std::time::UNIX_EPOCH,
            vouched_by: vec![None],
        };
        let knows = |source: &str, transport, peer: Option<&crate::TlsPeer>| {
            trunks.knows(&Origin { source: source.parse().unwrap(), transport, peer })
        };
        let gateway = peer("sip.pstnhub.microsoft.com");
        assert!(knows("52.114.75.24:5061", Transport::Tls, Some(&gateway)));
        assert!(!knows("52.114.75.24:5061", Transport::Tls, Some(&peer("evil.example"))));
        assert!(!knows("52.114.75.24:5060", Transport::Udp, None), "forged");
        assert!(!knows("52.114.75.25:5061", Transport::Tls, Some(&gateway)), "not its address");
    }
}
