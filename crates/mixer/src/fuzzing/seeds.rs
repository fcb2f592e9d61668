//! Where the fuzzers start from: good packets and what networks make of them, in the form that each body reads.
//!
//! They are written here to be read, and lie in `fuzz/seeds` for the fuzzer, beside what it has found since. After a change here:
//! `PARTYLINE_WRITE_SEEDS=1 cargo test -p mixer --lib seeds`.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use super::{CODECS, epoch};
use crate::codec::{Codec, Encoder, MAX_PAYLOAD, OpusFormat};
use crate::rtp::{HEADER, Header, ReceptionBlock, Rtcp, Sent, write_header};
use crate::units::{PayloadType, Rate, RtpTime, SeqNo, Ssrc};

type Body = fn(&[u8]);
type Seeds = Vec<(&'static str, Vec<u8>)>;

/// One packet.
fn packet(marker: bool, kind: u8, sequence: u16, timestamp: u32, csrcs: &[Ssrc], payload: &[u8]) -> Vec<u8> {
    let header = Header {
        marker,
        payload_type: PayloadType::new(kind),
        sequence: SeqNo::new(sequence),
        timestamp: RtpTime::new(timestamp),
        ssrc: Ssrc::new(0x0bad_cafe),
        csrcs,
    };
    let mut bytes = vec![0; HEADER + 4 * csrcs.len()];
    write_header(&header, &mut bytes);
    bytes.extend(payload);
    bytes
}

/// Datagrams, each with its length before it, as `records` reads them.
fn records(datagrams: &[Vec<u8>]) -> Vec<u8> {
    datagrams.iter().flat_map(|datagram| [&[datagram.len() as u8], &datagram[..]].concat()).collect()
}

/// So many packets of 20 ms of a tone, numbered and timed up to and beyond the wraps.
fn stream(codec: Codec, kind: u8, packets: u16) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(codec);
    let (frame, hertz) = (codec.rate().frame(), f64::from(codec.rate().hz()));
    let one = |n: u16| {
        let wave = |at: usize| (at as f64 * 300.0 * std::f64::consts::TAU / hertz).sin() * 6_000.0;
        let pcm: Vec<i16> = (0..frame).map(|at| wave(usize::from(n) * frame + at) as i16).collect();
        let mut payload = [0; MAX_PAYLOAD];
        let length = encoder.encode(&pcm, &mut payload);
        let timestamp = 0xffff_fc00_u32.wrapping_add(u32::from(n) * (codec.clock_rate() / 50));
        packet(n == 0, kind, 65_533_u16.wrapping_add(n), timestamp, &[], &payload[..length])
    };
    (0..packets).map(one).collect()
}

/// A press of a key: begins with the marker, lasts, ends three times.
fn press(event: u8, clock_rate: u32) -> Vec<Vec<u8>> {
    let one = |n: u16| {
        let [high, low] = ((n.min(4) + 1) * (clock_rate / 50) as u16).to_be_bytes();
        let end = if n >= 4 { 0x80 } else { 0 };
        packet(n == 0, 101, 100 + n, 16_000, &[], &[event, end | 0x0a, high, low])
    };
    (0..7).map(one).collect()
}

fn rtp() -> Seeds {
    let opus = Codec::Opus(OpusFormat::speech(Rate::Wide));
    let pcmu = stream(Codec::Pcmu, 0, 8);
    let with = |first: u8, behind: &[u8]| {
        let mut bytes = packet(false, 0, 7, 1_600, &[], behind);
        bytes[0] |= first;
        bytes
    };
    let extension = [&[0xbe, 0xde, 0, 1, 0x10, 0x95, 0, 0][..], &[0xd5; 160]].concat();
    let padding = [&[0x55; 80][..], &[0, 0, 0, 4]].concat();
    let sources: Vec<Ssrc> = (1..=15).map(Ssrc::new).collect();
    let noise: Vec<Vec<u8>> = (0..4).map(|n| packet(n == 0, 13, n, 0, &[], &[60])).collect();
    let mut other = stream(Codec::Pcmu, 0, 8);
    for packet in &mut other {
        packet[8] ^= 0xff;
    }
    let mut reordered = pcmu.clone();
    reordered.swap(3, 4);
    reordered.insert(5, pcmu[2].clone());
    let jump: Vec<Vec<u8>> = (0..8_u16)
        .map(|n| packet(n == 4, 0, n, (u32::from(n / 4) << 24) + u32::from(n) * 160, &[], &[0x20; 160]))
        .collect();
    let ptimes = [80, 240, 160]
        .map(|bytes: usize| packet(false, 8, bytes as u16 / 80, bytes as u32, &[], &vec![0x33; bytes]));
    vec![
        ("one-packet", pcmu[0].clone()),
        ("header-extension", with(0x10, &extension)),
        ("padding", with(0x20, &padding)),
        ("contributing-sources", packet(false, 8, 1, 160, &sources, &[0xd5; 160])),
        ("pcmu", records(&pcmu)),
        ("g722", records(&stream(Codec::G722, 9, 8))),
        ("opus", records(&stream(opus, 111, 8))),
        ("codec-changes", records(&[pcmu.clone(), stream(opus, 111, 8), stream(Codec::Pcma, 8, 4)].concat())),
        ("comfort-noise", records(&[noise, pcmu.clone()].concat())),
        ("events-8000", records(&[press(5, 8_000), pcmu.clone(), press(11, 8_000)].concat())),
        ("events-48000", records(&press(9, 48_000))),
        ("another-stream", records(&[pcmu.clone(), other].concat())),
        ("reordered-and-twice", records(&reordered)),
        ("timestamp-jump", records(&jump)),
        ("packet-times", records(&ptimes)),
        (
            "rtcp-between",
            records(&[vec![pcmu[0].clone()], vec![report(true)], vec![pcmu[1].clone()]].concat()),
        ),
    ]
}

