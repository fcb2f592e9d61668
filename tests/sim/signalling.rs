//! Beginnings and ends of dialogs, and messages that cross.

use std::net::SocketAddr;
use std::time::Duration;

use server::control::Input;
use sip::{Framing, Message};
use tests::{
    Caller, Line, MICROSOFT, OPERATOR, OPERATOR_NUMBER, RawCall, SAM, STRANGER, Setup, SiteId, World, sdp,
};

use crate::cast::{answered, join, participants};
use crate::hand::{by_hand, got, tag_of};

/// The 200 to a request of the bridge's.
fn ok_to(request: &Message) -> bytes::Bytes {
    Message::response_to(request, 200, None).to_bytes()
}

#[test]
fn without_an_ack_the_200_is_repeated_and_after_64_t1_the_leg_ends_with_bye() {
    let mut world = World::new(Setup::default());
    let call = by_hand(&mut world, "no-ack");
    world.send_raw(call.from, call.invite());
    world.seconds(31);
    let answers = got(&world, "SIP/2.0 200");
    assert!((10..=12).contains(&answers.len()), "{} copies of the 200", answers.len());
    assert!(got(&world, "BYE").is_empty());
    world.seconds(2);
    let bye = got(&world, "BYE").into_iter().next().expect("a BYE after 64*T1");
    assert_eq!(bye.from().and_then(|from| from.tag().map(str::to_owned)), Some(tag_of(&answers[0])));
    world.send_raw(call.from, ok_to(&bye));
    world.seconds(1);
    let record = world.finals()[0];
    assert_eq!((&record["end"]["cause"], &record["end"]["ended_by"]), (&"no ACK".into(), &"network".into()));
    world.close();
}

#[test]
fn an_invite_that_is_repeated_is_one_leg_with_one_tag() {
    let mut world = World::new(Setup::default());
    let mut call = by_hand(&mut world, "again");
    for _ in 0..3 {
        world.send_raw(call.from, call.invite());
        world.run(Duration::from_millis(3));
    }
    world.run(Duration::from_millis(300));
    world.send_raw(call.from, call.invite());
    world.run(Duration::from_millis(100));
    assert_eq!(world.control.legs(), 1);
    let answers = got(&world, "SIP/2.0 200");
    call.remote_tag = Some(tag_of(&answers[0]));
    assert!(answers.iter().all(|answer| answer.to_bytes() == answers[0].to_bytes()), "the same 200");
    assert!(got(&world, "SIP/2.0 4").is_empty(), "a copy is no other request");
    world.send_raw(call.from, call.ack());
    world.seconds(1);
    world.send_raw(call.from, call.bye());
    world.seconds(1);
    assert_eq!(world.records.len(), 2);
    world.close();
}

#[test]
fn an_invite_that_comes_by_two_ways_is_refused_once() {
    let mut world = World::new(Setup::default());
    let mut call = by_hand(&mut world, "merged");
    world.send_raw(call.from, call.invite());
    let other = RawCall { branch: "z9hG4bKother".to_owned(), ..call.clone() };
    world.send_raw(other.from, other.invite());
    world.run(Duration::from_millis(100));
    assert_eq!(world.control.legs(), 1);
    let refused = got(&world, "SIP/2.0 482");
    assert_eq!(refused.len(), 1);
    world.send_raw(call.from, RawCall { remote_tag: Some(tag_of(&refused[0])), ..other }.ack_refusal());
    call.remote_tag = Some(tag_of(&got(&world, "SIP/2.0 200")[0]));
    world.send_raw(call.from, call.ack());
    world.run(Duration::from_millis(100));
    world.send_raw(call.from, call.bye());
    world.seconds(1);
    world.close();
}

#[test]
fn a_cancel_before_the_answer_ends_with_487_and_a_record() {
    let mut world = World::new(Setup { settles: Some(Duration::from_secs(2)), ..Setup::default() });
    let phone = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
    world.seconds(1);
    world.hang_up(phone);
    world.seconds(5);
    assert!(
        matches!(world.phone(phone).line, Line::Failed { status: 487, .. }),
        "{:?}",
        world.phone(phone).line
    );
    assert_eq!(world.sites[OPERATOR.0].got("SIP/2.0 487").len(), 1);
    assert!(
        world.sites[OPERATOR.0]
            .got("SIP/2.0 200 OK")
            .iter()
            .all(|r| r.message().method() == &sip::Method::CANCEL)
    );
    let record = world.finals()[0];
    assert_eq!(
        (&record["end"]["result"], &record["end"]["ended_by"]),
        (&"cancelled".into(), &"far-end".into())
    );
    world.close();
}

