//! `partyline usage`: totals, export and reconciliation of the usage records in a spool's folder. No running bridge is needed, and a
//! running one is not disturbed.

use std::fs::File;
use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use routing::DialPlan;
use serde_json::json;

use super::Output;
use super::table::Table;
use crate::usage::reconcile::{Columns, Reconciliation, Rules};
use crate::usage::report::{By, Report};
use crate::usage::{Row, export, read};

/// Which records.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The folder of the usage records: `usage.spool` of the configuration.
    #[arg(long, global = true, env = "PARTYLINE_USAGE", default_value = "usage")]
    folder: PathBuf,
    /// Only legs that began in this month (UTC), `2026-11`, or on this day, `2026-11-23`.
    #[arg(long, global = true)]
    during: Option<String>,
    #[command(subcommand)]
    job: Job,
}

#[derive(Debug, Subcommand)]
enum Job {
    /// Totals: legs, time and charges.
    Report {
        /// By what totals are made, in this order.
        #[arg(long, value_enum, value_delimiter = ',', default_value = "month,tenant,owner")]
        by: Vec<By>,
        #[command(flatten)]
        output: Output,
    },
    /// Every answered leg, to the output.
    Export {
        /// In which form.
        #[arg(long, value_enum, default_value = "pstn-csv")]
        format: Format,
    },
    /// Compare an operator's own records with ours. Exit 1 when there is a dispute.
    Reconcile(Box<Reconcile>),
}

/// A form of export.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// CSV (RFC 4180) in the columns of Microsoft's PSTN usage report.
    PstnCsv,
}

#[derive(Debug, Args)]
struct Reconcile {
    /// The operator's file: CSV with a headline.
    file: PathBuf,
    /// Only legs that this party bills: `operator:acme`, `microsoft`, `customer`.
    #[arg(long)]
    biller: Option<String>,
    /// The column of who called.
    #[arg(long, default_value = "caller")]
    caller_column: String,
    /// The column of who was called.
    #[arg(long, default_value = "called")]
    called_column: String,
    /// The column of when it was answered: RFC 3339, or without an offset for UTC.
    #[arg(long, default_value = "start")]
    start_column: String,
    /// The column of how long it lasted: seconds, or h:mm:ss.
    #[arg(long, default_value = "duration")]
    duration_column: String,
    /// What separates fields: one character, `tab` for a tabulator.
    #[arg(long, default_value = ",", value_parser = separator)]
    separator: u8,
    /// How many seconds apart the two beginnings of one call may be.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    tolerance: u64,
    /// How many seconds apart the two durations of one call may be: what the operator rounds to.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=3600))]
    rounding: u64,
    /// The country code of the operator's numbers that have none.
    #[arg(long)]
    country_code: Option<String>,
    #[command(flatten)]
    output: Output,
}

fn separator(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => Ok(*byte),
        b"tab" => Ok(b'\t'),
        _ => Err("one character, or `tab`".to_owned()),
    }
}

/// Exit codes: 0 done, 1 a dispute or a file that cannot be read, 2 wrong usage.
pub(super) fn run(options: &Options) -> ExitCode {
    let done = match &options.job {
        Job::Report { by, output } => report(options, by, *output),
        Job::Export { format: Format::PstnCsv } => pstn_csv(options),
        Job::Reconcile(job) => reconcile(options, job),
    };
    done.unwrap_or_else(|why| {
        remark!("{why}");
        ExitCode::FAILURE
    })
}

/// Gives every final record that is asked for to `each`.
fn records(options: &Options, mut each: impl FnMut(&Row)) -> Result<(), String> {
    let during = options.during.as_deref().unwrap_or("");
    let unreadable = read(&options.folder, None, |row| {
        if row.invite_time.starts_with(during) {
            each(row);
        }
    })
    .map_err(|error| {
        format!(
            "{}: cannot be read: {error}; --folder names the folder of usage.jsonl",
            options.folder.display()
        )
    })?;
    if unreadable > 0 {
        remark!("{}: {unreadable} lines are no usage records and were passed over", options.folder.display());
    }
    Ok(())
}

