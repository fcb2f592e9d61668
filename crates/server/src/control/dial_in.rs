//! A call comes in: who is it, may the number serve, can we speak with it.

use std::sync::Arc;

use bridge::{Event, LegId};
use bytes::Bytes;
use routing::LegDirection;
use sip::{Body, Flow, InviteId, Message};
use trunk::Profile;

use super::commands::reason_header;
use super::leg::Leg;
use super::load::RETRY_AFTER;
use super::{Control, Door, Now};
use crate::config::trunk_transport;

/// A call that is turned away before the bridge hears of it.
pub(super) struct TurnedAway {
    /// The SIP status.
    status: u16,
    /// What was wrong and what would be right, for the peer's engineer.
    why: String,
    /// The metric's label.
    label: &'static str,
    /// Seconds after which it may be tried again.
    retry_after: Option<u32>,
    /// The challenge of a 401; `None` for every other status.
    challenge: Option<sip::Challenge>,
}

impl TurnedAway {
    /// For good.
    pub(super) fn new(status: u16, why: &str, label: &'static str) -> Self {
        Self { status, why: why.to_owned(), label, retry_after: None, challenge: None }
    }
}

impl<D: Door> Control<D> {
    pub(super) fn invite_received(
        &mut self,
        now: Now,
        id: InviteId,
        request: &Arc<Message>,
        flow: Flow,
        offer: Option<&Bytes>,
        replaces: Option<InviteId>,
    ) {
        let taken = match replaces {
            Some(old) => self.replace_dialog(now, id, request, flow, offer, old),
            None => self.offer_leg(now, id, request, flow, offer),
        };
        if let Err(turned) = taken {
            self.metrics.sip_rejected.with_label_values(&[turned.label]).inc();
            // The first challenge of a call is in good order.
            let ordinary = turned.challenge.as_ref().is_some_and(|challenge| challenge.wrong.is_none());
            if !ordinary && let Some(unsaid) = self.quiet.take(now.mono) {
                tracing::warn!(
                    peer = %flow.remote, status = turned.status, why = ?turned.why, call_id = ?request.call_id(), unsaid,
                    "call turned away"
                );
            }
            // A stranger learns nothing of our configuration; a known peer's engineer learns what to change.
            let mut headers = Vec::new();
            if !matches!(turned.label, "no_trunk" | "unauthorized") {
                headers.extend(reasons(turned.status, &turned.why));
            }
            if let Some(seconds) = turned.retry_after {
                headers.push(("Retry-After".to_owned(), self.jittered(seconds).to_string()));
            }
            headers.extend(turned.challenge.into_iter().flat_map(|challenge| challenge.headers));
            let _ = self.endpoint.reject(now.mono, id, turned.status, None, &headers);
        }
    }

