//! The media of a call in an engineer's capture: only where it was asked for, and then in the clear, also of a call under SRTP.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use mixer::srtp::{Keys, Suite};
use server::demo::g711::Law;
use server::demo::media::{Media, MediaPorts};
use server::demo::rtp::Packet;
use server::demo::speaker::Stream;
use sip::sdp::{self, Capabilities, Codec, Direction, LocalMedia, MasterKey};
use tests::programs::have;

use super::bridge::{House, run};
use super::ctl::SOCKET;
use super::raw::{Dialog, Raw, Request, status};

const CALL_ID: &str = "heard@capture";

/// A caller under SRTP: the dialog, and his telephone.
async fn call(raw: &Raw) -> (Dialog, Media) {
    let suite = sdp::Suite::AesCm128HmacSha1_80;
    let capabilities = Capabilities {
        codecs: vec![Codec::Pcma],
        srtp: sdp::Srtp::Mandatory,
        suites: vec![suite],
        ..Capabilities::default()
    };
    let ports = MediaPorts::bind([127, 0, 0, 1].into()).await.expect("media ports");
    let port = ports.address().port();
    let local = LocalMedia {
        address: [127, 0, 0, 1].into(),
        port,
        rtcp_port: port + 1,
        session_id: 1,
        session_version: 1,
        direction: Direction::SendRecv,
        keys: vec![MasterKey::generate(suite, |key| key.fill(9))],
    };
    let offer = sdp::offer(&local, &capabilities);
    let body = String::from_utf8(offer.to_vec()).expect("text");
    let request = Request { method: "INVITE", call_id: CALL_ID, body: &body, ..Request::default() };
    let answer = raw.ask(&request).await;
    assert_eq!(status(&answer), 200, "{answer}");
    let dialog = Dialog::of(&answer);
    raw.send(dialog.request("ACK", 1, "UDP", raw.address()).as_bytes()).await;
    let (_, theirs) = answer.split_once("\r\n\r\n").expect("a body");
    let agreed = sdp::accept_answer(&offer, theirs.as_bytes(), &capabilities).expect("their answer");
    let crypto = agreed.crypto.expect("keys");
    let keys = |key: &MasterKey| Keys::new(Suite::AesCm128HmacSha1_80, key.bytes(), None).expect("a key");
    let stream = Stream {
        law: Law::A,
        audio: agreed.audio_pt,
        events: agreed.event_pt,
        ssrc: 0x1234_5678,
        sequence: 100,
        timestamp: 5000,
    };
    let media = ports.start_with(stream, agreed.remote_rtp, Some((keys(&crypto.ours), keys(&crypto.theirs))));
    (dialog, media)
}

/// The UDP datagrams of a capture file: from, to, payload. Written apart from what writes it.
fn datagrams(file: &[u8]) -> Vec<(SocketAddr, SocketAddr, Vec<u8>)> {
    let (mut rest, mut found) = (&file[24..], Vec::new());
    while rest.len() >= 16 {
        let kept = u32::from_le_bytes(rest[8..12].try_into().expect("four bytes")) as usize;
        let packet = &rest[16..16 + kept];
        rest = &rest[16 + kept..];
        assert_eq!(packet[0], 0x45, "IPv4 without options");
        if packet[9] != 17 {
            continue;
        }
        let address = |ip: usize, port: usize| {
            let ip: [u8; 4] = packet[ip..ip + 4].try_into().expect("four bytes");
            SocketAddr::from((ip, u16::from_be_bytes([packet[port], packet[port + 1]])))
        };
        found.push((address(12, 20), address(16, 22), packet[28..].to_vec()));
    }
    found
}

