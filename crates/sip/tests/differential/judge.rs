//! What two readers of one message must agree on, ours and `rvoip-sip-core`, which was written by others from the same RFCs.
//! Used by the ordinary tests and by the fuzz target `sip_differential`.
//!
//! Two parsers that understand one message differently are how requests are smuggled past an SBC. So whatever both accept must
//! mean the same to both; where it may not, [`excuse`] says why. That one refuses what the other accepts is no finding: how
//! much is tolerated differs.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bytes::Bytes;
use rvoip_sip_core::types as theirs;
use sip::{Framing, Message, NameAddr, Uri};

/// What a reader found, by name. What it could not read is not there; what is absent in the message is empty.
pub(crate) type Facts = BTreeMap<&'static str, String>;

/// One fact that the two do not share.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Which.
    pub(crate) what: &'static str,
    /// What we read.
    pub(crate) ours: String,
    /// What they read.
    pub(crate) theirs: String,
}

/// Everything that the two read differently in a message that both accept, without what is excused.
pub(crate) fn differences(message: &[u8]) -> Vec<Difference> {
    let (Some(ours), Some(mut theirs)) = (read_by_us(message), read_by_them(message)) else {
        return Vec::new();
    };
    // Without angle brackets a tag is a parameter of the header (RFC 3261 section 20.10); they lose it.
    for (bare, tag) in [("From is bare", "From tag"), ("To is bare", "To tag")] {
        if ours.contains_key(bare) && theirs.get(tag).is_some_and(String::is_empty) {
            theirs.remove(tag);
        }
    }
    // Blanks and folds may stand on both sides of the colon (RFC 3261 section 25.1, COLON); they read no port behind one.
    if ours.contains_key("Via colon is among blanks") && theirs.get("Via port").is_some_and(String::is_empty)
    {
        theirs.remove("Via port");
    }
    // A comma is in no host: it ends the first of several Via. They read on, into a host that nobody has.
    if theirs.get("Via host").is_some_and(|host| host.contains(',')) {
        for what in ["Via host", "Via port", "Via branch"] {
            theirs.remove(what);
        }
    }
    compare(&ours, &theirs)
}

/// Whether both accept a message, so that there is something to compare.
pub(crate) fn both_accept(message: &[u8]) -> bool {
    read_by_us(message).is_some() && read_by_them(message).is_some()
}

fn compare(ours: &Facts, theirs: &Facts) -> Vec<Difference> {
    let of = |(what, ours): (&&'static str, &String)| {
        let theirs = theirs.get(what)?;
        let differs = ours != theirs && excuse(what, ours, theirs).is_none();
        differs.then(|| Difference { what, ours: ours.clone(), theirs: theirs.clone() })
    };
    ours.iter().filter_map(of).collect()
}

/// Why a difference is none.
fn excuse(what: &str, ours: &str, theirs: &str) -> Option<&'static str> {
    if what.ends_with("host") && ours.eq_ignore_ascii_case(theirs) {
        return Some("host names have no case");
    }
    if what.ends_with("host") && ours.strip_suffix('.').is_some_and(|ours| ours.eq_ignore_ascii_case(theirs))
    {
        return Some("the dot at the end of a host name is the root of the DNS; they leave it out");
    }
    if what.ends_with("host") && ours.eq_ignore_ascii_case(theirs.trim_end()) {
        return Some("they take the blank behind a host name for a part of it");
    }
    if what == "Via branch" && ours.starts_with(theirs) {
        return Some(
            "they stop at the first character that is no token, or take no parameter at all where one is not; a branch is \
                     compared as a whole, and with nothing but branches that we have read",
        );
    }
    if what.ends_with("user") && unescaped(ours) == unescaped(theirs) {
        return Some("they hand the user part out unescaped, we as it is written");
    }
    None
}

/// `%41` is `A`.
fn unescaped(text: &str) -> Vec<u8> {
    let (bytes, mut plain, mut at) = (text.as_bytes(), Vec::new(), 0);
    while let Some(&byte) = bytes.get(at) {
        let escaped = text.get(at + 1..at + 3).filter(|_| byte == b'%');
        if let Some(value) = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            plain.push(value);
            at += 3;
        } else {
            plain.push(byte);
            at += 1;
        }
    }
    plain
}

