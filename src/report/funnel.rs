//! `funnel`: how far people come, from signing up to using an API, and how long each step takes
//! them.

use chrono::{DateTime, Utc};

use crate::journal::{Connection, JournalError};
use crate::report::question::{Asked, By};
use crate::report::row::columns;

columns! {
    /// One step of the people who came in the window; of one week of them where it is asked by
    /// week.
    pub struct Row {
        /// `signed_up`, `approved`, `application`, `registration` or `active`: the first log-in
        /// that is verified and succeeded, after a registration was approved
        step: String,
        /// People who came to this step and to all before it
        people: i64,
        /// Half of them took no longer from the step before, in seconds
        median_seconds: Option<f64>,
        /// 95 of 100 took no longer
        p95_seconds: Option<f64>,
        /// People of whom both times are known: what the two numbers are of
        timed: i64,
        /// Of `approved` the people whom usher let in, of `registration` those for whom it approved
        /// one
        by_usher: Option<i64>,
        /// The same of people: all others who are approved, or have an approved registration
        by_people: Option<i64>,
        /// Beginning of the week in which they came, a Monday in UTC; none where all are one
        cohort: Option<DateTime<Utc>>,
        /// Whether some of them have not had the days of `within` yet, or their week is not over
        is_young: bool,
    }
}

pub(super) async fn rows(tx: &mut Connection, asked: &Asked) -> Result<Vec<Row>, JournalError> {
    Ok(sqlx::query_file_as!(
        Row,
        "src/report/funnel.sql",
        asked.portals.one(),
        asked.from,
        asked.to,
        asked.within,
        asked.by == Some(By::Week),
        asked.portals.others(),
    )
    .fetch_all(tx)
    .await?)
}
