//! A conference: slots of legs and the tick that mixes them, the loop's body.

mod tick;

use std::collections::VecDeque;

use crate::confidants::Confidants;
use crate::fanout::Fanout;
use crate::leg::{CLIPS, Player};
use crate::port::{Audience, Seat};
use crate::sound::Clip;
use crate::sum::Sum;
use crate::talkers::Talkers;
use crate::units::{ConferenceId, LegId, Rate};
use crate::waste::Waste;

/// A way to break the mixer on purpose. Nothing but a proof that a break would be noticed has a use for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Nobody's own voice is subtracted: everyone hears himself. For the demo's own proof: "breaking the mix on purpose makes
    /// the demo exit 1".
    AddSelfBack,
    /// The tick allocates. For the proof that the allocation guard is armed in it.
    AllocateInTick,
    /// A command frees. For the proof that the guard is armed against that too.
    FreeInCommand,
}

/// How a conference mixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MixConfig {
    /// How many of the loudest are heard; at most [`MixConfig::MAX_TALKERS`].
    pub talkers: usize,
    /// Automatic gain: quiet talkers are raised, loud ones lowered, so that both are understood.
    pub agc: bool,
    /// Looks for legs that send back what they were sent, and keeps their echo out of the mix.
    pub echo: bool,
    /// Mixes at 48 kHz where two legs or more can carry it; otherwise never above 16 kHz.
    pub full_band: bool,
    /// Off, except in a proof.
    pub sabotage: Option<Sabotage>,
}

impl MixConfig {
    /// So many sources fit into a header (RFC 3550 section 5.1), even while as many fade out.
    pub const MAX_TALKERS: usize = 15;
}

impl Default for MixConfig {
    fn default() -> Self {
        Self { talkers: 5, agc: true, echo: true, full_band: true, sabotage: None }
    }
}

/// Legs that hear each other. A leg alone hears silence, or the clip that is played to it.
///
/// What legs that come, go or change leave over is put into a [`Waste`], so that whoever calls it need not free.
#[derive(Debug)]
pub struct Conference<IO> {
    id: ConferenceId,
    config: MixConfig,
    rate: Rate,
    seats: Vec<Box<Seat<IO>>>,
    talkers: Talkers,
    confidants: Confidants,
    /// The next sum does not continue the last one: the rate has changed.
    fresh: bool,
    /// The last of talkers that left in mid-word, fading out in the next tick.
    parting: Sum,
    fanout: Fanout,
    clips: Player,
    ended: VecDeque<(Clip, bool)>,
    /// Legs that could not have an audience.
    refused: VecDeque<LegId>,
}

