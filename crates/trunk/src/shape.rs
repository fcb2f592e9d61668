//! Our request in the peer's dialect: everything of it that a peer can dislike except the SDP.
//!
//! No text from outside reaches these headers unchecked: numbers are [`E164`], hosts were checked when the profile was
//! loaded, a display name loses its control characters and is quoted. So a header cannot be injected.

use routing::E164;
use sip::{Host, HostPort, NameAddr, Uri};

use crate::profile::{Kind, Peer, Profile, Registration, Transport};
use crate::{microsoft, operator};

/// Where this peer reaches us: the host and port of the socket that faces it. The profile's `fqdn` replaces the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// Name or address.
    pub host: Host,
    /// The port we listen on.
    pub port: u16,
}

/// One dial-out leg, as `routing` decided it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialOut {
    /// The number to ring.
    pub dialed: E164,
    /// The number that calls.
    pub caller_id: E164,
    /// A name beside the caller ID; control characters are dropped, at most 64 characters are used.
    pub display: Option<String>,
    /// Whether the callee may see the caller ID.
    pub withheld: bool,
    /// Where the peer reaches us.
    pub local: Local,
}

/// What makes the request this peer's own: the endpoint adds Via, Call-ID, CSeq, tags, Max-Forwards and the body.
#[derive(Clone, Debug, PartialEq)]
pub struct Shaped {
    /// The Request-URI.
    pub request_uri: Uri,
    /// From, without tag.
    pub from: NameAddr,
    /// To, without tag.
    pub to: NameAddr,
    /// Contact.
    pub contact: NameAddr,
    /// Further headers, in order.
    pub headers: Vec<(String, String)>,
}

/// Shapes an INVITE for one peer of the trunk.
pub fn shape_invite(profile: &Profile, peer: &Peer, call: &DialOut) -> Shaped {
    let request_uri = phone(profile, &profile.numbers.write_dialed(&call.dialed), peer_target(peer));
    let caller = profile.numbers.write_caller(&call.caller_id);
    let identity = phone(profile, &caller, from_host(profile, &call.local));
    let (from, headers) = identify_caller(profile, call, identity);
    Shaped {
        to: NameAddr::new(request_uri.clone()),
        request_uri,
        from,
        contact: shape_contact(
            profile,
            peer.transport,
            &call.local,
            Some(caller.as_str()).filter(|_| !call.withheld),
        ),
        headers,
    }
}

/// Shapes the INVITE that a REFER of the peer's asks for: to `target` as it stands, which may have no user part at all, under
/// `number`, our own in the call that it takes over. A Replaces in the target goes along, except to Microsoft, whose gateway
/// refuses requests with one; its other headers do not. `by` is the Referred-By (RFC 3892), passed on as it came.
pub fn shape_referred(
    profile: &Profile,
    peer: &Peer,
    local: &Local,
    number: &str,
    target: &NameAddr,
    by: Option<&str>,
) -> Shaped {
    let mut headers: Vec<(String, String)> =
        by.map(|by| ("Referred-By".to_owned(), by.to_owned())).into_iter().collect();
    let replaces = target.uri().headers().find(|(name, _)| name.eq_ignore_ascii_case("Replaces"));
    if let (Some((_, value)), Kind::Operator) = (replaces, profile.kind) {
        headers.push(("Replaces".to_owned(), value.into_owned()));
    }
    let request_uri = target.uri().clone().without_headers();
    Shaped {
        to: NameAddr::new(request_uri.clone()),
        request_uri,
        from: NameAddr::new(phone(profile, number, from_host(profile, local))),
        contact: shape_contact(profile, peer.transport, local, Some(number)),
        headers,
    }
}

/// Our Contact towards a peer of the trunk that is spoken with over `transport`: of an INVITE of ours, or of our answer to theirs.
pub fn shape_contact(profile: &Profile, transport: Transport, local: &Local, user: Option<&str>) -> NameAddr {
    match profile.kind {
        Kind::Operator => operator::contact(profile, transport, local, user),
        Kind::Microsoft => microsoft::contact(profile, transport, local, user),
    }
}

/// Shapes an OPTIONS keep-alive for one peer of the trunk.
pub fn shape_options(profile: &Profile, peer: &Peer, local: &Local) -> Shaped {
    match profile.kind {
        Kind::Operator => operator::options(profile, peer, local),
        Kind::Microsoft => microsoft::options(profile, peer, local),
    }
}

