//! CSV (RFC 4180) as spreadsheets and operators write it, read with limits, and written so that no cell becomes a formula.

use std::io::{self, BufRead, Write};

/// The most bytes of one record.
pub const LONGEST_RECORD: usize = 64 * 1024;
/// The most fields of one record.
pub const MOST_FIELDS: usize = 256;

/// What a file is that cannot be read as CSV.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A record beyond the limits.
    #[error(
        "line {line}: a record has more than {LONGEST_RECORD} bytes or {MOST_FIELDS} fields; is a quote not closed?"
    )]
    TooLarge {
        /// Where it begins, from 1.
        line: u64,
    },
    /// Something behind a closing quote, or a quote that is never closed.
    #[error("line {line}: a quote is not closed, or something follows one that is")]
    Quote {
        /// Where the record begins, from 1.
        line: u64,
    },
    /// Bytes that are no UTF-8.
    #[error("line {line}: not UTF-8; save the file as UTF-8")]
    Encoding {
        /// Where the record begins, from 1.
        line: u64,
    },
}

/// One record after the other.
pub struct Reader<R> {
    from: R,
    separator: u8,
    line: u64,
    /// Where the last record began.
    began: u64,
}

impl<R: BufRead> Reader<R> {
    /// Of a file whose fields are separated by this byte. A byte-order mark is passed over.
    pub fn new(mut from: R, separator: u8) -> Result<Self, CsvError> {
        if from.fill_buf()?.starts_with(&[0xef, 0xbb, 0xbf]) {
            from.consume(3);
        }
        Ok(Self { from, separator, line: 1, began: 1 })
    }

    /// Where the record read last began, from 1.
    pub fn began_at(&self) -> u64 {
        self.began
    }

    /// The next record; empty lines are passed over. `None` at the end.
    pub fn read(&mut self) -> Result<Option<Vec<String>>, CsvError> {
        loop {
            let Some(fields) = self.record()? else { return Ok(None) };
            if fields.len() > 1 || !fields[0].is_empty() {
                return Ok(Some(fields));
            }
        }
    }

    fn record(&mut self) -> Result<Option<Vec<String>>, CsvError> {
        self.began = self.line;
        let (mut fields, mut field, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut state = State::Start;
        loop {
            let Some(byte) = self.byte()? else {
                return match state {
                    State::Quoted => Err(CsvError::Quote { line: self.began }),
                    State::Start if fields.is_empty() => Ok(None),
                    _ => {
                        fields.push(self.text(field)?);
                        Ok(Some(fields))
                    }
                };
            };
            bytes += 1;
            if bytes > LONGEST_RECORD || fields.len() >= MOST_FIELDS {
                return Err(CsvError::TooLarge { line: self.began });
            }
            match (state, byte) {
                (State::Start, b'"') => state = State::Quoted,
                (State::Quoted, b'"') => state = State::Closing,
                (State::Quoted, _) => field.push(byte),
                (State::Closing, b'"') => {
                    field.push(b'"');
                    state = State::Quoted;
                }
                (_, _) if byte == self.separator => {
                    fields.push(self.text(std::mem::take(&mut field))?);
                    state = State::Start;
                }
                (_, b'\n') => {
                    if state == State::Bare && field.last() == Some(&b'\r') {
                        field.pop();
                    }
                    fields.push(self.text(field)?);
                    return Ok(Some(fields));
                }
                (State::Closing, b'\r') => {}
                (State::Closing, _) => return Err(CsvError::Quote { line: self.began }),
                (State::Start | State::Bare, _) => {
                    field.push(byte);
                    state = State::Bare;
                }
            }
        }
    }

    fn byte(&mut self) -> Result<Option<u8>, CsvError> {
        let Some(&byte) = self.from.fill_buf()?.first() else { return Ok(None) };
        self.from.consume(1);
        self.line += u64::from(byte == b'\n');
        Ok(Some(byte))
    }

    fn text(&self, field: Vec<u8>) -> Result<String, CsvError> {
        String::from_utf8(field).map_err(|_| CsvError::Encoding { line: self.began })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the beginning of a field.
    Start,
    /// In a field without quotes.
    Bare,
    /// Between quotes.
    Quoted,
    /// Behind a quote that closes the field, unless another follows.
    Closing,
}

/// Writes one record with CRLF. A cell that a spreadsheet would take for a formula (`=`, `+`, `-`, `@`, tab or carriage return
/// in front) gets an apostrophe, unless it is a plain telephone number or decimal.
pub fn write(out: &mut impl Write, fields: &[String]) -> io::Result<()> {
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            out.write_all(b",")?;
        }
        let field = harmless(field);
        if field.contains(['"', ',', ';', '\r', '\n', '\t']) {
            write!(out, "\"{}\"", field.replace('"', "\"\""))?;
        } else {
            out.write_all(field.as_bytes())?;
        }
    }
    out.write_all(b"\r\n")
}

