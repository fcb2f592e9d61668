//! The bodies of the fuzz targets. They live here so that they are compiled and run with every test, and do not rot.
//! Each takes arbitrary bytes and panics only if a promise of this crate is broken.

mod codec;
#[cfg(test)]
mod seeds;
mod srtp;

use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use bytes::Bytes;
use rtc_shared::marshal::Unmarshal;

use crate::codec::{Codec, OpusFormat};
use crate::guard;
use crate::jitter::Playout;
use crate::rtp::{self, Compound, Packet, Part, Rtcp};
use crate::units::Rate;
use crate::{
    Command, ConferenceId, Digits, Direction, Leg, LegConfig, LegId, MediaConfig, PayloadType, Ptime,
    RtpTime, Seat, SeqNo, Shard, ShardConfig, Ssrc, TICK, Waste,
};

pub use codec::codec;
pub use srtp::srtp;

/// Any bytes as RTP: no panic; where another implementation reads a packet too, both read the same; and as the datagrams of
/// legs in a conference, one of each codec, whose ticks never allocate and whose packets are always valid.
pub fn rtp(input: &[u8]) {
    compare(input);
    let mut now = epoch();
    let mut shard = Shard::new(ShardConfig { seats: 3, ..ShardConfig::default() });
    let conference = ConferenceId(1);
    shard.apply(now, Command::Open { conference, seats: 3 });
    // The one with Opus is not sent anything: what counts here is what arrives, and encoding takes its time.
    let legs = [
        config(0, Codec::Pcmu, 0, Direction::SendRecv),
        config(1, Codec::G722, 9, Direction::SendRecv),
        config(2, Codec::Opus(OpusFormat::speech(Rate::Wide)), 111, Direction::RecvOnly),
    ];
    for config in legs {
        let seat = Box::new(Seat { leg: Leg::new(config), io: () });
        shard.apply(now, Command::Seat { conference, seat });
    }
    shard.apply(now, Command::SendDigits { leg: LegId(1), digits: Digits::parse("1").expect("a key") });
    for datagram in records(input) {
        for seat in shard.seats_mut() {
            seat.leg.ingress_rtp(now, datagram);
        }
        if datagram.first().is_some_and(|first| first & 1 == 0) {
            now += TICK;
            shard.tick(now);
        }
        for seat in shard.seats_mut() {
            if let Some(packet) = seat.leg.egress() {
                assert!(Packet::parse(packet).is_ok(), "what we send we can read");
            }
            let report = seat.leg.egress_rtcp(now, UNIX_EPOCH);
            assert!(report.is_none_or(|report| Compound::parse(&report).is_ok()));
        }
        while shard.poll_report().is_some() {}
    }
}

/// Any bytes as RTCP: no panic and no allocation; what is malformed changes nothing, what is not is read to its last byte, and
/// our next report can be read.
pub fn rtcp(input: &[u8]) {
    let mut now = epoch();
    let ssrc = Ssrc::new(0x5555_5555);
    let mut rtcp = Rtcp::new(ssrc);
    for datagram in std::iter::once(input).chain(records(input)) {
        let before = rtcp.far_end();
        let taken = guard::armed(|| rtcp.handle_packet(now, 8_000, datagram));
        match Compound::parse(datagram) {
            Ok(compound) => check(compound, datagram),
            Err(_) => assert_eq!(rtcp.far_end(), before, "of what is malformed nothing is believed"),
        }
        assert_eq!(taken, Compound::parse(datagram).is_ok());
        now += Duration::from_millis(u64::from(datagram.first().copied().unwrap_or(0)) * 20);
        let sent = rtp::Sent { packets: 1, octets: 160, timestamp: RtpTime::new(7) };
        let report = guard::armed(|| rtcp.report(now, UNIX_EPOCH, "fuzz", sent, None));
        assert!(Rtcp::new(Ssrc::new(1)).handle_packet(now, 8_000, &report), "what we send we can read");
    }
}

/// Its packets lie in the datagram one behind the other, and none holds more than there are bytes.
fn check(compound: Compound<'_>, datagram: &[u8]) {
    let mut least = 0;
    for part in compound.parts() {
        least += 4 + match part {
            Part::SenderReport { blocks, .. } => 24 + 24 * blocks.iter().len(),
            Part::ReceiverReport { blocks } => 4 + 24 * blocks.iter().len(),
            Part::Goodbye { sources } => 4 * sources.iter().len(),
            Part::Other(_) => 0,
        };
    }
    assert!(least > 0 && least <= datagram.len() && datagram.len().is_multiple_of(4));
}

/// The codecs of [`jitter_ops`], by their number.
const CODECS: [Codec; 5] = [
    Codec::G722,
    Codec::Pcmu,
    Codec::Opus(OpusFormat::speech(Rate::Wide)),
    Codec::Pcma,
    Codec::Opus(OpusFormat::speech(Rate::Full)),
];

