//! The body of the fuzz target `transaction_ops`: two endpoints, a hostile network between them, and commands and
//! clock steps in any order. It panics only if a promise of the engine is broken: no input makes it panic, every
//! usage ends with exactly one event, and after all timers have run nothing is left over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use crate::endpoint::{
    Body, Credentials, End, Endpoint, EndpointConfig, Event, FailureKind, Flow, InviteId, OutgoingInvite,
    OutgoingOptions, OutgoingRegister, Readiness, Reliable, SessionTimers, Terms, Transport,
};
use crate::wire::{NameAddr, Uri};

const SDP: &[u8] = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n";
/// Messages kept for replay and in flight; more are dropped, so that a long input stays fast.
const MAX_MESSAGES: usize = 64;

/// Interprets bytes as a sequence of commands, network events and clock steps.
pub fn transaction_ops(input: &[u8]) {
    run(input);
}

/// Runs the operations; returns how often each kind of event came, to show that the input got anywhere.
fn run(input: &[u8]) -> BTreeMap<&'static str, u32> {
    let mut ops = input.iter().copied();
    let transport =
        if ops.next().is_some_and(|byte| byte % 4 == 0) { Transport::Tcp } else { Transport::Udp };
    let mut world = World::new(transport);
    while let Some(op) = ops.next() {
        let argument = ops.next().unwrap_or_default();
        world.act(op, argument);
        world.collect();
    }
    world.finish()
}

struct World {
    now: Instant,
    transport: Transport,
    sides: [Endpoint; 2],
    /// Usages and how often each has ended.
    ids: [BTreeMap<InviteId, u32>; 2],
    flying: Vec<(usize, Bytes)>,
    seen: Vec<(usize, Bytes)>,
    news: BTreeMap<&'static str, u32>,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "a virtual clock needs one instant to count from")]
    fn new(transport: Transport) -> Self {
        let config = EndpointConfig {
            max_transactions: 48,
            max_invites: 12,
            terms: terms(0),
            ..EndpointConfig::default()
        };
        Self {
            now: Instant::now(),
            transport,
            sides: [Endpoint::new(config.clone(), [1; 32]), Endpoint::new(config, [2; 32])],
            ids: [BTreeMap::new(), BTreeMap::new()],
            flying: Vec::new(),
            seen: Vec::new(),
            news: BTreeMap::new(),
        }
    }

    fn flow(&self, from: usize) -> Flow {
        let address = |side: usize| ([192, 0, 2, 1 + side as u8], 5060).into();
        let connection = u64::from(self.transport.is_reliable());
        Flow { transport: self.transport, local: address(from), remote: address(1 - from), connection }
    }

