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
use super::decoders::{self, Decoders};
use super::delay::Delay;
use super::noise::Noise;
use super::store::{Slot, Store};
use super::stretch;
use super::timeline::{MILLISECOND, TICK, Timeline, duration, unit};
use super::wave::Wave;
use super::{PlayoutStats, Pull, Push};
use crate::codec::Codec;
use crate::units::{Rate, RtpTime, SeqNo};

/// Payload bytes that can wait: 320 ms of G.711 or G.722. Opus packets may be larger, up to 1275 bytes a frame.
const DIVISIBLE_BYTES: usize = 2_560;
const OTHER_BYTES: usize = 6_144;

/// Decoded sound that can wait, in milliseconds. Payloads of other codecs are decoded whole: up to 120 ms.
const DIVISIBLE_AHEAD: usize = 60;
const OTHER_AHEAD: usize = 180;

/// A packet this much off the expected time did not come late: the sender's timestamps jumped.
const JUMP: i64 = 300 * MILLISECOND;

/// A packet further ahead than this of what is played is not worth waiting for.
const SPAN: i64 = 500 * MILLISECOND;

/// A delay longer than needed is worth cuts from here on: a little less than a packet, by which it grows when a tick falls behind
/// an arrival.
const SURPLUS: i64 = 14 * MILLISECOND;

/// Cuts end when there is less than this to take out.
const LEAST: i64 = 3 * MILLISECOND;

/// The need may grow again by so much before a cut is regretted.
const MARGIN: i64 = 3 * MILLISECOND;

/// A delay longer than needed by this is cut to the next packet, alike or not.
const EXCESS: i64 = 100 * MILLISECOND;

/// Without a tick for so long, a leg begins anew.
const STALE: i64 = 200 * MILLISECOND;

/// Ticks between two stretches of speech: not more than a quarter faster or slower.
const REST: u8 = 3;

/// Mean absolute sample value up to which any cut or insertion will do.
const QUIET: u16 = 60;

/// Ticks without anything to play after which a leg counts as silent.
const STARVED: u32 = 4;

/// The jitter buffer, decoders and concealment of one leg.
#[derive(Debug)]
pub struct Playout {
    store: Store,
    wave: Wave,
    decoders: Decoders,
    timeline: Timeline,
    delay: Delay,
    conceal: Conceal,
    noise: Noise,
    /// Behind the last sample decoded, on the timeline.
    next: i64,
    /// Where the newest packet begins, how long it is, and the common measure of that and a tick.
    origin: i64,
    packet: i64,
    grid: i64,
    /// The highest number of any packet of the stream, audio or not.
    newest: i64,
    /// Playout waits for a first packet, and then until it is safe to begin with it.
    filling: bool,
    /// Ticks without anything to play since there was something.
    starved: u32,
    /// Units made in place of sound since there was sound, and how many of them may turn out to be a pause.
    gap: i64,
    uncounted: i64,
    /// The delay is being cut to what is needed.
    cutting: bool,
    /// Ticks until speech may be stretched again.
    rest: u8,
    /// Samples ahead up to the last one that was decoded and not passed over as silence.
    sounding: usize,
    /// When something was played last.
    pulled: i64,
    /// How long the fastest packets waited for what was played last.
    waited: i64,
    level: u16,
    /// The decoder that was used last.
    current: u8,
    stats: PlayoutStats,
}

