//! BYE (RFC 3261 section 15), sent and received, and `hangup` in every stage.

use std::sync::Arc;
use std::time::Instant;

use super::Endpoint;
use super::clients::User;
use super::event::{CommandError, End, FailureKind, InviteId};
use super::flow::Flow;
use super::ingress::dialog_key;
use super::reply::{Refusal, reply_flow};
use super::usage::{Leaving, Offering, Usage};
use crate::dialog::Dialog;
use crate::dialog::digest::Verdict;
use crate::transaction::key::ServerKey;
use crate::wire::{HeaderName, Message, Method};

/// A BYE on its way, with the dialog that it ends; kept so that a challenge can be answered.
#[derive(Debug)]
pub(super) struct Farewell {
    dialog: Dialog,
    reason: Option<String>,
    attempts: u8,
}

impl Endpoint {
    /// Ends a leg in whatever stage it is: a final refusal (480) for an INVITE that waits for us, CANCEL (once there
    /// has been a response to cancel) for one of ours, BYE otherwise. The `Failed` or `Ended` event follows; a 2xx
    /// that crosses the CANCEL is acknowledged and ended with BYE without a word to the application.
    ///
    /// `reason` is the value of a Reason header (RFC 3326), say `Q.850;cause=16`.
    pub fn hangup(&mut self, now: Instant, id: InviteId, reason: Option<&str>) -> Result<(), CommandError> {
        let reason = reason.map(str::to_owned);
        match self.usages.get_mut(&id) {
            None => return Err(CommandError::Gone),
            Some(Usage::Offered(_)) => {
                let extra: Vec<_> = reason.into_iter().map(|text| ("Reason".to_owned(), text)).collect();
                self.refuse_offered(now, id, 480, None, &extra);
                self.fail(id, FailureKind::Canceled, 480, "hung up before the answer");
            }
            Some(Usage::Calling(_)) => {
                let why = "hung up before the answer";
                self.give_up_calling(now, id, FailureKind::Canceled, 487, why, reason);
            }
            // RFC 3261 section 15: the called side must not send BYE before the ACK or its timeout.
            Some(Usage::Up(up)) if up.unacked.as_ref().is_some_and(|unacked| unacked.first) => {
                up.leaving.get_or_insert(Leaving { reason });
            }
            Some(Usage::Up(up)) => {
                if matches!(up.offering, Offering::AwaitingAnswer { .. }) {
                    self.acknowledge(now, id, None)?;
                }
                self.end_with_bye(now, id, End::Local, reason);
            }
        }
        Ok(())
    }

    /// Sends BYE. The dialog is over for us, whatever comes back (section 15.1.1).
    pub(super) fn send_bye(&mut self, now: Instant, dialog: Dialog, reason: Option<String>) {
        self.send_farewell(now, Farewell { dialog, reason, attempts: 0 });
    }

    fn send_farewell(&mut self, now: Instant, mut farewell: Farewell) {
        let (mut request, flow) = self.in_dialog_request(&mut farewell.dialog, Method::BYE, None);
        if let Some(reason) = &farewell.reason {
            request.headers_mut().push(HeaderName::Reason, reason);
        }
        self.start_client(now, request, flow, User::Bye(Box::new(farewell)));
    }

    /// Any request in a dialog, signed where the peer has asked for it before.
    pub(super) fn in_dialog_request(
        &mut self,
        dialog: &mut Dialog,
        method: Method,
        ack_of: Option<u32>,
    ) -> (Message, Flow) {
        let neighbors = self.neighbors.clone();
        let (mut request, flow) = dialog.request(method, ack_of, &neighbors, |flow| self.new_via(flow));
        if dialog.session_id.is_some() {
            self.name_request(&mut request, dialog.session_id.as_deref());
        }
        let authorizer = dialog.authorizer.as_mut().filter(|_| ack_of.is_none());
        if let Some(authorizer) = authorizer {
            let cnonce = self.token();
            authorizer.sign(&mut request, flow.remote.ip(), &neighbors, &cnonce);
        }
        if !self.config.user_agent.is_empty() {
            request.headers_mut().push(HeaderName::UserAgent, &self.config.user_agent);
        }
        (request, flow)
    }

    pub(super) fn bye_response(&mut self, now: Instant, handle: u64, response: &Arc<Message>) {
        let status = response.status().map_or(0, crate::wire::StatusCode::code);
        let Some(User::Bye(farewell)) = self.clients.get_mut(&handle).map(|client| &mut client.user) else {
            return;
        };
        if !matches!(status, 401 | 407) {
            return;
        }
        let attempts = farewell.attempts;
        let Some(authorizer) = &mut farewell.dialog.authorizer else { return };
        if authorizer.consider(response, attempts) == Verdict::Retry {
            let again = Farewell {
                dialog: farewell.dialog.clone(),
                reason: farewell.reason.clone(),
                attempts: attempts + 1,
            };
            self.send_farewell(now, again);
        }
    }

    /// A BYE of theirs.
    pub(super) fn handle_bye(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &Message,
        key: ServerKey,
        id: InviteId,
    ) {
        if matches!(self.usages.get(&id), Some(Usage::Calling(_))) {
            // Section 15: the called side must not send BYE in an early dialog; its INVITE response decides.
            return self.refuse(
                request,
                flow,
                Refusal::new(481, "BYE from the called side before it answered"),
            );
        }
        if let Err(refusal) = self.take_cseq(id, request) {
            return self.refuse(request, flow, refusal);
        }
        let server = self.start_server(request, key, reply_flow(request, flow), None, "");
        let response = self.response(request, 200, None, "");
        self.respond(now, server, &response);
        let reason = request.headers().get(HeaderName::Reason).map(str::to_owned);
        if matches!(self.usages.get(&id), Some(Usage::Offered(_))) {
            // Section 15.1.2: the INVITE that is still open gets 487.
            self.refuse_offered(now, id, 487, None, &[]);
            let why = reason.unwrap_or_else(|| "BYE before the answer".to_owned());
            self.fail(id, FailureKind::Canceled, 487, why);
        } else {
            self.end(now, id, End::Bye { reason });
        }
    }

    /// Checks a request's place in the order of its dialog (section 12.2.2).
    pub(super) fn take_cseq(&mut self, id: InviteId, request: &Message) -> Result<(), Refusal> {
        let number = request.cseq().map_or(0, |cseq| cseq.number);
        let Some(dialog) = dialog_key(request).and_then(|key| self.dialog_mut(id, &key)) else {
            return Ok(());
        };
        dialog
            .take_cseq(number)
            .map_err(|_| Refusal::new(500, format!("CSeq {number} is not higher than the ones before it")))
    }
}
