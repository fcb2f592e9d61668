//! What leaves of one leg: our stream, with timestamps from the media clock, whoever mixes it.

use std::time::{Duration, Instant};

use crate::frame::{FRAME, TICK};
use crate::rtp::{self, DigitSender, EventPacket, HEADER, Header, MAX_CSRC, Sent};
use crate::units::{PayloadType, Ptime, RtpTime, Samples, SeqNo, Ssrc};

/// Room for the longest header before the payload, so that the payload is written once, wherever the header begins.
const ROOM: usize = HEADER + 4 * MAX_CSRC;

/// The outgoing side of a leg.
#[derive(Debug)]
pub(super) struct Outgoing {
    ssrc: Ssrc,
    sequence: SeqNo,
    clock: MediaClock,
    packet: [u8; ROOM + 3 * FRAME],
    /// The packet of this tick: from, to.
    ready: (usize, usize),
    /// Frames of the packet that is being filled, and its timestamp.
    filled: usize,
    started: RtpTime,
    /// The next audio packet is the first, or the first after a pause.
    mark: bool,
    packets: u64,
    octets: u64,
    pub(super) digits: DigitSender,
}

/// Turns ticks, whose deadlines differ from shard to shard, into the timestamps of one leg.
#[derive(Clone, Copy, Debug)]
struct MediaClock {
    first: RtpTime,
    epoch: Option<Instant>,
    /// The number of the last tick since `epoch`.
    tick: u64,
}

impl MediaClock {
    /// The timestamp of the tick at `now`; `None` when that tick has been served already, which happens when a leg moves to a
    /// shard whose ticks come earlier.
    fn tick(&mut self, now: Instant) -> Option<RtpTime> {
        let Some(epoch) = self.epoch else {
            self.epoch = Some(now);
            return Some(self.first);
        };
        let since = now.saturating_duration_since(epoch) + TICK / 2;
        let tick = (since.as_nanos() / TICK.as_nanos()) as u64;
        if tick <= self.tick {
            return None;
        }
        self.tick = tick;
        Some(self.at_tick())
    }

    /// The media time at any moment, for a sender report.
    fn at(&self, now: Instant) -> RtpTime {
        let Some(epoch) = self.epoch else { return self.first };
        let last = epoch + Duration::from_nanos(self.tick.saturating_mul(TICK.as_nanos() as u64));
        let since = Samples::from_duration(now.saturating_duration_since(last));
        self.at_tick().plus(since.to_i64() as u32)
    }

    fn at_tick(&self) -> RtpTime {
        self.first.plus((self.tick as u32).wrapping_mul(FRAME as u32))
    }
}

/// The format of a packet that leaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format<'a> {
    pub(super) payload_type: PayloadType,
    pub(super) ptime: Ptime,
    pub(super) csrcs: &'a [Ssrc],
}

impl Outgoing {
    pub(super) fn new(ssrc: Ssrc, sequence: SeqNo, timestamp: RtpTime) -> Self {
        Self {
            ssrc,
            sequence,
            clock: MediaClock { first: timestamp, epoch: None, tick: 0 },
            packet: [0; ROOM + 3 * FRAME],
            ready: (0, 0),
            filled: 0,
            started: timestamp,
            mark: true,
            packets: 0,
            octets: 0,
            digits: DigitSender::default(),
        }
    }

    /// A tick begins: nothing is ready. Gives its timestamp.
    pub(super) fn begin_tick(&mut self, now: Instant) -> Option<RtpTime> {
        self.ready = (0, 0);
        self.clock.tick(now)
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

    /// 20 ms of audio; the packet is ready when it holds as much as `format.ptime` says.
    pub(super) fn audio(&mut self, now: RtpTime, codes: &[u8; FRAME], format: Format<'_>) {
        if self.filled >= format.ptime.frames() || self.started.plus((self.filled * FRAME) as u32) != now {
            self.filled = 0; // another packet time, or ticks were lost
        }
        if self.filled == 0 {
            self.started = now;
        }
        let at = ROOM + self.filled * FRAME;
        self.packet[at..at + FRAME].copy_from_slice(codes);
        self.filled += 1;
        if self.filled == format.ptime.frames() {
            let marker = std::mem::take(&mut self.mark);
            self.finish(marker, self.started, self.filled * FRAME, format.payload_type, format.csrcs);
            self.filled = 0;
        }
    }

    /// A telephone event in place of audio.
    pub(super) fn event(&mut self, event: EventPacket, payload_type: PayloadType) {
        self.pause();
        let payload = event.payload.to_bytes();
        self.packet[ROOM..ROOM + payload.len()].copy_from_slice(&payload);
        self.finish(event.marker, event.timestamp, payload.len(), payload_type, &[]);
    }

    fn finish(
        &mut self,
        marker: bool,
        timestamp: RtpTime,
        payload: usize,
        payload_type: PayloadType,
        csrcs: &[Ssrc],
    ) {
        let csrcs = &csrcs[..csrcs.len().min(MAX_CSRC)];
        let from = ROOM - HEADER - 4 * csrcs.len();
        let header =
            Header { marker, payload_type, sequence: self.sequence, timestamp, ssrc: self.ssrc, csrcs };
        rtp::write_header(&header, &mut self.packet[from..ROOM]);
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
        let mut clock = MediaClock { first: RtpTime::new(1_000), epoch: None, tick: 0 };
        let stamps: Vec<_> = [0, 20, 40, 47, 67, 127, 147]
            .map(|millis| clock.tick(start + Duration::from_millis(millis)).map(RtpTime::to_wire))
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
            let now = out.begin_tick(start + TICK * u32::from(tick)).expect("its first service");
            let ptime = if tick < 6 { Ptime::Ms60 } else { Ptime::Ms40 };
            let format = Format { payload_type: PayloadType::PCMA, ptime, csrcs: &[Ssrc::new(3)] };
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