impl<IO: Send + 'static> Conference<IO> {
    /// An empty conference with room for `seats` legs.
    pub fn new(id: ConferenceId, seats: usize, config: MixConfig) -> Self {
        let rate = Rate::Narrow;
        Self {
            id,
            config,
            rate,
            seats: Vec::with_capacity(seats),
            talkers: Talkers::new(config.talkers.min(MixConfig::MAX_TALKERS), rate),
            confidants: Confidants::new(),
            refused: VecDeque::new(),
            fresh: false,
            parting: Sum::new(rate),
            fanout: Fanout::new(rate),
            clips: Player::default(),
            ended: VecDeque::new(),
        }
    }

    /// Its identity.
    pub fn id(&self) -> ConferenceId {
        self.id
    }

    /// The rate it mixes at.
    pub fn rate(&self) -> Rate {
        self.rate
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
    pub fn join(&mut self, mut seat: Box<Seat<IO>>, waste: &mut Waste) {
        if self.config.sabotage == Some(Sabotage::FreeInCommand) {
            drop(std::hint::black_box(Box::new(seat.leg.id())));
        }
        let leg = &mut seat.leg;
        leg.enter(self.rate, self.fanout.admit(leg.config().media.codec, waste), self.config.echo);
        if let Some(audience) = leg.audience()
            && self.confidants.add(leg.id(), audience, self.rate).is_err()
        {
            self.refused.push_back(leg.id());
        }
        waste.reserve(&mut self.seats, 1);
        self.seats.push(seat);
        self.follow_legs(waste);
    }

    /// A leg gets up, between two ticks. If it was heard, its voice fades out in the next one.
    pub fn leave(&mut self, leg: LegId, waste: &mut Waste) -> Option<Box<Seat<IO>>> {
        let place = self.seats.iter().position(|seat| seat.leg.id() == leg)?;
        if let Some(talker) = self.talkers.of(place).filter(|talker| talker.chosen) {
            part(self.talkers.pcm(talker), &mut self.parting);
        }
        self.talkers.vacate(place, self.seats.len() - 1);
        let mut seat = self.seats.swap_remove(place);
        self.confidants.remove(leg);
        self.get_up(&mut seat);
        self.follow_legs(waste);
        Some(seat)
    }

    /// Any leg gets up, when the conference closes.
    pub(crate) fn leave_any(&mut self) -> Option<Box<Seat<IO>>> {
        let mut seat = self.seats.pop()?;
        self.get_up(&mut seat);
        Some(seat)
    }

    /// A leg in it has agreed on another media format, between two ticks.
    pub fn reconfigure(&mut self, leg: LegId, media: crate::MediaConfig, waste: &mut Waste) -> bool {
        let Some(place) = self.seats.iter().position(|seat| seat.leg.id() == leg) else { return false };
        let leg = &mut self.seats[place].leg;
        if leg.config().media.codec == media.codec {
            leg.reconfigure(media, waste);
            return true;
        }
        self.fanout.release(leg.stream, &mut leg.own);
        self.fanout.dismiss(leg.stream);
        leg.reconfigure(media, waste);
        let stream = self.fanout.admit(media.codec, waste);
        let leg = &mut self.seats[place].leg;
        leg.stream = stream;
        leg.own.go_on(self.rate);
        self.follow_legs(waste);
        true
    }

    /// From now on `leg` is heard only by `audience`, or by all again; between two ticks. False when it is not here. Where
    /// [`crate::CONFIDANTS`] others have an audience already, it is heard as before: see [`Conference::poll_refused_audience`].
    pub fn set_audience(&mut self, leg: LegId, audience: Option<Audience>) -> bool {
        let rate = self.rate;
        let Some(place) = self.seats.iter().position(|seat| seat.leg.id() == leg) else { return false };
        match audience {
            Some(audience) if self.confidants.add(leg, audience, rate).is_err() => {
                self.refused.push_back(leg);
                return true;
            }
            Some(_) => {}
            None => self.confidants.remove(leg),
        }
        self.seats[place].leg.set_audience(audience);
        true
    }

    /// A leg that could not have an audience because [`crate::CONFIDANTS`] others have one. It is heard as it was before; one that came
    /// with an audience from another conference is heard by nobody until it gets one here, or none.
    pub fn poll_refused_audience(&mut self) -> Option<LegId> {
        self.refused.pop_front()
    }

    /// Queues a clip to mix in, for all but one; gives it back when [`CLIPS`] are waiting.
    pub fn play(&mut self, clip: Clip, except: Option<LegId>, waste: &mut Waste) -> Result<(), Clip> {
        if self.ended.len() >= CLIPS {
            return Err(clip);
        }
        self.clips.push(clip, except, false, waste)?;
        waste.reserve_queue_exact(&mut self.ended, self.clips.len());
        Ok(())
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

    /// Mixes at the rate that the legs ask for: the lowest at which no two of them lose anything that both can carry, but 48 kHz only
    /// where the configuration allows it. Between two ticks; what was heard before fades out and in again.
    fn follow_legs(&mut self, waste: &mut Waste) {
        let rate = self.wanted_rate();
        if rate != self.rate {
            self.rate = rate;
            waste.replace(&mut self.parting, Sum::new(rate));
            self.fanout.change_rate(rate, waste);
            self.confidants.change_rate(rate, waste);
            self.fresh = true;
            for seat in &mut self.seats {
                seat.leg.voice.set_heard(false);
                if seat.leg.own.is_on() {
                    seat.leg.own.enter(rate);
                }
            }
        }
        self.talkers.make_room(self.seats.len(), rate, waste);
    }

    /// 8 kHz while all legs are narrowband, 16 kHz with a wideband leg among them, 48 kHz with two full-band ones.
    fn wanted_rate(&self) -> Rate {
        let rates = || self.seats.iter().map(|seat| seat.leg.config().media.codec.rate());
        let full = rates().filter(|rate| *rate == Rate::Full).count();
        match rates().max().unwrap_or_default() {
            Rate::Full if !self.config.full_band || full < 2 => Rate::Wide,
            highest => highest,
        }
    }

    fn get_up(&mut self, seat: &mut Seat<IO>) {
        self.fanout.release(seat.leg.stream, &mut seat.leg.own);
        self.fanout.dismiss(seat.leg.stream);
    }
}

/// Adds the end of somebody's voice: his last 20 ms backwards, so that the wave goes on where it was, fading out within 10 ms.
fn part(last: &[i16], parting: &mut Sum) {
    let mut end = [0; crate::MAX_FRAME];
    let over = last.len() / 2;
    for (n, (end, sample)) in end.iter_mut().zip(last.iter().rev()).take(over).enumerate() {
        *end = (i32::from(*sample) * (over - n) as i32 / over as i32) as i16;
    }
    parting.add(&end[..last.len()]);
}
