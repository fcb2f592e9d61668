//! Where the next request of a dialog goes (RFC 3261 section 12.2.1.1).

use std::net::SocketAddr;

use crate::endpoint::{Flow, Transport};
use crate::wire::{NameAddr, Uri};

/// The Request-URI, the Route headers and the hop that gets the bytes.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) request_uri: Uri,
    pub(crate) routes: Vec<String>,
    pub(crate) next_hop: Uri,
}

/// Applies a route set: loose when its first URI has `lr`, strict (RFC 2543) otherwise.
pub(crate) fn target(remote_target: &Uri, route_set: &[NameAddr]) -> Target {
    // A Contact may carry headers for the request that follows it; a Request-URI may not (section 19.1.1).
    let remote_target = remote_target.clone().without_headers();
    let Some(first) = route_set.first() else {
        return Target { request_uri: remote_target.clone(), routes: Vec::new(), next_hop: remote_target };
    };
    if first.uri().is_loose_router() {
        return Target {
            request_uri: remote_target,
            routes: route_set.iter().map(ToString::to_string).collect(),
            next_hop: first.uri().clone(),
        };
    }
    // A strict router takes the Request-URI for itself and the real target travels as the last Route.
    let mut routes: Vec<String> = route_set.iter().skip(1).map(ToString::to_string).collect();
    routes.push(format!("<{remote_target}>"));
    Target { request_uri: first.uri().clone().without_headers(), routes, next_hop: first.uri().clone() }
}

/// The flow for a hop. Names are not resolved here: a peer known by name is reached over the flow that the dialog
/// was made on, and so is a stream peer that can be reached over its own connection (RFC 5923).
pub(crate) fn flow_to(next_hop: &Uri, base: &Flow) -> Flow {
    let transport = match next_hop.params().value("transport") {
        Some(name) if name.eq_ignore_ascii_case("udp") => Transport::Udp,
        Some(name) if name.eq_ignore_ascii_case("tcp") => Transport::Tcp,
        Some(name) if name.eq_ignore_ascii_case("tls") => Transport::Tls,
        _ => base.transport,
    };
    // What began encrypted stays so, whatever a Contact says: SDP with SRTP keys travels here (RFC 4568 section 7.1.1).
    if base.transport == Transport::Tls && transport != Transport::Tls {
        return *base;
    }
    let Some(ip) = next_hop.host().and_then(crate::wire::Host::ip) else { return *base };
    let port = next_hop.port().unwrap_or(transport.default_port());
    if ip.is_unspecified() || ip.is_multicast() || port == 0 || ip.is_ipv4() != base.local.is_ipv4() {
        return *base;
    }
    let remote = SocketAddr::new(ip, port);
    let reusable = transport.is_reliable() && base.connection != 0 && base.remote.ip() == ip;
    if transport == base.transport && (remote == base.remote || reusable) {
        return *base;
    }
    Flow { transport, local: base.local, remote, connection: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        Uri::parse(text).expect("a URI")
    }

    fn route(text: &str) -> NameAddr {
        NameAddr::parse(text).expect("a route")
    }

    fn base(transport: Transport, connection: u64) -> Flow {
        Flow {
            transport,
            local: "192.0.2.1:5060".parse().expect("an address"),
            remote: "192.0.2.9:5060".parse().expect("an address"),
            connection,
        }
    }

    #[test]
    fn a_loose_route_set_leaves_the_request_uri_alone() {
        let set = [route("<sip:p1.example;lr>"), route("<sip:p2.example;lr>")];
        let found = target(&uri("sip:bob@10.0.0.1"), &set);
        assert_eq!(found.request_uri.as_str(), "sip:bob@10.0.0.1");
        assert_eq!(found.routes, ["<sip:p1.example;lr>", "<sip:p2.example;lr>"]);
        assert_eq!(found.next_hop.as_str(), "sip:p1.example;lr");
    }

    #[test]
    fn a_strict_route_takes_the_request_uri_and_the_target_goes_last() {
        let set = [route("<sip:p1.example>"), route("<sip:p2.example;lr>")];
        let found = target(&uri("sip:bob@10.0.0.1"), &set);
        assert_eq!(found.request_uri.as_str(), "sip:p1.example");
        assert_eq!(found.routes, ["<sip:p2.example;lr>", "<sip:bob@10.0.0.1>"]);
        assert_eq!(found.next_hop.as_str(), "sip:p1.example");
    }

    #[test]
    fn headers_in_a_contact_do_not_get_into_the_request_uri() {
        let found = target(&uri("sip:bob@10.0.0.1;x=y?Subject=hi"), &[]);
        assert_eq!(found.request_uri.as_str(), "sip:bob@10.0.0.1;x=y");
    }

    #[test]
    fn a_hop_with_an_address_is_sent_there_and_a_name_stays_on_the_flow() {
        let udp = base(Transport::Udp, 0);
        assert_eq!(flow_to(&uri("sip:p.example"), &udp), udp);
        assert_eq!(flow_to(&uri("sip:192.0.2.9"), &udp), udp);
        assert_eq!(flow_to(&uri("sip:a@192.0.2.7:5070"), &udp).remote.to_string(), "192.0.2.7:5070");
        assert_eq!(flow_to(&uri("sip:0.0.0.0"), &udp), udp);
        assert_eq!(flow_to(&uri("sip:[2001:db8::1]"), &udp), udp);
        assert_eq!(flow_to(&uri("tel:+15551234"), &udp), udp);
        let tcp = flow_to(&uri("sip:192.0.2.9;transport=tcp"), &udp);
        assert_eq!((tcp.transport, tcp.connection), (Transport::Tcp, 0));
    }

    #[test]
    fn a_stream_peer_is_reached_over_the_connection_it_opened() {
        let tcp = base(Transport::Tcp, 7);
        assert_eq!(flow_to(&uri("sip:192.0.2.9:5080"), &tcp), tcp);
        assert_eq!(flow_to(&uri("sip:192.0.2.8"), &tcp).connection, 0);
    }

    #[test]
    fn a_dialog_that_began_over_tls_never_leaves_it() {
        let tls = base(Transport::Tls, 7);
        for hop in
            ["sip:192.0.2.8;transport=udp", "sip:192.0.2.8:5060;transport=tcp", "sip:192.0.2.9;transport=UDP"]
        {
            assert_eq!(flow_to(&uri(hop), &tls), tls, "{hop}");
        }
        assert_eq!(flow_to(&uri("sip:192.0.2.8"), &tls).transport, Transport::Tls);
    }
}
