//! The jitter buffer of one leg: fixed memory, any packet time, playout at 20 ms a tick.
//!
//! Packets are kept by extended sequence number in fixed slots, their samples in a ring indexed by the timeline. The timeline is
//! the sender's timestamps made continuous: a jump or a new stream goes on where the old one ended. `play` moves along it and
//! never goes back, so nothing is ever played twice.
//!
//! Guarantee, which the fuzz target `jitter_ops` and the property tests try to break: no sequence of operations panics, no
//! loop is longer than the number of slots.

use std::time::Instant;

use super::conceal::Conceal;
use super::delay::Delay;
use crate::codec::g711::G711;
use crate::frame::{FRAME, Frame};
use crate::units::{ExtRtpTime, ExtSeqNo, Rate, RtpTime, Samples, SeqNo};

/// The longest payload taken, in samples: 120 ms. Peers send 10 to 60 ms.
pub const MAX_PAYLOAD: usize = 960;

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// It waits for its time.
    Stored,
    /// It waits for its time; a later one came before it.
    Reordered,
    /// Its time is over; it is not played.
    Late,
    /// It was here before; it is not played again.
    Duplicate,
    /// Empty, too long, or further ahead than there is room.
    Refused,
}

/// What a tick gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// 20 ms of received sound.
    Frame,
    /// A gap, concealed.
    Missing,
    /// Sound arrived and waits until it is safe to begin; silence until then.
    Filling,
    /// Nothing arrives; silence.
    Silent,
}

/// Counters of the playout of one leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlayoutStats {
    /// Packets that came before one with a lower sequence number.
    pub reordered: u64,
    /// Packets whose time was over.
    pub late: u64,
    /// Packets that came twice.
    pub duplicate: u64,
    /// Packets that were empty, too long or too far ahead.
    pub refused: u64,
    /// Ticks for which a gap was concealed.
    pub concealed_frames: u64,
    /// Frames dropped because the delay was longer than needed.
    pub dropped_frames: u64,
    /// Ticks of silence inserted because the delay was shorter than needed.
    pub inserted_frames: u64,
    /// Times that timestamps jumped or a new stream took over.
    pub restarts: u64,
}

/// The jitter buffer of one leg.
#[derive(Debug)]
pub struct Buffer {
    slots: [Slot; SLOTS],
    ring: [u8; RING],
    mapping: Mapping,
    /// No packet below is needed any more.
    head: i64,
    /// The highest packet stored.
    highest: i64,
    /// Where the stored sound ends on the timeline.
    end: i64,
    /// What is played next on the timeline, and never anything before it.
    play: i64,
    /// Playout waits for a first packet, and then until it is safe to begin with it.
    filling: bool,
    /// Samples of the last packet: the sender's packet time.
    packet: i64,
    /// How long the fastest packets waited for the frame that was played last.
    waited: i64,
    /// Ticks without anything to play since there was something.
    starved: u32,
    delay: Delay,
    conceal: Conceal,
    stats: PlayoutStats,
}

/// How the wire's numbers become ours.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    /// Arrivals count from here.
    epoch: Option<Instant>,
    /// The next packet begins a new stream.
    restart: bool,
    sequence: ExtSeqNo,
    sequence_shift: i64,
    time: ExtRtpTime,
    time_shift: i64,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    sequence: i64,
    start: i64,
    length: u16,
    law: G711,
}

const SLOTS: usize = 64;
const RING: usize = 4096;

/// A packet this much off the expected time did not come late: the sender's timestamps jumped.
const JUMP: i64 = 8 * 300;

/// A longer delay than needed is cut in silence when it is a frame and this much longer.
const HYSTERESIS: i64 = 16;

/// A delay longer than needed by this is cut even in speech.
const EXCESS: i64 = 8 * 100;

/// Mean absolute sample value up to which a cut or an insertion is not heard.
const QUIET: u16 = 100;

/// Ticks without anything to play after which a leg counts as silent.
const STARVED: u32 = 4;

impl Default for Buffer {
    fn default() -> Self {
        Self::new()
    }
}

