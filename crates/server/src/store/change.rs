//! A change of the directory: all of it, or nothing.

use sqlx::{Any, Transaction};

use super::entity::{Cell, Entity, Kind};
use super::{Rows, StoreError, rows_of, version};

/// A change that nobody else sees until it is committed; dropped, it never was.
pub struct Change {
    transaction: Transaction<'static, Any>,
}

impl Change {
    /// Raises the directory's version first: in both databases whoever comes second waits for us.
    pub(super) async fn begin(mut transaction: Transaction<'static, Any>) -> Result<Self, sqlx::Error> {
        sqlx::query("UPDATE directory_version SET version = version + 1 WHERE id = 1")
            .execute(&mut *transaction)
            .await?;
        Ok(Self { transaction })
    }

    /// The whole directory with this change.
    pub async fn rows(&mut self) -> Result<Rows, StoreError> {
        let version = version(&mut self.transaction).await?;
        rows_of(&mut self.transaction, version).await
    }

    /// Adds a row, or takes the place of the one with the same key.
    pub(crate) async fn put(&mut self, entity: &'static Entity, cells: &[Cell]) -> Result<(), StoreError> {
        let bound = cells.iter().fold(sqlx::query(entity.upsert), |query, cell| match cell {
            Cell::Text(text) => query.bind(text.clone()),
            Cell::Whole(number) => query.bind(*number),
            Cell::Nothing(Kind::Switch | Kind::Whole) => query.bind(None::<i64>),
            Cell::Nothing(_) => query.bind(None::<String>),
        });
        bound.execute(&mut *self.transaction).await?;
        Ok(())
    }

    /// Takes the row with this key away.
    pub(crate) async fn remove(&mut self, entity: &'static Entity, key: &str) -> Result<(), StoreError> {
        sqlx::query(entity.delete).bind(key.to_owned()).execute(&mut *self.transaction).await?;
        Ok(())
    }

    /// Makes it so, for everybody.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit().await?)
    }
}
