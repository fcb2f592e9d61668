//! The real binary and a gateway that is as strict as Microsoft's: calls both ways, failover, refreshes, transfers.

use std::time::{Duration, Instant};

use serde_json::Value;
use tests::Sound;
use tests::pki::Authority;

use super::bridge::House;
use super::pstn_gateway::{Dialog, MEETING, PLACES, Phone, Place, Strict, house, invite, pairing};
use super::raw::status;

/// A tone at least so loud is there; the mix changes how loud it is.
const LOUD: f64 = 1000.0;
/// No health checks, where they would only be in the way.
const SILENT: &str = "send_sip_options = false";
/// Nobody is called there.
const NOWHERE: &str = "127.0.0.1:9";
/// The number that the meeting dials.
const CALLEE: &str = "+14255550142";

/// The meeting as the API shows it.
async fn meeting(house: &House) -> Value {
    house.api("GET", &format!("/v1/conferences/{MEETING}"), None).await.1
}

async fn seated(house: &House) -> usize {
    meeting(house).await["participants"].as_array().map_or(0, Vec::len)
}

async fn dial_out(house: &House) {
    let body = serde_json::json!({ "number": CALLEE }).to_string();
    let (status, said) = house.api("POST", &format!("/v1/conferences/{MEETING}/dial-out"), Some(&body)).await;
    assert_eq!(status, 202, "{said}\n{}", house.log());
}

/// Somebody calls through the gateway, hears the greeting, keys the conference ID, and is in the meeting.
async fn join(house: &House, gate: &mut Strict, call_id: &str, phone: &Phone) -> Dialog {
    let before = seated(house).await;
    let offer = phone.sdp("sendrecv");
    let own = gate.line.own;
    gate.send(&invite(house, own, call_id, "", &offer)).await;
    let answered = gate.next("SIP/2.0 200").await;
    phone.agree(&answered);
    let mut dialog = Dialog::of(&answered);
    gate.send(&dialog.request("ACK", "", "", own)).await;
    house.until("the caller hears the greeting", async || phone.has_heard()).await;
    phone.press(&format!("{MEETING}#"));
    house.until("the caller is seated", async || seated(house).await == before + 1).await;
    dialog
}

/// Both hear each other's tone.
async fn both_hear(house: &House, one: (&Phone, u32), other: (&Phone, u32)) {
    house
        .until("both hear each other", async || one.0.hears(other.1) > LOUD && other.0.hears(one.1) > LOUD)
        .await;
}

