//! RTP on its way in: hold and resume, silence, strangers, dead calls, keys as phones really send them.

use std::net::SocketAddr;
use std::time::Duration;

use mixer::guard;
use tests::Codec;
use tests::mouth::Mouth;
use tests::{
    Caller, KeyStyle, Line, MICROSOFT, MICROSOFT_NUMBER, OPERATOR, OPERATOR_NUMBER, PhoneId, SAM, Setup,
    Sound, World,
};

use crate::cast::{LOUD, QUIET, hears, join, listen, participants};

/// Two in a meeting: the first says 2100 Hz, the second 2400 Hz.
fn pair(setup: Setup) -> (World, PhoneId, PhoneId) {
    let mut world = World::new(setup);
    let first = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2100), SAM);
    let second = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER).tone(2400), SAM);
    world.seconds(1);
    (world, first, second)
}

#[test]
fn a_call_on_hold_hears_nothing_and_goes_on_with_the_same_stream() {
    for word in ["sendonly", "inactive"] {
        let (mut world, first, second) = pair(Setup::default());
        world.reinvite(first, Some(word));
        world.run(Duration::from_millis(300));
        let expected = if word == "sendonly" { "recvonly" } else { "inactive" };
        assert_eq!(world.phone(first).heard.last().map(|sdp| sdp.direction.as_str()), Some(expected));
        let held = listen(&mut world, Duration::from_secs(2));
        assert_eq!(world.phone(first).ear.packets_in(&held), 0, "nothing is sent to who holds");
        let level = world.phone(second).ear.level(2100, &held);
        assert_eq!(level > LOUD, word == "sendonly", "{word}: {level}");
        world.reinvite(first, Some("sendrecv"));
        world.run(Duration::from_millis(300));
        assert!(hears(&mut world, first, 2400) > LOUD);
        assert!(hears(&mut world, second, 2100) > LOUD);
        assert_eq!(world.phone(first).ear.streams().len(), 1, "the stream is the same");
        let versions: Vec<&str> = world.phone(first).heard.iter().map(|sdp| sdp.version.as_str()).collect();
        assert_eq!(versions, ["1", "2", "3"], "each description that differs has a version of its own");
        world.close();
    }
}

#[test]
fn a_refresh_that_changes_nothing_is_answered_with_the_same_description() {
    let (mut world, first, _) = pair(Setup::default());
    world.phone_mut(first).version = 0;
    world.reinvite(first, Some("sendrecv"));
    world.seconds(1);
    let heard = &world.phone(first).heard;
    assert_eq!((heard.len(), &heard[0].version), (2, &heard[1].version));
    assert!(hears(&mut world, first, 2400) > LOUD);
    world.close();
}

#[test]
fn a_re_invite_may_change_the_law_in_the_middle_of_a_word() {
    let (mut world, first, second) = pair(Setup::default());
    let before = world.phone(first).mouth.codec;
    world.phone_mut(first).codecs = vec![Codec::Mu];
    assert!(world.reinvite(first, Some("sendrecv")));
    world.seconds(1);
    assert_ne!(world.phone(first).mouth.codec, before);
    let when = listen(&mut world, Duration::from_secs(1));
    assert!(world.phone(first).ear.packets.last().is_some_and(|packet| packet.payload_type == 0));
    assert!(
        world.phone(first).ear.level(2400, &when) > LOUD && world.phone(second).ear.level(2100, &when) > LOUD
    );
    assert_eq!(world.phone(first).ear.streams().len(), 1);
    world.close();
}

#[test]
fn a_re_invite_without_sdp_is_offered_what_holds() {
    let (mut world, first, _) = pair(Setup::default());
    world.reinvite(first, None);
    world.seconds(1);
    assert_eq!(world.phone(first).line, Line::Up);
    assert!(hears(&mut world, first, 2400) > LOUD);
    world.close();
}

#[test]
fn media_follows_a_new_address_and_the_old_one_is_a_stranger() {
    let (mut world, first, second) = pair(Setup::default());
    let old = world.phone(first).rtp;
    let bridge = world.phone(first).remote.expect("it is up");
    world.move_phone(first, 19_000);
    world.reinvite(first, Some("sendrecv"));
    world.run(Duration::from_millis(100));
    let moved = listen(&mut world, Duration::from_secs(1));
    assert!(world.phone(first).ear.level(2400, &moved) > LOUD, "the RTP goes to the new port");
    assert!(world.phone(second).ear.level(2100, &moved) > LOUD, "and is taken from there");
    assert!(world.phone(first).ear.longest_step() <= 3 + 5, "{}", world.phone(first).ear.longest_step());
    shout(&mut world, old, bridge, 2700);
    assert!(hears(&mut world, second, 2700) < QUIET, "the old port is nobody's any more");
    world.close();
}