impl Buffer {
    /// An empty buffer.
    pub fn new() -> Self {
        let none = Slot { sequence: i64::MIN, start: 0, length: 0, law: G711::Pcmu };
        Self {
            slots: [none; SLOTS],
            ring: [0; RING],
            mapping: Mapping {
                epoch: None,
                restart: true,
                sequence: ExtSeqNo::new(0),
                sequence_shift: 0,
                time: ExtRtpTime::new(0),
                time_shift: 0,
            },
            head: 0,
            highest: -1,
            end: 0,
            play: -(RING as i64),
            filling: true,
            packet: FRAME as i64,
            waited: 0,
            starved: 0,
            delay: Delay::new(),
            conceal: Conceal::default(),
            stats: PlayoutStats::default(),
        }
    }

    /// Counters since the buffer was made.
    pub fn stats(&self) -> PlayoutStats {
        self.stats
    }

    /// How long the fastest packets wait at present between arrival and playout.
    pub fn playout_delay(&self) -> Samples {
        Samples::new(self.waited)
    }

    /// How long beyond the fastest packets we want to wait for the slow ones.
    pub fn target_delay(&self) -> Samples {
        self.delay.target()
    }

    /// The next packet belongs to a new stream (another SSRC, a sequence that starts over). What is stored is still played; the
    /// new stream goes on behind it.
    pub fn restart(&mut self) {
        self.mapping.restart = true;
    }

    /// The sender pauses on purpose (comfort noise, a digit): do not repeat its last sound.
    pub fn pause(&mut self) {
        self.conceal.mute();
    }

    /// Takes one audio packet: its header's numbers, its codes and when it arrived.
    pub fn push(
        &mut self,
        sequence: SeqNo,
        time: RtpTime,
        law: G711,
        codes: &[u8],
        arrival: Instant,
    ) -> Push {
        let push = self.place(sequence, time, law, codes, arrival);
        match push {
            Push::Stored => {}
            Push::Reordered => self.stats.reordered += 1,
            Push::Late => self.stats.late += 1,
            Push::Duplicate => self.stats.duplicate += 1,
            Push::Refused => self.stats.refused += 1,
        }
        push
    }

    /// Gives the 20 ms of the tick at `now`. Whatever the answer, `frame` holds what to play.
    pub fn pull(&mut self, now: Instant, frame: &mut Frame) -> Pull {
        let pull = self.playout(now, frame);
        match pull {
            Pull::Frame => {
                self.starved = 0;
                self.conceal.good(frame);
            }
            Pull::Missing => {
                self.conceal.conceal(frame);
                self.stats.concealed_frames += 1;
            }
            Pull::Filling | Pull::Silent => frame.reset(Rate::Narrow),
        }
        pull
    }

    fn place(&mut self, sequence: SeqNo, time: RtpTime, law: G711, codes: &[u8], arrival: Instant) -> Push {
        if codes.is_empty() || codes.len() > MAX_PAYLOAD {
            return Push::Refused;
        }
        let length = codes.len() as i64;
        self.mapping.epoch.get_or_insert(arrival);
        let arrival = self.arrival(arrival);
        if self.mapping.restart {
            self.begin_stream(sequence, time);
            self.delay.restart(arrival, arrival - (self.begin() + length));
        }
        let wire_sequence = sequence.extend(self.mapping.sequence);
        let wire_time = time.extend(self.mapping.time);
        let number = wire_sequence.to_i64().saturating_add(self.mapping.sequence_shift);
        let newest = number > self.highest;
        if self.slot(number).sequence == number {
            return Push::Duplicate;
        }
        let mut start = wire_time.to_i64().saturating_add(self.mapping.time_shift);
        let mut transit = arrival.saturating_sub(start.saturating_add(length));
        let jumped = self.delay.deviation_of(transit).abs() > JUMP;
        if jumped && !newest || self.highest.saturating_sub(number) >= SLOTS as i64 {
            return Push::Late; // from before the jump, or from long ago
        }
        if newest && self.starved > STARVED && self.first_start().is_none() {
            self.filling = true; // a new beginning after a pause
        }
        let full = start.saturating_add(length) > self.oldest(start) + RING as i64;
        if jumped || full {
            if full && !newest {
                return Push::Refused;
            }
            if self.begin() + length > self.oldest(self.begin()) + RING as i64 {
                self.flush();
            }
            start = self.begin();
            transit = arrival - (start + length);
            self.mapping.time_shift = start.saturating_sub(wire_time.to_i64());
            self.delay.restart(arrival, transit);
            self.stats.restarts += 1;
        }
        self.delay.observe(arrival, transit);
        if newest {
            self.mapping.sequence = wire_sequence;
            self.mapping.time = wire_time;
            self.packet = length;
        }
        if start + length <= self.play || number < self.head && !self.filling {
            return Push::Late;
        }
        self.store(Slot { sequence: number, start, length: length as u16, law }, codes)
    }

