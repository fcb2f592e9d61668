//! What is nobody's business in a message, overwritten with `*` in its place: no length changes, so that Content-Length stays
//! right.
//!
//! Masked are: in `Authorization`, `Proxy-Authorization` and their `-Info`s everything but the names (user, realm, URI,
//! algorithm, protection); in SDP the keys of `a=crypto` and `a=key-mgmt` and what follows `k=`; and the digits that a body
//! of keyed digits (INFO) carries.

/// Parameters of credentials that say who and how, and nothing that helps to find the password.
const OPEN: [&[u8]; 7] = [b"username", b"realm", b"uri", b"algorithm", b"qop", b"nc", b"stale"];
/// Headers with credentials or what is derived from them.
const SECRET: [&[u8]; 4] =
    [b"authorization", b"proxy-authorization", b"authentication-info", b"proxy-authentication-info"];

/// The message with its secrets overwritten. Never longer or shorter.
pub fn masked(message: &[u8]) -> Vec<u8> {
    let mut out = message.to_vec();
    let head = head_length(message);
    let digits = mask_head(&mut out[..head]);
    mask_body(&mut out[head..], digits);
    out
}

/// Where the body begins.
fn head_length(message: &[u8]) -> usize {
    let mut at = 0;
    for line in message.split_inclusive(|&byte| byte == b'\n') {
        at += line.len();
        if line.trim_ascii().is_empty() && at > line.len() {
            return at;
        }
    }
    message.len()
}

/// Masks the headers; whether the body is said to carry digits.
fn mask_head(head: &mut [u8]) -> bool {
    let (mut secret, mut digits) = (false, false);
    for line in head.split_inclusive_mut(|&byte| byte == b'\n').skip(1) {
        let folded = line.first().is_some_and(|first| matches!(first, b' ' | b'\t'));
        let value = if folded {
            0
        } else {
            let colon = line.iter().position(|&byte| byte == b':').unwrap_or(0);
            let name = line[..colon].trim_ascii_end().to_ascii_lowercase();
            secret = SECRET.contains(&name.as_slice());
            if name == b"content-type" || name == b"c" {
                let kind = line[colon..].to_ascii_lowercase();
                digits =
                    [b"dtmf".as_slice(), b"telephone-event", b"kpml"].iter().any(|word| has(&kind, word));
            }
            colon + 1
        };
        if secret {
            mask_credentials(&mut line[value..], folded);
        }
    }
    digits
}

fn has(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|part| part == word)
}

/// Masks the values of all parameters but those of [`OPEN`]. What is not `Digest` is masked behind its first word.
fn mask_credentials(value: &mut [u8], folded: bool) {
    let begin = value.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(value.len());
    let value = &mut value[begin..];
    let scheme = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
    let has_scheme = !folded && !value[..scheme].contains(&b'=');
    if has_scheme && !value[..scheme].eq_ignore_ascii_case(b"digest") {
        return overwrite(&mut value[scheme..], false);
    }
    let mut rest = if has_scheme { &mut value[scheme..] } else { value };
    while !rest.is_empty() {
        let mut quoted = false;
        let end = rest.iter().position(|&byte| {
            quoted ^= byte == b'"';
            byte == b',' && !quoted
        });
        let (parameter, more) = rest.split_at_mut(end.map_or(rest.len(), |end| end + 1));
        let equals = parameter.iter().position(|&byte| byte == b'=').map_or(0, |at| at + 1);
        let name = parameter[..equals.saturating_sub(1)].trim_ascii().to_ascii_lowercase();
        if !OPEN.contains(&name.as_slice()) {
            let last = parameter.len() - usize::from(end.is_some());
            overwrite(&mut parameter[equals..last], true);
        }
        rest = more;
    }
}

fn mask_body(body: &mut [u8], digits: bool) {
    if digits {
        return overwrite_digits(body);
    }
    for line in body.split_inclusive_mut(|&byte| byte == b'\n') {
        let lower = line.to_ascii_lowercase();
        if lower.starts_with(b"a=crypto:") {
            mask_keys(line, &lower);
        } else if lower.starts_with(b"a=key-mgmt:") || lower.starts_with(b"k=") {
            let from = if lower[0] == b'k' { b"k=".len() } else { b"a=key-mgmt:".len() };
            overwrite(&mut line[from..], false);
        }
    }
}

