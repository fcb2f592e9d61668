//! The parameters of a challenge or of credentials: `Digest name=token, name="text"`.

/// Parameters that one header may have.
const MAX: usize = 32;

/// The names, in lower case, and what they are set to, without quotes. `None`: another scheme than Digest, or unreadable.
pub(super) fn parameters(value: &str) -> Option<Vec<(String, String)>> {
    let (scheme, rest) = value.trim().split_once(|c: char| c.is_ascii_whitespace())?;
    scheme.eq_ignore_ascii_case("Digest").then_some(())?;
    list(rest)
}

/// The same without a scheme, as in Authentication-Info (RFC 7615).
pub(super) fn list(text: &str) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((name, value, after)) = next(rest) {
        if found.len() >= MAX {
            return None;
        }
        found.push((name.to_ascii_lowercase(), value));
        rest = after;
    }
    Some(found)
}

/// Splits off one `name=token` or `name="quoted"`, and the comma behind it.
fn next(text: &str) -> Option<(&str, String, &str)> {
    let text = text.trim_start_matches([' ', '\t', ',', '\r', '\n']);
    let (name, after) = text.split_once('=')?;
    let after = after.trim_start();
    let Some(inner) = after.strip_prefix('"') else {
        let end = after.find(',').unwrap_or(after.len());
        return Some((name.trim(), after.get(..end)?.trim().to_owned(), after.get(end..)?));
    };
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return Some((name.trim(), value, inner.get(at + 1..)?)),
            _ => value.push(c),
        }
    }
    None
}

/// A quoted string (RFC 3261 section 25.1).
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_quotes_and_escapes_are_read() {
        let read = parameters("DIGEST nonce=abc,realm=\"r\\\"x, y\" ,  Algorithm=md5").expect("parameters");
        let read: Vec<(&str, &str)> =
            read.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!(read, [("nonce", "abc"), ("realm", "r\"x, y"), ("algorithm", "md5")]);
    }

    #[test]
    fn other_schemes_and_endless_lists_are_not_read() {
        assert_eq!(parameters("Basic realm=\"r\""), None);
        assert_eq!(parameters("Digest"), None);
        assert_eq!(parameters(&format!("Digest {}", "a=b,".repeat(33))), None);
        assert_eq!(parameters(&format!("Digest {}", "a=b,".repeat(32))).map(|all| all.len()), Some(32));
    }
}
