//! The state of each portal's sweeps: their numbers, hints, the last outcome.
//!
//! Sweeps and hints are counted, not timed: neither a wrong clock nor a hint that comes during a
//! sweep can lose one.

use std::time::Duration;

use crate::journal::Connection;
use konnect::PortalId;

use crate::directory::{Directory, Scope, Snapshot};
use crate::journal::JournalError;

/// A sweep that has begun: what it reads is newer than all that earlier sweeps read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sweep {
    /// The portal.
    pub portal_id: PortalId,
    /// Its number.
    pub(super) number: i64,
    /// Hints given before it began.
    pub(super) hints: i64,
}

/// The state of a portal's sweeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepState {
    /// Whether everything was read at least once.
    pub first_complete: bool,
    /// Time since the last pending sweep was stored.
    pub pending_age: Option<Duration>,
    /// Time since the last full sweep was stored.
    pub all_age: Option<Duration>,
    /// Whether a hint waits for a pending sweep.
    pub unanswered: bool,
    /// Whether refresh requests wait.
    pub touched: bool,
    /// Time since the first object that complete lists lack was missed.
    pub missed_age: Option<Duration>,
    /// Which kind of sweep failed last and why; none after a good one of that kind.
    pub last_error: Option<String>,
}

impl SweepState {
    /// Whether a sweep is requested.
    pub fn is_hinted(&self) -> bool {
        self.unanswered || self.touched
    }
}

impl Directory {
    /// Begins a sweep: to be called before the first read of what will be stored with it. Does not
    /// wait for another sweep that is being stored.
    pub async fn begin(&self, portal: PortalId) -> Result<Sweep, JournalError> {
        let row = sqlx::query!(
            r#"
            SELECT
                nextval('directory_looks') AS "number!",
                COALESCE((SELECT hints FROM observed_portals WHERE portal_id = $1), 0) AS "hints!"
            "#,
            portal.0,
        )
        .fetch_one(self.journal.pool())
        .await?;
        Ok(Sweep {
            portal_id: portal,
            number: row.number,
            hints: row.hints,
        })
    }

    /// Requests a sweep of `portal` soon. Hints that wait are one.
    pub async fn hint(&self, portal: PortalId) -> Result<(), JournalError> {
        self.request_sweep(portal).await.map(drop)
    }

    /// Does the same, and returns the hint's number for [`Directory::is_hint_answered`].
    pub async fn request_sweep(&self, portal: PortalId) -> Result<i64, JournalError> {
        let hint = sqlx::query_scalar!(
            r"
            INSERT INTO observed_portals (portal_id, hints)
            VALUES ($1, 1)
            ON CONFLICT (portal_id) DO UPDATE
            SET hints = observed_portals.hints + 1
            RETURNING hints
            ",
            portal.0,
        )
        .fetch_one(self.journal.pool())
        .await?;
        self.wake_sweeps();
        Ok(hint)
    }

    /// Shortens the wait of this process's sweep loops.
    pub(super) fn wake_sweeps(&self) {
        self.hinted.notify_waiters();
    }

    /// Whether a sweep that began after this hint was given is stored.
    pub async fn is_hint_answered(
        &self,
        portal: PortalId,
        hint: i64,
    ) -> Result<bool, JournalError> {
        let answered = sqlx::query_scalar!(
            r#"
            SELECT hints_answered >= $2 AS "answered!"
            FROM observed_portals
            WHERE portal_id = $1
            "#,
            portal.0,
            hint,
        )
        .fetch_optional(self.journal.pool())
        .await?;
        Ok(answered.unwrap_or(false))
    }

    /// Completes when this process gives a hint after the call. Other instances give hints too:
    /// [`Directory::sweep_state`] is the truth, and this only shortens the wait for it.
    pub fn hinted(&self) -> impl Future<Output = ()> {
        self.hinted.notified()
    }

