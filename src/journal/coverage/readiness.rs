//! Signs of life of the instances that can take deliveries, what their spools hold, and what
//! Konnect's clock shows.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::journal::coverage::gaps::note_gap;
use crate::journal::coverage::{GapReason, NewGap};
use crate::journal::{Journal, JournalError};

/// A sign of life that is so much earlier than the latest one shows that the clock was set back.
const SET_BACK: TimeDelta = TimeDelta::minutes(10);

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

impl Refusal {
    /// The gap that it leaves. What was made `settle` earlier may have been under way.
    fn gap(&self, id: Uuid, noted_at: DateTime<Utc>, settle: TimeDelta) -> NewGap {
        NewGap {
            id,
            source: None,
            reason: GapReason::Refused,
            from: self.from - settle,
            to: self.to,
            times: self.times,
            detail: format!("deliveries were answered {}", self.answer),
            noted_at,
            joins: true,
        }
    }
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

/// What a sign of life shows to be amiss: time since `known_to` that it does not join, deliveries
/// that were refused, and those that are in a spool since `abandoned` of an instance that is gone.
fn gaps(
    sign: &SignOfLife,
    (known_to, abandoned): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    settle: TimeDelta,
    id: impl Fn() -> Uuid,
) -> Vec<NewGap> {
    let gap = |reason, (from, to): (DateTime<Utc>, _), times, detail| NewGap {
        id: id(),
        source: None,
        reason,
        from: from - settle,
        to,
        times,
        detail,
        noted_at: sign.to,
        joins: true,
    };
    let was_down = known_to.filter(|known_to| *known_to < sign.from);
    let down = was_down.map(|known_to| {
        let detail = "no instance could take deliveries".to_owned();
        gap(GapReason::Down, (known_to, sign.from), 1, detail)
    });
    let refused = sign.refusals.iter();
    let refused = refused.map(|refusal| refusal.gap(id(), sign.to, settle));
    let unstored = abandoned.map(|spooled_from| {
        let detail = "an instance went away with deliveries in its spool".to_owned();
        let window = (spooled_from.min(sign.to), sign.to);
        gap(GapReason::Refused, window, 1, detail)
    });
    down.into_iter().chain(refused).chain(unstored).collect()
}

/// Brings what was noted while the clock was ahead back to `now`: no job could close it.
async fn set_back(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<(), JournalError> {
    sqlx::query!(
        r"
        UPDATE coverage_gaps
        SET starts_at = least(starts_at, $1), ends_at = least(ends_at, $1),
            noted_at = least(noted_at, $1)
        WHERE ends_at > $1 OR noted_at > $1
        ",
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Where the account of the first source begins that has one: an instance may have gone away before
/// its first sign of life.
async fn account_begins_at(
    connection: &mut PgConnection,
) -> Result<Option<DateTime<Utc>>, JournalError> {
    let begins = sqlx::query!(
        r#"
        SELECT min(coalesce(g.ends_at, s.since)) AS at
        FROM coverage_sources s
        LEFT JOIN coverage_gaps g ON g.source = s.source AND g.reason = 'before'
        "#
    );
    Ok(begins.fetch_one(&mut *connection).await?.at)
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
        let before = sqlx::query!(
            r#"
            SELECT
                ready_to, spooled_from,
                coalesce(
                    spooled_by <> $1 AND spooled_noted_at < now() - interval '1 minute',
                    false
                ) AS "is_abandoned!"
            FROM readiness
            FOR UPDATE
            "#,
            sign.instance,
        )
        .fetch_optional(&mut *transaction)
        .await?;
        let ready_to = before.as_ref().map(|before| before.ready_to);
        let is_set_back = ready_to.is_some_and(|ready_to| ready_to - sign.to > SET_BACK);
        if is_set_back {
            set_back(&mut transaction, sign.to).await?;
        }
        // The instance that had deliveries in its spool went away before they were stored.
        let abandoned = before.filter(|before| before.is_abandoned);
        let abandoned = abandoned.and_then(|before| before.spooled_from);
        let is_abandoned = abandoned.is_some();
        let known_to = match ready_to {
            Some(ready_to) => Some(ready_to),
            None => account_begins_at(&mut transaction).await?,
        };
        for gap in gaps(sign, (known_to, abandoned), settle, id) {
            note_gap(&mut transaction, &gap).await?;
        }
        sqlx::query!(
            r"
            INSERT INTO readiness AS r
                (ready_to, ahead, spooled_from, spooled_by, spooled_noted_at)
            VALUES ($1, $1::timestamptz - clock_timestamp(), $2, $3, now())
            ON CONFLICT (single) DO UPDATE
            SET ready_to = CASE
                    WHEN $4 THEN EXCLUDED.ready_to
                    ELSE greatest(r.ready_to, EXCLUDED.ready_to)
                END,
                ahead = EXCLUDED.ahead,
                (spooled_from, spooled_by, spooled_noted_at) = (
                    SELECT EXCLUDED.spooled_from, EXCLUDED.spooled_by, EXCLUDED.spooled_noted_at
                    WHERE EXCLUDED.spooled_from IS NOT NULL OR r.spooled_by = EXCLUDED.spooled_by
                        OR $5
                    UNION ALL
                    SELECT r.spooled_from, r.spooled_by, r.spooled_noted_at
                    LIMIT 1
                )
            ",
            sign.to,
            sign.spooled_from,
            sign.instance,
            is_set_back,
            is_abandoned,
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Notes as a gap what an instance refused that gives no sign of life: it has just begun, or
    /// cannot take deliveries. `noted_at` is Konnect's present.
    pub async fn note_refusal(
        &self,
        refusal: &Refusal,
        noted_at: DateTime<Utc>,
        settle: Duration,
        id: Uuid,
    ) -> Result<(), JournalError> {
        let settle = TimeDelta::from_std(settle).unwrap_or(TimeDelta::zero());
        let mut connection = self.pool.acquire().await?;
        note_gap(&mut connection, &refusal.gap(id, noted_at, settle)).await
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
