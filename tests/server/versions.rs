//! The configurations that were taken: each has a number, one can be told from another, and back to one of them is one step.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixListener;

use super::bridge::{House, NUMBER, run};
use super::reload::{DONE, call, reload};

/// A socket to ask at, and a secret that stands in the file.
const ASKED: (&str, &str) = (
    "[usage]\n",
    "[ctl]\nsocket = \"ctl.sock\"\n\n[hep]\nto = \"udp://127.0.0.1:9\"\npassword = \"geheim\"\n\n[usage]\n",
);

impl House {
    /// `ctl config` with these words: exit code, answer, and what it remarks.
    async fn config(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let arguments = [&["ctl", "--config", "partyline.toml", "config"], words].concat();
        let output = run(&arguments, &self.path("")).await;
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    async fn in_force(&self) -> Value {
        let (status, body) = self.api("GET", "/v1/config", None).await;
        assert_eq!(status, 200, "{body}");
        body
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_is_taken_told_from_the_one_before_and_rolled_back_in_one_step() {
    let (house, _doorbell) = House::new(&[ASKED]).await;
    let bridge = house.start().await;
    let first = house.in_force().await;
    assert_eq!((&first["number"], &first["needs_restart"]), (&json!(1), &json!([])), "{first}");
    let before = std::fs::read_to_string(house.path("partyline.toml")).expect("the configuration");
    assert_eq!(call(&house, "before").await, 200);

    let number = format!("number = \"{NUMBER}\"\n");
    let text = before.replace("listen = \"127.0.0.1:", "requests_per_second = 99\nlisten = \"127.0.0.1:");
    house.write("partyline.toml", &text);
    reload(&house, &bridge, &number, &format!("{number}suspended = true\n"), DONE).await;
    let second = house.in_force().await;
    assert_eq!((&second["number"], &second["needs_restart"]), (&json!(2), &json!(["http"])), "{second}");
    assert_eq!(call(&house, "suspended").await, 480, "the numbers are as the file says");

    let (code, listed, _) = house.config(&["ls"]).await;
    assert!(code == Some(0) && listed.lines().count() == 4, "{listed}");
    assert!(listed.contains("in force") && listed.contains("a restart is needed"), "{listed}");
    let (_, diff, _) = house.config(&["diff", "1", "2"]).await;
    assert!(diff.contains("+suspended = true") && diff.contains("+requests_per_second = 99"), "{diff}");
    let (_, shown, _) = house.config(&["show", "2"]).await;
    assert!(shown.contains("password = \"(hidden)\"") && !shown.contains("geheim"), "{shown}");
    for entry in std::fs::read_dir(house.path("usage/versions")).expect("the versions") {
        let kept = std::fs::read_to_string(entry.expect("a file").path()).expect("a version");
        assert!(!kept.contains("geheim"), "{kept}");
    }

    // What takes the file from elsewhere goes on doing so.
    std::fs::create_dir(house.path("elsewhere")).expect("a folder");
    std::fs::rename(house.path("partyline.toml"), house.path("elsewhere/p.toml")).expect("another name");
    std::os::unix::fs::symlink("elsewhere/p.toml", house.path("partyline.toml")).expect("a link");
    let (code, said, why) = house.config(&["rollback", "1"]).await;
    assert_eq!(code, Some(0), "{said}{why}");
    assert!(std::fs::read_link(house.path("partyline.toml")).is_ok(), "it is a link still");
    let third = house.in_force().await;
    assert_eq!((&third["hash"], &third["number"]), (&first["hash"], &json!(3)), "{third}");
    assert_eq!(third["needs_restart"], json!([]), "{third}");
    let after = std::fs::read_to_string(house.path("partyline.toml")).expect("the configuration");
    assert_eq!(after, before, "with the secret");
    assert_eq!(call(&house, "after").await, 200);
    bridge.signal(Signal::SIGHUP);
    house.until("it is read again", async || house.log().matches(DONE).count() == 3).await;
    assert_eq!(house.in_force().await["number"], 3, "the same again");

    house.until("both have a record", async || house.records("start").len() >= 2).await;
    let hashes: Vec<Value> = house.records("start").iter().map(|record| record["config"].clone()).collect();
    assert!(hashes.iter().all(|hash| *hash == first["hash"]), "{hashes:?}");
    let (code, _, why) = house.config(&["show", "9"]).await;
    assert!(code == Some(1) && why.contains("no such version"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_needs_a_restart_or_a_secret_changes_nothing_and_says_so() {
    let (house, _doorbell) = House::new(&[ASKED]).await;
    let bridge = house.start().await;
    bridge.die().await;
    let text = std::fs::read_to_string(house.path("partyline.toml")).expect("the configuration");
    let other = text.replace("rhein-telecom", "elbe-telecom").replace("password = \"geheim\"\n", "");
    house.write("partyline.toml", &other);
    let _bridge = house.start().await;
    assert_eq!(house.in_force().await["number"], 2);
    let (code, _, why) = house.config(&["rollback", "1"]).await;
    assert!(code == Some(2) && why.contains("hep.password"), "{why}");
    let with_secret = other.replace("[hep]\n", "[hep]\npassword = \"geheim-2\"\n");
    house.write("partyline.toml", &with_secret);
    let (code, _, why) = house.config(&["rollback", "1"]).await;
    assert!(code == Some(1) && why.contains("that needs a restart") && why.contains("is as it was"), "{why}");
    let now = std::fs::read_to_string(house.path("partyline.toml")).expect("the configuration");
    assert_eq!(now, with_secret);
    assert_eq!(house.in_force().await["number"], 2);
}

/// Somebody in the bridge's place at its socket: has version 1, and says to a reload what is given, or nothing.
fn stand_in(house: &House, version: &str, reload: Option<Value>) {
    let socket = house.path("ctl.sock");
    let _ = std::fs::remove_file(&socket);
    let door = UnixListener::bind(&socket).expect("the socket's name is free");
    let version = json!({ "status": 200, "body": { "path": house.path("partyline.toml"), "text": version } });
    tokio::spawn(async move {
        for answer in [Some(version), reload] {
            let (stream, _) = door.accept().await.expect("somebody asks");
            let mut stream = BufReader::new(stream);
            stream.read_line(&mut String::new()).await.expect("a question");
            if let Some(answer) = answer {
                stream.write_all(format!("{answer}\n").as_bytes()).await.expect("an answer");
            }
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_puts_the_old_file_back_only_when_the_bridge_has_refused_the_new_one() {
    let (house, _doorbell) = House::new(&[ASKED]).await;
    let now = std::fs::read_to_string(house.path("partyline.toml")).expect("the configuration");
    let then = now.replace("listen = \"127.0.0.1:", "requests_per_second = 99\nlisten = \"127.0.0.1:");
    let refusal = |status: u16| json!({ "status": status, "body": { "detail": "so it is" } });
    for (answer, code, file, said) in [
        (None, 3, &then, "is not known"),
        (Some(refusal(503)), 3, &then, "is not known"),
        (Some(refusal(409)), 1, &now, "is as it was"),
    ] {
        house.write("partyline.toml", &now);
        stand_in(&house, &then, answer.clone());
        let (exit, _, why) = house.config(&["rollback", "1"]).await;
        assert!(exit == Some(code) && why.contains(said), "{answer:?}: {exit:?} {why}");
        let found = std::fs::read_to_string(house.path("partyline.toml")).expect("the configuration");
        assert_eq!(found, *file, "{answer:?}");
    }
}
