//! Who talks when: known beforehand to those who talk and to those who judge.
//!
//! Time is cut into scenes. In each scene of a room a fixed set of legs talks, each with a tone of its own; in the next one
//! others do. Everything follows from the seed.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde::Serialize;
use thiserror::Error;

use super::speech::RATE;
use super::tones::{Grid, MOST_TALKERS};

/// Of a talk spurt beyond what must be heard of it: windows begin at different times.
const MARGIN: Duration = Duration::from_millis(500);

/// How many of a room talk at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// Everyone.
    All,
    /// So many of a hundred, at least one.
    Percent(u8),
    /// So many, or everyone in a smaller room.
    Talkers(usize),
}

/// Who talks, and for how long until others do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Talk {
    /// How many at a time.
    pub who: Who,
    /// Length of a talk spurt; `None`: the same legs talk all the time.
    pub spurt: Option<Duration>,
}

/// What a room is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Legs in it.
    pub legs: usize,
    /// A room to time the bridge with: its first leg sends short bursts, the others time them.
    pub probe: bool,
}

/// Why there is no plan.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Unplannable {
    /// More tones than the band holds.
    #[error("{0} talkers in one room cannot be told apart, {MOST_TALKERS} can: let fewer talk")]
    Talkers(usize),
    /// A spurt in which nothing can be measured.
    #[error("a talk spurt of {spurt:?} is too short to be judged: let it last {least:?} at least")]
    Spurt {
        /// As asked for.
        spurt: Duration,
        /// The bridge's settling, a window, and a margin.
        least: Duration,
    },
}

/// The whole plan.
#[derive(Debug)]
pub struct Plan {
    /// The tones in use.
    pub grid: Grid,
    spurt: Option<Duration>,
    mixed: usize,
    /// Amplitude of every tone, 0..=32767.
    pub amplitude: f32,
    rooms: Vec<Room>,
    /// Tones that one room keeps for itself.
    block: usize,
    most: usize,
}

#[derive(Debug)]
struct Room {
    talkers: usize,
    /// Place of each seat in the order in which they come to talk.
    places: Vec<usize>,
    seats: Vec<usize>,
}

/// What a leg must hear in a scene.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its own tone, if it talks.
    pub own: Option<usize>,
    /// The tones of the others who talk in its room.
    pub others: Vec<usize>,
    /// How many of them it must hear at least.
    pub least: usize,
}

impl Plan {
    /// After the begin of a scene it is not listened to for so long: the bridge's delay, and the time for which it holds the
    /// places of those who have fallen silent.
    pub const SETTLING: Duration = Duration::from_millis(800);

    /// `mixed`: how many talkers the bridge mixes at a time, 0 for all.
    pub fn new(rooms: &[Shape], talk: Talk, mixed: usize, seed: u64) -> Result<Self, Unplannable> {
        let mut dice = StdRng::seed_from_u64(seed);
        let rooms: Vec<Room> = rooms.iter().map(|shape| Room::new(*shape, talk.who, &mut dice)).collect();
        let most = rooms.iter().map(|room| room.talkers).max().unwrap_or(0).max(1);
        // Who talked before has another tone than who talks now, where there are tones enough.
        let block = if talk.spurt.is_some() && 2 * most <= MOST_TALKERS / 4 { 2 * most } else { most };
        let grid = Grid::new(block, block * rooms.len()).ok_or(Unplannable::Talkers(most))?;
        let least = Self::SETTLING + Duration::from_millis((grid.window / (RATE / 1000)) as u64) + MARGIN;
        if let Some(spurt) = talk.spurt.filter(|spurt| *spurt < least) {
            return Err(Unplannable::Spurt { spurt, least });
        }
        let heard = if mixed == 0 { most } else { most.min(mixed) };
        Ok(Self { grid, spurt: talk.spurt, mixed, amplitude: amplitude(heard), rooms, block, most })
    }

    /// The scene at this time since the begin.
    pub fn scene(&self, at: Duration) -> u64 {
        self.spurt.map_or(0, |spurt| (at.as_nanos() / spurt.as_nanos()) as u64)
    }

    /// Begin and, unless it is the only one, end of a scene.
    pub fn bounds(&self, scene: u64) -> (Duration, Option<Duration>) {
        let Some(spurt) = self.spurt else { return (Duration::ZERO, None) };
        let begin = Duration::from_nanos(scene * spurt.as_nanos() as u64);
        (begin, Some(begin + spurt))
    }

    /// The tone with which a leg talks in a scene.
    pub fn tone(&self, room: usize, seat: usize, scene: u64) -> Option<usize> {
        let turn = self.rooms[room].turn(seat, scene)?;
        Some(self.tone_of_turn(room, turn, scene))
    }

    /// What a leg must hear in a scene.
    pub fn expected(&self, room: usize, seat: usize, scene: u64) -> Expected {
        let talkers = self.rooms[room].talkers;
        let own = self.rooms[room].turn(seat, scene);
        let others = (0..talkers).filter(|turn| Some(*turn) != own);
        let others: Vec<usize> = others.map(|turn| self.tone_of_turn(room, turn, scene)).collect();
        let least = if self.mixed == 0 || talkers <= self.mixed {
            others.len()
        } else {
            // Whoever is among the chosen hears one less: himself.
            self.mixed - usize::from(own.is_some())
        };
        Expected { own: own.map(|turn| self.tone_of_turn(room, turn, scene)), others, least }
    }

    /// True in a room without talkers, whose first leg sends bursts.
    pub fn is_probe(&self, room: usize) -> bool {
        self.rooms[room].talkers == 0
    }

