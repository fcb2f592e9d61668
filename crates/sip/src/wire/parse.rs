//! Bytes to [`Message`]. One pass over the head finds the lines; a second, over the few headers that every message
//! needs, decides whether it can be trusted.

use super::{
    CSeq, HeaderName, Headers, Message, Method, StatusCode, Text, Uri,
    head::{Fault, Lines, bad, bare_controls, lines, name_and_value, unfolded, without_controls},
    headers::{Entry, Value},
    limits,
    message::Start,
    syntax,
};
use bytes::Bytes;
use std::borrow::Cow;

/// How the bytes were delimited, which decides what Content-Length means (RFC 3261 section 18.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One datagram: without Content-Length the body is the rest; bytes after the body are ignored.
    Datagram,
    /// Cut from a stream: Content-Length must be there and say exactly where the message ends.
    Stream,
}

/// A message that must not be acted on, with what is needed to answer it.
#[derive(Debug, thiserror::Error)]
#[error("{status}: {why}")]
pub struct Malformed {
    /// The final response to give; 0 when nothing can be answered (a response, an ACK, no Via).
    pub status: u16,
    /// What is wrong, for the log and the reason phrase.
    pub why: Cow<'static, str>,
    /// The headers as far as they were found, for [`Message::response_to`].
    pub partial: Option<Box<Message>>,
    /// It is an ACK, which is never answered.
    pub ack: bool,
}

impl Message {
    /// Reads one message.
    ///
    /// # Errors
    /// [`Malformed`] with the response to give: 400 for bad syntax, 414 for a Request-URI that is too long, 483 for too
    /// many Vias, 505 for another SIP version, 513 where a limit of [`super::limits`] is passed.
    #[allow(clippy::needless_pass_by_value)] // the message keeps the bytes: a caller who gives them away says so
    pub fn parse(bytes: Bytes, framing: Framing) -> Result<Self, Malformed> {
        parse(&bytes, framing)
    }
}

fn parse(bytes: &Bytes, framing: Framing) -> Result<Message, Malformed> {
    let mut fault = None;
    let mut note = |found: Fault| {
        fault.get_or_insert(found);
    };
    if bytes.len() > limits::MESSAGE {
        note(Fault { status: 513, why: "message larger than 64 KiB" });
    }
    let head = bytes.get(..bytes.len().min(limits::MESSAGE)).unwrap_or_default();
    let lines = lines(head, &mut note);
    let Some(start) = lines.start.and_then(|line| start_line(bytes, line, &mut note)) else {
        return Err(unanswerable("not a SIP message"));
    };
    let headers = headers(bytes, &lines, &mut note);
    let body = bytes.slice(lines.body.min(bytes.len())..);
    let mut message = Message { start, headers, body };
    check(&mut message, framing, &mut note);
    match fault {
        None => Ok(message),
        Some(fault) => Err(refusal(message, fault)),
    }
}

fn unanswerable(why: &'static str) -> Malformed {
    Malformed { status: 0, why: why.into(), partial: None, ack: false }
}

fn refusal(message: Message, fault: Fault) -> Malformed {
    let ack = *message.method() == Method::ACK;
    let answerable = message.is_request() && !ack && message.headers.contains(HeaderName::Via);
    Malformed {
        status: if answerable { fault.status } else { 0 },
        why: fault.why.into(),
        partial: Some(Box::new(message)),
        ack,
    }
}

fn start_line(bytes: &Bytes, (from, to): (usize, usize), note: &mut impl FnMut(Fault)) -> Option<Start> {
    let line = bytes.get(from..to)?;
    if let Some(rest) = strip_response(line) {
        return status_line(bytes, from + (line.len() - rest.len()), to, note);
    }
    let text = std::str::from_utf8(line).ok()?;
    let (method, rest) = text.split_once(' ')?;
    let method = Method::parse(method)?;
    let (uri, version) = rest.rsplit_once(' ').unwrap_or((rest, ""));
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        // Something that was meant to be SIP can be answered; the rest of the internet cannot.
        if version.get(..4).is_some_and(|v| v.eq_ignore_ascii_case("SIP/")) {
            note(Fault { status: 505, why: "SIP version is not 2.0" });
        } else {
            note(bad("the request line does not end with SIP/2.0"));
        }
    }
    if uri.len() > limits::REQUEST_URI {
        note(Fault { status: 414, why: "Request-URI longer than 2048 bytes" });
    }
    let whole = Text::from_checked(bytes.slice(from..to));
    let uri = match Uri::parse_in(&whole, uri) {
        Ok(uri) if uri.has_headers() => {
            note(bad("the Request-URI has headers"));
            uri
        }
        Ok(uri) => uri,
        Err(_) => {
            note(bad("the Request-URI is malformed"));
            Uri::invalid()
        }
    };
    Some(Start::Request { method, uri: Box::new(uri) })
}

