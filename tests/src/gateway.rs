//! What the Microsoft PSTN gateway is strict about, by its public documentation: a checklist for every message that it gets.
//!
//! It reads text line by line and knows nothing of the bridge's own parser, so that one mistake cannot hide another.

use std::net::IpAddr;

/// Bytes of a whole message.
const LARGEST: usize = 10_000;
/// Bytes of a Request-URI and of a Contact.
const LONGEST_URI: usize = 256;
/// Bytes of a header's name.
const LONGEST_NAME: usize = 32;
/// The attributes of SDP that the documentation shows or that every telephone knows.
const ATTRIBUTES: [&str; 9] =
    ["rtpmap", "fmtp", "ptime", "maxptime", "sendrecv", "inactive", "crypto", "rtcp", "rtcp-mux"];

/// What is provisioned at the gateway of the one that it is paired with.
#[derive(Clone, Copy, Debug)]
pub struct Pairing<'a> {
    /// Its name, which its certificate carries.
    pub name: &'a str,
    /// The port of its listener.
    pub port: u16,
    /// `tls`, or in the simulation `udp`.
    pub transport: &'a str,
    /// Whether it takes REFER, so that its Allow must say so and may not otherwise.
    pub refer: bool,
    /// Whether media must be encrypted.
    pub srtp: bool,
    /// Whether the gateway's telephones hold as `a=inactive` only, so that nothing else can be the answer.
    pub inactive_only: bool,
}

