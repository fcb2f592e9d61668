//! Legs that speak SRTP, with a far end made of another implementation (`rtc-srtp`), through a network that loses and reorders.

use std::time::{Duration, UNIX_EPOCH};

use mixer::srtp::{GRACE, Keys, LegSrtp, SrtpConfig, Suite};
use mixer::{Command, G711, Ingress, Leg, LegId, Report, ShardConfig, TICK};
use rtc_crypto::providers::AwsLcRsCrypto;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;

use crate::phone::{Phone, ROOM, Seeded, World, amplitude, rtp, seat};

/// A far end: its own key to speak, the leg's to hear.
struct Far {
    phone: Phone,
    mouth: Context,
    ear: Context,
}

impl Far {
    fn new(suite: Suite, keys: (u8, u8)) -> Self {
        let mut phone = Phone::with_tone(1, G711::Pcmu, 440.0);
        phone.sequence = 65_440; // the leg's own begins at 65,530: both wrap soon
        Self { phone, mouth: context(suite, keys.0), ear: context(suite, keys.1) }
    }

    fn speak(&mut self) -> Vec<u8> {
        self.mouth.encrypt_rtp(&self.phone.speak()).expect("valid").to_vec()
    }

    fn hear(&mut self, packet: &[u8]) {
        self.phone.listen(&self.ear.decrypt_rtp(packet).expect("under the leg's key"));
    }
}

fn master(suite: Suite, key: u8) -> Vec<u8> {
    (0..suite.master_len()).map(|n| key.wrapping_mul(31).wrapping_add(n as u8)).collect()
}

fn context(suite: Suite, key: u8) -> Context {
    let profile = match suite {
        Suite::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        Suite::AesCm128HmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
        Suite::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        Suite::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
    };
    let master = master(suite, key);
    let (key, salt) = master.split_at(suite.key_len());
    Context::new(key, salt, profile, None, None, &AwsLcRsCrypto).expect("valid keys")
}

/// The other side of `Far::new(suite, keys)`.
fn srtp(suite: Suite, (ingress, egress): (u8, u8)) -> Box<LegSrtp> {
    let keys = |key| Keys::new(suite, &master(suite, key), None).expect("of the right length");
    LegSrtp::new(SrtpConfig { ingress: keys(ingress), egress: keys(egress) })
}

/// A conference of a phone without SRTP, which says a tone of 1000 Hz, and a leg with.
fn world(suite: Suite) -> (World, Far) {
    let mut world = World::new(ShardConfig::default());
    world.join(Phone::with_tone(0, G711::Pcma, 1_000.0));
    let mut seat = seat(1, G711::Pcmu);
    assert!(!seat.leg.is_secure());
    assert!(seat.leg.secure(world.now, srtp(suite, (1, 2))).is_none());
    assert!(seat.leg.is_secure());
    world.apply(Command::Seat { conference: ROOM, seat });
    (world, Far::new(suite, (1, 2)))
}

fn leg(world: &mut World) -> &mut Leg {
    &mut world.shard.seat_mut(LegId(1)).expect("seated").leg
}

fn arrive(world: &mut World, datagram: &[u8]) -> Ingress {
    let now = world.now;
    leg(world).ingress_rtp(now, datagram)
}

/// One tick, in which the far end hears what the leg sends.
fn tick(world: &mut World, far: &mut Far) {
    world.run(1);
    let packet = leg(world).egress().map(<[u8]>::to_vec);
    far.hear(&packet.expect("it hears something in every tick"));
}

fn retired(world: &World) -> usize {
    world.reports.iter().filter(|report| matches!(report, Report::SrtpRetired { leg: LegId(1), .. })).count()
}

