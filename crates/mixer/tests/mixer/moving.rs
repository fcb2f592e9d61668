//! Legs that move: between conferences, and between two shards whose ticks have different phases.

use std::time::Duration;

use mixer::{
    Command, ConferenceId, Direction, G711, LegId, PHASES, Phases, Report, Shard, ShardConfig, TICK,
};

use crate::phone::{Phone, ROOM, TestSeat, World, epoch, seat};

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
fn a_leg_moves_between_the_phases_of_a_shard_with_the_same_ssrc_and_at_most_two_ticks_lost() {
    let start = epoch();
    let mut shard = Shard::new(ShardConfig::default());
    for room in 1..=PHASES as u64 {
        shard.apply(start, Command::Open { conference: ConferenceId(room), seats: 2 });
    }
    let phases: Vec<_> = (1..=PHASES as u64).map(|room| shard.phase_of(ConferenceId(room))).collect();
    assert_eq!(phases, [Some(0), Some(1), Some(2), Some(3)], "a conference for each group");
    shard.apply(start, Command::Seat { conference: ROOM, seat: seat(1, G711::Pcma) });
    let mut clock = Phases::new(start, 3);
    let mut phone = Phone::with_tone(1, G711::Pcma, 450.0);
    let mut sent_at = Vec::new();
    let mut room = 1;
    for step in 0..4_000_usize {
        let now = clock.deadline();
        if step % PHASES == 0 {
            let spoken = phone.speak();
            shard.seat_mut(LegId(1)).expect("it sits somewhere").leg.ingress_rtp(now, &spoken);
        }
        // At any place among the phases, to a room of any other phase.
        if step % 37 == 36 {
            room = (room - 1 + 1 + step / 37 % (PHASES - 1)) % PHASES + 1;
            shard.apply(now, Command::Move { leg: LegId(1), to: ConferenceId(room as u64) });
        }
        let (phase, deadline) = clock.due(now).expect("one is due");
        let egress = |seat: &mut TestSeat| {
            if let Some(packet) = seat.leg.egress() {
                phone.listen(packet);
                sent_at.push(now);
            }
        };
        shard.phase(phase, deadline, |_| {}, egress);
    }
    let moves = 4_000 / 37;
    assert!(phone.arrived.len() >= 1_000 - 2 * moves, "{} of 1000 ticks", phone.arrived.len());
    for (pair, at) in phone.arrived.windows(2).zip(sent_at.windows(2)) {
        assert_eq!(pair[1].ssrc, pair[0].ssrc);
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1), "the sequence continues");
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert!((160..=480).contains(&step), "the timestamp goes on with the media clock: {step}");
        assert!(at[1] - at[0] <= 3 * TICK, "at most two ticks lost");
    }
    assert_eq!(shard.stray_commands(), 0);
}

#[test]
fn new_conferences_go_to_the_group_with_the_fewest_legs_and_stay_there() {
    let start = epoch();
    let mut shard = Shard::new(ShardConfig::default());
    let room = ConferenceId;
    for id in 1..=5 {
        shard.apply(start, Command::Open { conference: room(id), seats: 8 });
    }
    assert_eq!(shard.phase_of(room(5)), Some(0), "round and round while nobody sits");
    // Three legs in the group of rooms 1 and 5, two in the next one, one in the third.
    for (leg, conference) in [(1, 1), (2, 5), (3, 5), (4, 2), (5, 2), (6, 3)] {
        shard.apply(start, Command::Seat { conference: room(conference), seat: seat(leg, G711::Pcmu) });
    }
    shard.apply(start, Command::Open { conference: room(6), seats: 8 });
    assert_eq!(shard.phase_of(room(6)), Some(3));
    for leg in 10..20 {
        shard.apply(start, Command::Seat { conference: room(6), seat: seat(leg, G711::Pcmu) });
    }
    assert_eq!(shard.phase_of(room(6)), Some(3), "whoever joins");
    shard.apply(start, Command::Open { conference: room(7), seats: 8 });
    assert_eq!(shard.phase_of(room(7)), Some(2));
    // What leaves counts no more, and the others of its group are still found.
    shard.apply(start, Command::Close { conference: room(1) });
    shard.apply(start, Command::Remove { leg: LegId(2) });
    shard.apply(start, Command::Move { leg: LegId(3), to: room(6) });
    assert_eq!((shard.phase_of(room(1)), shard.phase_of(room(5))), (None, Some(0)));
    shard.apply(start, Command::Open { conference: room(8), seats: 8 });
    assert_eq!(shard.phase_of(room(8)), Some(0));
    let mut seen = 0;
    shard.phase(3, start, |_| seen += 1, |_| {});
    assert_eq!(seen, 11);
    assert_eq!(shard.stray_commands(), 0);
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
    world.apply(Command::PauseTap { conference: LOBBY, paused: true });
    world.apply(Command::Open { conference: ROOM, seats: 1 });
    world.run(1);
    assert_eq!(world.shard.stray_commands(), 7);
    assert_eq!(world.shard.conferences().count(), 1, "opening twice changes nothing");
}
