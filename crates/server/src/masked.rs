//! What is shown of people, without their telephone numbers (`mask_pstn_numbers`).

use serde_json::Value;

/// The members of what is shown that are numbers.
const NUMBERS: [&str; 3] = ["number", "destination", "rate_prefix"];
/// A name that a caller's exchange sent: often his number again.
const NAME: &str = "display";
/// The far end's own words for why a call has ended: some name the number.
const WORDS: &str = "reason";
/// What stands between the digits of a number that somebody wrote.
const BETWEEN: [char; 6] = [' ', '-', '/', '.', '(', ')'];
/// A name with so many digits is a number.
const DIGITS_OF_A_NUMBER: usize = 5;
/// Characters of a number that stay at its beginning and its end, so that people can be told apart.
const STAY: (usize, usize) = (3, 2);

/// Masks every number in what is shown of a meeting, or told of it, wherever it is.
pub fn mask(shown: &mut Value) {
    match shown {
        Value::Array(list) => list.iter_mut().for_each(mask),
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if NUMBERS.contains(&name.as_str()) => *text = masked(text),
                    Value::String(text) if name == NAME && is_number(text) => *text = masked(text),
                    Value::String(text) if name == WORDS => *text = without_numbers(text),
                    other => mask(other),
                }
            }
        }
        _ => {}
    }
}

fn is_number(text: &str) -> bool {
    text.chars().filter(|one| one.is_numeric()).count() >= DIGITS_OF_A_NUMBER
}

/// Words in which every number is masked.
fn without_numbers(words: &str) -> String {
    let (mut shown, mut rest) = (String::with_capacity(words.len()), words);
    while let Some(first) = rest.chars().next() {
        let (piece, behind) = rest.split_at(number_at_the_beginning(rest).max(first.len_utf8()));
        shown.push_str(&if is_number(piece) { masked(piece) } else { piece.to_owned() });
        rest = behind;
    }
    shown
}

/// Bytes up to the last digit of what this text begins with, one sign between two digits; 0 where it begins with none.
fn number_at_the_beginning(text: &str) -> usize {
    let (mut end, mut between) = (0, false);
    for (at, one) in text.char_indices() {
        if one.is_numeric() {
            (end, between) = (at + one.len_utf8(), false);
        } else if (end > 0 && !between && BETWEEN.contains(&one)) || (at == 0 && one == '+') {
            between = end > 0;
        } else {
            break;
        }
    }
    end
}

/// `+49*******01`: short ones are stars only.
fn masked(text: &str) -> String {
    let length = text.chars().count();
    let stays = |at: usize| length > 2 * (STAY.0 + STAY.1) - 2 && (at < STAY.0 || at + STAY.1 >= length);
    text.chars().enumerate().map(|(at, one)| if stays(at) { one } else { '*' }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_masked_wherever_they_are_and_names_are_not() {
        let mut shown = json!({
            "conference_id": "912308576",
            "participants": [
                { "leg": 1, "number": "+493023125001", "display": "Eve Example 2" },
                { "leg": 2, "number": null, "display": "030 231 25001" },
            ],
            "callees": [{ "leg": 3, "destination": "+4930901820" }],
            "details": { "number": "+12345" },
        });
        mask(&mut shown);
        let expected = json!({
            "conference_id": "912308576",
            "participants": [
                { "leg": 1, "number": "+49********01", "display": "Eve Example 2" },
                { "leg": 2, "number": null, "display": "030********01" },
            ],
            "callees": [{ "leg": 3, "destination": "+49******20" }],
            "details": { "number": "******" },
        });
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_number_in_what_somebody_said_is_masked_and_the_rest_of_it_stays() {
        let mut shown = json!({ "details": {
            "reason": "404 +49 30 23125001 is busy; Q.850 cause=17, 030/231-25001 (49302312500x)",
            "display": "Eve \u{664}\u{669}\u{663}\u{660}\u{662}\u{663}",
            "rate_prefix": "+493023125001",
            "cause": "busy here",
            "end_time": "2026-11-24T04:47:16.123Z",
        } });
        mask(&mut shown);
        let expected = json!({ "details": {
            "reason": "404 +49**********01 is busy; Q.850 cause=17, 030********01 (493******00x)",
            "display": "Eve*****\u{662}\u{663}",
            "rate_prefix": "+49********01",
            "cause": "busy here",
            "end_time": "2026-11-24T04:47:16.123Z",
        } });
        assert_eq!(shown, expected);
    }

    #[test]
    fn no_more_than_five_characters_of_any_number_are_left() {
        for length in 0..30 {
            let number = "7".repeat(length);
            let left = masked(&number).chars().filter(char::is_ascii_digit).count();
            assert!(left <= 5 && left * 2 <= length.max(1) + 1, "{length}: {left}");
        }
    }
}
