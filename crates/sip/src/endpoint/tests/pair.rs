//! Two endpoints and the seeded link between them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::endpoint::*;
use crate::transaction::test_epoch;
use crate::wire::{NameAddr, Uri};

pub(super) const OFFER: &[u8] = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n";
pub(super) const ANSWER: &[u8] = b"v=0\r\no=- 2 1 IN IP4 192.0.2.2\r\ns=-\r\nt=0 0\r\n";

/// What the link does to a datagram.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Impairment {
    pub(super) loss: f64,
    pub(super) duplication: f64,
    pub(super) jitter_ms: u64,
}

/// One side of the pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    A,
    B,
}

/// Two endpoints, the messages in flight between them, and the clock.
pub(super) struct Pair {
    pub(super) now: Instant,
    pub(super) start: Instant,
    pub(super) a: Endpoint,
    pub(super) b: Endpoint,
    pub(super) a_events: Vec<Event>,
    pub(super) b_events: Vec<Event>,
    pub(super) link: Impairment,
    /// Every message sent: when, by whom, its first line.
    pub(super) trace: Vec<(Duration, Side, String)>,
    transport: Transport,
    rng: StdRng,
    in_flight: BTreeMap<(Instant, u64), (Side, Bytes)>,
    sent: u64,
}

impl Pair {
    pub(super) fn new(transport: Transport, seed: u64, link: Impairment) -> Self {
        let now = test_epoch();
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let a = Endpoint::new(EndpointConfig::default(), bytes);
        bytes[31] = 1;
        let b = Endpoint::new(EndpointConfig::default(), bytes);
        Self {
            now,
            start: now,
            a,
            b,
            a_events: Vec::new(),
            b_events: Vec::new(),
            link,
            trace: Vec::new(),
            transport,
            rng: StdRng::seed_from_u64(seed),
            in_flight: BTreeMap::new(),
            sent: 0,
        }
    }

    pub(super) fn udp() -> Self {
        Self::new(Transport::Udp, 1, Impairment::default())
    }

    /// The flow by which a side reaches the other.
    pub(super) fn flow(&self, from: Side) -> Flow {
        let (local, remote) = match from {
            Side::A => ("192.0.2.1:5060", "192.0.2.2:5060"),
            Side::B => ("192.0.2.2:5060", "192.0.2.1:5060"),
        };
        let connection = u64::from(self.transport.is_reliable());
        let parse = |text: &str| text.parse().expect("an address");
        Flow { transport: self.transport, local: parse(local), remote: parse(remote), connection }
    }

    pub(super) fn outgoing(&self, body: bool) -> OutgoingInvite {
        OutgoingInvite {
            flow: self.flow(Side::A),
            request_uri: Uri::parse("sip:+15550100@192.0.2.2").expect("a URI"),
            from: NameAddr::parse("<sip:+15550199@192.0.2.1>").expect("a name-addr"),
            to: NameAddr::parse("<sip:+15550100@192.0.2.2>").expect("a name-addr"),
            contact: NameAddr::parse("<sip:bridge@192.0.2.1:5060>").expect("a name-addr"),
            extra: Vec::new(),
            body: body.then(|| Body::sdp(OFFER)),
            credentials: None,
            first_response_within: Duration::from_millis(3500),
            provisional_within: Duration::from_secs(10),
            ring_for: Duration::from_mins(1),
            terms: Terms::default(),
        }
    }

    pub(super) fn invite(&mut self) -> InviteId {
        let outgoing = self.outgoing(true);
        self.a.invite(self.now, outgoing)
    }

    /// Takes what both sides want to send and say.
    pub(super) fn collect(&mut self) {
        for side in [Side::A, Side::B] {
            loop {
                let endpoint = if side == Side::A { &mut self.a } else { &mut self.b };
                let Some(transmit) = endpoint.poll_transmit() else { break };
                self.send(side, &transmit.bytes);
            }
        }
        while let Some(event) = self.a.poll_event() {
            self.a_events.push(event);
        }
        while let Some(event) = self.b.poll_event() {
            self.b_events.push(event);
        }
    }

    fn send(&mut self, from: Side, bytes: &Bytes) {
        let first = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let first = String::from_utf8_lossy(first).into_owned();
        self.trace.push((self.now - self.start, from, first));
        let copies = if self.rng.random_bool(self.link.duplication) { 2 } else { 1 };
        for _ in 0..copies {
            if self.rng.random_bool(self.link.loss) {
                continue;
            }
            let jitter =
                if self.link.jitter_ms == 0 { 0 } else { self.rng.random_range(0..self.link.jitter_ms) };
            self.sent += 1;
            let at = self.now + Duration::from_millis(5 + jitter);
            self.in_flight.insert((at, self.sent), (from, bytes.clone()));
        }
    }

    /// Moves to the next thing that happens, a message or a timer, if it happens before `until`.
    pub(super) fn step(&mut self, until: Instant) -> bool {
        self.collect();
        let message = self.in_flight.first_key_value().map(|((at, _), _)| *at);
        let timers = [self.a.poll_timeout(), self.b.poll_timeout()];
        let timer = timers.into_iter().flatten().map(|(at, _)| at).min();
        let Some(next) = message.into_iter().chain(timer).min().filter(|at| *at <= until) else {
            self.now = self.now.max(until);
            return false;
        };
        self.now = self.now.max(next);
        if message == Some(next) {
            if let Some((_, (from, bytes))) = self.in_flight.pop_first() {
                let to = if from == Side::A { Side::B } else { Side::A };
                let flow = self.flow(to);
                let endpoint = if to == Side::A { &mut self.a } else { &mut self.b };
                endpoint.handle_input(self.now, flow, bytes);
            }
        } else {
            self.a.handle_timeout(self.now);
            self.b.handle_timeout(self.now);
        }
        self.collect();
        true
    }

    pub(super) fn run(&mut self, for_: Duration) {
        let until = self.now + for_;
        while self.step(until) {}
    }

    pub(super) fn run_ms(&mut self, ms: u64) {
        self.run(Duration::from_millis(ms));
    }

    /// Runs until no timer and no message is left, and checks that nothing is.
    pub(super) fn drain(&mut self) {
        self.run(Duration::from_hours(1));
        for (name, endpoint) in [("a", &self.a), ("b", &self.b)] {
            assert_eq!(endpoint.leftovers(), [""; 0], "left over at {name} after all timers ran");
        }
    }

    /// The INVITE that B was offered last.
    pub(super) fn offered(&self) -> InviteId {
        self.b_events
            .iter()
            .rev()
            .find_map(|event| match event {
                Event::InviteReceived { id, .. } => Some(*id),
                _ => None,
            })
            .expect("an INVITE reached B")
    }

    /// A call that is up on both sides.
    pub(super) fn up(&mut self) -> (InviteId, InviteId) {
        let a = self.invite();
        self.run_ms(50);
        let b = self.offered();
        self.b.accept(self.now, b, Body::sdp(ANSWER), &[]).expect("accepted");
        self.run_ms(50);
        (a, b)
    }

    /// The first lines that one side has sent.
    pub(super) fn sent_by(&self, side: Side) -> Vec<&str> {
        self.trace.iter().filter(|(_, from, _)| *from == side).map(|(_, _, line)| line.as_str()).collect()
    }
}
