//! Replay jobs on record, and what they brought.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::journal::coverage::{LogSource, words};
use crate::journal::{Journal, JournalError};

/// Entries this near to an end of a window may or may not be in a job: Konnect's times are finer
/// than those of an entry's header.
const EDGE: TimeDelta = TimeDelta::seconds(1);
/// A statement counts no more time than this: a busy day has millions of events, and the server
/// bounds each statement.
const COUNTED_AT_ONCE: TimeDelta = TimeDelta::hours(1);

words! {
    /// What a job is for.
    JobOrigin {
        /// To close a gap.
        Gap = "gap",
        /// The daily proof.
        Audit = "audit",
        /// Somebody asked for it.
        Person = "person",
    }
}

words! {
    /// How far a job is.
    JobState {
        /// Somebody wants it.
        Queued = "queued",
        /// Its turn: it is being asked for.
        Planned = "planned",
        /// Konnect has it.
        Asked = "asked",
        /// Completed; late deliveries are waited for.
        Settling = "settling",
        /// Everything that is known came again.
        Closed = "closed",
        /// Less came, or a delivery was refused meanwhile.
        Incomplete = "incomplete",
        /// Konnect gave it up.
        Failed = "failed",
        /// Somebody else's took its place.
        Replaced = "replaced",
        /// Konnect did not take it.
        Refused = "refused",
    }
}

impl JobState {
    /// Whether nothing more happens to it.
    pub fn is_over(self) -> bool {
        !matches!(
            self,
            Self::Queued | Self::Planned | Self::Asked | Self::Settling
        )
    }
}

/// A job to be put on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReplayJob {
    /// Identifier.
    pub id: Uuid,
    /// Whose log.
    pub source: LogSource,
    /// First time whose entries are wanted.
    pub from: DateTime<Utc>,
    /// Last time whose entries are wanted.
    pub to: DateTime<Utc>,
    /// What it is for.
    pub origin: JobOrigin,
    /// Who asked; empty for usher itself.
    pub who: String,
    /// How far it is: queued, planned, or asked for already.
    pub state: JobState,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A job on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayJobRow {
    /// Identifier.
    pub id: Uuid,
    /// Whose log.
    pub source: LogSource,
    /// First time whose entries are wanted.
    pub from: DateTime<Utc>,
    /// Last time whose entries are wanted.
    pub to: DateTime<Utc>,
    /// What it is for.
    pub origin: JobOrigin,
    /// Who asked; empty for usher itself.
    pub who: String,
    /// How far it is.
    pub state: JobState,
    /// What Konnect said last.
    pub konnect_status: String,
    /// Why it ended as it did, for a person.
    pub detail: String,
    /// What was known and what had arrived of its window when it was asked for.
    pub before: WindowCounts,
    /// Events of its window that came since and were not known.
    pub new_entries: i64,
    /// Entries of its window that came since and were known.
    pub repeated_entries: i64,
    /// When it was put on record.
    pub created_at: DateTime<Utc>,
    /// When Konnect took it.
    pub asked_at: Option<DateTime<Utc>>,
    /// When Konnect was first seen to have completed it.
    pub completed_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// What is stored of a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WindowCounts {
    /// Events that are inside of it for certain.
    pub known: i64,
    /// Events in it, and a second before and after.
    pub stored: i64,
    /// Entries that arrived, repetitions included.
    pub arrivals: i64,
}

/// Which jobs to list.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Only this one.
    pub id: Option<Uuid>,
    /// Only those of this source.
    pub source: Option<LogSource>,
    /// Time and id that the page before ended with.
    pub after: Option<(DateTime<Utc>, Uuid)>,
}

impl Journal {
    /// Puts a job on record; `false` where the source has one that is not over yet.
    pub async fn add_replay_job(
        &self,
        job: &NewReplayJob,
        counts: WindowCounts,
    ) -> Result<bool, JournalError> {
        let asked_at = (job.state == JobState::Asked).then_some(job.created_at);
        let added = sqlx::query!(
            r"
            INSERT INTO replay_jobs
                (id, source, starts_at, ends_at, origin, who, state, known, stored_before,
                 arrivals_before, created_at, asked_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $12, $9, $10, $11)
            ON CONFLICT DO NOTHING
            ",
            job.id,
            job.source.to_string(),
            job.from,
            job.to,
            job.origin.as_str(),
            job.who,
            job.state.as_str(),
            counts.known,
            counts.arrivals,
            job.created_at,
            asked_at,
            counts.stored,
        )
        .execute(&self.pool)
        .await?;
        Ok(added.rows_affected() == 1)
    }

    /// Writes down how far a job is. One that is over stays as it ended, whoever still has an older
    /// view of it.
    pub async fn update_replay_job(&self, job: &ReplayJobRow) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            UPDATE replay_jobs
            SET starts_at = $2, state = $3, konnect_status = $4, detail = $5, known = $6,
                arrivals_before = $7, new_entries = $8, repeated_entries = $9, asked_at = $10,
                completed_at = $11, ended_at = $12, stored_before = $13
            WHERE id = $1 AND ended_at IS NULL
            ",
            job.id,
            job.from,
            job.state.as_str(),
            job.konnect_status,
            job.detail,
            job.before.known,
            job.before.arrivals,
            job.new_entries,
            job.repeated_entries,
            job.asked_at,
            job.completed_at,
            job.ended_at,
            job.before.stored,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Up to `limit` jobs, the latest first.
    pub async fn replay_jobs(
        &self,
        filter: &JobFilter,
        limit: i64,
    ) -> Result<Vec<ReplayJobRow>, JournalError> {
        let rows = sqlx::query_as!(
            Row,
            r"
            SELECT
                id, source, starts_at, ends_at, origin, who, state, konnect_status, detail, known,
                stored_before, arrivals_before, new_entries, repeated_entries, created_at, asked_at,
                completed_at, ended_at
            FROM replay_jobs
            WHERE ($1::text IS NULL OR source = $1)
                AND ($2::text[] IS NULL OR source = ANY ($2))
                AND ($3::timestamptz IS NULL OR (created_at, id) < ($3, $4))
                AND ($6::uuid IS NULL OR id = $6)
            ORDER BY created_at DESC, id DESC
            LIMIT $5
            ",
            filter.source.map(|source| source.to_string()),
            self.portals.texts() as Option<Vec<String>>,
            filter.after.map(|(at, _)| at),
            filter.after.map_or(Uuid::nil(), |(_, id)| id),
            limit,
            filter.id,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().filter_map(Row::job).collect())
    }

