//! Wrong files and busy ports, through the binary: the exit code, and words that say what to do.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::process::Output;

use super::bridge::{House, run};

/// Exit code and standard error.
fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A change to bridge.toml, and words of the message it must cause.
const BROKEN: [(&str, &str, &[&str]); 15] = [
    ("[node]", "[nodes]", &["partyline.toml:2:", "unknown field `nodes`", "expected one of"]),
    ("filter =", "filtre =", &["unknown field `filtre`", "`filter`"]),
    ("filter = \"info\"", "filter = \"verbos\"", &["`log.filter`", "`verbos` is not a filter"]),
    ("[log]", "[log", &["partyline.toml:5:"]),
    ("udp://127.0.0.1", "sctp://127.0.0.1", &["`sip.listen`", "udp://ADDRESS:PORT"]),
    (
        "deadline_seconds = 0",
        "deadline_seconds = \"soon\"",
        &["`drain.deadline_seconds`", "invalid type", "a whole number"],
    ),
    ("spool = \"usage\"", "spool = 7", &["`usage.spool`", "invalid type"]),
    (
        "token_file = \"token\"",
        "token_file = \"nowhere\"",
        &["`http.token_file`", "nowhere", "a readable file"],
    ),
    ("transport = \"udp\"", "transport = \"tls\"", &["peers", "tls"]),
    ("kind = \"operator\"", "kind = \"carrier\"", &["carrier", "operator", "microsoft"]),
    ("owner = \"microsoft\"", "owner = \"nobody\"", &["nobody", "operator:"]),
    ("pstn_usages = [\"germany\"]\n\n[[route]]", "pstn_usages = [\"france\"]\n\n[[route]]", &["france"]),
    ("number_pattern = '^\\+49\\d{6,13}$'", "number_pattern = '(?=49)'", &["number_pattern", "(?=49)"]),
    ("conference_id = \"912308576\"", "conference_id = \"12\"", &["conference_id", "12"]),
    ("organizer = \"greta\"", "organizer = \"gretel\"", &["organizer", "gretel"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_is_refused_with_file_line_key_and_expectation_and_nothing_is_started() {
    let (house, _doorbell) = House::new(&[]).await;
    let good = fs::read_to_string(house.path("partyline.toml")).expect("the configuration");
    let folder = house.path("");
    let checked = run(&["check", "partyline.toml"], &folder).await;
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
    assert!(
        String::from_utf8_lossy(&checked.stdout).contains("1 trunk, 2 numbers, 1 meeting\n"),
        "{checked:?}"
    );
    for (from, to, words) in BROKEN {
        assert!(good.contains(from), "{from}");
        house.write("partyline.toml", &good.replacen(from, to, 1));
        let (code, message) = said(&run(&["check", "partyline.toml"], &folder).await);
        assert_eq!(code, Some(2), "{to}: {message}");
        for word in words.iter().chain(&["partyline.toml:", "nothing was started"]) {
            assert!(message.contains(word), "{to}: {word:?} is not in {message}");
        }
        let (code, served) = said(&run(&["serve", "--config", "partyline.toml"], &folder).await);
        assert_eq!(code, Some(2), "{to}: {served}");
        let first = message.lines().next().unwrap_or_default();
        assert!(served.contains(first), "serve says the same: {served}");
    }
    assert!(!house.path("usage").exists(), "a wrong file makes no folder");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_there_or_not_text_is_refused_too() {
    let (house, _doorbell) = House::new(&[]).await;
    fs::write(house.path("binary.toml"), [0xff, 0xfe, 0]).expect("a file");
    for (file, word) in
        [("nowhere.toml", "cannot be read"), ("binary.toml", "cannot be read"), (".", "cannot be read")]
    {
        for arguments in [vec!["check", file], vec!["serve", "--config", file]] {
            let (code, message) = said(&run(&arguments, &house.path("")).await);
            assert_eq!(code, Some(2), "{message}");
            assert!(message.contains(file) && message.contains(word), "{message}");
        }
    }
    for arguments in [vec!["serve"], vec!["check"], vec!["sing"], vec![]] {
        let (code, message) = said(&run(&arguments, &house.path("")).await);
        assert_eq!(code, Some(2), "{message}");
    }
}

/// `serve` fails, says these words, and holds no port and no child afterwards.
async fn refuses_to_serve(house: &House, words: &[&str]) {
    let (code, message) = said(&run(&["serve", "--config", "partyline.toml"], &house.path("")).await);
    assert_eq!(code, Some(1), "{message}");
    for word in words.iter().chain(&["cannot start"]) {
        assert!(message.contains(word), "{word:?} is not in {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
    assert!(house.usage().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_port_is_named_with_its_key() {
    let (house, _doorbell) = House::new(&[]).await;
    let sip = house.sip.to_string();
    let udp = UdpSocket::bind(house.sip).expect("the UDP port");
    refuses_to_serve(&house, &["sip.listen", &sip, "in use"]).await;
    drop(udp);
    let tcp = TcpListener::bind(house.sip).expect("the TCP port");
    refuses_to_serve(&house, &["sip.listen", &sip, "in use"]).await;
    drop(tcp);
    let http = TcpListener::bind(house.http).expect("the HTTP port");
    refuses_to_serve(&house, &["http.listen", &house.http.to_string(), "in use"]).await;
    drop(http);
    // Nothing is left of the attempts.
    let _bridge = house.start().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_prompts_and_an_unusable_spool_are_named() {
    let (house, _doorbell) = House::new(&[("spool = \"usage\"", "spool = \"taken\"")]).await;
    house.write("taken", "a file where the folder should be");
    refuses_to_serve(&house, &["usage.spool", "taken"]).await;
    let good = fs::read_to_string(house.path("partyline.toml")).expect("the configuration");
    let prompts = good.lines().find(|line| line.starts_with("prompts =")).expect("the prompts");
    house.write("partyline.toml", &good.replace(prompts, "prompts = \"nowhere\""));
    refuses_to_serve(&house, &["nowhere", "no such folder"]).await;
    let (code, message) = said(&run(&["check", "partyline.toml"], &house.path("")).await);
    assert_eq!(code, Some(2), "{message}");
    assert!(message.contains("`media.prompts`") && message.contains("nowhere"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_bridges_do_not_share_a_spool() {
    let (house, _doorbell) = House::new(&[]).await;
    let _bridge = house.start().await;
    let (other, _other_doorbell) = House::new(&[]).await;
    let text = fs::read_to_string(other.path("partyline.toml")).expect("the configuration");
    let spool = format!("spool = \"{}\"", house.path("usage").display());
    other.write("partyline.toml", &text.replace("spool = \"usage\"", &spool));
    refuses_to_serve(&other, &["usage.spool", "another bridge"]).await;
}
