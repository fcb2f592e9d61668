//! Comma-separated values as RFC 4180 has them.
//!
//! Any text gives records or one mistake with its place. Limits: a field has at most 4096 bytes, a record at most 64 fields.

/// Bytes of one field.
const LONGEST: usize = 4096;
/// Fields of one record.
const MOST: usize = 64;

/// One record: the line on which it begins, from 1, and its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) line: usize,
    pub(crate) fields: Vec<String>,
}

/// Why a text has no records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) line: usize,
    /// The number of the field, from 1.
    pub(crate) field: usize,
    pub(crate) found: &'static str,
    pub(crate) expected: &'static str,
}

/// Reads all records; empty lines are none.
pub(crate) fn records(text: &str) -> Result<Vec<Record>, Mistake> {
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut records, mut line) = (Vec::new(), 1);
    while !rest.is_empty() {
        let mut record = Record { line, fields: Vec::new() };
        loop {
            let place = (line, record.fields.len() + 1);
            let wrong = |found, expected| Mistake { line: place.0, field: place.1, found, expected };
            if place.1 > MOST {
                return Err(wrong("too many fields", "at most 64"));
            }
            let (field, after) = if let Some(quoted) = rest.strip_prefix('"') {
                let (field, after) = quoted_field(quoted)
                    .ok_or(wrong("a quote that never ends", "another \" behind the value"))?;
                line += field.matches('\n').count();
                (field, after)
            } else {
                let end = rest.find([',', '\n', '\r']).unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            };
            if field.len() > LONGEST {
                return Err(wrong("a field of more than 4096 bytes", "shorter ones"));
            }
            record.fields.push(field);
            if let Some(next) = after.strip_prefix(',') {
                rest = next;
                continue;
            }
            let next = after.strip_prefix("\r\n").or_else(|| after.strip_prefix('\n'));
            rest = match next {
                Some(next) => next,
                None if after.is_empty() => after,
                None => {
                    return Err(wrong(
                        "text behind a quoted value, or a lone CR",
                        "a comma or the end of the line",
                    ));
                }
            };
            line += 1;
            break;
        }
        if record.fields != [""] {
            records.push(record);
        }
    }
    Ok(records)
}

/// The value up to the closing quote, and what follows that; a doubled quote is one.
fn quoted_field(text: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        field.push_str(before);
        match after.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => return Some((field, after)),
        }
    }
}

/// Any bytes: no panic, and what is read and written again is read the same.
pub(crate) fn fuzz(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(read) = records(text) else { return };
    let quoted = |field: &String| format!("\"{}\"", field.replace('"', "\"\""));
    let written: Vec<String> =
        read.iter().map(|record| record.fields.iter().map(quoted).collect::<Vec<_>>().join(",")).collect();
    let again = records(&written.join("\n")).expect("what was written is read");
    let fields = |records: &[Record]| records.iter().map(|record| record.fields.clone()).collect::<Vec<_>>();
    assert_eq!(fields(&again), fields(&read));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_commas_quotes_and_lines_and_every_record_knows_its_line() {
        let text = "\u{feff}id,subject\r\n1,\"a, \"\"b\"\"\nc\"\n\n2,\n";
        let read = records(text).unwrap();
        let expected = [(1, vec!["id", "subject"]), (2, vec!["1", "a, \"b\"\nc"]), (5, vec!["2", ""])];
        let expected = expected
            .map(|(line, fields)| Record { line, fields: fields.into_iter().map(str::to_owned).collect() });
        assert_eq!(read, expected);
    }

    #[test]
    fn a_broken_quote_is_said_with_its_place() {
        let place = |text: &str| records(text).map_err(|mistake| (mistake.line, mistake.field));
        assert_eq!(place("a,b\nc,\"d"), Err((2, 2)));
        assert_eq!(place("\"a\"b"), Err((1, 1)));
        assert_eq!(place(&"x,".repeat(64)), Err((1, 65)));
        assert_eq!(place(&"x".repeat(4097)), Err((1, 1)));
    }

    #[test]
    fn the_seeds_of_the_fuzz_target_pass() {
        for seed in ["", "a,b\r\n\"c\"\"\",d", "\"\"", "\r", ",,,\n,", "\"a\nb\",\n\n\u{feff}"] {
            fuzz(seed.as_bytes());
        }
    }
}
