//! An action that changed its state, and the event that reports it. No SQL.

use chrono::{DateTime, Utc};
use metrics::counter;
use serde_json::{Map, Value, json};
use tracing::{info, warn};
use uuid::Uuid;

use crate::act::{ActionState, Target};
use crate::event::{OwnEvent, Verdict};
use crate::journal::{JournalError, NewEvent};
use crate::telemetry::metrics as names;

/// An action whose state changed, as its event reports it.
#[derive(Debug)]
pub(super) struct ActionEvent {
    pub(super) id: Uuid,
    pub(super) rule: String,
    pub(super) deed: String,
    pub(super) target: Target,
    pub(super) portal_id: Uuid,
    pub(super) signal: String,
    pub(super) state: ActionState,
    pub(super) reason: Option<String>,
    pub(super) attempts: i32,
    pub(super) causes: Vec<Uuid>,
    pub(super) revision: i64,
    pub(super) report: Option<Value>,
}

/// A row before its words are checked.
pub(super) struct ActionEventRow {
    pub(super) id: Uuid,
    pub(super) rule: String,
    pub(super) deed: String,
    pub(super) target_kind: String,
    pub(super) target_id: Uuid,
    pub(super) application_id: Option<Uuid>,
    pub(super) portal_id: Uuid,
    pub(super) signal: String,
    pub(super) state: String,
    pub(super) reason: Option<String>,
    pub(super) attempts: i32,
    pub(super) causes: Vec<Uuid>,
    pub(super) revision: i64,
    pub(super) report: Option<Value>,
}

impl TryFrom<ActionEventRow> for ActionEvent {
    type Error = JournalError;

    fn try_from(row: ActionEventRow) -> Result<Self, JournalError> {
        let inconsistent = |column| JournalError::Inconsistent {
            table: "actions",
            column,
        };
        Ok(Self {
            id: row.id,
            rule: row.rule,
            deed: row.deed,
            target: Target::from_columns(&row.target_kind, row.target_id, row.application_id)
                .ok_or_else(|| inconsistent("target_kind"))?,
            portal_id: row.portal_id,
            signal: row.signal,
            state: row.state.parse().map_err(|_| inconsistent("state"))?,
            reason: row.reason,
            attempts: row.attempts,
            causes: row.causes,
            revision: row.revision,
            report: row.report,
        })
    }
}

impl ActionEvent {
    /// The event that reports it.
    pub(super) fn event(&self, now: DateTime<Utc>) -> NewEvent {
        let mut data = Map::new();
        data.insert("rule".to_owned(), json!(self.rule));
        data.insert("deed".to_owned(), json!(self.deed));
        data.insert("target".to_owned(), json!(self.target));
        data.insert("state".to_owned(), json!(self.state));
        data.insert("reason".to_owned(), json!(self.reason));
        data.insert("attempts".to_owned(), json!(self.attempts));
        data.insert("signal".to_owned(), json!(self.signal));
        data.insert("causes".to_owned(), json!(self.causes));
        if let Some(report) = &self.report {
            data.insert("report".to_owned(), report.clone());
        }
        let developer = match self.target {
            Target::Developer { id } => Some(id.to_string()),
            Target::Application { .. }
            | Target::Registration { .. }
            | Target::Invitee { .. }
            | Target::Portal { .. }
            | Target::Usher => None,
        };
        let portal = Some(self.portal_id).filter(|id| !id.is_nil());
        let own = OwnEvent {
            name: format!("action.{}", self.state),
            portal_id: portal.map(|id| id.to_string()).unwrap_or_default(),
            principal_id: developer,
            object: format!("action/{}", self.id),
            revision: self.revision,
            occurred_at: now,
            data,
        };
        let (raw, event) = own.build();
        NewEvent {
            event,
            raw: raw.into(),
            verdict: Verdict::NotApplicable,
            request: None,
        }
    }

    /// Counts and logs it: to be called once it is committed.
    pub(super) fn log(&self) {
        counter!(
            names::ACTIONS,
            "deed" => self.deed.clone(),
            "state" => self.state.as_str(),
        )
        .increment(1);
        let (id, rule, deed) = (self.id, self.rule.as_str(), self.deed.as_str());
        let (state, reason) = (self.state.as_str(), self.reason.as_deref());
        match self.state {
            ActionState::Failed => {
                warn!(action.id = %id, rule, deed, state, reason, "an action ended");
            }
            ActionState::Planned => {
                info!(action.id = %id, rule, deed, state, reason, "a person asked for an action");
            }
            _ => info!(action.id = %id, rule, deed, state, reason, "an action ended"),
        }
    }
}
