//! What a `[[trunk]]` table may say, what it leaves out, and what is refused where it stands.

use std::collections::BTreeMap;
use std::time::Duration;

use routing::{OperatorId, Provider};
use sip::Algorithm;
use sip::sdp::{Codec, OpusParameters, Srtp, Suite};
use sip::{Reliable, SessionTimers};

use crate::locate::Place;
use crate::testing::{MICROSOFT, OPERATOR, profile, syntax_error, trunks};
use crate::{MediaAddress, MediaSource, NumberFormat, OpusSettings, ProfileError, Transport, Turn};

#[test]
fn the_defaults_of_an_operator() {
    let profile = profile(OPERATOR);
    assert_eq!(profile.provider, Provider::Operator(OperatorId::new("acme")));
    assert!(profile.enabled && profile.forward_pai && profile.user_phone && profile.options.send);
    assert!(!profile.trust_pai);
    assert_eq!(profile.peers[0].transport, Transport::Udp);
    assert_eq!(profile.sources.iter().map(ToString::to_string).collect::<Vec<_>>(), ["203.0.113.10/32"]);
    assert_eq!(profile.codecs, [Codec::Pcma, Codec::Pcmu]);
    assert_eq!(profile.opus, OpusSettings::default());
    assert_eq!((profile.srtp, profile.srtp_pad_keys, profile.audio_level), (Srtp::Off, true, true));
    let suites: Vec<&str> = profile.srtp_suites.iter().map(|suite| suite.name()).collect();
    let expected =
        ["AEAD_AES_128_GCM", "AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"];
    assert_eq!(suites, expected);
    assert_eq!(profile.media_source, MediaSource::Exact);
    assert_eq!(profile.numbers.format, NumberFormat::E164);
    assert_eq!(profile.options.interval, Duration::from_secs(30));
    assert_eq!(profile.failover_response_codes, [408, 503, 504].into());
    assert_eq!(profile.failover_time, Duration::from_secs(10));
    assert_eq!(profile.first_response_within, Duration::from_millis(3500));
    assert_eq!(profile.ring_for, Duration::from_mins(1));
    assert_eq!((profile.max_concurrent_sessions, profile.calls_per_second), (None, None));
    assert_eq!((profile.credentials, profile.inbound_credentials), (None, None));
}

#[test]
fn the_defaults_of_microsoft() {
    let profile = profile(MICROSOFT);
    assert_eq!(profile.provider, Provider::Microsoft);
    assert!(profile.enabled && profile.user_phone && profile.options.send);
    assert!(!profile.trust_pai && !profile.forward_pai);
    assert_eq!(profile.peers[0].transport, Transport::Tls);
    assert_eq!(profile.codecs, [Codec::Pcmu, Codec::Pcma]);
    assert_eq!((profile.srtp, profile.audio_level), (Srtp::Mandatory, false));
    assert_eq!(profile.srtp_suites, [Suite::AesCm128HmacSha1_80]);
    assert_eq!(profile.options.interval, Duration::from_mins(1));
}

#[test]
fn the_port_of_a_peer_defaults_to_that_of_its_transport() {
    let port = |address: &str, transport: &str| {
        let peer = format!("address = \"{address}\", transport = \"{transport}\"");
        profile(&OPERATOR.replace("address = \"203.0.113.10:5060\"", &peer)).peers[0].address.port()
    };
    assert_eq!(port("203.0.113.10", "udp"), 5060);
    assert_eq!(port("203.0.113.10", "tls"), 5061);
    assert_eq!(port("[2001:db8::1]:5070", "tcp"), 5070);
    assert_eq!(port("2001:db8::1", "tcp"), 5060);
}

