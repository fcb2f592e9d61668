//! Requests of ours inside of a dialog that neither begin nor end anything: PRACK, UPDATE as a refresh, NOTIFY.

use std::sync::Arc;
use std::time::Instant;

use super::Endpoint;
use super::clients::User;
use super::event::InviteId;
use super::usage::Usage;
use crate::dialog::digest::Verdict;
use crate::dialog::session_timer::SessionTimer;
use crate::dialog::{Dialog, DialogKey};
use crate::wire::{HeaderName, Message, Method, StatusCode};

/// Such a request, and what it needs to be sent again with credentials.
#[derive(Debug, Clone)]
pub(super) struct Inside {
    pub(super) usage: InviteId,
    key: DialogKey,
    pub(super) purpose: Purpose,
    attempts: u8,
}

/// What it is for.
#[derive(Debug, Clone)]
pub(super) enum Purpose {
    /// The PRACK for the provisional response with this RSeq to our INVITE with this CSeq.
    Prack { rseq: u32, cseq: u32 },
    /// An UPDATE without an offer, which keeps the dialog alive.
    Refresh,
    /// What became of the call that a REFER with this CSeq asked for.
    Notify { status: StatusCode, cseq: u32 },
}

impl Purpose {
    fn method(&self) -> Method {
        match self {
            Self::Prack { .. } => Method::PRACK,
            Self::Refresh => Method::UPDATE,
            Self::Notify { .. } => Method::NOTIFY,
        }
    }
}

impl Endpoint {
    /// Sends a request in a dialog; `None` when the dialog is gone.
    pub(super) fn send_inside(
        &mut self,
        now: Instant,
        id: InviteId,
        key: &DialogKey,
        purpose: Purpose,
        attempts: u8,
    ) -> Option<u64> {
        let mut dialog = self.dialog_mut(id, key)?.clone();
        let (mut request, flow) = self.in_dialog_request(&mut dialog, purpose.method(), None);
        match &purpose {
            Purpose::Prack { rseq, cseq } => {
                request.headers_mut().push(HeaderName::RAck, format!("{rseq} {cseq} INVITE"));
            }
            Purpose::Refresh => {
                request.headers_mut().push(HeaderName::Contact, &dialog.contact);
                self.ask_to_live(id, &mut request);
            }
            Purpose::Notify { status, cseq } => write_notify(&mut request, &dialog.contact, *status, *cseq),
        }
        if let Some(stored) = self.dialog_mut(id, key) {
            stored.local_cseq = dialog.local_cseq;
            stored.authorizer = dialog.authorizer;
        }
        self.note_spent(id, dialog.local_cseq);
        let inside = Inside { usage: id, key: key.clone(), purpose, attempts };
        Some(self.start_client(now, request, flow, User::Inside(Box::new(inside))))
    }

    pub(super) fn inside_response(&mut self, now: Instant, handle: u64, response: &Arc<Message>) {
        let status = response.status().map_or(0, crate::wire::StatusCode::code);
        let Some(User::Inside(inside)) = self.clients.get(&handle).map(|client| &client.user) else { return };
        let Inside { usage: id, key, purpose, attempts } = Inside::clone(inside);
        if status < 200 {
            return;
        }
        let refresh = matches!(purpose, Purpose::Refresh);
        let current = !refresh || self.is_refreshing(id, handle);
        if matches!(status, 401 | 407) && current {
            let authorizer = self.dialog_mut(id, &key).and_then(|dialog| dialog.authorizer.as_mut());
            if authorizer.map(|found| found.consider(response, attempts)) == Some(Verdict::Retry) {
                let again = self.send_inside(now, id, &key, purpose.clone(), attempts.saturating_add(1));
                if refresh {
                    self.note_refreshing(id, again);
                }
                return;
            }
        }
        let dialog = self.dialog_mut(id, &key).filter(|_| status < 300);
        if let Some(authorizer) = dialog.and_then(|dialog| dialog.authorizer.as_mut()) {
            authorizer.learn(response);
        }
        // The final response to the INVITE says whether a PRACK mattered; and who does not take a NOTIFY need not know.
        if current && refresh {
            self.refresh_answered(now, id, status, response);
        }
    }

    /// The dialog of a usage with this key: the only one, or that of one fork.
    pub(super) fn dialog_mut(&mut self, id: InviteId, key: &DialogKey) -> Option<&mut Dialog> {
        let dialog = match self.usages.get_mut(&id)? {
            Usage::Offered(offered) => &mut offered.dialog,
            Usage::Up(up) => &mut up.dialog,
            Usage::Calling(calling) => {
                &mut calling.early.iter_mut().find(|early| early.dialog.key == *key)?.dialog
            }
        };
        (dialog.key == *key).then_some(dialog)
    }

    /// Asks for a session timer in an INVITE or UPDATE of ours inside of a dialog, and says what we can do.
    pub(super) fn ask_to_live(&mut self, id: InviteId, request: &mut Message) {
        let Some(up) = self.up_mut(id) else { return };
        up.upkeep.terms.describe(request);
        SessionTimer::write_ask(&up.upkeep.terms, up.upkeep.timer, up.upkeep.min_se, request.headers_mut());
    }
}

/// RFC 3515 section 2.4.4: the body is the beginning of a response, and the last one ends the subscription.
fn write_notify(request: &mut Message, contact: &str, status: StatusCode, cseq: u32) {
    let state = if status.is_final() { "terminated;reason=noresource" } else { "active;expires=180" };
    let headers = request.headers_mut();
    headers.push(HeaderName::Contact, contact);
    headers.push(HeaderName::Event, format!("refer;id={cseq}"));
    headers.push(HeaderName::SubscriptionState, state);
    let fragment = format!("SIP/2.0 {status} {}\r\n", status.reason());
    request.set_body("message/sipfrag;version=2.0", fragment);
}
