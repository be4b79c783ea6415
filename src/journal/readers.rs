//! Readers that come and go with the configuration: the endpoints of `forward`. Knows nothing of what they send.

use std::time::Duration;

use crate::journal::old_rows::SLICE;
use crate::journal::outbox::READERS_LOCK;
use crate::journal::{Journal, JournalError, ReaderName, begin};

/// An endpoint that is not owed anything any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired {
    /// The reader it was.
    pub reader: String,
    /// Batches that it was still owed.
    pub dropped: u64,
}

impl Journal {
    /// Says that these readers are wanted; `false` when one of them is not active.
    pub async fn keep_readers(&self, readers: &[ReaderName]) -> Result<bool, JournalError> {
        let done = sqlx::query!(
            r"
            UPDATE readers
            SET wanted_at = now()
            WHERE name = ANY($1)
            ",
            &names(readers),
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == readers.len() as u64)
    }

    /// Retires the readers of `forward` that are neither in `wanted` nor were wanted by any instance for
    /// `unwanted_for`, with everything that they are owed.
    pub async fn retire_forwards(
        &self,
        wanted: &[ReaderName],
        unwanted_for: Duration,
    ) -> Result<Vec<Retired>, JournalError> {
        let unwanted = sqlx::query_scalar!(
            r"
            SELECT name
            FROM readers
            WHERE name LIKE 'forward-%'
                AND NOT name = ANY($1)
                AND wanted_at < now() - make_interval(secs => $2)
            ",
            &names(wanted),
            unwanted_for.as_secs_f64(),
        )
        .fetch_all(&self.pool)
        .await?;
        let mut retired = Vec::with_capacity(unwanted.len());
        for reader in unwanted {
            let dropped = self.drop_owed(&reader).await?;
            retired.push(Retired {
                dropped: dropped + self.drop_reader(&reader).await?,
                reader,
            });
        }
        Ok(retired)
    }

    /// Most of the rows go in slices beforehand: what follows holds up every append.
    async fn drop_owed(&self, reader: &str) -> Result<u64, JournalError> {
        let mut dropped = 0;
        loop {
            let done = sqlx::query!(
                r"
                DELETE FROM outbox
                WHERE reader = $1
                    AND batch IN (SELECT batch FROM outbox WHERE reader = $1 LIMIT $2)
                ",
                reader,
                SLICE,
            )
            .execute(&self.pool)
            .await?;
            dropped += done.rows_affected();
            if done.rows_affected() < SLICE.unsigned_abs() {
                return Ok(dropped);
            }
        }
    }

    async fn drop_reader(&self, reader: &str) -> Result<u64, JournalError> {
        let mut tx = begin(&self.pool).await?;
        sqlx::query!("SELECT pg_advisory_xact_lock($1)", READERS_LOCK)
            .execute(&mut *tx)
            .await?;
        let done = sqlx::query!("DELETE FROM outbox WHERE reader = $1", reader)
            .execute(&mut *tx)
            .await?;
        sqlx::query!("DELETE FROM readers WHERE name = $1", reader)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(done.rows_affected())
    }
}

fn names(readers: &[ReaderName]) -> Vec<String> {
    readers.iter().map(ToString::to_string).collect()
}