/// What another end sends about the stream of the `rtcp` body, and of its own: as the sender of one, or not. It has had a report
/// from that body, whose clock on the wall stands still.
fn report(sends: bool) -> Vec<u8> {
    let (now, body) = (epoch(), Ssrc::new(0x5555_5555));
    let sent = Sent { packets: 1, octets: 160, timestamp: RtpTime::new(7) };
    let mut far = Rtcp::new(Ssrc::new(9));
    far.handle_packet(now, 8_000, &Rtcp::new(body).report(now, UNIX_EPOCH, "fuzz", sent, None));
    let block =
        ReceptionBlock { ssrc: body, fraction_lost: 12, total_lost: 3, highest: 0x0001_0203, jitter: 40 };
    let sent = Sent { packets: u64::from(sends), ..sent };
    let wall = UNIX_EPOCH + Duration::from_millis(1_500);
    far.report(now, wall, "far@example.org", sent, Some(block)).to_vec()
}

fn rtcp() -> Seeds {
    let goodbye = Rtcp::new(Ssrc::new(9)).goodbye("far@example.org").to_vec();
    // An application's packet (RFC 3550 section 6.7), a loss report (RFC 4585 section 6.2.1), an extended report (RFC 3611).
    let application = [&[0x81, 204, 0, 3, 0, 0, 0, 9][..], b"TEST", &[1, 2, 3, 4]].concat();
    let feedback = [0x81, 205, 0, 3, 0, 0, 0, 9, 0x55, 0x55, 0x55, 0x55, 0, 7, 0, 1].to_vec();
    let extended = [0x80, 207, 0, 4, 0, 0, 0, 9, 4, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0].to_vec();
    let mut several = report(true);
    several[0] += 1; // it says that there are two blocks
    vec![
        ("sender-report", report(true)),
        ("receiver-report", report(false)),
        ("goodbye", goodbye.clone()),
        ("application", [report(false), application].concat()),
        ("feedback", [report(false), feedback].concat()),
        ("extended-report", [report(false), extended].concat()),
        ("one-block-too-few", several),
        ("conversation", records(&[report(false), report(true), report(true), goodbye])),
    ]
}

/// Operations of `jitter_ops`.
#[derive(Default)]
struct Operations(Vec<u8>);

impl Operations {
    /// One operation: `number` has three bytes.
    fn add(&mut self, kind: u8, number: u32, [fill, first]: [u8; 2], rests: u16) -> &mut Self {
        let [_, high, middle, low] = number.to_be_bytes();
        self.0.extend([kind, high, middle, low, fill, first]);
        self.0.extend(rests.to_be_bytes());
        self
    }

    /// The next packet of the stream, behind `lost` others.
    fn follow(&mut self, codec: usize, length: u16, first: u8, lost: u32) -> &mut Self {
        let rests = (length..).step_by(1_501).find(|rests| usize::from(rests >> 8) % CODECS.len() == codec);
        self.add(4, lost, [0x20, first], rests.expect("one in five of forty"))
    }

    fn pass(&mut self, milliseconds: u32) -> &mut Self {
        self.add(8, milliseconds * 1_000, [0, 0], 0)
    }

    fn tick(&mut self) -> &mut Self {
        self.add(13, 0, [0, 0], 0)
    }

