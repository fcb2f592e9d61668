//! Meetings from the configuration, held in memory.

use crate::meeting::{ConferenceCode, Directory, Lookup, MAX_ID_LENGTH, MIN_ID_LENGTH, Meeting};
use crate::policy::{Announcements, Masking, MeetingPolicy, PinHash, RecordingNotice};
use crate::stamp::moment;
use crate::text::{SHORT, clean};
use routing::Spanned;
use routing::{BridgeSource, OrganizerId, OrganizerSource, Table, TableError, TableSource};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use toml::value::{Datetime, Offset};

/// The most participants a meeting may have.
const MOST_SEATS: u32 = 1000;

/// `[[meeting]]`: a meeting that can be dialed into. Nothing is checked yet.
#[derive(Debug, Clone, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeetingSource {
    /// The digits callers key; unique.
    pub conference_id: Spanned<String>,
    /// An organizer of the routing table.
    pub organizer: Spanned<String>,
    /// For the roster and the console.
    #[serde(default)]
    pub subject: String,
    /// When it is planned to begin, with an offset: `2026-11-23T10:00:00Z`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub starts: Option<Spanned<Datetime>>,
    /// When its dial-in details expire, with an offset. Default: never.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub expires: Option<Spanned<Datetime>>,
    /// The most participants at once, 1 to 1000. Default: 300.
    #[serde(default)]
    pub capacity: Option<Spanned<u32>>,
    /// Nobody may join. Default: false.
    #[serde(default)]
    pub locked: bool,
    /// Default: what the organizer's key of this name says.
    #[serde(default)]
    pub allow_pstn_users_to_bypass_lobby: Option<bool>,
    /// Default: what the organizer's key of this name says.
    #[serde(default)]
    pub allow_anonymous_users_to_start_meeting: Option<bool>,
    /// The meeting ends when its last organizer has left. Default: false.
    #[serde(default)]
    pub end_when_organizer_leaves: bool,
}

/// What all meetings of a deployment have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeetingRules {
    /// How many digits a conference ID has, 7 to 12.
    pub id_length: usize,
    /// How long after its expiry an ID is still explained.
    pub grace: Duration,
    /// The capacity of a meeting that names none.
    pub capacity: u32,
}

impl Default for MeetingRules {
    /// 9 digits, 60 days of grace, 300 participants.
    fn default() -> Self {
        Self { id_length: 9, grace: Duration::from_hours(60 * 24), capacity: 300 }
    }
}

/// A directory that never changes; a reload builds another one.
#[derive(Debug, Default)]
pub struct MemoryDirectory {
    meetings: HashMap<ConferenceCode, Arc<Meeting>>,
    grace: Duration,
}

impl MemoryDirectory {
    /// Checks the meetings against the rules and the table's organizers, whose own policies, and those of their bridges, are read
    /// from `written`. All mistakes are returned at once, the organizers' first, each in the order of the document.
    pub fn build(
        sources: &[MeetingSource],
        written: &TableSource,
        rules: &MeetingRules,
        table: &Table,
    ) -> Result<Self, Vec<TableError>> {
        let mut errors = Vec::new();
        let tenants = written.bridges.iter().map(|bridge| (bridge.tenant.get_ref().as_str(), bridge));
        let tenants: HashMap<&str, &BridgeSource> = tenants.collect();
        let maskings: HashMap<&str, Masking> = written
            .bridges
            .iter()
            .map(|bridge| (bridge.tenant.get_ref().as_str(), masking(bridge, &mut errors)))
            .collect();
        let mut hosts: HashMap<&str, Host> = HashMap::with_capacity(written.organizers.len());
        for source in &written.organizers {
            let bridge = tenants.get(source.tenant.get_ref().as_str()).copied();
            let mut host = host(source, bridge, &mut errors);
            host.policy.masking = maskings.get(source.tenant.get_ref().as_str()).copied().unwrap_or_default();
            hosts.insert(source.id.get_ref(), host);
        }
        let mut meetings = HashMap::with_capacity(sources.len());
        if !(MIN_ID_LENGTH..=MAX_ID_LENGTH).contains(&rules.id_length) {
            errors.push(TableError {
                span: None,
                key: "conference_id_length".into(),
                found: rules.id_length.to_string(),
                expected: format!("a number of digits from {MIN_ID_LENGTH} to {MAX_ID_LENGTH}"),
            });
        }
        for source in sources {
            let of = hosts.get(source.organizer.get_ref().as_str()).cloned().unwrap_or_default();
            let Some(meeting) = read(source, of, rules, table, &mut errors) else { continue };
            let code = meeting.conference_id.clone();
            if meetings.insert(code, Arc::new(meeting)).is_some() {
                errors.push(mistake(
                    &source.conference_id,
                    source,
                    "conference_id",
                    source.conference_id.get_ref(),
                    "an ID that no other meeting has",
                ));
            }
        }
        if errors.is_empty() { Ok(Self { meetings, grace: rules.grace }) } else { Err(errors) }
    }

