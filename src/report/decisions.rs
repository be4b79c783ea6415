//! `decisions`: what rules decided and what people did about it.

use chrono::{DateTime, Utc};

use crate::journal::{Connection, JournalError};
use crate::report::question::Asked;
use crate::report::row::columns;

columns! {
    /// Decisions that are alike.
    pub struct Row {
        /// `rule` or `person`
        decided_by: String,
        /// The rule's name, or the name that the person gave
        name: String,
        /// The deed, such as `approve_developer`
        deed: String,
        /// Of a rule the state that its deeds are in; of a person `approve`, `reject`, `retry`,
        /// `cancel` or `ask`
        outcome: String,
        /// How many
        count: i64,
        /// The first of them
        first_at: DateTime<Utc>,
        /// The last of them
        last_at: DateTime<Utc>,
    }
}

pub(super) async fn rows(tx: &mut Connection, asked: &Asked) -> Result<Vec<Row>, JournalError> {
    Ok(sqlx::query_as!(
        Row,
        r#"
        SELECT
            'rule' AS "decided_by!", rule AS "name!", deed AS "deed!", state AS "outcome!",
            count(*) AS "count!", min(created_at) AS "first_at!", max(created_at) AS "last_at!"
        FROM actions
        WHERE created_at >= $2 AND created_at < $3 AND ($1::uuid IS NULL OR portal_id = $1)
            AND ($4::uuid[] IS NULL OR portal_id = ANY($4))
            -- What a person asked for is theirs alone.
            AND rule <> '(by hand)'
        GROUP BY rule, deed, state
        UNION ALL
        SELECT
            'person', i.by_whom, a.deed, i.verb, count(*), min(i.created_at), max(i.created_at)
        FROM interventions i
        JOIN actions a ON a.id = i.action
        WHERE i.created_at >= $2 AND i.created_at < $3 AND ($1::uuid IS NULL OR a.portal_id = $1)
            AND ($4::uuid[] IS NULL OR a.portal_id = ANY($4))
        GROUP BY i.by_whom, a.deed, i.verb
        ORDER BY 1 DESC, 2, 3, 4
        "#,
        asked.portals.one(),
        asked.from,
        asked.to,
        asked.portals.others(),
    )
    .fetch_all(tx)
    .await?)
}
