//! A conference: slots of legs and the tick that mixes them, the loop's body.

use std::collections::VecDeque;
use std::time::Instant;

use crate::fanout::Fanout;
use crate::frame::Frame;
use crate::guard;
use crate::leg::{CLIPS, Player};
use crate::port::Seat;
use crate::select::Ranking;
use crate::sound::Clip;
use crate::sum::Sum;
use crate::units::{ConferenceId, LegId, Rate, Ssrc};

/// A way to break the mixer on purpose. Nothing but a proof that a break would be noticed has a use for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Nobody's own voice is subtracted: everyone hears himself. For the demo's own proof: "breaking the mix on purpose makes
    /// the demo exit 1".
    AddSelfBack,
    /// The tick allocates. For the proof that the allocation guard is armed in it.
    AllocateInTick,
}

/// How a conference mixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MixConfig {
    /// How many of the loudest are heard; at most [`MixConfig::MAX_TALKERS`].
    pub talkers: usize,
    /// Off, except in a proof.
    pub sabotage: Option<Sabotage>,
}

impl MixConfig {
    /// So many sources fit into a header (RFC 3550 section 5.1), even while as many fade out.
    pub const MAX_TALKERS: usize = 15;
}

impl Default for MixConfig {
    fn default() -> Self {
        Self { talkers: 5, sabotage: None }
    }
}

/// Legs that hear each other. A leg alone hears silence, or the clip that is played to it.
#[derive(Debug)]
pub struct Conference<IO> {
    id: ConferenceId,
    sabotage: Option<Sabotage>,
    seats: Vec<Box<Seat<IO>>>,
    ranking: Ranking,
    /// Numbers of the seats that are in the mix of this tick, and the streams they came from.
    talkers: Vec<(usize, Option<Ssrc>)>,
    sum: Sum,
    fanout: Fanout,
    clips: Player,
    ended: VecDeque<(Clip, bool)>,
}

impl<IO> Conference<IO> {
    /// An empty conference with room for `seats` legs.
    pub fn new(id: ConferenceId, seats: usize, config: MixConfig) -> Self {
        let talkers = config.talkers.min(MixConfig::MAX_TALKERS);
        Self {
            id,
            sabotage: config.sabotage,
            seats: Vec::with_capacity(seats),
            ranking: Ranking::new(talkers),
            talkers: Vec::with_capacity(2 * talkers + 1),
            sum: Sum::SILENCE,
            fanout: Fanout::default(),
            clips: Player::default(),
            ended: VecDeque::with_capacity(2 * CLIPS),
        }
    }

    /// Its identity.
    pub fn id(&self) -> ConferenceId {
        self.id
    }

    /// The legs in it.
    pub fn seats(&self) -> impl ExactSizeIterator<Item = &Seat<IO>> {
        self.seats.iter().map(|seat| &**seat)
    }

    /// The legs in it.
    pub fn seats_mut(&mut self) -> impl ExactSizeIterator<Item = &mut Seat<IO>> {
        self.seats.iter_mut().map(|seat| &mut **seat)
    }

    /// How many mixes were encoded so far: all listeners on the same codec share one.
    pub fn encodes(&self) -> u64 {
        self.fanout.encodes()
    }

    /// One leg in it.
    pub fn seat_mut(&mut self, leg: LegId) -> Option<&mut Seat<IO>> {
        self.seats_mut().find(|seat| seat.leg.id() == leg)
    }

    /// A leg sits down, between two ticks.
    pub fn join(&mut self, mut seat: Box<Seat<IO>>) {
        seat.leg.voice.unheard();
        self.seats.push(seat);
    }

    /// A leg gets up, between two ticks.
    pub fn leave(&mut self, leg: LegId) -> Option<Box<Seat<IO>>> {
        let place = self.seats.iter().position(|seat| seat.leg.id() == leg)?;
        Some(self.seats.swap_remove(place))
    }

    /// Any leg gets up, when the conference closes.
    pub(crate) fn leave_any(&mut self) -> Option<Box<Seat<IO>>> {
        self.seats.pop()
    }

