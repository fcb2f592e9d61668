//! A pattern laid out over the alphabet of dialed numbers: `+`, then digits, then the end.
//!
//! A number has eleven kinds of step (ten digits and the end), so that a pattern's automaton is a small table and
//! matching is one look-up per digit. Because all numbers form a small language, two automata walked side by side
//! also answer questions about all numbers at once, for lint: does this pattern match any of them, does that one
//! match all that this one matches? The answer comes with a number that proves it.

use regex_automata::Anchored;
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::{primitives::StateID, start, syntax};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Ten digits and the end of the number.
const COLUMNS: usize = 11;
const END: usize = 10;
/// Nothing that follows can match.
const DEAD: u16 = 0;
/// It has matched, whatever follows.
const MATCHED: u16 = 1;

/// The lengths of number that lint considers, in digits. Shorter ones are never dialed.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// A walk longer than this, in pairs of states, is given up.
const MAX_WALK: usize = 100_000;

/// Where a pattern stands after each digit of a number.
#[derive(Clone, Debug)]
pub(crate) struct Automaton {
    /// A row of [`COLUMNS`] states for each state; the first two rows are DEAD and MATCHED.
    next: Arc<[u16]>,
    /// The state after the `+`.
    start: u16,
}

impl Automaton {
    /// Builds with at most so many bytes on the way; `None` where that is not enough, or where the pattern is none.
    pub(crate) fn of(pattern: &str, max_bytes: usize) -> Option<Self> {
        let dfa = dense::Builder::new()
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .thompson(
                thompson::Config::new()
                    .utf8(false)
                    .which_captures(WhichCaptures::None)
                    .nfa_size_limit(Some(max_bytes)),
            )
            .configure(
                dense::Config::new()
                    .start_kind(StartKind::Unanchored)
                    .dfa_size_limit(Some(max_bytes))
                    .determinize_size_limit(Some(max_bytes)),
            )
            .build(pattern)
            .ok()?;
        Layout::of(&dfa)
    }

    /// Whether the pattern occurs in the number, given as its digits without the `+`.
    pub(crate) fn matches(&self, digits: &str) -> bool {
        let mut state = self.start;
        for digit in digits.bytes() {
            if state <= MATCHED {
                break;
            }
            state = self.step(state, digit.wrapping_sub(b'0'));
        }
        self.accepts(state)
    }

    /// A number this pattern matches.
    pub(crate) fn any(&self) -> Search {
        search(self, &Self { next: Arc::new([DEAD; 2 * COLUMNS]), start: DEAD })
    }

    /// A number this pattern matches and the other does not; `Never` means that the other matches all of this one's.
    pub(crate) fn beyond(&self, other: &Self) -> Search {
        search(self, other)
    }

    fn step(&self, state: u16, digit: u8) -> u16 {
        if state == MATCHED {
            return MATCHED;
        }
        self.next.get(state as usize * COLUMNS + digit as usize).copied().unwrap_or(DEAD)
    }

    fn accepts(&self, state: u16) -> bool {
        state == MATCHED || self.next.get(state as usize * COLUMNS + END) == Some(&MATCHED)
    }
}

/// Copies what numbers can reach of a byte automaton.
struct Layout<'a> {
    dfa: &'a dense::DFA<Vec<u32>>,
    known: HashMap<StateID, u16>,
    waiting: Vec<StateID>,
}

impl<'a> Layout<'a> {
    fn of(dfa: &'a dense::DFA<Vec<u32>>) -> Option<Automaton> {
        let mut layout = Self { dfa, known: HashMap::new(), waiting: Vec::new() };
        let before = dfa.start_state(&start::Config::new().anchored(Anchored::No)).ok()?;
        let start = layout.state(dfa.next_state(before, b'+'))?;
        let mut next = vec![DEAD; 2 * COLUMNS];
        let mut done = 0;
        // In the order of discovery, so that a walk mostly goes forward in memory.
        while let Some(&state) = layout.waiting.get(done) {
            done += 1;
            for digit in b'0'..=b'9' {
                next.push(layout.state(dfa.next_state(state, digit))?);
            }
            let matched = dfa.is_match_state(dfa.next_eoi_state(state));
            next.push(if matched { MATCHED } else { DEAD });
        }
        Some(Automaton { next: next.into(), start })
    }

