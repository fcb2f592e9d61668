//! What arrives: started and silent media, hold, changed streams, strangers' payload types, RTCP.

use std::time::{Duration, UNIX_EPOCH};

use mixer::{Command, Direction, FRAME, G711, Ingress, LegId, LegStats, Ptime, Report, ShardConfig};

use crate::phone::{Phone, ROOM, World, rtp, seat};

fn two() -> World {
    let mut world = World::new(ShardConfig::default());
    world.join(Phone::with_tone(0, G711::Pcmu, 450.0));
    world.join(Phone::new(1, G711::Pcmu));
    world
}

fn stats(world: &mut World) -> LegStats {
    world.shard.seat_mut(LegId(0)).expect("seated").leg.stats()
}

/// The longest run of ticks in which phone 1 heard nothing of phone 0.
fn longest_gap(world: &World) -> usize {
    let heard: Vec<bool> =
        world.phones[1].heard.chunks(FRAME / 2).map(|half| half.iter().any(|s| s.abs() > 1_500)).collect();
    let first = heard.iter().position(|heard| *heard).expect("something was heard");
    heard[first..].split(|heard| *heard).map(<[bool]>::len).max().unwrap_or(0) * 10
}

#[test]
fn media_starts_with_the_first_packet_and_is_reported_once() {
    let mut world = two();
    world.tick();
    assert!(world.reports.is_empty());
    world.run(5);
    let started: Vec<_> = world.reports.iter().filter(|r| matches!(r, Report::MediaStarted { .. })).collect();
    assert_eq!(started.len(), 2);
}

#[test]
fn silence_is_reported_once_after_the_configured_time_and_not_on_hold() {
    let mut world = two();
    world.run(5);
    let silent = |world: &World, leg: u64| {
        let of = |r: &&Report<()>| matches!(r, Report::MediaSilent { leg: LegId(l), .. } if *l == leg);
        world.reports.iter().filter(of).count()
    };
    world.apply(Command::Direction { leg: LegId(1), direction: Direction::SendOnly });
    (0..29 * 50).for_each(|_| world.tick());
    assert_eq!(silent(&world, 0), 0);
    (0..60 * 50).for_each(|_| world.tick());
    assert_eq!((silent(&world, 0), silent(&world, 1)), (1, 0));
    world.run(2);
    assert!(world.reports.iter().any(|r| matches!(r, Report::MediaResumed { leg: LegId(0) })));
    world.apply(Command::Direction { leg: LegId(1), direction: Direction::SendRecv });
    (0..29 * 50).for_each(|_| world.tick());
    assert_eq!(silent(&world, 1), 0, "the time on hold does not count");
}

#[test]
fn a_leg_that_never_sends_is_silent_too_and_rtcp_keeps_it_alive() {
    let mut world = two();
    for second in 0..60 {
        (0..50).for_each(|_| world.tick());
        let now = world.now;
        let report = seat(9, G711::Pcmu).leg.goodbye().expect("in the clear");
        let leg = &mut world.shard.seat_mut(LegId(1)).expect("seated").leg;
        assert_eq!(leg.ingress_rtp(now, &report), Ingress::Rtcp, "muxed, second {second}");
    }
    let silent =
        |leg: u64| move |r: &Report<()>| matches!(r, Report::MediaSilent { leg: LegId(l), .. } if *l == leg);
    assert!(world.reports.iter().any(silent(0)));
    assert!(!world.reports.iter().any(silent(1)));
}

#[test]
fn on_hold_nothing_is_sent_or_taken_and_the_stream_goes_on_afterwards() {
    let mut world = two();
    world.run(20);
    world.apply(Command::Direction { leg: LegId(0), direction: Direction::Inactive });
    world.run(50);
    assert_eq!(world.phones[0].arrived.len(), 20);
    assert!(world.phones[1].hears(450.0, 4_000) < 30.0);
    world.apply(Command::Direction { leg: LegId(0), direction: Direction::SendRecv });
    world.run(50);
    assert!(world.phones[1].hears(450.0, 4_000) > 3_700.0);
    let arrived = &world.phones[0].arrived;
    let (before, after) = (&arrived[19], &arrived[20]);
    assert_eq!(after.sequence, before.sequence.wrapping_add(1));
    assert_eq!(after.timestamp, before.timestamp.wrapping_add(51 * 160), "the clock went on");
    assert!(after.marker);
    assert_eq!(stats(&mut world).ingress.on_hold, 50);
}

