//! Kamailio with a script that is as strict as the Microsoft gateway, and telephones with SRTP behind it.

use std::fs;

use tests::pki::Authority;
use tests::ports::free_port;

use super::both_ways::{CALLEE, call_both_ways};
use super::conference::voice;
use super::peers::{Phone, Sbc};
use super::secured::{OUR_NAME, paired_house, write_pair};

/// The name of the gateway.
const GATEWAY: &str = "sip.pstn.example";

#[tokio::test(flavor = "multi_thread")]
async fn kamailio_as_strict_as_microsoft_passes_encrypted_calls_both_ways() {
    if !(Phone::is_here() && Sbc::is_here() && Sbc::has_tls()) {
        return;
    }
    let folder = super::folder("microsoft-kamailio");
    let authority = Authority::new("tests");
    write_pair(&folder, "gateway", &authority.issue_for(GATEWAY));
    fs::write(folder.join("roots.pem"), &authority.root).expect("a file");
    let port = free_port();
    let peers = format!("{{ address = \"127.0.0.1:{port}\", host = \"{GATEWAY}\" }}");
    let house = paired_house(&authority, &peers, "options_interval_seconds = 2").await;
    let encrypted = ["--srtp", "srtp-mand", "--codec", "pcmu"];
    let callee = Phone::start_with(&folder.join("callee"), "callee", &voice("bob"), &encrypted).await;
    let caller = Phone::start_with(&folder.join("caller"), "+17168712781", &voice("alice"), &encrypted).await;
    let far_end = (&*callee.uri, CALLEE);
    let strict = ["--strict", OUR_NAME];
    let sbc = Sbc::over_tls(&folder, ("gateway", port), house.tls, far_end, &strict).await;
    let _bridge = house.start().await;
    house
        .until("the gateway has answered our OPTIONS", async || sbc.log().contains("accepted OPTIONS"))
        .await;

    call_both_ways(&house, &sbc, caller, callee).await;
    for record in house.records("final") {
        assert_eq!(record["media"]["srtp"], "AES_CM_128_HMAC_SHA1_80", "{record}");
    }
    let passed = sbc.log();
    assert!(passed.contains("accepted INVITE") && !passed.contains("sbc: refused"), "{passed}");
}
