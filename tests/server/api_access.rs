//! Who may do what with the API: every path, crossed with every role and tenant.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;
use server::demo::http::{self, Response};

use super::bridge::{CONFERENCE, House, run};

/// The tokens of this house, beside the one of `http.token_file`: name, role and tenant, where they have one.
const TOKENS: [(&str, &str, Option<&str>); 9] = [
    ("viewer", "viewer", None),
    ("operator", "operator", None),
    ("admin", "admin", None),
    ("contoso-viewer", "viewer", Some("contoso")),
    ("contoso-operator", "operator", Some("contoso")),
    ("contoso-admin", "admin", Some("contoso")),
    ("fabrikam-viewer", "viewer", Some("fabrikam")),
    ("fabrikam-operator", "operator", Some("fabrikam")),
    ("fabrikam-admin", "admin", Some("fabrikam")),
];

/// What an operation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// The meetings that the token sees.
    List,
    /// What happened to whom the token sees.
    Stream,
    /// What the legs of whom the token sees have come to.
    Records,
    /// The meeting of Contoso, or somebody in it.
    Meeting,
    /// The node, which is no tenant's.
    Node,
}

/// Every operation: method, path as it is described, least role, what it is about, body. The last one ends the meeting.
const OPERATIONS: [(&str, &str, &str, About, Option<&str>); 33] = [
    ("get", "/v1/conferences", "viewer", About::List, None),
    ("get", "/v1/conferences/{id}", "viewer", About::Meeting, None),
    // A number that nobody may call: the answer shows that it was decided.
    ("post", "/v1/conferences/{id}/dial-out", "operator", About::Meeting, Some("{\"number\":\"112\"}")),
    ("post", "/v1/conferences/{id}/recording", "operator", About::Meeting, None),
    ("put", "/v1/conferences/{id}/recording/pause", "operator", About::Meeting, None),
    ("delete", "/v1/conferences/{id}/recording/pause", "operator", About::Meeting, None),
    ("delete", "/v1/conferences/{id}/recording", "operator", About::Meeting, None),
    ("delete", "/v1/conferences/{id}/participants/{leg}", "operator", About::Meeting, None),
    ("put", "/v1/conferences/{id}/lock", "operator", About::Meeting, None),
    ("delete", "/v1/conferences/{id}/lock", "operator", About::Meeting, None),
    ("put", "/v1/conferences/{id}/announcements", "operator", About::Meeting, None),
    ("delete", "/v1/conferences/{id}/announcements", "operator", About::Meeting, None),
    ("put", "/v1/conferences/{id}/mute", "operator", About::Meeting, None),
    ("delete", "/v1/conferences/{id}/mute", "operator", About::Meeting, None),
    ("put", "/v1/conferences/{id}/admission", "operator", About::Meeting, None),
    ("put", "/v1/conferences/{id}/participants/{leg}/mute", "operator", About::Meeting, None),
    ("delete", "/v1/conferences/{id}/participants/{leg}/mute", "operator", About::Meeting, None),
    ("delete", "/v1/conferences/{id}/participants/{leg}/hand", "operator", About::Meeting, None),
    (
        "put",
        "/v1/conferences/{id}/participants/{leg}/role",
        "operator",
        About::Meeting,
        Some("{\"role\":\"organizer\"}"),
    ),
    (
        "post",
        "/v1/conferences/{id}/participants/{leg}/digits",
        "operator",
        About::Meeting,
        Some("{\"digits\":\"1\"}"),
    ),
    ("put", "/v1/conferences/{id}/participants/{leg}/admission", "operator", About::Meeting, None),
    ("delete", "/v1/conferences/{id}/participants/{leg}/admission", "operator", About::Meeting, None),
    ("get", "/v1/events", "viewer", About::Stream, None),
    ("get", "/v1/usage", "viewer", About::Records, None),
    ("get", "/v1/usage/report", "viewer", About::Records, None),
    ("get", "/v1/explain", "viewer", About::Meeting, None),
    ("get", "/v1/trunks", "viewer", About::Node, None),
    ("get", "/v1/trunks/{name}", "viewer", About::Node, None),
    ("put", "/v1/trunks/{name}/drain", "admin", About::Node, None),
    ("delete", "/v1/trunks/{name}/drain", "admin", About::Node, None),
    ("get", "/v1/config", "viewer", About::Node, None),
    ("post", "/v1/what-if", "admin", About::Node, Some("{\"config\":\"\"}")),
    ("delete", "/v1/conferences/{id}", "operator", About::Meeting, None),
];

/// The token that a name stands for.
fn secret(name: &str) -> String {
    format!("the-token-of-{name}")
}

/// The lines of the configuration.
fn configured() -> String {
    let mut text = String::new();
    for (name, role, tenant) in TOKENS {
        let hash = server::http::digest(&secret(name)).iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        let tenant = tenant.map_or_else(String::new, |tenant| format!("tenant = \"{tenant}\"\n"));
        let _ = write!(
            text,
            "[[api_token]]\nname = \"{name}\"\nrole = \"{role}\"\n{tenant}sha256 = \"{hash}\"\n\n"
        );
    }
    text
}

