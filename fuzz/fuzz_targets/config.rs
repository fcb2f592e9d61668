//! Any text as a configuration: it is refused with a place in the text, or it is a configuration. Never a panic.
#![no_main]
use std::path::Path;

use server::config::Config;

libfuzzer_sys::fuzz_target!(|text: &str| {
    // A folder that is not there: a token file cannot be read from it.
    let Err(problems) = Config::parse(Path::new("/nowhere/partyline.toml"), text) else { return };
    assert!(!problems.0.is_empty(), "refused without a reason");
    for problem in problems.0 {
        let lines = text.matches('\n').count() + 1;
        assert!(
            problem.at.is_none_or(|(line, column)| (1..=lines).contains(&line) && column >= 1),
            "{problem}"
        );
    }
});