impl Pairing<'_> {
    /// What is wrong with a message of the paired one's, each thing in a sentence. Nothing is, if it is empty.
    pub fn complaints(&self, text: &str) -> Vec<String> {
        let message = Read::of(text);
        let mut wrong = Vec::new();
        Self::sizes(&message, &mut wrong);
        if let Some((method, uri)) = message.request() {
            self.request(&message, method, uri, &mut wrong);
        } else {
            self.response(&message, &mut wrong);
        }
        for name in ["From", "To", "Contact", "Route", "Record-Route", "Refer-To"] {
            if message.all(name).any(|value| value.contains("sips:")) {
                wrong.push(format!("{name} has a SIPS URI"));
            }
        }
        if message.is_sdp() {
            self.description(message.body, &mut wrong);
        }
        wrong
    }

    fn sizes(message: &Read<'_>, wrong: &mut Vec<String>) {
        if message.length > LARGEST {
            wrong.push(format!("{} bytes, more than {LARGEST}", message.length));
        }
        for (name, value) in &message.headers {
            if name.len() > LONGEST_NAME {
                wrong.push(format!("the header name {name} is too long"));
            }
            if name.eq_ignore_ascii_case("Contact") && value.len() > LONGEST_URI {
                wrong.push(format!("a Contact of {} bytes", value.len()));
            }
        }
        if message.count("Content-Length") != 1 {
            wrong.push("not exactly one Content-Length".to_owned());
        }
    }

    fn request(&self, message: &Read<'_>, method: &str, uri: &str, wrong: &mut Vec<String>) {
        if uri.len() > LONGEST_URI || !uri.starts_with("sip:") {
            wrong.push(format!("the Request-URI {uri}"));
        }
        if !message.first("CSeq").ends_with(method) {
            wrong.push(format!("CSeq {} in {method}", message.first("CSeq")));
        }
        let via = message.first("Via");
        let sent_by = via.split([' ', ';']).nth(1).unwrap_or_default();
        if host_of(sent_by) != self.name {
            wrong.push(format!("Via says {sent_by}, which is not the paired name"));
        }
        if message.has("Replaces") {
            wrong.push("a request with Replaces".to_owned());
        }
        if method == "REFER" && user_of(inner(message.first("Refer-To"))).is_none() {
            wrong.push("a REFER whose Refer-To has no user part".to_owned());
        }
        if message.has("Require") {
            wrong.push(format!("420: Require: {}", message.first("Require")));
        }
        let fresh = !message.first("To").contains(";tag=");
        let from = inner(message.first("From"));
        let anonymous = from == "sip:anonymous@anonymous.invalid";
        if fresh && !anonymous && host_of(host_part(from)) != self.name {
            wrong.push(format!("From {from} does not carry the paired name"));
        }
        match method {
            "INVITE" => {
                if !message.is_sdp() {
                    wrong.push("an INVITE without an offer".to_owned());
                }
                self.contact(message, wrong);
                if fresh {
                    self.allow(message, wrong);
                    // What its own REFER has asked for is called as it stands, and may have no user part.
                    if !uri.contains(";x-m=") {
                        Self::number("the Request-URI", uri, wrong);
                        Self::number("To", inner(message.first("To")), wrong);
                    }
                    if !anonymous {
                        Self::number("From", from, wrong);
                    }
                }
            }
            "OPTIONS" => {
                self.contact(message, wrong);
                self.allow(message, wrong);
                if is_address(host_of(host_part(uri))) {
                    wrong.push(format!("OPTIONS asks {uri}, an address"));
                }
            }
            "UPDATE" => self.contact(message, wrong),
            _ => {}
        }
    }

    fn response(&self, message: &Read<'_>, wrong: &mut Vec<String>) {
        let status = message.start.split(' ').nth(1).unwrap_or_default();
        let method = message.first("CSeq").split(' ').nth(1).unwrap_or_default();
        if status.starts_with('2') && matches!(method, "INVITE" | "UPDATE" | "OPTIONS") {
            self.contact(message, wrong);
            if method != "UPDATE" {
                self.allow(message, wrong);
            }
        } else if message.has("Contact") {
            self.contact(message, wrong);
        }
    }

    /// Exactly one, with the paired name, never an address, with port and transport, and with a user part or no `@`.
    fn contact(&self, message: &Read<'_>, wrong: &mut Vec<String>) {
        let value = message.first("Contact");
        if message.count("Contact") != 1 {
            wrong.push(format!("{} Contacts", message.count("Contact")));
            return;
        }
        let uri = inner(value);
        let (host, parameters) = host_part(uri).split_once(';').unwrap_or((host_part(uri), ""));
        if host != format!("{}:{}", self.name, self.port) {
            let code =
                if is_address(host_of(host)) { "403: an IP address" } else { "403: not the paired name" };
            wrong.push(format!("{code} in Contact {value}"));
        }
        if !parameters.split(';').any(|one| one == format!("transport={}", self.transport)) {
            wrong.push(format!("Contact {value} without its transport"));
        }
        if user_of(uri) == Some("") {
            wrong.push(format!("Contact {value} with an empty user part"));
        }
    }

    /// What is listed is what will be served.
    fn allow(&self, message: &Read<'_>, wrong: &mut Vec<String>) {
        let listed: Vec<&str> =
            message.all("Allow").flat_map(|line| line.split(',')).map(str::trim).collect();
        for method in ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "UPDATE"] {
            if !listed.contains(&method) {
                wrong.push(format!("Allow without {method}"));
            }
        }
        for method in ["REFER", "NOTIFY"] {
            if listed.contains(&method) != self.refer {
                wrong.push(format!("Allow is not truthful about {method}: {listed:?}"));
            }
        }
    }

    /// `+` and digits before a name, as a telephone number.
    fn number(what: &str, uri: &str, wrong: &mut Vec<String>) {
        let digits = user_of(uri).and_then(|user| user.strip_prefix('+')).unwrap_or_default();
        if digits.len() < 7 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            wrong.push(format!("{what} {uri} is no E.164 number"));
        }
        if !host_part(uri).split(';').any(|one| one == "user=phone") {
            wrong.push(format!("{what} {uri} without user=phone"));
        }
        if is_address(host_of(host_part(uri))) {
            wrong.push(format!("{what} {uri} has an address"));
        }
    }

    fn description(&self, body: &str, wrong: &mut Vec<String>) {
        let media: Vec<&str> = body.lines().filter(|line| line.starts_with("m=")).collect();
        let [line] = media.as_slice() else {
            wrong.push(format!("{} streams", media.len()));
            return;
        };
        let words: Vec<&str> = line.split(' ').collect();
        let protocol = if self.srtp { "RTP/SAVP" } else { "RTP/AVP" };
        if words.first() != Some(&"m=audio") || words.get(2) != Some(&protocol) {
            wrong.push(format!("488: {line} is not audio over {protocol}"));
        }
        let mut types: Vec<&str> = words.iter().skip(3).copied().collect();
        types.sort_unstable();
        if types.windows(2).any(|pair| pair[0] == pair[1]) {
            wrong.push(format!("488: a payload type twice in {line}"));
        }
        if body.contains("IN IP4 0.0.0.0") {
            wrong.push("a hold by c=0.0.0.0".to_owned());
        }
        for attribute in body.lines().filter_map(|line| line.strip_prefix("a=")) {
            let name = attribute.split(':').next().unwrap_or_default();
            if matches!(name, "sendonly" | "recvonly") {
                if self.inactive_only {
                    wrong.push(format!("a={name}: hold is a=inactive only"));
                }
            } else if !ATTRIBUTES.contains(&name) {
                wrong.push(format!("an attribute that the gateway does not know: a={attribute}"));
            }
        }
        let usable = |line: &str| {
            let mut words = line.split(' ').skip(1);
            let suite = words.next() == Some("AES_CM_128_HMAC_SHA1_80");
            let key = words.next().and_then(|word| word.strip_prefix("inline:")).unwrap_or_default();
            suite && key.split('|').next().is_some_and(|key| key.len() == 40)
        };
        if self.srtp && !body.lines().filter(|line| line.starts_with("a=crypto:")).any(usable) {
            wrong.push("488: no a=crypto with AES_CM_128_HMAC_SHA1_80 and a key of 40 characters".to_owned());
        }
    }
}

