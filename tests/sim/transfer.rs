//! A leg gets another dialog in mid-call: REFER and Replaces, where the trunk allows them.

use std::net::SocketAddr;
use std::time::Duration;

use sip::Message;
use tests::{
    Callee, Caller, Codec, Line, MICROSOFT, MICROSOFT_NUMBER, OPERATOR, OPERATOR_NUMBER, PhoneId, RawCall,
    SAM, STRANGER, Setup, SiteId, World, sdp,
};

use crate::cast::{LOUD, QUIET, hears, join, participants};

/// Two people in a meeting: one from the operator who says 2100 Hz, one from Microsoft who says 2400 Hz.
fn meeting(operator_lines: &'static str, tables: &'static str) -> (World, PhoneId, PhoneId) {
    let mut world = World::new(Setup { operator_lines, tables, ..Setup::default() });
    // A leg that is taken over has its start record under its first Call-ID.
    world.strict = false;
    let first = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2100), SAM);
    let other = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER).tone(2400), SAM);
    world.seconds(1);
    (world, first, other)
}

fn got(world: &World, site: SiteId, begin: &str) -> Vec<Message> {
    world.sites[site.0].got(begin).iter().map(|received| received.message()).collect()
}

fn status_of(world: &World, site: SiteId, method: &str) -> Vec<u16> {
    let answers = got(world, site, "SIP/2.0").into_iter().filter(|answer| answer.method().as_str() == method);
    answers.filter_map(|answer| answer.status().map(sip::StatusCode::code)).collect()
}

/// The dialog of the first caller, to speak in it by hand.
fn dialog(world: &World) -> RawCall {
    let answer =
        got(world, OPERATOR, "SIP/2.0 200").into_iter().find(|answer| answer.method().as_str() == "INVITE");
    let answer = answer.expect("the bridge's 200");
    let tag = |address: Option<sip::NameAddr>| address.and_then(|found| found.tag().map(str::to_owned));
    RawCall {
        call_id: answer.call_id().expect("a Call-ID").to_owned(),
        tag: tag(answer.from()).expect("a tag"),
        remote_tag: tag(answer.to()),
        ..RawCall::new(world.sites[OPERATOR.0].address, OPERATOR_NUMBER, "referred", String::new())
    }
}

fn refer(world: &mut World, target: &str, cseq: u32) {
    let call = dialog(world);
    let headers = format!(
        "Refer-To: {target}\r\nReferred-By: <sip:rhein@127.0.0.2;x-m=1>\r\nContact: <sip:p@127.0.0.2>\r\n"
    );
    world.send_raw(call.from, call.request("REFER", &format!("z9hG4bKrefer{cseq}"), cseq, &headers, ""));
    world.run(Duration::from_millis(100));
}

/// The first caller hangs up; his own endpoint does not know what was said in his name.
fn hang_up_by_hand(world: &mut World, first: PhoneId) {
    let call = dialog(world);
    world.send_raw(call.from, call.request("BYE", "z9hG4bKgone", 90, "", ""));
    world.run(Duration::from_millis(10));
    world.hang_up(first); // gets 481
    world.run(Duration::from_millis(10));
}

/// Ends everything. Answers to what was written by hand are no concern of the sites' endpoints.
fn close(mut world: World) {
    world.seconds(2);
    world.sites.iter_mut().for_each(|site| site.discarded.clear());
    world.close();
}

#[test]
fn a_refer_moves_the_leg_to_the_dialog_that_it_names_and_the_meeting_hears_who_is_there() {
    // Microsoft's Refer-To may have no user part.
    for target in ["<sip:127.0.0.2:5060;x-m=8:orgid;x-t=1>", "<sip:+4930999@127.0.0.2;user=phone>"] {
        let (mut world, first, other) = meeting("accept_refer = true", "");
        world.sites[OPERATOR.0].callee = Callee::after(2);
        refer(&mut world, target, 50);
        assert_eq!(status_of(&world, OPERATOR, "REFER"), [202]);
        let invite = got(&world, OPERATOR, "INVITE").pop().expect("an INVITE");
        assert_eq!(invite.uri().map(|uri| format!("<{uri}>")).as_deref(), Some(target));
        assert_eq!(invite.headers().get("Referred-By"), Some("<sip:rhein@127.0.0.2;x-m=1>"));
        world.seconds(4);
        let told: Vec<String> = got(&world, OPERATOR, "NOTIFY")
            .iter()
            .map(|notify| String::from_utf8_lossy(notify.body()).trim().to_owned())
            .collect();
        assert_eq!(told, ["SIP/2.0 100 Trying", "SIP/2.0 180 Ringing", "SIP/2.0 200 OK"]);
        assert!(
            matches!(&world.phone(first).line, Line::Over { by_bridge: true, reason } if reason.contains("replaced"))
        );
        assert_eq!(participants(&world, SAM), 2, "the person is still there");
        let callee = PhoneId(world.phones.len() - 1);
        assert!(hears(&mut world, other, 1500) > LOUD && hears(&mut world, other, 2100) < QUIET);
        assert!(hears(&mut world, callee, 2400) > LOUD);
        assert!(world.finals().is_empty());
        world.hang_up(callee);
        world.seconds(1);
        assert_eq!((participants(&world, SAM), world.finals().len()), (1, 1), "one leg, one record");
        close(world);
    }
}

