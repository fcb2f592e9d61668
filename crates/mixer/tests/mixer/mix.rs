//! Who hears whom.

use mixer::{Command, ConferenceId, FRAME, G711, LegId, MixConfig, Report, Sabotage, ShardConfig};

use crate::phone::{Phone, ROOM, World, tone_clip};

const TONES: [f64; 3] = [450.0, 1_050.0, 1_700.0];
const SECOND: usize = 8_000;

/// Three phones with a tone each, two of one law and one of the other.
fn three_tones(config: ShardConfig) -> World {
    let mut world = World::new(config);
    for (leg, codec) in [(0, G711::Pcmu), (1, G711::Pcma), (2, G711::Pcmu)] {
        world.join(Phone::with_tone(leg, codec, TONES[leg as usize]));
    }
    world
}

#[test]
fn everyone_hears_exactly_the_others_and_nobody_himself() {
    let mut world = three_tones(ShardConfig::default());
    world.run(100);
    for (own, phone) in world.phones.iter().enumerate() {
        for (other, hertz) in TONES.into_iter().enumerate() {
            let heard = phone.hears(hertz, SECOND);
            if own == other {
                assert!(heard < 30.0, "{} hears himself at {heard}", phone.leg);
            } else {
                assert!((3_700.0..4_300.0).contains(&heard), "{} hears {hertz} Hz at {heard}", phone.leg);
            }
        }
    }
}

#[test]
fn the_sabotage_of_the_demo_is_heard() {
    let mix = MixConfig { sabotage: Some(Sabotage::AddSelfBack), ..MixConfig::default() };
    let mut world = three_tones(ShardConfig { mix, ..ShardConfig::default() });
    world.run(100);
    assert!(world.phones[0].hears(TONES[0], SECOND) > 3_000.0);
}

#[test]
fn the_same_packets_give_the_same_packets_bit_for_bit() {
    let sent = || {
        let mut world = three_tones(ShardConfig::default());
        world.run(50);
        world.phones.into_iter().map(|phone| phone.arrived).collect::<Vec<_>>()
    };
    assert_eq!(sent(), sent());
}

#[test]
fn a_packet_lists_those_who_are_heard_in_it() {
    let mut world = three_tones(ShardConfig::default());
    world.run(20);
    let last = |phone: usize| world.phones[phone].arrived.last().expect("a packet").csrcs.clone();
    assert_eq!(last(0), [0xabc1, 0xabc2]);
    assert_eq!(last(1), [0xabc0, 0xabc2]);
}

#[test]
fn our_stream_is_numbered_without_a_gap_and_timed_by_the_media_clock() {
    let mut world = three_tones(ShardConfig::default());
    world.run(30);
    let arrived = &world.phones[0].arrived;
    assert_eq!(arrived.len(), 30);
    for (n, packet) in arrived.iter().enumerate() {
        assert_eq!(packet.sequence, 65_530_u16.wrapping_add(n as u16));
        assert_eq!(packet.timestamp, 0xffff_ff00_u32.wrapping_add(n as u32 * FRAME as u32));
        assert_eq!((packet.ssrc, packet.marker, packet.payload_type), (0x1000, n == 0, 0));
    }
}

#[test]
fn a_leg_alone_hears_silence() {
    let mut world = World::new(ShardConfig::default());
    world.join(Phone::with_tone(0, G711::Pcmu, 440.0));
    world.run(50);
    assert_eq!(world.phones[0].heard, vec![0; 50 * FRAME]);
}

#[test]
fn all_listeners_on_the_same_codec_share_one_encode() {
    let mut world = World::new(ShardConfig::default());
    world.join(Phone::with_tone(0, G711::Pcmu, 440.0));
    (1..40).for_each(|leg| world.join(Phone::new(leg, if leg % 2 == 0 { G711::Pcmu } else { G711::Pcma })));
    world.run(10);
    let encodes = |world: &World| world.shard.conferences().map(mixer::Conference::encodes).sum::<u64>();
    let before = encodes(&world);
    world.run(100);
    assert_eq!(encodes(&world) - before, 3 * 100, "one per law for the listeners, one for the talker");
    assert!(world.phones[1..].iter().all(|phone| phone.hears(440.0, SECOND) > 3_700.0));
}

