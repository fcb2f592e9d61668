//! A leg gets another dialog in mid-call: an INVITE with Replaces takes the place of its own (RFC 3891), or a REFER of the peer's
//! sends us to another (RFC 3515). The person, the seat in the mixer and the record stay; who signals, and where media goes, is
//! new. Each only where the trunk's profile says so, and only within that trunk.

use std::sync::Arc;

use bridge::{EndedBy, LegEnd, LegId};
use bytes::Bytes;
use rand::RngExt as _;
use sip::sdp::{self, LocalMedia, MasterKey};
use sip::{Body, Event, Flow, Host, InviteId, Message, NameAddr, OutgoingInvite};

use super::dial_in::TurnedAway;
use super::media::foreign;
use super::reinvite::capabilities;
use super::{Control, Door, Now, keys};
use crate::config::sip_transport as transport;

/// Our BYE to the dialog that is given up.
const REPLACED: &str = "SIP;cause=200;text=\"replaced by another dialog\"";
/// The longest Referred-By that is passed on (Microsoft's has up to 400 characters, and may grow).
const MAX_REFERRED_BY: usize = 1024;

/// A call that a REFER asked for, and that has no answer yet.
pub(super) struct Referral {
    leg: LegId,
    /// The dialog of the REFER; `None` once its peer has hung up, as it may.
    from: Option<InviteId>,
    local: LocalMedia,
    sdp: Bytes,
}

impl<D: Door> Control<D> {
    /// An INVITE wants the place of a leg's dialog.
    pub(super) fn replace_dialog(
        &mut self,
        now: Now,
        id: InviteId,
        request: &Arc<Message>,
        flow: Flow,
        offer: Option<&Bytes>,
        old: InviteId,
    ) -> Result<(), TurnedAway> {
        let refused = |status, why: &str| TurnedAway::new(status, why, "transfer");
        let trunks = Arc::clone(&self.trunks);
        let sender = self.sender(now, &trunks, request, &flow)?;
        let leg = self.leg_of(old).ok_or_else(|| refused(481, "Replaces names a dialog that is ending"))?;
        let entry =
            self.legs.get_mut(&leg).ok_or_else(|| refused(481, "Replaces names a leg that is gone"))?;
        let profile = trunks.get(&entry.trunk).ok_or_else(|| refused(481, "its trunk is gone"))?;
        // Who knows the tags of another trunk's dialog shall not get its call.
        if sender.id != profile.id {
            return Err(refused(403, "Replaces names a dialog of another trunk"));
        }
        let offer = offer.ok_or_else(|| refused(488, "an INVITE with Replaces needs an offer"))?;
        let number = entry.number.clone();
        let media = entry.media.as_mut().ok_or_else(|| refused(481, "the leg has no media yet"))?;
        let keys = keys::fresh(&mut self.key_source, profile);
        let local = elsewhere(&media.local, self.random.random(), keys);
        let (sdp, negotiated) = sdp::answer(offer, &local, &capabilities(profile, media))
            .and_then(|(sdp, found)| Ok((sdp, foreign(&self.door, &self.locals, found)?)))
            .map_err(|error| TurnedAway::new(error.status(), &error.to_string(), "sdp"))?;
        (media.local, media.sdp) = (local, sdp.clone());
        entry.tried.push((flow.transport, flow.remote));
        let contact = ("Contact".to_owned(), self.contact_for(profile, &flow, &number));
        if self.endpoint.accept(now.mono, id, Body::sdp(sdp), &[contact]).is_ok() {
            tracing::info!(%leg, call_id = ?request.call_id(), "another dialog takes the place of the leg's");
            self.take_over(now, leg, id, Some(old));
            self.renegotiated(leg, &negotiated, profile);
        }
        Ok(())
    }

    /// From now on the leg rides on another dialog.
    fn take_over(&mut self, now: Now, leg: LegId, new: InviteId, old: Option<InviteId>) {
        let call_id = self.endpoint.call_id(new).unwrap_or_default().to_owned();
        if let Some(entry) = self.legs.get_mut(&leg) {
            entry.invite = Some(new);
            entry.call_id = call_id;
        }
        self.by_invite.insert(new, leg);
        if let Some(old) = old {
            self.by_invite.remove(&old);
            let _ = self.endpoint.hangup(now.mono, old, Some(REPLACED));
        }
    }

    /// The peer asks us to call somebody else in its place.
    pub(super) fn refer_received(
        &mut self,
        now: Now,
        id: InviteId,
        leg: LegId,
        target: &NameAddr,
        by: Option<&str>,
    ) {
        match self.refer(now, id, leg, target, by) {
            Ok(()) => {
                tracing::info!(%leg, target = ?target.uri().as_str(), "the peer refers the leg to another dialog");
                let _ = self.endpoint.accept_refer(now.mono, id);
            }
            Err(why) => {
                tracing::warn!(%leg, target = ?target.uri().as_str(), why, "REFER declined");
                let _ = self.endpoint.reject_refer(now.mono, id, 603);
            }
        }
    }

