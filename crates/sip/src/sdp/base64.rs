//! Base64 (RFC 4648 section 4) as `a=crypto` needs it: with or without padding, whichever the peer likes.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// The longest text that is read; a key of 44 bytes has 60.
const MAX_TEXT: usize = 64;

/// Writes bytes, with `=` at the end where `pad` says so.
pub(super) fn encode(bytes: &[u8], pad: bool) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word =
            three.iter().fold(0, |word: u32, &byte| word << 8 | u32::from(byte)) << (8 * (3 - three.len()));
        for place in 0..=three.len() {
            text.push(char::from(ALPHABET[(word >> (18 - 6 * place) & 63) as usize]));
        }
        for _ in three.len()..if pad { 3 } else { 0 } {
            text.push('=');
        }
    }
    text
}

/// Reads text; `None` where it is not base64 or too long to be a key. Padding may be right, missing or too much.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for four in text.trim_end_matches('=').as_bytes().chunks(4) {
        let mut word = 0;
        for &letter in four {
            word = word << 6 | value(letter)?;
        }
        // One letter alone is six bits and no byte.
        if four.len() == 1 {
            return None;
        }
        word <<= 6 * (4 - four.len());
        bytes.extend(word.to_be_bytes()[1..four.len()].iter());
    }
    Some(bytes)
}

fn value(letter: u8) -> Option<u32> {
    match letter {
        b'A'..=b'Z' => Some(u32::from(letter - b'A')),
        b'a'..=b'z' => Some(u32::from(letter - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(letter - b'0') + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_rfc_4648_hold_with_and_without_padding() {
        // Section 10.
        let table = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, text) in table {
            let bare = text.trim_end_matches('=');
            assert_eq!(
                (encode(bytes.as_bytes(), true).as_str(), encode(bytes.as_bytes(), false).as_str()),
                (text, bare)
            );
            for text in [text, bare] {
                assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()), "{text}");
            }
        }
    }

    #[test]
    fn every_byte_comes_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        for piece in bytes.chunks(44) {
            assert_eq!(decode(&encode(piece, true)).as_deref(), Some(piece));
        }
    }

    #[test]
    fn what_is_not_base64_or_too_long_is_nothing() {
        for text in ["A", "AAAAA", "AA=A", "AA-A", "A A", "\u{e4}AAA", &"A".repeat(65)] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