    /// The trunk that an INVITE comes from, with the credentials that it must show.
    pub(super) fn sender<'a>(
        &mut self,
        now: Now,
        trunks: &'a trunk::Trunks,
        request: &Message,
        flow: &Flow,
    ) -> Result<&'a trunk::Profile, TurnedAway> {
        let profile = trunks.identify(&self.origin(flow)).map_err(|unknown| TurnedAway {
            status: unknown.status(),
            why: unknown.to_string(),
            label: "no_trunk",
            retry_after: None,
            challenge: None,
        })?;
        if let Some(expected) = &profile.inbound_credentials {
            let checked = self.challenger.check(now.mono, request, profile.id.as_str(), expected);
            checked.map_err(|challenge| TurnedAway {
                status: 401,
                why: challenge.wrong.unwrap_or("credentials are asked for").to_owned(),
                label: "unauthorized",
                retry_after: None,
                challenge: Some(challenge),
            })?;
        }
        Ok(profile)
    }

    /// Whether there is room for one more leg, here and on its trunk; a channel of the trunk is taken for it.
    fn admit_offer(&mut self, now: Now, profile: &Profile) -> Result<(), TurnedAway> {
        if let Err(overload) = self.load.admit() {
            self.metrics.legs_refused.with_label_values(&["in", overload.label()]).inc();
            self.tell_limit(now, overload.label());
            return Err(TurnedAway {
                retry_after: Some(RETRY_AFTER),
                ..TurnedAway::new(503, &overload.to_string(), "overload")
            });
        }
        self.admission.try_take(now.mono, &profile.id, LegDirection::DialIn).map_err(|limit| {
            self.tell_limit(now, "trunk");
            TurnedAway {
                retry_after: Some(limit.retry_after),
                ..TurnedAway::new(limit.status, &limit.to_string(), "overload")
            }
        })
    }

    fn offer_leg(
        &mut self,
        now: Now,
        id: InviteId,
        request: &Arc<Message>,
        flow: Flow,
        offer: Option<&Bytes>,
    ) -> Result<(), TurnedAway> {
        let trunks = Arc::clone(&self.trunks);
        let profile = self.sender(now, &trunks, request, &flow)?;
        let call = trunk::dial_in(profile, request)
            .map_err(|refusal| TurnedAway::new(refusal.status, &refusal.because, "no_number"))?;
        self.admit_offer(now, profile)?;
        let media = self.open_media(now, profile, offer).map_err(|refused| {
            self.admission.release(&profile.id);
            // A port is free again when somebody hangs up; what the SDP says stays wrong.
            let retry_after = (refused.status == 503).then_some(RETRY_AFTER);
            TurnedAway { retry_after, ..TurnedAway::new(refused.status, &refused.why, refused.label) }
        })?;
        let leg = self.fresh_leg();
        let call_id = request.call_id().unwrap_or_default().to_owned();
        let entry = Leg {
            invite: Some(id),
            tried: vec![(flow.transport, flow.remote)],
            contact: Some(self.contact_for(profile, &flow, call.called.as_str())),
            number: call.called.as_str().to_owned(),
            media: Some(media),
            channel: true,
            call_id: call_id.clone(),
            ..Leg::new(LegDirection::DialIn, profile.id.clone(), now.mono)
        };
        self.legs.insert(leg, Box::new(entry));
        if let Some(claims) = trunk::Claims::of(request) {
            self.claims.insert(leg, claims);
        }
        self.by_invite.insert(id, leg);
        self.seating.expect(leg);
        self.metrics.calls.with_label_values(&["in", profile.id.as_str()]).inc();
        let session_id = self.endpoint.session_id(&call_id);
        tracing::info!(%leg, ?call_id, session_id, trunk = %profile.id, called = %call.called, "call offered");
        let caller = bridge::Caller {
            number: call.caller.number,
            display: call.caller.display.unwrap_or_default(),
            anonymous: call.caller.anonymous,
        };
        let offered = Event::LegOffered {
            leg,
            trunk: profile.id.clone(),
            called: call.called,
            caller,
            sip_call_id: call_id,
        };
        self.tell_bridge(now, offered);
        // Who insists on PRACK waits for something to acknowledge. Others hear nothing before the 200: a gateway that has
        // heard a provisional response does not try another bridge (Microsoft's failover).
        let insists = request.headers().has_token("Require", "100rel");
        if offer.is_some() && (insists || profile.terms.reliable == sip::Reliable::Required) {
            let _ = self.endpoint.progress(now.mono, id, 180, None);
        }
        Ok(())
    }

    /// Our Contact towards this peer: the trunk's paired name where it has one, and that we are a conference (RFC 4579).
    pub(super) fn contact_for(&self, profile: &trunk::Profile, flow: &Flow, called: &str) -> String {
        let (transport, local) = (trunk_transport(flow.transport), self.contact_of(flow));
        format!("{};isfocus", trunk::shape_contact(profile, transport, &local, Some(called)))
    }

    pub(super) fn answer(&mut self, now: Now, leg: LegId) {
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        let (Some(id), Some(media)) = (entry.invite, entry.media.as_ref()) else { return };
        let body = Body::sdp(media.sdp.clone());
        // When the caller gave up in this very moment, the endpoint says so by its own event.
        let contact = entry.contact.clone().map(|contact| ("Contact".to_owned(), contact));
        if self.endpoint.accept(now.mono, id, body, contact.as_slice()).is_err() {
            return;
        }
        entry.answered = Some(now.mono);
        let setup = now.mono.saturating_duration_since(entry.began).as_secs_f64();
        self.metrics.call_setup.with_label_values(&["in"]).observe(setup);
        tracing::info!(%leg, call_id = ?entry.call_id, "answered");
    }

    pub(super) fn refuse(&mut self, now: Now, leg: LegId, status: u16, reason: &str) {
        if let Some(id) = self.legs.get(&leg).and_then(|leg| leg.invite) {
            let _ = self.endpoint.reject(now.mono, id, status, None, &reasons(status, reason));
            // The statuses of rules D1 to D3, and the bridge's own limits.
            let label = match status {
                _ if self.draining => "draining",
                403 => "acl",
                503 => "overload",
                _ => "no_number",
            };
            self.metrics.sip_rejected.with_label_values(&[label]).inc();
        }
        tracing::info!(%leg, status, reason, "call refused");
        self.finish(now, leg, None);
    }
}

/// Why a call is refused, in SIP's terms and in the telephone network's (RFC 3326).
fn reasons(status: u16, why: &str) -> [(String, String); 2] {
    let name = || "Reason".to_owned();
    [(name(), reason_header("SIP", status, why)), (name(), format!("Q.850;cause={}", sip::q850(status)))]
}