#[test]
fn every_key_is_read() {
    let profile = profile(
        r#"
[[trunk]]
id = "acme"
kind = "operator"
provider = "operator:Acme GmbH"
enabled = false
fqdn = "conf.example.net"
peers = [
  { address = "203.0.113.10:5060", transport = "tcp", host = "sbc1.acme.example" },
  { address = "203.0.113.11", priority = 7, weight = 0 },
]
sources = ["203.0.113.0/28", "198.51.100.7"]
tls_names = ["SBC.acme.example", "*.acme.example"]
tls = { certificate = "our.pem", key = "our.key", roots = "system", server_name = "Edge.acme.example" }
codecs = ["opus", "g722", "pcma", "pcmu", "pcma"]
opus = { bitrate = 24000, complexity = 10, fec = false, dtx = true, max_rate = 16000 }
audio_level = false
srtp = "optional"
srtp_suites = ["AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80"]
srtp_pad_keys = false
media_address = "0.0.0.0"
media_advertise = "198.51.100.20"
media_source = "same-ip"
number_format = "national"
caller_number_format = "plain"
country_code = "49"
national_prefix = "0"
international_prefix = "00"
called_from = "history-info"
trust_pai = true
forward_pai = false
user_phone = false
from_domain = "acme.example"
send_sip_options = false
options_interval_seconds = 45
options_accepted_codes = ["2xx", 404]
options_user = "ping"
failover_response_codes = [480, 500]
failover_time_seconds = 20
first_response_ms = 1000
ring_seconds = 90
session_timer = "accept"
session_expires_seconds = 900
min_se_seconds = 120
reliable_provisionals = "required"
accept_refer = true
accept_replaces = true
max_concurrent_sessions = 30
calls_per_second = 3
register = { domain = "Acme.example", expires_seconds = 120 }
credentials = { username = "u", password = "secret", realm = "acme.example" }
inbound_credentials = { username = "they", password = "s3cret", algorithms = ["SHA-256"] }
"#,
    );
    assert_eq!(profile.provider, Provider::Operator(OperatorId::new("Acme GmbH")));
    assert!(!profile.enabled && !profile.forward_pai && !profile.user_phone && !profile.options.send);
    assert!(profile.trust_pai);
    assert_eq!(profile.peers.len(), 2);
    assert_eq!(profile.sources.len(), 2);
    assert_eq!(profile.tls_names, ["sbc.acme.example", "*.acme.example"]);
    assert_eq!(profile.tls.identity, Some(("our.pem".into(), "our.key".into())));
    assert_eq!(profile.tls.roots, Some("system".into()));
    assert_eq!(profile.tls.server_name.as_deref(), Some("edge.acme.example"));
    assert!(profile.tls.require_certificate && profile.tls.only);
    assert_eq!(profile.codecs, [Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu]);
    let opus = OpusSettings { bitrate: 24_000, complexity: 10, fec: false, dtx: true, max_rate: 16_000 };
    assert_eq!(profile.opus, opus);
    assert_eq!((profile.srtp, profile.srtp_pad_keys, profile.audio_level), (Srtp::Optional, false, false));
    assert_eq!(profile.srtp_suites, [Suite::AesCm128HmacSha1_80, Suite::AeadAes256Gcm]);
    let turns = [Turn { entry: 0, priority: 0, weight: 1 }, Turn { entry: 1, priority: 7, weight: 0 }];
    assert_eq!(profile.peers.iter().map(|peer| peer.turn).collect::<Vec<_>>(), turns);
    let media = MediaAddress { bind: [0, 0, 0, 0].into(), told: [198, 51, 100, 20].into() };
    assert_eq!(profile.media_address, Some(media));
    let registration = profile.registration.clone().expect("it registers");
    assert_eq!((registration.username.as_str(), registration.expires), ("u", 120));
    assert_eq!(registration.domain.to_string().to_lowercase(), "acme.example");
    assert_eq!(profile.media_source, MediaSource::SameIp);
    assert_eq!(profile.options.interval, Duration::from_secs(45));
    assert!(profile.options.accepted.contains(299) && profile.options.accepted.contains(404));
    assert!(!profile.options.accepted.contains(405));
    assert_eq!(profile.options.user.as_deref(), Some("ping"));
    assert_eq!(profile.failover_response_codes, [480, 500].into());
    assert_eq!(profile.failover_time, Duration::from_secs(20));
    assert_eq!(profile.first_response_within, Duration::from_secs(1));
    assert_eq!(profile.ring_for, Duration::from_secs(90));
    let terms = profile.terms;
    assert_eq!((terms.session_timer, terms.reliable), (SessionTimers::Accept, Reliable::Required));
    assert_eq!((terms.session_expires, terms.min_se), (900, 120));
    assert!(terms.accept_refer && terms.accept_replaces);
    assert_eq!((profile.max_concurrent_sessions, profile.calls_per_second), (Some(30), Some(3)));
    let inbound = profile.inbound_credentials.clone().unwrap();
    assert_eq!((inbound.username.as_str(), inbound.password.as_str()), ("they", "s3cret"));
    assert_eq!((inbound.realm.as_str(), inbound.algorithms), ("conf.example.net", vec![Algorithm::Sha256]));
    let credentials = profile.credentials.clone().unwrap();
    assert_eq!((credentials.username.as_str(), credentials.password.as_str()), ("u", "secret"));
    assert!(!format!("{profile:?}").contains("secret"), "a password is never shown");
}

