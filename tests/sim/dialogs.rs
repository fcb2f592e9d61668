//! What keeps a call alive and changes it in the middle: session timers, UPDATE, PRACK, hold in all its forms.

use std::net::SocketAddr;
use std::time::Duration;

use sip::{Message, SessionTimers, Terms};
use tests::{
    Caller, Codec, Line, MICROSOFT, MICROSOFT_NUMBER, OPERATOR, OPERATOR_NUMBER, RawCall, SAM, Setup, World,
    sdp,
};

use tests::srtp::{Security, Suite};

use crate::cast::{LOUD, hears, join};
use crate::hand::{by_hand, got, tag_of};

/// The operator's trunk with the shortest interval that the RFC allows.
fn brief() -> Setup {
    Setup { operator_lines: "session_expires_seconds = 90", ..Setup::default() }
}

fn last(world: &World, begin: &str) -> Message {
    got(world, begin).pop().unwrap_or_else(|| panic!("no {begin}"))
}

fn header<'a>(message: &'a Message, name: &str) -> &'a str {
    message.headers().get(name).unwrap_or_default()
}

/// Sends the INVITE, waits for the 200 and acknowledges it; returns the 200.
fn up(world: &mut World, call: &mut RawCall) -> Message {
    world.send_raw(call.from, call.invite());
    world.run(Duration::from_millis(200));
    let answer = last(world, "SIP/2.0 200");
    call.remote_tag = Some(tag_of(&answer));
    world.send_raw(call.from, call.ack());
    world.run(Duration::from_millis(50));
    answer
}

/// A request in the call, with Contact; what is answered.
fn ask(world: &mut World, call: &RawCall, method: &str, cseq: u32, headers: &str, body: &str) -> Message {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let headers = format!("Contact: <sip:phone@{}>\r\n{kind}{headers}", call.from);
    let branch = format!("z9hG4bK{}{method}{cseq}", call.call_id);
    world.send_raw(call.from, call.request(method, &branch, cseq, &headers, body));
    world.run(Duration::from_millis(50));
    let answer = last(world, "SIP/2.0");
    if method == "INVITE" {
        world.send_raw(call.from, call.request("ACK", &format!("{branch}ack"), cseq, "", ""));
        world.run(Duration::from_millis(50));
    }
    answer
}

fn hang_up(world: &mut World, call: &RawCall, cseq: u32) {
    world.send_raw(call.from, call.request("BYE", &format!("z9hG4bK{}bye", call.call_id), cseq, "", ""));
    world.seconds(1);
}

#[test]
fn the_bridge_refreshes_by_update_and_neither_media_nor_keys_change() {
    for security in [None, Some(Security::mandatory(&[Suite::ALL[0]]))] {
        let lines = if security.is_some() {
            "session_expires_seconds = 90\nsrtp = \"mandatory\""
        } else {
            "session_expires_seconds = 90"
        };
        let mut world = World::new(Setup { operator_lines: lines, ..Setup::default() });
        let caller = Caller { security, ..Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2100) };
        let phone = join(&mut world, &caller, SAM);
        let other = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER).tone(2400), SAM);
        world.seconds(100);
        assert_eq!(world.sites[OPERATOR.0].got("UPDATE").len(), 2, "at 45 and at 90 s");
        assert_eq!(world.phone(phone).line, Line::Up);
        assert!(hears(&mut world, phone, 2400) > LOUD && hears(&mut world, other, 2100) > LOUD);
        assert_eq!(world.phone(phone).heard.len(), 1, "no description was exchanged");
        assert_eq!(world.phone(phone).ear.streams().len(), 1);
        world.close();
    }
}

#[test]
fn a_peer_that_refreshes_is_answered_and_its_call_goes_on() {
    let mut world = World::new(brief());
    let terms = Terms { session_timer: SessionTimers::Ask, session_expires: 90, ..Terms::default() };
    let caller = Caller { terms, ..Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2100) };
    let phone = join(&mut world, &caller, SAM);
    let other = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER), SAM);
    world.seconds(100);
    assert!(got(&world, "UPDATE").is_empty(), "the caller refreshes");
    let updates = world.spoken.iter().filter(|(_, bytes)| bytes.starts_with(b"UPDATE")).count();
    assert_eq!(updates, 2);
    assert!(hears(&mut world, other, 2100) > LOUD);
    assert_eq!(world.phone(phone).line, Line::Up);
    world.close();
}