    /// The state of `portal`'s sweeps; the default before the first one.
    pub async fn sweep_state(&self, portal: PortalId) -> Result<SweepState, JournalError> {
        let row = sqlx::query!(
            r#"
            SELECT
                first_complete_at IS NOT NULL AS "first_complete!",
                EXTRACT(EPOCH FROM now() - pending_at)::float8 AS pending_age,
                EXTRACT(EPOCH FROM now() - all_at)::float8 AS all_age,
                hints > hints_answered AS "unanswered!",
                EXISTS (
                    SELECT
                    FROM touched_developers touched
                    WHERE touched.portal_id = observed_portals.portal_id
                        AND touched.absent_at IS NULL
                        AND (touched.retry_at IS NULL OR touched.retry_at <= now())
                ) OR EXISTS (
                    SELECT
                    FROM touched_objects touched
                    WHERE touched.portal_id = observed_portals.portal_id
                        AND (touched.retry_at IS NULL OR touched.retry_at <= now())
                ) AS "touched!",
                (
                    SELECT EXTRACT(EPOCH FROM now() - min(missed_at))::float8
                    FROM missed_objects missed
                    WHERE missed.portal_id = observed_portals.portal_id
                        AND missed.is_unlisted
                        AND missed.kind <> 'portal'
                ) AS missed_age,
                last_error
            FROM observed_portals
            WHERE portal_id = $1
            "#,
            portal.0,
        )
        .fetch_optional(self.journal.pool())
        .await?;
        let age = |seconds: Option<f64>| {
            seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default())
        };
        Ok(row.map_or_else(SweepState::default, |row| SweepState {
            first_complete: row.first_complete,
            pending_age: age(row.pending_age),
            all_age: age(row.all_age),
            unanswered: row.unanswered,
            touched: row.touched,
            missed_age: age(row.missed_age),
            last_error: row.last_error,
        }))
    }

    /// Stores why a sweep of `portal` failed. `error` must contain neither secrets nor bodies.
    pub async fn sweep_failed(
        &self,
        portal: PortalId,
        scope: Scope,
        error: &str,
    ) -> Result<(), JournalError> {
        let error = format!("{}: {error}", scope.as_str());
        sqlx::query!(
            r"
            INSERT INTO observed_portals (portal_id, last_error, last_error_at)
            VALUES ($1, $2, now())
            ON CONFLICT (portal_id) DO UPDATE
            SET last_error = EXCLUDED.last_error, last_error_at = EXCLUDED.last_error_at
            ",
            portal.0,
            error.replace('\0', "\u{fffd}"),
        )
        .execute(self.journal.pool())
        .await?;
        Ok(())
    }
}

/// Whether everything of a portal was read before.
pub(super) async fn is_complete(
    connection: &mut Connection,
    portal: PortalId,
) -> Result<bool, JournalError> {
    let complete = sqlx::query_scalar!(
        r#"
        SELECT first_complete_at IS NOT NULL AS "complete!"
        FROM observed_portals
        WHERE portal_id = $1
        "#,
        portal.0,
    )
    .fetch_optional(connection)
    .await?;
    Ok(complete.unwrap_or(false))
}

/// Locks the portal's state until the transaction ends, so that sweeps are stored one after the
/// other; `true` when everything was read before.
pub(super) async fn lock(tx: &mut Connection, portal: PortalId) -> Result<bool, JournalError> {
    sqlx::query!(
        r"
        INSERT INTO observed_portals (portal_id)
        VALUES ($1)
        ON CONFLICT (portal_id) DO NOTHING
        ",
        portal.0,
    )
    .execute(&mut *tx)
    .await?;
    Ok(sqlx::query_scalar!(
        r#"
        SELECT first_complete_at IS NOT NULL AS "first_complete!"
        FROM observed_portals
        WHERE portal_id = $1
        FOR UPDATE
        "#,
        portal.0,
    )
    .fetch_one(&mut *tx)
    .await?)
}

/// Stores that `sweep` is stored. One that left something for the next one answers no hint.
pub(super) async fn stored(
    tx: &mut Connection,
    sweep: Sweep,
    snapshot: &Snapshot,
) -> Result<(), JournalError> {
    let scope = snapshot.scope;
    sqlx::query!(
        r"
        UPDATE observed_portals
        SET
            first_complete_at = CASE WHEN $2
                THEN COALESCE(first_complete_at, now()) ELSE first_complete_at END,
            all_at = CASE WHEN $2 THEN now() ELSE all_at END,
            -- What a look at everything shows may be old when it is stored.
            pending_at = CASE WHEN $3 THEN now() ELSE pending_at END,
            hints_answered = CASE WHEN $2 OR $3
                THEN GREATEST(hints_answered, $4) ELSE hints_answered END,
            last_error = CASE WHEN NOT starts_with(last_error, $5) THEN last_error END,
            last_error_at = CASE WHEN NOT starts_with(last_error, $5) THEN last_error_at END
        WHERE portal_id = $1
        ",
        sweep.portal_id.0,
        scope == Scope::All,
        scope == Scope::Pending && !snapshot.is_partial,
        sweep.hints,
        format!("{}: ", scope.as_str()),
    )
    .execute(tx)
    .await?;
    Ok(())
}