async fn hang_up(gate: &mut Strict, mut dialog: Dialog) {
    let bye = dialog.request("BYE", "", "", gate.line.own);
    gate.send(&bye).await;
    gate.next("SIP/2.0 200").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_pass_both_ways_with_srtp_and_microsoft_s_headers_are_in_the_record() {
    let authority = Authority::new("tests");
    let place = Place::open(&authority, PLACES[0]).await;
    let house = house(&authority, &[place.address()], SILENT).await;
    let _bridge = house.start().await;
    let mut gate = Strict::open(&house, &authority, &authority.issue_for(PLACES[0])).await;
    let caller = Phone::open(2100).await;
    let inward = join(&house, &mut gate, "inward", &caller).await;

    dial_out(&house).await;
    let mut out = place.accept(PLACES[0], pairing(&house)).await;
    let called = out.any().await;
    let host = format!("{}:{}", PLACES[0], place.address().port());
    assert!(called.starts_with(&format!("INVITE sip:{CALLEE}@{host};user=phone SIP/2.0")), "{called}");
    let callee = Phone::open(2400).await;
    callee.say(Sound::Silence);
    callee.agree(&called);
    // A 183 with a description, and nothing but silence in its media; then the answer.
    out.answer(&called, "100 Trying", "", "").await;
    let described = callee.sdp("sendrecv");
    out.answer(&called, "183 Session Progress", "", &described).await;
    house.until("it rings", async || meeting(&house).await["callees"][0]["ringing"] == true).await;
    callee.say(Sound::Tone(2400));
    out.answer(&called, "200 OK", "Supported: timer\r\n", &described).await;
    out.next("ACK ").await;
    house.until("the callee is seated", async || seated(&house).await == 2).await;
    both_hear(&house, (&caller, 2100), (&callee, 2400)).await;
    assert_eq!(caller.rejected_and_keys(), (0, 1));
    assert_eq!(callee.rejected_and_keys(), (0, 1));

    hang_up(&mut gate, inward).await;
    house.until("the first record is final", async || house.records("final").len() == 1).await;
    let record = &house.records("final")[0];
    let kept = &record["claims"]["x_ms"];
    assert_eq!(kept["x-ms-tenantid"], "8d0d6a5e-6d3f-4bb4-8f8e-3c9d0a1b2c3d", "{record}");
    assert_eq!((&kept["x-ms-sbc"], &kept["x-ms-fmc"]), (&"test/v.1.0".into(), &"MO".into()), "{record}");
    assert_eq!(record["media"]["srtp"], "AES_CM_128_HMAC_SHA1_80");
    let mut outward = Dialog::called(&called);
    let bye = outward.request("BYE", "", "", out.line.own);
    out.send(&bye).await;
    out.next("SIP/2.0 200").await;
    house.until("both records are final", async || house.records("final").len() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_outlives_the_gateway_s_refresh_with_the_same_keys_with_new_ones_and_a_hold() {
    let authority = Authority::new("tests");
    let house = house(&authority, &[NOWHERE.parse().expect("an address")], SILENT).await;
    let _bridge = house.start().await;
    let mut gate = Strict::open(&house, &authority, &authority.issue_for(PLACES[0])).await;
    let (one, other) = (Phone::open(2100).await, Phone::open(2400).await);
    let mut first = join(&house, &mut gate, "first", &one).await;
    let second = join(&house, &mut gate, "second", &other).await;
    both_hear(&house, (&one, 2100), (&other, 2400)).await;

    let mut keys_of = Vec::new();
    for (renewed, direction, keys) in
        [(false, "sendrecv", 1), (true, "sendrecv", 2), (false, "inactive", 2), (false, "sendrecv", 2)]
    {
        if renewed {
            one.renew();
        }
        let offer = one.sdp(direction);
        let own = gate.line.own;
        let refresh = "Supported: timer\r\nSession-Expires: 1800;refresher=uac\r\n";
        gate.send(&first.request("INVITE", refresh, &offer, own)).await;
        let answered = gate.next("SIP/2.0 200").await;
        assert!(answered.contains("Session-Expires: 1800;refresher=uac"), "{answered}");
        assert!(answered.contains(&format!("\na={direction}\r")), "{answered}");
        one.agree(&answered);
        gate.send(&first.request("ACK", "", "", own)).await;
        assert_eq!(one.rejected_and_keys().1, keys, "keys of the bridge so far");
        if direction == "sendrecv" {
            both_hear(&house, (&one, 2100), (&other, 2400)).await;
        } else {
            house.until("the one on hold is not heard", async || other.hears(2100) < 50.0).await;
        }
        let line = answered.lines().find(|line| line.starts_with("a=crypto:")).expect("keys");
        keys_of.push(line.to_owned());
    }
    assert_ne!(keys_of[0], keys_of[1], "where theirs are new, so are ours");
    assert_eq!(keys_of[1..], [keys_of[1].as_str(); 3], "and stay while theirs do");
    hang_up(&mut gate, first).await;
    hang_up(&mut gate, second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_503_with_retry_after_leads_to_the_next_place_at_once_and_in_order() {
    let authority = Authority::new("tests");
    let mut places = Vec::new();
    for name in PLACES {
        places.push(Place::open(&authority, name).await);
    }
    let addresses: Vec<_> = places.iter().map(Place::address).collect();
    let house = house(&authority, &addresses, SILENT).await;
    let _bridge = house.start().await;
    let mut gate = Strict::open(&house, &authority, &authority.issue_for(PLACES[0])).await;
    let caller = Phone::open(2100).await;
    let inward = join(&house, &mut gate, "inward", &caller).await;
    dial_out(&house).await;
    let began = Instant::now();
    let mut lines = Vec::new();
    for (place, name) in places.iter().zip(PLACES) {
        let mut line = place.accept(name, pairing(&house)).await;
        let called = line.any().await;
        let host = format!("{name}:{}", place.address().port());
        assert!(called.starts_with(&format!("INVITE sip:{CALLEE}@{host};user=phone SIP/2.0")), "{called}");
        let last = name == PLACES[2];
        let (status, more) =
            if last { ("486 Busy Here", "") } else { ("503 Service Unavailable", "Retry-After: 1\r\n") };
        line.answer(&called, status, more, "").await;
        assert!(line.any().await.starts_with("ACK "));
        // A connection that is closed here would look like the reason for going on.
        lines.push(line);
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    house.until("the attempt is over", async || house.records("final").len() == 1).await;
    let record = &house.records("final")[0];
    assert_eq!(record["end"]["result"], "busy", "{record}");
    // The place that said 503 is not backed off: the next call begins there.
    dial_out(&house).await;
    let again = lines[0].any().await;
    assert!(again.starts_with("INVITE "), "{again}");
    lines[0].answer(&again, "603 Decline", "", "").await;
    hang_up(&mut gate, inward).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_dead_in_whatever_way_costs_less_than_failover_time_seconds() {
    let authority = Authority::new("tests");
    let (first, third) = (Place::open(&authority, PLACES[0]).await, Place::open(&authority, PLACES[2]).await);
    let refusing = "127.0.0.1:9".parse().expect("an address");
    let house = house(&authority, &[first.address(), refusing, third.address()], SILENT).await;
    let _bridge = house.start().await;
    let mut gate = Strict::open(&house, &authority, &authority.issue_for(PLACES[0])).await;
    let caller = Phone::open(2100).await;
    let inward = join(&house, &mut gate, "inward", &caller).await;
    dial_out(&house).await;
    let began = Instant::now();
    // Its connection is up, and nobody answers; nobody listens at the second one; the third one works.
    let mut mute = first.accept(PLACES[0], pairing(&house)).await;
    assert!(mute.any().await.starts_with("INVITE "));
    let mut working = third.accept(PLACES[2], pairing(&house)).await;
    let called = working.any().await;
    assert!(called.starts_with("INVITE "), "{called}");
    let after = began.elapsed();
    assert!(after < Duration::from_secs(10), "{after:?}");
    let callee = Phone::open(2400).await;
    callee.agree(&called);
    let described = callee.sdp("sendrecv");
    working.answer(&called, "200 OK", "", &described).await;
    working.next("ACK ").await;
    both_hear(&house, (&caller, 2100), (&callee, 2400)).await;
    hang_up(&mut gate, inward).await;
    house.until("the first record is final", async || !house.records("final").is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bridge_begins_the_options_and_answers_the_gateway_s_with_its_paired_name() {
    let authority = Authority::new("tests");
    let place = Place::open(&authority, PLACES[0]).await;
    let house = house(&authority, &[place.address()], "options_interval_seconds = 1").await;
    let _bridge = house.start().await;
    let mut line = place.accept(PLACES[0], pairing(&house)).await;
    let ping = line.any().await;
    let port = place.address().port();
    assert!(ping.starts_with(&format!("OPTIONS sip:{}:{port} SIP/2.0", PLACES[0])), "{ping}");
    line.answer(&ping, "200 OK", "", "").await;
    let up = "partyline_trunk_up{trunk=\"teams\"}";
    house.until("the trunk is up", async || house.metric(up).await > 0.0).await;
    // Only now the gateway asks in its turn, over a connection of its own.
    let mut gate = Strict::open(&house, &authority, &authority.issue_for(PLACES[0])).await;
    let own = gate.line.own;
    let name = pairing(&house).name;
    gate.send(&format!(
        "OPTIONS sip:{name}:{} SIP/2.0\r\nVia: SIP/2.0/TLS {own};branch=z9hG4bKo1\r\nMax-Forwards: 68\r\n\
         From: <sip:{}:5061>;tag=ms\r\nTo: <sip:{name}>\r\nCall-ID: o1\r\nCSeq: 1 OPTIONS\r\n\
         Contact: <sip:{}:5061>\r\nContent-Length: 0\r\n\r\n",
        house.tls.port(),
        PLACES[0],
        PLACES[0]
    ))
    .await;
    let answered = gate.any().await;
    assert_eq!(status(&answered), 200, "{answered}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refer_without_a_user_part_is_followed_without_replaces_and_the_call_goes_on() {
    let authority = Authority::new("tests");
    let place = Place::open(&authority, PLACES[0]).await;
    let lines = format!("{SILENT}\naccept_refer = true");
    let house = house(&authority, &[place.address()], &lines).await;
    let _bridge = house.start().await;
    let mut gate = Strict::open_as_referring(&house, &authority, &authority.issue_for(PLACES[0])).await;
    let (one, moved) = (Phone::open(2100).await, Phone::open(2400).await);
    let mut first = join(&house, &mut gate, "first", &one).await;
    let target =
        format!("sip:{};transport=tls;x-m=8a3f;x-t=72f9?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc", PLACES[0]);
    let by = format!("Referred-By: <sip:+17168712781@{};x-ti=1;x-tt=2>\r\n", PLACES[0]);
    let own = gate.line.own;
    gate.send(&first.request("REFER", &format!("Refer-To: <{target}>\r\n{by}"), "", own)).await;
    assert_eq!(status(&gate.any().await), 202);
    let notify = gate.any().await;
    assert!(notify.starts_with("NOTIFY "), "{notify}");
    gate.answer(&notify, "200 OK", "", "").await;
    let pairing = tests::gateway::Pairing { refer: true, ..pairing(&house) };
    let mut out = place.accept(PLACES[0], pairing).await;
    let called = out.any().await;
    assert!(
        called.starts_with(&format!("INVITE sip:{};transport=tls;x-m=8a3f;x-t=72f9 SIP/2.0", PLACES[0])),
        "{called}"
    );
    assert!(called.contains(&by), "{called}");
    moved.agree(&called);
    let described = moved.sdp("sendrecv");
    out.answer(&called, "200 OK", "", &described).await;
    out.next("ACK ").await;
    let notify = gate.next("NOTIFY ").await;
    assert!(notify.contains("SIP/2.0 200"), "{notify}");
    gate.answer(&notify, "200 OK", "", "").await;
    let bye = gate.next("BYE ").await;
    gate.answer(&bye, "200 OK", "", "").await;
    assert_eq!(seated(&house).await, 1, "the same person");
    let mut rest = Dialog::called(&called);
    let bye = rest.request("BYE", "", "", out.line.own);
    out.send(&bye).await;
    out.next("SIP/2.0 200").await;
    house.until("the record is final", async || house.records("final").len() == 1).await;
}