    /// How many meetings there are.
    pub fn len(&self) -> usize {
        self.meetings.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.meetings.is_empty()
    }

    /// Every meeting, in no particular order.
    pub fn meetings(&self) -> impl Iterator<Item = &Arc<Meeting>> {
        self.meetings.values()
    }
}

impl Directory for MemoryDirectory {
    fn find(&self, conference_id: &str, wall: SystemTime) -> Lookup {
        let Some(meeting) = self.meetings.get(conference_id) else { return Lookup::Unknown };
        let Some(expires) = meeting.expires else { return Lookup::Found(Arc::clone(meeting)) };
        match wall.duration_since(expires) {
            Err(_) => Lookup::Found(Arc::clone(meeting)),
            Ok(late) if late < self.grace => Lookup::Expired(Arc::clone(meeting)),
            Ok(_) => Lookup::Unknown,
        }
    }
}

/// What all meetings of an organizer have in common.
#[derive(Clone, Default)]
struct Host {
    policy: MeetingPolicy,
    pin: Option<PinHash>,
}

/// Who does not learn numbers in this tenant's meetings.
fn masking(bridge: &BridgeSource, errors: &mut Vec<TableError>) -> Masking {
    let Some(word) = &bridge.mask_pstn_numbers else { return Masking::default() };
    let read = Masking::read(word.get_ref());
    if read.is_none() {
        errors.push(TableError {
            span: Some(word.span()),
            key: format!("bridge {:?}.mask_pstn_numbers", bridge.tenant.get_ref()),
            found: clean(word.get_ref(), SHORT),
            expected: "\"external\", \"all\" or \"none\"".into(),
        });
    }
    read.unwrap_or_default()
}

/// The form of a PIN's hash is the server's to check: it knows the algorithm.
fn host(source: &OrganizerSource, bridge: Option<&BridgeSource>, errors: &mut Vec<TableError>) -> Host {
    let tells =
        source.recording_notice.unwrap_or_else(|| bridge.is_none_or(|bridge| bridge.recording_notice));
    let word = source.entry_exit_announcements.as_ref();
    let announcements = match word.map(|word| word.get_ref().as_str()) {
        None | Some("tones") => Announcements::Tones,
        Some("names") => Announcements::Names,
        Some("off") => Announcements::Off,
        Some(other) => {
            errors.push(TableError {
                span: word.map(Spanned::span),
                key: format!("organizer {:?}.entry_exit_announcements", source.id.get_ref()),
                found: clean(other, SHORT),
                expected: "\"tones\", \"names\" or \"off\"".into(),
            });
            Announcements::default()
        }
    };
    Host {
        policy: MeetingPolicy {
            bypass_lobby: source.allow_pstn_users_to_bypass_lobby,
            anonymous_start: source.allow_anonymous_users_to_start_meeting,
            announcements,
            end_when_organizer_leaves: false,
            recording_notice: if tells { RecordingNotice::Spoken } else { RecordingNotice::Off },
            masking: Masking::default(),
            records_names: announcements == Announcements::Names
                && bridge.is_none_or(|bridge| bridge.enable_name_recording),
        },
        pin: source.pin_hash.as_ref().map(|hash| PinHash::new(hash.get_ref())),
    }
}

