//! Usage records read back: what was spent, and the tools of billing.

pub mod csv;
pub mod export;
pub mod reconcile;
mod records;
pub mod report;

use std::path::Path;
use std::time::SystemTime;

use bridge::{Spending, SpentLeg, Stamp};

pub use records::{Row, RowEnd, read};

/// What the dial-outs of this month have cost, by the records in a spool's folder. What cannot be read counts nothing, and is
/// said in the log: a bridge that cannot read what it spent must take calls all the same.
pub fn spent(folder: &Path, now: SystemTime) -> Spending {
    let mut spending = Spending::at(now);
    let count = |row: &Row| {
        if let Some(leg) = spent_leg(row) {
            spending.add(&leg);
        }
    };
    if let Err(error) = read(folder, Some(Spending::month_began(now)), count) {
        tracing::error!(folder = %folder.display(), %error, "what was spent this month cannot be read: limits begin anew");
    }
    spending
}

fn spent_leg(row: &Row) -> Option<SpentLeg> {
    if row.call_type != "conf_out" {
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