    /// A tick of a leg that nobody hears.
    fn tick_unheard(&mut self) -> &mut Self {
        self.add(0x4d, 0, [24, 0], 0)
    }
}

/// Numbers in [`CODECS`].
const G722: usize = 0;
const PCMU: usize = 1;
const WIDE: usize = 2;
const PCMA: usize = 3;
const FULL: usize = 4;

/// TOC bytes of RFC 6716 section 3.1: SILK wideband 20 ms, and hybrid full band 20 ms.
const SILK: u8 = 0x48;
const HYBRID: u8 = 0x78;

fn jitter_ops() -> Seeds {
    let steady = |codec: usize, length: u16, first: u8, each: &dyn Fn(u32, &mut Operations)| {
        let mut all = Operations::default();
        all.add(12, 0, [0, 0], 0); // every codec is admitted
        for n in 0..60 {
            all.follow(codec, length, first, 0);
            each(n, &mut all);
            all.tick();
        }
        all.0
    };
    let nothing = |_: u32, _: &mut Operations| {};
    // A step of 4 through the codes is a tone of 125 Hz, and its periods can be cut out.
    let lossy = |n: u32, all: &mut Operations| {
        if n % 5 == 4 {
            all.tick().follow(PCMU, 160, 4, n % 4);
        }
    };
    let slow = |n: u32, all: &mut Operations| {
        all.pass(n % 7 * 11);
    };
    let unheard = |n: u32, all: &mut Operations| {
        if n % 20 > 9 {
            all.tick_unheard().follow(PCMU, 160, 4, 0);
        }
    };
    let noise = |n: u32, all: &mut Operations| {
        if n % 10 == 9 {
            all.add(11, n + 1, [60, 0], 0).tick().tick().tick();
        }
    };
    let others = |n: u32, all: &mut Operations| {
        let (codec, length, first) =
            [(PCMA, 240, 3), (G722, 320, 7), (WIDE, 40, SILK), (FULL, 60, HYBRID)][n as usize / 15];
        all.follow(codec, length, first, 0);
    };
    let again = |n: u32, all: &mut Operations| {
        if n % 15 == 14 {
            all.add(9, 0, [0, 0], 0).add(0xc0, n * 77_777, [0x20, 4], 160 + 1_501); // another stream, elsewhere
        }
    };
    vec![
        ("steady-pcmu", steady(PCMU, 160, 4, &nothing)),
        ("steady-g722-40-ms", steady(G722, 320, 5, &|_, all| _ = all.tick())),
        ("steady-opus", steady(WIDE, 40, SILK, &nothing)),
        ("steady-opus-full-band", steady(FULL, 60, HYBRID, &nothing)),
        ("lossy", steady(PCMU, 160, 4, &lossy)),
        (
            "lossy-opus",
            steady(WIDE, 40, SILK, &|n, all| {
                _ = if n % 5 == 4 { all.tick().follow(WIDE, 40, SILK, 2) } else { all }
            }),
        ),
        ("jitter", steady(PCMA, 160, 4, &slow)),
        ("unheard", steady(PCMU, 160, 4, &unheard)),
        ("comfort-noise", steady(PCMU, 160, 4, &noise)),
        ("codec-changes", steady(PCMU, 160, 4, &others)),
        ("other-streams", steady(PCMU, 160, 4, &again)),
    ]
}

fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target)
}

#[test]
fn the_seeds_for_the_fuzzer_are_those_that_are_written_here() {
    for (target, seeds) in [("rtp", rtp()), ("rtcp", rtcp()), ("jitter_ops", jitter_ops())] {
        for (name, bytes) in seeds {
            let file = folder(target).join(name);
            if std::env::var_os("PARTYLINE_WRITE_SEEDS").is_some() {
                fs::create_dir_all(folder(target)).expect("a folder");
                fs::write(&file, &bytes).expect("a seed");
            }
            let same = fs::read(&file).is_ok_and(|found| found == bytes);
            assert!(same, "{} is another: see the head of this file", file.display());
        }
    }
}

/// What was found once is looked at in every test run.
#[test]
fn the_bodies_run_over_all_that_the_fuzzers_start_from() {
    let targets: [(&str, Body); 5] = [
        ("rtp", super::rtp),
        ("rtcp", super::rtcp),
        ("jitter_ops", super::jitter_ops),
        ("srtp", super::srtp),
        ("codec", super::codec),
    ];
    for (target, body) in targets {
        let files = fs::read_dir(folder(target)).expect("seeds");
        let read = files.map(|file| fs::read(file.expect("a name").path()).expect("a seed"));
        assert!(read.map(|bytes| body(&bytes)).count() > 0, "{target}");
    }
}
