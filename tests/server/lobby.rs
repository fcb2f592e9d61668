//! The organizer by telephone and the lobby, against the real binary.

use std::process::Stdio;
use std::time::Duration;

use server::demo::caller::Call;
use tokio::io::AsyncWriteExt as _;

use super::bridge::{Bridge, House, PETRA, PIN, STRICT, binary};

const ORGANIZER: &str = "+493023125001";
const EVE: &str = "+493023125002";

/// The bridge, with Petra's meeting in which callers wait in the lobby.
async fn house() -> (House, Bridge) {
    let (house, _doorbell) = House::new(&[PETRA]).await;
    let bridge = house.start().await;
    (house, bridge)
}

/// A caller who has keyed Petra's conference ID and listened to the question whether he is the organizer.
async fn asked(house: &House, caller: &str) -> Call {
    let call = house.call(caller).await;
    call.media().key(&format!("{STRICT}#")).await;
    let accepted = "partyline_attendant_attempts_total{result=\"accepted\",step=\"conference_id\"}";
    house.until("the ID is judged", async || house.count(accepted).await > 0).await;
    call
}

async fn pins(house: &House, result: &str) -> u64 {
    house.count(&format!("partyline_attendant_attempts_total{{result=\"{result}\",step=\"pin\"}}")).await
}