#[test]
fn the_settings_of_a_trunk_are_what_its_sdp_says() {
    let lines = "codecs = [\"opus\", \"pcma\"]\nopus = { bitrate = 20000, dtx = true, fec = false, max_rate = 8000 }\n\
                     srtp = \"mandatory\"\nsrtp_suites = [\"AEAD_AES_256_GCM\"]\nsrtp_pad_keys = false\n";
    let capabilities = profile(&format!("{OPERATOR}{lines}")).capabilities();
    assert_eq!(capabilities.codecs, [Codec::Opus, Codec::Pcma]);
    let opus = OpusParameters {
        max_playback_rate: 8000,
        max_capture_rate: 8000,
        max_average_bitrate: Some(20_000),
        dtx: true,
        ..OpusParameters::default()
    };
    assert_eq!(capabilities.opus, opus);
    assert_eq!((capabilities.srtp, capabilities.pad_keys), (Srtp::Mandatory, false));
    assert_eq!(capabilities.suites, [Suite::AeadAes256Gcm]);
    assert!(capabilities.audio_level && capabilities.comfort_noise && capabilities.telephone_event);
}

/// (the line that is added, the key that is named, a part of what is expected)
const WRONG: &[(&str, &str, &str)] = &[
    ("provider = \"microsoft\"", "provider", "kind = \"microsoft\""),
    ("provider = \"acme\"", "provider", "operator:<id>"),
    ("fqdn = \"conf.example.net:5060\"", "fqdn", "without port"),
    ("fqdn = \"a\\r\\nX: y\"", "fqdn", "host name"),
    ("from_domain = \"a b\"", "from_domain", "host name"),
    ("sources = []", "sources", "addresses of `peers`"),
    ("sources = [\"sbc.example.net\"]", "sources", "203.0.113.0/28"),
    ("sources = [\"0.0.0.0/0\"]", "sources", "lets anyone call"),
    ("tls_names = [\"*\"]", "tls_names", "certificate name"),
    ("codecs = []", "codecs", "pcma"),
    ("opus = { bitrate = 5999 }", "opus.bitrate", "6000 to 128000"),
    ("opus = { complexity = 11 }", "opus.complexity", "0 to 10"),
    ("opus = { max_rate = 24000 }", "opus.max_rate", "8000, 16000 or 48000"),
    ("srtp_suites = []", "srtp_suites", "srtp = \"off\""),
    ("media_address = \"224.0.0.1\"\nmedia_advertise = \"192.0.2.1\"", "media_address", "one machine"),
    ("media_address = \"0.0.0.0\"", "media_address", "media_advertise"),
    ("media_advertise = \"192.0.2.1\"", "media_advertise", "media_address with it"),
    ("media_address = \"192.0.2.1\"\nmedia_advertise = \"2001:db8::1\"", "media_advertise", "family"),
    ("media_address = \"2001:db8::1\"\nmedia_advertise = \"::\"", "media_advertise", "one machine"),
    ("register = {}", "register.username", "credentials with one"),
    ("register = { username = \"a b\" }", "register.username", "without escapes"),
    ("register = { username = \"a\", domain = \"a:5060\" }", "register.domain", "without port"),
    ("register = { username = \"a\", expires_seconds = 59 }", "register.expires_seconds", "60 to 86400"),
    ("number_format = \"national\"", "number_format", "country_code, national_prefix and"),
    ("caller_number_format = \"national\"\ncountry_code = \"49\"", "caller_number_format", "national_prefix"),
    ("country_code = \"+49\"", "country_code", "1 to 3 digits"),
    ("country_code = \"049\"", "country_code", "does not begin with 0"),
    ("national_prefix = \"x\"", "national_prefix", "digits"),
    ("international_prefix = \"\"", "international_prefix", "digits"),
    ("options_interval_seconds = 0", "options_interval_seconds", "1 to 3600"),
    ("options_accepted_codes = []", "options_accepted_codes", "send_sip_options = false"),
    ("options_accepted_codes = [180]", "options_accepted_codes", "2xx"),
    ("options_accepted_codes = [\"7xx\"]", "options_accepted_codes", "2xx"),
    ("options_user = \"a@b\"", "options_user", "without escapes"),
    ("failover_response_codes = [603]", "failover_response_codes", "never retried"),
    ("failover_response_codes = [200]", "failover_response_codes", "400 to 599"),
    ("failover_time_seconds = 0", "failover_time_seconds", "1 to 60"),
    ("first_response_ms = 10", "first_response_ms", "100 to 32000"),
    ("ring_seconds = 1", "ring_seconds", "5 to 600"),
    ("max_concurrent_sessions = 0", "max_concurrent_sessions", "1 to 1000000"),
    ("calls_per_second = 0", "calls_per_second", "1 to 10000"),
    ("credentials = { username = \"\", password = \"x\" }", "credentials.username", "text"),
    ("credentials = { username = \"u\", password = \"a\\nb\" }", "credentials.password", "control"),
    ("inbound_credentials = { username = \"u\", password = \"\" }", "inbound_credentials.password", "text"),
    (
        "inbound_credentials = { username = \"u\", password = \"p\", algorithms = [\"SHA-1\"] }",
        "inbound_credentials.algorithms",
        "SHA-256",
    ),
];

