//! The Call-ID of a message that nobody has parsed yet.

use bytes::Bytes;

/// The value of the first `Call-ID` (or `i`, RFC 3261 section 7.3.3) header, without a copy; `None` where there is none or
/// it is empty. Nothing else of the message is judged.
pub fn call_id(message: &Bytes) -> Option<Bytes> {
    for line in message.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return None;
        }
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let name = line[..colon].trim_ascii_end();
        if name.eq_ignore_ascii_case(b"call-id") || name.eq_ignore_ascii_case(b"i") {
            let value = line[colon + 1..].trim_ascii();
            return (!value.is_empty()).then(|| message.slice_ref(value));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &'static str) -> Option<Bytes> {
        call_id(&Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn it_is_found_under_both_names_and_with_any_blanks() {
        for head in ["Call-ID: a@b", "CALL-ID:a@b", "i :  a@b  ", "call-id\t: a@b"] {
            let text: &'static str = format!("OPTIONS sip:x SIP/2.0\r\nVia: y\r\n{head}\r\n\r\n").leak();
            assert_eq!(of(text).as_deref(), Some(b"a@b".as_slice()), "{head}");
        }
    }

    #[test]
    fn a_body_has_none_and_an_empty_one_is_none() {
        assert_eq!(of("BYE sip:x SIP/2.0\r\nVia: y\r\n\r\nCall-ID: body\r\n"), None);
        assert_eq!(of("BYE sip:x SIP/2.0\r\nCall-ID: \r\n\r\n"), None);
        assert_eq!(of(""), None);
    }
}
