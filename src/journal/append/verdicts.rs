//! Verdicts that were open on receipt, or are checked again, and are settled later.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::event::{EventId, Verdict};
use crate::journal::read::EventRow;
use crate::journal::{
    Connection, Journal, JournalError, Position, Quarantined, StoredEvent, recounts,
};

/// Bytes of entries in one slice, whatever their number: each may be as long as a line may be.
const SLICE_BYTES: i64 = 8 * 1024 * 1024;
/// Finding few events among very many takes longer than usher's own statements may.
const LOOK_TIMEOUT: &str = "10min";

/// Which stored events to check again.
#[derive(Debug, Clone)]
pub struct CheckFilter {
    /// Earliest `event_ts`, inclusive.
    pub from: DateTime<Utc>,
    /// Latest `event_ts`, exclusive.
    pub to: DateTime<Utc>,
    /// Member `portal_id`.
    pub portal_id: Option<String>,
    /// What is known of the signature so far.
    pub verdict: Option<Verdict>,
}

/// A verdict that replaces another.
#[derive(Debug, Clone, Copy)]
pub struct NewVerdict {
    /// Header time of the event.
    pub event_ts: DateTime<Utc>,
    /// Its id.
    pub id: EventId,
    /// What it was.
    pub from: Verdict,
    /// What it becomes.
    pub to: Verdict,
}

impl Journal {
    /// Whether there is any entry that no key fitted yet.
    pub async fn has_open_verdicts(&self) -> Result<bool, JournalError> {
        // Each by the first entry of its index.
        Ok(sqlx::query_scalar!(
            r#"
            SELECT COALESCE(
                (
                    SELECT true
                    FROM events
                    WHERE verdict = 'key_unknown'
                    ORDER BY received_at
                    LIMIT 1
                ),
                (
                    SELECT true
                    FROM quarantine
                    WHERE reason = 'signature_key_unknown'
                    ORDER BY received_at
                    LIMIT 1
                ),
                false
            ) AS "open!"
            "#
        )
        .fetch_one(&self.pool)
        .await?)
    }

