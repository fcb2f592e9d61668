//! `partyline doctor` against other people's telephones.

use std::fs;

use serde_json::Value;

use super::bridge::{House, run};
use super::peers::Phone;

#[tokio::test(flavor = "multi_thread")]
async fn the_test_call_is_heard_both_ways_by_a_baresip_that_insists_on_srtp() {
    if !Phone::is_here() {
        return;
    }
    let folder = super::folder("doctor");
    // baresip knows nobody without a user part, and so answers our OPTIONS with 404.
    let lines = "send_sip_options = false\noptions_accepted_codes = [\"2xx\", 404]\nsrtp = \"mandatory\"\nsrtp_suites = [\"AES_CM_128_HMAC_SHA1_80\"]";
    let (house, _) = House::new(&[("send_sip_options = false", lines)]).await;
    let number = "+4930901820";
    let options = ["--srtp", "srtp-mand", "--codec", "pcma", "--echo"];
    let phone = Phone::start_with(&folder.join("baresip"), number, &[0.0; 800], &options).await;
    let port = phone.uri.rsplit(':').next().expect("a port");
    let text = fs::read_to_string(house.path("partyline.toml")).expect("the configuration");
    let own = house.exchange.address().port();
    house.write("partyline.toml", &text.replace(&format!("127.0.0.1:{own}"), &format!("127.0.0.1:{port}")));
    let words = [
        "doctor",
        "rhein-telecom",
        "--config",
        "partyline.toml",
        "-o",
        "json",
        "--wait",
        "0",
        "--call",
        number,
    ];
    let output = run(&words, &house.path("")).await;
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(&output.stderr)));
    let finding = |check: &str| {
        let all = report["findings"].as_array().expect("findings");
        let found = all.iter().find(|one| one["check"] == check);
        found.unwrap_or_else(|| panic!("no {check}: {report:#}\n{}", phone.log())).clone()
    };
    // Hold is SIPp's to show: the loop of this baresip's sound does not start again after one.
    let checks =
        ["test call", "encryption", "audio from them", "audio to them", "failover timing", "session refresh"];
    for check in checks {
        assert_eq!(finding(check)["verdict"], "pass", "{check}: {report:#}\n{}", phone.log());
    }
    assert!(finding("encryption")["why"].as_str().is_some_and(|why| why.contains("AES_CM_128_HMAC_SHA1_80")));
    let echo = finding("audio to them");
    assert!(echo["why"].as_str().is_some_and(|why| why.contains("our tone came back")), "{echo}");
}