#[test]
fn both_sides_hear_each_other_through_loss_reordering_and_the_wraps_of_both_streams() {
    for suite in Suite::ALL {
        let (mut world, mut far) = world(suite);
        let mut chance = Seeded(7);
        let mut road: Vec<(usize, Vec<u8>)> = Vec::new();
        let (mut sent, mut lost) = (0, 0);
        for n in 0..400 {
            sent += 1;
            match chance.below(20) {
                0 => lost += usize::from(!far.speak().is_empty()),
                late => road.push((n + usize::from(late < 4) * 2, far.speak())),
            }
            let due: Vec<_> = road.extract_if(.., |(at, _)| *at <= n).collect();
            for (_, datagram) in due {
                assert!(matches!(arrive(&mut world, &datagram), Ingress::Audio | Ingress::Probation));
            }
            tick(&mut world, &mut far);
        }
        assert!(lost > 5, "{lost} of {sent}");
        let stats = leg(&mut world).stats();
        assert_eq!(stats.srtp.rejected.total(), 0, "{suite:?}");
        assert_eq!(stats.srtp.refused, 0);
        let last = |pcm: &[i16]| pcm[pcm.len() - 8_000..].to_vec();
        let (here, there) = (last(&world.phones[0].heard), last(&far.phone.heard));
        assert!(amplitude(&there, 1_000.0) > 2_000.0, "{suite:?}: the far end hears the phone");
        assert!(amplitude(&here, 440.0) > 2_000.0, "{suite:?}: the phone hears the far end");
        assert!(amplitude(&there, 440.0) < 200.0, "and nobody hears himself");
        assert!(
            far.phone.arrived.windows(2).all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1))
        );
    }
}

#[test]
fn nothing_in_the_clear_gets_in_or_out() {
    let (mut world, mut far) = world(Suite::AesCm128HmacSha1_80);
    let mut stranger = Phone::with_tone(1, G711::Pcmu, 440.0);
    for _ in 0..50 {
        let clear = stranger.speak();
        assert_eq!(arrive(&mut world, &clear), Ingress::Rejected);
        assert!(!leg(&mut world).is_authentic(&clear));
        assert_eq!(
            arrive(&mut world, &[0x80, 200, 0, 6, 0, 0, 0, 1]),
            Ingress::Rejected,
            "RTCP on the RTP port"
        );
        tick(&mut world, &mut far);
    }
    assert!(!world.reports.iter().any(|report| matches!(report, Report::MediaStarted { leg: LegId(1) })));
    assert_eq!(leg(&mut world).stats().srtp.rejected.total(), 100);
    assert_eq!(far.phone.arrived.len(), 50, "all of it under the key");
    let genuine = far.speak();
    assert!(leg(&mut world).is_authentic(&genuine));
    assert_eq!(arrive(&mut world, &genuine), Ingress::Audio, "looking at it first did not use it up");
    assert!(!leg(&mut world).is_authentic(&genuine), "taking it did");
}

#[test]
fn a_thousand_forged_packets_end_nothing() {
    for suite in [Suite::AesCm128HmacSha1_32, Suite::AeadAes256Gcm] {
        let (mut world, mut far) = world(suite);
        let mut forger = Far::new(suite, (9, 9));
        for n in 0..100_u16 {
            let genuine = far.speak();
            assert!(matches!(arrive(&mut world, &genuine), Ingress::Audio | Ingress::Probation));
            for step in 0..10 {
                let sequence = 65_440_u16.wrapping_add(n * 10 + step);
                let forged = rtp(0, false, sequence, 0, far.phone.ssrc, &[0; 160]);
                let forged = forger.mouth.encrypt_rtp(&forged).expect("valid");
                assert_eq!(arrive(&mut world, &forged), Ingress::Rejected);
            }
            tick(&mut world, &mut far);
        }
        let stats = leg(&mut world).stats();
        assert_eq!(stats.srtp.rejected.total(), 1_000);
        assert_eq!((stats.lost, stats.ingress.malformed), (0, 0));
        assert!(amplitude(&world.phones[0].heard[8_000..], 440.0) > 2_000.0, "and it is heard all the time");
    }
}

#[test]
fn rtcp_is_protected_both_ways() {
    for suite in Suite::ALL {
        let (mut world, mut far) = world(suite);
        for n in 0..600_u64 {
            let spoken = far.speak();
            arrive(&mut world, &spoken);
            tick(&mut world, &mut far);
            let (now, wall) = (world.now, UNIX_EPOCH + Duration::from_secs(n));
            if let Some(report) = leg(&mut world).egress_rtcp(now, wall) {
                assert!(!report.windows(18).any(|text| text == b"bridge@example.org"), "not readable");
                let plain = far.ear.decrypt_rtcp(&report).expect("under the leg's key");
                assert!(plain.windows(18).any(|text| text == b"bridge@example.org"));
                // The peer's report, muxed and on its own port.
                let theirs = seat(7, G711::Pcmu).leg.goodbye().expect("in the clear");
                let wire = far.mouth.encrypt_rtcp(&theirs).expect("valid");
                assert_eq!(arrive(&mut world, &wire), Ingress::Rtcp);
                assert_eq!(leg(&mut world).ingress_rtcp(now, &wire), Ingress::Rejected, "twice");
                assert_eq!(leg(&mut world).ingress_rtcp(now, &theirs), Ingress::Rejected, "in the clear");
            }
        }
        let goodbye = leg(&mut world).goodbye().expect("under the key");
        assert!(far.ear.decrypt_rtcp(&goodbye).is_ok());
        let stats = leg(&mut world).stats();
        assert!(stats.ingress.rtcp >= 2, "{suite:?}: {stats:?}");
        assert!(stats.far_end.gone);
    }
}

