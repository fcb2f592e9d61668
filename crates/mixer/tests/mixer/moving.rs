//! Legs that move: between conferences, and between two shards whose ticks have different phases.

use std::time::Duration;

use mixer::{Command, ConferenceId, Direction, G711, LegId, Report, Shard, ShardConfig, TICK};

use crate::phone::{Phone, ROOM, World, epoch, seat};

const LOBBY: ConferenceId = ConferenceId(2);

#[test]
fn a_leg_that_moves_keeps_its_stream_and_hears_its_new_conference() {
    let mut world = World::new(ShardConfig::default());
    world.apply(Command::Open { conference: LOBBY, seats: 2 });
    world.join(Phone::with_tone(0, G711::Pcmu, 450.0));
    world.join(Phone::with_tone(1, G711::Pcmu, 1_050.0));
    world.run(50);
    world.apply(Command::Move { leg: LegId(0), to: LOBBY });
    world.run(50);
    assert!(world.phones[1].hears(450.0, 6_000) < 30.0);
    world.apply(Command::Move { leg: LegId(0), to: ROOM });
    world.run(50);
    assert!(world.phones[1].hears(450.0, 6_000) > 3_700.0);
    let arrived = &world.phones[0].arrived;
    assert_eq!(arrived.len(), 150);
    for pair in arrived.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(160));
        assert_eq!(pair[1].ssrc, pair[0].ssrc);
    }
    world.apply(Command::Move { leg: LegId(0), to: ConferenceId(77) });
    world.run(1);
    assert!(matches!(world.reports.last(), Some(Report::Returned { leg: LegId(0), .. })), "nowhere to sit");
}

/// Two shards, the second one's ticks `phase` later; a leg moves from one to the other again and again.
fn move_between_shards(phase: Duration) {
    let start = epoch();
    let mut shards = [Shard::new(ShardConfig::default()), Shard::new(ShardConfig::default())];
    let mut phone = Phone::with_tone(1, G711::Pcma, 450.0);
    let mut listeners = [Phone::new(2, G711::Pcmu), Phone::new(3, G711::Pcmu)];
    for (number, shard) in shards.iter_mut().enumerate() {
        shard.apply(start, Command::Open { conference: ROOM, seats: 4 });
        shard.apply(start, Command::Seat { conference: ROOM, seat: seat(2 + number as u64, G711::Pcmu) });
    }
    shards[0].apply(start, Command::Seat { conference: ROOM, seat: seat(1, G711::Pcma) });
    let mut at = 0;
    let mut sent_at = Vec::new();
    for tick in 0..400_u32 {
        let deadline = start + TICK * tick;
        let spoken = phone.speak();
        if let Some(seat) = shards[at].seat_mut(LegId(1)) {
            seat.leg.ingress_rtp(deadline, &spoken);
        }
        for (number, shard) in shards.iter_mut().enumerate() {
            let now = deadline + phase * number as u32;
            shard.tick(now);
            for listener in &mut listeners {
                if let Some(packet) = shard.seat_mut(listener.leg).and_then(|seat| seat.leg.egress()) {
                    listener.listen(packet);
                }
            }
            if let Some(packet) = shard.seat_mut(LegId(1)).and_then(|seat| seat.leg.egress()) {
                phone.listen(packet);
                sent_at.push(now);
            }
        }
        if tick % 50 == 49 {
            // By value, through control: removed here, seated there.
            shards[at].apply(deadline, Command::Remove { leg: LegId(1) });
            let returned = std::iter::from_fn(|| shards[at].poll_report()).find_map(|report| match report {
                Report::Returned { seat, .. } => Some(seat),
                _ => None,
            });
            at = 1 - at;
            let seat = returned.expect("the leg came back");
            shards[at].apply(deadline, Command::Seat { conference: ROOM, seat });
        }
    }
    assert!(phone.arrived.len() >= 400 - 2 * 8, "{} of 400 ticks", phone.arrived.len());
    for (pair, at) in phone.arrived.windows(2).zip(sent_at.windows(2)) {
        assert_eq!(pair[1].ssrc, pair[0].ssrc);
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1), "the sequence continues");
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert!((160..=480).contains(&step), "the timestamp goes on with the media clock: {step}");
        assert!(at[1] - at[0] <= 3 * TICK, "at most two ticks lost");
    }
    for listener in &listeners {
        assert!(
            listener.heard.iter().filter(|sample| sample.abs() > 2_000).count() > 8_000,
            "it was heard on both sides"
        );
    }
}

#[test]
fn a_leg_moves_between_two_shards_with_the_same_ssrc_and_at_most_two_ticks_lost() {
    for millis in [0, 3, 7, 10, 13, 19] {
        move_between_shards(Duration::from_millis(millis));
    }
}

#[test]
fn a_leg_is_seated_once() {
    let mut world = World::new(ShardConfig::default());
    world.join(Phone::new(1, G711::Pcmu));
    world.apply(Command::Seat { conference: ROOM, seat: seat(1, G711::Pcmu) });
    world.run(1);
    assert_eq!((world.shard.len(), world.shard.stray_commands()), (1, 1));
    assert!(matches!(world.reports[0], Report::Returned { leg: LegId(1), .. }));
}

#[test]
fn commands_for_strangers_are_counted_and_harmless() {
    let mut world = World::new(ShardConfig::default());
    let leg = LegId(5);
    world.apply(Command::Remove { leg });
    world.apply(Command::Move { leg, to: ROOM });
    world.apply(Command::Mute { leg, muted: true });
    world.apply(Command::Direction { leg, direction: Direction::Inactive });
    world.apply(Command::Stop { leg });
    world.apply(Command::Close { conference: LOBBY });
    world.apply(Command::Open { conference: ROOM, seats: 1 });
    world.run(1);
    assert_eq!(world.shard.stray_commands(), 6);
    assert_eq!(world.shard.conferences().len(), 1, "opening twice changes nothing");
}
