//! A meeting calls a telephone through the operator's SBC.

use std::time::Duration;

use super::{
    bridge::{House, NUMBER},
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
