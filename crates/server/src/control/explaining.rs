//! What routing would say of a leg at this moment, with every step: for a person who asks.
//!
//! Whoever sees one tenant only learns no name of a trunk, and of no number that it is another tenant's.

use routing::{Decision, Initiator, LegRequest, OrganizerId, TenantId, TrunkId};
use serde_json::{Value, json};

use super::api::Explain;
use super::{Control, Door};

/// A decision as it is shown to this reader; `None`: to the deployment's own.
pub(super) fn shown(decision: &Decision, reader: Option<&TenantId>) -> Value {
    let mut shown = json!(decision);
    if reader.is_some() {
        for candidate in shown["outcome"]["candidates"].as_array_mut().into_iter().flatten() {
            candidate["trunk"] = Value::Null;
        }
    }
    shown
}

impl<D: Door> Control<D> {
    /// Answers with the decision; a name that is spelled wrong would be decided as if it were another's.
    pub(super) fn explain_leg(&mut self, ask: u64, explain: &Explain, reader: Option<&TenantId>) {
        match self.explained(explain, reader) {
            Ok(decision) => self.reply(ask, 200, shown(&decision, reader)),
            Err(detail) => {
                let title = "nothing to explain";
                self.reply(ask, 404, json!({ "title": title, "status": 404, "detail": detail }));
            }
        }
    }

    fn explained(&self, explain: &Explain, reader: Option<&TenantId>) -> Result<Decision, String> {
        let down = self.down_trunks();
        let is_down = |trunk: &TrunkId| down.contains(trunk);
        let request = match explain {
            Explain::DialIn { organizer, called, trunk } => {
                self.known_organizer(organizer)?;
                let owner = self.table.number(called).map(|number| &number.owner);
                let trunk = match (trunk, owner) {
                    (Some(trunk), _) => self.trunks.get(trunk).map(|known| &known.id),
                    (None, Some(owner)) => self.table.trunk_of(owner),
                    (None, None) => None,
                };
                let Some(trunk) = trunk else {
                    return Err("no [[trunk]] has this name, or none carries this number".to_owned());
                };
                LegRequest::DialIn { called, trunk, organizer }
            }
            Explain::DialOut { organizer, number } => {
                self.known_organizer(organizer)?;
                let initiator = Initiator::Member;
                LegRequest::DialOut { organizer, dialed: number, initiator, down: &is_down }
            }
        };
        Ok(match reader {
            Some(tenant) => routing::explain_to(&self.table, &request, tenant),
            None => routing::explain(&self.table, &request),
        })
    }

    fn known_organizer(&self, organizer: &OrganizerId) -> Result<(), String> {
        let known = self.table.organizer(organizer).is_some();
        known
            .then_some(())
            .ok_or_else(|| "there is no such organizer, or the number does not reach him".to_owned())
    }
}
