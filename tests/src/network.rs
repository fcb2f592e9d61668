//! The network between the bridge and its peers: one queue of datagrams, unfair in ways that a seed repeats.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// What happens to datagrams on their way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairment {
    /// Share that is lost.
    pub loss: f64,
    /// Share that arrives twice.
    pub duplicate: f64,
    /// Share that arrives `late_by` later than the others, so that others overtake it.
    pub late: f64,
    /// How much later.
    pub late_by: Duration,
    /// The least time on the way.
    pub latency: Duration,
    /// A random time on top of it, up to this.
    pub jitter: Duration,
}

impl Impairment {
    /// Everything arrives, in order, after 2 ms.
    pub const NONE: Self = Self {
        loss: 0.0,
        duplicate: 0.0,
        late: 0.0,
        late_by: Duration::ZERO,
        latency: Duration::from_millis(2),
        jitter: Duration::ZERO,
    };

    /// So much is lost; a fifth of that share is doubled and reordered.
    pub fn lossy(loss: f64) -> Self {
        Self {
            loss,
            duplicate: loss / 5.0,
            late: loss / 5.0,
            late_by: Duration::from_millis(35),
            latency: Duration::from_millis(5),
            jitter: Duration::from_millis(4),
        }
    }
}

/// Which impairment a datagram suffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Signalling over UDP.
    Sip,
    /// Signalling over TCP: a stream, which is delayed at most.
    Stream,
    /// RTP and RTCP.
    Media,
}

/// Something on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Its sender.
    pub from: SocketAddr,
    /// Its receiver.
    pub to: SocketAddr,
    /// What kind it is.
    pub lane: Lane,
    /// What it says.
    pub bytes: Bytes,
}

struct Travelling {
    at: Duration,
    number: u64,
    datagram: Datagram,
}

impl Travelling {
    fn key(&self) -> (Duration, u64) {
        (self.at, self.number)
    }
}

impl PartialEq for Travelling {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl Eq for Travelling {}
impl PartialOrd for Travelling {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Travelling {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// Everything on its way.
pub struct Network {
    /// For signalling over UDP.
    pub sip: Impairment,
    /// For media.
    pub media: Impairment,
    queue: BinaryHeap<Reverse<Travelling>>,
    /// When the last piece of each stream arrives.
    streams: HashMap<(SocketAddr, SocketAddr), Duration>,
    number: u64,
    lost: u64,
    random: StdRng,
}

impl Network {
    /// An empty network.
    pub fn new(seed: u64, sip: Impairment, media: Impairment) -> Self {
        Self {
            sip,
            media,
            queue: BinaryHeap::new(),
            streams: HashMap::new(),
            number: 0,
            lost: 0,
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// Takes a datagram; times are since the beginning of the world.
    pub fn send(&mut self, now: Duration, datagram: Datagram) {
        let impairment = match datagram.lane {
            Lane::Sip => self.sip,
            Lane::Media => self.media,
            Lane::Stream => Impairment { loss: 0.0, duplicate: 0.0, late: 0.0, ..self.sip },
        };
        if self.random.random_bool(impairment.loss) {
            self.lost += 1;
            return;
        }
        if self.random.random_bool(impairment.duplicate) {
            let at = self.arrival(now, &impairment);
            self.queue(at, datagram.clone());
        }
        let mut at = self.arrival(now, &impairment);
        if datagram.lane == Lane::Stream {
            let last = self.streams.entry((datagram.from, datagram.to)).or_default();
            at = at.max(*last);
            *last = at;
        }
        self.queue(at, datagram);
    }

    fn arrival(&mut self, now: Duration, impairment: &Impairment) -> Duration {
        let mut at = now + impairment.latency;
        if !impairment.jitter.is_zero() {
            at += impairment.jitter.mul_f64(self.random.random());
        }
        if self.random.random_bool(impairment.late) {
            at += impairment.late_by;
        }
        at
    }

    fn queue(&mut self, at: Duration, datagram: Datagram) {
        self.number += 1;
        self.queue.push(Reverse(Travelling { at, number: self.number, datagram }));
    }

    /// When the next datagram arrives.
    pub fn next_at(&self) -> Option<Duration> {
        self.queue.peek().map(|Reverse(next)| next.at)
    }

    /// What has arrived by now.
    pub fn receive(&mut self, now: Duration) -> Option<Datagram> {
        if self.next_at()? > now {
            return None;
        }
        self.queue.pop().map(|Reverse(next)| next.datagram)
    }

    /// Datagrams that were lost so far.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(byte: u8, lane: Lane) -> Datagram {
        let address = SocketAddr::from(([127, 0, 0, 1], 5060));
        Datagram { from: address, to: address, lane, bytes: Bytes::copy_from_slice(&[byte]) }
    }

    fn arrivals(seed: u64, lane: Lane) -> Vec<u8> {
        let mut network = Network::new(seed, Impairment::lossy(0.2), Impairment::NONE);
        for byte in 0..200 {
            network.send(Duration::from_millis(u64::from(byte)), datagram(byte, lane));
        }
        std::iter::from_fn(|| network.receive(Duration::from_secs(9)).map(|datagram| datagram.bytes[0]))
            .collect()
    }

    #[test]
    fn a_seed_repeats_what_the_network_does() {
        assert_eq!(arrivals(7, Lane::Sip), arrivals(7, Lane::Sip));
        assert_ne!(arrivals(7, Lane::Sip), arrivals(8, Lane::Sip));
    }

    #[test]
    fn datagrams_are_lost_doubled_and_reordered_and_streams_are_not() {
        let found = arrivals(7, Lane::Sip);
        assert!((120..200).contains(&found.len()), "{}", found.len());
        assert!(found.windows(2).any(|pair| pair[0] > pair[1]));
        assert_eq!(arrivals(7, Lane::Stream), (0..200).collect::<Vec<_>>());
    }
}
