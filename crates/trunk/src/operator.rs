//! The dialect of an operator's session border controller: plain RFC 3261, with the number forms of its country.

use sip::{NameAddr, Uri};

use crate::profile::{Codec, Peer, Profile, Transport};
use crate::shape::{Local, Shaped, from_host, our_target, peer_target};
use crate::source::Defaults;

pub(crate) const DEFAULTS: Defaults = Defaults {
    transport: Transport::Udp,
    codecs: &[Codec::Pcma, Codec::Pcmu],
    trust_pai: false,
    forward_pai: true,
    options_interval_seconds: 30,
};

/// The OPTIONS: to the peer itself, from `options_user` or nobody in particular.
pub(crate) fn options(profile: &Profile, peer: &Peer, local: &Local) -> Shaped {
    let request_uri = Uri::sip(None, peer_target(peer));
    let user = profile.options.user.as_deref();
    Shaped {
        to: NameAddr::new(request_uri.clone()),
        request_uri,
        from: NameAddr::new(Uri::sip(user, from_host(profile, local))),
        contact: contact(profile, peer, local, None),
        headers: Vec::new(),
    }
}

/// Where we are reached: our name or address with our port, so that no lookup is needed; the transport when it is not the default.
pub(crate) fn contact(profile: &Profile, peer: &Peer, local: &Local, user: Option<&str>) -> NameAddr {
    let uri = Uri::sip(user, our_target(profile, local));
    match peer.transport {
        Transport::Udp => NameAddr::new(uri),
        other => NameAddr::new(uri.with_param("transport", Some(other.as_str()))),
    }
}
