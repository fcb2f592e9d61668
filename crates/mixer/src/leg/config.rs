//! What a leg is made of, and what it says of itself.

use std::sync::Arc;
use std::time::Duration;

use super::ingress::IngressCounts;
use crate::codec::Codec;
use crate::jitter::PlayoutStats;
use crate::rtp::FarEnd;
use crate::srtp::SrtpStats;
use crate::units::{LegId, PayloadType, Ptime, RtpTime, SeqNo, Ssrc};

/// What offer and answer agreed on; a re-INVITE may change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaConfig {
    /// The codec we send, and that `audio_pt` means.
    pub codec: Codec,
    /// The payload type of audio, both ways.
    pub audio_pt: PayloadType,
    /// The payload type of telephone events, both ways; `None` where the peer has none.
    pub event_pt: Option<PayloadType>,
    /// The clock rate of `event_pt` in Hz, in which durations count (RFC 4733 section 2.1): that of the codec, or 8000 beside Opus
    /// where the peer knows no other. An event's timestamp belongs to the stream, so it is in the codec's clock all the same.
    pub event_clock_rate: u32,
    /// How much audio our packets carry; of Opus always 20 ms. What arrives may have any packet time.
    pub ptime: Ptime,
    /// The id of the header extension in which our packets say how loud they are (RFC 6464, in the one-byte form of RFC 8285
    /// section 4.2: 1..=14); `None` where it was not agreed on.
    pub audio_level: Option<u8>,
}

impl MediaConfig {
    /// Frames of 20 ms in a packet. Payloads of Opus cannot be put together by copying; its packets carry one.
    pub(crate) const fn frames(&self) -> usize {
        match self.codec {
            Codec::Opus(_) => 1,
            Codec::Pcmu | Codec::Pcma | Codec::G722 => self.ptime.frames(),
        }
    }
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
    /// Our canonical name in RTCP (RFC 7022), the same for the whole call; at most 255 bytes of it are sent.
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

/// Figures of a leg since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegStats {
    /// RTP packets taken, of any kind.
    pub ingress_packets: u64,
    /// Payload bytes of them.
    pub ingress_octets: u64,
    /// What kinds of packets arrived, besides audio.
    pub ingress: IngressCounts,
    /// What became of it in the jitter buffer.
    pub playout: PlayoutStats,
    /// RTP packets lost on the way to us in the present stream; negative when duplicates outnumber losses.
    pub lost: i64,
    /// Interarrival jitter (RFC 3550 section 6.4.1).
    pub jitter: Duration,
    /// How long a fast packet waits in the jitter buffer.
    pub playout_delay: Duration,
    /// How long the jitter buffer wants to wait for slow packets.
    pub target_delay: Duration,
    /// How loud the far end is: mean absolute sample value, 0..=32768.
    pub level: u16,
    /// How late it sends back what it is sent, while it does; our jitter buffer is in it.
    pub echo: Option<Duration>,
    /// RTP packets sent.
    pub egress_packets: u64,
    /// Payload bytes sent.
    pub egress_octets: u64,
    /// Digits that were pressed faster than the reports of them were collected.
    pub dropped_digits: u64,
    /// Other things that there was no room to report: media that started, fell silent or resumed, digits sent, an echo.
    pub dropped_events: u64,
    /// What the far end reports about our stream.
    pub far_end: FarEnd,
    /// What SRTP did not let in or out; zeros on a leg without.
    pub srtp: SrtpStats,
}
