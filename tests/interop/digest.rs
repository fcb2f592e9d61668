//! Digest authentication with other people's: SIPp's arithmetic in both directions, Kamailio's SHA-256.

use std::{fs, path::Path, time::Duration};

use nix::sys::signal::Signal;
use tests::ports::free_port;

use super::{
    bridge::{House, NUMBER, root},
    conference::voice,
    peers::{Phone, Sbc, Sipp},
    program::Program,
};

/// The number that the meeting dials.
const CALLEE: &str = "+493023125042";

/// SIPp with one of the scenarios, for one call; or with a part of it, up to a step in place of which it gets a second 401.
fn sipp(folder: &Path, scenario: &str, until: Option<&str>, port: u16, more: &[&str]) -> Program {
    let mut text =
        fs::read_to_string(root().join("tests/interop/peers").join(scenario)).expect("the scenario");
    if let Some(until) = until {
        let (before, _) = text.split_once(until).expect("a step of the scenario");
        text = format!("{before}<recv response=\"401\"/></scenario>\n");
    }
    fs::create_dir_all(folder).expect("a folder for SIPp");
    fs::write(folder.join(scenario), text).expect("the scenario");
    let port = port.to_string();
    let mut command =
        vec!["sipp", "-sf", scenario, "-i", "127.0.0.1", "-p", &port, "-m", "1", "-timeout", "40"];
    command.extend(["-nostdin", "-trace_err", "-error_file", "errors.log"]);
    command.extend(more);
    Program::start(&command, folder, "sipp.log")
}

#[tokio::test(flavor = "multi_thread")]
async fn sipp_is_challenged_and_its_credentials_are_taken() {
    if !Sipp::is_here() {
        return;
    }
    let folder = super::folder("sipp-credentials");
    // SIPp 3.6 knows MD5 only, and reads no more than one challenge.
    let lines = "send_sip_options = false\n\
                 inbound_credentials = { username = \"carrier\", password = \"PASSWORD\", algorithms = [\"MD5\"] }";
    for (password, taken) in [("their-secret", true), ("another-secret", false)] {
        let lines = lines.replace("PASSWORD", password);
        let (house, _doorbell) = House::new(&[("send_sip_options = false", &lines)]).await;
        let bridge = house.start().await;
        let bridge_at = house.sip.to_string();
        let port = free_port();
        let until = (!taken).then_some("<recv response=\"200\" rrs");
        let mut caller =
            sipp(&folder, "dial_in_with_credentials.xml", until, port, &["-s", NUMBER, &bridge_at]);
        let status = caller.ended(Duration::from_mins(1)).await.expect("SIPp ends");
        assert!(status.success(), "{}\n{}", caller.log(), house.log());
        let refused = house.count("partyline_sip_requests_rejected_total{reason=\"unauthorized\"}").await;
        assert_eq!(refused, if taken { 1 } else { 2 });
        assert_eq!(house.log().contains("a wrong user name or password"), !taken, "{}", house.log());
        assert!(!house.log().contains(password), "{}", house.log());
        drop(bridge);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sipp_checks_our_answer_to_its_challenge_among_two() {
    if !Sipp::is_here() {
        return;
    }
    let folder = super::folder("sipp-challenges");
    let port = free_port();
    let peer = format!(
        "peers = [{{ address = \"127.0.0.1:{port}\", transport = \"udp\" }}]\n\
         credentials = {{ username = \"partyline\", password = \"secret\", realm = \"operator.example\" }} # ["
    );
    let (house, _doorbell) = House::new(&[("peers = [", &peer)]).await;
    let bridge = house.start().await;
    let mut callee = sipp(&folder, "challenged_callee.xml", None, port, &[]);
    let call = house.join("+493023125001").await;
    house.until_seated(1).await;
    let (status, answer) = house.dial_out(CALLEE).await;
    assert_eq!(status, 202, "{answer}\n{}", house.log());
    house.until_seated(2).await;
    // Once to drain, once more to end what runs.
    bridge.signal(Signal::SIGTERM);
    house.until("it drains", async || house.metric("partyline_ready").await == 0.0).await;
    bridge.signal(Signal::SIGTERM);
    let status = callee.ended(Duration::from_secs(30)).await.expect("SIPp ends with our BYE");
    assert!(status.success(), "{}\n{}", callee.log(), house.log());
    drop(call);
}

#[tokio::test(flavor = "multi_thread")]
async fn kamailio_takes_our_sha_256() {
    if !(Phone::is_here() && Sbc::is_here()) {
        return;
    }
    let folder = super::folder("kamailio-sha-256");
    let mut phone = Phone::start(&folder.join("baresip"), "callee", &voice("bob")).await;
    let sbc =
        Sbc::start_with(&folder.join("kamailio"), &phone.uri, CALLEE, &["--algorithm", "SHA-256"]).await;
    let peer = format!(
        "peers = [{{ address = \"127.0.0.1:{}\", transport = \"udp\" }}]\n\
         credentials = {{ username = \"partyline\", password = \"secret\" }} # [",
        sbc.bridge_side
    );
    let (house, _doorbell) = House::new(&[("peers = [", &peer)]).await;
    let _bridge = house.start().await;
    let call = house.join("+493023125001").await;
    house.until_seated(1).await;
    let (status, answer) = house.dial_out(CALLEE).await;
    assert_eq!(status, 202, "{answer}\n{}", house.log());
    phone.until_event("CALL_ESTABLISHED").await;
    house.until_seated(2).await;
    assert!(sbc.log().contains("authenticated as partyline"), "{}", sbc.log());
    call.hang_up().await.expect("an answer to BYE");
}
