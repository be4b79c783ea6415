//! Questions that people ask of the journal, and every number that anybody is shown. The API, the
//! pages and the command line render what is here and compute nothing.
//!
//! A report is a file: its row (whose fields are its columns, and their documentation that of the
//! columns) and one function that reads the rows. A new one is that file and a line in `reports!`
//! below.

mod activity;
mod admin_changes;
mod csv;
mod decisions;
mod dormant_developers;
mod failed_logins;
mod file;
mod funnel;
mod idle_applications;
mod idle_developers;
mod lately;
mod parameters;
mod partners;
mod pending;
mod question;
pub mod rollup;
mod row;
mod timeline;
mod trust;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Semaphore;

use crate::event::UnknownWord;
use crate::http::PortalScope;
use crate::journal::{Connection, Journal, JournalError, Transaction};
use crate::report::question::Asked;
use crate::report::row::Columns;

pub use csv::{csv, csv_line, no_formula, text};
pub use lately::{ActivePeople, EventCount, PendingCount};
pub use question::{BadQuestion, By, MOST_DAYS, Parameter, Question};
pub use row::{Column, Row, Shape};
pub use timeline::{TIMELINE_KINDS, TimelinePart, TimelinePosition, TimelineRow};

use Parameter::{Days, From, Portal, To};

/// A report that takes longer is cut off.
const WITHIN: Duration = Duration::from_secs(30);
/// A connection on which so much more time passes without an answer is dead.
const GRACE: Duration = Duration::from_secs(5);
/// Answers that are made at once: each may have that many rows in memory.
const AT_ONCE: usize = 3;

/// Makes [`ReportName`] of a list: name, word, module, what it takes, what it answers.
macro_rules! reports {
    ($($name:ident $word:literal $module:ident [$($takes:expr),*] $about:literal;)*) => {
        /// The reports there are.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum ReportName {
            $(#[doc = $about] $name,)*
        }

        impl ReportName {
            /// Every report.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name in paths and at the command line.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// What it answers, in a sentence.
            pub const fn about(self) -> &'static str {
                match self {
                    $(Self::$name => $about,)*
                }
            }

            /// What it may be asked.
            pub const fn takes(self) -> &'static [Parameter] {
                match self {
                    $(Self::$name => &[$($takes),*],)*
                }
            }

            /// Rows of one answer at most; for more, ask for a shorter time or for one portal. Of
            /// lists of events it is a tenth: an export returns all of them.
            pub const fn most_rows(self) -> usize {
                match self {
                    Self::AdminChanges | Self::Timeline => 10_000,
                    _ => 100_000,
                }
            }

            /// Whether its rows are about people.
            pub fn is_about_people(self) -> bool {
                let names = ["developer_id", "principal_id"];
                self.columns().iter().any(|column| names.contains(&column.name))
            }

            /// Whether it is about what belongs to no portal: whoever may see some portals only
            /// cannot ask it.
            pub fn is_of_no_portal(self) -> bool {
                !self.takes().contains(&Portal)
            }

            /// The columns of its rows.
            pub fn columns(self) -> &'static [Column] {
                match self {
                    $(Self::$name => $module::Row::COLUMNS,)*
                }
            }

            async fn rows(self, tx: &mut Connection, asked: &Asked) -> Result<Vec<Row>, JournalError> {
                Ok(match self {
                    $(Self::$name => {
                        let rows = $module::rows(tx, asked).await?;
                        rows.into_iter().map(Columns::row).collect()
                    })*
                })
            }
        }
    };
}

reports! {
    Activity "activity" activity [Portal, From, To, Parameter::By(&[By::Hour, By::Day])]
        "How many events there were, by day or hour, portal, kind, name, outcome and verdict";
    Funnel "funnel" funnel [Portal, From, To, Parameter::Within, Parameter::By(&[By::Week])]
        "How far the people who came in a time got, from signing up to using an API, and how long that took";
    IdleDevelopers "idle-developers" idle_developers [Portal, Days(0)]
        "Who is approved and owns no application";
    IdleApplications "idle-applications" idle_applications [Portal, Days(0)]
        "Which applications have no registration";
    DormantDevelopers "dormant-developers" dormant_developers [Portal, Days(90)]
        "Who is approved and has not signed in for 90 days, or as many as are asked for";
    Pending "pending" pending [Portal, Days(0)]
        "Who waits for an answer, the oldest first, and what it waits for";
    Decisions "decisions" decisions [Portal, From, To]
        "What rules decided, what became of it, and what people did about it";
    FailedLogins "failed-logins" failed_logins [Portal, From, To]
        "Who failed to sign in, from where, and whether that looks like an attack";
    Timeline "timeline" timeline [Portal, From, To, Parameter::Developer, Parameter::Application]
        "All that is known of one developer or application, the newest first";
    AdminChanges "admin-changes" admin_changes [From, To]
        "What people changed in Konnect, from the organisation's log, the newest first";
    Trust "trust" trust [Portal, From, To]
        "How much of what came in is proven, by day";
    Partners "partners" partners [Portal, From, To]
        "What the people of each e-mail domain have come to";
}

