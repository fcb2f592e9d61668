//! The directory and the usage records in a database: SQLite, or PostgreSQL at scale, through the same statements.
//!
//! The engines never see it. What they need is read whole, turned into the very sections that the configuration file has
//! ([`Rows`]), checked by the same code, and swapped in at once. A database that is slow or gone costs no call anything.

mod backlog;
mod change;
mod csv;
mod deliver;
mod difference;
mod entity;
mod import;
mod migrations;
mod rows;
mod url;
mod watch;

use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyPool, Row as _};

pub use change::Change;
pub(crate) use deliver::{Delivery, DeliveryMetrics, Spooled};
pub use difference::Known;
pub(crate) use entity::Column;
pub(crate) use entity::{BRIDGES, Cell, ENTITIES, Entity, Kind, MEETINGS, NUMBERS, ORGANIZERS};
pub(crate) use import::{Import, KEPT, Step, fuzz, shown};
pub use rows::{Mark, Rows};
pub(crate) use rows::{Sections, Written};
pub use url::{StoreUrl, WrongUrl};
pub(crate) use watch::{Changed, DirectoryMetrics, watch};

/// Connections of one process: the directory, the usage records, and one to spare.
const CONNECTIONS: u32 = 4;
/// How long anybody waits for a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the rows are read again because somebody changed them meanwhile.
const READINGS: usize = 10;

/// `[store]`, checked.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Where the database is.
    pub url: StoreUrl,
    /// How often the database is asked whether the directory has changed.
    pub poll: Duration,
    /// Digits of a PIN that `organizer reset-pin` makes.
    pub pin_digits: usize,
}

/// What went wrong with the database, in words that hold no password.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, or refuses a statement.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// The tables cannot be made or brought up to date.
    #[error("the tables of the database cannot be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// It does not answer.
    #[error("the database does not answer")]
    Silent,
    /// Others change it faster than it can be read.
    #[error("the directory changed {READINGS} times while it was read: try again")]
    Restless,
}

impl StoreError {
    /// There is no database, or it is empty: nobody has used it yet.
    fn is_untouched(&self) -> bool {
        let Self::Database(error) = self else { return false };
        match error.as_database_error() {
            // PostgreSQL's code for a missing table; SQLite has no code of its own for it.
            Some(error) => {
                error.code().as_deref() == Some("42P01") || error.message().starts_with("no such table")
            }
            None => false,
        }
    }
}

/// The open database.
#[derive(Clone, Debug)]
pub struct Store {
    pool: AnyPool,
}

impl Store {
    /// Connects, makes the database of SQLite where there is none, and brings its tables up to date.
    pub async fn open(url: &StoreUrl) -> Result<Self, StoreError> {
        url.make().map_err(sqlx::Error::Io)?;
        let store = Self::connect(url.as_str()).await?;
        migrations::run(&store.pool).await?;
        Ok(store)
    }

    async fn connect(url: &str) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let options: AnyConnectOptions = url.parse()?;
        let is_sqlite = options.database_url.scheme() == "sqlite";
        let pool = AnyPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE);
        let pool = pool.connect_with(options).await?;
        if is_sqlite {
            // Whoever reads does not keep others from writing; it stays so in the file.
            sqlx::query("PRAGMA journal_mode = WAL").execute(&pool).await?;
        }
        Ok(Self { pool })
    }

    /// The number that every change of the directory raises.
    pub async fn version(&self) -> Result<i64, StoreError> {
        let mut connection = self.pool.acquire().await?;
        Ok(version(&mut connection).await?)
    }

    /// The whole directory, as it was at one moment.
    pub async fn rows(&self) -> Result<Rows, StoreError> {
        for _ in 0..READINGS {
            let mut connection = self.pool.acquire().await?;
            let before = version(&mut connection).await?;
            let rows = rows_of(&mut connection, before).await?;
            if version(&mut connection).await? == before {
                return Ok(rows);
            }
        }
        Err(StoreError::Restless)
    }

    /// The whole directory of a database that may not be there yet; nothing is made. For whoever only looks.
    pub async fn look(url: &StoreUrl) -> Result<Rows, StoreError> {
        if url.is_missing() {
            return Ok(Rows::default());
        }
        let store = Self::connect(url.as_str()).await?;
        let rows = store.rows().await;
        store.pool.close().await;
        match rows {
            Err(error) if error.is_untouched() => Ok(Rows::default()),
            rows => rows,
        }
    }

    /// A change of the directory: nobody else changes it until this is committed or dropped.
    pub async fn begin(&self) -> Result<Change, StoreError> {
        Ok(Change::begin(self.pool.begin().await?).await?)
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

async fn version(connection: &mut sqlx::AnyConnection) -> Result<i64, sqlx::Error> {
    let row = sqlx::query("SELECT version FROM directory_version WHERE id = 1").fetch_one(connection).await?;
    row.try_get(0)
}

async fn rows_of(connection: &mut sqlx::AnyConnection, version: i64) -> Result<Rows, StoreError> {
    let mut rows = Rows::at(version);
    for entity in ENTITIES {
        for row in sqlx::query(entity.select).fetch_all(&mut *connection).await? {
            rows.add(entity, entity.read(&row)?);
        }
    }
    Ok(rows)
}