#[test]
fn a_cancel_that_crosses_the_200_leaves_nothing_behind() {
    // The INVITE takes 2 ms, the record 20 ms, the 200 2 ms; the CANCEL leaves at every moment around that.
    for millisecond in 5..35 {
        let mut world = World::new(Setup { settles: Some(Duration::from_millis(20)), ..Setup::default() });
        let phone = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
        world.run(Duration::from_millis(millisecond));
        world.hang_up(phone);
        world.seconds(5);
        assert!(world.phone(phone).is_over(), "after {millisecond} ms: {:?}", world.phone(phone).line);
        world.close();
    }
}

#[test]
fn a_cancel_by_hand_after_the_200_changes_nothing() {
    let mut world = World::new(Setup::default());
    let mut call = by_hand(&mut world, "late-cancel");
    world.send_raw(call.from, call.invite());
    world.run(Duration::from_millis(50));
    call.remote_tag = Some(tag_of(&got(&world, "SIP/2.0 200")[0]));
    world.send_raw(call.from, call.cancel());
    world.run(Duration::from_millis(50));
    assert_eq!(got(&world, "SIP/2.0 200").iter().filter(|m| m.method() == &sip::Method::CANCEL).count(), 1);
    world.send_raw(call.from, call.ack());
    world.seconds(1);
    assert_eq!(world.control.legs(), 1, "the call is up");
    world.send_raw(call.from, RawCall { branch: "z9hG4bKnever".to_owned(), ..call.clone() }.cancel());
    world.run(Duration::from_millis(50));
    assert_eq!(got(&world, "SIP/2.0 481").len(), 1, "a CANCEL of nothing");
    world.send_raw(call.from, call.bye());
    world.seconds(1);
    world.close();
}

#[test]
fn a_bye_to_nothing_is_481() {
    let mut world = World::new(Setup::default());
    let call = RawCall { remote_tag: Some("unknown".to_owned()), ..by_hand(&mut world, "stray") };
    world.send_raw(call.from, call.bye());
    world.run(Duration::from_millis(50));
    assert_eq!(got(&world, "SIP/2.0 481").len(), 1);
    world.close();
}

/// What ends a call in the scripts that are cut at every moment.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// The phone hangs up.
    Phone,
    /// The bridge ends everything.
    DrainNow,
    /// The peer is gone: nothing of it arrives any more, and it answers nothing.
    Silence,
}

/// Two callers key their ID and meet; at `moment` the first one's call is cut.
fn cut_at(moment: Duration, cut: Cut) {
    let setup = Setup {
        command_delay: Duration::from_millis(25),
        report_delay: Duration::from_millis(12),
        settles: Some(Duration::from_millis(40)),
        ..Setup::default()
    };
    let mut world = World::new(setup);
    let first = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2100));
    let second = world.call(&Caller::to(MICROSOFT, tests::MICROSOFT_NUMBER).tone(2400));
    world.after(Duration::from_millis(600), move |world| {
        world.press(first, SAM);
        world.press(second, SAM);
    });
    world.run(moment);
    match cut {
        Cut::Phone => world.hang_up(first),
        Cut::DrainNow => world.feed(Input::DrainNow),
        Cut::Silence => {
            world.sites[OPERATOR.0].alive = false;
            world.phone_mut(first).remote = None;
            world.phone_mut(first).mouth.sound = tests::Sound::Nothing;
            // Whoever answered while nobody listened starts no media either.
            world.sites[OPERATOR.0].endpoint = None;
            world.seconds(120);
            world.phone_mut(first).line = Line::Over { by_bridge: true, reason: "it is gone".to_owned() };
        }
    }
    world.seconds(1);
    world.close();
}

#[test]
fn a_caller_may_hang_up_at_any_moment() {
    for step in 0..45 {
        cut_at(Duration::from_millis(7 + 83 * step), Cut::Phone);
    }
}

#[test]
fn the_bridge_may_end_everything_at_any_moment() {
    for step in 0..45 {
        cut_at(Duration::from_millis(3 + 83 * step), Cut::DrainNow);
    }
}

#[test]
fn a_peer_may_vanish_at_any_moment() {
    for step in 0..9 {
        cut_at(Duration::from_millis(5 + 413 * step), Cut::Silence);
    }
}

#[test]
fn a_call_from_an_address_that_no_trunk_has_is_refused() {
    let mut world = World::new(Setup::default());
    let phone = world.call(&Caller::to(STRANGER, OPERATOR_NUMBER));
    world.seconds(2);
    assert!(
        matches!(world.phone(phone).line, Line::Failed { status: 403, .. }),
        "{:?}",
        world.phone(phone).line
    );
    assert!(world.records.is_empty(), "no leg, no record");
    world.close();
}