    fn act(&mut self, op: u8, argument: u8) {
        let side = usize::from(argument & 1);
        let pick = usize::from(argument >> 1);
        let (now, flow) = (self.now, self.flow(side));
        let id = self.ids[side].keys().nth(pick % self.ids[side].len().max(1)).copied();
        let id = id.unwrap_or(InviteId(u64::from(argument)));
        let endpoint = &mut self.sides[side];
        match op % 32 {
            0 | 1 => {
                let outgoing = outgoing(flow, argument);
                let id = endpoint.invite(now, outgoing);
                self.ids[side].insert(id, 0);
            }
            2 => {
                let body = (argument & 64 == 0).then(|| Body::sdp(SDP));
                let _ = endpoint.progress(now, id, 170 + u16::from(argument % 40), body);
            }
            3 => drop(endpoint.accept(now, id, Body::sdp(SDP), &[])),
            4 => drop(endpoint.reject(now, id, 290 + 5 * u16::from(argument), None, &[])),
            5 => drop(endpoint.hangup(now, id, Some("Q.850;cause=16"))),
            6 => drop(endpoint.reinvite(now, id, Body::sdp(SDP))),
            7 => drop(endpoint.accept_reinvite(now, id, Body::sdp(SDP))),
            8 => drop(endpoint.reject_reinvite(now, id, 488, &[])),
            9 => drop(endpoint.acknowledge(now, id, Some(Body::sdp(SDP)))),
            10 => {
                let OutgoingInvite { flow, request_uri, from, to, contact, .. } = outgoing(flow, 0);
                let options = OutgoingOptions {
                    flow,
                    request_uri,
                    from,
                    to,
                    contact,
                    extra: Vec::new(),
                    terms: Terms::default(),
                };
                endpoint.options(now, options);
            }
            11 => endpoint.handle_flow_failed(now, &flow, "unreachable"),
            12 => self.advance(Duration::from_millis(u64::from(argument) * u64::from(argument))),
            13 => drop(self.take(pick)),
            14 => self.corrupt(pick, argument),
            15 => {
                if let Some((from, bytes)) = self.seen.get(pick % self.seen.len().max(1)).cloned() {
                    self.deliver(from, bytes);
                }
            }
            16 if argument > 200 => endpoint.set_readiness(Readiness::Draining { retry_after: 1 }),
            16 => endpoint.set_readiness(Readiness::Ready),
            17 => self.settle(),
            18 | 19 => self.whole_call(side, argument),
            21 => {
                let _ = endpoint.accept_refer(now, id).or_else(|_| endpoint.notify_refer(now, id, 200));
            }
            22 => {
                let _ = endpoint.reject_refer(now, id, 603);
            }
            23 => {
                let OutgoingInvite { flow, request_uri, from, contact, credentials, .. } =
                    outgoing(flow, argument);
                let register = OutgoingRegister {
                    flow,
                    registrar: request_uri,
                    address: from,
                    contact,
                    expires: u32::from(argument) * 30,
                    answer_within: Duration::from_secs(8),
                    credentials,
                };
                let series = endpoint.register(now, None, register.clone());
                if argument & 4 != 0 {
                    endpoint.register(now, Some(series), register);
                }
                if argument & 8 != 0 {
                    endpoint.forget_registration(series);
                }
            }
            20 => {
                self.settle();
                for side in 0..2 {
                    for id in self.ids[side].keys().copied().collect::<Vec<_>>() {
                        let _ = self.sides[side].accept_reinvite(self.now, id, Body::sdp(SDP));
                    }
                }
            }
            _ => {
                if let Some((from, bytes)) = self.take(pick) {
                    self.deliver(from, bytes);
                }
            }
        }
    }

    fn take(&mut self, pick: usize) -> Option<(usize, Bytes)> {
        (!self.flying.is_empty()).then(|| self.flying.remove(pick % self.flying.len()))
    }

    fn deliver(&mut self, from: usize, bytes: Bytes) {
        let flow = self.flow(1 - from);
        self.sides[1 - from].handle_input(self.now, flow, bytes);
    }

    /// Delivers what is in flight, in order, and what comes of it.
    fn settle(&mut self) {
        for _ in 0..MAX_MESSAGES {
            self.collect();
            let Some((from, bytes)) = self.take(0) else { return };
            self.deliver(from, bytes);
        }
    }

    /// A call that is answered, so that random operations find dialogs to act on.
    fn whole_call(&mut self, side: usize, argument: u8) {
        let outgoing = outgoing(self.flow(side), argument & 0b110);
        let id = self.sides[side].invite(self.now, outgoing);
        self.ids[side].insert(id, 0);
        self.settle();
        if let Some(id) = self.ids[1 - side].keys().last().copied() {
            let _ = self.sides[1 - side].accept(self.now, id, Body::sdp(SDP), &[]);
        }
        self.settle();
        let _ = self.sides[side].acknowledge(self.now, id, Some(Body::sdp(SDP)));
    }

