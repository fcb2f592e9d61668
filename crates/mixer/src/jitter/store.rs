//! Packets that wait for their time, encoded as they came: fixed slots by extended sequence number, their bytes in one ring.

use crate::ahead;
use crate::waste::Waste;

/// Packets that can wait: 160 ms of packets of 5 ms, which are the shortest in use, and as many of 10 ms as the smallest ring holds.
const SLOTS: usize = 32;

/// The same where the ring is larger than this: 160 ms of packets of 2.5 ms.
const MORE_SLOTS: usize = 64;
const SMALL: usize = 4_096;

/// One packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// Its extended sequence number.
    pub(super) number: i64,
    /// Where its sound begins on the timeline.
    pub(super) start: i64,
    /// How long its sound is, in units of the timeline.
    pub(super) length: u16,
    /// Which of the decoders it is for.
    pub(super) codec: u8,
    pub(super) mark: Mark,
    at: u16,
    bytes: u16,
}

/// How a packet stands to the one before it; one byte, as there are many slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// It continues.
    Goes,
    /// The sender paused before it: no packet is missing, only time.
    Follows,
    /// It is the first of a stream.
    Begins,
    /// It is the first of a stream, and the sender paused.
    BeginsLate,
}

impl Slot {
    const EMPTY: Self =
        Self { number: i64::MIN, start: 0, length: 0, codec: 0, mark: Mark::Goes, at: 0, bytes: 0 };

    pub(super) fn new(number: i64, start: i64, length: i64, codec: u8) -> Self {
        Self { number, start, length: length as u16, codec, ..Self::EMPTY }
    }

    /// The sender paused before it: no packet is missing, only time.
    pub(super) fn follows(&self) -> bool {
        matches!(self.mark, Mark::Follows | Mark::BeginsLate)
    }

    /// It is the first of a stream.
    pub(super) fn begins(&self) -> bool {
        matches!(self.mark, Mark::Begins | Mark::BeginsLate)
    }

    /// Where its sound ends on the timeline.
    pub(super) fn end(&self) -> i64 {
        self.start.saturating_add(i64::from(self.length))
    }
}

/// The packets of one leg.
pub(super) struct Store {
    slots: Box<[Slot]>,
    ring: Box<[u8]>,
    write: usize,
    waiting: usize,
    /// No packet below is wanted any more.
    head: i64,
    /// The highest packet stored so far.
    highest: i64,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.waiting()).finish()
    }
}

impl Store {
    /// Room for so many payload bytes, at most 64 KiB.
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            slots: vec![Slot::EMPTY; slots(bytes)].into_boxed_slice(),
            ring: vec![0; bytes.min(usize::from(u16::MAX))].into_boxed_slice(),
            write: 0,
            waiting: 0,
            head: 0,
            highest: -1,
        }
    }

    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.slots) + self.ring.len()
    }

    /// Room for so many payload bytes, and not for fewer than before.
    pub(super) fn grow(&mut self, bytes: usize, waste: &mut Waste) {
        if bytes > self.ring.len() {
            let mut ring = vec![0; bytes.min(usize::from(u16::MAX))].into_boxed_slice();
            ring[..self.ring.len()].copy_from_slice(&self.ring);
            waste.replace(&mut self.ring, ring);
            if slots(bytes) > self.slots.len() {
                let old = std::mem::take(&mut self.slots);
                self.slots = vec![Slot::EMPTY; slots(bytes)].into_boxed_slice();
                for slot in old.iter().filter(|slot| slot.number != Slot::EMPTY.number) {
                    let place = self.place(slot.number);
                    self.slots[place] = *slot; // two never meet: their places were different in fewer slots
                }
                waste.put(old);
            }
        }
    }

    /// See [`crate::ahead`]: where the next packet comes, and the first that waits.
    pub(super) fn fetch(&self) {
        ahead::fetch(&self.slots[self.place(self.highest + 1)]);
        ahead::fetch(&self.slots[self.place(self.head)]);
        let at = if self.waiting == 0 { 0 } else { self.write };
        ahead::fetch_front(&self.ring[at..], 160);
    }

    /// No packet below is wanted any more.
    pub(super) fn head(&self) -> i64 {
        self.head
    }

    /// True when a packet waits, or did so lately.
    pub(super) fn knows(&self, number: i64) -> bool {
        self.slots[self.place(number)].number == number
    }

    /// The first packet that waits.
    pub(super) fn first(&self) -> Option<Slot> {
        self.waiting().next()
    }

    /// The second packet that waits.
    pub(super) fn second(&self) -> Option<Slot> {
        self.waiting().nth(1)
    }

    /// The payload of a packet that waits.
    pub(super) fn payload(&self, slot: &Slot) -> &[u8] {
        &self.ring[usize::from(slot.at)..][..usize::from(slot.bytes)]
    }

    /// Stores a packet at or above [`Store::head`]. Where there is no room, the oldest packets give way; returns how many.
    /// `None`: it is longer than the whole ring, or older than all that is kept.
    pub(super) fn insert(&mut self, slot: Slot, payload: &[u8]) -> Option<usize> {
        if payload.len() > self.ring.len() || slot.number < self.head {
            return None;
        }
        let mut gone = 0;
        while slot.number - self.head >= self.span() {
            // Sequence numbers that never came cost nothing: go straight to the first that is in the way.
            match self.first().filter(|first| slot.number - first.number >= self.span()) {
                Some(first) => {
                    self.release(&first);
                    gone += 1;
                }
                None => self.head = slot.number - self.span() + 1,
            }
        }
        let at = loop {
            if let Some(at) = self.room(payload.len()) {
                break at;
            }
            let Some(first) = self.first() else { break 0 };
            if first.number > slot.number {
                return None;
            }
            self.release(&first);
            gone += 1;
        };
        self.ring[at..][..payload.len()].copy_from_slice(payload);
        self.write = at + payload.len();
        let place = self.place(slot.number);
        self.slots[place] = Slot { at: at as u16, bytes: payload.len() as u16, ..slot };
        self.waiting += 1;
        self.highest = self.highest.max(slot.number);
        Some(gone)
    }

    /// The first packet that waits is over; neither it nor one before it is wanted any more.
    pub(super) fn release(&mut self, first: &Slot) {
        // The slot keeps the number, so that a late duplicate is told from a late packet.
        self.waiting -= 1;
        self.head = first.number + 1;
    }

    /// Nothing that waits is wanted any more.
    pub(super) fn clear(&mut self) {
        while let Some(first) = self.first() {
            self.release(&first);
        }
        self.head = self.highest + 1;
    }

    /// A place for `bytes` in the ring: behind the packet stored last, or at the beginning.
    fn room(&self, bytes: usize) -> Option<usize> {
        if self.waiting == 0 {
            return Some(0); // the same few lines of the cache, over and over
        }
        let is_free = |at: usize| {
            at + bytes <= self.ring.len()
                && self.waiting().all(|slot| {
                    let other = usize::from(slot.at);
                    at + bytes <= other || other + usize::from(slot.bytes) <= at
                })
        };
        [self.write, 0].into_iter().find(|&at| is_free(at))
    }

    /// How far apart the numbers of packets that wait can be.
    fn span(&self) -> i64 {
        self.slots.len() as i64
    }

    fn place(&self, number: i64) -> usize {
        number as usize & (self.slots.len() - 1)
    }

    /// Packets that wait, in the order of their numbers.
    fn waiting(&self) -> impl Iterator<Item = Slot> {
        let from = self.head.max(self.highest - self.span() + 1);
        let to = if self.waiting == 0 { from - 1 } else { self.highest };
        (from..=to)
            .map(|number| (number, self.slots[self.place(number)]))
            .filter(|(number, slot)| slot.number == *number)
            .map(|(_, slot)| slot)
            .take(self.waiting)
    }
}

