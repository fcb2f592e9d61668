//! The tick: who is heard, their sum, and what each leg hears of it.
//!
//! Here nothing allocates, frees, locks, logs or makes a system call; [`crate::guard`] watches it.

use std::time::Instant;

use super::{Conference, Sabotage};
use crate::fanout::Csrcs;
use crate::guard;

impl<IO> Conference<IO> {
    /// Mixes 20 ms. `now` is the tick's deadline. Then every leg that sends has its packet in [`crate::Leg::egress`].
    pub fn tick(&mut self, now: Instant) {
        guard::armed(|| {
            if self.config.sabotage == Some(Sabotage::AllocateInTick) {
                std::hint::black_box(Box::new(now));
            }
            while let Some(clip) = self.clips.take_ended() {
                self.ended.push_back((clip, true)); // there is room: see `play`
            }
            self.fanout.begin_tick();
            self.choose(now);
            self.sum_up();
            self.hand_out();
            self.clips.advance();
        });
    }

    /// Who is heard, and who hears something of his own besides.
    fn choose(&mut self, now: Instant) {
        let spared = self.clips.playing(self.rate).and_then(|playing| playing.except);
        self.talkers.begin();
        for (number, seat) in self.seats.iter_mut().enumerate() {
            let leg = &mut seat.leg;
            let may_be_heard = leg.begin_tick(now);
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
    fn sum_up(&mut self) {
        let sabotaged = self.config.sabotage == Some(Sabotage::AddSelfBack);
        self.sum.clear();
        self.sum.add_sum(&self.parting);
        self.parting.clear();
        self.talkers.sort();
        for place in 0..self.talkers.list().len() {
            let talker = self.talkers.list()[place];
            let leg = &mut self.seats[talker.seat].leg;
            leg.shape(talker.chosen, self.config.agc, self.talkers.pcm_mut(talker));
            self.sum.add(self.talkers.pcm(talker));
            if !sabotaged {
                self.fanout.lend(leg.stream, &mut leg.own);
            }
        }
        if let Some(tone) = self.clips.playing(self.rate) {
            self.sum.add(tone.pcm);
        }
        if std::mem::take(&mut self.fresh) {
            self.sum.fade_in();
        }
        self.fanout.set_talkers(self.talkers.list());
    }

    /// What everyone hears, encoded as few times as possible.
    fn hand_out(&mut self) {
        let mut talkers = self.talkers.list().iter().peekable();
        let tone = self.clips.playing(self.rate);
        for (number, seat) in self.seats.iter_mut().enumerate() {
            let talker = talkers.next_if(|talker| talker.seat == number).copied();
            let leg = &mut seat.leg;
            if !leg.hears() {
                leg.sit_out();
                continue;
            }
            let with_level = leg.sends_level();
            let ready = leg.own.is_on() && self.fanout.is_ready(leg.stream, &leg.own);
            if !leg.own.stays(ready) {
                if leg.own.is_on() {
                    self.fanout.take_back(leg.stream, &mut leg.own);
                }
                let heard = self.fanout.shared(&self.sum, leg.stream, with_level);
                leg.end_tick(heard);
                continue;
            }
            if leg.own.is_leaving() {
                self.fanout.shared(&self.sum, leg.stream, false); // one frame of overlap, so that it is warm
            }
            let clip = leg.clip(self.rate);
            let mut csrcs = Csrcs::NONE;
            let heard = &mut self.fanout.bench.heard;
            if let Some(clip) = clip.filter(|clip| !clip.over) {
                heard.set(clip.pcm);
            } else {
                csrcs = Csrcs::of(self.talkers.list(), talker.map(|_| number));
                heard.copy_from(&self.sum);
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
            let heard = self.fanout.own(&mut leg.own, replaced, &csrcs, with_level);
            leg.end_tick(heard);
        }
    }
}