#[test]
fn a_number_is_served_only_on_the_trunk_of_its_owner() {
    let refused = |site: SiteId, number: &str| {
        let mut world = World::new(Setup::default());
        let phone = world.call(&Caller::to(site, number));
        world.seconds(2);
        let Line::Failed { status, reason } = world.phone(phone).line.clone() else { panic!("not refused") };
        world.close();
        (status, reason)
    };
    let (status, reason) = refused(MICROSOFT, OPERATOR_NUMBER);
    assert!((400..500).contains(&status), "{status}");
    assert!(reason.contains("SIP;cause="), "the peer's engineer is told why: {reason}");
    assert_eq!(refused(OPERATOR, "+496990009199").0, 404);
}

#[test]
fn a_call_over_tcp_is_served_like_one_over_udp() {
    let mut world = World::new(Setup::default());
    let phone = join(&mut world, &Caller { tcp: true, ..Caller::to(OPERATOR, OPERATOR_NUMBER) }, SAM);
    assert_eq!(participants(&world, SAM), 1);
    world.hang_up(phone);
    world.seconds(1);
    world.close();
}

#[test]
fn an_invite_without_sdp_gets_an_offer_and_the_ack_answers() {
    let mut world = World::new(Setup::default());
    let late = Caller { late_offer: true, ..Caller::to(OPERATOR, OPERATOR_NUMBER) };
    let phone = join(&mut world, &late.tone(2100), SAM);
    let other = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    assert!(crate::cast::hears(&mut world, other, 2100) > crate::cast::LOUD);
    assert_eq!(world.phone(phone).heard.len(), 1);
    world.close();
}

#[test]
fn an_offer_without_a_common_codec_is_488_and_costs_nothing() {
    let mut world = World::new(Setup::default());
    let mut call = by_hand(&mut world, "g729");
    call.sdp = call
        .sdp
        .replace("RTP/AVP 8 101", "RTP/AVP 18")
        .replace("PCMA", "G729")
        .replace("rtpmap:8", "rtpmap:18");
    world.send_raw(call.from, call.invite());
    world.run(Duration::from_millis(100));
    let refused = got(&world, "SIP/2.0 488");
    assert_eq!(refused.len(), 1);
    assert!(refused[0].headers().get("Reason").is_some());
    call.remote_tag = Some(tag_of(&refused[0]));
    world.send_raw(call.from, call.ack_refusal());
    world.seconds(1);
    world.close();
}

#[test]
fn garbage_on_the_sip_port_changes_nothing() {
    let mut world = World::new(Setup::default());
    let phone = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
    answered(&mut world, phone);
    let from = world.sites[STRANGER.0].address;
    for bytes in [&b""[..], b"\r\n\r\n", b"INVITE", b"SIP/2.0 200 OK\r\n\r\n", &[0xFF; 1400]] {
        world.send_raw(from, bytes::Bytes::copy_from_slice(bytes));
    }
    world.seconds(1);
    assert_eq!(world.phone(phone).line, Line::Up);
    world.close();
}

#[test]
fn what_the_bridge_writes_can_be_read_back() {
    let mut world = World::new(Setup::default());
    let phone = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    world.dial_out(SAM, "+4930111111", None);
    world.seconds(5);
    world.hang_up(phone);
    world.seconds(2);
    for site in &world.sites {
        for received in &site.inbox {
            let again = Message::parse(received.bytes.clone(), Framing::Datagram).expect("well-formed");
            assert_eq!(again.to_bytes(), received.bytes);
        }
    }
    world.close();
}

#[test]
fn the_reason_of_a_bye_is_recorded() {
    let mut world = World::new(Setup::default());
    let phone = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER), SAM);
    world.hang_up(phone);
    world.seconds(1);
    let end = &world.finals()[0]["end"];
    assert_eq!(
        (&end["q850"], &end["ended_by"], &end["cause"]),
        (&16.into(), &"far-end".into(), &"bye".into())
    );
    assert!(end["in_conference_ms"].as_u64().is_some_and(|time| (1000..5000).contains(&time)), "{end}");
    assert_eq!(end["billed_seconds"], 60);
    world.close();
}

/// A call by hand that is up and sends RTP; the bridge's media address.
fn up_by_hand(world: &mut World, call: &mut RawCall, keys: &str) -> SocketAddr {
    world.send_raw(call.from, call.invite());
    world.run(Duration::from_millis(200));
    let answer = got(world, "SIP/2.0 200")[0].clone();
    call.remote_tag = Some(tag_of(&answer));
    world.send_raw(call.from, call.ack());
    let (rtp, bridge) = (SocketAddr::new(call.from.ip(), 30_000), sdp::read(answer.body()).expect("SDP").rtp);
    let mut mouth = tests::mouth::Mouth::new(5, tests::Sound::Silence);
    mouth.press(keys);
    for beat in 0..500 {
        for bytes in mouth.beat() {
            world.after(Duration::from_millis(20 * beat), move |world| world.send_media(rtp, bridge, bytes));
        }
    }
    world.seconds(3);
    bridge
}

