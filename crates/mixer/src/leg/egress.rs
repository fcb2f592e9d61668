//! What leaves of one leg: our stream, with timestamps from the media clock, whoever mixes it.

use std::time::{Duration, Instant};

use crate::ahead;
use crate::codec::MAX_PAYLOAD;
use crate::frame::{FRAME, TICK};
use crate::rtp::{self, DigitSender, EventPacket, HEADER, Header, MAX_CSRC, Sent};
use crate::units::{PayloadType, RtpTime, SeqNo, Ssrc};

/// Bytes of the header extension that says how loud a packet is: the word that names the one-byte form, and one of elements
/// (RFC 8285 section 4.2, RFC 6464 section 3).
const EXTENSION: usize = 8;

/// Room for the longest header before the payload, so that the payload is written once, wherever the header begins.
const ROOM: usize = HEADER + 4 * MAX_CSRC + EXTENSION;

/// Room for the longest payload: 60 ms of G.711 or G.722, or 20 ms of anything.
const PAYLOAD: usize = if MAX_PAYLOAD > 3 * FRAME { MAX_PAYLOAD } else { 3 * FRAME };

/// The outgoing side of a leg.
#[derive(Debug)]
pub(super) struct Outgoing {
    ssrc: Ssrc,
    sequence: SeqNo,
    clock: MediaClock,
    packet: [u8; ROOM + PAYLOAD],
    /// The packet of this tick: from, to.
    ready: (usize, usize),
    /// Frames of the packet that is being filled, their bytes, its timestamp and how loud its loudest frame is.
    filled: usize,
    bytes: usize,
    started: RtpTime,
    level: Option<(u8, u8)>,
    /// The next audio packet is the first, or the first after a pause.
    mark: bool,
    packets: u64,
    octets: u64,
    pub(super) digits: DigitSender,
}

/// Turns ticks, whose deadlines differ from shard to shard, into the timestamps of one leg.
#[derive(Clone, Copy, Debug)]
struct MediaClock {
    /// The timestamp of the last tick, and how much one lasts at the codec's clock rate.
    stamp: RtpTime,
    step: u32,
    epoch: Option<Instant>,
    /// The number of the last tick since `epoch`.
    tick: u64,
}

impl MediaClock {
    /// The timestamp of the tick at `now`; `None` when that tick has been served already, which happens when a leg moves to a
    /// shard whose ticks come earlier. `rate` is the codec's clock rate: where it changes, the timestamp goes on at the new one
    /// (RFC 7160 section 4.1).
    fn tick(&mut self, now: Instant, rate: u32) -> Option<RtpTime> {
        self.step = rate / TICKS_PER_SECOND;
        let Some(epoch) = self.epoch else {
            self.epoch = Some(now);
            return Some(self.stamp);
        };
        let since = nanos(now.saturating_duration_since(epoch) + TICK / 2);
        let tick = since / nanos(TICK);
        if tick <= self.tick {
            return None;
        }
        self.stamp = self.stamp.plus(((tick - self.tick) as u32).wrapping_mul(self.step));
        self.tick = tick;
        Some(self.stamp)
    }

    /// The media time at any moment, for a sender report.
    fn at(&self, now: Instant) -> RtpTime {
        let Some(epoch) = self.epoch else { return self.stamp };
        let last = epoch + Duration::from_nanos(self.tick.saturating_mul(nanos(TICK)));
        let since = nanos(now.saturating_duration_since(last));
        self.stamp.plus((since.saturating_mul(u64::from(self.step)) / nanos(TICK)) as u32)
    }
}

/// Nanoseconds in 64 bits, which hold five centuries: a division by 128 bits would be most of a listener's tick.
fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(duration.subsec_nanos()))
}

const TICKS_PER_SECOND: u32 = 50;

/// The format of a packet that leaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format<'a> {
    pub(super) payload_type: PayloadType,
    /// Frames in a packet.
    pub(super) frames: usize,
    pub(super) csrcs: &'a [Ssrc],
    /// The id of the level's header extension, and how loud the frame is.
    pub(super) level: Option<(u8, u8)>,
}

impl Outgoing {
    pub(super) fn new(ssrc: Ssrc, sequence: SeqNo, timestamp: RtpTime) -> Self {
        Self {
            ssrc,
            sequence,
            clock: MediaClock { stamp: timestamp, step: FRAME as u32, epoch: None, tick: 0 },
            packet: [0; ROOM + PAYLOAD],
            ready: (0, 0),
            filled: 0,
            bytes: 0,
            started: timestamp,
            level: None,
            mark: true,
            packets: 0,
            octets: 0,
            digits: DigitSender::default(),
        }
    }

    /// See [`crate::ahead`].
    pub(super) fn fetch(&self) {
        ahead::fetch(&self.clock);
        ahead::fetch(&self.sequence);
        ahead::fetch(&self.packets);
        ahead::fetch(&self.digits);
        ahead::fetch_front(&self.packet[ROOM - HEADER..], HEADER + FRAME);
    }

    /// A tick begins: nothing is ready. Gives its timestamp.
    pub(super) fn begin_tick(&mut self, now: Instant, clock_rate: u32) -> Option<RtpTime> {
        self.ready = (0, 0);
        self.clock.tick(now, clock_rate)
    }

    /// The packet of this tick.
    pub(super) fn ready(&self) -> Option<&[u8]> {
        (self.ready.1 > 0).then(|| &self.packet[self.ready.0..self.ready.1])
    }

