//! One action with everything stored about it: what led to it, every attempt, and what people did
//! about it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::act::{Action, Queue};
use crate::journal::JournalError;

/// One action, whole, in the form that the JSON API answers with.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ActionDetail {
    /// What a list shows of it.
    #[serde(flatten)]
    pub action: Action,
    /// The kind of signal that it answers.
    pub signal: String,
    /// The whole deed.
    pub spec: Value,
    /// The facts that the rule used.
    pub facts: Value,
    /// The action that must end well before this one starts.
    #[schema(required = true)]
    pub waits_for: Option<Uuid>,
    /// When it is due, while it is planned; null too where it waits for something else than time.
    #[schema(required = true)]
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Its attempts, oldest first.
    pub history: Vec<Attempt>,
    /// What people did about it, oldest first.
    pub by_hand: Vec<Intervention>,
}

/// One attempt.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Attempt {
    /// Its place, from 1.
    pub number: i32,
    /// When the worker began.
    pub started_at: DateTime<Utc>,
    /// When its outcome was known.
    pub ended_at: DateTime<Utc>,
    /// Method and path of the call.
    #[schema(required = true)]
    pub request: Option<String>,
    /// HTTP status of a call that failed.
    #[schema(required = true)]
    pub status: Option<i16>,
    /// `ok` or the class of error.
    pub outcome: String,
    /// What was found, for a person.
    #[schema(required = true)]
    pub detail: Option<String>,
}

/// One thing that a person did.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Intervention {
    /// What was asked for.
    pub verb: String,
    /// Who asked.
    pub by: String,
    /// Why.
    #[schema(required = true)]
    pub reason: Option<String>,
    /// The action that was made to do it, where it was not this one.
    #[schema(required = true)]
    pub successor: Option<Uuid>,
    /// When.
    pub at: DateTime<Utc>,
}

impl Queue {
    /// One action with its attempts and what people did about it.
    pub async fn detail(&self, id: Uuid) -> Result<Option<ActionDetail>, JournalError> {
        let Some(action) = self.by_ids(&[id]).await?.pop() else {
            return Ok(None);
        };
        let more = sqlx::query!(
            r#"
            SELECT
                signal, spec, facts, waits_for,
                -- What waits for something else than time is due never, which no clock here can tell.
                CASE WHEN state = 'planned' THEN NULLIF(next_attempt_at, 'infinity') END AS next_attempt_at
            FROM actions
            WHERE id = $1
            "#,
            id,
        )
        .fetch_optional(self.pool())
        .await?;
        let Some(more) = more else {
            return Ok(None);
        };
        Ok(Some(ActionDetail {
            action,
            signal: more.signal,
            spec: more.spec,
            facts: more.facts,
            waits_for: more.waits_for,
            next_attempt_at: more.next_attempt_at,
            history: self.attempts(id).await?,
            by_hand: self.interventions(id).await?,
        }))
    }

    async fn attempts(&self, id: Uuid) -> Result<Vec<Attempt>, JournalError> {
        Ok(sqlx::query_as!(
            Attempt,
            r#"
            SELECT
                (row_number() OVER (ORDER BY started_at, ended_at))::integer AS "number!",
                started_at, ended_at, request, status, outcome, detail
            FROM attempts
            WHERE action = $1
            ORDER BY started_at, ended_at
            "#,
            id,
        )
        .fetch_all(self.pool())
        .await?)
    }

    async fn interventions(&self, id: Uuid) -> Result<Vec<Intervention>, JournalError> {
        Ok(sqlx::query_as!(
            Intervention,
            r"
            SELECT verb, by_whom AS by, reason, successor, created_at AS at
            FROM interventions
            WHERE action = $1
            ORDER BY created_at, id
            ",
            id,
        )
        .fetch_all(self.pool())
        .await?)
    }
}
