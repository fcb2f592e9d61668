//! One participant's media state: what arrived, what it hears, what leaves. It moves between conferences and shards by value.

mod config;
mod egress;
mod ingress;
mod player;
mod tick;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::echo;
use crate::gain::Agc;
use crate::guard;
use crate::own::Own;
use crate::port::{Audience, Digits, key_of};
use crate::resample::Resampler;
use crate::rtp::{self, Rtcp, RtcpPacket};
use crate::select::Voice;
use crate::sound::{Clip, Sound};
use crate::srtp::LegSrtp;
use crate::units::{LegId, Rate, RtpTime, Ssrc};
use crate::waste::Waste;

pub use config::{Direction, LegConfig, LegStats, MediaConfig};
pub use ingress::{Ingress, IngressCounts};
pub use player::CLIPS;
pub(crate) use player::{Player, Playing};

use egress::Outgoing;
use ingress::Incoming;

/// What a leg wants to tell, collected by the shard after the tick.
#[derive(Debug)]
pub(crate) enum LegEvent {
    MediaStarted,
    MediaSilent(Duration),
    MediaResumed,
    Digit(char),
    DigitsSent,
    Echo(echo::Change),
    ClipEnded {
        token: u64,
        finished: bool,
        sound: Arc<Sound>,
    },
    /// Keys that are not good any more go home, so that they are not freed on the media thread.
    SrtpRetired(Box<LegSrtp>),
}

/// Events that can wait in a leg besides clips.
const EVENTS: usize = 16;

/// One participant's media state. The order of calls in a phase: [`Leg::ingress_rtp`] for what arrived, the tick of its
/// conference, [`Leg::egress`] and [`Leg::egress_rtcp`] for what leaves.
#[derive(Debug)]
pub struct Leg {
    config: LegConfig,
    incoming: Incoming,
    outgoing: Outgoing,
    rtcp: Rtcp,
    player: Player,
    /// Once it is there, nothing gets in or out in the clear.
    srtp: Option<Box<LegSrtp>>,
    /// Room for `clips + EVENTS`, so that nothing in the tick ever makes it grow.
    events: VecDeque<LegEvent>,
    /// Clips that wait in `player` or, ended, in `events`.
    clips: usize,
    muted: bool,
    dropped_digits: u32,
    dropped_events: u32,
    last_tick: Option<Instant>,
    /// The timestamp of the present tick; `None` when the leg sits it out.
    now: Option<RtpTime>,
    pub(crate) voice: Voice,
    agc: Agc,
    echo: echo::Detector,
    /// Its conference wants to know about its echo.
    detects_echo: bool,
    /// From the rate at which it speaks to its conference's.
    raised: Resampler,
    /// The factor by which its last frame went into the mix, at the end of it.
    applied: f32,
    /// Who alone hears it; `None`: all.
    audience: Option<Audience>,
    /// The number of the shared stream in its conference.
    pub(crate) stream: usize,
    pub(crate) own: Own,
}

impl Leg {
    /// A leg that has heard and sent nothing yet. All its memory is allocated here.
    pub fn new(config: LegConfig) -> Self {
        Self {
            incoming: Incoming::new(config.media),
            outgoing: Outgoing::new(config.ssrc, config.first_sequence, config.first_timestamp),
            rtcp: Rtcp::new(config.ssrc),
            player: Player::default(),
            srtp: None,
            events: VecDeque::with_capacity(EVENTS),
            clips: 0,
            muted: false,
            dropped_digits: 0,
            dropped_events: 0,
            last_tick: None,
            now: None,
            voice: Voice::default(),
            agc: Agc::default(),
            echo: echo::Detector::default(),
            detects_echo: false,
            raised: Resampler::new(config.media.codec.rate(), config.media.codec.rate()),
            applied: 0.0,
            audience: None,
            stream: 0,
            own: Own::new(config.media.codec),
            config,
        }
    }

