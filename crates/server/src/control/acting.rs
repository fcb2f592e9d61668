//! What the API wants done in an open meeting, and what it is told.

use bridge::{Action, ActionRefusal, ConferenceId, Event, Keys, LegId, RequestId};
use serde_json::json;

use super::seating::mixer_leg;
use super::{Control, Door, Now};

/// Keys that may be on their way to one far end: half of what the mixer holds for it, since what it says of its progress may
/// cross with what it is told.
const MOST_DIGITS: usize = 64;

impl<D: Door> Control<D> {
    /// The bridge is asked at once; it answers in the same turn.
    pub(super) fn ask_action(&mut self, now: Now, number: u64, conference_id: &str, action: Action) {
        let Some((conference, _)) = self.shown(conference_id) else {
            return self.refuse_action(number, ActionRefusal::UnknownConference);
        };
        if let Action::SendDigits { leg, keys } = action
            && let Some((status, why)) = self.no_digits(conference, leg, keys)
        {
            let body = json!({ "title": "action refused", "status": status, "detail": why });
            return self.reply(number, status, body);
        }
        let request = RequestId(number);
        tracing::info!(%conference, ?action, "a user acts in a meeting");
        self.tell_bridge(now, Event::Act { request, conference, action });
    }

    /// Why no keys can be sent to a leg of this conference, as far as its media goes; whether they may is the bridge's to say.
    fn no_digits(&self, conference: ConferenceId, leg: LegId, keys: Keys) -> Option<(u16, &'static str)> {
        let entry = self.legs.get(&leg).filter(|entry| entry.meeting == Some(conference))?;
        let agreed = entry.media.as_ref()?.negotiated.as_ref()?;
        if agreed.event_pt.is_none() {
            return Some((409, "the far end takes no keys: its SDP has no telephone-event (RFC 4733)"));
        }
        let busy = entry.digits + keys.len() > MOST_DIGITS;
        busy.then_some((429, "earlier keys are still being sent to this leg: wait some seconds"))
    }

    pub(super) fn send_digits(&mut self, leg: LegId, keys: Keys) {
        let text: String = keys.iter().map(bridge::Digit::key).collect();
        // Both have the same keys and the same bound.
        let Ok(digits) = mixer::Digits::parse(&text) else { return };
        if let Some(entry) = self.legs.get_mut(&leg) {
            entry.digits += keys.len();
        }
        let sent = self.seating.tell(leg, mixer::Command::SendDigits { leg: mixer_leg(leg), digits });
        self.media_out(sent);
    }

    pub(super) fn acted(&mut self, request: RequestId, result: Result<usize, ActionRefusal>) {
        match result {
            Ok(changed) => self.reply(request.0, 200, json!({ "changed": changed })),
            Err(why) => self.refuse_action(request.0, why),
        }
    }

    fn refuse_action(&mut self, number: u64, why: ActionRefusal) {
        let status = match why {
            ActionRefusal::UnknownConference | ActionRefusal::UnknownLeg(_) => 404,
            ActionRefusal::NotInLobby(_) | ActionRefusal::IsOrganizer(_) | ActionRefusal::NotDialedOut(_) => {
                409
            }
        };
        let body = json!({ "title": "action refused", "status": status, "detail": why.to_string() });
        self.reply(number, status, body);
    }
}
