//! The jitter buffer of one leg: what arrives waits, encoded, for its time; every tick takes 20 ms of sound out.
//!
//! `next` is the place on the timeline behind the last sample that was decoded; samples decoded and not yet played are ahead in
//! the wave, so what plays next is `next` less what is ahead. Both stretching and concealment only change how much is ahead: a
//! period put in makes the delay longer by itself, a gap passed over makes it shorter. There is no other clock to correct.
//!
//! Guarantee, which the fuzz target `jitter_ops` and the property tests try to break: no sequence of operations panics or
//! allocates, no loop is longer than the number of slots, a packet is played at most once and never before an earlier one.

use std::time::{Duration, Instant};

use super::conceal::{self, Conceal};
use super::decoders::Decoders;
use super::delay::Delay;
use super::noise::Noise;
use super::store::{Mark, Slot, Store};
use super::timeline::{MILLISECOND, TICK, Timeline, duration, unit};
use super::wave::Wave;
use super::{PlayoutStats, Pull, Push};
use crate::codec::Codec;
use crate::units::{Rate, RtpTime, SeqNo};
use crate::waste::Waste;

/// Payload bytes that can wait: 320 ms of G.711 or G.722. Opus packets may be larger, up to 1275 bytes a frame.
const DIVISIBLE_BYTES: usize = 2_560;
const OTHER_BYTES: usize = 6_144;

/// Decoded sound that can wait, in milliseconds. Payloads of other codecs are decoded whole: up to 120 ms.
const DIVISIBLE_AHEAD: usize = 60;
const OTHER_AHEAD: usize = 180;

/// A packet this much off the expected time did not come late: the sender's timestamps jumped.
pub(super) const JUMP: i64 = 300 * MILLISECOND;

/// A packet further ahead than this of what is played is not worth waiting for.
const SPAN: i64 = 500 * MILLISECOND;

/// Without a tick for so long, a leg begins anew.
const STALE: i64 = 200 * MILLISECOND;

/// Ticks without anything to play after which a leg counts as silent.
pub(super) const STARVED: u32 = 4;

/// The jitter buffer, decoders and concealment of one leg.
#[derive(Debug)]
pub struct Playout {
    pub(super) store: Store,
    pub(super) wave: Wave,
    pub(super) decoders: Decoders,
    pub(super) timeline: Timeline,
    pub(super) delay: Delay,
    pub(super) conceal: Conceal,
    pub(super) noise: Noise,
    /// Behind the last sample decoded, on the timeline.
    pub(super) next: i64,
    /// Where the newest packet begins, how long it is, and the common measure of that and a tick.
    pub(super) origin: i64,
    pub(super) packet: i64,
    pub(super) grid: i64,
    /// The highest number of any packet of the stream, audio or not.
    pub(super) newest: i64,
    /// Playout waits for a first packet, and then until it is safe to begin with it.
    pub(super) filling: bool,
    /// Ticks without anything to play since there was something.
    pub(super) starved: u32,
    /// Units made in place of sound since there was sound, and how many of them may turn out to be a pause.
    pub(super) gap: i64,
    pub(super) uncounted: i64,
    /// The delay is being cut to what is needed.
    pub(super) cutting: bool,
    /// Ticks until speech may be stretched again.
    pub(super) rest: u8,
    /// Samples ahead up to the last one that was decoded and not passed over as silence.
    pub(super) sounding: usize,
    /// When something was played last.
    pub(super) pulled: i64,
    /// How long the fastest packets waited for what was played last.
    pub(super) waited: i64,
    pub(super) level: u16,
    /// That is how loud the far end is, and not our noise, or silence of which is only said that it is.
    pub(super) metered: bool,
    /// The decoder that was used last.
    pub(super) current: u8,
    pub(super) stats: PlayoutStats,
}

impl Playout {
    /// An empty buffer for a peer that may send any of `codecs`; the first is what it is expected to send. All memory is taken
    /// here.
    pub fn new(codecs: &[Codec]) -> Self {
        let decoders = Decoders::new(codecs);
        let (bytes, ahead) = room(&decoders);
        let rate = codecs.first().map_or_else(Rate::default, |codec| codec.rate());
        Self {
            store: Store::new(bytes),
            wave: Wave::new(decoders.highest_rate(), rate, conceal::HISTORY_MS, ahead),
            decoders,
            timeline: Timeline::new(),
            delay: Delay::new(),
            conceal: Conceal::default(),
            noise: Noise::default(),
            next: 0,
            origin: 0,
            packet: TICK,
            grid: TICK,
            newest: -1,
            filling: true,
            starved: STARVED,
            gap: 0,
            uncounted: 0,
            cutting: false,
            rest: 0,
            sounding: 0,
            pulled: 0,
            waited: 0,
            level: 0,
            metered: false,
            current: 0,
            stats: PlayoutStats::default(),
        }
    }

