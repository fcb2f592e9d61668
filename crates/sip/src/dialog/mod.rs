//! Dialogs (RFC 3261 section 12): what two parties remember of each other between requests.

pub(crate) mod digest;
pub(crate) mod route;
pub(crate) mod session_timer;

use crate::endpoint::{Flow, Neighbors, of_peer};
use crate::wire::{Message, Method, NameAddr, Uri};
use digest::Authorizer;

/// Call-ID and both tags (RFC 3261 section 12). A tag is empty for an RFC 2543 peer that sends none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct DialogKey {
    pub(crate) call_id: String,
    pub(crate) local_tag: String,
    pub(crate) remote_tag: String,
}

/// One dialog, early or confirmed.
#[derive(Debug, Clone)]
pub(crate) struct Dialog {
    pub(crate) key: DialogKey,
    /// The value of our From, tag included.
    pub(crate) local: String,
    /// The value of our To: theirs exactly as they wrote it, tag included.
    pub(crate) remote: String,
    pub(crate) local_cseq: u32,
    pub(crate) remote_cseq: Option<u32>,
    pub(crate) remote_target: Uri,
    pub(crate) route_set: Vec<NameAddr>,
    /// The value of our Contact.
    pub(crate) contact: String,
    /// The flow it was made on.
    pub(crate) flow: Flow,
    /// Whether we made up the Call-ID; it decides who waits longer after a glare (RFC 3261 section 14.1).
    pub(crate) owns_call_id: bool,
    pub(crate) authorizer: Option<Authorizer>,
    /// The peer's half of the Session-ID (RFC 7989); `None`: it has none, and gets none.
    pub(crate) session_id: Option<String>,
}

/// Why a CSeq is not accepted (RFC 3261 section 12.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutOfOrder;

impl Dialog {
    /// The UAS side of an INVITE (RFC 3261 section 12.1.1). `None`: it lacks what a dialog needs.
    pub(crate) fn from_invite(
        request: &Message,
        local_tag: &str,
        contact: String,
        flow: Flow,
    ) -> Option<Self> {
        let from = request.headers().get("From")?;
        let to = request.headers().get("To")?;
        let remote_target = match request.contacts().ok()?.into_iter().next() {
            Some(contact) => contact.uri().detached(),
            // RFC 2543 left Contact to the caller's choice (RFC 4475 section 3.4.1 asks us to take such an INVITE).
            None if request.via_top()?.rfc3261_branch().is_none() => request.from()?.uri().detached(),
            None => return None,
        };
        Some(Self {
            key: DialogKey {
                call_id: request.call_id()?.to_owned(),
                local_tag: local_tag.to_owned(),
                remote_tag: request.from()?.tag().unwrap_or_default().to_owned(),
            },
            local: format!("{to};tag={local_tag}"),
            remote: from.to_owned(),
            local_cseq: 0,
            remote_cseq: Some(request.cseq()?.number),
            remote_target,
            route_set: request.record_routes().ok()?.iter().map(NameAddr::detached).collect(),
            contact,
            flow,
            owns_call_id: false,
            authorizer: None,
            session_id: of_peer(request),
        })
    }

    /// The UAC side of an INVITE and a 1xx or 2xx to it (RFC 3261 section 12.1.2).
    pub(crate) fn from_response(invite: &Message, response: &Message, flow: Flow) -> Option<Self> {
        let contact = response.contacts().ok().and_then(|all| all.into_iter().next());
        // A 2xx must carry a Contact. Where a peer forgets it, what we dialed is the best guess.
        let remote_target = contact.map(|found| found.uri().detached()).or_else(|| invite.uri().cloned())?;
        let routes = response.record_routes().unwrap_or_default();
        let route_set = routes.iter().rev().map(NameAddr::detached).collect();
        Some(Self {
            key: DialogKey {
                call_id: invite.call_id()?.to_owned(),
                local_tag: invite.from()?.tag().unwrap_or_default().to_owned(),
                remote_tag: response.to()?.tag().unwrap_or_default().to_owned(),
            },
            local: invite.headers().get("From")?.to_owned(),
            remote: response.headers().get("To")?.to_owned(),
            local_cseq: invite.cseq()?.number,
            remote_cseq: None,
            remote_target,
            route_set,
            contact: invite.headers().get("Contact").unwrap_or_default().to_owned(),
            flow,
            owns_call_id: true,
            authorizer: None,
            session_id: of_peer(response),
        })
    }

    /// The next request in this dialog and the flow for it. `via` writes the Via for that flow; `ack_of` is the
    /// number of the INVITE for an ACK, which has none of its own. Where a Contact or Record-Route leads to an address that is
    /// not the peer's own, the message goes to the peer itself, as to an outbound proxy: nobody is called on by us because
    /// a peer says so.
    pub(crate) fn request(
        &mut self,
        method: Method,
        ack_of: Option<u32>,
        neighbors: &Neighbors,
        via: impl FnOnce(&Flow) -> String,
    ) -> (Message, Flow) {
        let target = route::target(&self.remote_target, &self.route_set);
        let led = route::flow_to(&target.next_hop, &self.flow);
        let home = self.flow.remote.ip();
        let flow = if neighbors.may_lead(home, led.remote.ip()) { led } else { self.flow };
        let number = ack_of.unwrap_or_else(|| {
            self.local_cseq = self.local_cseq.saturating_add(1);
            self.local_cseq
        });
        let cseq = format!("{number} {method}");
        let mut request = Message::request(method, target.request_uri);
        let headers = request.headers_mut();
        headers.push("Via", via(&flow));
        for route in target.routes {
            headers.push("Route", route);
        }
        headers.push("Max-Forwards", "70");
        headers.push("From", self.local.clone());
        headers.push("To", self.remote.clone());
        headers.push("Call-ID", self.key.call_id.clone());
        headers.push("CSeq", cseq);
        (request, flow)
    }

    /// Checks and takes the CSeq of a request in the dialog: it must be higher than every one before.
    pub(crate) fn take_cseq(&mut self, number: u32) -> Result<(), OutOfOrder> {
        if self.remote_cseq.is_some_and(|last| number <= last) {
            return Err(OutOfOrder);
        }
        self.remote_cseq = Some(number);
        Ok(())
    }

    /// Target refresh (RFC 3261 section 12.2): the Contact of a re-INVITE or of a 2xx to one replaces the target;
    /// the route set never changes.
    pub(crate) fn refresh_target(&mut self, message: &Message) {
        if let Some(contact) = message.contacts().ok().and_then(|all| all.into_iter().next()) {
            self.remote_target = contact.uri().detached();
        }
    }
}
