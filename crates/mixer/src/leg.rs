//! One participant's media state: what arrived, what it hears, what leaves. It moves between conferences and shards by value.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use crate::frame::{FRAME, Frame, TICK};
use crate::g711::G711;
use crate::jitter;
use crate::player::Player;
use crate::port::Digits;
use crate::rtp::{self, HEADER, Header, MAX_CSRC};
use crate::units::{LegId, PayloadType, Ptime, RtpTime, SeqNo, Ssrc};

/// What offer and answer agreed on; a re-INVITE may change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaConfig {
    /// The law we send, and that `audio_pt` means.
    pub codec: G711,
    /// The payload type of audio, both ways.
    pub audio_pt: PayloadType,
    /// The payload type of telephone events, both ways; `None` where the peer has none.
    pub event_pt: Option<PayloadType>,
    /// How much audio our packets carry. What arrives may have any packet time.
    pub ptime: Ptime,
}

/// What a leg is made of.
#[derive(Clone, Debug)]
pub struct LegConfig {
    /// Its identity.
    pub id: LegId,
    /// The media format.
    pub media: MediaConfig,
    /// What we may do at first.
    pub direction: Direction,
    /// Our stream's source; it stays when the leg moves.
    pub ssrc: Ssrc,
    /// The first sequence number we send; random, as RFC 3550 section 5.1 wishes.
    pub first_sequence: SeqNo,
    /// The first timestamp we send; random.
    pub first_timestamp: RtpTime,
    /// Our canonical name in RTCP (RFC 7022), the same for the whole call.
    pub cname: Arc<str>,
    /// Lists the talkers as contributing sources in our packets (RFC 3550 section 7.1).
    pub csrc: bool,
    /// After how long without any packet [`crate::Report::MediaSilent`] is due.
    pub silent_after: Duration,
}

/// What we may do on a leg, seen from us (RFC 3264 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Direction {
    /// Send and receive.
    #[default]
    SendRecv,
    /// We send, the far end does not.
    SendOnly,
    /// We receive only: the far end holds us.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// True when we may send media.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// True when we expect media.
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
}

/// What a datagram turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// Audio, taken.
    Audio,
    /// A telephone event.
    Event,
    /// RTCP.
    Rtcp,
    /// Dropped and counted.
    Dropped,
}

/// What a leg wants to tell, collected by the shard after the tick.
#[derive(Debug)]
pub(crate) enum LegEvent {
    MediaStarted,
    ClipEnded { token: u64, finished: bool, frames: Arc<[Frame]> },
}

/// Counters of a leg since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegStats {
    /// RTP packets taken.
    pub ingress_packets: u64,
    /// Datagrams that were not RTP.
    pub malformed: u64,
    /// Packets of a payload type that nobody agreed on.
    pub unknown_payload_type: u64,
    /// RTP packets sent.
    pub egress_packets: u64,
}

/// One participant's media state.
#[derive(Debug)]
pub struct Leg {
    pub(crate) config: LegConfig,
    pub(crate) buffer: jitter::Buffer,
    pub(crate) player: Player,
    pub(crate) events: VecDeque<LegEvent>,
    pub(crate) muted: bool,
    pub(crate) frame: Frame,
    pub(crate) source: Option<Ssrc>,
    sequence: SeqNo,
    timestamp: RtpTime,
    packet: [u8; HEADER + 4 * MAX_CSRC + 3 * FRAME],
    packet_length: usize,
    stats: LegStats,
}

impl Leg {
    /// A leg that has heard and sent nothing yet. All its memory is allocated here.
    pub fn new(config: LegConfig) -> Self {
        Self {
            buffer: jitter::Buffer::default(),
            player: Player::default(),
            events: VecDeque::with_capacity(32),
            muted: false,
            frame: Frame::SILENCE,
            source: None,
            sequence: config.first_sequence,
            timestamp: config.first_timestamp,
            packet: [0; HEADER + 4 * MAX_CSRC + 3 * FRAME],
            packet_length: 0,
            stats: LegStats::default(),
            config,
        }
    }

    /// Its identity.
    pub fn id(&self) -> LegId {
        self.config.id
    }

    /// Counters since the leg was made.
    pub fn stats(&self) -> LegStats {
        self.stats
    }

    /// Takes one datagram from the RTP port: RTP, or RTCP where both share the port (RFC 5761).
    pub fn ingress_rtp(&mut self, arrival: Instant, datagram: &[u8]) -> Ingress {
        if rtp::is_rtcp(datagram) {
            return self.ingress_rtcp(arrival, datagram);
        }
        let Ok(packet) = rtp::Packet::parse(datagram) else {
            self.stats.malformed += 1;
            return Ingress::Dropped;
        };
        let law = if packet.payload_type() == self.config.media.audio_pt {
            self.config.media.codec
        } else {
            self.stats.unknown_payload_type += 1;
            return Ingress::Dropped;
        };
        if self.source.replace(packet.ssrc()).is_none() {
            self.events.push_back(LegEvent::MediaStarted);
        }
        self.stats.ingress_packets += 1;
        self.buffer.push(packet.sequence(), packet.timestamp(), law, packet.payload(), arrival);
        Ingress::Audio
    }

    /// Takes one datagram from the RTCP port.
    pub fn ingress_rtcp(&mut self, _arrival: Instant, _datagram: &[u8]) -> Ingress {
        Ingress::Rtcp
    }

    /// The RTP packet of this tick, if one is due. It stays until the next tick.
    pub fn egress(&self) -> Option<&[u8]> {
        (self.packet_length > 0).then(|| &self.packet[..self.packet_length])
    }

    /// The RTCP compound packet, if one is due (at least every 5 s). Call after the tick, about once a second or more often;
    /// `wall` is the time of day that goes into sender reports.
    pub fn egress_rtcp(&mut self, _now: Instant, _wall: SystemTime) -> Option<Bytes> {
        None
    }

    /// Hold or resume.
    pub fn set_direction(&mut self, direction: Direction) {
        self.config.direction = direction;
    }

    /// Takes over a new media format.
    pub fn reconfigure(&mut self, media: MediaConfig) {
        self.config.media = media;
    }

    /// Muted: received but not mixed.
    pub fn set_muted(&mut self, muted: bool) {
        self.muted = muted;
    }

    /// Queues digits to send.
    pub fn send_digits(&mut self, _digits: &Digits) {}

    /// First half of a tick: this leg's contribution is then in `frame`.
    pub(crate) fn begin_tick(&mut self, now: Instant) -> bool {
        self.packet_length = 0;
        self.buffer.pull(now, &mut self.frame) == jitter::Pull::Frame && !self.muted
    }

    /// Second half of a tick: the payload to send.
    pub(crate) fn end_tick(&mut self, payload: &[u8; FRAME], csrcs: &[Ssrc]) {
        if self.config.direction.sends() {
            let header = Header {
                marker: self.stats.egress_packets == 0,
                payload_type: self.config.media.audio_pt,
                sequence: self.sequence,
                timestamp: self.timestamp,
                ssrc: self.config.ssrc,
                csrcs: if self.config.csrc { csrcs } else { &[] },
            };
            let length = rtp::write_header(&header, &mut self.packet);
            self.packet[length..length + FRAME].copy_from_slice(payload);
            self.packet_length = length + FRAME;
            self.sequence = self.sequence.next();
            self.stats.egress_packets += 1;
        }
        self.timestamp = self.timestamp.plus((TICK.as_millis() * 8) as u32);
    }
}