#[test]
fn only_the_loudest_are_heard_and_a_new_louder_one_takes_over() {
    let mix = MixConfig { talkers: 2, ..MixConfig::default() };
    let mut world = three_tones(ShardConfig { mix, ..ShardConfig::default() });
    world.join(Phone::new(3, G711::Pcmu));
    for (phone, amplitude) in [8_000.0, 4_000.0, 1_000.0].into_iter().enumerate() {
        world.phones[phone].tones[0].1 = amplitude;
    }
    world.run(100);
    let heard = |world: &World| TONES.map(|hertz| world.phones[3].hears(hertz, 4_000) > 500.0);
    assert_eq!(heard(&world), [true, true, false]);
    world.phones[2].tones[0].1 = 12_000.0;
    world.run(100);
    assert_eq!(heard(&world), [true, false, true]);
}

#[test]
fn a_muted_leg_is_not_heard_but_hears_and_is_heard_again() {
    let mut world = three_tones(ShardConfig::default());
    for (muted, expected) in [(true, false), (false, true)] {
        world.apply(Command::Mute { leg: LegId(1), muted });
        world.run(100);
        assert_eq!(world.phones[0].hears(TONES[1], SECOND) > 1_000.0, expected);
        assert!(world.phones[1].hears(TONES[0], SECOND) > 1_000.0);
    }
}

#[test]
fn a_prompt_replaces_the_mix_for_one_leg_and_comes_home() {
    let mut world = three_tones(ShardConfig::default());
    world.run(20);
    for token in [7, 8] {
        let clip = tone_clip(token, 2_400.0, 50);
        world.apply(Command::Play { leg: LegId(0), clip, interrupt: false });
    }
    world.run(100);
    assert!(world.phones[0].hears(2_400.0, SECOND) > 3_700.0);
    assert!(world.phones[0].hears(TONES[1], SECOND) < 30.0, "the mix is replaced");
    assert!(world.phones[1].hears(2_400.0, SECOND) < 30.0, "nobody else hears it");
    assert!(world.phones[1].hears(TONES[0], SECOND) > 3_700.0, "his voice is still heard");
    world.run(60);
    assert!(world.phones[0].hears(TONES[1], SECOND) > 3_700.0, "the mix is back");
    assert_eq!(ended(&world), [(7, true), (8, true)]);
}

/// Tokens of the clips that ended for a leg, and whether they were played to their end.
fn ended(world: &World) -> Vec<(u64, bool)> {
    let end = |report: &Report<()>| match report {
        Report::ClipEnded { token, finished, .. } => Some((*token, *finished)),
        _ => None,
    };
    world.reports.iter().filter_map(end).collect()
}

#[test]
fn a_prompt_is_interrupted_stopped_or_refused_and_always_comes_home() {
    let mut world = three_tones(ShardConfig::default());
    let play = |token, leg, interrupt| Command::Play {
        leg: LegId(leg),
        clip: tone_clip(token, 500.0, 50),
        interrupt,
    };
    world.apply(play(1, 0, false));
    world.apply(play(2, 0, false));
    world.run(5);
    world.apply(play(3, 0, true));
    world.run(5);
    world.apply(Command::Stop { leg: LegId(0) });
    world.apply(play(4, 99, false));
    world.run(2);
    assert_eq!(ended(&world), [(1, false), (2, false), (4, false), (3, false)]);
    for token in 0..=mixer::CLIPS as u64 {
        world.apply(play(100 + token, 0, false));
    }
    world.run(1);
    assert_eq!(
        ended(&world).last(),
        Some(&(100 + mixer::CLIPS as u64, false)),
        "there is no room for one more"
    );
    world.apply(Command::Remove { leg: LegId(0) });
    world.run(1);
    assert_eq!(ended(&world).len(), 4 + mixer::CLIPS + 1);
    assert!(matches!(world.reports.last(), Some(Report::Returned { leg: LegId(0), .. })));
}

