//! The meeting calls somebody: one INVITE an attempt, and what came of it.

use std::sync::Arc;

use bridge::{DialFailure, DialFailureKind, Event, LegId};
use bytes::Bytes;
use routing::{Candidate, LegDirection};
use sip::{Body, Failure, FailureKind, Flow, InviteId, OutgoingInvite, Transport};
use trunk::{Peer, Profile};

use super::leg::Leg;
use super::media::foreign;
use super::{Control, Door, Now};
use crate::config::sip_transport as transport;

/// Our own reasons for not sending an INVITE.
struct NotSent {
    kind: DialFailureKind,
    status: u16,
    why: String,
}

impl<D: Door> Control<D> {
    pub(super) fn dial(&mut self, now: Now, leg: LegId, attempt: u32, candidate: &Candidate) {
        let fresh = || Leg::new(LegDirection::DialOut, candidate.trunk.clone(), now.mono);
        let entry = self.legs.entry(leg).or_insert_with(|| Box::new(fresh()));
        entry.attempt = attempt;
        entry.trunk = candidate.trunk.clone();
        candidate.caller_id.as_str().clone_into(&mut entry.number);
        entry.candidate = Some(candidate.clone());
        entry.tried.clear();
        self.seating.expect(leg);
        self.dial_next_peer(now, leg, candidate);
    }

    /// Sends the attempt's INVITE to the best peer of the trunk that it has not tried yet.
    fn dial_next_peer(&mut self, now: Now, leg: LegId, candidate: &Candidate) {
        let attempt = self.legs.get(&leg).map_or(0, |entry| entry.attempt);
        if let Err(not_sent) = self.send_invite(now, leg, candidate) {
            tracing::warn!(%leg, attempt, trunk = %candidate.trunk, why = not_sent.why, "dial-out attempt not sent");
            let failure = DialFailure {
                kind: not_sent.kind,
                status: not_sent.status,
                q850: None,
                failover: true,
                reason: not_sent.why,
            };
            self.tell_bridge(now, Event::LegFailed { leg, attempt, failure });
        }
    }

    fn send_invite(&mut self, now: Now, leg: LegId, candidate: &Candidate) -> Result<(), NotSent> {
        let local = |why: String| NotSent { kind: DialFailureKind::Local, status: 503, why };
        let trunks = Arc::clone(&self.trunks);
        let profile =
            trunks.get(&candidate.trunk).ok_or_else(|| local("this trunk is not configured".to_owned()))?;
        let peer = self
            .untried_peer(profile, leg)
            .cloned()
            .ok_or_else(|| local("no peer of this trunk is left to try".to_owned()))?;
        let peer = &peer;
        let flow = self.flow_to(transport(peer.transport), peer.address).map_err(local)?;
        self.admission
            .try_take(now.mono, &profile.id, LegDirection::DialOut)
            .map_err(|limit| local(limit.to_string()))?;
        let held = self.legs.get_mut(&leg).and_then(|entry| entry.media.take());
        let media = match held {
            Some(media) => self.offer_again(now, profile, media),
            None => self.open_media(now, profile, None),
        };
        let media = media.map_err(|refused| {
            self.admission.release(&profile.id);
            local(refused.why)
        })?;
        let request = trunk::DialOut {
            dialed: candidate.dialed.clone(),
            caller_id: candidate.caller_id.clone(),
            display: None,
            withheld: false,
            local: self.contact_of(&flow),
        };
        let mut shaped = trunk::shape_invite(profile, peer, &request);
        let routes = self.registrations.routes(&profile.id).iter();
        shaped.headers.extend(routes.map(|route| ("Route".to_owned(), route.clone())));
        let outgoing = OutgoingInvite {
            flow,
            request_uri: shaped.request_uri,
            from: shaped.from,
            to: shaped.to,
            contact: shaped.contact,
            extra: shaped.headers,
            body: Some(Body::sdp(media.sdp.clone())),
            credentials: profile.credentials.clone(),
            first_response_within: profile.first_response_within,
            provisional_within: profile.failover_time,
            ring_for: profile.ring_for,
            terms: profile.terms,
        };
        let id = self.endpoint.invite(now.mono, outgoing);
        self.metrics.calls.with_label_values(&["out", profile.id.as_str()]).inc();
        tracing::info!(%leg, trunk = %profile.id, peer = %peer.address, dialed = %candidate.dialed, caller_id = %candidate.caller_id, because = candidate.because, "dialing");
        self.by_invite.insert(id, leg);
        let sip_call_id = self.endpoint.call_id(id).unwrap_or_default().to_owned();
        if let Some(entry) = self.legs.get_mut(&leg) {
            entry.invite = Some(id);
            entry.call_id.clone_from(&sip_call_id);
            entry.tried.push((transport(peer.transport), peer.address));
            entry.channel = true;
            entry.media = Some(media);
            let attempt = entry.attempt;
            self.tell_bridge(now, Event::LegDialed { leg, attempt, sip_call_id });
        }
        Ok(())
    }