    /// From now on the peer may send any of `codecs` too. What waits is still played, and the sound goes on. Memory that is needed
    /// is taken here; what it takes the place of goes into the waste.
    pub fn admit(&mut self, codecs: &[Codec], waste: &mut Waste) {
        if codecs.iter().all(|&codec| self.plays(codec)) {
            return;
        }
        for &codec in codecs {
            self.decoders.admit(codec, waste);
        }
        let (bytes, ahead) = room(&self.decoders);
        self.store.grow(bytes, waste);
        self.wave.grow(self.decoders.highest_rate(), ahead, waste);
    }

    /// True when packets of `codec` can be played.
    pub fn plays(&self, codec: Codec) -> bool {
        self.decoders.find(codec).is_some()
    }

    /// The 20 ms of the last [`Playout::pull`], at [`Playout::rate`].
    pub fn samples(&self) -> &[i16] {
        self.wave.played(self.wave.rate().frame())
    }

    /// The 20 ms before those, at the same rate; less where there is no memory of them.
    pub(crate) fn samples_before(&self) -> &[i16] {
        let frame = self.wave.rate().frame();
        let both = self.wave.played(2 * frame);
        &both[..both.len().saturating_sub(frame)]
    }

    /// Samples per second of what is played at present; it follows the codec that arrives.
    pub fn rate(&self) -> Rate {
        self.wave.rate()
    }

    /// How loud [`Playout::samples`] are: mean absolute sample value, 0..=32768. Of what was not decoded, because nobody would
    /// hear it, as its payload says.
    pub fn level(&self) -> u16 {
        self.level
    }

    /// True when [`Playout::level`] is how loud the far end is. Otherwise nothing is known but that nobody speaks: nothing arrived, or
    /// what did says that it is silence and not how loud (Opus).
    pub fn is_metered(&self) -> bool {
        self.metered
    }

    /// Counters since the buffer was made.
    pub fn stats(&self) -> PlayoutStats {
        self.stats
    }

    /// How long the fastest packets wait at present between arrival and playout.
    pub fn playout_delay(&self) -> Duration {
        duration(self.waited)
    }

    /// How long beyond the fastest packets we want to wait for the slow ones.
    pub fn target_delay(&self) -> Duration {
        duration(self.delay.target())
    }

    /// The next packet belongs to a new stream (another SSRC, a sequence that starts over). What is stored is still played; the
    /// new stream goes on behind it.
    pub fn restart(&mut self) {
        self.timeline.restart();
    }

    /// A packet of the stream that is not audio took a sequence number: an event. If nothing follows, that is no gap.
    pub fn pause(&mut self, sequence: SeqNo) {
        if !self.timeline.is_new() && self.timeline.number(sequence) > self.newest {
            self.newest = self.timeline.number(sequence).min(self.newest + i64::from(i16::MAX));
            self.conceal.pause();
        }
    }

    /// A comfort-noise packet: the sender pauses, and its background is `level` dB below overload (RFC 3389 section 3.1).
    pub fn comfort_noise(&mut self, sequence: SeqNo, level: u8) {
        self.noise.announce(level);
        self.pause(sequence);
    }

    /// Takes one audio packet: its header's numbers, its payload and when it arrived.
    pub fn push(
        &mut self,
        sequence: SeqNo,
        time: RtpTime,
        codec: Codec,
        payload: &[u8],
        arrival: Instant,
    ) -> Push {
        let push = self.place(sequence, time, codec, payload, arrival);
        match push {
            Push::Stored => {}
            Push::Reordered => self.stats.reordered += 1,
            Push::Late => self.stats.late += 1,
            Push::Duplicate => self.stats.duplicate += 1,
            Push::Refused => self.stats.refused += 1,
        }
        push
    }

    /// Plays the 20 ms of the tick at `now`: they are in [`Playout::samples`], whatever the answer.
    ///
    /// `unheard_below` says that nobody hears this leg at present, and from which level on it would be heard: what is below need
    /// not be decoded, and becomes [`Pull::Silent`].
    pub fn pull(&mut self, now: Instant, unheard_below: Option<u16>) -> Pull {
        let now = self.timeline.at(now);
        if now - std::mem::replace(&mut self.pulled, now) > STALE {
            // Nobody listened: what came in the meantime (a ring-back tone before the answer) is not for now.
            self.store.clear();
            self.filling = true;
        }
        self.rest = self.rest.saturating_sub(1);
        let pull = self.next_frame(now, unheard_below);
        let frame = self.wave.rate().frame();
        self.metered |= matches!(pull, Pull::Speech | Pull::Concealed);
        if pull != Pull::Silent {
            self.level = mean_abs(&self.wave.next()[..frame.min(self.wave.ahead())]);
        }
        if pull == Pull::Speech {
            self.noise.heard(self.level);
        }
        self.wave.play(frame);
        self.wave.keep(self.conceal.needed_ms());
        self.sounding = self.sounding.saturating_sub(frame);
        pull
    }

