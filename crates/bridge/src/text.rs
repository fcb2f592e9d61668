//! Text from the network, made safe for records, logs and the API: bounded, and without characters that act.

/// The most characters of a display name, a reason or a dialed number that are kept.
pub(crate) const SHORT: usize = 128;
/// The most characters of a SIP Call-ID that are kept.
pub(crate) const LONG: usize = 256;

/// At most `limit` characters; control characters, line and paragraph separators, and the marks that turn the
/// direction of text become U+FFFD.
pub(crate) fn clean(text: &str, limit: usize) -> String {
    text.chars().take(limit).map(|character| if acts(character) { '\u{FFFD}' } else { character }).collect()
}

fn acts(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}')
        || matches!(character, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}')
        || matches!(character, '\u{61C}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn control_characters_are_replaced_and_length_is_bounded() {
        let hostile = "a\r\nb\u{1b}[31m\u{0}\u{202e}\u{2028}\u{85}\"=cmd|";
        assert_eq!(
            clean(hostile, 100),
            "a\u{FFFD}\u{FFFD}b\u{FFFD}[31m\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\"=cmd|"
        );
        assert_eq!(clean(&"ä".repeat(1000), 128).chars().count(), 128);
    }
}