#[test]
fn a_refer_that_leads_elsewhere_or_has_no_flag_is_declined_and_nothing_is_dialed() {
    for (lines, target) in [
        ("accept_refer = true", "<sip:+1900555@203.0.113.66>"),
        ("accept_refer = true", "<sip:+1900555@127.0.0.3>"),
        ("accept_refer = true", "<tel:+1900555>"),
        ("", "<sip:+4930999@127.0.0.2>"),
    ] {
        let (mut world, first, other) = meeting(lines, "");
        refer(&mut world, target, 50);
        assert_eq!(status_of(&world, OPERATOR, "REFER"), [603], "{lines} {target}");
        world.seconds(1);
        assert!(got(&world, OPERATOR, "INVITE").is_empty() && got(&world, MICROSOFT, "INVITE").is_empty());
        assert!(hears(&mut world, other, 2100) > LOUD && world.phone(first).line == Line::Up);
        hang_up_by_hand(&mut world, first);
        close(world);
    }
}

#[test]
fn a_refer_that_comes_to_nothing_leaves_the_leg_where_it_is() {
    let (mut world, first, other) = meeting("accept_refer = true", "");
    world.sites[OPERATOR.0].callee = Callee::refuses(486);
    refer(&mut world, "<sip:busy@127.0.0.2>", 50);
    world.seconds(2);
    let last = got(&world, OPERATOR, "NOTIFY").pop().expect("a NOTIFY");
    assert_eq!(last.body().as_ref(), b"SIP/2.0 486 Busy Here\r\n");
    assert_eq!(world.phone(first).line, Line::Up);
    assert!(hears(&mut world, other, 2100) > LOUD && hears(&mut world, first, 2400) > LOUD);
    hang_up_by_hand(&mut world, first);
    close(world);
}

#[test]
fn who_refers_us_may_hang_up_at_once_and_the_person_stays() {
    let (mut world, first, other) = meeting("accept_refer = true", "");
    world.sites[OPERATOR.0].callee = Callee::after(2);
    refer(&mut world, "<sip:next@127.0.0.2>", 50);
    hang_up_by_hand(&mut world, first);
    world.run(Duration::from_millis(500));
    assert_eq!(participants(&world, SAM), 2);
    world.seconds(3);
    assert!(hears(&mut world, other, 1500) > LOUD);
    close(world);
}

#[test]
fn when_nobody_answers_behind_a_refer_and_its_sender_is_gone_the_leg_is_over() {
    let (mut world, first, _) = meeting("accept_refer = true", "");
    world.sites[OPERATOR.0].callee = Callee::refuses(404);
    refer(&mut world, "<sip:nobody@127.0.0.2>", 50);
    hang_up_by_hand(&mut world, first);
    world.seconds(2);
    assert_eq!((participants(&world, SAM), world.finals().len()), (1, 1));
    close(world);
}

/// A call by hand that wants the place of the first caller's dialog, from a site.
fn replacing(world: &mut World, site: SiteId, old: &RawCall) -> (RawCall, SocketAddr) {
    let from = world.sites[site.0].address;
    let rtp = SocketAddr::new(from.ip(), 30_000);
    world.named.insert(rtp);
    let mut call =
        RawCall::new(from, OPERATOR_NUMBER, "replacing", sdp::write(rtp, &[Codec::A], 101, "sendrecv", 1));
    let (ours, theirs) = (old.remote_tag.clone().expect("our tag"), &old.tag);
    call.headers = format!("Replaces: {};to-tag={ours};from-tag={theirs}\r\n", old.call_id);
    (call, rtp)
}

#[test]
fn an_invite_with_replaces_takes_the_person_over_and_the_old_dialog_gets_a_bye() {
    let (mut world, first, other) = meeting("accept_replaces = true", "");
    let old = dialog(&world);
    let (mut call, rtp) = replacing(&mut world, OPERATOR, &old);
    world.send_raw(call.from, call.invite());
    world.run(Duration::from_millis(200));
    let answer = got(&world, OPERATOR, "SIP/2.0 200").pop().expect("a 200");
    assert_eq!(answer.call_id(), Some(call.call_id.as_str()));
    call.remote_tag = answer.to().and_then(|to| to.tag().map(str::to_owned));
    world.send_raw(call.from, call.ack());
    world.seconds(1);
    assert!(matches!(&world.phone(first).line, Line::Over { by_bridge: true, .. }));
    assert_eq!((participants(&world, SAM), world.finals().len()), (2, 0));
    assert!(world.heard_at(rtp) > 40, "the meeting is heard at the new address");
    let bridge = sdp::read(answer.body()).expect("SDP").rtp;
    let mut mouth = tests::mouth::Mouth::new(5, tests::Sound::Tone(2700));
    for beat in 0..100 {
        for bytes in mouth.beat() {
            world.after(Duration::from_millis(20 * beat), move |world| world.send_media(rtp, bridge, bytes));
        }
    }
    world.run(Duration::from_millis(500));
    assert!(hears(&mut world, other, 2700) > LOUD, "and speaks from there");
    world.send_raw(call.from, call.bye());
    world.seconds(2);
    assert_eq!((participants(&world, SAM), world.finals().len()), (1, 1));
    close(world);
}

#[test]
fn nobody_gets_the_dialog_of_another_trunk_by_replaces() {
    let tables = "[[trunk]]\nid = \"other\"\nkind = \"operator\"\npeers = [{ address = \"127.0.0.9:5060\" }]\n\
                  send_sip_options = false\naccept_replaces = true";
    let (mut world, first, other) = meeting("accept_replaces = true", tables);
    let old = dialog(&world);
    let (call, rtp) = replacing(&mut world, STRANGER, &old);
    world.send_raw(call.from, call.invite());
    world.run(Duration::from_millis(200));
    assert_eq!(status_of(&world, STRANGER, "INVITE").last(), Some(&403));
    assert_eq!(world.heard_at(rtp), 0);
    assert!(hears(&mut world, other, 2100) > LOUD && world.phone(first).line == Line::Up);
    world.seconds(40);
    close(world);
}
