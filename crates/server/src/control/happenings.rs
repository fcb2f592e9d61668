//! What happens, told one thing after the other: how what is shown of a meeting differs from what was shown of it before,
//! and what happens to the node itself.
//!
//! Because the stream is the difference of what is shown, it says no more than that: a caller who asked for privacy has no
//! number in it either. And whoever has read a meeting and then all that was told since knows the meeting as it is.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant, SystemTime};

use bridge::{BudgetNotice, BudgetOwner, ConferenceId, LegId, Masking, Record};
use routing::TenantId;
use serde_json::{Map, Value, json};

use super::{Control, Door, Now, Output};
use crate::masked::mask;

/// The same limit is told again after so long.
const LIMIT_EVERY: Duration = Duration::from_secs(10);
/// The lists of a meeting whose members are people, and what their events begin with.
const LISTS: [(&str, &str); 3] = [("participants", "participant"), ("lobby", "lobby"), ("callees", "callee")];

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// What: one of the words that the API describes.
    pub kind: &'static str,
    /// When.
    pub at: SystemTime,
    /// Whose it is; `None`: the node's own.
    pub tenant: Option<TenantId>,
    /// Who is outside is told it without numbers.
    pub masks: bool,
    /// `conference_id`, `leg` and `trunk` where it has them, and in `details` what depends on `kind`.
    pub members: Map<String, Value>,
}

/// What was told last.
#[derive(Default)]
pub(super) struct Told {
    meetings: HashMap<ConferenceId, Meeting>,
    /// How legs ended that are still shown.
    endings: HashMap<LegId, Value>,
    limits: BTreeMap<&'static str, Instant>,
}

/// A meeting as it was shown last. As text: a tree of JSON takes several times as much memory for each leg.
#[derive(Default)]
struct Meeting {
    conference_id: String,
    tenant: Option<TenantId>,
    /// By list and leg.
    people: BTreeMap<(usize, u64), Box<str>>,
    /// What the meeting says of itself.
    own: Map<String, Value>,
}

impl Told {
    pub(super) fn forget_endings(&mut self) {
        self.endings.clear();
    }
}

impl Meeting {
    fn of(shown: &Value) -> Self {
        let mut meeting = Self {
            conference_id: shown["conference_id"].as_str().unwrap_or_default().to_owned(),
            tenant: shown["tenant"].as_str().map(TenantId::from),
            ..Self::default()
        };
        for (name, value) in shown.as_object().into_iter().flatten() {
            match LISTS.iter().position(|(list, _)| list == name) {
                Some(list) => {
                    for person in value.as_array().into_iter().flatten() {
                        let leg = person["leg"].as_u64().unwrap_or_default();
                        meeting.people.insert((list, leg), person.to_string().into());
                    }
                }
                None => drop(meeting.own.insert(name.clone(), value.clone())),
            }
        }
        meeting
    }
}

/// What was told, as a kind with the leg that it is about and its details.
type Line = (&'static str, Option<u64>, Value);

/// How a meeting has changed. Who left first, then what changed, then who came.
fn difference(before: &Meeting, after: &Meeting, endings: &mut HashMap<LegId, Value>) -> Vec<Line> {
    let mut told = Vec::new();
    for &(list, leg) in before.people.keys().filter(|key| !after.people.contains_key(key)) {
        let moved = after.people.keys().any(|(_, other)| *other == leg);
        let ending = if moved { Some(json!({ "moved": true })) } else { endings.remove(&LegId(leg)) };
        told.push((kind(list, "left"), Some(leg), ending.unwrap_or_else(|| json!({}))));
    }
    for (key, now) in &after.people {
        let Some(was) = before.people.get(key).filter(|was| *was != now) else { continue };
        let changed = members(&parsed(was), &parsed(now));
        told.push((kind(key.0, "changed"), Some(key.1), changed));
    }
    for (&(list, leg), now) in after.people.iter().filter(|(key, _)| !before.people.contains_key(key)) {
        told.push((kind(list, "joined"), Some(leg), Value::Object(parsed(now))));
    }
    told
}

/// The members of `after` that are others than in `before`; what is gone is null.
fn members(before: &Map<String, Value>, after: &Map<String, Value>) -> Value {
    let differ = |name: &&String| before.get(*name) != after.get(*name);
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name))).filter(differ);
    names.map(|name| (name.clone(), after.get(name).cloned().unwrap_or(Value::Null))).collect()
}

