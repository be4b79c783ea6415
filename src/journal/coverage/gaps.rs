//! Time in which entries may have been missed, and losses that somebody has taken note of.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::journal::coverage::{LogSource, words};
use crate::journal::{Journal, JournalError};

words! {
    /// What was noticed.
    GapReason {
        /// usher did not run yet.
        Before = "before",
        /// No instance could take deliveries.
        Down = "down",
        /// A delivery of an authorised sender got no 2xx.
        Refused = "refused",
        /// The webhook was not active.
        Webhook = "webhook",
        /// The pull API had entries that the webhook did not bring.
        Unbrought = "unbrought",
    }
}

/// A gap to be noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGap {
    /// Identifier, unless an earlier gap grows by this one.
    pub id: Uuid,
    /// Whose; none: every source may be concerned.
    pub source: Option<LogSource>,
    /// What was noticed.
    pub reason: GapReason,
    /// First time that may be concerned.
    pub from: DateTime<Utc>,
    /// Last time that may be concerned.
    pub to: DateTime<Utc>,
    /// How often it was seen; 0 where it may only have been.
    pub times: i32,
    /// What was seen, for a person.
    pub detail: String,
    /// When. Only a replay job asked for later closes it.
    pub noted_at: DateTime<Utc>,
    /// Whether one that it touches grows by it.
    pub joins: bool,
}

/// A gap as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// What was noticed.
    pub reason: GapReason,
    /// First time that may be concerned.
    pub from: DateTime<Utc>,
    /// Last time that may be concerned.
    pub to: DateTime<Utc>,
    /// What was seen, for a person.
    pub detail: String,
    /// When it was last seen.
    pub noted_at: DateTime<Utc>,
}

/// A loss that somebody has taken note of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Where the time begins.
    pub from: DateTime<Utc>,
    /// Where it ends.
    pub to: DateTime<Utc>,
    /// Who.
    pub who: String,
    /// Why, in their words.
    pub reason: String,
}

/// Writes a gap down. One of the same sort that it touches grows instead, unless that is an hour
/// long: a process that starts again and again leaves few rows.
pub(super) async fn note_gap(
    connection: &mut PgConnection,
    gap: &NewGap,
) -> Result<(), JournalError> {
    let source = gap.source.map(|source| source.to_string());
    if gap.joins && grow(connection, gap, source.as_deref()).await? {
        return Ok(());
    }
    sqlx::query!(
        r"
        INSERT INTO coverage_gaps (id, source, reason, starts_at, ends_at, detail, times, noted_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ",
        gap.id,
        source,
        gap.reason.as_str(),
        gap.from,
        gap.to,
        gap.detail,
        gap.times,
        gap.noted_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Has the latest gap that it touches grow, where there is one.
async fn grow(
    connection: &mut PgConnection,
    gap: &NewGap,
    source: Option<&str>,
) -> Result<bool, JournalError> {
    let grown = sqlx::query!(
        r"
        UPDATE coverage_gaps
        SET starts_at = least(starts_at, $3), ends_at = greatest(ends_at, $4),
            times = times + $5, detail = $6, noted_at = greatest(noted_at, $7)
        WHERE id = (
            SELECT id
            FROM coverage_gaps
            WHERE source IS NOT DISTINCT FROM $1
                AND reason = $2
                AND times > 0
                AND ends_at >= $3
                AND starts_at <= $4
                AND starts_at > $3 - interval '1 hour'
            ORDER BY ends_at DESC, id DESC
            LIMIT 1
        )
        ",
        source,
        gap.reason.as_str(),
        gap.from,
        gap.to,
        gap.times,
        gap.detail,
        gap.noted_at,
    )
    .execute(connection)
    .await?;
    Ok(grown.rows_affected() > 0)
}

impl Journal {
    /// Notes a gap.
    pub async fn note_gap(&self, gap: &NewGap) -> Result<(), JournalError> {
        let mut connection = self.pool.acquire().await?;
        note_gap(&mut connection, gap).await
    }

    /// Gaps of a source that touch a time, the earliest first.
    pub async fn gaps(
        &self,
        source: LogSource,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<Vec<Gap>, JournalError> {
        let rows = sqlx::query!(
            r"
            SELECT reason, starts_at, ends_at, detail, noted_at
            FROM coverage_gaps
            WHERE (source IS NULL OR source = $1) AND ends_at >= $2 AND starts_at <= $3
            ORDER BY starts_at, id
            ",
            source.to_string(),
            from,
            to,
        )
        .fetch_all(&self.pool)
        .await?;
        let known = rows.into_iter().filter_map(|row| {
            Some(Gap {
                reason: GapReason::parse(&row.reason)?,
                from: row.starts_at,
                to: row.ends_at,
                detail: row.detail,
                noted_at: row.noted_at,
            })
        });
        Ok(known.collect())
    }

    /// What was noticed amiss with a source since a time, of that time or later.
    pub async fn was_amiss_since(
        &self,
        source: LogSource,
        since: DateTime<Utc>,
    ) -> Result<Option<String>, JournalError> {
        Ok(sqlx::query_scalar!(
            r"
            SELECT detail
            FROM coverage_gaps
            WHERE (source IS NULL OR source = $1)
                AND noted_at >= $2
                AND ends_at >= $2
                AND reason IN ('down', 'refused', 'webhook')
                AND times > 0
            ORDER BY noted_at
            LIMIT 1
            ",
            source.to_string(),
            since,
        )
        .fetch_optional(&self.pool)
        .await?)
    }

    /// Notes that somebody knows of a loss.
    pub async fn acknowledge_loss(
        &self,
        id: Uuid,
        source: LogSource,
        loss: &Acknowledgement,
    ) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            INSERT INTO coverage_acknowledgements (id, source, starts_at, ends_at, who, reason)
            VALUES ($1, $2, $3, $4, $5, $6)
            ",
            id,
            source.to_string(),
            loss.from,
            loss.to,
            loss.who,
            loss.reason,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// What was acknowledged of a time, the latest word first.
    pub async fn acknowledgements(
        &self,
        source: LogSource,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<Vec<Acknowledgement>, JournalError> {
        Ok(sqlx::query_as!(
            Acknowledgement,
            r#"
            SELECT starts_at AS "from", ends_at AS "to", who, reason
            FROM coverage_acknowledgements
            WHERE source = $1 AND ends_at >= $2 AND starts_at <= $3
            ORDER BY created_at DESC, id DESC
            "#,
            source.to_string(),
            from,
            to,
        )
        .fetch_all(&self.pool)
        .await?)
    }
}