/// The path of an operation, of Contoso's meeting or of one that is nobody's.
fn place(path: &str, exists: bool) -> String {
    let (id, organizer) = if exists { (CONFERENCE, "greta") } else { ("111111111", "nobody") };
    let query = format!("/v1/explain?direction=dial-out&organizer={organizer}&number=%2B4930901820");
    path.replace("{id}", id)
        .replace("{leg}", "999999")
        .replace("{name}", "rhein-telecom")
        .replace("/v1/explain", &query)
}

fn rank(role: &str) -> usize {
    ["viewer", "operator", "admin"].iter().position(|known| *known == role).expect("a role")
}

impl House {
    async fn as_of(&self, token: &str, method: &str, path: &str, body: Option<&str>) -> Response {
        let method = method.to_uppercase();
        http::request(self.http, &method, path, Some(&secret(token)), body).await.expect("an answer")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_is_crossed_with_every_role_and_tenant() {
    let tokens = configured();
    let (house, _doorbell) = House::new(&[("[usage]\n", &format!("{tokens}[usage]\n"))]).await;
    let _bridge = house.start().await;
    let described: Value =
        serde_json::from_str(&house.get("/v1/openapi.json").await.expect("an answer").body).expect("JSON");
    let mut known = BTreeSet::new();
    for (path, item) in described["paths"].as_object().expect("paths") {
        let guarded = path.starts_with("/v1/") && path != "/v1/openapi.json";
        known.extend(
            item.as_object()
                .into_iter()
                .flatten()
                .filter(|_| guarded)
                .map(|(method, _)| (method.as_str(), path.as_str())),
        );
    }
    assert_eq!(known, OPERATIONS.iter().map(|row| (row.0, row.1)).collect(), "the table has every operation");

    let _alice = house.join("+493023125001").await;
    house.until_seated(1).await;
    let bob = house.join("+493023125002").await;
    house.until_seated(2).await;
    bob.hang_up().await.expect("an answer to BYE");
    house.until("his record is written", async || house.records("final").len() == 1).await;
    for (method, path, least, about, body) in OPERATIONS {
        let ends = (method, path) == ("delete", "/v1/conferences/{id}");
        for (name, role, tenant) in TOKENS {
            let answer = house.as_of(name, method, &place(path, true), body).await;
            let said = format!("{name}: {method} {path}: {} {}", answer.status, answer.body);
            if rank(role) < rank(least) {
                assert_eq!(answer.status, 403, "{said}");
                assert!(answer.body.contains("and this wants an"), "{said}");
                continue;
            }
            match (about, tenant) {
                (About::Node, Some(_)) => {
                    assert_eq!(answer.status, 403, "{said}");
                    assert!(answer.body.contains("of one tenant"), "{said}");
                }
                (About::Stream, of) => {
                    let told = serde_json::from_str::<Value>(&answer.body).expect("JSON");
                    let events = told["events"].as_array().expect("events");
                    let seen = |tenant: &str| events.iter().any(|event| event["tenant"] == tenant);
                    assert_eq!(seen("contoso"), of != Some("fabrikam"), "{said}");
                    let foreign = |event: &&Value| of.is_some_and(|of| event["tenant"] != of);
                    assert_eq!(events.iter().find(foreign), None, "{said}");
                }
                (About::Records, of) => {
                    assert_eq!(answer.status, 200, "{said}");
                    assert_eq!(answer.body.contains("contoso"), of != Some("fabrikam"), "{said}");
                    let by_trunk = house.as_of(name, "get", "/v1/usage/report?by=trunk", None).await;
                    assert_eq!(by_trunk.status, if of.is_some() { 403 } else { 200 }, "{}", by_trunk.body);
                    let trunk = answer.body.contains("\"trunk\":\"rhein-telecom\"");
                    assert_eq!(trunk, of.is_none() && path == "/v1/usage", "{said}");
                }
                (About::List, Some("fabrikam")) => assert_eq!(answer.body, "{\"conferences\":[]}", "{said}"),
                (About::Meeting, Some("fabrikam")) => {
                    let nobodys = house.as_of(name, method, &place(path, false), body).await;
                    assert_eq!((answer.status, &answer.body), (404, &nobodys.body), "{said}");
                }
                _ if path.contains("{leg}") => {
                    assert!(answer.body.contains("is not in this conference"), "{said}");
                }
                _ if path.ends_with("dial-out") => assert!(answer.body.contains("O1"), "{said}"),
                // The first of them ends it.
                _ if ends && name != "operator" => assert_eq!(answer.status, 404, "{said}"),
                // The first of them begins or ends the recording.
                _ => assert!(answer.status < 300 || answer.status == 409, "{said}"),
            }
            if ends && name == "operator" {
                house.until_empty().await;
            } else if !ends {
                assert_eq!(house.seated().await, 1, "{said}");
            }
        }
    }
}

/// What gives the bridge a second tenant, with a number of its own.
const FABRIKAM: &str = "[[bridge]]\ntenant = \"fabrikam\"\ncountry_code = \"49\"\n[[number]]\nnumber = \"+496990007777\"\n\
    owner = \"operator:rhein-telecom\"\ntenant = \"fabrikam\"\n\n[[bridge]]\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_learns_from_explain_neither_trunks_nor_whose_other_numbers_are() {
    let tokens = configured();
    let changes = [("[usage]\n", &*format!("{tokens}[usage]\n")), ("[[bridge]]\n", FABRIKAM)];
    let (house, _doorbell) = House::new(&changes).await;
    let _bridge = house.start().await;
    let ask = async |token: &str, direction: &str, number: &str, more: &str| {
        let number = number.replace('+', "%2B");
        let path = format!("/v1/explain?direction={direction}&organizer=greta&number={number}{more}");
        house.as_of(token, "GET", &path, None).await
    };
    let own = ask("viewer", "dial-in", "+496990009100", "&trunk=rhein-telecom").await;
    assert!(own.status == 200 && own.body.contains("trunk rhein-telecom"), "{own:?}");
    for direction in ["dial-in", "dial-out"] {
        let number = if direction == "dial-in" { "+496990009100" } else { "+4930901820" };
        let told = ask("contoso-viewer", direction, number, "").await;
        assert!(told.status == 200, "{told:?}");
        // The operator's name is on the bill; the trunk has the same name here, so what is looked for is "trunk".
        assert!(!told.body.contains("trunk rhein") && !told.body.contains("\"trunk\":\""), "{told:?}");
    }
    let (there, not) =
        (ask("contoso-viewer", "dial-in", "+496990009100", "&trunk=rhein-telecom").await, "&trunk=nowhere");
    let nowhere = ask("contoso-viewer", "dial-in", "+496990009100", not).await;
    assert_eq!((there.status, &there), (403, &nowhere));
    for direction in ["dial-in", "dial-out"] {
        let foreign = ask("contoso-viewer", direction, "+496990007777", "").await;
        let mut nobodys = ask("contoso-viewer", direction, "+496990007778", "").await;
        nobodys.body = nobodys.body.replace("+496990007778", "+496990007777");
        assert_eq!(foreign, nobodys);
        let seen = ask("viewer", direction, "+496990007777", "").await;
        assert_ne!(seen.body, foreign.body, "{direction}: whose it is is known to the deployment's own");
    }
    // Asked for in earnest it is refused, and not said why.
    let path = format!("/v1/conferences/{CONFERENCE}/dial-out");
    let body = Some("{\"number\":\"+496990007777\"}");
    let refused = house.as_of("contoso-operator", "POST", &path, body).await;
    assert!(refused.status == 403 && !refused.body.contains("dial-in number"), "{refused:?}");
    let refused = house.as_of("operator", "POST", &path, body).await;
    assert!(refused.status == 403 && refused.body.contains("dial-in number"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_made_printed_once_and_works_until_it_expires() {
    let (house, _doorbell) = House::new(&[]).await;
    let made =
        run(&["token", "new", "--name", "desk", "--role", "viewer", "--tenant", "contoso"], &house.path(""))
            .await;
    let text = String::from_utf8(made.stdout).expect("UTF-8");
    let secret = text.lines().next().and_then(|line| line.rsplit(' ').next()).expect("a token").to_owned();
    assert!(secret.starts_with("pl_") && secret.len() == 67, "{text}");
    let file = std::fs::read_to_string(house.path("partyline.toml")).expect("the configuration");
    house.write("partyline.toml", &format!("{file}\n{text}"));
    let bridge = house.start().await;
    let ask = async |token: &str| {
        http::request(house.http, "GET", "/v1/conferences", Some(token), None)
            .await
            .expect("an answer")
            .status
    };
    assert_eq!((ask(&secret).await, ask(&secret[..66]).await), (200, 401));
    bridge.die().await;
    house.write("partyline.toml", &format!("{file}\n{text}\nexpires = 2020-01-01T00:00:00Z\n"));
    let _bridge = house.start().await;
    assert_eq!(ask(&secret).await, 401);
    assert!(!house.log().contains(&secret[3..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_asks_too_often_is_told_when_to_come_again() {
    let change = ("token_file = \"token\"", "token_file = \"token\"\nrequests_per_second = 1");
    let (house, _doorbell) = House::new(&[change]).await;
    let _bridge = house.start().await;
    let mut limited = None;
    for _ in 0..200 {
        let (status, said) = house.api("GET", "/v1/conferences", None).await;
        if status == 429 {
            limited = Some(said);
            break;
        }
    }
    let limited = limited.expect("two hundred requests take less than a hundred seconds");
    assert_eq!(limited["type"], "urn:partyline:problem:too-many-requests", "{limited}");
}
