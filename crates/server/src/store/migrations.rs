//! The tables, as they came to be: one file a step, built into the program, run in order and once.

use std::borrow::Cow;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyPool, SqlSafeStr as _};

/// Every step. One that has been released is never changed: databases remember what they were made by.
const STEPS: [(&str, &str); 6] = [
    ("directory", include_str!("../../migrations/0001_directory.sql")),
    ("usage", include_str!("../../migrations/0002_usage.sql")),
    ("recording notice", include_str!("../../migrations/0003_recording_notice.sql")),
    ("mask pstn numbers", include_str!("../../migrations/0004_mask_pstn_numbers.sql")),
    ("enable name recording", include_str!("../../migrations/0005_enable_name_recording.sql")),
    ("invitations", include_str!("../../migrations/0006_invitations.sql")),
];

/// Brings the tables up to date; two bridges that start at once wait for each other.
pub(super) async fn run(pool: &AnyPool) -> Result<(), MigrateError> {
    let steps = STEPS.iter().zip(1..).map(|(&(what, sql), number)| {
        Migration::new(number, Cow::Borrowed(what), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(steps.collect()).run(pool).await
}
