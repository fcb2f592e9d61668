//! The keep-alive machine under a virtual clock, its peer played by a script.

use proptest::prelude::*;

use super::*;
use crate::testing::{MICROSOFT, OPERATOR, origin, trunks};

/// How the scripted peer treats OPTIONS.
#[derive(Clone, Copy, Debug)]
enum Played {
    Answers(u16),
    Silent,
    Refuses,
}
use Played::{Answers, Refuses, Silent};

/// A monitor, its only peer played by a script, and a virtual clock that jumps from wake-up to wake-up.
struct Run {
    monitor: Monitor,
    now: Instant,
    pings: Vec<Instant>,
    changes: Vec<Change>,
}

impl Run {
    fn new(document: &str, seed: u64) -> Self {
        let monitor = Monitor::new(origin(), trunks(document).unwrap().profiles(), seed);
        Self { monitor, now: origin(), pings: Vec::new(), changes: Vec::new() }
    }

    /// Lets the peer behave like this until so many seconds after the beginning.
    fn until(&mut self, seconds: u64, peer: Played) {
        let end = origin() + Duration::from_secs(seconds);
        for step in 0.. {
            assert!(step < 100_000, "the monitor wants to be woken without end");
            while let Some(SendOptions { peer: key, ping }) = self.monitor.poll_command() {
                self.pings.push(self.now);
                let outcome = match peer {
                    Answers(status) => PingOutcome::Answered(status),
                    Refuses => PingOutcome::TransportFailed,
                    Silent => continue,
                };
                self.monitor.handle_options_result(self.now, &key, ping, outcome);
            }
            self.changes.extend(std::iter::from_fn(|| self.monitor.poll_event()));
            match self.monitor.poll_timeout() {
                Some((at, _)) if at <= end => self.now = self.now.max(at),
                _ => break,
            }
            self.monitor.handle_timeout(self.now);
        }
        self.now = end;
    }

    fn state(&self) -> State {
        self.monitor.state(&acme())
    }

    fn pings_between(&self, from: u64, to: u64) -> usize {
        let (from, to) = (origin() + Duration::from_secs(from), origin() + Duration::from_secs(to));
        self.pings.iter().filter(|at| (from..to).contains(at)).count()
    }
}

fn acme() -> TrunkId {
    TrunkId::new("acme")
}

fn sbc() -> SocketAddr {
    "203.0.113.10:5060".parse().unwrap()
}

/// A sentence, and what the peer does until when, and what is then known. The first ping is sent within 5 s, so
/// every time has that much room.
type Scenario = (&'static str, &'static [(u64, Played, State)]);

const OPERATOR_SCENARIOS: &[Scenario] = &[
    ("a peer that was never asked is Suspect", &[(0, Silent, State::Suspect)]),
    ("an answer makes it Up", &[(6, Answers(200), State::Up)]),
    ("any 2xx is an answer", &[(6, Answers(202), State::Up)]),
    ("one miss makes it Suspect", &[(6, Answers(200), State::Up), (44, Silent, State::Suspect)]),
    ("a ping still in flight is no miss", &[(6, Answers(200), State::Up), (37, Silent, State::Up)]),
    ("two misses leave it Suspect", &[(6, Answers(200), State::Up), (97, Silent, State::Suspect)]),
    ("three misses make it Down", &[(6, Answers(200), State::Up), (104, Silent, State::Down)]),
    ("a peer that never answered is Down after three pings", &[(74, Silent, State::Down)]),
    (
        "an answer between misses begins the count anew",
        &[
            (6, Answers(200), State::Up),
            (74, Silent, State::Suspect),
            (96, Answers(200), State::Up),
            (134, Silent, State::Suspect),
            (187, Silent, State::Suspect),
            (194, Silent, State::Down),
        ],
    ),
    ("one answer brings it back", &[(104, Silent, State::Down), (136, Answers(200), State::Up)]),
    (
        "an answer that is not listed is a miss",
        &[(6, Answers(403), State::Suspect), (66, Answers(403), State::Down)],
    ),
    (
        "a 503 is a miss",
        &[(6, Answers(200), State::Up), (36, Answers(503), State::Suspect), (96, Answers(503), State::Down)],
    ),
    (
        "a refused connection counts at once and is tried again at once",
        &[(6, Answers(200), State::Up), (36, Refuses, State::Suspect), (66, Refuses, State::Down)],
    ),
];