    fn tone_of_turn(&self, room: usize, turn: usize, scene: u64) -> usize {
        let half = if self.block > self.most { (scene % 2) as usize * self.most } else { 0 };
        (room * self.block + half + turn) % self.grid.count
    }
}

impl Room {
    fn new(shape: Shape, who: Who, dice: &mut StdRng) -> Self {
        let mut seats: Vec<usize> = (0..shape.legs).collect();
        for last in (1..seats.len()).rev() {
            seats.swap(last, dice.random_range(0..=last));
        }
        let mut places = vec![0; seats.len()];
        for (place, &seat) in seats.iter().enumerate() {
            places[seat] = place;
        }
        let talkers = match who {
            _ if shape.probe => 0,
            Who::All => shape.legs,
            Who::Percent(share) => (shape.legs * usize::from(share)).div_ceil(100).max(1),
            Who::Talkers(count) => count,
        };
        Self { talkers: talkers.min(shape.legs), places, seats }
    }

    /// The how many-th talker of a scene a seat is.
    fn turn(&self, seat: usize, scene: u64) -> Option<usize> {
        let legs = self.seats.len() as u64;
        let first = scene.wrapping_mul(self.talkers as u64) % legs;
        let turn = (self.places[seat] as u64 + legs - first) % legs;
        (turn < self.talkers as u64).then_some(turn as usize)
    }
}

/// As loud as can be without clipping the sum of so many tones: for few by their peaks, for many by their root mean square
/// and a crest of 4.5. At most -18 dBFS, a loud talker.
fn amplitude(heard: usize) -> f32 {
    let heard = heard as f32;
    (24_000.0 / heard).max(24_000.0 / (4.5 * (heard / 2.0).sqrt())).min(4000.0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn plan(rooms: usize, legs: usize, who: Who, spurt: u64, mixed: usize) -> Plan {
        let shapes = vec![Shape { legs, probe: false }; rooms];
        let spurt = (spurt > 0).then(|| Duration::from_secs(spurt));
        Plan::new(&shapes, Talk { who, spurt }, mixed, 7).unwrap()
    }

    #[test]
    fn as_many_talk_as_were_asked_for_each_with_a_tone_of_its_own() {
        for (who, talkers) in
            [(Who::All, 10), (Who::Percent(25), 3), (Who::Talkers(4), 4), (Who::Talkers(99), 10)]
        {
            let plan = plan(3, 10, who, 2, 5);
            for (room, scene) in [(0, 0), (2, 0), (1, 5)] {
                let tones: Vec<usize> = (0..10).filter_map(|seat| plan.tone(room, seat, scene)).collect();
                assert_eq!(tones.len(), talkers, "{who:?}");
                assert_eq!(tones.iter().collect::<HashSet<_>>().len(), talkers, "{who:?}");
            }
        }
    }

    #[test]
    fn neighboring_rooms_and_scenes_share_no_tone() {
        let plan = plan(4, 6, Who::Talkers(2), 2, 5);
        let tones = |room, scene| -> HashSet<usize> {
            (0..6).filter_map(|seat| plan.tone(room, seat, scene)).collect()
        };
        assert!(tones(0, 0).is_disjoint(&tones(1, 0)));
        assert!(tones(0, 0).is_disjoint(&tones(0, 1)));
    }

    #[test]
    fn everyone_comes_to_talk() {
        let plan = plan(1, 10, Who::Talkers(3), 2, 5);
        let talked: HashSet<usize> = (0..4)
            .flat_map(|scene| (0..10).filter(|seat| plan.tone(0, *seat, scene).is_some()).collect::<Vec<_>>())
            .collect();
        assert_eq!(talked.len(), 10);
    }

    #[test]
    fn a_talker_expects_the_others_and_of_more_than_the_bridge_mixes_that_many_less_itself() {
        let few = plan(1, 4, Who::All, 0, 5).expected(0, 1, 0);
        assert_eq!((few.own.is_some(), few.others.len(), few.least), (true, 3, 3));
        assert!(!few.others.contains(&few.own.unwrap()));
        let many = plan(1, 40, Who::All, 0, 5).expected(0, 1, 0);
        assert_eq!((many.others.len(), many.least), (39, 4));
        let all = plan(1, 40, Who::All, 0, 0).expected(0, 1, 0);
        assert_eq!(all.least, 39);
        let plan = plan(1, 40, Who::Talkers(9), 0, 5);
        let listener = (0..40).find(|seat| plan.tone(0, *seat, 0).is_none()).unwrap();
        let listening = plan.expected(0, listener, 0);
        assert_eq!((listening.own, listening.others.len(), listening.least), (None, 9, 5));
    }

    #[test]
    fn what_cannot_be_judged_is_refused() {
        let room = [Shape { legs: 2000, probe: false }];
        let talk = |who, spurt| Talk { who, spurt };
        assert_eq!(Plan::new(&room, talk(Who::All, None), 5, 1).unwrap_err(), Unplannable::Talkers(2000));
        let short = Duration::from_millis(200);
        assert_eq!(
            Plan::new(&room, talk(Who::Talkers(1), Some(short)), 5, 1).unwrap_err(),
            Unplannable::Spurt { spurt: short, least: Duration::from_millis(1428) }
        );
    }

    #[test]
    fn the_sum_of_all_that_is_heard_does_not_clip() {
        assert!(amplitude(1) <= 4000.0 && amplitude(5) * 5.0 <= 24_000.0);
        assert!(amplitude(10) * 10.0 <= 24_000.0 || amplitude(10) * 5_f32.sqrt() * 4.5 <= 24_001.0);
        assert!(amplitude(300) > 300.0);
    }
}
