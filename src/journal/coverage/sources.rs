//! The logs that are sent to usher, each with how its webhook fares.

use chrono::{DateTime, Utc};
use sqlx::postgres::types::PgRange;

use crate::journal::coverage::gaps::note_gap;
use crate::journal::coverage::{LogSource, NewGap, words};
use crate::journal::{Journal, JournalError};

words! {
    /// How a webhook was at the latest poll.
    SourceState {
        /// It delivers.
        Active = "active",
        /// The latest attempt got no 2xx.
        Failing = "failing",
        /// It is switched off, or has no destination.
        Disabled = "disabled",
        /// Another destination has it.
        Elsewhere = "elsewhere",
        /// The token may not read it.
        Unknown = "unknown",
        /// There is no such portal.
        Gone = "gone",
    }
}

impl SourceState {
    /// Whether deliveries come through, as far as the token may know.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Active | Self::Unknown)
    }

    /// Whether what Konnect sends again may come here.
    pub fn may_lead_here(self) -> bool {
        !matches!(self, Self::Disabled | Self::Elsewhere | Self::Gone)
    }

    /// Whether there is a log that should come and does not.
    pub fn is_amiss(self) -> bool {
        !self.is_good() && self != Self::Gone
    }
}

/// What is known of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStatus {
    /// Which.
    pub source: LogSource,
    /// Where the account begins.
    pub since: DateTime<Utc>,
    /// Its webhook at the latest poll.
    pub state: SourceState,
    /// Why, for a person.
    pub detail: String,
    /// The latest poll that found nothing amiss.
    pub good_to: DateTime<Utc>,
    /// The latest poll that was answered.
    pub polled_at: DateTime<Utc>,
    /// The latest attempt of a delivery, as Konnect says it.
    pub last_attempt_at: Option<DateTime<Utc>>,
}

impl Journal {
    /// The sources, the organisation's first.
    pub async fn coverage_sources(&self) -> Result<Vec<SourceStatus>, JournalError> {
        let rows = sqlx::query!(
            r"
            SELECT source, since, state, detail, good_to, polled_at, last_attempt_at
            FROM coverage_sources
            WHERE $1::text[] IS NULL OR source = ANY ($1)
            ORDER BY source <> 'org', source
            ",
            self.portals.texts() as Option<Vec<String>>,
        )
        .fetch_all(&self.pool)
        .await?;
        let known = rows.into_iter().filter_map(|row| {
            Some(SourceStatus {
                source: LogSource::parse(&row.source)?,
                since: row.since,
                state: SourceState::parse(&row.state)?,
                detail: row.detail,
                good_to: row.good_to,
                polled_at: row.polled_at,
                last_attempt_at: row.last_attempt_at,
            })
        });
        Ok(known.collect())
    }

    /// Stores what a poll showed, with the gap that it found.
    pub async fn note_poll(
        &self,
        status: &SourceStatus,
        gap: Option<&NewGap>,
    ) -> Result<(), JournalError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query!(
            r"
            INSERT INTO coverage_sources
                (source, since, state, detail, good_to, polled_at, last_attempt_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (source) DO UPDATE
            SET state = EXCLUDED.state, detail = EXCLUDED.detail, good_to = EXCLUDED.good_to,
                polled_at = EXCLUDED.polled_at, last_attempt_at = EXCLUDED.last_attempt_at
            ",
            status.source.to_string(),
            status.since,
            status.state.as_str(),
            status.detail,
            status.good_to,
            status.polled_at,
            status.last_attempt_at,
        )
        .execute(&mut *transaction)
        .await?;
        if let Some(gap) = gap {
            note_gap(&mut transaction, gap).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Stores which time of a source is covered since a time, for other tools: usher itself does
    /// not read it. What was covered before stays.
    pub async fn show_covered(
        &self,
        source: LogSource,
        covered: &[(DateTime<Utc>, DateTime<Utc>)],
        since: DateTime<Utc>,
    ) -> Result<(), JournalError> {
        let ranges: Vec<PgRange<DateTime<Utc>>> = covered
            .iter()
            .map(|(from, to)| (*from..*to).into())
            .collect();
        sqlx::query!(
            r"
            UPDATE coverage_sources
            SET covered = coalesce(
                (SELECT range_agg(stretch) FROM unnest($2::tstzrange[]) AS stretch),
                '{}'
            ) + covered * tstzmultirange(tstzrange(NULL, $3))
            WHERE source = $1
            ",
            source.to_string(),
            &ranges as &[PgRange<DateTime<Utc>>],
            since,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
