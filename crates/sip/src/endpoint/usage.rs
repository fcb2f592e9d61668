//! INVITE usages: one from the INVITE to its end, in exactly one stage at a time.

use std::time::{Duration, Instant};

use super::clients::later;
use super::event::{End, Event, Failure, FailureKind, InviteId};
use super::flow::Flow;
use super::prack::Provisionals;
use super::refresh::Upkeep;
use super::uac::Calling;
use super::{Endpoint, Terms, same_way};
use crate::dialog::Dialog;
use crate::dialog::session_timer::SessionTimer;
use crate::transaction::TimerReason;
use crate::transaction::queue::TimerOwner;
use crate::wire::Message;

/// One INVITE usage. It is removed, and its dialogs with it, by the event that ends it.
#[derive(Debug)]
pub(super) enum Usage {
    /// They called; no final response yet.
    Offered(Box<Offered>),
    /// We called; no final response yet.
    Calling(Box<Calling>),
    /// A 2xx was sent or received.
    Up(Box<Up>),
}

/// Stage: an INVITE waits for the application.
#[derive(Debug)]
pub(super) struct Offered {
    pub(super) server: u64,
    pub(super) request: std::sync::Arc<Message>,
    pub(super) dialog: Dialog,
    /// The INVITE had no SDP, so that our 200 carries the offer.
    pub(super) late_offer: bool,
    pub(super) terms: Terms,
    /// What is granted of the session timer that it asks for.
    pub(super) timer: Option<SessionTimer>,
    pub(super) provisionals: Provisionals,
}

/// Stage: the dialog is confirmed, or our 2xx waits for its ACK.
#[derive(Debug)]
pub(super) struct Up {
    pub(super) dialog: Dialog,
    /// A 2xx of ours without its ACK.
    pub(super) unacked: Option<Unacked>,
    /// An offer of ours under way.
    pub(super) offering: Offering,
    /// A re-INVITE of theirs that waits for the application.
    pub(super) asked: Option<Asked>,
    /// `hangup` was called before the ACK came: BYE follows it (RFC 3261 section 15).
    pub(super) leaving: Option<Leaving>,
    pub(super) upkeep: Upkeep,
    /// RSeq and CSeq of a provisional response of ours whose PRACK may still come.
    pub(super) reliable: Option<(u32, u32)>,
}

/// A 2xx that is repeated until its ACK (RFC 3261 section 13.3.1.4).
#[derive(Debug)]
pub(super) struct Unacked {
    pub(super) server: u64,
    pub(super) cseq: u32,
    pub(super) interval: Duration,
    /// It is the 2xx to the INVITE that began the dialog.
    pub(super) first: bool,
    /// It carries our offer; the ACK carries their answer.
    pub(super) offered: bool,
}

/// Where an offer of ours in the dialog stands.
#[derive(Debug)]
pub(super) enum Offering {
    /// None is under way.
    Idle,
    /// Their 2xx to our INVITE without an offer waits for `acknowledge`.
    AwaitingAnswer { client: u64, cseq: u32 },
    /// Our re-INVITE is on its way.
    Sent { client: u64 },
    /// It met theirs; it is sent again when the timer fires.
    Glare { body: super::Body, tries: u8, refresh: bool },
}

/// A re-INVITE of theirs.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) server: u64,
    pub(super) request: std::sync::Arc<Message>,
    pub(super) late_offer: bool,
    pub(super) timer: Option<SessionTimer>,
}

/// A BYE that waits for its moment.
#[derive(Debug)]
pub(super) struct Leaving {
    pub(super) reason: Option<String>,
}

impl Up {
    pub(super) fn new(dialog: Dialog, upkeep: Upkeep) -> Self {
        Self {
            dialog,
            unacked: None,
            offering: Offering::Idle,
            asked: None,
            leaving: None,
            upkeep,
            reliable: None,
        }
    }
}

impl Usage {
    /// The connection is gone: what the dialog sends next needs a new one.
    pub(super) fn lose_connection(&mut self, flow: &Flow) {
        let lose = |dialog: &mut Dialog| {
            if same_way(&dialog.flow, flow) {
                dialog.flow.connection = 0;
            }
        };
        match self {
            Self::Offered(offered) => lose(&mut offered.dialog),
            Self::Up(up) => lose(&mut up.dialog),
            Self::Calling(calling) => calling.early.iter_mut().for_each(|early| lose(&mut early.dialog)),
        }
    }
}

impl Endpoint {
    pub(super) fn up_mut(&mut self, id: InviteId) -> Option<&mut Up> {
        match self.usages.get_mut(&id) {
            Some(Usage::Up(up)) => Some(up),
            _ => None,
        }
    }

