//! A leg's media: promised in SDP, seated in the mixer, changed by a re-INVITE, taken apart at the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bridge::{Digit, EndedBy, Event, HangupCause, LegEnd, LegId};
use bytes::Bytes;
use mixer::{LegConfig, Report, Seat};
use rand::RngExt;
use routing::LegDirection;
use sip::InviteId;
use sip::sdp::{self, Direction, LocalMedia, Negotiated, SdpError};
use trunk::Profile;

use super::leg::LegMedia;
use super::seating::{Returned, mixer_leg};
use super::{Control, Door, Locals, Now, Peer, format, keys};
use crate::media::sockets::Source;

/// Why a leg cannot have media.
pub(super) struct NoMedia {
    pub status: u16,
    pub why: String,
    pub label: &'static str,
}

/// What must still be done once a shard has handed the seat of a finished leg back.
pub(super) struct Retiring {
    port: u16,
    codec: &'static str,
    srtp: Option<&'static str>,
}

impl<D: Door> Control<D> {
    /// Opens sockets for a leg and describes them: the answer to `offer`, or an offer where there is none.
    pub(super) fn open_media(
        &mut self,
        now: Now,
        profile: &Profile,
        offer: Option<&Bytes>,
    ) -> Result<LegMedia<D::Io>, NoMedia> {
        let opened = self.door.open(now.mono, profile.media_address);
        let opened = opened.map_err(|why| NoMedia { status: 503, why, label: "overload" })?;
        self.note_ports();
        let local = LocalMedia {
            address: opened.address,
            port: opened.port,
            rtcp_port: opened.port + 1,
            // RFC 8866 section 5.2 wants a number that is unique; 62 bits fit every peer's parser.
            session_id: self.random.random::<u64>() >> 2,
            session_version: 1,
            direction: Direction::SendRecv,
            keys: keys::fresh(&mut self.key_source, profile),
        };
        let capabilities = profile.capabilities();
        let described = match offer {
            Some(offer) => sdp::answer(offer, &local, &capabilities)
                .and_then(|(sdp, found)| Ok((sdp, Some(foreign(&self.door, &self.locals, found)?)))),
            None => Ok((sdp::offer(&local, &capabilities), None)),
        };
        match described {
            Ok((sdp, negotiated)) => {
                let mut media = LegMedia {
                    io: Some(opened.io),
                    port: opened.port,
                    home: profile.media_address,
                    local,
                    sdp,
                    late_offer: negotiated.is_none(),
                    early: None,
                    negotiated: None,
                    keyed: None,
                };
                if let Some(negotiated) = negotiated {
                    media.agree(negotiated);
                }
                Ok(media)
            }
            Err(error) => {
                self.door.close(now.mono, Some(opened.io), opened.port);
                self.note_ports();
                Err(NoMedia { status: error.status(), why: error.to_string(), label: "sdp" })
            }
        }
    }

    /// A fresh offer for the next attempt, over the sockets that the last one did not use; or over others, where this trunk wants
    /// its media elsewhere.
    pub(super) fn offer_again(
        &mut self,
        now: Now,
        profile: &Profile,
        mut media: LegMedia<D::Io>,
    ) -> Result<LegMedia<D::Io>, NoMedia> {
        if media.home != profile.media_address {
            self.door.close(now.mono, media.io.take(), media.port);
            self.note_ports();
            return self.open_media(now, profile, None);
        }
        media.local.session_id = self.random.random::<u64>() >> 2;
        // The last peer has read the keys of its offer.
        media.local.keys = keys::fresh(&mut self.key_source, profile);
        media.sdp = sdp::offer(&media.local, &profile.capabilities());
        (media.negotiated, media.keyed, media.early) = (None, None, None);
        Ok(media)
    }

