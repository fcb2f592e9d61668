//! The dialect of the Microsoft PSTN gateway (Direct Routing and Operator Connect): E.164 everywhere, names instead of
//! addresses, and a Contact that matches the certificate.

use sip::{Host, HostPort, NameAddr, Uri};

use crate::check::Check;
use crate::numbers::NumberFormat;
use crate::profile::{Codec, Peer, Profile, Transport};
use crate::shape::{Local, Shaped, our_target, peer_target};
use crate::source::{Defaults, ProfileSource};

pub(crate) const DEFAULTS: Defaults = Defaults {
    transport: Transport::Tls,
    codecs: &[Codec::Pcmu, Codec::Pcma],
    trust_pai: false,
    forward_pai: false,
    options_interval_seconds: 60,
};

/// What the gateway demands of a profile: our paired name, its own name, E.164.
pub(crate) fn check(source: &ProfileSource, profile: &Profile, check: &mut Check<'_>) {
    let whole = Some(source.id.span());
    match (&source.fqdn, &profile.fqdn) {
        (None, _) => {
            let expected = "our name as paired at Microsoft, as sbc1.example.net: Contact must carry it, never an address";
            check.refuse(whole, "fqdn", "nothing", expected);
        }
        // Microsoft's limit for an SBC's name.
        (Some(written), Some(Host::Name(name))) if name.len() > 63 || !name.as_str().contains('.') => {
            let expected = "a full name with a domain, at most 63 characters";
            check.refuse(Some(written.span()), "fqdn", format!("{:?}", name.as_str()), expected);
        }
        _ => {}
    }
    for peer in source.peers.get_ref().iter().filter(|peer| peer.host.is_none()) {
        let expected = "the gateway's name, as sip.pstnhub.microsoft.com";
        check.refuse(Some(peer.address.span()), "peers.host", "nothing", expected);
    }
    for (key, format) in
        [("number_format", &source.number_format), ("caller_number_format", &source.caller_number_format)]
    {
        if let Some(format) = format.as_ref().filter(|format| *format.get_ref() != NumberFormat::E164) {
            check.refuse(
                Some(format.span()),
                key,
                format!("{:?}", format.get_ref()),
                "\"e164\", the gateway knows no other",
            );
        }
    }
    if let Some(domain) = &source.from_domain {
        check.refuse(
            Some(domain.span()),
            "from_domain",
            format!("{:?}", domain.get_ref()),
            "no such key: From carries fqdn here",
        );
    }
}

/// The OPTIONS: Contact is required and carries no user, name and port are those of the pairing; the gateway begins its
/// own OPTIONS only after ours.
pub(crate) fn options(profile: &Profile, peer: &Peer, local: &Local) -> Shaped {
    let name = peer_target(peer).host;
    let request_uri = Uri::sip(None, HostPort { host: name, port: Some(peer.address.port()) });
    Shaped {
        to: NameAddr::new(request_uri.clone()),
        request_uri,
        from: NameAddr::new(Uri::sip(None, our_target(profile, local))),
        contact: contact(profile, peer, local, None),
        headers: Vec::new(),
    }
}

/// Our paired name, never an address; always with port and transport, as the gateway connects to exactly what stands here.
pub(crate) fn contact(profile: &Profile, peer: &Peer, local: &Local, user: Option<&str>) -> NameAddr {
    let uri = Uri::sip(user, our_target(profile, local));
    NameAddr::new(uri.with_param("transport", Some(peer.transport.as_str())))
}
