//! A voice route's number pattern: .NET syntax as administrators know it, matched by a linear-time engine.
//!
//! What .NET has and this engine has not is refused by name when the table is built, as is what both would read
//! differently: a pattern that loads means the same here as it does at Microsoft. A pattern is applied to the dialed
//! number with its `+`, anywhere in it unless anchored. Matching is linear in the number's length, so that no pattern
//! can stall a decision.

use crate::automaton::Automaton;
use crate::number::E164;
use regex::bytes::{Regex, RegexBuilder};
use std::sync::Arc;

/// Microsoft's default for a route that names no pattern.
pub(crate) const DEFAULT_PATTERN: &str = "[0-9]{10}";

/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 1024;
/// The largest table of a pattern, in bytes; `^\+1(425|206)(\d{7})$` takes less than 1 KiB. A pattern that needs more
/// is matched by the regex engine itself: slower, but never exponential.
const MAX_AUTOMATON: usize = 32 * 1024;
/// The largest compiled program of the regex engine, in bytes.
const MAX_PROGRAM: usize = 64 * 1024;
/// The lazily filled transition cache of one pattern, in bytes. When it is full it is emptied; matching stays linear.
const MAX_CACHE: usize = 64 * 1024;
/// The deepest nesting of groups.
const MAX_NESTING: u32 = 32;

/// A compiled pattern. A clone shares what was compiled.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    text: Arc<str>,
    matcher: Matcher,
    prefix: Prefix,
}

/// Two ways to the same answer.
#[derive(Clone, Debug)]
enum Matcher {
    Automaton(Automaton),
    Regex(Regex),
}

impl Pattern {
    /// Compiles; the error says what is wrong and what to write instead.
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        if text.len() > MAX_PATTERN {
            return Err(format!("at most {MAX_PATTERN} bytes; split it into several routes"));
        }
        let shape = Scan::new(text).run()?;
        let regex = regex(text)?;
        let matcher = Automaton::of(text, MAX_AUTOMATON).map_or(Matcher::Regex(regex), Matcher::Automaton);
        let plain = if shape.top_level_choice || shape.inline_options { "" } else { &literal_prefix(text) };
        Ok(Self { text: text.into(), matcher, prefix: Prefix::of(plain) })
    }

    /// The pattern as written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The plain characters with which every match begins; empty where that is not certain.
    pub(crate) fn prefix(&self) -> Prefix {
        self.prefix
    }

    /// Whether it occurs in the number, `+` included.
    pub(crate) fn matches(&self, dialed: &E164) -> bool {
        match &self.matcher {
            Matcher::Automaton(automaton) => automaton.matches(dialed.digits()),
            Matcher::Regex(regex) => regex.is_match(dialed.as_str().as_bytes()),
        }
    }
}

fn regex(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text)
        .unicode(false)
        .size_limit(MAX_PROGRAM)
        .dfa_size_limit(MAX_CACHE)
        .nest_limit(MAX_NESTING)
        .build()
        .map_err(|error| reason(&error))
}

/// Up to eight characters with which a number begins, compared at once: most routes are excluded by this before
/// anything of theirs is fetched from memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Prefix {
    characters: u64,
    mask: u64,
}

impl Prefix {
    /// The first eight characters.
    pub(crate) fn of(text: &str) -> Self {
        let mut characters = [0; 8];
        let mut mask = [0; 8];
        for ((byte, character), mask) in text.bytes().zip(&mut characters).zip(&mut mask) {
            *character = byte;
            *mask = 0xff;
        }
        Self { characters: u64::from_le_bytes(characters), mask: u64::from_le_bytes(mask) }
    }

    /// Nothing, the first character, the first two, and so on to itself.
    pub(crate) fn beginnings(self) -> impl Iterator<Item = Self> {
        let length = self.mask.trailing_ones() / 8;
        (0..=length).map(move |length| {
            let mask = self.mask & 1u64.checked_shl(8 * length).map_or(u64::MAX, |bit| bit - 1);
            Self { characters: self.characters & mask, mask }
        })
    }

    /// Whether this beginning is a beginning of the other: also of whatever begins with the other.
    pub(crate) fn begins(self, other: Self) -> bool {
        other.mask & self.mask == self.mask && other.characters & self.mask == self.characters
    }
}

fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => {
            format!("a pattern that compiles to at most {MAX_PROGRAM} bytes; use smaller repetition counts")
        }
        // The last line of a syntax error is the sentence; the lines before it draw the place.
        other => {
            let text = other.to_string();
            let sentence = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("a regular expression: {sentence}")
        }
    }
}

