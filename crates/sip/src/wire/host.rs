use super::{SyntaxError, Text, syntax};
use std::{
    fmt,
    hash::{Hash, Hasher},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// The host of a URI or of a Via. Names compare without case.
#[derive(Clone, Debug, Eq)]
pub enum Host {
    /// A dotted quad.
    V4(Ipv4Addr),
    /// An IPv6 reference; written with brackets.
    V6(Ipv6Addr),
    /// A domain name, as written.
    Name(Text),
}

impl Host {
    /// Reads a host without port.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let raw = Text::from(text);
        match Self::split_port(&raw, raw.as_str())? {
            (host, None) => Ok(host),
            _ => Err(SyntaxError("a host has no port here")),
        }
    }

    /// Reads `host [":" port]` in `all`, a part of `raw`. Blanks around the colon are an error here; Via removes them first.
    pub(crate) fn split_port(raw: &Text, all: &str) -> Result<(Self, Option<u16>), SyntaxError> {
        if let Some(inner) = all.strip_prefix('[') {
            let (address, rest) =
                inner.split_once(']').ok_or(SyntaxError("an IPv6 reference is never closed"))?;
            let port = match rest {
                "" => None,
                _ => Some(port(rest.strip_prefix(':').ok_or(SyntaxError("text after an IPv6 reference"))?)?),
            };
            return Ok((Self::V6(v6(address)?), port));
        }
        let (name, port) = match syntax::split_byte(all, b':') {
            Some((name, digits)) => (name, Some(port(digits)?)),
            None => (all, None),
        };
        if name.starts_with(|c: char| c.is_ascii_digit())
            && let Ok(v4) = name.parse()
        {
            return Ok((Self::V4(v4), port));
        }
        if !syntax::is_host_name(name.as_bytes()) {
            return Err(SyntaxError("the host is neither a name nor an address"));
        }
        Ok((Self::Name(raw.part(name)), port))
    }

    /// The address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::V4(v4) => Some(IpAddr::V4(*v4)),
            Self::V6(v6) => Some(IpAddr::V6(*v6)),
            Self::Name(_) => None,
        }
    }
}

fn v6(address: &str) -> Result<Ipv6Addr, SyntaxError> {
    // RFC 5118 section 4.10: the grammar of RFC 3261 allowed `:::` before an IPv4 tail; receivers must bear it.
    let repaired = address.replacen(":::", "::", 1);
    repaired.parse().map_err(|_| SyntaxError("not an IPv6 address"))
}

fn port(digits: &str) -> Result<u16, SyntaxError> {
    let port = syntax::number(digits, u32::from(u16::MAX)).ok_or(SyntaxError("not a port"))?;
    Ok(port as u16)
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => Self::V4(v4),
            IpAddr::V6(v6) => Self::V6(v6),
        }
    }
}

impl PartialEq for Host {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::V4(a), Self::V4(b)) => a == b,
            (Self::V6(a), Self::V6(b)) => a == b,
            (Self::Name(a), Self::Name(b)) => a.as_bytes().eq_ignore_ascii_case(b.as_bytes()),
            _ => false,
        }
    }
}

impl Hash for Host {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::V4(v4) => v4.hash(state),
            Self::V6(v6) => v6.hash(state),
            Self::Name(name) => name.as_bytes().iter().for_each(|b| state.write_u8(b.to_ascii_lowercase())),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(v4) => write!(f, "{v4}"),
            Self::V6(v6) => write!(f, "[{v6}]"),
            Self::Name(name) => write!(f, "{name}"),
        }
    }
}

/// `host:port` of a URI or Via: who to reach, as written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// Name or address.
    pub host: Host,
    /// `None`: the default of the transport.
    pub port: Option<u16>,
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().into(), port: Some(address.port()) }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}
