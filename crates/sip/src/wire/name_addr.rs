use super::{
    Params, SyntaxError, Text, Uri,
    syntax::{break_at, find_outside, is_token, quoted, quoted_len, split_byte, trim, unquoted},
};
use std::{fmt, str::FromStr};

/// The value of From, To, Contact, Route, P-Asserted-Identity and their like: `"display" <uri>;params` or `uri;params`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    display: Option<String>,
    uri: Uri,
    params: Params,
    /// As it was read; empty once something was changed.
    raw: Text,
}

impl NameAddr {
    /// A bare `<uri>`.
    pub fn new(uri: Uri) -> Self {
        Self { display: None, uri, params: Params::default(), raw: Text::default() }
    }

    /// The same with a display name. Control characters in it become blanks.
    #[must_use]
    pub fn with_display(mut self, display: &str) -> Self {
        self.display = (!display.is_empty()).then(|| display.to_owned());
        self.raw = Text::default();
        self
    }

    /// The same with a parameter of the header (not of the URI).
    #[must_use]
    pub fn with_param(mut self, name: &str, value: Option<&str>) -> Self {
        self.params.set(name, value);
        self.raw = Text::default();
        self
    }

    /// The same with this tag.
    #[must_use]
    pub fn with_tag(self, tag: &str) -> Self {
        self.with_param("tag", Some(tag))
    }

    /// The same without a tag.
    #[must_use]
    pub fn without_tag(mut self) -> Self {
        self.params.remove("tag");
        self.raw = Text::default();
        self
    }

    /// Reads one value; a comma list must be split first.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let raw = Text::from(text);
        Self::parse_in(&raw, raw.as_str())
    }

    /// The same with a text of its own: see [`Uri::detached`].
    pub(crate) fn detached(&self) -> Self {
        Self::parse(&self.to_string()).unwrap_or_else(|_| self.clone())
    }

    /// Reads `text`, which is a part of `whole`.
    pub(crate) fn parse_in(whole: &Text, text: &str) -> Result<Self, SyntaxError> {
        let text = trim(text);
        let (display, rest) = if text.starts_with('"') {
            let end = quoted_len(text.as_bytes()).ok_or(SyntaxError("a quoted string is never closed"))?;
            let (display, rest) = text.split_at_checked(end).ok_or(SyntaxError("a quoted string is cut"))?;
            (Some(display), trim(rest))
        } else if text.starts_with('<') {
            (None, text)
        } else {
            match find_outside(text.as_bytes(), false, |b| b == b'<' || b == b';')? {
                Some(at) if text.as_bytes().get(at) == Some(&b'<') => {
                    let (words, rest) = text.split_at_checked(at).ok_or(SyntaxError("a name is cut"))?;
                    (Some(trim(words)).filter(|w| !w.is_empty()), rest)
                }
                _ => return Self::addr_spec(whole, text),
            }
        };
        if let Some(words) = display.filter(|d| !d.starts_with('"')) {
            check_words(words)?;
        }
        let inner = rest.strip_prefix('<').ok_or(SyntaxError("a display name needs <uri> after it"))?;
        let (uri, params) = split_byte(inner, b'>').ok_or(SyntaxError("an angle bracket is never closed"))?;
        Ok(Self {
            display: display.map(|d| unquoted(d).into_owned()).filter(|d| !d.is_empty()),
            uri: Uri::parse_in(whole, uri)?,
            params: Params::parse_in(whole, params)?,
            raw: whole.part(text),
        })
    }

    /// Without brackets: semicolons start header parameters, and a comma or question mark is not allowed
    /// (RFC 3261 section 20.10), because the reader cannot know whose it is.
    fn addr_spec(whole: &Text, text: &str) -> Result<Self, SyntaxError> {
        let (uri, params) = break_at(text, b';');
        if uri.contains([',', '?']) {
            return Err(SyntaxError("a URI with a comma or question mark needs angle brackets"));
        }
        // `sip:u;x=y@host`: a user part to one reader, the host `u` with a parameter to the next.
        if !uri.contains('@') && params.contains('@') {
            return Err(SyntaxError("a user part with a semicolon needs angle brackets"));
        }
        let uri = Uri::parse_in(whole, trim(uri))?;
        let params = Params::parse_in(whole, params)?;
        Ok(Self { display: None, uri, params, raw: whole.part(text) })
    }

    /// The display name without quotes; `None` when there is none or it is empty.
    pub fn display(&self) -> Option<&str> {
        self.display.as_deref()
    }

    /// The URI.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The header parameters (after the `>`).
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The `tag` parameter, if it has a value.
    pub fn tag(&self) -> Option<&str> {
        self.params.value("tag")
    }
}

/// Unquoted display names are tokens with blanks between; UTF-8 and a few marks that phones write unquoted are let pass.
fn check_words(words: &str) -> Result<(), SyntaxError> {
    let good = |word: &str| {
        word.bytes().all(|b| is_token(&[b]) || b >= 0x80 || matches!(b, b'(' | b')' | b'&' | b'/' | b'#'))
    };
    if words.split([' ', '\t']).all(good) {
        Ok(())
    } else {
        Err(SyntaxError("a display name with special characters needs quotes"))
    }
}

impl From<Uri> for NameAddr {
    fn from(uri: Uri) -> Self {
        Self::new(uri)
    }
}

impl FromStr for NameAddr {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        Self::parse(text)
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.raw.is_empty() {
            return f.write_str(self.raw.as_str());
        }
        if let Some(display) = &self.display {
            write!(f, "{} ", quoted(display))?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}
