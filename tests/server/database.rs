//! The database of a bridge under test, looked into and changed as somebody else would.

use std::path::Path;

use sqlx::any::AnyPoolOptions;
use sqlx::{AnyPool, AssertSqlSafe, Row as _};

/// An open database.
pub(crate) struct Database {
    pool: AnyPool,
}

impl Database {
    /// SQLite's, in a file.
    pub(crate) async fn file(file: &Path) -> Self {
        Self::open(&format!("sqlite://{}", file.display())).await
    }

    /// Any.
    pub(crate) async fn open(url: &str) -> Self {
        sqlx::any::install_default_drivers();
        let pool = AnyPoolOptions::new().max_connections(1).connect(url).await;
        Self { pool: pool.expect("the database") }
    }

    /// Runs statements that the test wrote itself.
    pub(crate) async fn run(&self, statements: &str) {
        let done = sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&self.pool).await;
        done.unwrap_or_else(|error| panic!("{statements}: {error}"));
    }

    /// The one whole number that a query answers.
    pub(crate) async fn number(&self, query: &'static str) -> i64 {
        let row = sqlx::query(query).fetch_one(&self.pool).await.expect(query);
        row.get(0)
    }

    /// What of a usage record has a column of its own: leg, kind, trunk, caller, result.
    pub(crate) async fn record(&self, record_id: &str) -> [Option<String>; 5] {
        let query = "SELECT usage_id, kind, trunk, caller, result FROM usage_records WHERE record_id = $1";
        let row = sqlx::query(query).bind(record_id.to_owned()).fetch_one(&self.pool).await.expect(record_id);
        std::array::from_fn(|at| row.get(at))
    }
}
