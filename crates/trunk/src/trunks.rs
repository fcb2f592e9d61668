//! All trunks together: an immutable snapshot, swapped as a whole when the configuration changes.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ipnet::IpNet;
use routing::{TrunkId, TrunkRef};
use toml::Spanned;

use crate::health::PeerKey;
use crate::identify::{Unknown, identify};
use crate::profile::{Peer, Profile};
use crate::source::{ProfileError, ProfileSource};

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

    /// Who sent a request: see [`identify`].
    pub fn identify(&self, source: SocketAddr, tls_name: Option<&str>) -> Result<&Profile, Unknown> {
        identify(&self.profiles, source, tls_name)
    }
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
    let told_apart = !profile.tls_names.is_empty()
        && !other.tls_names.is_empty()
        && !profile.tls_names.iter().any(|name| other.tls_names.contains(name));
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

/// Where a source network is written: in `sources`, or as a peer's address when `sources` is left out.
fn span_of(source: &Spanned<ProfileSource>, net: IpNet) -> std::ops::Range<usize> {
    let table = source.get_ref();
    let names_it = |text: &str| {
        text.parse::<IpNet>().is_ok_and(|found| found.trunc() == net)
            || text.parse().is_ok_and(|ip: std::net::IpAddr| IpNet::from(ip) == net)
    };
    let written = table.sources.iter().flatten().find(|text| names_it(text.get_ref()));
    written.map_or_else(|| table.peers.span(), Spanned::span)
}
