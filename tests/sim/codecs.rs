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

/// What RFC 7587 section 4.1 and RFC 3551 section 4.1 want of a stream that leaves silence out: its numbers go on, its timestamps
/// go on with the clock, and a marker says where a talkspurt begins.
#[test]
fn a_peer_that_wants_no_silence_gets_none_and_the_first_word_after_it_is_whole_and_marked() {
    for (wishes, spares) in [("usedtx=1", true), ("", false)] {
        let mut world = World::new(Setup { operator_lines: "opus = { dtx = true }", ..wide() });
        let other = join(&mut world, &Caller::to(MICROSOFT, MICROSOFT_NUMBER), SAM);
        let quiet =
            Caller { codecs: vec![Codec::Opus], opus: wishes, ..Caller::to(OPERATOR, OPERATOR_NUMBER) };
        let phone = join(&mut world, &quiet, SAM);
        world.seconds(3);
        let settled = world.elapsed();
        for _ in 0..2 {
            let silence = listen(&mut world, Duration::from_secs(4));
            let packets = world.phone(phone).ear.packets_in(&silence);
            // libopus sends what the background is like at least every 400 ms.
            assert_eq!(packets <= 4000 / 400 + 1, spares, "{wishes}: {packets} packets of silence");
            world.phone_mut(other).mouth.sound = tests::Sound::Tone(2400);
            let spoken = listen(&mut world, Duration::from_secs(1));
            world.phone_mut(other).mouth.sound = tests::Sound::Silence;
            world.seconds(2);
            let ear = &world.phone(phone).ear;
            let first = ear
                .packets
                .iter()
                .find(|packet| spoken.contains(&packet.at) && tests::ear::has(packet, 2400, LOUD / 2.0));
            let first = first.expect("the word is heard");
            // A packet on its way, our jitter buffer, a tick, and the way back: as without DTX.
            let late = first.at.saturating_sub(spoken.start);
            assert!(late <= Duration::from_millis(70), "{wishes}: heard {late:?} after it was said");
            let word: Vec<_> =
                ear.packets.iter().filter(|packet| (first.at..spoken.end).contains(&packet.at)).collect();
            assert!(word.windows(2).all(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp) == 960));
            assert!(word[5..].iter().all(|packet| tests::ear::has(packet, 2400, LOUD)));
            let marked = word.iter().filter(|packet| packet.marker).count();
            assert!(marked <= 1, "{marked} packets within one word are marked");
        }
        let ear = &world.phone(phone).ear;
        let packets: Vec<_> = ear.packets.iter().filter(|packet| packet.at > settled).collect();
        let begin = packets[0];
        for (before, packet) in packets.iter().zip(&packets[1..]) {
            let ticks = packet.timestamp.wrapping_sub(begin.timestamp);
            let at = Duration::from_micros(u64::from(ticks) * 1000 / 48);
            assert_eq!(at, packet.at.saturating_sub(begin.at), "the timestamp is the clock's");
            let pause = packet.timestamp.wrapping_sub(before.timestamp) > 960;
            assert_eq!(packet.marker, pause, "at {:?}: marked, or behind a pause", packet.at);
        }
        assert!(ear.is_gapless() && ear.streams().len() == 1);
        world.close();
    }
}

#[test]
fn packets_of_40_and_60_ms_are_understood_and_sent_where_frames_can_be_put_together() {
    for (codec, ptime, ours) in [
        (Codec::A, 40, 2),
        (Codec::A, 60, 3),
        (Codec::G722, 40, 2),
        (Codec::G722, 60, 3),
        // Of Opus we send frames of 20 ms, one in a packet.
        (Codec::Opus, 40, 1),
        (Codec::Opus, 60, 1),
    ] {
        let mut world = World::new(wide());
        let other = witness(&mut world);
        let phone = join(&mut world, &Caller { ptime, ..caller(codec, 2100) }, SAM);
        world.seconds(1);
        let when = listen(&mut world, Duration::from_millis(90 * 20));
        let share = world.phone(other).ear.share(2100, LOUD, &when);
        assert!(share > 0.99, "{codec:?} in packets of {ptime} ms is heard {share} of the time");
        let ear = &world.phone(phone).ear;
        let share = ear.share(2400, LOUD, &when);
        assert!(share > 0.99, "{codec:?} in packets of {ptime} ms hears {share} of the time");
        assert!(ear.level(2100, &when) < QUIET, "{codec:?} hears itself");
        let packets: Vec<_> = ear.packets.iter().filter(|packet| when.contains(&packet.at)).collect();
        assert_eq!(packets.len(), 90 / ours, "{codec:?}, {ptime} ms");
        assert!(packets.iter().all(|packet| packet.pieces().count() == ours));
        let step = ours as u32 * codec.ticks();
        assert!(packets.windows(2).all(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp) == step));
        let answer = &world.phone(phone).heard[0].text;
        assert!(answer.contains(&format!("a=ptime:{}\r\n", 20 * ours)), "{answer}");
        world.close();
    }
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

/// Two fades over 2 ms, the fastest that there are, one of what was and one of what comes: a tone that fades over 16 samples at 8 kHz
/// is nowhere further from a steady one than twice its amplitude, divided by those 16. A cut would be as large as 6000, and the
/// tone's own step from sample to sample is 4400.
const FADES: f64 = 2.0 * (2.0 * tests::AMPLITUDE / 16.0);

/// What the laws of G.711 add to a steady tone: up to 117 was measured.
const STEADY: f64 = 200.0;

#[test]
fn a_change_of_codec_fades_and_never_clicks_and_between_the_laws_of_g711_nobody_hears_it() {
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
        let most = if codec.rate() == before.rate() { STEADY } else { FADES };
        assert!(edges.iter().all(|&edge| edge < most), "{before:?} to {codec:?}: {edges:.0?}");
        before = codec;
    }
    world.close();
}
