use super::{
    SyntaxError, Text,
    syntax::{find_semicolon, is_token, quoted, split_byte, trim, unquoted},
};
use std::{borrow::Cow, fmt};

/// `;name=value` parameters of a header or of a URI, kept as written. Names compare without case.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Params {
    raw: Text,
}

impl Params {
    /// Reads what follows the first part of a header value: nothing, or `;` and parameters.
    /// Refuses empty parameters, names that are no tokens, and quoted strings that never end.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let raw = Text::from(text);
        Self::parse_in(&raw, raw.as_str())
    }

    /// `text` is a part of `raw`.
    pub(crate) fn parse_in(raw: &Text, text: &str) -> Result<Self, SyntaxError> {
        let text = trim(text);
        if !text.is_empty() {
            let mut rest = text.strip_prefix(';').ok_or(SyntaxError("parameters start with a semicolon"))?;
            loop {
                let end = find_semicolon(rest.as_bytes())?;
                check(rest.get(..end.unwrap_or(rest.len())).unwrap_or_default())?;
                match end {
                    Some(end) => rest = rest.get(end + 1..).unwrap_or_default(),
                    None => break,
                }
            }
        }
        Ok(Self { raw: raw.part(text) })
    }

    /// Parameters that were checked by the rules of URIs, which have neither quotes nor blanks.
    pub(crate) fn from_uri_text(raw: Text) -> Self {
        Self { raw }
    }

    /// As written, from the first semicolon on; empty when there are none.
    pub fn as_str(&self) -> &str {
        self.raw.as_str()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Name and value (as written, quotes included) in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        Pieces { rest: self.raw.as_str() }.filter(|p| !p.is_empty()).map(|piece| {
            match split_byte(piece, b'=') {
                Some((name, value)) => (trim(name), Some(trim(value))),
                None => (trim(piece), None),
            }
        })
    }

    /// `None`: absent. `Some(None)`: present without a value. `Some(Some(v))`: its value as written.
    pub fn get(&self, name: &str) -> Option<Option<&str>> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The value as written; `None` when absent or without a value.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.get(name).flatten()
    }

    /// Whether the name occurs more than once, so that two readers could take two values (RFC 3261 section 7.3.1 forbids it).
    pub(crate) fn is_ambiguous(&self, name: &str) -> bool {
        self.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).nth(1).is_some()
    }

    /// The value with quotes removed.
    pub fn unquoted(&self, name: &str) -> Option<Cow<'_, str>> {
        self.value(name).map(unquoted)
    }

    /// Whether the parameter is there, with or without a value.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Sets a parameter: replaces the first of that name in place, else appends. A value that is no token and no
    /// host is written as a quoted string, so no value can add parameters or lines. A name that is no token is ignored.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        if !is_token(name.as_bytes()) {
            return;
        }
        let piece = match value {
            None => format!(";{name}"),
            Some(value) if is_plain(value) => format!(";{name}={value}"),
            Some(value) => format!(";{name}={}", quoted(value)),
        };
        let mut out = String::with_capacity(self.raw.len() + piece.len());
        let mut written = false;
        for old in (Pieces { rest: self.raw.as_str() }) {
            if piece_name(old).eq_ignore_ascii_case(name) {
                if !std::mem::replace(&mut written, true) {
                    out.push_str(&piece);
                }
            } else {
                out.push(';');
                out.push_str(old);
            }
        }
        if !written {
            out.push_str(&piece);
        }
        self.raw = out.into();
    }

    /// Removes every parameter of that name.
    pub fn remove(&mut self, name: &str) {
        let kept: String = Pieces { rest: self.raw.as_str() }
            .filter(|piece| !piece_name(piece).eq_ignore_ascii_case(name))
            .flat_map(|piece| [";", piece])
            .collect();
        self.raw = kept.into();
    }
}

/// What lies between the semicolons.
struct Pieces<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest.strip_prefix(';')?;
        let end = find_semicolon(text.as_bytes()).ok().flatten().unwrap_or(text.len());
        let (piece, rest) = text.split_at_checked(end)?;
        self.rest = rest;
        Some(piece)
    }
}

fn piece_name(piece: &str) -> &str {
    trim(split_byte(piece, b'=').map_or(piece, |(name, _)| name))
}

fn check(piece: &str) -> Result<(), SyntaxError> {
    let (name, value) = match split_byte(piece, b'=') {
        Some((name, value)) => (trim(name), Some(trim(value))),
        None => (trim(piece), None),
    };
    if name.is_empty() {
        return Err(SyntaxError("a parameter is empty"));
    }
    if !is_token(name.as_bytes()) {
        return Err(SyntaxError("a parameter name is no token"));
    }
    let good = match value {
        None => true,
        Some(value) if value.starts_with('"') => {
            super::syntax::quoted_len(value.as_bytes()) == Some(value.len())
        }
        // Looser than token / host: IPv6 without brackets (RFC 5118 section 4.5), slashes and colons occur.
        Some(value) => {
            !value.is_empty()
                && value.bytes().all(|b| b > b' ' && b != 0x7f && !matches!(b, b'"' | b'<' | b'>' | b','))
        }
    };
    if good { Ok(()) } else { Err(SyntaxError("a parameter value is neither token nor quoted string")) }
}

fn is_plain(value: &str) -> bool {
    !value.is_empty()
        && value.bytes().all(|b| super::syntax::is_token_byte(b) || matches!(b, b'[' | b']' | b':'))
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
