//! What a conference says, tapped for a recorder.

use mixer::{Command, ConferenceId, G711, Report, ShardConfig, Tap};

use crate::phone::{Phone, ROOM, World, amplitude};

#[test]
fn a_tap_gets_every_tick_of_what_all_say_until_it_is_taken_off() {
    let mut world = World::new(ShardConfig::default());
    world.join(Phone::with_tone(0, G711::Pcmu, 450.0));
    world.join(Phone::with_tone(1, G711::Pcma, 1_050.0));
    world.run(50);
    let (tap, mut frames) = Tap::new(100);
    world.apply(Command::Tap { conference: ROOM, tap });
    world.run(100);
    world.apply(Command::Untap { conference: ROOM });
    world.run(5);
    let mut pcm = Vec::new();
    for number in 0..100 {
        let tapped = frames.pop().expect("a frame for each tick");
        assert_eq!(tapped.number, number);
        pcm.extend_from_slice(tapped.frame.samples());
    }
    assert!(frames.pop().is_err());
    for hertz in [450.0, 1_050.0] {
        assert!(amplitude(&pcm[8_000..], hertz) > 1_000.0, "{hertz} Hz");
    }
    assert!(matches!(world.reports.last(), Some(Report::Untapped { conference: ROOM, .. })));
    // The box is still with the test's reports; when it goes, the other end learns of it.
    world.reports.clear();
    assert!(frames.is_abandoned());
}

#[test]
fn a_tap_comes_home_when_another_is_set_its_conference_ends_or_does_not_exist() {
    let mut world = World::new(ShardConfig::default());
    let came_home = |world: &mut World| {
        world.run(1);
        world.reports.drain(..).filter(|report| matches!(report, Report::Untapped { .. })).count()
    };
    let set = |world: &mut World, conference| {
        let (tap, frames) = Tap::new(10);
        world.apply(Command::Tap { conference, tap });
        frames
    };
    let first = set(&mut world, ROOM);
    assert_eq!(came_home(&mut world), 0);
    let second = set(&mut world, ROOM);
    assert_eq!(came_home(&mut world), 1);
    let _third = set(&mut world, ConferenceId(99));
    assert_eq!(came_home(&mut world), 1);
    world.apply(Command::Close { conference: ROOM });
    assert_eq!(came_home(&mut world), 1);
    assert!(first.is_abandoned() && second.is_abandoned());
}