/// What makes a REGISTER this trunk's own.
#[derive(Clone, Debug, PartialEq)]
pub struct ShapedRegister {
    /// The Request-URI: the domain.
    pub registrar: Uri,
    /// From and To.
    pub address: NameAddr,
    /// Where we are reached.
    pub contact: NameAddr,
}

/// Shapes the REGISTER of a trunk that wants one, for one of its peers (RFC 3261 section 10.2).
pub fn shape_register(profile: &Profile, peer: &Peer, local: &Local) -> Option<ShapedRegister> {
    let Registration { username, domain, .. } = profile.registration.as_ref()?;
    let domain = target(domain.clone(), None);
    Some(ShapedRegister {
        registrar: Uri::sip(None, domain.clone()),
        address: NameAddr::new(Uri::sip(Some(username), domain)),
        contact: shape_contact(profile, peer.transport, local, Some(username)),
    })
}

/// From, and P-Asserted-Identity and Privacy as far as the profile and the call ask for them (RFC 3325 section 9.1,
/// RFC 3323 section 4.1.1.3).
fn identify_caller(profile: &Profile, call: &DialOut, identity: Uri) -> (NameAddr, Vec<(String, String)>) {
    let mut headers = Vec::new();
    if profile.forward_pai {
        headers.push(("P-Asserted-Identity".to_owned(), NameAddr::new(identity.clone()).to_string()));
    }
    if call.withheld {
        headers.push(("Privacy".to_owned(), "id".to_owned()));
        let nobody = Uri::sip(Some("anonymous"), target(Host::Name("anonymous.invalid".into()), None));
        return (NameAddr::new(nobody).with_display("Anonymous"), headers);
    }
    let from = NameAddr::new(identity);
    let display = call.display.as_deref().map(clean).filter(|display| !display.is_empty());
    (display.iter().fold(from, |from, display| from.with_display(display)), headers)
}

/// A URI for a telephone number (RFC 3261 section 19.1.6).
fn phone(profile: &Profile, number: &str, target: HostPort) -> Uri {
    let uri = Uri::sip(Some(number), target);
    if profile.user_phone { uri.with_param("user", Some("phone")) } else { uri }
}

/// The peer as our URIs name it: its name, else its address; the port where it is not the transport's default.
pub(crate) fn peer_target(peer: &Peer) -> HostPort {
    let host = peer.host.clone().unwrap_or_else(|| Host::from(peer.address.ip()));
    let port = peer.address.port();
    target(host, Some(port).filter(|port| *port != peer.transport.default_port()))
}

/// We as the peer's Contact finds us: always with port, so that nothing is looked up.
pub(crate) fn our_target(profile: &Profile, local: &Local) -> HostPort {
    target(profile.fqdn.clone().unwrap_or_else(|| local.host.clone()), Some(local.port))
}

/// We as From names us.
pub(crate) fn from_host(profile: &Profile, local: &Local) -> HostPort {
    let host = profile.from_domain.as_ref().or(profile.fqdn.as_ref()).unwrap_or(&local.host);
    target(host.clone(), None)
}

fn target(host: Host, port: Option<u16>) -> HostPort {
    HostPort { host, port }
}

