//! What the journal does for `report`, which counts its events: changed hours are noted, counts
//! outlive their events, and one transaction at a time counts.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::journal::{Connection, JournalError};

/// Any number, the same in every instance.
const ADVISORY_LOCK: i64 = 0x7573_6865_7210;

/// Waits until no other transaction counts, and lets none count until this one ends.
pub async fn count_alone(tx: &mut Connection) -> Result<(), JournalError> {
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", ADVISORY_LOCK)
        .execute(tx)
        .await?;
    Ok(())
}

/// Lets no other transaction count until this one ends; `false`, without a wait, where another
/// counts.
pub async fn try_count_alone(tx: &mut Connection) -> Result<bool, JournalError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_xact_lock($1) AS "alone!""#,
        ADVISORY_LOCK
    )
    .fetch_one(tx)
    .await?)
}

/// Notes that the days of `times` must be counted again, in the transaction that changes events of
/// them. Waits for nothing.
pub(super) async fn note(
    tx: &mut Connection,
    times: impl IntoIterator<Item = DateTime<Utc>>,
) -> Result<(), JournalError> {
    let hour = |time: DateTime<Utc>| {
        let hours = time.timestamp().div_euclid(3_600);
        DateTime::from_timestamp(hours * 3_600, 0).unwrap_or(time)
    };
    let hours: BTreeSet<_> = times.into_iter().map(hour).collect();
    if hours.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r"
        INSERT INTO recounts (hour)
        SELECT UNNEST($1::timestamptz[])
        ",
        &hours.into_iter().collect::<Vec<_>>(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Keeps the counts of a time whose events are dropped in this transaction, but for those by
/// person.
pub(super) async fn outlive(
    tx: &mut Connection,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
) -> Result<(), JournalError> {
    sqlx::query!(
        r"
        WITH principals AS (
            DELETE FROM report_principals
            WHERE since >= $1 AND since < $2
        )
        UPDATE report_hours
        SET kept = events
        WHERE hour >= $1 AND hour < $2 AND kept <> events
        ",
        start,
        end,
    )
    .execute(tx)
    .await?;
    Ok(())
}
