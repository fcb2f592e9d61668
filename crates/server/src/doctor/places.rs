//! Where we are and where they are: names, advertised addresses, ports.

use std::io;
use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use tokio::time::timeout;

/// How long a name may take.
const RESOLVE_WITHIN: Duration = Duration::from_secs(5);
/// Ports of the range that are tried.
const SAMPLES: u32 = 16;

/// What a name or an address stands for.
pub(super) async fn resolve(host: &sip::Host) -> Result<Vec<IpAddr>, String> {
    if let Some(ip) = host.ip() {
        return Ok(vec![ip]);
    }
    let name = host.to_string();
    match timeout(RESOLVE_WITHIN, tokio::net::lookup_host((name.as_str(), 0))).await {
        Ok(Ok(found)) => {
            let mut all: Vec<IpAddr> = found.map(|address| address.ip().to_canonical()).collect();
            all.sort_unstable();
            all.dedup();
            if all.is_empty() { Err("no address".to_owned()) } else { Ok(all) }
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", RESOLVE_WITHIN.as_secs())),
    }
}

/// Whether an address is one that only its own network reaches (RFC 1918, RFC 6598, RFC 4193, link-local).
pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            ip.is_private() || ip.is_link_local() || (first == 100 && (64..128).contains(&second))
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// Whether whoever is at `peer` can reach what we advertise; `key` is what to change.
pub(super) fn reachable(advertised: IpAddr, peer: IpAddr, key: &str) -> Result<String, (String, String)> {
    let (advertised, peer) = (advertised.to_canonical(), peer.to_canonical());
    if advertised.is_ipv4() != peer.is_ipv4() {
        let why = format!("{advertised} is of another address family than the peer {peer}");
        return Err((why, format!("{key}: an address of the family of the peer")));
    }
    if advertised.is_loopback() && !peer.is_loopback() {
        let why = format!("{advertised} is this machine only, and the peer {peer} is elsewhere");
        return Err((why, format!("{key}: the address that the peer reaches this machine at")));
    }
    if is_private(advertised) && !is_private(peer) && !peer.is_loopback() {
        let why = format!("{advertised} is private (RFC 1918 or its like), and the peer {peer} is public");
        return Err((why, format!("{key}: the public address of this machine, or of the NAT before it")));
    }
    Ok(format!("{advertised} for {peer}"))
}

/// Whether RTP ports can be bound. Those that are in use are a bridge's, most likely.
pub(super) fn bindable(address: IpAddr, (first, last): (u16, u16)) -> Result<String, (String, String)> {
    let (first, last) = (u32::from(first), u32::from(last));
    let step = ((last - first) / SAMPLES).max(1);
    let (mut free, mut used) = (0, 0);
    for port in (first..=last).step_by(step as usize) {
        match UdpSocket::bind((address, port as u16)) {
            Ok(_) => free += 1,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => used += 1,
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                let change = "media.address: an address of this machine".to_owned();
                return Err((format!("{address} cannot be bound: {error}"), change));
            }
            Err(error) => {
                let change = "media.ports: ports that this user may bind".to_owned();
                return Err((format!("UDP port {port} of {address}: {error}"), change));
            }
        }
    }
    if free == 0 {
        let change = "media.ports: another range, or find out who holds this one: ss -ulpn".to_owned();
        return Err((format!("all of {used} ports of {first}-{last} that were tried are in use"), change));
    }
    let busy =
        if used > 0 { format!(", {used} in use (a running bridge's, most likely)") } else { String::new() };
    Ok(format!("{first}-{last} of {address}: {free} of {} that were tried are free{busy}", free + used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_its_own_network_reaches_is_not_for_a_public_peer() {
        // (advertised, peer, whether that can work)
        for (advertised, peer, good) in [
            ("10.0.0.1", "203.0.113.1", false),
            ("172.31.0.1", "203.0.113.1", false),
            ("192.168.1.1", "203.0.113.1", false),
            ("100.64.0.1", "203.0.113.1", false),
            ("fd00::1", "2001:db8::1", false),
            ("127.0.0.1", "10.0.0.2", false),
            ("203.0.113.2", "2001:db8::1", false),
            ("10.0.0.1", "10.9.9.9", true),
            ("192.0.2.1", "203.0.113.1", true),
            ("203.0.113.2", "10.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", true),
        ] {
            let judged = reachable(advertised.parse().unwrap(), peer.parse().unwrap(), "sip.advertise");
            assert_eq!(judged.is_ok(), good, "{advertised} for {peer}: {judged:?}");
        }
    }

    #[test]
    fn ports_in_use_are_no_failure_and_all_in_use_is() {
        let home: IpAddr = [127, 0, 0, 1].into();
        let held = UdpSocket::bind((home, 0)).unwrap();
        let port = held.local_addr().unwrap().port();
        let (why, _) = bindable(home, (port, port)).unwrap_err();
        assert!(why.contains("in use"), "{why}");
        let (why, change) = bindable([192, 0, 2, 77].into(), (30_000, 30_001)).unwrap_err();
        assert!(why.contains("cannot be bound") && change.contains("media.address"), "{why} {change}");
    }

    #[tokio::test]
    async fn an_address_is_itself_and_a_name_without_an_address_is_an_error() {
        let host = |text| sip::Host::parse(text).unwrap();
        assert_eq!(resolve(&host("192.0.2.1")).await, Ok(vec![[192, 0, 2, 1].into()]));
        assert!(resolve(&host("no-such-name.invalid")).await.is_err());
    }
}
