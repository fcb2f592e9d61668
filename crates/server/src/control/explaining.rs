//! What routing would say of a leg at this moment, with every step: for a person who asks.

use routing::{Decision, Initiator, LegRequest, OrganizerId, TrunkId};
use serde_json::json;

use super::api::Explain;
use super::{Control, Door};

impl<D: Door> Control<D> {
    /// Answers with the decision; a name that is spelled wrong would be decided as if it were another's.
    pub(super) fn explain_leg(&mut self, ask: u64, explain: &Explain) {
        match self.explained(explain) {
            Ok(decision) => self.reply(ask, 200, json!(decision)),
            Err(detail) => {
                let title = "nothing to explain";
                self.reply(ask, 404, json!({ "title": title, "status": 404, "detail": detail }));
            }
        }
    }

    fn explained(&self, explain: &Explain) -> Result<Decision, String> {
        let down = self.down_trunks();
        let is_down = |trunk: &TrunkId| down.contains(trunk);
        let request = match explain {
            Explain::DialIn { organizer, called, trunk } => {
                self.known_organizer(organizer)?;
                if self.trunks.get(trunk).is_none() {
                    return Err("no [[trunk]] has this name".to_owned());
                }
                LegRequest::DialIn { called, trunk, organizer }
            }
            Explain::DialOut { organizer, number } => {
                self.known_organizer(organizer)?;
                let initiator = Initiator::Member;
                LegRequest::DialOut { organizer, dialed: number, initiator, down: &is_down }
            }
        };
        Ok(routing::explain(&self.table, &request))
    }

    fn known_organizer(&self, organizer: &OrganizerId) -> Result<(), String> {
        let known = self.table.organizer(organizer).is_some();
        known
            .then_some(())
            .ok_or_else(|| "there is no such organizer, or the number does not reach him".to_owned())
    }
}
