//! What the endpoint makes of the torture messages of RFC 4475 and RFC 5118.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::{Endpoint, EndpointConfig, Event, Flow, Framing, Message, Transport};

fn vectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/sip")
}

#[expect(clippy::disallowed_methods, reason = "a virtual clock needs one instant to count from")]
fn epoch() -> Instant {
    Instant::now()
}

/// The statuses sent and the events heard for one message, in words.
fn outcome(bytes: Bytes) -> String {
    let mut endpoint = Endpoint::new(EndpointConfig::default(), [5; 32]);
    let address = |text: &str| text.parse().expect("an address");
    let flow = Flow {
        transport: Transport::Udp,
        local: address("192.0.2.1:5060"),
        remote: address("192.0.2.9:5060"),
        connection: 0,
    };
    let mut now = epoch();
    endpoint.handle_input(now, flow, bytes);
    let mut words = Vec::new();
    while let Some(transmit) = endpoint.poll_transmit() {
        let head: Vec<u8> = transmit.bytes.iter().copied().take_while(|byte| *byte != b'\r').collect();
        let line = String::from_utf8_lossy(&head).into_owned();
        words.push(line.split(' ').nth(1).unwrap_or_default().to_owned());
        let _ = Message::parse(transmit.bytes, Framing::Datagram);
    }
    while let Some(event) = endpoint.poll_event() {
        match event {
            Event::InviteReceived { offer, .. } => {
                words.push(if offer.is_some() { "call" } else { "offerless" }.to_owned());
            }
            Event::Discarded { answered: None, .. } => words.push("discarded".to_owned()),
            Event::Discarded { .. } => {}
            other => words.push(format!("{other:?}")),
        }
    }
    while let Some((at, _)) = endpoint.poll_timeout() {
        now = now.max(at) + Duration::from_millis(1);
        endpoint.handle_timeout(now);
        while endpoint.poll_transmit().is_some() {}
    }
    assert_eq!(endpoint.leftovers(), [""; 0]);
    words.join(" ")
}

/// What is sent and what the application hears. 405 where the RFC speaks of a registrar or a message service, which
/// we are not; `discarded` alone for responses and for what carries no Via that can be answered.
const VERDICTS: &[(&str, &str)] = &[
    ("rfc4475/badaspec", "400"),
    ("rfc4475/badbranch", "200"),
    ("rfc4475/baddate", "100 call"),
    ("rfc4475/baddn", "400"),
    ("rfc4475/badinv01", "discarded"),
    ("rfc4475/badvers", "505"),
    ("rfc4475/bcast", "discarded"),
    ("rfc4475/bext01", "420"),
    ("rfc4475/bigcode", "discarded"),
    ("rfc4475/clerr", "400"),
    ("rfc4475/cparam01", "405"),
    ("rfc4475/cparam02", "405"),
    ("rfc4475/dblreq", "405"),
    ("rfc4475/esc01", "100 call"),
    ("rfc4475/esc02", "501"),
    ("rfc4475/escnull", "405"),
    ("rfc4475/escruri", "400"),
    ("rfc4475/insuf", "400"),
    ("rfc4475/intmeth", "501"),
    ("rfc4475/inv2543", "100 call"),
    ("rfc4475/invut", "415"),
    ("rfc4475/longreq", "100 call"),
    ("rfc4475/ltgtruri", "400"),
    ("rfc4475/lwsdisp", "200"),
    ("rfc4475/lwsruri", "400"),
    ("rfc4475/lwsstart", "400"),
    ("rfc4475/mcl01", "400"),
    ("rfc4475/mismatch01", "400"),
    ("rfc4475/mismatch02", "400"),
    ("rfc4475/mpart01", "405"),
    ("rfc4475/multi01", "400"),
    ("rfc4475/ncl", "400"),
    ("rfc4475/noreason", "discarded"),
    ("rfc4475/novelsc", "416"),
    ("rfc4475/quotbal", "400"),
    ("rfc4475/regaut01", "405"),
    ("rfc4475/regbadct", "405"),
    ("rfc4475/regescrt", "405"),
    ("rfc4475/scalar02", "400"),
    ("rfc4475/scalarlg", "discarded"),
    ("rfc4475/sdp01", "406"),
    ("rfc4475/semiuri", "200"),
    ("rfc4475/transports", "200"),
    ("rfc4475/trws", "400"),
    ("rfc4475/unkscm", "416"),
    ("rfc4475/unksm2", "405"),
    ("rfc4475/unreason", "discarded"),
    ("rfc4475/wsinv", "481"),
    ("rfc4475/zeromf", "200"),
    ("rfc5118/ipv4-mapped-ipv6", "100 call"),
    ("rfc5118/ipv6-bad", "400"),
    ("rfc5118/ipv6-bug-abnf-3-colons", "200"),
    ("rfc5118/ipv6-correct-abnf-2-colons", "200"),
    ("rfc5118/ipv6-good", "405"),
    ("rfc5118/ipv6-in-sdp", "100 call"),
    ("rfc5118/mult-ip-in-header", "481"),
    ("rfc5118/mult-ip-in-sdp", "100 call"),
    ("rfc5118/port-ambiguous", "405"),
    ("rfc5118/port-unambiguous", "405"),
    ("rfc5118/via-received-param-no-delim", "200"),
    ("rfc5118/via-received-param-with-delim", "481"),
];

#[test]
fn each_torture_message_is_served_refused_or_dropped_as_its_rfc_says() {
    for (name, expected) in VERDICTS {
        let bytes = fs::read(vectors().join(format!("{name}.dat"))).expect(name);
        assert_eq!(outcome(bytes.into()), *expected, "{name}");
    }
    let files = |folder: &str| fs::read_dir(vectors().join(folder)).expect("the vectors").count();
    assert_eq!(VERDICTS.len(), files("rfc4475") + files("rfc5118"), "each vector has its line");
}