/// Why there is nothing more to decode.
enum Stop {
    /// There is enough.
    Enough,
    /// What comes next is missing; this is the first packet behind it.
    Gap(Slot),
    /// No packet waits.
    Empty,
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
            current: 0,
            stats: PlayoutStats::default(),
        }
    }

    /// From now on the peer may send any of `codecs` too. What waits is still played, and the sound goes on. Memory that is needed
    /// is taken here.
    pub fn admit(&mut self, codecs: &[Codec]) {
        if codecs.iter().all(|&codec| self.plays(codec)) {
            return;
        }
        for &codec in codecs {
            self.decoders.admit(codec);
        }
        let (bytes, ahead) = room(&self.decoders);
        self.store.grow(bytes);
        self.wave.grow(self.decoders.highest_rate(), ahead);
    }

    /// True when packets of `codec` can be played.
    pub fn plays(&self, codec: Codec) -> bool {
        self.decoders.find(codec).is_some()
    }

    /// The 20 ms of the last [`Playout::pull`], at [`Playout::rate`].
    pub fn samples(&self) -> &[i16] {
        self.wave.played(self.wave.rate().frame())
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
        if pull != Pull::Silent {
            self.level = mean_abs(&self.wave.next()[..frame.min(self.wave.ahead())]);
        }
        if pull == Pull::Speech {
            self.noise.heard(self.level);
        }
        self.wave.play(frame);
        self.sounding = self.sounding.saturating_sub(frame);
        pull
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
        if self.timeline.is_new() {
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
        if newest {
            // No packet is missing before it, and yet time: the sender paused.
            slot.follows = place.number == self.newest + 1 && place.start > self.origin + self.packet;
            self.newest = place.number;
            self.timeline.newest(&place);
            (self.origin, self.packet, self.grid) = (place.start, length, common(length));
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

    /// Puts at least 20 ms ahead in the wave, and says what they are.
    fn next_frame(&mut self, now: i64, unheard_below: Option<u16>) -> Pull {
        if self.filling {
            match self.store.first() {
                Some(first) if self.slack(now, first.start) >= 0 => self.begin(&first),
                Some(_) => return self.idle_frame(Pull::Filling, unheard_below),
                None => return self.idle_frame(Pull::Silent, unheard_below),
            }
        }
        self.skip_excess(now);
        // Every turn decodes a packet, bridges a gap or ends the loop, so there are only a few for every slot.
        loop {
            match self.decode(TICK, unheard_below) {
                Stop::Enough => break,
                Stop::Gap(first) => {
                    if !self.cross(now, &first, unheard_below) {
                        return self.gap_frame(unheard_below);
                    }
                }
                Stop::Empty if self.starved >= STARVED => {
                    return self.idle_frame(Pull::Silent, unheard_below);
                }
                Stop::Empty => {
                    self.starved += 1;
                    self.fill(TICK - self.ahead(), unheard_below);
                    return self.gap_frame(unheard_below);
                }
            }
        }
        self.starved = 0;
        self.adjust(now, unheard_below);
        self.waited = now - self.play() - self.delay.baseline() - self.needed();
        if self.sounding > 0 { Pull::Speech } else { Pull::Silent }
    }

    /// The first frame of a beginning.
    fn begin(&mut self, first: &Slot) {
        self.filling = false;
        self.next = first.start.max(self.next);
        self.end_gap(first.follows);
        self.conceal.splice(&self.wave);
    }

    /// Decodes what follows without a gap until there are `enough` units ahead.
    fn decode(&mut self, enough: i64, unheard_below: Option<u16>) -> Stop {
        loop {
            if self.ahead() >= enough {
                return Stop::Enough;
            }
            let Some(first) = self.store.first() else { return Stop::Empty };
            if first.start > self.next {
                return Stop::Gap(first);
            }
            if first.end() <= self.next {
                self.store.release(&first);
            } else if !self.decode_packet(&first, unheard_below) {
                return Stop::Enough;
            }
        }
    }

    /// Decodes the first packet that waits, or the part of it that fits; false when nothing fits.
    fn decode_packet(&mut self, first: &Slot, unheard_below: Option<u16>) -> bool {
        let codec = self.decoders.codec(first.codec);
        if codec.rate() != self.wave.rate() {
            self.wave.change_rate(codec.rate());
            self.sounding = if self.sounding > 0 { self.wave.ahead() } else { 0 };
            self.conceal = Conceal::default();
            self.conceal.splice(&self.wave);
        }
        let unit = unit(codec.rate());
        let room = self.wave.room();
        let mut payload = self.store.payload(first);
        if let Some(byte) = decoders::byte(codec) {
            let from = ((self.next - first.start) / byte) as usize;
            let count = (payload.len() - from.min(payload.len())).min(room / (byte / unit) as usize);
            payload = &payload[from..][..count];
            if count == 0 {
                return false;
            }
        }
        let silent = unheard_below.and_then(|threshold| quieter(codec, payload, threshold));
        let decoded = match silent {
            Some(level) => {
                let samples = codec.duration(payload).unwrap_or(0).min(room);
                self.wave.append_silence(samples);
                self.decoders.pass_over(first.codec, payload);
                self.conceal = Conceal::default();
                self.level = level;
                Ok(samples)
            }
            None => self.wave.append(room, |pcm| {
                let decoded = self.decoders.get(first.codec, pcm).decode(payload, pcm);
                (decoded.unwrap_or(0), decoded)
            }),
        };
        let Ok(samples) = decoded.inspect_err(|_| self.stats.refused += 1) else {
            self.store.release(first); // its time becomes a gap
            return true;
        };
        self.next += samples as i64 * unit;
        if self.next >= first.end() || decoders::byte(codec).is_none() {
            self.next = self.next.max(first.end());
            self.store.release(first);
        }
        self.current = first.codec;
        self.end_gap(false);
        if silent.is_none() {
            self.conceal.resume(&mut self.wave, samples, &mut self.noise);
            self.sounding = self.wave.ahead();
        }
        true
    }

    /// A gap lies before `first`: bridges as much of it as is due. False when that makes a whole frame.
    fn cross(&mut self, now: i64, first: &Slot, unheard_below: Option<u16>) -> bool {
        let length = first.start - self.next;
        let left = length - self.gap;
        let slack = self.slack(now, self.play() + length);
        if first.follows {
            self.conceal.pause();
        }
        if slack >= SURPLUS || left <= 0 && (slack >= 0 || -left >= JUMP) {
            self.next = first.start;
            self.end_gap(first.follows);
            if unheard_below.is_none() {
                self.conceal.splice(&self.wave);
            }
            return true;
        }
        let due = if left > 0 { left } else { -slack };
        let missing = TICK - self.ahead();
        if left > 0 && left <= self.packet.max(missing) && self.recover(first, left) {
            return true;
        }
        self.fill(due.min(missing), unheard_below);
        self.ahead() < TICK
    }

    /// Decodes the copy of what was lost right before `first` that `first` may carry: the last `length` of a gap.
    fn recover(&mut self, first: &Slot, length: i64) -> bool {
        let codec = self.decoders.codec(first.codec);
        let samples = (length / unit(codec.rate())) as usize;
        if decoders::byte(codec).is_some() || codec.rate() != self.wave.rate() || samples > self.wave.room() {
            return false;
        }
        let payload = self.store.payload(first);
        let recovered = self.wave.append(samples, |pcm| {
            let recovered = self.decoders.get_as_is(first.codec).decode_fec(payload, pcm);
            (recovered.unwrap_or(0), recovered)
        });
        let Some(samples) = recovered else { return false };
        self.next = first.start;
        self.stats.recovered += duration(samples as i64 * unit(codec.rate()));
        self.end_gap(first.follows);
        self.conceal.resume(&mut self.wave, samples, &mut self.noise);
        self.sounding = self.wave.ahead();
        true
    }

    /// Puts `units` of concealment ahead.
    fn fill(&mut self, units: i64, unheard_below: Option<u16>) {
        let unit = unit(self.wave.rate());
        let samples = ((units + unit - 1) / unit) as usize;
        self.gap += samples as i64 * unit;
        self.uncounted += samples as i64 * unit;
        self.make(samples, unheard_below);
    }

    /// Puts `samples` ahead that were not received: the decoder's own guess, the voice going on, noise; silence where nobody
    /// listens.
    fn make(&mut self, samples: usize, unheard_below: Option<u16>) {
        if unheard_below.is_some() {
            self.conceal = Conceal::default();
            self.wave.append_silence(samples);
            return;
        }
        let guessed = self.wave.append(samples, |pcm| {
            let guessed = self.decoders.get_as_is(self.current).conceal(pcm);
            (if guessed { samples } else { 0 }, guessed)
        });
        if !guessed {
            self.conceal.fill(&mut self.wave, samples, &mut self.noise);
        }
        self.sounding = self.wave.ahead();
    }

    /// There is sound again: what was made in its place counts as concealed, unless the sender `paused`.
    fn end_gap(&mut self, paused: bool) {
        let made = std::mem::take(&mut self.uncounted);
        self.gap = 0;
        if made > 0 && !paused {
            self.stats.concealed += duration(made);
        }
    }

    /// What a frame is that ends in a gap.
    fn gap_frame(&self, unheard_below: Option<u16>) -> Pull {
        if unheard_below.is_some() && self.sounding == 0 {
            Pull::Silent
        } else if self.gap > conceal::AUDIBLE_MS as i64 * MILLISECOND || self.conceal.is_pause() {
            Pull::ComfortNoise
        } else {
            Pull::Concealed
        }
    }

    /// Nothing is to be played: background noise where somebody listens.
    fn idle_frame(&mut self, pull: Pull, unheard_below: Option<u16>) -> Pull {
        self.level = 0;
        self.conceal.pause();
        let missing = self.wave.rate().frame().saturating_sub(self.wave.ahead());
        self.make(missing, unheard_below);
        if pull == Pull::Silent && unheard_below.is_none() { Pull::ComfortNoise } else { pull }
    }

    /// Gives up what waits where so much does that neither stretching nor a pause would ever make up for it.
    fn skip_excess(&mut self, now: i64) {
        let mut surplus = self.slack(now, self.play());
        if surplus < EXCESS {
            return;
        }
        while let (Some(first), Some(second)) = (self.store.first(), self.store.second()) {
            let step = second.start - self.next;
            if step <= 0 || surplus - step < 0 {
                break;
            }
            surplus -= step;
            self.next = second.start;
            self.store.release(&first);
            self.stats.dropped += 1;
            self.conceal.splice(&self.wave);
        }
    }

    /// Stretches what is played next when the delay is not what it should be.
    fn adjust(&mut self, now: i64, unheard_below: Option<u16>) {
        let slack = self.slack(now, self.play());
        let surplus = slack - MARGIN - self.delay.target() / 16;
        self.cutting = surplus >= if self.cutting { LEAST } else { SURPLUS };
        if slack >= 0 && !self.cutting {
            return;
        }
        let unit = unit(self.wave.rate());
        if slack > 0 {
            self.decode(stretch::AHEAD_MS as i64 * MILLISECOND, unheard_below);
        }
        let frame = self.wave.rate().frame();
        let background = self.noise.level().saturating_mul(2).max(QUIET);
        let quiet = self.sounding == 0 || mean_abs(&self.wave.next()[..frame]) <= background;
        if self.rest > 0 && !quiet && surplus < EXCESS / 2 {
            return;
        }
        let changed = if slack > 0 {
            let cut = stretch::cut(&mut self.wave, (surplus / unit) as usize, quiet);
            self.stats.cut += duration(cut as i64 * unit);
            self.sounding = self.sounding.saturating_sub(cut);
            cut
        } else {
            let most = if quiet { (-slack / unit) as usize } else { usize::MAX };
            let put_in = stretch::extend(&mut self.wave, most, quiet);
            self.stats.put_in += duration(put_in as i64 * unit);
            self.sounding = if self.sounding > 0 { self.wave.ahead() } else { 0 };
            put_in
        };
        if changed > 0 {
            self.rest = REST;
        }
    }

    /// Units that are ahead.
    fn ahead(&self) -> i64 {
        self.wave.ahead() as i64 * unit(self.wave.rate())
    }

    /// What is played next.
    fn play(&self) -> i64 {
        self.next - self.ahead()
    }

    /// How much longer than needed the delay is if `play` is played at `now`: by so much later the packets could come.
    ///
    /// At `now`, what the slowest packets worth waiting for carry must be there. Packets come in steps, and so do ticks; what
    /// counts is the tick at which the least is there.
    fn slack(&self, now: i64, play: i64) -> i64 {
        let heard = now - self.delay.baseline() - self.delay.target() - self.origin;
        heard - heard.rem_euclid(self.grid) + self.origin - self.needed() - play
    }

    /// From where the frame of a tick begins to the end of the last packet that it needs, at the worst tick.
    fn needed(&self) -> i64 {
        self.packet - self.grid + TICK
    }
}

/// Bytes and milliseconds of memory for what these decoders decode.
fn room(decoders: &Decoders) -> (usize, usize) {
    if decoders.are_divisible() { (DIVISIBLE_BYTES, DIVISIBLE_AHEAD) } else { (OTHER_BYTES, OTHER_AHEAD) }
}

/// The level of a payload, if it is below `threshold`.
fn quieter(codec: Codec, payload: &[u8], threshold: u16) -> Option<u16> {
    let level = codec.level(payload).or_else(|| codec.is_silence(payload)?.then_some(0))?;
    (level < threshold).then_some(level)
}

/// Mean absolute sample value; 0 of nothing.
fn mean_abs(samples: &[i16]) -> u16 {
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
