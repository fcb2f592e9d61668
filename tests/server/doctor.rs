//! The exam of a trunk: a good peer passes, each thing that is wrong fails with its reason and what to change.

use std::f32::consts::TAU;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use tests::programs::have;

use serde_json::Value;
use tests::pki::{Authority, Wish};
use tests::ports::free_port;
use tokio::net::UdpSocket;
use tokio::process::{Child, Command};

use super::bridge::{House, root, run};
use super::ctl::SOCKET;
use super::raw::{Raw, Request, answer};

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
async fn a_trunk_is_examined_beside_the_running_bridge_and_one_that_refuses_hold_is_told_so() {
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
    assert_eq!(code, Some(1), "{report:#}");
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
        "failover timing",
        "session refresh",
    ] {
        assert_eq!(found(&report, check).0, "pass", "{check}: {report:#}");
    }
    assert!(found(&report, "OPTIONS from them").1.contains("the running bridge got one"));
    assert_eq!(found(&report, "our certificate").0, "skip");
    assert_eq!(found(&report, "audio to them").0, "skip", "a hum is no echo: {report:#}");
    assert_eq!(found(&report, "digits").0, "skip", "who hums sends no keys back: {report:#}");
    for form in ["a=inactive", "a=sendonly", "c=0.0.0.0"] {
        let (verdict, why, change) = found(&report, &format!("hold by {form}"));
        assert!(verdict == "fail" && why.starts_with("answered 488"), "{form}: {why}");
        assert!(change.contains("RFC 3264"), "{change}");
    }
    answering.await.expect("the callee").expect("its end");
    let (code, report) = examine(&house, &[]).await;
    assert_eq!(code, Some(0), "without a call there is nothing to complain of: {report:#}");
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
        let more = "Allow: INVITE, ACK\r\nDate: Sat, 13 Nov 2010 23:29:00 GMT\r\n";
        silent
            .send_to(answer(&asked, "403 Forbidden", "them", more).as_bytes(), from)
            .await
            .expect("an answer");
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
        (
            ["doctor", "rhein-telecom", "--call", "030 123"],
            "expected + and digits only, such as +491701234567",
        ),
    ] {
        let output = run(&words, &house.path("")).await;
        assert_eq!(output.status.code(), Some(2));
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(why.contains(expected), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_explained_as_it_would_be_taken_with_a_trunk_out_of_service() {
    let (house, _doorbell) = House::new(&[]).await;
    let good = std::fs::read_to_string(house.path("partyline.toml")).expect("the configuration");
    house.write("drained.toml", &good.replace("kind = \"operator\"", "kind = \"operator\"\nenabled = false"));
    let dial_in =
        ["dial-in", "--called", "+496990009100", "--trunk", "rhein-telecom", "--organizer", "greta"];
    let dial_out = ["dial-out", "--organizer", "greta", "--number", "+4930123456"];
    // (the configuration, the leg, the exit code, what is said)
    let table: [(&str, &[&str], i32, &str); 4] = [
        ("partyline.toml", &dial_in, 0, "rhein-telecom"),
        ("drained.toml", &dial_in, 1, "503: the trunk rhein-telecom has `enabled = false`"),
        ("partyline.toml", &dial_out, 0, "rhein-telecom"),
        ("drained.toml", &dial_out, 1, "is down or drained"),
    ];
    for (file, leg, code, expected) in table {
        let output = run(&[&["explain", "--config", file], leg].concat(), &house.path("")).await;
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{file} {leg:?}: {said}");
        assert!(said.contains(expected), "{file} {leg:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lint_and_completions_are_commands_of_their_own() {
    let (house, _doorbell) = House::new(&[]).await;
    let lint = run(&["lint", "partyline.toml"], &house.path("")).await;
    let check = run(&["check", "--lint", "partyline.toml"], &house.path("")).await;
    assert_eq!((lint.status.code(), &lint.stdout), (Some(0), &check.stdout));
    let remarks = String::from_utf8_lossy(&lint.stdout);
    assert!(remarks.contains("lint: ") && !remarks.contains("capture_media"), "{remarks}");
    let good = std::fs::read_to_string(house.path("partyline.toml")).expect("the configuration");
    house.write("curious.toml", &good.replace("[usage]", "[trace]\ncapture_media = true\n\n[usage]"));
    let lint = run(&["lint", "curious.toml"], &house.path("")).await;
    let remarks = String::from_utf8_lossy(&lint.stdout);
    assert_eq!(lint.status.code(), Some(0), "it is no error");
    assert!(remarks.contains("curious.toml: `trace.capture_media`: what callers"), "{remarks}");
    for (shell, word) in
        [("bash", "complete -F _partyline"), ("zsh", "#compdef partyline"), ("fish", "complete -c partyline")]
    {
        let output = run(&["completions", shell], &house.path("")).await;
        assert_eq!(output.status.code(), Some(0));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(word) && said.contains("doctor"), "{shell}: {said}");
    }
}

/// Somebody else's program as the peer; it ends with the test.
fn start(program: &str, arguments: &[&str], folder: &Path) -> Child {
    let log = std::fs::File::create(folder.join("peer.log")).expect("a log");
    Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle to the log"))
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .expect("the peer")
}

#[tokio::test(flavor = "multi_thread")]
async fn sipp_sends_back_the_tone_and_audio_is_proven_both_ways() {
    if !have("sipp", "sip-tester") {
        return;
    }
    let (house, _doorbell) = House::new(&[]).await;
    let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let (port, media) = (at.port().to_string(), (house.media + 40).to_string());
    let own = house.exchange.address().port().to_string();
    let text = std::fs::read_to_string(house.path("partyline.toml")).expect("the configuration");
    house.write("partyline.toml", &text.replace(&format!("127.0.0.1:{own}"), &format!("127.0.0.1:{port}")));
    let scenario = root().join("tests/server/examined.xml").display().to_string();
    let ports = ["-i", "127.0.0.1", "-p", &port, "-mp", &media];
    let arguments = [&["-sf", &scenario][..], &ports, &["-rtp_echo", "-m", "2", "-nostdin"]].concat();
    let _sipp = start("sipp", &arguments, &house.path(""));
    house.until("SIPp listens", async || UdpSocket::bind(at).await.is_err()).await;
    let (code, report) = examine(&house, &["--call", "+4930901820"]).await;
    assert_eq!(code, Some(0), "{report:#}");
    for check in [
        "OPTIONS to udp",
        "Contact",
        "test call",
        "codecs of the test call",
        "audio from them",
        "audio to them",
        "failover timing",
        "digits",
        "session refresh",
        "hold by a=inactive",
        "hold by a=sendonly",
        "hold by c=0.0.0.0",
    ] {
        assert_eq!(found(&report, check).0, "pass", "{check}: {report:#}");
    }
    assert!(found(&report, "audio to them").1.contains("our tone came back"), "{report:#}");
    let digits = found(&report, "digits").1;
    assert!(digits.starts_with("a key with and one without the marker bit came back"), "{digits}");
    let refresh = found(&report, "session refresh").1;
    assert!(refresh.starts_with("UPDATE answered 200"), "{refresh}");
    let hold = found(&report, "hold by a=sendonly").1;
    assert!(hold.starts_with("answered a=recvonly; RTP came again within "), "{hold}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificates_of_a_peer_by_openssl_are_shown_and_judged() {
    if !have("openssl", "openssl") {
        return;
    }
    let (house, _doorbell) = House::new(&[]).await;
    let authority = Authority::new("tests");
    let servers = [rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let peer = authority.issue(&Wish { dns: &["sbc.acme.example"], uses: &servers, ..Wish::default() });
    let own = authority.issue_for("bridge.example.net");
    for (name, text) in [
        ("roots.pem", &authority.root),
        ("own.pem", &own.certificate),
        ("own.key", &own.key),
        ("peer.pem", &peer.certificate),
        ("peer.key", &peer.key),
    ] {
        house.write(name, text);
    }
    let free = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let accept = free.to_string();
    let identity = ["-cert", "peer.pem", "-key", "peer.key", "-CAfile", "roots.pem", "-Verify", "2"];
    let arguments = [&["s_server", "-accept", &accept][..], &identity, &["-quiet"]].concat();
    let _openssl = start("openssl", &arguments, &house.path(""));
    house.until("openssl listens", async || tokio::net::TcpStream::connect(free).await.is_ok()).await;
    let text = |host: &str| {
        let sip = house.sip;
        format!(
            "[sip]\nlisten = [\"tls://{sip}\"]\n\
             tls = {{ certificate = \"own.pem\", key = \"own.key\", roots = \"roots.pem\" }}\n\
             [[trunk]]\nid = \"rhein-telecom\"\nkind = \"operator\"\nfqdn = \"bridge.example.net\"\n\
             peers = [{{ address = \"{free}\", transport = \"tls\", host = \"{host}\" }}]\n"
        )
    };
    house.write("partyline.toml", &text("sbc.acme.example"));
    let (code, report) = examine(&house, &[]).await;
    assert_eq!(code, Some(1), "openssl speaks no SIP: {report:#}");
    for check in ["our certificate", "certificate of", "TLS to"] {
        assert_eq!(found(&report, check).0, "pass", "{check}: {report:#}");
    }
    let why = found(&report, "certificate of").1;
    assert!(why.contains("for sbc.acme.example, valid for") && why.contains("not for clients"), "{why}");
    assert!(found(&report, "TLS to").1.starts_with("TLS 1.3 with "), "{report:#}");
    assert_eq!(found(&report, "OPTIONS to tls").0, "fail");

    house.write("partyline.toml", &text("sbc.other.example"));
    let (_, report) = examine(&house, &[]).await;
    let (verdict, why, change) = found(&report, "certificate of");
    assert!(verdict == "fail" && why.contains("none of sbc.other.example is in it"), "{why}");
    assert!(change.contains("host in peers"), "{change}");
    assert_eq!(found(&report, "TLS to").0, "fail");
}
