//! The dialect of the Microsoft PSTN gateway (Direct Routing and Operator Connect): E.164 everywhere, names instead of
//! addresses, and a Contact that matches the certificate.

use sip::sdp::{Codec, Suite};
use sip::{Host, HostPort, NameAddr, Uri};

use crate::check::Check;
use crate::numbers::NumberFormat;
use crate::profile::{Listed, Peer, Profile, Transport};
use crate::shape::{Local, Shaped, our_target, peer_target};
use crate::source::{Defaults, ProfileSource};

pub(crate) const DEFAULTS: Defaults = Defaults {
    transport: Transport::Tls,
    codecs: &[Codec::Pcmu, Codec::Pcma],
    // The one suite that the gateway promises, and attributes that it documents.
    audio_level: false,
    srtp_suites: &[Suite::AesCm128HmacSha1_80],
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
            check.refuse(whole.clone(), "fqdn", "nothing", expected);
        }
        // Microsoft's limit for an SBC's name.
        (Some(written), Some(Host::Name(name))) if name.len() > 63 || !name.as_str().contains('.') => {
            let expected = "a full name with a domain, at most 63 characters";
            check.refuse(Some(written.span()), "fqdn", format!("{:?}", name.as_str()), expected);
        }
        _ => {}
    }
    let written = source.peers.get_ref().iter().zip(&profile.listed);
    let nameless = |listed: &Listed| matches!(listed, Listed::Address(Peer { host: None, .. }));
    for (peer, _) in written.filter(|(_, listed)| nameless(listed)) {
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
    if let Some(register) = &source.register {
        let expected = "no such key: the gateway knows us by fqdn and certificate";
        check.refuse(Some(register.span()), "register", "a table", expected);
    }
    if profile.terms.reliable == sip::Reliable::Required {
        let expected = "\"off\" or \"supported\": the gateway answers Require: 100rel with 420";
        check.refuse(whole.clone(), "reliable_provisionals", "\"required\"", expected);
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
        contact: contact(profile, peer.transport, local, None),
        headers: Vec::new(),
    }
}

/// Our paired name, never an address; always with port and transport, as the gateway connects to exactly what stands here.
pub(crate) fn contact(
    profile: &Profile,
    transport: Transport,
    local: &Local,
    user: Option<&str>,
) -> NameAddr {
    let uri = Uri::sip(user, our_target(profile, local));
    NameAddr::new(uri.with_param("transport", Some(transport.as_str())))
}

#[cfg(test)]
mod tests {
    use crate::DialOut;
    use crate::testing::{MICROSOFT, dial_out, invite_text, options_text, trunks};

    /// The keys that a broken profile's errors name.
    fn refused(document: &str) -> Vec<String> {
        trunks(document).unwrap_err().into_iter().map(|error| error.key).collect()
    }

    #[test]
    fn an_invite_has_plus_numbers_user_phone_and_our_paired_name() {
        assert_eq!(
            invite_text(MICROSOFT, &dial_out()),
            "\
INVITE sip:+14255550100@sip.pstnhub.microsoft.com;user=phone SIP/2.0
From: <sip:+493012345678@sbc1.adatum.biz;user=phone>
To: <sip:+14255550100@sip.pstnhub.microsoft.com;user=phone>
Contact: <sip:+493012345678@sbc1.adatum.biz:5060;transport=tls>
Content-Length: 0

"
        );
    }

    #[test]
    fn an_options_carries_a_contact_with_our_name_and_no_user() {
        assert_eq!(
            options_text(MICROSOFT),
            "\
OPTIONS sip:sip.pstnhub.microsoft.com:5061 SIP/2.0
From: <sip:sbc1.adatum.biz:5060>
To: <sip:sip.pstnhub.microsoft.com:5061>
Contact: <sip:sbc1.adatum.biz:5060;transport=tls>
Content-Length: 0

"
        );
    }