#[test]
fn a_tone_for_the_conference_is_mixed_in_for_all_but_one() {
    let mut world = three_tones(ShardConfig::default());
    world.run(20);
    let clip = tone_clip(5, 2_400.0, 50);
    world.apply(Command::PlayAll { conference: ROOM, clip, except: Some(LegId(2)) });
    world.run(50);
    for phone in &world.phones {
        let heard = phone.hears(2_400.0, SECOND);
        assert_eq!(heard > 3_700.0, phone.leg != LegId(2), "{} hears it at {heard}", phone.leg);
        assert!(!(30.0..=3_700.0).contains(&heard));
        let other = TONES[usize::from(phone.leg == LegId(0))];
        assert!(phone.hears(other, SECOND) > 3_700.0, "the others are still heard");
    }
    world.run(2);
    let home =
        |report: &Report<()>| matches!(report, Report::ConferenceClipEnded { token: 5, finished: true, .. });
    assert!(world.reports.iter().any(home));
    world.apply(Command::PlayAll {
        conference: ConferenceId(99),
        clip: tone_clip(6, 500.0, 1),
        except: None,
    });
    world.run(1);
    let refused =
        |report: &Report<()>| matches!(report, Report::ConferenceClipEnded { token: 6, finished: false, .. });
    assert!(world.reports.iter().any(refused));
}

#[test]
fn a_conference_that_closes_gives_everything_back() {
    let mut world = three_tones(ShardConfig::default());
    world.apply(Command::PlayAll { conference: ROOM, clip: tone_clip(1, 500.0, 50), except: None });
    world.apply(Command::Play { leg: LegId(1), clip: tone_clip(2, 500.0, 50), interrupt: false });
    world.run(3);
    world.apply(Command::Close { conference: ROOM });
    world.run(1);
    let returned = world.reports.iter().filter(|report| matches!(report, Report::Returned { .. })).count();
    assert_eq!((returned, ended(&world)), (3, vec![(2, false)]));
    assert!(world.shard.is_empty());
    assert_eq!(world.shard.conferences().count(), 0);
}

#[test]
fn a_talker_comes_and_goes_without_a_click() {
    let mut world = World::new(ShardConfig::default());
    world.join(Phone::with_tone(0, G711::Pcmu, 300.0));
    world.join(Phone::new(1, G711::Pcmu));
    for _ in 0..3 {
        world.phones[0].tones[0].1 = 8_000.0;
        world.run(30);
        world.apply(Command::Mute { leg: LegId(0), muted: true });
        world.run(30);
        world.apply(Command::Mute { leg: LegId(0), muted: false });
    }
    // The steepest step of the tone itself is 8000 * sin(2 pi 300 / 8000), about 1870, and G.711 adds its steps.
    let largest =
        world.phones[1].heard.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max();
    assert!(largest < Some(2_300), "{largest:?}");
}

#[test]
fn a_talker_that_leaves_just_when_somebody_joins_is_not_cut_off() {
    let mut world = World::new(ShardConfig::default());
    world.join(Phone::with_tone(0, G711::Pcmu, 300.0));
    world.phones[0].tones[0].1 = 8_000.0;
    world.join(Phone::new(1, G711::Pcmu));
    world.run(30);
    world.join(Phone::new(2, G711::Pcmu));
    world.apply(Command::Remove { leg: LegId(0) });
    world.phones.remove(0);
    world.run(10);
    // As above: the tone's own step is 1870.
    let largest =
        world.phones[0].heard.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max();
    assert!(largest < Some(2_300), "{largest:?}");
    assert!(world.phones[0].heard[33 * 160..].iter().all(|sample| *sample == 0), "and then it is gone");
}
