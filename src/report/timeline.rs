//! `timeline`: what is known of one developer or one application, in one column: entries,
//! differences, decisions, their results, and what people did about them. Pages read it by the
//! page.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::journal::{Connection, JournalError};
use crate::report::question::Asked;
use crate::report::row::columns;
use crate::report::{Question, ReportError, ReportName, Reports};

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

/// The words for what a row of a timeline is.
pub const TIMELINE_KINDS: [&str; 6] = [
    "entry",
    "difference",
    "custom",
    "decision",
    "deed",
    "intervention",
];

/// Which part of a timeline is wanted.
#[derive(Debug, Clone, Default)]
pub struct TimelinePart {
    /// Only what is of this kind, one of [`TIMELINE_KINDS`].
    pub kind: Option<String>,
    /// Only what comes after this place.
    pub after: Option<TimelinePosition>,
    /// How many rows at most.
    pub limit: i64,
}

/// The place of a row in a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelinePosition {
    /// The time by which it is sorted.
    pub at: DateTime<Utc>,
    /// Its kind.
    pub kind: String,
    /// The event or the action.
    pub id: Uuid,
}

/// One thing that happened, for a page.
#[derive(Debug, Clone, PartialEq)]
pub struct TimelineRow {
    /// Where it stands.
    pub position: TimelinePosition,
    /// When, by its own words.
    pub at: DateTime<Utc>,
    /// Of an event its name, of a decision and a deed the deed, of an intervention the verb.
    pub name: String,
    /// The rule that decided, or the person who stepped in.
    pub by: Option<String>,
    /// Outcome, state and reason, for people.
    pub detail: Option<String>,
    /// The event.
    pub event_id: Option<Uuid>,
    /// The action of a decision, a deed or an intervention.
    pub action_id: Option<Uuid>,
    /// Events that led to it.
    pub causes: Vec<Uuid>,
}

struct Found {
    placed_at: DateTime<Utc>,
    at: DateTime<Utc>,
    what: String,
    name: String,
    by: Option<String>,
    detail: Option<String>,
    raw: Option<Vec<u8>>,
    portal_id: Option<String>,
    developer_id: Option<Uuid>,
    email: Option<String>,
    full_name: Option<String>,
    event_id: Option<Uuid>,
    action_id: Option<Uuid>,
    causes: Vec<Uuid>,
}

impl Found {
    /// Outcome, state and reason, or what an own event says.
    fn detail(&self) -> Option<String> {
        let said = self.raw.as_deref().and_then(said);
        said.or_else(|| self.detail.clone())
    }
}

impl From<Found> for Row {
    fn from(found: Found) -> Self {
        Self {
            detail: found.detail(),
            at: found.at,
            what: found.what,
            name: found.name,
            by: found.by,
            portal_id: found.portal_id,
            developer_id: found.developer_id,
            email: found.email,
            full_name: found.full_name,
            event_id: found.event_id,
            action_id: found.action_id,
            causes: found.causes,
        }
    }
}

impl From<Found> for TimelineRow {
    fn from(found: Found) -> Self {
        Self {
            detail: found.detail(),
            position: TimelinePosition {
                at: found.placed_at,
                kind: found.what,
                id: found.event_id.or(found.action_id).unwrap_or_default(),
            },
            at: found.at,
            name: found.name,
            by: found.by,
            event_id: found.event_id,
            action_id: found.action_id,
            causes: found.causes,
        }
    }
}

impl Reports {
    /// Reads a part of the timeline that `question` asks for, the newest first. It waits for no
    /// report, since it has few rows in memory.
    pub async fn timeline(
        &self,
        question: &Question,
        part: &TimelinePart,
    ) -> Result<Vec<TimelineRow>, ReportError> {
        let asked = self.check(ReportName::Timeline, question)?;
        let mut tx = self.begin().await?;
        let found = find(&mut tx, &asked, part).await?;
        Ok(found.into_iter().map(TimelineRow::from).collect())
    }
}

pub(super) async fn rows(tx: &mut Connection, asked: &Asked) -> Result<Vec<Row>, JournalError> {
    let all = TimelinePart {
        limit: asked.one_more,
        ..TimelinePart::default()
    };
    let found = find(tx, asked, &all).await?;
    Ok(found.into_iter().map(Row::from).collect())
}

async fn find(
    tx: &mut Connection,
    asked: &Asked,
    part: &TimelinePart,
) -> Result<Vec<Found>, JournalError> {
    let after = part.after.as_ref();
    Ok(sqlx::query_file_as!(
        Found,
        "src/report/timeline.sql",
        asked.portals.one(),
        asked.from,
        asked.to,
        asked.developer,
        asked.application,
        part.limit,
        part.kind,
        after.map(|position| position.at),
        after.map(|position| position.kind.as_str()),
        after.map(|position| position.id),
        asked.portals.others(),
    )
    .fetch_all(tx)
    .await?)
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
