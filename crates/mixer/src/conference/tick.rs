//! The tick: who is heard, their sum, and what each leg hears of it.
//!
//! Here nothing allocates, frees, locks, logs or makes a system call; [`crate::guard`] watches it.

use std::ops::Range;
use std::time::Instant;

use super::{Conference, Sabotage};
use crate::ahead;
use crate::desk::{Desk, Place};
use crate::fanout::{Csrcs, Wish};
use crate::guard;
use crate::own::Bench;
use crate::port::Seat;
use crate::sum::Sum;

/// Legs that are read and listened to, or served and sent to, together: few enough that each is still in the processor's cache
/// from the one to the other, enough that the code of either is.
const FEW: usize = 16;

impl<IO: Send + 'static> Conference<IO> {
    /// Mixes 20 ms. `now` is the tick's deadline. Then every leg that sends has its packet in [`crate::Leg::egress`].
    pub fn tick(&mut self, now: Instant, desk: &mut Desk) {
        self.period(now, desk, None, |_| {}, |_| {});
    }

    /// The same with what surrounds it: `ingress` is called for each leg before it is listened to, `egress` when its packet is ready.
    /// While the last ones leave, what the `next` conference needs is asked for; where it is itself is known already.
    pub(crate) fn period(
        &mut self,
        now: Instant,
        desk: &mut Desk,
        next: Option<&Self>,
        mut ingress: impl FnMut(&mut Seat<IO>),
        mut egress: impl FnMut(&mut Seat<IO>),
    ) {
        guard::armed(|| self.begin(now));
        for few in by_few(self.seats.len()) {
            for number in few.clone() {
                // In two steps: where a leg's packets wait says the leg.
                if let Some(next) = self.seats.get(number + 1) {
                    ahead::fetch(&next.io);
                    next.leg.fetch();
                }
                self.seats[number].leg.fetch_waiting();
                ingress(&mut self.seats[number]);
            }
            guard::armed(|| self.choose(now, few));
        }
        let Place { sum, bench } = desk.at(self.rate);
        guard::armed(|| self.sum_up(sum));
        for few in by_few(self.seats.len()) {
            guard::armed(|| self.hand_out(few.clone(), sum, bench));
            for number in few {
                // In three steps as well: where its legs are says the conference, and where their packets are say they. A room of
                // one has no time for the second.
                match (self.seats.len() - number, next) {
                    (1, Some(next)) => next.fetch_first(),
                    (2, Some(next)) => next.fetch_parts(),
                    _ => {}
                }
                egress(&mut self.seats[number]);
            }
        }
        guard::armed(|| self.clips.advance());
    }

    /// It is served soon: see [`crate::ahead`].
    pub(crate) fn fetch(&self) {
        ahead::fetch(self);
    }

    /// Its turn is next: what it points to.
    fn fetch_parts(&self) {
        ahead::fetch_front(&self.seats[..], size_of::<Box<Seat<IO>>>());
        self.talkers.fetch();
    }

    fn fetch_first(&self) {
        if let Some(first) = self.seats.first() {
            ahead::fetch(&first.io);
            first.leg.fetch();
        }
    }

    fn begin(&mut self, now: Instant) {
        if self.config.sabotage == Some(Sabotage::AllocateInTick) {
            std::hint::black_box(Box::new(now));
        }
        while let Some(clip) = self.clips.take_ended() {
            self.ended.push_back((clip, true)); // there is room: see `play`
        }
        self.fanout.begin_tick();
        self.talkers.begin();
    }

    /// Who of these is heard, and who hears something of his own besides.
    fn choose(&mut self, now: Instant, few: Range<usize>) {
        let spared = self.clips.playing(self.rate).and_then(|playing| playing.except);
        let bar = self.talkers.bar();
        for (number, seat) in few.clone().zip(&mut self.seats[few]) {
            let leg = &mut seat.leg;
            let may_be_heard = leg.begin_tick(now, bar);
            let was_heard = leg.voice.is_heard();
            let confides = leg.audience().is_some();
            let spoken_to = self.confidants.listen(leg, may_be_heard, self.rate, self.config.agc);
            if spoken_to || leg.has_clip() || spared == Some(leg.id()) {
                self.fanout.lend(leg.stream, &mut leg.own);
            }
            let weight = leg.voice.weight();
            let place = if confides || !may_be_heard && !was_heard {
                None
            } else if may_be_heard && self.talkers.would_choose(weight) {
                self.talkers.choose(number, weight, leg.far_ssrc(), was_heard)
            } else if was_heard {
                self.talkers.fade_out(number, leg.far_ssrc())
            } else {
                None
            };
            if let Some(pcm) = place {
                leg.contribute(pcm, self.rate);
            }
        }
    }

    /// The sum of those who are heard, of those who just left, and of the conference's own clip.
    fn sum_up(&mut self, sum: &mut Sum) {
        let sabotaged = self.config.sabotage == Some(Sabotage::AddSelfBack);
        sum.clear();
        sum.add_sum(&self.parting);
        self.parting.clear();
        self.talkers.sort();
        for place in 0..self.talkers.list().len() {
            let talker = self.talkers.list()[place];
            let leg = &mut self.seats[talker.seat].leg;
            leg.shape(talker.chosen, self.config.agc, self.talkers.pcm_mut(talker));
            sum.add(self.talkers.pcm(talker));
            if !sabotaged {
                self.fanout.lend(leg.stream, &mut leg.own);
            }
        }
        if let Some(tone) = self.clips.playing(self.rate) {
            sum.add(tone.pcm);
        }
        if std::mem::take(&mut self.fresh) {
            sum.fade_in();
        }
        self.fanout.set_talkers(self.talkers.list());
    }

    /// What each of these hears, encoded as few times as possible.
    fn hand_out(&mut self, few: Range<usize>, sum: &Sum, bench: &mut Bench) {
        let before = self.talkers.list().partition_point(|talker| talker.seat < few.start);
        let mut talkers = self.talkers.list()[before..].iter().peekable();
        let tone = self.clips.playing(self.rate);
        for (number, seat) in few.clone().zip(&mut self.seats[few]) {
            let talker = talkers.next_if(|talker| talker.seat == number).copied();
            let leg = &mut seat.leg;
            if !leg.hears() {
                leg.sit_out();
                continue;
            }
            let wish = Wish { level: leg.sends_level(), trace: leg.looks_for_echo() };
            let ready = leg.own.is_on() && self.fanout.is_ready(leg.stream, &leg.own);
            if !leg.own.stays(ready) {
                if leg.own.is_on() {
                    self.fanout.take_back(leg.stream, &mut leg.own);
                }
                let heard = self.fanout.shared(sum, leg.stream, wish);
                leg.end_tick(heard);
                continue;
            }
            if leg.own.is_leaving() {
                self.fanout.shared(sum, leg.stream, Wish::default()); // one frame of overlap, so that it is warm
            }
            let clip = leg.clip(self.rate);
            let mut csrcs = Csrcs::NONE;
            let heard = &mut bench.heard;
            if let Some(clip) = clip.filter(|clip| !clip.over) {
                heard.set(clip.pcm);
            } else {
                csrcs = Csrcs::of(self.talkers.list(), talker.map(|_| number));
                heard.copy_from(sum);
                if let Some(talker) = talker {
                    heard.subtract(self.talkers.pcm(talker));
                }
                if let Some(tone) = tone.filter(|tone| tone.except == Some(leg.id())) {
                    heard.subtract(tone.pcm);
                }
                for confidant in self.confidants.speaking_to(leg.id()) {
                    heard.add(&confidant.pcm);
                    csrcs.push(confidant.ssrc);
                }
                if let Some(clip) = clip {
                    heard.add(clip.pcm);
                }
            }
            let replaced = clip.is_some_and(|clip| !clip.over);
            let heard = self.fanout.own(&mut leg.own, bench, replaced, &csrcs, wish);
            leg.end_tick(heard);
        }
    }
}

/// The numbers of so many legs, a few at a time.
fn by_few(legs: usize) -> impl Iterator<Item = Range<usize>> {
    (0..legs).step_by(FEW).map(move |from| from..legs.min(from + FEW))
}
