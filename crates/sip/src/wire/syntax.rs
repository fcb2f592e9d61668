//! The lexical rules of RFC 3261 section 25.1 that several headers share.

use std::{borrow::Cow, ops::Range};

/// What is wrong with a value, in words for a log line and for the reason phrase of a 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SyntaxError(pub &'static str);

const TOKEN: u8 = 1;
const HOST: u8 = 2;
const USER: u8 = 4;
const URI: u8 = 8;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        let c = byte as u8;
        let mut class = 0;
        let alphanumeric = c.is_ascii_alphanumeric();
        if alphanumeric || matches!(c, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~') {
            class |= TOKEN;
        }
        if alphanumeric || matches!(c, b'-' | b'.' | b'_') {
            class |= HOST;
        }
        // RFC 3261 `user` plus `#` and a few others that dialling plans put there unescaped.
        if !matches!(c, b'"' | b'<' | b'>' | b'@' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | b'[' | b']') {
            class |= USER;
        }
        if !matches!(c, b'"' | b'<' | b'>' | b'@' | b'\\' | b'^' | b'{' | b'}') {
            class |= URI;
        }
        table[byte] = class;
        byte += 1;
    }
    table
}

const fn in_class(byte: u8, class: u8) -> bool {
    CLASS[byte as usize] & class != 0
}

/// Whether `byte` may stand in a `token`.
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    in_class(byte, TOKEN)
}

/// Whether `text` is a `token`: one or more token characters.
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&b| in_class(b, TOKEN))
}

/// Whether `text` can be a host name. Underscores are tolerated: operators' DNS has them.
pub(crate) fn is_host_name(text: &[u8]) -> bool {
    !text.is_empty() && text.len() <= 255 && text.iter().all(|&b| in_class(b, HOST))
}

/// Whether `text` can be the user part of a SIP URI, escapes included.
pub(crate) fn is_user(text: &[u8]) -> bool {
    text.iter().all(|&b| in_class(b, USER)) && escapes_are_whole(text)
}

/// Whether `text` holds only what may stand in URI parameters, URI headers and foreign URIs.
pub(crate) fn is_uri_text(text: &[u8]) -> bool {
    text.iter().all(|&b| in_class(b, URI)) && escapes_are_whole(text)
}

fn escapes_are_whole(text: &[u8]) -> bool {
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'%', text.get(at..).unwrap_or_default()) {
        let digits = text.get(at + found + 1..at + found + 3);
        if !digits.is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit)) {
            return false;
        }
        at += found + 3;
    }
    true
}

/// Decodes `%HH`. What does not decode to UTF-8 becomes U+FFFD; the raw text stays with the caller.
pub(crate) fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digit = |n: usize| tail.get(n).and_then(|&b| (b as char).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (byte, digit(0), digit(1)) {
            decoded.push((high * 16 + low) as u8);
            rest = tail.get(2..).unwrap_or_default();
        } else {
            decoded.push(byte);
            rest = tail;
        }
    }
    Cow::Owned(
        String::from_utf8(decoded).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()),
    )
}

/// A number written as digits only. `None` for no digits, other characters, or more than `max`.
pub(crate) fn number(text: &str, max: u32) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Saturating: twenty digits are as much too many as two hundred.
    let value = text.bytes().fold(0u32, |n, b| n.saturating_mul(10).saturating_add(u32::from(b - b'0')));
    (value <= max).then_some(value)
}

/// `text` before and after the first `byte`, which is ASCII. Faster than the standard library's search for a `char`.
pub(crate) fn split_byte(text: &str, byte: u8) -> Option<(&str, &str)> {
    // What is searched for is mostly a few bytes away.
    let at = text.bytes().position(|b| b == byte)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// `text` before the first `byte` and from it on; the second is empty where there is none.
pub(crate) fn break_at(text: &str, byte: u8) -> (&str, &str) {
    let at = memchr::memchr(byte, text.as_bytes()).unwrap_or(text.len());
    text.split_at_checked(at).unwrap_or((text, ""))
}

/// Blanks of RFC 3261 `LWS` once folding is undone.
pub(crate) fn trim(text: &str) -> &str {
    let blank = |b: Option<&u8>| matches!(b, Some(b' ' | b'\t'));
    let bytes = text.as_bytes();
    if !blank(bytes.first()) && !blank(bytes.last()) {
        return text;
    }
    text.trim_matches([' ', '\t'])
}

/// The bytes of a quoted string at the start of `text`, quotes included. `None` when it never ends.
pub(crate) fn quoted_len(text: &[u8]) -> Option<usize> {
    debug_assert_eq!(text.first(), Some(&b'"'));
    let mut at = 1;
    loop {
        let found = memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        at += found;
        if text.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The content of a quoted string: quotes removed, `\x` resolved. Text without quotes is returned as it is.
pub(crate) fn unquoted(text: &str) -> Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) else {
        return Cow::Borrowed(text);
    };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        plain.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    Cow::Owned(plain)
}

/// `text` as a quoted string. Control characters become blanks, so that nothing can end the line.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The first byte of `text` for which `stop` says yes, outside quoted strings and, if asked, angle brackets.
/// An unclosed quote or bracket is an error.
pub(crate) fn find_outside(
    text: &[u8],
    brackets: bool,
    stop: impl Fn(u8) -> bool,
) -> Result<Option<usize>, SyntaxError> {
    let mut at = 0;
    let mut inside = false;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' if !inside => {
                at += quoted_len(text.get(at..).unwrap_or_default())
                    .ok_or(SyntaxError("a quoted string is never closed"))?;
                continue;
            }
            b'<' if brackets => inside = true,
            b'>' if brackets => inside = false,
            byte if !inside && stop(byte) => return Ok(Some(at)),
            _ => {}
        }
        at += 1;
    }
    if inside { Err(SyntaxError("an angle bracket is never closed")) } else { Ok(None) }
}

/// The first semicolon outside quoted strings.
pub(crate) fn find_semicolon(text: &[u8]) -> Result<Option<usize>, SyntaxError> {
    match memchr::memchr2(b';', b'"', text) {
        Some(at) if text.get(at) == Some(&b'"') => find_outside(text, false, |b| b == b';'),
        found => Ok(found),
    }
}

/// The values of a comma list, as ranges of trimmed text. Commas in quoted strings and in `<...>` do not count.
/// Empty values are skipped. When a quote or bracket never closes, the rest is one value, and its own parser complains.
#[derive(Clone, Debug)]
pub(crate) struct CommaList<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> CommaList<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn range(&mut self) -> Option<Range<usize>> {
        let rest = self.text.get(self.at..).filter(|r| !r.is_empty())?;
        if memchr::memchr(b',', rest.as_bytes()).is_none() {
            return Some(std::mem::replace(&mut self.at, self.text.len())..self.text.len());
        }
        let end = match find_outside(rest.as_bytes(), true, |b| b == b',') {
            Ok(Some(comma)) => self.at + comma,
            Ok(None) | Err(_) => self.text.len(),
        };
        let start = std::mem::replace(&mut self.at, end + 1);
        Some(start..end)
    }
}

impl<'a> Iterator for CommaList<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            let range = self.range()?;
            let value = trim(self.text.get(range)?);
            if !value.is_empty() {
                return Some(value);
            }
        }
    }
}