/// Any operations on a jitter buffer: no panic and no allocation, and every tick gets 20 ms. An operation is 8 bytes: its kind,
/// a number in three, and for a packet its last bytes: two make its content, of two the rests are its codec and length.
pub fn jitter_ops(input: &[u8]) {
    let mut now = epoch();
    // From narrow to everything: what a re-INVITE may add.
    let first = usize::from(input.first().copied().unwrap_or(0)) % CODECS.len();
    let mut playout = Playout::new(&CODECS[first..=first]);
    let mut payload = [0; 1_500];
    let mut follows = (SeqNo::new(65_500), RtpTime::new(0xffff_0000));
    for operation in input.as_chunks::<8>().0 {
        let (kind, number) =
            (operation[0], u32::from_be_bytes([0, operation[1], operation[2], operation[3]]));
        // Small steps and large ones, so that streams, gaps, jumps and wraps all occur.
        let sequence = SeqNo::new(if kind & 0x80 == 0 { number % 64 } else { number } as u16);
        match kind % 16 {
            0..8 => {
                let length =
                    usize::from(u16::from_be_bytes([operation[6], operation[7]])) % (payload.len() + 1);
                for (n, byte) in payload[..length].iter_mut().enumerate() {
                    *byte = operation[4].wrapping_add((n as u8).wrapping_mul(operation[5])); // as good as a tone
                }
                payload[0] = operation[5];
                let codec = CODECS[usize::from(operation[6]) % CODECS.len()];
                let payload = &payload[..length];
                let (sequence, timestamp) = if kind & 4 == 0 {
                    (sequence, RtpTime::new(if kind & 0x40 == 0 { number % 64 * 80 } else { number << 8 }))
                } else {
                    follows
                };
                guard::armed(|| playout.push(sequence, timestamp, codec, payload, now));
                // The next one of this stream, or a later one where packets get lost.
                let (lost, step) = (number % 4, ticks(codec, payload));
                let steps = (lost + 1).wrapping_mul(step);
                follows =
                    (SeqNo::new(sequence.to_wire().wrapping_add(lost as u16 + 1)), timestamp.plus(steps));
            }
            8 => now += Duration::from_micros(u64::from(number)),
            9 => playout.restart(),
            10 => playout.pause(sequence),
            11 => playout.comfort_noise(sequence, operation[4]),
            12 => playout.admit(&CODECS[usize::from(operation[4]) % CODECS.len()..], &mut Waste::default()),
            _ => {
                let unheard_below = (kind & 0x40 != 0).then_some(u16::from(operation[4]));
                guard::armed(|| playout.pull(now, unheard_below));
                assert_eq!(playout.samples().len(), playout.rate().frame());
                now += TICK;
            }
        }
    }
}

/// How long a payload is, in ticks of its RTP clock.
fn ticks(codec: Codec, payload: &[u8]) -> u32 {
    let samples = codec.duration(payload).unwrap_or_default() as u64;
    (samples * u64::from(codec.clock_rate()) / u64::from(codec.rate().hz())) as u32
}

/// Reads the same packet with `rtc-rtp`, which knows more of header extensions and refuses some that we pass over.
fn compare(input: &[u8]) {
    let ours = Packet::parse(input);
    let theirs = rtc_rtp::Packet::unmarshal(&mut Bytes::copy_from_slice(input));
    if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
        let header = &theirs.header;
        assert_eq!(ours.marker(), header.marker);
        assert_eq!(ours.payload_type().to_wire(), header.payload_type);
        assert_eq!(ours.sequence().to_wire(), header.sequence_number);
        assert_eq!(ours.timestamp().to_wire(), header.timestamp);
        assert_eq!(ours.ssrc().to_wire(), header.ssrc);
        assert!(ours.csrcs().map(Ssrc::to_wire).eq(header.csrc.iter().copied()));
        // Of an extension that breaks off early, rtc-rtp leaves the rest to the payload.
        assert!(header.extension || ours.payload() == &theirs.payload[..]);
    }
}

/// Datagrams out of arbitrary bytes: a length byte, then so many bytes.
fn records(mut input: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = input.split_first()?;
        let (record, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        input = rest;
        Some(record)
    })
}

fn config(id: u64, codec: Codec, audio_pt: u8, direction: Direction) -> LegConfig {
    LegConfig {
        id: LegId(id),
        media: MediaConfig {
            codec,
            audio_pt: PayloadType::new(audio_pt),
            event_pt: Some(PayloadType::new(101)),
            event_clock_rate: codec.clock_rate(),
            ptime: Ptime::Ms20,
            audio_level: Some(1),
        },
        direction,
        ssrc: Ssrc::new(id as u32),
        first_sequence: SeqNo::new(0),
        first_timestamp: RtpTime::new(0),
        cname: Arc::from("fuzz"),
        csrc: true,
        silent_after: Duration::from_secs(30),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "`Instant` has no other constructor; a fuzz body only adds to it"
)]
fn epoch() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Arbitrary but fixed bytes, with a header that looks like RTP or RTCP in front of every record.
    fn seeds() -> impl Iterator<Item = Vec<u8>> {
        (0..200_u64).map(|seed| {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut next = move || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            };
            let mut bytes = Vec::new();
            for _ in 0..40 {
                let length = 12 + next() % 100;
                bytes.push(length);
                let first = if next() % 4 == 0 { next() } else { 0x80 };
                let kind = [0, 8, 13, 101, 200, 201, 202, 203, next()][usize::from(next() % 9)];
                bytes.extend([first, kind, 0, next() % 20]);
                bytes.extend((4..length).map(|_| next()));
            }
            bytes
        })
    }

    #[test]
    fn the_bodies_run_over_arbitrary_bytes() {
        for seed in [vec![], vec![0], vec![0x80; 12], vec![0xff; 64]].into_iter().chain(seeds()) {
            for skip in [0, 1] {
                let bytes = &seed[skip.min(seed.len())..];
                rtp(bytes);
                rtcp(bytes);
                jitter_ops(bytes);
                srtp(bytes);
            }
        }
    }
}
