//! Ends actions that no worker has in hand. Whoever asks has locked them, and says why.

use uuid::Uuid;

use crate::act::ActionState;
use crate::act::told::{Told, ToldRow};
use crate::journal::{Connection, JournalError};

/// Ends actions in `state`, each for its reason; returns what there is to tell.
pub(super) async fn end(
    tx: &mut Connection,
    state: ActionState,
    ended: &[(Uuid, String)],
) -> Result<Vec<Told>, JournalError> {
    let (ids, reasons): (Vec<Uuid>, Vec<String>) = ended.iter().cloned().unzip();
    sqlx::query_as!(
        ToldRow,
        r#"
        UPDATE actions
        SET
            state = $1,
            reason = ended.reason,
            waits_on = NULL,
            lease = NULL,
            leased_until = NULL,
            revision = revision + 1,
            updated_at = now()
        FROM UNNEST($2::uuid[], $3::text[]) AS ended (id, reason)
        WHERE actions.id = ended.id
        RETURNING
            actions.id, rule, deed, target_kind, target_id, application_id, portal_id, signal, state,
            actions.reason, attempts, causes, revision, report
        "#,
        state.as_str(),
        &ids,
        &reasons,
    )
    .fetch_all(tx)
    .await?
    .into_iter()
    .map(TryInto::try_into)
    .collect()
}