    /// The INVITE or re-INVITE behind `server` that still waits for the application's answer.
    pub(super) fn asking(&self, id: InviteId, server: u64) -> Option<&Message> {
        match self.usages.get(&id)? {
            Usage::Offered(offered) if offered.server == server => Some(&offered.request),
            Usage::Up(up) => {
                let asked = up.asked.as_ref().filter(|asked| asked.server == server)?;
                Some(&asked.request)
            }
            _ => None,
        }
    }

    pub(super) fn arm_usage(&mut self, id: InviteId, reason: TimerReason, now: Instant, after: Duration) {
        self.timers.arm(TimerOwner::Usage(id.0), reason, later(now, after));
    }

    pub(super) fn disarm_usage(&mut self, id: InviteId, reason: TimerReason) {
        self.timers.disarm(TimerOwner::Usage(id.0), reason);
    }

    /// Takes a usage out of every table.
    pub(super) fn take_usage(&mut self, now: Instant, id: InviteId) -> Option<Usage> {
        self.drop_update(now, id);
        self.drop_referral(now, id);
        let usage = self.usages.remove(&id)?;
        self.timers.forget(TimerOwner::Usage(id.0));
        match &usage {
            Usage::Offered(offered) => {
                self.dialogs.remove(&offered.dialog.key);
            }
            Usage::Up(up) => {
                self.dialogs.remove(&up.dialog.key);
            }
            Usage::Calling(calling) => {
                for early in &calling.early {
                    self.dialogs.remove(&early.dialog.key);
                }
            }
        }
        Some(usage)
    }

    pub(super) fn fail(&mut self, id: InviteId, kind: FailureKind, status: u16, reason: impl Into<String>) {
        let reason = reason.into();
        let failure = Failure { kind, status, reason, retry_after: None, response: None };
        self.emit(Event::Failed { id, failure });
    }

    /// Ends an answered leg without a BYE of ours. A re-INVITE that waits for an answer gets 487 (section 15.1.2).
    pub(super) fn end(&mut self, now: Instant, id: InviteId, end: End) -> Option<Dialog> {
        self.up_mut(id)?;
        let Some(Usage::Up(up)) = self.take_usage(now, id) else { return None };
        if let Offering::Sent { client } = up.offering {
            // Our re-INVITE outlives its leg only for as long as a final response may still come.
            self.limit_client(now, client);
        }
        if let Some(asked) = up.asked {
            let response = self.response(&asked.request, 487, None, &up.dialog.key.local_tag);
            self.respond(now, asked.server, &response);
        }
        self.emit(Event::Ended { id, end });
        Some(up.dialog)
    }

    /// Ends an answered leg with a BYE.
    pub(super) fn end_with_bye(&mut self, now: Instant, id: InviteId, end: End, reason: Option<String>) {
        if let Some(dialog) = self.end(now, id, end) {
            self.send_bye(now, dialog, reason);
        }
    }

    pub(super) fn usage_timer(&mut self, now: Instant, id: InviteId, reason: TimerReason) {
        match reason {
            TimerReason::AcceptRetransmit => self.repeat_accept(now, id),
            TimerReason::AckMissing => self.end_with_bye(
                now,
                id,
                End::AckTimeout,
                Some("SIP;cause=408;text=\"ACK missing\", Q.850;cause=102".to_owned()),
            ),
            TimerReason::AnswerDue => self.answer_is_due(now, id),
            TimerReason::GlareRetry => self.retry_after_glare(now, id),
            TimerReason::UpdateDue => drop(self.update_is_due(now, id)),
            TimerReason::ProvisionalRetransmit => self.repeat_provisional(now, id),
            TimerReason::PrackMissing => self.prack_is_missing(now, id),
            TimerReason::SessionRefresh => self.refresh(now, id),
            TimerReason::SessionOver => self.session_over(now, id),
            TimerReason::FirstResponse => {
                self.give_up_calling(now, id, FailureKind::NoResponse, 408, "nothing came back", None);
            }
            TimerReason::Provisional => {
                let why = "no ringing or progress in time";
                let reason = Some("Q.850;cause=102;text=\"no ringing in time\"".to_owned());
                self.give_up_calling(now, id, FailureKind::ProvisionalTimeout, 408, why, reason);
            }
            TimerReason::Ring if self.up_mut(id).is_some() => self.cancel_reinvite(now, id),
            TimerReason::Ring => {
                let reason = Some("Q.850;cause=19;text=\"no answer\"".to_owned());
                self.give_up_calling(now, id, FailureKind::RingTimeout, 408, "nobody answered", reason);
            }
            _ => {}
        }
    }
}
