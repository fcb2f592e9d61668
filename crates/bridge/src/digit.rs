//! One key of a telephone (RFC 4733 section 3.2, events 0 to 15). What a caller keys may be a secret, so a digit does
//! not show itself in debug output.

use std::fmt;

/// `0`-`9`, `*`, `#` or `A`-`D`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digit(char);

impl Digit {
    /// `None` when the character is no telephone key. Lower case letters are taken as upper case.
    pub fn new(key: char) -> Option<Self> {
        let key = key.to_ascii_uppercase();
        matches!(key, '0'..='9' | '*' | '#' | 'A'..='D').then_some(Self(key))
    }

    /// The key as a character.
    pub fn key(self) -> char {
        self.0
    }
}

impl fmt::Debug for Digit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Digit(_)")
    }
}

#[cfg(test)]
mod tests {
    use super::Digit;

    #[test]
    fn only_telephone_keys_are_digits_and_debug_hides_them() {
        for key in "0123456789*#ABCD".chars() {
            assert_eq!(Digit::new(key).map(Digit::key), Some(key));
        }
        assert_eq!(Digit::new('d').map(Digit::key), Some('D'));
        for other in ['E', ' ', '\u{660}', '+'] {
            assert_eq!(Digit::new(other), None);
        }
        assert_eq!(format!("{:?}", Digit::new('7')), "Some(Digit(_))");
    }
}
