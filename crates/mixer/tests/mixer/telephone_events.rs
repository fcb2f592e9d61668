//! Digits in, as peers really send them: every line is something seen in the field. Digits out, as RFC 4733 wants them.

use std::time::Duration;

use mixer::{Codec, Command, G711, LegId, MediaConfig, OpusFormat, Rate, Report, ShardConfig};

use crate::phone::{EVENT, Phone, World, digits, rtp};

/// name | packets | digits. A packet is `milliseconds:event/timestamp/duration` with flags: m marker, e end, = the sequence number of
/// the packet before, s another SSRC than the audio; or `milliseconds:a`, audio.
const SCENARIOS: &str = "
by the book | 0:a 20:5/1000/160m 40:5/1000/320 60:5/1000/480 80:5/1000/640e 100:5/1000/640e 120:5/1000/640e 140:a | 5
only the three ends arrive | 0:a 80:9/1000/640e 100:9/1000/640e 120:9/1000/640e | 9
no marker | 20:5/1000/160 40:5/1000/320 60:5/1000/480e 80:5/1000/480e 100:5/1000/480e | 5
marker on every packet | 20:5/1000/160m 40:5/1000/320m 60:5/1000/480em 80:5/1000/480em 100:5/1000/480em | 5
ends with the same sequence number (SIPp's recordings) | 20:1/1000/160ms 40:1/1000/320s 60:1/1000/480es 60:1/1000/480es= 61:1/1000/480es= | 1
another SSRC than the audio, which goes on (SIPp) | 0:a 10:7/99/160ms 20:a 30:7/99/320s 40:a 50:7/99/480s 60:a 70:7/99/640es 71:7/99/640es= 80:a 90:7/99/640es= | 7
audio of the same SSRC in between | 0:a 10:7/99/160m 20:a 30:7/99/320 40:a 50:7/99/480 60:a 70:7/99/640e 80:a 90:7/99/640e 100:a | 7
repeated ends with new timestamps (the last two) | 20:4/1000/160m 40:4/1000/320 60:4/1000/480e 80:4/1160/480e 100:4/1320/480e | 4
all ends with new timestamps | 20:4/1000/160m 40:4/1000/320 60:4/1480/480e 80:4/1640/480e 100:4/1800/480e | 4
repeated ends with new timestamps and audio in between | 20:4/1000/160m 40:4/1000/320 60:4/1000/480e 70:a 80:4/1160/480e 90:a 100:4/1320/480e | 4
a new timestamp in every packet | 20:6/1000/160m 40:6/1160/320 60:6/1320/480 80:6/1480/640e 100:6/1640/640e | 6
a new timestamp in every packet, then the same digit | 20:6/1000/160m 40:6/1160/320 60:6/1320/480e 160:6/2000/160m 180:6/2160/320 200:6/2320/480e | 66
the end packets are lost, audio follows | 20:3/1000/160m 40:3/1000/320 60:a 80:a | 3
the end packets are lost, nothing follows | 20:3/1000/160m 40:3/1000/320 | 3
the end is lost, then the same digit after audio | 20:3/1000/160m 40:3/1000/320 60:a 80:a 120:3/1800/160m 140:3/1800/320 160:3/1800/480e | 33
the end and the next marker are lost, after audio | 20:3/1000/160m 40:3/1000/320 60:a 80:a 140:3/1800/320 160:3/1800/480 180:3/1800/480e | 33
the end is lost, then the same digit without audio | 20:3/1000/160m 40:3/1000/320 300:3/3000/160m 320:3/3000/320e | 33
the end is lost, then another digit | 20:3/1000/160m 40:3/1000/320 80:4/1600/160m 100:4/1600/320e | 34
the same digit twice in a row | 20:2/1000/160m 40:2/1000/320e 60:2/1000/320e 80:2/1000/320e 120:2/1800/160m 140:2/1800/320e 160:2/1800/320e 180:2/1800/320e | 22
the same digit twice in a row, no markers | 20:2/1000/160 40:2/1000/320e 60:2/1000/320e 80:2/1000/320e 120:2/1800/160 140:2/1800/320e 160:2/1800/320e | 22
the same digit twice, of the second one only ends arrive late | 20:2/1000/160m 40:2/1000/320e 60:2/1000/320e 300:2/2800/320e 320:2/2800/320e | 22
a long gap before the end | 20:8/1000/160m 40:8/1000/320 360:8/1000/2880e 380:8/1000/2880e | 8
a long gap in the middle | 20:8/1000/160m 40:8/1000/320 360:8/1000/2880 380:8/1000/3040 400:8/1000/3200e | 8
a long gap, then an end with a new timestamp | 20:8/1000/160m 40:8/1000/320 360:8/3560/2880e 380:8/3720/2880e | 8
updates every 50 ms | 20:8/1000/400m 70:8/1000/800 120:8/1000/1200 170:8/1000/1600e 220:8/1000/1600e 270:8/1000/1600e | 8
a reordered start after its successor | 40:5/1000/320 41:5/1000/160m 60:5/1000/480e 80:5/1000/480e | 5
an update after the end | 20:5/1000/160m 60:5/1000/480e 61:5/1000/320 80:5/1000/480e | 5
duplicated packets | 20:5/1000/160m 20:5/1000/160m= 40:5/1000/320 40:5/1000/320= 60:5/1000/480e 60:5/1000/480e= | 5
a recording played again, same SSRC and timestamps | 0:1/1000/160ms 20:1/1000/320s 40:1/1000/480es 41:1/1000/480es= 42:1/1000/480es= 400:1/1000/160ms 420:1/1000/320s 440:1/1000/480es 441:1/1000/480es= | 11
a press of ten seconds in two segments | 0:5/1000/160m 4000:5/1000/32160 8000:5/1000/65535 8020:5/66535/160 8040:5/66535/320 8060:5/66535/480e 8080:5/66535/480e | 5
a timestamp that wraps | 20:5/4294967200/160m 40:5/4294967200/320e 140:5/400/160m 160:5/400/320e | 55
all the keys | 0:0/0/160e 200:1/800/160e 400:9/1600/160e 600:10/2400/160e 800:11/3200/160e 1000:12/4000/160e 1200:15/4800/160e | 019*#AD
hook flash and modem tones are no digits | 0:16/0/160e 200:36/800/160e 400:255/1600/160e | -
two digits without any pause | 0:1/0/160m 20:1/0/320e 40:2/480/160m 60:2/480/320e 80:1/960/160m 100:1/960/320e | 121
";

/// Scenarios of a leg with Opus and telephone-event/48000, in which a duration says 1.36 s at most: durations and timestamps in
/// its clock.
const AT_48000: &str = "
a press of three seconds in three segments | 0:5/1000/960m 1000:5/1000/48960 1340:5/1000/65280 1360:5/1000/65535 1380:5/66535/960 2700:5/66535/64320 2720:5/66535/65535 2740:5/132070/960 3000:5/132070/14400e 3020:5/132070/14400e | 5
the same, with updates every 100 ms | 0:5/1000/4800m 100:5/1000/9600 1200:5/1000/62400 1300:5/66535/1665 1400:5/66535/6465e | 5
a long press that stays at the longest duration | 0:5/1000/960m 1360:5/1000/65535 1380:5/1000/65535 1400:5/1000/65535e | 5
a long press whose duration wraps | 0:5/1000/960m 1360:5/1000/65280 1380:5/1000/704 1400:5/1000/1664 1420:5/1000/2624e | 5
a press of 1.2 s, then the same digit with its marker lost | 0:5/1000/960m 1000:5/1000/48960 1200:5/1000/57600e 1220:5/1000/57600e 1400:5/68200/960 1420:5/68200/1920e | 55
";

/// The same with telephone-event/8000 beside Opus: durations at 8000, timestamps at 48000.
const AT_8000: &str = "
a press of ten seconds in two segments | 0:5/1000/160m 4000:5/1000/32160 8000:5/1000/65535 8020:5/394210/160 8040:5/394210/320 8060:5/394210/480e | 5
the same, timestamps in the clock of the event | 0:5/1000/160m 4000:5/1000/32160 8000:5/1000/65535 8020:5/66535/160 8040:5/66535/320 8060:5/66535/480e | 5
";

/// What is agreed on, and by what the numbers of a scenario are multiplied.
#[derive(Clone, Copy)]
struct Line {
    /// The clock rate of events on a leg with Opus; `None`: the leg has G.711.
    opus: Option<u32>,
    timestamps: u32,
    durations: u32,
}

const NARROW: Line = Line { opus: None, timestamps: 1, durations: 1 };

fn reconfigure(world: &mut World, line: Line) {
    let Some(event_clock_rate) = line.opus else { return };
    let before = world.shard.seat_mut(LegId(1)).expect("seated").leg.config().media;
    let codec = Codec::Opus(OpusFormat::speech(Rate::Full));
    let media = MediaConfig { codec, audio_pt: mixer::PayloadType::new(96), event_clock_rate, ..before };
    world.apply(Command::Reconfigure { leg: LegId(1), media });
}

fn play(packets: &str, line: Line) -> String {
    let mut world = World::new(ShardConfig::default());
    world.join(Phone::new(1, G711::Pcmu));
    reconfigure(&mut world, line);
    let start = world.now;
    let mut ticks = 0;
    let mut sequence = 100_u16;
    for packet in packets.split_whitespace() {
        let (at, what) = packet.split_once(':').expect("milliseconds:packet");
        let at = Duration::from_millis(at.parse().expect("milliseconds"));
        while start + mixer::TICK * (ticks + 1) < start + at {
            world.tick();
            ticks += 1;
        }
        let datagram = if what == "a" {
            world.phones[0].sequence = sequence;
            sequence = sequence.wrapping_add(1);
            world.phones[0].speak()
        } else {
            let fields = what.trim_end_matches(['m', 'e', '=', 's']);
            let flags = &what[fields.len()..];
            let mut fields = fields.split('/').map(|field| field.parse::<u32>().expect("a number"));
            let mut next = || fields.next().expect("event/timestamp/duration");
            let (event, timestamp, duration) = (next() as u8, next(), next());
            let timestamp = timestamp.wrapping_mul(line.timestamps);
            let duration = u16::try_from(duration * line.durations).expect("a duration that can be said");
            let [high, low] = duration.to_be_bytes();
            let payload = [event, if flags.contains('e') { 0x8a } else { 0x0a }, high, low];
            let number = if flags.contains('=') { sequence.wrapping_sub(1) } else { sequence };
            sequence = number.wrapping_add(1);
            let ssrc = if flags.contains('s') { 0x0e05_384e } else { world.phones[0].ssrc };
            rtp(EVENT, flags.contains('m'), number, timestamp, ssrc, &payload)
        };
        let leg = LegId(1);
        let seat = world.shard.seat_mut(leg).expect("seated");
        seat.leg.ingress_rtp(start + at, &datagram);
    }
    (0..20).for_each(|_| world.tick());
    world.digits()
}

#[test]
fn every_press_becomes_one_digit_whatever_the_peer_does() {
    every_press_becomes_one_digit(SCENARIOS, NARROW);
}

#[test]
fn every_press_becomes_one_digit_at_either_clock_beside_opus() {
    // What lasts too long for a duration at 48000 has scenarios of its own.
    let short: Vec<&str> = SCENARIOS.lines().filter(|line| !line.contains("ten seconds")).collect();
    every_press_becomes_one_digit(
        &short.join("\n"),
        Line { opus: Some(48_000), timestamps: 6, durations: 6 },
    );
    every_press_becomes_one_digit(AT_48000, Line { opus: Some(48_000), ..NARROW });
    every_press_becomes_one_digit(&short.join("\n"), Line { opus: Some(8_000), timestamps: 6, durations: 1 });
    every_press_becomes_one_digit(AT_8000, Line { opus: Some(8_000), ..NARROW });
}

fn every_press_becomes_one_digit(scenarios: &str, agreed: Line) {
    for line in scenarios.lines().filter(|line| !line.is_empty()) {
        let mut parts = line.split('|').map(str::trim);
        let mut part = || parts.next().expect("name | packets | digits");
        let (name, packets, expected) = (part(), part(), part());
        assert_eq!(play(packets, agreed), expected.trim_matches('-'), "{name} ({:?})", agreed.opus);
    }
}

#[test]
fn digits_out_beside_opus_last_100_ms_in_the_clock_of_the_event_and_keep_to_the_stream() {
    for (clock, duration) in [(48_000, 4_800_u16), (8_000, 800)] {
        let mut world = World::new(ShardConfig::default());
        world.join(Phone::new(1, G711::Pcmu));
        reconfigure(&mut world, Line { opus: Some(clock), ..NARROW });
        world.run(10);
        world.apply(Command::SendDigits { leg: LegId(1), digits: digits("7#") });
        world.run(40);
        let arrived = &world.phones[0].arrived;
        let first = arrived.iter().position(|packet| packet.payload_type == EVENT).expect("an event");
        let events: Vec<_> = arrived.iter().filter(|packet| packet.payload_type == EVENT).collect();
        assert_eq!(events.len(), 16);
        assert!(
            [events[4], events[7], events[15]].iter().all(|last| last.payload[2..] == duration.to_be_bytes())
        );
        // It begins where the next 20 ms of audio would have; the next one begins 12 ticks later.
        assert_eq!(events[0].timestamp, arrived[first - 1].timestamp.wrapping_add(960));
        assert_eq!(events[8].timestamp, events[0].timestamp.wrapping_add(12 * 960));
        let after = &arrived[first + 8];
        assert_eq!((after.payload_type, after.timestamp), (96, events[0].timestamp.wrapping_add(8 * 960)));
    }
}

#[test]
fn any_payload_type_can_be_agreed_for_events() {
    for kind in [96, 101, 127] {
        let mut world = World::new(ShardConfig::default());
        world.join(Phone::new(1, G711::Pcmu));
        let mut media = world.shard.seat_mut(LegId(1)).expect("seated").leg.config().media;
        media.event_pt = Some(mixer::PayloadType::new(kind));
        world.apply(Command::Reconfigure { leg: LegId(1), media });
        world.deliver(0, &rtp(kind, true, 1, 0, 9, &[5, 0x8a, 0, 160]));
        world.deliver(0, &rtp(kind ^ 1, true, 2, 0, 9, &[6, 0x8a, 0, 160]));
        world.tick();
        assert_eq!(world.digits(), "5");
    }
}

#[test]
fn a_muted_caller_still_presses_digits_and_a_key_tone_is_not_mixed() {
    let mut world = World::new(ShardConfig::default());
    world.join(Phone::with_tone(0, G711::Pcmu, 697.0));
    world.join(Phone::new(1, G711::Pcmu));
    world.apply(Command::Mute { leg: LegId(0), muted: true });
    world.run(10);
    let press = world.phones[0].event(true, [1, 10, 0, 160]);
    world.deliver(0, &press);
    world.run(1);
    assert_eq!(world.digits(), "1");
    world.apply(Command::Mute { leg: LegId(0), muted: false });
    // The key's tone as audio from one SSRC, its events from another: held for 400 ms.
    for tick in 0..20_u16 {
        let [high, low] = (tick * 160 + 160).to_be_bytes();
        world.deliver(0, &rtp(EVENT, tick == 0, tick, 5_000, 0x77, &[2, 10, high, low]));
        world.run(1);
    }
    assert!(world.phones[1].hears(697.0, 1_600) < 30.0);
    assert_eq!(world.digits(), "12");
}

#[test]
fn digits_out_are_marked_last_100_ms_end_three_times_and_audio_goes_on() {
    let mut world = World::new(ShardConfig::default());
    world.join(Phone::new(0, G711::Pcmu));
    world.run(10);
    world.apply(Command::SendDigits { leg: LegId(0), digits: digits("7#") });
    world.run(40);
    let arrived = &world.phones[0].arrived;
    let events: Vec<_> = arrived.iter().filter(|packet| packet.payload_type == EVENT).collect();
    assert_eq!(events.len(), 16);
    for (press, event) in events.chunks(8).zip([7, 11]) {
        assert!(
            press.iter().all(|packet| packet.timestamp == press[0].timestamp && packet.payload[0] == event)
        );
        assert_eq!(press.iter().filter(|packet| packet.marker).count(), 1);
        assert!(press[0].marker);
        assert_eq!(press.iter().filter(|packet| packet.payload[1] & 0x80 != 0).count(), 3);
        assert_eq!(press[7].payload[2..], 800_u16.to_be_bytes());
    }
    for pair in arrived.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1), "one stream, one numbering");
    }
    assert_eq!(world.reports.iter().filter(|report| matches!(report, Report::DigitsSent { .. })).count(), 1);
    // What we send, we understand.
    let mut echo = World::new(ShardConfig::default());
    echo.join(Phone::new(1, G711::Pcmu));
    for packet in arrived {
        let datagram =
            rtp(packet.payload_type, packet.marker, packet.sequence, packet.timestamp, 5, &packet.payload);
        echo.deliver(0, &datagram);
        echo.tick();
    }
    assert_eq!(echo.digits(), "7#");
}

