//! `failed-logins`: who failed to sign in, from where, and what that looks like.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::journal::{Connection, JournalError};
use crate::report::ONE_MORE;
use crate::report::question::Asked;
use crate::report::row::columns;

/// Failures on one account from which on somebody is guessing.
const GUESSES: i64 = 10;
/// Accounts that one address fails on from which on it is no person's mistake.
const ACCOUNTS: i64 = 10;
/// Failures of one address from which on lists are being tried.
const STUFFED: i64 = 100;

columns! {
    /// Failures of one account from one address, in the hours that the window touches.
    pub struct Row {
        /// Portal as sent; none for the organisation's log
        portal_id: Option<String>,
        /// Who failed, as sent; none where the log does not say
        principal_id: Option<String>,
        /// The same where it is a developer's id
        developer_id: Option<Uuid>,
        /// Their address; none where nobody is known by it
        email: Option<String>,
        /// Their name
        full_name: Option<String>,
        /// Address as sent
        src: Option<String>,
        /// How many log-ins failed
        failures: i64,
        /// How many of them for an account that is locked
        locked: i64,
        /// The first failure
        first_at: DateTime<Utc>,
        /// The last failure
        last_at: DateTime<Utc>,
        /// `stuffing`: 100 failures or more from one address, on 10 accounts or more or on none that is known; `spraying`: fewer, on 10 accounts or more; `guessing`: 10 failures or more on one account, from wherever; none else
        pattern: Option<String>,
    }
}

pub(super) async fn rows(tx: &mut Connection, asked: &Asked) -> Result<Vec<Row>, JournalError> {
    Ok(sqlx::query_as!(
        Row,
        r#"
        WITH tries AS (
            SELECT
                portal_id, principal_id, src,
                sum(events)::bigint AS failures,
                COALESCE(sum(events) FILTER (WHERE name = 'AUTHENTICATION_OUTCOME_LOCKED'), 0)::bigint
                    AS locked,
                min(first_at) AS first_at,
                max(last_at) AS last_at
            FROM report_principals
            WHERE kind = 'authentication'
                AND outcome = 'failure'
                AND since >= date_bin('1 hour', $2, 'epoch')
                AND since < $3
                AND ($1::text IS NULL OR portal_id = $1)
            GROUP BY portal_id, principal_id, src
        ), weighed AS (
            SELECT
                *,
                (sum(failures) OVER account)::bigint AS of_account,
                (sum(failures) OVER address)::bigint AS of_address,
                count(NULLIF(principal_id, '')) OVER address AS accounts
            FROM tries
            WINDOW
                account AS (PARTITION BY portal_id, principal_id),
                address AS (PARTITION BY portal_id, src)
        )
        SELECT
            NULLIF(w.portal_id, '') AS portal_id,
            NULLIF(w.principal_id, '') AS principal_id,
            s.developer_id AS "developer_id?",
            s.email AS "email?",
            s.full_name AS "full_name?",
            NULLIF(w.src, '') AS src,
            w.failures AS "failures!",
            w.locked AS "locked!",
            w.first_at AS "first_at!",
            w.last_at AS "last_at!",
            CASE
                WHEN w.src <> '' AND w.of_address >= $6 AND (w.accounts >= $5 OR w.accounts = 0)
                    THEN 'stuffing'
                WHEN w.src <> '' AND w.accounts >= $5 THEN 'spraying'
                WHEN w.principal_id <> '' AND w.of_account >= $4 THEN 'guessing'
            END AS pattern
        FROM weighed w
        LEFT JOIN subjects s
            ON s.portal_id = usher_uuid(w.portal_id) AND s.developer_id = usher_uuid(w.principal_id)
        ORDER BY w.failures DESC, w.last_at DESC, w.principal_id, w.src
        LIMIT $7
        "#,
        asked.portal.map(|portal| portal.to_string()),
        asked.from,
        asked.to,
        GUESSES,
        ACCOUNTS,
        STUFFED,
        ONE_MORE,
    )
    .fetch_all(tx)
    .await?)
}
