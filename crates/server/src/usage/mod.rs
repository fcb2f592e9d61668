//! Usage records read back: what was spent, and the tools of billing.

pub mod csv;
pub mod export;
pub mod reconcile;
mod records;
pub mod report;
mod spool_reader;

use std::path::Path;
use std::time::SystemTime;

use bridge::{Spending, SpentLeg, Stamp};

pub use records::{Row, RowEnd, read};
pub use spool_reader::{Page, Place, SpoolReader, Wanted};

/// What the dial-outs of this month have cost, by the records in a spool's folder. What cannot be read is not taken for nothing:
/// dial-outs that run against a limit are refused then, and all other calls are taken.
pub fn spent(folder: &Path, now: SystemTime) -> Spending {
    let mut spending = Spending::at(now);
    let count = |row: &Row| {
        if let Some(leg) = spent_leg(row) {
            spending.add(&leg);
        }
    };
    let since = Some(Spending::month_began(now));
    let why = match (records::packed(folder, since), read(folder, since, count)) {
        (Ok(None), Ok(0)) => return spending,
        (Ok(Some(packed)), _) => format!("{} is no plain file of records: unpack it", packed.display()),
        (_, Ok(lines)) => format!("{lines} lines are no usage records: mend them, or take them out"),
        (Err(error), _) | (_, Err(error)) => error.to_string(),
    };
    tracing::error!(
        folder = %folder.display(),
        why,
        "what was spent this month cannot be read: dial-outs that run against a spending limit or a minute pool are refused until it \
         is mended and the bridge restarted"
    );
    Spending::unread(now)
}

fn spent_leg(row: &Row) -> Option<SpentLeg> {
    if !matches!(row.call_type.as_str(), "conf_out" | "call_me") {
        return None;
    }
    let end = row.end.as_ref()?;
    // A leg that a crash cut short has no end; it was closed at the next start.
    let ended: Stamp = end.end_time.as_deref().unwrap_or(&row.written).parse().ok()?;
    let currency = end.currency.as_deref().and_then(|currency| currency.parse().ok());
    Some(SpentLeg {
        tenant: row.tenant.as_deref()?.into(),
        organizer: row.organizer.as_deref()?.into(),
        ended: ended.0,
        charge: end.charge_micros.map(bridge::Micros).zip(currency),
        pool_seconds: end.pool_seconds.unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_that_cannot_be_read_is_not_taken_for_an_empty_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let now = SystemTime::now();
        assert!(!spent(folder.path(), now).is_incomplete(), "nothing is there, and all of it was read");
        // A file that cannot be read, whoever asks.
        std::fs::create_dir(folder.path().join("usage-2999-01-01T00-00-00.000Z.jsonl")).expect("a folder");
        assert!(spent(folder.path(), now).is_incomplete());
    }

    #[test]
    fn records_that_are_damaged_or_packed_away_are_not_taken_for_nothing() {
        let now = "2026-11-24T00:00:00Z".parse::<Stamp>().expect("a moment").0;
        let unread = |name: &str, text: &str| {
            let folder = tempfile::tempdir().expect("a folder");
            std::fs::write(folder.path().join(name), text).expect("a file");
            spent(folder.path(), now).is_incomplete()
        };
        let (whole, aside) = ("{\"kind\":\"final\"}\n", "usage-2026-11-02T00-00-00.000Z.jsonl");
        assert!(!unread("usage.jsonl", whole) && !unread(aside, whole));
        assert!(unread("usage.jsonl", &format!("{whole}\0\0\0\n{whole}")), "a line that is no record");
        assert!(!unread("usage.jsonl", &format!("{whole}{{\"kind\":\"fi")), "a line that is being written");
        assert!(unread(&format!("{aside}.gz"), whole), "it reads no compressed files");
        let old = "usage-2026-10-30T00-00-00.000Z.jsonl";
        assert!(!unread(old, "\0\n") && !unread(&format!("{old}.gz"), "\0"), "October is over");
    }
}