impl fmt::Display for ReportName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ReportName {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|name| name.as_str() == word)
            .ok_or_else(|| UnknownWord::new("report", word))
    }
}

/// Queries the journal. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reports {
    journal: Journal,
    places: Arc<Semaphore>,
    within: Duration,
}

/// What a report answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What the rows contain.
    pub columns: &'static [Column],
    /// The rows.
    pub rows: Vec<Row>,
    /// The time of the journal that the rows show, by the database's clock.
    pub as_of: DateTime<Utc>,
    /// Whether there are more rows than were wanted, [`ReportName::most_rows`] as a rule, which are
    /// left out.
    pub is_cut: bool,
    /// Whether all that is stored is counted, but for what came within the last half minute. It is
    /// not while the time before reports is being counted, nor while verdicts change.
    pub is_complete: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The report cannot be asked this.
    #[error("{0}")]
    Question(BadQuestion),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Reports {
    /// Queries the journal that `journal` reads.
    pub fn new(journal: Journal) -> Self {
        Self {
            journal,
            places: Arc::new(Semaphore::new(AT_ONCE)),
            within: WITHIN,
        }
    }

    /// The same, for somebody who may see these portals only.
    #[must_use]
    pub fn seen_by(&self, portals: &PortalScope) -> Self {
        Self {
            journal: self.journal.seen_by(portals),
            ..self.clone()
        }
    }

    /// The same, for whoever does not wait so long for an answer.
    #[must_use]
    pub fn within(&self, within: Duration) -> Self {
        Self {
            within: within.min(WITHIN),
            ..self.clone()
        }
    }

    /// Answers a question, all of it as of one moment.
    pub async fn ask(
        &self,
        report: ReportName,
        question: &Question,
    ) -> Result<Answer, ReportError> {
        self.first(report, question, report.most_rows()).await
    }

    /// Answers a question with the first `most` rows at most.
    pub async fn first(
        &self,
        report: ReportName,
        question: &Question,
        most: usize,
    ) -> Result<Answer, ReportError> {
        let most = most.min(report.most_rows());
        let mut asked = self.check(report, question)?;
        asked.one_more = i64::try_from(most + 1).unwrap_or(i64::MAX);
        // Never closed, so that a place is free in the end.
        let _place = self.places.acquire().await;
        let mut tx = self.begin().await?;
        let moment = moment(&mut tx).await?;
        let mut rows = report.rows(&mut tx, &asked).await?;
        let is_cut = rows.len() > most;
        rows.truncate(most);
        Ok(Answer {
            columns: report.columns(),
            rows,
            as_of: moment.as_of,
            is_complete: moment.is_complete,
            is_cut,
        })
    }

    /// What is asked, of the portals that may be seen.
    fn check(&self, report: ReportName, question: &Question) -> Result<Asked, ReportError> {
        let asked = question.check(report, self.journal.portals());
        asked.map_err(ReportError::Question)
    }

    /// A transaction that sees one moment and writes nothing.
    async fn begin(&self) -> Result<Transaction<'static>, JournalError> {
        let mut tx = self
            .journal
            .pool()
            .begin_within(self.within + GRACE)
            .await?;
        sqlx::query!("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            .execute(&mut *tx)
            .await?;
        sqlx::query!(
            r"
            SELECT
                set_config('statement_timeout', $1, true) AS within,
                -- What is asked differs from one time to the next, and so does the best way to find it.
                set_config('plan_cache_mode', 'force_custom_plan', true) AS plans,
                -- Sums of some ten thousand people are made in memory; few are asked for at once.
                set_config('work_mem', '32MB', true) AS memory,
                -- Compiling takes longer than what it saves here.
                set_config('jit', 'off', true) AS compiles
            ",
            self.within.as_millis().to_string(),
        )
        .fetch_one(&mut *tx)
        .await?;
        Ok(tx)
    }
}

/// The moment that a transaction sees.
struct Moment {
    as_of: DateTime<Utc>,
    is_complete: bool,
}

async fn moment(tx: &mut Connection) -> Result<Moment, JournalError> {
    Ok(sqlx::query_as!(
        Moment,
        r#"
        SELECT
            -- A replica that has replayed nothing does not know.
            CASE WHEN pg_is_in_recovery() THEN COALESCE(pg_last_xact_replay_timestamp(), 'epoch')
                ELSE now() END AS "as_of!",
            EXISTS (
                SELECT
                FROM readers r
                JOIN report_progress p ON p.reader_created_at = r.created_at
                WHERE r.name = 'report' AND p.counted_to IS NULL
            )
            AND NOT EXISTS (SELECT FROM recounts)
            AND NOT EXISTS (
                SELECT
                FROM outbox
                WHERE reader = 'report' AND owed_at < now() - interval '30 seconds'
            ) AS "is_complete!"
        "#
    )
    .fetch_one(tx)
    .await?)
}