/// Somebody sends a tone to a media port of the bridge for the next second.
fn shout(world: &mut World, from: SocketAddr, to: SocketAddr, tone: u32) {
    let mut mouth = Mouth::new(0xBAD, Sound::Tone(tone));
    for beat in 0..50 {
        for bytes in mouth.beat() {
            world.after(Duration::from_millis(20 * beat), move |world| world.send_media(from, to, bytes));
        }
    }
}

#[test]
fn rtp_from_a_stranger_is_not_heard_neither_at_the_beginning_nor_later() {
    let mut world = World::new(Setup::default());
    let second = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER), SAM);
    let stranger = SocketAddr::from(([127, 0, 0, 9], 6666));
    let neighbour = SocketAddr::from(([127, 0, 0, 2], 6666));
    let first = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2100));
    world.run(Duration::from_millis(5));
    for port in (20_000..20_020).step_by(2) {
        shout(&mut world, stranger, SocketAddr::from(([127, 0, 0, 1], port)), 2700);
        shout(&mut world, neighbour, SocketAddr::from(([127, 0, 0, 1], port)), 2900);
    }
    crate::cast::answered(&mut world, first);
    world.press(first, SAM);
    world.until("in the meeting", Duration::from_secs(5), |world| participants(world, SAM) == 2);
    let bridge = world.phone(first).remote.expect("it is up");
    shout(&mut world, stranger, bridge, 2700);
    shout(&mut world, neighbour, bridge, 2900);
    world.run(Duration::from_millis(300));
    let when = listen(&mut world, Duration::from_millis(600));
    let ear = &world.phone(second).ear;
    assert!(ear.level(2100, &when) > LOUD);
    assert!(ear.level(2700, &when) < QUIET && ear.level(2900, &when) < QUIET, "SDP's address exactly");
    world.hang_up(first);
    world.hang_up(second);
    world.seconds(1);
    let page = world.metrics.page();
    let counted = page.lines().find_map(|line| line.strip_prefix("partyline_rtp_packets_stranger_total "));
    assert!(
        counted.and_then(|count| count.parse::<u64>().ok()).is_some_and(|count| count >= 100),
        "{counted:?}"
    );
    world.close();
}

#[test]
fn a_dead_call_s_packets_never_reach_the_next_call_on_its_port() {
    let mut world = World::new(Setup { ports: "20000-20003", ..Setup::default() });
    let witness = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER), SAM);
    let dead = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2700), SAM);
    let (from, bridge) = (world.phone(dead).rtp, world.phone(dead).remote.expect("it is up"));
    world.hang_up(dead);
    world.run(Duration::from_millis(100));
    for second in 0..8 {
        world.after(Duration::from_secs(second), move |world| shout(world, from, bridge, 2700));
    }
    let next = join(&mut world, &Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2100), SAM);
    assert_eq!(world.phone(next).remote, Some(bridge), "the port had to be used again");
    let when = listen(&mut world, Duration::from_secs(1));
    let ear = &world.phone(witness).ear;
    assert!(ear.level(2100, &when) > LOUD && ear.level(2700, &when) < QUIET);
    let third = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER));
    world.seconds(1);
    assert!(matches!(world.phone(third).line, Line::Failed { status: 503, .. }), "no port is left");
    world.close();
}

#[test]
fn a_leg_that_sends_nothing_for_thirty_seconds_is_hung_up() {
    let (mut world, first, second) = pair(Setup::default());
    world.phone_mut(first).mouth.sound = Sound::Nothing;
    world.seconds(29);
    assert_eq!(world.phone(first).line, Line::Up);
    world.seconds(2);
    let Line::Over { by_bridge: true, reason } = &world.phone(first).line else { panic!("still up") };
    assert!(reason.starts_with("Q.850;cause=102"), "{reason}");
    assert_eq!(world.phone(second).line, Line::Up);
    assert_eq!(world.finals()[0]["end"]["ended_by"], "network");
    world.close();
}

