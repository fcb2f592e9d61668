use super::{
    Host, HostPort, Params, SyntaxError, Text,
    syntax::{break_at, is_token, is_uri_text, is_user, percent_decoded, split_byte},
};
use std::{borrow::Cow, fmt, fmt::Write as _, str::FromStr};

/// The scheme of a URI.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:` (RFC 3966)
    Tel,
    /// Anything else, as written; a request for it is answered 416.
    Other(Text),
}

impl Scheme {
    /// As written on the wire (known ones in lower case).
    pub fn as_str(&self) -> &str {
        match self {
            Self::Sip => "sip",
            Self::Sips => "sips",
            Self::Tel => "tel",
            Self::Other(name) => name.as_str(),
        }
    }
}

/// A URI: sip, sips and tel taken apart, others kept whole. What was parsed is printed exactly as it was written.
///
/// Sources: RFC 3261 sections 19.1 and 25.1, RFC 3966, RFC 5118.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Uri {
    raw: Text,
    scheme: Scheme,
    /// Between scheme and `@`, without the password; for tel the number.
    user: Option<Text>,
    password: Option<Text>,
    target: Option<HostPort>,
    params: Params,
    /// After `?`, without it.
    headers: Text,
}

impl Uri {
    /// Reads a whole URI. Blanks, controls, broken escapes and a second `@` are errors.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let raw = Text::from(text);
        Self::parse_in(&raw, raw.as_str())
    }

    /// A sip URI from its parts. Characters that may not stand in a user are escaped.
    pub fn sip(user: Option<&str>, target: impl Into<HostPort>) -> Self {
        let target = target.into();
        let mut text = String::from("sip:");
        let user = user.filter(|u| !u.is_empty()).map(escaped_user);
        if let Some(user) = &user {
            let _ = write!(text, "{user}@"); // writing to a String cannot fail
        }
        let _ = write!(text, "{target}");
        Self {
            raw: text.into(),
            scheme: Scheme::Sip,
            user: user.map(Text::from),
            password: None,
            target: Some(target),
            params: Params::default(),
            headers: Text::default(),
        }
    }

    /// The same with a text of its own, for when it outlives the message that it came in: a part of a message keeps all of it.
    pub(crate) fn detached(&self) -> Self {
        Self::parse(self.as_str()).unwrap_or_else(|_| self.clone())
    }

    /// Reads `text`, which is a part of `whole`.
    pub(crate) fn parse_in(whole: &Text, text: &str) -> Result<Self, SyntaxError> {
        let (scheme, rest) = split_byte(text, b':').ok_or(SyntaxError("a URI has no scheme"))?;
        let scheme = match scheme {
            s if s.eq_ignore_ascii_case("sip") => Scheme::Sip,
            s if s.eq_ignore_ascii_case("sips") => Scheme::Sips,
            s if s.eq_ignore_ascii_case("tel") => Scheme::Tel,
            s if is_token(s.as_bytes()) && s.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                Scheme::Other(whole.part(s))
            }
            _ => return Err(SyntaxError("the scheme of a URI is no token")),
        };
        let raw = whole.part(text);
        match scheme {
            Scheme::Sip | Scheme::Sips => Self::sip_parts(raw, scheme, whole, rest),
            Scheme::Tel => Self::tel_parts(raw, whole, rest),
            Scheme::Other(_) => Self::opaque(raw, scheme, rest),
        }
    }

    /// Stands for a Request-URI that could not be read, in the partial message that a 400 is built from.
    pub(crate) fn invalid() -> Self {
        Self {
            raw: Text::from("sip:invalid.invalid"),
            scheme: Scheme::Sip,
            user: None,
            password: None,
            target: None,
            params: Params::default(),
            headers: Text::default(),
        }
    }

    fn sip_parts(raw: Text, scheme: Scheme, whole: &Text, text: &str) -> Result<Self, SyntaxError> {
        let (userinfo, after) = match split_byte(text, b'@') {
            Some((userinfo, after)) => (Some(userinfo), after),
            None => (None, text),
        };
        let (user, password) = match userinfo {
            None => (None, None),
            // A colon inside the user must be escaped, so the first one starts the password.
            Some(info) => match split_byte(info, b':') {
                Some((user, password)) => (Some(user), Some(password)),
                None => (Some(info), None),
            },
        };
        if user.is_some_and(str::is_empty) {
            return Err(SyntaxError("an @ without a user"));
        }
        if !is_user(userinfo.unwrap_or_default().as_bytes()) {
            return Err(SyntaxError("the user part has characters that must be escaped"));
        }
        let (before_headers, headers) = split_byte(after, b'?').unwrap_or((after, ""));
        let (hostport, params) = break_at(before_headers, b';');
        let (host, port) = Host::split_port(whole, hostport)?;
        check_params(params)?;
        if !is_uri_text(headers.as_bytes()) {
            return Err(SyntaxError("a URI header has characters that must be escaped"));
        }
        Ok(Self {
            scheme,
            user: user.map(|u| whole.part(u)),
            password: password.map(|p| whole.part(p)),
            target: Some(HostPort { host, port }),
            params: Params::from_uri_text(whole.part(params)),
            headers: whole.part(headers),
            raw,
        })
    }

    fn tel_parts(raw: Text, whole: &Text, text: &str) -> Result<Self, SyntaxError> {
        let (number, params) = break_at(text, b';');
        let dialable = |b: u8| b.is_ascii_hexdigit() || matches!(b, b'*' | b'#' | b'-' | b'.' | b'(' | b')');
        let digits = number.strip_prefix('+').unwrap_or(number);
        if !digits.bytes().all(dialable)
            || !digits.bytes().any(|b| b.is_ascii_hexdigit() || matches!(b, b'*' | b'#'))
        {
            return Err(SyntaxError("a tel URI has no number"));
        }
        check_params(params)?;
        Ok(Self {
            scheme: Scheme::Tel,
            user: Some(whole.part(number)),
            password: None,
            target: None,
            params: Params::from_uri_text(whole.part(params)),
            headers: Text::default(),
            raw,
        })
    }

    fn opaque(raw: Text, scheme: Scheme, rest: &str) -> Result<Self, SyntaxError> {
        let good = |b: u8| b > b' ' && b != 0x7f && !matches!(b, b'<' | b'>' | b'"');
        if rest.is_empty() || !rest.bytes().all(good) {
            return Err(SyntaxError("a URI has blanks or nothing after its scheme"));
        }
        Ok(Self {
            raw,
            scheme,
            user: None,
            password: None,
            target: None,
            params: Params::default(),
            headers: Text::default(),
        })
    }

    /// The scheme.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// `sip:` or `sips:`.
    pub fn is_sip(&self) -> bool {
        matches!(self.scheme, Scheme::Sip | Scheme::Sips)
    }

    /// The whole URI exactly as written.
    pub fn as_str(&self) -> &str {
        self.raw.as_str()
    }

    /// The whole user part, escapes decoded, user parameters included (`+331;npdi;rn=+332`); for tel the number.
    pub fn user(&self) -> Option<Cow<'_, str>> {
        self.user_raw().map(percent_decoded)
    }

    /// The whole user part as written.
    pub fn user_raw(&self) -> Option<&str> {
        self.user.as_ref().map(Text::as_str)
    }

    /// The user up to its first parameter, decoded: the telephone number in `sip:+331;npdi@host` and in `tel:+331;npdi`.
    /// Parameters are split off before decoding, so an escaped `;` stays part of the number.
    pub fn number(&self) -> Option<Cow<'_, str>> {
        let raw = self.user_raw()?;
        Some(percent_decoded(raw.split_once(';').map_or(raw, |(number, _)| number)))
    }

    /// Parameters inside the user part (RFC 3261 section 19.1.6: the parameters of a tel URI), as written.
    /// For a tel URI these are the parameters of the URI itself.
    pub fn user_params(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let text = match self.scheme {
            Scheme::Tel => self.params.as_str().strip_prefix(';'),
            _ => self.user_raw().and_then(|user| user.split_once(';')).map(|(_, params)| params),
        };
        text.into_iter().flat_map(|t| t.split(';')).map(|piece| match piece.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (piece, None),
        })
    }

    /// The password, as written. Never put one into a log.
    pub fn password(&self) -> Option<&str> {
        self.password.as_ref().map(Text::as_str)
    }

    /// Host of a sip or sips URI.
    pub fn host(&self) -> Option<&Host> {
        self.target.as_ref().map(|t| &t.host)
    }

    /// Port of a sip or sips URI, if written.
    pub fn port(&self) -> Option<u16> {
        self.target.as_ref().and_then(|t| t.port)
    }

    /// Host and port of a sip or sips URI.
    pub fn host_port(&self) -> Option<&HostPort> {
        self.target.as_ref()
    }

    /// The URI's own parameters (`transport`, `user`, `lr`, ...).
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// A parameter's value: `None` absent, `Some(None)` present without value.
    pub fn param(&self, name: &str) -> Option<Option<&str>> {
        self.params.get(name)
    }

    /// Whether `;lr` is there: the hop is a loose router (RFC 3261 section 19.1.1).
    pub fn is_loose_router(&self) -> bool {
        self.params.contains("lr")
    }

    /// The `?name=value&...` headers, decoded. Not allowed in a Request-URI.
    pub fn headers(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        self.headers.as_str().split('&').filter(|h| !h.is_empty()).map(|header| {
            let (name, value) = header.split_once('=').unwrap_or((header, ""));
            (percent_decoded(name), percent_decoded(value))
        })
    }

    /// Whether there are any `?` headers.
    pub fn has_headers(&self) -> bool {
        !self.headers.is_empty()
    }

    /// The same URI with a parameter set. A value that does not fit a URI is percent-escaped.
    #[must_use]
    pub fn with_param(mut self, name: &str, value: Option<&str>) -> Self {
        if !is_token(name.as_bytes()) {
            return self;
        }
        self.params.set(name, value.map(escaped_param).as_deref());
        self.rebuild();
        self
    }

    /// The same URI without its `?` headers, as it must be before it becomes a Request-URI.
    #[must_use]
    pub fn without_headers(mut self) -> Self {
        self.headers = Text::default();
        self.rebuild();
        self
    }

    /// Writes `raw` anew from the parts.
    fn rebuild(&mut self) {
        if matches!(self.scheme, Scheme::Other(_)) {
            return;
        }
        let mut text = String::with_capacity(self.raw.len() + 16);
        text.push_str(self.scheme.as_str());
        text.push(':');
        text.push_str(self.user_raw().unwrap_or_default());
        if let Some(password) = self.password() {
            text.push(':');
            text.push_str(password);
        }
        if let Some(target) = &self.target {
            if self.user.is_some() {
                text.push('@');
            }
            let _ = write!(text, "{target}"); // writing to a String cannot fail
        }
        text.push_str(self.params.as_str());
        if !self.headers.is_empty() {
            text.push('?');
            text.push_str(self.headers.as_str());
        }
        self.raw = text.into();
    }
}

