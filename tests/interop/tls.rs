//! SIP over TLS with other people's TLS, and SRTP whose keys travel in it.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use tests::pki::Authority;
use tests::ports::free_port;

use super::both_ways::{CALLEE, call_both_ways};
use super::bridge::{CONFERENCE, NUMBER};
use super::conference::{judge, pcm, voice};
use super::peers::{Phone, Sbc, Sipp};
use super::secured::{SBC, house, house_with, write_pair};

#[tokio::test(flavor = "multi_thread")]
async fn a_baresip_telephone_over_tls_with_mandatory_srtp_meets_a_sipp_caller_and_both_are_heard() {
    if !(Sipp::is_here() && Phone::is_here()) {
        return;
    }
    let folder = super::folder("tls-conference");
    let authority = Authority::new("tests");
    write_pair(&folder, "sbc", &authority.issue_for(SBC));
    fs::write(folder.join("roots.pem"), &authority.root).expect("a file");
    // The telephone has a certificate; SIPp, which has no TLS, comes from the same address over UDP.
    let peers = format!(
        "{{ address = \"127.0.0.1:9\", transport = \"tls\", host = \"{SBC}\" }}, {{ address = \"127.0.0.1:9\" }}"
    );
    let house = house_with(&authority, &peers, "srtp = \"optional\"").await;
    let bridge = house.start().await;
    let (alice, bob, carrier) = (voice("alice"), voice("bob"), Sipp::voice());
    let keys = format!("{CONFERENCE}#");

    let pem = folder.join("sbc.both.pem").display().to_string();
    let roots = folder.join("roots.pem").display().to_string();
    let options = ["--srtp", "srtp-mand", "--pem", &pem, "--roots", &roots];
    let mut phone = Phone::start_with(&folder.join("baresip"), "+493023125002", &bob, &options).await;
    phone.dial(&format!("sip:{NUMBER}@{};transport=tls", house.tls)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    phone.key(&keys).await;
    house.until_seated(1).await;
    let call = house.join("+493023125001").await;
    house.until_seated(2).await;
    let sipp = Sipp::call(&folder.join("sipp"), house.sip, NUMBER, &keys, Duration::from_secs(2)).await;
    house.until_seated(3).await;
    call.media().say(pcm(&alice).repeat(2).into()).await;
    let heard_by_sipp = sipp.finished().await;
    let tape = call.hang_up().await.expect("Alice hangs up");
    phone.hang_up().await;
    phone.until_event("CALL_CLOSED").await;
    let heard_by_phone = phone.finished().await;
    house.until("each leg has one final usage record", async || house.records("final").len() == 3).await;
    drop(bridge);

    let records = house.records("final");
    let of_phone = records.iter().find(|record| record["caller"] == "+493023125002").expect("its record");
    let media = &of_phone["media"];
    assert!(media["srtp"].is_string(), "{media}");
    let all = |me: &str| {
        [
            ("Alice", &*alice, me != "Alice"),
            ("baresip", &*bob, me != "baresip"),
            ("SIPp", &*carrier, me != "SIPp"),
        ]
    };
    judge("Alice", &tape.heard.track(tape.started), &all("Alice"));
    judge("baresip", &heard_by_phone, &all("baresip"));
    judge("SIPp", &heard_by_sipp, &all("SIPp"));
}

#[tokio::test(flavor = "multi_thread")]
async fn kamailio_over_tls_with_certificates_both_ways_brings_a_call_and_takes_one() {
    if !(Phone::is_here() && Sbc::is_here() && Sbc::has_tls()) {
        return;
    }
    let folder = super::folder("tls-kamailio");
    let authority = Authority::new("tests");
    write_pair(&folder, "sbc", &authority.issue_for(SBC));
    fs::write(folder.join("roots.pem"), &authority.root).expect("a file");
    let port = free_port();
    let credentials =
        "credentials = { username = \"partyline\", password = \"secret\", realm = \"operator.example\" }";
    let house = house(&authority, SocketAddr::from(([127, 0, 0, 1], port)), credentials).await;
    let _bridge = house.start().await;
    let callee = Phone::start(&folder.join("callee"), "callee", &voice("bob")).await;
    let caller = Phone::start(&folder.join("caller"), "+493023125001", &voice("alice")).await;
    let sbc = Sbc::over_tls(&folder, ("sbc", port), house.tls, (&callee.uri, CALLEE), &[]).await;

    // In: telephone -> UDP -> Kamailio -> TLS -> bridge. Out: bridge -> TLS, digest -> Kamailio -> UDP -> telephone.
    call_both_ways(&house, &sbc, caller, callee).await;
    let passed = sbc.log();
    let authenticated = format!("INVITE tls dial-out to {CALLEE} as {NUMBER} authenticated as partyline");
    assert!(passed.contains(&authenticated), "{passed}");
    assert!(passed.contains("ACK tls within a dialog"), "{passed}");
    assert!(!house.log().contains("TLS connection"), "a handshake failed");
}