/// The plain characters after `^`, up to the first that is not certain to be there.
fn literal_prefix(text: &str) -> String {
    let Some(mut rest) = text.strip_prefix('^') else { return String::new() };
    let mut prefix = String::new();
    loop {
        let (literal, after) = if let Some(after) = rest.strip_prefix(r"\+") {
            ('+', after)
        } else {
            match rest.chars().next() {
                Some(digit @ '0'..='9') => (digit, &rest[1..]),
                _ => return prefix,
            }
        };
        if after.starts_with(['?', '*', '{']) {
            return prefix;
        }
        prefix.push(literal);
        rest = after;
        if rest.starts_with('+') {
            return prefix;
        }
    }
}

/// What a look over the pattern found that the compiler will not say.
struct Shape {
    /// An alternation outside every group: what stands before it need not match.
    top_level_choice: bool,
    /// `(?` other than a plain or named group: letters may mean something else.
    inline_options: bool,
}

/// One walk over the pattern that knows escapes, classes and groups, and stops at the first thing .NET reads otherwise.
struct Scan<'a> {
    rest: &'a str,
    depth: usize,
    shape: Shape,
}

impl<'a> Scan<'a> {
    fn new(rest: &'a str) -> Self {
        Self { rest, depth: 0, shape: Shape { top_level_choice: false, inline_options: false } }
    }

    fn run(mut self) -> Result<Shape, String> {
        while let Some(next) = self.take() {
            match next {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                ')' => self.depth = self.depth.saturating_sub(1),
                '|' if self.depth == 0 => self.shape.top_level_choice = true,
                '{' if self.rest.starts_with(',') => {
                    return Err(
                        r"no quantifier without a lower bound: .NET reads {,n} as text; write {0,n}".into()
                    );
                }
                _ => {}
            }
        }
        Ok(self.shape)
    }

    fn take(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        Some(next)
    }

    /// After a backslash, outside a class.
    fn escape(&mut self) -> Result<(), String> {
        match self.take() {
            Some('1'..='9' | 'k') => {
                Err("no backreference (\\1, \\k<name>): a number pattern must match in linear time; \
                     spell the alternatives out"
                    .into())
            }
            Some('0') => Err(r"no octal escape (\0..); write the character itself".into()),
            Some('G') => {
                Err(r"no contiguous-match anchor (\G); a pattern is applied once, write ^ or leave it out"
                    .into())
            }
            Some('Z') => Err(r"no \Z anchor; a dialed number has no line end, write $".into()),
            Some('c') => Err(r"no control-character escape (\c.); a number has none".into()),
            Some('e') => Err(r"no escape-character escape (\e); a number has none".into()),
            Some(other) => self.escape_anywhere(other, other == 'b' || other == 'B'),
            None => Err("a character after the last backslash".into()),
        }
    }

    /// What an escape may not be, in a class or out of it.
    fn escape_anywhere(&mut self, escaped: char, boundary: bool) -> Result<(), String> {
        match escaped {
            'p' | 'P' => {
                Err(r"no Unicode category (\p{..}); a dialed number is + and digits, write [0-9]".into())
            }
            '<' | '>' => Err(format!(
                "no \\{escaped}: .NET reads it as the character, this engine as a word boundary; leave it out"
            )),
            'x' | 'u' | 'U' if self.rest.starts_with('{') || escaped == 'U' => {
                Err(format!("no \\{escaped}{{..}}: .NET does not know it; write the character itself"))
            }
            _ if boundary && self.rest.starts_with('{') => {
                Err(format!("no \\{escaped}{{..}}: .NET does not know it; write \\{escaped}"))
            }
            _ => Ok(()),
        }
    }

    /// After `[`. Where .NET and this engine disagree about classes: subtraction, nesting, set operators.
    fn class(&mut self) -> Result<(), String> {
        if let Some(rest) = self.rest.strip_prefix('^') {
            self.rest = rest;
        }
        // A `]` in first place is a character in both.
        if let Some(rest) = self.rest.strip_prefix(']') {
            self.rest = rest;
        }
        while let Some(next) = self.take() {
            match next {
                ']' => return Ok(()),
                '\\' => match self.take() {
                    Some(escaped) => self.escape_anywhere(escaped, false)?,
                    None => return Err("a character after the last backslash".into()),
                },
                '-' if self.rest.starts_with('[') => {
                    return Err(
                        "no character class subtraction ([a-z-[aeiou]]); list the characters that are meant"
                            .into(),
                    );
                }
                '[' => {
                    return Err(
                        "no [ inside a character class: .NET reads it as the character, this engine as a nested \
                         class; write \\[ or one class"
                            .into(),
                    );
                }
                '&' | '-' | '~' if self.rest.starts_with(next) => {
                    return Err(format!(
                        "no set operator ({next}{next}) in a character class: .NET does not know it"
                    ));
                }
                _ => {}
            }
        }
        Err("a ] that closes the character class".into())
    }

