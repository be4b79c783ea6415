//! What can go wrong with the journal, for callers that append to it and read it.

use std::borrow::Cow;

use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;

use crate::telemetry;

/// A failure of the journal. Never shows a value of a row.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Postgres did not answer, or not in time: try again.
    #[error("the database does not answer")]
    Unavailable(#[source] sqlx::Error),
    /// Two transactions collided, or a partition was missing: the same call again will succeed.
    #[error("the database asked to repeat the transaction")]
    Repeat(#[source] sqlx::Error),
    /// Postgres refuses for a reason that is not a row's, such as a right that was revoked. It is
    /// repaired outside, and then the same call will succeed.
    #[error("{} ({code})", plainly(code))]
    Unfit {
        /// SQLSTATE.
        code: String,
        /// What Postgres said.
        #[source]
        source: sqlx::Error,
    },
    /// Postgres refused the values of a row. Repeating it will not help.
    #[error("the database refused: {code}")]
    Refused {
        /// SQLSTATE.
        code: String,
        /// What Postgres said.
        #[source]
        source: sqlx::Error,
    },
    /// A stored value cannot be read as its type.
    #[error("inconsistent data in {table}.{column}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// A search names a person by words that more people share than one search may have.
    #[error("more than {at_most} people begin so: write more of the e-mail or name, or the portal")]
    TooManyPeople {
        /// The most that it may have.
        at_most: usize,
    },
    /// The month is older than `retention.events` and is being dropped: try later.
    #[error("the month of an event is being dropped")]
    Closed,
    /// Another instance has the lease that this one worked under.
    #[error("another instance took the lease")]
    LeaseLost,
    /// A newer usher changed the schema, and this one does not know what it means.
    #[error(
        "the schema is newer than this usher: it is at {found}, and this usher knows versions up to {known}"
    )]
    SchemaNewer {
        /// Version of the latest migration that is not known here.
        found: i64,
        /// Version of the latest migration that is.
        known: i64,
    },
    /// Between usher and Postgres is a pooler that gives each transaction another connection.
    #[error(
        "a pooler before the database lends a connection for one transaction only, which breaks statements, settings and locks: set pool_mode = session there, or point database.url at Postgres itself"
    )]
    NoSession,
    /// The schema could not be brought up to date.
    #[error("could not migrate the database: {0}")]
    Migrate(#[source] MigrateError),
}

