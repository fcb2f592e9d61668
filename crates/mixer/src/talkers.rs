//! Those who are in the mix of a tick: the loudest few, and those who were and fade out. Only their sound is kept; of all the
//! others a tick remembers how loud they were.

use crate::ahead;
use crate::units::{Rate, Ssrc};
use crate::waste::Waste;

/// Talkers whose room is asked for ahead; more are rare.
const FEW: usize = 3;

/// One who is in the mix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Talker {
    /// The number of its seat.
    pub(crate) seat: usize,
    /// Its stream, to be listed as a contributing source.
    pub(crate) ssrc: Option<Ssrc>,
    /// Chosen for this tick; otherwise it was heard in the last one and fades out.
    pub(crate) chosen: bool,
    /// It was in the mix of the last tick.
    pub(crate) was_heard: bool,
    weight: u32,
    slot: usize,
}

/// The talkers of a tick and their sound, in fixed memory.
#[derive(Debug)]
pub(crate) struct Talkers {
    /// Those of this tick, in the order of their weight while they are chosen, of their seats after that.
    list: Vec<Talker>,
    /// How many of `list` are chosen; the others fade out.
    chosen: usize,
    /// The least weight that was chosen in the last tick; 0 while there were places left.
    bar: u32,
    places: usize,
    pcm: Vec<i16>,
    free: Vec<usize>,
    rate: Rate,
}

impl Talkers {
    /// For the `places` loudest.
    pub(crate) fn new(places: usize, rate: Rate) -> Self {
        let slots = 2 * places + 1; // as many fade out, and one is being looked at
        Self {
            list: Vec::with_capacity(slots),
            chosen: 0,
            bar: 0,
            places,
            pcm: Vec::new(),
            free: Vec::with_capacity(slots),
            rate,
        }
    }

    /// Makes room for `seats` legs at `rate`. What was said in the last tick stays, unless the rate is another. It allocates.
    pub(crate) fn make_room(&mut self, seats: usize, rate: Rate, waste: &mut Waste) {
        let slots = (2 * self.places).min(seats) + 1;
        if self.rate != rate {
            self.rate = rate;
            self.list.clear();
            (self.chosen, self.bar) = (0, 0);
            self.pcm.clear();
        }
        let missing = (slots * rate.frame()).saturating_sub(self.pcm.len());
        waste.reserve_exact(&mut self.pcm, missing); // it ends at twice the places, whoever else comes
        self.pcm.resize(self.pcm.len() + missing, 0);
    }

    /// What somebody must weigh to be chosen in this tick, if it were like the last one.
    pub(crate) fn bar(&self) -> u32 {
        self.bar
    }

    /// A tick begins, with nobody in the mix.
    pub(crate) fn begin(&mut self) {
        self.list.clear();
        self.chosen = 0;
        self.free.clear();
        // The first places are taken first, whoever speaks: the fewest lines of the cache.
        self.free.extend((0..self.pcm.len() / self.rate.frame()).rev());
    }

    /// Whether somebody of this weight would be among the loudest so far; of equals the first one stays.
    pub(crate) fn would_choose(&self, weight: u32) -> bool {
        self.chosen < self.places || self.chosen > 0 && self.list[self.chosen - 1].weight < weight
    }

    /// Adds one of the loudest so far and gives the room for its sound. If that is one too many, the least of them fades out
    /// where it was in the mix before, and is dropped where it was not.
    pub(crate) fn choose(
        &mut self,
        seat: usize,
        weight: u32,
        ssrc: Option<Ssrc>,
        was_heard: bool,
    ) -> Option<&mut [i16]> {
        if self.chosen == self.places {
            let least = self.chosen - 1;
            if self.list[least].was_heard {
                self.list[least].chosen = false;
            } else {
                self.free.push(self.list.remove(least).slot);
            }
            self.chosen -= 1;
        }
        let slot = self.free.pop()?;
        let place = self.list[..self.chosen].partition_point(|other| other.weight >= weight);
        self.list.insert(place, Talker { seat, ssrc, chosen: true, was_heard, weight, slot });
        self.chosen += 1;
        Some(self.sound(slot))
    }

    /// Adds somebody who was heard and is not any more, and gives the room for its last sound.
    pub(crate) fn fade_out(&mut self, seat: usize, ssrc: Option<Ssrc>) -> Option<&mut [i16]> {
        let slot = self.free.pop()?;
        self.list.push(Talker { seat, ssrc, chosen: false, was_heard: true, weight: 0, slot });
        Some(self.sound(slot))
    }

