//! What the SIP engine tells, handed to whom it concerns; and what is counted of it.

use std::time::Duration;

use bridge::{EndedBy, Event as BridgeEvent, LegEnd, LegId};
use routing::LegDirection;
use sip::{End, Event, Failure, FailureKind, Message, Transmit};

use super::leg::Leg;
use super::{Control, Door, Now};

impl<D: Door> Control<D> {
    pub(super) fn handle_sip(&mut self, now: Now, event: Event) {
        let Some(event) = self.referral_event(now, event) else { return };
        match event {
            Event::InviteReceived { id, request, flow, offer, replaces } => {
                self.invite_received(now, id, &request, flow, offer.as_ref(), replaces);
            }
            Event::ReferReceived { id, target, by } => match self.leg_of(id) {
                Some(leg) => self.refer_received(now, id, leg, &target, by.as_deref()),
                None => drop(self.endpoint.reject_refer(now.mono, id, 603)),
            },
            Event::OptionsAnswered { id, outcome, rtt } => self.ping_answered(now, id, &outcome, rtt),
            Event::RegisterAnswered { id, outcome } => self.register_answered(now, id, outcome),
            Event::Discarded { flow, why, answered } => {
                self.count_discarded(answered);
                let turned_away = self.shedding.is_some() && answered == Some(503);
                match self.quiet.take(now.mono) {
                    Some(unsaid) if turned_away => {
                        tracing::warn!(peer = %flow.remote, status = 503, ?why, unsaid, "call turned away");
                    }
                    Some(unsaid) => {
                        tracing::warn!(peer = %flow.remote, ?why, ?answered, unsaid, "SIP message discarded");
                    }
                    None => {}
                }
            }
            Event::Established { id, answer } => {
                if let Some(leg) = self.leg_of(id) {
                    self.established(now, id, leg, answer);
                }
            }
            Event::Progress { id, status, .. } => {
                if let Some(leg) = self.leg_of(id) {
                    self.progress(now, leg, status);
                }
            }
            Event::Answered { id, body, settled, .. } => {
                if let Some(leg) = self.leg_of(id) {
                    self.dial_answered(now, id, leg, body, settled);
                }
            }
            Event::Failed { id, failure } => {
                if let Some(leg) = self.leg_of(id) {
                    self.invite_failed(now, leg, &failure);
                }
            }
            Event::ReinviteReceived { id, offer } => {
                if let Some(leg) = self.leg_of(id) {
                    self.reinvite_received(now, id, leg, offer);
                }
            }
            Event::ReinviteAnswered { id, body } => {
                if let Some(leg) = self.leg_of(id) {
                    self.reinvite_answered(leg, body);
                }
            }
            // Control sends no re-INVITE of its own yet, so there is none that could fail.
            Event::ReinviteFailed { .. } => {}
            Event::Ended { id, end } => {
                if let Some(leg) = self.leg_of(id) {
                    self.dialog_ended(now, leg, &end);
                }
            }
        }
    }

    fn count_discarded(&self, answered: Option<u16>) {
        let shedding = self.shedding.filter(|_| answered == Some(503));
        if let Some(label) = shedding.filter(|label| *label != "limit") {
            self.metrics.legs_refused.with_label_values(&["in", label]).inc();
        }
        let reason = if shedding.is_some() { "overload" } else { "parse" };
        self.metrics.sip_rejected.with_label_values(&[reason]).inc();
    }

    pub(super) fn leg_of(&self, id: sip::InviteId) -> Option<LegId> {
        self.by_invite.get(&id).copied()
    }

    fn invite_failed(&mut self, now: Now, leg: LegId, failure: &Failure) {
        let Some(entry) = self.legs.get(&leg) else { return };
        if entry.direction == LegDirection::DialOut {
            return self.dial_failed(now, leg, failure);
        }
        let by = match failure.kind {
            FailureKind::Canceled => EndedBy::Cancel,
            _ => EndedBy::Transport,
        };
        // The words of a CANCEL are the value of its Reason header.
        let q850 = sip::q850_in(&failure.reason);
        let end = LegEnd { by, sip_status: failure.status, q850, reason: failure.reason.clone() };
        self.drop_invite(leg);
        self.leg_ended(now, leg, end);
    }

