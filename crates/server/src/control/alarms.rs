//! Somebody seems to guess conference IDs or PINs: counted, written into the log, told on the event stream.

use bridge::{Alarm, AlarmScope};
use routing::{TenantId, TrunkId};
use serde_json::{Map, json};

use super::{Control, Door, Now};

impl<D: Door> Control<D> {
    /// Each is counted. Of callers, who may be many, one is told every ten seconds at most; of places, each.
    pub(super) fn raise_alarm(&mut self, now: Now, alarm: &Alarm) {
        let (guessed, level, scope) = (alarm.guessed.label(), alarm.level.label(), alarm.scope.label());
        self.metrics.defense_alarms.with_label_values(&[guessed, scope, level]).inc();
        if matches!(alarm.scope, AlarmScope::Caller(_)) && !self.may_tell(now, "guessing caller") {
            return;
        }
        let (trunk, tenant, organizer) = match &alarm.scope {
            AlarmScope::Caller(trunk) | AlarmScope::Anonymous(trunk) | AlarmScope::Trunk(trunk) => {
                (Some(trunk), None, None)
            }
            AlarmScope::Tenant(tenant) => (None, Some(tenant.clone()), None),
            AlarmScope::Bridge => (None, None, None),
            AlarmScope::Organizer(organizer) => {
                (None, self.table.organizer(organizer).map(|known| known.tenant.clone()), Some(organizer))
            }
        };
        let (wrong, hits) = (alarm.wrong, alarm.hits);
        tracing::warn!(
            guessed,
            scope,
            level,
            trunk = trunk.map(TrunkId::as_str),
            tenant = tenant.as_ref().map(TenantId::as_str),
            organizer = organizer.map(routing::OrganizerId::as_str),
            wrong,
            hits,
            "somebody seems to guess; docs/security.md says what is done and docs/operations.md what to do"
        );
        let mut members = Map::new();
        members.extend(trunk.map(|trunk| ("trunk".to_owned(), json!(trunk))));
        let mut details =
            json!({ "guessed": guessed, "scope": scope, "level": level, "wrong": wrong, "hits": hits });
        if let Some(organizer) = organizer {
            details["organizer"] = json!(organizer);
        }
        members.insert("details".to_owned(), details);
        self.happened(now, "guessing.alarm", tenant, false, members);
    }
}