    /// Its identity.
    pub fn id(&self) -> LegId {
        self.config.id
    }

    /// What it is made of at present.
    pub fn config(&self) -> &LegConfig {
        &self.config
    }

    /// The stream that we send.
    pub fn ssrc(&self) -> Ssrc {
        self.config.ssrc
    }

    /// The stream that we receive, once there is one.
    pub fn far_ssrc(&self) -> Option<Ssrc> {
        self.incoming.ssrc()
    }

    /// True while it is received but not mixed.
    pub fn is_muted(&self) -> bool {
        self.muted
    }

    /// Figures since the leg was made.
    pub fn stats(&self) -> LegStats {
        let (packets, octets) = self.last_tick.map_or((0, 0), |now| {
            let sent = self.outgoing.sent(now);
            (sent.packets, sent.octets)
        });
        let playout = &self.incoming.playout;
        LegStats {
            ingress_packets: self.incoming.packets,
            ingress_octets: self.incoming.octets,
            ingress: self.incoming.counts,
            playout: playout.stats(),
            lost: self.incoming.lost(),
            jitter: self.incoming.jitter(),
            playout_delay: playout.playout_delay(),
            target_delay: playout.target_delay(),
            level: self.voice.level(),
            echo: self.echo.delay(),
            egress_packets: packets,
            egress_octets: octets,
            dropped_digits: u64::from(self.dropped_digits),
            dropped_events: u64::from(self.dropped_events),
            far_end: self.rtcp.far_end(),
            srtp: self.srtp.as_ref().map(|srtp| srtp.stats()).unwrap_or_default(),
        }
    }

    /// True once the leg speaks SRTP.
    pub fn is_secure(&self) -> bool {
        self.srtp.is_some()
    }

    /// From `now` on the leg speaks SRTP with these keys, and nothing gets in or out in the clear any more. At a change of keys
    /// it takes over what the keys allow ([`crate::srtp::Srtp::inherit`]), and takes packets under the old ingress key for
    /// [`crate::srtp::GRACE`]. A box that is not needed any more comes back.
    pub fn secure(&mut self, now: Instant, mut srtp: Box<LegSrtp>) -> Option<Box<LegSrtp>> {
        let retired = self.srtp.take().and_then(|former| srtp.succeed(now, former));
        self.srtp = Some(srtp);
        retired
    }

    /// True for a packet on the RTP port that the leg would take as the peer's: any on a leg without SRTP, an authentic one on a
    /// leg with. Nothing is noted. For sockets that learn where the peer is: it must not be learned from a forged packet.
    pub fn is_authentic(&mut self, datagram: &[u8]) -> bool {
        self.srtp.as_mut().is_none_or(|srtp| srtp.is_authentic(datagram))
    }

    /// Takes one datagram from the RTP port: RTP, or RTCP where both share the port (RFC 5761). The caller has checked where it
    /// comes from.
    pub fn ingress_rtp(&mut self, arrival: Instant, datagram: &[u8]) -> Ingress {
        if rtp::is_rtcp(datagram) {
            return self.ingress_rtcp(arrival, datagram);
        }
        guard::armed(|| self.open_rtp(arrival, datagram))
    }

    /// Takes one datagram from the RTCP port. The caller has checked where it comes from.
    pub fn ingress_rtcp(&mut self, arrival: Instant, datagram: &[u8]) -> Ingress {
        guard::armed(|| self.open_rtcp(arrival, datagram))
    }

    fn open_rtp(&mut self, arrival: Instant, datagram: &[u8]) -> Ingress {
        let Some(mut srtp) = self.srtp.take() else { return self.take_rtp(arrival, datagram) };
        let ingress = match srtp.open(arrival, datagram) {
            Ok(plain) => self.take_rtp(arrival, plain),
            Err(_) => Ingress::Rejected,
        };
        self.srtp = Some(srtp);
        ingress
    }