    fn dialog_ended(&mut self, now: Now, leg: LegId, end: &End) {
        let end = match end {
            // Who has sent us elsewhere may go.
            End::Bye { .. } if self.is_referred(leg) => return self.drop_invite(leg),
            End::Bye { reason } => {
                let q850 = reason.as_deref().and_then(sip::q850_in);
                LegEnd { by: EndedBy::Bye, sip_status: 0, q850, reason: reason.clone().unwrap_or_default() }
            }
            End::AckTimeout => LegEnd {
                by: EndedBy::AckTimeout,
                sip_status: 408,
                q850: Some(102),
                reason: "no ACK".to_owned(),
            },
            End::DialogGone(status) => LegEnd {
                by: EndedBy::DialogGone,
                sip_status: *status,
                q850: None,
                reason: "dialog gone".to_owned(),
            },
            End::Expired => LegEnd {
                by: EndedBy::DialogGone,
                sip_status: 0,
                q850: Some(102),
                reason: "session timer expired".to_owned(),
            },
            // Our own hangup: the bridge gave the command and has forgotten the leg.
            End::Local => return,
        };
        self.drop_invite(leg);
        self.leg_ended(now, leg, end);
    }

    /// Something else than the bridge ended the leg.
    pub(super) fn leg_ended(&mut self, now: Now, leg: LegId, end: LegEnd) {
        if let Some(entry) = self.legs.get_mut(&leg) {
            entry.broken = !matches!(end.by, EndedBy::Bye | EndedBy::Cancel);
        }
        self.tell_bridge(now, BridgeEvent::LegEnded { leg, end });
    }

    /// The usage is gone: no command for it makes sense any more.
    fn drop_invite(&mut self, leg: LegId) {
        if let Some(id) = self.legs.get_mut(&leg).and_then(|entry| entry.invite.take()) {
            self.by_invite.remove(&id);
        }
    }

    pub(super) fn count_sent(&self, transmit: &Transmit) {
        let (method, class) = label_of(&transmit.bytes);
        self.metrics.sip_messages.with_label_values(&["out", method, class]).inc();
    }

    pub(super) fn count_received(&self, bytes: &[u8]) {
        let (method, class) = label_of(bytes);
        self.metrics.sip_messages.with_label_values(&["in", method, class]).inc();
    }

    /// What callers keyed since the last turn.
    pub(super) fn count_attempts(&mut self) {
        self.metrics.spending_unread.set(i64::from(self.bridge.is_spending_unread()));
        let counters = self.bridge.counters();
        let before = std::mem::replace(&mut self.counted, counters);
        if before == counters {
            return;
        }
        for (step, result, now, then) in [
            ("conference_id", "accepted", counters.ids_accepted, before.ids_accepted),
            ("conference_id", "wrong", counters.ids_wrong, before.ids_wrong),
            ("conference_id", "expired", counters.ids_expired, before.ids_expired),
            ("conference_id", "refused", counters.ids_refused, before.ids_refused),
            ("conference_id", "slowed", counters.ids_slowed, before.ids_slowed),
            ("conference_id", "unheard", counters.ids_unheard, before.ids_unheard),
            ("pin", "accepted", counters.pins_accepted, before.pins_accepted),
            ("pin", "wrong", counters.pins_wrong, before.pins_wrong),
            ("pin", "slowed", counters.pins_slowed, before.pins_slowed),
        ] {
            let attempts = self.metrics.attendant_attempts.with_label_values(&[step, result]);
            attempts.inc_by(now.saturating_sub(then));
        }
    }

    /// How a leg came out, as its final record says.
    pub(super) fn count_result(&self, record: &bridge::Record) {
        use bridge::CallResult as Came;
        let (Some(end), Some(trunk)) = (&record.end, &record.trunk) else { return };
        let direction = match record.call_type {
            bridge::CallType::ConfIn => "in",
            bridge::CallType::ConfOut | bridge::CallType::CallMe => "out",
        };
        let result = match end.result {
            Came::Answered => "answered",
            Came::Busy => "busy",
            Came::NoAnswer => "no_answer",
            Came::Cancelled => "cancelled",
            Came::Declined | Came::Refused => "rejected",
            Came::Unreachable | Came::Failed => "failed",
        };
        self.metrics.calls_total.with_label_values(&[direction, trunk.as_str(), result]).inc();
    }

    /// The leg's end in the metrics and the log.
    pub(super) fn note_end(
        &self,
        now: Now,
        leg: LegId,
        entry: &Leg<D::Io>,
        cause: Option<bridge::HangupCause>,
    ) {
        let trunk = entry.trunk.as_str();
        if let Some(answered) = entry.answered {
            let up = now.mono.saturating_duration_since(answered).as_secs_f64();
            self.metrics.call_duration.observe(up);
            let reason = match cause {
                Some(cause) => metric_reason(cause),
                None if entry.broken => "error",
                None => "caller_bye",
            };
            self.metrics.call_end.with_label_values(&[reason]).inc();
            if !entry.heard {
                self.metrics.rtp_zero_packet.with_label_values(&[trunk]).inc();
            }
            let conference = entry.meeting.map(tracing::field::display);
            tracing::info!(%leg, call_id = ?entry.call_id, %trunk, conference, reason, seconds = milliseconds(up), "leg ended");
        } else {
            tracing::info!(%leg, call_id = ?entry.call_id, %trunk, "leg ended without an answer");
        }
    }

