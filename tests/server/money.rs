//! What dial-out may cost, through the real binary: where it may go.

use super::bridge::{House, run};

/// Greta's organizer entry, restricted.
const RESTRICTED: (&str, &str) = (
    "allow_anonymous_users_to_start_meeting = true",
    "allow_anonymous_users_to_start_meeting = true\ndial_out_policy = \"DialoutCPCandPSTNDomestic\"\nusage_location = \"AT\"",
);

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_out_beyond_the_organizer_s_policy_is_refused_with_rule_and_advice() {
    let (house, _doorbell) = House::new(&[RESTRICTED]).await;
    let _bridge = house.start().await;
    let (status, body) = house.dial_out("030 901820").await;
    assert_eq!(status, 403, "{body}");
    assert_eq!(
        body["detail"],
        "O1: +4930901820 is in DE, and DialoutCPCandPSTNDomestic lets meetings of greta dial AT only; another \
         dial_out_policy would allow it"
    );
    assert_eq!(body["decision"]["outcome"]["refuse"]["kind"], "dial-out-policy", "{body}");
    let config = house.path("partyline.toml").display().to_string();
    let question =
        ["explain", "--config", &config, "dial-out", "--organizer", "greta", "--number", "030 901820"];
    let answer = run(&question, &house.path("")).await;
    assert_eq!(answer.status.code(), Some(1));
    let said = String::from_utf8_lossy(&answer.stdout);
    assert!(
        said.starts_with("refused with 403: +4930901820 is in DE, and DialoutCPCandPSTNDomestic"),
        "{said}"
    );
}