#[test]
fn health_follows_the_table() {
    for seed in 0..20 {
        for (sentence, steps) in OPERATOR_SCENARIOS {
            let mut run = Run::new(OPERATOR, seed);
            for (until, peer, expected) in *steps {
                run.until(*until, *peer);
                assert_eq!(run.state(), *expected, "{sentence}: after {until} s, seed {seed}");
            }
        }
    }
}

#[test]
fn an_operator_is_pinged_every_30_s_and_microsoft_every_60_s() {
    let mut run = Run::new(OPERATOR, 1);
    run.until(3600, Answers(200));
    assert_eq!(run.pings.len(), 120);
    let mut run = Run::new(MICROSOFT, 1);
    run.until(3600, Answers(200));
    assert_eq!(run.pings.len(), 60);
}

#[test]
fn the_first_pings_are_spread_by_the_seed() {
    let first = |seed| {
        let mut run = Run::new(OPERATOR, seed);
        run.until(6, Answers(200));
        run.pings[0] - origin()
    };
    assert_eq!(first(7), first(7));
    let spread: std::collections::BTreeSet<Duration> = (0..20).map(first).collect();
    assert!(spread.len() > 10 && spread.iter().all(|delay| *delay <= Duration::from_secs(5)), "{spread:?}");
}

#[test]
fn a_refusing_port_is_asked_at_most_twice_an_interval() {
    let mut run = Run::new(OPERATOR, 3);
    run.until(3600, Refuses);
    assert_eq!(run.state(), State::Down);
    assert!(run.pings.len() <= 240, "{}", run.pings.len());
}

#[test]
fn accepted_codes_are_configurable() {
    let mut run = Run::new(&format!("{OPERATOR}options_accepted_codes = [\"2xx\", 404]\n"), 1);
    run.until(6, Answers(404));
    assert_eq!(run.state(), State::Up);
    run.until(36, Answers(486));
    assert_eq!(run.state(), State::Suspect);
}

#[test]
fn the_change_after_a_strange_answer_says_which_key_to_set() {
    let mut run = Run::new(OPERATOR, 1);
    run.until(6, Answers(200));
    run.until(36, Answers(405));
    let because = &run.changes.last().unwrap().because;
    assert!(because.contains("405") && because.contains("options_accepted_codes"), "{because}");
}

#[test]
fn a_live_call_makes_a_peer_up_and_forgives_a_miss_within_one_interval() {
    let mut run = Run::new(OPERATOR, 1);
    run.until(74, Silent);
    assert_eq!(run.state(), State::Down);
    run.monitor.handle_live_call(run.now, &acme(), "203.0.113.10:40000".parse().unwrap());
    assert_eq!(run.state(), State::Up);
    run.until(100, Silent);
    assert_eq!(run.state(), State::Up, "the ping after the call is forgiven");
    run.until(140, Silent);
    assert_eq!(run.state(), State::Suspect, "the one after that is not");
}

#[test]
fn a_call_from_another_address_proves_nothing() {
    let mut run = Run::new(OPERATOR, 1);
    run.until(74, Silent);
    run.monitor.handle_live_call(run.now, &acme(), "203.0.113.99:5060".parse().unwrap());
    assert_eq!(run.state(), State::Down);
}

#[test]
fn a_call_answered_at_one_port_says_nothing_about_another() {
    let mut run = Run::new(&OPERATOR.replace("}]", "}, { address = \"203.0.113.10:5080\" }]"), 1);
    run.until(74, Silent);
    run.monitor.handle_live_call(run.now, &acme(), sbc());
    let states: Vec<State> = run.monitor.peers.values().map(|watch| watch.condition.state()).collect();
    assert_eq!(states, [State::Up, State::Down]);
}

#[test]
fn an_unanswered_invite_makes_it_suspect_and_asks_at_once() {
    let mut run = Run::new(OPERATOR, 1);
    run.until(20, Answers(200));
    assert_eq!(run.pings.len(), 1);
    run.monitor.handle_call_unanswered(run.now, &acme(), sbc());
    assert_eq!(run.state(), State::Suspect);
    run.until(21, Answers(200));
    assert_eq!((run.state(), run.pings.len()), (State::Up, 2));
}

