//! How many connections others may hold.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

/// Connections of addresses that no trunk lists, all together: they must not use up our descriptors.
const STRANGERS: usize = 200;

/// Who may hold how many connections.
pub struct Limits {
    /// One address.
    pub per_address: usize,
    /// Whether a trunk lists an address. All others share a few connections.
    pub listed: Box<dyn Fn(IpAddr) -> bool + Send + Sync>,
}

/// The connections that others have opened, counted.
pub(super) struct Places {
    per_address: DashMap<IpAddr, usize>,
    strangers: AtomicUsize,
    limits: Limits,
}

/// One connection's place within the limits, given back when it is dropped.
pub(super) struct Place {
    all: Arc<Places>,
    ip: IpAddr,
    /// No trunk lists its address.
    pub(super) stranger: bool,
}

impl Places {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { per_address: DashMap::new(), strangers: AtomicUsize::new(0), limits })
    }

    /// Takes a place, or says which limit forbids it.
    pub(super) fn take(self: &Arc<Self>, ip: IpAddr) -> Result<Place, &'static str> {
        let stranger = !(self.limits.listed)(ip);
        let mut count = self.per_address.entry(ip).or_insert(0);
        if *count >= self.limits.per_address {
            return Err("too many from this address (sip.tcp_connections_per_address)");
        }
        if stranger && self.strangers.fetch_add(1, Ordering::Relaxed) >= STRANGERS {
            self.strangers.fetch_sub(1, Ordering::Relaxed);
            let unused = *count == 0;
            drop(count);
            if unused {
                self.per_address.remove_if(&ip, |_, count| *count == 0);
            }
            return Err("too many from addresses that no trunk lists");
        }
        *count += 1;
        Ok(Place { all: Arc::clone(self), ip, stranger })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.stranger {
            self.all.strangers.fetch_sub(1, Ordering::Relaxed);
        }
        self.all.per_address.remove_if_mut(&self.ip, |_, count| {
            *count = count.saturating_sub(1);
            *count == 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_given_back_and_a_stranger_takes_none_of_a_peers() {
        let listed = |ip: IpAddr| ip.is_loopback();
        let places = Places::new(Limits { per_address: 2, listed: Box::new(listed) });
        let peer: IpAddr = [127, 0, 0, 1].into();
        let first = places.take(peer).expect("a place");
        let _second = places.take(peer).expect("a place");
        assert!(places.take(peer).is_err());
        drop(first);
        assert!(places.take(peer).is_ok());
        let strangers: Vec<Place> =
            (0..STRANGERS).filter_map(|n| places.take([10, 0, (n / 2) as u8, 1].into()).ok()).collect();
        assert_eq!(strangers.len(), STRANGERS);
        assert!(places.take([10, 9, 9, 9].into()).is_err());
        assert!(places.take(peer).is_ok());
        drop(strangers);
        assert_eq!(places.per_address.len(), 1, "nothing is remembered of who is gone");
    }
}
