//! `/v1`: closed without the token, and every refusal is an RFC 9457 problem that says what to do.

use serde_json::{Value, json};
use server::demo::http;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::bridge::{CONFERENCE, House, TOKEN, root};
use super::raw::RawCall;

/// One request by hand: head and body of the answer, with its head in lower case.
async fn ask(house: &House, method: &str, path: &str, token: Option<&str>, body: &str) -> (String, Value) {
    let mut stream = TcpStream::connect(house.http).await.expect("a connection");
    let token = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\n{token}Content-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.expect("the request is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_ascii_lowercase(), serde_json::from_str(body).unwrap_or(Value::Null))
}

/// The answer is a problem with this status.
fn is_problem((head, body): &(String, Value), status: u16) {
    assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}\n{body}");
    assert!(head.contains("content-type: application/problem+json"), "{head}");
    assert_eq!(body["status"], status, "{body}");
    assert!(body["title"].is_string(), "{body}");
    assert!(body["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{body}");
    assert!(body["next"].as_str().is_some_and(|next| next.len() > 10), "{body}");
    assert!(body["type"].as_str().is_some_and(|kind| kind.starts_with("urn:partyline:problem:")), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_v1_is_to_be_had_without_the_token() {
    let (house, _doorbell) = House::new(&[]).await;
    let _bridge = house.start().await;
    let dial_out = format!("/v1/conferences/{CONFERENCE}/dial-out");
    for token in [None, Some("wrong"), Some(""), Some(&TOKEN[1..]), Some("end-to-end-end-to-end2")] {
        for (method, path) in [
            ("GET", "/v1/conferences"),
            ("GET", "/v1/conferences/912308576"),
            ("POST", &dial_out),
            ("GET", "/v1/x"),
        ] {
            let answer = ask(&house, method, path, token, "{\"number\":\"+4930901820\"}").await;
            is_problem(&answer, 401);
            assert!(answer.0.contains("www-authenticate: bearer"), "{}", answer.0);
        }
    }
    assert_eq!(house.count("partyline_api_requests_total{result=\"unauthorized\"}").await, 20);
    for path in ["/metrics", "/livez", "/readyz"] {
        assert_eq!(house.get(path).await.map(|answer| answer.status), Some(200), "{path}");
    }
    let listed =
        http::request(house.http, "GET", "/v1/conferences", Some(TOKEN), None).await.expect("an answer");
    assert_eq!(listed.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_of_the_api_is_served_without_a_token_and_is_the_committed_one() {
    let (house, _doorbell) = House::new(&[]).await;
    let _bridge = house.start().await;
    let served = house.get("/v1/openapi.json").await.expect("an answer");
    assert_eq!(served.status, 200);
    let committed = std::fs::read_to_string(root().join("docs/openapi.json")).expect("docs/openapi.json");
    assert!(served.body == committed, "cargo run --bin partyline -- openapi > docs/openapi.json");
    let (head, _) = ask(&house, "PUT", "/v1/conferences", Some(TOKEN), "").await;
    assert!(head.contains("allow: get,head"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_without_a_token_keeps_v1_closed_for_everyone() {
    let (house, _doorbell) = House::new(&[("token_file = \"token\"", "")]).await;
    let _bridge = house.start().await;
    for token in [None, Some(""), Some(TOKEN)] {
        let answer = ask(&house, "GET", "/v1/conferences", token, "").await;
        is_problem(&answer, 401);
        assert!(
            answer.1["detail"].as_str().is_some_and(|detail| detail.contains("http.token_file")),
            "{}",
            answer.1
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_of_a_dial_out_is_a_problem_that_says_what_to_do() {
    let (house, mut doorbell) = House::new(&[]).await;
    let _bridge = house.start().await;
    let path = |id: &str| format!("/v1/conferences/{id}/dial-out");
    let here = path(CONFERENCE);
    for body in ["", "{", "[]", "{}", "{\"number\":1}", "{\"number\":\"+4930901820\",\"from\":\"+1\"}"] {
        is_problem(&ask(&house, "POST", &here, Some(TOKEN), body).await, 400);
    }
    let long = json!({ "number": "1".repeat(20_000) }).to_string();
    is_problem(&ask(&house, "POST", &here, Some(TOKEN), &long).await, 413);
    is_problem(&ask(&house, "GET", &here, Some(TOKEN), "").await, 405);
    is_problem(&ask(&house, "GET", "/v1/nothing", Some(TOKEN), "").await, 404);
    let number = |number: &str| json!({ "number": number }).to_string();
    for unknown in ["111111111", "x", "912308577"] {
        is_problem(&ask(&house, "POST", &path(unknown), Some(TOKEN), &number("+4930901820")).await, 404);
        is_problem(&ask(&house, "GET", &format!("/v1/conferences/{unknown}"), Some(TOKEN), "").await, 404);
    }
    // No operator's route covers Switzerland, and her license never falls back to Microsoft.
    let refused = ask(&house, "POST", &here, Some(TOKEN), &number("+41446681800")).await;
    is_problem(&refused, 403);
    let because = refused.1["decision"]["because"].to_string();
    assert!(because.contains("O7") && because.contains("give a route to an operator"), "{because}");
    for forbidden in ["112", "110", "hello", "", "sip:root@127.0.0.1", "\r\nX: y"] {
        let refused = ask(&house, "POST", &here, Some(TOKEN), &number(forbidden)).await;
        is_problem(&refused, 403);
    }
    is_problem(&ask(&house, "POST", &here, Some(TOKEN), &number(&"1".repeat(65))).await, 400);
    assert_eq!(house.count("partyline_api_requests_total{result=\"ok\"}").await, 0);
    let accepted = ask(&house, "POST", &here, Some(TOKEN), &number("+4930901820")).await;
    assert!(accepted.0.starts_with("http/1.1 202 "), "{}", accepted.0);
    assert!(accepted.0.contains("content-type: application/json"), "{}", accepted.0);
    let ringing = doorbell.ring().await.expect("the bridge calls");
    assert_eq!((ringing.called().as_str(), ringing.caller().as_str()), ("+4930901820", "+496990009100"));
    ringing.refuse(486);
    house
        .until("the leg is over", async || {
            house.records("final").iter().any(|record| record["end"]["result"] == "busy")
        })
        .await;
    house.until_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_roster_shows_who_is_there_and_not_who_asked_for_privacy() {
    let (house, _doorbell) = House::new(&[]).await;
    let _bridge = house.start().await;
    let alice = house.join("+493023125001").await;
    house.until_seated(1).await;
    let (status, shown) = house.api("GET", "/v1/conferences", None).await;
    assert_eq!(status, 200);
    let meeting = &shown["conferences"][0];
    assert_eq!(meeting["conference_id"], CONFERENCE);
    let person = &meeting["participants"][0];
    assert_eq!((&person["number"], &person["display"]), (&json!("+493023125001"), &json!("Somebody")));
    alice.hang_up().await.expect("an answer to BYE");
    house
        .until("the meeting is over", async || {
            house.api("GET", "/v1/conferences", None).await.1["conferences"] == json!([])
        })
        .await;
    let more = "Privacy: id\r\nP-Asserted-Identity: \"Secret\" <sip:+493023125077@operator.example>\r\n";
    let private = RawCall::dial(house.sip, "private", "anonymous", more).await;
    private.media.key(&format!("{CONFERENCE}#")).await;
    house.until_seated(1).await;
    let (_, shown) = house.api("GET", "/v1/conferences", None).await;
    let text = shown.to_string();
    assert!(!text.contains("+493023125077") && !text.contains("Secret"), "{text}");
    assert_eq!(private.hang_up().await, 200);
}
