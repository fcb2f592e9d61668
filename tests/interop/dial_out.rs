//! A meeting calls a telephone through the operator's SBC.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::{
    bridge::{CONFERENCE, House, NUMBER, binary},
    conference::{judge, pcm, voice},
    peers::{Phone, Sbc},
};

/// The number that the meeting dials.
const CALLEE: &str = "+493023125042";

#[tokio::test(flavor = "multi_thread")]
async fn a_telephone_dialed_out_through_kamailio_over_udp_is_heard_and_hangs_up() {
    dialed_out("udp").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_telephone_dialed_out_through_kamailio_over_tcp_is_heard_and_hangs_up() {
    dialed_out("tcp").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_a_user_presses_reach_the_telephone_he_had_called_and_stand_nowhere() {
    if !Phone::is_here() {
        return;
    }
    let folder = super::folder("digits");
    let mut phone = Phone::start(&folder, CALLEE, &voice("bob")).await;
    let port = phone.uri.rsplit(':').next().expect("a port");
    let peer = format!("peers = [{{ address = \"127.0.0.1:{port}\", transport = \"udp\" }}] # [");
    let socket = ("[usage]", "[ctl]\nsocket = \"ctl.sock\"\n\n[usage]");
    let trace = ("filter = \"info\"", "filter = \"info,server=trace,bridge=trace,mixer=trace\"");
    let (house, _) = House::new(&[("peers = [", &peer), socket, trace]).await;
    let _bridge = house.start().await;
    let call = house.join("+493023125001").await;
    house.until_seated(1).await;
    let base = format!("/v1/conferences/{CONFERENCE}");
    let body = format!("{{\"number\":\"{CALLEE}\",\"call_me\":true}}");
    let (status, answer) = house.api("POST", &format!("{base}/dial-out"), Some(&body)).await;
    assert_eq!(status, 202, "{answer}\n{}", house.log());
    phone.until_event("CALL_ESTABLISHED").await;
    house.until_seated(2).await;
    let (_, meeting) = house.api("GET", &base, None).await;
    let leg = |place: usize| meeting["participants"][place]["leg"].clone();
    let press = async |leg: serde_json::Value, digits: &str| {
        let body = format!("{{\"digits\":\"{digits}\"}}");
        house.api("POST", &format!("{base}/participants/{leg}/digits"), Some(&body)).await
    };
    assert_eq!(press(leg(0), "1").await.0, 409, "a caller has keys of his own");
    assert_eq!(press(leg(1), "").await.0, 400);
    assert_eq!(press(leg(1), &"9".repeat(33)).await.0, 400);
    let (status, refused) = press(leg(1), "6180339p").await;
    assert_eq!(status, 400, "{refused}");
    assert!(!refused.to_string().contains("6180339"), "{refused}");
    assert_eq!(press(leg(1), "6180339*#").await, (200, serde_json::json!({ "changed": 1 })));
    assert_eq!(phone.until_keyed(9).await, "6180339*#");
    // The engineer's way; the keys come from the input, since everybody on the machine sees a command line.
    let leg = leg(1).to_string();
    let words = ["ctl", "conf", "digits", CONFERENCE, &leg];
    let mut ctl = tokio::process::Command::new(binary())
        .args(words)
        .current_dir(house.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the program");
    ctl.stdin.take().expect("its input").write_all(b"8749894\n").await.expect("it reads");
    assert!(ctl.wait().await.expect("its end").success(), "{}", house.log());
    assert_eq!(phone.until_keyed(7).await, "8749894");
    phone.hang_up().await;
    house.until("the record is final", async || house.records("final").len() == 1).await;
    let record = &house.records("final")[0];
    assert_eq!((&record["call_type"], &record["end"]["result"]), (&"call_me".into(), &"answered".into()));
    for secret in ["6180339", "8749894"] {
        assert!(!house.log().contains(secret) && !record.to_string().contains(secret));
    }
    call.hang_up().await.expect("Alice hangs up");
}

async fn dialed_out(transport: &str) {
    if !(Phone::is_here() && Sbc::is_here()) {
        return;
    }
    let folder = super::folder(&format!("dial-out-{transport}"));
    let (alice, bob) = (voice("alice"), voice("bob"));
    let mut phone = Phone::start(&folder.join("baresip"), "callee", &bob).await;
    let sbc = Sbc::start(&folder.join("kamailio"), &phone.uri, CALLEE).await;
    // Kamailio takes the place of the peer that the configuration names; the rest of that line becomes a comment.
    let peer = format!(
        "peers = [{{ address = \"127.0.0.1:{}\", transport = \"{transport}\" }}]\n\
         credentials = {{ username = \"partyline\", password = \"secret\", realm = \"operator.example\" }} # [",
        sbc.bridge_side
    );
    let (house, _) = House::new(&[("peers = [", &peer)]).await;
    let bridge = house.start().await;

    let call = house.join("+493023125001").await;
    house.until_seated(1).await;
    let (status, answer) = house.dial_out(CALLEE).await;
    assert_eq!(status, 202, "{answer}\n{}", house.log());
    phone.until_event("CALL_ESTABLISHED").await;
    house.until_seated(2).await;
    // Twice: a telephone that has just been answered is told that it joins, over what the others say.
    call.media().say(pcm(&alice).repeat(2).into()).await;
    tokio::time::sleep(Duration::from_millis(500)).await;

    phone.hang_up().await;
    phone.until_event("CALL_CLOSED").await;
    house.until_seated(1).await;
    let tape = call.hang_up().await.expect("Alice hangs up");
    drop(bridge);
    let heard_by_phone = phone.finished().await;

    judge("Alice", &tape.heard.track(tape.started), &[("the callee", &bob, true), ("Alice", &alice, false)]);
    judge("the callee", &heard_by_phone, &[("Alice", &alice, true), ("the callee", &bob, false)]);
    let passed = sbc.log();
    let authenticated =
        format!("INVITE {transport} dial-out to {CALLEE} as {NUMBER} authenticated as partyline");
    assert!(passed.contains(&authenticated), "{passed}");
    let acknowledged = format!("ACK {transport} within a dialog");
    assert!(passed.contains(&acknowledged), "the ACK did not follow the recorded route:\n{passed}");
    assert!(passed.contains("BYE udp within a dialog"), "the callee's BYE did not pass the SBC:\n{passed}");
}