#[test]
fn comfort_noise_and_hold_are_no_silence() {
    let (mut world, first, second) = pair(Setup::default());
    world.phone_mut(first).mouth.sound = Sound::ComfortNoise;
    world.reinvite(second, Some("inactive"));
    world.phone_mut(second).mouth.sound = Sound::Nothing;
    world.seconds(75);
    assert_eq!((&world.phone(first).line, &world.phone(second).line), (&Line::Up, &Line::Up));
    world.reinvite(second, Some("sendrecv"));
    world.seconds(25);
    assert_eq!(world.phone(second).line, Line::Up, "the thirty seconds begin with the resume");
    world.seconds(10);
    assert!(world.phone(second).is_over());
    world.close();
}

#[test]
fn a_key_counts_once_however_it_is_sent() {
    for style in KeyStyle::ALL {
        let mut world = World::new(Setup::default());
        let phone = world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2100));
        world.seconds(1);
        world.phone_mut(phone).mouth.keys = style;
        world.press(phone, "300000004");
        world.seconds(4);
        assert_eq!(participants(&world, "300000004"), 1, "{style:?}");
        world.hang_up(phone);
        world.seconds(1);
        assert_eq!(world.finals()[0]["end"]["keys_pressed"], 9, "{style:?}");
        world.close();
    }
}

#[test]
fn every_leg_sends_reports() {
    let (mut world, first, second) = pair(Setup::default());
    world.seconds(11);
    for phone in [first, second] {
        assert!(world.phone(phone).ear.rtcp >= 2, "at least every five seconds");
    }
    world.close();
}

#[test]
fn the_guard_is_installed_and_armed_while_the_simulation_ticks() {
    let (world, _, _) = pair(Setup::default());
    assert!(guard::installed(), "main.rs installs the allocator");
    assert!(world.shards.iter().all(|shard| shard.shard.ticks() > 100));
    world.close();
}

/// The other half of the proof: in a process of its own, a tick that allocates ends the process.
#[test]
fn a_tick_that_allocates_ends_the_process() {
    const CHILD: &str = "PARTYLINE_SIM_CANARY";
    if std::env::var_os(CHILD).is_some() {
        let sabotage = Some(mixer::Sabotage::AllocateInTick);
        let (world, _, _) = pair(Setup { sabotage, ..Setup::default() });
        world.close();
        return;
    }
    let own = std::env::current_exe().expect("this program");
    let test = "media::a_tick_that_allocates_ends_the_process";
    let child =
        std::process::Command::new(own).args(["--exact", test]).env(CHILD, "1").output().expect("a child");
    let said = String::from_utf8_lossy(&child.stderr);
    assert_eq!(child.status.success(), !guard::COMPILED_IN, "{said}");
    assert!(!guard::COMPILED_IN || said.contains("inside Conference::tick"), "{said}");
}

#[test]
fn a_broken_mix_would_be_noticed() {
    let sabotage = Some(mixer::Sabotage::AddSelfBack);
    let (mut world, first, _) = pair(Setup { sabotage, ..Setup::default() });
    assert!(hears(&mut world, first, 2100) > LOUD, "who breaks the mix hears himself");
    world.close();
}

#[test]
fn a_stalled_media_thread_skips_and_goes_on() {
    let (mut world, first, second) = pair(Setup::default());
    world.stall(0, Duration::from_millis(300));
    world.stall(1, Duration::from_millis(300));
    world.seconds(1);
    assert!(hears(&mut world, first, 2400) > LOUD && hears(&mut world, second, 2100) > LOUD);
    assert!(world.phone(first).ear.longest_step() >= 10, "the lost ticks show in the timestamps");
    world.close();
}

#[test]
fn commands_that_find_a_ring_full_are_kept_and_come_in_order() {
    let setup = Setup { ring: 1, command_delay: Duration::from_millis(30), ..Setup::default() };
    let mut world = World::new(setup);
    let phones: Vec<PhoneId> =
        (0..6).map(|n| world.call(&Caller::to(OPERATOR, OPERATOR_NUMBER).tone(2100 + 100 * n))).collect();
    world.seconds(2);
    for &phone in &phones {
        world.press(phone, SAM);
    }
    world.until("all are in the meeting", Duration::from_secs(20), |world| participants(world, SAM) == 6);
    world.seconds(3);
    assert!(world.shards.iter().any(|shard| shard.most_held > 3), "the rings were full");
    assert!(hears(&mut world, phones[0], 2200) > LOUD);
    world.close();
}