/// Every `inline:KEY`, up to its lifetime or the next key (RFC 4568 section 6.1).
fn mask_keys(line: &mut [u8], lower: &[u8]) {
    let word = b"inline:";
    let mut at = 0;
    while let Some(found) = lower[at..].windows(word.len()).position(|part| part == word) {
        let begin = at + found + word.len();
        let end =
            lower[begin..].iter().position(|&byte| matches!(byte, b'|' | b';') || byte.is_ascii_whitespace());
        let end = end.map_or(line.len(), |end| begin + end);
        overwrite(&mut line[begin..end], false);
        at = end;
    }
}

/// Leaves white space, and quotes where they are wanted.
fn overwrite(secret: &mut [u8], quotes: bool) {
    for byte in secret {
        let stays = byte.is_ascii_whitespace() || (quotes && *byte == b'"');
        if !stays {
            *byte = b'*';
        }
    }
}

/// Everything but words, so that `Signal=` and `Duration=` can still be read.
fn overwrite_digits(body: &mut [u8]) {
    for line in body.split_inclusive_mut(|&byte| byte == b'\n') {
        let from = line.iter().position(|&byte| matches!(byte, b'=' | b':')).map_or(0, |at| at + 1);
        overwrite(&mut line[from..], false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let bytes = text.replace('\n', "\r\n").into_bytes();
        let masked = masked(&bytes);
        assert_eq!(masked.len(), bytes.len());
        String::from_utf8(masked).unwrap().replace("\r\n", "\n")
    }

    #[test]
    fn credentials_keep_their_names_and_lose_the_rest() {
        let said = shown(
            "INVITE sip:x SIP/2.0\nPROXY-authorization : Digest username=\"bob, jr\", realm=\"acme\",nonce=\"n0nce\",\n \
             cnonce=c, response=\"0123\", uri=\"sip:x\", qop=auth,nc=00000001\nAuthorization: Basic Ym9i\nVia: y\n\n",
        );
        assert_eq!(
            said,
            "INVITE sip:x SIP/2.0\nPROXY-authorization : Digest username=\"bob, jr\", realm=\"acme\",nonce=\"*****\",\n \
             cnonce=*, response=\"****\", uri=\"sip:x\", qop=auth,nc=00000001\nAuthorization: Basic ****\nVia: y\n\n"
        );
    }

    #[test]
    fn keys_of_sdp_are_masked_and_the_rest_of_the_line_is_not() {
        let said = shown(
            "INVITE sip:x SIP/2.0\nContent-Type: application/sdp\n\nv=0\nk=base64:c2VjcmV0\n\
             a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwg|2^20|1:4;inline:QUJD|2^20|2:4 FEC_ORDER=FEC_SRTP\n\
             A=CRYPTO:2 F8 INLINE:QUJD\na=key-mgmt:mikey AQAFgM0X\na=rtpmap:8 PCMA/8000\n",
        );
        assert_eq!(
            said,
            "INVITE sip:x SIP/2.0\nContent-Type: application/sdp\n\nv=0\nk=***************\n\
             a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:****************|2^20|1:4;inline:****|2^20|2:4 FEC_ORDER=FEC_SRTP\n\
             A=CRYPTO:2 F8 INLINE:****\na=key-mgmt:***** ********\na=rtpmap:8 PCMA/8000\n"
        );
    }

    #[test]
    fn keyed_digits_are_masked() {
        let said = shown("INFO sip:x SIP/2.0\nc: application/DTMF-relay\n\nSignal= 5\nDuration=160\n");
        assert_eq!(said, "INFO sip:x SIP/2.0\nc: application/DTMF-relay\n\nSignal= *\nDuration=***\n");
        assert_eq!(
            shown("INFO sip:x SIP/2.0\nContent-Type: application/dtmf\n\n7\n"),
            "INFO sip:x SIP/2.0\nContent-Type: application/dtmf\n\n*\n"
        );
    }

    #[test]
    fn whatever_the_bytes_the_length_stays() {
        let text = "INFO x\r\nAuthorization: Digest a=\"b\r\n =,,=\"\r\nc:dtmf\r\n\r\n=:\n\na=crypto:inline:|inline:";
        for from in 0..text.len() {
            for to in from..text.len() {
                let part = &text.as_bytes()[from..to];
                assert_eq!(masked(part).len(), part.len());
            }
        }
    }
}
