//! What only some hear: whispers to one leg, and legs that only a few hear; and what our packets say of how loud they are.

use bytes::Bytes;
use mixer::{Audience, CONFIDANTS, Command, ConferenceId, G711, LegId, Report, ShardConfig};
use rtc_shared::marshal::Unmarshal as _;

use crate::phone::{Phone, ROOM, World, seat, tone_clip};

/// Samples in half a second.
const LATELY: usize = 4_000;

/// Three who speak, each with a tone of his own, and one who listens.
const TONES: [f64; 3] = [600.0, 1_000.0, 1_400.0];

fn four() -> World {
    let mut world = World::new(ShardConfig::default());
    for (leg, hertz) in TONES.into_iter().enumerate() {
        world.join(Phone::with_tone(leg as u64, G711::Pcmu, hertz));
    }
    world.join(Phone::new(3, G711::Pcma));
    world.run(20);
    world
}

/// Who hears a tone.
fn hearers(world: &World, hertz: f64) -> Vec<u64> {
    let hears = |phone: &&Phone| {
        let heard = phone.hears(hertz, LATELY);
        assert!(!(100.0..=3_700.0).contains(&heard), "{} hears {hertz} Hz at {heard}", phone.leg);
        heard > 3_700.0
    };
    world.phones.iter().filter(hears).map(|phone| phone.leg.0).collect()
}

#[test]
fn a_whisper_is_heard_by_one_over_what_he_hears_and_by_nobody_else() {
    let mut world = four();
    world.apply(Command::Whisper { leg: LegId(3), clip: tone_clip(8, 2_400.0, 50) });
    world.run(49);
    assert_eq!(hearers(&world, 2_400.0), [3]);
    assert_eq!(hearers(&world, TONES[0]), [1, 2, 3], "the others are still heard");
    world.run(40);
    assert_eq!(hearers(&world, 2_400.0), [0; 0]);
    let home = |report: &Report<()>| matches!(report, Report::ClipEnded { token: 8, finished: true, .. });
    assert!(world.reports.iter().any(home));
}

#[test]
fn a_coach_is_heard_by_his_audience_alone_hears_all_and_may_be_heard_by_all_again() {
    let mut world = four();
    let audience = Audience::new(&[LegId(1)]);
    assert!(audience.is_some());
    world.apply(Command::Audience { leg: LegId(0), audience });
    world.run(50);
    assert_eq!(hearers(&world, TONES[0]), [1]);
    assert_eq!(hearers(&world, TONES[1]), [0, 2, 3]);
    assert_eq!(hearers(&world, TONES[2]), [0, 1, 3]);
    let listed = |world: &World, phone: usize| {
        world.phones[phone].arrived.last().is_some_and(|packet| packet.csrcs.contains(&0xabc0))
    };
    assert_eq!([1, 2, 3].map(|phone| listed(&world, phone)), [true, false, false]);
    world.apply(Command::Audience { leg: LegId(0), audience: None });
    world.run(50);
    assert_eq!(hearers(&world, TONES[0]), [1, 2, 3]);
    assert_eq!(Audience::new(&[LegId(1); Audience::MAX + 1]), None);
}

#[test]
fn an_audience_that_leaves_takes_its_coach_s_voice_to_nobody_else() {
    let mut world = four();
    world.apply(Command::Audience { leg: LegId(0), audience: Audience::new(&[LegId(1)]) });
    world.run(20);
    world.apply(Command::Remove { leg: LegId(1) });
    world.phones.retain(|phone| phone.leg != LegId(1));
    world.run(50);
    assert_eq!(hearers(&world, TONES[0]), [0; 0]);
    assert_eq!(hearers(&world, TONES[2]), [0, 3]);
}

#[test]
fn so_many_may_have_an_audience_and_one_more_is_refused_and_never_heard_by_all_for_it() {
    let mut world = four();
    let audience = Audience::new(&[LegId(1)]);
    let refused = |world: &mut World| {
        let of = |report: Report<()>| match report {
            Report::AudienceRefused { leg } => Some(leg.0),
            _ => None,
        };
        world.reports.drain(..).filter_map(of).collect::<Vec<_>>()
    };
    // As many others as may, silent ones.
    for leg in 10..10 + CONFIDANTS as u64 {
        world.join(Phone::new(leg, G711::Pcmu));
        world.apply(Command::Audience { leg: LegId(leg), audience });
    }
    world.run(1);
    assert_eq!(refused(&mut world), [0; 0]);
    world.apply(Command::Audience { leg: LegId(0), audience });
    world.run(50);
    assert_eq!(refused(&mut world), [0]);
    assert_eq!(hearers(&world, TONES[0]).len(), 3 + CONFIDANTS, "it is heard as before: by all");
    // One who comes with an audience from elsewhere.
    let lobby = ConferenceId(2);
    world.apply(Command::Open { conference: lobby, seats: 1 });
    world.apply(Command::Move { leg: LegId(2), to: lobby });
    world.apply(Command::Audience { leg: LegId(2), audience });
    world.run(10);
    world.apply(Command::Move { leg: LegId(2), to: ROOM });
    world.run(50);
    assert_eq!(refused(&mut world), [2]);
    assert_eq!(hearers(&world, TONES[2]), [0; 0], "what was meant for one reaches nobody");
    // Where another makes room it may have its own.
    world.apply(Command::Audience { leg: LegId(10), audience: None });
    world.apply(Command::Audience { leg: LegId(2), audience });
    world.run(50);
    assert_eq!((refused(&mut world), hearers(&world, TONES[2])), (vec![], vec![1]));
    world.apply(Command::Audience { leg: LegId(2), audience: None });
    world.run(50);
    assert_eq!(hearers(&world, TONES[2]).len(), 3 + CONFIDANTS);
    assert_eq!(world.shard.stray_commands(), 0);
}

/// The element of RFC 6464 in each packet that leaves, as another implementation reads it: voice, decibels below full scale.
#[test]
fn packets_say_how_loud_they_are_where_that_was_agreed_on() {
    let mut world = World::new(ShardConfig::default());
    world.join(Phone::with_tone(0, G711::Pcmu, 1_000.0));
    let mut listener = seat(1, G711::Pcma);
    let mut media = listener.leg.config().media;
    media.audio_level = Some(5);
    listener = Box::new(mixer::Seat {
        leg: mixer::Leg::new(mixer::LegConfig { media, ..listener.leg.config().clone() }),
        io: (),
    });
    world.apply(Command::Seat { conference: ROOM, seat: listener });
    let level = |world: &mut World| {
        let seat = world.shard.seat_mut(LegId(1)).expect("seated");
        let mut packet = Bytes::copy_from_slice(seat.leg.egress().expect("a packet"));
        let header = rtc_rtp::Packet::unmarshal(&mut packet).expect("RTP").header;
        let element = header.get_extension(5).expect("a level")[0];
        (element & 0x80 != 0, element & 0x7f)
    };
    world.tick();
    assert_eq!(level(&mut world), (false, 127), "silence");
    world.run(25);
    // A sine of 4000: 20 log (4000 / 1.414 / 32768) = -21.3 dB.
    assert_eq!(level(&mut world), (true, 21));
    let other = world.shard.seat_mut(LegId(0)).expect("seated").leg.egress().expect("a packet");
    assert_eq!(other[0] & 0x10, 0, "no extension where none was agreed on");
}
