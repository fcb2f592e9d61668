//! `partyline meeting`: a meeting in the database, with a conference ID that nobody can guess from another.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bridge::Stamp;
use clap::{Args, Subcommand};
use rand::RngExt as _;
use routing::{NumberKind, OrganizerId, ServiceNumber, Table};

use super::store::{Database, Failure, run as run_store};
use crate::config::{Built, Sources};
use crate::store::{Cell, KEPT, MEETINGS, Store};

/// How long the ID of a meeting lives that was not planned.
const AT_ONCE: Duration = Duration::from_hours(8);
/// How often another ID is drawn because there is such a meeting already.
const DRAWS: usize = 1000;

/// What is asked.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    database: Database,
    #[command(subcommand)]
    job: Job,
}

#[derive(Debug, Subcommand)]
enum Job {
    /// Make a meeting and print its invitation. Without --starts it begins now, and its ID expires in 8 hours; otherwise the ID
    /// expires 60 days after the end, or after the start where there is no end.
    Create {
        /// Whose license and policies decide.
        #[arg(long)]
        organizer: String,
        /// What it is about.
        #[arg(long, default_value = "")]
        subject: String,
        /// When it begins, as 2026-11-23T10:00:00+01:00.
        #[arg(long)]
        starts: Option<Stamp>,
        /// When it ends.
        #[arg(long, requires = "starts")]
        ends: Option<Stamp>,
    },
    /// Give a meeting another conference ID. The old one stops working; who keys it within 60 days hears that it has expired.
    ResetId {
        /// The ID it has.
        conference_id: String,
    },
}

/// Exit 0 when it is done, 1 when the database fails, 2 when something is wrong with what was asked.
pub(super) fn run(options: Options) -> ExitCode {
    let job = options.job;
    run_store(&options.database.config, async |store, sources, _| match job {
        Job::Create { organizer, subject, starts, ends } => {
            let expires = match (starts, ends) {
                (Some(starts), ends) => ends.unwrap_or(starts).0 + KEPT,
                (None, _) => SystemTime::now() + AT_ONCE,
            };
            let starts = starts.unwrap_or(Stamp(SystemTime::now()));
            let moment = |stamp: Option<Stamp>| stamp.map(|stamp| stamp.to_string());
            let given = [
                ("organizer", Some(organizer)),
                ("subject", Some(subject).filter(|subject| !subject.is_empty())),
                ("starts", moment(Some(starts))),
                ("ends", moment(ends)),
                ("expires", moment(Some(Stamp(expires)))),
            ];
            let cells = MEETINGS.columns.iter().map(|column| {
                let value = given.iter().find(|(name, _)| *name == column.name);
                value.and_then(|(_, value)| value.clone()).map_or(Cell::Nothing(column.kind), Cell::Text)
            });
            put(&store, &sources, cells.collect(), None).await
        }
        Job::ResetId { conference_id } => {
            let rows = store.rows().await?;
            let Some(cells) = rows.find(&MEETINGS, &conference_id) else {
                return Err(Failure::Asked(format!("the database has no meeting {conference_id:?}")));
            };
            if expires(cells).is_some_and(|expires| expires <= SystemTime::now()) {
                return Err(Failure::Asked(format!(
                    "the conference ID {conference_id} has expired, or was reset before: reset the meeting's present one, or \
                     make a meeting with `partyline meeting create`"
                )));
            }
            put(&store, &sources, cells.to_vec(), Some(&conference_id)).await
        }
    })
}

/// Writes the meeting under an ID that no other one has, in the place of `old`, and prints its invitation.
async fn put(
    store: &Store,
    sources: &Sources,
    mut cells: Vec<Cell>,
    old: Option<&str>,
) -> Result<(), Failure> {
    let mut change = store.begin().await?;
    // Those of the file count too.
    let before = sources.build(&change.rows().await?)?;
    let id = unused_id(&before, sources.id_length()).ok_or_else(|| {
        Failure::Asked(format!("{DRAWS} IDs were drawn, and all are taken: use longer ones"))
    })?;
    cells[0] = Cell::Text(id.clone());
    if let Some(old) = old {
        change.put(&MEETINGS, &expired(cells.clone(), old)).await?;
    }
    change.put(&MEETINGS, &cells).await?;
    let built = sources.build(&change.rows().await?)?;
    change.commit().await?;
    let organizer = OrganizerId::new(cells[1].shown());
    let base = public_url(sources.text());
    for line in invitation(&built.table, &organizer, &id, base.as_deref()) {
        say!("{line}");
    }
    Ok(())
}

/// When the ID of a meeting expires.
fn expires(cells: &[Cell]) -> Option<SystemTime> {
    let at = MEETINGS.columns.iter().position(|column| column.name == "expires")?;
    cells.get(at)?.shown().parse::<Stamp>().ok().map(|stamp| stamp.0)
}

/// The same under the ID that it had, expired by now: so callers hear for a while that they want another one, and no one else gets it.
fn expired(mut cells: Vec<Cell>, old: &str) -> Vec<Cell> {
    for (column, cell) in MEETINGS.columns.iter().zip(&mut cells) {
        match column.name {
            "conference_id" => *cell = Cell::Text(old.to_owned()),
            "expires" => *cell = Cell::Text(Stamp(SystemTime::now()).to_string()),
            _ => {}
        }
    }
    cells
}

