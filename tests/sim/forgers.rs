//! Messages that claim to come from a trunk, and SDP that aims our media at others or at ourselves.

use tests::Codec;
use tests::{RawCall, Setup, World, sdp};

use crate::hand::{by_hand_with, got};

fn offer(rtp: &str) -> String {
    sdp::write(rtp.parse().expect("an address"), &[Codec::A], 101, "sendrecv", 1)
}

/// The answer to the INVITE is here: its tag, and the port that it names.
fn answered(world: &World, call: &mut RawCall) -> u16 {
    let answer = got(world, "SIP/2.0 200").remove(0);
    call.remote_tag = answer.to().and_then(|to| to.tag().map(str::to_owned));
    sdp::read(answer.body()).expect("SDP").rtp.port()
}

#[test]
fn an_invite_with_a_forged_source_sends_no_audio_to_a_third_party() {
    let mut world = World::new(Setup::default());
    let mut call = by_hand_with(&mut world, "reflect", offer("127.0.0.77:30000"));
    world.send_raw(call.from, call.invite());
    world.seconds(10);
    assert!(world.bleeding.is_empty(), "only who got our 200 can send its ACK: {:?}", world.bleeding);
    answered(&world, &mut call);
    world.send_raw(call.from, call.ack());
    world.seconds(1);
    assert!(world.bleeding.contains(&"127.0.0.77:30000".parse().expect("an address")), "now it is wanted");
    world.send_raw(call.from, call.bye());
    world.seconds(1);
    world.bleeding.clear();
    world.close();
}

#[test]
fn our_own_ports_are_no_peer() {
    let mut world = World::new(Setup::default());
    let mut first = by_hand_with(&mut world, "first", offer("127.0.0.2:30000"));
    world.send_raw(first.from, first.invite());
    world.seconds(1);
    let port = answered(&world, &mut first);
    world.send_raw(first.from, first.ack());
    let second = by_hand_with(&mut world, "second", offer(&format!("127.0.0.1:{port}")));
    world.send_raw(second.from, second.invite());
    let again = offer(&format!("127.0.0.1:{}", port + 2));
    let kind = format!("Contact: <sip:{}>\r\nContent-Type: application/sdp\r\n", first.from);
    world.send_raw(first.from, first.request("INVITE", "z9hG4bKre", 2, &kind, &again));
    world.run(std::time::Duration::from_millis(100));
    let refused = got(&world, "SIP/2.0 488");
    assert_eq!(refused.len(), 2, "the new call and the re-INVITE");
    assert!(refused[0].headers().get("Reason").is_some_and(|why| why.contains("is ours")));
    assert_eq!(world.control.legs(), 1, "the first call is as it was");
    let tags = refused.iter().map(|message| message.to().and_then(|to| to.tag().map(str::to_owned)));
    let [second_tag, _] = tags.collect::<Vec<_>>().try_into().expect("two refusals");
    world.send_raw(second.from, RawCall { remote_tag: second_tag, ..second.clone() }.ack_refusal());
    world
        .send_raw(first.from, RawCall { branch: "z9hG4bKre".into(), cseq: 2, ..first.clone() }.ack_refusal());
    world.send_raw(first.from, first.request("BYE", "z9hG4bKbye", 3, "", ""));
    world.seconds(1);
    assert!(world.bleeding.iter().all(|to| to.ip() == first.from.ip()), "{:?}", world.bleeding);
    world.bleeding.clear();
    world.close();
}

#[test]
fn a_call_that_begins_on_hold_with_a_null_address_sends_nothing_to_this_machine() {
    let mut world = World::new(Setup::default());
    let mut call = by_hand_with(&mut world, "null", offer("0.0.0.0:30000"));
    world.send_raw(call.from, call.invite());
    world.seconds(1);
    answered(&world, &mut call);
    world.send_raw(call.from, call.ack());
    world.seconds(7);
    assert!(world.bleeding.is_empty(), "neither RTP nor RTCP: {:?}", world.bleeding);
    world.send_raw(call.from, call.bye());
    world.seconds(1);
    world.close();
}
