//! A leg's part in a tick: what it heard goes to its conference, and what it hears to its peer.

use std::time::Instant;

use super::egress::Format;
use super::{Leg, LegEvent, MediaConfig, Playing};
use crate::ahead;
use crate::echo::Trace;
use crate::fanout::Heard;
use crate::gain::glide;
use crate::jitter::Pull;
use crate::resample::Resampler;
use crate::units::Rate;

impl Leg {
    /// It is served in a moment: see [`crate::ahead`].
    pub(crate) fn fetch(&self) {
        ahead::fetch(&self.config);
        ahead::fetch(&self.incoming);
        self.outgoing.fetch();
        self.own.fetch();
        ahead::fetch(&self.player);
        ahead::fetch(&self.srtp);
        ahead::fetch(&self.voice);
        ahead::fetch(&self.agc);
        ahead::fetch(&self.now);
        ahead::fetch(&self.last_tick);
        ahead::fetch(&self.audience);
        ahead::fetch(&self.events);
        ahead::fetch(&self.muted);
        self.echo.fetch();
    }

    /// It is served now: what waits in it.
    pub(crate) fn fetch_waiting(&self) {
        self.incoming.playout.fetch();
        self.echo.fetch_traces();
    }

    /// First half of a tick. True when what it says may be heard; [`Leg::contribute`] gives it. `bar` is what it must weigh to be
    /// chosen, as far as is known yet: what is lighter need not be decoded.
    pub(crate) fn begin_tick(&mut self, now: Instant, bar: u32) -> bool {
        self.now = self.outgoing.begin_tick(now, self.config.media.codec.clock_rate());
        if self.now.is_none() {
            return false;
        }
        self.last_tick = Some(now);
        self.retire_keys(now);
        if self.config.direction.receives()
            && let Some(silent_for) = self.incoming.silence(now, self.config.silent_after)
        {
            self.tell(LegEvent::MediaSilent(silent_for));
        }
        let unheard_below = if !self.voice.is_active() {
            Some(self.voice.threshold())
        } else if self.voice.is_heard() || self.audience.is_some() || self.echo.is_confirming() {
            None
        } else {
            self.voice.outdone_below(bar)
        };
        let pull = self.incoming.pull(now, unheard_below);
        let present = matches!(pull, Pull::Speech | Pull::Concealed);
        if self.incoming.is_metered() {
            self.voice.listen(self.incoming.level());
        } else {
            self.voice.rest();
        }
        let decoded = self.voice.is_active() && pull != Pull::Silent;
        let samples = decoded.then(|| self.incoming.samples().0);
        let is_echo = self.detects_echo && self.echo.hear(self.voice, samples);
        if self.voice.is_active() && !is_echo {
            self.agc.tick(self.voice);
        }
        while let Some(clip) = self.player.take_ended() {
            self.clip_ended(clip, true);
        }
        // A key's tone, which some peers send along with its event, is for us only.
        present && self.voice.is_active() && !is_echo && !self.muted && !self.incoming.is_key_held(now)
    }

    /// What it says in this tick, at the rate of its conference.
    pub(crate) fn contribute(&mut self, pcm: &mut [i16], rate: Rate) {
        let (samples, from) = self.incoming.samples();
        let known = (self.raised.from(), self.raised.to()) == (from, rate);
        if self.now.is_none() {
            pcm.fill(0);
        } else if !known && self.voice.is_heard() {
            self.raised = self.raised.go_over(from, self.incoming.samples_before(), samples, pcm);
        } else {
            if !known || !self.voice.is_heard() {
                self.raised = Resampler::new(from, rate); // the first 2 ms of a voice fade in anyway
            }
            self.raised.frame(samples, pcm);
        }
    }

    /// Shapes what it says by whether it was chosen for this tick: its gain, and ramps at the ends. A word's start is up within
    /// 2 ms, its end takes 20.
    pub(crate) fn shape(&mut self, chosen: bool, agc: bool, pcm: &mut [i16]) {
        let from = if self.voice.is_heard() { self.applied } else { 0.0 };
        let to = match (chosen, agc) {
            (false, _) => 0.0,
            (true, false) => 1.0,
            (true, true) => self.agc.factor(),
        };
        let over = if to > from { pcm.len() / 10 } else { pcm.len() };
        glide(pcm, from, to, over);
        self.applied = to;
        self.voice.set_heard(chosen);
    }

    /// True when a clip is played to it in this tick.
    pub(crate) fn has_clip(&self) -> bool {
        self.now.is_some() && !self.player.is_empty()
    }

    /// The 20 ms of the clip that is played to it.
    pub(crate) fn clip(&self, rate: Rate) -> Option<Playing<'_>> {
        self.player.playing(rate)
    }

    /// True when it is sent what it hears in this tick.
    pub(crate) fn hears(&self) -> bool {
        self.now.is_some() && self.config.direction.sends()
    }

    /// Second half of a tick for a leg on hold, or served already: nothing leaves.
    pub(crate) fn sit_out(&mut self) {
        if self.now.is_some() {
            self.player.advance();
            self.outgoing.pause();
            if self.looks_for_echo() {
                self.look_for_echo(Trace::SILENCE);
            }
        }
        if let Some(srtp) = &mut self.srtp {
            srtp.seal(None);
        }
    }

    /// True when its packets say how loud they are.
    pub(crate) fn sends_level(&self) -> bool {
        self.config.media.audio_level.is_some()
    }

    /// True when it wants to know how what it is sent sounds: it says something that may be the echo of that.
    pub(crate) fn looks_for_echo(&mut self) -> bool {
        self.now.is_some() && self.detects_echo && self.echo.is_needed()
    }

    /// Second half of a tick: what it hears, encoded with its codec, becomes a packet.
    pub(crate) fn end_tick(&mut self, heard: Heard<'_>) {
        if let Some(sent) = heard.trace {
            self.look_for_echo(sent);
        }
        self.make_packet(heard);
        if let Some(srtp) = &mut self.srtp {
            srtp.seal(self.outgoing.ready());
        }
    }

    fn make_packet(&mut self, heard: Heard<'_>) {
        let Some(now) = self.now else { return };
        self.player.advance();
        if let Some(event_pt) = self.config.media.event_pt.filter(|_| self.outgoing.digits.is_busy()) {
            let event = self.outgoing.digits.tick(now, self.config.media.event_clock_rate);
            if !self.outgoing.digits.is_busy() {
                self.tell(LegEvent::DigitsSent);
            }
            if let Some(event) = event {
                self.outgoing.event(event, event_pt);
                return;
            }
        }
        let csrcs = if self.config.csrc { heard.csrcs } else { &[] };
        let MediaConfig { audio_pt: payload_type, .. } = self.config.media;
        let level = self.config.media.audio_level.zip(heard.level);
        self.outgoing.audio(
            now,
            heard.payload,
            Format { payload_type, frames: self.config.media.frames(), csrcs, level },
        );
    }

    /// Whether what comes back is what was sent; `sent` is how that sounds which leaves in this tick.
    fn look_for_echo(&mut self, sent: Trace) {
        if let Some(change) = self.echo.tick(sent) {
            self.tell(LegEvent::Echo(change));
        }
    }
}