    /// After `(`.
    fn group(&mut self) -> Result<(), String> {
        self.depth += 1;
        let Some(kind) = self.rest.strip_prefix('?') else { return Ok(()) };
        let refused = [
            ("<=", "lookbehind ((?<=..))"),
            ("<!", "negative lookbehind ((?<!..))"),
            ("=", "lookahead ((?=..))"),
            ("!", "negative lookahead ((?!..))"),
            (">", "atomic group ((?>..))"),
            ("(", "conditional ((?(..)..|..))"),
            ("#", "inline comment ((?#..)); use the route's description"),
            ("'", "quoted group name ((?'name'..)); write (?<name>..)"),
            ("P", "Python group name ((?P<name>..)): .NET does not know it; write (?<name>..)"),
        ];
        for (start, name) in refused {
            if kind.starts_with(start) {
                let advice = if name.contains(';') {
                    ""
                } else {
                    "; order routes by priority instead of excluding numbers in a pattern"
                };
                return Err(format!("no {name}{advice}"));
            }
        }
        if let Some(named) = kind.strip_prefix('<') {
            return match named.split('>').next() {
                Some(name) if name.contains('-') => {
                    Err("no balancing group ((?<a-b>..)); a number pattern cannot count".into())
                }
                _ => Ok(()),
            };
        }
        let options: &str = kind.split([':', ')']).next().unwrap_or_default();
        if options.is_empty() {
            return Ok(());
        }
        if options.contains('n') {
            return Err("no explicit-capture option ((?n)); captures are not used, leave it out".into());
        }
        if let Some(other) = options.chars().find(|option| !"imsx-".contains(*option)) {
            return Err(format!(
                "no option {other:?} in (?..): only i, m, s and x mean the same here as in .NET"
            ));
        }
        self.shape.inline_options = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, dialed: &str) -> bool {
        let pattern = Pattern::compile(pattern).expect("a pattern");
        let dialed = dialed.parse().expect("a number");
        let found = pattern.matches(&dialed);
        let text = pattern.text();
        assert_eq!(found, regex(text).expect("a pattern").is_match(dialed.as_str().as_bytes()), "{text}");
        assert!(!found || pattern.prefix().begins(Prefix::of(dialed.as_str())), "the prefix of {text}");
        found
    }

    #[test]
    fn a_pattern_matches_anywhere_in_the_number_unless_it_is_anchored() {
        for (pattern, dialed, expected) in [
            (r"\d+", "+4930123456", true),
            (".*", "+4930123456", true),
            (DEFAULT_PATTERN, "+14255551234", true),
            (DEFAULT_PATTERN, "+493012345", false),
            (r"^\+1(425|206)(\d{7})$", "+14255551234", true),
            (r"^\+1(425|206)(\d{7})$", "+12065551234", true),
            (r"^\+1(425|206)(\d{7})$", "+13605551234", false),
            (r"^\+1(\d{10})$", "+14255551234", true),
            (r"^1(\d{10})$", "+14255551234", false),
            ("555", "+14255551234", true),
            (r"^\+49|^\+43", "+43112345", true),
            (r"^\+49?30", "+430123456", true),
            (r"^\+499*30", "+4930123456", true),
            (r"^\+499{0,2}30", "+4930123456", true),
            (r"^\+4+9", "+4449123456", true),
            (r"^(?i)\+49", "+4930123456", true),
            (r"(?<area>^\+4930)\d+", "+4930123456", true),
            (r"^\+(?:49|43)[^3-9]", "+4912345678", true),
        ] {
            assert_eq!(matches(pattern, dialed), expected, "{pattern} on {dialed}");
        }
    }

    #[test]
    fn a_pattern_too_large_for_a_table_is_matched_all_the_same() {
        let pattern = Pattern::compile(r"3\d{12}|\d*3\d{11}").expect("a pattern");
        assert!(matches!(pattern.matcher, Matcher::Regex(_)));
        assert!(matches(pattern.text(), "+1300000000000"));
        assert!(!matches(pattern.text(), "+1130000000000"));
    }