    /// See [`crate::ahead`].
    pub(crate) fn fetch(&self) {
        ahead::fetch(&self.list[..]);
        ahead::fetch(&self.free[..]);
        ahead::fetch_front(&self.pcm[..], FEW * self.rate.frame() * size_of::<i16>());
    }

    /// Nobody else comes: from now on in the order of the seats.
    pub(crate) fn sort(&mut self) {
        let least = self.chosen.checked_sub(1).filter(|_| self.chosen == self.places);
        self.bar = least.map_or(0, |least| self.list[least].weight);
        self.list.sort_unstable_by_key(|talker| talker.seat);
    }

    /// All of them.
    pub(crate) fn list(&self) -> &[Talker] {
        &self.list
    }

    /// What one of them says.
    pub(crate) fn pcm(&self, talker: Talker) -> &[i16] {
        let frame = self.rate.frame();
        &self.pcm[talker.slot * frame..][..frame]
    }

    /// What one of them says, to shape it.
    pub(crate) fn pcm_mut(&mut self, talker: Talker) -> &mut [i16] {
        self.sound(talker.slot)
    }

    /// The one in a seat.
    pub(crate) fn of(&self, seat: usize) -> Option<Talker> {
        self.list.iter().find(|talker| talker.seat == seat).copied()
    }

    /// A seat is empty and the one of number `last` moves there.
    pub(crate) fn vacate(&mut self, seat: usize, last: usize) {
        self.bar = 0;
        self.list.retain(|talker| talker.seat != seat);
        self.list.iter_mut().filter(|talker| talker.seat == last).for_each(|talker| talker.seat = seat);
    }

    fn sound(&mut self, slot: usize) -> &mut [i16] {
        let frame = self.rate.frame();
        &mut self.pcm[slot * frame..][..frame]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talkers(places: usize) -> Talkers {
        let mut talkers = Talkers::new(places, Rate::Narrow);
        talkers.make_room(10, Rate::Narrow, &mut Waste::default());
        talkers.begin();
        talkers
    }

    fn offer(talkers: &mut Talkers, weights: &[u32], was_heard: impl Fn(usize) -> bool + Copy) {
        for (seat, weight) in weights.iter().enumerate() {
            if talkers.would_choose(*weight) {
                talkers.choose(seat, *weight, None, was_heard(seat)).expect("room").fill(seat as i16);
            } else if was_heard(seat) {
                talkers.fade_out(seat, None).expect("room").fill(seat as i16);
            }
        }
        talkers.sort();
    }

    #[test]
    fn the_loudest_are_chosen_and_of_equals_the_first() {
        let mut talkers = talkers(3);
        offer(&mut talkers, &[10, 50, 10, 90, 50, 50], |_| false);
        assert_eq!(talkers.list().iter().map(|talker| talker.seat).collect::<Vec<_>>(), [1, 3, 4]);
        assert!(talkers.list().iter().all(|talker| talkers.pcm(*talker)[0] == talker.seat as i16));
        talkers.begin();
        assert!(talkers.list().is_empty());
        assert_eq!(talkers.bar(), 50);
        offer(&mut talkers, &[10, 50], |_| false);
        assert_eq!(talkers.bar(), 0, "there is a place left");
    }

    #[test]
    fn who_was_heard_and_is_displaced_fades_out() {
        let mut talkers = talkers(2);
        offer(&mut talkers, &[10, 20, 30, 40, 5], |seat| seat == 1 || seat == 4);
        let list: Vec<_> = talkers.list().iter().map(|talker| (talker.seat, talker.chosen)).collect();
        assert_eq!(list, [(1, false), (2, true), (3, true), (4, false)]);
        assert!(talkers.list().iter().all(|talker| talkers.pcm(*talker)[0] == talker.seat as i16));
    }

    #[test]
    fn what_was_said_stays_when_somebody_joins() {
        let mut talkers = Talkers::new(5, Rate::Narrow);
        let waste = &mut Waste::default();
        talkers.make_room(2, Rate::Narrow, waste);
        talkers.begin();
        offer(&mut talkers, &[10, 20], |_| false);
        talkers.make_room(3, Rate::Narrow, waste);
        let talker = talkers.of(1).expect("it was heard in the last tick");
        assert_eq!(talkers.pcm(talker), [1; Rate::Narrow.frame()]);
        talkers.make_room(3, Rate::Wide, waste);
        assert!(talkers.of(1).is_none(), "at another rate it cannot go on");
    }

    #[test]
    fn nobody_is_chosen_where_there_is_no_place() {
        assert!(!talkers(0).would_choose(1_000));
    }
}