#[test]
fn who_asks_for_privacy_is_recorded_and_not_shown() {
    let mut world = World::new(Setup::default());
    let mut call = by_hand(&mut world, "private");
    call.headers = "Privacy: id\r\n".to_owned();
    up_by_hand(&mut world, &mut call, SAM);
    assert_eq!(participants(&world, SAM), 1);
    let shown = world.shown[SAM].to_string();
    assert!(!shown.contains("4930123456"), "{shown}");
    world.send_raw(call.from, call.bye());
    world.seconds(1);
    let record = world.finals()[0];
    assert_eq!((&record["caller"], &record["caller_anonymous"]), (&"+4930123456".into(), &true.into()));
    world.close();
}

#[test]
fn a_re_invite_without_sdp_resumes_a_call_on_hold() {
    let mut world = World::new(Setup::default());
    let mut call = by_hand(&mut world, "resume");
    up_by_hand(&mut world, &mut call, SAM);
    // Hold by an offer, resume by asking for one, as third-party call control does (RFC 3725, RFC 6337 section 5.3).
    let mut directions = Vec::new();
    for (cseq, offer) in [(2, "inactive"), (3, ""), (4, "")] {
        let (body, kind) = match offer {
            "" => (String::new(), ""),
            word => {
                (call.sdp.replace("a=sendrecv", &format!("a={word}")), "Content-Type: application/sdp\r\n")
            }
        };
        let headers = format!("Contact: <sip:phone@{}>\r\n{kind}", call.from);
        let branch = format!("z9hG4bKre{cseq}");
        world.send_raw(call.from, call.request("INVITE", &branch, cseq, &headers, &body));
        world.run(Duration::from_millis(100));
        let answer = got(&world, "SIP/2.0 200").pop().expect("a 200");
        assert_eq!(answer.cseq().map(|number| number.number), Some(cseq));
        directions.push(sdp::read(answer.body()).expect("SDP").direction);
        let (ack, kind) = if offer.is_empty() {
            (call.sdp.clone(), "Content-Type: application/sdp\r\n")
        } else {
            (String::new(), "")
        };
        world.send_raw(call.from, call.request("ACK", &format!("{branch}ack"), cseq, kind, &ack));
        world.seconds(1);
    }
    assert_eq!(directions, ["inactive", "sendrecv", "sendrecv"]);
    let other = join(&mut world, &Caller::to(MICROSOFT, tests::MICROSOFT_NUMBER), SAM);
    assert_eq!(world.phone(other).line, Line::Up);
    world.send_raw(call.from, call.request("BYE", "z9hG4bKend", 5, "", ""));
    world.seconds(1);
    world.close();
}

#[test]
fn a_call_may_begin_on_hold_and_hears_the_meeting_once_it_resumes() {
    for hold in ["c=IN IP4 0.0.0.0", "a=inactive", "a=sendonly"] {
        let mut world = World::new(Setup::default());
        let mut call = by_hand(&mut world, "held");
        let talking = call.sdp.clone();
        call.sdp = if hold.starts_with('c') {
            talking.replace("c=IN IP4 127.0.0.2", hold)
        } else {
            talking.replace("a=sendrecv", hold)
        };
        assert_ne!(call.sdp, talking);
        let bridge = up_by_hand(&mut world, &mut call, "");
        let rtp = SocketAddr::new(call.from.ip(), 30_000);
        assert_eq!(world.heard_at(rtp), 0, "{hold}");
        let headers = format!("Contact: <sip:phone@{}>\r\nContent-Type: application/sdp\r\n", call.from);
        world.send_raw(call.from, call.request("INVITE", "z9hG4bKon", 2, &headers, &talking));
        world.run(Duration::from_millis(100));
        world.send_raw(call.from, call.request("ACK", "z9hG4bKonack", 2, "", ""));
        world.seconds(1);
        assert!(world.heard_at(rtp) >= 45, "{hold}: {} packets from {bridge}", world.heard_at(rtp));
        world.send_raw(call.from, call.request("BYE", "z9hG4bKend", 3, "", ""));
        world.seconds(1);
        world.close();
    }
}

#[test]
fn an_extension_that_we_do_not_know_and_must_is_420() {
    let mut world = World::new(Setup::default());
    let mut call = by_hand(&mut world, "must");
    call.headers = "Require: time-travel\r\n".to_owned();
    world.send_raw(call.from, call.invite());
    world.run(Duration::from_millis(100));
    let refused = got(&world, "SIP/2.0 420");
    assert_eq!(refused[0].headers().get("Unsupported"), Some("time-travel"));
    call.remote_tag = Some(tag_of(&refused[0]));
    world.send_raw(call.from, call.ack_refusal());
    world.seconds(1);
    world.close();
}
