use super::*;
use crate::testing::{OPERATOR, origin, profile};

const ACME: &str = "acme";

fn acme(lines: &str) -> Profile {
    profile(&format!("{OPERATOR}register = {{ username = \"4930123\" }}\n{lines}\n"))
}

fn trunk() -> TrunkId {
    TrunkId::new(ACME)
}

fn peer(last: u8) -> PeerKey {
    let address = ([203, 0, 113, last], 5060).into();
    PeerKey { trunk: trunk(), address, transport: crate::Transport::Udp }
}

/// The machine with its clock.
struct Bench {
    now: Instant,
    all: Registrations,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let now = origin();
        Self { now, all: Registrations::new(now, &[acme("")], seed) }
    }

    /// Goes on to the next thing that is due; how long that took.
    fn next(&mut self) -> Duration {
        let at = self.all.poll_timeout().expect("something is due");
        let took = at.saturating_duration_since(self.now);
        self.now = at.max(self.now);
        self.all.handle_timeout(self.now);
        took
    }

    /// The one REGISTER that is to be sent.
    fn asked(&mut self) -> SendRegister {
        let command = self.all.poll_command().expect("a REGISTER");
        assert_eq!(self.all.poll_command(), None, "one at a time");
        command
    }

    fn outcome(&mut self, outcome: RegisterOutcome) {
        self.all.handle_outcome(self.now, &trunk(), outcome);
    }

    fn granted(&mut self, last: u8, expires: u32) {
        self.outcome(RegisterOutcome::Granted { peer: peer(last), expires, routes: Vec::new() });
    }

    fn refused(&mut self, status: u16, retry_after: Option<u32>) {
        self.outcome(RegisterOutcome::Refused { peer: peer(10), status, retry_after, why: "no".to_owned() });
    }

    fn unreachable(&mut self, last: u8) {
        self.outcome(RegisterOutcome::Unreachable { peer: peer(last), why: "silence".to_owned() });
    }

    fn news(&mut self) -> Vec<RegistrationChange> {
        std::iter::from_fn(|| self.all.poll_event()).collect()
    }

    fn is_held(&self) -> bool {
        self.all.shown(self.now, &trunk()).expect("it is asked for").held.is_some()
    }
}

/// Registered at the first peer for so many seconds.
fn registered(seed: u64, expires: u32) -> Bench {
    let mut bench = Bench::new(seed);
    bench.next();
    bench.asked();
    bench.granted(10, expires);
    bench.news();
    bench
}

#[test]
fn the_first_register_leaves_within_a_second_and_the_grant_is_news() {
    for seed in 0..20 {
        let mut bench = Bench::new(seed);
        assert!(bench.next() <= FIRST_WITHIN);
        let expected = SendRegister { trunk: trunk(), prefer: None, tried: Vec::new(), expires: 600 };
        assert_eq!(bench.asked(), expected);
        bench.granted(10, 300);
        assert_eq!(
            bench.news(),
            [RegistrationChange::Registered { trunk: trunk(), peer: peer(10), expires: 300 }]
        );
        let shown = bench.all.shown(bench.now, &trunk()).expect("it is asked for");
        assert_eq!(shown.held, Some((peer(10), Duration::from_mins(5))));
    }
}

#[test]
fn it_is_refreshed_at_the_same_peer_before_it_runs_out_whatever_was_granted() {
    for (seed, expires) in [(1, 600), (2, 60), (3, 30), (4, 3600), (5, 2)] {
        let mut bench = registered(seed, expires);
        for _ in 0..3 {
            let share = bench.next().as_secs_f64() / f64::from(expires);
            assert!((0.69..=0.81).contains(&share), "{share} of {expires} s");
            assert_eq!(bench.asked().prefer, Some(peer(10)));
            bench.granted(10, expires);
            assert!(bench.is_held() && bench.news().is_empty(), "a refresh is no news");
        }
    }
}

#[test]
fn a_peer_that_is_silent_or_busy_leads_to_the_next_one_at_once() {
    let mut bench = Bench::new(1);
    bench.next();
    bench.asked();
    bench.unreachable(10);
    assert_eq!(bench.asked().tried, [peer(10)]);
    bench.outcome(RegisterOutcome::Refused {
        peer: peer(11),
        status: 503,
        retry_after: Some(9),
        why: "busy".to_owned(),
    });
    assert_eq!(bench.asked().tried, [peer(10), peer(11)]);
    bench.granted(12, 600);
    bench.next();
    assert_eq!(bench.asked().prefer, Some(peer(12)), "the refresh goes where the binding is");
    bench.unreachable(12);
    let command = bench.asked();
    assert_eq!((command.prefer, command.tried), (None, vec![peer(12)]));
    assert!(bench.is_held(), "what was granted counts until it runs out");
}

#[test]
fn when_nobody_is_left_the_wait_grows_to_five_minutes_and_a_peer_that_comes_up_ends_it() {
    let mut bench = Bench::new(7);
    let mut longest = Vec::new();
    for _ in 0..10 {
        longest.push(bench.next().as_secs());
        bench.asked();
        bench.unreachable(10);
        bench.asked();
        bench.outcome(RegisterOutcome::NobodyLeft);
    }
    for (at, whole) in [4, 8, 16, 32, 64, 128, 256, 300, 300].into_iter().enumerate() {
        assert!((whole / 2..=whole).contains(&longest[at + 1]), "{longest:?}");
    }
    let news = bench.news();
    assert!(
        matches!(&news[0], RegistrationChange::Failed { because, .. } if because.contains("silence")),
        "{news:?}"
    );
    bench.all.handle_peer_up(bench.now, &trunk());
    assert_eq!(bench.next(), Duration::ZERO);
    bench.asked();
}

