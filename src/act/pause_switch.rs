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

impl Queue {
    /// The pause that is in force, if any.
    pub async fn paused(&self) -> Result<Option<Paused>, JournalError> {
        Ok(sqlx::query_as!(
            Paused,
            r"
            SELECT paused_by AS by, created_at AS since, reason
            FROM action_pauses
            WHERE resumed_at IS NULL
            ",
        )
        .fetch_optional(self.pool())
        .await?)
    }

    /// Pauses the claims of all instances. Actions that a worker has claimed are finished. A pause
    /// that is in force stays unchanged. Returns the pause, and whether it is new.
    pub async fn pause_all(&self, person: &Person) -> Result<(Paused, bool), JournalError> {
        let id: Uuid = self.ids.next();
        let made = sqlx::query_as!(
            Paused,
            r"
            INSERT INTO action_pauses (id, paused_by, reason)
            VALUES ($1, $2, $3)
            ON CONFLICT DO NOTHING
            RETURNING paused_by AS by, created_at AS since, reason
            ",
            id,
            person.name,
            person.reason,
        )
        .fetch_optional(self.pool())
        .await?;
        if let Some(made) = made {
            return Ok((made, true));
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
            Paused,
            r"
            UPDATE action_pauses
            SET resumed_by = $1, resume_reason = $2, resumed_at = now()
            WHERE resumed_at IS NULL
            RETURNING paused_by AS by, created_at AS since, reason
            ",
            person.name,
            person.reason,
        )
        .fetch_optional(self.pool())
        .await?;
        self.wake();
        Ok(ended)
    }
}
