//! Hundreds of calls over a link that loses, repeats and reorders.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::pair::*;
use crate::endpoint::*;

/// What the applications on both sides do, by a seeded plan.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Invite,
    Ring(InviteId),
    Accept(InviteId),
    Reject(InviteId),
    Reinvite(Side, InviteId),
    AnswerReinvite(Side, InviteId),
    Hangup(Side, InviteId),
}

#[derive(Default)]
struct Tally {
    answered: usize,
    established: usize,
    reinvites: usize,
    /// Ends by side and usage.
    ends: BTreeMap<(u8, InviteId), Vec<String>>,
    begun: usize,
}

struct Play {
    pair: Pair,
    rng: StdRng,
    plan: BTreeMap<(Instant, u64), Deed>,
    planned: u64,
    tally: Tally,
}

impl Play {
    fn plan(&mut self, within_ms: u64, deed: Deed) {
        self.planned += 1;
        let at = self.pair.now + Duration::from_millis(self.rng.random_range(0..=within_ms));
        self.plan.insert((at, self.planned), deed);
    }

    fn run(&mut self) {
        loop {
            let until = self.plan.first_key_value().map_or(self.pair.now, |((at, _), _)| *at);
            while self.pair.step(until) {
                self.listen();
            }
            let Some((_, deed)) = self.plan.pop_first() else { break };
            self.act(deed);
            self.pair.collect();
            self.listen();
        }
    }

    fn act(&mut self, deed: Deed) {
        let now = self.pair.now;
        // A command to a usage that has ended meanwhile is refused; that is part of the play.
        match deed {
            Deed::Invite => {
                let mut outgoing = self.pair.outgoing(self.rng.random_bool(0.8));
                outgoing.first_response_within = Duration::from_secs(32);
                outgoing.provisional_within = Duration::from_secs(32);
                let id = self.pair.a.invite(now, outgoing);
                self.tally.begun += 1;
                self.tally.ends.insert((0, id), Vec::new());
                if self.rng.random_bool(0.15) {
                    self.plan(3000, Deed::Hangup(Side::A, id));
                }
            }
            Deed::Ring(id) => drop(self.pair.b.progress(now, id, 180, None)),
            Deed::Accept(id) => drop(self.pair.b.accept(now, id, Body::sdp(ANSWER), &[])),
            Deed::Reject(id) => drop(self.pair.b.reject(now, id, 486, None, &[])),
            Deed::Reinvite(side, id) => drop(self.side(side).reinvite(now, id, Body::sdp(OFFER))),
            Deed::AnswerReinvite(side, id) => {
                let _ = self.side(side).accept_reinvite(now, id, Body::sdp(ANSWER));
            }
            Deed::Hangup(side, id) => drop(self.side(side).hangup(now, id, None)),
        }
    }

    fn side(&mut self, side: Side) -> &mut Endpoint {
        if side == Side::A { &mut self.pair.a } else { &mut self.pair.b }
    }

    fn listen(&mut self) {
        let events = std::mem::take(&mut self.pair.a_events);
        for event in events {
            self.hear(Side::A, &event);
        }
        let events = std::mem::take(&mut self.pair.b_events);
        for event in events {
            self.hear(Side::B, &event);
        }
    }

    fn hear(&mut self, side: Side, event: &Event) {
        let number = u8::from(side == Side::B);
        match event {
            Event::InviteReceived { id, .. } => {
                self.tally.ends.insert((1, *id), Vec::new());
                self.plan(2000, Deed::Ring(*id));
                let deed = if self.rng.random_bool(0.1) { Deed::Reject(*id) } else { Deed::Accept(*id) };
                self.plan(4000, deed);
            }
            Event::Answered { id, .. } => {
                self.tally.answered += 1;
                let _ = self.pair.a.acknowledge(self.pair.now, *id, Some(Body::sdp(ANSWER)));
                self.talk(Side::A, *id);
            }
            Event::Established { id, .. } => {
                self.tally.established += 1;
                self.talk(Side::B, *id);
            }
            Event::ReinviteReceived { id, .. } => self.plan(500, Deed::AnswerReinvite(side, *id)),
            Event::ReinviteAnswered { .. } => self.tally.reinvites += 1,
            Event::Failed { id, failure } => {
                self.tally.ends.entry((number, *id)).or_default().push(format!("{:?}", failure.kind));
            }
            Event::Ended { id, end } => {
                self.tally.ends.entry((number, *id)).or_default().push(format!("{end:?}"));
            }
            _ => {}
        }
    }

    /// Both may re-INVITE at nearly the same time, and both hang up at some time.
    fn talk(&mut self, side: Side, id: InviteId) {
        if self.rng.random_bool(0.5) {
            self.plan(10_000, Deed::Reinvite(side, id));
        }
        let patience = if side == Side::A { 60_000 } else { 90_000 };
        self.plan(patience, Deed::Hangup(side, id));
    }
}

fn play(transport: Transport, seed: u64, calls: usize, link: Impairment) -> Tally {
    let pair = Pair::new(transport, seed, link);
    let rng = StdRng::seed_from_u64(seed ^ 0xabcd);
    let mut play = Play { pair, rng, plan: BTreeMap::new(), planned: 0, tally: Tally::default() };
    for _ in 0..calls {
        play.plan(30_000, Deed::Invite);
    }
    play.run();
    for _ in 0..3 {
        // What comes late (a 2xx after the last deed, a lost BYE) has its own timers.
        play.pair.run(Duration::from_mins(10));
        play.listen();
        play.run();
    }
    play.pair.drain();
    play.listen();
    play.tally
}

#[test]
fn hundreds_of_calls_end_once_each_and_leave_nothing_behind_whatever_the_loss() {
    for (seed, loss, least) in [(1, 0.0, 1.0), (2, 0.05, 1.0), (3, 0.15, 0.97), (4, 0.30, 0.90)] {
        let link = Impairment { loss, duplication: 0.1, jitter_ms: 400 };
        let calls = 120;
        let tally = play(Transport::Udp, seed, calls, link);
        assert_eq!(tally.begun, calls);
        for (leg, ends) in &tally.ends {
            assert_eq!(ends.len(), 1, "loss {loss}: {leg:?} ended as {ends:?}");
        }
        let count = |word: &str| tally.ends.values().filter(|ends| ends[0].contains(word)).count();
        let lost = count("NoResponse") + count("AckTimeout") + count("DialogGone") + count("Provisional");
        let good = 1.0 - lost as f64 / tally.ends.len() as f64;
        assert!(good >= least, "loss {loss}: {lost} of {} legs were lost", tally.ends.len());
        assert!(tally.established * 10 >= calls * 6, "loss {loss}: {} established", tally.established);
        assert!(tally.answered >= tally.established * 9 / 10);
        assert!(tally.reinvites > calls / 8, "loss {loss}: {} re-INVITEs", tally.reinvites);
    }
}

#[test]
fn over_tcp_the_same_calls_need_no_repetition_of_requests() {
    let tally = play(Transport::Tcp, 9, 60, Impairment { loss: 0.0, duplication: 0.0, jitter_ms: 0 });
    assert!(tally.ends.values().all(|ends| ends.len() == 1));
    assert!(tally.reinvites > 10);
}

#[test]
fn a_seed_repeats_its_run_message_by_message() {
    let run = || {
        let link = Impairment { loss: 0.2, duplication: 0.2, jitter_ms: 300 };
        let mut pair = Pair::new(Transport::Udp, 77, link);
        for _ in 0..10 {
            pair.invite();
        }
        pair.run(Duration::from_mins(2));
        pair.trace
    };
    assert_eq!(run(), run());
}