    fn open_rtcp(&mut self, arrival: Instant, datagram: &[u8]) -> Ingress {
        let Some(mut srtp) = self.srtp.take() else { return self.take_rtcp(arrival, datagram) };
        let ingress = match srtp.open_rtcp(arrival, datagram) {
            Ok(plain) => self.take_rtcp(arrival, plain),
            Err(_) => Ingress::Rejected,
        };
        self.srtp = Some(srtp);
        ingress
    }

    fn take_rtp(&mut self, arrival: Instant, datagram: &[u8]) -> Ingress {
        let Ok(packet) = rtp::Packet::parse(datagram) else {
            self.incoming.counts.malformed += 1;
            return Ingress::Malformed;
        };
        let first = self.incoming.packets == 0;
        let taken = self.incoming.handle_packet(arrival, &packet, self.config.media, self.config.direction);
        match taken.ingress {
            Ingress::Audio | Ingress::Event | Ingress::ComfortNoise => {
                if self.incoming.alive(arrival) {
                    self.tell(LegEvent::MediaResumed);
                }
                if first {
                    self.tell(LegEvent::MediaStarted);
                }
            }
            _ => {}
        }
        if let Some(digit) = taken.pressed.and_then(key_of) {
            self.tell(LegEvent::Digit(digit));
        }
        taken.ingress
    }

    fn take_rtcp(&mut self, arrival: Instant, datagram: &[u8]) -> Ingress {
        let clock = self.config.media.codec.clock_rate();
        if !self.rtcp.handle_packet(arrival, clock, datagram) {
            self.incoming.counts.malformed += 1;
            return Ingress::Malformed;
        }
        self.incoming.counts.rtcp += 1;
        if self.incoming.alive(arrival) {
            self.tell(LegEvent::MediaResumed);
        }
        Ingress::Rtcp
    }

    /// A datagram that [`Leg::ingress_rtp`] has just taken, in the clear. For an engineer's capture.
    pub fn opened<'a>(&'a self, datagram: &'a [u8]) -> &'a [u8] {
        self.srtp.as_ref().map_or(datagram, |srtp| srtp.opened())
    }

    /// The RTP packet of this tick before it is encrypted, if one is due. For an engineer's capture.
    pub fn unsealed(&self) -> Option<&[u8]> {
        self.outgoing.ready()
    }

    /// The RTP packet of this tick, if one is due. It stays until the next tick.
    pub fn egress(&self) -> Option<&[u8]> {
        let packet = self.outgoing.ready()?;
        self.srtp.as_ref().map_or(Some(packet), |srtp| srtp.ready())
    }

    /// The RTCP compound packet, if one is due; at least every 5 s when asked once a second. It goes to the RTCP port, or to the
    /// RTP port where both share it. `wall` is the time of day that goes into sender reports. Nothing is allocated.
    pub fn egress_rtcp(&mut self, now: Instant, wall: SystemTime) -> Option<RtcpPacket> {
        if !self.rtcp.is_due(now) {
            return None;
        }
        guard::armed(|| {
            let block = self.incoming.report_block();
            let report = self.rtcp.report(now, wall, &self.config.cname, self.outgoing.sent(now), block);
            self.seal_rtcp(report)
        })
    }

    /// The RTCP goodbye, to send when the leg ends. Nothing is allocated.
    pub fn goodbye(&mut self) -> Option<RtcpPacket> {
        guard::armed(|| {
            let goodbye = self.rtcp.goodbye(&self.config.cname);
            self.seal_rtcp(goodbye)
        })
    }

    /// Hold or resume, at `now`.
    pub fn set_direction(&mut self, now: Instant, direction: Direction) {
        self.config.direction = direction;
        self.incoming.restart_silence(now);
    }

    /// Takes over a new media format; our stream goes on. Not for the tick: another codec allocates. A leg in a conference is
    /// reconfigured through [`crate::Conference::reconfigure`].
    pub(crate) fn reconfigure(&mut self, media: MediaConfig, waste: &mut Waste) {
        self.own.change_codec(media.codec, waste);
        self.config.media = media;
        self.incoming.reconfigure(media, waste);
    }

