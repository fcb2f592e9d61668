//! Which shard each leg's media sits on, and how it gets from one conference to the next.
//!
//! A leg's seat (its sockets and its mixer state) is always in exactly one place: here, with one shard, or in the
//! ring between. While it is between, commands for the leg wait here and follow it.

use std::collections::HashMap;

use bridge::{ConferenceId, LegId};
use mixer::{Clip, Command, Seat};

/// What the seating wants sent to a shard.
pub(super) type Sent<Io> = (usize, Command<Io>);

/// Where a leg's seat is.
enum Place<Io> {
    /// The media is not negotiated yet, or nobody has asked for a seat.
    Here { seat: Option<Box<Seat<Io>>>, wanted: Option<ConferenceId> },
    /// With a shard.
    Seated { shard: usize, conference: ConferenceId },
    /// On its way back from a shard; then it is seated there, or, with `None`, retired.
    Leaving { then: Option<ConferenceId> },
}

struct Entry<Io> {
    place: Place<Io>,
    /// Commands that wait until the leg is seated.
    waiting: Vec<Command<Io>>,
    /// What to do to the seat before it is seated again.
    mend: Vec<Mend<Io>>,
    /// What plays to the leg alone: a shard stops it when the seat is called back.
    playing: Option<Clip>,
}

/// A change to a seat that its owner must make itself, between two conferences.
pub(super) type Mend<Io> = Box<dyn FnOnce(&mut Seat<Io>) + Send>;

/// What became of a seat that a shard handed back.
pub(super) enum Returned<Io> {
    /// It was sent on; nothing to do.
    Moved,
    /// The leg is over: free the sockets, read the counters.
    Retired(Box<Seat<Io>>),
}

/// All seats and conferences.
pub(super) struct Seating<Io> {
    legs: HashMap<LegId, Entry<Io>>,
    conferences: HashMap<ConferenceId, usize>,
    /// Conferences on each shard.
    counts: Vec<usize>,
}

impl<Io> Seating<Io> {
    /// For so many shards, at least one.
    pub(super) fn new(shards: usize) -> Self {
        Self { legs: HashMap::new(), conferences: HashMap::new(), counts: vec![0; shards.max(1)] }
    }

    /// Conferences on each shard.
    pub(super) fn counts(&self) -> &[usize] {
        &self.counts
    }

    /// Opens a conference on a shard.
    pub(super) fn open(&mut self, conference: ConferenceId, seats: usize, shard: usize) -> Sent<Io> {
        self.counts[shard] += 1;
        self.conferences.insert(conference, shard);
        (shard, Command::Open { conference: to_mixer(conference), seats })
    }

    /// Closes a conference.
    pub(super) fn close(&mut self, conference: ConferenceId) -> Option<Sent<Io>> {
        let shard = self.conferences.remove(&conference)?;
        self.counts[shard] -= 1;
        Some((shard, Command::Close { conference: to_mixer(conference) }))
    }

    /// The shard of a conference.
    pub(super) fn shard_of(&self, conference: ConferenceId) -> Option<usize> {
        self.conferences.get(&conference).copied()
    }

    /// A leg exists; it has no seat yet.
    pub(super) fn expect(&mut self, leg: LegId) {
        self.legs.entry(leg).or_insert_with(|| Entry {
            place: Place::Here { seat: None, wanted: None },
            waiting: Vec::new(),
            mend: Vec::new(),
            playing: None,
        });
    }

    /// The leg's media is negotiated: here is its seat. Returns what must be sent if somebody waits for it.
    pub(super) fn provide(&mut self, leg: LegId, seat: Box<Seat<Io>>) -> Vec<Sent<Io>> {
        let Some(entry) = self.legs.get_mut(&leg) else { return Vec::new() };
        if let Place::Here { seat: place, wanted } = &mut entry.place {
            *place = Some(seat);
            if let Some(conference) = *wanted {
                return self.seat(leg, conference);
            }
        }
        Vec::new()
    }

    /// Seats the leg in a conference, taking it from where it is.
    pub(super) fn seat(&mut self, leg: LegId, conference: ConferenceId) -> Vec<Sent<Io>> {
        let Some(&target) = self.conferences.get(&conference) else { return Vec::new() };
        let Some(entry) = self.legs.get_mut(&leg) else { return Vec::new() };
        match &mut entry.place {
            Place::Here { seat, wanted } => {
                let Some(seat) = seat.take() else {
                    *wanted = Some(conference);
                    return Vec::new();
                };
                entry.place = Place::Seated { shard: target, conference };
                place_seat(entry, target, conference, seat)
            }
            Place::Seated { shard, conference: at } if *shard == target => {
                *at = conference;
                entry.playing = None;
                vec![(target, Command::Move { leg: mixer_leg(leg), to: to_mixer(conference) })]
            }
            Place::Seated { shard, .. } => {
                let from = *shard;
                entry.playing = None;
                entry.place = Place::Leaving { then: Some(conference) };
                vec![(from, Command::Remove { leg: mixer_leg(leg) })]
            }
            Place::Leaving { then } => {
                *then = Some(conference);
                entry.playing = None;
                // What was to be played was meant for a place that the leg never reached.
                entry
                    .waiting
                    .retain(|command| !matches!(command, Command::Play { .. } | Command::Stop { .. }));
                Vec::new()
            }
        }
    }