    /// What we sent so far.
    pub(super) fn sent(&self, now: Instant) -> Sent {
        Sent { packets: self.packets, octets: self.octets, timestamp: self.clock.at(now) }
    }

    /// On hold: nothing leaves, the clock goes on.
    pub(super) fn pause(&mut self) {
        self.filled = 0;
        self.mark = true;
    }

    /// 20 ms of audio, encoded; the packet is ready when it holds as many frames as `format` says. Nothing to send (empty) is a
    /// pause within the stream, after which a talkspurt begins (RFC 3551 section 4.1).
    pub(super) fn audio(&mut self, now: RtpTime, payload: &[u8], format: Format<'_>) {
        let expected = self.started.plus(self.filled as u32 * self.clock.step);
        if self.filled >= format.frames || expected != now || self.bytes + payload.len() > PAYLOAD {
            self.filled = 0; // another packet time or codec, or ticks were lost
        }
        if payload.is_empty() {
            self.pause();
            return;
        }
        if self.filled == 0 {
            (self.started, self.bytes, self.level) = (now, 0, format.level);
        }
        let at = ROOM + self.bytes;
        self.packet[at..at + payload.len()].copy_from_slice(payload);
        self.filled += 1;
        self.bytes += payload.len();
        self.level = self.level.min(format.level); // in decibels below full scale: the least is the loudest
        if self.filled == format.frames {
            let marker = std::mem::take(&mut self.mark);
            self.finish(marker, self.started, self.bytes, format.payload_type, format.csrcs, self.level);
            self.filled = 0;
        }
    }

    /// A telephone event in place of audio.
    pub(super) fn event(&mut self, event: EventPacket, payload_type: PayloadType) {
        self.pause();
        let payload = event.payload.to_bytes();
        self.packet[ROOM..ROOM + payload.len()].copy_from_slice(&payload);
        self.finish(event.marker, event.timestamp, payload.len(), payload_type, &[], None);
    }

    fn finish(
        &mut self,
        marker: bool,
        timestamp: RtpTime,
        payload: usize,
        payload_type: PayloadType,
        csrcs: &[Ssrc],
        level: Option<(u8, u8)>,
    ) {
        let csrcs = &csrcs[..csrcs.len().min(MAX_CSRC)];
        let to = ROOM - if level.is_some() { EXTENSION } else { 0 };
        let from = to - HEADER - 4 * csrcs.len();
        let header =
            Header { marker, payload_type, sequence: self.sequence, timestamp, ssrc: self.ssrc, csrcs };
        rtp::write_header(&header, &mut self.packet[from..to]);
        if let Some((id, level)) = level {
            self.packet[from] |= 0x10; // an extension follows
            let voice = if csrcs.is_empty() { 0 } else { 0x80 };
            let element = [0xbe, 0xde, 0, 1, id << 4, voice | level, 0, 0];
            self.packet[to..ROOM].copy_from_slice(&element);
        }
        self.ready = (from, ROOM + payload);
        self.sequence = self.sequence.next();
        self.packets += 1;
        self.octets += payload as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_follow_the_media_clock_when_the_phase_of_the_ticks_changes() {
        let start = crate::testing::epoch();
        let mut clock = MediaClock { stamp: RtpTime::new(1_000), step: 160, epoch: None, tick: 0 };
        let stamps: Vec<_> = [0, 20, 40, 47, 67, 127, 147]
            .map(|millis| clock.tick(start + Duration::from_millis(millis), 8_000).map(RtpTime::to_wire))
            .into();
        let expected = [Some(0), Some(1), Some(2), None, Some(3), Some(6), Some(7)];
        assert_eq!(stamps, expected.map(|tick| tick.map(|tick| 1_000 + tick * 160)));
        assert_eq!(clock.at(start + Duration::from_millis(145)).to_wire(), 1_000 + 7 * 160 + 40);
    }

    #[test]
    fn a_longer_packet_time_sends_fewer_packets_and_loses_no_frame() {
        let start = crate::testing::epoch();
        let mut out = Outgoing::new(Ssrc::new(1), SeqNo::new(65_535), RtpTime::new(0));
        let mut sent = Vec::new();
        for tick in 0..12_u8 {
            let now = out.begin_tick(start + TICK * u32::from(tick), 8_000).expect("its first service");
            let frames = if tick < 6 { 3 } else { 2 };
            let csrcs = &[Ssrc::new(3)];
            let format = Format { payload_type: PayloadType::PCMA, frames, csrcs, level: None };
            out.audio(now, &[tick; FRAME], format);
            if let Some(datagram) = out.ready() {
                let packet = rtp::Packet::parse(datagram).expect("ours is valid");
                let frames: Vec<_> = packet.payload().chunks(FRAME).map(|frame| frame[0]).collect();
                sent.push((
                    packet.marker(),
                    packet.sequence().to_wire(),
                    packet.timestamp().to_wire() / 160,
                    frames,
                ));
            }
        }
        assert_eq!(
            sent,
            [
                (true, 65_535, 0, vec![0, 1, 2]),
                (false, 0, 3, vec![3, 4, 5]),
                (false, 1, 6, vec![6, 7]),
                (false, 2, 8, vec![8, 9]),
                (false, 3, 10, vec![10, 11]),
            ]
        );
    }
}