fn strip_response(line: &[u8]) -> Option<&[u8]> {
    line.get(..8).filter(|v| v.eq_ignore_ascii_case(b"SIP/2.0 "))?;
    line.get(8..)
}

fn status_line(bytes: &Bytes, from: usize, to: usize, note: &mut impl FnMut(Fault)) -> Option<Start> {
    let digits = bytes.get(from..to.min(from + 3))?;
    let code = std::str::from_utf8(digits).ok().filter(|d| d.len() == 3).and_then(|d| syntax::number(d, 699));
    let status = code.and_then(|c| StatusCode::new(c as u16));
    let reason = match bytes.get(from + 3..to) {
        Some([]) => Bytes::new(),
        Some([b' ', ..]) => bytes.slice(from + 4..to),
        _ => return None,
    };
    if reason.iter().any(|b| *b < b' ' && *b != b'\t') {
        note(bad("control characters in the reason phrase"));
    }
    // The method is known once CSeq is read.
    Some(Start::Response { status: status?, reason, method: Method::Other("".into()) })
}

fn headers(bytes: &Bytes, lines: &Lines, note: &mut impl FnMut(Fault)) -> Headers {
    let first = lines.headers.first().map_or(0, |h| h.0);
    let last = lines.headers.last().map_or(0, |h| h.1);
    let region = bytes.get(first..last).unwrap_or_default();
    let utf8 = std::str::from_utf8(region).is_ok();
    let mut entries = Vec::with_capacity(lines.headers.len());
    for &(from, to, folded) in &lines.headers {
        if to - from > limits::HEADER {
            note(Fault { status: 513, why: "a header longer than 8 KiB" });
            continue;
        }
        let mut line = bytes.slice(from..to);
        if lines.suspect && bare_controls(&line).next().is_some() {
            note(bad("control characters in a header"));
            line = without_controls(&line);
        }
        match entry(line, folded, utf8) {
            Some(entry) => entries.push(entry),
            None => note(bad("a header line has no name and colon")),
        }
    }
    Headers::from_entries(entries)
}

fn entry(line: Bytes, folded: bool, utf8: bool) -> Option<Entry> {
    let (name_len, value_at) = name_and_value(&line)?;
    let known = HeaderName::from_bytes(line.get(..name_len)?);
    let raw = line.get(value_at..)?;
    let value = if utf8 && !folded {
        let blank = |b: &u8| !matches!(b, b' ' | b'\t');
        let from = raw.iter().position(blank).unwrap_or(raw.len());
        let to = raw.iter().rposition(blank).map_or(from, |last| last + 1);
        Value::Span(value_at + from, value_at + to)
    } else {
        Value::Copy(Text::from(unfolded(&String::from_utf8_lossy(raw))))
    };
    Some(Entry::received(known, line, name_len, value))
}

fn check(message: &mut Message, framing: Framing, note: &mut impl FnMut(Fault)) {
    let mut seen = 0u128;
    for name in message.headers.entries().iter().filter_map(Entry::known).filter(|name| name.is_single()) {
        let bit = 1 << name as u32;
        if seen & bit != 0 && name != HeaderName::ContentLength {
            note(bad("a header that may occur once occurs twice"));
        }
        seen |= bit;
    }
    if too_many_vias(&message.headers) {
        note(Fault { status: 483, why: "more than 70 Vias" });
    }
    if message.via_top().is_none_or(|via| via.params().is_ambiguous("branch")) {
        note(bad("Via is missing or malformed"));
    }
    if message.from().is_none_or(|from| from.params().is_ambiguous("tag")) {
        note(bad("From is missing or malformed"));
    }
    if message.to().is_none_or(|to| to.params().is_ambiguous("tag")) {
        note(bad("To is missing or malformed"));
    }
    if !message.call_id().is_some_and(is_call_id) {
        note(bad("Call-ID is missing or malformed"));
    }
    if message.headers.contains(HeaderName::MaxForwards) && message.max_forwards().is_none() {
        note(bad("Max-Forwards is not a number from 0 to 255"));
    }
    match (message.headers.get(HeaderName::CSeq).map(CSeq::parse), &mut message.start) {
        (Some(Ok(cseq)), Start::Request { method, .. }) if cseq.method == *method => {}
        (Some(Ok(_)), Start::Request { .. }) => note(bad("the method in CSeq is not that of the request")),
        (Some(Ok(cseq)), Start::Response { method, .. }) => *method = cseq.method,
        _ => note(bad("CSeq is missing or malformed")),
    }
    check_length(message, framing, note);
}