#[test]
fn a_refusal_is_not_repeated_soon_and_a_peer_that_comes_up_does_not_change_that() {
    let mut bench = Bench::new(7);
    bench.next();
    for whole in [60, 120, 240] {
        bench.asked();
        bench.refused(403, None);
        bench.all.handle_peer_up(bench.now, &trunk());
        let wait = bench.next().as_secs();
        assert!((whole / 2..=whole).contains(&wait), "{wait} of {whole}");
    }
    bench.asked();
    bench.refused(404, Some(3000));
    assert_eq!(bench.next().as_secs(), 3000, "Retry-After");
    bench.asked();
    bench.refused(404, Some(u32::MAX));
    assert_eq!(bench.next(), LONGEST_RETRY_AFTER);
}

#[test]
fn a_registration_that_cannot_be_refreshed_ends_when_it_runs_out_and_says_why() {
    let mut bench = registered(3, 60);
    bench.next();
    bench.asked();
    bench.refused(403, None);
    assert!(bench.is_held());
    while bench.is_held() {
        bench.next();
        while bench.all.poll_command().is_some() {
            bench.refused(403, None);
        }
    }
    assert_eq!(bench.now.saturating_duration_since(origin()).as_secs() / 10, 6);
    let news = bench.news();
    assert!(
        news.iter()
            .any(|one| matches!(one, RegistrationChange::Ended { because, .. } if because.contains("403"))),
        "{news:?}"
    );
}

#[test]
fn a_trunk_that_is_drained_or_disabled_takes_its_contact_back_and_comes_again() {
    let mut bench = registered(1, 600);
    bench.all.set_draining(bench.now, &trunk(), true);
    let command = bench.asked();
    assert_eq!((command.expires, command.prefer), (0, Some(peer(10))));
    bench.granted(10, 0);
    assert_eq!(
        bench.news(),
        [RegistrationChange::Ended { trunk: trunk(), because: "it was taken back".to_owned() }]
    );
    assert_eq!(bench.all.poll_timeout(), None);
    bench.all.set_draining(bench.now, &trunk(), false);
    bench.next();
    assert_eq!(bench.asked().expires, 600);
    bench.granted(10, 600);
    bench.all.handle_profiles(bench.now, &[acme("enabled = false")]);
    assert_eq!(bench.asked().expires, 0);
    // Nobody could be told: it runs out by itself, and nobody is asked again and again.
    bench.unreachable(10);
    assert!(!bench.is_held() && bench.all.poll_timeout().is_none());
}

#[test]
fn what_is_under_way_when_the_bridge_leaves_is_taken_back_after_its_answer() {
    let mut bench = Bench::new(1);
    bench.next();
    assert_eq!(bench.asked().expires, 600);
    bench.all.leave(bench.now);
    assert_eq!(bench.all.poll_command(), None, "one at a time");
    bench.granted(10, 600);
    assert_eq!(bench.asked().expires, 0);
    bench.granted(10, 0);
    assert_eq!(bench.all.poll_timeout(), None);
    let mut silent = Bench::new(1);
    silent.next();
    silent.asked();
    silent.all.leave(silent.now);
    silent.unreachable(10);
    assert_eq!((silent.all.poll_command(), silent.all.poll_timeout()), (None, None), "nothing to take back");
}

#[test]
fn a_trunk_without_the_key_is_never_registered_and_one_that_loses_it_is_forgotten() {
    let now = origin();
    let mut all = Registrations::new(now, &[profile(OPERATOR)], 1);
    assert_eq!((all.poll_timeout(), all.shown(now, &trunk())), (None, None));
    all.handle_profiles(now, &[acme("")]);
    assert!(all.poll_timeout().is_some());
    all.handle_profiles(now, &[]);
    assert_eq!((all.poll_timeout(), all.shown(now, &trunk())), (None, None));
}

#[test]
fn what_is_under_way_when_the_credentials_change_counts_no_more() {
    let mut bench = Bench::new(1);
    bench.next();
    bench.asked();
    // Other credentials: at once again, without waiting for the answer to the old ones.
    bench.all.handle_changed(bench.now, &trunk());
    assert_eq!(bench.asked().expires, 600);
    // No registration any more: nothing is held, so nothing is left to do.
    bench.all.handle_profiles(bench.now, &[profile(OPERATOR)]);
    bench.all.handle_changed(bench.now, &trunk());
    assert_eq!((bench.all.poll_command(), bench.all.poll_timeout()), (None, None));
    assert_eq!(bench.all.shown(bench.now, &trunk()), None, "it is forgotten");
    // And one that is held is taken back first.
    let mut bench = registered(1, 600);
    bench.all.handle_profiles(bench.now, &[profile(OPERATOR)]);
    assert_eq!(bench.asked().expires, 0);
    assert!(bench.all.shown(bench.now, &trunk()).is_some());
    bench.granted(10, 0);
    assert_eq!(bench.all.shown(bench.now, &trunk()), None, "it is forgotten");
}

#[test]
fn the_service_route_counts_while_the_registration_does() {
    let mut bench = Bench::new(1);
    bench.next();
    bench.asked();
    let routes = vec!["<sip:p1.example;lr>".to_owned()];
    bench.outcome(RegisterOutcome::Granted { peer: peer(10), expires: 600, routes: routes.clone() });
    assert_eq!(bench.all.routes(&trunk()), routes);
    bench.all.leave(bench.now);
    bench.asked();
    bench.granted(10, 0);
    assert!(bench.all.routes(&trunk()).is_empty());
}