    /// Sends a command to wherever the leg is, or keeps it until the leg is seated.
    pub(super) fn tell(&mut self, leg: LegId, command: Command<Io>) -> Vec<Sent<Io>> {
        let Some(entry) = self.legs.get_mut(&leg) else { return Vec::new() };
        match &command {
            Command::Play { clip, .. } => entry.playing = Some(clip.clone()),
            Command::Stop { .. } => entry.playing = None,
            _ => {}
        }
        if let Place::Seated { shard, .. } = entry.place {
            return vec![(shard, command)];
        }
        entry.waiting.push(command);
        Vec::new()
    }

    /// What played to a leg has ended: it is not to be played again.
    pub(super) fn clip_ended(&mut self, leg: LegId, token: u64) {
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        entry.playing.take_if(|clip| clip.token == token);
        entry.waiting.retain(|command| !matches!(command, Command::Play { clip, .. } if clip.token == token));
    }

    /// Changes the seat itself: at once where it is here, else by calling it back for at most two ticks. What was
    /// playing to the leg begins anew after that: SBCs like to move the media during the greeting.
    pub(super) fn mend(&mut self, leg: LegId, mend: Mend<Io>) -> Vec<Sent<Io>> {
        let Some(entry) = self.legs.get_mut(&leg) else { return Vec::new() };
        match &mut entry.place {
            Place::Here { seat: Some(seat), .. } => {
                mend(seat);
                Vec::new()
            }
            Place::Here { seat: None, .. } | Place::Leaving { .. } => {
                entry.mend.push(mend);
                Vec::new()
            }
            Place::Seated { shard, conference } => {
                let (from, back_to) = (*shard, *conference);
                entry.mend.push(mend);
                if let Some(clip) = entry.playing.clone() {
                    entry.waiting.push(Command::Play { leg: mixer_leg(leg), clip, interrupt: true });
                }
                entry.place = Place::Leaving { then: Some(back_to) };
                vec![(from, Command::Remove { leg: mixer_leg(leg) })]
            }
        }
    }

    /// The leg is over. `Err` carries the seat when it was still here, or nothing when there never was one; otherwise
    /// it will come back through [`Seating::returned`].
    pub(super) fn retire(&mut self, leg: LegId) -> Result<Sent<Io>, Option<Box<Seat<Io>>>> {
        let Some(entry) = self.legs.get_mut(&leg) else { return Err(None) };
        match &mut entry.place {
            Place::Seated { shard, .. } => {
                let from = *shard;
                entry.place = Place::Leaving { then: None };
                Ok((from, Command::Remove { leg: mixer_leg(leg) }))
            }
            Place::Here { .. } => {
                let Some(Entry { place: Place::Here { seat, .. }, .. }) = self.legs.remove(&leg) else {
                    return Err(None);
                };
                Err(seat)
            }
            Place::Leaving { then } => {
                *then = None;
                Err(None)
            }
        }
    }

    /// Whether the leg's seat is still out and will come back.
    pub(super) fn knows(&self, leg: LegId) -> bool {
        self.legs.contains_key(&leg)
    }

    /// A shard handed a seat back.
    pub(super) fn returned(&mut self, leg: LegId, mut seat: Box<Seat<Io>>) -> (Returned<Io>, Vec<Sent<Io>>) {
        let Some(entry) = self.legs.get_mut(&leg) else { return (Returned::Retired(seat), Vec::new()) };
        let target = match entry.place {
            Place::Leaving { then: Some(conference) } => {
                self.conferences.get(&conference).map(|&s| (s, conference))
            }
            _ => None,
        };
        let Some((shard, conference)) = target else {
            self.legs.remove(&leg);
            return (Returned::Retired(seat), Vec::new());
        };
        for mend in entry.mend.drain(..) {
            mend(&mut seat);
        }
        entry.place = Place::Seated { shard, conference };
        (Returned::Moved, place_seat(entry, shard, conference, seat))
    }

    /// Legs and conferences that are known, for the tests that look for leaks.
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.legs.len(), self.conferences.len())
    }
}

fn place_seat<Io>(
    entry: &mut Entry<Io>,
    shard: usize,
    conference: ConferenceId,
    mut seat: Box<Seat<Io>>,
) -> Vec<Sent<Io>> {
    for mend in entry.mend.drain(..) {
        mend(&mut seat);
    }
    let mut sent = vec![(shard, Command::Seat { conference: to_mixer(conference), seat })];
    sent.extend(entry.waiting.drain(..).map(|command| (shard, command)));
    sent
}

/// The same leg, as the mixer names it.
pub(super) fn mixer_leg(leg: LegId) -> mixer::LegId {
    mixer::LegId(leg.0)
}

/// The same conference, as the mixer names it.
pub(super) fn to_mixer(conference: ConferenceId) -> mixer::ConferenceId {
    mixer::ConferenceId(conference.0)
}
