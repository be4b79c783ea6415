//! One object of the emulated Konnect. It checks nothing.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{clock::timestamp, kind::Kind};

/// One object: what the API shows and what only the emulator needs, in `value`.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) kind: Kind,
    /// The row whose end is also the end of this one.
    pub(crate) parent: Option<Uuid>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) value: Map<String, Value>,
    /// The place in creation order.
    pub(crate) sequence: u64,
}

impl Row {
    /// Makes a row that is shown but not kept: the default of what nobody has configured.
    pub(crate) fn unkept(
        kind: Kind,
        parent: Option<Uuid>,
        value: Map<String, Value>,
        at: DateTime<Utc>,
    ) -> Self {
        Self {
            id: Uuid::nil(),
            kind,
            parent,
            created_at: at,
            updated_at: at,
            value,
            sequence: 0,
        }
    }

    /// Returns the id that the member at a JSON pointer, at most two names deep, holds.
    pub(crate) fn reference_at(&self, pointer: &str) -> Option<Uuid> {
        let mut names = pointer.split('/').skip(1);
        let member = self.get(names.next().unwrap_or_default());
        let value = names.next().map_or(member, |name| &member[name]);
        value.as_str().and_then(|text| Uuid::try_parse(text).ok())
    }

    /// Returns a member, null when absent.
    pub(crate) fn get(&self, name: &str) -> &Value {
        self.value.get(name).unwrap_or(&Value::Null)
    }

    /// Returns a text member, empty when absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).as_str().unwrap_or_default()
    }

    /// Returns whether a member is `true`.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.get(name) == &Value::Bool(true)
    }

    /// Returns a member that holds a row's id.
    pub(crate) fn reference(&self, name: &str) -> Option<Uuid> {
        self.get(name)
            .as_str()
            .and_then(|text| Uuid::try_parse(text).ok())
    }

    /// Shows id, times and the named members.
    pub(crate) fn show(&self, members: &[&str]) -> Map<String, Value> {
        let mut shown = Map::new();
        shown.insert("id".to_owned(), json!(self.id));
        shown.insert("created_at".to_owned(), json!(timestamp(self.created_at)));
        shown.insert("updated_at".to_owned(), json!(timestamp(self.updated_at)));
        for member in members {
            shown.insert((*member).to_owned(), self.get(member).clone());
        }
        shown
    }
}