/// The cell as text, whatever a spreadsheet thinks of its beginning.
fn harmless(field: &str) -> std::borrow::Cow<'_, str> {
    let dangerous = field.trim_start().starts_with(['=', '+', '-', '@']) || field.starts_with(['\t', '\r']);
    let number = field.strip_prefix(['+', '-']).is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    });
    if dangerous && !number { format!("'{field}").into() } else { field.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Vec<Vec<String>>, CsvError> {
        let mut reader = Reader::new(text, b',')?;
        let mut records = Vec::new();
        while let Some(record) = reader.read()? {
            records.push(record);
        }
        Ok(records)
    }

    #[test]
    fn records_are_read_as_rfc_4180_says_and_as_spreadsheets_write_them() {
        for (text, records) in [
            ("a,b\r\n1,2\r\n", vec![vec!["a", "b"], vec!["1", "2"]]),
            ("a,b\n1,2", vec![vec!["a", "b"], vec!["1", "2"]]),
            ("\u{feff}a\n\n\nb\n", vec![vec!["a"], vec!["b"]]),
            ("\"x,\"\"y\"\"\r\nz\",\"\"\n", vec![vec!["x,\"y\"\r\nz", ""]]),
            ("a,,\n", vec![vec!["a", "", ""]]),
            ("a\"b,c\n", vec![vec!["a\"b", "c"]]),
            ("", vec![]),
        ] {
            assert_eq!(read(text.as_bytes()).expect("CSV"), records, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_csv_is_refused_with_its_line() {
        let error = |text: &[u8]| read(text).expect_err("no CSV").to_string();
        assert!(error(b"a\n\"b\n").starts_with("line 2: a quote is not closed"));
        assert!(error(b"a\n\"b\"c\n").starts_with("line 2: a quote"));
        assert!(error(b"a\n\xff\n").starts_with("line 2: not UTF-8"));
        assert!(error(&[b','; 300]).starts_with("line 1: a record has more than"));
        let mut endless = b"a\n\"".to_vec();
        endless.extend(std::iter::repeat_n(b'x', 1_000_000));
        assert!(error(&endless).starts_with("line 2: a record has more than"));
    }

    #[test]
    fn no_cell_becomes_a_formula_and_everything_is_read_back() {
        for (cell, written) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("@SUM(1)", "'@SUM(1)"),
            (" =1+1", "' =1+1"),
            ("-2+3", "'-2+3"),
            ("\t=1", "\"'\t=1\""),
            ("+4930123456", "+4930123456"),
            ("-1.50", "-1.50"),
            ("+", "'+"),
            ("+1,=x", "\"'+1,=x\""),
            ("plain, \"quoted\"", "\"plain, \"\"quoted\"\"\""),
        ] {
            let mut out = Vec::new();
            write(&mut out, &[cell.to_owned()]).expect("memory");
            assert_eq!(String::from_utf8(out.clone()).expect("text"), format!("{written}\r\n"));
            let back = read(&out).expect("CSV").remove(0).remove(0);
            assert_eq!(back.strip_prefix('\'').unwrap_or(&back), cell);
        }
    }
}
