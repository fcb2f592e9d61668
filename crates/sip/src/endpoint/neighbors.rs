//! Which addresses belong to one trunk: where requests inside of a dialog may be led, and who may see credentials.

use std::net::IpAddr;
use std::sync::Arc;

/// Groups of networks, one for each trunk. The default knows none, and lets a dialog lead anywhere.
#[derive(Debug, Clone, Default)]
pub struct Neighbors {
    groups: Option<Arc<[Vec<Network>]>>,
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
    /// One group a trunk: the addresses of its peers and the networks of its sources.
    pub fn new(groups: Vec<Vec<Network>>) -> Self {
        Self { groups: Some(groups.into()) }
    }

    /// Whether both addresses are the same, or belong to the same trunk.
    pub(crate) fn are_one_trunk(&self, one: IpAddr, other: IpAddr) -> bool {
        let (one, other) = (one.to_canonical(), other.to_canonical());
        let has = |group: &[Network], ip| group.iter().any(|network| network.contains(ip));
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

    #[test]
    fn addresses_of_one_group_are_neighbors_and_others_are_not() {
        let acme = ["203.0.113.0/28", "198.51.100.7/32", "2001:db8::/32"].map(network).to_vec();
        let neighbors = Neighbors::new(vec![acme, vec![network("192.0.2.0/24")]]);
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
