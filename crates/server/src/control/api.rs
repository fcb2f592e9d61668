//! What the API asks of control, and what it shows.

use std::sync::Arc;
use std::time::Duration;

use bridge::{ConferenceId, DialOutRefusal, DialOutRequest, Event, LegId, Lookup, Masking, RequestId};
use routing::{Decision, E164, Initiator, LegRequest, OrganizerId, Outcome, TenantId, TrunkId};
use serde_json::{Value, json};

use super::decisions::dial_out;
use super::explaining::shown;
use super::load::RETRY_AFTER;
use super::{Control, Door, Now, Output};
use crate::masked::mask;

/// A request of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Call a number and bring the answerer into the meeting.
    DialOut {
        /// The meeting's conference ID, as a caller would key it.
        conference_id: String,
        /// The number, as a person would write it.
        number: String,
        /// Whether the callee must press 1 to join; `None` leaves it to the configuration.
        confirm: Option<bool>,
        /// Who asks has himself called.
        call_me: bool,
    },
    /// Do something in a meeting that is running. Answered with `changed`: how many legs or settings it has changed.
    Act {
        /// Its conference ID.
        conference_id: String,
        /// What.
        action: bridge::Action,
    },
    /// Record a meeting that is running.
    StartRecording {
        /// Its conference ID.
        conference_id: String,
        /// What it is written as.
        format: crate::recording::Format,
    },
    /// Record nothing of a meeting for now, or go on. Answered with `changed`.
    PauseRecording {
        /// Its conference ID.
        conference_id: String,
        /// Nothing, or go on.
        paused: bool,
    },
    /// End the recording of a meeting.
    StopRecording {
        /// Its conference ID.
        conference_id: String,
    },
    /// What routing would say of a leg, with every step.
    Explain(Explain),
    /// The same by somebody who sees one tenant only: what is another's is answered like what does not exist.
    Within {
        /// Whom he sees.
        tenant: TenantId,
        /// What he asks; nothing of the node's own affairs.
        ask: Box<Ask>,
    },
    /// What is going on, in numbers.
    Status,
    /// Every trunk, with its peers.
    Trunks,
    /// One trunk.
    Trunk {
        /// Its name.
        name: String,
    },
    /// Stop or resume new legs on a trunk; what runs stays.
    DrainTrunk {
        /// Its name.
        name: String,
        /// Stop them, or resume.
        draining: bool,
    },
}

/// A leg about which a decision is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Explain {
    /// A caller keys the ID of one of this organizer's meetings.
    DialIn {
        /// Whose meeting it is.
        organizer: OrganizerId,
        /// The number that was dialed.
        called: E164,
        /// The trunk the call came on; `None`: one of the number's owner.
        trunk: Option<TrunkId>,
    },
    /// One of this organizer's meetings calls somebody.
    DialOut {
        /// Whose meeting it is.
        organizer: OrganizerId,
        /// The number, as a person would write it.
        number: String,
    },
}

/// A meeting as the API shows it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Whose it is.
    pub tenant: Arc<str>,
    /// JSON, as text: a tree of it takes several times as much memory for each leg.
    pub json: Arc<str>,
    /// Who is outside sees no numbers in it.
    pub masks: bool,
}

impl Shown {
    /// What is published of a meeting.
    pub fn of(published: &Value, masks: bool) -> Self {
        let tenant = published["tenant"].as_str().unwrap_or_default().into();
        Self { tenant, json: published.to_string().into(), masks }
    }

    /// What somebody sees who is inside, or outside.
    pub fn seen(&self, outside: bool) -> Arc<str> {
        if outside && self.masks { masked(&self.json) } else { Arc::clone(&self.json) }
    }
}

/// JSON as text, without numbers.
pub(crate) fn masked(json: &str) -> Arc<str> {
    let mut value: Value = serde_json::from_str(json).unwrap_or_default();
    mask(&mut value);
    value.to_string().into()
}

/// How often the conferences are shown anew at most.
const PUBLISH_EVERY: Duration = Duration::from_millis(50);

/// The answer to an [`Ask`].
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// JSON body.
    pub body: Value,
}

/// An ask that the bridge has not answered yet.
pub(super) struct Pending {
    number: u64,
    decision: Option<Decision>,
    /// The same for whoever keeps decisions.
    decided: Option<(routing::Asked, routing::Came)>,
    /// Whose eyes the answer is for; `None`: the deployment's.
    reader: Option<TenantId>,
}