    pub(super) fn note_join(&mut self, now: Now, leg: LegId, conference: bridge::ConferenceId) {
        if let Some(entry) = self.legs.get_mut(&leg) {
            entry.meeting = Some(conference);
            if let Some(meeting) = self.meetings.get_mut(&conference) {
                meeting.seated += 1;
                meeting.most = meeting.most.max(meeting.seated);
            }
            let since = now.mono.saturating_duration_since(entry.began).as_secs_f64();
            self.metrics.call_join.with_label_values(&["mixed"]).observe(since);
            tracing::info!(%leg, call_id = ?entry.call_id, trunk = %entry.trunk, %conference, seconds = milliseconds(since), "joined the meeting");
        }
    }

    pub(super) fn note_ports(&self) {
        let (used, all, early) = self.door.ports();
        self.metrics.ports_used.set(used as i64);
        self.metrics.ports_max.set(all as i64);
        self.metrics.ports_reused.inc_by(early.saturating_sub(self.metrics.ports_reused.get()));
    }

    pub(super) fn note_media(&self, figures: &bridge::MediaFigures) {
        let metrics = &self.metrics;
        metrics.rtp_packets.with_label_values(&["in", figures.codec]).inc_by(figures.ingress_packets);
        metrics.rtp_packets.with_label_values(&["out", figures.codec]).inc_by(figures.egress_packets);
        metrics.rtp_bytes.with_label_values(&["in", figures.codec]).inc_by(figures.ingress_octets);
        metrics.rtp_bytes.with_label_values(&["out", figures.codec]).inc_by(figures.egress_octets);
        metrics.rtp_jitter.observe(Duration::from_micros(figures.jitter_us).as_secs_f64());
        metrics.rtp_lost.inc_by(figures.lost);
        metrics.rtp_late.inc_by(figures.late);
        metrics.rtp_duplicate.inc_by(figures.duplicates);
        metrics.rtp_reordered.inc_by(figures.reordered);
        metrics.rtp_concealed.inc_by(figures.concealed_ms / mixer::TICK.as_millis() as u64);
        metrics.rtp_strangers.inc_by(figures.strangers);
        metrics.srtp_rejected.inc_by(figures.srtp_rejected);
    }
}

fn metric_reason(cause: bridge::HangupCause) -> &'static str {
    use bridge::HangupCause as Cause;
    match cause {
        Cause::Farewell => "attendant",
        Cause::AttendantLimit | Cause::SetupTimeout | Cause::NotConfirmed | Cause::TimeIsUp => "timeout",
        Cause::MediaSilent => "media_timeout",
        Cause::NobodyLeft | Cause::ConferenceEnded | Cause::OrganizerLeft => "host_end",
        Cause::Removed => "kicked",
        Cause::Budget(_) => "budget",
        Cause::Drain => "drain",
    }
}

/// Seconds as the log shows them.
fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// The Q.850 cause of a response's Reason header.
pub(super) fn q850_of(response: &Message) -> Option<u16> {
    response.headers().all("Reason").find_map(sip::q850_in)
}

/// Method and class of a message, from its first line: names from a closed set, whatever a peer sends.
fn label_of(bytes: &[u8]) -> (&'static str, &'static str) {
    const METHODS: [&str; 8] = ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "UPDATE", "PRACK", "REGISTER"];
    if let Some(status) = bytes.strip_prefix(b"SIP/2.0 ") {
        let class = match status.first() {
            Some(b'1') => "1xx",
            Some(b'2') => "2xx",
            Some(b'3') => "3xx",
            Some(b'4') => "4xx",
            Some(b'5') => "5xx",
            _ => "6xx",
        };
        return ("response", class);
    }
    let word = bytes.split(|&byte| byte == b' ').next().unwrap_or_default();
    let method = METHODS.into_iter().find(|method| method.as_bytes() == word);
    (method.unwrap_or("other"), "request")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_counted_under_a_name_from_a_closed_set() {
        assert_eq!(label_of(b"INVITE sip:a@b SIP/2.0\r\n"), ("INVITE", "request"));
        assert_eq!(label_of(b"SIP/2.0 486 Busy Here\r\n"), ("response", "4xx"));
        assert_eq!(label_of(b"WHATEVER x"), ("other", "request"));
        assert_eq!(label_of(b"ACKNOWLEDGE sip:a@b SIP/2.0\r\n"), ("other", "request"));
        assert_eq!(label_of(b"\0\xff"), ("other", "request"));
        assert_eq!(label_of(b"SIP/2.0 "), ("response", "6xx"));
    }
}
