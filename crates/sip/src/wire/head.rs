//! The head of a message as lines: where each header starts and ends, and how long the head says the body is.
//! Both the parser and the stream framer read it here, so that they cannot disagree.

use super::{HeaderName, limits, syntax};
use bytes::Bytes;

/// The first thing found wrong, with the response to give. Later ones are not looked for.
#[derive(Clone, Copy)]
pub(super) struct Fault {
    pub(super) status: u16,
    pub(super) why: &'static str,
}

pub(super) const fn bad(why: &'static str) -> Fault {
    Fault { status: 400, why }
}

/// Where things are in a head, as byte ranges.
pub(super) struct Lines {
    /// The first line, without its CRLF.
    pub(super) start: Option<(usize, usize)>,
    /// Each header with its folds, without the last CRLF, and whether it has folds.
    pub(super) headers: Vec<(usize, usize, bool)>,
    /// Where the body starts.
    pub(super) body: usize,
    /// There are control characters, or line ends that are not CR LF: somebody must look at each line.
    pub(super) suspect: bool,
}

/// Finds the lines of a message's head.
pub(super) fn lines(head: &[u8], note: &mut impl FnMut(Fault)) -> Lines {
    let mut at = 0;
    // RFC 3261 section 7.5: CRLFs before the first line are ignored.
    while head.get(at..).is_some_and(|rest| rest.starts_with(b"\r\n")) {
        at += 2;
    }
    let first = at;
    let mut found = Lines { start: None, headers: Vec::with_capacity(24), body: head.len(), suspect: false };
    let mut ended = false;
    while let Some(length) = memchr::memchr(b'\n', head.get(at..).unwrap_or_default()) {
        let feed = at + length;
        let end = if length > 0 && head.get(feed - 1) == Some(&b'\r') { feed - 1 } else { feed };
        let line = (at, end);
        at = feed + 1;
        if line.0 == line.1 {
            found.body = at;
            ended = true;
            break;
        }
        let folded = matches!(head.get(line.0), Some(b' ' | b'\t'));
        let full = found.headers.len() == limits::HEADERS;
        let blank = |line: &[u8]| line.iter().all(|b| matches!(b, b' ' | b'\t'));
        if found.start.is_none() {
            found.start = Some(line);
        } else if folded {
            if head.get(line.0..line.1).is_some_and(blank) {
                // Legal, but a reader that trims lines would take it for the end of the headers.
                note(bad("a folded line has nothing in it"));
            }
            match found.headers.last_mut() {
                Some(last) => *last = (last.0, line.1, true),
                None => note(bad("the first header line is folded")),
            }
        } else if full {
            note(Fault { status: 513, why: "more than 256 headers" });
            break;
        } else {
            found.headers.push((line.0, line.1, false));
        }
    }
    let read = head.get(first..at).unwrap_or_default();
    found.suspect = is_suspect(read);
    if found.suspect && has_stray_line_end(read) {
        note(bad("a line does not end with CR LF"));
    }
    if !ended {
        note(bad("the empty line after the headers is missing"));
    }
    found
}

/// Whether there are control characters besides TAB, CR LF. Without branches, so that it is compiled to vector instructions.
fn is_suspect(head: &[u8]) -> bool {
    let next = head.get(1..).unwrap_or_default();
    let wrong = head.iter().zip(next).fold(0, |any, (&a, &b)| {
        let control = (a < b' ' && a != b'\t' && a != b'\r' && a != b'\n') || a == 0x7f;
        any | u8::from(control) | u8::from((a == b'\r') != (b == b'\n'))
    });
    wrong != 0 || head.first() == Some(&b'\n')
}

fn has_stray_line_end(head: &[u8]) -> bool {
    let behind_cr = |at: usize| at > 0 && head.get(at - 1) == Some(&b'\r');
    memchr::memchr_iter(b'\n', head).any(|at| !behind_cr(at))
        || memchr::memchr_iter(b'\r', head).any(|at| head.get(at + 1) != Some(&b'\n'))
}

/// Where `line` has a control character that may not stand there. Controls are legal only behind a backslash in a quoted
/// string (RFC 3261 section 25.1, quoted-pair), and then not CR or LF, which stand in folds only.
pub(super) fn bare_controls(line: &[u8]) -> impl Iterator<Item = usize> {
    let mut escaped = false;
    let mut quoted = false;
    let mut fold_until = 0;
    line.iter().enumerate().filter_map(move |(at, &b)| {
        let was_escaped = std::mem::take(&mut escaped);
        match b {
            b'"' if !was_escaped => quoted = !quoted,
            b'\\' if quoted && !was_escaped => escaped = true,
            b'\r' if matches!(line.get(at + 1..at + 3), Some(b"\n " | b"\n\t")) => fold_until = at + 2,
            _ => {}
        }
        let legal = b == b'\t' || at < fold_until || (was_escaped && !matches!(b, b'\r' | b'\n'));
        ((b < b' ' || b == 0x7f) && !legal).then_some(at)
    })
}

/// The line with blanks for these characters: a refused request is echoed into its refusal, and must not carry line ends
/// that another reader could believe in.
pub(super) fn without_controls(line: &Bytes) -> Bytes {
    let mut safe = line.to_vec();
    for at in bare_controls(line) {
        if let Some(byte) = safe.get_mut(at) {
            *byte = b' ';
        }
    }
    safe.into()
}

/// Each fold with the blanks around it becomes one blank (RFC 3261 section 7.3.1).
pub(super) fn unfolded(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for line in raw.split("\r\n") {
        let line = syntax::trim(line);
        if !line.is_empty() {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(line);
        }
    }
    out
}

/// The body length that a stream's head states, for the framer: read by the same code that reads the message, so that
/// the two cannot disagree about where it ends.
pub(crate) fn stream_length(head: &[u8]) -> Result<usize, &'static str> {
    let mut fault = None;
    let lines = lines(head, &mut |found: Fault| {
        fault.get_or_insert(found.why);
    });
    if let Some(why) = fault {
        return Err(why);
    }
    let mut stated = None;
    for &(from, to, _) in &lines.headers {
        let line = head.get(from..to).unwrap_or_default();
        let Some((name_len, value_at)) = name_and_value(line) else { continue };
        if HeaderName::from_bytes(line.get(..name_len).unwrap_or_default()) == Some(HeaderName::ContentLength)
        {
            let value = unfolded(&String::from_utf8_lossy(line.get(value_at..).unwrap_or_default()));
            let length = syntax::number(&value, u32::MAX - 1).ok_or("Content-Length is not a number")?;
            if *stated.get_or_insert(length) != length {
                return Err("Content-Length headers disagree");
            }
        }
    }
    stated.map(|length| length as usize).ok_or("a stream needs a Content-Length")
}

/// Length of the header's name, and where its value starts.
pub(super) fn name_and_value(line: &[u8]) -> Option<(usize, usize)> {
    let name_len = line.iter().position(|&b| !syntax::is_token_byte(b)).filter(|&n| n > 0)?;
    let after = line.get(name_len..)?;
    // Blanks and even folds are legal before the colon (HCOLON); they must not hide the header's name from us.
    let colon = after.iter().position(|b| !matches!(b, b' ' | b'\t' | b'\r' | b'\n'))?;
    (after.get(colon) == Some(&b':')).then_some((name_len, name_len + colon + 1))
}
