//! Failed log-ins summed up by the week, once it is over. They are counted by the hour, in nearly
//! as many rows as there were, and a question about months would read all of these. A sum is valid
//! until something of its week changes. A trigger deletes the week then, and reports read its hours
//! until it is summed up again.

use chrono::{DateTime, Utc};

use crate::journal::{Journal, JournalError, try_count_alone};
use crate::report::rollup::count::{self, Step};

/// Sums up the newest week that is over and was not summed up, unless another instance counts.
pub(super) async fn step(journal: &Journal) -> Result<Step, JournalError> {
    let Some(week) = next(journal).await? else {
        return Ok(Step::Nothing);
    };
    let mut tx = count::begin(journal).await?;
    if !try_count_alone(&mut tx).await? {
        return Ok(Step::Taken);
    }
    count::take_time(&mut tx).await?;
    sqlx::query!(
        r"
        WITH week AS (
            -- Whoever counted until now may have summed it up.
            INSERT INTO report_weeks (week)
            VALUES ($1)
            ON CONFLICT DO NOTHING
            RETURNING week
        )
        INSERT INTO report_failures (
            week, portal_id, principal_id, src, failures, locked, first_at, last_at
        )
        SELECT
            week.week, portal_id, principal_id, src,
            sum(events),
            COALESCE(sum(events) FILTER (WHERE name = 'AUTHENTICATION_OUTCOME_LOCKED'), 0),
            min(first_at),
            max(last_at)
        FROM week
        CROSS JOIN report_principals
        WHERE kind = 'authentication'
            AND outcome = 'failure'
            AND since >= $1
            AND since < $1 + interval '7 days'
        GROUP BY week.week, portal_id, principal_id, src
        ",
        week,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Step::Done)
}

/// Of the last ten years: before that hours are few.
async fn next(journal: &Journal) -> Result<Option<DateTime<Utc>>, JournalError> {
    Ok(sqlx::query_scalar!(
        r#"
        SELECT t.week AS "week!"
        FROM (
            SELECT GREATEST(min(since), now() - interval '520 weeks') AS first
            FROM report_principals
            WHERE kind = 'authentication' AND outcome = 'failure'
            HAVING min(since) IS NOT NULL
        ) AS failures
        CROSS JOIN LATERAL generate_series(
            date_bin('7 days', failures.first, '1970-01-05T00:00:00Z'),
            -- What comes late has come by then.
            now() - interval '9 days',
            '7 days'
        ) AS t (week)
        WHERE NOT EXISTS (SELECT FROM report_weeks w WHERE w.week = t.week)
        ORDER BY t.week DESC
        LIMIT 1
        "#
    )
    .fetch_optional(journal.pool())
    .await?)
}