fn check_params(params: &str) -> Result<(), SyntaxError> {
    let Some(params) = params.strip_prefix(';') else { return Ok(()) };
    let mut rest = Some(params);
    let mut named = true;
    while let Some(text) = rest {
        let (first, after) = break_at(text, b';');
        named &= !first.is_empty() && !first.starts_with('=');
        rest = after.get(1..);
    }
    if !named {
        return Err(SyntaxError("a URI parameter is empty"));
    }
    if is_uri_text(params.as_bytes()) {
        Ok(())
    } else {
        Err(SyntaxError("a URI parameter has characters that must be escaped"))
    }
}

fn escaped(text: &str, keep: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if keep(byte) {
            out.push(byte as char);
        } else {
            let _ = write!(out, "%{byte:02X}"); // writing to a String cannot fail
        }
    }
    out
}

fn escaped_user(user: &str) -> String {
    escaped(user, |b| b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&b))
}

fn escaped_param(value: &str) -> String {
    escaped(value, |b| b.is_ascii_alphanumeric() || b"-_.!~*'[]:+".contains(&b))
}

impl FromStr for Uri {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        Self::parse(text)
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_the_user_part_and_of_a_tel_uri_are_the_same_thing() {
        for text in [
            "sip:+15550100;npdi;rn=+15550199@192.0.2.1;transport=tcp",
            "sips:+15550100;npdi;rn=+15550199@gw.example:5061;user=phone",
            "tel:+15550100;npdi;rn=+15550199",
        ] {
            let uri = Uri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let params: Vec<_> = uri.user_params().collect();
            assert_eq!(params, [("npdi", None), ("rn", Some("+15550199"))], "{text}");
            assert_eq!(uri.number().as_deref(), Some("+15550100"), "{text}");
            assert_eq!(uri.to_string(), text);
        }
        let plain = Uri::parse("sip:+15550100@192.0.2.1;user=phone").expect("a URI");
        assert_eq!(plain.user_params().count(), 0, "user=phone belongs to the URI");
    }
}
