//! G.722 and Opus beside G.711: who hears whom, what the peer's wishes do, and a codec that changes in mid-call.

use std::time::Duration;

use tests::{
    Caller, Codec, Line, MICROSOFT, MICROSOFT_NUMBER, OPERATOR, OPERATOR_NUMBER, PhoneId, SAM, Setup, World,
};

use crate::cast::{LOUD, QUIET, hears, join, listen};

/// A trunk that takes every codec.
fn wide() -> Setup {
    Setup { operator_codecs: r#"["opus", "g722", "pcma", "pcmu"]"#, ..Setup::default() }
}

fn caller(codec: Codec, tone: u32) -> Caller {
    Caller { codecs: vec![codec], ..Caller::to(OPERATOR, OPERATOR_NUMBER).tone(tone) }
}

/// Somebody with G.711 who says 2400 Hz.
fn witness(world: &mut World) -> PhoneId {
    join(world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER).tone(2400), SAM)
}

#[test]
fn a_call_in_each_codec_is_heard_and_hears_and_its_codec_is_recorded() {
    for (codec, name) in
        [(Codec::Mu, "PCMU"), (Codec::A, "PCMA"), (Codec::G722, "G722"), (Codec::Opus, "opus")]
    {
        let mut world = World::new(wide());
        let other = witness(&mut world);
        let phone = join(&mut world, &caller(codec, 2100), SAM);
        world.seconds(1);
        let when = listen(&mut world, Duration::from_secs(1));
        let (here, there) = (&world.phone(phone).ear, &world.phone(other).ear);
        assert!(here.level(2400, &when) > LOUD, "{codec:?} hears {}", here.level(2400, &when));
        assert!(there.level(2100, &when) > LOUD, "{codec:?} is heard at {}", there.level(2100, &when));
        assert!(here.level(2100, &when) < QUIET, "{codec:?} hears itself");
        assert!(here.packets.iter().all(|packet| packet.payload_type == codec.payload_type()));
        world.hang_up(phone);
        world.seconds(1);
        assert_eq!(world.finals()[0]["media"]["codec"], name);
        assert!(world.metrics.page().contains(&format!("partyline_rtp_packets_total{{codec=\"{name}\"")));
        world.close();
    }
}

