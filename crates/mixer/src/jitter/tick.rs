//! One tick of playout: what is decoded, bridged or stretched so that 20 ms are ahead.

use super::Pull;
use super::bridge;
use super::conceal::{self, Conceal};
use super::decoders;
use super::handover::{Handover, onset};
use super::playout::{JUMP, Playout, STARVED, mean_abs};
use super::spectrum;
use super::store::Slot;
use super::stretch;
use super::timeline::{MILLISECOND, TICK, duration, unit};
use super::wave::millisecond;
use crate::codec::{Codec, Decoder};
use crate::units::MAX_FRAME;

/// A delay longer than needed is worth cuts from here on: a little less than a packet, by which it grows when a tick falls behind
/// an arrival.
const SURPLUS: i64 = 14 * MILLISECOND;

/// Cuts end when there is less than this to take out.
const LEAST: i64 = 3 * MILLISECOND;

/// The need may grow again by so much before a cut is regretted.
const MARGIN: i64 = 3 * MILLISECOND;

/// A delay longer than needed by this is cut to the next packet, alike or not.
const EXCESS: i64 = 100 * MILLISECOND;

/// Ticks between two stretches of speech: not more than a quarter faster or slower.
const REST: u8 = 3;

/// Mean absolute sample value up to which any cut or insertion will do.
const QUIET: u16 = 60;

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
    /// Puts at least 20 ms ahead in the wave, and says what they are.
    pub(super) fn next_frame(&mut self, now: i64, unheard_below: Option<u16>) -> Pull {
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
        self.end_gap(first.follows());
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
        let differs = codec.rate() != self.wave.rate() || self.current != first.codec && onset(codec) > 0;
        let handover = differs.then(|| {
            let handover = Handover::begin(&mut self.wave, self.conceal, &mut self.noise, codec);
            self.sounding = if self.sounding > 0 { self.wave.ahead() } else { 0 };
            self.conceal = Conceal::default();
            handover
        });
        if first.begins() && self.next == first.start || self.current != first.codec {
            self.decoders.restart(first.codec);
            self.current = first.codec;
        }
        if unheard_below.is_none() {
            self.follow(first);
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
                self.metered = decoders::byte(codec).is_some();
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
        self.end_gap(false);
        if silent.is_none() {
            self.conceal.resume(&mut self.wave, samples, &mut self.noise);
            if let Some(handover) = handover {
                handover.blend(&mut self.wave, samples);
            }
            self.sounding = self.wave.ahead();
        }
        true
    }

    /// A gap lies before `first`: bridges as much of it as is due. False when that makes a whole frame.
    fn cross(&mut self, now: i64, first: &Slot, unheard_below: Option<u16>) -> bool {
        let length = first.start - self.next;
        let left = length - self.gap;
        let slack = self.slack(now, self.play() + length);
        if first.follows() {
            self.conceal.pause();
        } else if !first.begins()
            && let Some(copied) = self.tells_of_before(first)
        {
            self.delay.wait_for_next(i64::from(first.length), copied);
        }
        // The wait for the next packet comes about by stretching what follows, not by a longer gap.
        let slack = if left > 0 { slack } else { slack + self.delay.for_next() };
        if slack >= SURPLUS || left <= 0 && (slack >= 0 || -left >= JUMP) {
            self.next = first.start;
            self.end_gap(first.follows());
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
        if left > 0 && unheard_below.is_none() && self.bridge(first, left) {
            return true;
        }
        self.fill(due.min(missing), unheard_below);
        self.ahead() < TICK
    }

    /// When a packet helps in place of the one before it, whether by a copy, which it carries, or would if there were anything to
    /// copy; otherwise its own beginning is known without the one before it.
    fn tells_of_before(&self, packet: &Slot) -> Option<bool> {
        let (codec, payload) = (self.decoders.codec(packet.codec), self.store.payload(packet));
        let silent = || codec.promises_copies() && codec.is_silence(payload) == Some(true);
        let copied = codec.has_copy(payload) || silent();
        (copied || decoders::byte(codec).is_some()).then_some(copied)
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
        self.end_gap(first.follows());
        self.conceal.resume(&mut self.wave, samples, &mut self.noise);
        self.sounding = self.wave.ahead();
        true
    }

    /// Fills the last `length` of a gap from both sides: `first`, which follows it, is decoded too.
    fn bridge(&mut self, first: &Slot, length: i64) -> bool {
        let codec = self.decoders.codec(first.codec);
        let Some(byte) = decoders::byte(codec) else { return false };
        let (rate, unit) = (self.wave.rate(), unit(self.wave.rate()));
        let longest = bridge::LONGEST_MS as i64 * MILLISECOND;
        let is_apart =
            self.current != first.codec || codec.rate() != rate || first.begins() || first.follows();
        if is_apart || self.conceal.is_pause() || length.max(self.gap) > longest {
            return false;
        }
        let (missing, made) = ((length / unit) as usize, (self.gap / unit) as usize);
        // Whole bytes, of as much as there is room for.
        let bytes = self.wave.room().saturating_sub(missing) * unit as usize / byte as usize;
        let all = self.store.payload(first);
        let payload = &all[..bytes.min(all.len())];
        let known = payload.len() * byte as usize / unit as usize;
        if known < bridge::LEAST_MS * millisecond(rate) {
            return false;
        }
        self.wave.append_silence(missing + known);
        let pcm = self.wave.all_mut();
        let to = pcm.len() - known;
        let from = to - missing;
        let decoder = self.decoders.get_as_is(first.codec);
        if decoder.follows() {
            bridge::onward(pcm, from, to + Decoder::AHEAD, rate);
            decoder.follow(&pcm[from - made..to + Decoder::AHEAD], all);
        }
        if decoder.decode(payload, &mut pcm[to..]).is_err() {
            self.stats.refused += 1; // silence: a payload of these codecs is never malformed once its length is known
        }
        if decoder.follows() {
            bridge::bridge_into(pcm, from, to, rate);
        } else {
            bridge::bridge(pcm, from, to, rate);
        }
        spectrum::even_out(pcm, from, to, decoder.follows(), rate);
        self.next = first.start + known as i64 * unit;
        if self.next >= first.end() {
            self.store.release(first);
        }
        self.uncounted += length;
        self.end_gap(false);
        self.conceal = Conceal::default();
        self.sounding = self.wave.ahead();
        true
    }

    /// A decoder that builds on what came before learns what was made in its place, before it goes on with `first`.
    fn follow(&mut self, first: &Slot) {
        let decoder = self.decoders.get_as_is(first.codec);
        if self.conceal.made() > 0 && decoder.follows() {
            let mut room = [0; MAX_FRAME];
            let length = self.conceal.onward(&self.wave, &mut self.noise, &mut room, Decoder::AHEAD);
            let byte = decoders::byte(decoder.codec()).unwrap_or(1);
            let payload = self.store.payload(first);
            let from = ((self.next - first.start) / byte) as usize;
            decoder.follow(&room[..length], payload.get(from..).unwrap_or(&[]));
        }
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
        self.metered = false;
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
    pub(super) fn slack(&self, now: i64, play: i64) -> i64 {
        let heard = now - self.delay.baseline() - self.delay.target() - self.origin;
        heard - heard.rem_euclid(self.grid) + self.origin - self.needed() - play
    }

    /// From where the frame of a tick begins to the end of the last packet that it needs, at the worst tick.
    fn needed(&self) -> i64 {
        self.packet - self.grid + TICK
    }
}

/// The level of a payload, if it is below `threshold`.
fn quieter(codec: Codec, payload: &[u8], threshold: u16) -> Option<u16> {
    let level = codec.level(payload).or_else(|| codec.is_silence(payload)?.then_some(0))?;
    (level < threshold).then_some(level)
}