    /// Makes the leg's mixer state now that its codec and peer are known, and seats it where it is wanted.
    pub(super) fn provide_seat(&mut self, now: Now, leg: LegId) {
        let trunks = Arc::clone(&self.trunks);
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        let Some(profile) = trunks.get(&entry.trunk) else { return };
        let Some(media) = entry.media.as_mut() else { return };
        let (Some(negotiated), Some(mut io)) = (media.negotiated.as_ref(), media.io.take()) else { return };
        // A hold with c=0.0.0.0 names nobody, and the kernel would take it for ourselves.
        if !negotiated.remote_rtp.ip().is_unspecified() {
            D::set_peer(&mut io, peer_of(negotiated, source_of(profile)));
        }
        let config = LegConfig {
            id: mixer_leg(leg),
            media: format::media(negotiated, profile),
            direction: format::direction(negotiated.direction),
            ssrc: mixer::Ssrc::new(self.random.random()),
            // In the lower half: a peer that misses our first packets cannot know of a wrap among them, and under SRTP it
            // would never hear us (RFC 3711 section 3.3.1).
            first_sequence: mixer::SeqNo::new(self.random.random_range(0..1 << 15)),
            first_timestamp: mixer::RtpTime::new(self.random.random()),
            cname: format!("{:016x}@partyline", self.random.random::<u64>()).into(),
            csrc: true,
            silent_after: self.silent_after,
        };
        let mut seat = Box::new(Seat { leg: mixer::Leg::new(config), io });
        if let Some(crypto) = &negotiated.crypto {
            seat.leg.secure(now.mono, format::srtp(crypto));
            if crypto.unused_keys > 0 {
                let unused = crypto.unused_keys;
                tracing::warn!(%leg, unused, "the peer's a=crypto has further keys; packets under them will not be heard");
            }
        }
        let sent = self.seating.provide(leg, seat);
        self.media_out(sent);
    }

    /// The ACK of our 200 arrived.
    pub(super) fn established(&mut self, now: Now, id: InviteId, leg: LegId, answer: Option<Bytes>) {
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        let trunk = entry.trunk.clone();
        if let Some(&(_, peer)) = entry.tried.last() {
            self.monitor.handle_live_call(now.mono, &trunk, peer);
        }
        if let Some(media) = entry.media.as_mut()
            && media.late_offer
            && media.negotiated.is_none()
        {
            let trunks = Arc::clone(&self.trunks);
            let Some(profile) = trunks.get(&trunk) else { return };
            let answer = answer.unwrap_or_default();
            match sdp::accept_answer(&media.sdp, &answer, &profile.capabilities())
                .and_then(|found| foreign(&self.door, &self.locals, found))
            {
                Ok(negotiated) => {
                    media.agree(negotiated);
                }
                Err(error) => {
                    tracing::warn!(%leg, %error, "the SDP answer in the ACK cannot be used");
                    let _ = self.endpoint.hangup(
                        now.mono,
                        id,
                        Some("SIP;cause=488;text=\"unusable SDP answer in ACK\""),
                    );
                    let end =
                        LegEnd { by: EndedBy::Media, sip_status: 488, q850: None, reason: error.to_string() };
                    self.leg_ended(now, leg, end);
                    return;
                }
            }
        }
        // A dialog that took the place of another one: the leg is up and seated already.
        if entry.media.as_ref().is_none_or(|media| media.io.is_none()) {
            return;
        }
        // Not sooner: an INVITE with a forged source would have us send half a minute of audio to whomever its SDP names.
        // Who sends this ACK knows our tag, so he got our 200. What he said meanwhile waits in the socket.
        self.provide_seat(now, leg);
        self.tell_bridge(now, Event::LegEstablished { leg });
    }

