//! Which transaction a message belongs to.

use crate::wire::{Message, Via};

/// RFC 3261 section 17.1.3: the branch of our Via and the method of CSeq.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ClientKey {
    pub(crate) branch: String,
    pub(crate) method: String,
}

/// RFC 3261 section 17.2.3.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum ServerKey {
    /// A branch with the cookie, the sent-by it is unique for, and the method (ACK counts as INVITE).
    Branch { branch: String, sent_by: String, method: String },
    /// An RFC 2543 peer: everything that made a request unique before there were branches. The To tag is left out,
    /// since an ACK carries the one of our response and the CSeq number tells requests of a dialog apart already.
    Legacy { uri: String, from_tag: String, call_id: String, cseq: u32, via: String, method: String },
}

/// RFC 3261 section 8.2.2.2: two requests with these in common but different transactions took different paths.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct MergeKey {
    pub(crate) call_id: String,
    pub(crate) from_tag: String,
    pub(crate) cseq: u32,
    pub(crate) method: String,
}

impl ServerKey {
    /// The key of a request; with `method` another than its own, the key of the request that it is about (an ACK's
    /// or a CANCEL's INVITE). `None`: no top Via.
    pub(crate) fn of(request: &Message, method: &str) -> Option<Self> {
        let via = request.via_top()?;
        let method = method.to_owned();
        // "z9hG4bK" and nothing behind it identifies nothing (RFC 4475 section 3.2.2): matched the old way.
        if let Some(branch) = via.rfc3261_branch().filter(|branch| branch.len() > Via::MAGIC_COOKIE.len()) {
            // Branches are compared without case (RFC 3261 section 7.3.1: tokens are case-insensitive).
            let branch = branch.to_ascii_lowercase();
            let sent_by = via.sent_by().to_string().to_ascii_lowercase();
            return Some(Self::Branch { branch, sent_by, method });
        }
        Some(Self::Legacy {
            uri: request.uri()?.as_str().to_owned(),
            from_tag: from_tag(request),
            call_id: request.call_id()?.to_owned(),
            cseq: request.cseq()?.number,
            via: via.to_string(),
            method,
        })
    }
}

impl MergeKey {
    /// The key of a request outside of a dialog; `None` for one inside.
    pub(crate) fn of(request: &Message) -> Option<Self> {
        if request.to()?.tag().is_some() {
            return None;
        }
        Some(Self {
            call_id: request.call_id()?.to_owned(),
            from_tag: from_tag(request),
            cseq: request.cseq()?.number,
            method: request.method().as_str().to_owned(),
        })
    }
}

fn from_tag(request: &Message) -> String {
    request.from().and_then(|from| from.tag().map(str::to_owned)).unwrap_or_default()
}
