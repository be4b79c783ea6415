//! What is wrong with usher itself now, and what of that the record shows.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::event::Alert;
use crate::journal::{Journal, JournalError};

/// So many entries whose signature fails are counted in each table.
const COUNTED: i64 = 10_000;
/// How long the keys may take to be fetched: a younger entry says nothing.
const SETTLES_WITHIN: Duration = Duration::from_mins(1);
/// How old an entry of an open verdict may be by its own clock, so that few partitions are read.
const OLDEST: Duration = Duration::from_hours(8 * 24);

/// A condition that somebody found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundAlert {
    /// Which sort.
    pub alert: Alert,
    /// What it is about, such as a reader; empty where there can be only one.
    pub subject: String,
    /// The portal that it is about, if any.
    pub portal_id: Option<Uuid>,
    /// What was found, for a person: no secret, no name of a person.
    pub detail: String,
}

/// A condition that holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAlert {
    /// What was found last.
    pub found: FoundAlert,
    /// When it was first found, by the database's clock.
    pub since: DateTime<Utc>,
}

/// How many of the entries of late have a signature that no key fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureFailures {
    /// Of these.
    pub failing: i64,
    /// Entries that were received.
    pub entries: i64,
}

/// A row before its name is read.
pub(in crate::journal) struct AlertRow {
    pub(in crate::journal) name: String,
    pub(in crate::journal) subject: String,
    pub(in crate::journal) portal_id: Option<Uuid>,
    pub(in crate::journal) detail: String,
    pub(in crate::journal) since: DateTime<Utc>,
}

impl FoundAlert {
    /// One that is about no portal.
    pub fn new(alert: Alert, subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            alert,
            subject: subject.into(),
            portal_id: None,
            detail: detail.into(),
        }
    }

    /// One about a portal.
    pub fn of_portal(alert: Alert, portal: Uuid, detail: impl Into<String>) -> Self {
        Self {
            portal_id: Some(portal),
            ..Self::new(alert, portal.to_string(), detail)
        }
    }
}

impl AlertRow {
    /// None where a newer usher wrote it, which knows more sorts.
    pub(in crate::journal) fn read(self) -> Option<OpenAlert> {
        Some(OpenAlert {
            found: FoundAlert {
                alert: self.name.parse().ok()?,
                subject: self.subject,
                portal_id: self.portal_id,
                detail: self.detail,
            },
            since: self.since,
        })
    }
}

impl Journal {
    /// What is wrong now, what has been so for longest first.
    pub async fn open_alerts(&self) -> Result<Vec<OpenAlert>, JournalError> {
        let rows = sqlx::query_as!(
            AlertRow,
            r"
            SELECT name, subject, portal_id, detail, since
            FROM alerts
            ORDER BY since, name, subject
            ",
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().filter_map(AlertRow::read).collect())
    }

    /// What instances reported within the time `within`, each condition once.
    pub async fn reported_alerts(&self, within: Duration) -> Result<Vec<FoundAlert>, JournalError> {
        let rows = sqlx::query_as!(
            AlertRow,
            r#"
            SELECT DISTINCT ON (name, subject)
                name, subject, portal_id, detail, reported_at AS "since"
            FROM alert_reports
            WHERE reported_at > now() - make_interval(secs => $1)
            -- The same of two instances as long as both report it.
            ORDER BY name, subject, instance
            "#,
            within.as_secs_f64(),
        )
        .fetch_all(&self.pool)
        .await?;
        let open = rows.into_iter().filter_map(AlertRow::read);
        Ok(open.map(|open| open.found).collect())
    }

    /// Counts the entries received within the time `within` and those of them whose signature
    /// fails. An entry that no key fits counts once it is a minute old: its key may just have been
    /// made.
    pub async fn signature_failures(
        &self,
        within: Duration,
    ) -> Result<SignatureFailures, JournalError> {
        Ok(sqlx::query_as!(
            SignatureFailures,
            r#"
            WITH received AS (
                SELECT
                    sum(stored + duplicates + quarantined)::bigint AS entries,
                    sum((verdicts ->> 'failed')::bigint)::bigint AS failed
                FROM batches
                WHERE received_at >= now() - make_interval(secs => $1)
                    AND requests <> '[]'::jsonb
            ), open AS (
                SELECT count(*) AS entries
                FROM (
                    SELECT
                    FROM events
                    WHERE verdict = 'key_unknown'
                        AND event_ts >= now() - make_interval(secs => $4)
                        AND received_at >= now() - make_interval(secs => $1)
                        AND received_at < now() - make_interval(secs => $2)
                    LIMIT $3
                ) AS first
            ), kept AS (
                SELECT count(*) AS entries
                FROM (
                    SELECT
                    FROM quarantine
                    WHERE reason IN ('signature_failed', 'signature_key_unknown')
                        AND received_at >= now() - make_interval(secs => $1)
                        AND received_at < now() - make_interval(secs => $2)
                    LIMIT $3
                ) AS first
            )
            SELECT
                COALESCE(received.failed, 0) + open.entries + kept.entries AS "failing!",
                COALESCE(received.entries, 0) AS "entries!"
            FROM received, open, kept
            "#,
            within.as_secs_f64(),
            SETTLES_WITHIN.as_secs_f64(),
            COUNTED,
            OLDEST.as_secs_f64(),
        )
        .fetch_one(&self.pool)
        .await?)
    }

    /// Of these portals those in which nothing happened that Konnect logged for the time `within`.
    pub async fn silent_portals(
        &self,
        portals: &[Uuid],
        within: Duration,
    ) -> Result<Vec<Uuid>, JournalError> {
        Ok(sqlx::query_scalar!(
            r#"
            SELECT portal AS "portal!"
            FROM UNNEST($1::uuid[]) AS portal
            WHERE NOT EXISTS (
                SELECT
                FROM events e
                WHERE e.portal_id = portal::text
                    AND e.event_ts >= now() - make_interval(secs => $2)
                    AND e.product IS DISTINCT FROM 'usher'
            )
            "#,
            portals,
            within.as_secs_f64(),
        )
        .fetch_all(&self.pool)
        .await?)
    }
}