    /// It sits down in a conference at `rate`, where its codec's shared stream has this number: nobody has heard it yet.
    pub(crate) fn enter(&mut self, rate: Rate, stream: usize, detects_echo: bool) {
        self.detects_echo = detects_echo;
        self.voice.set_heard(false);
        self.stream = stream;
        self.own.enter(rate);
    }

    /// Who alone hears it; `None`: all.
    pub(crate) fn audience(&self) -> Option<Audience> {
        self.audience
    }

    /// From now on it is heard by these only, or by all.
    pub(crate) fn set_audience(&mut self, audience: Option<Audience>) {
        self.audience = audience;
        self.voice.set_heard(false);
    }

    /// Muted: received, its digits count, but not mixed.
    pub fn set_muted(&mut self, muted: bool) {
        self.muted = muted;
    }

    /// Queues digits to send as telephone events; false when the peer has no such events or there is no room, and then none is
    /// sent.
    pub fn send_digits(&mut self, digits: &Digits) -> bool {
        self.config.media.event_pt.is_some() && self.outgoing.digits.push(digits)
    }

    /// Queues a clip to play in place of the mix, or over it; gives it back when [`CLIPS`] are waiting. Not for the tick: it
    /// allocates.
    pub(crate) fn play(&mut self, clip: Clip, over: bool, waste: &mut Waste) -> Result<(), Clip> {
        if self.clips == CLIPS {
            return Err(clip);
        }
        self.player.push(clip, None, over, waste)?;
        self.clips += 1;
        let more = (self.clips + EVENTS).saturating_sub(self.events.len());
        waste.reserve_queue_exact(&mut self.events, more);
        Ok(())
    }

    /// Ends all clips.
    pub(crate) fn stop_clips(&mut self) {
        while let Some(clip) = self.player.take() {
            self.clip_ended(clip, false);
        }
    }

    /// What the leg wants to tell.
    pub(crate) fn poll_event(&mut self) -> Option<LegEvent> {
        let event = self.events.pop_front()?;
        self.clips -= usize::from(matches!(event, LegEvent::ClipEnded { .. }));
        Some(event)
    }

    fn seal_rtcp(&mut self, mut packet: RtcpPacket) -> Option<RtcpPacket> {
        let may_leave = self.srtp.as_mut().is_none_or(|srtp| srtp.seal_rtcp(&mut packet));
        may_leave.then_some(packet)
    }

    /// Sends keys home that are not good any more, when there is room to tell.
    fn retire_keys(&mut self, now: Instant) {
        if self.srtp.as_ref().is_some_and(|srtp| srtp.is_former_over(now)) && self.has_room() {
            let former = self.srtp.as_mut().and_then(|srtp| srtp.take_former());
            self.events.extend(former.map(LegEvent::SrtpRetired));
        }
    }

    fn clip_ended(&mut self, clip: Clip, finished: bool) {
        // There is room: `clips` counts those waiting here and in the player, and `play` made room for them.
        self.events.push_back(LegEvent::ClipEnded { token: clip.token, finished, sound: clip.sound });
    }

    /// Notes an event that is not a clip; when nobody collects them for long, those that come then are dropped and counted.
    fn tell(&mut self, event: LegEvent) {
        if self.has_room() {
            self.events.push_back(event);
        } else if matches!(event, LegEvent::Digit(_)) {
            self.dropped_digits += 1;
        } else {
            self.dropped_events += 1;
        }
    }

    /// True when there is room for an event that is not a clip.
    fn has_room(&self) -> bool {
        self.events.len() - self.ended_clips() < EVENTS
    }

    fn ended_clips(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, LegEvent::ClipEnded { .. })).count()
    }
}

#[cfg(test)]
mod tests;