/// How many are shown in a list of Petra's meeting.
async fn shown(house: &House, list: &str) -> usize {
    let (_, shown) = house.api("GET", &format!("/v1/conferences/{STRICT}"), None).await;
    shown[list].as_array().map_or(0, Vec::len)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_caller_waits_in_the_lobby_until_the_organizer_has_shown_his_pin_and_keyed_star_21() {
    let (house, _bridge) = house().await;
    let eve = asked(&house, EVE).await;
    eve.media().key("1").await;
    house.until("she waits in the lobby", async || shown(&house, "lobby").await == 1).await;
    assert_eq!(shown(&house, "participants").await, 0);
    let before = eve.media().meter().sounding;
    assert!(eve.media().hears(before + Duration::from_secs(8), Duration::from_secs(30)).await, "music");

    let petra = house.call(ORGANIZER).await;
    petra.media().key(&format!("{STRICT}#")).await;
    petra.media().key(&format!("*{PIN}#")).await;
    house.until("the PIN is checked", async || pins(&house, "accepted").await == 1).await;
    house.until("she is in her meeting", async || shown(&house, "participants").await == 1).await;
    assert_eq!(shown(&house, "lobby").await, 1, "her coming alone lets nobody in");
    petra.media().key("*21").await;
    house.until("both are in the meeting", async || shown(&house, "participants").await == 2).await;
    let (_, meeting) = house.api("GET", &format!("/v1/conferences/{STRICT}"), None).await;
    let roles: Vec<_> =
        meeting["participants"].as_array().expect("two").iter().map(|one| &one["role"]).collect();
    assert_eq!(roles, ["participant", "organizer"], "{meeting}");
    petra.hang_up().await.expect("an answer to BYE");
    eve.hang_up().await.expect("an answer to BYE");
    house.until_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_wrong_pins_make_an_ordinary_participant_in_the_lobby() {
    let (house, _bridge) = house().await;
    let eve = asked(&house, EVE).await;
    eve.media().key("*").await;
    for wrong in 1..=3 {
        eve.media().key("11111#").await;
        house.until("the PIN is checked", async || pins(&house, "wrong").await == wrong).await;
    }
    house.until("she waits in the lobby", async || shown(&house, "lobby").await == 1).await;
    assert_eq!((pins(&house, "accepted").await, shown(&house, "participants").await), (0, 0));
    eve.hang_up().await.expect("an answer to BYE");
    house.until_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_drops_and_returns_keeps_mute_and_admission_and_an_organizer_who_hung_up_is_asked_for_the_pin() {
    let (house, _doorbell) =
        House::new(&[PETRA, ("[media]\n", "[media]\nsilence_timeout_seconds = 3\n")]).await;
    let _bridge = house.start().await;
    let base = format!("/v1/conferences/{STRICT}");
    let one = async |list: &str, number: &str| {
        let (_, meeting) = house.api("GET", &base, None).await;
        let of = meeting[list].as_array().and_then(|all| all.iter().find(|one| one["number"] == number));
        of.cloned().unwrap_or_default()
    };
    let petra = asked(&house, ORGANIZER).await;
    petra.media().key(&format!("*{PIN}#")).await;
    house.until("she is in her meeting", async || shown(&house, "participants").await == 1).await;
    let eve = asked(&house, EVE).await;
    house.until("Eve waits", async || shown(&house, "lobby").await == 1).await;
    petra.media().key("*21").await;
    house.until("both are in the meeting", async || shown(&house, "participants").await == 2).await;
    eve.media().key("*6").await;
    house.until("Eve has muted herself", async || one("participants", EVE).await["muted"] == true).await;
    eve.hang_up().await.expect("an answer to BYE");
    house.until("she has left", async || shown(&house, "participants").await == 1).await;
    let eve = asked(&house, EVE).await;
    house.until("she is back, past the lobby", async || shown(&house, "participants").await == 2).await;
    assert_eq!(one("participants", EVE).await["muted_by"], "self");

    petra.hang_up().await.expect("an answer to BYE");
    house.until("the organizer has left", async || shown(&house, "participants").await == 1).await;
    let petra = asked(&house, ORGANIZER).await;
    petra.media().key("1").await;
    house.until("without the PIN she waits", async || shown(&house, "lobby").await == 1).await;
    petra.hang_up().await.expect("an answer to BYE");
    house.until("nobody waits", async || shown(&house, "lobby").await == 0).await;
    let mut petra = asked(&house, ORGANIZER).await;
    petra.media().key(&format!("*{PIN}#")).await;
    house.until("with it she is in", async || shown(&house, "participants").await == 2).await;
    assert_eq!(one("participants", ORGANIZER).await["role"], "organizer");

    petra.media().hold(true);
    petra.ended().await.expect("the bridge hangs up who has fallen silent");
    house.until("her line is gone", async || shown(&house, "participants").await == 1).await;
    let petra = asked(&house, ORGANIZER).await;
    house
        .until("whom the network lost is not asked", async || shown(&house, "participants").await == 2)
        .await;
    assert_eq!(one("participants", ORGANIZER).await["role"], "organizer");
    petra.hang_up().await.expect("an answer to BYE");
    eve.hang_up().await.expect("an answer to BYE");
    house.until_empty().await;
}

/// What `partyline pin hash` makes of its input: exit code and output.
async fn hashed(input: &str) -> (Option<i32>, String) {
    let mut program = tokio::process::Command::new(binary())
        .args(["pin", "hash"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    let mut stdin = program.stdin.take().expect("its input");
    stdin.write_all(input.as_bytes()).await.expect("the program reads");
    drop(stdin);
    let output = program.wait_with_output().await.expect("its end");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).expect("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn pin_hash_reads_a_pin_and_prints_what_the_configuration_wants() {
    let (code, printed) = hashed("271828\n").await;
    assert_eq!(code, Some(0), "{printed}");
    assert!(
        printed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && !printed.contains("271828"),
        "{printed}"
    );
    assert!(server::pin::verify(printed.trim(), "271828"));
    for wrong in ["", "123\n", "1234567890123\n", "12 34\n", "PIN1234\n"] {
        let (code, said) = hashed(wrong).await;
        assert_eq!(code, Some(2), "{wrong:?}: {said}");
        assert!(said.contains("4 to 12 digits"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_lets_people_in_from_the_lobby_mutes_them_locks_the_meeting_and_ends_it() {
    let (house, _bridge) = house().await;
    let eve = asked(&house, EVE).await;
    eve.media().key("1").await;
    house.until("she waits in the lobby", async || shown(&house, "lobby").await == 1).await;
    let base = format!("/v1/conferences/{STRICT}");
    let (_, meeting) = house.api("GET", &base, None).await;
    let place = format!("{base}/participants/{}", meeting["lobby"][0]["leg"]);
    let act = async |method: &str, path: &str| house.api(method, path, None).await;
    let (status, refused) = act("PUT", &format!("{base}/participants/999/admission")).await;
    assert_eq!((status, &refused["type"]), (404, &"urn:partyline:problem:not-found".into()), "{refused}");
    let done = (200, serde_json::json!({ "changed": 1 }));
    assert_eq!(act("PUT", &format!("{place}/admission")).await, done);
    house.until("she is in", async || shown(&house, "participants").await == 1).await;
    assert_eq!(act("PUT", &format!("{place}/admission")).await.0, 409, "she is in already");
    assert_eq!(act("PUT", &format!("{place}/mute?hard=true")).await, done);
    assert_eq!(act("PUT", &format!("{place}/mute?loud=true")).await.0, 400);
    house
        .until("she is muted", async || {
            house.api("GET", &base, None).await.1["participants"][0]["muted_by"] == "organizer-hard"
        })
        .await;
    assert_eq!(act("DELETE", &format!("{place}/mute")).await, done);
    assert_eq!(act("PUT", &format!("{base}/lock")).await, done);
    let role = house.api("PUT", &format!("{place}/role"), Some("{\"role\":\"organizer\"}")).await;
    assert_eq!(role, done);
    house
        .until("it is shown", async || {
            let meeting = house.api("GET", &base, None).await.1;
            meeting["locked"] == true && meeting["participants"][0]["role"] == "organizer"
        })
        .await;
    let (_, told) = house.api("GET", "/v1/events?since=0&limit=1000", None).await;
    let kinds: Vec<_> = told["events"]
        .as_array()
        .expect("events")
        .iter()
        .filter_map(|event| event["type"].as_str())
        .collect();
    for kind in
        ["lobby.joined", "lobby.left", "participant.joined", "participant.changed", "conference.changed"]
    {
        assert!(kinds.contains(&kind), "{kind}: {told}");
    }
    assert_eq!(act("DELETE", &base).await.0, 200);
    house.until_empty().await;
}