    #[test]
    fn our_address_never_stands_in_a_request() {
        for withheld in [false, true] {
            for keys in ["", "forward_pai = true\n"] {
                let text = invite_text(&format!("{MICROSOFT}{keys}"), &DialOut { withheld, ..dial_out() });
                assert!(!text.contains("192.0.2.1"), "{text}");
            }
        }
        assert!(!options_text(MICROSOFT).contains("192.0.2.1"));
    }

    #[test]
    fn sips_replaces_and_100rel_are_never_sent() {
        let text = invite_text(&format!("{MICROSOFT}forward_pai = true\n"), &dial_out());
        for word in ["sips:", "Replaces", "100rel", "Require"] {
            assert!(!text.contains(word), "{word} in {text}");
        }
    }

    #[test]
    fn with_forward_pai_a_withheld_caller_is_asserted_with_privacy_id_and_anonymous_in_from() {
        let text = invite_text(
            &format!("{MICROSOFT}forward_pai = true\n"),
            &DialOut { withheld: true, ..dial_out() },
        );
        assert!(text.contains("From: \"Anonymous\" <sip:anonymous@anonymous.invalid>\n"), "{text}");
        assert!(
            text.contains("P-Asserted-Identity: <sip:+493012345678@sbc1.adatum.biz;user=phone>\n"),
            "{text}"
        );
        assert!(text.contains("Privacy: id\n"), "{text}");
    }

    #[test]
    fn the_contact_names_the_transport_even_when_it_is_udp() {
        let document = MICROSOFT.replace("host = ", "transport = \"udp\", host = ");
        let text = invite_text(&document, &dial_out());
        assert!(text.contains("Contact: <sip:+493012345678@sbc1.adatum.biz:5060;transport=udp>\n"), "{text}");
    }

    #[test]
    fn a_profile_needs_our_name_and_the_gateways_name() {
        let nameless = MICROSOFT.replace("fqdn = \"sbc1.adatum.biz\"\n", "");
        assert_eq!(refused(&nameless), ["trunk.teams.fqdn"]);
        let addressed = MICROSOFT.replace(", host = \"sip.pstnhub.microsoft.com\"", "");
        assert_eq!(refused(&addressed), ["trunk.teams.peers.host"]);
    }

    #[test]
    fn the_gateway_is_never_required_to_acknowledge_provisional_responses() {
        let required = format!("{MICROSOFT}reliable_provisionals = \"required\"\n");
        assert_eq!(refused(&required), ["trunk.teams.reliable_provisionals"]);
    }

    #[test]
    fn nobody_registers_at_the_gateway() {
        let registers = format!("{MICROSOFT}register = {{ username = \"a\" }}\n");
        assert_eq!(refused(&registers), ["trunk.teams.register"]);
    }

    #[test]
    fn media_is_encrypted_where_nothing_else_is_written_and_sip_is() {
        use sip::sdp::Srtp;
        let srtp = |document: &str| trunks(document).unwrap().profiles()[0].srtp;
        assert_eq!(srtp(MICROSOFT), Srtp::Mandatory);
        assert_eq!(srtp(&format!("{MICROSOFT}srtp = \"off\"\n")), Srtp::Off);
        assert_eq!(srtp(&MICROSOFT.replace("host = ", "transport = \"tcp\", host = ")), Srtp::Off);
    }

    #[test]
    fn our_name_has_a_domain_and_at_most_63_characters_and_is_no_address() {
        let long = format!("{}.example.net", "a".repeat(60));
        for name in ["sbc1", "192.0.2.1", long.as_str()] {
            let document = MICROSOFT.replace("sbc1.adatum.biz", name);
            assert!(refused(&document).contains(&"trunk.teams.fqdn".to_owned()), "{name}");
        }
    }

    #[test]
    fn the_gateway_knows_no_number_format_but_e164_and_no_other_domain_than_ours() {
        let document = format!("{MICROSOFT}number_format = \"plain\"\nfrom_domain = \"x.example\"\n");
        assert_eq!(refused(&document), ["trunk.teams.number_format", "trunk.teams.from_domain"]);
    }
}