/// A message, cut into lines.
struct Read<'a> {
    start: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    body: &'a str,
    length: usize,
}

impl<'a> Read<'a> {
    fn of(text: &'a str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let mut lines = head.split("\r\n");
        let start = lines.next().unwrap_or_default();
        let headers = lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim()));
        Self { start, headers: headers.collect(), body, length: text.len() }
    }

    fn request(&self) -> Option<(&'a str, &'a str)> {
        let mut words = self.start.split(' ');
        let (method, uri) = (words.next()?, words.next()?);
        (method != "SIP/2.0").then_some((method, uri))
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(one, _)| one.eq_ignore_ascii_case(name)).map(|&(_, value)| value)
    }

    fn first(&self, name: &str) -> &'a str {
        self.all(name).next().unwrap_or_default()
    }

    fn has(&self, name: &str) -> bool {
        self.count(name) > 0
    }

    fn count(&self, name: &str) -> usize {
        self.all(name).count()
    }

    fn is_sdp(&self) -> bool {
        self.first("Content-Type") == "application/sdp" && !self.body.is_empty()
    }
}

/// The URI in angle brackets, or all that stands before the parameters.
fn inner(value: &str) -> &str {
    match value.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or_default(),
        None => value.split(';').next().unwrap_or_default(),
    }
}

fn user_of(uri: &str) -> Option<&str> {
    uri.split_once('@').map(|(user, _)| user.trim_start_matches("sip:"))
}

/// Host, port and parameters.
fn host_part(uri: &str) -> &str {
    uri.split_once('@').map_or(uri.trim_start_matches("sip:"), |(_, rest)| rest)
}

/// Without port and parameters.
fn host_of(part: &str) -> &str {
    let part = part.split(';').next().unwrap_or_default();
    if part.starts_with('[') {
        return part.split_inclusive(']').next().unwrap_or_default();
    }
    part.split(':').next().unwrap_or_default()
}

