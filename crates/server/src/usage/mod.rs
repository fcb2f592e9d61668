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
    match read(folder, Some(Spending::month_began(now)), count) {
        Ok(0) => spending,
        Ok(lines) => {
            tracing::warn!(
                folder = %folder.display(),
                lines,
                "lines of the spool are no usage records: what they say was spent is not counted"
            );
            spending
        }
        Err(error) => {
            tracing::error!(
                folder = %folder.display(),
                %error,
                "what was spent this month cannot be read: dial-outs that run against a spending limit or a minute pool are refused \
                 until it is mended and the bridge restarted"
            );
            Spending::unread(now)
        }
    }
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
}