    fn refer(
        &mut self,
        now: Now,
        id: InviteId,
        leg: LegId,
        target: &NameAddr,
        by: Option<&str>,
    ) -> Result<(), &'static str> {
        let trunks = Arc::clone(&self.trunks);
        let entry = self.legs.get(&leg).ok_or("the leg is gone")?;
        let profile = trunks.get(&entry.trunk).ok_or("its trunk is gone")?;
        if self.draining || !profile.enabled {
            return Err("draining");
        }
        if self.referrals.values().any(|referral| referral.leg == leg) {
            return Err("an earlier REFER of this leg is not finished");
        }
        // A target anywhere would let the peer place calls in our name: only its own hosts, which route as they like.
        let peer = profile.peers.iter().find(|peer| leads_to(target, peer));
        let peer = peer.ok_or("Refer-To leads to a host that is no peer of this trunk")?;
        let flow = self.flow_to(transport(peer.transport), peer.address).map_err(|_| "no listener fits")?;
        let media = entry.media.as_ref().ok_or("the leg has no media yet")?;
        let keys = keys::fresh(&mut self.key_source, profile);
        let local = elsewhere(&media.local, self.random.random(), keys);
        let sdp = sdp::offer(&local, &capabilities(profile, media));
        let by = by.filter(|by| by.len() <= MAX_REFERRED_BY);
        let shaped = trunk::shape_referred(profile, peer, &self.contact_of(&flow), &entry.number, target, by);
        let outgoing = OutgoingInvite {
            flow,
            request_uri: shaped.request_uri,
            from: shaped.from,
            to: shaped.to,
            contact: shaped.contact,
            extra: shaped.headers,
            body: Some(Body::sdp(sdp.clone())),
            credentials: profile.credentials.clone(),
            first_response_within: profile.first_response_within,
            provisional_within: profile.failover_time,
            ring_for: profile.ring_for,
            terms: profile.terms,
        };
        let new = self.endpoint.invite(now.mono, outgoing);
        self.referrals.insert(new, Referral { leg, from: Some(id), local, sdp });
        Ok(())
    }

    /// Takes the events of calls that a REFER asked for; gives back all others.
    pub(super) fn referral_event(&mut self, now: Now, event: Event) -> Option<Event> {
        let id = match &event {
            Event::Progress { id, .. } | Event::Answered { id, .. } | Event::Failed { id, .. } => *id,
            Event::ReinviteReceived { id, .. } if self.referrals.contains_key(id) => {
                let _ = self.endpoint.reject_reinvite(now.mono, *id, 488, &[]);
                return None;
            }
            _ => return Some(event),
        };
        if !self.referrals.contains_key(&id) {
            return Some(event);
        }
        match event {
            Event::Progress { status, .. } => {
                if let Some(from) = self.referrals.get(&id).and_then(|referral| referral.from) {
                    let _ = self.endpoint.notify_refer(now.mono, from, status);
                }
            }
            Event::Answered { body, .. } => self.referral_answered(now, id, &body.unwrap_or_default()),
            Event::Failed { failure, .. } => self.referral_failed(now, id, failure.status),
            _ => {}
        }
        None
    }

    fn referral_answered(&mut self, now: Now, id: InviteId, answer: &Bytes) {
        let trunks = Arc::clone(&self.trunks);
        let Some(referral) = self.referrals.get(&id) else { return };
        let Some(entry) = self.legs.get_mut(&referral.leg) else { return };
        let Some(profile) = trunks.get(&entry.trunk) else { return };
        let Some(media) = entry.media.as_mut() else { return };
        let agreed = sdp::accept_answer(&referral.sdp, answer, &capabilities(profile, media))
            .and_then(|found| foreign(&self.door, &self.locals, found));
        match agreed {
            Ok(negotiated) => {
                let Some(Referral { leg, from, local, sdp }) = self.referrals.remove(&id) else { return };
                (media.local, media.sdp) = (local, sdp);
                if let Some(from) = from {
                    let _ = self.endpoint.notify_refer(now.mono, from, 200);
                }
                self.take_over(now, leg, id, from);
                self.renegotiated(leg, &negotiated, profile);
            }
            Err(error) => {
                tracing::warn!(leg = %referral.leg, %error, "the SDP of the call that a REFER asked for cannot be used");
                let _ =
                    self.endpoint.hangup(now.mono, id, Some("SIP;cause=488;text=\"unusable SDP answer\""));
                self.referral_failed(now, id, 488);
            }
        }
    }

    /// The leg stays where it is; if the peer has hung up in the meantime, that was the end of it.
    fn referral_failed(&mut self, now: Now, id: InviteId, status: u16) {
        let Some(Referral { leg, from, .. }) = self.referrals.remove(&id) else { return };
        tracing::info!(%leg, status, "the call that a REFER asked for came to nothing");
        if let Some(from) = from {
            let _ = self.endpoint.notify_refer(now.mono, from, status);
        } else {
            let reason = "referred away, and nobody answered".to_owned();
            self.leg_ended(now, leg, LegEnd { by: EndedBy::Bye, sip_status: 0, q850: None, reason });
        }
    }

    /// The peer hung up; `true` where it has referred the leg elsewhere before, so that the leg waits for that.
    pub(super) fn is_referred(&mut self, leg: LegId) -> bool {
        let referral = self.referrals.values_mut().find(|referral| referral.leg == leg);
        referral.is_some_and(|referral| referral.from.take().is_some())
    }

    /// The leg is over, and with it what a REFER asked for.
    pub(super) fn drop_referral(&mut self, now: Now, leg: LegId) {
        let found = self.referrals.iter().find(|(_, referral)| referral.leg == leg).map(|(id, _)| *id);
        if let Some(id) = found {
            self.referrals.remove(&id);
            let _ = self.endpoint.hangup(now.mono, id, None);
        }
    }
}

/// The leg's media in a description of its own: another dialog is another session (RFC 8866 section 5.2), under other keys.
fn elsewhere(media: &LocalMedia, session: u64, keys: Vec<MasterKey>) -> LocalMedia {
    LocalMedia { session_id: session >> 2, session_version: 1, keys, ..media.clone() }
}

/// Whether a target names the host of a peer.
fn leads_to(target: &NameAddr, peer: &trunk::Peer) -> bool {
    let Some(host) = target.uri().host().filter(|_| target.uri().is_sip()) else { return false };
    peer.host.as_ref() == Some(host) || *host == Host::from(peer.address.ip())
}
