//! How many actions want a person, in numbers. Lists of them are in `list`.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::act::Queue;
use crate::journal::JournalError;

/// The actions that want a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionTally {
    /// Those that are parked, whenever they were decided.
    pub parked: i64,
    /// When the oldest of these was decided.
    pub parked_since: Option<DateTime<Utc>>,
    /// Those that failed in the time asked for.
    pub failed: i64,
    /// Those that are planned or running.
    pub open: i64,
}

/// How many actions are in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateCount {
    /// The state as it is stored.
    pub state: String,
    /// Actions in it.
    pub actions: i64,
}

impl Queue {
    /// Counts all actions by their state. Reads the whole table.
    pub async fn by_state(&self) -> Result<Vec<StateCount>, JournalError> {
        Ok(sqlx::query_as!(
            StateCount,
            r#"SELECT state, count(*) AS "actions!" FROM actions GROUP BY state ORDER BY state"#
        )
        .fetch_all(self.pool())
        .await?)
    }

    /// Counts the actions that want a person: those that are parked, and those that failed since
    /// `from`.
    pub async fn tally(
        &self,
        portal: Option<Uuid>,
        from: DateTime<Utc>,
    ) -> Result<ActionTally, JournalError> {
        let portals = self.portals().narrowed(portal);
        Ok(sqlx::query_as!(
            ActionTally,
            r#"
            SELECT
                count(*) FILTER (WHERE state = 'parked') AS "parked!",
                min(created_at) FILTER (WHERE state = 'parked') AS parked_since,
                (
                    SELECT count(*)
                    FROM actions
                    WHERE state = 'failed'
                        AND updated_at >= $2
                        AND ($1::uuid IS NULL OR portal_id = $1)
                        AND ($3::uuid[] IS NULL OR portal_id = ANY($3))
                ) AS "failed!",
                count(*) FILTER (WHERE state <> 'parked') AS "open!"
            FROM actions
            WHERE state IN ('planned', 'running', 'parked')
                AND ($1::uuid IS NULL OR portal_id = $1)
                AND ($3::uuid[] IS NULL OR portal_id = ANY($3))
            "#,
            portals.one(),
            from,
            portals.others(),
        )
        .fetch_one(self.pool())
        .await?)
    }
}