impl JournalError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        self.is_outage() || matches!(self, Self::Unfit { .. })
    }

    /// Whether other calls fail as well, whatever they are about. Otherwise others may be worth a
    /// try.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Repeat(_) | Self::Closed | Self::LeaseLost => true,
            Self::Unfit { .. }
            | Self::Refused { .. }
            | Self::Inconsistent { .. }
            | Self::TooManyPeople { .. }
            | Self::SchemaNewer { .. }
            | Self::NoSession
            | Self::Migrate(_) => false,
        }
    }

    /// Whether the thing asked for is at fault, such as a damaged row, so that the rest is worth a
    /// try. Otherwise the database is, and a caller that reads in order waits.
    pub fn is_of_data(&self) -> bool {
        match self {
            Self::Unfit { code, .. } => class(code) == "XX",
            Self::Refused { .. } | Self::Inconsistent { .. } | Self::TooManyPeople { .. } => true,
            Self::Unavailable(_)
            | Self::Repeat(_)
            | Self::Closed
            | Self::LeaseLost
            | Self::SchemaNewer { .. }
            | Self::NoSession
            | Self::Migrate(_) => false,
        }
    }

    /// Whether it concerns the server alone, so that another server may answer. The server is away
    /// or has no connection left, lacks a table or a right, or cut off what delays its replication.
    pub fn is_of_server(&self) -> bool {
        match self {
            Self::Repeat(_) | Self::Unfit { .. } => true,
            Self::Unavailable(error) => {
                let code = error.as_database_error().and_then(DatabaseError::code);
                code.is_none_or(|code| code.starts_with("57P"))
            }
            _ => false,
        }
    }

    /// It did not answer in the time that the caller had.
    pub fn busy() -> Self {
        Self::Unavailable(sqlx::Error::PoolTimedOut)
    }

    /// Whether no connection could be had in time.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Unavailable(sqlx::Error::PoolTimedOut))
    }

    /// Whether the server has no space for what it was to write.
    pub(super) fn is_disk_full(&self) -> bool {
        let Self::Unavailable(error) = self else {
            return false;
        };
        let code = error.as_database_error().and_then(DatabaseError::code);
        code.as_deref() == Some("53100")
    }

    /// Whether a prepared statement is missing, or there already: then it belongs to another
    /// session.
    fn is_of_another_session(&self) -> bool {
        matches!(self, Self::Refused { code, .. } | Self::Unfit { code, .. } if code == "26000" || code == "42P05")
    }

    /// This error where a session was asked for.
    pub(super) fn of_session(self) -> Self {
        if self.is_of_another_session() {
            Self::NoSession
        } else {
            self
        }
    }

    /// Whether a row has the key of a stored one.
    pub(super) fn is_of_known_row(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "23505")
    }

    /// The SQLSTATE, where the values of rows may be what the database does not take. A missing
    /// partition looks the same as a value that a CHECK refuses.
    pub(super) fn refused_rows(&self) -> Option<String> {
        match self {
            Self::Repeat(error) => error
                .as_database_error()
                .and_then(DatabaseError::code)
                .filter(|code| code == "23514")
                .map(Cow::into_owned),
            Self::Refused { code, .. } => Some(code.clone()),
            Self::Unavailable(_)
            | Self::Unfit { .. }
            | Self::Inconsistent { .. }
            | Self::TooManyPeople { .. }
            | Self::Closed
            | Self::LeaseLost
            | Self::SchemaNewer { .. }
            | Self::NoSession
            | Self::Migrate(_) => None,
        }
    }

    /// The error for a question about usher's health. The words of Postgres contain addresses,
    /// users and names of databases; this does not.
    pub fn plain(&self) -> String {
        let code = |error: &sqlx::Error| {
            error
                .as_database_error()
                .and_then(DatabaseError::code)
                .map(Cow::into_owned)
        };
        match self {
            Self::Unavailable(sqlx::Error::Io(cause)) if cause.raw_os_error().is_some() => {
                format!("{self}: {}", cause.kind())
            }
            Self::Unavailable(error) => match code(error) {
                Some(code) if code.starts_with("28") => {
                    "the database does not let usher in".to_owned()
                }
                Some(code) if code.starts_with("3D") => {
                    "the database of this name does not exist".to_owned()
                }
                Some(code) => format!("{self}: {code}"),
                None => self.to_string(),
            },
            Self::Migrate(_) => "could not migrate the database, see the log".to_owned(),
            _ => self.to_string(),
        }
    }

    /// The error with its causes on one line.
    pub fn chain(&self) -> String {
        telemetry::chain(self)
    }
}

impl From<sqlx::Error> for JournalError {
    fn from(error: sqlx::Error) -> Self {
        let Some(code) = error
            .as_database_error()
            .and_then(DatabaseError::code)
            .map(Cow::into_owned)
        else {
            return match error {
                sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Refused {
                    code: "decode".to_owned(),
                    source: error,
                },
                other => Self::Unavailable(other),
            };
        };
        match code.as_str() {
            // Deadlock, serialisation, no partition for the row, lock timeout.
            "40P01" | "40001" | "23514" | "55P03" => Self::Repeat(error),
            // No connection, no entrance (a password or a name that is being changed), out of
            // resources or disk, shutdown and start-up: all of it is repaired outside.
            _ if ["08", "28", "3D", "53", "55", "57", "58"].contains(&class(&code)) => {
                Self::Unavailable(error)
            }
            // A value, a constraint: only these concern the row.
            _ if ["22", "23"].contains(&class(&code)) => Self::Refused {
                code,
                source: error,
            },
            _ => Self::Unfit {
                code,
                source: error,
            },
        }
    }
}

impl From<MigrateError> for JournalError {
    fn from(error: MigrateError) -> Self {
        match error {
            // It can happen to any statement.
            MigrateError::Execute(error) => error.into(),
            other => Self::Migrate(other),
        }
    }
}

/// The class of a SQLSTATE: <https://www.postgresql.org/docs/15/errcodes-appendix.html>.
fn class(code: &str) -> &str {
    code.get(..2).unwrap_or(code)
}

/// What a SQLSTATE means for an operator.
fn plainly(code: &str) -> &'static str {
    match (code, class(code)) {
        ("42501", _) => "usher lacks a right in the database",
        (_, "25") => "the database takes no writes",
        // Also until a migration under way makes it.
        (_, "42") => "a table is not as usher knows it",
        (_, "XX") => "the database reports damage",
        _ => "the database does not do what usher asks",
    }
}