    /// Queues a clip to mix in, for all but one; gives it back when [`CLIPS`] are waiting.
    pub fn play(&mut self, clip: Clip, except: Option<LegId>) -> Result<(), Clip> {
        if self.ended.len() >= CLIPS {
            return Err(clip);
        }
        self.clips.push(clip, except)
    }

    /// A clip that is over, and whether it was played to its end.
    pub fn poll_ended_clip(&mut self) -> Option<(Clip, bool)> {
        self.ended.pop_front()
    }

    /// Ends all clips.
    pub(crate) fn stop_clips(&mut self) {
        while let Some(clip) = self.clips.take() {
            self.ended.push_back((clip, false));
        }
    }

    /// All that is heard in it since the last tick: everybody's voices and the clips for all, at the conference's rate.
    pub fn mix(&self, frame: &mut Frame) {
        frame.copy_from(&self.sum.whole());
    }

    /// Mixes 20 ms. `now` is the tick's deadline. Then every leg that sends has its packet in [`crate::Leg::egress`].
    ///
    /// Here nothing allocates, frees, locks, logs or makes a system call; [`crate::guard`] watches it.
    pub fn tick(&mut self, now: Instant) {
        guard::armed(|| {
            if self.sabotage == Some(Sabotage::AllocateInTick) {
                std::hint::black_box(Box::new(now));
            }
            self.choose(now);
            let tone = self.sum_up();
            self.hand_out(tone.as_ref());
        });
    }

    /// Who is heard.
    fn choose(&mut self, now: Instant) {
        self.ranking.clear();
        for (number, seat) in self.seats.iter_mut().enumerate() {
            if seat.leg.begin_tick(now) {
                self.ranking.add(seat.leg.voice.weight(), number);
            }
        }
    }

    /// The sum of those who are heard and of the conference's own clip, which is given back with the one who is not to hear it.
    fn sum_up(&mut self) -> Option<(Frame, Option<LegId>)> {
        if !self.talkers.is_empty() || self.fanout.has_tone() {
            self.sum = Sum::SILENCE;
        }
        self.talkers.clear();
        for (number, seat) in self.seats.iter_mut().enumerate() {
            let leg = &mut seat.leg;
            let chosen = self.ranking.chose(number);
            if leg.voice.shape(chosen, &mut leg.frame) && self.talkers.len() < self.talkers.capacity() {
                self.sum.add(leg.frame.samples());
                self.talkers.push((number, leg.far_ssrc()));
            }
        }
        while let Some(clip) = self.clips.take_ended() {
            self.ended.push_back((clip, true)); // room for two queues full: see `play`
        }
        let tone = self.clips.frame(Rate::Narrow).map(|(samples, except)| {
            let mut frame = Frame::default();
            frame.samples_mut().copy_from_slice(samples);
            (frame, except)
        });
        if let Some((frame, _)) = &tone {
            self.sum.add(frame.samples());
        }
        tone
    }

    /// What everyone hears, encoded as few times as possible.
    fn hand_out(&mut self, tone: Option<&(Frame, Option<LegId>)>) {
        let sabotaged = self.sabotage == Some(Sabotage::AddSelfBack);
        self.fanout.begin_tick(&self.talkers, tone.is_some());
        let mut talkers = self.talkers.iter().peekable();
        for (number, seat) in self.seats.iter_mut().enumerate() {
            let leg = &mut seat.leg;
            let law = leg.config().media.codec;
            let talks = talkers.next_if(|(talker, _)| *talker == number).is_some() && !sabotaged;
            let spared =
                tone.filter(|(_, except)| *except == Some(leg.id())).map(|(frame, _)| frame.samples());
            let minus = match (talks, spared) {
                (false, None) => None,
                (true, None) => Some(self.sum.minus(leg.frame.samples())),
                (false, Some(tone)) => Some(self.sum.minus(tone)),
                (true, Some(tone)) => Some(self.sum.minus_both(leg.frame.samples(), tone)),
            };
            let (codes, csrcs) = match (leg.clip_frame(), minus) {
                (Some(clip), _) => self.fanout.clip(clip, law),
                (None, Some(heard)) => self.fanout.own(&heard, law, &self.talkers, number),
                (None, None) => self.fanout.shared(&self.sum, law),
            };
            leg.end_tick(codes, csrcs);
        }
    }
}
