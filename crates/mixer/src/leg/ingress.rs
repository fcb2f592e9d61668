//! What arrives for one leg: told apart by payload type, put into the jitter buffer, counted.

use std::time::{Duration, Instant};

use super::{Direction, MediaConfig};
use crate::codec::Codec;
use crate::jitter::{Playout, Pull};
use crate::rtp::{Clocks, Detector, EventPayload, Packet, Reception, ReceptionBlock, Source, Verdict};
use crate::units::{PayloadType, Rate, Ssrc};
use crate::waste::Waste;

/// What a datagram turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// Audio, given to the jitter buffer.
    Audio,
    /// A telephone event.
    Event,
    /// Comfort noise: the sender pauses on purpose (RFC 3389).
    ComfortNoise,
    /// RTCP.
    Rtcp,
    /// It may begin a new stream; one packet is not enough to say so (RFC 3550 appendix A.1).
    Probation,
    /// RTP of a payload type that nobody agreed on: dropped and counted.
    UnknownPayloadType,
    /// The leg is on hold: dropped and counted.
    OnHold,
    /// Neither RTP nor RTCP: dropped and counted. Garbage never ends a leg.
    Malformed,
    /// Not SRTP under the leg's key, or taken before: dropped and counted, and it changes nothing else.
    Rejected,
}

/// What kinds of packets arrived, besides audio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IngressCounts {
    /// Telephone-event packets.
    pub events: u64,
    /// Comfort-noise packets.
    pub comfort_noise: u64,
    /// Packets dropped because one is not enough to begin a new stream.
    pub probation: u64,
    /// Packets of a payload type that nobody agreed on.
    pub unknown_payload_type: u64,
    /// Packets that came on hold.
    pub on_hold: u64,
    /// Datagrams that were neither RTP nor RTCP.
    pub malformed: u64,
    /// RTCP packets.
    pub rtcp: u64,
    /// How often another stream took over.
    pub stream_changes: u64,
}

/// The incoming side of a leg.
#[derive(Debug)]
pub(super) struct Incoming {
    /// RTP packets taken, of any kind.
    pub(super) packets: u64,
    /// Payload bytes of them.
    pub(super) octets: u64,
    pub(super) counts: IngressCounts,
    pub(super) playout: Playout,
    source: Source,
    reception: Option<Reception>,
    detector: Detector,
    event_ssrc: Option<Ssrc>,
    /// When anything arrived last; set at the first tick if nothing did.
    heard: Option<Instant>,
    silence_reported: bool,
}

/// What a packet meant, besides its class.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) ingress: Ingress,
    /// The event code of a press that begins.
    pub(super) pressed: Option<u8>,
}

impl Incoming {
    /// All memory that ingress needs is taken here.
    pub(super) fn new(media: MediaConfig) -> Self {
        Self {
            packets: 0,
            octets: 0,
            counts: IngressCounts::default(),
            playout: Playout::new(&codecs(media)),
            source: Source::default(),
            reception: None,
            detector: Detector::default(),
            event_ssrc: None,
            heard: None,
            silence_reported: false,
        }
    }

    /// Another media format was agreed on. What waits is still played; where the new codec needs memory, it is taken here.
    pub(super) fn reconfigure(&mut self, media: MediaConfig, waste: &mut Waste) {
        self.playout.admit(&codecs(media), waste);
    }

    /// The far end's stream.
    pub(super) fn ssrc(&self) -> Option<Ssrc> {
        self.source.ssrc()
    }

    /// Packets lost since the stream began.
    pub(super) fn lost(&self) -> i64 {
        self.reception.map_or(0, |reception| reception.lost())
    }

    /// Interarrival jitter.
    pub(super) fn jitter(&self) -> Duration {
        self.reception.map_or(Duration::ZERO, |reception| reception.jitter())
    }

    /// The block of the next receiver report.
    pub(super) fn report_block(&mut self) -> Option<ReceptionBlock> {
        self.reception.as_mut().map(Reception::report)
    }

    /// True while the far end holds a key.
    pub(super) fn is_key_held(&self, now: Instant) -> bool {
        self.detector.is_held(now)
    }

    /// Something arrived that shows the far end is alive; true when its silence had been reported.
    pub(super) fn alive(&mut self, arrival: Instant) -> bool {
        self.heard = Some(arrival);
        std::mem::take(&mut self.silence_reported)
    }

    /// Hold begins or ended: the silence of before does not count.
    pub(super) fn restart_silence(&mut self, now: Instant) {
        self.heard = Some(now);
        self.silence_reported = false;
    }

    /// How long nothing has arrived, said once, when that is longer than `bound`.
    pub(super) fn silence(&mut self, now: Instant, bound: Duration) -> Option<Duration> {
        let silent = now.saturating_duration_since(*self.heard.get_or_insert(now));
        if silent < bound || self.silence_reported {
            return None;
        }
        self.silence_reported = true;
        Some(silent)
    }