    /// The best peer of a trunk that this attempt has not tried.
    fn untried_peer<'a>(&mut self, profile: &'a Profile, leg: LegId) -> Option<&'a Peer> {
        let entry = self.legs.get(&leg)?;
        self.monitor
            .in_order(profile, &mut self.random)
            .into_iter()
            .find(|peer| !entry.tried.contains(&(transport(peer.transport), peer.address)))
    }

    /// The flow to a peer, from the listener that fits.
    pub(super) fn flow_to(&self, transport: Transport, remote: std::net::SocketAddr) -> Result<Flow, String> {
        self.locals
            .listeners
            .iter()
            .find(|own| own.transport == transport && own.address.is_ipv4() == remote.is_ipv4())
            .map(|own| Flow { transport, local: own.address, remote, connection: 0 })
            .ok_or_else(|| {
                format!(
                    "no {} listener of the address family of {remote}: add one to sip.listen",
                    transport.via_token()
                )
            })
    }

    /// The host and port at which the peer of this flow reaches us.
    pub(super) fn contact_of(&self, flow: &Flow) -> trunk::Local {
        if let Some(one) = self.locals.advertised.iter().find(|one| one.is_of(flow)) {
            let port = one.name.port.unwrap_or(flow.local.port());
            return trunk::Local { host: one.name.host.clone(), port };
        }
        let host = self.locals.advertise.clone().unwrap_or_else(|| sip::Host::from(flow.local.ip()));
        trunk::Local { host, port: flow.local.port() }
    }

    pub(super) fn cancel_dial(&mut self, now: Now, leg: LegId, attempt: u32) {
        let Some(entry) = self.legs.get(&leg) else { return };
        if entry.attempt != attempt {
            return;
        }
        if let Some(id) = entry.invite {
            let _ = self.endpoint.hangup(now.mono, id, Some("Q.850;cause=16;text=\"nobody waits any more\""));
            self.attempt_over(leg);
        }
    }

    /// The attempt's INVITE is no longer ours: its channel is free, what it reports later is ignored.
    fn attempt_over(&mut self, leg: LegId) {
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        if let Some(id) = entry.invite.take() {
            self.by_invite.remove(&id);
        }
        if std::mem::take(&mut entry.channel) {
            self.admission.release(&entry.trunk);
            self.metrics.calls.with_label_values(&["out", entry.trunk.as_str()]).dec();
        }
    }

    pub(super) fn progress(&mut self, now: Now, leg: LegId, status: u16) {
        let Some(entry) = self.legs.get(&leg) else { return };
        let attempt = entry.attempt;
        self.changed.extend(self.callees.get(&leg));
        self.tell_bridge(now, Event::LegProgress { leg, attempt, status });
    }

    /// The callee answered. `settled`: an UPDATE in the early dialog has agreed on the media already.
    pub(super) fn dial_answered(
        &mut self,
        now: Now,
        id: InviteId,
        leg: LegId,
        body: Option<Bytes>,
        settled: bool,
    ) {
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        let attempt = entry.attempt;
        let Some(media) = entry.media.as_mut() else { return };
        // Where a carrier answers in the 183 and sends a bare 200, the endpoint has put the early SDP here.
        let answer = body.unwrap_or_default();
        let trunks = Arc::clone(&self.trunks);
        let Some(profile) = trunks.get(&entry.trunk) else { return };
        let agreed = if settled && media.settle_early() {
            Ok(())
        } else {
            sip::sdp::accept_answer(&media.sdp, &answer, &profile.capabilities())
                .and_then(|found| foreign(&self.door, &self.locals, found))
                .map(|negotiated| {
                    media.agree(negotiated);
                })
        };
        match agreed {
            Ok(()) => {
                entry.answered = Some(now.mono);
                if let Some(&(_, peer)) = entry.tried.last() {
                    self.monitor.handle_live_call(now.mono, &entry.trunk, peer);
                }
                let setup = now.mono.saturating_duration_since(entry.began).as_secs_f64();
                self.metrics.call_setup.with_label_values(&["out"]).observe(setup);
                tracing::info!(%leg, attempt, "dial-out answered");
                self.changed.extend(self.callees.get(&leg));
                self.provide_seat(now, leg);
                self.tell_bridge(now, Event::LegAnswered { leg, attempt });
            }
            Err(error) => {
                tracing::warn!(%leg, attempt, %error, "the answer's SDP cannot be used");
                let _ = self.endpoint.hangup(
                    now.mono,
                    id,
                    Some("SIP;cause=488;text=\"unusable SDP answer\", Q.850;cause=65"),
                );
                self.attempt_over(leg);
                let failure = DialFailure {
                    kind: DialFailureKind::Response,
                    status: 488,
                    q850: None,
                    failover: false,
                    reason: error.to_string(),
                };
                self.tell_bridge(now, Event::LegFailed { leg, attempt, failure });
            }
        }
    }

    pub(super) fn dial_failed(&mut self, now: Now, leg: LegId, failure: &Failure) {
        let Some(entry) = self.legs.get(&leg) else { return };
        let attempt = entry.attempt;
        let trunk = entry.trunk.clone();
        let peer = entry.tried.last().map(|&(_, peer)| peer);
        let candidate = entry.candidate.clone();
        let trunks = Arc::clone(&self.trunks);
        let profile = trunks.get(&trunk);
        let failover = profile.is_some_and(|profile| trunk::judge(profile, judged(failure)).is_try_next());
        let kind = match failure.kind {
            FailureKind::Response => DialFailureKind::Response,
            FailureKind::NoResponse | FailureKind::ProvisionalTimeout => DialFailureKind::NoResponse,
            FailureKind::RingTimeout => DialFailureKind::Timeout,
            FailureKind::Transport => DialFailureKind::Transport,
            FailureKind::Canceled | FailureKind::Unanswered | FailureKind::Rejected => DialFailureKind::Local,
        };
        if let Some(peer) = peer {
            self.note_attempt(now, &trunk, peer, failure);
        }
        self.attempt_over(leg);
        tracing::info!(%leg, attempt, %trunk, ?kind, status = failure.status, reason = ?failure.reason, failover, "dial-out attempt failed");
        let q850 = failure.response.as_ref().and_then(|response| super::signalling::q850_of(response));
        // Where nobody answered there is no status: 408 and 503 would be our own inventions in the record.
        let status = if failure.response.is_some() { failure.status } else { 0 };
        let failure = DialFailure { kind, status, q850, failover, reason: failure.reason.clone() };
        let another = profile.and_then(|profile| self.untried_peer(profile, leg)).is_some();
        if let (true, true, Some(candidate)) = (failover, another, candidate) {
            self.tell_bridge(now, Event::PeerFailed { leg, attempt, failure });
            return self.dial_next_peer(now, leg, &candidate);
        }
        self.tell_bridge(now, Event::LegFailed { leg, attempt, failure });
    }
}

fn judged(failure: &Failure) -> trunk::Failure {
    match failure.kind {
        FailureKind::Response => {
            trunk::Failure::Response { status: failure.status, retry_after: failure.retry_after }
        }
        FailureKind::NoResponse => trunk::Failure::NoResponse,
        FailureKind::ProvisionalTimeout => trunk::Failure::ProvisionalTimeout,
        FailureKind::RingTimeout => trunk::Failure::RingTimeout,
        FailureKind::Transport => trunk::Failure::Transport,
        FailureKind::Canceled | FailureKind::Unanswered | FailureKind::Rejected => trunk::Failure::Canceled,
    }
}
