//! Numbers as people say them, in American English: by rule, not from a list.

use crate::prompt::PromptId;

const DIGITS: [PromptId; 10] = [
    PromptId::Digit0,
    PromptId::Digit1,
    PromptId::Digit2,
    PromptId::Digit3,
    PromptId::Digit4,
    PromptId::Digit5,
    PromptId::Digit6,
    PromptId::Digit7,
    PromptId::Digit8,
    PromptId::Digit9,
];
const TEENS: [PromptId; 10] = [
    PromptId::Ten,
    PromptId::Eleven,
    PromptId::Twelve,
    PromptId::Thirteen,
    PromptId::Fourteen,
    PromptId::Fifteen,
    PromptId::Sixteen,
    PromptId::Seventeen,
    PromptId::Eighteen,
    PromptId::Nineteen,
];
const TENS: [PromptId; 8] = [
    PromptId::Twenty,
    PromptId::Thirty,
    PromptId::Forty,
    PromptId::Fifty,
    PromptId::Sixty,
    PromptId::Seventy,
    PromptId::Eighty,
    PromptId::Ninety,
];

/// A count in some language: in English by its rules; in the others as a word where it is one in all of them (up to twenty, and whole
/// tens), and digit by digit otherwise, since their words for 21 or 95 are no sequence of ours.
pub(crate) fn count_in(english: bool, number: usize) -> Vec<PromptId> {
    let one_word = number <= 20 || (number < 100 && number.is_multiple_of(10));
    if english || one_word { count(number) } else { PromptId::spell(&number.to_string()).collect() }
}

/// A count, as the prompts that say it: 342 is "three hundred forty two". Millions have no word of their own here.
fn count(number: usize) -> Vec<PromptId> {
    let mut words = Vec::new();
    match number {
        0..=9 => words.push(DIGITS[number]),
        10..=19 => words.push(TEENS[number - 10]),
        20..=99 => {
            words.push(TENS[number / 10 - 2]);
            words.extend(rest(number % 10));
        }
        100..=999 => {
            words.extend([DIGITS[number / 100], PromptId::Hundred]);
            words.extend(rest(number % 100));
        }
        _ => {
            words.extend(count(number / 1000));
            words.push(PromptId::Thousand);
            words.extend(rest(number % 1000));
        }
    }
    words
}

/// What follows a larger word: nothing for zero.
fn rest(number: usize) -> Vec<PromptId> {
    if number == 0 { Vec::new() } else { count(number) }
}

#[cfg(test)]
mod tests {
    use super::{PromptId, count, count_in};

    fn said(number: usize) -> String {
        let words: Vec<&str> = count(number).into_iter().map(PromptId::text).collect();
        words.join(" ")
    }

    #[test]
    fn counts_are_said_as_people_say_them() {
        for (number, words) in [
            (0, "zero"),
            (1, "one"),
            (10, "ten"),
            (13, "thirteen"),
            (20, "twenty"),
            (21, "twenty one"),
            (99, "ninety nine"),
            (100, "one hundred"),
            (101, "one hundred one"),
            (117, "one hundred seventeen"),
            (342, "three hundred forty two"),
            (999, "nine hundred ninety nine"),
            (1000, "one thousand"),
            (1005, "one thousand five"),
            (12_340, "twelve thousand three hundred forty"),
        ] {
            assert_eq!(said(number), words, "{number}");
        }
    }

    #[test]
    fn other_languages_have_the_words_that_are_one_word_and_digits_else() {
        for number in [0, 7, 16, 20, 90] {
            assert_eq!(count_in(false, number), count(number), "{number}");
        }
        assert_eq!(count_in(false, 21), [PromptId::Digit2, PromptId::Digit1]);
        assert_eq!(count_in(false, 300), [PromptId::Digit3, PromptId::Digit0, PromptId::Digit0]);
        assert_eq!(count_in(true, 21), count(21));
    }

    #[test]
    fn no_two_counts_sound_alike() {
        let all: std::collections::BTreeSet<String> = (0..=2000).map(said).collect();
        assert_eq!(all.len(), 2001);
    }
}
