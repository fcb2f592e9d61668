//! Whole stories through the real binary: a meeting that is full, a trunk that dies under it, the keys in it. What somebody heard is
//! judged from the RTP that came to his own socket.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use server::demo::caller::{Call, Exchange, ExchangeConfig};
use server::demo::g711::Law;
use server::demo::listening::RATE;
use tests::ports::Ports;
use tokio::time::sleep;

use super::bridge::{Bridge, CONFERENCE, House, PETRA, PIN, STRICT};
use super::languages::{recorded, was_played};

const ALICE: &str = "+493023125001";
const BOB: &str = "+493023125002";
const CALLEE: &str = "+493023125042";
/// The number of the second operator.
const SECOND: &str = "+496990009200";
/// Samples in which a prompt is looked for: longer than the longest of these stories.
const LATELY: usize = 9 * RATE;

/// Waits until somebody has just heard a prompt to its end.
async fn hears(house: &House, call: &Call, stem: &str) {
    let prompt = recorded("en-US", stem);
    let what = format!("{stem} is heard");
    house
        .until(&what, async || {
            // To look for a sentence takes longer than to wait for it.
            sleep(Duration::from_millis(200)).await;
            let tape = call.media().tape();
            let heard = tape.heard.track(tape.started);
            was_played(&prompt, &heard[heard.len().saturating_sub(LATELY)..])
        })
        .await;
}

