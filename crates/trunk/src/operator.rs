//! The dialect of an operator's session border controller: plain RFC 3261, with the number forms of its country.

use sip::sdp::{Codec, Suite};
use sip::{NameAddr, Uri};

use crate::profile::{Peer, Profile, Transport};
use crate::shape::{Local, Shaped, from_host, our_target, peer_target};
use crate::source::Defaults;

pub(crate) const DEFAULTS: Defaults = Defaults {
    transport: Transport::Udp,
    codecs: &[Codec::Pcma, Codec::Pcmu],
    audio_level: true,
    srtp_suites: &[
        Suite::AeadAes128Gcm,
        Suite::AeadAes256Gcm,
        Suite::AesCm128HmacSha1_80,
        Suite::AesCm128HmacSha1_32,
    ],
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
        contact: contact(profile, peer.transport, local, None),
        headers: Vec::new(),
    }
}

/// Where we are reached: our name or address with our port, so that no lookup is needed; the transport when it is not the default.
pub(crate) fn contact(
    profile: &Profile,
    transport: Transport,
    local: &Local,
    user: Option<&str>,
) -> NameAddr {
    let uri = Uri::sip(user, our_target(profile, local));
    match transport {
        Transport::Udp => NameAddr::new(uri),
        other => NameAddr::new(uri.with_param("transport", Some(other.as_str()))),
    }
}

#[cfg(test)]
mod tests {
    use crate::DialOut;
    use crate::testing::{OPERATOR, dial_out, invite_text, options_text};

    #[test]
    fn an_invite_names_the_peer_asserts_the_caller_and_says_where_we_are() {
        assert_eq!(
            invite_text(OPERATOR, &dial_out()),
            "\
INVITE sip:+14255550100@sbc.acme.example;user=phone SIP/2.0
From: <sip:+493012345678@192.0.2.1;user=phone>
To: <sip:+14255550100@sbc.acme.example;user=phone>
Contact: <sip:+493012345678@192.0.2.1:5060>
P-Asserted-Identity: <sip:+493012345678@192.0.2.1;user=phone>
Content-Length: 0

"
        );
    }

    #[test]
    fn an_options_goes_to_the_peer_and_has_a_contact_without_user() {
        assert_eq!(
            options_text(OPERATOR),
            "\
OPTIONS sip:sbc.acme.example SIP/2.0
From: <sip:192.0.2.1>
To: <sip:sbc.acme.example>
Contact: <sip:192.0.2.1:5060>
Content-Length: 0

"
        );
    }

    #[test]
    fn an_options_may_come_from_a_configured_user_and_domain() {
        let text =
            options_text(&format!("{OPERATOR}options_user = \"ping\"\nfrom_domain = \"conf.example.net\"\n"));
        assert!(text.contains("From: <sip:ping@conf.example.net>\n"), "{text}");
    }

    #[test]
    fn a_peer_without_a_name_is_named_by_its_address_and_a_port_that_is_not_the_default() {
        let document = |address: &str| {
            format!(
                "[[trunk]]\nid = \"acme\"\nkind = \"operator\"\npeers = [{{ address = \"{address}\" }}]\n"
            )
        };
        for (address, uri) in [
            ("203.0.113.10", "INVITE sip:+14255550100@203.0.113.10;user=phone"),
            ("203.0.113.10:5060", "INVITE sip:+14255550100@203.0.113.10;user=phone"),
            ("203.0.113.10:5080", "INVITE sip:+14255550100@203.0.113.10:5080;user=phone"),
            ("[2001:db8::1]:5080", "INVITE sip:+14255550100@[2001:db8::1]:5080;user=phone"),
        ] {
            let text = invite_text(&document(address), &dial_out());
            assert!(text.starts_with(uri), "{text}");
        }
    }

    #[test]
    fn numbers_go_out_in_the_peers_form() {
        let national = "country_code = \"49\"\nnational_prefix = \"0\"\ninternational_prefix = \"00\"\n";
        // (keys, Request-URI user, From user)
        let table = [
            ("number_format = \"e164\"\n", "+14255550100", "+493012345678"),
            ("number_format = \"plain\"\n", "14255550100", "493012345678"),
            ("number_format = \"national\"\n", "0014255550100", "03012345678"),
            (
                "number_format = \"national\"\ncaller_number_format = \"e164\"\n",
                "0014255550100",
                "+493012345678",
            ),
        ];
        for (keys, dialed, caller) in table {
            let text = invite_text(&format!("{OPERATOR}{keys}{national}"), &dial_out());
            assert!(text.starts_with(&format!("INVITE sip:{dialed}@sbc.acme.example;user=phone ")), "{text}");
            assert!(text.contains(&format!("From: <sip:{caller}@")), "{text}");
            assert!(text.contains(&format!("P-Asserted-Identity: <sip:{caller}@")), "{text}");
        }
    }

    #[test]
    fn user_phone_can_be_left_out() {
        let text = invite_text(&format!("{OPERATOR}user_phone = false\n"), &dial_out());
        assert!(!text.contains("user=phone"), "{text}");
    }

    #[test]
    fn our_name_and_domain_replace_our_address() {
        let text = invite_text(&format!("{OPERATOR}fqdn = \"conf.example.net\"\n"), &dial_out());
        assert!(text.contains("From: <sip:+493012345678@conf.example.net;user=phone>\n"), "{text}");
        assert!(text.contains("Contact: <sip:+493012345678@conf.example.net:5060>\n"), "{text}");
        let text = invite_text(&format!("{OPERATOR}from_domain = \"acme.example\"\n"), &dial_out());
        assert!(text.contains("From: <sip:+493012345678@acme.example;user=phone>\n"), "{text}");
        assert!(text.contains("Contact: <sip:+493012345678@192.0.2.1:5060>\n"), "{text}");
    }

    #[test]
    fn over_tcp_the_contact_says_so() {
        let document = OPERATOR.replace("host = ", "transport = \"tcp\", host = ");
        let text = invite_text(&document, &dial_out());
        assert!(text.contains("Contact: <sip:+493012345678@192.0.2.1:5060;transport=tcp>\n"), "{text}");
    }

    #[test]
    fn a_withheld_caller_is_anonymous_in_from_and_contact_and_asserted_with_privacy_id() {
        let call = DialOut { withheld: true, display: Some("Board".to_owned()), ..dial_out() };
        assert_eq!(
            invite_text(OPERATOR, &call),
            "\
INVITE sip:+14255550100@sbc.acme.example;user=phone SIP/2.0
From: \"Anonymous\" <sip:anonymous@anonymous.invalid>
To: <sip:+14255550100@sbc.acme.example;user=phone>
Contact: <sip:192.0.2.1:5060>
P-Asserted-Identity: <sip:+493012345678@192.0.2.1;user=phone>
Privacy: id
Content-Length: 0

"
        );
    }

    #[test]
    fn without_forward_pai_nothing_is_asserted() {
        for withheld in [false, true] {
            let call = DialOut { withheld, ..dial_out() };
            let text = invite_text(&format!("{OPERATOR}forward_pai = false\n"), &call);
            assert!(!text.contains("P-Asserted-Identity"), "{text}");
            assert_eq!(text.contains("Privacy: id\n"), withheld, "{text}");
        }
    }

    #[test]
    fn the_documentation_shows_what_is_sent() {
        let documentation = include_str!("../../../docs/trunks.md");
        for text in [invite_text(OPERATOR, &dial_out()), options_text(OPERATOR)] {
            let shown = text.split("Content-Length").next().unwrap();
            assert!(documentation.contains(shown), "{shown}");
        }
    }
}