    /// Writes a packet into its slot and the ring; there is room.
    fn store(&mut self, slot: Slot, codes: &[u8]) -> Push {
        let at = slot.start.rem_euclid(RING as i64) as usize;
        let until_wrap = (RING - at).min(codes.len());
        self.ring[at..at + until_wrap].copy_from_slice(&codes[..until_wrap]);
        self.ring[..codes.len() - until_wrap].copy_from_slice(&codes[until_wrap..]);
        self.slots[slot_of(slot.sequence)] = slot;
        self.end = self.end.max(slot.start + codes.len() as i64);
        self.head = self.head.min(slot.sequence);
        if slot.sequence > self.highest {
            self.highest = slot.sequence;
            Push::Stored
        } else {
            Push::Reordered
        }
    }

    /// The first packet of a stream maps to the place behind everything so far.
    fn begin_stream(&mut self, sequence: SeqNo, time: RtpTime) {
        let number = self.highest + 1;
        let start = self.begin();
        self.stats.restarts += u64::from(number > 0);
        self.mapping.restart = false;
        self.mapping.sequence = ExtSeqNo::new(i64::from(sequence.to_wire()));
        self.mapping.sequence_shift = number - self.mapping.sequence.to_i64();
        self.mapping.time = ExtRtpTime::new(i64::from(time.to_wire()));
        self.mapping.time_shift = start - self.mapping.time.to_i64();
    }

    /// Everything stored is given up for something newer.
    fn flush(&mut self) {
        self.head = self.highest + 1;
        self.end = self.begin();
        self.filling = true;
    }

    /// Where the ring's content begins, if something that begins at `start` is added.
    fn oldest(&self, start: i64) -> i64 {
        if self.filling { self.first_start().unwrap_or(start).min(start) } else { self.play }
    }

    /// Where on the timeline something new can begin.
    fn begin(&self) -> i64 {
        self.end.max(self.play)
    }

    fn playout(&mut self, now: Instant, frame: &mut Frame) -> Pull {
        let now = self.arrival(now);
        let target = self.delay.target().to_i64();
        if self.filling {
            return match self.first_start() {
                None => Pull::Silent,
                Some(start) if self.slack(now, start) < target => Pull::Filling,
                Some(start) => self.play_from(now, start.max(self.play), frame),
            };
        }
        let mut play = self.play;
        let spare = self.slack(now, play) - target;
        let present = self.read(play, frame);
        if present == FRAME {
            let quiet = frame.mean_abs() <= QUIET;
            if quiet && spare >= FRAME as i64 + HYSTERESIS && self.read(play + FRAME as i64, frame) == FRAME {
                self.stats.dropped_frames += 1;
                play += FRAME as i64;
            } else if spare >= EXCESS && self.end - play >= 3 * FRAME as i64 {
                let frames = (spare / FRAME as i64).min((self.end - play) / FRAME as i64 - 1);
                self.stats.dropped_frames += frames as u64;
                play += frames * FRAME as i64;
            } else if quiet && spare < 0 {
                self.stats.inserted_frames += 1;
                return Pull::Filling; // silence instead; the frame waits for the next tick
            }
            return self.play_from(now, play, frame);
        }
        if present > 0 && spare >= 0 && self.starved == 0 {
            return self.play_from(now, play, frame);
        }
        if let Some(next) = self.next_start(play) {
            let next = next.max(play);
            if spare >= next - play {
                return self.play_from(now, next, frame);
            }
            if self.starved == 0 && spare >= 0 {
                self.advance(play + FRAME as i64); // lost: go on without it
                return Pull::Missing;
            }
        }
        // Nothing there yet, or less of a delay than needed: wait for it, which makes the delay longer by a frame.
        self.starved = self.starved.saturating_add(1);
        if self.starved > STARVED { Pull::Silent } else { Pull::Missing }
    }

