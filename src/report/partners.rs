//! `partners`: what the people of each domain have come to.

use chrono::{DateTime, Utc};

use crate::journal::{Connection, JournalError};
use crate::report::question::Asked;
use crate::report::row::columns;

columns! {
    /// The people whose addresses end alike.
    pub struct Row {
        /// What follows the `@` of their addresses, in lower case
        domain: String,
        /// People who are there
        people: i64,
        /// How many of them are approved
        approved: i64,
        /// How many of them are pending
        pending: i64,
        /// Applications that they own
        applications: i64,
        /// Registrations of these
        registrations: i64,
        /// How many of those are approved
        approved_registrations: i64,
        /// Their successful log-ins on the days that the window touches
        logins: i64,
        /// The last of these
        last_login_at: Option<DateTime<Utc>>,
    }
}

pub(super) async fn rows(tx: &mut Connection, asked: &Asked) -> Result<Vec<Row>, JournalError> {
    Ok(sqlx::query_file_as!(
        Row,
        "src/report/partners.sql",
        asked.portals.one(),
        asked.from,
        asked.to,
        asked.one_more,
        asked.portals.others(),
    )
    .fetch_all(tx)
    .await?)
}