impl Pending {
    /// Why not, and how that was decided, in words that are for whoever asked.
    fn refused(&self, why: &DialOutRefusal) -> (String, Option<Value>) {
        let decision =
            self.decision.as_ref().map(|decision| (decision, shown(decision, self.reader.as_ref())));
        match (&self.reader, why, decision) {
            (
                Some(_),
                DialOutRefusal::Routing { .. },
                Some((Decision { outcome: Outcome::Refuse(no), .. }, shown)),
            ) => (no.to_string(), Some(shown)),
            // What stands against it is another tenant's.
            (Some(_), DialOutRefusal::Routing { .. }, _) => {
                ("meetings do not call this number".to_owned(), None)
            }
            (_, _, decision) => (why.to_string(), decision.map(|(_, shown)| shown)),
        }
    }
}

impl<D: Door> Control<D> {
    pub(super) fn handle_ask(&mut self, now: Now, number: u64, ask: Ask) {
        let (ask, reader) = match ask {
            Ask::Within { tenant, ask } => (self.narrowed(now, &tenant, *ask), Some(tenant)),
            ask => (ask, None),
        };
        let (conference_id, dialed, confirm, call_me) = match ask {
            Ask::DialOut { conference_id, number, confirm, call_me } => {
                (conference_id, number, confirm, call_me)
            }
            Ask::Act { conference_id, action } => {
                return self.ask_action(now, number, &conference_id, action);
            }
            Ask::StartRecording { conference_id, format } => {
                return self.start_recording(now, number, &conference_id, format);
            }
            Ask::PauseRecording { conference_id, paused } => {
                return self.pause_recording(now, number, &conference_id, paused);
            }
            Ask::StopRecording { conference_id } => return self.stop_recording(now, number, &conference_id),
            Ask::Explain(explain) => return self.explain_leg(number, &explain, reader.as_ref()),
            // Nobody sees through two tenants' eyes at once.
            Ask::Within { .. } => return self.no_such_meeting(number),
            Ask::Status => return self.show_status(number),
            Ask::Trunks => return self.show_trunks(now, number),
            Ask::Trunk { name } => return self.show_trunk(now, number, &name),
            Ask::DrainTrunk { name, draining } => return self.drain_trunk(now, number, &name, draining),
        };
        if let Err(overload) = self.load.admit() {
            self.metrics.legs_refused.with_label_values(&["out", overload.label()]).inc();
            self.tell_limit(now, overload.label());
            let detail = format!("{overload}; try again in {RETRY_AFTER} s");
            tracing::warn!(detail, "dial-out refused");
            return self.reply(
                number,
                503,
                json!({ "title": "dial-out refused", "status": 503, "detail": detail }),
            );
        }
        let leg = self.fresh_leg();
        let request = RequestId(number);
        let down = self.down_trunks();
        // The bridge decides; this repeats the decision, which is a pure function, to show its reasons.
        let decision = self.explain(now, &conference_id, &dialed, &down, reader.as_ref());
        let decided = self.decided(now, &conference_id, &dialed, &down);
        self.asks.insert(request, Pending { number, decision, decided, reader });
        let wanted = DialOutRequest {
            request,
            leg,
            meeting: conference_id,
            dialed,
            initiator: Initiator::Member,
            confirm: confirm.unwrap_or(self.confirm_dial_out),
            call_me,
            down,
        };
        self.tell_bridge(now, Event::DialOut(wanted));
    }

    fn explain(
        &self,
        now: Now,
        conference_id: &str,
        dialed: &str,
        down: &[TrunkId],
        reader: Option<&TenantId>,
    ) -> Option<Decision> {
        let Lookup::Found(meeting) = self.directory.find(conference_id, now.wall) else { return None };
        let is_down = |trunk: &TrunkId| down.contains(trunk);
        let request = LegRequest::DialOut {
            organizer: &meeting.organizer,
            dialed,
            initiator: Initiator::Member,
            down: &is_down,
        };
        Some(match reader {
            Some(tenant) => routing::explain_to(&self.table, &request, tenant),
            None => routing::decide(&self.table, &request),
        })
    }

    fn decided(
        &self,
        now: Now,
        conference_id: &str,
        dialed: &str,
        down: &[TrunkId],
    ) -> Option<(routing::Asked, routing::Came)> {
        let Lookup::Found(meeting) = self.directory.find(conference_id, now.wall) else { return None };
        Some(dial_out(&self.table, &meeting.organizer, dialed, down))
    }

    pub(super) fn accept_ask(&mut self, now: Now, request: RequestId, leg: LegId, conference: ConferenceId) {
        self.callees.insert(leg, conference);
        self.changed.insert(conference);
        let Some(mut pending) = self.asks.remove(&request) else { return };
        self.metrics.route_decisions.with_label_values(&["out", "accepted"]).inc();
        if let Some(decided) = pending.decided.take() {
            self.tell_decision(now, decided);
        }
        let decision = pending.decision.map(|decision| shown(&decision, pending.reader.as_ref()));
        let body = json!({ "leg": leg.0, "decision": decision });
        self.reply(pending.number, 202, body);
    }