#[test]
fn a_refresh_with_the_same_keys_is_not_noticed() {
    for suite in Suite::ALL {
        let (mut world, mut far) = world(suite);
        for n in 0..300 {
            if n % 40 == 20 {
                world.apply(Command::Secure { leg: LegId(1), srtp: srtp(suite, (1, 2)) });
            }
            let spoken = far.speak();
            assert!(matches!(arrive(&mut world, &spoken), Ingress::Audio | Ingress::Probation), "packet {n}");
            assert_eq!(arrive(&mut world, &spoken), Ingress::Rejected, "again");
            tick(&mut world, &mut far);
        }
        assert_eq!(retired(&world), 7, "each box comes home");
        assert_eq!(leg(&mut world).stats().srtp.rejected.replayed, 300, "figures go on");
    }
}

#[test]
fn new_keys_start_new_contexts_and_the_old_one_is_good_until_the_new_one_is_heard() {
    for suite in Suite::ALL {
        let (mut world, mut far) = world(suite);
        for _ in 0..200 {
            let spoken = far.speak();
            arrive(&mut world, &spoken);
            tick(&mut world, &mut far);
        }
        // Both streams have wrapped: rollover counter 1 under the old keys, 0 under the new ones. The peer learns our key at
        // once and uses its own five packets later.
        world.apply(Command::Secure { leg: LegId(1), srtp: srtp(suite, (3, 4)) });
        far.ear = context(suite, 4);
        for _ in 0..5 {
            let spoken = far.speak();
            assert_eq!(arrive(&mut world, &spoken), Ingress::Audio, "on its way before the answer");
            tick(&mut world, &mut far);
        }
        let stray = far.speak();
        far.mouth = context(suite, 3);
        for _ in 0..100 {
            let spoken = far.speak();
            assert_eq!(arrive(&mut world, &spoken), Ingress::Audio);
            tick(&mut world, &mut far);
        }
        assert_eq!(retired(&world), 1, "the old keys came home");
        assert_eq!(leg(&mut world).stats().srtp.rejected.total(), 0);
        assert_eq!(arrive(&mut world, &stray), Ingress::Rejected);
    }
}

#[test]
fn the_old_key_is_not_good_for_ever() {
    let suite = Suite::AeadAes128Gcm;
    let (mut world, mut far) = world(suite);
    world.apply(Command::Secure { leg: LegId(1), srtp: srtp(suite, (3, 4)) });
    far.ear = context(suite, 4);
    let mut taken = 0;
    for _ in 0..GRACE.as_millis() / TICK.as_millis() + 50 {
        let spoken = far.speak();
        taken += u128::from(arrive(&mut world, &spoken) != Ingress::Rejected);
        tick(&mut world, &mut far);
    }
    assert_eq!(taken, GRACE.as_millis() / TICK.as_millis());
    assert_eq!(retired(&world), 1);
    // Two changes in a row: only the last key before the present one is good, and no box is forgotten.
    for keys in [(5, 6), (7, 8)] {
        world.apply(Command::Secure { leg: LegId(1), srtp: srtp(suite, keys) });
    }
    far.ear = context(suite, 8);
    far.mouth = context(suite, 3);
    let spoken = far.speak();
    assert_eq!(arrive(&mut world, &spoken), Ingress::Rejected);
    far.mouth = context(suite, 5);
    let spoken = far.speak();
    assert_ne!(arrive(&mut world, &spoken), Ingress::Rejected);
    far.mouth = context(suite, 7);
    let spoken = far.speak();
    assert_ne!(arrive(&mut world, &spoken), Ingress::Rejected);
    tick(&mut world, &mut far);
    assert_eq!(retired(&world), 3);
}

#[test]
fn keys_for_a_leg_that_left_come_home() {
    let (mut world, _) = world(Suite::AeadAes128Gcm);
    world.apply(Command::Remove { leg: LegId(1) });
    world.apply(Command::Secure { leg: LegId(1), srtp: srtp(Suite::AeadAes128Gcm, (3, 4)) });
    world.tick();
    assert_eq!(retired(&world), 1);
}