    #[test]
    fn the_plain_beginning_of_a_pattern_is_found() {
        for (pattern, prefix) in [
            (r"^\+1(425|206)", "+1"),
            (r"^\+4930", "+4930"),
            (r"^\+493?0", "+49"),
            (r"^\+49|", ""),
            (r"\+49", ""),
            (r"^(\+49|\+43)", ""),
            (r"^\+49\d", "+49"),
        ] {
            assert_eq!(Pattern::compile(pattern).expect("a pattern").prefix, Prefix::of(prefix), "{pattern}");
        }
    }

    #[test]
    fn what_dotnet_has_and_this_engine_has_not_is_refused_by_name() {
        for (pattern, name) in [
            (r"^\+1(?=425)\d+$", "lookahead"),
            (r"^\+1(?!900)\d+$", "negative lookahead"),
            (r"(?<=\+1)425", "lookbehind"),
            (r"(?<!\+1)425", "negative lookbehind"),
            (r"(?>\d+)", "atomic group"),
            (r"(?(?=1)2|3)", "conditional"),
            (r"(?(1)2|3)", "conditional"),
            (r"(?#Berlin)\+4930", "inline comment"),
            (r"(?'city'30)", "quoted group name"),
            (r"(?P<city>30)", "Python group name"),
            (r"(?<open-close>30)", "balancing group"),
            (r"(\d)\1", "backreference"),
            (r"(?<d>\d)\k<d>", "backreference"),
            (r"\053", "octal escape"),
            (r"\G\+49", "contiguous-match anchor"),
            (r"^\+49\d+\Z", r"\Z anchor"),
            (r"\p{Nd}+", "Unicode category"),
            (r"[\p{Nd}]+", "Unicode category"),
            (r"[0-9-[0]]+", "class subtraction"),
            (r"[[:digit:]]+", "inside a character class"),
            (r"[0-9&&1]+", "set operator"),
            (r"[0-9--1]+", "set operator"),
            (r"\d{,5}", "lower bound"),
            (r"(?n)(\d)", "explicit-capture"),
            (r"(?u)\d", "option 'u'"),
            (r"\b{start}49", r"\b{..}"),
            (r"\<49", r"no \<"),
            (r"\x{31}", r"\x{..}"),
            (r"\cA", "control-character"),
        ] {
            let error = Pattern::compile(pattern).expect_err(pattern);
            assert!(error.contains(name), "{pattern}: {error}");
        }
    }

    #[test]
    fn a_broken_or_greedy_pattern_is_refused_with_the_reason() {
        for (pattern, reason) in [
            ("(", "unclosed group"),
            ("[0-9", "closes the character class"),
            ("\\", "after the last backslash"),
            ("*", "repetition operator"),
            (r"((\d{100}){100}){100}", "compiles to at most"),
            (&"1".repeat(MAX_PATTERN + 1), "at most 1024 bytes"),
            (&format!("{}1{}", "(".repeat(60), ")".repeat(60)), "nest"),
        ] {
            let error = Pattern::compile(pattern).expect_err(pattern);
            assert!(error.contains(reason), "{error}");
        }
    }

    /// A drawn pattern: pieces side by side, alternatives, groups and repetitions of what numbers are made of.
    fn drawn() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            r"\+", "1", "4", "9", r"\d", "[0-4]", "[^4]", ".", "^", "$", r"\b", r"\D", "42", r"^\+", r"\z",
        ]);
        piece.prop_map(str::to_owned).prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..4).prop_map(|pieces| pieces.concat()),
                (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("{one}|{other}")),
                inner.clone().prop_map(|group| format!("({group})")),
                (inner, prop::sample::select(vec!["*", "+", "?", "{2}", "{1,3}", "*?"]))
                    .prop_map(|(group, count)| format!("(?:{group}){count}")),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn table_and_prefix_agree_with_the_regex_engine(
            text in drawn(),
            numbers in prop::collection::vec("[+][1-9][01249]{0,14}", 20),
        ) {
            let pattern = Pattern::compile(&text).expect("a pattern");
            let regex = regex(&text).expect("a pattern");
            for number in numbers {
                let dialed: E164 = number.parse().expect("a number");
                let expected = regex.is_match(number.as_bytes());
                prop_assert_eq!(pattern.matches(&dialed), expected, "{} on {}", text, number);
                prop_assert!(!expected || pattern.prefix().begins(Prefix::of(&number)), "the prefix of {}", text);
            }
        }
    }
}