    /// Up to `limit` events received `before` that no key fitted yet, oldest first, after the time
    /// of receipt and id of `after`. Their bytes are bounded as well.
    pub async fn events_without_key(
        &self,
        after: Option<(DateTime<Utc>, Uuid)>,
        before: DateTime<Utc>,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, JournalError> {
        let (time, id) = after.unzip();
        let rows = sqlx::query_as!(
            EventRow,
            r#"
            SELECT
                e.id, e.event_ts, e.received_at, e.batch, e.verdict, e.raw,
                e.copies + COALESCE((
                    SELECT r.copies
                    FROM repeats r
                    WHERE r.event_ts = e.event_ts AND r.id = e.id
                ), 0) AS "copies!",
                NULL::uuid AS delivery_id
            FROM (
                SELECT
                    *,
                    sum(octet_length(raw)) OVER (ORDER BY received_at, id) - octet_length(raw)
                        AS bytes_before
                FROM (
                    SELECT id, event_ts, received_at, batch, verdict, copies, raw
                    FROM events
                    WHERE verdict = 'key_unknown'
                        AND received_at < $5
                        AND (
                            $1::timestamptz IS NULL
                            OR (received_at, id) > ($1::timestamptz, $2::uuid)
                        )
                    ORDER BY received_at, id
                    LIMIT $3
                ) AS oldest
            ) AS e
            WHERE e.bytes_before < $4
            ORDER BY e.received_at, e.id
            "#,
            time,
            id,
            limit,
            SLICE_BYTES,
            before,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Up to `limit` delivered events that match, in the order of their time, after `after`; no
    /// more than a bounded number of bytes, and at least one while there is one.
    pub async fn events_to_check(
        &self,
        filter: &CheckFilter,
        after: Option<Position>,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, JournalError> {
        let (time, id) = after.map_or((filter.from, Uuid::nil()), |after| {
            (after.event_ts, after.id.as_uuid())
        });
        let mut tx = self.pool.begin().await?;
        sqlx::query_scalar!(
            "SELECT set_config('statement_timeout', $1, true)",
            LOOK_TIMEOUT,
        )
        .fetch_one(&mut *tx)
        .await?;
        let rows = sqlx::query_as!(
            EventRow,
            r#"
            SELECT
                e.id, e.event_ts, e.received_at, e.batch, e.verdict, e.raw,
                e.copies + COALESCE((
                    SELECT r.copies
                    FROM repeats r
                    WHERE r.event_ts = e.event_ts AND r.id = e.id
                ), 0) AS "copies!",
                NULL::uuid AS delivery_id
            FROM (
                SELECT
                    *,
                    sum(octet_length(raw)) OVER (ORDER BY event_ts, id) - octet_length(raw)
                        AS bytes_before
                FROM (
                    SELECT id, event_ts, received_at, batch, verdict, copies, raw
                    FROM events
                    WHERE (event_ts, id) > ($1, $2)
                        AND event_ts < $3
                        AND ($4::text IS NULL OR portal_id = $4)
                        AND ($5::text IS NULL OR verdict = $5)
                        -- What usher wrote itself was never signed.
                        AND product IS DISTINCT FROM 'usher'
                        -- What the pull API signs is not documented.
                        AND format <> 'pull'
                    ORDER BY event_ts, id
                    LIMIT $6
                ) AS next
            ) AS e
            WHERE e.bytes_before < $7
            ORDER BY e.event_ts, e.id
            "#,
            time,
            id,
            filter.to,
            filter.portal_id,
            filter.verdict.map(Verdict::as_str),
            limit,
            SLICE_BYTES,
        )
        .fetch_all(&mut *tx)
        .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Writes verdicts on events of one batch and returns how many. When one of them became
    /// stronger, every reader owes the batch again. `None` while a reader works on that batch: it
    /// may have read the old verdict, so the next check settles it.
    pub async fn settle(
        &self,
        batch: Uuid,
        verdicts: &[NewVerdict],
    ) -> Result<Option<u64>, JournalError> {
        let mut tx = self.pool.begin().await?;
        // The rows are locked, so that none of them is claimed before the verdict is written.
        let claims = sqlx::query_scalar!(
            r#"
            SELECT COALESCE(claimed_until > now(), false) AS "claimed!"
            FROM readers
            JOIN outbox ON outbox.reader = readers.name
            WHERE outbox.batch = $1
            FOR UPDATE OF outbox
            "#,
            batch,
        )
        .fetch_all(&mut *tx)
        .await?;
        if claims.contains(&true) {
            return Ok(None);
        }
        let written = sqlx::query!(
            r#"
            WITH settled AS (
                SELECT e.event_ts, e.id, new.verdict
                FROM events e
                JOIN UNNEST($2::timestamptz[], $3::uuid[], $4::text[], $5::text[])
                    AS new (event_ts, id, old_verdict, verdict)
                    ON e.event_ts = new.event_ts AND e.id = new.id
                -- A stronger copy may have come meanwhile, and have moved it to its own batch.
                WHERE e.batch = $1 AND e.verdict = new.old_verdict
                -- In this order, as appends do, so that nobody deadlocks.
                ORDER BY e.event_ts, e.id
                FOR UPDATE OF e
            )
            UPDATE events
            SET verdict = settled.verdict
            FROM settled
            WHERE events.event_ts = settled.event_ts AND events.id = settled.id
            "#,
            batch,
            &verdicts.iter().map(|new| new.event_ts).collect::<Vec<_>>(),
            &verdicts
                .iter()
                .map(|new| new.id.as_uuid())
                .collect::<Vec<_>>(),
            &verdicts
                .iter()
                .map(|new| new.from.as_str())
                .collect::<Vec<_>>() as &[&str],
            &verdicts
                .iter()
                .map(|new| new.to.as_str())
                .collect::<Vec<_>>() as &[&str],
        )
        .execute(&mut *tx)
        .await?
        .rows_affected();
        if written > 0 {
            recounts::note(&mut tx, verdicts.iter().map(|new| new.event_ts)).await?;
        }
        let grew = |new: &NewVerdict| new.to.strength() > new.from.strength();
        if written > 0 && verdicts.iter().any(grew) {
            owe_anew(&mut tx, batch).await?;
        }
        tx.commit().await?;
        self.wake_readers();
        Ok(Some(written))
    }

    /// Up to `limit` rows received `before` and quarantined for `reason`, oldest first, after the
    /// time and id of `after`. Their bytes are bounded as well.
    pub async fn quarantined_for(
        &self,
        reason: &str,
        after: Option<(DateTime<Utc>, Uuid)>,
        before: DateTime<Utc>,
        limit: i64,
    ) -> Result<Vec<Quarantined>, JournalError> {
        let (time, id) = after.unzip();
        Ok(sqlx::query_as!(
            Quarantined,
            r#"
            SELECT id, received_at, delivery_id, reason, detail, raw, raw_bytes, event_id
            FROM (
                SELECT
                    *,
                    sum(octet_length(raw)) OVER (ORDER BY received_at, id) - octet_length(raw)
                        AS bytes_before
                FROM (
                    SELECT id, received_at, delivery_id, reason, detail, raw, raw_bytes, event_id
                    FROM quarantine
                    WHERE reason = $1
                        AND received_at < $6
                        AND (
                            $2::timestamptz IS NULL
                            OR (received_at, id) > ($2::timestamptz, $3::uuid)
                        )
                    ORDER BY received_at, id
                    LIMIT $4
                ) AS oldest
            ) AS sized
            WHERE bytes_before < $5
            ORDER BY received_at, id
            "#,
            reason,
            time,
            id,
            limit,
            SLICE_BYTES,
            before,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// Gives rows another reason.
    pub async fn requarantine(
        &self,
        ids: &[Uuid],
        reason: &str,
        detail: &str,
    ) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            UPDATE quarantine
            SET reason = $2, detail = $3
            WHERE id = ANY($1)
            ",
            ids,
            reason,
            detail,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// Makes every reader owe a batch again.
async fn owe_anew(tx: &mut Connection, batch: Uuid) -> Result<(), JournalError> {
    sqlx::query!(
        r"
        INSERT INTO outbox
            (reader, batch, lane, first_event_ts, last_event_ts, created_at, owed_at)
        SELECT
            r.name, b.id, b.lane, b.first_event_ts, b.last_event_ts, b.received_at,
            clock_timestamp()
        FROM batches b
        CROSS JOIN readers r
        WHERE b.id = $1 AND b.first_event_ts IS NOT NULL
            -- Entries go on as received: a verdict changes nothing in them.
            AND r.name NOT LIKE 'forward-%'
        -- Whoever let a claim run out may have read the old verdict: that leaves this owed.
        ON CONFLICT (reader, batch) DO UPDATE SET owed_at = EXCLUDED.owed_at
        ",
        batch,
    )
    .execute(tx)
    .await?;
    Ok(())
}