fn parsed(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_default()
}

fn kind(list: usize, what: &str) -> &'static str {
    match (LISTS[list].1, what) {
        ("participant", "joined") => "participant.joined",
        ("participant", "left") => "participant.left",
        ("participant", _) => "participant.changed",
        ("lobby", "joined") => "lobby.joined",
        ("lobby", "left") => "lobby.left",
        ("lobby", _) => "lobby.changed",
        (_, "joined") => "callee.dialing",
        (_, "left") => "callee.ended",
        (_, _) => "callee.changed",
    }
}

impl<D: Door> Control<D> {
    /// A meeting is about to be shown; `None`: no more.
    pub(super) fn tell_difference(&mut self, now: Now, conference: ConferenceId, shown: Option<&Value>) {
        let before = self.told.meetings.remove(&conference);
        let (opened, closed) = (before.is_none(), shown.is_none());
        if opened && closed {
            return;
        }
        let after = shown.map(Meeting::of);
        let before = before.unwrap_or_default();
        let empty = Meeting::default();
        let told = difference(&before, after.as_ref().unwrap_or(&empty), &mut self.told.endings);
        let named = after.as_ref().unwrap_or(&before);
        let (id, tenant) = (named.conference_id.clone(), named.tenant.clone());
        let masking = self.meetings.get(&conference).map(|open| open.masking).unwrap_or_default();
        let mut out = Vec::new();
        if let (true, Some(after)) = (opened, &after) {
            out.push(("conference.opened", None, Value::Object(after.own.clone())));
        }
        out.extend(told);
        out.extend(recording(&before, after.as_ref()));
        if let (false, Some(after)) = (opened, &after) {
            let mut changed = members(&before.own, &after.own);
            if let Some(changed) = changed.as_object_mut() {
                changed.remove("recording");
                changed.remove("recording_paused");
            }
            if changed.as_object().is_some_and(|changed| !changed.is_empty()) {
                out.push(("conference.changed", None, changed));
            }
        }
        if closed {
            out.push(("conference.closed", None, json!({})));
        }
        for (kind, leg, mut details) in out {
            if masking == Masking::All {
                // How a leg ended is told in the far end's words, which were not shown before.
                mask(&mut details);
            }
            let mut members = Map::new();
            members.insert("conference_id".to_owned(), json!(id));
            members.extend(leg.map(|leg| ("leg".to_owned(), json!(leg))));
            members.insert("details".to_owned(), details);
            self.happened(now, kind, tenant.clone(), masking == Masking::External, members);
        }
        if let Some(after) = after {
            self.told.meetings.insert(conference, after);
        }
    }

    /// How a leg ended: told when it is shown no more.
    pub(super) fn note_ending(&mut self, record: &Record) {
        let shown =
            self.told.meetings.values().any(|meeting| {
                (0..LISTS.len()).any(|list| meeting.people.contains_key(&(list, record.leg.0)))
            });
        if let Some(end) = record.end.as_ref().filter(|_| shown) {
            self.told.endings.insert(record.leg, json!(end));
        }
    }

    /// A trunk is doing otherwise than before.
    pub(super) fn tell_trunk(&mut self, now: Now, trunk: &str, state: &str, because: &str) {
        let mut members = Map::new();
        members.insert("trunk".to_owned(), json!(trunk));
        members.insert("details".to_owned(), json!({ "state": state, "because": because }));
        self.happened(now, "trunk.changed", None, false, members);
    }

    /// Something was refused because a limit is reached.
    pub(super) fn tell_limit(&mut self, now: Now, limit: &'static str) {
        if !self.may_tell(now, limit) {
            return;
        }
        let mut members = Map::new();
        members.insert("details".to_owned(), json!({ "limit": limit }));
        self.happened(now, "limit.reached", None, false, members);
    }

