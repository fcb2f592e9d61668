//! The event stream: what happens is told once, in order, to whom it concerns; and what was asked twice is done once.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::bridge::{CONFERENCE, House, PATIENCE, TOKEN};
use super::raw::RawCall;
use super::reload::{DONE, reload};
use server::demo::http;

impl House {
    /// What happened since, and the place after it.
    async fn since(&self, place: &str) -> (Vec<Value>, String) {
        let (status, page) = self.api("GET", &format!("/v1/events?since={place}&limit=1000"), None).await;
        assert_eq!((status, &page["gap"]), (200, &json!(false)), "{page}");
        let events = page["events"].as_array().expect("events").clone();
        (events, page["next"].as_str().expect("a place").to_owned())
    }

    /// Waits until this has happened since; all that has.
    async fn until_told(&self, place: &str, kind: &str) -> Vec<Value> {
        let what = format!("{kind} is told");
        self.until(&what, async || self.since(place).await.0.iter().any(|event| event["type"] == kind)).await;
        self.since(place).await.0
    }
}

/// A stream of server-sent events.
struct Listener {
    stream: TcpStream,
    heard: String,
}

impl Listener {
    async fn open(house: &House, more: &str) -> Self {
        Self::open_as(house, TOKEN, more).await
    }

    async fn open_as(house: &House, token: &str, more: &str) -> Self {
        let mut stream = TcpStream::connect(house.http).await.expect("a connection");
        let request = format!(
            "GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nAccept: text/event-stream\r\n{more}\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("the request is sent");
        Self { stream, heard: String::new() }
    }

    /// Reads until it has heard this.
    async fn until(&mut self, text: &str) {
        let mut buffer = [0; 4096];
        while !self.heard.contains(text) {
            let read = timeout(PATIENCE, self.stream.read(&mut buffer)).await;
            let length =
                read.unwrap_or_else(|_| panic!("{text} is never told: {}", self.heard)).expect("the stream");
            assert_ne!(length, 0, "the stream is over: {}", self.heard);
            self.heard += std::str::from_utf8(&buffer[..length]).expect("UTF-8");
        }
    }

    /// Reads until it is over: the last chunk is empty (RFC 9112 section 7.1).
    async fn ended(&mut self) {
        // Sooner than it says that it is still here.
        timeout(PATIENCE, self.until("\r\n0\r\n\r\n")).await.expect("the stream goes on");
    }
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| event["type"].as_str())
        .filter(|kind| *kind != "participant.changed")
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_told_in_order_as_json_and_as_a_stream_and_goes_on_after_a_break() {
    let (house, _doorbell) = House::new(&[]).await;
    let bridge = house.start().await;
    let mut listener = Listener::open(&house, "").await;
    listener.until("retry: 2000").await;
    assert!(listener.heard.contains("content-type: text/event-stream"), "{}", listener.heard);
    let (_, start) = house.since("0").await;
    let alice = house.join("+493023125001").await;
    house.until_told(&start, "participant.joined").await;
    let more = "Privacy: id\r\nP-Asserted-Identity: \"Secret\" <sip:+493023125077@operator.example>\r\n";
    let private = RawCall::dial(house.sip, "private", "anonymous", more).await;
    private.media.key(&format!("{CONFERENCE}#")).await;
    house.until_seated(2).await;
    assert_eq!(house.api("POST", &format!("/v1/conferences/{CONFERENCE}/recording"), None).await.0, 201);
    house.until_told(&start, "recording.started").await;
    assert_eq!(private.hang_up().await, 200);
    house.until_told(&start, "participant.left").await;
    alice.hang_up().await.expect("an answer to BYE");
    let told = house.until_told(&start, "conference.closed").await;
    let text = format!("{told:?}");
    assert!(!text.contains("+493023125077") && !text.contains("Secret"), "{text}");
    let expected = [
        "conference.opened",
        "participant.joined",
        "participant.joined",
        "recording.started",
        "participant.left",
        "participant.left",
        "recording.ended",
        "conference.closed",
    ];
    let is_dull = |event: &&Value| event["type"] != "conference.changed";
    let of_the_meeting: Vec<Value> =
        told.iter().filter(|event| event["conference_id"] == CONFERENCE).filter(is_dull).cloned().collect();
    assert_eq!(kinds(&of_the_meeting), expected, "{told:#?}");
    assert_eq!(of_the_meeting[1]["details"]["number"], "+493023125001", "{told:#?}");
    assert_eq!(of_the_meeting[4]["details"]["result"], "answered", "{told:#?}");
    let numbers: Vec<u64> = told.iter().filter_map(|event| event["seq"].as_u64()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");

    listener.until("event: conference.closed").await;
    let run = told[0]["run"].as_str().expect("a run").to_owned();
    let second = of_the_meeting[0]["seq"].as_u64().expect("a number");
    assert!(listener.heard.contains(&format!("id: {run}:{second}\n")), "{}", listener.heard);
    house.until("the reader is counted", async || house.count("partyline_event_readers").await == 1).await;
    drop(listener);
    let mut again = Listener::open(&house, &format!("Last-Event-ID: {run}:{second}\r\n")).await;
    again.until("event: conference.closed").await;
    assert!(
        !again.heard.contains("event: gap") && !again.heard.contains("event: conference.opened"),
        "{}",
        again.heard
    );
    bridge.die().await;

    let _bridge = house.start().await;
    let mut third = Listener::open(&house, &format!("Last-Event-ID: {run}:{second}\r\n")).await;
    third.until("event: gap").await;
    let (_, page) = house.api("GET", &format!("/v1/events?since={run}:{second}"), None).await;
    assert_eq!(page["gap"], true, "another run: {page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_out_that_is_asked_for_twice_with_one_key_is_dialed_once_and_told() {
    let (house, mut doorbell) = House::new(&[]).await;
    let _bridge = house.start().await;
    let ask = async |key: &str, number: &str| {
        let mut stream = TcpStream::connect(house.http).await.expect("a connection");
        let body = json!({ "number": number }).to_string();
        let request = format!(
            "POST /v1/conferences/{CONFERENCE}/dial-out HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\
             Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.expect("the request is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (head.to_ascii_lowercase(), body.to_owned())
    };
    let (head, first) = ask("one", "+4930901820").await;
    assert!(head.starts_with("http/1.1 202 ") && !head.contains("idempotency-replayed"), "{head}");
    let ringing = doorbell.ring().await.expect("the bridge calls");
    let (head, second) = ask("one", "+4930901820").await;
    assert!(head.starts_with("http/1.1 202 ") && head.contains("idempotency-replayed: true"), "{head}");
    assert_eq!(first, second);
    let (head, _) = ask("one", "+4930901821").await;
    assert!(head.starts_with("http/1.1 422 "), "{head}");
    let (head, _) = ask("two", "+4930901820").await;
    assert!(head.starts_with("http/1.1 409 "), "it is being called already: {head}");
    let leg = serde_json::from_str::<Value>(&first).expect("JSON")["leg"].clone();
    let told = house.until_told("0", "callee.changed").await;
    assert!(told.iter().any(|event| event["type"] == "callee.dialing" && event["leg"] == leg), "{told:#?}");
    ringing.refuse(486);
    let told = house.until_told("0", "conference.closed").await;
    let ended = told.iter().find(|event| event["type"] == "callee.ended").expect("how it ended");
    assert_eq!((&ended["leg"], &ended["details"]["sip_status"]), (&leg, &json!(486)), "{told:#?}");
    house.until_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_does_not_get_all_readers_of_the_stream() {
    let hash = server::http::digest("greedy").iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let tokens = format!(
        "[[api_token]]\nname = \"greedy\"\nrole = \"viewer\"\ntenant = \"contoso\"\nsha256 = \"{hash}\"\n\n[usage]\n"
    );
    let (house, _doorbell) = House::new(&[("[usage]\n", &tokens)]).await;
    let _bridge = house.start().await;
    let mut readers = Vec::new();
    for _ in 0..8 {
        let mut reader = Listener::open_as(&house, "greedy", "").await;
        reader.until("retry: 2000").await;
        readers.push(reader);
    }
    let mut ninth = Listener::open_as(&house, "greedy", "").await;
    ninth.until("http.event_readers_per_token").await;
    assert!(ninth.heard.starts_with("HTTP/1.1 429 "), "{}", ninth.heard);
    assert!(ninth.heard.contains("urn:partyline:problem:too-many-requests"), "{}", ninth.heard);
    Listener::open(&house, "").await.until("retry: 2000").await;
    readers.pop();
    house
        .until("a place is free again", async || {
            let mut again = Listener::open_as(&house, "greedy", "").await;
            again.until("\r\n\r\n").await;
            again.heard.starts_with("HTTP/1.1 200 ")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_taken_out_of_the_file_is_worth_nothing_after_sighup_and_its_open_stream_ends() {
    let hash = server::http::digest("the-token-of-the-wall").iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let entry = format!("[[api_token]]\nname = \"wall\"\nrole = \"viewer\"\nsha256 = \"{hash}\"\n\n");
    let (house, _doorbell) = House::new(&[("[usage]\n", &format!("{entry}[usage]\n"))]).await;
    let bridge = house.start().await;
    let mut wall = Listener::open_as(&house, "the-token-of-the-wall", "").await;
    wall.until("retry: 2000").await;
    let mut other = Listener::open(&house, "").await;
    other.until("retry: 2000").await;
    reload(&house, &bridge, &entry, "", DONE).await;
    wall.ended().await;
    let asked = async |token: &str| {
        let answer = http::request(house.http, "GET", "/v1/conferences", Some(token), None).await;
        answer.expect("an answer").status
    };
    assert_eq!(asked("the-token-of-the-wall").await, 401);
    assert_eq!(asked(TOKEN).await, 200);
    let _alice = house.join("+493023125001").await;
    other.until("participant.joined").await;
    // The file with a token counts as it is now, too.
    house.write("token", "another-token-of-the-house\n");
    reload(&house, &bridge, "[usage]\n", &format!("{entry}[usage]\n"), DONE).await;
    other.ended().await;
    assert_eq!([asked(TOKEN).await, asked("the-token-of-the-wall").await], [401, 200]);
}
