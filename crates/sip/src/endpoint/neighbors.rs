//! Which addresses belong to one trunk: where requests inside of a dialog may be led, who may see credentials, and what we are
//! called there.

use std::net::IpAddr;
use std::sync::Arc;

use crate::wire::Host;

/// Groups of networks, one for each trunk. The default knows none, and lets a dialog lead anywhere.
#[derive(Debug, Clone, Default)]
pub struct Neighbors {
    groups: Option<Arc<[Neighborhood]>>,
}

/// One trunk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Neighborhood {
    /// The addresses of its peers and the networks of its sources.
    pub networks: Vec<Network>,
    /// What its peers call us, in Via and in the Contact that we make up ourselves; `None` is what the listener is called. Who
    /// checks us by a certificate wants to see its name there.
    pub our_name: Option<Host>,
}

/// An address and the length of the prefix that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Any address of it.
    pub address: IpAddr,
    /// Bits that are the same in all of its addresses.
    pub prefix: u8,
}

impl Neighbors {
    /// One for each trunk.
    pub fn new(groups: Vec<Neighborhood>) -> Self {
        Self { groups: Some(groups.into()) }
    }

    /// What the peer at this address calls us: the narrowest network that has it decides.
    pub(crate) fn our_name(&self, peer: IpAddr) -> Option<&Host> {
        let prefix = |group: &Neighborhood| {
            group.networks.iter().filter(|network| network.contains(peer)).map(|network| network.prefix).max()
        };
        let groups = self.groups.iter().flat_map(|groups| groups.iter());
        let found = groups.filter_map(|group| Some((prefix(group)?, group)));
        // Of equals the first.
        let nearest = found.reduce(|best, other| if other.0 > best.0 { other } else { best });
        nearest.and_then(|(_, group)| group.our_name.as_ref())
    }

    /// Whether both addresses are the same, or belong to the same trunk.
    pub(crate) fn are_one_trunk(&self, one: IpAddr, other: IpAddr) -> bool {
        let (one, other) = (one.to_canonical(), other.to_canonical());
        let has = |group: &Neighborhood, ip| group.networks.iter().any(|network| network.contains(ip));
        one == other
            || self
                .groups
                .iter()
                .flat_map(|groups| groups.iter())
                .any(|group| has(group, one) && has(group, other))
    }

    /// Whether a dialog with a peer at `home` may lead to `to` by its Contact or Record-Route.
    pub(crate) fn may_lead(&self, home: IpAddr, to: IpAddr) -> bool {
        self.groups.is_none() || self.are_one_trunk(home, to)
    }
}

impl Network {
    fn contains(&self, ip: IpAddr) -> bool {
        let bits = |ip: IpAddr| match ip.to_canonical() {
            IpAddr::V4(ip) => (32, u128::from(u32::from(ip))),
            IpAddr::V6(ip) => (128, u128::from(ip)),
        };
        let ((width, own), (other_width, other)) = (bits(self.address), bits(ip));
        let free = width - u32::from(self.prefix).min(width);
        width == other_width && own.checked_shr(free).unwrap_or(0) == other.checked_shr(free).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        let (address, prefix) = text.split_once('/').expect("a prefix");
        Network { address: address.parse().expect("an address"), prefix: prefix.parse().expect("a number") }
    }

    fn trunk(networks: Vec<Network>, our_name: Option<&str>) -> Neighborhood {
        Neighborhood { networks, our_name: our_name.map(|name| Host::parse(name).expect("a host")) }
    }

    #[test]
    fn the_trunk_with_the_narrowest_network_says_what_we_are_called() {
        let neighbors = Neighbors::new(vec![
            trunk(vec![network("192.0.2.0/24")], Some("wide.example")),
            trunk(vec![network("192.0.2.9/32"), network("2001:db8::/32")], Some("narrow.example")),
            trunk(vec![network("192.0.2.9/32")], Some("second.example")),
            trunk(vec![network("192.0.2.8/32")], None),
        ]);
        for (peer, expected) in [
            ("192.0.2.1", Some("wide.example")),
            ("192.0.2.9", Some("narrow.example")),
            ("::ffff:192.0.2.9", Some("narrow.example")),
            ("2001:db8::1", Some("narrow.example")),
            ("192.0.2.8", None),
            ("198.51.100.1", None),
        ] {
            let found = neighbors.our_name(peer.parse().expect("an address")).map(ToString::to_string);
            assert_eq!(found.as_deref(), expected, "{peer}");
        }
        assert_eq!(Neighbors::default().our_name([192, 0, 2, 1].into()), None);
    }

    #[test]
    fn addresses_of_one_group_are_neighbors_and_others_are_not() {
        let acme = ["203.0.113.0/28", "198.51.100.7/32", "2001:db8::/32"].map(network).to_vec();
        let neighbors = Neighbors::new(vec![trunk(acme, None), trunk(vec![network("192.0.2.0/24")], None)]);
        for (one, other, expected) in [
            ("203.0.113.1", "203.0.113.15", true),
            ("203.0.113.1", "198.51.100.7", true),
            ("203.0.113.1", "::ffff:203.0.113.2", true),
            ("203.0.113.1", "2001:db8::9", true),
            ("203.0.113.1", "203.0.113.16", false),
            ("203.0.113.1", "192.0.2.1", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
        ] {
            let (one, other) = (one.parse().expect("an address"), other.parse().expect("an address"));
            assert_eq!(neighbors.are_one_trunk(one, other), expected, "{one} {other}");
            assert_eq!(neighbors.may_lead(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn without_groups_a_dialog_leads_anywhere_and_credentials_stay_with_one_address() {
        let nobody = Neighbors::default();
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        assert!(nobody.may_lead(one, other) && !nobody.are_one_trunk(one, other));
    }

    #[test]
    fn a_prefix_of_nothing_is_everybody_of_the_family() {
        assert!(network("0.0.0.0/0").contains([8, 8, 8, 8].into()));
        assert!(!network("0.0.0.0/0").contains("2001:db8::1".parse().expect("an address")));
        assert!(network("::/0").contains("2001:db8::1".parse().expect("an address")));
    }
}