fn too_many_vias(headers: &Headers) -> bool {
    // Commas may stand in quoted strings, so this is never too few.
    let at_most = |line: &str| 1 + memchr::memchr_iter(b',', line.as_bytes()).count();
    headers.lines(HeaderName::Via).map(at_most).sum::<usize>() > limits::VIAS
        && headers.all(HeaderName::Via).count() > limits::VIAS
}

fn is_call_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|b| b > b' ' && b != 0x7f)
}

fn check_length(message: &mut Message, framing: Framing, note: &mut impl FnMut(Fault)) {
    let mut lengths =
        message.headers.lines(HeaderName::ContentLength).map(|v| syntax::number(v, u32::MAX - 1));
    let first = lengths.next();
    if lengths.any(|further| Some(further) != first) {
        note(bad("Content-Length headers disagree"));
        return;
    }
    match first {
        None if framing == Framing::Datagram => {}
        None => note(bad("a stream needs a Content-Length")),
        Some(None) => note(bad("Content-Length is not a number")),
        Some(Some(length)) => {
            let length = length as usize;
            if length > message.body.len() {
                note(bad("Content-Length is larger than the body"));
            } else if length < message.body.len() && framing == Framing::Stream {
                note(bad("bytes after the end of the message"));
            } else {
                message.body.truncate(length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:+33123456789@bridge.example;user=phone SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKabc, SIP/2.0/TCP [2001:db8::1];branch=z9hG4bKdef\r\n\
        Max-Forwards: 70\r\n\
        From: \"A \\\"B\\\", C\" <sip:+331@sbc.example;user=phone>;tag=1\r\n\
        t : <sip:+33123456789@bridge.example>\r\n\
        i: abc@192.0.2.1\r\n\
        CSeq: 0001\r\n INVITE\r\n\
        Contact: <sip:sbc@192.0.2.1:5060>\r\n\
        X-Odd: ;;,,\r\n\
        Content-Length: 4\r\n\r\nbody";

    fn read(text: &str) -> Result<Message, Malformed> {
        Message::parse(Bytes::copy_from_slice(text.as_bytes()), Framing::Datagram)
    }

    #[test]
    fn what_was_read_is_written_back_byte_for_byte() {
        let message = read(INVITE).expect("well formed");
        assert_eq!(message.to_bytes(), INVITE.as_bytes());
        assert_eq!(message.from().expect("checked").display(), Some("A \"B\", C"));
        assert_eq!(message.to().expect("checked").uri().number().as_deref(), Some("+33123456789"));
        assert_eq!(message.cseq(), Some(CSeq { number: 1, method: Method::INVITE }));
        assert_eq!(message.headers().all("v").count(), 2);
        assert_eq!(message.via_top().expect("checked").branch(), Some("z9hG4bKabc"));
        assert_eq!(message.headers().get("x-odd"), Some(";;,,"));
    }

    #[test]
    fn a_response_echoes_raw_headers_and_takes_a_tag() {
        let mut request = read(INVITE).expect("well formed");
        request.note_source("198.51.100.7:5080".parse().expect("an address"));
        let mut response = Message::response_to(&request, 180, None);
        response.set_to_tag("us");
        let text = String::from_utf8(response.to_bytes().to_vec()).expect("text");
        assert!(text.starts_with("SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;rport=5080;branch=z9hG4bKabc;received=198.51.100.7, SIP/2.0/TCP"), "{text}");
        assert!(text.contains("\r\nTo: <sip:+33123456789@bridge.example>;tag=us\r\n"), "{text}");
        assert!(text.contains("\r\nCSeq: 0001\r\n INVITE\r\n"), "{text}");
        assert!(text.ends_with("Content-Length: 0\r\n\r\n"), "{text}");
    }
}