/// The facts that we read; `None` when we refuse the message.
pub(crate) fn read_by_us(message: &[u8]) -> Option<Facts> {
    let message = Message::parse(Bytes::copy_from_slice(message), Framing::Datagram).ok()?;
    let mut facts = Facts::new();
    match message.status() {
        Some(status) => facts.insert("status", status.code().to_string()),
        None => facts.insert("method", message.method().as_str().to_owned()),
    };
    if let Some(uri) = message.uri() {
        note_uri(&mut facts, ["request scheme", "request user", "request host", "request port"], uri);
    }
    let mut address = |names: [&'static str; 4], [bare, tag]: [&'static str; 2], found: Option<NameAddr>| {
        if let Some(found) = found {
            note_uri(&mut facts, names, found.uri());
            if !found.to_string().contains('<') {
                facts.insert(bare, String::new());
            }
            facts.insert(tag, found.tag().unwrap_or_default().to_owned());
        }
    };
    address(
        ["From scheme", "From user", "From host", "From port"],
        ["From is bare", "From tag"],
        message.from(),
    );
    address(["To scheme", "To user", "To host", "To port"], ["To is bare", "To tag"], message.to());
    facts.insert("Call-ID", message.call_id()?.to_owned());
    let cseq = message.cseq()?;
    facts.insert("CSeq number", cseq.number.to_string());
    facts.insert("CSeq method", cseq.method.as_str().to_owned());
    let via = message.via_top()?;
    facts.insert("Via branch", via.branch().unwrap_or_default().to_owned());
    facts.insert("Via host", via.sent_by().host.to_string());
    facts.insert("Via port", number(via.sent_by().port));
    let sent_by = message.headers().get("Via")?.split([';', ',']).next()?;
    if sent_by.split_once(": ").is_some() || sent_by.contains(" :") {
        facts.insert("Via colon is among blanks", String::new());
    }
    facts.insert("body", message.body().len().to_string());
    Some(facts)
}

fn note_uri(facts: &mut Facts, [scheme, user, host, port]: [&'static str; 4], uri: &Uri) {
    facts.insert(scheme, uri.scheme().as_str().to_ascii_lowercase());
    if uri.is_sip() {
        facts.insert(user, uri.user_raw().unwrap_or_default().to_owned());
        facts.insert(host, uri.host().map(ToString::to_string).unwrap_or_default());
        facts.insert(port, number(uri.port()));
    }
}

fn number(port: Option<u16>) -> String {
    port.map_or_else(String::new, |port| port.to_string())
}

/// The facts that they read; `None` when they refuse the message.
pub(crate) fn read_by_them(message: &[u8]) -> Option<Facts> {
    let message = rvoip_sip_core::parser::parse_message(message).ok()?;
    let mut facts = Facts::new();
    match &message {
        theirs::Message::Request(request) => {
            facts.insert("method", request.method().as_str().to_owned());
            let names = ["request scheme", "request user", "request host", "request port"];
            note_their_uri(&mut facts, names, request.uri());
            if let Some(cseq) = request.cseq() {
                note_their_cseq(&mut facts, cseq);
            }
        }
        theirs::Message::Response(response) => {
            facts.insert("status", response.status_code().to_string());
            if let Some(cseq) = response.cseq() {
                note_their_cseq(&mut facts, cseq);
            }
        }
    }
    if let Some(from) = message.from() {
        note_their_uri(&mut facts, ["From scheme", "From user", "From host", "From port"], &from.uri);
        facts.insert("From tag", from.tag().unwrap_or_default().to_owned());
    }
    if let Some(to) = message.to() {
        note_their_uri(&mut facts, ["To scheme", "To user", "To host", "To port"], &to.uri);
        facts.insert("To tag", to.tag().unwrap_or_default().to_owned());
    }
    if let Some(call_id) = message.call_id() {
        facts.insert("Call-ID", call_id.as_str().to_owned());
    }
    if let Some(via) = message.first_via()
        && let Some(first) = via.headers().first()
    {
        facts.insert("Via branch", via.branch().unwrap_or_default().to_owned());
        facts.insert("Via host", their_host(&first.sent_by_host));
        facts.insert("Via port", number(first.sent_by_port));
    }
    facts.insert("body", message.body().len().to_string());
    Some(facts)
}

fn note_their_cseq(facts: &mut Facts, cseq: &theirs::CSeq) {
    facts.insert("CSeq number", cseq.sequence().to_string());
    facts.insert("CSeq method", cseq.method().as_str().to_owned());
}

fn note_their_uri(facts: &mut Facts, [scheme, user, host, port]: [&'static str; 4], uri: &theirs::Uri) {
    // They accept a URI that they cannot take apart, and keep it as text.
    if uri.is_custom() {
        return;
    }
    facts.insert(scheme, uri.scheme().as_str().to_ascii_lowercase());
    if matches!(uri.scheme(), theirs::uri::Scheme::Sip | theirs::uri::Scheme::Sips) {
        facts.insert(user, uri.username().unwrap_or_default().to_owned());
        facts.insert(host, their_host(&uri.host));
        facts.insert(port, number(uri.port));
    }
}

fn their_host(host: &theirs::uri::Host) -> String {
    match host {
        theirs::uri::Host::Domain(name) => name.clone(),
        theirs::uri::Host::Address(IpAddr::V6(ip)) => format!("[{ip}]"),
        theirs::uri::Host::Address(ip) => ip.to_string(),
    }
}