/// A display name without control characters, at most 64 characters long.
pub(crate) fn clean(display: &str) -> String {
    display.chars().filter(|c| !c.is_control()).take(64).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sip::{Framing, Message, Method};

    use super::*;
    use crate::testing::{MICROSOFT, OPERATOR, dial_out, invite_text, profile, text};

    #[test]
    fn a_display_name_is_quoted_and_escaped() {
        let call = DialOut { display: Some("The \"Board\" \\ 1".to_owned()), ..dial_out() };
        let text = invite_text(OPERATOR, &call);
        assert!(
            text.contains("From: \"The \\\"Board\\\" \\\\ 1\" <sip:+493012345678@192.0.2.1;user=phone>\n"),
            "{text}"
        );
    }

    #[test]
    fn a_header_cannot_be_injected_through_the_display_name() {
        let call = DialOut { display: Some("x\r\nX-Evil: 1\r\n\r\nbody\0".to_owned()), ..dial_out() };
        let text = invite_text(OPERATOR, &call);
        assert!(text.contains("From: \"xX-Evil: 1body\" <"), "{text}");
        assert_eq!(text.lines().count(), 7, "{text}");
    }

    #[test]
    fn a_register_names_the_domain_the_user_and_where_we_are() {
        let shaped = |lines: &str| {
            let profile = profile(&format!("{OPERATOR}{lines}\n"));
            let shaped = shape_register(&profile, &profile.peers[0], &crate::testing::local());
            shaped.map(|shaped| {
                [shaped.registrar.to_string(), shaped.address.to_string(), shaped.contact.to_string()]
            })
        };
        assert_eq!(shaped(""), None);
        let own = "credentials = { username = \"4930123\", password = \"secret\" }\nregister = {}";
        let contact = "<sip:4930123@192.0.2.1:5060>";
        let here = ["sip:sbc.acme.example", "<sip:4930123@sbc.acme.example>", contact];
        assert_eq!(shaped(own), Some(here.map(str::to_owned)));
        let elsewhere =
            "register = { username = \"4930123\", domain = \"acme.example\" }\nfqdn = \"bridge.example.net\"";
        let contact = "<sip:4930123@bridge.example.net:5060>";
        let there = ["sip:acme.example", "<sip:4930123@acme.example>", contact];
        assert_eq!(shaped(elsewhere), Some(there.map(str::to_owned)));
    }

    #[test]
    fn a_refer_is_followed_to_the_letter_and_replaces_goes_along_except_to_microsoft() {
        let target = "<sip:sip.pstnhub.microsoft.com:5061;transport=tls;x-m=8;x-t=1?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc&X-Evil=1>";
        let target = NameAddr::parse(target).expect("a target without a user part");
        for (document, replaces) in [(OPERATOR, true), (MICROSOFT, false)] {
            let profile = profile(document);
            let by = Some("<sip:+49@sip.pstnhub.microsoft.com;x-ti=2>");
            let peer = &profile.peers[0];
            let shaped =
                shape_referred(&profile, peer, &crate::testing::local(), "+493012345678", &target, by);
            let text = text(Method::INVITE, &shaped);
            assert!(
                text.starts_with(
                    "INVITE sip:sip.pstnhub.microsoft.com:5061;transport=tls;x-m=8;x-t=1 SIP/2.0\n"
                ),
                "{text}"
            );
            assert!(text.contains("Referred-By: <sip:+49@sip.pstnhub.microsoft.com;x-ti=2>\n"), "{text}");
            assert!(text.contains("From: <sip:+493012345678@"), "{text}");
            assert_eq!(text.contains("Replaces: a;to-tag=b;from-tag=c\n"), replaces, "{text}");
            assert!(!text.contains("X-Evil"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_shaped_invite_parses_again_and_has_only_our_headers(
            display in proptest::option::of(any::<String>()),
            dialed in "\\+[1-9][0-9]{6,14}",
            withheld: bool,
            microsoft: bool,
        ) {
            let profile = profile(if microsoft { MICROSOFT } else { OPERATOR });
            let call = DialOut { dialed: dialed.parse().unwrap(), display, withheld, ..dial_out() };
            let shaped = shape_invite(&profile, &profile.peers[0], &call);
            prop_assert_eq!(shaped.request_uri.user().unwrap(), dialed.as_str());
            let mut message = Message::request(Method::INVITE, shaped.request_uri.clone());
            let headers = message.headers_mut();
            headers.push("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1");
            headers.push("From", shaped.from.clone().with_tag("a"));
            headers.push("To", &shaped.to);
            headers.push("Call-ID", "1");
            headers.push("CSeq", "1 INVITE");
            headers.push("Contact", &shaped.contact);
            for (name, value) in &shaped.headers {
                headers.push(name.as_str(), value);
            }
            let again = Message::parse(message.to_bytes(), Framing::Datagram);
            prop_assert!(again.is_ok(), "{:?}", again);
            let again = again.unwrap();
            prop_assert_eq!(again.headers().len(), 7 + shaped.headers.len(), "{}", text(Method::INVITE, &shaped));
            prop_assert_eq!(again.uri(), Some(&shaped.request_uri));
            let from = again.from().unwrap();
            prop_assert_eq!(from.uri(), shaped.from.uri());
            prop_assert_eq!(from.display(), shaped.from.display());
        }
    }
}