    /// See [`crate::ahead`].
    pub(crate) fn fetch(&self) {
        self.store.fetch();
        self.wave.fetch();
        self.decoders.fetch();
    }

    fn place(
        &mut self,
        sequence: SeqNo,
        time: RtpTime,
        codec: Codec,
        payload: &[u8],
        arrival: Instant,
    ) -> Push {
        let (Some(decoder), Some(samples)) = (self.decoders.find(codec), codec.duration(payload)) else {
            return Push::Refused;
        };
        let clock_rate = codec.clock_rate();
        let length = samples as i64 * unit(codec.rate());
        let arrival = self.timeline.at(arrival);
        let begins = self.timeline.is_new();
        if begins {
            let start = self.end();
            self.stats.restarts += u64::from(self.newest >= 0);
            self.newest += 1;
            self.timeline.begin_stream(sequence, time, clock_rate, self.newest, start);
            self.newest -= 1;
            self.delay.restart(arrival, arrival - (start + length));
        }
        let mut place = self.timeline.place(sequence, time);
        let newest = place.number > self.newest;
        if self.store.knows(place.number) {
            return Push::Duplicate;
        }
        let mut transit = arrival.saturating_sub(place.start.saturating_add(length));
        let off = self.delay.deviation_of(transit).saturating_abs() > JUMP;
        if off && !newest {
            return Push::Late; // from before a jump, or from long ago
        }
        if newest && self.starved >= STARVED && self.store.first().is_none() {
            self.filling = true; // a new beginning after a pause
        }
        let far = place.start.saturating_add(length) > self.earliest(place.start) + SPAN;
        if off || far || !self.timeline.counts_by(clock_rate) {
            if !newest {
                return Push::Refused;
            }
            if self.end() + length > self.earliest(self.end()) + SPAN {
                self.store.clear();
                self.filling = true;
            }
            let start = self.end();
            self.timeline.jump(&mut place, start, clock_rate);
            transit = arrival - (start + length);
            self.delay.restart(arrival, transit);
            self.stats.restarts += 1;
        }
        self.delay.observe(arrival, transit, length);
        let mut slot = Slot::new(place.number, place.start, length, decoder);
        slot.mark = if begins { Mark::Begins } else { Mark::Goes };
        if newest {
            // No packet is missing before it, and yet time: the sender paused.
            if place.number == self.newest + 1 && place.start > self.origin + self.packet {
                slot.mark = if begins { Mark::BeginsLate } else { Mark::Follows };
            }
            self.newest = place.number;
            self.timeline.newest(&place);
            self.origin = place.start;
            if length != self.packet {
                (self.packet, self.grid) = (length, common(length));
            }
        }
        if place.start + length <= self.next && !self.filling || place.number < self.store.head() {
            return Push::Late;
        }
        match self.store.insert(slot, payload) {
            None => Push::Refused,
            Some(gone) => {
                self.stats.overflowed += gone as u64;
                if newest { Push::Stored } else { Push::Reordered }
            }
        }
    }

    /// Bytes that it has on the heap, besides those of the decoders of Opus.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        self.store.memory() + self.wave.memory() + self.decoders.memory()
    }

    /// Where something new can begin: behind everything so far.
    fn end(&self) -> i64 {
        self.next.max(self.origin + self.packet)
    }

    /// Where that which waits begins, if something that begins at `start` is added.
    fn earliest(&self, start: i64) -> i64 {
        if self.filling {
            self.store.first().map_or(start, |first| first.start.min(start))
        } else {
            self.next
        }
    }
}

/// Bytes and milliseconds of memory for what these decoders decode.
fn room(decoders: &Decoders) -> (usize, usize) {
    if decoders.are_divisible() { (DIVISIBLE_BYTES, DIVISIBLE_AHEAD) } else { (OTHER_BYTES, OTHER_AHEAD) }
}

/// Mean absolute sample value; 0 of nothing.
pub(super) fn mean_abs(samples: &[i16]) -> u16 {
    let sum: u32 = samples.iter().map(|&sample| u32::from(sample.unsigned_abs())).sum();
    (sum / samples.len().max(1) as u32) as u16
}

/// The largest span of which both a packet and a tick are multiples.
fn common(packet: i64) -> i64 {
    let (mut common, mut rest) = (TICK, packet);
    while rest != 0 {
        (common, rest) = (rest, common % rest);
    }
    common
}