#[test]
fn the_other_law_is_taken_on_the_fly_and_an_unknown_payload_type_is_dropped_and_counted() {
    let mut world = two();
    world.run(20);
    world.phones[0].codec = G711::Pcma;
    world.run(1);
    let stray = rtp(96, false, 1, 2, 3, &[0; 160]);
    world.deliver(0, &stray);
    world.deliver(0, b"not RTP at all");
    world.phones[0].codec = G711::Pcmu; // it still hears mu-law
    world.phones[0].heard.clear();
    world.run(50);
    assert_eq!(longest_gap(&world), 0);
    let stats = stats(&mut world);
    assert_eq!((stats.ingress.unknown_payload_type, stats.ingress.malformed), (1, 1));
}

#[test]
fn a_changed_ssrc_makes_a_gap_of_at_most_60_ms() {
    for (packet, pause) in [(80, 0), (160, 0), (240, 0), (480, 0), (160, 1)] {
        let mut world = two();
        world.phones[0].packet = packet;
        world.run(100);
        world.phones[0].ssrc = 0xdead_0000;
        world.phones[0].sequence = 40_000;
        world.phones[0].timestamp = 77;
        (0..pause).for_each(|_| world.tick());
        world.run(100);
        let gap = longest_gap(&world);
        assert!(gap <= 60 + pause * 20, "{gap} ms with packets of {packet} samples");
        assert_eq!(stats(&mut world).ingress.stream_changes, 1);
        assert!(world.phones[1].hears(450.0, 4_000) > 3_700.0);
    }
}

#[test]
fn a_timestamp_jump_or_a_sequence_that_starts_over_makes_a_gap_of_at_most_60_ms() {
    for (name, sequence, timestamp) in [
        ("timestamp forward", 0_u16, 1_000_000_u32),
        ("timestamp back", 0, 4_000_000_000),
        ("sequence forward", 20_000, 0),
        ("sequence back", 65_000, 0),
        ("both", 30_000, 123_456_789),
    ] {
        let mut world = two();
        world.run(100);
        let phone = &mut world.phones[0];
        phone.sequence = phone.sequence.wrapping_add(sequence);
        phone.timestamp = phone.timestamp.wrapping_add(timestamp);
        world.run(100);
        let gap = longest_gap(&world);
        assert!(gap <= 60, "{name}: {gap} ms");
        assert!(world.phones[1].hears(450.0, 4_000) > 3_700.0, "{name}");
    }
}

#[test]
fn any_packet_time_is_played_without_a_gap_also_when_it_changes_in_mid_call() {
    let mut world = two();
    for packet in [80, 160, 240, 320, 400, 480, 80, 480, 160] {
        world.phones[0].packet = packet;
        world.run(150);
    }
    // The tone never pauses; a longer packet time may cost one adjustment.
    assert!(longest_gap(&world) <= 60, "{}", longest_gap(&world));
    let stats = stats(&mut world);
    assert!(stats.playout.concealed < Duration::from_millis(400), "{:?}", stats.playout);
    assert_eq!((stats.lost, stats.playout.late, stats.playout.restarts), (0, 0, 0));
}

#[test]
fn our_packets_carry_what_the_peer_wishes() {
    for (ptime, frames) in [(Ptime::Ms20, 1), (Ptime::Ms40, 2), (Ptime::Ms60, 3)] {
        let mut world = two();
        let mut media = world.shard.seat_mut(LegId(1)).expect("seated").leg.config().media;
        media.ptime = ptime;
        world.apply(Command::Reconfigure { leg: LegId(1), media });
        world.run(60);
        let arrived = &world.phones[1].arrived;
        assert_eq!(arrived.len(), 60 / frames);
        assert!(arrived.iter().all(|packet| packet.payload.len() == frames * FRAME));
        assert!(world.phones[1].hears(450.0, 4_000) > 3_700.0);
    }
}

