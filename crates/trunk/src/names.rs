//! Keeps track of where the peers are that the configuration names: asks the DNS again when an answer has run out, and keeps the
//! last good one while the DNS says nothing.
//!
//! Drive it: [`Names::poll_question`] until `None` and ask the DNS, [`Names::handle_answer`] with what came, [`Names::poll_change`]
//! until `None`, then wait for [`Names::poll_timeout`] at the latest and call [`Names::handle_timeout`].

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::locate::{Answer, Answers, Name, Place, Question, Step, locate};
use crate::profile::Transport;

/// After a failure the next attempt comes so soon; the wait doubles up to [`LATEST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_secs(2);
const LATEST_RETRY: Duration = Duration::from_mins(1);

/// Where a name leads has changed, or could not be found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameChange {
    /// Its places are others than before.
    Moved {
        /// Which.
        name: Name,
        /// Where it leads now, in order.
        places: Vec<Place>,
    },
    /// Nobody could tell; where it led before, it still does. Told once, until it is found again.
    Lost {
        /// Which.
        name: Name,
        /// What to look at.
        because: String,
        /// Places that are kept from the last good answer.
        kept: usize,
    },
    /// It is found again, where it was.
    Found {
        /// Which.
        name: Name,
    },
}

/// The names of all peers. See the module's text.
#[derive(Debug)]
pub struct Names {
    supported: Vec<Transport>,
    watched: BTreeMap<Name, Watched>,
    questions: VecDeque<(Name, Question)>,
    changes: VecDeque<NameChange>,
    random: StdRng,
}

#[derive(Debug)]
struct Watched {
    places: Vec<Place>,
    state: State,
    lost: bool,
    /// Failures one after the other.
    failures: u32,
}

#[derive(Debug)]
enum State {
    /// Questions are under way; what was answered so far.
    Asking(Answers),
    /// Nothing to do before this.
    Until(Instant),
}

impl Names {
    /// Starts to look for all of them. `supported` are our own transports, the ones we like best first; `seed` makes the draws among
    /// SRV records.
    pub fn new(
        names: impl IntoIterator<Item = Name>,
        supported: Vec<Transport>,
        now: Instant,
        seed: u64,
    ) -> Self {
        let watched = names.into_iter().map(|name| {
            (name, Watched { places: Vec::new(), state: State::Until(now), lost: false, failures: 0 })
        });
        let mut all = Self {
            supported,
            watched: watched.collect(),
            questions: VecDeque::new(),
            changes: VecDeque::new(),
            random: StdRng::seed_from_u64(seed),
        };
        all.handle_timeout(now);
        all
    }

    /// Where each name leads at present; empty for one that was never found.
    pub fn places(&self) -> BTreeMap<Name, Vec<Place>> {
        self.watched.iter().map(|(name, watched)| (name.clone(), watched.places.clone())).collect()
    }

    /// True while no name waits for its very first answer.
    pub fn is_settled(&self) -> bool {
        let waits = |one: &Watched| one.places.is_empty() && one.failures == 0;
        !self.watched.values().any(waits)
    }

    /// What to ask the DNS.
    pub fn poll_question(&mut self) -> Option<(Name, Question)> {
        self.questions.pop_front()
    }

    /// What the DNS said; `Err` when it said nothing or nothing of use, with what to look at. That there are no such records is an
    /// answer: an empty one.
    pub fn handle_answer(
        &mut self,
        now: Instant,
        name: &Name,
        question: Question,
        answer: Result<Answer, String>,
    ) {
        let Some(watched) = self.watched.get_mut(name) else { return };
        let State::Asking(answers) = &mut watched.state else { return };
        match answer {
            Ok(answer) => {
                answers.insert(question, answer);
                self.go_on(now, name);
            }
            Err(because) => self.failed(now, name, because),
        }
    }

    /// What has changed.
    pub fn poll_change(&mut self) -> Option<NameChange> {
        self.changes.pop_front()
    }