    pub(super) fn refuse_ask(&mut self, now: Now, request: RequestId, why: &DialOutRefusal) {
        let Some(mut pending) = self.asks.remove(&request) else { return };
        if let Some(decided) = pending.decided.take() {
            self.tell_decision(now, decided);
        }
        self.metrics.route_decisions.with_label_values(&["out", "refused"]).inc();
        let status = match why {
            DialOutRefusal::Draining | DialOutRefusal::Uncounted => 503,
            DialOutRefusal::UnknownMeeting => 404,
            DialOutRefusal::Routing { .. } | DialOutRefusal::Unpriced { .. } => 403,
            DialOutRefusal::TooMany | DialOutRefusal::Limit { .. } => 429,
            DialOutRefusal::NumberTooLong => 400,
            _ => 409,
        };
        tracing::info!(%why, "dial-out refused");
        let (detail, decision) = pending.refused(why);
        let mut body = json!({
            "title": "dial-out refused",
            "status": status,
            "detail": detail,
            "decision": decision,
        });
        match why {
            DialOutRefusal::Limit { retry_after: Some(after), .. } => {
                body["retry_after"] = json!(after.as_secs());
            }
            // Waiting does not help: somebody must mend something and start the bridge again.
            DialOutRefusal::Uncounted => body["retry_after"] = Value::Null,
            _ => {}
        }
        self.reply(pending.number, status, body);
    }

    pub(super) fn reply(&mut self, number: u64, status: u16, body: Value) {
        self.outputs.push_back(Output::Reply { number, reply: Reply { status, body } });
    }

    /// Shows every meeting that has changed again.
    ///
    /// A roster is shown whole, so a thousand people who join within a second must not be a thousand rosters: the first
    /// change shows at once, what follows within [`PUBLISH_EVERY`] together.
    pub(super) fn publish(&mut self, now: Now) {
        if self.changed.is_empty() || now.mono < self.publish_at {
            return;
        }
        self.publish_at = now.mono + PUBLISH_EVERY;
        for conference in std::mem::take(&mut self.changed) {
            let Some(snapshot) = self.bridge.conference(conference) else { continue };
            let Some(known) = self.meetings.get_mut(&conference) else { continue };
            let id = snapshot.conference_id.to_string();
            known.shown_as = Some(id.clone());
            known.masking = snapshot.masking;
            let masks = snapshot.masking == Masking::External;
            let mut shown = serde_json::to_value(&snapshot).unwrap_or_default();
            shown["tenant"] =
                json!(self.table.organizer(&snapshot.organizer).map(|organizer| &organizer.tenant));
            if let Some(recording) = self.recordings.get(&conference) {
                shown["recording"] = json!(recording.file);
                shown["recording_paused"] = json!(recording.paused);
            }
            for person in shown["participants"].as_array_mut().into_iter().flatten() {
                self.show_media(person);
            }
            if snapshot.masking == Masking::All {
                mask(&mut shown);
            }
            self.tell_difference(now, conference, Some(&shown));
            self.outputs.push_back(Output::Publish { conference_id: id, shown: Some(shown), masks });
        }
        // Whoever is shown no more has been told of.
        self.told.forget_endings();
        self.metrics.conferences.set(self.meetings.len() as i64);
        let seated = self.legs.values().filter(|leg| leg.meeting.is_some()).count();
        self.metrics.participants.set(seated as i64);
    }

    /// The bridge knows no media: how a participant's is coded and encrypted is told here.
    fn show_media(&self, person: &mut Value) {
        let leg = person["leg"].as_u64().and_then(|leg| self.legs.get(&LegId(leg)));
        let agreed = leg.and_then(|leg| leg.media.as_ref()?.negotiated.as_ref());
        person["codec"] = json!(agreed.map(|agreed| agreed.codec.name()));
        person["echo"] = json!(leg.is_some_and(|leg| leg.echo.is_some()));
        person["srtp"] = json!(agreed.and_then(|agreed| Some(agreed.crypto?.suite().name())));
    }

    /// A meeting is over.
    pub(super) fn withdraw(&mut self, now: Now, conference: ConferenceId) {
        self.tell_difference(now, conference, None);
        // Nothing to show any more, but the gauges change.
        self.changed.insert(conference);
        let Some(meeting) = self.meetings.remove(&conference) else { return };
        // Its tap comes home with the conference.
        self.recordings.remove(&conference);
        self.metrics.conference_size.observe(f64::from(meeting.most));
        if let Some(conference_id) = meeting.shown_as {
            self.outputs.push_back(Output::Publish { conference_id, shown: None, masks: false });
        }
    }
}