#[test]
fn comfort_noise_is_a_pause_and_speech_resumes_without_loss_or_click() {
    let mut world = two();
    world.run(50);
    for _ in 0..10 {
        // RFC 3389: a comfort-noise packet now and then, timestamps go on with the clock, sequence numbers do not.
        let phone = &mut world.phones[0];
        let noise = rtp(13, false, phone.sequence, phone.timestamp, phone.ssrc, &[60]);
        phone.sequence = phone.sequence.wrapping_add(1);
        phone.timestamp = phone.timestamp.wrapping_add(10 * 160);
        world.deliver(0, &noise);
        (0..10).for_each(|_| world.tick());
    }
    let quiet = &world.phones[1].heard[world.phones[1].heard.len() - 8_000..];
    assert!(quiet.iter().all(|sample| *sample == 0), "the talker is gone within a second");
    world.run(50);
    assert!(world.phones[1].hears(450.0, 6_400) > 3_700.0);
    let stats = stats(&mut world);
    assert_eq!((stats.ingress.comfort_noise, stats.lost, stats.playout.restarts), (10, 0, 0));
}

#[test]
fn reports_are_sent_every_five_seconds_on_hold_too_and_say_what_was_lost() {
    let mut world = two();
    let mut reports = Vec::new();
    for second in 0..20 {
        world.run(25);
        world.phones[0].speak(); // lost on the way
        world.run(25);
        if second == 10 {
            world.apply(Command::Direction { leg: LegId(0), direction: Direction::Inactive });
        }
        let (now, wall) = (world.now, UNIX_EPOCH + Duration::from_secs(second));
        let leg = &mut world.shard.seat_mut(LegId(0)).expect("seated").leg;
        reports.extend(leg.egress_rtcp(now, wall).map(|packet| (second, packet)));
    }
    assert!(reports.len() >= 4);
    assert!(reports.windows(2).all(|pair| pair[1].0 - pair[0].0 <= 5));
    for (_, packet) in &reports {
        assert_eq!(packet[1], 200, "a sender report first");
        assert_eq!(packet[0] & 0x1f, 1, "with one block");
        assert!(packet.windows(18).any(|text| text == b"bridge@example.org"));
    }
    let lost = &reports.last().expect("reports").1[33..36];
    assert!(lost[2] >= 9, "{lost:?}");
}

#[test]
fn the_demo_of_a_thousand_ticks_stays_within_its_reports() {
    // Reports that nobody collects wait in the legs; nothing is lost but digits beyond the bound, and nothing grows in the tick.
    let mut world = World::new(ShardConfig { seats: 0, ..ShardConfig::default() });
    world.apply(Command::Seat { conference: ROOM, seat: seat(0, G711::Pcmu) });
    for n in 0..1_000_u32 {
        let now = world.now;
        let leg = &mut world.shard.seat_mut(LegId(0)).expect("seated").leg;
        leg.ingress_rtp(
            now,
            &rtp(crate::phone::EVENT, true, n as u16, n * 1_600, 5, &[(n % 10) as u8, 10, 0, 160]),
        );
        world.now += mixer::TICK;
        world.shard.tick(world.now);
    }
    let collect = |world: &mut World| {
        let reports = std::iter::from_fn(|| world.shard.poll_report());
        reports.filter(|report| !matches!(report, Report::Spent(_))).count() as u64
    };
    let reported = collect(&mut world);
    world.shard.tick(world.now + mixer::TICK);
    let waited = collect(&mut world);
    assert_eq!(reported + waited + stats(&mut world).dropped_digits, 1_001);
    assert_eq!(stats(&mut world).dropped_events, 0, "the first packet was reported");
}
