//! The exam of a trunk: a good peer passes, each thing that is wrong fails with its reason and what to change.

use std::f32::consts::TAU;

use serde_json::Value;
use tokio::net::UdpSocket;

use super::bridge::{House, run};
use super::ctl::SOCKET;
use super::raw::{Raw, Request};

/// The report as JSON, and the exit code.
async fn examine(house: &House, more: &[&str]) -> (Option<i32>, Value) {
    let words =
        [&["doctor", "rhein-telecom", "--config", "partyline.toml", "-o", "json", "--wait", "0"], more]
            .concat();
    let output = run(&words, &house.path("")).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = serde_json::from_str(&said);
    (
        output.status.code(),
        report.unwrap_or_else(|why| panic!("{why}: {said}{}", String::from_utf8_lossy(&output.stderr))),
    )
}

/// The finding of the first check whose name begins so: verdict, reason, what to change.
fn found(report: &Value, check: &str) -> (String, String, String) {
    let all = report["findings"].as_array().expect("findings");
    let one = all.iter().find(|one| one["check"].as_str().is_some_and(|name| name.starts_with(check)));
    let one = one.unwrap_or_else(|| panic!("no {check} in {report:#}"));
    let word = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
    (word("verdict"), word("why"), word("change"))
}

/// A second of 1 kHz-less sound.
fn hum() -> Vec<i16> {
    (0..24_000).map(|n| ((TAU * 300.0 * n as f32 / 8000.0).sin() * 8000.0) as i16).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_trunk_passes_beside_the_running_bridge_and_its_test_call_is_heard() {
    let (house, mut doorbell) = House::new(&[SOCKET]).await;
    let _bridge = house.start().await;
    // The peer asks the bridge, not the exam.
    let raw = Raw::open(house.sip).await;
    assert_eq!(raw.status(&Request::default()).await, 200);
    let answering = tokio::spawn(async move {
        let mut call = doorbell.ring().await.expect("the test call").answer().await.expect("answered");
        call.media().say(hum().into()).await;
        call.ended().await
    });
    let (code, report) = examine(&house, &["--call", "+4930901820"]).await;
    assert_eq!(code, Some(0), "{report:#}");
    for check in [
        "configuration",
        "our SIP address",
        "our RTP address",
        "RTP ports",
        "OPTIONS to udp:127.0.0.1",
        "Allow",
        "OPTIONS from them",
        "test call",
        "codecs of the test call",
        "audio from them",
    ] {
        assert_eq!(found(&report, check).0, "pass", "{check}: {report:#}");
    }
    assert!(found(&report, "OPTIONS from them").1.contains("the running bridge got one"));
    assert_eq!(found(&report, "our certificate").0, "skip");
    assert_eq!(found(&report, "audio to them").0, "skip", "a hum is no echo: {report:#}");
    answering.await.expect("the callee").expect("its end");
    let said =
        run(&["doctor", "rhein-telecom", "--config", "partyline.toml", "--wait", "0"], &house.path("")).await;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.lines().any(|line| line.starts_with("PASS  OPTIONS to udp:127.0.0.1:")), "{said}");
    assert!(said.ends_with("skipped\n"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_refuses_or_is_silent_fails_with_what_to_change() {
    let (house, _doorbell) = House::new(&[]).await;
    let silent = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let own = house.exchange.address().port().to_string();
    let port = silent.local_addr().expect("its address").port().to_string();
    let text = std::fs::read_to_string(house.path("partyline.toml")).expect("the configuration");
    house.write("partyline.toml", &text.replace(&format!("127.0.0.1:{own}"), &format!("127.0.0.1:{port}")));
    let refusing = async {
        let mut buffer = vec![0; 65_536];
        let (length, from) = silent.recv_from(&mut buffer).await.expect("an OPTIONS");
        let asked = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert!(asked.starts_with("OPTIONS sip:"), "{asked}");
        let copied =
            |name: &str| asked.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        let headers: Vec<String> = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].map(copied).into();
        let answer = format!(
            "SIP/2.0 403 Forbidden\r\n{}\r\nAllow: INVITE, ACK\r\nDate: Sat, 13 Nov 2010 23:29:00 GMT\r\nContent-Length: 0\r\n\r\n",
            headers.join("\r\n")
        );
        silent.send_to(answer.as_bytes(), from).await.expect("an answer");
    };
    let ((code, report), ()) = tokio::join!(examine(&house, &["--call", "+4930901820"]), refusing);
    assert_eq!((code, &report["passed"]), (Some(1), &false.into()), "{report:#}");
    let (verdict, why, change) = found(&report, "OPTIONS to udp");
    assert_eq!(verdict, "fail");
    assert!(why.contains("answered 403") && change.contains("their SBC"), "{why} {change}");
    let (verdict, why, _) = found(&report, "Allow");
    assert!(verdict == "fail" && why.contains("CANCEL, BYE is not in their Allow"), "{why}");
    assert_eq!(found(&report, "clock").0, "fail");
    assert_eq!(found(&report, "test call").0, "skip", "nobody is called who refuses");

    let (code, report) = examine(&house, &[]).await;
    assert_eq!(code, Some(1));
    let (verdict, why, change) = found(&report, "OPTIONS to udp");
    assert!(verdict == "fail" && why.contains("no answer within 8 s"), "{why}");
    assert!(change.contains("firewall"), "{change}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exam_of_no_trunk_or_of_a_wrong_file_is_wrong_usage() {
    let (house, _doorbell) = House::new(&[]).await;
    for (words, expected) in [
        (
            ["doctor", "nobody", "--config", "partyline.toml"],
            "no [[trunk]] is called \"nobody\"; there are: rhein-telecom",
        ),
        (["doctor", "rhein-telecom", "--config", "nowhere.toml"], "nowhere.toml"),
    ] {
        let output = run(&words, &house.path("")).await;
        assert_eq!(output.status.code(), Some(2));
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(why.contains(expected), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lint_and_completions_are_commands_of_their_own() {
    let (house, _doorbell) = House::new(&[]).await;
    let lint = run(&["lint", "partyline.toml"], &house.path("")).await;
    let check = run(&["check", "--lint", "partyline.toml"], &house.path("")).await;
    assert_eq!((lint.status.code(), &lint.stdout), (Some(0), &check.stdout));
    assert!(String::from_utf8_lossy(&lint.stdout).contains("lint: "), "{lint:?}");
    for (shell, word) in
        [("bash", "complete -F _partyline"), ("zsh", "#compdef partyline"), ("fish", "complete -c partyline")]
    {
        let output = run(&["completions", shell], &house.path("")).await;
        assert_eq!(output.status.code(), Some(0));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(word) && said.contains("doctor"), "{shell}: {said}");
    }
}