    /// A message of before, with other words in it.
    fn corrupt(&mut self, pick: usize, argument: u8) {
        const SWAPS: [(&str, &str); 19] = [
            ("INVITE", "ACK"),
            ("INVITE", "CANCEL"),
            ("INVITE", "UPDATE"),
            ("INVITE", "PRACK"),
            ("ACK", "REFER"),
            ("RSeq: ", "RSeq: 1"),
            ("RAck: ", "RAck: 1"),
            ("SIP/2.0 200", "SIP/2.0 422"),
            ("refresher=ua", "refresher=x"),
            ("Supported: ", "Session-Expires: 90\r\nSupported: "),
            ("BYE", "INVITE"),
            ("SIP/2.0 200", "SIP/2.0 401"),
            ("SIP/2.0 200", "SIP/2.0 491"),
            ("SIP/2.0 100", "SIP/2.0 200"),
            ("SIP/2.0 180", "SIP/2.0 200"),
            (";tag=", ";tag=x"),
            ("z9hG4bK", "y9hG4bK"),
            ("Contact:", "Require: 100rel\r\nX:"),
            ("Content-Type: application/sdp", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\""),
        ];
        let Some((from, bytes)) = self.seen.get(pick % self.seen.len().max(1)).cloned() else { return };
        let (old, new) = SWAPS[usize::from(argument) % SWAPS.len()];
        let mut text = String::from_utf8_lossy(&bytes).replace(old, new);
        if new == "REFER" {
            let line = format!("CSeq: {} REFER\r\nRefer-To: <sip:x@192.0.2.9>\r\nX: ", 2 + pick);
            text = text.replace("CSeq: ", &line);
        }
        let mut changed = BytesMut::from(text.as_bytes());
        if argument > 200
            && let Some(byte) = changed.get_mut(pick * 7)
        {
            *byte ^= argument;
        }
        self.deliver(from, changed.freeze());
    }

    fn advance(&mut self, by: Duration) {
        let until = self.now + by;
        loop {
            let next = self.sides.iter().filter_map(Endpoint::poll_timeout).map(|(at, _)| at).min();
            let Some(at) = next.filter(|at| *at <= until) else { break };
            self.now = self.now.max(at);
            for endpoint in &mut self.sides {
                endpoint.handle_timeout(self.now);
            }
            self.collect();
        }
        self.now = until;
    }

    fn collect(&mut self) {
        for side in 0..2 {
            while let Some(transmit) = self.sides[side].poll_transmit() {
                if self.flying.len() < MAX_MESSAGES {
                    self.flying.push((side, transmit.bytes.clone()));
                }
                if self.seen.len() < MAX_MESSAGES {
                    self.seen.push((side, transmit.bytes));
                }
            }
            while let Some(event) = self.sides[side].poll_event() {
                self.note(side, &event);
            }
        }
    }

    fn note(&mut self, side: usize, event: &Event) {
        *self.news.entry(kind(event)).or_default() += 1;
        match event {
            Event::InviteReceived { id, .. } => {
                self.ids[side].insert(*id, 0);
            }
            Event::Failed { id, .. } | Event::Ended { id, .. } => {
                let ends = self.ids[side].get_mut(id).expect("only what began can end");
                *ends += 1;
                assert_eq!(*ends, 1, "a usage ended twice");
            }
            Event::Established { id, .. }
            | Event::Progress { id, .. }
            | Event::Answered { id, .. }
            | Event::ReinviteReceived { id, .. }
            | Event::ReinviteAnswered { id, .. }
            | Event::ReinviteFailed { id, .. }
            | Event::ReferReceived { id, .. } => {
                assert_eq!(self.ids[side].get(id), Some(&0), "news of a usage that has ended: {event:?}");
            }
            Event::OptionsAnswered { .. } | Event::RegisterAnswered { .. } | Event::Discarded { .. } => {}
        }
    }

    /// Hangs everything up, lets the network fall silent and all timers run, and looks for what is left.
    fn finish(mut self) -> BTreeMap<&'static str, u32> {
        self.flying.clear();
        for side in 0..2 {
            for id in self.ids[side].keys().copied().collect::<Vec<_>>() {
                let _ = self.sides[side].hangup(self.now, id, None);
            }
        }
        self.collect();
        self.advance(Duration::from_hours(1));
        for (endpoint, ids) in self.sides.iter().zip(&self.ids) {
            assert_eq!(endpoint.leftovers(), [""; 0], "left over after all timers ran");
            assert!(ids.values().all(|ends| *ends == 1), "a usage without an end");
        }
        self.news
    }
}