    /// What a media thread noticed.
    pub(super) fn handle_report(&mut self, now: Now, report: Report<D::Io>) {
        match report {
            Report::MediaStarted { leg } => {
                let leg = LegId(leg.0);
                if let Some(entry) = self.legs.get_mut(&leg) {
                    entry.heard = true;
                    if entry.direction == LegDirection::DialIn {
                        let since = now.mono.saturating_duration_since(entry.began).as_secs_f64();
                        self.metrics.call_join.with_label_values(&["prompt"]).observe(since);
                    }
                }
                self.tell_bridge(now, Event::MediaStarted { leg });
            }
            Report::Echo { leg, delay, on } => self.note_echo(now, LegId(leg.0), delay, on),
            Report::Digit { leg, digit } => {
                if let Some(digit) = Digit::new(digit) {
                    self.tell_bridge(now, Event::Digit { leg: LegId(leg.0), digit });
                }
            }
            Report::ClipEnded { leg, token, finished: true, .. } => {
                self.seating.clip_ended(LegId(leg.0), token);
                self.tell_bridge(now, Event::ClipEnded { leg: LegId(leg.0), token });
            }
            Report::DigitsSent { leg } => {
                if let Some(entry) = self.legs.get_mut(&LegId(leg.0)) {
                    entry.digits = 0;
                }
            }
            Report::MediaSilent { leg, .. } => {
                self.tell_bridge(now, Event::MediaSilent { leg: LegId(leg.0) });
            }
            Report::Returned { leg, seat } => {
                let leg = LegId(leg.0);
                if self.returned(now.mono, leg, seat) {
                    self.lost_seat(now, leg);
                }
            }
            // Stopped clips, old keys and whatever else a media thread needs no more come home to be freed here.
            Report::Spent(_)
            | Report::Untapped { .. }
            | Report::ClipEnded { .. }
            | Report::SrtpRetired { .. }
            | Report::ConferenceClipEnded { .. }
            | Report::MediaResumed { .. }
            | Report::AudienceRefused { .. } => {} // nobody asks for audiences yet
        }
    }

    /// A leg sends back what it is sent: its telephone, or a line on the way, needs looking after.
    fn note_echo(&mut self, now: Now, leg: LegId, delay: Duration, on: bool) {
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        entry.echo = on.then_some(delay);
        self.changed.extend(entry.meeting);
        let trunk = entry.trunk.as_str();
        if on {
            self.metrics.echo_detected.with_label_values(&[trunk]).inc();
        }
        if let Some(unsaid) = self.quiet.take(now.mono) {
            let (call_id, milliseconds) = (&entry.call_id, delay.as_millis());
            let what = if on { "the leg sends back what it is sent" } else { "the leg's echo is gone" };
            tracing::info!(%leg, ?call_id, %trunk, milliseconds, unsaid, "{what}");
        }
    }

    /// `true` when the leg is up and has no seat any more.
    fn returned(&mut self, now: Instant, leg: LegId, seat: Box<Seat<D::Io>>) -> bool {
        let (returned, sent) = self.seating.returned(leg, seat);
        self.media_out(sent);
        if let Returned::Retired(seat) = returned {
            let up = self.legs.contains_key(&leg);
            self.retired(now, leg, Some(seat));
            return up;
        }
        false
    }

    /// A seat that came home although its leg is up has lost its conference: the leg cannot hear any more.
    fn lost_seat(&mut self, now: Now, leg: LegId) {
        let Some(id) = self.legs.get(&leg).and_then(|entry| entry.invite) else { return };
        tracing::error!(%leg, "the leg's conference is gone while the leg is up: ending the leg");
        let _ = self.endpoint.hangup(now.mono, id, Some("Q.850;cause=41;text=\"media lost\""));
        let end =
            LegEnd { by: EndedBy::Media, sip_status: 0, q850: Some(41), reason: "media lost".to_owned() };
        self.leg_ended(now, leg, end);
    }

    /// The leg is over: everything of it is given back. `cause` is ours, where we ended it.
    pub(super) fn finish(&mut self, now: Now, leg: LegId, cause: Option<HangupCause>) {
        self.changed.extend(self.callees.remove(&leg));
        self.drop_referral(now, leg);
        self.namings.remove(&leg);
        let Some(mut entry) = self.legs.remove(&leg) else { return };
        if let Some(id) = entry.invite.take() {
            self.by_invite.remove(&id);
        }
        if std::mem::take(&mut entry.channel) {
            self.admission.release(&entry.trunk);
            let side = side(entry.direction);
            self.metrics.calls.with_label_values(&[side, entry.trunk.as_str()]).dec();
        }
        if let Some(meeting) = entry.meeting {
            self.changed.insert(meeting);
            if let Some(open) = self.meetings.get_mut(&meeting) {
                open.seated = open.seated.saturating_sub(1);
            }
        }
        self.note_end(now, leg, &entry, cause);
        let retire = self.seating.retire(leg);
        let Some(media) = entry.media.take() else { return };
        let negotiated = media.negotiated.as_ref();
        let retiring = Retiring {
            port: media.port,
            codec: negotiated.map_or("none", |negotiated| negotiated.codec.name()),
            srtp: negotiated.and_then(|negotiated| Some(negotiated.crypto?.suite().name())),
        };
        match retire {
            Ok(sent) => {
                self.retiring.insert(leg, retiring);
                self.media_out([sent]);
            }
            Err(_) if self.seating.knows(leg) => {
                self.retiring.insert(leg, retiring);
            }
            Err(seat) => {
                let io = media.io.or_else(|| seat.map(|seat| seat.io));
                self.door.close(now.mono, io, media.port);
                self.note_ports();
                self.complete_record(leg, None);
            }
        }
    }

