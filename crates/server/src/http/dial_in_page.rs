//! The public list of a bridge's numbers, for whoever has an invitation: the one page without a token that shows anything.
//!
//! It is found under the bridge's `public_id` only, shows nothing of meetings, and answers the same whether a conference ID
//! exists or not.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bridge::{KeyMap, KeypadCommand};
use governor::{DefaultKeyedRateLimiter, Quota};
use routing::{Bridge, NumberKind, ServiceNumber, Table};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::asked::Asked;
use super::places::Guest;
use super::problem::Problem;
use super::{Doors, json};

/// Requests a second of one peer.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(5).unwrap();
/// As many of them at once.
const AT_ONCE: NonZeroU32 = NonZeroU32::new(20).unwrap();
/// Peers whose pace is remembered; beyond that those that are quiet again are forgotten.
const PEERS: usize = 10_000;
/// The longest conference ID.
const LONGEST_ID: usize = 12;
/// What callers may key in a meeting, where the configuration has keys for it.
const KEYS: [(KeypadCommand, &str); KeypadCommand::ALL.len()] = [
    (KeypadCommand::Help, "help"),
    (KeypadCommand::RollCall, "how many people are here"),
    (KeypadCommand::Hand, "raise your hand, or lower it"),
    (KeypadCommand::Mute, "mute yourself, or unmute"),
    (KeypadCommand::Lock, "organizers: lock the meeting, or unlock it"),
    (KeypadCommand::AdmitAll, "organizers: let everybody in from the lobby"),
    (KeypadCommand::MuteAll, "organizers: mute everybody else, or end that"),
    (KeypadCommand::Announcements, "organizers: tones of coming and going on or off"),
];

/// How fast each peer may ask.
pub struct Pace(DefaultKeyedRateLimiter<IpAddr>);

impl Default for Pace {
    fn default() -> Self {
        Self(DefaultKeyedRateLimiter::keyed(Quota::per_second(PER_SECOND).allow_burst(AT_ONCE)))
    }
}

impl Pace {
    fn admits(&self, peer: IpAddr) -> bool {
        if self.0.len() >= PEERS {
            self.0.retain_recent();
        }
        self.0.check_key(&peer).is_ok()
    }
}

/// What is asked of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Meeting {
    /// The conference ID, to be shown beside the numbers. Whether it exists is not looked at.
    #[param(example = "912308576", max_length = 64)]
    id: Option<String>,
}

/// The numbers of a bridge.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DialInNumbers {
    /// The bridge's name.
    #[schema(required)]
    name: Option<String>,
    /// Those in service, toll numbers first.
    numbers: Vec<DialInNumber>,
    /// What callers may key in a meeting.
    keys: Vec<DialInKey>,
}

/// A number to call.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DialInNumber {
    /// E.164.
    #[schema(example = "+496990009100")]
    number: String,
    /// Its country, ISO 3166-1 alpha-2; null where it has none.
    #[schema(required)]
    country: Option<String>,
    /// Free for callers.
    toll_free: bool,
    /// What its callers may hear.
    languages: Vec<String>,
}

/// A key.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DialInKey {
    /// What is keyed.
    keys: String,
    /// What it does.
    does: &'static str,
}