#[test]
fn a_wrong_value_is_refused_with_its_place_its_key_and_what_is_expected() {
    for (line, key, expected) in WRONG {
        let document = format!("{OPERATOR}{line}\n");
        let errors = trunks(&document).expect_err(line);
        let [ProfileError { span, key: found_key, expected: found, .. }] = errors.as_slice() else {
            panic!("{line}: {errors:?}");
        };
        assert_eq!(*found_key, format!("trunk.acme.{key}"), "{line}");
        assert!(found.contains(expected), "{line}: {found}");
        let span = span.clone().expect("every error has its place");
        let at = &document[span.clone()];
        assert!(span.start >= OPERATOR.len(), "{line} points at {at:?}");
    }
}

#[test]
fn a_peer_may_be_a_name_and_has_the_addresses_that_the_dns_gives_it() {
    let peers = "[{ address = \"Sbc.acme.example\" }, { address = \"203.0.113.7\" }, { address = \"two.example:5070\", transport = \"tcp\" }]";
    let document = format!("[[trunk]]\nid = \"acme\"\nkind = \"operator\"\npeers = {peers}\n");
    let trunks = trunks(&document).expect("a trunk");
    let names: Vec<String> = trunks.names().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["sbc.acme.example", "two.example:5070"]);
    let shown = |trunks: &crate::Trunks| -> Vec<String> {
        let peers = trunks.profiles()[0].peers.iter();
        let host = |peer: &crate::Peer| peer.host.as_ref().map_or("-".to_owned(), ToString::to_string);
        peers.map(|peer| format!("{} {} {}", peer.transport.as_str(), peer.address, host(peer))).collect()
    };
    assert_eq!(shown(&trunks), ["udp 203.0.113.7:5060 -"], "before anything is known");
    assert_eq!(trunks.profiles()[0].most_peers(), 1 + 2 * 16, "as many as the DNS may give");
    let place =
        |last: u8, port: u16, transport| Place { address: ([192, 0, 2, last], port).into(), transport };
    let mut places = BTreeMap::new();
    for name in trunks.names() {
        let found = match name.port {
            None => vec![place(2, 5061, Transport::Tls), place(1, 5060, Transport::Udp)],
            Some(port) => vec![place(3, port, name.transport.expect("as written"))],
        };
        places.insert(name, found);
    }
    let settled = trunks.settled(&places);
    let expected = [
        "tls 192.0.2.2:5061 sbc.acme.example",
        "udp 192.0.2.1:5060 sbc.acme.example",
        "udp 203.0.113.7:5060 -",
        "tcp 192.0.2.3:5070 two.example",
    ];
    assert_eq!(shown(&settled), expected);
    let sources: Vec<String> = settled.profiles()[0].sources.iter().map(ToString::to_string).collect();
    assert_eq!(sources, ["192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32", "203.0.113.7/32"]);
    assert!(settled.lists([192, 0, 2, 3].into()) && !trunks.lists([192, 0, 2, 3].into()));
}

