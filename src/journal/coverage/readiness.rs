//! Signs of life of the instances that can take deliveries, what their spools hold, and what
//! Konnect's clock shows.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::journal::coverage::gaps::note_gap;
use crate::journal::coverage::{GapReason, NewGap};
use crate::journal::{Journal, JournalError};

/// That an instance could take deliveries all along for some time, by Konnect's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignOfLife {
    /// Since when.
    pub from: DateTime<Utc>,
    /// Until when, which is Konnect's present.
    pub to: DateTime<Utc>,
    /// The oldest delivery in its spool.
    pub spooled_from: Option<DateTime<Utc>>,
    /// The instance.
    pub instance: Uuid,
    /// Deliveries of authorised senders that got no 2xx meanwhile.
    pub refusals: Vec<Refusal>,
}

/// Answers other than 2xx that followed each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The first of them.
    pub from: DateTime<Utc>,
    /// The last of them.
    pub to: DateTime<Utc>,
    /// How many.
    pub times: i32,
    /// What was answered last.
    pub answer: String,
}

/// Up to when deliveries were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// The latest sign of life; none before the first.
    pub ready_to: Option<DateTime<Utc>>,
    /// The oldest delivery that is in a spool and not in the journal yet.
    pub spooled_from: Option<DateTime<Utc>>,
    /// Konnect's present, as far as usher knows its clock.
    pub now: DateTime<Utc>,
}

impl Journal {
    /// Notes a sign of life, and as gaps what it does not join and what was refused. A gap begins
    /// `settle` earlier: what was made then may have been under way.
    pub async fn note_sign_of_life(
        &self,
        sign: &SignOfLife,
        settle: Duration,
        id: impl Fn() -> Uuid + Send + Sync,
    ) -> Result<(), JournalError> {
        let settle = TimeDelta::from_std(settle).unwrap_or(TimeDelta::zero());
        let mut transaction = self.pool.begin().await?;
        let ready_to = sqlx::query_scalar!("SELECT ready_to FROM readiness FOR UPDATE")
            .fetch_optional(&mut *transaction)
            .await?;
        let was_down = ready_to.filter(|ready_to| *ready_to < sign.from);
        let down = was_down.map(|ready_to| NewGap {
            id: id(),
            source: None,
            reason: GapReason::Down,
            from: ready_to - settle,
            to: sign.from,
            times: 1,
            detail: "no instance could take deliveries".to_owned(),
            noted_at: sign.to,
            joins: true,
        });
        let refused = sign.refusals.iter().map(|refusal| NewGap {
            id: id(),
            source: None,
            reason: GapReason::Refused,
            from: refusal.from - settle,
            to: refusal.to,
            times: refusal.times,
            detail: format!("deliveries were answered {}", refusal.answer),
            noted_at: sign.to,
            joins: true,
        });
        for gap in down.into_iter().chain(refused) {
            note_gap(&mut transaction, &gap).await?;
        }
        sqlx::query!(
            r"
            INSERT INTO readiness AS r
                (ready_to, ahead, spooled_from, spooled_by, spooled_noted_at)
            VALUES ($1, $1::timestamptz - clock_timestamp(), $2, $3, now())
            ON CONFLICT (single) DO UPDATE
            SET ready_to = greatest(r.ready_to, EXCLUDED.ready_to), ahead = EXCLUDED.ahead,
                (spooled_from, spooled_by, spooled_noted_at) = (
                    SELECT EXCLUDED.spooled_from, EXCLUDED.spooled_by, EXCLUDED.spooled_noted_at
                    WHERE EXCLUDED.spooled_from IS NOT NULL OR r.spooled_by = EXCLUDED.spooled_by
                    UNION ALL
                    SELECT r.spooled_from, r.spooled_by, r.spooled_noted_at
                    LIMIT 1
                )
            ",
            sign.to,
            sign.spooled_from,
            sign.instance,
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Up to when deliveries were taken, and Konnect's present: this database's where nothing is
    /// known of Konnect's clock.
    pub async fn readiness(&self) -> Result<Readiness, JournalError> {
        Ok(sqlx::query_as!(
            Readiness,
            r#"
            SELECT
                r.ready_to AS "ready_to?",
                CASE WHEN r.spooled_noted_at > now() - interval '1 minute'
                    THEN r.spooled_from
                END AS spooled_from,
                clock_timestamp() + coalesce(r.ahead, '0') AS "now!"
            FROM (SELECT) AS one
            LEFT JOIN readiness r ON true
            "#
        )
        .fetch_one(&self.pool)
        .await?)
    }
}
