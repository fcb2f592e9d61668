//! A conference: slots of legs and the tick that mixes them.

use std::time::Instant;

use crate::frame::{FRAME, Frame};
use crate::g711::G711;
use crate::guard;
use crate::leg::LegEvent;
use crate::port::Seat;
use crate::units::{ConferenceId, LegId, Ssrc};

/// A way to break the mix on purpose, for the demo's own proof: "breaking the mix on purpose makes the demo exit 1".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Nobody's own voice is subtracted: everyone hears himself.
    AddSelfBack,
}

/// How a conference mixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MixConfig {
    /// How many of the loudest are heard.
    pub talkers: usize,
    /// Off, except in the demo's own proof.
    pub sabotage: Option<Sabotage>,
}

impl Default for MixConfig {
    fn default() -> Self {
        Self { talkers: 5, sabotage: None }
    }
}

/// Legs that hear each other.
#[derive(Debug)]
pub struct Conference<IO> {
    pub(crate) id: ConferenceId,
    config: MixConfig,
    pub(crate) seats: Vec<Box<Seat<IO>>>,
    total: [i32; FRAME],
}

impl<IO> Conference<IO> {
    /// An empty conference with room for `seats` legs.
    pub fn new(id: ConferenceId, seats: usize, config: MixConfig) -> Self {
        Self { id, config, seats: Vec::with_capacity(seats), total: [0; FRAME] }
    }

    /// Its identity.
    pub fn id(&self) -> ConferenceId {
        self.id
    }

    /// The legs in it.
    pub fn seats(&self) -> impl Iterator<Item = &Seat<IO>> {
        self.seats.iter().map(|seat| &**seat)
    }

    /// A leg sits down.
    pub fn join(&mut self, seat: Box<Seat<IO>>) {
        self.seats.push(seat);
    }

    /// A leg gets up.
    pub fn leave(&mut self, leg: LegId) -> Option<Box<Seat<IO>>> {
        let place = self.seats.iter().position(|seat| seat.leg.id() == leg)?;
        Some(self.seats.swap_remove(place))
    }

    /// Mixes 20 ms. `now` is the tick's deadline. Then every leg that sends has its packet in [`crate::Leg::egress`].
    pub fn tick(&mut self, now: Instant) {
        guard::armed(|| self.mix(now));
    }

    fn mix(&mut self, now: Instant) {
        self.total = [0; FRAME];
        for seat in &mut self.seats {
            if seat.leg.begin_tick(now) {
                self.total.iter_mut().zip(&seat.leg.frame.0).for_each(|(sum, own)| *sum += i32::from(*own));
            } else {
                seat.leg.frame = Frame::SILENCE;
            }
        }
        let sabotaged = self.config.sabotage == Some(Sabotage::AddSelfBack);
        for seat in &mut self.seats {
            let leg = &mut seat.leg;
            while let Some(clip) = leg.player.take_ended() {
                leg.events.push_back(LegEvent::ClipEnded {
                    token: clip.token,
                    finished: true,
                    frames: clip.frames,
                });
            }
            let heard = leg.player.frame().unwrap_or_else(|| {
                let mut heard = Frame::SILENCE;
                for ((out, sum), own) in heard.0.iter_mut().zip(&self.total).zip(&leg.frame.0) {
                    let own = if sabotaged { 0 } else { i32::from(*own) };
                    *out = (sum - own).clamp(-32_768, 32_767) as i16;
                }
                heard
            });
            let law: G711 = leg.config.media.codec;
            let mut payload = [0; FRAME];
            law.encode(&heard.0, &mut payload);
            let none: [Ssrc; 0] = [];
            leg.end_tick(&payload, &none);
        }
    }
}
