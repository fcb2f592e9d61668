use super::{
    Host, HostPort, Method, Params, SyntaxError, Text,
    syntax::{break_at, is_token, number, split_byte, trim},
};
use std::{fmt, net::IpAddr, str::FromStr};

/// One Via value (RFC 3261 section 20.42).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    transport: Text,
    sent_by: HostPort,
    params: Params,
}

impl Via {
    /// The magic start of every branch made by RFC 3261.
    pub const MAGIC_COOKIE: &'static str = "z9hG4bK";

    /// A Via of our own, with `;rport` (RFC 3581: we always ask).
    pub fn new(transport: &str, sent_by: impl Into<HostPort>, branch: &str) -> Self {
        let mut params = Params::default();
        params.set("branch", Some(branch));
        params.set("rport", None);
        Self { transport: transport.into(), sent_by: sent_by.into(), params }
    }

    /// Reads one value; a comma list must be split first.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let raw = Text::from(text);
        Self::parse_in(&raw, raw.as_str())
    }

    /// Reads `text`, which is a part of `raw`.
    pub(crate) fn parse_in(raw: &Text, text: &str) -> Result<Self, SyntaxError> {
        const BAD: SyntaxError = SyntaxError("a Via is SIP/2.0/TRANSPORT host;parameters");
        let text = trim(text);
        let (name, rest) = split_byte(text, b'/').ok_or(BAD)?;
        let (version, rest) = split_byte(rest, b'/').ok_or(BAD)?;
        let rest = rest.trim_start_matches([' ', '\t']);
        let (transport, rest) = rest.split_once([' ', '\t']).ok_or(BAD)?;
        if ![trim(name), trim(version), transport].iter().all(|part| is_token(part.as_bytes())) {
            return Err(BAD);
        }
        let (sent_by, params) = break_at(rest, b';');
        let sent_by = trim(sent_by);
        let (host, port) = if sent_by.bytes().any(|b| matches!(b, b' ' | b'\t')) {
            // `host : port` with blanks around the colon is legal here and nowhere else.
            let joined: String = sent_by.split([' ', '\t']).collect();
            if sent_by.split(':').any(|part| trim(part).contains([' ', '\t'])) {
                return Err(SyntaxError("two hosts in one Via"));
            }
            let joined = Text::from(joined);
            Host::split_port(&joined, joined.as_str())?
        } else {
            Host::split_port(raw, sent_by)?
        };
        Ok(Self {
            transport: raw.part(transport),
            sent_by: HostPort { host, port },
            params: Params::parse_in(raw, params)?,
        })
    }

    /// The transport as written: `UDP`, `TCP`, `TLS`, or one we do not know.
    pub fn transport(&self) -> &str {
        self.transport.as_str()
    }

    /// Who says to have sent it.
    pub fn sent_by(&self) -> &HostPort {
        &self.sent_by
    }

    /// The branch, the transaction's identity.
    pub fn branch(&self) -> Option<&str> {
        self.params.value("branch").filter(|b| !b.is_empty())
    }

    /// The branch, if it begins with the magic cookie and has something after it.
    pub fn rfc3261_branch(&self) -> Option<&str> {
        let cookie = Self::MAGIC_COOKIE.len();
        self.branch().filter(|b| {
            b.len() > cookie && b.get(..cookie).is_some_and(|c| c.eq_ignore_ascii_case(Self::MAGIC_COOKIE))
        })
    }

    /// `None`: no rport. `Some(None)`: asked for. `Some(Some(port))`: filled in (RFC 3581).
    pub fn rport(&self) -> Option<Option<u16>> {
        self.params.get("rport").map(|value| value.and_then(|v| number(v, 65_535)).map(|port| port as u16))
    }

    /// The address the previous hop saw; brackets are optional (RFC 5118 section 4.5).
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.value("received")?;
        text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text).parse().ok()
    }

    /// All parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The parameters, to change them.
    pub fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }
}

impl FromStr for Via {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        Self::parse(text)
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}{}", self.transport, self.sent_by, self.params)
    }
}

/// The value of CSeq.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CSeq {
    /// Below 2^31 (RFC 3261 section 8.1.1.5).
    pub number: u32,
    /// The method of the request it counts.
    pub method: Method,
}

impl CSeq {
    /// The largest number that may be sent.
    pub const MAX: u32 = (1 << 31) - 1;

    /// Reads `number method`.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let (digits, method) =
            text.split_once([' ', '\t']).ok_or(SyntaxError("CSeq is a number and a method"))?;
        Ok(Self {
            number: number(digits, Self::MAX).ok_or(SyntaxError("the CSeq number is not below 2^31"))?,
            method: Method::parse(trim(method)).ok_or(SyntaxError("the CSeq method is no token"))?,
        })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}