    /// One job.
    pub async fn replay_job(&self, id: Uuid) -> Result<Option<ReplayJobRow>, JournalError> {
        let only = JobFilter {
            id: Some(id),
            ..JobFilter::default()
        };
        Ok(self.replay_jobs(&only, 1).await?.pop())
    }

    /// Jobs of a source whose window touches a time or that are not over, the earliest first.
    pub async fn replay_jobs_of(
        &self,
        source: LogSource,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<Vec<ReplayJobRow>, JournalError> {
        let rows = sqlx::query_as!(
            Row,
            r"
            SELECT
                id, source, starts_at, ends_at, origin, who, state, konnect_status, detail, known,
                stored_before, arrivals_before, new_entries, repeated_entries, created_at, asked_at,
                completed_at, ended_at
            FROM replay_jobs
            WHERE source = $1 AND ((ends_at >= $2 AND starts_at <= $3) OR ended_at IS NULL)
            ORDER BY created_at, id
            ",
            source.to_string(),
            from,
            to,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().filter_map(Row::job).collect())
    }

    /// Whether files were imported since a time: their entries would count as what a job brought.
    pub async fn was_imported_since(&self, since: DateTime<Utc>) -> Result<bool, JournalError> {
        Ok(sqlx::query_scalar!(
            r#"
            SELECT EXISTS (
                SELECT
                FROM batches
                WHERE source = 'import'
                    -- The database's clock; a transaction takes a moment.
                    AND created_at >= $1::timestamptz - interval '10 seconds'
                        - coalesce((SELECT ahead FROM readiness), interval '0')
            ) AS "exists!"
            "#,
            since,
        )
        .fetch_one(&self.pool)
        .await?)
    }

    /// What is stored of a window of a source. Reads all of its events, an hour at a time.
    pub async fn window_counts(
        &self,
        source: LogSource,
        window: (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<WindowCounts, JournalError> {
        let mut counts = WindowCounts::default();
        let (mut from, last) = (window.0 - EDGE, window.1 + EDGE);
        while from <= last {
            let to = from + COUNTED_AT_ONCE;
            // Ends are exclusive, and those of a window are not.
            let end = to.min(last + TimeDelta::microseconds(1));
            let part = self.counts_between(source, window, (from, end)).await?;
            counts.known += part.known;
            counts.stored += part.stored;
            counts.arrivals += part.arrivals;
            from = to;
        }
        Ok(counts)
    }

    /// What is stored of a part of a window; the end of the part is exclusive.
    async fn counts_between(
        &self,
        source: LogSource,
        window: (DateTime<Utc>, DateTime<Utc>),
        (from, to): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<WindowCounts, JournalError> {
        Ok(sqlx::query_as!(
            WindowCounts,
            r#"
            SELECT
                count(*) FILTER (WHERE e.event_ts BETWEEN $4 AND $5) AS "known!",
                count(*) AS "stored!",
                coalesce(sum(e.copies + coalesce(r.copies, 0)), 0)::bigint AS "arrivals!"
            FROM events e
            -- The range once more: the planner does not infer it, and would read all repeats.
            LEFT JOIN repeats r
                ON r.event_ts = e.event_ts AND r.id = e.id
                AND r.event_ts >= $2 AND r.event_ts < $3
            WHERE e.event_ts >= $2 AND e.event_ts < $3
                AND CASE
                    WHEN $1::text IS NULL THEN lower(e.product) = 'konnect'
                    ELSE lower(e.product) = 'dev-portal' AND e.portal_id = $1
                END
            "#,
            source.portal().map(|portal| portal.to_string()),
            from,
            to,
            window.0 + EDGE,
            window.1 - EDGE,
        )
        .fetch_one(&self.pool)
        .await?)
    }
}

struct Row {
    id: Uuid,
    source: String,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    origin: String,
    who: String,
    state: String,
    konnect_status: String,
    detail: String,
    known: i64,
    stored_before: i64,
    arrivals_before: i64,
    new_entries: i64,
    repeated_entries: i64,
    created_at: DateTime<Utc>,
    asked_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
}

impl Row {
    /// None of a row that a newer usher wrote.
    fn job(self) -> Option<ReplayJobRow> {
        Some(ReplayJobRow {
            id: self.id,
            source: LogSource::parse(&self.source)?,
            from: self.starts_at,
            to: self.ends_at,
            origin: JobOrigin::parse(&self.origin)?,
            who: self.who,
            state: JobState::parse(&self.state)?,
            konnect_status: self.konnect_status,
            detail: self.detail,
            before: WindowCounts {
                known: self.known,
                stored: self.stored_before,
                arrivals: self.arrivals_before,
            },
            new_entries: self.new_entries,
            repeated_entries: self.repeated_entries,
            created_at: self.created_at,
            asked_at: self.asked_at,
            completed_at: self.completed_at,
            ended_at: self.ended_at,
        })
    }
}
