//! How much strangers may say before nobody listens: a token bucket for each of their networks, and one for all of them.
//!
//! What is beyond is dropped unread and counted. Trunks are not strangers: what they may do is in their profiles.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

/// Messages a second from one network, and as many at once.
const ONE: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Messages a second from all of them together, and as many at once.
const ALL: NonZeroU32 = NonZeroU32::new(500).unwrap();
/// Networks that are told apart; above it all share one bucket. Whoever forges sources fills the table for a second only.
const NETWORKS: usize = 4096;

/// Time as it was told last: the buckets read no clock.
#[derive(Clone, Debug, Default)]
struct Told(Arc<AtomicU64>);

impl Clock for Told {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.load(Ordering::Relaxed))
    }
}

/// See the module.
pub(super) struct Gate {
    origin: Instant,
    told: Told,
    one: RateLimiter<IpAddr, DashMapStateStore<IpAddr>, Told, NoOpMiddleware<Nanos>>,
    all: RateLimiter<NotKeyed, InMemoryState, Told, NoOpMiddleware<Nanos>>,
}

impl Gate {
    pub(super) fn new(now: Instant) -> Self {
        let told = Told::default();
        let one = RateLimiter::new(Quota::per_second(ONE), DashMapStateStore::default(), told.clone());
        let all = RateLimiter::direct_with_clock(Quota::per_second(ALL), told.clone());
        Self { origin: now, told, one, all }
    }

    /// Whether a message from this address is read.
    pub(super) fn admits(&self, now: Instant, from: IpAddr) -> bool {
        let nanos = now.saturating_duration_since(self.origin).as_nanos() as u64;
        self.told.0.store(nanos, Ordering::Relaxed);
        if self.one.len() >= NETWORKS {
            self.one.retain_recent();
        }
        let known = self.one.len() < NETWORKS;
        (!known || self.one.check_key(&network(from)).is_ok()) && self.all.check().is_ok()
    }
}

/// The part of an address that its owner cannot choose: 24 bits of IPv4, 64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(ip) => (u32::from(ip) & !0xff).to_be_bytes().into(),
        IpAddr::V6(ip) => (u128::from(ip) & !u128::from(u64::MAX)).to_be_bytes().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_network_has_ten_messages_a_second_and_the_others_are_not_held_up_by_it() {
        let start = Instant::now();
        let gate = Gate::new(start);
        let flood = |host: u8| IpAddr::from([198, 51, 100, host]);
        let read = (0..200).filter(|&host| gate.admits(start, flood(host))).count();
        assert_eq!(read, 10, "it does not matter which of its addresses it uses");
        assert!(gate.admits(start, [203, 0, 113, 1].into()));
        assert!(!gate.admits(start + Duration::from_millis(50), flood(1)));
        assert!(gate.admits(start + Duration::from_millis(101), flood(1)));
    }

    #[test]
    fn forged_sources_share_one_bucket_and_the_table_is_bounded() {
        let start = Instant::now();
        let gate = Gate::new(start);
        let forged = |n: u32| IpAddr::from((n << 8).to_be_bytes());
        let read = (1..20_000).filter(|&n| gate.admits(start, forged(n))).count();
        assert_eq!(read, 500);
        assert!(gate.one.len() <= NETWORKS, "{}", gate.one.len());
        let later = start + Duration::from_secs(2);
        assert!(gate.admits(later, [203, 0, 113, 1].into()));
        assert!(gate.one.len() <= 1, "those that have been silent are forgotten");
    }
}