    /// A minute pool or a spending limit is used up to 80 or 100 per cent.
    pub(super) fn tell_budget(&mut self, now: Now, notice: &BudgetNotice) {
        let kind = if notice.percent >= 100 { "budget.reached" } else { "budget.warned" };
        let mut members = Map::new();
        let (whose, organizer) = match &notice.owner {
            BudgetOwner::Tenant => ("tenant", None),
            BudgetOwner::Organizer(organizer) => ("organizer", Some(organizer)),
            BudgetOwner::Meeting(id) => {
                members.insert("conference_id".to_owned(), json!(id));
                ("meeting", None)
            }
        };
        let (budget, percent, used) = (notice.kind.label(), notice.percent, &notice.used);
        let details = json!({
            "budget": budget, "whose": whose, "organizer": organizer, "percent": percent, "used": used,
        });
        members.insert("details".to_owned(), details);
        self.happened(now, kind, Some(notice.tenant.clone()), false, members);
    }

    /// Whether something that may happen often is to be told now; then not again for ten seconds.
    pub(super) fn may_tell(&mut self, now: Now, what: &'static str) -> bool {
        let told = self.told.limits.get(what);
        if told.is_some_and(|told| now.mono.saturating_duration_since(*told) < LIMIT_EVERY) {
            return false;
        }
        self.told.limits.insert(what, now.mono);
        true
    }

    pub(super) fn happened(
        &mut self,
        now: Now,
        kind: &'static str,
        tenant: Option<TenantId>,
        masks: bool,
        members: Map<String, Value>,
    ) {
        self.outputs.push_back(Output::Happened(Happening { kind, at: now.wall, tenant, masks, members }));
    }
}

/// A recording that has begun, pauses, goes on or has ended.
fn recording(before: &Meeting, after: Option<&Meeting>) -> Option<Line> {
    let (was, is) = (before.own.get("recording"), after.and_then(|after| after.own.get("recording")));
    match (was, is) {
        (None, Some(file)) => Some(("recording.started", None, json!({ "file": file }))),
        (Some(file), None) => Some(("recording.ended", None, json!({ "file": file }))),
        (Some(_), Some(file)) => {
            let paused = |meeting: &Meeting| meeting.own.get("recording_paused") == Some(&Value::Bool(true));
            match (paused(before), after.is_some_and(paused)) {
                (false, true) => Some(("recording.paused", None, json!({ "file": file }))),
                (true, false) => Some(("recording.resumed", None, json!({ "file": file }))),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meeting(participants: &Value, callees: &Value) -> Meeting {
        Meeting::of(&json!({ "conference_id": "1", "participants": participants, "callees": callees }))
    }

    #[test]
    fn what_is_told_is_who_left_what_changed_and_who_came() {
        let before = meeting(
            &json!([{ "leg": 1, "muted": false }, { "leg": 2, "muted": false }]),
            &json!([{ "leg": 3 }]),
        );
        let after = meeting(&json!([{ "leg": 1, "muted": true }, { "leg": 3, "muted": false }]), &json!([]));
        let mut endings = HashMap::from([(LegId(2), json!({ "result": "ended" }))]);
        let told = difference(&before, &after, &mut endings);
        assert_eq!(
            told,
            [
                ("participant.left", Some(2), json!({ "result": "ended" })),
                ("callee.ended", Some(3), json!({ "moved": true })),
                ("participant.changed", Some(1), json!({ "muted": true })),
                ("participant.joined", Some(3), json!({ "leg": 3, "muted": false })),
            ]
        );
        assert!(endings.is_empty());
        assert_eq!(difference(&after, &after, &mut endings), []);
    }

    #[test]
    fn a_member_that_is_gone_is_told_as_null() {
        let map = |value: Value| value.as_object().cloned().unwrap_or_default();
        let changed = members(&map(json!({ "a": 1, "b": 2 })), &map(json!({ "b": 2, "c": 3 })));
        assert_eq!(changed, json!({ "a": null, "c": 3 }));
    }
}
