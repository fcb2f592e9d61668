use super::{
    CSeq, HeaderName, Headers, Method, NameAddr, StatusCode, SyntaxError, Text, Uri, Via, limits,
    name::AsHeaderName,
    syntax::{CommaList, number},
};
use bytes::{BufMut, Bytes, BytesMut};
use std::{fmt, net::SocketAddr};

/// The first line.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    Request { method: Method, uri: Box<Uri> },
    Response { status: StatusCode, reason: Bytes, method: Method },
}

/// One SIP message: what the application, the trace and the tests see.
///
/// [`Message::parse`] has checked the first line, the framing, the top Via, From, To, Call-ID, CSeq and Max-Forwards;
/// the other headers are judged by their getters. Headers are written back byte for byte.
#[derive(Clone)]
pub struct Message {
    pub(crate) start: Start,
    pub(crate) headers: Headers,
    pub(crate) body: Bytes,
}

impl Message {
    /// A request with no headers yet.
    pub fn request(method: Method, uri: Uri) -> Self {
        Self {
            start: Start::Request { method, uri: Box::new(uri) },
            headers: Headers::default(),
            body: Bytes::new(),
        }
    }

    /// A response to `request` (RFC 3261 section 8.2.6): Via, From, To, Call-ID and CSeq exactly as received;
    /// Record-Route where a dialog may come of it (12.1.1), Timestamp in a 100. The caller adds the To tag with
    /// [`Message::set_to_tag`]. A status outside 100..=699 becomes 500; `reason: None` takes the registered phrase.
    pub fn response_to(request: &Self, status: u16, reason: Option<&str>) -> Self {
        let status = StatusCode::new(status)
            .or(StatusCode::new(500))
            .unwrap_or_else(|| unreachable!("500 is a status"));
        let phrase = reason.map_or_else(
            || status.reason(),
            |r| r.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
        );
        let mut headers = Headers::default();
        headers.copy_from(&request.headers, HeaderName::Via);
        let forms_dialog =
            matches!(*request.method(), Method::INVITE | Method::SUBSCRIBE | Method::REFER | Method::NOTIFY);
        if forms_dialog && (101..300).contains(&status.code()) {
            headers.copy_from(&request.headers, HeaderName::RecordRoute);
        }
        for name in [HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq] {
            headers.copy_from(&request.headers, name);
        }
        if status.code() == 100 {
            headers.copy_from(&request.headers, HeaderName::Timestamp);
        }
        let start = Start::Response { status, reason: phrase.into(), method: request.method().clone() };
        Self { start, headers, body: Bytes::new() }
    }

    /// Whether it is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    /// The request's method; for a response the method in its CSeq.
    pub fn method(&self) -> &Method {
        match &self.start {
            Start::Request { method, .. } | Start::Response { method, .. } => method,
        }
    }

    /// The Request-URI.
    pub fn uri(&self) -> Option<&Uri> {
        match &self.start {
            Start::Request { uri, .. } => Some(uri),
            Start::Response { .. } => None,
        }
    }

    /// The status of a response.
    pub fn status(&self) -> Option<StatusCode> {
        match &self.start {
            Start::Response { status, .. } => Some(*status),
            Start::Request { .. } => None,
        }
    }

