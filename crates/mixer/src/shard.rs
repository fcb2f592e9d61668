//! The sans-IO core of a media thread: the conferences that one thread owns.
//!
//! One phase is: [`Shard::apply`] what control asks, read the sockets into the legs of [`Shard::seats_mut`], [`Shard::tick`],
//! send each leg's [`crate::Leg::egress`], hand over [`Shard::poll_report`]. The server and the simulation drive the same code.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use crate::conference::{Conference, MixConfig};
use crate::frame::Clip;
use crate::leg::LegEvent;
use crate::port::{Command, Report, Seat};
use crate::units::{ConferenceId, LegId};

/// What a shard is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardConfig {
    /// Legs to make room for at the start.
    pub seats: usize,
    /// How its conferences mix.
    pub mix: MixConfig,
}

impl Default for ShardConfig {
    fn default() -> Self {
        Self { seats: 256, mix: MixConfig::default() }
    }
}

/// The conferences of one media thread.
#[derive(Debug)]
pub struct Shard<IO> {
    config: ShardConfig,
    conferences: Vec<Conference<IO>>,
    places: HashMap<LegId, ConferenceId>,
    reports: VecDeque<Report<IO>>,
    ticks: u64,
    stray_commands: u64,
}

impl<IO> Shard<IO> {
    /// An empty shard.
    pub fn new(config: ShardConfig) -> Self {
        Self {
            config,
            conferences: Vec::with_capacity(config.seats),
            places: HashMap::with_capacity(config.seats),
            reports: VecDeque::with_capacity(config.seats * 8 + 64),
            ticks: 0,
            stray_commands: 0,
        }
    }

    /// Ticks so far.
    pub fn ticks(&self) -> u64 {
        self.ticks
    }

    /// Commands that named a leg or a conference which is not here; a command that crosses a hang-up is normal.
    pub fn stray_commands(&self) -> u64 {
        self.stray_commands
    }

    /// The conferences, for a look at their state.
    pub fn conferences(&self) -> impl Iterator<Item = &Conference<IO>> {
        self.conferences.iter()
    }

    /// Every leg with its way to the far end.
    pub fn seats_mut(&mut self) -> impl Iterator<Item = &mut Seat<IO>> {
        self.conferences.iter_mut().flat_map(|conference| conference.seats.iter_mut().map(|seat| &mut **seat))
    }

    /// One leg.
    pub fn seat_mut(&mut self, leg: LegId) -> Option<&mut Seat<IO>> {
        let conference = *self.places.get(&leg)?;
        let conference = self.conference(conference)?;
        conference.seats.iter_mut().find(|seat| seat.leg.id() == leg).map(|seat| &mut **seat)
    }

    /// Does what control asks; between ticks, never during one.
    pub fn apply(&mut self, _now: Instant, command: Command<IO>) {
        match command {
            Command::Open { conference, seats } => {
                if self.conference(conference).is_none() {
                    self.conferences.push(Conference::new(conference, seats, self.config.mix));
                }
            }
            Command::Close { conference } => {
                if let Some(place) = self.conferences.iter().position(|candidate| candidate.id == conference)
                {
                    for seat in self.conferences.swap_remove(place).seats {
                        self.hand_back(seat);
                    }
                }
            }
            Command::Seat { conference, seat } => self.sit(conference, seat),
            Command::Move { leg, to } => {
                if let Some(seat) = self.take(leg) {
                    self.sit(to, seat);
                }
            }
            Command::Remove { leg } => {
                if let Some(seat) = self.take(leg) {
                    self.hand_back(seat);
                }
            }
            Command::Play { leg, clip, interrupt } => match self.seat_mut(leg) {
                Some(seat) => {
                    if interrupt {
                        stop(seat);
                    }
                    if let Err(clip) = seat.leg.player.push(clip) {
                        self.reports.push_back(unplayed(leg, clip));
                    }
                }
                None => self.reports.push_back(unplayed(leg, clip)),
            },
            Command::Stop { leg } => self.with(leg, stop),
            Command::PlayAll { conference, clip, except: _ } => {
                self.reports.push_back(Report::ConferenceClipEnded {
                    conference,
                    token: clip.token,
                    finished: false,
                    frames: clip.frames,
                });
            }
            Command::Mute { leg, muted } => self.with(leg, |seat| seat.leg.set_muted(muted)),
            Command::Direction { leg, direction } => self.with(leg, |seat| seat.leg.set_direction(direction)),
            Command::Reconfigure { leg, media } => self.with(leg, |seat| seat.leg.reconfigure(media)),
            Command::SendDigits { leg, digits } => self.with(leg, |seat| seat.leg.send_digits(&digits)),
        }
    }

    /// Mixes 20 ms in every conference. `now` is the tick's deadline, not the moment the thread woke up.
    pub fn tick(&mut self, now: Instant) {
        for conference in &mut self.conferences {
            conference.tick(now);
            for seat in &mut conference.seats {
                let leg = seat.leg.id();
                while let Some(event) = seat.leg.events.pop_front() {
                    self.reports.push_back(match event {
                        LegEvent::MediaStarted => Report::MediaStarted { leg },
                        LegEvent::ClipEnded { token, finished, frames } => {
                            Report::ClipEnded { leg, token, finished, frames }
                        }
                    });
                }
            }
        }
        self.ticks += 1;
    }

    /// The next thing to tell control.
    pub fn poll_report(&mut self) -> Option<Report<IO>> {
        self.reports.pop_front()
    }

    fn conference(&mut self, id: ConferenceId) -> Option<&mut Conference<IO>> {
        self.conferences.iter_mut().find(|conference| conference.id == id)
    }

    fn sit(&mut self, id: ConferenceId, seat: Box<Seat<IO>>) {
        let leg = seat.leg.id();
        if let Some(conference) = self.conference(id) {
            conference.join(seat);
            self.places.insert(leg, id);
        } else {
            self.stray_commands += 1;
            self.hand_back(seat);
        }
    }

    fn take(&mut self, leg: LegId) -> Option<Box<Seat<IO>>> {
        let seat = self
            .places
            .remove(&leg)
            .and_then(|conference| self.conference(conference))
            .and_then(|conference| conference.leave(leg));
        self.stray_commands += u64::from(seat.is_none());
        seat
    }

    fn hand_back(&mut self, seat: Box<Seat<IO>>) {
        let leg = seat.leg.id();
        self.places.remove(&leg);
        self.reports.push_back(Report::Returned { leg, seat });
    }

    fn with(&mut self, leg: LegId, act: impl FnOnce(&mut Seat<IO>)) {
        match self.seat_mut(leg) {
            Some(seat) => act(seat),
            None => self.stray_commands += 1,
        }
    }
}

fn stop<IO>(seat: &mut Seat<IO>) {
    while let Some(clip) = seat.leg.player.take() {
        seat.leg.events.push_back(LegEvent::ClipEnded {
            token: clip.token,
            finished: false,
            frames: clip.frames,
        });
    }
}

fn unplayed<IO>(leg: LegId, clip: Clip) -> Report<IO> {
    Report::ClipEnded { leg, token: clip.token, finished: false, frames: clip.frames }
}
