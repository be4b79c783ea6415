//! How actions end, and the end of those that no worker has claimed: the caller has locked them.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::act::ActionState;
use crate::act::action_event::{ActionEvent, ActionEventRow};
use crate::journal::{Connection, JournalError};

/// How an action ended.
#[derive(Debug, Clone)]
pub(super) struct ActionEnd {
    pub(super) state: ActionState,
    pub(super) reason: Option<String>,
    /// The account of a deed that keeps one.
    pub(super) report: Option<Value>,
}

impl ActionEnd {
    /// An end with nothing but its reason.
    pub(super) fn new(state: ActionState, reason: String) -> Self {
        Self {
            state,
            reason: Some(reason),
            report: None,
        }
    }

    /// The rules no longer want it, by the facts of now.
    pub(super) fn unwanted(why: String, facts: Option<Value>) -> Self {
        Self {
            report: facts.map(|facts| json!({ "facts": facts })),
            ..Self::new(ActionState::Cancelled, why)
        }
    }
}

/// Ends actions; returns the changes to report.
pub(super) async fn end(
    tx: &mut Connection,
    ended: &[(Uuid, ActionEnd)],
) -> Result<Vec<ActionEvent>, JournalError> {
    let endings = || ended.iter().map(|(_, ending)| ending);
    sqlx::query_as!(
        ActionEventRow,
        r#"
        UPDATE actions
        SET
            state = ended.state,
            reason = ended.reason,
            report = COALESCE(ended.report, actions.report),
            waits_on = NULL,
            lease = NULL,
            leased_until = NULL,
            -- What was not wanted in the end uses up no place.
            started_at = CASE WHEN ended.state = 'cancelled' AND write_sent_at IS NULL
                THEN NULL ELSE started_at END,
            revision = revision + 1,
            updated_at = now()
        FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::jsonb[]) AS ended (id, state, reason, report)
        WHERE actions.id = ended.id
        RETURNING
            actions.id, rule, deed, target_kind, target_id, application_id, portal_id, signal, actions.state,
            actions.reason, attempts, causes, revision, actions.report
        "#,
        &ended.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        &endings()
            .map(|ending| ending.state.as_str().to_owned())
            .collect::<Vec<_>>(),
        &endings()
            .map(|ending| ending.reason.clone())
            .collect::<Vec<_>>() as &[Option<String>],
        &endings()
            .map(|ending| ending.report.clone())
            .collect::<Vec<_>>() as &[Option<Value>],
    )
    .fetch_all(tx)
    .await?
    .into_iter()
    .map(TryInto::try_into)
    .collect()
}
