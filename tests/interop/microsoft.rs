//! Kamailio with a script that is as strict as the Microsoft gateway, and telephones with SRTP behind it.

use std::fs;
use std::time::Duration;

use tests::pki::Authority;
use tests::ports::free_port;

use super::bridge::{CONFERENCE, NUMBER};
use super::conference::{judge, voice};
use super::peers::{Phone, Sbc};
use super::secured::{OUR_NAME, paired_house, write_pair};

/// The name of the gateway.
const GATEWAY: &str = "sip.pstn.example";
/// The number that the meeting dials.
const CALLEE: &str = "+493023125042";

#[tokio::test(flavor = "multi_thread")]
async fn kamailio_as_strict_as_microsoft_passes_encrypted_calls_both_ways() {
    if !(Phone::is_here() && Sbc::is_here() && Sbc::has_tls()) {
        return;
    }
    let folder = super::folder("microsoft-kamailio");
    let authority = Authority::new("tests");
    write_pair(&folder, "gateway", &authority.issue_for(GATEWAY));
    fs::write(folder.join("roots.pem"), &authority.root).expect("a file");
    let tls_port = free_port();
    let peers = format!("{{ address = \"127.0.0.1:{tls_port}\", host = \"{GATEWAY}\" }}");
    let house = paired_house(&authority, &peers, "options_interval_seconds = 2").await;
    let (alice, bob) = (voice("alice"), voice("bob"));
    let encrypted = ["--srtp", "srtp-mand", "--codec", "pcmu"];
    let mut callee = Phone::start_with(&folder.join("callee"), "callee", &bob, &encrypted).await;
    let mut caller = Phone::start_with(&folder.join("caller"), "+17168712781", &alice, &encrypted).await;
    let bridge_uri = format!("sip:{};transport=tls", house.tls);
    let file = |name: &str| folder.join(name).display().to_string();
    let (port, certificate, key, roots) =
        (tls_port.to_string(), file("gateway.pem"), file("gateway.key"), file("roots.pem"));
    let options = [
        "--bridge",
        &bridge_uri,
        "--tls-port",
        &port,
        "--certificate",
        &certificate,
        "--key",
        &key,
        "--roots",
        &roots,
        "--strict",
        OUR_NAME,
    ];
    let sbc = Sbc::start_with(&folder.join("kamailio"), &callee.uri, CALLEE, &options).await;
    let bridge = house.start().await;
    house
        .until("the gateway has answered our OPTIONS", async || sbc.log().contains("accepted OPTIONS"))
        .await;

    caller.dial(&format!("sip:{NUMBER}@127.0.0.1:{}", sbc.carrier_side)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    caller.key(&format!("{CONFERENCE}#")).await;
    house.until_seated(1).await;
    let (status, answer) = house.dial_out(CALLEE).await;
    assert_eq!(status, 202, "{answer}\n{}", house.log());
    callee.until_event("CALL_ESTABLISHED").await;
    house.until_seated(2).await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    callee.hang_up().await;
    callee.until_event("CALL_CLOSED").await;
    caller.hang_up().await;
    caller.until_event("CALL_CLOSED").await;
    house.until("each leg has one final usage record", async || house.records("final").len() == 2).await;
    drop(bridge);

    for record in house.records("final") {
        assert_eq!(record["media"]["srtp"], "AES_CM_128_HMAC_SHA1_80", "{record}");
    }
    let (heard_by_caller, heard_by_callee) = (caller.finished().await, callee.finished().await);
    judge("the caller", &heard_by_caller, &[("the callee", &bob, true), ("the caller", &alice, false)]);
    judge("the callee", &heard_by_callee, &[("the caller", &alice, true), ("the callee", &bob, false)]);
    let passed = sbc.log();
    assert!(passed.contains("accepted INVITE") && !passed.contains("sbc: refused"), "{passed}");
}