/// One meeting; `None` and at least one mistake, when it cannot be read.
fn read(
    source: &MeetingSource,
    of: Host,
    rules: &MeetingRules,
    table: &Table,
    errors: &mut Vec<TableError>,
) -> Option<Meeting> {
    let before = errors.len();
    let digits = source.conference_id.get_ref();
    let code = digits.parse::<ConferenceCode>().ok().filter(|_| digits.len() == rules.id_length);
    if code.is_none() {
        let expected = format!("{} digits", rules.id_length);
        errors.push(mistake(&source.conference_id, source, "conference_id", digits, &expected));
    }
    let organizer = OrganizerId::new(source.organizer.get_ref().as_str());
    if table.organizer(&organizer).is_none() {
        let found = source.organizer.get_ref();
        errors.push(mistake(&source.organizer, source, "organizer", found, "the id of an [[organizer]]"));
    }
    let starts = read_time(source, "starts", source.starts.as_ref(), errors);
    let expires = read_time(source, "expires", source.expires.as_ref(), errors);
    if let (Some(starts), Some(expires), Some(spanned)) = (starts, expires, &source.expires)
        && expires <= starts
    {
        let found = spanned.get_ref().to_string();
        errors.push(mistake(spanned, source, "expires", &found, "a moment after `starts`"));
    }
    let capacity = source.capacity.as_ref().map_or(rules.capacity, |capacity| *capacity.get_ref());
    if let Some(spanned) = &source.capacity
        && !(1..=MOST_SEATS).contains(&capacity)
    {
        let expected = format!("a number from 1 to {MOST_SEATS}");
        errors.push(mistake(spanned, source, "capacity", &capacity.to_string(), &expected));
    }
    if errors.len() > before {
        return None;
    }
    Some(Meeting {
        conference_id: code?,
        organizer,
        subject: clean(&source.subject, SHORT),
        starts,
        expires,
        capacity: capacity as usize,
        locked: source.locked,
        policy: MeetingPolicy {
            bypass_lobby: source.allow_pstn_users_to_bypass_lobby.unwrap_or(of.policy.bypass_lobby),
            anonymous_start: source
                .allow_anonymous_users_to_start_meeting
                .unwrap_or(of.policy.anonymous_start),
            end_when_organizer_leaves: source.end_when_organizer_leaves,
            ..of.policy
        },
        pin: of.pin,
    })
}

fn read_time(
    source: &MeetingSource,
    key: &str,
    spanned: Option<&Spanned<Datetime>>,
    errors: &mut Vec<TableError>,
) -> Option<SystemTime> {
    let spanned = spanned?;
    let read = utc(spanned.get_ref());
    if read.is_none() {
        let found = spanned.get_ref().to_string();
        let expected = "a date and time with an offset, from 1970 on: 2026-11-23T10:00:00Z";
        errors.push(mistake(spanned, source, key, &found, expected));
    }
    read
}

/// The moment that a configuration writes, `None` without date, time or offset, and before 1970.
pub fn utc(datetime: &Datetime) -> Option<SystemTime> {
    let (date, time, offset) = (datetime.date?, datetime.time?, datetime.offset?);
    let local = moment(
        (date.year, date.month, date.day),
        (time.hour, time.minute, time.second.unwrap_or(0)),
        time.nanosecond.unwrap_or(0),
    )?;
    let minutes = match offset {
        Offset::Z => 0,
        Offset::Custom { minutes } => minutes,
    };
    let shift = Duration::from_secs(u64::from(minutes.unsigned_abs()) * 60);
    if minutes >= 0 { local.checked_sub(shift) } else { local.checked_add(shift) }
}