#[test]
fn one_percent_of_digits_at_most_is_misread_at_20_percent_loss() {
    let mut random = crate::phone::Seeded(4733);
    let mut wrong = 0;
    // 1200 entries of four keys, any of them, held for 100 ms to 200 ms as people do, with speech in between.
    for entry in 0..1_200_u32 {
        let mut world = World::new(ShardConfig::default());
        world.join(Phone::new(1, G711::Pcmu));
        let keys: String = (0..4).map(|_| char::from(b"0123456789*#"[random.below(12) as usize])).collect();
        let mut timestamp = entry.wrapping_mul(7_919);
        let mut sequence = entry as u16;
        for key in keys.chars() {
            let code = "0123456789*#".find(key).expect("a key") as u8;
            let length = 5 + random.below(6) as u16;
            for n in 0..length + 2 {
                let [high, low] = ((n + 1).min(length) * 160).to_be_bytes();
                let payload = [code, if n + 1 >= length { 0x8a } else { 0x0a }, high, low];
                if random.below(100) >= 20 {
                    world.deliver(0, &rtp(EVENT, n == 0, sequence, timestamp, 9, &payload));
                }
                sequence = sequence.wrapping_add(1);
                world.tick();
            }
            timestamp = timestamp.wrapping_add(u32::from(length + 6) * 160);
            (0..4).for_each(|_| world.tick());
        }
        wrong += keys.len() - world.digits().chars().zip(keys.chars()).filter(|(a, b)| a == b).count();
        wrong += world.digits().len().saturating_sub(keys.len());
    }
    assert!(wrong <= 48, "{wrong} of 4800");
}
