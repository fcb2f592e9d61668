//! The control socket and its client: an engineer asks the running bridge, and looks at a call that is over.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Output;
use tests::programs::have;

use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::bridge::{House, NUMBER, run};
use super::raw::{Raw, RawCall, Request, offer};

/// A change to bridge.toml that opens the socket.
pub(crate) const SOCKET: (&str, &str) = ("[usage]", "[ctl]\nsocket = \"ctl.sock\"\n\n[usage]");

/// `partyline ctl ...` in the bridge's folder: exit code, standard output, standard error.
async fn ctl(house: &House, words: &str) -> (Option<i32>, String, String) {
    let words: Vec<&str> = ["ctl"].into_iter().chain(words.split_whitespace()).collect();
    let Output { status, stdout, stderr } = run(&words, &house.path("")).await;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

/// What it prints when it is done.
pub(crate) async fn good(house: &House, words: &str) -> String {
    let (code, said, why) = ctl(house, words).await;
    assert_eq!(code, Some(0), "{words}: {said}{why}\n{}", house.log());
    said
}

async fn json(house: &House, words: &str) -> Value {
    serde_json::from_str(&good(house, &format!("{words} -o json")).await).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engineer_sees_the_bridge_and_drains_a_trunk() {
    let (house, _doorbell) = House::new(&[SOCKET]).await;
    let _bridge = house.start().await;
    let place = fs::metadata(house.path("ctl.sock")).expect("the socket");
    assert!(place.file_type().is_socket());
    assert_eq!(place.permissions().mode() & 0o777, 0o600);
    let call = house.join("+493023125001").await;
    house.until_seated(1).await;
    let status = json(&house, "status").await;
    assert_eq!((&status["node"], &status["calls"]["in"]), (&"e2e".into(), &1.into()), "{status}");
    let same: Value = serde_json::from_str(&good(&house, "--json status").await).expect("JSON");
    assert_eq!(same["node"], "e2e", "{same}");
    assert!(good(&house, "status").await.contains("1 in, 0 out"));
    let trunks = good(&house, "trunk ls").await;
    let row: Vec<&str> = trunks.lines().nth(1).expect("a row").split_whitespace().collect();
    assert_eq!(row[..4], ["rhein-telecom", "operator", "up", "1"], "{trunks}");
    let shown = good(&house, "trunk show rhein-telecom").await;
    assert!(shown.contains(&format!("udp:{}", house.exchange.address())), "{shown}");
    assert!(good(&house, "conf ls").await.contains("Weekly planning"));
    assert!(good(&house, "conf show 912308576").await.contains("+493023125001"));

    let shown = json(&house, "conf show 912308576").await;
    let leg = &shown["participants"][0]["leg"];
    assert!(good(&house, "conf record 912308576").await.contains("conference-"));
    assert!(good(&house, "conf record 912308576 --stop").await.contains(".wav"));
    let second = house.join("+493023125002").await;
    house.until_seated(2).await;
    let shown = json(&house, "conf show 912308576").await;
    let other = &shown["participants"][1]["leg"];
    assert_ne!(leg, other);
    assert_eq!(json(&house, &format!("conf mute 912308576 {other} --hard")).await["changed"], 1);
    assert_eq!(json(&house, &format!("conf unmute 912308576 {other}")).await["changed"], 1);
    assert_eq!(json(&house, "conf lock 912308576").await["changed"], 1);
    assert_eq!(json(&house, "conf lock 912308576").await["changed"], 0, "it is locked already");
    assert_eq!(json(&house, "conf lock 912308576 --off").await["changed"], 1);
    assert_eq!(json(&house, &format!("conf kick 912308576 {other}")).await["changed"], 1);
    house.until_seated(1).await;
    drop(second);

    let drained = good(&house, "trunk drain rhein-telecom").await;
    assert!(drained.contains("draining"), "{drained}");
    let raw = Raw::open(house.sip).await;
    let body = offer(40_000);
    let invite = |call_id| Request { method: "INVITE", call_id, body: &body, ..Request::default() };
    assert_eq!(raw.status(&invite("drained")).await, 503);
    assert_eq!(house.seated().await, 1, "who was there stays");
    good(&house, "trunk undrain rhein-telecom").await;
    assert_eq!(raw.status(&invite("undrained")).await, 200);
    good(&house, "conf end 912308576").await;
    house.until_seated(0).await;
    drop(call);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_told_apart_from_a_bridge_that_does_not_answer() {
    let (house, _doorbell) = House::new(&[SOCKET]).await;
    let (code, _, why) = ctl(&house, "status").await;
    assert_eq!(code, Some(3), "{why}");
    assert!(why.contains("ctl.sock") && why.contains("is the bridge running"), "{why}");
    let mut bridge = house.start().await;
    for (words, expected) in [
        ("trunk show nobody", "no [[trunk]] is called \"nobody\"; there are: rhein-telecom"),
        ("conf show 123456789", "no such conference is running"),
        ("trace nothing", "no message of this Call-ID is kept"),
        ("trace nothing --pcap x.pcap", "no message of this Call-ID is kept"),
    ] {
        let (code, _, why) = ctl(&house, words).await;
        assert_eq!(code, Some(1), "{words}: {why}");
        assert!(why.contains(expected), "{words}: {why}");
    }
    assert!(!house.path("x.pcap").exists());
    let (code, _, why) = ctl(&house, "--config nowhere.toml status").await;
    assert_eq!(code, Some(2), "{why}");
    house.write("bare.toml", "");
    let (code, _, why) = ctl(&house, "--config bare.toml status").await;
    assert_eq!(code, Some(2), "{why}");
    assert!(why.contains("`ctl.socket`: missing"), "{why}");
    // An engineer in the middle of an edit can still ask; only what is not TOML ends it.
    let good = std::fs::read_to_string(house.path("partyline.toml")).expect("the configuration");
    house.write("edited.toml", &good.replace("kind = \"operator\"", "kind = \"carrier\""));
    let (code, _, why) = ctl(&house, "--config edited.toml status").await;
    assert_eq!(code, Some(0), "{why}");
    house.write("torn.toml", "[ctl");
    let (code, _, why) = ctl(&house, "--config torn.toml status").await;
    assert_eq!(code, Some(2), "{why}");
    assert!(why.contains("torn.toml") && why.contains("--socket"), "{why}");
    bridge.signal(Signal::SIGTERM);
    assert_eq!(bridge.ended().await.code(), Some(0));
    assert!(!house.path("ctl.sock").exists(), "the socket goes with the bridge");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_of_a_killed_bridge_is_replaced_and_that_of_a_running_one_is_not() {
    let (house, _doorbell) = House::new(&[SOCKET]).await;
    house.start().await.die().await;
    assert!(house.path("ctl.sock").exists());
    let _bridge = house.start().await;
    let (other, _doorbell) = House::new(&[SOCKET]).await;
    fs::hard_link(house.path("ctl.sock"), other.path("ctl.sock"))
        .expect("the same socket under another name");
    let mut second = other.spawn(&[]);
    assert_eq!(second.ended().await.code(), Some(1));
    assert!(other.log().contains("ctl.socket") && other.log().contains("another bridge answers here"));
    good(&house, "status").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_on_the_socket_is_answered_and_costs_nothing() {
    let (house, _doorbell) = House::new(&[SOCKET]).await;
    let _bridge = house.start().await;
    let said = async |text: &[u8]| {
        let mut stream = UnixStream::connect(house.path("ctl.sock")).await.expect("a connection");
        stream.write_all(text).await.expect("written");
        stream.shutdown().await.expect("shut down");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    };
    assert!(said(b"hello\n").await.contains("\"status\":400"));
    assert!(said(b"{\"ask\":\"trunk\"}\n").await.contains("\"status\":400"));
    assert!(said(&vec![b'['; (2 << 20) + 5]).await.contains("longer than 2 MiB"));
    assert_eq!(said(b"{\"ask\":\"status\"}\n{\"ask\":\"trunks\"}\n").await.lines().count(), 2);
    good(&house, "status").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_over_is_shown_as_a_ladder_a_picture_and_a_capture() {
    let (house, _doorbell) = House::new(&[SOCKET]).await;
    let _bridge = house.start().await;
    let more =
        "Proxy-Authorization: Digest username=\"bob\", realm=\"acme\", response=\"0123456789abcdef\"\r\n";
    let call = RawCall::dial(house.sip, "look@me", "+493023125001", more).await;
    assert_eq!(call.hang_up().await, 200);
    let listed = good(&house, "trace").await;
    assert!(listed.contains("from rhein-telecom") && listed.contains("look@me"), "{listed}");
    let (code, said, remarks) = ctl(&house, "trace look@me --messages --svg look.svg --pcap look.pcap").await;
    assert_eq!(code, Some(0), "{said}{remarks}");
    let size = |file: &str| fs::metadata(house.path(file)).expect("it is there").len();
    let written =
        ["look.svg", "look.pcap"].map(|file| format!("{file}: written: 6 messages, {} bytes\n", size(file)));
    assert_eq!(remarks, written.concat());
    let order: Vec<usize> =
        ["INVITE sip:", "100 Trying", "200 OK (INVITE)", " ACK sip:", " BYE sip:", "200 OK (BYE)"]
            .iter()
            .map(|word| said.find(word).unwrap_or_else(|| panic!("{word} is missing:\n{said}")))
            .collect();
    assert!(order.is_sorted(), "{said}");
    assert!(said.contains("rhein-telecom") && said.contains("username=\"bob\""), "{said}");
    for secret in ["0123456789abcdef", "9abcdef"] {
        assert!(!said.contains(secret));
        assert!(!fs::read_to_string(house.path("look.svg")).expect("the picture").contains(secret));
        let bytes = fs::read(house.path("look.pcap")).expect("the capture");
        assert!(!String::from_utf8_lossy(&bytes).contains(secret));
    }
    assert!(fs::read_to_string(house.path("look.svg")).expect("the picture").contains("200 OK (INVITE)"));
    for file in ["look.svg", "look.pcap"] {
        let mode = fs::metadata(house.path(file)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file} is for nobody else");
    }
    assert_eq!(json(&house, "trace look@me").await["messages"].as_array().map(Vec::len), Some(6));
    judge(&house.path(""), "look.pcap", &house.sip.to_string()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_over_tcp_is_a_capture_too() {
    let (house, _doorbell) = House::new(&[SOCKET]).await;
    let _bridge = house.start().await;
    let mut stream = tokio::net::TcpStream::connect(house.sip).await.expect("a connection");
    let own = stream.local_addr().expect("its address");
    let request = Request { method: "INVITE", call_id: "look@tcp", to: "+4969000", ..Request::default() };
    stream.write_all(request.text("TCP", own, house.sip).as_bytes()).await.expect("written");
    let mut buffer = vec![0; 4096];
    let length = stream.read(&mut buffer).await.expect("an answer");
    assert!(buffer[..length].starts_with(b"SIP/2.0 "));
    house
        .until("it is noted", async || {
            json(&house, "trace look@tcp").await["messages"].as_array().is_some_and(|all| all.len() > 1)
        })
        .await;
    good(&house, "trace look@tcp --pcap tcp.pcap").await;
    judge(&house.path(""), "tcp.pcap", &own.to_string()).await;
}

/// Other people's programs read the capture: tcpdump finds no wrong checksum and the real addresses, sngrep a dialog.
async fn judge(folder: &Path, file: &str, address: &str) {
    if !have("tcpdump", "tcpdump") || !have("sngrep", "sngrep") {
        return;
    }
    let read = async |program: &str, arguments: &[&str]| {
        let output = tokio::process::Command::new(program).args(arguments).current_dir(folder).output().await;
        let output = output.expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{program}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    };
    let said = read("tcpdump", &["-nn", "-vvv", "-A", "-r", file]).await;
    assert!(said.contains(&address.replace(':', ".")), "{said}");
    assert!(said.contains("INVITE sip:") && said.contains(NUMBER.get(..3).unwrap_or_default()), "{said}");
    assert!(!["bad ", "incorrect", "truncated"].iter().any(|wrong| said.contains(wrong)), "{said}");
    read("sngrep", &["-F", "-N", "-q", "-c", "-I", file, "-O", "seen.pcap"]).await;
    let seen = fs::read(folder.join("seen.pcap")).expect("what sngrep has seen");
    let seen = String::from_utf8_lossy(&seen);
    assert!(seen.contains("INVITE sip:") && seen.contains("SIP/2.0 100"), "{seen}");
}