fn mistake<T>(
    place: &Spanned<T>,
    source: &MeetingSource,
    key: &str,
    found: &str,
    expected: &str,
) -> TableError {
    TableError {
        span: Some(place.span()),
        key: format!("meeting {:?}.{key}", source.conference_id.get_ref()),
        found: clean(found, SHORT),
        expected: expected.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::tests::{meetings, noon};

    fn found(directory: &MemoryDirectory, digits: &str, after: Duration) -> &'static str {
        match directory.find(digits, noon() + after) {
            Lookup::Found(_) => "found",
            Lookup::Expired(_) => "expired",
            Lookup::Unknown => "unknown",
        }
    }

    /// What an organizer's meetings follow, from lines of his bridge and of himself.
    fn policy_of(bridge: &str, organizer: &str) -> MeetingPolicy {
        let written = format!(
            "bridge = [{{ tenant = \"contoso\", {bridge} }}]\norganizer = [{{ id = \"o\", tenant = \"contoso\", \
             license = \"none\", {organizer} }}]"
        );
        let written = TableSource::from_toml(&written).expect("a document");
        let mut errors = Vec::new();
        let host = host(&written.organizers[0], Some(&written.bridges[0]), &mut errors);
        assert_eq!(errors, Vec::new(), "{bridge} {organizer}");
        host.policy
    }

    #[test]
    fn an_id_expires_is_explained_for_a_while_and_then_unknown() {
        let document = "meeting = [{ conference_id = \"123456789\", organizer = \"megan\", expires = 2026-11-23T14:00:00+01:00 }]";
        let directory = meetings(document).unwrap();
        for (hours, expected) in
            [(0, "found"), (1, "expired"), (60 * 24, "expired"), (60 * 24 + 1, "unknown")]
        {
            assert_eq!(found(&directory, "123456789", Duration::from_hours(hours)), expected, "{hours}");
        }
        assert_eq!(found(&directory, "123456780", Duration::ZERO), "unknown");
    }

    #[test]
    fn every_mistake_is_named_with_its_place() {
        let document = r#"
meeting = [
  { conference_id = "1234", organizer = "megan" },
  { conference_id = "12345678a", organizer = "megan" },
  { conference_id = "123456789", organizer = "nobody" },
  { conference_id = "223456789", organizer = "megan", expires = 2026-11-23T10:00:00 },
  { conference_id = "323456789", organizer = "megan", capacity = 1001 },
  { conference_id = "423456789", organizer = "megan", starts = 2026-11-23T10:00:00Z, expires = 2026-11-23T09:00:00Z },
  { conference_id = "523456789", organizer = "megan" },
  { conference_id = "523456789", organizer = "adele" },
]
"#;
        let errors = meetings(document).unwrap_err();
        let places: Vec<_> = errors
            .iter()
            .map(|error| (error.key.rsplit('.').next().unwrap(), &document[error.span.clone().unwrap()]))
            .collect();
        assert_eq!(
            places,
            [
                ("conference_id", "\"1234\""),
                ("conference_id", "\"12345678a\""),
                ("organizer", "\"nobody\""),
                ("expires", "2026-11-23T10:00:00"),
                ("capacity", "1001"),
                ("expires", "2026-11-23T09:00:00Z"),
                ("conference_id", "\"523456789\""),
            ]
        );
    }

    #[test]
    fn a_meeting_has_its_organizer_s_rules_where_it_has_none_of_its_own() {
        let document = r#"
meeting = [
  { conference_id = "123456789", organizer = "megan" },
  { conference_id = "223456789", organizer = "megan", allow_pstn_users_to_bypass_lobby = false },
  { conference_id = "323456789", organizer = "petra", allow_anonymous_users_to_start_meeting = true },
]
"#;
        let directory = meetings(document).unwrap();
        let policy = |digits: &str| directory.meetings[digits].policy;
        assert!(policy("123456789").anyone_starts());
        assert!(!policy("223456789").bypass_lobby && !policy("223456789").anyone_starts());
        let own = policy("323456789");
        assert!(own.anonymous_start && !own.bypass_lobby && !own.anyone_starts());
        assert!(
            directory.meetings["123456789"].pin.is_none() && directory.meetings["323456789"].pin.is_some()
        );
    }

    #[test]
    fn that_a_meeting_is_recorded_is_said_unless_the_bridge_or_the_organizer_says_no() {
        use RecordingNotice::{Off, Spoken};
        for (bridge, organizer, notice) in [
            ("", "", Spoken),
            ("recording_notice = false", "", Off),
            ("", "recording_notice = false", Off),
            ("recording_notice = false", "recording_notice = true", Spoken),
        ] {
            assert_eq!(policy_of(bridge, organizer).recording_notice, notice, "{bridge} {organizer}");
        }
    }

    #[test]
    fn who_learns_numbers_is_a_word_of_the_bridge_and_a_wrong_one_is_named() {
        for (line, masking) in [
            ("", Masking::External),
            ("mask_pstn_numbers = \"external\"", Masking::External),
            ("mask_pstn_numbers = \"all\"", Masking::All),
            ("mask_pstn_numbers = \"none\"", Masking::None),
        ] {
            let written = format!("bridge = [{{ tenant = \"contoso\", {line} }}]");
            let written = TableSource::from_toml(&written).expect("a document");
            let mut errors = Vec::new();
            assert_eq!(
                (super::masking(&written.bridges[0], &mut errors), errors),
                (masking, Vec::new()),
                "{line}"
            );
        }
        let written = "bridge = [{ tenant = \"contoso\", mask_pstn_numbers = \"guests\" }]";
        let written = TableSource::from_toml(written).expect("a document");
        let mut errors = Vec::new();
        super::masking(&written.bridges[0], &mut errors);
        assert_eq!(errors[0].key, "bridge \"contoso\".mask_pstn_numbers");
    }

    #[test]
    fn names_are_recorded_where_they_are_said_unless_the_bridge_says_no() {
        for (bridge, organizer, asked) in [
            ("", "", false),
            ("", "entry_exit_announcements = \"names\"", true),
            ("enable_name_recording = true", "entry_exit_announcements = \"off\"", false),
            ("enable_name_recording = false", "entry_exit_announcements = \"names\"", false),
        ] {
            assert_eq!(policy_of(bridge, organizer).records_names, asked, "{bridge} {organizer}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let document = "conference_id = \"123456789\"\norganizer = \"megan\"\npin = \"1\"";
        let error = toml::from_str::<MeetingSource>(document).unwrap_err();
        assert!(error.message().contains("pin"), "{error}");
    }
}
