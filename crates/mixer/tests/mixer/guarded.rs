//! Every codec on every path, with the allocation guard armed: a tick or a packet that allocates ends this program, and so does a
//! command that frees. Each path also says whether it was taken, so that no line of the table is there for nothing.

mod stage;

use std::collections::VecDeque;
use std::time::Duration;

use mixer::srtp::{Keys, LegSrtp, Srtp, SrtpConfig, Suite};
use mixer::{
    Audience, CLIPS, Codec, Command, ConferenceId, Direction, Ingress, LegId, OpusFormat, Ptime, Rate,
    Report, Tap, guard,
};

use crate::phone::{EVENT, ROOM, digits, rtp, tone_clip};
use stage::{AUDIO, LISTENER, OTHER, SUBJECT, Stage, hum, quiet, sentence, shout};

const NARROW: Codec = Codec::Opus(OpusFormat::speech(Rate::Narrow));
const WIDE: Codec = Codec::Opus(OpusFormat::speech(Rate::Wide));
const FULL: Codec = Codec::Opus(OpusFormat::speech(Rate::Full));
const SPARING: Codec = Codec::Opus(OpusFormat { dtx: true, ..OpusFormat::speech(Rate::Wide) });
const CODECS: [Codec; 7] = [Codec::Pcmu, Codec::Pcma, Codec::G722, NARROW, WIDE, FULL, SPARING];

