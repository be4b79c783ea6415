//! Log-ins summed up by the week, once it is over. Those that failed are counted by the hour and
//! the others by the day, in nearly as many rows as there were; a question about months would read
//! all of these. A sum is valid until something of its week changes. A trigger deletes the week
//! then, and reports read its hours and days until it is summed up again.

use chrono::{DateTime, Utc};

use crate::journal::{Connection, Journal, JournalError, try_count_alone};
use crate::report::rollup::count::{self, Step};

/// What is summed up apart from the other.
#[derive(Debug, Clone, Copy)]
enum Sums {
    /// Log-ins that failed, by person and address.
    Failures,
    /// Log-ins that succeeded and whose signature is not false, by person.
    Logins,
}

/// Sums up the newest week that is over and was not summed up, unless another instance counts.
pub(super) async fn step(journal: &Journal) -> Result<Step, JournalError> {
    let Some((week, sums)) = next(journal).await? else {
        return Ok(Step::Nothing);
    };
    let mut tx = journal.pool().begin().await?;
    if !try_count_alone(&mut tx).await? {
        return Ok(Step::Taken);
    }
    count::take_time(&mut tx).await?;
    match sums {
        Sums::Failures => sum_failures(&mut tx, week).await?,
        Sums::Logins => sum_logins(&mut tx, week).await?,
    }
    tx.commit().await?;
    Ok(Step::Done)
}

async fn sum_failures(tx: &mut Connection, week: DateTime<Utc>) -> Result<(), JournalError> {
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
    .execute(tx)
    .await?;
    Ok(())
}

async fn sum_logins(tx: &mut Connection, week: DateTime<Utc>) -> Result<(), JournalError> {
    sqlx::query!(
        r"
        WITH week AS (
            -- As above.
            INSERT INTO report_login_weeks (week)
            VALUES ($1)
            ON CONFLICT DO NOTHING
            RETURNING week
        )
        INSERT INTO report_logins (week, portal_id, principal_id, logins, first_at, last_at)
        SELECT
            week.week, portal_id, principal_id, sum(events), min(first_at), max(last_at)
        FROM week
        CROSS JOIN report_principals
        WHERE kind = 'authentication'
            AND outcome = 'success'
            AND verdict <> 'failed'
            -- They are counted by the day: between two days there are the hours of those that failed.
            AND since = ANY(ARRAY(SELECT generate_series($1, $1 + interval '6 days', '1 day')))
        GROUP BY week.week, portal_id, principal_id
        ",
        week,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The next week, and what of it. Of the last ten years: before that rows are few.
async fn next(journal: &Journal) -> Result<Option<(DateTime<Utc>, Sums)>, JournalError> {
    let next = sqlx::query!(
        r#"
        SELECT t.week AS "week!", failures.week IS NULL AS "lacks_failures!"
        FROM (
            SELECT GREATEST(min(since), now() - interval '520 weeks') AS first
            FROM report_principals
            HAVING min(since) IS NOT NULL
        ) AS counted
        CROSS JOIN LATERAL generate_series(
            date_bin('7 days', counted.first, '1970-01-05T00:00:00Z'),
            -- Most of what comes late has come six hours after the week's end.
            now() - interval '7 days 6 hours',
            '7 days'
        ) AS t (week)
        LEFT JOIN report_weeks failures ON failures.week = t.week
        LEFT JOIN report_login_weeks logins ON logins.week = t.week
        WHERE failures.week IS NULL OR logins.week IS NULL
        ORDER BY t.week DESC
        LIMIT 1
        "#
    )
    .fetch_optional(journal.pool())
    .await?;
    Ok(next.map(|next| {
        let sums = if next.lacks_failures {
            Sums::Failures
        } else {
            Sums::Logins
        };
        (next.week, sums)
    }))
}