    /// One RTP packet.
    pub(super) fn handle_packet(
        &mut self,
        arrival: Instant,
        packet: &Packet<'_>,
        media: MediaConfig,
        direction: Direction,
    ) -> Taken {
        let kind = packet.payload_type();
        let mut pressed = None;
        let ingress = if !direction.receives() {
            self.counts.on_hold += 1;
            Ingress::OnHold
        } else if Some(kind) == media.event_pt {
            match EventPayload::parse(packet.payload()) {
                Some(payload) => {
                    pressed = self.handle_event(arrival, packet, payload, media);
                    Ingress::Event
                }
                None => Ingress::Malformed,
            }
        } else if let Some(codec) = codec_of(kind, media) {
            self.handle_audio(arrival, packet, codec)
        } else if kind == PayloadType::COMFORT_NOISE {
            if self.handle_other(arrival, packet, Some(Codec::Pcmu.clock_rate())) {
                // RFC 3389 section 3.1: the first byte is the level, then comes a spectrum, which is not used.
                let level = packet.payload().first().copied().unwrap_or(0x7f);
                self.playout.comfort_noise(packet.sequence(), level);
            }
            self.counts.comfort_noise += 1;
            Ingress::ComfortNoise
        } else {
            self.counts.unknown_payload_type += 1;
            Ingress::UnknownPayloadType
        };
        match ingress {
            Ingress::Audio | Ingress::Event | Ingress::ComfortNoise => {
                self.packets += 1;
                self.octets += packet.payload().len() as u64;
            }
            Ingress::Probation => self.counts.probation += 1,
            Ingress::Malformed => self.counts.malformed += 1,
            Ingress::Rtcp | Ingress::UnknownPayloadType | Ingress::OnHold | Ingress::Rejected => {}
        }
        Taken { ingress, pressed }
    }

    /// The 20 ms of this tick, which are in [`Incoming::samples`] then. `unheard_below` as in [`Playout::pull`].
    pub(super) fn pull(&mut self, now: Instant, unheard_below: Option<u16>) -> Pull {
        self.playout.pull(now, unheard_below)
    }

    /// What was pulled last, and its rate, which is that of the codec that arrives.
    pub(super) fn samples(&self) -> (&[i16], Rate) {
        (self.playout.samples(), self.playout.rate())
    }

    /// What was pulled before that, at the same rate.
    pub(super) fn samples_before(&self) -> &[i16] {
        self.playout.samples_before()
    }

    /// How loud it is: mean absolute sample value.
    pub(super) fn level(&self) -> u16 {
        self.playout.level()
    }

    /// False when nothing is known of how loud it is but that nobody speaks.
    pub(super) fn is_metered(&self) -> bool {
        self.playout.is_metered()
    }

    fn handle_audio(&mut self, arrival: Instant, packet: &Packet<'_>, codec: Codec) -> Ingress {
        let (ssrc, sequence, timestamp) = (packet.ssrc(), packet.sequence(), packet.timestamp());
        let Some(samples) = codec.duration(packet.payload()) else {
            return Ingress::Malformed;
        };
        let length = Duration::from_nanos(samples as u64 * 1_000_000_000 / u64::from(codec.rate().hz()));
        match self.source.handle_audio(ssrc, sequence, arrival, length) {
            Verdict::Probation => return Ingress::Probation,
            Verdict::Current => {
                if let Some(reception) = &mut self.reception {
                    reception.handle_packet(sequence, timestamp, Some(codec.clock_rate()), arrival);
                }
            }
            Verdict::Switched => {
                self.playout.restart();
                self.reception = Some(Reception::new(ssrc, sequence, timestamp, codec.clock_rate(), arrival));
                self.counts.stream_changes = self.source.switches();
            }
        }
        if self.event_ssrc == Some(ssrc) {
            self.detector.handle_audio();
        }
        self.playout.push(sequence, timestamp, codec, packet.payload(), arrival);
        Ingress::Audio
    }

    /// Gives the event code of a press that begins.
    fn handle_event(
        &mut self,
        arrival: Instant,
        packet: &Packet<'_>,
        payload: EventPayload,
        media: MediaConfig,
    ) -> Option<u8> {
        if self.handle_other(arrival, packet, None) {
            self.playout.pause(packet.sequence());
        }
        self.counts.events += 1;
        self.event_ssrc = Some(packet.ssrc());
        let clocks = Clocks { event: media.event_clock_rate, stream: media.codec.clock_rate() };
        self.detector.handle_event(arrival, packet.marker(), packet.timestamp(), payload, clocks)
    }

    /// A packet beside the audio, with a timestamp by `clock` if that is its time: it takes a sequence number of its stream. True
    /// when that is the stream that is played.
    fn handle_other(&mut self, arrival: Instant, packet: &Packet<'_>, clock: Option<u32>) -> bool {
        let (ssrc, sequence) = (packet.ssrc(), packet.sequence());
        self.source.handle_other(ssrc, sequence, arrival);
        let Some(reception) = self.reception.as_mut().filter(|reception| reception.ssrc() == ssrc) else {
            return false;
        };
        reception.handle_packet(sequence, packet.timestamp(), clock, arrival);
        true
    }
}

/// Payload types that mean the same to everyone (RFC 3551 table 4) and cost nothing to be ready for.
const STATIC: [(PayloadType, Codec); 2] =
    [(PayloadType::PCMU, Codec::Pcmu), (PayloadType::PCMA, Codec::Pcma)];

/// The codec of an audio payload type: the agreed one, or a static one. A peer may change between the two laws of G.711 in
/// mid-stream, and some do right after the answer; a gateway with a wideband codec falls back to one of them.
fn codec_of(kind: PayloadType, media: MediaConfig) -> Option<Codec> {
    if kind == media.audio_pt {
        return Some(media.codec);
    }
    STATIC.iter().find(|(known, _)| *known == kind).map(|(_, codec)| *codec)
}

/// Everything that [`codec_of`] may answer, the agreed codec first.
fn codecs(media: MediaConfig) -> [Codec; 3] {
    [media.codec, Codec::Pcmu, Codec::Pcma]
}
