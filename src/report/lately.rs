//! What happens and what waits, in few numbers, for a page that shows them at a glance: sums that
//! the database makes, without a row for each thing and without a name of anybody.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::journal::{JournalError, far_future};
use crate::report::{By, Reports};

/// Events of one hour or day that ended alike and of which the signatures prove the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventCount {
    /// Beginning of the hour or day, in UTC.
    pub from: DateTime<Utc>,
    /// `success`, `failure` or `unknown`.
    pub outcome: String,
    /// What their signatures prove.
    pub verification: String,
    /// How many.
    pub count: i64,
}

/// The people who signed in: of one day, or of all days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivePeople {
    /// Beginning of the day, in UTC; none for all of them, each counted once.
    pub day: Option<DateTime<Utc>>,
    /// How many.
    pub people: i64,
}

/// How many developers or registrations wait for an answer, by how long they do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingCount {
    /// `developer` or `registration`.
    pub what: String,
    /// All of them.
    pub count: i64,
    /// Those who wait for less than an hour.
    pub hour: i64,
    /// For less than a day, but an hour or more.
    pub day: i64,
    /// For less than a week, but a day or more.
    pub week: i64,
    /// For a week or more.
    pub longer: i64,
    /// When the oldest came, or was asked for.
    pub oldest: DateTime<Utc>,
}

impl Reports {
    /// Events by hour, or else by day, in the hours that the window touches. An end that is open
    /// reaches as far as there are events.
    pub async fn event_counts(
        &self,
        portal: Option<Uuid>,
        (from, to): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
        by: By,
    ) -> Result<Vec<EventCount>, JournalError> {
        let hours = if by == By::Hour { 1 } else { 24 };
        let portals = self.journal.portals().narrowed(portal).texts();
        let mut tx = self.begin().await?;
        Ok(sqlx::query_as!(
            EventCount,
            r#"
            SELECT
                date_bin(make_interval(hours => $4), hour, 'epoch') AS "from!",
                outcome AS "outcome!",
                verdict AS "verification!",
                sum(events)::bigint AS "count!"
            FROM report_hours
            WHERE hour >= date_bin('1 hour', $2, 'epoch')
                AND hour < $3
                AND ($1::text[] IS NULL OR portal_id = ANY($1))
            GROUP BY 1, outcome, verdict
            ORDER BY 1, outcome, verdict
            "#,
            portals.as_deref(),
            from.unwrap_or(DateTime::UNIX_EPOCH),
            to.unwrap_or_else(far_future),
            hours,
        )
        .fetch_all(&mut *tx)
        .await?)
    }

    /// The hour of the first event that Konnect delivered; none where nothing was delivered yet.
    pub async fn first_delivered(&self) -> Result<Option<DateTime<Utc>>, JournalError> {
        let mut tx = self.begin().await?;
        Ok(sqlx::query_scalar!(
            r"
            SELECT hour
            FROM report_hours
            -- Own events, and those of trusted senders, bear no signature of Konnect's.
            WHERE verdict <> 'not_applicable'
            ORDER BY hour
            LIMIT 1
            ",
        )
        .fetch_optional(&mut *tx)
        .await?)
    }

    /// The people of portals who signed in since `from` and until today, by a log-in whose
    /// signature is not false: of all days together, then of each day.
    pub async fn active_people(
        &self,
        portal: Option<Uuid>,
        from: DateTime<Utc>,
    ) -> Result<Vec<ActivePeople>, JournalError> {
        let portals = self.journal.portals().narrowed(portal).texts();
        let mut tx = self.begin().await?;
        Ok(sqlx::query_as!(
            ActivePeople,
            r#"
            WITH people AS (
                -- Of the first day only those who came after its part that is not asked for.
                SELECT DISTINCT since AS day, portal_id, principal_id
                FROM report_principals
                WHERE since = date_bin('1 day', $2, 'epoch')
                    AND last_at >= $2
                    AND kind = 'authentication'
                    AND outcome = 'success'
                    AND verdict <> 'failed'
                    -- The organisation's own people have no portal.
                    AND portal_id <> ''
                    AND principal_id <> ''
                    AND ($1::text[] IS NULL OR portal_id = ANY($1))
                UNION ALL
                -- Of whole days the key tells it all. Not a range of days: between two there are
                -- the hours of everybody who failed.
                SELECT DISTINCT since, portal_id, principal_id
                FROM report_principals
                WHERE since = ANY(ARRAY(
                        SELECT generate_series(
                            date_bin('1 day', $2, 'epoch') + interval '1 day', now(), '1 day'
                        )
                    ))
                    AND kind = 'authentication'
                    AND outcome = 'success'
                    AND verdict <> 'failed'
                    AND portal_id <> ''
                    AND principal_id <> ''
                    AND ($1::text[] IS NULL OR portal_id = ANY($1))
            )
            SELECT NULL::timestamptz AS day, count(*) AS "people!"
            FROM (SELECT DISTINCT portal_id, principal_id FROM people) AS once
            UNION ALL
            SELECT day, count(*)
            FROM people
            GROUP BY day
            ORDER BY day NULLS FIRST
            "#,
            portals.as_deref(),
            from,
        )
        .fetch_all(&mut *tx)
        .await?)
    }

    /// Who waits for an answer: what [`Pending`](crate::report::ReportName::Pending) has rows of.
    pub async fn pending_counts(
        &self,
        portal: Option<Uuid>,
    ) -> Result<Vec<PendingCount>, JournalError> {
        let portals = self.journal.portals().narrowed(portal);
        let mut tx = self.begin().await?;
        Ok(sqlx::query_as!(
            PendingCount,
            r#"
            WITH waiting AS (
                SELECT
                    'developer' AS what, portal_id,
                    COALESCE(api_created_at, first_seen_at) AS since
                FROM directory_developers
                WHERE status = 'pending' AND gone_at IS NULL
                UNION ALL
                SELECT 'registration', portal_id, COALESCE(api_created_at, first_seen_at)
                FROM directory_registrations
                WHERE status = 'pending' AND gone_at IS NULL
            ), aged AS (
                SELECT w.what, w.since, now() - w.since AS age
                FROM waiting w
                JOIN directory_portals p USING (portal_id)
                WHERE p.gone_at IS NULL AND ($1::uuid IS NULL OR portal_id = $1)
                    AND ($2::uuid[] IS NULL OR portal_id = ANY($2))
            )
            SELECT
                what AS "what!",
                count(*) AS "count!",
                count(*) FILTER (WHERE age < '1 hour') AS "hour!",
                count(*) FILTER (WHERE age >= '1 hour' AND age < '1 day') AS "day!",
                count(*) FILTER (WHERE age >= '1 day' AND age < '7 days') AS "week!",
                count(*) FILTER (WHERE age >= '7 days') AS "longer!",
                min(since) AS "oldest!"
            FROM aged
            GROUP BY what
            ORDER BY what
            "#,
            portals.one(),
            portals.others(),
        )
        .fetch_all(&mut *tx)
        .await?)
    }
}
