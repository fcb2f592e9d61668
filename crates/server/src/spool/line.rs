//! One line of a spool file, whatever stands in the file.

use std::io::{self, BufRead};

/// No usage record is longer, so a longer line is none.
pub(crate) const LONGEST_LINE: usize = 256 * 1024;

/// Reads one line of any length, of which it keeps no more than the longest record. Its length with the line break,
/// and whether it had one.
pub(crate) fn read_line(file: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<(u64, bool)> {
    let mut length = 0;
    loop {
        let some = file.fill_buf()?;
        if some.is_empty() {
            return Ok((length, false));
        }
        let end = some.iter().position(|&byte| byte == b'\n');
        let used = end.map_or(some.len(), |at| at + 1);
        let room = LONGEST_LINE.saturating_sub(line.len());
        line.extend_from_slice(&some[..used.min(room)]);
        length += used as u64;
        file.consume(used);
        if end.is_some() {
            return Ok((length, true));
        }
    }
}
