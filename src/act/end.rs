//! How actions end: those that a worker has claimed, and those that none has, which the caller has
//! locked.

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

/// The end of one action.
#[derive(Debug)]
pub(super) struct Ended<'a> {
    pub(super) id: Uuid,
    pub(super) ending: &'a ActionEnd,
    /// Of an action that a worker claimed: it ends only while the worker has it.
    pub(super) lease: Option<Uuid>,
    /// Whether the worker made an attempt.
    pub(super) is_attempted: bool,
    /// How often it had been requested: it ends only if it was not requested once more since.
    pub(super) wanted: Option<i32>,
}

/// Ends actions that no worker has; returns the changes to report.
pub(super) async fn end(
    tx: &mut Connection,
    ended: &[(Uuid, ActionEnd)],
) -> Result<Vec<ActionEvent>, JournalError> {
    let ended: Vec<_> = ended
        .iter()
        .map(|(id, ending)| Ended {
            id: *id,
            ending,
            lease: None,
            is_attempted: false,
            wanted: None,
        })
        .collect();
    end_each(tx, &ended).await
}

/// Ends actions; returns the changes to report, of those that did end.
pub(super) async fn end_each(
    tx: &mut Connection,
    ended: &[Ended<'_>],
) -> Result<Vec<ActionEvent>, JournalError> {
    let endings = || ended.iter().map(|one| one.ending);
    sqlx::query_as!(
        ActionEventRow,
        r#"
        UPDATE actions
        SET
            state = ended.state,
            reason = ended.reason,
            attempts = attempts + ended.is_attempted::integer,
            report = COALESCE(ended.report, actions.report),
            waits_on = NULL,
            lease = NULL,
            leased_until = NULL,
            -- What was not wanted in the end uses up no place.
            started_at = CASE WHEN ended.state = 'cancelled' AND write_sent_at IS NULL
                THEN NULL ELSE started_at END,
            revision = revision + 1,
            updated_at = now()
        FROM UNNEST(
            $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::boolean[], $6::jsonb[], $7::integer[]
        ) AS ended (id, lease, state, reason, is_attempted, report, wanted)
        WHERE actions.id = ended.id
            AND (ended.lease IS NULL OR ended.lease = actions.lease)
            AND (ended.wanted IS NULL OR ended.wanted = actions.wanted)
        RETURNING
            actions.id, rule, deed, target_kind, target_id, application_id, portal_id, signal, actions.state,
            actions.reason, attempts, causes, revision, actions.report
        "#,
        &ended.iter().map(|one| one.id).collect::<Vec<_>>(),
        &ended.iter().map(|one| one.lease).collect::<Vec<_>>() as &[Option<Uuid>],
        &endings()
            .map(|ending| ending.state.as_str().to_owned())
            .collect::<Vec<_>>(),
        &endings()
            .map(|ending| ending.reason.clone())
            .collect::<Vec<_>>() as &[Option<String>],
        &ended
            .iter()
            .map(|one| one.is_attempted)
            .collect::<Vec<_>>(),
        &endings()
            .map(|ending| ending.report.clone())
            .collect::<Vec<_>>() as &[Option<Value>],
        &ended.iter().map(|one| one.wanted).collect::<Vec<_>>() as &[Option<i32>],
    )
    .fetch_all(tx)
    .await?
    .into_iter()
    .map(TryInto::try_into)
    .collect()
}