/// A path and how it is taken; false when it was not.
type Path = (&'static str, fn(&mut Stage) -> bool);

const PATHS: &[Path] = &[
    ("talk", talk),
    ("loud talk", loud_talk),
    ("silence", silence),
    ("nothing arrives", nothing_arrives),
    ("loss", loss),
    ("late and out of order", late),
    ("packets of 60 ms that come late", long_packets),
    ("comfort noise", comfort_noise),
    ("another stream", another_stream),
    ("garbage", garbage),
    ("RTCP", rtcp),
    ("keys pressed", keys_pressed),
    ("keys sent", keys_sent),
    ("a clip in place of the mix", clip),
    ("a whisper", whisper),
    ("a clip for all but one", clip_for_all),
    ("an audience", audience),
    ("muted", muted),
    ("on hold", hold),
    ("packets of 40 and 60 ms", packet_times),
    ("a tap", tap),
    ("SRTP", encrypted),
    ("another codec", other_codecs),
    ("another rate", other_rates),
    ("another room", other_room),
    ("who talks leaves", leaves),
    ("rooms and legs that come and go", crowd),
    ("many clips", clips),
    ("an echo", echo),
];

#[test]
fn nothing_is_allocated_in_a_tick_and_nothing_freed_with_any_codec_on_any_path() {
    assert!(guard::installed() && guard::COMPILED_IN, "this binary is guarded");
    for codec in CODECS {
        for (name, path) in PATHS {
            assert!(path(&mut Stage::new(codec)), "{name} was not taken with {codec:?}");
        }
    }
}

fn talk(stage: &mut Stage) -> bool {
    stage.run(60);
    stage.far[LISTENER].sources() == 2 && stage.stats().level > 20
}

fn loud_talk(stage: &mut Stage) -> bool {
    stage.far[SUBJECT].says = shout;
    stage.far[OTHER].says = |at| shout(at + 24_000);
    stage.run(60);
    // Each of them alone is at 30,000, so that both together are limited.
    let loud = stage.far[LISTENER].heard.iter().any(|sample| sample.unsigned_abs() > 20_000);
    loud && stage.far[LISTENER].sources() == 2
}

fn silence(stage: &mut Stage) -> bool {
    stage.run(30);
    stage.far[SUBJECT].says = quiet;
    stage.far[OTHER].says = quiet;
    stage.run(90);
    let before = stage.far[LISTENER].packets;
    stage.run(60);
    let sent = stage.far[LISTENER].packets - before;
    stage.far[LISTENER].sources() == 0 && (sent < 10) == (stage.codec() == SPARING)
}

fn nothing_arrives(stage: &mut Stage) -> bool {
    stage.run(30);
    stage.lost = |_| true;
    stage.run(100);
    stage.lost = |_| false;
    stage.run(20);
    stage.reported(|report| matches!(report, Report::MediaSilent { leg: LegId(0), .. }))
        && stage.reported(|report| matches!(report, Report::MediaResumed { leg: LegId(0) }))
}

fn loss(stage: &mut Stage) -> bool {
    stage.far[SUBJECT].says = hum;
    stage.lost = |tick| tick % 7 == 3 || tick % 50 > 45;
    stage.run(150);
    stage.stats().playout.concealed > Duration::ZERO
}

fn late(stage: &mut Stage) -> bool {
    // One overtaken by three, then all of them by chance, then none.
    stage.late = |tick| match tick {
        0..100 => usize::from(tick % 25 == 20) * 4,
        100..200 => tick * 7 % 5,
        _ => 0,
    };
    stage.run(600);
    let playout = stage.stats().playout;
    playout.reordered > 0
        && playout.late > 0
        && playout.put_in > Duration::ZERO
        && playout.cut > Duration::ZERO
}

/// Packets of 60 ms, of which some come late.
fn long_packets(stage: &mut Stage) -> bool {
    if matches!(stage.codec(), Codec::Opus(_)) {
        return true; // its payloads cannot be put together
    }
    stage.far[SUBJECT].says = hum;
    stage.far[SUBJECT].frames = 3;
    stage.late = |tick| if tick > 60 { tick / 3 % 3 } else { 0 };
    stage.run(300);
    let playout = stage.stats().playout;
    playout.concealed > Duration::ZERO && playout.cut > Duration::ZERO
}

fn comfort_noise(stage: &mut Stage) -> bool {
    stage.run(30);
    for _ in 0..5 {
        let far = &mut stage.far[SUBJECT];
        let noise = rtp(13, false, far.sequence, far.timestamp, far.ssrc, &[55]);
        far.sequence = far.sequence.wrapping_add(1);
        stage.deliver(SUBJECT, &noise);
        (0..10).for_each(|_| stage.tick());
    }
    stage.run(20);
    stage.stats().ingress.comfort_noise == 5
}

fn another_stream(stage: &mut Stage) -> bool {
    stage.run(30);
    let far = &mut stage.far[SUBJECT];
    (far.ssrc, far.sequence, far.timestamp) = (77, 3, 9);
    stage.run(30);
    let far = &mut stage.far[SUBJECT];
    far.timestamp = far.timestamp.wrapping_add(0x1234_5678);
    stage.run(30);
    stage.stats().ingress.stream_changes == 1 && stage.stats().playout.restarts >= 2
}

fn garbage(stage: &mut Stage) -> bool {
    stage.run(10);
    let far = &stage.far[SUBJECT];
    let (sequence, timestamp, ssrc) = (far.sequence, far.timestamp, far.ssrc);
    for junk in [
        b"hello".to_vec(),
        vec![0x80; 11],
        rtp(99, false, sequence, timestamp, ssrc, &[1; 160]),
        rtp(AUDIO, false, sequence, timestamp, ssrc, &[]),
        rtp(AUDIO, false, sequence, timestamp, ssrc, &[0xff; 1_400]),
        rtp(AUDIO, false, 7, 7, 7, &[3; 50]),
        rtp(EVENT, false, sequence, timestamp, ssrc, &[1, 2]),
    ] {
        stage.deliver(SUBJECT, &junk);
    }
    stage.run(10);
    let counts = stage.stats().ingress;
    counts.malformed >= 3 && counts.unknown_payload_type == 1 && counts.probation == 1
}

fn rtcp(stage: &mut Stage) -> bool {
    stage.run(200);
    let report = stage.leg(LISTENER).goodbye().expect("in the clear").to_vec();
    stage.deliver(SUBJECT, &report);
    stage.stats().ingress.rtcp == 1 && stage.stats().far_end.gone && stage.sent_reports > 3
}

fn keys_pressed(stage: &mut Stage) -> bool {
    stage.run(10);
    for n in 1..=6_u16 {
        let far = &mut stage.far[SUBJECT];
        let step = far.encoder.codec().clock_rate() as u16 / 50;
        let [high, low] = (n.min(4) * step).to_be_bytes();
        let payload = [9, if n >= 4 { 0x8a } else { 10 }, high, low];
        let event = rtp(EVENT, n == 1, far.sequence, far.timestamp, far.ssrc, &payload);
        far.sequence = far.sequence.wrapping_add(1);
        stage.deliver(SUBJECT, &event);
        stage.tick();
    }
    stage.run(10);
    stage.reported(|report| matches!(report, Report::Digit { leg: LegId(0), digit: '9' }))
}

fn keys_sent(stage: &mut Stage) -> bool {
    stage.run(10);
    stage.apply(Command::SendDigits { leg: LegId(0), digits: digits("7#") });
    stage.run(60);
    stage.reported(|report| matches!(report, Report::DigitsSent { leg: LegId(0) }))
}

/// Whether clip 5 came home, played to its end.
fn came_home(report: &Report<()>) -> bool {
    matches!(
        report,
        Report::ClipEnded { token: 5, finished: true, .. }
            | Report::ConferenceClipEnded { token: 5, finished: true, .. }
    )
}

fn clip(stage: &mut Stage) -> bool {
    stage.run(20);
    stage.apply(Command::Play { leg: LegId(0), clip: tone_clip(5, 700.0, 20), interrupt: false });
    stage.apply(Command::Play { leg: LegId(0), clip: tone_clip(6, 900.0, 50), interrupt: false });
    stage.run(30);
    stage.apply(Command::Stop { leg: LegId(0) });
    stage.run(20);
    stage.reported(came_home)
        && stage.reported(|report| matches!(report, Report::ClipEnded { token: 6, finished: false, .. }))
}

fn whisper(stage: &mut Stage) -> bool {
    stage.run(20);
    for leg in [LegId(0), LegId(2)] {
        stage.apply(Command::Whisper { leg, clip: tone_clip(5, 700.0, 20) });
    }
    stage.run(40);
    stage.reported(came_home)
}

fn clip_for_all(stage: &mut Stage) -> bool {
    stage.run(20);
    let clip = tone_clip(5, 700.0, 20);
    stage.apply(Command::PlayAll { conference: ROOM, clip, except: Some(LegId(0)) });
    stage.run(40);
    stage.reported(came_home)
}

fn audience(stage: &mut Stage) -> bool {
    stage.run(20);
    stage.apply(Command::Audience { leg: LegId(0), audience: Audience::new(&[LegId(2)]) });
    stage.run(40);
    let sources = [LISTENER, OTHER].map(|far| stage.far[far].sources());
    stage.apply(Command::Audience { leg: LegId(0), audience: None });
    stage.run(40);
    sources == [2, 0] && stage.far[OTHER].sources() == 1
}

fn muted(stage: &mut Stage) -> bool {
    stage.run(20);
    stage.apply(Command::Mute { leg: LegId(0), muted: true });
    stage.run(40);
    let sources = stage.far[LISTENER].sources();
    stage.apply(Command::Mute { leg: LegId(0), muted: false });
    stage.run(20);
    sources == 1
}

fn hold(stage: &mut Stage) -> bool {
    for direction in [Direction::SendOnly, Direction::RecvOnly, Direction::Inactive, Direction::SendRecv] {
        stage.apply(Command::Direction { leg: LegId(0), direction });
        stage.run(20);
    }
    stage.stats().ingress.on_hold == 40 && stage.far[SUBJECT].packets <= 40
}

fn packet_times(stage: &mut Stage) -> bool {
    stage.run(20);
    for ptime in [Ptime::Ms40, Ptime::Ms60] {
        stage.reconfigure(|media| media.ptime = ptime);
        stage.run(30);
    }
    let longer = !matches!(stage.codec(), Codec::Opus(_));
    (stage.far[SUBJECT].packets < 60) == longer || stage.codec() == SPARING
}

fn tap(stage: &mut Stage) -> bool {
    let (tap, mut frames) = Tap::new(40);
    stage.apply(Command::Tap { conference: ROOM, tap });
    stage.run(50); // ten more than there is room for
    stage.apply(Command::Untap { conference: ROOM });
    stage.run(1);
    std::iter::from_fn(|| frames.pop().ok()).count() == 40
        && stage.reported(|report| matches!(report, Report::Untapped { .. }))
}

fn encrypted(stage: &mut Stage) -> bool {
    let mut all = true;
    for (n, suite) in Suite::ALL.into_iter().enumerate() {
        let keys =
            |key: u8| Keys::new(suite, &[key; 64][..suite.master_len()], None).expect("of the right length");
        let (theirs, ours) = (10 + 2 * n as u8, 11 + 2 * n as u8);
        let srtp = LegSrtp::new(SrtpConfig { ingress: keys(theirs), egress: keys(ours) });
        stage.apply(Command::Secure { leg: LegId(0), srtp });
        stage.far[SUBJECT].keys = Some((Srtp::new(keys(theirs)), Srtp::new(keys(ours))));
        stage.taken.clear();
        stage.run(30);
        all &= stage.taken.len() >= 20 && stage.taken.iter().all(|taken| *taken == Ingress::Audio);
        stage.deliver(SUBJECT, &[0x80; 172]);
        all &= stage.taken.last() == Some(&Ingress::Rejected);
    }
    stage.run(250); // until the old keys are not good any more
    all && stage.reports.iter().filter(|report| matches!(report, Report::SrtpRetired { .. })).count() == 3
}

fn other_codecs(stage: &mut Stage) -> bool {
    let first = stage.codec();
    stage.run(20);
    for codec in CODECS.into_iter().chain([first]) {
        stage.reconfigure(|media| {
            media.codec = codec;
            media.event_clock_rate = codec.clock_rate();
        });
        stage.run(25);
    }
    stage.codec() == first && stage.far[LISTENER].sources() == 2
}

fn other_rates(stage: &mut Stage) -> bool {
    let mut rates = vec![stage.rate()];
    for codec in [Codec::G722, FULL, FULL] {
        stage.join(codec, quiet);
        stage.run(15);
        rates.push(stage.rate());
    }
    for leg in [5, 4, 3] {
        stage.apply(Command::Remove { leg: LegId(leg) });
        stage.far.pop();
        stage.run(15);
    }
    rates[3] == Rate::Full && stage.rate() == rates[0]
}

fn other_room(stage: &mut Stage) -> bool {
    stage.run(20);
    let lobby = ConferenceId(2);
    stage.apply(Command::Open { conference: lobby, seats: 2 });
    for to in [lobby, ROOM] {
        stage.apply(Command::Move { leg: LegId(0), to });
        stage.run(20);
    }
    stage.far[SUBJECT].packets >= 50 && stage.far[LISTENER].sources() == 2
}

fn leaves(stage: &mut Stage) -> bool {
    stage.run(40);
    stage.apply(Command::Remove { leg: LegId(0) });
    (0..10).for_each(|_| stage.tick());
    stage.reported(|report| matches!(report, Report::Returned { leg: LegId(0), .. }))
}

/// More rooms, and more legs of one room, than there was room for when the shard and the rooms were made.
fn crowd(stage: &mut Stage) -> bool {
    let (codec, crowd) = (stage.codec(), 1_000..1_300);
    for n in crowd.clone() {
        let conference = ConferenceId(n);
        stage.apply(Command::Open { conference, seats: 1 });
        stage.seat(if n < 1_050 { codec } else { Codec::Pcmu }, n, conference);
    }
    stage.apply(Command::Tap { conference: ConferenceId(1_000), tap: Tap::new(40).0 });
    stage.tick();
    for n in crowd.clone().take(60) {
        stage.apply(Command::Move { leg: LegId(n), to: ROOM });
    }
    stage.tick();
    for n in crowd.clone() {
        stage.apply(Command::Close { conference: ConferenceId(n) });
        stage.apply(Command::Remove { leg: LegId(n) });
    }
    stage.tick();
    let returned = stage.reports.iter().filter(|report| matches!(report, Report::Returned { .. })).count();
    returned == crowd.count()
        && stage.shard.conferences().count() == 1
        && stage.reported(|report| matches!(report, Report::Untapped { .. }))
        && stage.reported(|report| matches!(report, Report::Spent(_)))
}

/// As many as can wait, for a leg and for all, and one more.
fn clips(stage: &mut Stage) -> bool {
    for token in 0..=CLIPS as u64 {
        let clip = || tone_clip(token, 700.0, 1);
        stage.apply(Command::Play { leg: LegId(0), clip: clip(), interrupt: false });
        stage.apply(Command::PlayAll { conference: ROOM, clip: clip(), except: None });
    }
    stage.run(CLIPS + 2);
    let ended = |finished| {
        let is_end = |report: &&Report<()>| match report {
            Report::ClipEnded { finished: done, .. } | Report::ConferenceClipEnded { finished: done, .. } => {
                *done == finished
            }
            _ => false,
        };
        stage.reports.iter().filter(is_end).count()
    };
    (ended(true), ended(false)) == (2 * CLIPS, 2)
}

fn echo(stage: &mut Stage) -> bool {
    stage.far[SUBJECT].says = quiet;
    stage.far[OTHER].says = sentence;
    stage.far[SUBJECT].echo = Some(VecDeque::from(vec![Vec::new(); 10]));
    stage.run(400);
    stage.reported(|report| matches!(report, Report::Echo { leg: LegId(0), on: true, .. }))
}