#[test]
fn a_late_answer_counts_and_a_late_failure_does_not_count_twice() {
    let mut run = Run::new(OPERATOR, 1);
    run.until(44, Silent);
    let key = PeerKey { trunk: acme(), address: sbc(), transport: Transport::Udp };
    assert_eq!(run.monitor.peers[&key].condition, Condition::Suspect { misses: 2 });
    run.monitor.handle_options_result(run.now, &key, 1, PingOutcome::NoAnswer);
    run.monitor.handle_options_result(run.now, &key, 2, PingOutcome::Answered(503));
    assert_eq!(run.monitor.peers[&key].condition, Condition::Suspect { misses: 2 });
    run.monitor.handle_options_result(run.now, &key, 1, PingOutcome::Answered(200));
    assert_eq!(run.state(), State::Up);
}

#[test]
fn after_the_third_down_in_fifteen_minutes_a_peer_must_answer_for_a_minute() {
    let mut run = Run::new(OPERATOR, 1);
    let mut at = 6;
    run.until(at, Answers(200));
    for _ in 0..2 {
        at += 100;
        run.until(at, Silent);
        assert_eq!(run.state(), State::Down);
        at += 31;
        run.until(at, Answers(200));
        assert_eq!(run.state(), State::Up, "the first two times one answer is enough");
    }
    at += 100;
    run.until(at, Silent);
    at += 31;
    run.until(at, Answers(200));
    assert_eq!(run.state(), State::Down, "the third time it is held");
    run.until(at + 28, Answers(200));
    assert_eq!(run.state(), State::Down);
    run.until(at + 61, Answers(200));
    assert_eq!(run.state(), State::Up);
    run.until(at + 1000, Answers(200));
    run.until(at + 1100, Silent);
    run.until(at + 1131, Answers(200));
    assert_eq!(run.state(), State::Up, "quiet for fifteen minutes, it is believed at once again");
}

#[test]
fn a_miss_while_held_is_a_down_and_doubles_the_hold() {
    let mut run = Run::new(OPERATOR, 1);
    run.until(6, Answers(200));
    let mut at = 6;
    for _ in 0..3 {
        run.until(at + 100, Silent);
        run.until(at + 131, Answers(200));
        at += 131;
    }
    assert_eq!(run.state(), State::Down, "held");
    run.until(at + 40, Silent);
    assert_eq!(run.monitor.peers.values().next().unwrap().condition, Condition::Down { believe_at: None });
    run.until(at + 71, Answers(200));
    run.until(at + 150, Answers(200));
    assert_eq!(run.state(), State::Down, "one minute is not enough now");
    run.until(at + 192, Answers(200));
    assert_eq!(run.state(), State::Up);
}

#[test]
fn a_drained_trunk_is_still_pinged_and_says_draining() {
    let mut run = Run::new(&format!("{OPERATOR}enabled = false\n"), 1);
    run.until(100, Answers(200));
    assert_eq!(run.state(), State::Draining);
    assert!(run.monitor.is_down(&acme()), "so it is tried last");
    assert_eq!(run.pings_between(0, 100), 4);
    let mut run = Run::new(OPERATOR, 1);
    run.until(6, Answers(200));
    run.monitor.set_draining(&acme(), true);
    assert_eq!(run.state(), State::Draining);
    run.monitor.set_draining(&acme(), false);
    assert_eq!(run.state(), State::Up);
}

#[test]
fn without_options_only_calls_tell_and_a_down_peer_is_believed_again_after_an_interval() {
    let mut run = Run::new(&format!("{OPERATOR}send_sip_options = false\n"), 1);
    run.until(1000, Silent);
    assert_eq!((run.state(), run.pings.len()), (State::Suspect, 0));
    for _ in 0..3 {
        run.monitor.handle_call_unanswered(run.now, &acme(), sbc());
    }
    assert_eq!((run.state(), run.pings.len()), (State::Down, 0));
    run.until(1029, Silent);
    assert_eq!(run.state(), State::Down);
    run.until(1031, Silent);
    assert_eq!(run.state(), State::Suspect);
    run.monitor.handle_live_call(run.now, &acme(), sbc());
    assert_eq!(run.state(), State::Up);
}

#[test]
fn a_trunk_is_as_good_as_its_best_peer_and_peers_are_tried_in_that_order() {
    let document = r#"
[[trunk]]
id = "acme"
kind = "operator"
peers = [{ address = "203.0.113.10" }, { address = "203.0.113.11" }, { address = "203.0.113.12" }]
"#;
    let trunks = trunks(document).unwrap();
    let profile = trunks.get(&acme()).unwrap();
    let mut run = Run::new(document, 1);
    run.until(104, Silent);
    assert_eq!(run.state(), State::Down);
    run.monitor.handle_live_call(run.now, &acme(), "203.0.113.12:5060".parse().unwrap());
    assert_eq!(run.state(), State::Up);
    let order: Vec<String> = run
        .monitor
        .in_order(profile, &mut StdRng::seed_from_u64(1))
        .iter()
        .map(|peer| peer.address.ip().to_string())
        .collect();
    assert_eq!(order, ["203.0.113.12", "203.0.113.10", "203.0.113.11"]);
}