#[test]
fn a_call_that_its_peer_does_not_refresh_is_ended_although_it_speaks_and_its_record_says_why() {
    let mut world = World::new(brief());
    let terms = Terms { session_timer: SessionTimers::Ask, session_expires: 90, ..Terms::default() };
    let phone = join(&mut world, &Caller { terms, ..Caller::to(OPERATOR, OPERATOR_NUMBER) }, SAM);
    let answered = world.phone(phone).answered.expect("it is up");
    // Its signalling is gone; its media is not.
    world.sites[OPERATOR.0].endpoint = None;
    world.until("a BYE", Duration::from_secs(70), |world| !world.sites[OPERATOR.0].got("BYE").is_empty());
    assert!((59..=61).contains(&world.since(answered).as_secs()), "90 s less a third");
    let bye = last(&world, "BYE");
    assert_eq!(header(&bye, "Reason"), "Q.850;cause=102;text=\"session timer expired\"");
    world.send_raw(world.sites[OPERATOR.0].address, Message::response_to(&bye, 200, None).to_bytes());
    world.phone_mut(phone).remote = None;
    world.phone_mut(phone).line = Line::Over { by_bridge: true, reason: "expired".to_owned() };
    world.seconds(1);
    let end = &world.finals()[0]["end"];
    assert_eq!((&end["q850"], &end["ended_by"]), (&102.into(), &"network".into()), "{end}");
    world.close();
}

#[test]
fn a_peer_that_answers_no_refresh_is_gone() {
    let mut world = World::new(brief());
    let phone = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    world.sites[OPERATOR.0].alive = false;
    world.seconds(45 + 33);
    assert_eq!(world.control.legs(), 0, "an UPDATE without an answer in 32 s");
    assert_eq!(world.finals().len(), 1);
    world.sites[OPERATOR.0].endpoint = None;
    world.phone_mut(phone).remote = None;
    world.phone_mut(phone).line = Line::Over { by_bridge: true, reason: "it is gone".to_owned() };
    world.seconds(40);
    world.close();
}

#[test]
fn an_interval_below_the_trunk_s_least_gets_422_and_the_next_try_is_served() {
    let mut world = World::new(Setup { operator_lines: "min_se_seconds = 600", ..Setup::default() });
    let mut call = by_hand(&mut world, "small");
    call.headers = "Supported: timer\r\nSession-Expires: 90\r\n".to_owned();
    world.send_raw(call.from, call.invite());
    world.run(Duration::from_millis(100));
    let refused = last(&world, "SIP/2.0 422");
    assert_eq!(header(&refused, "Min-SE"), "600");
    world.send_raw(call.from, RawCall { remote_tag: Some(tag_of(&refused)), ..call.clone() }.ack_refusal());
    call.headers = "Supported: timer\r\nSession-Expires: 600\r\nMin-SE: 600\r\n".to_owned();
    (call.cseq, call.branch) = (2, "z9hG4bKagain".to_owned());
    let answer = up(&mut world, &mut call);
    assert_eq!(header(&answer, "Session-Expires"), "600;refresher=uac");
    hang_up(&mut world, &call, 3);
    world.close();
}

#[test]
fn a_refresh_by_re_invite_with_the_same_sdp_is_answered_with_the_same_sdp() {
    let mut world = World::new(Setup::default());
    let mut call = by_hand(&mut world, "refresh");
    let first = up(&mut world, &mut call);
    let rtp = SocketAddr::new(call.from.ip(), 30_000);
    for cseq in 2..5 {
        let answer = ask(
            &mut world,
            &call,
            "INVITE",
            cseq,
            "Supported: timer\r\nSession-Expires: 1800\r\n",
            &call.sdp,
        );
        assert_eq!(answer.body(), first.body(), "to the last letter");
        assert_eq!(header(&answer, "Session-Expires"), "1800;refresher=uac");
    }
    let before = world.heard_at(rtp);
    world.seconds(1);
    assert!(world.heard_at(rtp) - before >= 49, "not a packet is missing");
    hang_up(&mut world, &call, 9);
    world.close();
}

