//! What is shown of people, without their telephone numbers (`mask_pstn_numbers`).

use serde_json::Value;

/// The members of what is shown that are numbers.
const NUMBERS: [&str; 2] = ["number", "destination"];
/// A name that a caller's exchange sent: often his number again.
const NAME: &str = "display";
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
                    other => mask(other),
                }
            }
        }
        _ => {}
    }
}

fn is_number(text: &str) -> bool {
    text.chars().filter(char::is_ascii_digit).count() >= DIGITS_OF_A_NUMBER
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
    fn no_more_than_five_characters_of_any_number_are_left() {
        for length in 0..30 {
            let number = "7".repeat(length);
            let left = masked(&number).chars().filter(char::is_ascii_digit).count();
            assert!(left <= 5 && left * 2 <= length.max(1) + 1, "{length}: {left}");
        }
    }
}
