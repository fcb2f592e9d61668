//! Attacks that last, and peers that are not any more who they were.

use std::net::SocketAddr;
use std::time::Duration;

use server::control::Input;
use sip::{Endpoint, EndpointConfig, Message};
use tests::fixture::OPERATOR_SPARE;
use tests::mouth::Mouth;
use tests::{
    Caller, Codec, Line, MICROSOFT, MICROSOFT_NUMBER, OPERATOR, OPERATOR_NUMBER, RawCall, SAM, STRANGER,
    Setup, Sound, World, sdp,
};

use crate::cast::{LOUD, QUIET, answered, hears, join, listen};
use crate::hand::{by_hand, got, tag_of};

#[test]
fn a_thousand_calls_a_second_for_a_minute_cost_one_message_each_and_running_calls_nothing() {
    let lines = "calls_per_second = 1";
    let mut world = World::new(Setup { operator_lines: lines, ..Setup::default() });
    let talker = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER).tone(2100), SAM);
    let listener = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER), SAM);
    let (from, stranger) = (world.sites[OPERATOR.0].address, world.sites[STRANGER.0].address);
    let asleep = [OPERATOR, STRANGER].map(|site| world.sites[site.0].endpoint.take());
    let offer = by_hand(&mut world, "pattern").sdp;
    let (mut refused, mut tried, mut told) = (0, 0, 0);
    let begin = world.elapsed();
    let mut beside = None;
    for second in 0..60 {
        for number in 0..1000 {
            // Four of five come from the trunk.
            let at = if number % 5 == 0 { stranger } else { from };
            let call = RawCall::new(at, OPERATOR_NUMBER, &format!("{second}x{number}"), offer.clone());
            world.send_raw(at, call.invite());
            world.run(Duration::from_millis(1));
        }
        // The answers to the last ones.
        world.run(Duration::from_millis(20));
        refused += world.sites[OPERATOR.0].got("SIP/2.0 503").len();
        tried += world.sites[OPERATOR.0].got("SIP/2.0 100").len();
        told += world.sites[STRANGER.0].got("SIP/2.0 403").len();
        // A storm would fill the memory of the test.
        for site in [OPERATOR, STRANGER] {
            world.sites[site.0].inbox.clear();
        }
        world.spoken.clear();
        assert!(world.control.legs() <= 2 + 40, "{} legs at second {second}", world.control.legs());
        if second == 30 {
            beside = Some(world.call(&Caller::to(MICROSOFT, MICROSOFT_NUMBER)));
        }
    }
    let when = begin..world.elapsed();
    assert_eq!(refused + tried, 48_000, "one answer each, and no transaction for those that are refused");
    assert!((60..=62).contains(&tried), "{tried} calls at one a second");
    assert!((600..=630).contains(&told), "ten at once, and ten a second of the strangers get a word: {told}");
    let ear = &world.phone(listener).ear;
    assert!(ear.share(2100, LOUD, &when) > 0.999 && ear.longest_step() <= 3, "{}", ear.longest_step());
    let beside = beside.expect("second 30 has come");
    assert_eq!(world.phone(beside).line, Line::Up, "another trunk takes calls meanwhile");
    for (site, endpoint) in [OPERATOR, STRANGER].into_iter().zip(asleep) {
        world.sites[site.0].endpoint = endpoint;
    }
    world.seconds(2);
    let after = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
    answered(&mut world, after);
    assert_eq!(world.phone(talker).line, Line::Up);
    // Nobody acknowledges the sixty: each ends with a BYE after 64*T1.
    world.seconds(80);
    // Their answers and those BYEs were read by an endpoint that had slept through the INVITEs.
    world.sites[OPERATOR.0].discarded.clear();
    world.close();
}

#[test]
fn a_caller_s_keys_dial_nobody_neither_before_nor_in_a_meeting() {
    let mut world = World::new(Setup::default());
    let keys = ["004917112345678#", "*004917112345678#", "110#", "**1", "*20049171#"];
    let outside = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
    let inside = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    for keys in keys {
        for phone in [outside, inside] {
            if !world.phone(phone).is_over() {
                world.press(phone, keys);
            }
        }
        world.seconds(8);
    }
    for site in &world.sites {
        assert!(site.got("INVITE").is_empty(), "somebody was called over {}", site.name);
    }
    assert_eq!(world.phone(inside).line, Line::Up);
    world.close();
}

/// What handshakes and impostors look like on an RTP port: DTLS, STUN, ZRTP, and audio in a packet of another version.
fn no_rtp(sequence: u16) -> [Vec<u8>; 5] {
    let mut hello = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60, 1];
    hello.resize(73, 7);
    let stun = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[9; 12]].concat();
    let zrtp = [&[0x10, 0, 0, 1][..], b"ZRTP", &[5; 40]].concat();
    let impostor = |version: u8| {
        let mut packet = vec![version << 6, 8];
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
        packet.extend_from_slice(&[1, 2, 3, 4]);
        // A square wave at half the scale: 500 Hz.
        packet.extend((0..160).map(|n| if n / 8 % 2 == 0 { 0xba } else { 0x3a }));
        packet
    };
    [hello, stun, zrtp, impostor(1), impostor(3)]
}