/// Slots beside a ring of so many bytes; powers of two.
const fn slots(bytes: usize) -> usize {
    if bytes > SMALL { MORE_SLOTS } else { SLOTS }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(number: i64, bytes: usize) -> (Slot, Vec<u8>) {
        (Slot::new(number, number * 960, 960, 0), vec![number as u8; bytes])
    }

    fn numbers(store: &Store) -> Vec<i64> {
        store
            .waiting()
            .inspect(|slot| assert!(store.payload(slot).iter().all(|&b| b == slot.number as u8)))
            .map(|slot| slot.number)
            .collect()
    }

    #[test]
    fn packets_wait_in_order_and_their_bytes_do_not_touch() {
        let mut store = Store::new(1_000);
        for (number, bytes) in [(5, 160), (3, 300), (4, 20), (9, 160)] {
            let (slot, payload) = packet(number, bytes);
            assert_eq!(store.insert(slot, &payload), Some(0));
        }
        assert_eq!(numbers(&store), [3, 4, 5, 9]);
        let first = store.first().expect("four wait");
        store.release(&first);
        assert_eq!((numbers(&store), store.head()), (vec![4, 5, 9], 4));
        let (slot, payload) = packet(3, 20);
        assert_eq!(store.insert(slot, &payload), None, "it is over");
    }

    #[test]
    fn what_waits_is_still_there_when_the_store_has_grown() {
        let mut store = Store::new(1_000);
        for number in 30..35 {
            let (slot, payload) = packet(number, 100);
            store.insert(slot, &payload);
        }
        store.grow(SMALL + 1, &mut Waste::default());
        assert_eq!((numbers(&store), store.slots.len()), ((30..35).collect(), MORE_SLOTS));
        for number in 35..30 + MORE_SLOTS as i64 {
            let (slot, payload) = packet(number, 40);
            assert_eq!(store.insert(slot, &payload), Some(0));
        }
        assert_eq!(numbers(&store), (30..30 + MORE_SLOTS as i64).collect::<Vec<_>>());
    }

    #[test]
    fn the_oldest_give_way_to_the_newest_and_a_newer_one_never_to_an_older() {
        let mut store = Store::new(1_000);
        for number in 0..20 {
            let (slot, payload) = packet(number, 160 + number as usize);
            store.insert(slot, &payload);
        }
        assert_eq!(numbers(&store).last(), Some(&19));
        assert!(numbers(&store).len() >= 3, "{:?}", numbers(&store));
        let (slot, payload) = packet(1_000_000, 160);
        assert!(store.insert(slot, &payload).is_some_and(|gone| gone >= 3));
        assert_eq!(numbers(&store), [1_000_000]);
        let (slot, payload) = packet(2_000_000, 1_001);
        assert_eq!(store.insert(slot, &payload), None, "longer than the ring");
        let (slot, payload) = packet(999_999, 900);
        assert_eq!(store.insert(slot, &payload), None, "there is only room for one of the two");
        store.clear();
        assert_eq!((numbers(&store), store.head()), (vec![], 1_000_001));
    }
}
