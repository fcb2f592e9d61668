//! Words for the person at the terminal, or for the program that reads them.
//!
//! A reader may have seen enough and be gone (`| head`). Then what is left to say is not said, the work goes on, and the exit code
//! is the work's own. The standard macros would end the process with a panic there; clippy refuses them in this crate.

use std::fmt::Arguments;
use std::io::{self, Write};

/// A line to standard output: what was asked for.
macro_rules! say {
    ($($words:tt)*) => { $crate::say::result(format_args!($($words)*)) };
}

/// A line to standard error: how it goes, or why not.
macro_rules! remark {
    ($($words:tt)*) => { $crate::say::remark(format_args!($($words)*)) };
}

/// See `say!`.
pub(crate) fn result(words: Arguments<'_>) {
    line(io::stdout(), words);
}

/// See `remark!`.
pub(crate) fn remark(words: Arguments<'_>) {
    line(io::stderr(), words);
}

fn line(mut to: impl Write, words: Arguments<'_>) {
    // Whoever is gone will not miss it.
    let _ = writeln!(to, "{words}").and_then(|()| to.flush());
}