/// A meeting as the API shows it.
async fn meeting(house: &House, id: &str) -> Value {
    house.api("GET", &format!("/v1/conferences/{id}"), None).await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_a_full_meeting_hears_so_and_gets_a_bye_and_a_free_seat_is_taken_again() {
    let small = ("subject = \"Weekly planning\"", "subject = \"Weekly planning\"\ncapacity = 2");
    let (house, _doorbell) = House::new(&[small]).await;
    let _bridge = house.start().await;
    let alice = house.join(ALICE).await;
    let bob = house.join(BOB).await;
    house.until_seated(2).await;
    let mut late = house.join("+493023125003").await;
    late.ended().await.expect("the bridge hangs up");
    let tape = late.media().tape();
    let heard = tape.heard.track(tape.started);
    for stem in ["conference-full", "goodbye"] {
        assert!(was_played(&recorded("en-US", stem), &heard), "{stem} was not heard");
    }
    house.until("her record is final", async || house.records("final").len() == 1).await;
    assert_eq!(house.records("final")[0]["end"]["cause"], "attendant said goodbye");
    assert_eq!(house.dial_out(CALLEE).await.0, 409, "nobody is called into a full meeting either");
    bob.hang_up().await.expect("an answer to BYE");
    house.until_seated(1).await;
    let again = house.join("+493023125003").await;
    house.until_seated(2).await;
    again.hang_up().await.expect("an answer to BYE");
    alice.hang_up().await.expect("an answer to BYE");
    house.until_empty().await;
}

/// The operator's exchange, or another's, at an address of its own.
async fn exchange(
    name: &str,
    bind: SocketAddr,
    bridge: SocketAddr,
) -> (Exchange, server::demo::caller::Doorbell) {
    let config = ExchangeConfig {
        name: name.to_owned(),
        bind,
        bridge,
        laws: vec![Law::A],
        trace: true,
        seed: u64::from(bind.port()),
    };
    Exchange::open(config).await.expect("an exchange")
}

/// The trunks of the attempts of the last final record, and what came of it.
async fn last_dial_out(house: &House, records: usize) -> (Vec<String>, Value) {
    let outward = || -> Vec<Value> {
        let finals = house.records("final").into_iter();
        finals.filter(|record| record["call_type"] == "conf_out").collect()
    };
    house.until("the dial-out has its record", async || outward().len() == records).await;
    let record = outward().pop().expect("a record");
    let attempts = record["attempts"].as_array().expect("attempts").iter();
    let trunks = attempts.map(|attempt| attempt["trunk"].as_str().unwrap_or_default().to_owned());
    (trunks.collect(), record["end"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_dies_under_a_meeting_the_others_go_on_the_next_operator_is_dialed_and_it_comes_back() {
    let second = SocketAddr::from(([127, 0, 0, 2], Ports::take(1).one()));
    let trunk = format!(
        "[[trunk]]\nid = \"second\"\nkind = \"operator\"\nprovider = \"operator:second\"\nsend_sip_options = false\n\
         peers = [{{ address = \"{second}\", transport = \"udp\" }}]\nsources = [\"127.0.0.2/32\"]\n\n\
         [[number]]\nnumber = \"{SECOND}\"\nowner = \"operator:second\"\ntenant = \"contoso\"\n\n[[bridge]]"
    );
    let route = format!(
        "[[route]]\nname = \"germany-by-the-second\"\nnumber_pattern = '^\\+49\\d{{6,13}}$'\npriority = 2\n\
         pstn_usages = [\"germany\"]\nbridge_source_phone_number = \"{SECOND}\"\n\n[[meeting]]"
    );
    let silence =
        ("address = \"127.0.0.1\"\nports", "silence_timeout_seconds = 3\naddress = \"127.0.0.1\"\nports");
    let (mut house, doorbell) =
        House::new(&[("[[bridge]]", trunk.as_str()), ("[[meeting]]", route.as_str()), silence]).await;
    let _bridge = house.start().await;
    let (other, mut other_door) = exchange("second", second, house.sip).await;
    let first = house.exchange.address();

    let alice = house.join(ALICE).await;
    let bob = other.dial(BOB, "Bob", SECOND).await.expect("Bob is answered");
    bob.media().key(&format!("{CONFERENCE}#")).await;
    house.until_seated(2).await;

    // The first operator is gone from one moment to the next: nothing is sent any more, nothing is answered.
    house.exchange = other.clone();
    drop((doorbell, alice));
    house.until("Alice's leg is over", async || house.records("final").len() == 1).await;
    let lost = house.records("final").remove(0);
    assert_eq!(lost["trunk"], "rhein-telecom", "{lost}");
    let end = &lost["end"];
    assert_eq!((&end["result"], &end["ended_by"]), (&"answered".into(), &"network".into()), "{lost}");
    assert_eq!((&end["cause"], &end["q850"]), (&"no media from the far end".into(), &102.into()), "{lost}");
    assert_eq!(house.seated().await, 1, "Bob is still there");

    assert_eq!(house.dial_out(CALLEE).await.0, 202);
    let ringing = other_door.ring().await.expect("the second operator is dialed");
    assert_eq!((ringing.called().as_str(), ringing.caller().as_str()), (CALLEE, SECOND));
    let callee = ringing.answer().await.expect("an ACK");
    house.until_seated(2).await;
    callee.hang_up().await.expect("an answer to BYE");
    let (trunks, end) = last_dial_out(&house, 1).await;
    assert_eq!(trunks, ["rhein-telecom", "second"]);
    assert_eq!(end["result"], "answered", "{end}");

    // Her license knows operators only: when neither can, nobody else is asked, and the meeting hears so.
    assert_eq!(house.dial_out(CALLEE).await.0, 202);
    other_door.ring().await.expect("the second operator is dialed").refuse(503);
    let (trunks, end) = last_dial_out(&house, 2).await;
    assert_eq!((trunks.len(), &end["result"]), (2, &"unreachable".into()), "{end}");
    hears(&house, &bob, "callee-unreachable").await;

    let (_back, mut door) = exchange("operator", first, house.sip).await;
    assert_eq!(house.dial_out(CALLEE).await.0, 202);
    let ringing = door.ring().await.expect("the first operator is dialed again");
    let callee = ringing.answer().await.expect("an ACK");
    house.until_seated(2).await;
    callee.hang_up().await.expect("an answer to BYE");
    let (trunks, _) = last_dial_out(&house, 3).await;
    assert_eq!(trunks, ["rhein-telecom"]);
    bob.hang_up().await.expect("an answer to BYE");
    house.until_empty().await;
}

/// Petra in her meeting, as its organizer, and Eve, whom she has let in.
async fn petra_and_eve(house: &House, admit: &str) -> (Call, Call) {
    let petra = house.call(ALICE).await;
    petra.media().key(&format!("{STRICT}#")).await;
    let accepted = "partyline_attendant_attempts_total{result=\"accepted\",step=\"conference_id\"}";
    house.until("the ID is judged", async || house.count(accepted).await > 0).await;
    petra.media().key(&format!("*{PIN}#")).await;
    let people = async |list: &str| meeting(house, STRICT).await[list].as_array().map_or(0, Vec::len);
    house.until("Petra is in", async || people("participants").await == 1).await;
    let eve = house.call(BOB).await;
    eve.media().key(&format!("{STRICT}#")).await;
    house.until("Eve waits", async || people("lobby").await == 1).await;
    petra.media().key(admit).await;
    house.until("Eve is in", async || people("participants").await == 2).await;
    (petra, eve)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_in_a_meeting_do_what_they_say_and_who_keys_them_hears_it() {
    let (house, _doorbell) = House::new(&[PETRA]).await;
    let _bridge: Bridge = house.start().await;
    let (petra, eve) = petra_and_eve(&house, "*21").await;
    let shown =
        async |pointer: &str| meeting(&house, STRICT).await.pointer(pointer).cloned().unwrap_or_default();
    // Eve came second.
    let muted = "/participants/1/muted";
    petra.media().key("*22").await;
    house.until("Eve is muted", async || shown(muted).await == true).await;
    assert_eq!(shown("/participants/0/muted").await, false, "the organizer is not");
    hears(&house, &petra, "all-muted").await;
    hears(&house, &eve, "muted-by-organizer").await;
    petra.media().key("*22").await;
    house.until("Eve may speak again", async || shown(muted).await == false).await;

    petra.media().key("*23").await;
    house.until("coming and going is not heard", async || shown("/announcements").await == false).await;
    hears(&house, &petra, "announcements-off").await;

    eve.media().key("*3").await;
    hears(&house, &eve, "people-here").await;
    eve.media().key("*5").await;
    house.until("Eve's hand is up", async || shown("/hands/0").await != Value::Null).await;
    hears(&house, &eve, "hand-raised").await;
    eve.media().key("*7").await;
    hears(&house, &eve, "organizer-only").await;
    assert_eq!(shown("/locked").await, false);

    petra.media().key("*7").await;
    house.until("the meeting is locked", async || shown("/locked").await == true).await;
    hears(&house, &petra, "conference-now-locked").await;
    let mut late = house.call("+493023125003").await;
    late.media().key(&format!("{STRICT}#")).await;
    late.ended().await.expect("the bridge hangs up");
    let tape = late.media().tape();
    let heard = tape.heard.track(tape.started);
    assert!(was_played(&recorded("en-US", "conference-locked"), &heard), "she was not told why");
    petra.hang_up().await.expect("an answer to BYE");
    eve.hang_up().await.expect("an answer to BYE");
    house.until_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_s_own_keys_are_heeded_and_spoken_and_the_product_s_are_not() {
    let own = ("[drain]", "[keys]\nprefix = \"#\"\nmute = \"4\"\nhand = \"\"\n[drain]");
    let (house, _doorbell) = House::new(&[PETRA, own]).await;
    let _bridge: Bridge = house.start().await;
    let (petra, eve) = petra_and_eve(&house, "#21").await;
    let muted = async || meeting(&house, STRICT).await.pointer("/participants/1/muted").cloned();

    eve.media().key("*6#6").await;
    hears(&house, &eve, "unknown-command").await;
    assert_eq!(muted().await, Some(false.into()), "neither the prefix nor the key of old");
    eve.media().key("#4").await;
    house.until("Eve is muted", async || muted().await == Some(true.into())).await;
    hears(&house, &eve, "muted").await;

    petra.media().key("#1").await;
    for stem in ["for-mute", "for-help", "for-lock"] {
        hears(&house, &petra, stem).await;
    }
    let tape = petra.media().tape();
    let heard = tape.heard.track(tape.started);
    assert!(was_played(&recorded("en-US", "pound"), &heard), "the help says the prefix that is set");
    assert!(!was_played(&recorded("en-US", "for-hand"), &heard), "nobody can key this one");
    petra.hang_up().await.expect("an answer to BYE");
    eve.hang_up().await.expect("an answer to BYE");
    house.until_empty().await;
}