fn report(options: &Options, by: &[By], output: Output) -> Result<ExitCode, String> {
    let mut report = Report::new(by);
    records(options, |row| report.add(row))?;
    if report.beyond > 0 {
        remark!("{} records are beyond the groups that a report may have: group by less", report.beyond);
    }
    if output.is_json() {
        say!("{}", report.json());
        return Ok(ExitCode::SUCCESS);
    }
    let words =
        ["dial-in", "dial-out", "answered", "minutes", "billed min", "pool min", "unknown", "charges"];
    let headline: Vec<&str> = by.iter().map(|by| by.word()).chain(words).collect();
    let mut table = Table::new(&headline);
    for (group, totals) in report.groups() {
        let minutes = |seconds: u64| format!("{}:{:02}", seconds / 60, seconds % 60);
        let numbers = [
            totals.dial_in.to_string(),
            totals.dial_out.to_string(),
            totals.answered.to_string(),
            minutes(totals.duration_ms / 1000),
            minutes(totals.billed_seconds),
            minutes(totals.pool_seconds),
            totals.unknown.to_string(),
            totals.charges(),
        ];
        let cells: Vec<String> = group.iter().cloned().chain(numbers).collect();
        table.row(&cells);
    }
    table.print();
    Ok(ExitCode::SUCCESS)
}

fn pstn_csv(options: &Options) -> Result<ExitCode, String> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut failed = export::headline(&mut out).err();
    records(options, |row| {
        if failed.is_none() {
            failed = export::write(&mut out, row).err();
        }
    })?;
    let failed = failed.or(out.flush().err());
    match failed {
        // Whoever reads has read enough: `| head`.
        Some(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Some(error) => Err(format!("the output cannot be written: {error}")),
        None => Ok(ExitCode::SUCCESS),
    }
}

fn reconcile(options: &Options, job: &Reconcile) -> Result<ExitCode, String> {
    let plan = match &job.country_code {
        None => DialPlan::international(),
        Some(code) => match DialPlan::of_country(code) {
            Ok(plan) => plan,
            Err(error) => {
                remark!("--country-code {code}: {error}");
                return Ok(ExitCode::from(2));
            }
        },
    };
    let rules = Rules { tolerance_ms: job.tolerance * 1000, rounding_ms: job.rounding * 1000, plan };
    let columns = Columns {
        caller: job.caller_column.clone(),
        called: job.called_column.clone(),
        start: job.start_column.clone(),
        duration: job.duration_column.clone(),
    };
    let mut reconciliation = open(&job.file)
        .and_then(|file| {
            Reconciliation::read(file, job.separator, &columns, rules).map_err(|error| error.to_string())
        })
        .map_err(|why| format!("{}: {why}", job.file.display()))?;
    let biller = job.biller.as_deref();
    records(options, |row| {
        if biller.is_none() || row.biller.as_deref() == biller {
            reconciliation.compare(row);
        }
    })?;
    let agreed = reconciliation.agreed;
    let disputes = reconciliation.disputes();
    if job.output.is_json() {
        say!("{}", json!({ "agreed": agreed, "disputes": disputes }));
    } else {
        let mut table =
            Table::new(&["dispute", "began", "caller", "called", "our s", "their s", "line", "usage_id"]);
        for one in &disputes {
            let number =
                |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
            table.row(&[
                one.kind.word().to_owned(),
                one.start.clone(),
                one.caller.clone(),
                one.called.clone(),
                number(one.our_seconds),
                number(one.their_seconds),
                number(one.line),
                one.usage_id.clone().unwrap_or_else(|| "-".to_owned()),
            ]);
        }
        table.print();
        say!("{agreed} calls agree, {} are disputed", disputes.len());
    }
    Ok(if disputes.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn open(path: &Path) -> Result<BufReader<File>, String> {
    File::open(path).map(BufReader::new).map_err(|error| format!("cannot be read: {error}"))
}
