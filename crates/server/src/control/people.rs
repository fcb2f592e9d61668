//! Whose meetings somebody who sees one tenant only may touch.

use bridge::Lookup;
use routing::{OrganizerId, TenantId};

use super::api::Explain;
use super::{Ask, Control, Door, Now};

impl<D: Door> Control<D> {
    /// What is left of an ask for somebody who sees one tenant only.
    ///
    /// What is another's is asked for under a name that nothing has: so it takes the same way, and the same time, as what
    /// does not exist, and gets the same answer.
    pub(super) fn narrowed(&self, now: Now, tenant: &TenantId, mut ask: Ask) -> Ask {
        match &mut ask {
            Ask::DialOut { conference_id, .. }
            | Ask::StartRecording { conference_id, .. }
            | Ask::PauseRecording { conference_id, .. }
            | Ask::StopRecording { conference_id }
            | Ask::Act { conference_id, .. } => {
                if !self.is_of(now, tenant, conference_id) {
                    conference_id.clear();
                }
            }
            Ask::Explain(Explain::DialIn { organizer, called, .. }) => {
                let reached = self.table.number(called).is_some_and(|number| number.tenancy.serves(tenant));
                if !reached || !self.is_theirs(tenant, organizer) {
                    *organizer = OrganizerId::new("");
                }
            }
            Ask::Explain(Explain::DialOut { organizer, .. }) => {
                if !self.is_theirs(tenant, organizer) {
                    *organizer = OrganizerId::new("");
                }
            }
            Ask::Within { .. } | Ask::Status | Ask::Trunks | Ask::Trunk { .. } | Ask::DrainTrunk { .. } => {}
        }
        ask
    }

    /// Whether the meeting, the one that runs and the one that is planned, is one of the tenant's. What is neither is
    /// nobody's.
    fn is_of(&self, now: Now, tenant: &TenantId, conference_id: &str) -> bool {
        let running = self.shown(conference_id).and_then(|(running, _)| self.bridge.conference(running));
        let planned = match self.directory.find(conference_id, now.wall) {
            Lookup::Found(meeting) | Lookup::Expired(meeting) => Some(meeting),
            Lookup::Unknown => None,
        };
        let organizers = [running.map(|one| one.organizer), planned.map(|one| one.organizer.clone())];
        organizers.iter().flatten().all(|organizer| self.is_theirs(tenant, organizer))
    }

    fn is_theirs(&self, tenant: &TenantId, organizer: &OrganizerId) -> bool {
        self.table.organizer(organizer).is_some_and(|known| known.tenant == *tenant)
    }
}
