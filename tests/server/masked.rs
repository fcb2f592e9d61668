//! Telephone numbers, for whom they are shown, and names, against the real binary.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;
use server::demo::http;
use tests::ear::goertzel;

use super::bridge::{CONFERENCE, House};
use super::ctl::{SOCKET, good};
use super::recording::tone;

const EVE: &str = "+493023125001";
const MASKED: &str = "+49********01";
/// The token of a display on a wall.
const WALL: &str = "the-token-of-a-display-on-a-wall";

/// The lines of its token.
fn wall() -> String {
    let hash = server::http::digest(WALL).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    format!(
        "[[api_token]]\nname = \"wall\"\nrole = \"admin\"\noutside = true\nsha256 = \"{hash}\"\n\n[usage]\n"
    )
}

async fn on_the_wall(house: &House, path: &str) -> Value {
    let answer = http::request(house.http, "GET", path, Some(WALL), None).await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(!answer.body.contains(EVE), "{}", answer.body);
    serde_json::from_str(&answer.body).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn outsiders_see_no_numbers_and_nobody_does_where_all_are_masked() {
    let (house, _doorbell) = House::new(&[("[usage]\n", &wall()), SOCKET]).await;
    let bridge = house.start().await;
    let call = house.join(EVE).await;
    house.until_seated(1).await;
    let path = format!("/v1/conferences/{CONFERENCE}");
    assert_eq!(house.api("GET", &path, None).await.1["participants"][0]["number"], EVE);
    assert_eq!(on_the_wall(&house, &path).await["participants"][0]["number"], MASKED);
    let all = on_the_wall(&house, "/v1/conferences").await;
    assert_eq!(all["conferences"][0]["participants"][0]["number"], MASKED);
    let told = on_the_wall(&house, "/v1/events").await;
    let joined = told["events"].as_array().into_iter().flatten();
    let joined = joined.filter(|event| event["type"] == "participant.joined").collect::<Vec<_>>();
    assert_eq!(joined[0]["details"]["number"], MASKED);
    assert!(house.api("GET", "/v1/events", None).await.1.to_string().contains(EVE));
    assert!(good(&house, &format!("conf show {CONFERENCE}")).await.contains(EVE));
    let usage = http::request(house.http, "GET", "/v1/usage", Some(WALL), None).await.expect("an answer");
    assert_eq!(usage.status, 403, "{}", usage.body);
    let candidate = Some("{\"config\":\"\"}");
    let decided =
        http::request(house.http, "POST", "/v1/what-if", Some(WALL), candidate).await.expect("an answer");
    assert_eq!(decided.status, 403, "{}", decided.body);
    call.hang_up().await.expect("an answer to BYE");
    bridge.die().await;

    let file = std::fs::read_to_string(house.path("partyline.toml")).expect("the configuration");
    let all = file.replace("country_code = \"49\"", "country_code = \"49\"\nmask_pstn_numbers = \"all\"");
    house.write("partyline.toml", &all);
    let _bridge = house.start().await;
    let call = house.join(EVE).await;
    house.until_seated(1).await;
    assert_eq!(house.api("GET", &path, None).await.1["participants"][0]["number"], MASKED);
    assert!(!house.api("GET", "/v1/events", None).await.1.to_string().contains(EVE));
    let shown = good(&house, &format!("conf show {CONFERENCE}")).await;
    assert!(shown.contains(MASKED) && !shown.contains(EVE), "{shown}");
    call.hang_up().await.expect("an answer to BYE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_said_after_the_tone_heard_by_the_others_and_written_nowhere() {
    let names = (
        "policy = \"germany-by-operator\"",
        "policy = \"germany-by-operator\"\nentry_exit_announcements = \"names\"",
    );
    let (house, _doorbell) = House::new(&[names, ("filter = \"info\"", "filter = \"trace\"")]).await;
    let _bridge = house.start().await;
    let quiet = (Duration::from_millis(800), Duration::from_secs(20));
    let alice = house.join(EVE).await;
    assert!(alice.media().falls_quiet(quiet.0, quiet.1).await, "the question has ended");
    assert_eq!(house.seated().await, 0, "she is asked for her name");
    alice.media().key("#").await;
    house.until_seated(1).await;
    let bob = house.join("+493023125002").await;
    assert!(bob.media().falls_quiet(quiet.0, quiet.1).await, "the question has ended");
    bob.media().say(tone(700, 1).into()).await;
    let files = |house: &House| {
        let folder = std::fs::read_dir(house.path("")).expect("the folder");
        let mut names: Vec<_> = folder.map(|file| file.expect("a file").file_name()).collect();
        names.sort();
        names
    };
    let before = files(&house);
    bob.media().key("#").await;
    house.until_seated(2).await;
    // She hears his name, though he says it no more.
    let heard = async || {
        let tape = alice.media().tape();
        let pcm: Vec<i16> =
            tape.heard.track(tape.started).into_iter().map(|sample| (sample * 32_767.0) as i16).collect();
        pcm.chunks_exact(800).filter(|tenth| goertzel(tenth, 700, 8000) > 1500.0).count() >= 6
    };
    house.until("she hears his name", heard).await;
    assert_eq!(files(&house), before, "nothing is written");
    assert!(house.log().contains("SpokenName(_)"), "the log says that there is one, and no more");
    for call in [alice, bob] {
        call.hang_up().await.expect("an answer to BYE");
    }
    house.until_empty().await;
}