    /// Plays the 20 ms from `play` on; what is missing of them is concealed.
    fn play_from(&mut self, now: i64, play: i64, frame: &mut Frame) -> Pull {
        self.waited = self.slack(now, play).max(0);
        let present = self.read(play, frame);
        if present > 0 && present < FRAME {
            self.conceal.conceal(frame);
            self.overlay(play, frame);
            self.stats.concealed_frames += 1;
        }
        self.advance(play + FRAME as i64);
        if present > 0 { Pull::Frame } else { Pull::Missing }
    }

    /// Copies what is stored of the 20 ms from `play` on and returns how many samples that is; the rest is silence.
    fn read(&self, play: i64, frame: &mut Frame) -> usize {
        frame.reset(Rate::Narrow);
        self.overlay(play, frame)
    }

    /// Copies what is stored of the 20 ms from `play` on over what is in `frame`, and returns how many samples that is.
    fn overlay(&self, play: i64, frame: &mut Frame) -> usize {
        let mut present = 0;
        for slot in self.stored() {
            let from = slot.start.max(play);
            let to = (slot.start + i64::from(slot.length)).min(play + FRAME as i64);
            if from < to {
                let out = &mut frame.samples_mut()[(from - play) as usize..(to - play) as usize];
                let at = from.rem_euclid(RING as i64) as usize;
                let until_wrap = (RING - at).min(out.len());
                let (head, tail) = out.split_at_mut(until_wrap);
                slot.law.decode(&self.ring[at..], head);
                slot.law.decode(&self.ring, tail);
                present += (to - from) as usize;
            }
            if slot.start + i64::from(slot.length) >= play + FRAME as i64 {
                break;
            }
        }
        present.min(FRAME)
    }

    /// Moves on; packets that end before `play`, and the holes before them, are over.
    fn advance(&mut self, play: i64) {
        self.play = play;
        self.filling = false;
        let over = self.stored().take_while(|slot| slot.start + i64::from(slot.length) <= play).last();
        self.head = over.map_or(self.head, |slot| slot.sequence + 1);
    }

    /// Where the first stored sound that ends after `play` begins.
    fn next_start(&self, play: i64) -> Option<i64> {
        self.stored().find(|slot| slot.start + i64::from(slot.length) > play).map(|slot| slot.start)
    }

    fn first_start(&self) -> Option<i64> {
        self.stored().next().map(|slot| slot.start)
    }

    /// Stored packets from `head` on, in order of sequence.
    fn stored(&self) -> impl Iterator<Item = &Slot> {
        let from = self.head.max(self.highest - SLOTS as i64 + 1);
        (from..=self.highest)
            .map(|number| (number, self.slot(number)))
            .filter(|(n, slot)| slot.sequence == *n)
            .map(|(_, slot)| slot)
    }

    fn slot(&self, number: i64) -> &Slot {
        &self.slots[slot_of(number)]
    }

    /// How much earlier than needed the fastest packets of this sender arrive, if `play` is played at `now`.
    fn slack(&self, now: i64, play: i64) -> i64 {
        now - play - self.delay.baseline() - needed(self.packet)
    }

    fn arrival(&self, at: Instant) -> i64 {
        self.mapping
            .epoch
            .map_or(0, |epoch| Samples::from_duration(at.saturating_duration_since(epoch)).to_i64())
    }
}

fn slot_of(number: i64) -> usize {
    number.rem_euclid(SLOTS as i64) as usize
}

/// From the start of a frame to the arrival of the last packet that it needs, for a sender with packets of `packet` samples and
/// no jitter: a frame that does not begin with a packet needs the next one too.
fn needed(packet: i64) -> i64 {
    let (mut common, mut rest) = (FRAME as i64, packet);
    while rest != 0 {
        (common, rest) = (rest, common % rest);
    }
    packet + FRAME as i64 - common
}
