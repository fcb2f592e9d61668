//! `partyline check`: is this configuration good?

use std::path::Path;
use std::process::ExitCode;

use crate::config::{Config, Problem};
use crate::prompts::Prompts;

/// Exit 0 when the file is good, 2 when it is not. With `lint`, suspicious things are said too; they are no errors.
pub(super) fn run(file: &Path, lint: bool) -> ExitCode {
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(problems) => {
            eprintln!("{problems}");
            let count = problems.0.len();
            eprintln!("{count} problem{}; nothing was started", if count == 1 { "" } else { "s" });
            return ExitCode::from(2);
        }
    };
    // Not a matter of the file alone, and yet `serve` would not start.
    let (folder, map) = &config.media.prompts;
    if let Err(error) = Prompts::load(folder, map.as_deref()) {
        eprintln!("{}: `media.prompts`: {error}", file.display());
        eprintln!("1 problem; nothing was started");
        return ExitCode::from(2);
    }
    println!(
        "{}: good: {} trunks, {} numbers, {} meetings",
        file.display(),
        config.trunks.profiles().len(),
        config.table.numbers().len(),
        config.directory.len(),
    );
    if lint {
        // Only for the line numbers: without the text a remark is still worth saying.
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let found = routing::lint(&config.table);
        for one in &found {
            let place = Some(one.span.clone()).filter(|_| !text.is_empty());
            println!("{}", Problem::at_span(file, &text, place, "", one.to_string(), ""));
        }
        println!("lint: {} remark{}", found.len(), if found.len() == 1 { "" } else { "s" });
    }
    ExitCode::SUCCESS
}
