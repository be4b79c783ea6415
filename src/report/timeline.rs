//! `timeline`: what is known of one developer or one application, in one column: entries,
//! differences, decisions, their results, and what people did about them.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::journal::{Connection, JournalError};
use crate::report::question::Asked;
use crate::report::row::columns;

columns! {
    /// One thing that happened.
    pub struct Row {
        /// When
        at: DateTime<Utc>,
        /// `entry`, `difference`, `custom`, `decision`, `deed` or `intervention`
        what: String,
        /// Of an entry, a difference or a custom event its name; of a decision and a deed the deed;
        /// of an intervention the verb
        name: String,
        /// The rule that decided, or the person who stepped in
        by: Option<String>,
        /// Outcome, state and reason, for people
        detail: Option<String>,
        /// The portal
        portal_id: Option<String>,
        /// The developer whom it is about
        developer_id: Option<Uuid>,
        /// Their address
        email: Option<String>,
        /// Their name
        full_name: Option<String>,
        /// The event
        event_id: Option<Uuid>,
        /// The action of a decision, a deed or an intervention
        action_id: Option<Uuid>,
        /// Events that led to it
        causes: Vec<Uuid>,
    }
}

pub(super) async fn rows(tx: &mut Connection, asked: &Asked) -> Result<Vec<Row>, JournalError> {
    let found = sqlx::query_file!(
        "src/report/timeline.sql",
        asked.portal,
        asked.from,
        asked.to,
        asked.developer,
        asked.application,
        asked.one_more,
    )
    .fetch_all(tx)
    .await?;
    let rows = found.into_iter().map(|row| {
        let said = row.raw.as_deref().and_then(said);
        Row {
            at: row.at,
            what: row.what,
            name: row.name,
            by: row.by,
            detail: said.or(row.detail),
            portal_id: row.portal_id,
            developer_id: row.developer_id,
            email: row.email,
            full_name: row.full_name,
            event_id: row.event_id,
            action_id: row.action_id,
            causes: row.causes,
        }
    });
    Ok(rows.collect())
}

/// What an own event says beside its name.
fn said(raw: &[u8]) -> Option<String> {
    let entry: Value = serde_json::from_slice(raw).ok()?;
    let data = entry.get("data")?.as_object()?;
    let said = data.iter().map(|(name, value)| match value {
        Value::String(text) => format!("{name}: {text}"),
        other => format!("{name}: {other}"),
    });
    Some(said.collect::<Vec<_>>().join(", "))
}
