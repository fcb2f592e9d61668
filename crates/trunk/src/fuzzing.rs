//! The fuzz door of this crate: the body of a fuzz target, run over a few seeds by the ordinary tests.

use std::sync::OnceLock;

use routing::E164;
use sip::{Framing, Host, Message, Method};

use crate::{DialOut, Local, Profile, ProfileSource, Shaped, dial_in, shape_invite, shape_options};

/// Profiles that read every header this crate ever reads.
const PROFILES: [&str; 4] = [
    r#"
id = "a"
kind = "operator"
peers = [{ address = "192.0.2.1" }]
trust_pai = true
called_from = "diversion"
country_code = "49"
"#,
    r#"
id = "b"
kind = "operator"
peers = [{ address = "192.0.2.2" }]
trust_pai = true
called_from = "history-info"
number_format = "plain"
"#,
    r#"
id = "c"
kind = "operator"
peers = [{ address = "192.0.2.3" }]
called_from = "to"
options_user = "ping"
codecs = ["opus", "g722", "pcmu"]
opus = { bitrate = 24000, complexity = 3, fec = false, dtx = true, max_rate = 16000 }
srtp = "optional"
srtp_suites = ["AEAD_AES_128_GCM"]
from_domain = "us.example"
number_format = "national"
country_code = "1"
national_prefix = "1"
international_prefix = "011"
"#,
    r#"
id = "d"
kind = "microsoft"
fqdn = "sbc.example.net"
peers = [{ address = "192.0.2.4", host = "gateway.example.net" }]
"#,
];

fn profiles() -> &'static [Profile] {
    static BUILT: OnceLock<Vec<Profile>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let build = |text: &str| toml::from_str::<ProfileSource>(text).ok()?.build().ok();
        PROFILES.iter().filter_map(|text| build(text)).collect()
    })
}

/// Whatever a peer sends, reading the called number and the caller answers and never panics, and what comes out can
/// be written to a log or a record: no control characters, no more than 64 characters of name.
pub fn read_dial_in(data: &[u8]) {
    let Ok(message) = Message::parse(data.to_vec().into(), Framing::Datagram) else { return };
    assert_eq!(profiles().len(), PROFILES.len(), "every profile of the fuzz door must build");
    for profile in profiles() {
        let Ok(call) = dial_in(profile, &message) else { continue };
        let name = call.caller.display.unwrap_or_default();
        assert!(!name.chars().any(char::is_control), "control characters in {name:?}");
        assert!(name.chars().count() <= 64, "{name:?} is too long");
        assert!(!call.caller.anonymous || name.is_empty(), "an anonymous caller has a name");
    }
}

/// Whatever stands in a `[[trunk]]` table, it is refused or makes a profile whose requests are well formed.
pub fn read_profile(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(source) = toml::from_str::<ProfileSource>(text) else { return };
    let Ok(profile) = source.build() else { return };
    let (Ok(dialed), Ok(caller_id), Ok(host)) =
        ("+14255550100".parse(), "+493012345678".parse(), Host::parse("192.0.2.1"))
    else {
        unreachable!("two numbers and an address are what they are")
    };
    let local = Local { host, port: 5060 };
    for peer in &profile.peers {
        well_formed(&Method::OPTIONS, &shape_options(&profile, peer, &local));
        for withheld in [false, true] {
            let display = Some("Board".to_owned());
            let (dialed, caller_id, local) = (E164::clone(&dialed), E164::clone(&caller_id), local.clone());
            let call = DialOut { dialed, caller_id, display, withheld, local };
            well_formed(&Method::INVITE, &shape_invite(&profile, peer, &call));
        }
    }
}

/// Panics unless our own parser takes the request back with exactly the headers it was given.
fn well_formed(method: &Method, shaped: &Shaped) {
    let mut message = Message::request(method.clone(), shaped.request_uri.clone());
    let headers = message.headers_mut();
    headers.push("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1");
    headers.push("From", shaped.from.clone().with_tag("a"));
    headers.push("To", &shaped.to);
    headers.push("Call-ID", "1");
    headers.push("CSeq", format!("1 {}", method.as_str()));
    headers.push("Contact", &shaped.contact);
    for (name, value) in &shaped.headers {
        headers.push(name.as_str(), value);
    }
    let bytes = message.to_bytes();
    let again = Message::parse(bytes.clone(), Framing::Datagram);
    let count = again.map(|message| message.headers().len()).ok();
    // Seven: those above and the Content-Length of the writer.
    assert_eq!(count, Some(7 + shaped.headers.len()), "{}", String::from_utf8_lossy(&bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "INVITE sip:+493012345678@192.0.2.9;user=phone SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
        From: \"a\\\"b\" <sip:03012345679@192.0.2.1>;tag=1\r\n\
        To: <tel:+493012345678>\r\n\
        Call-ID: 1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n\
        P-Asserted-Identity: \"n\" <sip:+4930@x>, <tel:+4930123>\r\n\
        Privacy: id;critical\r\n\
        Diversion: <sip:1@x>;reason=unknown, <sip:+49301@y>\r\n\
        History-Info: <sip:+49302@z?Reason=SIP%3Bcause%3D302>;index=1\r\n\r\n";

    #[test]
    fn seeds_and_every_truncation_and_flip_of_them_are_read_without_a_panic() {
        let seed = SEED.as_bytes();
        read_dial_in(seed);
        for cut in 0..seed.len() {
            read_dial_in(&seed[..cut]);
            let mut flipped = seed.to_vec();
            flipped[cut] ^= 0x11;
            read_dial_in(&flipped);
        }
    }

    #[test]
    fn profiles_and_every_truncation_and_flip_of_them_are_refused_or_write_well_formed_requests() {
        for text in PROFILES {
            read_profile(text.as_bytes());
            for at in 0..text.len() {
                read_profile(&text.as_bytes()[..at]);
                for bit in [0x01, 0x02, 0x10, 0x20] {
                    let mut flipped = text.as_bytes().to_vec();
                    flipped[at] ^= bit;
                    read_profile(&flipped);
                }
            }
        }
    }
}