fn kind(event: &Event) -> &'static str {
    match event {
        Event::InviteReceived { .. } => "InviteReceived",
        Event::Established { answer: None, .. } => "Established",
        Event::Established { answer: Some(_), .. } => "Established, late answer",
        Event::Progress { .. } => "Progress",
        Event::Answered { .. } => "Answered",
        Event::Failed { failure, .. } => match failure.kind {
            FailureKind::Response => "Response",
            FailureKind::NoResponse => "NoResponse",
            FailureKind::ProvisionalTimeout => "ProvisionalTimeout",
            FailureKind::RingTimeout => "RingTimeout",
            FailureKind::Transport => "Transport",
            FailureKind::Canceled => "Canceled",
            FailureKind::Unanswered => "Unanswered",
            FailureKind::Rejected => "Rejected",
        },
        Event::ReinviteReceived { .. } => "ReinviteReceived",
        Event::ReinviteAnswered { .. } => "ReinviteAnswered",
        Event::ReinviteFailed { .. } => "ReinviteFailed",
        Event::ReferReceived { .. } => "ReferReceived",
        Event::Ended { end: End::Bye { .. }, .. } => "Bye",
        Event::Ended { end: End::AckTimeout, .. } => "AckTimeout",
        Event::Ended { end: End::Local, .. } => "Local",
        Event::Ended { end: End::Expired, .. } => "Expired",
        Event::Ended { end: End::DialogGone(_), .. } => "DialogGone",
        Event::OptionsAnswered { .. } => "OptionsAnswered",
        Event::RegisterAnswered { .. } => "RegisterAnswered",
        Event::Discarded { .. } => "Discarded",
    }
}

/// Everything that can be asked for, now and then.
fn terms(argument: u8) -> Terms {
    Terms {
        session_timer: if argument & 8 == 0 { SessionTimers::Ask } else { SessionTimers::Accept },
        session_expires: 90,
        reliable: if argument & 16 == 0 { Reliable::Supported } else { Reliable::Required },
        accept_refer: true,
        accept_replaces: true,
        ..Terms::default()
    }
}

fn outgoing(flow: Flow, argument: u8) -> OutgoingInvite {
    let address = |text: &str| NameAddr::parse(text).expect("a constant that parses");
    let credentials = Credentials { username: "u".to_owned(), password: "p".to_owned(), realm: None };
    OutgoingInvite {
        flow,
        request_uri: Uri::parse("sip:+15550100@192.0.2.2;user=phone").expect("a constant that parses"),
        from: address("<sip:+15550199@192.0.2.1>"),
        to: address("<sip:+15550100@192.0.2.2>"),
        contact: NameAddr::parse(&format!("<sip:{}>", flow.local)).expect("a constant that parses"),
        extra: Vec::new(),
        body: (argument & 2 == 0).then(|| Body::sdp(SDP)),
        credentials: (argument & 4 == 0).then_some(credentials),
        first_response_within: Duration::from_millis(3500),
        provisional_within: Duration::from_secs(10),
        ring_for: Duration::from_secs(30),
        terms: terms(argument),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn random_operations_break_no_promise() {
        let mut news: BTreeMap<&str, u32> = BTreeMap::new();
        for seed in 0..150 {
            let mut rng = StdRng::seed_from_u64(seed);
            let length = rng.random_range(20..600);
            let input: Vec<u8> = (0..length).map(|_| rng.random()).collect();
            let found = std::panic::catch_unwind(|| run(&input));
            for (kind, n) in found.unwrap_or_else(|_| panic!("seed {seed}")) {
                *news.entry(kind).or_default() += n;
            }
        }
        assert_eq!(news.len(), 25, "some kind of event never came: {news:?}");
    }
}