fn unused_id(built: &Built, length: usize) -> Option<String> {
    let mut random = rand::rng();
    let taken = |id: &str| built.meetings.meetings().any(|meeting| meeting.conference_id.as_str() == id);
    let mut drawn = std::iter::repeat_with(|| digits(&mut random, length));
    drawn.by_ref().take(DRAWS).find(|id| !taken(id))
}

/// Digits, of which the first is not 0: people and spreadsheets drop that.
pub(super) fn digits(random: &mut impl rand::Rng, length: usize) -> String {
    let digit = |at: usize| char::from(b'0' + random.random_range(u8::from(at == 0)..10));
    (0..length).map(digit).collect()
}

/// What must be right in a configuration file to know what links begin with.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct OnlyHttp {
    http: PublicUrl,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct PublicUrl {
    public_url: Option<String>,
}

fn public_url(text: &str) -> Option<String> {
    // It has been checked.
    let document: OnlyHttp = toml::from_str(text).unwrap_or_default();
    document.http.public_url.map(|url| url.trim_end_matches('/').to_owned())
}

/// What people are told: the organizer's own list of numbers, or one to call and at most one that is free; the ID, and where
/// the other numbers are. Two commas are a pause for a telephone that dials all of it.
fn invitation(table: &Table, organizer: &OrganizerId, id: &str, base: Option<&str>) -> Vec<String> {
    let Some(of) = table.organizer(organizer) else { return Vec::new() };
    let bridge = table.bridge(&of.tenant);
    let default = bridge.and_then(|bridge| bridge.default_number.as_ref());
    let microsoft = of.license != routing::License::OperatorConnectConferencing;
    let toll =
        of.service_number.as_ref().or(default.filter(|_| microsoft)).or(table.reachable_number(organizer));
    let free = of.toll_free_service_number.as_ref().filter(|_| of.allow_toll_free_dial_in);
    let mut lines = Vec::new();
    let line = |number: &Arc<ServiceNumber>| {
        let free = if number.kind == NumberKind::TollFree { " (toll-free)" } else { "" };
        format!("{},,{id}#{free}", number.number)
    };
    let own = &of.meeting_invite_phone_numbers;
    if own.is_empty() {
        match toll {
            Some(number) => lines.push(line(number)),
            None => lines.push(format!("(no number: {organizer}'s license includes none of this directory)")),
        }
        lines.extend(free.map(line));
    }
    lines.extend(own.iter().map(line));
    lines.push(format!("Phone Conference ID: {}#", grouped(id)));
    let public_id = bridge.and_then(|bridge| bridge.public_id.as_ref());
    if let (Some(base), Some(public_id)) = (base, public_id) {
        lines.push(format!("Find a local number: {base}/dialin/{public_id}?id={id}"));
    }
    lines
}

/// Digits in groups of three.
fn grouped(id: &str) -> String {
    let groups: Vec<&str> =
        (0..id.len()).step_by(3).filter_map(|at| id.get(at..(at + 3).min(id.len()))).collect();
    groups.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_in_groups_of_three() {
        assert_eq!(grouped("191605571"), "191 605 571");
        assert_eq!(grouped("1916055"), "191 605 5");
    }

    #[test]
    fn random_digits_have_the_length_asked_for_and_do_not_begin_with_zero() {
        let mut random = rand::rng();
        for length in 4..=12 {
            let drawn = digits(&mut random, length);
            assert!(drawn.len() == length && drawn.bytes().all(|byte| byte.is_ascii_digit()), "{drawn}");
            assert!(!drawn.starts_with('0'));
        }
    }

    #[test]
    fn an_invitation_has_one_number_at_most_one_free_one_and_the_id() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/partyline.toml");
        let config = crate::config::Config::load(&file).unwrap_or_else(|problems| panic!("{problems}"));
        let lines = invitation(&config.table, &OrganizerId::new("greta"), "191605571", None);
        assert_eq!(lines, ["+496990009100,,191605571#", "Phone Conference ID: 191 605 571#"]);
    }

    #[test]
    fn an_organizer_s_own_list_is_on_the_invitation_in_its_order_and_a_link_leads_to_all_numbers() {
        let text = "[http]\npublic_url = \"https://meet.example.net/\"\n[[trunk]]\nid = \"acme\"\nkind = \"operator\"\n\
            provider = \"operator:acme\"\npeers = [{ address = \"127.0.0.2\" }]\n[[bridge]]\ntenant = \"contoso\"\n\
            public_id = \"0f8b4a1c-5a31-4a5c\"\n[[number]]\nnumber = \"+49301\"\nowner = \"operator:acme\"\n[[number]]\n\
            number = \"+498001234567\"\nowner = \"operator:acme\"\nkind = \"toll-free\"\n[[organizer]]\nid = \"o\"\n\
            tenant = \"contoso\"\nlicense = \"audio-conferencing-standard\"\n\
            meeting_invite_phone_numbers = [\"+498001234567\", \"+49301234567\"]\n";
        let text = text.replace("\"+49301\"", "\"+49301234567\"");
        let config = crate::config::Config::parse(std::path::Path::new("p.toml"), &text);
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        let base = public_url(config.sources.text());
        let lines = invitation(&config.table, &OrganizerId::new("o"), "191605571", base.as_deref());
        assert_eq!(
            lines,
            [
                "+498001234567,,191605571# (toll-free)",
                "+49301234567,,191605571#",
                "Phone Conference ID: 191 605 571#",
                "Find a local number: https://meet.example.net/dialin/0f8b4a1c-5a31-4a5c?id=191605571"
            ]
        );
    }
}
