//! What the API wants done in an open meeting, and what it is told.

use bridge::{Action, ActionRefusal, Event, RequestId};
use serde_json::json;

use super::{Control, Door, Now};

impl<D: Door> Control<D> {
    /// The bridge is asked at once; it answers in the same turn.
    pub(super) fn ask_action(&mut self, now: Now, number: u64, conference_id: &str, action: Action) {
        let Some((conference, _)) = self.shown(conference_id) else {
            return self.refuse_action(number, ActionRefusal::UnknownConference);
        };
        let request = RequestId(number);
        tracing::info!(%conference, ?action, "a user acts in a meeting");
        self.tell_bridge(now, Event::Act { request, conference, action });
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
            ActionRefusal::NotInLobby(_) | ActionRefusal::IsOrganizer(_) => 409,
        };
        let body = json!({ "title": "action refused", "status": status, "detail": why.to_string() });
        self.reply(number, status, body);
    }
}
