//! A baresip telephone with each of its codecs, and with SRTP, in a meeting with one of G.711 in the clear.

use std::time::Duration;

use serde_json::Value;

use super::{
    bridge::{CONFERENCE, House, NUMBER},
    conference::{judge, pcm, voice},
    peers::Phone,
};

/// Alice and the telephone meet and hear each other; the telephone is started with these options. `codec` and `srtp` are what
/// its usage record must say. Returns what the telephone printed, and its record.
async fn meets(
    test: &str,
    trunk: &str,
    options: &[&str],
    codec: &str,
    srtp: Option<&str>,
) -> (String, Value) {
    let folder = super::folder(test);
    let lines = format!("send_sip_options = false\n{trunk}");
    let (house, _) = House::new(&[("send_sip_options = false", &lines)]).await;
    let bridge = house.start().await;
    let (alice, bob) = (voice("alice"), voice("bob"));

    let mut phone = Phone::start_with(&folder.join("baresip"), "+493023125002", &bob, options).await;
    phone.dial(&format!("sip:{NUMBER}@{}", house.sip)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    phone.key(&format!("{CONFERENCE}#")).await;
    house.until_seated(1).await;
    let call = house.join("+493023125001").await;
    house.until_seated(2).await;
    call.media().say(pcm(&alice).repeat(2).into()).await;

    let tape = call.hang_up().await.expect("Alice hangs up");
    phone.hang_up().await;
    phone.until_event("CALL_CLOSED").await;
    house.until("each leg has one final usage record", async || house.records("final").len() == 2).await;
    drop(bridge);
    let printed = phone.log();
    let heard = phone.finished().await;
    judge("Alice", &tape.heard.track(tape.started), &[("baresip", &bob, true), ("Alice", &alice, false)]);
    judge("baresip", &heard, &[("Alice", &alice, true), ("baresip", &bob, false)]);
    let records = house.records("final");
    let of_phone = records.iter().find(|record| record["caller"] == "+493023125002").expect("its record");
    let media = &of_phone["media"];
    assert_eq!((media["codec"].as_str(), media["srtp"].as_str()), (Some(codec), srtp), "{media}");
    // baresip begins with a packet that is not encrypted yet.
    assert!(media["srtp_rejected"].as_u64().is_some_and(|rejected| rejected <= 3), "{media}");
    (printed, of_phone.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_baresip_telephone_with_srtp_is_heard_and_hears() {
    if !Phone::is_here() {
        return;
    }
    let suite = "AES_CM_128_HMAC_SHA1_80";
    let trunk = "srtp = \"optional\"\nsrtp_suites = [\"AES_CM_128_HMAC_SHA1_80\"]";
    let options = ["--srtp", "srtp-mand", "--codec", "pcma"];
    let (printed, _) = meets("srtp", trunk, &options, "PCMA", Some(suite)).await;
    assert!(printed.contains(&format!("SRTP is Enabled (cryptosuite={suite})")), "{printed}");
}
#[tokio::test(flavor = "multi_thread")]
async fn a_baresip_telephone_with_g722_is_heard_and_hears() {
    if !Phone::is_here() {
        return;
    }
    meets("g722", "codecs = [\"g722\", \"pcma\"]", &["--codec", "g722"], "G722", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_baresip_telephone_with_opus_under_srtp_is_heard_and_hears() {
    if !Phone::is_here() {
        return;
    }
    let options = ["--codec", "opus", "--srtp", "srtp"];
    let suite = "AES_CM_128_HMAC_SHA1_80";
    let trunk =
        "codecs = [\"opus\", \"pcma\"]\nsrtp = \"optional\"\nsrtp_suites = [\"AES_CM_128_HMAC_SHA1_80\"]";
    meets("opus", trunk, &options, "opus", Some(suite)).await;
}

/// The share of a call in which packets were sent to the telephone.
fn share_sent(record: &Value) -> f64 {
    let packets = record["media"]["egress_packets"].as_f64().expect("packets");
    packets * 20.0 / record["end"]["duration_ms"].as_f64().expect("milliseconds")
}

/// Its own libopus is another one than ours; what it makes of a stream with pauses is what a caller hears.
#[tokio::test(flavor = "multi_thread")]
async fn a_baresip_telephone_that_wants_no_silence_gets_none_and_hears_every_word() {
    if !Phone::is_here() {
        return;
    }
    let trunk = "codecs = [\"opus\", \"pcma\"]\nopus = { dtx = true }";
    let (_, record) = meets("dtx", trunk, &["--codec", "opus", "--dtx"], "opus", None).await;
    // Before the keys, until Alice comes and between her sentences nobody speaks; with silence it would be all of the call.
    let sent = share_sent(&record);
    assert!((0.3..0.92).contains(&sent), "packets in {sent:.2} of the call");
}
