//! The places for connections: one peer does not get all of them, and there is always one for whoever asks for metrics and
//! health.
//!
//! Before a request has come nobody knows whose a connection is, so those that have shown no token are the ones that go:
//! where a peer has too many, or all have together, the oldest of them makes room for the new one.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use prometheus::IntCounter;
use tokio::sync::oneshot;

/// Connections at once.
pub(crate) const AT_ONCE: usize = 256;
/// Of these, those that may stay because they have shown a token: the others are always for whoever comes.
const TRUSTED: usize = 192;

/// Who has them.
pub struct Places {
    per_address: usize,
    /// Connections that were ended or refused to make room.
    shed: IntCounter,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    /// Rises with every connection: the lowest number is the oldest.
    next: u64,
    held: HashMap<u64, Held>,
}

struct Held {
    from: IpAddr,
    trusted: bool,
    /// Dropped when the connection must go.
    _end: oneshot::Sender<()>,
}

impl Places {
    /// One address may hold so many of them.
    pub fn new(per_address: usize, shed: IntCounter) -> Arc<Self> {
        Arc::new(Self { per_address, shed, taken: Mutex::default() })
    }

    /// A place for a new connection; `None` where its peer has enough, all of them with tokens.
    pub(super) fn take(self: &Arc<Self>, from: SocketAddr) -> Option<Place> {
        let from = peer(from.ip());
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = taken.held.values().filter(|held| held.from == from).count();
        if of_peer >= self.per_address && !self.shed_one(&mut taken, |held| held.from == from) {
            self.shed.inc();
            return None;
        }
        if taken.held.len() >= AT_ONCE && !self.shed_one(&mut taken, |_| true) {
            self.shed.inc();
            return None;
        }
        let number = taken.next;
        taken.next += 1;
        let (end, ended) = oneshot::channel();
        taken.held.insert(number, Held { from, trusted: false, _end: end });
        Some(Place { guest: Guest { number, from, places: Arc::clone(self) }, ended })
    }

    /// Ends the oldest of them that has shown no token.
    fn shed_one(&self, taken: &mut Taken, of: impl Fn(&Held) -> bool) -> bool {
        let strangers = taken.held.iter().filter(|(_, held)| !held.trusted && of(held));
        let oldest = strangers.map(|(&number, _)| number).min();
        let Some(oldest) = oldest else { return false };
        taken.held.remove(&oldest);
        self.shed.inc();
        true
    }
}

/// A network that is one customer's is one peer: of IPv6 a /64.
fn peer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() & (u128::MAX << 64))),
        four @ IpAddr::V4(_) => four,
    }
}

/// One connection's place; free again when it is dropped.
pub(super) struct Place {
    guest: Guest,
    ended: oneshot::Receiver<()>,
}

impl Place {
    /// Ready when the place is another's now.
    pub(super) fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<()> {
        std::pin::Pin::new(&mut self.ended).poll(context).map(|_| ())
    }

    /// Who has it, for the requests of the connection.
    pub(super) fn guest(&self) -> Guest {
        self.guest.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.guest.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.held.remove(&self.guest.number);
    }
}

/// The connection that a request came on.
#[derive(Clone)]
pub(super) struct Guest {
    number: u64,
    from: IpAddr,
    places: Arc<Places>,
}

impl Guest {
    /// Its peer: an address, or a network that is one customer's.
    pub(super) fn from(&self) -> IpAddr {
        self.from
    }

    /// It has shown a token: it makes room for nobody, as long as enough others are there who do.
    pub(super) fn trust(&self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let trusted = taken.held.values().filter(|held| held.trusted).count();
        if let Some(held) = taken.held.get_mut(&self.number).filter(|_| trusted < TRUSTED) {
            held.trusted = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(per_address: usize) -> Arc<Places> {
        Places::new(per_address, IntCounter::new("shed", "x").unwrap())
    }

    fn at(text: &str) -> SocketAddr {
        SocketAddr::new(text.parse().unwrap(), 4000)
    }

    fn is_over(place: &mut Place) -> bool {
        place.poll_ended(&mut Context::from_waker(std::task::Waker::noop())).is_ready()
    }

    #[test]
    fn a_peer_with_too_many_connections_loses_its_own_oldest_and_nobody_else_s() {
        let places = places(3);
        let mut other = places.take(at("192.0.2.1")).unwrap();
        let mut own: Vec<Place> = (0..4).map(|_| places.take(at("192.0.2.9")).unwrap()).collect();
        let over: Vec<bool> = own.iter_mut().map(is_over).collect();
        assert_eq!((over, is_over(&mut other)), (vec![true, false, false, false], false));
        assert_eq!(places.shed.get(), 1);
        for place in &own {
            place.guest().trust();
        }
        assert!(places.take(at("192.0.2.9")).is_none(), "those with a token stay");
        drop(own);
        assert!(places.take(at("192.0.2.9")).is_some());
        let mut network: Vec<Place> =
            (1..=4).map(|n| places.take(at(&format!("2001:db8::{n}"))).unwrap()).collect();
        assert!(is_over(&mut network[0]), "a network of one customer is one peer");
    }

    #[test]
    fn however_many_there_are_somebody_new_finds_a_place_and_a_token_keeps_its_own() {
        let places = places(AT_ONCE);
        let mut trusted = places.take(at("192.0.2.1")).unwrap();
        trusted.guest().trust();
        let mut all: Vec<Place> = (0..AT_ONCE)
            .map(|n| places.take(at(&format!("198.51.100.{}", n % 250))).expect("a place"))
            .collect();
        let mut scraper = places.take(at("192.0.2.2")).expect("a place for metrics");
        assert!(!is_over(&mut trusted) && !is_over(&mut scraper) && is_over(&mut all[0]));
        // Even tokens do not get all of them.
        for place in all.iter().chain([&scraper]) {
            place.guest().trust();
        }
        assert!(places.take(at("192.0.2.3")).is_some());
        drop((all, trusted, scraper));
        assert!(places.taken.lock().unwrap().held.is_empty());
    }
}
