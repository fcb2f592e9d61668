//! Which numbers a pattern matches, exactly: questions about all numbers at once, for lint.
//!
//! The numbers that can be dialled are a small language (`+`, a digit that is not 0, 6 to 14 more), so that "does
//! this pattern match any of them" and "does that one match all that this one matches" are answered by walking two
//! automata side by side. The answer comes with a number that proves it. Never used in a decision.

use regex_automata::Anchored;
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::{primitives::StateID, start, syntax};
use std::collections::HashSet;

/// The shortest and longest numbers considered, in digits. Shorter ones are never dialled.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// Automata larger than this, in bytes, are not looked into.
const MAX_AUTOMATON: usize = 1 << 20;
/// A walk longer than this, in pairs of states, is given up.
const MAX_WALK: usize = 100_000;

/// The automaton of a pattern.
pub(crate) struct Language(dense::DFA<Vec<u32>>);

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

impl Language {
    /// `None` where the pattern's automaton would be too large.
    pub(crate) fn of(pattern: &str) -> Option<Self> {
        dense::Builder::new()
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .thompson(
                thompson::Config::new()
                    .utf8(false)
                    .which_captures(WhichCaptures::None)
                    .nfa_size_limit(Some(MAX_AUTOMATON)),
            )
            .configure(
                dense::Config::new()
                    .start_kind(StartKind::Unanchored)
                    .dfa_size_limit(Some(MAX_AUTOMATON))
                    .determinize_size_limit(Some(MAX_AUTOMATON)),
            )
            .build(pattern)
            .ok()
            .map(Self)
    }

    /// A number this pattern matches.
    pub(crate) fn any(&self) -> Search {
        search(self, None)
    }

    /// A number this pattern matches and the other does not; `Never` means that the other matches all of this one's.
    pub(crate) fn beyond(&self, other: &Self) -> Search {
        search(self, Some(other))
    }

    /// The state before anything is read; `None` once matched, whatever follows.
    fn start(&self) -> Option<StateID> {
        let start = self.0.start_state(&start::Config::new().anchored(Anchored::No));
        start.ok().filter(|&state| !self.0.is_match_state(state))
    }

    fn step(&self, state: Option<StateID>, byte: u8) -> Option<StateID> {
        let next = self.0.next_state(state?, byte);
        if self.0.is_match_state(next) { None } else { Some(next) }
    }

    fn accepts(&self, state: Option<StateID>) -> bool {
        state.is_none_or(|state| self.0.is_match_state(self.0.next_eoi_state(state)))
    }

    fn is_hopeless(&self, state: Option<StateID>) -> bool {
        state.is_some_and(|state| self.0.is_dead_state(state))
    }
}

/// Breadth first, so that the number found is one of the shortest.
fn search(within: &Language, without: Option<&Language>) -> Search {
    let start = without.and_then(Language::start);
    let mut level = vec![(
        "+".to_owned(),
        within.step(within.start(), b'+'),
        without.and_then(|other| other.step(start, b'+')),
    )];
    let mut walked = 0;
    for digits in 1..=*DIGITS.end() {
        let mut seen = HashSet::new();
        let mut next_level = Vec::new();
        for (number, inside, outside) in &level {
            let first = if digits == 1 { b'1' } else { b'0' };
            for digit in first..=b'9' {
                let inside = within.step(*inside, digit);
                let outside = without.and_then(|other| other.step(*outside, digit));
                let excluded = without.is_some() && outside.is_none();
                if within.is_hopeless(inside) || excluded || !seen.insert((inside, outside)) {
                    continue;
                }
                let number = format!("{number}{}", char::from(digit));
                let rejected = without.is_none_or(|other| !other.accepts(outside));
                if DIGITS.contains(&digits) && within.accepts(inside) && rejected {
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

    fn language(pattern: &str) -> Language {
        Language::of(pattern).expect("a small automaton")
    }

    #[test]
    fn a_pattern_that_no_number_can_match_is_known() {
        for pattern in ["^49", "^1\\d{10}$", "\\+\\+", "^\\+\\d{16}", "^\\+0", "a", "^\\+49$", "^$", "\\d\\+"]
        {
            assert_eq!(language(pattern).any(), Search::Never, "{pattern}");
        }
        assert_eq!(language("^\\+1425").any(), Search::Found("+1425000".into()));
        assert_eq!(language(".*").any(), Search::Found("+1000000".into()));
        assert_eq!(language("^\\+\\d{15}$").any(), Search::Found("+100000000000000".into()));
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
            assert_eq!(language(narrow).beyond(&language(wide)), Search::Never, "{narrow} within {wide}");
        }
        let wide = language("^\\+1(\\d{10})$");
        assert_eq!(wide.beyond(&language("^\\+1(425|206)(\\d{7})$")), Search::Found("+10000000000".into()));
        assert_eq!(language("425").beyond(&language("^\\+?425")), Search::Found("+1000425".into()));
    }

    #[test]
    fn an_automaton_too_large_is_refused_rather_than_built() {
        assert!(Language::of("1\\d{14}2|\\d*3\\d{14}").is_none());
    }
}
