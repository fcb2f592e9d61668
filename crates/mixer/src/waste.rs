//! What a media thread needs no more. It frees nothing: to free what another thread has allocated takes that thread's locks, and
//! what libopus or a large room leaves behind takes longer than a tick can wait. So whatever is replaced goes into the waste, the
//! waste goes out in [`crate::Report::Spent`], and whoever drops that frees it.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Memory that is not needed any more; dropping it frees it. Each piece holds the one before it, so that one more neither moves nor
/// frees the others; it takes an allocation, which a media thread may do between ticks.
#[derive(Default)]
pub struct Waste {
    last: Option<Box<Piece<dyn Send>>>,
}

struct Piece<T: ?Sized> {
    before: Option<Box<Piece<dyn Send>>>,
    /// Nobody looks at it any more.
    _what: T,
}

impl std::fmt::Debug for Waste {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_empty() { "Waste(nothing)" } else { "Waste(..)" })
    }
}

impl Drop for Waste {
    fn drop(&mut self) {
        // One after the other, and not each within the one behind it: there may be many.
        let mut last = self.last.take();
        while let Some(mut piece) = last {
            last = piece.before.take();
        }
    }
}

impl Waste {
    /// True when there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// All that is in it, and nothing stays.
    pub(crate) fn take(&mut self) -> Option<Self> {
        self.last.take().map(|last| Self { last: Some(last) })
    }

    /// One more piece.
    pub(crate) fn put<T: Send + 'static>(&mut self, what: T) {
        if std::mem::needs_drop::<T>() {
            self.last = Some(Box::new(Piece { before: self.last.take(), _what: what }));
        }
    }

    /// `new` takes the place of what was there.
    pub(crate) fn replace<T: Send + 'static>(&mut self, place: &mut T, new: T) {
        self.put(std::mem::replace(place, new));
    }

    /// Room for `more` elements, as [`Vec::reserve`] makes it.
    pub(crate) fn reserve<T: Send + 'static>(&mut self, list: &mut Vec<T>, more: usize) {
        if list.len() + more > list.capacity() {
            let twice = 2 * list.capacity() - list.len();
            self.reserve_exact(list, more.max(twice));
        }
    }

    /// Room for `more` elements and no others, as [`Vec::reserve_exact`] makes it.
    pub(crate) fn reserve_exact<T: Send + 'static>(&mut self, list: &mut Vec<T>, more: usize) {
        let needed = list.len() + more;
        if needed > list.capacity() {
            let mut larger = Vec::with_capacity(needed);
            larger.append(list);
            self.replace(list, larger);
        }
    }

    /// Room for `more` elements, as [`VecDeque::reserve`] makes it.
    pub(crate) fn reserve_queue<T: Send + 'static>(&mut self, queue: &mut VecDeque<T>, more: usize) {
        if queue.len() + more > queue.capacity() {
            let twice = 2 * queue.capacity() - queue.len();
            self.reserve_queue_exact(queue, more.max(twice));
        }
    }

    /// Room for `more` elements and no others, as [`VecDeque::reserve_exact`] makes it.
    pub(crate) fn reserve_queue_exact<T: Send + 'static>(&mut self, queue: &mut VecDeque<T>, more: usize) {
        let needed = queue.len() + more;
        if needed > queue.capacity() {
            let mut larger = VecDeque::with_capacity(needed);
            larger.append(queue);
            self.replace(queue, larger);
        }
    }

    /// Room for one more element, as [`HashMap::reserve`] makes it.
    pub(crate) fn reserve_map<K, V>(&mut self, map: &mut HashMap<K, V>)
    where
        K: Eq + Hash + Send + 'static,
        V: Send + 'static,
    {
        // What was removed may take up room as well: the capacity is what there is without it.
        if map.len() == map.capacity() {
            let mut larger = HashMap::with_capacity(2 * map.len() + 8);
            larger.extend(map.drain());
            self.replace(map, larger);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::guard;

    #[test]
    fn what_is_put_there_lives_until_the_waste_is_dropped() {
        let kept = Arc::new(());
        let mut waste = Waste::default();
        (0..100_000).for_each(|_| waste.put(Arc::clone(&kept)));
        waste.put(7);
        let taken = waste.take().expect("a hundred thousand");
        assert!(waste.is_empty() && waste.take().is_none());
        assert_eq!(Arc::strong_count(&kept), 100_001);
        drop(taken);
        assert_eq!(Arc::strong_count(&kept), 1, "and none of them ends within another one's end");
    }

    #[test]
    fn lists_queues_and_maps_grow_without_a_free() {
        let (mut list, mut queue, mut map) = (Vec::new(), VecDeque::new(), HashMap::new());
        let mut waste = Waste::default();
        guard::without_free(|| {
            for n in 0..1_000_u32 {
                waste.reserve(&mut list, 1);
                list.push(n);
                waste.reserve_queue(&mut queue, 1);
                queue.push_back(n);
                waste.reserve_map(&mut map);
                map.insert(n % 700, n);
                map.remove(&(n / 2));
            }
        });
        assert!(list.iter().copied().eq(0..1_000) && queue.iter().copied().eq(0..1_000));
        assert!(map.iter().all(|(key, value)| value % 700 == *key));
        assert!(!waste.is_empty());
    }
}
