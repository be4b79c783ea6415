//! How far the import of a file is, so that the next run goes on there. Stores no event.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::journal::{Connection, Journal, JournalError, SLICE};

/// What became of the entries of a file so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportCounts {
    /// Entries that were read.
    pub lines: u64,
    /// Events that were new.
    pub stored: u64,
    /// Entries whose event was stored already.
    pub duplicates: u64,
    /// Quarantined entries.
    pub quarantined: u64,
    /// Entries that were not stored, since they are older than `retention.events`.
    pub too_old: u64,
}

/// An import that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportRun {
    /// Its batches are part of this.
    pub id: Uuid,
    /// So many inflated bytes are done, without a gap.
    pub bytes_done: u64,
    /// What was in them.
    pub counts: ImportCounts,
}

impl ImportRun {
    /// One that has done nothing, and is not noted anywhere.
    pub fn new(id: Uuid) -> Self {
        Self {
            id,
            bytes_done: 0,
            counts: ImportCounts::default(),
        }
    }
}

impl Journal {
    /// Begins the import of the file with this digest as `id`, or goes on with one that was not
    /// finished.
    pub async fn begin_import(
        &self,
        digest: &[u8; 32],
        id: Uuid,
    ) -> Result<ImportRun, JournalError> {
        let row = sqlx::query!(
            r"
            INSERT INTO imports (digest, id)
            VALUES ($1, $2)
            ON CONFLICT (digest) DO UPDATE
            SET updated_at = now()
            RETURNING id, bytes_done, lines, stored, duplicates, quarantined, too_old
            ",
            digest.as_slice(),
            id,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(ImportRun {
            id: row.id,
            bytes_done: number(row.bytes_done),
            counts: ImportCounts {
                lines: number(row.lines),
                stored: number(row.stored),
                duplicates: number(row.duplicates),
                quarantined: number(row.quarantined),
                too_old: number(row.too_old),
            },
        })
    }

    /// Notes how far `run` is, unless another run of the same file is further.
    pub async fn note_import(
        &self,
        digest: &[u8; 32],
        run: &ImportRun,
    ) -> Result<(), JournalError> {
        let counts = run.counts;
        sqlx::query!(
            r"
            UPDATE imports
            SET bytes_done = $3, lines = $4, stored = $5, duplicates = $6, quarantined = $7,
                too_old = $8, updated_at = now()
            WHERE digest = $1 AND id = $2 AND bytes_done < $3
            ",
            digest.as_slice(),
            run.id,
            bigint(run.bytes_done),
            bigint(counts.lines),
            bigint(counts.stored),
            bigint(counts.duplicates),
            bigint(counts.quarantined),
            bigint(counts.too_old),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Forgets the import `id`: the next one of the same file begins at its start.
    pub async fn end_import(&self, digest: &[u8; 32], id: Uuid) -> Result<(), JournalError> {
        sqlx::query!(
            "DELETE FROM imports WHERE digest = $1 AND id = $2",
            digest.as_slice(),
            id,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// Deletes a slice of the imports that nobody went on with since; returns how many rows.
pub(super) async fn delete_abandoned(
    connection: &mut Connection,
    before: DateTime<Utc>,
) -> Result<u64, JournalError> {
    let done = sqlx::query!(
        r"
        DELETE FROM imports
        WHERE digest IN (
            SELECT digest
            FROM imports
            WHERE updated_at < $1
            LIMIT $2
            FOR UPDATE SKIP LOCKED
        )
        ",
        before,
        SLICE,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

fn number(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn bigint(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
