//! Ports of 127.0.0.1 for programs that are told where to listen and bind there themselves, long after they were told.
//!
//! A port that was looked for, found free and let go is anybody's until the program has bound it, and most ports of a range for
//! media stay unbound. Two tests that run at once may find the same: then a telephone's media seem to come from the bridge's own
//! ports, which it refuses with 488, or a call reaches the bridge of another test. So ports are given out in units, and whoever
//! has a unit listens on its first port over TCP, which only one process of the machine can, and only until it ends.

use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// Below the ports that the kernel gives to sockets without a wish, and below those that `partyline demo` looks for.
const FIRST: u16 = 10_000;
const LAST: u16 = 15_999;
const UNIT: u16 = 32;
const UNITS: u16 = (LAST - FIRST + 1) / UNIT;
/// How often all of them are looked through before a test gives up.
const ROUNDS: u16 = 20;

/// Ports in a row that belong to nobody else while this lives.
#[derive(Debug)]
pub struct Ports {
    /// Who can bind these has the units.
    _guards: Vec<TcpListener>,
    next: u16,
    end: u16,
}

impl Ports {
    /// So many ports at least.
    ///
    /// # Panics
    ///
    /// Where so many are not to be had.
    pub fn take(count: u16) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // The first port of a unit may be its guard's.
        let units = (count + 2).div_ceil(UNIT);
        let places = UNITS - units + 1;
        for _ in 0..ROUNDS * places {
            // Not the ports that were let go last: who was called there may still be called there.
            let step = NEXT.fetch_add(1, Ordering::Relaxed) + std::process::id() * 17;
            let first = FIRST + (step % u32::from(places)) as u16 * UNIT;
            if let Some(ports) = Self::of(first, units) {
                return ports;
            }
        }
        panic!("{count} ports in a row between {FIRST} and {LAST} of 127.0.0.1 are not to be had");
    }

    fn of(first: u16, units: u16) -> Option<Self> {
        let guards = (0..units)
            .map(|unit| TcpListener::bind(("127.0.0.1", first + unit * UNIT)).ok())
            .collect::<Option<_>>()?;
        let end = first + units * UNIT;
        // A program may have outlived its test.
        (first..end)
            .all(|port| {
                UdpSocket::bind(("127.0.0.1", port)).is_ok() && (is_guard(port) || is_free_for_tcp(port))
            })
            .then_some(Self { _guards: guards, next: first, end })
    }

    /// The next of them, for UDP and TCP: two in a row are neighbors, unless media ports were taken before.
    ///
    /// # Panics
    ///
    /// Where none is left.
    pub fn one(&mut self) -> u16 {
        let port = if is_guard(self.next) { self.next + 1 } else { self.next };
        assert!(port < self.end, "more ports are used than were taken");
        self.next = port + 1;
        port
    }

    /// The first, which is even, of so many in a row, for UDP only.
    ///
    /// # Panics
    ///
    /// Where so many are not left.
    pub fn media(&mut self, count: u16) -> u16 {
        let first = self.next.next_multiple_of(2);
        assert!(first + count <= self.end, "more ports are used than were taken");
        self.next = first + count;
        first
    }
}

/// A port for UDP and TCP that nobody else is given while this process runs.
///
/// # Panics
///
/// Where none is to be had.
pub fn free_port() -> u16 {
    static TAKEN: Mutex<Vec<Ports>> = Mutex::new(Vec::new());
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if taken.last().is_none_or(|ports| ports.next == ports.end) {
        taken.push(Ports::take(UNIT - 2));
    }
    taken.last_mut().map(Ports::one).expect("ports were taken")
}

const fn is_guard(port: u16) -> bool {
    (port - FIRST).is_multiple_of(UNIT)
}

fn is_free_for_tcp(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn nobody_gets_a_port_twice_whether_it_is_bound_or_not() {
        let mut seen = BTreeSet::new();
        let mut kept = Vec::new();
        for _ in 0..10 {
            let mut ports = Ports::take(67);
            let media = ports.media(64);
            assert!(media.is_multiple_of(2) && (media..media + 64).all(|port| seen.insert(port)));
            assert!((0..3).all(|_| seen.insert(ports.one())));
            kept.push(ports);
        }
        assert!((0..100).all(|_| seen.insert(free_port())));
        assert!(seen.first() >= Some(&FIRST) && seen.last() <= Some(&LAST));
    }

    #[test]
    fn a_unit_is_one_process_s_until_it_lets_it_go() {
        let ports = Ports::take(40);
        let first = ports.next;
        assert!(Ports::of(first, 1).is_none() && Ports::of(first + UNIT, 1).is_none());
        // More than there are, one after the other.
        for _ in 0..UNITS {
            drop(Ports::take(40));
        }
    }

    #[test]
    fn a_unit_in_which_a_program_still_listens_is_passed_over() {
        let mut ports = Ports::take(1);
        let first = ports.next;
        let left_over = UdpSocket::bind(("127.0.0.1", ports.one() + 5)).expect("a port of ours");
        drop(ports);
        assert!(Ports::of(first, 1).is_none());
        drop(left_over);
    }
}
