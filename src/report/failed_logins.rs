//! `failed-logins`: who failed to sign in, from where, and what attack that may be.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::journal::{Connection, JournalError};
use crate::report::question::Asked;
use crate::report::row::columns;

/// Failures on one account from which on they count as guessing.
const GUESSES: i64 = 10;
/// Accounts on which one address fails, from which on it is no person's mistake.
const ACCOUNTS: i64 = 10;
/// Failures of one address from which on they count as lists of passwords.
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
        /// `stuffing`: 100 failures or more from one address, on 10 accounts or more or on none
        /// that is known; `spraying`: fewer, on 10 accounts or more; `guessing`: 10 failures or
        /// more on one account, from wherever; none else
        pattern: Option<String>,
    }
}

pub(super) async fn rows(tx: &mut Connection, asked: &Asked) -> Result<Vec<Row>, JournalError> {
    let others = asked.others_as_text();
    Ok(sqlx::query_file_as!(
        Row,
        "src/report/failed_logins.sql",
        asked.one_as_text(),
        asked.from,
        asked.to,
        GUESSES,
        ACCOUNTS,
        STUFFED,
        asked.one_more,
        others.as_deref(),
    )
    .fetch_all(tx)
    .await?)
}