fn is_address(host: &str) -> bool {
    host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIRING: Pairing<'_> = Pairing {
        name: "sbc1.adatum.biz",
        port: 5058,
        transport: "tls",
        refer: false,
        srtp: true,
        inactive_only: true,
    };
    const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0 101\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR\r\n";

    /// The documentation's own INVITE, with the methods that it leaves out.
    fn invite() -> String {
        format!(
            "INVITE sip:+18338006777@sip.pstnhub.microsoft.com;user=phone SIP/2.0\r\n\
             Via: SIP/2.0/TLS sbc1.adatum.biz:5058;alias;branch=z9hG4bKac2121518978\r\nMax-Forwards: 68\r\n\
             From: <sip:+17168712781@sbc1.adatum.biz;user=phone>;tag=1c747237679\r\n\
             To: <sip:+18338006777@sip.pstnhub.microsoft.com;user=phone>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:+17168712781@sbc1.adatum.biz:5058;transport=tls>\r\n\
             Allow: INVITE, ACK, CANCEL, BYE, INFO, PRACK, UPDATE, OPTIONS\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{SDP}",
            SDP.len()
        )
    }

    #[test]
    fn the_documented_invite_is_in_order() {
        assert_eq!(PAIRING.complaints(&invite()), Vec::<String>::new());
    }

    #[test]
    fn each_thing_that_the_gateway_refuses_is_found() {
        let contact = "sip:+17168712781@sbc1.adatum.biz:5058;transport=tls";
        for (from, to, expected) in [
            (contact, "sip:+17168712781@192.0.2.1:5058;transport=tls", "403: an IP address in Contact"),
            (contact, "sip:+17168712781@other.biz:5058;transport=tls", "403: not the paired name"),
            (contact, "sip:+17168712781@sbc1.adatum.biz:5058", "without its transport"),
            (contact, "sip:@sbc1.adatum.biz:5058;transport=tls", "an empty user part"),
            ("Contact: ", "X-Contact: ", "0 Contacts"),
            ("TLS sbc1.adatum.biz", "TLS 192.0.2.1", "not the paired name"),
            ("<sip:+17168712781@sbc1", "<sip:+17168712781@sbc2", "From sip:+17168712781@sbc2"),
            ("INVITE sip:+1833", "INVITE sips:+1833", "the Request-URI"),
            ("To: <sip:+1833", "To: <sips:+1833", "SIPS"),
            (
                "sip:+18338006777@sip.pstnhub.microsoft.com;user=phone S",
                "sip:8338006777@sip.pstnhub.microsoft.com;user=phone S",
                "no E.164",
            ),
            ("microsoft.com;user=phone>", "microsoft.com>", "without user=phone"),
            ("application/sdp", "text/plain", "without an offer"),
            (
                "Call-ID: 1\r\n",
                "Call-ID: 1\r\nReplaces: a;to-tag=b;from-tag=c\r\n",
                "a request with Replaces",
            ),
            ("Call-ID: 1\r\n", "Call-ID: 1\r\nRequire: 100rel\r\n", "420"),
            ("PRACK, ", "PRACK, REFER, ", "not truthful about REFER"),
            ("UPDATE, ", "", "Allow without UPDATE"),
            ("RTP/SAVP", "RTP/AVP", "488"),
            ("RTP/SAVP 0 101", "RTP/SAVP 0 101 0", "a payload type twice"),
            ("SHA1_80", "SHA1_32", "no a=crypto"),
            ("a=rtpmap", "a=sendonly\r\na=rtpmap", "inactive only"),
            ("a=rtpmap", "a=extmap:1 urn:x\r\na=rtpmap", "does not know: a=extmap"),
            ("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0", "a hold by c=0.0.0.0"),
        ] {
            let text = invite();
            assert!(text.contains(from), "{from}");
            let found = PAIRING.complaints(&text.replacen(from, to, 1));
            assert!(found.iter().any(|one| one.contains(expected)), "{from} -> {to}: {found:?}");
        }
        let refer = "REFER sip:x@h SIP/2.0\r\nVia: SIP/2.0/TLS sbc1.adatum.biz:5058\r\nFrom: <sip:a@b>\r\nTo: <sip:c@d>;tag=1\r\n\
                     CSeq: 2 REFER\r\nRefer-To: <sip:sip.pstnhub.microsoft.com;transport=tls>\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(PAIRING.complaints(refer), ["a REFER whose Refer-To has no user part"]);
    }
}