async fn trace(house: &House, more: &str) -> (Option<i32>, String) {
    let words: Vec<&str> = ["ctl", "trace", CALL_ID].into_iter().chain(more.split_whitespace()).collect();
    let output = run(&words, &house.path("")).await;
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

async fn tcpdump(folder: &Path, file: &str) -> String {
    let output = tokio::process::Command::new("tcpdump")
        .args(["-nn", "-vvv", "-T", "rtp", "-r", file, "udp"])
        .current_dir(folder)
        .output()
        .await
        .expect("it runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const MANDATORY: (&str, &str) =
    ("send_sip_options = false", "send_sip_options = false\nsrtp = \"mandatory\"");

#[tokio::test(flavor = "multi_thread")]
async fn the_media_of_a_call_under_srtp_is_in_the_capture_in_the_clear_where_that_was_asked_for_twice() {
    let wanted = ("[usage]", "[trace]\ncapture_media = true\n[ctl]\nsocket = \"ctl.sock\"\n\n[usage]");
    let (house, _doorbell) = House::new(&[MANDATORY, wanted]).await;
    let _bridge = house.start().await;
    let logged = async |what: &str| house.until(what, async || house.log().contains(what)).await;
    logged("the media of all calls is kept in memory, decrypted").await;
    let raw = Raw::open(house.sip).await;
    let (dialog, media) = call(&raw).await;
    // A staircase that nobody else says.
    let said: Vec<i16> = (0..8000).map(|n: i32| ((n / 160) * 300) as i16).collect();
    media.say(said.clone().into()).await;
    media.key("7").await;
    assert!(media.hears(Duration::from_millis(300), Duration::from_secs(10)).await, "the greeting");
    raw.send(dialog.request("BYE", 2, "UDP", raw.address()).as_bytes()).await;
    house.until("its end is written", async || !house.records("final").is_empty()).await;
    let record = &house.records("final")[0];
    assert_eq!((&record["media"]["captured"], record["media"]["srtp"].is_string()), (&true.into(), true));

    // Without the word the capture is of the messages alone.
    assert_eq!(trace(&house, "--pcap messages.pcap").await.0, Some(0));
    let file = fs::read(house.path("messages.pcap")).expect("the capture");
    assert!(datagrams(&file).iter().all(|(_, _, bytes)| Packet::parse(bytes).is_none()));
    let (code, why) = trace(&house, "--pcap heard.pcap --media").await;
    assert_eq!(code, Some(0), "{why}");
    assert!(why.starts_with("heard.pcap: written: ") && why.contains(" RTP packets, "), "{why}");
    assert_eq!(why.lines().count(), 1, "a whole capture has no holes to tell of: {why}");
    let words = ["ctl", "trace", CALL_ID, "--pcap", "again.pcap", "--media", "-o", "json"];
    let told = run(&words, &house.path("")).await;
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).expect("JSON");
    assert_eq!((&told["media_dropped"], &told["media_left_out"]), (&0.into(), &0.into()));
    logged("takes the media of this call out of the memory").await;
    let file = fs::read(house.path("heard.pcap")).expect("the capture");
    let (mut ours, mut greeting, mut keys) = (BTreeMap::new(), 0, Vec::new());
    for (from, to, bytes) in datagrams(&file) {
        let Some(packet) = Packet::parse(&bytes) else { continue };
        let inward = (house.media..house.media + 64).contains(&to.port());
        assert_ne!(inward, (house.media..house.media + 64).contains(&from.port()), "{from} {to}");
        match (inward, packet.payload_type) {
            (true, 8) => {
                assert_eq!(packet.ssrc, 0x1234_5678);
                ours.insert(packet.sequence, packet.payload.to_vec());
            }
            (true, _) => keys.push(packet.payload[0]),
            (false, _) => greeting += 1,
        }
    }
    let heard: Vec<u8> = ours.into_values().flatten().collect();
    let wanted: Vec<u8> = said.iter().map(|&sample| Law::A.encode(sample)).collect();
    assert!(heard.windows(wanted.len()).any(|window| window == wanted), "what was said, octet for octet");
    assert!(greeting > 20, "{greeting} packets of ours");
    assert!(
        !keys.is_empty() && keys.iter().all(|key| *key == 0xff),
        "which key it was is left out: {keys:?}"
    );
    if have("tcpdump", "tcpdump") {
        let seen = tcpdump(&house.path(""), "heard.pcap").await;
        assert!(seen.contains("udp/rtp") && seen.contains(" c8 "), "{seen}");
        assert!(!["bad ", "incorrect", "truncated"].iter().any(|wrong| seen.contains(wrong)), "{seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_did_not_ask_for_it_in_the_configuration_finds_media_in_the_memory() {
    let (house, _doorbell) = House::new(&[MANDATORY, SOCKET]).await;
    let _bridge = house.start().await;
    let raw = Raw::open(house.sip).await;
    let (dialog, media) = call(&raw).await;
    assert!(media.hears(Duration::from_millis(100), Duration::from_secs(10)).await, "the greeting");
    let (code, why) = trace(&house, "--pcap heard.pcap --media").await;
    assert_eq!(code, Some(1));
    assert!(why.contains("set [trace] capture_media = true"), "{why}");
    raw.send(dialog.request("BYE", 2, "UDP", raw.address()).as_bytes()).await;
    house.until("its end is written", async || !house.records("final").is_empty()).await;
    assert_eq!(house.records("final")[0]["media"]["captured"], false);
    assert!(!house.log().contains("decrypted"), "{}", house.log());
}