#[test]
fn a_wrong_peer_is_refused() {
    // (the peers, what is expected)
    let table = [
        ("[]", "at least one"),
        ("[{ address = \"203.0.113\" }]", "name or name:port"),
        ("[{ address = \"sbc.acme.example:0\" }]", "name or name:port"),
        ("[{ address = \"sbc acme\" }]", "name or name:port"),
        ("[{ address = \"sbc.acme.example\" }, { address = \"SBC.acme.example.\" }]", "once"),
        ("[{ address = \"203.0.113.10:0\" }]", "IP, IP:port"),
        ("[{ address = \"0.0.0.0\" }]", "IP, IP:port"),
        ("[{ address = \"203.0.113.10\" }, { address = \"203.0.113.10:5060\" }]", "once"),
        ("[{ address = \"203.0.113.10\", host = \"a:5060\" }]", "without port"),
        ("[{ address = \"203.0.113.10\", priority = 65536 }]", "0 to 65535"),
        ("[{ address = \"203.0.113.10\", weight = 70000 }]", "0 to 65535"),
    ];
    for (peers, expected) in table {
        let document = format!("[[trunk]]\nid = \"acme\"\nkind = \"operator\"\npeers = {peers}\n");
        let errors = trunks(&document).expect_err(peers);
        assert!(errors[0].expected.contains(expected), "{peers}: {errors:?}");
        assert!(errors[0].span.is_some());
    }
}

#[test]
fn all_errors_come_at_once() {
    let document = format!("{OPERATOR}ring_seconds = 1\ncalls_per_second = 0\nfqdn = \"-\"\n");
    assert_eq!(trunks(&document).unwrap_err().len(), 3);
}

#[test]
fn an_unknown_key_or_value_is_refused_by_name() {
    for (line, named) in [
        ("max_sessions = 5", "max_sessions"),
        ("codecs = [\"g729\"]", "g729"),
        ("opus = { rate = 8000 }", "rate"),
        ("srtp = \"yes\"", "yes"),
        ("srtp_suites = [\"AES_CM_128\"]", "AES_CM_128"),
        ("media_source = \"any\"", "any"),
        ("credentials = { user = \"u\", password = \"p\" }", "user"),
        ("register = { user = \"u\" }", "user"),
    ] {
        let error = syntax_error(&format!("{OPERATOR}{line}\n"));
        assert!(error.contains(named) && error.contains("expected"), "{error}");
    }
}

#[test]
fn an_id_must_do_as_a_metric_label() {
    for id in ["", "a b", "ä", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        let errors = trunks(&OPERATOR.replace("\"acme\"", &format!("\"{id}\""))).unwrap_err();
        assert!(errors[0].expected.contains("metric label"), "{errors:?}");
    }
}

const DOCUMENTATION: &str = include_str!("../../../../docs/trunks.md");

#[test]
fn the_documentation_names_every_key_and_no_other() {
    let error = syntax_error(&format!("{OPERATOR}no_such_key = 1\n"));
    let known = error.split("expected one of").nth(1).expect("serde lists the keys");
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    let table = DOCUMENTATION.split("\n## Keys").nth(1).and_then(|text| text.split("\n## ").next()).unwrap();
    let documented: Vec<&str> =
        table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(known, documented, "same keys, same order");
}

#[test]
fn the_examples_of_the_documentation_load() {
    let examples: Vec<&str> =
        DOCUMENTATION.split("```toml\n").skip(1).filter_map(|text| text.split("```").next()).collect();
    assert_eq!(trunks(&examples.concat()).expect("they fit together").profiles().len(), 2);
}
