//! The pause of all actions by a person: no worker of any instance claims an action while it lasts.
//! It is a row in the database, so that it outlasts every process; `claim` reads it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::act::{Person, Queue};
use crate::journal::JournalError;

/// Who paused all actions, since when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Paused {
    /// Who.
    pub by: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Why, in their words.
    pub reason: Option<String>,
}

struct PauseRow {
    paused_by: String,
    reason: Option<String>,
    created_at: DateTime<Utc>,
}

impl From<PauseRow> for Paused {
    fn from(row: PauseRow) -> Self {
        Self {
            by: row.paused_by,
            since: row.created_at,
            reason: row.reason,
        }
    }
}

impl Queue {
    /// The pause that is in force, if any.
    pub async fn paused(&self) -> Result<Option<Paused>, JournalError> {
        let row = sqlx::query_as!(
            PauseRow,
            r"
            SELECT paused_by, reason, created_at
            FROM action_pauses
            WHERE resumed_at IS NULL
            ",
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(row.map(Into::into))
    }

    /// Pauses the claims of all instances. Actions that a worker has claimed are finished. A pause
    /// that is in force stays unchanged. Returns the pause, and whether it is new.
    pub async fn pause_all(&self, person: &Person) -> Result<(Paused, bool), JournalError> {
        let id: Uuid = self.ids.next();
        let made = sqlx::query_as!(
            PauseRow,
            r"
            INSERT INTO action_pauses (id, paused_by, reason)
            VALUES ($1, $2, $3)
            ON CONFLICT DO NOTHING
            RETURNING paused_by, reason, created_at
            ",
            id,
            person.name,
            person.reason,
        )
        .fetch_optional(self.pool())
        .await?;
        if let Some(made) = made {
            return Ok((made.into(), true));
        }
        match self.paused().await? {
            Some(paused) => Ok((paused, false)),
            // It was ended between the two statements: the same call again will do.
            None => Err(JournalError::Repeat(sqlx::Error::RowNotFound)),
        }
    }

    /// Ends the pause; returns the one that was ended, if any.
    pub async fn resume_all(&self, person: &Person) -> Result<Option<Paused>, JournalError> {
        let ended = sqlx::query_as!(
            PauseRow,
            r"
            UPDATE action_pauses
            SET resumed_by = $1, resume_reason = $2, resumed_at = now()
            WHERE resumed_at IS NULL
            RETURNING paused_by, reason, created_at
            ",
            person.name,
            person.reason,
        )
        .fetch_optional(self.pool())
        .await?;
        self.wake();
        Ok(ended.map(Into::into))
    }
}
