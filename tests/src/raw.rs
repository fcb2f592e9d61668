//! SIP by hand, for what no decent endpoint would send.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::fixture::BRIDGE;

/// One call whose messages a scenario writes itself.
#[derive(Clone, Debug)]
pub struct RawCall {
    /// Where it comes from.
    pub from: SocketAddr,
    /// The number dialed.
    pub number: String,
    /// Call-ID.
    pub call_id: String,
    /// The branch of the INVITE.
    pub branch: String,
    /// Our tag.
    pub tag: String,
    /// The bridge's tag, once known.
    pub remote_tag: Option<String>,
    /// The CSeq number of the INVITE.
    pub cseq: u32,
    /// The SDP of the INVITE, empty for none.
    pub sdp: String,
    /// Further headers, each with its line end.
    pub headers: String,
}

impl RawCall {
    /// A call to `number`; `name` makes its identifiers unique.
    pub fn new(from: SocketAddr, number: &str, name: &str, sdp: String) -> Self {
        Self {
            from,
            number: number.to_owned(),
            call_id: format!("raw-{name}@{}", from.ip()),
            branch: format!("z9hG4bKraw{name}"),
            tag: format!("tag-{name}"),
            remote_tag: None,
            cseq: 1,
            sdp,
            headers: String::new(),
        }
    }

    /// The INVITE.
    pub fn invite(&self) -> Bytes {
        let contact = format!("Contact: <sip:phone@{}>\r\n", self.from);
        let kind = if self.sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        self.request(
            "INVITE",
            &self.branch,
            self.cseq,
            &format!("{contact}{kind}{}", self.headers),
            &self.sdp,
        )
    }

    /// The CANCEL of the INVITE.
    pub fn cancel(&self) -> Bytes {
        let alone = Self { remote_tag: None, ..self.clone() };
        alone.request("CANCEL", &self.branch, self.cseq, "", "")
    }

    /// The ACK of a 2xx.
    pub fn ack(&self) -> Bytes {
        self.request("ACK", &format!("{}ack", self.branch), self.cseq, "", "")
    }

    /// The ACK of a refusal.
    pub fn ack_refusal(&self) -> Bytes {
        self.request("ACK", &self.branch, self.cseq, "", "")
    }

    /// A BYE.
    pub fn bye(&self) -> Bytes {
        self.request("BYE", &format!("{}bye", self.branch), self.cseq + 1, "", "")
    }

    /// Any request of this call.
    pub fn request(&self, method: &str, branch: &str, cseq: u32, headers: &str, body: &str) -> Bytes {
        let Self { from, number, call_id, tag, .. } = self;
        let remote = self.remote_tag.as_ref().map(|tag| format!(";tag={tag}")).unwrap_or_default();
        let length = body.len();
        format!(
            "{method} sip:{number}@{BRIDGE} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch={branch};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:+4930123456@{from}>;tag={tag}\r\nTo: <sip:{number}@{BRIDGE}>{remote}\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        )
        .into()
    }
}