    /// The reason phrase of a response, as text; may be empty.
    pub fn reason(&self) -> Option<std::borrow::Cow<'_, str>> {
        match &self.start {
            Start::Response { reason, .. } => Some(String::from_utf8_lossy(reason)),
            Start::Request { .. } => None,
        }
    }

    /// The headers.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The headers, to change them.
    pub fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }

    /// The body, empty if none.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Sets body and Content-Type. The Content-Length is written by [`Message::to_bytes`].
    pub fn set_body(&mut self, content_type: &str, body: impl Into<Bytes>) {
        self.headers.set(HeaderName::ContentType, content_type);
        self.body = body.into();
    }

    /// The topmost Via.
    pub fn via_top(&self) -> Option<Via> {
        let text = self.headers.text(HeaderName::Via)?;
        Via::parse_in(&text, CommaList::new(text.as_str()).next()?).ok()
    }

    /// The From.
    pub fn from(&self) -> Option<NameAddr> {
        self.address(HeaderName::From)
    }

    /// The To.
    pub fn to(&self) -> Option<NameAddr> {
        self.address(HeaderName::To)
    }

    fn address(&self, name: HeaderName) -> Option<NameAddr> {
        let text = self.headers.text(name)?;
        NameAddr::parse_in(&text, text.as_str()).ok()
    }

    /// The Call-ID.
    pub fn call_id(&self) -> Option<&str> {
        self.headers.get(HeaderName::CallId)
    }

    /// The CSeq.
    pub fn cseq(&self) -> Option<CSeq> {
        CSeq::parse(self.headers.get(HeaderName::CSeq)?).ok()
    }

    /// The Contacts in order; empty if none. `*` is an error: only REGISTER has it, and we are no registrar.
    pub fn contacts(&self) -> Result<Vec<NameAddr>, SyntaxError> {
        self.addresses(HeaderName::Contact)
    }

    /// The Record-Route set, top first.
    pub fn record_routes(&self) -> Result<Vec<NameAddr>, SyntaxError> {
        self.addresses(HeaderName::RecordRoute)
    }

    /// The Route set, top first.
    pub fn routes(&self) -> Result<Vec<NameAddr>, SyntaxError> {
        self.addresses(HeaderName::Route)
    }

    /// All values of any header made of name-addrs (P-Asserted-Identity, Diversion, Refer-To, ...), in order.
    pub fn addresses(&self, name: impl AsHeaderName) -> Result<Vec<NameAddr>, SyntaxError> {
        let split = name.known().is_some_and(HeaderName::is_list);
        let mut found = Vec::new();
        for text in self.headers.texts(name) {
            if split {
                for value in CommaList::new(text.as_str()) {
                    if found.len() == limits::ADDRESSES {
                        return Err(SyntaxError("more than 70 addresses in a header"));
                    }
                    found.push(NameAddr::parse_in(&text, value)?);
                }
            } else {
                found.push(NameAddr::parse_in(&text, text.as_str())?);
            }
        }
        Ok(found)
    }

    /// Max-Forwards, 0 to 255; `None` when absent.
    pub fn max_forwards(&self) -> Option<u8> {
        number(self.headers.get(HeaderName::MaxForwards)?, 255).map(|n| n as u8)
    }

    /// The media type without parameters, in lower case (`application/sdp`).
    pub fn content_type(&self) -> Option<String> {
        let value = self.headers.get(HeaderName::ContentType)?;
        let media = value.split(';').next().unwrap_or_default();
        Some(media.split([' ', '\t']).collect::<String>().to_ascii_lowercase())
    }

    /// Expires in seconds; absent or malformed is `None` (RFC 3261 section 20.19).
    pub fn expires(&self) -> Option<u32> {
        number(self.headers.get(HeaderName::Expires)?, u32::MAX - 1)
    }

    /// Adds a tag to To, unless it has one.
    pub fn set_to_tag(&mut self, tag: &str) {
        if let Some(to) = self.to().filter(|to| to.tag().is_none()) {
            let value = self.headers.get(HeaderName::To).unwrap_or_default();
            let params = NameAddr::new(to.uri().clone()).with_tag(tag).params().to_string();
            let tagged = format!("{value}{params}");
            self.headers.replace_first(HeaderName::To, &tagged);
        }
    }

    /// Notes in the top Via where the request really came from (RFC 3261 section 18.2.1, RFC 3581 section 4):
    /// `received` where sent-by differs from the source or rport was asked for, and the port in `rport`.
    /// What the sender itself wrote into `received` is replaced.
    pub fn note_source(&mut self, source: SocketAddr) {
        let Some(mut via) = self.via_top() else { return };
        let asked = via.rport().is_some();
        let differs = via.sent_by().host.ip() != Some(source.ip());
        if !asked && !differs && !via.params().contains("received") {
            return;
        }
        via.params_mut().set("received", Some(&source.ip().to_string()));
        if asked {
            via.params_mut().set("rport", Some(&source.port().to_string()));
        }
        self.replace_top_via(&via);
    }

    fn replace_top_via(&mut self, via: &Via) {
        let line = self.headers.get(HeaderName::Via).unwrap_or_default().to_owned();
        let rest: Vec<&str> = CommaList::new(&line).skip(1).collect();
        let mut value = via.to_string();
        for further in rest {
            value.push_str(", ");
            value.push_str(further);
        }
        self.headers.replace_first(HeaderName::Via, &value);
    }

    /// The message for the wire. A Content-Length that does not match the body is replaced.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.headers.size() + self.body.len() + 160);
        match &self.start {
            Start::Request { method, uri } => {
                for part in [method.as_str(), " ", uri.as_str(), " SIP/2.0\r\n"] {
                    out.put_slice(part.as_bytes());
                }
            }
            Start::Response { status, reason, .. } => {
                out.put_slice(format!("SIP/2.0 {status} ").as_bytes());
                out.put_slice(reason);
                out.put_slice(b"\r\n");
            }
        }
        self.headers.write(&mut out, self.body.len());
        out.put_slice(b"\r\n");
        out.put_slice(&self.body);
        out.freeze()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("start", &self.start)
            .field("headers", &self.headers)
            .field("body", &Text::from(String::from_utf8_lossy(&self.body).as_ref()))
            .finish()
    }
}
