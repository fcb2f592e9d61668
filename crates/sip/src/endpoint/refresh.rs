//! Session timers at work (RFC 4028): we refresh dialogs, or end those that nobody refreshes.
//!
//! We refresh by an UPDATE without SDP where the peer takes UPDATE, else by a re-INVITE with the description that we sent
//! last, so that nothing about the media changes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt;

use super::event::{CommandError, End, InviteId};
use super::inside::Purpose;
use super::usage::Offering;
use super::{Body, Endpoint, Terms};
use crate::dialog::session_timer::{SessionTimer, min_se_of};
use crate::transaction::TimerReason;
use crate::wire::{HeaderName, Message};

/// A refresh that cannot be sent at this moment is tried again after so long.
const SOON: Duration = Duration::from_secs(1);
/// A refresh that was refused for a reason that may pass is tried again after so long.
const LATER: Duration = Duration::from_secs(10);
/// How often one refresh is raised to the Min-SE of a 422.
const MAX_RAISES: u8 = 3;

/// What keeps a confirmed dialog alive.
#[derive(Debug)]
pub(super) struct Upkeep {
    pub(super) terms: Terms,
    /// What was settled last; `None`: nothing expires.
    pub(super) timer: Option<SessionTimer>,
    /// The largest Min-SE that a 422 has taught us, in seconds.
    pub(super) min_se: u32,
    /// The description of ours that we sent last.
    pub(super) sdp: Option<Body>,
    /// Whether the peer takes UPDATE.
    takes_update: bool,
    /// Our UPDATE under way.
    client: Option<u64>,
    raises: u8,
}

impl Upkeep {
    /// `peer` is the message that tells what the peer can do: its INVITE, or its 2xx to ours.
    pub(super) fn new(terms: Terms, peer: &Message, sdp: Option<Body>, min_se: u32) -> Self {
        let takes_update = super::terms::takes(peer, "UPDATE");
        Self { terms, timer: None, min_se, sdp, takes_update, client: None, raises: 0 }
    }

    /// Remembers the Min-SE of a 422; `false`: it has none that helps, or we are being led on.
    pub(super) fn raise(&mut self, response: &Message) -> bool {
        let asked = self.timer.map_or(self.terms.session_expires, |timer| timer.interval);
        let helps = min_se_of(response).filter(|least| *least > self.min_se || *least > asked);
        let Some(least) = helps.filter(|_| self.raises < MAX_RAISES) else { return false };
        self.raises += 1;
        self.min_se = self.min_se.max(least);
        true
    }
}

impl Endpoint {
    /// Refreshes the dialog now instead of at half of its interval, by the same means. No event follows: a peer that has lost
    /// the dialog ends it, with [`Event::Ended`](super::Event::Ended).
    ///
    /// # Errors
    /// The leg is not up.
    pub fn refresh_dialog(&mut self, now: Instant, id: InviteId) -> Result<(), CommandError> {
        self.up(id)?;
        self.refresh(now, id);
        Ok(())
    }

    /// A 2xx to an INVITE or UPDATE has settled the timer of a dialog.
    pub(super) fn keep_alive(&mut self, now: Instant, id: InviteId, timer: Option<SessionTimer>) {
        let Some(up) = self.up_mut(id) else { return };
        up.upkeep.timer = timer;
        up.upkeep.raises = 0;
        self.disarm_usage(id, TimerReason::SessionRefresh);
        self.disarm_usage(id, TimerReason::SessionOver);
        let Some(timer) = timer else { return };
        self.arm_usage(id, TimerReason::SessionOver, now, timer.over_after());
        if timer.ours {
            self.arm_usage(id, TimerReason::SessionRefresh, now, timer.refresh_after());
        }
    }

    /// A final answer to an INVITE or UPDATE of ours inside of the dialog, with what it settles.
    pub(super) fn keep_alive_by(&mut self, now: Instant, id: InviteId, response: &Message) {
        let Some(up) = self.up_mut(id) else { return };
        let timer = SessionTimer::settled(&up.upkeep.terms, response);
        self.keep_alive(now, id, timer);
    }

