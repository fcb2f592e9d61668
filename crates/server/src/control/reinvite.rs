//! The peer changes a leg's media in mid-call.

use std::sync::Arc;

use bridge::LegId;
use bytes::Bytes;
use sip::sdp::{self, Capabilities, Negotiated, Srtp};
use sip::{Body, InviteId};
use trunk::Profile;

use super::commands::reason_header;
use super::leg::{EarlyMedia, LegMedia};
use super::media::{foreign, peer_of, source_of};
use super::seating::mixer_leg;
use super::{Control, Door, Now, format, keys};

impl<D: Door> Control<D> {
    /// The peer wants to change the media: hold, resume, another address, another codec, other keys, or nothing (a refresh).
    pub(super) fn reinvite_received(&mut self, now: Now, id: InviteId, leg: LegId, offer: Option<Bytes>) {
        let trunks = Arc::clone(&self.trunks);
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        let Some(profile) = trunks.get(&entry.trunk) else { return };
        let Some(media) = entry.media.as_mut() else { return };
        let Some(offer) = offer else {
            // We are asked to offer; the answer comes with the ACK.
            if let Ok(sdp) = sdp::reoffer(&media.sdp, &media.local) {
                if sdp != media.sdp {
                    media.local.session_version += 1;
                    media.sdp = sdp::reoffer(&sdp, &media.local).unwrap_or(sdp);
                }
                let _ = self.endpoint.accept_reinvite(now.mono, id, Body::sdp(media.sdp.clone()));
            }
            return;
        };
        let mut local = media.early.as_ref().map_or(&media.local, |early| &early.local).clone();
        let capabilities = capabilities(profile, media);
        let described = sdp::answer(&offer, &local, &capabilities).and_then(|(sdp, negotiated)| {
            let negotiated = foreign(&self.door, &self.locals, negotiated)?;
            if keys::must_renew(media.keyed.as_ref(), &negotiated) {
                local.keys = keys::fresh(&mut self.key_source, profile);
            } else if sdp == media.sdp {
                return Ok((sdp, negotiated));
            }
            local.session_version += 1;
            sdp::answer(&offer, &local, &capabilities)
        });
        match described {
            // Which early dialog becomes the leg is not known yet: our offer in the INVITE must not be forgotten.
            Ok((sdp, negotiated)) if entry.answered.is_none() => {
                if self.endpoint.accept_reinvite(now.mono, id, Body::sdp(sdp.clone())).is_ok() {
                    media.early = Some(Box::new(EarlyMedia { local, sdp, negotiated }));
                }
            }
            Ok((sdp, negotiated)) => {
                media.local = local;
                media.sdp = sdp.clone();
                if self.endpoint.accept_reinvite(now.mono, id, Body::sdp(sdp)).is_ok() {
                    self.renegotiated(leg, &negotiated, profile);
                }
            }
            Err(error) => {
                tracing::info!(%leg, %error, "re-INVITE refused; the media stays as it was");
                let reason = reason_header("SIP", error.status(), &error.to_string());
                let headers = [("Reason".to_owned(), reason)];
                let _ = self.endpoint.reject_reinvite(now.mono, id, error.status(), &headers);
            }
        }
    }

    /// The ACK answered the offer we gave in our 200 to a re-INVITE without one.
    pub(super) fn reinvite_answered(&mut self, leg: LegId, body: Option<Bytes>) {
        let trunks = Arc::clone(&self.trunks);
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        let Some(profile) = trunks.get(&entry.trunk) else { return };
        let (Some(media), Some(body)) = (entry.media.as_ref(), body) else { return };
        match sdp::accept_answer(&media.sdp, &body, &capabilities(profile, media))
            .and_then(|found| foreign(&self.door, &self.locals, found))
        {
            Ok(negotiated) => self.renegotiated(leg, &negotiated, profile),
            Err(error) => {
                tracing::warn!(%leg, %error, "the SDP answer in the ACK cannot be used; the media stays as it was");
            }
        }
    }

    /// Carries out what a new offer and its answer have agreed on.
    pub(super) fn renegotiated(&mut self, leg: LegId, negotiated: &Negotiated, profile: &Profile) {
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        let (Some(media), meeting) = (entry.media.as_mut(), entry.meeting) else { return };
        let before = media.agree(negotiated.clone());
        let was = before.as_ref();
        let moved = was.is_none_or(|was| {
            (was.remote_rtp, was.remote_rtcp, was.rtcp_mux)
                != (negotiated.remote_rtp, negotiated.remote_rtcp, negotiated.rtcp_mux)
        });
        let id = mixer_leg(leg);
        let config = format::media(negotiated, profile);
        let mut commands = Vec::new();
        if was.is_none_or(|was| format::media(was, profile) != config) {
            commands.push(mixer::Command::Reconfigure { leg: id, media: config });
        }
        let rekeyed = was.and_then(|was| was.crypto) != negotiated.crypto;
        if let Some(crypto) = negotiated.crypto.as_ref().filter(|_| rekeyed) {
            commands.push(mixer::Command::Secure { leg: id, srtp: format::srtp(crypto) });
        }
        if was.is_none_or(|was| was.direction != negotiated.direction) {
            let direction = format::direction(negotiated.direction);
            commands.push(mixer::Command::Direction { leg: id, direction });
        }
        if !commands.is_empty() {
            let (codec, srtp) = (negotiated.codec, negotiated.crypto.map(|crypto| crypto.suite()));
            tracing::info!(%leg, %codec, ?srtp, rekeyed, moved, direction = negotiated.direction.as_str(), "media changed");
            self.changed.extend(meeting);
        }
        for command in commands {
            let sent = self.seating.tell(leg, command);
            self.media_out(sent);
        }
        // A hold with c=0.0.0.0 names no address to send to; the old one stays good for the resume.
        if moved && !negotiated.remote_rtp.ip().is_unspecified() {
            let peer = peer_of(negotiated, source_of(profile));
            let sent = self.seating.mend(leg, Box::new(move |seat| D::set_peer(&mut seat.io, peer)));
            self.media_out(sent);
        }
    }
}

/// What is offered and accepted in mid-call. A leg that is encrypted stays so: whoever could make it plain could listen.
pub(super) fn capabilities<Io>(profile: &Profile, media: &LegMedia<Io>) -> Capabilities {
    let mut capabilities = profile.capabilities();
    if media.keyed.is_some() {
        capabilities.srtp = Srtp::Mandatory;
    }
    capabilities
}
