//! What an INVITE says about its caller and its way here beyond what is believed: for the usage record, and for nothing else.
//!
//! All of it is the peer's word. It is bounded and loses its control characters; nothing is looked up, least of all the
//! certificate that an Identity header points to (CVE-2022-26499).

use std::collections::BTreeMap;

use serde::Serialize;
use sip::Message;

/// Characters of one value.
const LENGTH: usize = 256;
/// Characters of an Identity header: a PASSporT with its signature (RFC 8224).
const IDENTITY: usize = 4096;
/// Values of one header, and X-MS headers in all.
const VALUES: usize = 8;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Claims {
    /// P-Asserted-Identity as written (RFC 3325), believed or not.
    pub asserted_identity: Vec<String>,
    /// Privacy (RFC 3323).
    pub privacy: Option<String>,
    /// Diversion (RFC 5806), newest first.
    pub diversion: Vec<String>,
    /// History-Info (RFC 7044), oldest first.
    pub history_info: Vec<String>,
    /// What the operator found when it verified the caller's number: `verstat` of P-Asserted-Identity or From.
    pub verstat: Option<String>,
    /// Identity (RFC 8224).
    pub identity: Option<String>,
    /// The peer's half of the Session-ID (RFC 7989).
    pub session_id: Option<String>,
    /// Microsoft's own headers, `X-MS-...`, by name in lower case.
    pub x_ms: BTreeMap<String, String>,
}

impl Claims {
    /// Those of an INVITE; `None` where it makes none.
    pub fn of(request: &Message) -> Option<Box<Self>> {
        let headers = request.headers();
        let list = |name: &str| headers.all(name).take(VALUES).map(|value| bounded(value, LENGTH)).collect();
        let one = |name: &str, length| headers.get(name).map(|value| bounded(value, length));
        let mut claims = Self {
            asserted_identity: list("P-Asserted-Identity"),
            privacy: one("Privacy", LENGTH),
            diversion: list("Diversion"),
            history_info: list("History-Info"),
            verstat: ["P-Asserted-Identity", "From"].iter().find_map(|name| verstat(headers.get(*name)?)),
            identity: one("Identity", IDENTITY),
            session_id: one("Session-ID", LENGTH),
            x_ms: BTreeMap::new(),
        };
        for (name, value) in headers.iter() {
            let name = name.to_ascii_lowercase();
            if claims.x_ms.len() < VALUES && name.starts_with("x-ms-") && name.len() <= 64 {
                claims.x_ms.insert(name, bounded(value, LENGTH));
            }
        }
        (claims != Self::default()).then(|| Box::new(claims))
    }
}

fn bounded(value: &str, length: usize) -> String {
    value.chars().map(|c| if acts(c) { '\u{FFFD}' } else { c }).take(length).collect()
}

/// Control characters, line and paragraph separators, and the marks that turn the direction of text.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

/// The value of a `verstat` parameter (ATIS-1000074): a short token.
fn verstat(value: &str) -> Option<String> {
    let (_, after) = value.split_once(";verstat=")?;
    let token: String =
        after.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect();
    (!token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use sip::Framing;

    use super::*;

    fn invite(headers: &str) -> Message {
        let text = format!(
            "INVITE sip:+493012345678@us SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.10;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
             From: <sip:+4930555@x>;tag=a\r\nTo: <sip:+493012345678@us>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n{headers}\
             Content-Length: 0\r\n\r\n"
        );
        Message::parse(text.into_bytes().into(), Framing::Datagram).expect("the test's INVITE is well formed")
    }

    #[test]
    fn an_invite_without_any_makes_none() {
        assert_eq!(Claims::of(&invite("P-Charging-Vector: icid-value=1\r\nX-Other: 1\r\n")), None);
    }

    #[test]
    fn every_header_is_kept_as_it_is_written() {
        let claims = Claims::of(&invite(
            "P-Asserted-Identity: <sip:+4930777;verstat=TN-Validation-Passed@x;user=phone>\r\nPrivacy: id\r\n\
             Diversion: <sip:+4930111@x>;reason=unconditional, <tel:+4930222>\r\n\
             History-Info: <sip:+4930333@x?Reason=SIP%3Bcause%3D302>;index=1\r\n\
             Identity: eyJh.eyJi.c2ln;info=<https://127.0.0.1/cert>;alg=ES256\r\n\
             Session-ID: ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000\r\n\
             X-MS-TenantID: 9d1a\r\nX-ms-sbc: acme\r\n",
        ))
        .expect("claims");
        assert_eq!(claims.verstat.as_deref(), Some("TN-Validation-Passed"));
        assert_eq!(claims.privacy.as_deref(), Some("id"));
        assert_eq!(claims.diversion, ["<sip:+4930111@x>;reason=unconditional", "<tel:+4930222>"]);
        assert_eq!(claims.history_info.len(), 1);
        assert_eq!(
            claims.identity.as_deref(),
            Some("eyJh.eyJi.c2ln;info=<https://127.0.0.1/cert>;alg=ES256")
        );
        assert!(claims.session_id.is_some_and(|id| id.starts_with("ab30317f1a784dc48ff824d0d3715d86")));
        assert_eq!(claims.x_ms["x-ms-tenantid"], "9d1a");
        assert_eq!(claims.x_ms["x-ms-sbc"], "acme");
    }

    #[test]
    fn what_a_peer_writes_is_bounded_and_has_no_control_characters() {
        let long = format!(": a\u{85}{}\r\n", "y".repeat(300));
        let mut headers: String =
            (0..50).flat_map(|n| ["X-MS-".to_owned(), n.to_string(), long.clone()]).collect();
        headers.push_str(&"Diversion: <sip:1@x>\r\n".repeat(50));
        let claims = Claims::of(&invite(&headers)).expect("claims");
        assert_eq!((claims.x_ms.len(), claims.diversion.len()), (8, 8));
        assert!(
            claims
                .x_ms
                .values()
                .all(|value| value.chars().count() <= 256 && !value.chars().any(char::is_control))
        );
    }
}