#[test]
fn the_trunk_decides_which_of_the_offered_codecs_is_taken() {
    // (the trunk's, the offered, the taken)
    let table = [
        (r#"["opus", "g722", "pcma"]"#, vec![Codec::A, Codec::G722, Codec::Opus], Codec::Opus),
        (r#"["pcmu", "opus"]"#, vec![Codec::Opus, Codec::Mu], Codec::Mu),
        (r#"["g722", "pcma"]"#, vec![Codec::Opus, Codec::A], Codec::A),
    ];
    for (operator_codecs, codecs, taken) in table {
        let mut world = World::new(Setup { operator_codecs, ..Setup::default() });
        let phone = world.call(&Caller { codecs, ..caller(taken, 2100) });
        crate::cast::answered(&mut world, phone);
        assert_eq!(world.phone(phone).heard[0].codecs, [taken]);
        world.close();
    }
}

#[test]
fn in_a_conference_of_g711_g722_and_opus_everybody_hears_everybody_else_and_wideband_stays_wide() {
    let mut world = World::new(wide());
    let tones = [1200, 2100, 2400];
    let codecs = [Codec::Mu, Codec::G722, Codec::Opus];
    let phones: Vec<PhoneId> =
        codecs.iter().zip(tones).map(|(&codec, tone)| join(&mut world, &caller(codec, tone), SAM)).collect();
    world.seconds(1);
    let when = listen(&mut world, Duration::from_secs(1));
    for (listener, codec) in phones.iter().zip(codecs) {
        for (talker, tone) in phones.iter().zip(tones) {
            let level = world.phone(*listener).ear.level(tone, &when);
            let right = if listener == talker { level < QUIET } else { level > LOUD / 2.0 };
            assert!(right, "{codec:?} hears {tone} Hz at {level}");
        }
    }
    // 5 kHz from one wideband phone reaches the other, and no narrow one.
    world.phone_mut(phones[1]).mouth.sound = tests::Sound::Tone(5000);
    world.seconds(1);
    let when = listen(&mut world, Duration::from_secs(1));
    let level = |phone: PhoneId| world.phone(phone).ear.level(5000, &when);
    assert!(level(phones[2]) > LOUD / 2.0, "Opus hears 5 kHz at {}", level(phones[2]));
    let ear = &world.phone(phones[0]).ear;
    // Above 4 kHz there is nothing; what folds back would be at 8000 - 5000.
    assert!(ear.level(3000, &when) < QUIET, "folded back: {}", ear.level(3000, &when));
    world.close();
}

#[test]
fn what_the_peer_wants_of_opus_is_what_it_gets() {
    let wishes = "maxplaybackrate=8000;maxaveragebitrate=12000;cbr=1";
    let mut world = World::new(wide());
    let wideband = join(&mut world, &caller(Codec::G722, 5000), SAM);
    let phone = join(&mut world, &Caller { opus: wishes, ..caller(Codec::Opus, 2100) }, SAM);
    world.seconds(1);
    let when = listen(&mut world, Duration::from_secs(1));
    let ear = &world.phone(phone).ear;
    assert!(ear.level(5000, &when) < QUIET, "{} above what it plays", ear.level(5000, &when));
    let lengths: Vec<usize> =
        ear.packets.iter().filter(|packet| when.contains(&packet.at)).map(|packet| packet.length).collect();
    // 12000 bit/s in packets of 20 ms.
    assert!(lengths.iter().all(|&length| length == 30), "{lengths:?}");
    let ours = world.phone(phone).heard[0].opus.clone().unwrap_or_default();
    assert!(ours.contains("maxaveragebitrate=40000") && ours.contains("useinbandfec=1"), "{ours}");
    world.phone_mut(wideband).mouth.sound = tests::Sound::Tone(2400);
    world.seconds(1);
    assert!(hears(&mut world, phone, 2400) > LOUD);
    world.close();
}

#[test]
fn keys_are_understood_beside_every_codec() {
    for codec in [Codec::G722, Codec::Opus] {
        let mut world = World::new(wide());
        let phone = world.call(&caller(codec, 2100));
        crate::cast::answered(&mut world, phone);
        world.run(Duration::from_millis(1500));
        world.press(phone, &format!("{SAM}#"));
        world.until("in the meeting", Duration::from_secs(6), |world| {
            crate::cast::participants(world, SAM) == 1
        });
        world.close();
    }
}

/// The phone offers another codec, alone.
fn change(world: &mut World, phone: PhoneId, codec: Codec) {
    world.phone_mut(phone).codecs = vec![codec];
    assert!(world.reinvite(phone, Some("sendrecv")));
}

#[test]
fn who_changes_his_codec_in_mid_call_is_heard_on() {
    let mut world = World::new(wide());
    let other = witness(&mut world);
    let phone = join(&mut world, &caller(Codec::A, 2100), SAM);
    world.seconds(2);
    for codec in [Codec::G722, Codec::Opus, Codec::Mu, Codec::Opus, Codec::A] {
        change(&mut world, phone, codec);
        let when = listen(&mut world, Duration::from_secs(1));
        assert_eq!(world.phone(phone).mouth.codec, codec);
        let level = world.phone(other).ear.level(2100, &when);
        assert!(level > LOUD, "{codec:?} is heard at {level}");
        let share = world.phone(other).ear.share(2100, LOUD, &when);
        assert!(share > 0.95, "{codec:?}: the tone is there {share} of the time");
    }
    assert_eq!(world.phone(phone).line, Line::Up);
    world.close();
}

#[test]
fn who_changes_his_codec_goes_on_hearing_in_one_stream() {
    let mut world = World::new(wide());
    witness(&mut world);
    let phone = join(&mut world, &caller(Codec::Mu, 2100), SAM);
    world.seconds(2);
    for codec in [Codec::G722, Codec::Opus, Codec::Mu] {
        change(&mut world, phone, codec);
        let when = listen(&mut world, Duration::from_secs(1));
        let ear = &world.phone(phone).ear;
        assert_eq!(ear.packets.last().map(|packet| packet.payload_type), Some(codec.payload_type()));
        let share = ear.share(2400, LOUD, &when);
        assert!(share > 0.95, "{codec:?}: the tone is there {share} of the time");
        assert_eq!(ear.streams().len(), 1, "the same stream");
    }
    world.close();
}

/// The loudest step that a tone can make is from one peak to the other.
const CUT: f64 = 2.0 * tests::AMPLITUDE;

/// What the laws of G.711 add to a steady tone: up to 117 was measured.
const STEADY: f64 = 200.0;

#[test]
fn a_change_of_codec_is_never_worse_than_a_cut_and_between_the_laws_of_g711_nobody_hears_it() {
    let mut world = World::new(wide());
    let other = witness(&mut world);
    let phone = join(&mut world, &caller(Codec::Mu, 2100), SAM);
    world.seconds(2);
    let mut before = Codec::Mu;
    for codec in [
        Codec::A,
        Codec::G722,
        Codec::Mu,
        Codec::G722,
        Codec::Opus,
        Codec::G722,
        Codec::Opus,
        Codec::A,
        Codec::Opus,
        Codec::Mu,
    ] {
        change(&mut world, phone, codec);
        let when = listen(&mut world, Duration::from_secs(1));
        let edges = [
            world.phone(other).ear.sharpest_edge(2100, &when),
            world.phone(phone).ear.sharpest_edge(2400, &when),
        ];
        let most = if codec.rate() == before.rate() { STEADY } else { CUT };
        assert!(edges.iter().all(|&edge| edge < most), "{before:?} to {codec:?}: {edges:.0?}");
        before = codec;
    }
    world.close();
}