/// The numbers of a bridge, for whoever has an invitation: HTML, or JSON with `Accept: application/json`.
///
/// Only with `http.public_numbers` and for a bridge with a `public_id`; every other name is answered with the same 404.
#[utoipa::path(
    get,
    path = "/dialin/{bridge}",
    tag = "public",
    params(("bridge" = String, Path, description = "The bridge's `public_id`.", max_length = 64), Meeting),
    responses(
        (
            status = 200,
            description = "The numbers.",
            content((String = "text/html; charset=utf-8"), (DialInNumbers = "application/json"))
        ),
        (status = 400, description = "Another query than that.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such list.", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests.", body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn numbers(
    State(doors): State<Arc<Doors>>,
    ConnectInfo(guest): ConnectInfo<Guest>,
    Path(bridge): Path<String>,
    Asked(meeting): Asked<Meeting>,
    headers: HeaderMap,
) -> Response {
    if !doors.pace.admits(guest.from()) {
        return doors
            .refuse(StatusCode::TOO_MANY_REQUESTS, "this list is asked for too often: come again later");
    }
    let table = doors.table.load();
    let found = table.public_bridge(&bridge).filter(|_| doors.public_numbers);
    let Some(found) = found else {
        return doors.refuse(StatusCode::NOT_FOUND, "there is no list of numbers under this name");
    };
    let list = list(&table, found, &doors.keys);
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accepts.contains("application/json") {
        // It is made of strings: there is nothing in it that JSON cannot say.
        return json(serde_json::to_string(&list).expect("a list serializes"));
    }
    let id = meeting.id.filter(|id| is_id(id));
    let head = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (head, page(&list, id.as_deref())).into_response()
}

/// Digits, and not too many; anything else is not shown.
fn is_id(id: &str) -> bool {
    (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit())
}

fn list(table: &Table, bridge: &Bridge, keys: &KeyMap) -> DialInNumbers {
    let serves = |number: &&Arc<ServiceNumber>| number.tenancy.serves(&bridge.tenant) && !number.suspended;
    let mut numbers: Vec<&Arc<ServiceNumber>> = table.numbers().iter().filter(serves).collect();
    numbers.sort_by_key(|number| (number.kind == NumberKind::TollFree, number.number.clone()));
    let shown = |number: &&Arc<ServiceNumber>| DialInNumber {
        number: number.number.to_string(),
        country: routing::Country::of(&number.number).map(|country| country.to_string()),
        toll_free: number.kind == NumberKind::TollFree,
        languages: number.languages.iter().map(ToString::to_string).collect(),
    };
    DialInNumbers {
        name: bridge.name.clone(),
        numbers: numbers.iter().map(shown).collect(),
        keys: KEYS
            .into_iter()
            .map(|(command, does)| DialInKey { keys: keys.keyed(command), does })
            .filter(|key| !key.keys.is_empty())
            .collect(),
    }
}

fn page(list: &DialInNumbers, id: Option<&str>) -> String {
    let name = escape(list.name.as_deref().unwrap_or("Telephone conferences"));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{name}: numbers to call</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">\n\
         <style>body{{font:1em/1.5 sans-serif;max-width:40em;margin:2em auto;padding:0 1em}}td,th{{text-align:left;\
         padding:.2em 1.5em .2em 0}}</style></head>\n<body><h1>{name}</h1>\n"
    );
    if let Some(id) = id {
        let _ = writeln!(page, "<p>Phone Conference ID: <strong>{}#</strong></p>", grouped(id));
    }
    page.push_str("<h2>Numbers to call</h2>\n<table>\n");
    for number in &list.numbers {
        let (shown, country) = (escape(&number.number), escape(number.country.as_deref().unwrap_or("")));
        // Two commas are a pause for a telephone that dials all of it.
        let dial = id.map_or_else(String::new, |id| format!(",,{id}%23"));
        let free = if number.toll_free { "free" } else { "" };
        let languages = escape(&number.languages.join(", "));
        let _ = writeln!(
            page,
            "<tr><td><a href=\"tel:{shown}{dial}\">{shown}</a></td><td>{country}</td><td>{free}</td><td>{languages}</td></tr>"
        );
    }
    page.push_str("</table>\n<h2>Keys in the meeting</h2>\n<table>\n");
    for key in &list.keys {
        let _ = writeln!(page, "<tr><th>{}</th><td>{}</td></tr>", escape(&key.keys), escape(key.does));
    }
    page.push_str("</table></body></html>\n");
    page
}

/// Digits in groups of three, as people read them.
fn grouped(id: &str) -> String {
    let groups: Vec<&str> =
        (0..id.len()).step_by(3).filter_map(|at| id.get(at..(at + 3).min(id.len()))).collect();
    groups.join(" ")
}

/// Text as it stands in HTML, between tags and in attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_on_the_page_is_text_whatever_the_bridge_is_called() {
        let number = DialInNumber {
            number: "+496990009100".to_owned(),
            country: Some("DE".to_owned()),
            toll_free: false,
            languages: vec!["de-DE".to_owned()],
        };
        let name = Some("<script>alert('x')</script> & \"Co\"".to_owned());
        let list = DialInNumbers { name, numbers: vec![number], keys: Vec::new() };
        let page = page(&list, Some("912308576"));
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;alert(&#39;x&#39;)"), "{page}");
        assert!(page.contains("tel:+496990009100,,912308576%23") && page.contains("912 308 576#"), "{page}");
    }

    #[test]
    fn a_peer_that_asks_for_the_list_too_often_waits_and_others_do_not() {
        let (pace, greedy, other) =
            (Pace::default(), IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let admitted = (0..100).filter(|_| pace.admits(greedy)).count();
        assert!((20..30).contains(&admitted), "{admitted}");
        assert!(pace.admits(other));
    }

    #[test]
    fn an_id_is_digits_or_it_is_not_shown() {
        assert!(is_id("912308576"));
        for wrong in ["", "1234567890123", "91230857x", "9 1", "<b>"] {
            assert!(!is_id(wrong), "{wrong}");
        }
    }
}
