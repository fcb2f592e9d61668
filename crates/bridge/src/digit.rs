//! One key of a telephone (RFC 4733 section 3.2, events 0 to 15). What a caller keys may be a secret, so a digit does
//! not show itself in debug output.

use std::fmt;

/// The most keys of one [`Keys`].
const MOST_KEYS: usize = 32;

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

/// 1 to 32 keys that somebody has pressed into a call for others: a PIN as often as not, so they do not show themselves either.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    keys: [u8; MOST_KEYS],
    length: usize,
}

/// Why a text is not [`Keys`]. It never repeats what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotKeys {
    /// There is nothing in it.
    #[error("no keys: expected 1 to 32 of 0-9, *, #, A-D")]
    Empty,
    /// There are more than 32.
    #[error("too many keys: expected 1 to 32; send them in several requests")]
    TooMany,
    /// One is not on a telephone.
    #[error("character {0} is no telephone key: expected 0-9, *, #, A-D")]
    NoKey(usize),
}

impl Keys {
    /// From `0`-`9`, `*`, `#`, `A`-`D` in either case.
    ///
    /// # Errors
    /// Says what is wrong with the text, not what it is.
    pub fn parse(text: &str) -> Result<Self, NotKeys> {
        let mut keys = Self { keys: [0; MOST_KEYS], length: 0 };
        for (place, key) in text.chars().enumerate() {
            let slot = keys.keys.get_mut(place).ok_or(NotKeys::TooMany)?;
            // Every telephone key is one octet of ASCII.
            *slot = Digit::new(key).ok_or(NotKeys::NoKey(place + 1))?.key() as u8;
            keys.length += 1;
        }
        if keys.length == 0 { Err(NotKeys::Empty) } else { Ok(keys) }
    }

    /// How many, 1 to 32.
    #[expect(clippy::len_without_is_empty, reason = "there is at least one")]
    pub fn len(&self) -> usize {
        self.length
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = Digit> {
        self.keys[..self.length].iter().map(|key| Digit(char::from(*key)))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Keys(_)")
    }
}

#[cfg(test)]
mod tests {
    use super::{Digit, Keys, NotKeys};

    #[test]
    fn keys_are_bounded_and_neither_they_nor_a_refusal_show_what_was_pressed() {
        let keys = Keys::parse("109*#Ad").unwrap();
        assert_eq!(keys.iter().map(Digit::key).collect::<String>(), "109*#AD");
        assert_eq!((keys.len(), format!("{keys:?}").as_str()), (7, "Keys(_)"));
        assert_eq!(Keys::parse(""), Err(NotKeys::Empty));
        assert_eq!(Keys::parse(&"7".repeat(33)), Err(NotKeys::TooMany));
        let refusal = Keys::parse("27182p").unwrap_err();
        assert_eq!(refusal, NotKeys::NoKey(6));
        assert!(!refusal.to_string().contains("2718"), "{refusal}");
    }

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