#[test]
fn handshakes_on_an_rtp_port_are_not_answered_not_heard_and_no_sign_of_life() {
    let mut world = World::new(Setup::default());
    let talker = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2100), SAM);
    let listener = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER), SAM);
    let (rtp, bridge) = (world.phone(talker).rtp, world.phone(talker).remote.expect("it is up"));
    for beat in 0..2500_u16 {
        world.after(Duration::from_millis(20) * u32::from(beat), move |world| {
            for bytes in no_rtp(beat) {
                world.send_media(rtp, bridge, bytes.into());
            }
        });
    }
    let before = world.phone(talker).ear.packets.len();
    let when = listen(&mut world, Duration::from_secs(10));
    assert!(world.phone(listener).ear.share(2100, LOUD, &when) > 0.99);
    let sent = world.phone(talker).ear.packets.len() - before;
    assert!((499..=501).contains(&sent), "{sent} packets in 10 s: nothing but RTP at its pace");
    assert!(world.phone(talker).ear.faults().is_empty(), "{:?}", world.phone(talker).ear.faults());
    // Its voice ends; the handshakes go on.
    world.phone_mut(talker).mouth.sound = Sound::Nothing;
    world.run(Duration::from_millis(500));
    assert!(hears(&mut world, listener, 500) < QUIET, "nobody hears them");
    world.seconds(30);
    assert!(matches!(world.phone(talker).line, Line::Over { by_bridge: true, .. }), "silent for 30 s");
    assert_eq!(world.phone(listener).line, Line::Up);
    world.seconds(10);
    world.close();
}

#[test]
fn an_sbc_that_was_restarted_and_knows_no_call_any_more_is_believed_at_once() {
    let lines = "session_expires_seconds = 90";
    let mut world = World::new(Setup { operator_lines: lines, ..Setup::default() });
    let phone = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    let other = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER), SAM);
    let answered_at = world.phone(phone).answered.expect("it is up");
    world.sites[OPERATOR.0].endpoint = Some(Endpoint::new(EndpointConfig::default(), [9; 32]));
    world.until("our refresh", Duration::from_secs(50), |world| {
        world.sites[OPERATOR.0].inbox.iter().any(|one| one.bytes.starts_with(b"UPDATE"))
    });
    assert!((44..=46).contains(&world.since(answered_at).as_secs()));
    world.run(Duration::from_millis(200));
    let record = world.finals().first().map(|record| record["end"].clone()).expect("its record");
    assert_eq!(record["ended_by"], "network", "{record}");
    assert!(got(&world, "BYE").is_empty(), "who knows no call is not told of its end");
    world.phone_mut(phone).remote = None;
    world.phone_mut(phone).line = Line::Over { by_bridge: true, reason: "481".to_owned() };
    // The restarted one was asked about a dialog that it does not know, and said so.
    assert_eq!(world.sites[OPERATOR.0].discarded.len(), 1);
    world.sites[OPERATOR.0].discarded.clear();
    assert_eq!(world.phone(other).line, Line::Up);
    world.close();
}

#[test]
fn an_sbc_that_moves_to_its_other_address_in_mid_call_is_followed_by_signalling_and_media() {
    let mut world = World::new(Setup { second_peer: true, ..Setup::default() });
    let other = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER), SAM);
    let mut call = by_hand(&mut world, "moving");
    world.sites[OPERATOR_SPARE.0].endpoint = None;
    world.send_raw(call.from, call.invite());
    world.seconds(1);
    let answer = got(&world, "SIP/2.0 200").remove(0);
    call.remote_tag = Some(tag_of(&answer));
    world.send_raw(call.from, call.ack());
    world.seconds(1);
    // The other node of the SBC takes the call over: another Via, Contact and media address.
    let spare = world.sites[OPERATOR_SPARE.0].address;
    let rtp = SocketAddr::new(spare.ip(), 31_000);
    world.named.insert(rtp);
    let moved = RawCall { from: spare, ..call.clone() };
    let offer = sdp::write(rtp, &[Codec::A], 101, "sendrecv", 2);
    let headers = format!("Contact: <sip:phone@{spare}>\r\nContent-Type: application/sdp\r\n");
    // The From of a dialog stays what it was.
    let again = moved.request("INVITE", "z9hG4bKmoved", 2, &headers, &offer);
    let again = String::from_utf8(again.to_vec()).expect("text").replace(
        &format!("From: <sip:+4930123456@{spare}>"),
        &format!("From: <sip:+4930123456@{}>", call.from),
    );
    world.send_raw(spare, again.into());
    world.run(Duration::from_millis(100));
    let taken = world.sites[OPERATOR_SPARE.0].got("SIP/2.0 200")[0].message();
    let port = sdp::read(taken.body()).expect("SDP").rtp;
    world.send_raw(spare, moved.request("ACK", "z9hG4bKmovedack", 2, "", ""));
    world.run(Duration::from_millis(100));
    let before = (world.heard_at(rtp), world.heard_at(SocketAddr::new(call.from.ip(), 30_000)));
    // It says something from there, and is heard once it has keyed the meeting's number.
    let mut mouth = Mouth::new(0xCA11, Sound::Tone(2100));
    mouth.press(&format!("{SAM}#"));
    for beat in 0..500_u32 {
        for bytes in mouth.beat() {
            world.after(Duration::from_millis(20) * beat, move |world| world.send_media(rtp, port, bytes));
        }
    }
    world.seconds(8);
    assert!(hears(&mut world, other, 2100) > LOUD, "media comes from the new address");
    assert!(world.heard_at(rtp) > before.0 + 400, "and goes there");
    assert_eq!(world.heard_at(SocketAddr::new(call.from.ip(), 30_000)), before.1, "and no longer to the old");
    world.feed(Input::DrainNow);
    world.run(Duration::from_millis(500));
    let byes = world.sites[OPERATOR_SPARE.0].got("BYE").iter().map(|bye| bye.message()).collect::<Vec<_>>();
    assert_eq!(byes.len(), 1, "our BYE goes to the Contact of the re-INVITE");
    assert!(got(&world, "BYE").is_empty());
    world.send_raw(spare, Message::response_to(&byes[0], 200, None).to_bytes());
    world.seconds(1);
    world.close();
}
