//! What the directory is made of: four tables whose rows are sections of a configuration.

use sqlx::any::AnyRow;
use sqlx::{Error, Row as _};

/// One kind of row: its table, its section in a configuration, and the statements, none of which is ever put together.
#[derive(Debug)]
pub(crate) struct Entity {
    /// The table, and what people call it.
    pub(crate) name: &'static str,
    /// The section, `organizer` for `[[organizer]]`.
    pub(crate) section: &'static str,
    /// The columns in the order of the statements; the first one is the key.
    pub(crate) columns: &'static [Column],
    pub(crate) select: &'static str,
    pub(crate) delete: &'static str,
    pub(crate) upsert: &'static str,
}

/// One column.
#[derive(Debug)]
pub(crate) struct Column {
    /// The key in the section, and in files that are imported.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Whether it is a key of the section; the others are for the commands.
    pub(crate) configured: bool,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// Several texts, separated by semicolons.
    List,
    /// Text as in RFC 3339.
    Moment,
    /// 0 or 1.
    Switch,
    Whole,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Nothing(Kind),
    Text(String),
    Whole(i64),
}

impl Cell {
    /// As people read it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Nothing(_) => String::new(),
            Self::Text(text) => text.clone(),
            Self::Whole(number) => number.to_string(),
        }
    }
}

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, configured: true }
}

pub(crate) const BRIDGES: Entity = Entity {
    name: "bridges",
    section: "bridge",
    columns: &[
        column("tenant", Kind::Text),
        column("name", Kind::Text),
        column("default_service_number", Kind::Text),
        column("country_code", Kind::Text),
        column("international_prefix", Kind::Text),
        column("national_prefix", Kind::Text),
        column("communications_credits", Kind::Switch),
        column("global_policy", Kind::Text),
        column("dial_out_policy", Kind::Text),
        column("usage_location", Kind::Text),
        column("recording_notice", Kind::Switch),
        column("mask_pstn_numbers", Kind::Text),
        column("enable_name_recording", Kind::Switch),
        column("public_id", Kind::Text),
    ],
    select: "SELECT tenant, name, default_service_number, country_code, international_prefix, national_prefix, \
             communications_credits, global_policy, dial_out_policy, usage_location, recording_notice, \
             mask_pstn_numbers, enable_name_recording, public_id FROM bridges ORDER BY tenant",
    delete: "DELETE FROM bridges WHERE tenant = $1",
    upsert: "INSERT INTO bridges (tenant, name, default_service_number, country_code, international_prefix, \
             national_prefix, communications_credits, global_policy, dial_out_policy, usage_location, \
             recording_notice, mask_pstn_numbers, enable_name_recording, public_id) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
             ON CONFLICT (tenant) DO UPDATE SET name = excluded.name, \
             default_service_number = excluded.default_service_number, country_code = excluded.country_code, \
             international_prefix = excluded.international_prefix, national_prefix = excluded.national_prefix, \
             communications_credits = excluded.communications_credits, global_policy = excluded.global_policy, \
             dial_out_policy = excluded.dial_out_policy, usage_location = excluded.usage_location, \
             recording_notice = excluded.recording_notice, mask_pstn_numbers = excluded.mask_pstn_numbers, \
             enable_name_recording = excluded.enable_name_recording, public_id = excluded.public_id",
};

pub(crate) const NUMBERS: Entity = Entity {
    name: "numbers",
    section: "number",
    columns: &[
        column("number", Kind::Text),
        column("owner", Kind::Text),
        column("kind", Kind::Text),
        column("tenant", Kind::Text),
        column("languages", Kind::List),
        column("suspended", Kind::Switch),
    ],
    select: "SELECT number, owner, kind, tenant, languages, suspended FROM numbers ORDER BY number",
    delete: "DELETE FROM numbers WHERE number = $1",
    upsert: "INSERT INTO numbers (number, owner, kind, tenant, languages, suspended) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (number) DO UPDATE SET owner = excluded.owner, kind = excluded.kind, \
             tenant = excluded.tenant, languages = excluded.languages, suspended = excluded.suspended",
};