    /// Half of the interval is over.
    pub(super) fn refresh(&mut self, now: Instant, id: InviteId) {
        let Some(up) = self.up_mut(id) else { return };
        let begun = up.unacked.as_ref().is_none_or(|unacked| !unacked.first);
        let idle = matches!(up.offering, Offering::Idle) && up.asked.is_none() && up.unacked.is_none();
        if up.upkeep.client.is_some() || !begun {
            return self.arm_usage(id, TimerReason::SessionRefresh, now, SOON);
        }
        let sdp = up.upkeep.sdp.clone();
        if up.upkeep.takes_update || sdp.is_none() {
            let key = up.dialog.key.clone();
            let client = self.send_inside(now, id, &key, Purpose::Refresh, 0);
            self.note_refreshing(id, client);
        } else if let Some(sdp) = sdp.filter(|_| idle && !self.updates.contains_key(&id)) {
            self.send_refreshing_invite(now, id, sdp);
        } else {
            self.arm_usage(id, TimerReason::SessionRefresh, now, SOON);
        }
    }

    /// Nobody has refreshed the dialog in time: BYE (section 10).
    pub(super) fn session_over(&mut self, now: Instant, id: InviteId) {
        let reason = "Q.850;cause=102;text=\"session timer expired\"".to_owned();
        self.end_with_bye(now, id, End::Expired, Some(reason));
    }

    pub(super) fn is_refreshing(&self, id: InviteId, handle: u64) -> bool {
        matches!(self.usages.get(&id), Some(super::usage::Usage::Up(up)) if up.upkeep.client == Some(handle))
    }

    pub(super) fn note_refreshing(&mut self, id: InviteId, client: Option<u64>) {
        if let Some(up) = self.up_mut(id) {
            up.upkeep.client = client;
        }
    }

    /// Our UPDATE got its final answer.
    pub(super) fn refresh_answered(
        &mut self,
        now: Instant,
        id: InviteId,
        status: u16,
        response: &Arc<Message>,
    ) {
        self.note_refreshing(id, None);
        let Some(up) = self.up_mut(id) else { return };
        match status {
            200..=299 => {
                up.dialog.refresh_target(response);
                self.keep_alive_by(now, id, response);
            }
            422 if up.upkeep.raise(response) => self.refresh(now, id),
            // It may be busy with an offer that it thinks we are waiting for, or with itself.
            491 | 500 | 503 => self.refresh_later(now, id, status, response),
            408 | 481 => self.refresh_failed(now, id, status),
            // Whatever it dislikes about our UPDATE, it must take an INVITE.
            _ => {
                up.upkeep.takes_update = up.upkeep.sdp.is_none();
                self.arm_usage(id, TimerReason::SessionRefresh, now, SOON);
            }
        }
    }

    /// The refresh is tried again, by the same means.
    pub(super) fn refresh_later(&mut self, now: Instant, id: InviteId, status: u16, response: &Message) {
        let told = response.headers().get(HeaderName::RetryAfter).and_then(super::uac::leading_number);
        let after = match (status, told) {
            (491, _) => Duration::from_millis(10 * self.rng.random_range(210..=400)),
            (_, Some(seconds)) => Duration::from_secs(u64::from(seconds.clamp(1, 30))),
            _ => LATER,
        };
        self.arm_usage(id, TimerReason::SessionRefresh, now, after);
    }

    /// Our UPDATE met silence (408), a lost dialog (481) or a transport that does not work (503).
    pub(super) fn refresh_failed(&mut self, now: Instant, id: InviteId, status: u16) {
        self.note_refreshing(id, None);
        match status {
            481 => drop(self.end(now, id, End::DialogGone(481))),
            408 => self.end_with_bye(now, id, End::DialogGone(408), None),
            _ => self.arm_usage(id, TimerReason::SessionRefresh, now, LATER),
        }
    }
}