    /// When to call [`Names::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let next = |watched: &Watched| match watched.state {
            State::Asking(_) => None,
            State::Until(at) => Some(at),
        };
        self.watched.values().filter_map(next).min()
    }

    /// Asks again for what has run out.
    pub fn handle_timeout(&mut self, now: Instant) {
        let due = |watched: &Watched| matches!(watched.state, State::Until(at) if at <= now);
        let names: Vec<Name> =
            self.watched.iter().filter(|(_, one)| due(one)).map(|(name, _)| name.clone()).collect();
        for name in names {
            if let Some(watched) = self.watched.get_mut(&name) {
                watched.state = State::Asking(Answers::new());
            }
            self.go_on(now, &name);
        }
    }

    fn go_on(&mut self, now: Instant, name: &Name) {
        let Some(watched) = self.watched.get_mut(name) else { return };
        let State::Asking(answers) = &watched.state else { return };
        match locate(name, &self.supported, answers, &mut self.random) {
            Step::Ask(question) => self.questions.push_back((name.clone(), question)),
            Step::Located { places, ttl } => {
                watched.state = State::Until(now + ttl);
                watched.failures = 0;
                let was_lost = std::mem::take(&mut watched.lost);
                // The draw among equals is made once: a name whose records stay as they are does not wander.
                let mut sorted = (watched.places.clone(), places.clone());
                sorted.0.sort_by_key(|place| (place.address, place.transport));
                sorted.1.sort_by_key(|place| (place.address, place.transport));
                if sorted.0 != sorted.1 {
                    watched.places.clone_from(&places);
                    self.changes.push_back(NameChange::Moved { name: name.clone(), places });
                } else if was_lost {
                    self.changes.push_back(NameChange::Found { name: name.clone() });
                }
            }
            Step::Nowhere { because, .. } => self.failed(now, name, because),
        }
    }

    /// A zone that is empty for a moment is a mistake of its owner and no wish to lose his calls, so that too keeps the last answer.
    fn failed(&mut self, now: Instant, name: &Name, because: String) {
        let Some(watched) = self.watched.get_mut(name) else { return };
        let wait = FIRST_RETRY.saturating_mul(1 << watched.failures.min(5)).min(LATEST_RETRY);
        watched.failures += 1;
        watched.state = State::Until(now + wait);
        if !std::mem::replace(&mut watched.lost, true) {
            let kept = watched.places.len();
            self.changes.push_back(NameChange::Lost { name: name.clone(), because, kept });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locate::Records;
    use crate::testing::origin;

    const TTL: Duration = Duration::from_mins(1);

    fn teams() -> Name {
        Name { host: "sip.example".to_owned(), port: Some(5061), transport: Some(Transport::Tls) }
    }

    fn address(last: u8) -> Answer {
        Answer { records: Records::Addresses(vec![[192, 0, 2, last].into()]), ttl: TTL }
    }

    fn names(now: Instant) -> Names {
        Names::new([teams()], vec![Transport::Tls], now, 7)
    }

    fn moved(last: u8) -> NameChange {
        let place = Place { address: ([192, 0, 2, last], 5061).into(), transport: Transport::Tls };
        NameChange::Moved { name: teams(), places: vec![place] }
    }

    /// Answers the one question there is.
    fn answer(names: &mut Names, now: Instant, answer: Result<Answer, String>) -> Vec<NameChange> {
        let (name, question) = names.poll_question().expect("a question");
        assert_eq!(names.poll_question(), None);
        names.handle_answer(now, &name, question, answer);
        std::iter::from_fn(|| names.poll_change()).collect()
    }

    #[test]
    fn a_name_is_asked_for_at_once_and_again_when_its_answer_has_run_out() {
        let start = origin();
        let mut names = names(start);
        assert!(!names.is_settled());
        assert_eq!(answer(&mut names, start, Ok(address(1))), [moved(1)]);
        assert!(names.is_settled());
        assert_eq!(names.poll_timeout(), Some(start + TTL));
        names.handle_timeout(start + TTL.saturating_sub(Duration::from_millis(1)));
        assert_eq!(names.poll_question(), None);
        names.handle_timeout(start + TTL);
        assert_eq!(answer(&mut names, start + TTL, Ok(address(1))), [], "nothing has changed");
        names.handle_timeout(start + 2 * TTL);
        assert_eq!(answer(&mut names, start + 2 * TTL, Ok(address(2))), [moved(2)]);
    }

    #[test]
    fn while_the_dns_is_away_the_last_good_answer_counts_and_it_is_told_once() {
        let start = origin();
        let mut names = names(start);
        answer(&mut names, start, Ok(address(1)));
        let mut now = start + TTL;
        let mut waits = Vec::new();
        for round in 0..8 {
            names.handle_timeout(now);
            let told = answer(&mut names, now, Err("no answer".to_owned()));
            let lost = NameChange::Lost { name: teams(), because: "no answer".to_owned(), kept: 1 };
            assert_eq!(told, if round == 0 { vec![lost] } else { Vec::new() });
            assert_eq!(names.places()[&teams()].len(), 1);
            let next = names.poll_timeout().expect("another attempt");
            waits.push((next - now).as_secs());
            now = next;
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60]);
        names.handle_timeout(now);
        assert_eq!(answer(&mut names, now, Ok(address(1))), [NameChange::Found { name: teams() }]);
        assert_eq!(names.poll_timeout(), Some(now + TTL));
    }

    #[test]
    fn an_empty_zone_keeps_the_last_answer_too() {
        let start = origin();
        let mut names = names(start);
        answer(&mut names, start, Ok(address(1)));
        names.handle_timeout(start + TTL);
        let nothing = Answer { records: Records::Addresses(Vec::new()), ttl: TTL };
        let told = answer(&mut names, start + TTL, Ok(nothing));
        assert!(matches!(&told[..], [NameChange::Lost { kept: 1, .. }]), "{told:?}");
    }

    #[test]
    fn a_name_that_was_never_found_is_settled_after_its_first_failure() {
        let start = origin();
        let mut names = names(start);
        answer(&mut names, start, Err("refused".to_owned()));
        assert!(names.is_settled() && names.places()[&teams()].is_empty());
    }

    #[test]
    fn an_answer_that_nobody_waits_for_changes_nothing() {
        let start = origin();
        let mut names = names(start);
        let (name, question) = names.poll_question().expect("a question");
        names.handle_answer(start, &name, question.clone(), Ok(address(1)));
        assert!(names.poll_change().is_some());
        names.handle_answer(start, &name, question, Ok(address(9)));
        assert_eq!(names.poll_change(), None);
    }
}
