//! Message bodies: the SDP in them, if any.

use bytes::Bytes;

use crate::wire::Message;

/// A body and its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The value of Content-Type.
    pub content_type: String,
    /// The bytes.
    pub bytes: Bytes,
}

impl Body {
    /// An SDP body.
    pub fn sdp(bytes: impl Into<Bytes>) -> Self {
        Self { content_type: "application/sdp".to_owned(), bytes: bytes.into() }
    }
}

/// What a message carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Carried {
    /// No body, or one that may be ignored.
    Nothing,
    /// SDP, alone or as a part of a multipart body (some operators put ISUP next to it).
    Sdp(Bytes),
    /// A body that must be understood and is not (415).
    Foreign,
}

impl Carried {
    /// The SDP, if any.
    pub(crate) fn sdp(self) -> Option<Bytes> {
        if let Self::Sdp(bytes) = self { Some(bytes) } else { None }
    }
}

/// Finds the SDP in a message (RFC 3261 sections 8.2.3 and 20.11).
pub(crate) fn carried(message: &Message) -> Carried {
    let body = message.body();
    if body.is_empty() {
        return Carried::Nothing;
    }
    let encoding = message.headers().get("Content-Encoding").unwrap_or("identity");
    let content_type = message.headers().get("Content-Type").unwrap_or_default();
    let kind = essence(content_type);
    if encoding.trim().eq_ignore_ascii_case("identity") {
        if kind.eq_ignore_ascii_case("application/sdp") {
            return Carried::Sdp(body.clone());
        }
        if kind.len() > 10 && kind.is_char_boundary(10) && kind[..10].eq_ignore_ascii_case("multipart/") {
            return sdp_part(content_type, body).map_or(Carried::Foreign, Carried::Sdp);
        }
    }
    let disposition = message.headers().get("Content-Disposition").unwrap_or_default().to_ascii_lowercase();
    if disposition.contains("handling=optional") { Carried::Nothing } else { Carried::Foreign }
}

/// `type/subtype` without its parameters.
fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn sdp_part(content_type: &str, body: &Bytes) -> Option<Bytes> {
    let boundary = content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    })?;
    if boundary.is_empty() || boundary.len() > 70 {
        return None;
    }
    let delimiter = format!("--{boundary}");
    let starts: Vec<usize> = memchr::memmem::find_iter(body, delimiter.as_bytes()).take(32).collect();
    starts.windows(2).find_map(|pair| {
        let (from, to) = (pair[0].checked_add(delimiter.len())?, pair[1]);
        let part = body.get(from..to)?;
        let blank = memchr::memmem::find(part, b"\r\n\r\n")?;
        let head = std::str::from_utf8(part.get(..blank)?).ok()?;
        let is_sdp = head.lines().any(|line| {
            line.split_once(':').is_some_and(|(name, value)| {
                matches!(name.trim().to_ascii_lowercase().as_str(), "content-type" | "c")
                    && essence(value).eq_ignore_ascii_case("application/sdp")
            })
        });
        // The line end before a delimiter belongs to the delimiter (RFC 2046 section 5.1.1).
        let end = if part.ends_with(b"\r\n") { to - 2 } else { to };
        let start = from + blank + 4;
        (is_sdp && start <= end).then(|| body.slice(start..end))
    })
}