    fn retired(&mut self, now: Instant, leg: LegId, seat: Option<Box<Seat<D::Io>>>) {
        let Some(retiring) = self.retiring.remove(&leg) else { return };
        let figures = seat.as_ref().map(|seat| figures::<D>(&retiring, seat, self.captured));
        if let Some(figures) = &figures {
            self.note_media(figures);
            let from = seat.as_ref().and_then(|seat| D::last_stranger(&seat.io));
            // The first thing to look at when a caller says that he was not heard.
            if let Some(from) = from.filter(|_| figures.strangers > figures.ingress_packets) {
                let (strangers, packets) = (figures.strangers, figures.ingress_packets);
                tracing::warn!(
                    %leg, %from, strangers, packets,
                    "RTP came from another address than the peer's SDP says: see media_source of the trunk"
                );
            }
        }
        self.complete_record(leg, figures);
        self.door.close(now, seat.map(|seat| seat.io), retiring.port);
        self.note_ports();
    }
}

/// The metric's label for a direction.
pub(super) fn side(direction: LegDirection) -> &'static str {
    match direction {
        LegDirection::DialIn => "in",
        LegDirection::DialOut => "out",
    }
}

pub(super) fn source_of(profile: &Profile) -> Source {
    match profile.media_source {
        trunk::MediaSource::Exact => Source::Exact,
        trunk::MediaSource::SameIp => Source::SameIp,
        trunk::MediaSource::Symmetric => Source::Symmetric,
    }
}

pub(super) fn peer_of(negotiated: &Negotiated, source: Source) -> Peer {
    Peer { rtp: negotiated.remote_rtp, rtcp: negotiated.remote_rtcp, rtcp_mux: negotiated.rtcp_mux, source }
}

/// Refuses media that would come from, and go to, ourselves: two legs that name each other's ports would feed each other.
pub(super) fn foreign<D: Door>(
    door: &D,
    locals: &Locals,
    negotiated: Negotiated,
) -> Result<Negotiated, SdpError> {
    let ours = |address: &SocketAddr| {
        door.is_ours(*address) || locals.listeners.iter().any(|own| own.address == *address)
    };
    match [negotiated.remote_rtp, negotiated.remote_rtcp].iter().find(|address| ours(address)) {
        Some(address) => Err(SdpError::Address(format!("{address} is ours"))),
        None => Ok(negotiated),
    }
}

fn figures<D: Door>(retiring: &Retiring, seat: &Seat<D::Io>, captured: bool) -> bridge::MediaFigures {
    let stats = seat.leg.stats();
    bridge::MediaFigures {
        codec: retiring.codec,
        srtp: retiring.srtp,
        ingress_packets: stats.ingress_packets,
        ingress_octets: stats.ingress_octets,
        egress_packets: stats.egress_packets,
        egress_octets: stats.egress_octets,
        lost: u64::try_from(stats.lost).unwrap_or(0),
        late: stats.playout.late,
        duplicates: stats.playout.duplicate,
        reordered: stats.playout.reordered,
        concealed_ms: stats.playout.concealed.as_millis() as u64,
        jitter_us: stats.jitter.as_micros() as u64,
        strangers: D::strangers(&seat.io),
        srtp_rejected: stats.srtp.rejected.total(),
        captured,
    }
}