#[test]
fn each_form_of_hold_silences_us_and_each_resume_brings_us_back_by_re_invite_and_by_update() {
    let mut world = World::new(Setup::default());
    let mut call = by_hand(&mut world, "hold");
    up(&mut world, &mut call);
    let rtp = SocketAddr::new(call.from.ip(), 30_000);
    let talking = call.sdp.clone();
    let mut cseq = 1;
    for method in ["INVITE", "UPDATE"] {
        for (hold, answered) in
            [("a=sendonly", "recvonly"), ("a=inactive", "inactive"), ("c=IN IP4 0.0.0.0", "recvonly")]
        {
            let held = if hold.starts_with('c') {
                talking.replace("c=IN IP4 127.0.0.2", hold)
            } else {
                talking.replace("a=sendrecv", hold)
            };
            assert_ne!(held, talking);
            cseq += 1;
            let answer = ask(&mut world, &call, method, cseq, "", &held);
            assert_eq!(answer.status().map(sip::StatusCode::code), Some(200), "{method} {hold}");
            let direction = sdp::read(answer.body()).expect("SDP").direction;
            assert_eq!(direction, answered, "{method} {hold}");
            world.run(Duration::from_millis(100));
            let before = world.heard_at(rtp);
            world.seconds(1);
            assert_eq!(world.heard_at(rtp), before, "{method} {hold}");
            cseq += 1;
            let answer = ask(&mut world, &call, method, cseq, "", &talking);
            assert_eq!(sdp::read(answer.body()).expect("SDP").direction, "sendrecv", "{method} {hold}");
            world.seconds(1);
            assert!(world.heard_at(rtp) - before >= 45, "{method} {hold}");
        }
    }
    hang_up(&mut world, &call, cseq + 1);
    world.close();
}

#[test]
fn a_codec_that_flips_before_the_ack_is_taken() {
    for method in ["INVITE", "UPDATE"] {
        let mut world = World::new(Setup::default());
        let mut call = by_hand(&mut world, "flip");
        world.send_raw(call.from, call.invite());
        world.run(Duration::from_millis(200));
        call.remote_tag = Some(tag_of(&last(&world, "SIP/2.0 200")));
        let rtp = SocketAddr::new(call.from.ip(), 30_000);
        let flipped = sdp::write(rtp, &[Codec::Mu], 101, "sendrecv", 2);
        // The ACK is overtaken by a re-INVITE, and follows; or comes just before an UPDATE.
        if method == "UPDATE" {
            world.send_raw(call.from, call.ack());
        }
        let answer = ask(&mut world, &call, method, 2, "", &flipped);
        if method == "INVITE" {
            world.send_raw(call.from, call.ack());
        }
        assert_eq!(sdp::read(answer.body()).expect("SDP").codecs, [Codec::Mu], "{method}");
        world.seconds(1);
        assert!(world.heard_at(rtp) >= 40, "{method}");
        hang_up(&mut world, &call, 3);
        world.close();
    }
}

#[test]
fn a_caller_who_insists_on_prack_gets_a_ringing_to_acknowledge() {
    let mut world = World::new(Setup { settles: Some(Duration::from_secs(1)), ..Setup::default() });
    let mut call = by_hand(&mut world, "prack");
    call.headers = "Require: 100rel\r\n".to_owned();
    world.send_raw(call.from, call.invite());
    world.run(Duration::from_millis(100));
    let ringing = last(&world, "SIP/2.0 180");
    assert!(ringing.headers().has_token("Require", "100rel"));
    call.remote_tag = Some(tag_of(&ringing));
    let rack = format!("RAck: {} 1 INVITE\r\n", header(&ringing, "RSeq"));
    let answer = ask(&mut world, &call, "PRACK", 2, &rack, "");
    assert_eq!((answer.status().map(sip::StatusCode::code), header(&answer, "CSeq")), (Some(200), "2 PRACK"));
    world.seconds(2);
    assert_eq!(got(&world, "SIP/2.0 180").len(), 1, "it is not repeated");
    world.send_raw(call.from, call.ack());
    world.seconds(1);
    assert_eq!(world.control.legs(), 1);
    hang_up(&mut world, &call, 3);
    world.close();
}

#[test]
fn where_the_trunk_has_no_prack_who_insists_on_it_gets_420() {
    let mut world =
        World::new(Setup { operator_lines: "reliable_provisionals = \"off\"", ..Setup::default() });
    let mut call = by_hand(&mut world, "off");
    call.headers = "Require: 100rel\r\n".to_owned();
    world.send_raw(call.from, call.invite());
    world.run(Duration::from_millis(100));
    let refused = last(&world, "SIP/2.0 420");
    assert_eq!(header(&refused, "Unsupported"), "100rel");
    call.remote_tag = Some(tag_of(&refused));
    world.send_raw(call.from, call.ack_refusal());
    world.seconds(1);
    world.close();
}
