//! The counts of somebody who is forgotten.

use uuid::Uuid;

use crate::journal::{Journal, JournalError, count_alone};
use crate::report::rollup::count;

/// Removes the counts by the id of a forgotten developer, who is not counted again; returns how
/// many rows that were.
pub async fn forget(journal: &Journal, developer: Uuid) -> Result<u64, JournalError> {
    let mut tx = journal.pool().begin().await?;
    // A count that runs at this moment may not have read that they are forgotten.
    count_alone(&mut tx).await?;
    // No index finds all that somebody did.
    count::take_time(&mut tx).await?;
    let done = sqlx::query!(
        "DELETE FROM report_principals WHERE principal_id = $1",
        developer.to_string(),
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(done.rows_affected())
}