pub(crate) const ORGANIZERS: Entity = Entity {
    name: "organizers",
    section: "organizer",
    columns: &[
        column("id", Kind::Text),
        column("tenant", Kind::Text),
        column("license", Kind::Text),
        column("policy", Kind::Text),
        column("groups", Kind::List),
        column("service_number", Kind::Text),
        column("toll_free_service_number", Kind::Text),
        column("meeting_invite_phone_numbers", Kind::List),
        column("allow_toll_free_dial_in", Kind::Switch),
        column("allow_anonymous_users_to_dial_out", Kind::Switch),
        column("pin_hash", Kind::Text),
        column("allow_pstn_users_to_bypass_lobby", Kind::Switch),
        column("allow_anonymous_users_to_start_meeting", Kind::Switch),
        column("entry_exit_announcements", Kind::Text),
        column("recording_notice", Kind::Switch),
        column("dial_out_policy", Kind::Text),
        column("usage_location", Kind::Text),
    ],
    select: "SELECT id, tenant, license, policy, groups_of, service_number, toll_free_service_number, \
             meeting_invite_phone_numbers, allow_toll_free_dial_in, allow_anonymous_users_to_dial_out, pin_hash, \
             allow_pstn_users_to_bypass_lobby, allow_anonymous_users_to_start_meeting, entry_exit_announcements, \
             recording_notice, dial_out_policy, usage_location FROM organizers ORDER BY id",
    delete: "DELETE FROM organizers WHERE id = $1",
    upsert: "INSERT INTO organizers (id, tenant, license, policy, groups_of, service_number, \
             toll_free_service_number, meeting_invite_phone_numbers, allow_toll_free_dial_in, \
             allow_anonymous_users_to_dial_out, pin_hash, \
             allow_pstn_users_to_bypass_lobby, allow_anonymous_users_to_start_meeting, entry_exit_announcements, \
             recording_notice, dial_out_policy, usage_location) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) ON CONFLICT (id) DO UPDATE SET \
             tenant = excluded.tenant, license = excluded.license, policy = excluded.policy, \
             groups_of = excluded.groups_of, service_number = excluded.service_number, \
             toll_free_service_number = excluded.toll_free_service_number, \
             meeting_invite_phone_numbers = excluded.meeting_invite_phone_numbers, \
             allow_toll_free_dial_in = excluded.allow_toll_free_dial_in, \
             allow_anonymous_users_to_dial_out = excluded.allow_anonymous_users_to_dial_out, \
             pin_hash = excluded.pin_hash, \
             allow_pstn_users_to_bypass_lobby = excluded.allow_pstn_users_to_bypass_lobby, \
             allow_anonymous_users_to_start_meeting = excluded.allow_anonymous_users_to_start_meeting, \
             entry_exit_announcements = excluded.entry_exit_announcements, \
             recording_notice = excluded.recording_notice, \
             dial_out_policy = excluded.dial_out_policy, usage_location = excluded.usage_location",
};

pub(crate) const MEETINGS: Entity = Entity {
    name: "meetings",
    section: "meeting",
    columns: &[
        column("conference_id", Kind::Text),
        column("organizer", Kind::Text),
        column("subject", Kind::Text),
        column("starts", Kind::Moment),
        Column { name: "ends", kind: Kind::Moment, configured: false },
        column("expires", Kind::Moment),
        column("capacity", Kind::Whole),
        column("locked", Kind::Switch),
        column("allow_pstn_users_to_bypass_lobby", Kind::Switch),
        column("allow_anonymous_users_to_start_meeting", Kind::Switch),
        column("end_when_organizer_leaves", Kind::Switch),
    ],
    select: "SELECT conference_id, organizer, subject, starts, ends, expires, capacity, locked, \
             allow_pstn_users_to_bypass_lobby, allow_anonymous_users_to_start_meeting, end_when_organizer_leaves \
             FROM meetings \
             ORDER BY conference_id",
    delete: "DELETE FROM meetings WHERE conference_id = $1",
    upsert: "INSERT INTO meetings (conference_id, organizer, subject, starts, ends, expires, capacity, locked, \
             allow_pstn_users_to_bypass_lobby, allow_anonymous_users_to_start_meeting, end_when_organizer_leaves) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (conference_id) DO UPDATE SET \
             organizer = excluded.organizer, subject = excluded.subject, starts = excluded.starts, \
             ends = excluded.ends, expires = excluded.expires, capacity = excluded.capacity, \
             locked = excluded.locked, \
             allow_pstn_users_to_bypass_lobby = excluded.allow_pstn_users_to_bypass_lobby, \
             allow_anonymous_users_to_start_meeting = excluded.allow_anonymous_users_to_start_meeting, \
             end_when_organizer_leaves = excluded.end_when_organizer_leaves",
};

/// All of them: what others refer to first.
pub(crate) static ENTITIES: [&Entity; 4] = [&BRIDGES, &NUMBERS, &ORGANIZERS, &MEETINGS];

impl Entity {
    /// A row of `select`.
    pub(super) fn read(&self, row: &AnyRow) -> Result<Vec<Cell>, Error> {
        self.columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let cell = match column.kind {
                    Kind::Switch | Kind::Whole => row.try_get::<Option<i64>, _>(at)?.map(Cell::Whole),
                    Kind::Text | Kind::List | Kind::Moment => {
                        row.try_get::<Option<String>, _>(at)?.map(Cell::Text)
                    }
                };
                Ok(cell.unwrap_or(Cell::Nothing(column.kind)))
            })
            .collect()
    }
}