    /// Our number of a state; `None` when there are too many. A dense automaton reports a match one step late.
    fn state(&mut self, state: StateID) -> Option<u16> {
        if self.dfa.is_match_state(state) {
            return Some(MATCHED);
        }
        if self.dfa.is_dead_state(state) {
            return Some(DEAD);
        }
        if let Some(&known) = self.known.get(&state) {
            return Some(known);
        }
        let number = u16::try_from(self.waiting.len() + 2).ok()?;
        self.known.insert(state, number);
        self.waiting.push(state);
        Some(number)
    }
}

/// The answer to a search.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Search {
    /// This number.
    Found(String),
    /// There is none.
    Never,
    /// It would take too long to find out.
    Unknown,
}

/// Breadth first, so that the number found is one of the shortest.
fn search(within: &Automaton, without: &Automaton) -> Search {
    let mut level = vec![("+".to_owned(), within.start, without.start)];
    let mut walked = 0;
    for digits in 1..=*DIGITS.end() {
        let mut seen = HashSet::new();
        let mut next_level = Vec::new();
        for (number, inside, outside) in &level {
            // A country code does not begin with 0.
            let first = u8::from(digits == 1);
            for digit in first..=9 {
                let (inside, outside) = (within.step(*inside, digit), without.step(*outside, digit));
                if inside == DEAD || outside == MATCHED || !seen.insert((inside, outside)) {
                    continue;
                }
                let number = format!("{number}{digit}");
                if DIGITS.contains(&digits) && within.accepts(inside) && !without.accepts(outside) {
                    return Search::Found(number);
                }
                next_level.push((number, inside, outside));
            }
        }
        walked += next_level.len();
        if walked > MAX_WALK {
            return Search::Unknown;
        }
        level = next_level;
    }
    Search::Never
}

#[cfg(test)]
mod tests {
    use super::*;

    fn automaton(pattern: &str) -> Automaton {
        Automaton::of(pattern, 1 << 20).expect("a small automaton")
    }

    #[test]
    fn a_pattern_that_no_number_can_match_is_known() {
        for pattern in ["^49", "^1\\d{10}$", "\\+\\+", "^\\+\\d{16}", "^\\+0", "a", "^\\+49$", "^$", "\\d\\+"]
        {
            assert_eq!(automaton(pattern).any(), Search::Never, "{pattern}");
        }
        assert_eq!(automaton("^\\+1425").any(), Search::Found("+1425000".into()));
        assert_eq!(automaton(".*").any(), Search::Found("+1000000".into()));
        assert_eq!(automaton("^\\+\\d{15}$").any(), Search::Found("+100000000000000".into()));
    }

    #[test]
    fn whether_one_pattern_matches_all_of_another_is_known_with_a_number_that_proves_it() {
        for (narrow, wide) in [
            ("^\\+1(425|206)(\\d{7})$", "^\\+1(\\d{10})$"),
            ("^\\+1(\\d{10})$", "^\\+1"),
            ("^\\+49", ".*"),
            ("^\\+49", "\\d+"),
            ("^\\+49(30|40)", "^\\+49[34]0"),
            ("^\\+49[34]0", "^\\+49(30|40)"),
        ] {
            assert_eq!(automaton(narrow).beyond(&automaton(wide)), Search::Never, "{narrow} within {wide}");
        }
        let wide = automaton("^\\+1(\\d{10})$");
        assert_eq!(wide.beyond(&automaton("^\\+1(425|206)(\\d{7})$")), Search::Found("+10000000000".into()));
        assert_eq!(automaton("425").beyond(&automaton("^\\+?425")), Search::Found("+1000425".into()));
    }

    #[test]
    fn an_automaton_too_large_is_refused_rather_than_built() {
        assert!(Automaton::of("1\\d{14}2|\\d*3\\d{14}", 1 << 20).is_none());
        assert!(Automaton::of("(", 1 << 20).is_none());
    }
}
