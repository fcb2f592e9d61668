//! An answered leg: the ACK, and the 2xx that is repeated until it comes (RFC 3261 section 13.3.1.4).

use std::time::Instant;

use super::body::carried;
use super::event::{CommandError, End, Event, InviteId};
use super::flow::{Flow, Transmit};
use super::usage::Offering;
use super::{Body, Endpoint};
use crate::dialog::Dialog;
use crate::transaction::TimerReason;
use crate::wire::{HeaderName, Message, Method};

impl Endpoint {
    /// An ACK in a dialog.
    pub(super) fn dialog_acked(&mut self, now: Instant, flow: Flow, id: InviteId, ack: &Message) {
        let number = ack.cseq().map_or(0, |cseq| cseq.number);
        let Some(up) = self.up_mut(id) else {
            return self.discard(flow, "ACK before any final response", None);
        };
        // A repeated ACK finds nothing to acknowledge any more: that is its normal fate (every copy of our 2xx is
        // answered by one), not worth a word.
        if up.unacked.as_ref().is_some_and(|unacked| unacked.cseq == number) {
            self.settle_accept(now, id, Some(ack));
        }
    }

    /// Our 2xx has arrived: its ACK is here, or (`None`) a later INVITE that nobody sends before it.
    pub(super) fn settle_accept(&mut self, now: Instant, id: InviteId, ack: Option<&Message>) {
        let Some(up) = self.up_mut(id) else { return };
        let Some(unacked) = up.unacked.take() else { return };
        let leaving = up.leaving.take();
        self.disarm_usage(id, TimerReason::AcceptRetransmit);
        self.disarm_usage(id, TimerReason::AckMissing);
        let answer = ack.filter(|_| unacked.offered).and_then(|ack| carried(ack).sdp());
        self.response_arrived(unacked.server);
        if unacked.first {
            self.emit(Event::Established { id, answer });
        } else if unacked.offered {
            self.emit(Event::ReinviteAnswered { id, body: answer });
        }
        if let Some(leaving) = leaving {
            self.end_with_bye(now, id, End::Local, leaving.reason);
        }
    }

    /// No ACK yet: the 2xx again, over any transport, with doubling up to T2.
    pub(super) fn repeat_accept(&mut self, now: Instant, id: InviteId) {
        let timers = self.config.timers;
        let Some(unacked) = self.up_mut(id).and_then(|up| up.unacked.as_mut()) else { return };
        unacked.interval = timers.backoff(unacked.interval);
        let (server, interval) = (unacked.server, unacked.interval);
        self.repeat_response(now, server);
        self.arm_usage(id, TimerReason::AcceptRetransmit, now, interval);
    }

    /// Acknowledges a 2xx that carried the offer, with our answer in `body`. Every other ACK is sent by itself.
    pub fn acknowledge(
        &mut self,
        _now: Instant,
        id: InviteId,
        body: Option<Body>,
    ) -> Result<(), CommandError> {
        let Some(usage) = self.usages.get_mut(&id) else { return Err(CommandError::Gone) };
        let super::usage::Usage::Up(up) = usage else {
            return Err(CommandError::WrongState("not answered yet"));
        };
        let Offering::AwaitingAnswer { client, cseq } = up.offering else {
            return Err(CommandError::WrongState("acknowledged already"));
        };
        up.offering = Offering::Idle;
        up.upkeep.sdp.clone_from(&body);
        let mut dialog = up.dialog.clone();
        let transmit = self.send_ack(&mut dialog, client, cseq, body);
        if let Some(attempt) = self.attempt_mut(client) {
            attempt.remember_ack(&dialog.key.remote_tag, transmit);
        }
        Ok(())
    }

    /// Builds and sends the ACK for a 2xx: a request of its own, over the route of the dialog (section 13.2.2.4),
    /// with the credentials of its INVITE (section 22.1).
    pub(super) fn send_ack(
        &mut self,
        dialog: &mut Dialog,
        client: u64,
        cseq: u32,
        body: Option<Body>,
    ) -> Transmit {
        let (mut ack, flow) = self.in_dialog_request(dialog, Method::ACK, Some(cseq));
        let asked = self
            .clients
            .get(&client)
            .filter(|client| self.neighbors.are_one_trunk(client.flow.remote.ip(), flow.remote.ip()));
        if let Some(invite) = asked.map(|client| &client.request) {
            ack.headers_mut().copy_from(invite.headers(), HeaderName::Authorization);
            ack.headers_mut().copy_from(invite.headers(), HeaderName::ProxyAuthorization);
        }
        if let Some(body) = body {
            ack.set_body(&body.content_type, body.bytes);
        }
        let transmit = Transmit { flow, bytes: ack.to_bytes() };
        self.transmits.push_back(transmit.clone());
        transmit
    }
}