#[test]
fn active_active_sites_share_the_calls_by_weight_and_a_spare_comes_last_until_both_are_down() {
    let document = r#"
[[trunk]]
id = "acme"
kind = "operator"
peers = [
  { address = "203.0.113.10", priority = 1, weight = 3 },
  { address = "203.0.113.11", priority = 1 },
  { address = "203.0.113.12", priority = 2 },
]
"#;
    let trunks = trunks(document).unwrap();
    let profile = trunks.get(&acme()).unwrap();
    let mut run = Run::new(document, 1);
    let mut random = StdRng::seed_from_u64(1);
    let mut firsts = |monitor: &Monitor| {
        let mut firsts = [0; 3];
        for _ in 0..1000 {
            let order = monitor.in_order(profile, &mut random);
            firsts[order[0].turn.entry] += 1;
            assert_eq!(order.len(), 3);
        }
        firsts
    };
    let [big, small, spare] = firsts(&run.monitor);
    // Drawn from 0 to 4 inclusive: 600 of 1000 with a deviation of 15.
    assert!(big > 520 && small > 320 && spare == 0, "{big} {small} {spare}");
    let at = |last: u8| std::net::SocketAddr::from(([203, 0, 113, last], 5060));
    for _ in 0..3 {
        run.monitor.handle_call_unanswered(run.now, &acme(), at(10));
    }
    assert_eq!(firsts(&run.monitor), [0, 1000, 0], "the other site takes them all");
    for _ in 0..3 {
        run.monitor.handle_call_unanswered(run.now, &acme(), at(11));
    }
    assert_eq!(firsts(&run.monitor), [0, 0, 1000], "and then the spare");
}

#[test]
fn a_new_configuration_keeps_what_is_known_of_a_peer() {
    let mut run = Run::new(OPERATOR, 1);
    run.until(104, Silent);
    let both = trunks(&format!("{OPERATOR}max_concurrent_sessions = 5\n{MICROSOFT}")).unwrap();
    run.monitor.handle_profiles(run.now, both.profiles());
    assert_eq!(run.state(), State::Down);
    assert_eq!(run.monitor.state(&TrunkId::new("teams")), State::Suspect);
    run.monitor.handle_profiles(run.now, &[]);
    assert_eq!(run.monitor.poll_timeout(), None);
    assert_eq!(run.monitor.states().count(), 0);
}

#[test]
fn every_wake_up_has_its_reason() {
    let mut run = Run::new(OPERATOR, 1);
    assert_eq!(run.monitor.poll_timeout().unwrap().1, TimerReason::OptionsPing);
    run.until(5, Silent);
    assert_eq!(run.monitor.poll_timeout().unwrap().1, TimerReason::OptionsUnanswered);
}

proptest! {
    #[test]
    fn whatever_the_peer_does_pings_are_bounded_changes_form_a_chain_and_a_steady_peer_ends_up(
        seed: u64,
        script in proptest::collection::vec((1u64..90, 0u8..6), 1..60),
    ) {
        let mut run = Run::new(OPERATOR, seed);
        let mut at = 0;
        for (seconds, what) in script {
            at += seconds;
            match what {
                0 | 1 => run.until(at, Answers(200)),
                2 => run.until(at, Silent),
                3 => run.until(at, Refuses),
                4 => run.monitor.handle_live_call(run.now, &acme(), sbc()),
                _ => run.monitor.handle_call_unanswered(run.now, &acme(), sbc()),
            }
            if let Some((due, _)) = run.monitor.poll_timeout() {
                prop_assert!(due >= origin());
            }
        }
        run.until(at + 1000, Answers(200));
        prop_assert_eq!(run.state(), State::Up, "a steady peer is Up in the end");
        prop_assert!(run.pings.len() as u64 <= 2 * (at + 1000) / 30 + 3);
        for change in run.changes.windows(2).filter(|pair| pair[1].peer.is_none() && pair[0].peer.is_none()) {
            prop_assert_eq!(change[0].to, change[1].from, "changes are a chain");
        }
    }
}
